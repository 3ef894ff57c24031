"""Scores of maps: against the truth, and of the likeness of two sets of maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.data import ArrayArtefact, AverageMask
from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps, effective, prepared
from saltrust.core.protocols import Preparation


@dataclass(frozen=True)
class LocalizationScores(ArrayArtefact):
    """Score (n,) of each map against its image's truth; NaN for a map that holds NaN, and where there is no truth.

    score: a name in AUPRC or in LOCALIZATION.
    """

    kind: ClassVar[str] = "utility"
    maps: SaliencyMaps | LocalizerMaps | AverageMask
    preparation: Preparation
    score: str

    def __post_init__(self):  # what does not change the scores is no part of their name
        object.__setattr__(self, "preparation", effective(self.preparation, self.maps))

    def title(self) -> str:
        return f"{self.score} of {self.maps.title()}"

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.auprc import AUPRC
        from saltrust.scores.localization import LOCALIZATION

        score = AUPRC[self.score] if self.score in AUPRC else LOCALIZATION[self.score]
        truth = get(self.maps.data).require_truth()[list(self.maps.images)]
        maps = prepared(self.maps, self.preparation, get)
        pairs = zip(maps, truth, strict=True)
        return np.array([score(m, t) if t.any() and not np.isnan(m).any() else np.nan for m, t in pairs])


@dataclass(frozen=True)
class FiveBandCounts(ArrayArtefact):
    """The pixels of each map by truth and band (5, n, m): the parts of a Confusion of n maps at m pairs of thresholds.

    absolute: whether the map's signs are dropped first. clamp: in the map's units after normalization, None for none.
    clamping: "published" or "as_run". thresholds: a Thresholds.
    """

    kind: ClassVar[str] = "five_band"
    maps: SaliencyMaps
    absolute: bool
    clamp: float | None
    clamping: str
    thresholds: Any

    def title(self) -> str:
        return f"five-band score of {self.maps.title()}"

    def compute(self, get) -> np.ndarray:
        from dataclasses import astuple

        from saltrust.scores.five_band import adjust, confusion

        raw = get(self.maps).values
        maps = adjust(np.abs(raw) if self.absolute else raw, self.clamp, self.clamping)
        grades = get(self.maps.data).grades[list(self.maps.images)]
        return np.stack(astuple(confusion(maps, grades, self.thresholds)))


@dataclass(frozen=True)
class SimilarityScores(ArrayArtefact):
    """Likeness (k,) of maps of two model states; pair i joins map pairs[i][0] of the first, pairs[i][1] of the second.

    score: a name in SIMILARITY, called with `settings`.
    """

    kind: ClassVar[str] = "similarity"
    first: SaliencyMaps | LocalizerMaps
    second: SaliencyMaps | LocalizerMaps
    pairs: tuple[tuple[int, int], ...]
    preparation: Preparation
    score: str
    settings: dict[str, Any]

    def __post_init__(self):
        object.__setattr__(self, "preparation", effective(self.preparation, self.first))

    def title(self) -> str:
        return f"{self.score} of {self.first.title()} and {self.second.title()}"

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.similarity import SIMILARITY

        left, right = self.paired(get)
        images = [self.second.images[second] for _, second in self.pairs]
        partners = self.partners(right, images)
        return np.mean([SIMILARITY[self.score](left, other, **self.settings) for other in partners], axis=0)

    def paired(self, get) -> tuple[np.ndarray, np.ndarray]:
        """The prepared maps (k, height, width) of either side."""
        from saltrust.methods.preparation import resized

        left, right = (prepared(maps, self.preparation, get) for maps in (self.first, self.second))
        right = resized(right, left.shape[1])  # networks may see images of different sizes
        firsts, seconds = ([pair[side] for pair in self.pairs] for side in (0, 1))
        return left[firsts], right[seconds]

    def partners(self, maps: np.ndarray, images: Sequence[int]) -> Iterator[np.ndarray]:
        """What the first maps are compared with, one stack after the other: the second maps, of those images."""
        yield maps


@dataclass(frozen=True)
class SurrogateScores(SimilarityScores):
    """What the likeness of those pairs would be if nothing lay in the same place (k,): of each first map with
    surrogates of its partner, the mean over `count` of them; NaN where the partner is not finite."""

    kind: ClassVar[str] = "null"
    count: int
    seed: int

    def partners(self, maps: np.ndarray, images: Sequence[int]) -> Iterator[np.ndarray]:
        """Each draw of the second maps' surrogates."""
        from saltrust.scores.surrogates import surrogate

        for draw in range(self.count):
            drawn = maps.copy()
            for i in np.flatnonzero(np.isfinite(maps).all(axis=(1, 2))):
                key = np.random.SeedSequence(self.seed, spawn_key=(images[i], draw))
                drawn[i] = surrogate(maps[i], np.random.default_rng(key))
            yield drawn
