"""Area under the precision-recall curve of a map read as a pixel classifier, by the two definitions in use."""

import numpy as np

from saltrust.core.registry import Registry
from saltrust.scores.ranking import checked, counts

AUPRC: Registry = Registry("AUPRC definition")


def precision_recall(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one map at each of its distinct values, from the strictest threshold to the laxest.

    scores, truth: arrays of one shape; scores any real numbers, truth boolean with at least one True. Equal scores
    enter together. Raises SaltrustError when the shapes differ, the truth is empty or a score is not finite.
    """
    scores, truth = checked(scores, truth)
    ranked, true = np.sort(scores, axis=None), np.sort(scores[truth])
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])[::-1]  # of each run of equal scores
    hits = true.size - np.searchsorted(true, ranked[first])
    return hits / (ranked.size - first), hits / true.size


@AUPRC.register("average_precision")
def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Sum of precision times the gain in recall: the step-wise area, in (0, 1].

    A constant map scores the share of true pixels. Equals scikit-learn's `average_precision_score`. Raises as
    `precision_recall`.
    """
    at = counts(scores, truth)
    precision = at.hits / (at.hits + at.alarms)
    return float(np.sum(precision * np.diff(at.hits, prepend=0)) / at.true)


@AUPRC.register("trapezoid")
def trapezoid(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under straight lines between the points of the curve, which starts at recall 0 and precision 1.

    This is scikit-learn's `auc(recall, precision)`, used by the code of Arun et al. A constant map of prevalence p
    scores (1 + p) / 2, far more than the p that it deserves. Raises as `precision_recall`.
    """
    at = counts(scores, truth)
    hits_above = np.r_[0, at.hits[:-1]]
    marked_above = hits_above + at.alarms_above
    # Each gain in recall starts from the precision just above its value; above the highest value of all that is 1.
    start = np.divide(hits_above, marked_above, out=np.ones(len(hits_above)), where=marked_above > 0)
    end = at.hits / (at.hits + at.alarms)
    return float(np.sum((start + end) / 2 * (at.hits - hits_above)) / at.true)
