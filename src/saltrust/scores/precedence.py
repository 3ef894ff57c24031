"""Which of two parts of an image does a map put above the other?"""

import numpy as np

from saltrust.core.errors import SaltrustError
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
        SaltrustError: the shapes differ, a part is empty or lies within the other, or the map is not finite.

    Source:
        The statistic of Mann & Whitney, divided by the number of pairs: the area under the ROC curve between the parts.

    >>> precedence(np.array([3, 2, 1]), np.array([True, False, True]), np.array([False, True, False]))
    0.5
    """
    (values, first), (_, second) = checked(saliency, first), checked(saliency, second)
    own, ranked = values[first & ~second], np.sort(values[second & ~first])
    if not own.size or not ranked.size:
        raise SaltrustError("one part lies within the other: neither can be put above it")
    below = np.searchsorted(ranked, own, "left") + np.searchsorted(ranked, own, "right")
    return float(below.mean() / (2 * ranked.size))
