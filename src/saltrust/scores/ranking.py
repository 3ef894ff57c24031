"""Counts behind the scores that read a map as a pixel classifier: who is marked when the map is cut at a value?"""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError


@dataclass(frozen=True)
class Counts:
    """What is marked at or above each distinct value of the true pixels, from the highest value to the lowest.

    Attributes:
        values: the distinct values of the true pixels (k,), descending.
        hits: true pixels at or above each value (k,).
        alarms: false pixels at or above each value (k,).
        alarms_above: false pixels strictly above each value (k,).
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
    """Count what is marked at each value of the true pixels: between two of them a lower cut adds false pixels only.

    Two sorts and a search in them are several times faster than an argsort of all pixels.

    Args:
        scores: array of any shape, finite numbers.
        truth: array of the same shape, boolean, with at least one True.

    Returns:
        The counts at each distinct value.

    Raises:
        SaltrustError: as `checked`.

    >>> found = counts(np.array([3, 2, 1]), np.array([True, False, True]))
    >>> found.values.tolist(), found.hits.tolist(), found.alarms.tolist()
    ([3, 1], [1, 2], [0, 1])
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
    """The map and its truth as arrays, the truth as boolean, once they are known to fit.

    Args:
        scores: array of any shape.
        truth: array of the same shape.

    Returns:
        The two arrays.

    Raises:
        SaltrustError: the shapes differ, the truth is empty, or the map holds NaN or infinite values.

    >>> checked([0.5, 0.2], [1, 0])[1].tolist()
    [True, False]
    """
    scores, truth = np.asarray(scores), np.asarray(truth, dtype=bool)
    if scores.shape != truth.shape:
        raise SaltrustError(f"a map of shape {scores.shape} cannot be scored against a truth of shape {truth.shape}")
    if not truth.any():
        raise SaltrustError("the truth is empty: a map can be scored where there is at least one true pixel")
    if not np.isfinite(scores).all():
        raise SaltrustError("the map holds NaN or infinite values, which have no rank: score finite maps only")
    return scores, truth
