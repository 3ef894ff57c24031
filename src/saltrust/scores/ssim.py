"""Structural similarity of two maps (Wang et al. 2004), for many pairs at once."""

from collections.abc import Callable, Iterator

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.scores.for_each_pair import for_each_pair

WINDOWS: Registry = Registry("SSIM window")

_BLOCK = 16  # pixels that one matrix product smooths: the fastest size measured, for windows of 5 to 11


@WINDOWS.register("gaussian")
def gaussian(size: int, sigma: float) -> np.ndarray:
    """Weights of a Gaussian window, summing to 1.

    Args:
        size: number of weights, in pixels.
        sigma: standard deviation in pixels, above 0.

    Returns:
        An array (size,).

    >>> gaussian(3, 1.0).round(3).tolist()
    [0.274, 0.452, 0.274]
    """
    x = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


@WINDOWS.register("uniform")
def uniform(size: int, sigma: float) -> np.ndarray:
    """Equal weights, summing to 1.

    Args:
        size: number of weights, in pixels.
        sigma: not used; windows are called alike.

    Returns:
        An array (size,).

    >>> uniform(4, 1.5).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return np.full(size, 1 / size)


def ssim(
    first: np.ndarray,
    second: np.ndarray,
    *,
    data_range: float,
    window: str = "gaussian",
    size: int = 11,
    sigma: float = 1.5,
    sample_covariance: bool = False,
) -> np.ndarray:
    """Mean structural similarity of each pair of maps.

    Local means and covariances are taken where the whole window lies inside the map. Equals scikit-image's
    `structural_similarity` with the same `use_sample_covariance`.

    Args:
        first: maps (..., height, width).
        second: maps of the same shape.
        data_range: the maps' possible maximum minus minimum. It sets the constants that keep flat regions from dividing
            by zero, so a range too large makes unlike maps look alike.
        window: how neighbours are weighed, a name in WINDOWS.
        size: side of the window in pixels, odd and no larger than the map.
        sigma: standard deviation of the Gaussian window in pixels.
        sample_covariance: whether covariances of a window of n pixels are divided by n - 1, as scikit-image does unless
            told otherwise, or by n, as Wang et al. do.

    Returns:
        An array (...), float64: 1 for equal maps, about 0 for unrelated structure, at least -1.

    Raises:
        SaltrustError: the maps have different shapes or are smaller than the window, or the window is even.

    Source:
        Wang et al. 2004.

    >>> maps = np.random.default_rng(0).random((1, 16, 16))
    >>> ssim(maps, maps, data_range=1.0).round(6).tolist()
    [1.0]
    """
    if size % 2 == 0 or min(first.shape[-2:]) < size:
        raise SaltrustError(f"SSIM window {size}: must be odd and no larger than the map, {first.shape[-2:]}")
    height, width = first.shape[-2:]
    local_means = _smoothing(WINDOWS[window](size, sigma), 4, height, width)
    correction = size**2 / (size**2 - 1) if sample_covariance else 1.0
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    fields = np.empty((4, height, width))

    def of_pair(x: np.ndarray, y: np.ndarray) -> float:
        # In place throughout: fetching new memory for each pair takes longer than the arithmetic.
        fields[:2] = x, y
        np.multiply(fields[0], fields[1], out=fields[3])
        np.add(np.square(fields[0], out=fields[2]), fields[1] * fields[1], out=fields[2])
        mean_x, mean_y, spread, shared = local_means(fields)
        product = mean_x * mean_y
        squares = np.add(np.square(mean_x, out=mean_x), np.square(mean_y, out=mean_y), out=mean_x)
        spread -= squares
        shared -= product
        similarity = _scaled(product, 2, c1)
        similarity *= _scaled(shared, 2 * correction, c2)
        similarity /= _scaled(squares, 1, c1)
        similarity /= _scaled(spread, correction, c2)
        return similarity.mean()

    return for_each_pair(of_pair, first, second)


def _scaled(x: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """factor * x + offset, in place."""
    x *= factor
    x += offset
    return x


def _smoothing(weights: np.ndarray, k: int, height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from maps (k, height, width) to the means (k, height - cut, width - cut) of all whole windows, cut
    being the weights' number less 1. Each call overwrites the result of the last.

    Both directions are products with a band matrix, block by block along the band, as dense products are what a
    processor does fastest.
    """
    cut = len(weights) - 1
    band = np.zeros((_BLOCK, _BLOCK + cut))
    for i, row in enumerate(band):
        row[i : i + len(weights)] = weights
    across, down = np.empty((k, height, width - cut)), np.empty((k, height - cut, width - cut))

    def blocks(length: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
        for start in range(0, length, _BLOCK):
            count = min(_BLOCK, length - start)
            yield slice(start, start + count), slice(start, start + count + cut), band[:count, : count + cut]

    def smooth(maps: np.ndarray) -> np.ndarray:
        for to, source, rows in blocks(width - cut):
            np.matmul(maps[:, :, source], rows.T, out=across[:, :, to])
        for to, source, rows in blocks(height - cut):
            np.matmul(rows, across[:, source], out=down[:, to])
        return down

    return smooth
