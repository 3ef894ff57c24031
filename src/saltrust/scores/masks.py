"""Masks cut out of a map, at Otsu's threshold, at an area or at the best threshold, and how they fit a truth."""

from dataclasses import dataclass

import numpy as np
from skimage.filters import threshold_otsu

from saltrust.core.errors import SaltrustError
from saltrust.scores.ranking import checked, counts


def share_of_highest(saliency: np.ndarray, truth: np.ndarray, n: int) -> float:
    """Share of the n highest pixels that are true.

    Pixels tied at the n-th place share the places that are left.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        n: how many pixels, from 1 to the map's size.

    Returns:
        A share from 0 to 1.

    Raises:
        SaltrustError: n is out of range.

    >>> share_of_highest(np.array([[3, 2, 2, 0]]), np.array([[True, False, True, False]]), n=2)
    0.75
    """
    saliency, truth = checked(saliency, truth)
    if not 1 <= n <= saliency.size:
        raise SaltrustError(f"m_GT of the {n} highest pixels: a map of {saliency.size} allows 1 to {saliency.size}")
    cut = np.partition(saliency, saliency.size - n, axis=None)[saliency.size - n]
    above = saliency > cut
    places = n - np.count_nonzero(above)
    return float((np.count_nonzero(truth & above) + places * truth[saliency == cut].mean()) / n)


@dataclass(frozen=True)
class Overlap:
    """A mask against the truth.

    Attributes:
        hits: true pixels in the mask; a fraction where tied pixels share what room is left.
        marked: pixels of the mask.
        true: pixels of the truth.
    """

    hits: float
    marked: float
    true: int

    @property
    def iou(self) -> float:
        """Intersection over union, 0 to 1."""
        return float(self.hits / (self.marked + self.true - self.hits))

    @property
    def dice(self) -> float:
        """Twice the intersection over the sum of both areas, 0 to 1."""
        return float(2 * self.hits / (self.marked + self.true))


def otsu_cut(saliency: np.ndarray, truth: np.ndarray) -> Overlap:
    """The mask above Otsu's threshold over 256 bins, by scikit-image. A constant map has an empty mask.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        The mask against the truth.

    >>> otsu_cut(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]])).iou
    0.5
    """
    saliency, truth = checked(saliency, truth)
    values = saliency.astype(np.float64)
    try:
        threshold = threshold_otsu(values)
    except ValueError:  # between the lowest and the highest lie less than 256 numbers, or more than the largest one
        values = _to_one(values)
        threshold = threshold_otsu(values)
    mask = values > threshold
    return Overlap(np.count_nonzero(mask & truth), np.count_nonzero(mask), np.count_nonzero(truth))


def _to_one(values: np.ndarray) -> np.ndarray:
    """Finite values, not all the same, from 0 to 1: in halves, where they lie too far apart to be subtracted."""
    halves = values / 2 if np.abs(values).max() > np.finfo(float).max / 2 else values
    above = halves - halves.min()
    return above / above.max()


def area_cut(saliency: np.ndarray, truth: np.ndarray, area: float | None = None) -> Overlap:
    """The mask of the highest pixels that make up a share of the map.

    The mask has at least one pixel. Pixels tied at its edge share the room that is left, each with the same fraction.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.
        area: share of the map, above 0 and up to 1; None for the share of true pixels.

    Returns:
        The mask against the truth.

    Raises:
        SaltrustError: the area is out of range.

    >>> area_cut(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]), area=0.5).iou
    0.5
    """
    _, truth = checked(saliency, truth)
    area = truth.mean() if area is None else area
    if not 0 < area <= 1:
        raise SaltrustError(f"area {area}: a mask covers a share of the map above 0 and up to 1")
    n = max(1, round(area * truth.size))
    return Overlap(n * share_of_highest(saliency, truth, n), n, np.count_nonzero(truth))


def best_cut(saliency: np.ndarray, truth: np.ndarray) -> tuple[Overlap, float]:
    """The mask of the highest IoU over all thresholds, and so of the highest Dice.

    The mask holds the pixels at or above the threshold; of equally good thresholds the highest is taken.

    Args:
        saliency: map (height, width), finite numbers.
        truth: (height, width), boolean, with at least one True.

    Returns:
        The mask against the truth, and the threshold in units of the map.

    >>> mask, threshold = best_cut(np.array([[9, 8, 1, 0]]), np.array([[True, False, False, False]]))
    >>> mask.iou, threshold
    (1.0, 9.0)
    """
    at = counts(saliency, truth)
    best = np.argmax(at.hits / (at.true + at.alarms))
    return Overlap(at.hits[best], at.hits[best] + at.alarms[best], at.true), float(at.values[best])
