"""Which of two parts of an image does a map put above the other?"""

import numpy as np

from saltrust.scores.ranking import checked


def precedence(saliency: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Share of pairs of a pixel of the first part and a pixel of the second in which the first's is the higher one.

    Ties count one half, and pixels of both parts are left out. The share does not depend on how large the parts are,
    as two areas under precision-recall curves do: a map that knows neither part scores 0.5.

    Args:
        saliency: map (height, width), finite numbers.
        first: (height, width), boolean.
        second: (height, width), boolean; either part has a pixel that the other lacks.

    Returns:
        A share from 0 to 1.

    Raises:
        SaltrustError: the shapes differ, a part lies within the other, or the map is not finite.

    Source:
        The statistic of Mann & Whitney, divided by the number of pairs: the area under the ROC curve between the parts.

    >>> precedence(np.array([3, 2, 1]), np.array([True, False, True]), np.array([False, True, False]))
    0.5
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    values, one = checked(saliency, first & ~second)
    _, other = checked(saliency, second & ~first)
    ranked = np.sort(values[other])
    below = np.searchsorted(ranked, values[one], "left") + np.searchsorted(ranked, values[one], "right")
    return float(below.mean() / (2 * ranked.size))
