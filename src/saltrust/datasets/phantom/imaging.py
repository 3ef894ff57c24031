"""From thicknesses to grey values: attenuation, blur, scatter, quantum noise, film curve."""

import numpy as np
from scipy import ndimage

from saltrust.datasets.phantom.anatomy import LUNG_AIR, Chest, Geometry
from saltrust.datasets.phantom.parameters import Films

SOFT, BONE = 0.165, 0.40  # effective attenuation, 1/cm, of soft tissue and, beyond it, of bone (high kilovoltage)
UNSHARPNESS = 0.0026  # standard deviation of focal spot and detector blur, film widths
BODY = 1.0  # optical depth that a chest exceeds, but for its edges
QUANTA = 0.010  # relative noise at 128 pixels per film where a usual chest transmits most


def optical_depth(c: Chest) -> np.ndarray:
    """Line integral of the attenuation coefficient, dimensionless."""
    lung = np.minimum(c.lung * (1 - c.heart), 0.9 * c.body)
    air = np.float32(LUNG_AIR) * lung * np.maximum(c.aeration, 0) + c.airways
    tissue = np.maximum(c.body - air + c.vessels * (1 - np.float32(0.7) * c.heart), 0)
    return np.float32(SOFT) * tissue + np.float32(BONE) * c.bone + c.overlay


def expose(seen: Chest, healthy: Chest, g: Geometry, parameters: Films, rng) -> np.ndarray:
    """Radiograph (size, size) uint8 of `seen`: white bone, dark air.

    The veil of scattered rays and the display window are those of `healthy` without its overlay, so that findings and
    devices change the film only where they lie (and within the blur).
    """
    depth = optical_depth(healthy) - healthy.overlay
    return developed(optical_depth(seen), depth, seen.cassette, BODY, g.patient.exposure, parameters, rng)


def developed(
    seen: np.ndarray,
    still: np.ndarray,
    cassette: np.ndarray,
    body: float,
    shift: float,
    parameters: Films,
    rng: np.random.Generator,
) -> np.ndarray:
    """A film from what the rays have crossed.

    Args:
        seen: optical depth (size, size) of all that is in front of the film.
        still: the same without what must not change the rest of the film: it sets the veil and the display window.
        cassette: optical density (size, size) of what lies on the film, in front of scattered rays too.
        body: the optical depth that the patient exceeds, but for the edges.
        shift: of the display window, in optical density.
        parameters: noise and scatter of the population.
        rng: of the grain.

    Returns:
        (size, size) uint8, bright where little has passed.
    """
    size = still.shape[0]
    veil = _veil(np.exp(-still), size) * np.float32(parameters.scatter / (1 - parameters.scatter))
    primary = np.exp(-seen)
    exposure = ndimage.gaussian_filter(primary, UNSHARPNESS * size, truncate=3.0, mode="nearest") + veil
    typical = _typical(still, veil, body)
    grain = rng.standard_normal(exposure.shape, dtype=np.float32)
    noisy = exposure + np.float32(parameters.noise * QUANTA * size / 128) * np.sqrt(exposure * typical[0]) * grain
    density = cassette - np.log(np.maximum(noisy, np.float32(1e-4)))
    return _display(density, typical, shift)


def _veil(primary: np.ndarray, size: int) -> np.ndarray:
    """Scatter: the primary image spread over a tenth of the film, weaker where the patient is thin."""
    width = max(3, int(round(0.11 * size)) | 1)
    spread = ndimage.uniform_filter(np.minimum(primary, np.float32(0.35)), width, mode="nearest")
    return ndimage.uniform_filter(spread, width, mode="nearest")


def _typical(depth: np.ndarray, veil: np.ndarray, body: float) -> tuple[float, float, float]:
    """Exposure where the patient transmits most, and the densities that the film curve shows as dark and as bright."""
    size = depth.shape[0]
    step = max(1, size // 32)
    trunk = slice(size // 5, size * 9 // 10, step), slice(size // 8, size * 7 // 8, step)
    exposure = (np.exp(-depth[trunk]) + veil[trunk])[depth[trunk] > body]  # a free part of the film says nothing
    dark, bright = np.quantile(-np.log(exposure), (0.08, 0.95))
    return float(np.exp(-dark)), float(dark), float(bright)


def _display(density: np.ndarray, typical: tuple[float, float, float], shift: float) -> np.ndarray:
    _, dark, bright = typical
    position = (density - np.float32(dark + shift * 0.5 * (bright - dark))) * np.float32(1 / (bright - dark))
    grey = 1 / (1 + np.exp((np.float32(0.42) - position) * np.float32(3.7)))
    return np.clip((grey - np.float32(0.03)) * np.float32(262), 0, 255).astype(np.uint8)
