"""Counts behind scores that read a map as a pixel classifier: who is marked when the map is cut at a value?"""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError


@dataclass(frozen=True)
class Counts:
    """What is marked at or above each distinct value of the true pixels, from the highest value to the lowest.

    hits: true pixels at or above. alarms: false pixels at or above. alarms_above: false pixels strictly above.
    """

    values: np.ndarray
    hits: np.ndarray
    alarms: np.ndarray
    alarms_above: np.ndarray

    @property
    def true(self) -> int:
        """Number of true pixels."""
        return int(self.hits[-1])


def counts(scores: np.ndarray, truth: np.ndarray) -> Counts:
    """Counts at the values of the true pixels: between two of them a lower cut adds false pixels only.

    Two sorts and a search in them: several times faster than an argsort of all pixels. Raises as `checked`.
    """
    scores, truth = checked(scores, truth)
    true, false = np.sort(scores[truth]), np.sort(scores[~truth])
    first = np.flatnonzero(np.r_[True, true[1:] != true[:-1]])[::-1]
    values = true[first]
    return Counts(
        values,
        hits=true.size - first,
        alarms=false.size - np.searchsorted(false, values, side="left"),
        alarms_above=false.size - np.searchsorted(false, values, side="right"),
    )


def checked(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map and its truth, as boolean.

    Raises SaltrustError when their shapes differ, the truth is empty or the map holds NaN or infinite values.
    """
    scores, truth = np.asarray(scores), np.asarray(truth, dtype=bool)
    if scores.shape != truth.shape:
        raise SaltrustError(f"a map of shape {scores.shape} cannot be scored against a truth of shape {truth.shape}")
    if not truth.any():
        raise SaltrustError("the truth is empty: a map can be scored where there is at least one true pixel")
    if not np.isfinite(scores).all():
        raise SaltrustError("the map holds NaN or infinite values, which have no rank: score finite maps only")
    return scores, truth
