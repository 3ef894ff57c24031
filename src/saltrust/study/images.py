"""The first link of a study: the images of one data set, and which of them are explained."""

from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.store import Store
from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import unknown_name
from saltrust.core.labelled_images import Split
from saltrust.core.profiles import Profile

if TYPE_CHECKING:
    from saltrust.datasets.loaders import Loader
    from saltrust.datasets.records import Record


class Images:
    """The splits of a data set at the size of a profile.

    Args:
        card: of the data set, as the study's protocol reads it.
        profile: how many images there are of each split, and how many are explained.
        seed: of generated data.
        store: where splits are kept.
        size: side in pixels of the images, as the main network sees them.
    """

    def __init__(self, card: Card, profile: Profile, seed: int, store: Store, size: int):
        self.card, self.profile, self.seed, self.store, self.size = card, profile, seed, store, size
        self.artefact = cache(self.artefact)  # one instance of a name computes its digest once

    def split(self, name: str) -> Split:
        """The images, labels and truth of "train", "val" or "test"."""
        return self.store.get(self.artefact(name))

    def artefact(self, split: str, size: int | None = None) -> ImageSet:
        """The name of a split.

        Args:
            split: "train", "val" or "test".
            size: side in pixels, None for that of the main network.

        Raises:
            SaltrustError: for a split that does not exist.
        """
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        there, shard = self._counted[split], self._loader.shard
        wanted = shard * self.profile.branching.shards[split] if shard else getattr(self.profile, split)
        count = min(wanted or there, there)
        return ImageSet(self.card, self._fingerprint, split, count, size or self.size, self.seed)

    def ids(self, positions: Sequence[int]) -> np.ndarray:
        """The names (n,) of test images at some positions."""
        return self.split("test").ids[list(positions)]

    @cached_property
    def explained(self) -> tuple[int, ...]:
        """Positions in the test split of the images that get maps: positive ones, as in the paper, evenly spread.

        Spread, because neighbours in a table may be neighbouring slices of one patient.
        """
        return spread(self.split("test").positives(), self.profile.explained)

    @cached_property
    def compared(self) -> tuple[int, ...]:
        """Those of the explained images whose maps are compared with other maps: by the seed, drawn at random."""
        return drawn(self.explained, self.profile.compared, self.seed)

    @property
    def cascaded(self) -> tuple[int, ...]:
        """Those of the compared images that are followed through the cascade, evenly spread."""
        return spread(self.compared, self.profile.cascaded)

    @cached_property
    def clusters(self) -> dict[str, str] | None:
        """What each image belongs to, by its name, where the data set says: intervals then resample that."""
        if self._loader.groups:
            groups = self._loader.groups(self.card, self.split("test").ids)
        else:
            groups = {record.id: record.group for record in self._records if record.group}
        return groups or None

    @property
    def unit(self) -> str:
        """What intervals resample, in a word."""
        if self.clusters is None:
            return "image"
        return self.card.table.group if self.card.table else "patient"

    def quality(self, alike: pd.DataFrame) -> pd.DataFrame:
        """What is wrong with the data as it is used.

        Args:
            alike: the `pairs_alike` of its splits.

        Returns:
            Columns check, found, among, examples (see `datasets.quality.report`).
        """
        from saltrust.datasets.quality import report

        return report({split: self.split(split) for split in SPLITS}, alike, self._records)

    @cached_property
    def _counted(self) -> dict[str, int]:
        """Images that there are of each split."""
        if self.card.counts:
            return {split: count.images for split, count in self.card.counts.items()}
        return Counter(record.split for record in self._records)

    @cached_property
    def _loader(self) -> "Loader":
        from saltrust.datasets.loaders import loader_of

        return loader_of(self.card)

    @cached_property
    def _records(self) -> "list[Record]":
        """What the files of the data set say of each image; none for data that is generated."""
        return self._loader.records(self.card) if self._loader.records else []

    @cached_property
    def _fingerprint(self) -> str:
        return self._loader.fingerprint(self.card)


def drawn(positions: Sequence[int], count: int | None, seed: int) -> tuple[int, ...]:
    """`count` of the positions, drawn without replacement, in their order; None for all.

    >>> drawn(range(10), 10, seed=0) == drawn(range(10), None, seed=0) == tuple(range(10))
    True
    """
    count = len(positions) if count is None else min(count, len(positions))
    places = np.random.default_rng(seed).choice(len(positions), count, replace=False)
    return tuple(int(positions[place]) for place in sorted(places))


def spread(positions: Sequence[int], count: int | None) -> tuple[int, ...]:
    """`count` of the positions, evenly spread from the first to the last; None for all.

    >>> spread(range(10), 4)
    (0, 3, 6, 9)
    """
    count = len(positions) if count is None else min(count, len(positions))
    places = np.linspace(0, len(positions) - 1, count).round().astype(int)
    return tuple(int(positions[place]) for place in places)
