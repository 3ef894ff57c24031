"""One score for each pair of maps in two stacks."""

from collections.abc import Callable

import numpy as np

from saltrust.core.errors import SaltrustError


def for_each_pair(
    score: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """The score of each pair of maps in two stacks.

    Pairs are scored one after the other: what one pair needs fits the processor's cache, and memory does not grow with
    their number.

    Args:
        score: function of two maps (height, width) that returns a number.
        first: maps (..., height, width).
        second: maps of the same shape.

    Returns:
        An array (...), float64, of the stacks' leading shape.

    Raises:
        SaltrustError: the stacks have different shapes.

    >>> for_each_pair(lambda x, y: float((x - y).max()), np.ones((2, 3, 3)), np.zeros((2, 3, 3))).tolist()
    [1.0, 1.0]
    """
    if first.shape != second.shape:
        raise SaltrustError(f"a similarity needs maps of one shape, not {first.shape} and {second.shape}")
    size = first.shape[-2:]
    pairs = zip(first.reshape(-1, *size), second.reshape(-1, *size), strict=True)
    return np.array([score(x, y) for x, y in pairs], dtype=np.float64).reshape(first.shape[:-2])[()]
