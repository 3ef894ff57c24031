"""The values of many scores, kept as one artefact."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.scores import LocalizationScores, SimilarityScores
from saltrust.scores.similarity import SIMILARITY

# --- computing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoreBatch(Artefact):
    """The values of many specs of scores, each (n,), kept as one artefact: a tuple of arrays in their order.

    Specs of similarity that differ in their settings alone should follow one another: they share prepared maps.
    """

    kind: ClassVar[str] = "scores"
    parts: tuple[LocalizationScores | SimilarityScores, ...]

    def title(self) -> str:
        return f"{len(self.parts)} scores"

    def compute(self, get) -> tuple[np.ndarray, ...]:
        known: dict[bytes, np.ndarray] = {}
        found = []
        for _, alike in groupby(self.parts, _unset):
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


def _unset(part: Artefact) -> str:
    """Equal for specs of similarity that differ in their settings alone."""
    return (replace(part, settings={}) if isinstance(part, SimilarityScores) else part).digest


def _similarities(parts: Sequence[SimilarityScores], get: Callable, known: dict[bytes, np.ndarray]) -> list[np.ndarray]:
    """The value of each of some specs that differ in their settings alone.

    known: the scores of pairs of maps that have been compared before. Maps that differ in a choice are often equal once
    prepared: a flipped sign is gone from absolute values.
    """
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
