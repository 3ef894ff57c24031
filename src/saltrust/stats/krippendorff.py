"""Krippendorff's alpha: agreement of any number of readers on any number of units, beyond what chance gives.

It is 1 minus the disagreement that is found over the one that is expected: the mean difference of two values of one
unit, over that of two values drawn from all. 1 is perfect, 0 is what values laid out at random have.
"""

import numpy as np

from saltrust.core.errors import SaltrustError


def value_counts(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each unit was given each value.

    Args:
        ratings: of readers (readers, units), numbers; NaN where a reader did not rate the unit.

    Returns:
        Counts (units, values), and the values that occur, ascending.

    >>> counts, values = value_counts(np.array([[1, 2, np.nan], [1, 3, 3]]))
    >>> counts.tolist(), values.tolist()
    ([[2, 0, 0], [0, 1, 1], [0, 0, 1]], [1.0, 2.0, 3.0])
    """
    ratings = np.asarray(ratings, float)
    values = np.unique(ratings[~np.isnan(ratings)])
    return np.count_nonzero(ratings[..., None] == values, axis=0), values


def nominal(values: np.ndarray) -> np.ndarray:
    """Differences of values that are names: 0 for the same, 1 for others.

    >>> nominal(np.array([0, 1])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return 1.0 - np.eye(len(values))


def interval_scale(values: np.ndarray) -> np.ndarray:
    """Differences of values that are numbers: the squares of their distances.

    >>> interval_scale(np.array([0.0, 3.0])).tolist()
    [[0.0, 9.0], [9.0, 0.0]]
    """
    values = np.asarray(values, float)
    return (values[:, None] - values) ** 2


def alpha(counts: np.ndarray, differences: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Krippendorff's alpha.

    Units that got fewer than two values say nothing, and are left out, as the definition has it.

    Args:
        counts: how often each unit was given each value (units, values).
        differences: of the values (values, values), symmetric, 0 from each to itself: `nominal`, `interval_scale`.
        times: how often each unit is there (..., units): pixels that were marked alike are one unit, many times, and a
            resample is a row of its own. None for once each.

    Returns:
        An array (...), up to 1. NaN where all values are the same: then there is nothing to agree about.

    Raises:
        SaltrustError: the shapes do not fit.

    Source:
        Krippendorff 2011, "Computing Krippendorff's alpha-reliability".

    >>> counts, values = value_counts(np.array([[1, 1, 2, 2], [1, 1, 2, 1]]))
    >>> round(float(alpha(counts, nominal(values))), 4)
    0.5333
    """
    counts = np.asarray(counts, float)
    times = np.ones(len(counts)) if times is None else np.asarray(times, float)
    if differences.shape != (counts.shape[1],) * 2 or times.shape[-1:] != counts.shape[:1]:
        raise SaltrustError(
            f"alpha: counts {counts.shape} need differences of {(counts.shape[1],) * 2} and times of "
            f"(..., {len(counts)}), not {differences.shape} and {times.shape}"
        )
    rated = counts.sum(axis=1)
    paired = rated > 1
    counts, rated, times = counts[paired], rated[paired], times[..., paired]
    within = np.einsum("uc,cd,ud->u", counts, differences, counts) / (rated - 1)
    found = times @ within
    totals = times @ counts
    n = totals.sum(axis=-1)
    expected = np.einsum("...c,cd,...d->...", totals, differences, totals)
    known = expected > 0
    return np.where(known, 1 - (n - 1) * found / np.where(known, expected, 1), np.nan)
