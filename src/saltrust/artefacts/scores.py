"""Scores of maps: against the truth, and of the likeness of two sets of maps; and the values of many, kept as one."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.artefacts.data import AverageMask
from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps, effective, prepared
from saltrust.core.protocols import Preparation


def _pixels(maps: SaliencyMaps | LocalizerMaps | AverageMask) -> int:
    return len(maps.images) * maps.data.size**2


@dataclass(frozen=True)
class LocalizationScores(ArrayArtefact):
    """Score (n,) of each map against its image's truth; NaN for a map that holds NaN, and where there is no truth.

    score: a name in AUPRC or in LOCALIZATION.
    """

    description: ClassVar[str] = "scores against the truth"
    maps: SaliencyMaps | LocalizerMaps | AverageMask
    preparation: Preparation
    score: str

    def __post_init__(self):  # what does not change the scores is no part of their name
        object.__setattr__(self, "preparation", effective(self.preparation, self.maps))

    def title(self) -> str:
        return f"{self.score} of {self.maps.title()}"

    def part(self) -> str:
        return self.maps.part()

    def work(self) -> Work:
        return ((self.score, _pixels(self.maps)), ("", _pixels(self.maps)))

    def needs(self) -> list[Artefact]:
        return [self.maps.data, self.maps]

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.auprc import AUPRC
        from saltrust.scores.localization import LOCALIZATION

        score = AUPRC[self.score] if self.score in AUPRC else LOCALIZATION[self.score]
        truth = get(self.maps.data).require_truth()[list(self.maps.images)]
        maps = prepared(self.maps, self.preparation, get)
        pairs = zip(maps, truth, strict=True)
        return np.array([score(m, t) if t.any() and not np.isnan(m).any() else np.nan for m, t in pairs])


@dataclass(frozen=True)
class FindingScores(ArrayArtefact):
    """Score (n,) of each map against one of its image's findings; NaN for a map that holds NaN, and for an image that
    lacks the finding.

    finding: its name. score: a name in AUPRC; or "precedence", of the finding's pixels before those of its rival.
    rival: another finding, "" for a score that knows none.
    """

    description: ClassVar[str] = "scores against one of several findings"
    maps: SaliencyMaps
    preparation: Preparation
    finding: str
    score: str
    rival: str = ""

    def __post_init__(self):
        object.__setattr__(self, "preparation", effective(self.preparation, self.maps))

    def title(self) -> str:
        return f"{self.score}, {self.finding}, of {self.maps.title()}"

    def part(self) -> str:
        return self.maps.part()

    def work(self) -> Work:
        return ((self.score, _pixels(self.maps)), ("", _pixels(self.maps)))

    def needs(self) -> list[Artefact]:
        return [self.maps.data, self.maps]

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.auprc import AUPRC
        from saltrust.scores.precedence import precedence

        score = precedence if self.score == "precedence" else AUPRC[self.score]
        findings, images = get(self.maps.data).findings, list(self.maps.images)
        parts = [findings.truth(self.finding)[images]]
        if self.rival:  # pixels of both tell nothing
            rival = findings.truth(self.rival)[images]
            parts = [parts[0] & ~rival, rival & ~parts[0]]
        maps = prepared(self.maps, self.preparation, get)
        known = np.all([part.any(axis=(1, 2)) for part in parts], axis=0) & ~np.isnan(maps).any(axis=(1, 2))
        rows = zip(known, maps, *parts, strict=True)
        return np.array([score(*pictures) if there else np.nan for there, *pictures in rows])


@dataclass(frozen=True)
class FiveBandCounts(ArrayArtefact):
    """The pixels of each map by truth and band (5, n, m): the parts of a Confusion of n maps at m pairs of thresholds.

    absolute: whether the map's signs are dropped first. clamp: in the map's units after normalization, None for none.
    clamping: "published" or "as_run". thresholds: a Thresholds.
    """

    description: ClassVar[str] = "counts in five bands"
    maps: SaliencyMaps
    absolute: bool
    clamp: float | None
    clamping: str
    thresholds: Any

    def title(self) -> str:
        return f"five-band score of {self.maps.title()}"

    def part(self) -> str:
        return self.maps.part()

    def work(self) -> Work:
        return (("", _pixels(self.maps) * self.thresholds.count),)

    def needs(self) -> list[Artefact]:
        return [self.maps.data, self.maps]

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

    description: ClassVar[str] = "likeness of two sets of maps"
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

    def part(self) -> str:
        return self.first.part()

    def work(self) -> Work:
        pixels = len(self.pairs) * self.first.data.size**2
        return ((f"{self.score} {json.dumps(self.settings, sort_keys=True)}", pixels), ("", pixels))

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

    description: ClassVar[str] = "likeness of maps and surrogates"
    count: int
    seed: int

    def work(self) -> Work:
        return tuple((alike, pixels * self.count) for alike, pixels in super().work())

    def partners(self, maps: np.ndarray, images: Sequence[int]) -> Iterator[np.ndarray]:
        """Each draw of the second maps' surrogates."""
        from saltrust.scores.surrogates import surrogate

        for draw in range(self.count):
            drawn = maps.copy()
            for i in np.flatnonzero(np.isfinite(maps).all(axis=(1, 2))):
                key = np.random.SeedSequence(self.seed, spawn_key=(images[i], draw))
                drawn[i] = surrogate(maps[i], np.random.default_rng(key))
            yield drawn


