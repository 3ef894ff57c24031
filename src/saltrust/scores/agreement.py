"""Agreement of two masks, such as what two readers drew, or a reader and a consensus.

All scores are functions of four counts of pixels, which `counted` takes from the masks once. They are symmetric, or say
which mask is the reference. Where both masks are empty, an overlap is 0/0: `empty` is what such a pair scores, 1 (both
say that nothing is there) unless one asks for another number, or NaN to leave it out. Whoever averages should say how
many pairs that were: `Counts.both_empty`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry


@dataclass(frozen=True)
class Counts:
    """Pixels of pairs of masks; each an array of one shape, a number for each pair.

    Attributes:
        both: marked in both masks.
        first: marked in the first.
        second: marked in the second, the reference where there is one.
        pixels: of the image.
    """

    both: np.ndarray
    first: np.ndarray
    second: np.ndarray
    pixels: np.ndarray

    @property
    def either(self) -> np.ndarray:
        """Pixels marked in at least one of the masks."""
        return self.first + self.second - self.both

    @property
    def both_empty(self) -> np.ndarray:
        """Whether neither mask has a pixel."""
        return self.either == 0


def counted(first: np.ndarray, second: np.ndarray) -> Counts:
    """The counts of pairs of masks.

    Args:
        first: masks (..., height, width), boolean.
        second: masks of a shape that fits; leading axes are broadcast.

    Returns:
        Counts of the shape of the leading axes.

    Raises:
        SaltrustError: the masks are not boolean, or of images of several sizes.

    >>> counts = counted(np.array([[True, True, False]]), np.array([[False, True, False]]))
    >>> int(counts.both), int(counts.first), int(counts.second), int(counts.pixels)
    (1, 2, 1, 3)
    """
    first, second = checked(first), checked(second)
    if first.shape[-2:] != second.shape[-2:]:
        raise SaltrustError(f"masks of one size are compared, not {first.shape[-2:]} and {second.shape[-2:]}")
    own_bits, other_bits = _bits(first), _bits(second)
    both, own, other = map(_ones, (own_bits & other_bits, own_bits, other_bits))
    own, other = np.broadcast_to(own, both.shape), np.broadcast_to(other, both.shape)
    return Counts(both, own, other, np.broadcast_to(np.prod(first.shape[-2:]), both.shape))


def _bits(masks: np.ndarray) -> np.ndarray:
    """Eight pixels a byte: counting pixel by pixel takes many times as long."""
    return np.packbits(masks.reshape(*masks.shape[:-2], -1), axis=-1)


def _ones(bits: np.ndarray) -> np.ndarray:
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)


def checked(masks: np.ndarray) -> np.ndarray:
    """The masks themselves. Raises SaltrustError for others than (..., height, width) of booleans."""
    if masks.dtype != bool or masks.ndim < 2:
        raise SaltrustError(f"masks are boolean (..., height, width), not {masks.dtype} of shape {masks.shape}")
    return masks


@dataclass(frozen=True)
class AgreementScore:
    """A score of pairs, called `score(counts, empty)`.

    Attributes:
        function: what computes it.
        title: its name in tables.
        of_image: whether it counts the pixels that neither marked, so that the size of the image must be known.
        equal: what two equal masks score that are not empty.
    """

    function: Callable[..., np.ndarray]
    title: str
    of_image: bool
    equal: float

    def __call__(self, counts: Counts, empty: float = 1.0) -> np.ndarray:
        return self.function(counts, empty)


AGREEMENT: Registry[AgreementScore] = Registry("score of agreement")


def _score(title: str, of_image: bool = False, equal: float = 1.0) -> Callable:
    def add(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        AGREEMENT.register(function.__name__)(AgreementScore(function, title, of_image, equal))
        return function

    return add


@_score("IoU")
def iou(counts: Counts, empty: float = 1.0) -> np.ndarray:
    """Intersection over union: of the pixels that either marked, the share that both did.

    Args:
        counts: of pairs of masks.
        empty: what a pair of empty masks scores.

    Returns:
        An array of the counts' shape, 0 to 1.

    Source:
        Jaccard 1912. The code of Venkatesh et al. 2024 gives NaN to two empty masks, and leaves them out of its means.

    >>> float(iou(counted(np.array([[True, True, False]]), np.array([[False, True, False]]))))
    0.5
    """
    return _ratio(counts.both, counts.either, empty)


@_score("Dice")
def dice(counts: Counts, empty: float = 1.0) -> np.ndarray:
    """Twice the intersection over the sum of both areas; 2 IoU / (1 + IoU), so that it puts pairs in the same order.

    Args:
        counts: of pairs of masks.
        empty: what a pair of empty masks scores.

    Returns:
        An array of the counts' shape, 0 to 1.

    Source:
        Dice 1945.

    >>> round(float(dice(counted(np.array([[True, True, False]]), np.array([[False, True, False]])))), 4)
    0.6667
    """
    return _ratio(2 * counts.both, counts.first + counts.second, empty)


@_score("pixel error", of_image=True, equal=0.0)
def pixel_error(counts: Counts, empty: float = 1.0) -> np.ndarray:
    """Share of the image's pixels that one mask has and the other has not: the lower, the more alike.

    Two empty masks differ nowhere. So do nearly all pairs of small masks, whatever they mark.

    Args:
        counts: of pairs of masks.
        empty: not used; two empty masks have the error 0.

    Returns:
        An array of the counts' shape, 0 to 1.

    >>> round(float(pixel_error(counted(np.array([[True, True, False]]), np.array([[False, True, False]])))), 4)
    0.3333
    """
    return (counts.either - counts.both) / counts.pixels


@_score("AUPRC by trapezoids", of_image=True)
def auprc_trapezoid(counts: Counts, empty: float = 1.0) -> np.ndarray:
    """Area under the precision-recall curve of the first mask, read as a map of two values, by straight lines.

    The curve has two points: the mask, and the whole image. The line from the mask to precision 1 at recall 0 gives
    it much that it has not earned: this is how Venkatesh et al. score readers. NaN where the reference is empty.

    Args:
        counts: of pairs of masks; the second is the reference.
        empty: not used; the area has no value without a reference.

    Returns:
        An array of the counts' shape, 0 to 1; equals `scores.auprc.trapezoid`.

    >>> float(auprc_trapezoid(counted(np.array([[True, True, False, False]]), np.array([[False, True, False, False]]))))
    0.75
    """
    precision, recall, prevalence = _two_points(counts)
    return (1 - recall) * (prevalence + precision) / 2 + recall * (precision + 1) / 2


@_score("average precision", of_image=True)
def average_precision(counts: Counts, empty: float = 1.0) -> np.ndarray:
    """The same area in steps, without the gift: the mask's precision times its recall, and the prevalence for the rest.

    Args:
        counts: of pairs of masks; the second is the reference.
        empty: not used; the area has no value without a reference.

    Returns:
        An array of the counts' shape, 0 to 1; equals `scores.auprc.average_precision`. NaN where the reference is
        empty.

    >>> found = counted(np.array([[True, True, False, False]]), np.array([[False, True, False, False]]))
    >>> float(average_precision(found))
    0.5
    """
    precision, recall, prevalence = _two_points(counts)
    return recall * precision + (1 - recall) * prevalence


def _two_points(counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall of the mask, and the prevalence. An empty mask adds no point: its precision is that at
    recall 0, which is 1."""
    precision = _ratio(counts.both, counts.first, 1.0)
    return precision, _ratio(counts.both, counts.second, np.nan), _ratio(counts.second, counts.pixels, np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    known = np.asarray(whole) > 0
    return np.where(known, np.divide(part, np.where(known, whole, 1)), otherwise)
