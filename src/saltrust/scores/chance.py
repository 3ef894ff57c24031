"""What an overlap is worth: how much of it masks of this shape would have if they lay anywhere.

Two large masks overlap wherever they lie. An overlap above chance is `above_chance(score, chance)`: 1 for equal masks,
0 for what masks laid at random have on average, below 0 for less.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

from saltrust.scores.agreement import Counts, checked, iou
from saltrust.scores.for_each_pair import for_each_pair
from saltrust.scores.surrogates import surrogate


def iou_by_shift(first: np.ndarray, second: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """The mean IoU of each pair of masks over all places to which the second could be shifted.

    It is exact: every shift counts, by whole pixels and around the borders of the image. The shapes stay, only where
    they lie relative to each other is left to chance.

    Args:
        first: masks (..., height, width), boolean.
        second: masks of the same shape.
        empty: what a pair of empty masks scores.

    Returns:
        An array (...), 0 to 1.

    Raises:
        SaltrustError: the masks are not boolean, or their stacks have different shapes.

    >>> one = np.array([[True, False, False, False]])
    >>> float(iou_by_shift(one, one))
    0.25
    """

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        own, other = np.count_nonzero(x), np.count_nonzero(y)
        if not own or not other:
            return float(iou(Counts(*map(np.asarray, (0, own, other, x.size))), empty))
        x_part, y_part = _part(x), _part(y)
        # Where both parts fit into the image beside each other, the shifts at which they do not meet need no transform.
        spans = [a + b - 1 for a, b in zip(x_part.shape, y_part.shape, strict=True)]
        shape = [
            fft.next_fast_len(span, real=True) if span <= side else side
            for span, side in zip(spans, x.shape, strict=True)
        ]
        spectra = fft.rfft2(x_part, shape) * np.conj(fft.rfft2(y_part, shape))
        both = np.rint(fft.irfft2(spectra, shape))  # whole numbers of pixels, but for rounding
        return float(np.sum(both / (own + other - both)) / x.size)

    return for_each_pair(mean, checked(first), checked(second))


def _part(mask: np.ndarray) -> np.ndarray:
    """The smallest rectangle that holds all of a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)


def by_surrogates(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    rng: np.random.Generator,
    n: int = 20,
) -> np.ndarray:
    """The mean score of each pair with surrogates of the second mask, which have its size and texture but lie anywhere.

    Unlike a shift, a surrogate may break a mask into pieces as large as it has.

    Args:
        score: of a mask (height, width) and another, such as `lambda x, y: iou(counted(x, y))`.
        first: masks (..., height, width), boolean.
        second: masks of the same shape.
        rng: source of the random order.
        n: how many surrogates of each mask, at least 1.

    Returns:
        An array (...), in units of the score.

    Raises:
        SaltrustError: the masks are not boolean, or their stacks have different shapes.

    >>> from saltrust.scores.agreement import counted
    >>> full = np.ones((4, 4), bool)
    >>> float(by_surrogates(lambda x, y: iou(counted(x, y)), full, full, np.random.default_rng(0)))
    1.0
    """

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([score(x, surrogate(y, rng)) for _ in range(n)]))

    return for_each_pair(mean, checked(first), checked(second))


def above_chance(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """A score whose best is 1, from chance on: (score - chance) / (1 - chance).

    Args:
        score: of pairs, up to 1.
        chance: what chance gives each pair, up to 1.

    Returns:
        An array of their shape, up to 1. NaN where chance gives 1: nothing can be said there.

    Source:
        The form is that of Cohen's kappa (1960).

    >>> above_chance(np.array([0.5, 0.2, 1.0]), np.array([0.2, 0.2, 1.0])).round(3).tolist()
    [0.375, 0.0, nan]
    """
    score, chance = np.asarray(score, float), np.asarray(chance, float)
    room = 1 - chance
    return np.divide(score - chance, room, out=np.full(room.shape, np.nan), where=room > 1e-12)
