"""Scores of one map (height, width) against the truth (height, width), besides the areas under a curve (`auprc`).

All lie in [0, 1], and a map equal to its truth scores 1. Tied pixels are never told apart by their position. All raise
SaltrustError when the shapes differ, the truth is empty, or the map holds NaN or infinite values. "Prevalence" is the
share of true pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from saltrust.core.registry import Registry
from saltrust.scores.masks import area_cut, best_cut, otsu_cut, share_of_highest
from saltrust.scores.ranking import checked


@dataclass(frozen=True)
class LocalizationScore:
    """A score, called `score(saliency, truth, **settings)`.

    Attributes:
        function: what computes it, from a map and a truth (height, width).
        title: its name in tables.
        cite: BibTeX key of its source, "" for none.
        by_rank: whether only the order of the pixels counts.
        constant: what a constant map scores, in words.
    """

    function: Callable[..., float]
    title: str
    cite: str
    by_rank: bool
    constant: str

    def __call__(self, saliency: np.ndarray, truth: np.ndarray, **settings) -> float:
        return self.function(saliency, truth, **settings)


LOCALIZATION: Registry[LocalizationScore] = Registry("localization score")


def _score(title: str, cite: str, by_rank: bool, constant: str = "the prevalence") -> Callable:
    def add(function: Callable[..., float]) -> Callable[..., float]:
        LOCALIZATION.register(function.__name__)(LocalizationScore(function, title, cite, by_rank, constant))
        return function

    return add


@_score("pointing game", "zhang2018top", by_rank=True, constant="the share of pixels within the tolerance")
def pointing_game(saliency: np.ndarray, truth: np.ndarray, *, tolerance: float = 15) -> float:
    """Whether the highest pixel lies on the truth or near it: 0 or 1; of tied maxima, the share that does.

    TorchRay asks for less than the tolerance, so its tolerance 0 never hits.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        tolerance: largest distance that still hits, in pixels between pixel centres, at least 0.

    Returns:
        A number from 0 to 1.

    Source:
        Zhang et al. 2018, whose tolerance is 15.

    >>> pointing_game(np.array([[0, 0, 9]]), np.array([[True, False, False]]), tolerance=2)
    1.0
    """
    saliency, truth = checked(saliency, truth)
    return _share_of_maxima(saliency, distance_transform_edt(~truth) <= tolerance)


@_score("hit rate", "saporta2022benchmarking", by_rank=True)
def hit_rate(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Whether the highest pixel lies on the truth: 0 or 1; of tied maxima, the share that does.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A number from 0 to 1.

    Source:
        Saporta et al. 2022. (Their code takes the first of tied maxima.)

    >>> hit_rate(np.array([[9, 0, 9]]), np.array([[True, False, False]]))
    0.5
    """
    return _share_of_maxima(*checked(saliency, truth))


def _share_of_maxima(saliency: np.ndarray, target: np.ndarray) -> float:
    return float(target[saliency == saliency.max()].mean())


@_score("m_GT", "szczepankiewicz2023ground", by_rank=True)
def m_gt(saliency: np.ndarray, truth: np.ndarray, *, n: int | None = None) -> float:
    """Share of the n highest pixels that are true.

    Pixels tied at the n-th place share the places that are left.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        n: how many pixels, from 1 to the map's size; None for the number of true pixels.

    Returns:
        A share from 0 to 1.

    Raises:
        SaltrustError: n is out of range.

    Source:
        Szczepankiewicz et al. 2023.

    >>> m_gt(np.array([[3, 2, 1, 0]]), np.array([[True, False, True, False]]))
    0.5
    """
    _, truth = checked(saliency, truth)
    return share_of_highest(saliency, truth, int(truth.sum()) if n is None else n)


