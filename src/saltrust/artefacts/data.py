"""Images with their labels and truth, and the average truth."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.core.data_cards import Card


class _StoredSplit(Artefact):
    """Images that are stored with all that is known of each."""

    def write(self, value, folder: Path) -> None:
        np.savez(folder / "split.npz", **value.arrays())

    def read(self, folder: Path) -> Any:
        from saltrust.core.labelled_images import Split

        with np.load(folder / "split.npz") as stored:
            return Split.from_arrays(dict(stored))


@dataclass(frozen=True)
class ImageSet(_StoredSplit):
    """One split of a data set: `count` images of size x size pixels with their labels and truth."""

    description: ClassVar[str] = "images, labels and truth"
    stage: ClassVar[str] = "data"
    card: Card
    fingerprint: str
    split: str
    count: int
    size: int
    seed: int
    first: int = 0  # the images before it are left out

    def title(self) -> str:
        part = f" from {self.first}" if self.first else ""
        return f"{self.split} images of {self.card.name}{part}"

    def job(self) -> tuple[str, ...]:
        return ("images", self.split, str(self.size))

    def work(self) -> Work:
        pixels = self.count * self.size**2
        files = f"{self.card.name} {self.fingerprint} at {self.size} pixels"
        return ((files, self.count), (self.card.loader, pixels), ("", pixels))

    def value_bytes(self) -> float:
        return self.count * self.size**2 * (3 + 1)  # colour at most, and the truth

    def needs(self) -> list[Artefact]:
        return list(self.shards)

    @property
    def shards(self) -> tuple["ImageSet", ...]:
        """The parts in which a large split is made and stored, so that an interruption costs no more than one of them;
        empty for a split that is made at once."""
        from saltrust.datasets.loaders import LOADERS

        most = LOADERS[self.card.loader].shard
        if most is None or self.count <= most:
            return ()
        starts = range(0, self.count, most)
        return tuple(replace(self, first=self.first + k, count=min(most, self.count - k)) for k in starts)

    @property
    def transient(self) -> bool:
        return bool(self.shards)

    def code(self) -> tuple[str, ...]:
        return (f"saltrust.datasets.{self.card.loader}",)

    def compute(self, get) -> Any:
        from saltrust.core.labelled_images import joined
        from saltrust.datasets.loaders import LOADERS

        if self.shards:
            return joined([get(shard) for shard in self.shards])
        loader = LOADERS[self.card.loader]
        first = (self.first,) if loader.shard else ()
        return loader.load(self.card, self.split, self.count, self.size, self.seed, *first)


@dataclass(frozen=True)
class ShiftedImages(_StoredSplit):
    """The first `count` images of a split after a shift, with their labels and findings; what these are stays true.

    change: a name in SHIFTS. strength: in its unit.
    """

    description: ClassVar[str] = "images after a shift"
    stage: ClassVar[str] = "data"
    data: ImageSet
    count: int
    change: str
    strength: float
    seed: int

    def title(self) -> str:
        return f"{self.data.title()}, {self.change} {self.strength:g}"

    @property
    def size(self) -> int:
        """Side in pixels."""
        return self.data.size

    def work(self) -> Work:
        return (("", self.count * self.size**2),)

    def value_bytes(self) -> float:
        return self.count * self.size**2 * 3

    def compute(self, get) -> Any:
        from saltrust.core.labelled_images import Split
        from saltrust.datasets.shifts import shifted

        split, first = get(self.data), slice(self.count)
        findings = split.findings
        return Split(
            pixels=shifted(split.pixels[first], self.change, self.strength, self.seed),
            labels=split.labels[first],
            truth=None,
            boxes=split.boxes[:0],
            ids=split.ids[first],
            classes=split.classes,
            absent=split.absent,
            findings=findings and replace(findings, present=findings.present[first], bits=None),
        )


@dataclass(frozen=True)
class AverageMask(ArrayArtefact):
    """The average truth of all images of some splits with the finding, once for each image to be judged."""

    description: ClassVar[str] = "average truths"
    stage: ClassVar[str] = "data"
    splits: tuple[ImageSet, ...]
    data: ImageSet
    images: tuple[int, ...]

    def title(self) -> str:
        return f"average truth of {self.data.card.name}"

    def work(self) -> Work:
        return (("", sum(split.count * split.size**2 for split in self.splits)),)

    def value_bytes(self) -> float:
        return len(self.images) * self.data.size**2 * 8

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import average_mask

        average = average_mask([get(split) for split in self.splits])
        return np.repeat(average[None, None], len(self.images), axis=0)
