"""Surrogates of a map: they look like it but say nothing, and so show what a similarity is worth without agreement."""

import numpy as np
from scipy import fft

from saltrust.core.errors import SaltrustError

ROUNDS = 10  # more of them move the SSIM with the map itself by less than 0.01


def surrogate(saliency: np.ndarray, rng: np.random.Generator, rounds: int = ROUNDS) -> np.ndarray:
    """A map with all the values of another and about its spectrum, laid out at random.

    From the map's values in random order, the amplitudes of the map's Fourier transform and the map's values are
    imposed in turn, the values last. So the histogram is exact. The spectrum, hence how fine-grained the map is, is
    nearly so (for maps of a few values, as XRAI's, to about a fifth of its size). Where anything lies is not kept. The
    transform takes the map as periodic.

    Args:
        saliency: map (height, width), finite numbers.
        rng: source of the random order.
        rounds: how often amplitudes and values are imposed, at least 1.

    Returns:
        The surrogate (height, width).

    Raises:
        SaltrustError: the map is not finite.

    Source:
        Schreiber & Schmitz 1996, iterated amplitude adjustment.

    >>> found = surrogate(np.eye(4), np.random.default_rng(0))
    >>> found.shape, float(found.sum())
    ((4, 4), 4.0)
    """
    if not np.isfinite(saliency).all():
        raise SaltrustError("a map that holds NaN or infinite values has no surrogate")
    values = np.sort(saliency, axis=None)
    amplitudes = np.abs(fft.rfft2(saliency))
    found = rng.permutation(values).reshape(saliency.shape)
    for _ in range(rounds):
        spectrum = fft.rfft2(found)
        size = np.abs(spectrum)
        spectrum *= np.divide(amplitudes, size, out=np.zeros_like(size), where=size > 0)
        ranks = np.argsort(fft.irfft2(spectrum, saliency.shape), axis=None)
        found = np.empty_like(values)
        found[ranks] = values
        found = found.reshape(saliency.shape)
    return found
