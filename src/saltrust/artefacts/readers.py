"""Scores of maps against what readers drew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps, effective, prepared
from saltrust.core.protocols import Preparation

AREAS = ("average_precision", "trapezoid")  # of grey maps; the overlaps take what is above 0
OVERLAPS = ("iou", "dice", "pixel_error")
SCORES = (*AREAS, *OVERLAPS)

CONSENSUS, EXACT = "consensus", "exact"
OTHERS, READER = "others: ", "reader: "  # before the name of a reader: the consensus of all but this one; this one


def references(split: Any, images: Sequence[int]) -> dict[str, np.ndarray]:
    """What maps and readers are held against.

    Args:
        split: whose images were read by several readers.
        images: positions in the split.

    Returns:
        By name, masks (n, height, width) of those images: CONSENSUS, the truth of the split; EXACT, where its findings
        have a truth of their own that the readers did not draw; and, for each reader, OTHERS + name and READER + name.
        In an image that a reader did not read, both are empty.

    Raises:
        SaltrustError: where the split has no readers.
    """
    from saltrust.core.errors import SaltrustError
    from saltrust.scores.consensus import voted

    if split.readers is None or len(split.readers.names) < 2:
        raise SaltrustError("these images were not read by two readers or more, whose drawings are kept apart")
    chosen, readers = list(images), split.readers
    found = {CONSENSUS: split.require_truth()[chosen]}
    if split.findings is not None and split.findings.bits is not None:
        exact = np.any([split.findings.truth(name)[chosen] for name in split.findings.names], axis=0)
        if not np.array_equal(exact, found[CONSENSUS]):
            found[EXACT] = exact
    drawn = {name: readers.drawn(name)[chosen] for name in readers.names}
    for position, name in enumerate(readers.names):
        others = voted(np.stack([masks for other, masks in drawn.items() if other != name]))
        found[OTHERS + name] = others & readers.read[position][chosen][:, None, None]
    return found | {READER + name: masks for name, masks in drawn.items()}


def scored(grey: np.ndarray, found: Mapping[str, np.ndarray], empty: float = np.nan) -> np.ndarray:
    """Every score of maps, or of what a reader drew, against every reference.

    Args:
        grey: maps (n, height, width) in [0, 1]; one that holds NaN has no score.
        found: by name, masks (n, height, width), as from `references`.
        empty: what an overlap scores where neither marks a pixel.

    Returns:
        An array (references, SCORES, n). An empty reference leaves the areas NaN.
    """
    from saltrust.scores.agreement import AGREEMENT, counted
    from saltrust.scores.auprc import AUPRC

    values = np.full((len(found), len(SCORES), len(grey)), np.nan)
    whole = ~np.isnan(grey).any(axis=(1, 2))
    for row, masks in zip(values, found.values(), strict=True):
        for image in np.flatnonzero(whole & masks.any(axis=(1, 2))):
            row[: len(AREAS), image] = [AUPRC[name](grey[image], masks[image]) for name in AREAS]
        counts = counted(grey > 0, masks)
        row[len(AREAS) :] = [np.where(whole, AGREEMENT[name](counts, empty), np.nan) for name in OVERLAPS]
    return values


@dataclass(frozen=True)
class ReaderScores(ArrayArtefact):
    """Every score of each map against every reference of its image: (references, SCORES, n), in the order of
    `references`. The overlaps are those of all pixels above 0; of two empty masks NaN."""

    description: ClassVar[str] = "scores against what readers drew"
    maps: SaliencyMaps | LocalizerMaps
    preparation: Preparation

    def __post_init__(self):  # what does not change the scores is no part of their name
        object.__setattr__(self, "preparation", effective(self.preparation, self.maps))

    def title(self) -> str:
        return f"scores beside readers, {self.preparation.mode}, of {self.maps.title()}"

    def part(self) -> str:
        return self.maps.part()

    def work(self) -> Work:
        return (("", len(self.maps.images) * self.maps.data.size**2),)

    def needs(self) -> list[Artefact]:
        return [self.maps.data, self.maps]

    def compute(self, get) -> np.ndarray:
        found = references(get(self.maps.data), self.maps.images)
        return scored(prepared(self.maps, self.preparation, get), found)
