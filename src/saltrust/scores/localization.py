"""Scores of one map (height, width) against the truth (height, width), besides the areas under a curve (`auprc`).

All lie in [0, 1], a map equal to its truth scores 1, and tied pixels are never told apart by their position. All raise
SaltrustError when the shapes differ, the truth is empty or the map holds NaN or infinite values. "Prevalence" is the
share of true pixels. A mask is made from a map by a cut: Otsu's, at an area, or the one best for the map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.filters import threshold_otsu

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.scores.ranking import checked, counts


@dataclass(frozen=True)
class LocalizationScore:
    """A score, called `score(saliency, truth, **settings)`.

    cite: BibTeX key of its source. by_rank: only the order of the pixels counts. constant: what a constant map scores.
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

    tolerance: largest distance in pixels, between pixel centres, that still hits; 15 in Zhang et al. 2018. (TorchRay
    asks for less than the tolerance, so its tolerance 0 never hits.)
    """
    saliency, truth = checked(saliency, truth)
    return _share_of_maxima(saliency, distance_transform_edt(~truth) <= tolerance)


@_score("hit rate", "saporta2022benchmarking", by_rank=True)
def hit_rate(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Whether the highest pixel lies on the truth: 0 or 1; of tied maxima, the share that does.

    Saporta et al. 2022; their code takes the first of tied maxima.
    """
    return _share_of_maxima(*checked(saliency, truth))


def _share_of_maxima(saliency: np.ndarray, target: np.ndarray) -> float:
    return float(target[saliency == saliency.max()].mean())


@_score("m_GT", "szczepankiewicz2023ground", by_rank=True)
def m_gt(saliency: np.ndarray, truth: np.ndarray, *, n: int | None = None) -> float:
    """Share of the n highest pixels that are true (Szczepankiewicz et al. 2023).

    n: from 1 to the map's size; by default the number of true pixels. Pixels tied at the n-th place share the places
    that are left.
    """
    saliency, truth = checked(saliency, truth)
    n = int(truth.sum()) if n is None else n
    if not 1 <= n <= saliency.size:
        raise SaltrustError(f"m_GT of the {n} highest pixels: a map of {saliency.size} allows 1 to {saliency.size}")
    cut = np.partition(saliency, saliency.size - n, axis=None)[saliency.size - n]
    above = saliency > cut
    places = n - np.count_nonzero(above)
    return float((np.count_nonzero(truth & above) + places * truth[saliency == cut].mean()) / n)


@_score("relevance rank accuracy", "arras2022clevr", by_rank=True)
def relevance_rank_accuracy(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Share of the k highest pixels that are true, k being the number of true pixels (Arras et al. 2022).

    This is `m_gt` at its default n, and `dice_area` at its default area.
    """
    return m_gt(saliency, truth)


@_score("relevance mass accuracy", "arras2022clevr", by_rank=False)
def relevance_mass_accuracy(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Share of the map's positive values, by their sum, that lies on the truth (Arras et al. 2022).

    A map without positive values says nothing: it scores the prevalence, as does any other constant map.
    """
    saliency, truth = checked(saliency, truth)
    positive = np.maximum(saliency, 0).astype(np.float64)
    total = positive.sum()
    return float(positive[truth].sum() / total if total > 0 else truth.mean())


@dataclass(frozen=True)
class Overlap:
    """A mask against the truth: hits, the true pixels in the mask; marked, its pixels; true, the truth's pixels."""

    hits: float
    marked: float
    true: int

    @property
    def iou(self) -> float:
        """Intersection over union."""
        return float(self.hits / (self.marked + self.true - self.hits))

    @property
    def dice(self) -> float:
        """Twice the intersection over the sum of both areas."""
        return float(2 * self.hits / (self.marked + self.true))


def otsu_cut(saliency: np.ndarray, truth: np.ndarray) -> Overlap:
    """The mask above Otsu's threshold over 256 bins, by scikit-image. A constant map has an empty mask."""
    saliency, truth = checked(saliency, truth)
    mask = saliency > threshold_otsu(saliency.astype(np.float64))
    return Overlap(np.count_nonzero(mask & truth), np.count_nonzero(mask), np.count_nonzero(truth))


def area_cut(saliency: np.ndarray, truth: np.ndarray, area: float | None = None) -> Overlap:
    """The mask of the highest pixels that make up a share of the map, above 0 and up to 1; by default the truth's area.

    The mask has at least one pixel. Pixels tied at its edge share the room that is left, each with the same fraction.
    """
    _, truth = checked(saliency, truth)
    area = truth.mean() if area is None else area
    if not 0 < area <= 1:
        raise SaltrustError(f"area {area}: a mask covers a share of the map above 0 and up to 1")
    n = max(1, round(area * truth.size))
    return Overlap(n * m_gt(saliency, truth, n=n), n, np.count_nonzero(truth))


def best_cut(saliency: np.ndarray, truth: np.ndarray) -> tuple[Overlap, float]:
    """The mask of the highest IoU, and so of the highest Dice, over all thresholds; and its threshold.

    The mask holds the pixels at or above the threshold; of equally good thresholds the highest is taken.
    """
    at = counts(saliency, truth)
    best = np.argmax(at.hits / (at.true + at.alarms))
    return Overlap(at.hits[best], at.hits[best] + at.alarms[best], at.true), float(at.values[best])


@_score("IoU at Otsu's threshold", "saporta2022benchmarking", by_rank=False, constant="0")
def iou_otsu(saliency: np.ndarray, truth: np.ndarray) -> float:
    """IoU of the truth and the mask above Otsu's threshold (Saporta et al. 2022, whose maps have 256 levels)."""
    return otsu_cut(saliency, truth).iou


@_score("IoU at the truth's area", "", by_rank=True, constant="p / (2 - p) for prevalence p")
def iou_area(saliency: np.ndarray, truth: np.ndarray, *, area: float | None = None) -> float:
    """IoU of the truth and the highest pixels that cover a share of the map, by default as many as are true."""
    return area_cut(saliency, truth, area).iou


@_score("IoU at the best threshold", "", by_rank=True)
def iou_best(saliency: np.ndarray, truth: np.ndarray) -> float:
    """IoU at the threshold that suits the map best: an upper bound for any rule that is not shown the truth."""
    return best_cut(saliency, truth)[0].iou


@_score("Dice at Otsu's threshold", "", by_rank=False, constant="0")
def dice_otsu(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Dice of the truth and the mask above Otsu's threshold."""
    return otsu_cut(saliency, truth).dice


@_score("Dice at the truth's area", "", by_rank=True)
def dice_area(saliency: np.ndarray, truth: np.ndarray, *, area: float | None = None) -> float:
    """Dice of the truth and the highest pixels that cover a share of the map, by default as many as are true."""
    return area_cut(saliency, truth, area).dice


@_score("Dice at the best threshold", "", by_rank=True, constant="2p / (1 + p) for prevalence p")
def dice_best(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Dice at the threshold that suits the map best, which is also the IoU's."""
    return best_cut(saliency, truth)[0].dice


# At their defaults relevance rank accuracy and Dice at the truth's area are m_GT under other names.
DISTINCT = tuple(name for name in LOCALIZATION if name not in ("relevance_rank_accuracy", "dice_area"))
