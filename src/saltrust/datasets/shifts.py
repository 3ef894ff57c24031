"""Films unlike those of the training: noise, another exposure, tubes. The finding stays where it is.

Each changes pixels by a strength, in grey or colour images of any size. At strength 0 nothing changes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.phantom.drawing import bezier, film, polyline, strokes


@dataclass(frozen=True)
class Change:
    """How films become unlike others.

    Attributes:
        title: in figures, with the unit of its strength.
        strengths: that are looked at, ascending, above 0.
        of: pixels as shares of white (n, h, w) or (n, h, w, 3), a strength and a source of random draws -> pixels of
            the same shape, of any range.
    """

    title: str
    strengths: tuple[float, ...]
    of: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


SHIFTS: Registry[Change] = Registry("shift")


def shifted(pixels: np.ndarray, change: str, strength: float, seed: int) -> np.ndarray:
    """Images after a shift.

    Args:
        pixels: (n, h, w) or (n, h, w, 3), uint8; the images are square.
        change: a name in SHIFTS.
        strength: in the unit of the change, 0 or more.
        seed: of the random draws.

    Returns:
        An array of the same shape, uint8.

    Raises:
        SaltrustError: there is no shift of that name.

    >>> shifted(np.full((1, 2, 2), 64, np.uint8), "exposure", 1.0, seed=0)[0].tolist()
    [[16, 16], [16, 16]]
    """
    share = np.asarray(pixels, dtype=np.float32) / 255
    changed = SHIFTS[change].of(share, strength, np.random.default_rng(seed))
    return (changed.clip(0, 1) * 255).round().astype(np.uint8)


def _noise(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    grey = rng.standard_normal(pixels.shape[:3], dtype=np.float32) * np.float32(strength)
    return pixels + grey.reshape(*grey.shape, *[1] * (pixels.ndim - 3))


def _exposure(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return pixels ** np.float32(2**strength)


def _tubes(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """So many tubes on each film: a bright, even line from the edge into the film, over what lies under it."""
    drawn = np.empty(pixels.shape[:3], np.float32)
    on = film(pixels.shape[1])
    for place in range(len(pixels)):
        lines = [polyline(_course(rng), 0.008, 1.0) for _ in range(round(strength))]
        drawn[place] = strokes(on, np.concatenate(lines) if lines else np.empty((0, 6)))
    drawn = drawn.reshape(*drawn.shape, *[1] * (pixels.ndim - 3))
    return pixels + np.float32(0.7) * drawn * (1 - pixels)


def _course(rng: np.random.Generator) -> np.ndarray:
    """Points from the upper edge or a side to a place in the middle of the film, in film widths."""
    side = rng.choice([-1.0, 1.0])
    start = (side * 0.52, rng.uniform(0.2, 0.8)) if rng.random() < 0.5 else (rng.uniform(-0.3, 0.3), -0.02)
    end = (rng.uniform(-0.25, 0.25), rng.uniform(0.3, 0.8))
    between = rng.uniform((-0.35, 0.15), (0.35, 0.85), (2, 2))
    return bezier([start, *between, end])


SHIFTS.register("noise")(Change("noise (sd, share of white)", (0.03, 0.06, 0.12), _noise))
SHIFTS.register("exposure")(Change("darker films (halvings of the light)", (0.25, 0.5, 1.0), _exposure))
SHIFTS.register("tubes")(Change("tubes on each film", (1, 2, 4), _tubes))
