"""The five-band score beside its definition, pixel by pixel and, in arrays, threshold by threshold."""

from collections.abc import Callable

import numpy as np

from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import fields
from saltrust.scores.five_band import SOFT, adjust, confusion

MAPS, SIDE = 20, 96
COUNTS = ("hit", "missed", "misjudged", "false_alarm", "true_negative")


def _loops(adjusted: np.ndarray, grades: np.ndarray, inner: float, outer: float) -> list[int]:
    """COUNTS of one map at one pair of thresholds, in plain Python."""
    counts = dict.fromkeys(COUNTS, 0)
    for values, truths in zip(adjusted.tolist(), grades.tolist(), strict=True):
        for value, truth in zip(values, truths, strict=True):
            if value > outer:
                band = 2
            elif value > inner:
                band = 1
            elif value > -inner:
                band = 0
            elif value > -outer:
                band = -1
            else:
                band = -2
            if truth == 0:
                counts["true_negative" if band == 0 else "false_alarm"] += 1
            elif band == 0:
                counts["missed"] += 1
            else:
                counts["hit" if band == truth else "misjudged"] += 1
    return list(counts.values())


def _arrays(adjusted: np.ndarray, grades: np.ndarray, inner: float, outer: float) -> list[int]:
    """The same with NumPy."""
    above = (adjusted > inner).astype(np.int8) + (adjusted > outer)
    band = above - (adjusted <= -inner) - (adjusted <= -outer)
    cell, zero, same = grades != 0, band == 0, band == grades
    sets = cell & same, cell & zero, cell & ~same & ~zero, ~cell & ~zero, ~cell & zero
    return [np.count_nonzero(pixels) for pixels in sets]


def _comparison(size: Size, definition: Callable, beside: str, target: float, note: str) -> Comparison:
    count = min(size.maps, MAPS)
    adjusted = adjust(fields((count, 3, SIDE, SIDE), smooth=2.0))
    grades = _discs(count)

    def ours() -> np.ndarray:
        counted = confusion(adjusted, grades, SOFT)
        return np.stack([getattr(counted, name) for name in COUNTS], axis=-1)

    def theirs() -> np.ndarray:
        pairs = SOFT.pairs().tolist()
        return np.array([[definition(*one, *pair) for pair in pairs] for one in zip(adjusted, grades, strict=True)])

    return Comparison(
        work=f"five-band counts of {count} maps of {SIDE} px, {SOFT.count} thresholds",
        beside=beside,
        ours=ours,
        theirs=theirs,
        agree=np.array_equal,
        target=target,
        repeats=size.repeats,
        note=f"{note} The same counts.",
    )


def _discs(count: int) -> np.ndarray:
    """Grades (count, SIDE, SIDE) uint8: discs of several sizes, the inner half of each a feature."""
    distance = np.hypot(*(np.indices((SIDE, SIDE)) - SIDE / 2))
    radius = np.linspace(0.2, 0.4, count)[:, None, None] * SIDE
    return (distance < radius).astype(np.uint8) + (distance < radius / 2)


@BENCHMARKS.register("five_band")
def five_band(size: Size) -> Comparison:
    return _comparison(size, _loops, "its definition, in loops", 20, "Loops over maps, thresholds, rows and columns.")


@BENCHMARKS.register("five_band_arrays")
def five_band_arrays(size: Size) -> Comparison:
    return _comparison(size, _arrays, "its definition, in NumPy", 5, "NumPy on whole maps, a threshold at a time.")
