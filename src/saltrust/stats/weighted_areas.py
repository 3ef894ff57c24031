"""Areas under curves of image scores, where images count with weights: many sets of weights at once, as a bootstrap
draws them."""

import numpy as np


def roc_area(present: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: the share of pairs of an image with the finding and one without that are in the right
    order, ties counting one half.

    Args:
        present: whether an image has the finding (n,), bool.
        scores: how surely it does (n,).
        weights: of the images (k, n), from 0; in each set both kinds have some.

    Returns:
        An array (k,), 0 to 1.

    >>> roc_area(np.array([True, False, False]), np.array([2.0, 1.0, 2.0]), np.ones((1, 3))).tolist()
    [0.75]
    """
    in_order = np.sign(scores[present][:, None] - scores[~present]) / 2 + 0.5
    with_it, without = weights[:, present], weights[:, ~present]
    return ((with_it @ in_order) * without).sum(axis=1) / (with_it.sum(axis=1) * without.sum(axis=1))


def average_precision(present: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the curve of precision over recall, by steps: the mean precision at each image with the finding.

    Args:
        present: whether an image has the finding (n,), bool.
        scores: how surely it does (n,).
        weights: of the images (k, n), from 0; in each set those with the finding have some.

    Returns:
        An array (k,), 0 to 1.

    >>> average_precision(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]), np.ones((1, 3))).round(4).tolist()
    [0.8333]
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf))  # images of one score are taken together
    hits = (weights * present)[:, order].cumsum(axis=1)[:, ends]
    taken = weights[:, order].cumsum(axis=1)[:, ends]
    precision = np.divide(hits, taken, out=np.zeros(hits.shape), where=taken > 0)
    return (np.diff(hits, axis=1, prepend=0) * precision).sum(axis=1) / hits[:, -1]