@_score("relevance rank accuracy", "arras2022clevr", by_rank=True)
def relevance_rank_accuracy(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Share of the k highest pixels that are true, k being the number of true pixels.

    This is `m_gt` at its default n, and `dice_area` at its default area.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A share from 0 to 1.

    Source:
        Arras et al. 2022.

    >>> relevance_rank_accuracy(np.array([[3, 2, 1, 0]]), np.array([[True, False, True, False]]))
    0.5
    """
    return m_gt(saliency, truth)


@_score("relevance mass accuracy", "arras2022clevr", by_rank=False)
def relevance_mass_accuracy(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Share of the map's positive values, by their sum, that lies on the truth.

    A map without positive values says nothing: it scores the prevalence, as does any other constant map.

    Args:
        saliency: map (height, width), finite numbers; negative ones count as 0.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A share from 0 to 1.

    Source:
        Arras et al. 2022.

    >>> relevance_mass_accuracy(np.array([[3, 1, -5, 0]]), np.array([[True, False, False, False]]))
    0.75
    """
    saliency, truth = checked(saliency, truth)
    positive = np.maximum(saliency, 0).astype(np.float64)
    with np.errstate(over="ignore"):
        total = positive.sum()
    if np.isinf(total):  # finite numbers whose sum is not
        positive /= positive.max()
        total = positive.sum()
    return float(positive[truth].sum() / total if total > 0 else truth.mean())


@_score("IoU at Otsu's threshold", "saporta2022benchmarking", by_rank=False, constant="0")
def iou_otsu(saliency: np.ndarray, truth: np.ndarray) -> float:
    """IoU of the truth and the mask above Otsu's threshold.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A number from 0 to 1.

    Source:
        Saporta et al. 2022, whose maps have 256 levels.

    >>> iou_otsu(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]))
    0.5
    """
    return otsu_cut(saliency, truth).iou


@_score("IoU at the truth's area", "", by_rank=True, constant="p / (2 - p) for prevalence p")
def iou_area(saliency: np.ndarray, truth: np.ndarray, *, area: float | None = None) -> float:
    """IoU of the truth and the highest pixels that cover a share of the map.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        area: share of the map, above 0 and up to 1; None for the share of true pixels.

    Returns:
        A number from 0 to 1.

    >>> iou_area(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]), area=0.5)
    0.5
    """
    return area_cut(saliency, truth, area).iou


@_score("IoU at the best threshold", "", by_rank=True)
def iou_best(saliency: np.ndarray, truth: np.ndarray) -> float:
    """IoU at the threshold that suits the map best: an upper bound for any rule that is not shown the truth.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A number from 0 to 1.

    >>> iou_best(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]))
    1.0
    """
    return best_cut(saliency, truth)[0].iou


@_score("Dice at Otsu's threshold", "", by_rank=False, constant="0")
def dice_otsu(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Dice of the truth and the mask above Otsu's threshold.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A number from 0 to 1.

    >>> round(dice_otsu(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]])), 4)
    0.6667
    """
    return otsu_cut(saliency, truth).dice


@_score("Dice at the truth's area", "", by_rank=True)
def dice_area(saliency: np.ndarray, truth: np.ndarray, *, area: float | None = None) -> float:
    """Dice of the truth and the highest pixels that cover a share of the map.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        area: share of the map, above 0 and up to 1; None for the share of true pixels.

    Returns:
        A number from 0 to 1.

    >>> dice_area(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]))
    1.0
    """
    return area_cut(saliency, truth, area).dice


@_score("Dice at the best threshold", "", by_rank=True, constant="2p / (1 + p) for prevalence p")
def dice_best(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Dice at the threshold that suits the map best, which is also the IoU's.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        A number from 0 to 1.

    >>> dice_best(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]))
    1.0
    """
    return best_cut(saliency, truth)[0].dice


# At their defaults relevance rank accuracy and Dice at the truth's area are m_GT under other names.
DISTINCT = tuple(name for name in LOCALIZATION if name not in ("relevance_rank_accuracy", "dice_area"))
