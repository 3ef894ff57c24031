"""An alarm on a network's predictions of one finding: it flags the doubtful ones, and flagged ones are swapped.

A doubt is a number for each image, the larger the more doubtful. Shu et al. flag an image whose distinctness d is below
a threshold: its doubt is -d. Predictions and labels are 0 or 1, or bool. All images here are of one finding.
"""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError


def youden(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold of the largest Youden index, sensitivity + specificity - 1: positive where score >= threshold.

    Candidates are the scores, and infinity: no score may be better than to call no image positive. Of thresholds with
    one index, the highest is taken, which has the highest specificity. Indices are compared as whole numbers.

    Args:
        scores: scores (n,) in any unit, the higher, the more likely 1; without NaN.
        labels: (n,), 0 or 1; both occur.

    Returns:
        The threshold, in units of the scores; inf where no score is better than calling none positive.

    Raises:
        SaltrustError: the vectors do not fit, hold other values, or the labels are of one class.

    Source:
        Youden 1950; Shu et al. 2024, section 3.

    >>> youden(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.8
    """
    values, hits, alarms = _cuts(scores, labels)
    positives, negatives = hits[-1], alarms[-1]
    if not positives or not negatives:
        raise SaltrustError(
            f"Youden's threshold of {len(labels)} images of one class: both 0 and 1 must occur in labels"
        )
    index = np.r_[0, hits * negatives - alarms * positives]
    return float(np.r_[np.inf, values][index.argmax()])


def f1_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold of the best F1: predicted positive where score >= threshold.

    The honest rival of an alarm: it needs no map. Of thresholds with one F1, the highest is taken.

    Args:
        scores: scores (n,) in any unit, the higher, the more likely 1; without NaN.
        labels: (n,), 0 or 1; 1 occurs.

    Returns:
        The threshold, one of the scores.

    Raises:
        SaltrustError: the vectors do not fit, hold other values, or no label is 1.

    >>> f1_threshold(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.35
    """
    values, hits, alarms = _cuts(scores, labels)
    if not hits[-1]:
        raise SaltrustError(f"the best F1 of {len(labels)} images without the finding: 1 must occur in labels")
    return float(values[_f1(hits, hits + alarms, hits[-1]).argmax()])


@dataclass(frozen=True)
class Alarm:
    """Flags an image whose doubt is above a threshold.

    Attributes:
        tau: the threshold, in units of the doubt; None to flag nothing. -inf flags every image with a finite doubt.

    >>> Alarm(-1.5).flagged(np.array([-1.0, -2.0, np.nan])).tolist()
    [True, False, False]
    """

    tau: float | None

    def flagged(self, doubt: np.ndarray) -> np.ndarray:
        """Which images are flagged.

        Args:
            doubt: doubts (n,); NaN, where an image has none, is never flagged.

        Returns:
            An array (n,), bool.

        >>> Alarm(None).flagged(np.array([0.5, 9.0])).tolist()
        [False, False]
        """
        doubt = np.asarray(doubt, dtype=np.float64)
        return np.zeros(doubt.shape, dtype=bool) if self.tau is None else doubt > self.tau

    @staticmethod
    def undefined(doubt: np.ndarray) -> int:
        """How many images have no doubt, so that no alarm can flag them.

        Args:
            doubt: doubts (n,).

        >>> Alarm.undefined(np.array([-1.0, np.nan]))
        1
        """
        return int(np.isnan(np.asarray(doubt, dtype=np.float64)).sum())


def choose(doubt: np.ndarray, predicted: np.ndarray, labels: np.ndarray, grid: np.ndarray | None = None) -> Alarm:
    """The alarm with the best F1 after its flagged predictions are swapped.

    Nothing flagged is a candidate, too. Of alarms with one F1, that with the fewest flags is taken, and of those the
    highest threshold. Without a grid the search is exact: each set of images that some threshold flags is tried, in
    O(n log n).

    Args:
        doubt: doubts (n,), the larger the more doubtful; NaN is never flagged.
        predicted: (n,), 0 or 1.
        labels: (n,), 0 or 1. Without any 1, every F1 is 0, and nothing is flagged.
        grid: thresholds to try (m,), in units of the doubt; None for all doubts, and -inf, which flags all. For Shu et
            al.'s rule "d < tau" with doubt = -d it is -published_grid(max d).

    Returns:
        The alarm; its tau is None where nothing flagged is best, else one of the thresholds tried.

    Raises:
        SaltrustError: the vectors do not fit, or hold other values; the grid holds NaN or is not a vector.

    Source:
        Shu et al. 2024, section 2, "Quality Control Alarm". The paper is silent about ties, and does not name nothing
        flagged.

    >>> choose(np.array([0.9, 0.2, 0.1]), predicted=np.array([0, 1, 0]), labels=np.array([1, 1, 0]))
    Alarm(tau=0.2)
    """
    doubt = _vector(doubt, "doubts")
    predicted, labels = _zero_one(predicted, "predictions", len(doubt)), _zero_one(labels, "labels", len(doubt))
    known = np.flatnonzero(~np.isnan(doubt))
    order = known[np.argsort(-doubt[known], kind="stable")]  # from the most doubtful
    if grid is None:
        tried = np.r_[np.unique(doubt[known]), -np.inf]
    else:
        tried = _vector(grid, "thresholds of the grid")
        if np.isnan(tried).any():
            raise SaltrustError("the grid of thresholds holds NaN: pass numbers")
    tried = np.unique(tried)[::-1]
    flags = len(known) - np.searchsorted(doubt[order][::-1], tried, side="right")
    step = 1 - 2 * predicted[order]  # a swap of 0 adds a positive prediction, a swap of 1 takes one away
    hits = (predicted @ labels) + np.r_[0, np.cumsum(step * labels[order])]
    positives = predicted.sum() + np.r_[0, np.cumsum(step)]
    reached = _f1(hits, positives, labels.sum())[np.r_[0, flags]]
    best = int(reached.argmax())  # the first of equals: thresholds fall, so flags do not become fewer
    return Alarm(float(tried[best - 1]) if best else None)


def published_grid(largest: float, step: float = 0.001) -> np.ndarray:
    """The thresholds that Shu et al. try: from 0 to the largest value, at equal steps.

    Args:
        largest: the largest value of the score in its own direction, at least 0: of the distinctness d, of an entropy.
        step: distance of two thresholds, above 0.

    Returns:
        Thresholds (m,), ascending, none above the largest value. For a doubt of -d, negate them.

    Raises:
        SaltrustError: the largest value is negative or not finite, or the step is not above 0.

    Source:
        Shu et al. 2024, section 3, "Implementation".

    >>> published_grid(0.0035).round(6).tolist()
    [0.0, 0.001, 0.002, 0.003]
    """
    if not (np.isfinite(largest) and largest >= 0 and np.isfinite(step) and step > 0):
        raise SaltrustError(f"a grid from 0 to {largest} at steps of {step}: pass 0 or more, and a step above 0")
    return np.minimum(np.arange(int(largest / step + 1e-9) + 1) * step, largest)  # rounding passes the largest by a bit


def swapped(predicted: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Predictions with the flagged ones swapped, 0 for 1 and 1 for 0.

    Args:
        predicted: (n,), 0 or 1.
        flagged: (n,), bool.

    Returns:
        An array (n,), bool.

    Raises:
        SaltrustError: the vectors do not fit, or hold other values.

    Source:
        Shu et al. 2024, section 2.

    >>> swapped(np.array([0, 1, 1]), np.array([True, True, False])).tolist()
    [True, False, True]
    """
    predicted = _zero_one(predicted, "predictions")
    return (predicted != _zero_one(flagged, "flags", len(predicted))).astype(bool)


def f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    """F1 of predictions: 2 TP / (2 TP + FP + FN).

    Args:
        predicted: (n,), 0 or 1.
        labels: (n,), 0 or 1.

    Returns:
        A number, 0 to 1. It is 0 where there is nothing to find and nothing is found, as scikit-learn has it: no true
        positive, no credit.

    Raises:
        SaltrustError: the vectors do not fit, or hold other values.

    >>> f1(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 1]))
    0.4
    """
    predicted = _zero_one(predicted, "predictions")
    labels = _zero_one(labels, "labels", len(predicted))
    return float(_f1(predicted @ labels, predicted.sum(), labels.sum()))


def flips(predicted: np.ndarray, flagged: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """What swapping the flagged predictions does to them: how many become right, and how many wrong.

    Accuracy changes by (first - second) / n: it rises where more than half of the flagged predictions are wrong.

    Args:
        predicted: (n,), 0 or 1, before swapping.
        flagged: (n,), bool.
        labels: (n,), 0 or 1.

    Returns:
        Predictions flipped to right, and predictions flipped to wrong.

    Raises:
        SaltrustError: the vectors do not fit, or hold other values.

    >>> flips(np.array([0, 1, 1]), np.array([True, True, False]), np.array([1, 1, 0]))
    (1, 1)
    """
    predicted = _zero_one(predicted, "predictions")
    flagged, labels = _zero_one(flagged, "flags", len(predicted)), _zero_one(labels, "labels", len(predicted))
    right = int(flagged @ (predicted != labels))
    return right, int(flagged.sum()) - right


def _cuts(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores from the highest down, and how many images of label 1, and of 0, are at or above each."""
    scores = _vector(scores, "scores")
    labels = _zero_one(labels, "labels", len(scores))
    if np.isnan(scores).any():
        raise SaltrustError("the scores hold NaN, which no threshold divides: pass numbers")
    if not len(scores):
        raise SaltrustError("a threshold of no images: pass at least one")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.r_[scores[order][1:] != scores[order][:-1], True])
    hits = np.cumsum(labels[order])[last]
    return scores[order][last], hits, last + 1 - hits


def _f1(hits: np.ndarray, positives: np.ndarray, true: int) -> np.ndarray:
    """F1 from counts. Equal fractions of whole numbers are equal floats, so ties are exact."""
    return 2 * hits / np.maximum(positives + true, 1)


def _vector(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise SaltrustError(f"{what} of shape {values.shape}: pass a vector")
    return values


def _zero_one(values: np.ndarray, what: str, n: int | None = None) -> np.ndarray:
    """The vector as whole numbers, once it is known to hold 0 and 1 alone, and to have n entries."""
    values = np.asarray(values)
    if values.ndim != 1 or (n is not None and len(values) != n):
        raise SaltrustError(
            f"{what} of shape {values.shape}: pass a vector{'' if n is None else f' of {n}, one an image'}"
        )
    if not np.isin(values, (0, 1)).all():
        raise SaltrustError(f"{what} that are neither 0 nor 1: pass 0 and 1, or bool")
    return values.astype(np.int64)
