"""How alike are two maps? The four measures of Adebayo et al. 2018, section 2 (OF_GREY): rank correlations, HOG and
SSIM; and those of what two maps mark at all, as of two readers (`agreement`): IoU, Dice, pixel error, and IoU above
chance.

All are called `score(first, second, **settings)` with stacks of maps (..., height, width), and give one number for each
pair; those of OF_GREY 1 for equal maps. `ssim` alone needs a setting, its data range. The correlations are NaN where a
map is constant, so that there is nothing to correlate, or holds NaN.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata
from skimage.feature import hog as oriented_gradients

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.scores.agreement import AGREEMENT, counted
from saltrust.scores.chance import above_chance, iou_by_shift
from saltrust.scores.for_each_pair import for_each_pair
from saltrust.scores.ssim import ssim

SIMILARITY: Registry[Callable[..., np.ndarray]] = Registry("similarity")
SIMILARITY.register("ssim")(ssim)

OF_GREY = ("ssim", "spearman", "spearman_abs", "hog")
OF_MARKS = ("iou", "dice", "pixel_error")  # of maps of which something was left out: raw maps mark nearly every pixel
ABOVE_CHANCE = "iou_above_chance"

_CELLS = 3  # cells along each side of a block in which HOG normalizes contrast; scikit-image's default


@SIMILARITY.register("spearman")
def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rank correlation of the pixels' values of each pair of maps; ties share their mean rank.

    For signed maps this is the "diverging" correlation of Adebayo et al. Equals `scipy.stats.spearmanr`.

    Args:
        first: maps (..., height, width).
        second: maps of the same shape.

    Returns:
        An array (...), float64, -1 to 1.

    Raises:
        SaltrustError: the stacks have different shapes.

    Source:
        Adebayo et al. 2018, section 2.

    >>> spearman(np.array([[[1, 2, 3]]]), np.array([[[10, 20, 30]]])).tolist()
    [1.0]
    """
    return for_each_pair(lambda x, y: _pearson(rankdata(x), rankdata(y)), first, second)


@SIMILARITY.register("spearman_abs")
def spearman_abs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rank correlation of the pixels' absolute values: blind to signs, which re-initialized weights flip.

    Args:
        first: maps (..., height, width).
        second: maps of the same shape.

    Returns:
        An array (...), float64, -1 to 1.

    Raises:
        SaltrustError: the stacks have different shapes.

    Source:
        Adebayo et al. 2018, section 2.

    >>> spearman_abs(np.array([[[1, 2, 3]]]), np.array([[[-1, -2, -3]]])).tolist()
    [1.0]
    """
    return for_each_pair(lambda x, y: _pearson(rankdata(_size(x)), rankdata(_size(y))), first, second)


def _size(values: np.ndarray) -> np.ndarray:
    """Absolute values; as floats, since the lowest whole number of a type has none in it."""
    return np.abs(values.astype(np.float64))


@SIMILARITY.register("hog")
def hog(first: np.ndarray, second: np.ndarray, *, cell: int = 16) -> np.ndarray:
    """Pearson correlation of the histograms of oriented gradients of each pair of maps.

    Each map is divided by its largest absolute value, so that the unit of a raw map does not count. Histograms are
    never negative, so unrelated maps may score somewhat above 0.

    Args:
        first: maps (..., height, width).
        second: maps of the same shape.
        cell: side of a cell in pixels, at least 1; a map must hold one block of 3 x 3 cells.

    Returns:
        An array (...), float64, -1 to 1.

    Raises:
        SaltrustError: a map is smaller than one block (take smaller cells), or the stacks have different shapes.

    Source:
        Adebayo et al. 2018, appendix B: scikit-image's `hog` with cells of 16 x 16 pixels, of maps scaled to [-1, 1].
        The rest are scikit-image's defaults (9 orientations, blocks of 3 x 3 cells, L2-Hys), about which the paper is
        silent.

    >>> maps = np.arange(64.0).reshape(1, 8, 8) ** 2
    >>> hog(maps, maps, cell=2).round(6).tolist()
    [1.0]
    """
    if cell < 1 or min(first.shape[-2:]) < _CELLS * cell:
        raise SaltrustError(
            f"HOG cells of {cell} pixels: a map of {first.shape[-2:]} must hold {_CELLS} x {_CELLS} of them, of 1 pixel"
            " or more"
        )
    return for_each_pair(lambda x, y: _pearson(_histograms(x, cell), _histograms(y, cell)), first, second)


def _histograms(grey: np.ndarray, cell: int) -> np.ndarray:
    grey = grey.astype(np.float64)
    scaled = grey / (np.abs(grey).max() or 1.0)
    return oriented_gradients(scaled, pixels_per_cell=(cell, cell), cells_per_block=(_CELLS, _CELLS))


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return (x @ y) / norm if norm > 0 else np.nan


def _of_marks(name: str) -> Callable[..., np.ndarray]:
    def score(first: np.ndarray, second: np.ndarray, *, empty: float | None = 1.0) -> np.ndarray:
        return AGREEMENT[name](counted(first > 0, second > 0), np.nan if empty is None else empty)

    score.__doc__ = f"""{AGREEMENT[name].title} of the pixels above 0 of each pair of maps.

    Args:
        first: maps (..., height, width), not negative; NaN marks nothing.
        second: maps of the same shape.
        empty: what a pair scores of which neither map marks a pixel; None for NaN. The pixel error is 0 then.

    Returns:
        An array (...), 0 to 1.

    Source:
        Venkatesh et al. 2024, for repeatability and reproducibility.
    """
    return score


for _name in OF_MARKS:
    SIMILARITY.register(_name)(_of_marks(_name))


@SIMILARITY.register(ABOVE_CHANCE)
def iou_above_chance(first: np.ndarray, second: np.ndarray, *, empty: float | None = 1.0) -> np.ndarray:
    """IoU of the pixels above 0 of each pair of maps, from what it would be if the marks lay anywhere: 0 for chance.

    Args:
        first: maps (..., height, width), not negative; NaN marks nothing.
        second: maps of the same shape.
        empty: what a pair scores of which neither map marks a pixel; None for NaN.

    Returns:
        An array (...), up to 1. NaN where chance gives 1, as for two maps that mark everything.

    >>> marks = np.array([[[1.0, 0.0, 0.0, 0.0]]])
    >>> iou_above_chance(marks, marks).tolist()
    [1.0]
    """
    empty = np.nan if empty is None else empty
    marks = first > 0, second > 0
    counts = counted(*marks)
    found = above_chance(AGREEMENT["iou"](counts, empty), iou_by_shift(*marks, empty))
    return np.where(counts.both_empty, empty, found)
