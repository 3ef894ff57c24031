"""Drawing on a square film of any size: coordinates, soft edges, strokes and smooth random fields.

Everything is drawn in units of the film's width, so that the same patient can be seen at every resolution.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Film:
    """Pixel centres of a square film: x (1, size) in (-0.5, 0.5), y (size, 1) in (0, 1), in film widths."""

    size: int
    x: np.ndarray
    y: np.ndarray
    edge: float  # width of a soft edge, in film widths: at least one pixel, against aliasing

    def soft(self, distance: np.ndarray) -> np.ndarray:
        """Coverage from signed distance (positive inside, film widths): 0 outside, 1 inside, 0.5 on the contour."""
        return np.clip(distance * np.float32(1 / self.edge) + np.float32(0.5), 0, 1)


@lru_cache(maxsize=8)
def film(size: int) -> Film:
    """The film of size x size pixels."""
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return Film(size, (centres - 0.5)[None, :], centres[:, None], max(1 / size, 0.005))


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high` (or down, when high < low)."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def round_edge(distance: np.ndarray, depth: float) -> np.ndarray:
    """Thickness of a body with a circular edge: 0 at its contour, 1 from `depth` film widths inside it."""
    q = np.clip(distance * np.float32(1 / depth), 0, 1)
    return np.sqrt(q * (2 - q))


def ellipsoid(x: np.ndarray, y: np.ndarray, centre, axes, angle: float = 0.0) -> np.ndarray:
    """1 - (elliptic radius)^2: positive inside, 1 at the centre; its square root is the thickness of an ellipsoid."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    u = (dx * c + dy * s) * np.float32(1 / axes[0])
    v = (dy * c - dx * s) * np.float32(1 / axes[1])
    return 1 - u * u - v * v


def strokes(on: Film, segments: np.ndarray) -> np.ndarray:
    """Round-capped line segments drawn with a parabolic profile, the strongest winning where they overlap.

    Thin strokes are widened to a pixel and weakened accordingly, so that a line keeps its total weight at any
    resolution.

    Args:
        on: the film.
        segments: (n, 6) rows x0, y0, x1, y1, radius, weight in film widths.

    Returns:
        (size, size) float32.
    """
    layer = np.zeros(on.size * on.size, np.float32)
    if len(segments) == 0:
        return layer.reshape(on.size, on.size)
    a, b, radius, weight = _in_pixels(on, segments)
    drawn = np.maximum(radius, 0.8)
    span = int(np.ceil(np.abs(b - a).max() + 2 * drawn.max())) + 2
    corner = np.floor((a + b) / 2 - span / 2).astype(np.int64)
    steps = np.arange(span)
    columns, rows = corner[:, 0, None] + steps, corner[:, 1, None] + steps
    px = (columns + 0.5 - a[:, 0, None]).astype(np.float32)[:, None, :]
    py = (rows + 0.5 - a[:, 1, None]).astype(np.float32)[:, :, None]
    d = (b - a)[:, :, None, None]
    along = np.clip((px * d[:, 0] + py * d[:, 1]) / (d[:, 0] ** 2 + d[:, 1] ** 2 + 1e-6), 0, 1)
    squared = (px - along * d[:, 0]) ** 2 + (py - along * d[:, 1]) ** 2
    value = 1 - squared * (1 / drawn**2)[:, None, None]
    hit = value > 0
    hit &= ((columns >= 0) & (columns < on.size))[:, None, :] & ((rows >= 0) & (rows < on.size))[:, :, None]
    which, row, column = np.nonzero(hit)
    place = rows[which, row] * on.size + columns[which, column]
    np.maximum.at(layer, place, value[hit] * (weight * radius / drawn)[which])
    return layer.reshape(on.size, on.size)


def _in_pixels(on: Film, segments: np.ndarray) -> tuple[np.ndarray, ...]:
    scaled = np.asarray(segments, np.float32) * np.float32(on.size)
    shift = np.array([on.size / 2, 0], np.float32)
    return scaled[:, 0:2] + shift, scaled[:, 2:4] + shift, scaled[:, 4], np.asarray(segments, np.float32)[:, 5]


def polyline(points: np.ndarray, radius: float, weight: float) -> np.ndarray:
    """Segments for `strokes` through points (n, 2) in film widths."""
    style = np.full((len(points) - 1, 2), (radius, weight))
    return np.concatenate([points[:-1], points[1:], style], axis=1)


def bezier(controls: np.ndarray, count: int = 24) -> np.ndarray:
    """`count` points along the cubic Bézier curve of four control points (4, 2)."""
    t = np.linspace(0, 1, count)[:, None]
    weights = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)
    return weights @ np.asarray(controls, float)


def smooth_field(on: Film, rng: np.random.Generator, knots: int) -> np.ndarray:
    """Random field with zero mean, unit variance and `knots` knots per film width; the same at every size."""
    rows = _blend(on.size, knots)
    return rows @ rng.standard_normal((knots + 3, knots + 3), dtype=np.float32) @ rows.T


@lru_cache(maxsize=32)
def _blend(size: int, knots: int) -> np.ndarray:
    """(size, knots + 3) cubic B-spline weights at the pixel centres, scaled for unit variance on average."""
    at = (np.arange(size) + 0.5) / size * knots
    distance = np.abs(at[:, None] - np.arange(-1, knots + 2)[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, inner, outer)
    return (weights / np.sqrt((weights**2).sum(axis=1).mean())).astype(np.float32)
