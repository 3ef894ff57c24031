"""Area under the precision-recall curve of a map read as a pixel classifier, by the two definitions in use."""

import numpy as np

from saltrust.registry import Registry

AUPRC: Registry = Registry("AUPRC definition")


def precision_recall(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one map at each of its distinct values, from the strictest threshold to the laxest.

    scores, truth: arrays of one shape; scores any real numbers, truth boolean with at least one True. Equal scores
    enter together. Raises ValueError when the truth is empty or a score is not a number.
    """
    scores, truth = np.ravel(scores), np.ravel(truth).astype(bool)
    if scores.shape != truth.shape:
        raise ValueError(f"a map of {scores.size} pixels cannot be scored against a truth of {truth.size}")
    if not truth.any():
        raise ValueError("precision and recall need at least one true pixel")
    if np.isnan(scores).any():
        raise ValueError("the map holds NaN")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    ranked = scores[order]
    last = np.r_[
        np.flatnonzero(ranked[1:] != ranked[:-1]), scores.size - 1
    ]  # the last pixel of each run of equal scores
    return hits[last] / (last + 1), hits[last] / hits[-1]


@AUPRC.register("average_precision")
def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Sum of precision times the gain in recall: the step-wise area, in (0, 1].

    A constant map scores the share of true pixels. Equals scikit-learn's `average_precision_score`.
    """
    precision, recall = precision_recall(scores, truth)
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


@AUPRC.register("trapezoid")
def trapezoid(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under straight lines between the points of the curve, which starts at recall 0 and precision 1.

    This is scikit-learn's `auc(recall, precision)`, used by the code of Arun et al. A constant map of prevalence p
    scores (1 + p) / 2, far more than the p that it deserves.
    """
    precision, recall = precision_recall(scores, truth)
    return float(np.trapezoid(np.r_[1.0, precision], np.r_[0.0, recall]))
