"""Surrogates of a map: what looks like it but says nothing, to learn what a similarity is worth without agreement."""

import numpy as np
from scipy import fft

from saltrust.core.errors import SaltrustError

ROUNDS = 10  # more of them move the SSIM with the map itself by less than 0.01


def surrogate(saliency: np.ndarray, rng: np.random.Generator, rounds: int = ROUNDS) -> np.ndarray:
    """A map (height, width) with the values of `saliency`, all of them, and about its spectrum, laid out at random.

    Iterated amplitude adjustment (Schreiber & Schmitz 1996): from the map's values in random order, the amplitudes of
    the map's Fourier transform and the map's values are imposed in turn, the values last. So the histogram is exact and
    the spectrum, hence how fine-grained the map is, nearly so (for maps of a few values, as XRAI's, to about a fifth of
    its size); where anything lies is not kept. The transform takes the map as periodic. Raises SaltrustError for a map
    that is not finite.
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
