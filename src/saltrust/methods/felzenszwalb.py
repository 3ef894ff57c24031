"""Graph-based segmentation of an image at several scales at once (Felzenszwalb & Huttenlocher 2004).

Label for label the result of scikit-image. It is called once per scale there; here the scales share the smoothing, the
graph and its sorting, and what remains for each of them is compiled: importing this module imports numba.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

_ALL, _AHEAD, _BEHIND = np.s_[:], np.s_[1:], np.s_[:-1]
_NEIGHBOURS = (  # right, below, and the two diagonals; the order decides ties, as in scikit-image
    ((_ALL, _AHEAD), (_ALL, _BEHIND)),
    ((_AHEAD, _ALL), (_BEHIND, _ALL)),
    ((_AHEAD, _AHEAD), (_BEHIND, _BEHIND)),
    ((_AHEAD, _BEHIND), (_BEHIND, _AHEAD)),
)


def felzenszwalb(image: np.ndarray, scales: Sequence[float], sigma: float, min_size: int) -> list[np.ndarray]:
    """Segmentations of an image, one for each scale.

    Pixels are joined along the smallest differences first, as long as the difference is less than that inside both
    segments plus scale / (255 x their pixels): the higher the scale, the coarser.

    Args:
        image: (height, width, channels), float64.
        scales: each above 0.
        sigma: standard deviation of the Gaussian smoothing, in pixels.
        min_size: pixels; smaller segments are joined to a neighbour.

    Returns:
        For each scale, labels (height, width) that count from 0 in reading order.

    Source:
        Felzenszwalb & Huttenlocher 2004; label for label as in scikit-image.
    """
    smooth = gaussian_filter(image, (sigma, sigma, 0))
    pixels = np.arange(smooth[..., 0].size, dtype=np.int32).reshape(smooth.shape[:2])
    weights = [np.sqrt(((smooth[one] - smooth[other]) ** 2).sum(-1)).ravel() for one, other in _NEIGHBOURS]
    weights = np.concatenate(weights)
    first, second = (np.concatenate([pixels[ends[side]].ravel() for ends in _NEIGHBOURS]) for side in (0, 1))
    order = np.argsort(weights)
    graph = first[order], second[order], weights[order]
    return [_join(*graph, pixels.size, scale / 255, min_size).reshape(pixels.shape) for scale in scales]


@njit(cache=True)
def _root(parents, pixel):
    while parents[pixel] != pixel:
        parents[pixel] = parents[parents[pixel]]
        pixel = parents[pixel]
    return pixel


@njit(cache=True)
def _join(first, second, weights, count, scale, min_size):
    """Label of each of `count` pixels. first, second: ends of the edges (int32), sorted by their weights (float64)."""
    parents = np.arange(count).astype(np.int32)  # the root of a segment is its first pixel
    sizes = np.ones(count, np.int32)
    limits = np.full(count, np.float32(scale))  # what an edge must stay below; single precision, as in scikit-image
    refused = np.empty(len(weights), np.int32)
    n_refused = 0
    for edge in range(len(weights)):
        a, b = _root(parents, first[edge]), _root(parents, second[edge])
        if a == b:
            continue
        if weights[edge] < min(limits[a], limits[b]):
            root = min(a, b)
            sizes[root] = sizes[a] + sizes[b]
            limits[root] = np.float32(weights[edge] + scale / sizes[root])
            parents[max(a, b)] = root
        else:
            refused[n_refused] = edge
            n_refused += 1
    for edge in refused[:n_refused]:
        a, b = _root(parents, first[edge]), _root(parents, second[edge])
        if a != b and min(sizes[a], sizes[b]) < min_size:
            root = min(a, b)
            sizes[root] = sizes[a] + sizes[b]
            parents[max(a, b)] = root
    labels = np.empty(count, np.int64)
    n_labels = 0
    for pixel in range(count):
        if parents[pixel] == pixel:
            labels[pixel] = n_labels
            n_labels += 1
        else:
            labels[pixel] = labels[parents[pixel]]
    return labels
