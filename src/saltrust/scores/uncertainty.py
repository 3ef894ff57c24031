"""How unsure a network is of an answer, without any map: what an alarm from maps has to be compared with.

All results are doubts: the larger, the more doubtful. A probability p is that of one finding, whatever the others are.
"""

import numpy as np
from scipy.special import xlogy

from saltrust.core.errors import SaltrustError


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of a finding's probability, in bits.

    Args:
        p: probabilities, in [0, 1], of any shape.

    Returns:
        An array of that shape, 0 to 1; 1 at p = 0.5.

    Source:
        Shu et al. 2024, section 3, "Baselines".

    >>> entropy(np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    p = np.asarray(p, dtype=np.float64)
    return 0.0 - (xlogy(p, p) + xlogy(1 - p, 1 - p)) / np.log(2)


def disagreement(p: np.ndarray) -> np.ndarray:
    """How far several networks disagree: the entropy of their mean probability minus their mean entropy, in bits.

    It is the mutual information of the answer and the choice of a network. Where all are equally unsure, it is 0.

    Args:
        p: probabilities (networks, ...), in [0, 1].

    Returns:
        An array (...), 0 to 1.

    Source:
        Houlsby et al. 2011; Lakshminarayanan et al. 2017, for networks that differ in their start.

    >>> disagreement(np.array([[0.0, 0.5], [1.0, 0.5]])).tolist()
    [1.0, 0.0]
    """
    p = np.asarray(p, dtype=np.float64)
    return np.maximum(entropy(p.mean(axis=0)) - entropy(p).mean(axis=0), 0.0)  # rounding alone makes it negative


def other_label_fits(
    scores: np.ndarray, said: np.ndarray, known: np.ndarray, labels: np.ndarray, own: bool = False
) -> np.ndarray:
    """How well the label that is not said fits an image: its p-value in split conformal prediction.

    The p-value of a label is the share of known images of this label, the image itself counted in, that fit it no
    better. A prediction set of error rate a holds both labels where both p-values exceed a.

    Args:
        scores: outputs for the finding (n,), the higher, the more likely.
        said: whether the finding is said to be there (n,), bool.
        known: outputs (m,) of known images.
        labels: whether they have the finding (m,), bool; both occur.
        own: whether the images are the known ones: each is then left out of its own comparison.

    Returns:
        An array (n,), above 0, at most 1.

    Raises:
        SaltrustError: there are no known images of one label, or the vectors do not fit.

    Source:
        Vovk et al. 2005, label-conditional conformal prediction.

    >>> known, labels = np.array([-2.0, -1.0, 0.5, 1.0, 3.0]), np.array([False, False, False, True, True])
    >>> other_label_fits(np.array([0.0, 2.0]), np.array([False, True]), known, labels).round(2).tolist()
    [0.33, 0.25]
    """
    scores, said, known, labels = map(np.asarray, (scores, said, known, labels))
    if said.shape != scores.shape or known.shape != labels.shape or (own and known.shape != scores.shape):
        raise SaltrustError(
            f"outputs of shape {scores.shape} with answers {said.shape}, and {known.shape} with labels {labels.shape}: "
            "pass one answer and one label for each"
        )
    if labels.all() or not labels.any():
        raise SaltrustError(f"{len(labels)} known images of one label: images with the finding and without are needed")
    there, absent = np.sort(known[labels]), np.sort(known[~labels])
    below = np.searchsorted(there, scores, side="right")  # those with it that fit "there" no better
    above = len(absent) - np.searchsorted(absent, scores, side="left")  # those without it that fit "absent" no better
    itself_there, itself_absent = (own * (labels == of) if own else 0 for of in (True, False))
    p_there = (below - itself_there + 1) / (len(there) - itself_there + 1)
    p_absent = (above - itself_absent + 1) / (len(absent) - itself_absent + 1)
    return np.where(said, p_absent, p_there)


def nearer_others(
    features: np.ndarray, said: np.ndarray, known: np.ndarray, labels: np.ndarray, k: int = 10
) -> np.ndarray:
    """Whether an image lies among those of the other label: a distance ratio in the space of a network's features.

    Args:
        features: features (n, d).
        said: whether the finding is said to be there (n,), bool.
        known: features (m, d) of the training images, among which the others are not.
        labels: whether they have the finding (m,), bool.
        k: the distance to a label is that to its k-th nearest image, or to the farthest where it has fewer.

    Returns:
        The distance to the label that is said, divided by that to the other (n,), above 0; above 1 where the other is
        nearer, NaN where both are 0.

    Raises:
        SaltrustError: one label has no image, the arrays do not fit, or k is below 1.

    Source:
        Jiang et al. 2018, the trust score, whose inverse this is; with the k-th neighbour in the place of their
        filter, against labels that are wrong.

    >>> known, labels = np.array([[0.0], [1.0], [4.0]]), np.array([False, False, True])
    >>> nearer_others(np.array([[3.0]]), np.array([False]), known, labels, k=1).tolist()
    [2.0]
    """
    features, known = (np.asarray(one, dtype=np.float64) for one in (features, known))
    said, labels = np.asarray(said, dtype=bool), np.asarray(labels, dtype=bool)
    if features.ndim != 2 or known.shape[1:] != features.shape[1:] or len(said) != len(features):
        raise SaltrustError(f"features of shape {features.shape} and {known.shape}: pass (images, features) twice")
    if k < 1 or len(labels) != len(known) or labels.all() or not labels.any():
        raise SaltrustError(f"{k} neighbours among {len(labels)} labels of one kind: both labels and 1 or more")
    from sklearn.neighbors import NearestNeighbors

    far = {}
    for label in (False, True):
        those = known[labels == label]
        far[label] = NearestNeighbors(n_neighbors=min(k, len(those))).fit(those).kneighbors(features)[0][:, -1]
    same, other = np.where(said, far[True], far[False]), np.where(said, far[False], far[True])
    with np.errstate(divide="ignore", invalid="ignore"):
        return same / other


def calibrated(scores: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probabilities from outputs, by a slope and a shift that fit known images best.

    A temperature is a slope alone. It leaves the order of all doubts made from |output| as it is, entropy's among them:
    only a shift can change which answers look doubtful.

    Args:
        scores: outputs (n,).
        known: outputs (m,) of known images.
        labels: whether they have the finding (m,), bool; both occur.

    Returns:
        An array (n,), 0 to 1.

    Raises:
        SaltrustError: the known images are of one label.

    Source:
        Platt 1999; Guo et al. 2017 (temperature).

    >>> calibrated(np.array([0.0]), np.array([-1.0, -1.0, 1.0, 1.0]), np.array([False, True, False, True])).round(2)
    array([0.5])
    """
    from sklearn.linear_model import LogisticRegression

    labels = np.asarray(labels, dtype=bool)
    if labels.all() or not labels.any():
        raise SaltrustError(f"{len(labels)} known images of one label: images with the finding and without are needed")
    fit = LogisticRegression(C=1e6).fit(np.asarray(known)[:, None], labels)  # in effect without a penalty
    return fit.predict_proba(np.asarray(scores)[:, None])[:, 1]


def dropped(
    features: np.ndarray, weight: np.ndarray, bias: np.ndarray, share: float, copies: int, seed: int
) -> np.ndarray:
    """Outputs of a linear head, with a share of its inputs left out at random: Monte Carlo dropout of the last layer.

    Args:
        features: inputs of the head (n, d).
        weight: of the head (k, d).
        bias: of the head (k,).
        share: of the inputs that are left out, in [0, 1); the others are scaled up.
        copies: how often.
        seed: of the draws.

    Returns:
        An array (copies, n, k).

    Raises:
        SaltrustError: the share is outside [0, 1), or there is no copy.

    Source:
        Gal & Ghahramani 2016. They train with dropout as well.

    >>> dropped(np.ones((1, 2)), np.ones((1, 2)), np.zeros(1), share=0.0, copies=1, seed=0).tolist()
    [[[2.0]]]
    """
    if not 0 <= share < 1 or copies < 1:
        raise SaltrustError(f"a share of {share} in {copies} copies: pass 0 <= share < 1 and 1 copy or more")
    kept = np.random.default_rng(seed).random((copies, *np.shape(features))) >= share
    return (kept * (features / (1 - share))) @ np.transpose(weight) + bias