@dataclass(frozen=True)
class ScoreBatch(Artefact):
    """The values of many scores, each (n,), kept as one artefact: a tuple of arrays in their order.

    Scores of similarity that differ in their settings alone should follow one another: they share prepared maps.
    """

    description: ClassVar[str] = "scores of many choices of the analysis"
    parts: tuple[LocalizationScores | SimilarityScores, ...]

    def title(self) -> str:
        return f"{len(self.parts)} scores"

    def work(self) -> Work:
        kinds = sorted({part.kind for part in self.parts})
        return ((", ".join(kinds), len(self.parts)), ("", len(self.parts)))

    def needs(self) -> list[Artefact]:
        return [need for part in self.parts for need in part.needs()]

    def compute(self, get) -> tuple[np.ndarray, ...]:
        known: dict[bytes, np.ndarray] = {}
        found = []
        for _, alike in groupby(self.parts, without_settings):
            parts = list(alike)
            if isinstance(parts[0], SimilarityScores):
                found += _similarities(parts, get, known)
            else:
                found += [part.compute(get) for part in parts]
        return tuple(found)

    def write(self, value, folder: Path) -> None:
        np.savez(folder / "scores.npz", *value)

    def read(self, folder: Path) -> tuple[np.ndarray, ...]:
        with np.load(folder / "scores.npz") as stored:
            return tuple(stored[name] for name in stored.files)


def without_settings(part: Artefact) -> str:
    """Equal for scores of similarity that differ in their settings alone."""
    return (replace(part, settings={}) if isinstance(part, SimilarityScores) else part).digest


def _similarities(parts: Sequence[SimilarityScores], get: Callable, known: dict[bytes, np.ndarray]) -> list[np.ndarray]:
    """The value of each of some scores that differ in their settings alone.

    Args:
        known: the scores of pairs of maps that have been compared before. Maps that differ in a choice are often equal
            once prepared: a flipped sign is gone from absolute values.
    """
    from saltrust.scores.similarity import SIMILARITY

    left, right = parts[0].paired(get)
    images = [parts[0].second.images[second] for _, second in parts[0].pairs]
    asked = repr([(part.kind, part.score, part.settings) for part in parts]).encode()
    pairs = [
        blake2b(b"".join((asked, str(image).encode(), x.tobytes(), y.tobytes()))).digest()
        for image, x, y in zip(images, left, right, strict=True)
    ]
    new = list({pair: i for i, pair in enumerate(pairs) if pair not in known}.values())

    def scored(rows: np.ndarray) -> np.ndarray:
        partners = parts[0].partners(right[rows], [images[i] for i in rows])
        rounds = [[SIMILARITY[p.score](left[rows], other, **p.settings) for p in parts] for other in partners]
        return np.mean(rounds, axis=0).T

    if new:
        threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count())  # what others leave to this process
        with ThreadPoolExecutor(threads) as pool:
            shares = np.array_split(new, min(len(new), threads))
            known |= zip((pairs[i] for i in new), np.concatenate(list(pool.map(scored, shares))), strict=True)
    return list(np.array([known[pair] for pair in pairs]).T)
