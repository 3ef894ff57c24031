"""The three backgrounds: functions of size, parameters and a random generator, (size, size, 3) float32 in 0 to 1."""

from collections.abc import Callable

import numpy as np

from saltrust.datasets.cells.parameters import UNITS, CellParameters

Background = Callable[[int, CellParameters, np.random.Generator], np.ndarray]


def black(size: int, parameters: CellParameters, rng: np.random.Generator) -> np.ndarray:
    """Nothing."""
    return np.zeros((size, size, 3), np.float32)


def patches(size: int, parameters: CellParameters, rng: np.random.Generator) -> np.ndarray:
    """A coarse grid of random colours, interpolated."""
    return _enlarged(rng.uniform(*parameters.patch_colour, (3, parameters.patches, parameters.patches)), size)


def waves(size: int, parameters: CellParameters, rng: np.random.Generator) -> np.ndarray:
    """Rings around a point on the lower right, bent by noise; wave lengths differ between the channels."""
    p = parameters
    right, down = rng.uniform(*p.wave_centre, 2)
    numbers = rng.uniform(*p.wave_number, 3).astype(np.float32)
    bend = _enlarged(rng.uniform(-p.wave_noise, p.wave_noise, (3, p.wave_grid, p.wave_grid)), size)
    centres = ((np.arange(size) + 0.5) * UNITS / size - UNITS / 2).astype(np.float32)
    distance = np.hypot(centres[None, :] - np.float32(right), centres[:, None] - np.float32(down))
    phase = numbers * distance[..., None] * (1 + bend)
    return np.float32(p.wave_height / 2) * (1 + np.sin(phase))


def _enlarged(grids: np.ndarray, size: int) -> np.ndarray:
    """Grids (3, n, n) interpolated linearly between the centres of their fields, to (size, size, 3)."""
    n = grids.shape[1]
    place = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    weights = np.maximum(1 - np.abs(place[:, None] - np.arange(n)), 0).astype(np.float32)
    return np.moveaxis(weights @ grids.astype(np.float32) @ weights.T, 0, 2)


BACKGROUNDS: dict[str, Background] = {"black": black, "patches": patches, "waves": waves}
