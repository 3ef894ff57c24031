"""What is kept of a grey map before it is scored: all of it, what lies above Otsu's threshold, or boxes around that.

Venkatesh et al. score each map in all three forms. Boxes make a map comparable with what radiologists draw.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import binary_opening, find_objects, label
from skimage.filters import threshold_otsu
from skimage.morphology import disk

from saltrust.core.registry import Registry

OPENING = 32  # the radius of the opening is the side of the map by this: 10 pixels at the study's 320
ROUNDS = 2  # of erosion, then of dilation

MODES: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("mode")
"""Each from maps (n, height, width) in [0, 1] to maps of that shape in [0, 1]."""


@MODES.register("raw")
def raw(maps: np.ndarray) -> np.ndarray:
    """The maps themselves.

    >>> raw(np.ones((1, 2, 2))).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    return maps


@MODES.register("otsu")
def above_otsu(maps: np.ndarray) -> np.ndarray:
    """What lies above each map's threshold by Otsu, as it is; the rest becomes 0. A constant map stays as it is.

    Args:
        maps: (n, height, width) in [0, 1]; a map that holds NaN stays as it is.

    Returns:
        Maps of that shape in [0, 1].

    Source:
        Venkatesh et al. 2024: scikit-image's `threshold_otsu`; maps are not made binary.

    >>> above_otsu(np.array([[[0.1, 0.2, 0.8, 1.0]]])).tolist()
    [[[0.0, 0.0, 0.8, 1.0]]]
    """
    return np.stack([_above_otsu(one) for one in maps])


def _above_otsu(grey: np.ndarray) -> np.ndarray:
    if not np.ptp(grey) > 0:  # constant, or with NaN
        return grey
    return np.where(grey > threshold_otsu(grey), grey, 0.0)


@MODES.register("boxes")
def opened_boxes(maps: np.ndarray) -> np.ndarray:
    """The boxes around what Otsu's threshold leaves, 1, opened by a disk; 0 elsewhere.

    The opening takes small boxes away and rounds the corners of all others. At 320 pixels a box of 40 x 40 vanishes;
    one of 41 x 41 keeps 74 % of its pixels.

    Args:
        maps: (n, height, width) in [0, 1].

    Returns:
        Maps of that shape, 0 or 1.

    Source:
        Venkatesh et al. 2024, and their code: SciPy's `binary_opening` by `disk(10)`, two iterations, at 320 pixels.
        Here the radius is the same share of the side.

    >>> opened_boxes(np.pad(np.ones((1, 8, 8)), ((0, 0), (4, 4), (4, 4))) * 0.5).sum()
    np.float64(64.0)
    """
    footprint = disk(max(round(maps.shape[-1] / OPENING), 1) if maps.shape[-1] >= OPENING else 0)
    return np.stack([binary_opening(one > 0, footprint, iterations=ROUNDS) for one in boxes(maps)]).astype(np.float64)


@MODES.register("unopened_boxes")
def boxes(maps: np.ndarray) -> np.ndarray:
    """The boxes around what Otsu's threshold leaves, 1; 0 elsewhere. Pixels that share a side lie in one box.

    Args:
        maps: (n, height, width) in [0, 1].

    Returns:
        Maps of that shape, 0 or 1.

    Source:
        Venkatesh et al. 2024, whose code does so for the edges that maps are compared with.

    >>> boxes(np.array([[[0.9, 0.0, 0.0], [0.9, 0.9, 0.0], [0.0, 0.0, 0.9]]])).tolist()
    [[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]
    """
    return np.stack([_boxes(one > 0) for one in above_otsu(maps)])


def _boxes(marked: np.ndarray) -> np.ndarray:
    found = np.zeros(marked.shape)
    for box in find_objects(label(marked)[0]):
        found[box] = 1.0
    return found
