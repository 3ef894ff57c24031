"""Structural similarity of two maps (Wang et al. 2004), for many pairs at once."""

import numpy as np
from scipy.ndimage import correlate1d

from saltrust.errors import SaltrustError
from saltrust.registry import Registry

WINDOWS: Registry = Registry("SSIM window")


@WINDOWS.register("gaussian")
def gaussian(size: int, sigma: float) -> np.ndarray:
    """Weights (size,) of a Gaussian with that standard deviation in pixels, summing to 1."""
    x = np.arange(size) - size // 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


@WINDOWS.register("uniform")
def uniform(size: int, sigma: float) -> np.ndarray:
    """Equal weights (size,) summing to 1; sigma is not used."""
    return np.full(size, 1 / size)


def ssim(
    first: np.ndarray,
    second: np.ndarray,
    *,
    data_range: float,
    window: str = "gaussian",
    size: int = 11,
    sigma: float = 1.5,
) -> np.ndarray:
    """Mean structural similarity of each pair of maps: 1 for equal maps, about 0 for unrelated structure, at least -1.

    first, second: (..., height, width). data_range: the maps' possible maximum minus minimum; it sets the constants
    that keep flat regions from dividing by zero, so a range too large makes unlike maps look alike. window, size
    (odd, pixels), sigma (pixels): the neighbourhood. Local means and population covariances are taken where the whole
    window lies inside the map. Equals scikit-image's `structural_similarity` with `use_sample_covariance=False`.
    Raises SaltrustError for maps of different shapes or smaller than the window.
    """
    if first.shape != second.shape:
        raise SaltrustError(f"SSIM needs maps of one shape, not {first.shape} and {second.shape}")
    if size % 2 == 0 or min(first.shape[-2:]) < size:
        raise SaltrustError(f"SSIM window {size}: must be odd and no larger than the map, {first.shape[-2:]}")
    weights, cut = WINDOWS[window](size, sigma), size // 2
    inner = (..., slice(cut, first.shape[-2] - cut), slice(cut, first.shape[-1] - cut))

    def local_mean(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, weights, axis=-1), weights, axis=-2)[inner]

    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = local_mean(x), local_mean(y)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    spread = local_mean(x * x + y * y) - squares
    shared = local_mean(x * y) - product
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = ((2 * product + c1) * (2 * shared + c2)) / ((squares + c1) * (spread + c2))
    return similarity.mean(axis=(-2, -1))
