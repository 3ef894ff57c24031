"""Area under the precision-recall curve of a map read as a pixel classifier, by the two definitions in use."""

import numpy as np

from saltrust.core.registry import Registry
from saltrust.scores.ranking import checked, counts

AUPRC: Registry = Registry("AUPRC definition")


def precision_recall(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one map at each of its distinct values, from the strictest threshold to the laxest.

    Pixels with equal scores enter together.

    Args:
        scores: array of any shape, finite numbers; the higher, the more likely true.
        truth: array of the same shape, boolean, with at least one True.

    Returns:
        Two arrays (number of distinct scores,) in [0, 1]: precision and recall.

    Raises:
        SaltrustError: the shapes differ, the truth is empty, or a score is not finite.

    >>> precision, recall = precision_recall(np.array([0.9, 0.5, 0.1]), np.array([True, False, True]))
    >>> precision.round(2).tolist(), recall.tolist()
    ([1.0, 0.5, 0.67], [0.5, 0.5, 1.0])
    """
    scores, truth = checked(scores, truth)
    ranked, true = np.sort(scores, axis=None), np.sort(scores[truth])
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])[::-1]  # of each run of equal scores
    hits = true.size - np.searchsorted(true, ranked[first])
    return hits / (ranked.size - first), hits / true.size


@AUPRC.register("average_precision")
def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Sum of precision times the gain in recall: the area under the curve, taken in steps.

    A constant map scores the share of true pixels. Equals scikit-learn's `average_precision_score`.

    Args:
        scores: array of any shape, finite numbers.
        truth: array of the same shape, boolean, with at least one True.

    Returns:
        The area, in (0, 1].

    Raises:
        SaltrustError: as `precision_recall`.

    >>> round(average_precision(np.array([0.9, 0.5, 0.1]), np.array([True, False, True])), 4)
    0.8333
    """
    at = counts(scores, truth)
    precision = at.hits / (at.hits + at.alarms)
    return float(np.sum(precision * np.diff(at.hits, prepend=0)) / at.true)


@AUPRC.register("trapezoid")
def trapezoid(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under straight lines between the points of the curve, which starts at recall 0 and precision 1.

    A constant map of prevalence p scores (1 + p) / 2, far more than the p that it deserves.

    Args:
        scores: array of any shape, finite numbers.
        truth: array of the same shape, boolean, with at least one True.

    Returns:
        The area, in (0, 1].

    Raises:
        SaltrustError: as `precision_recall`.

    Source:
        scikit-learn's `auc(recall, precision)`, which the code of Arun et al. calls.

    >>> trapezoid(np.zeros(4), np.array([True, False, False, False]))
    0.625
    """
    at = counts(scores, truth)
    hits_above = np.r_[0, at.hits[:-1]]
    marked_above = hits_above + at.alarms_above
    # Each gain in recall starts from the precision just above its value; above the highest value of all that is 1.
    start = np.divide(hits_above, marked_above, out=np.ones(len(hits_above)), where=marked_above > 0)
    end = at.hits / (at.hits + at.alarms)
    return float(np.sum((start + end) / 2 * (at.hits - hits_above)) / at.true)
