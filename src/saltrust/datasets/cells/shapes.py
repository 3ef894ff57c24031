"""The ten types of cells: which shape, which mark, which part tells the type, drawn in the cell's own frame.

Algorithms 1 and 2 of Tjoa & Guan draw a cell upright in the middle, then rotate and shift the picture. Here each pixel
is turned back into the upright frame instead, so that a cell is drawn directly at any size, with the same edges.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from saltrust.datasets.cells.parameters import UNITS, CellParameters

OUTSIDE, INNER, BORDER, MARK = range(4)  # the layers of a cell; a later one covers an earlier one


@dataclass(frozen=True)
class Form:
    """What is drawn at random about the geometry of one cell, whatever its type; lengths in units.

    Attributes:
        x: of the centre, from the middle of the image to the right.
        y: of the centre, from the middle of the image down.
        angle: anticlockwise, in degrees.
        edges: (3, n, n), noise on a grid that spans the image, which displaces the distance from the centre, x and y.
    """

    x: float
    y: float
    angle: float
    radius: float
    stretch: float
    width: float
    height: float
    border: float
    bar: float
    pole: float
    tail: float
    edges: np.ndarray


def form(parameters: CellParameters, place: np.random.Generator, shape: np.random.Generator, noise) -> Form:
    """Draw a form.

    Args:
        parameters: the ranges.
        place: generator of its place.
        shape: generator of its lengths.
        noise: generator of its edges.
    """
    p = parameters
    x, y, angle = place.uniform(-1, 1, 3) * (p.shift * UNITS, p.shift * UNITS, p.rotation)
    names = ("radius", "stretch", "width", "height", "border", "bar", "pole", "tail")
    ranges = (p.radius, p.stretch, p.side, p.side, p.border, p.bar, p.pole, p.tail)
    lengths = {name: shape.uniform(*limits) for name, limits in zip(names, ranges, strict=True)}
    fields = int(UNITS / noise.uniform(*p.roughness))
    edges = noise.uniform(*p.noise) * noise.standard_normal((3, fields, fields))
    return Form(x, y, angle, **lengths, edges=edges.astype(np.float32))


class Frame:
    """The pixel centres of a square image, in the upright frame of a cell of that form."""

    def __init__(self, of: Form, size: int):
        centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(UNITS / size) - UNITS // 2
        right, down = centres[None, :] - np.float32(of.x), centres[:, None] - np.float32(of.y)
        cos, sin = np.float32(np.cos(np.radians(of.angle))), np.float32(np.sin(np.radians(of.angle)))
        self.form = of
        self.x, self.y = cos * right - sin * down, sin * right + cos * down

    @cached_property
    def kept(self) -> np.ndarray:
        """Which pixels (size, size) lay in the picture before it was turned about its centre."""
        f, limit = self.form, UNITS / 2
        cos, sin = np.cos(np.radians(f.angle)), np.sin(np.radians(f.angle))
        right, down = np.float32(cos * f.x - sin * f.y), np.float32(sin * f.x + cos * f.y)
        return (np.abs(self.x + right) <= limit) & (np.abs(self.y + down) <= limit)

    @cached_property
    def distance(self) -> np.ndarray:
        """Distance from the centre in a frame whose y axis is stretched, displaced (Algorithm 1)."""
        return np.sqrt(self.x**2 + (self.y / np.float32(self.form.stretch)) ** 2) + self._noise(0)

    @cached_property
    def displaced(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y, each displaced by noise of its own (Algorithm 2)."""
        return self.x + self._noise(1), self.y + self._noise(2)

    def _noise(self, number: int) -> np.ndarray | float:
        grid = self.form.edges[number]
        if not grid.any():
            return np.float32(0)
        scale = np.float32(len(grid) / UNITS)
        places = np.stack([self.y, self.x]) * scale + np.float32(len(grid) / 2 - 0.5)
        return ndimage.map_coordinates(grid, places, order=1, mode="nearest")


def ball(frame: Frame) -> np.ndarray:
    """A round cell: OUTSIDE, INNER or BORDER for each pixel (Algorithm 1)."""
    d, r = frame.distance, np.float32(frame.form.radius)
    inside = d <= r
    return inside.astype(np.uint8) + (inside & (d >= r - np.float32(frame.form.border)))


def rectangle(frame: Frame) -> np.ndarray:
    """A rectangular cell: OUTSIDE, INNER or BORDER for each pixel."""
    f = frame.form
    x, y = (np.abs(axis) for axis in frame.displaced)
    inside = (x <= f.width / 2) & (y <= f.height / 2)
    inner = (x <= f.width / 2 - f.border) & (y <= f.height / 2 - f.border)
    return BORDER * inside.astype(np.uint8) - inner


def bar(frame: Frame, parameters: CellParameters) -> np.ndarray:
    """The minus sign, as wide as the cell (Algorithm 2)."""
    x, y = frame.displaced
    return (np.abs(x) <= frame.form.radius) & (np.abs(y) <= frame.form.bar / 2)


def plus(frame: Frame, parameters: CellParameters) -> np.ndarray:
    """The plus sign: the bar, and a pole as high as the cell (Algorithm 2)."""
    x, y = frame.displaced
    height = np.float32(frame.form.radius * frame.form.stretch)
    lowest = {"corrected": -height, "published": height}[parameters.pole_test]
    return bar(frame, parameters) | ((y <= height) & (y >= lowest) & (np.abs(x) <= frame.form.pole / 2))


def tails(number: int) -> Callable[[Frame, CellParameters], np.ndarray]:
    """Tails at equal angles, the first along the y axis; every one starts at the same distance [code]."""

    def drawn(frame: Frame, parameters: CellParameters) -> np.ndarray:
        f, (x, y) = frame.form, frame.displaced
        start, end = (share * f.radius * f.stretch for share in (parameters.tail_start, parameters.tail_end))
        found = np.zeros(x.shape, bool)
        for angle in 2 * np.pi * np.arange(number) / number:
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            along = sin * x + cos * y
            found |= (np.abs(cos * x - sin * y) <= f.tail / 2) & (along >= start) & (along <= end + f.border)
        return found

    return drawn


@dataclass(frozen=True)
class Type:
    """A class of cells. Its feature, graded 0.9, is the mark where it has one, else the border; the rest is body, 0.4.

    Attributes:
        body: which layer each pixel of a frame shows without the mark.
        mark: which pixels the mark covers; None where it has none.
        dominant: the channel (0 red, 1 green, 2 blue) that prevails in its border.
        shaded: whether the mark is darker than the border.
        least: whether the mark must cover the least share `tail_share` of the image.
    """

    body: Callable[[Frame], np.ndarray]
    mark: Callable[[Frame, CellParameters], np.ndarray] | None = None
    dominant: int | None = None
    shaded: bool = False
    least: bool = False

    @property
    def feature(self) -> int:
        """The layer that tells this type from the others."""
        return BORDER if self.mark is None else MARK


# Type, shape, mark, and so the feature; caption of Fig. 2, and make_explanation of each type [code].
CELLS: dict[str, Type] = {
    "CCell": Type(ball),  # the border
    "CCellM": Type(ball, bar),  # the bar
    "CCellP": Type(ball, plus),  # bar and pole
    "RCell": Type(rectangle, dominant=0),  # the border, by its colour
    "RCellB": Type(rectangle, dominant=1),
    "RCellC": Type(rectangle, dominant=2),
    "CCellT": Type(ball, tails(1), shaded=True, least=True),  # the tail, also where it lies on the cell
    "CCellT3": Type(ball, tails(3), shaded=True),
    "CCellT8": Type(ball, tails(8), shaded=True),
}


def placed(kind: Type, drawn: Form, parameters: CellParameters) -> Form:
    """A form where it comes to lie: as drawn, or, for a rectangle turned about the image's centre, further round it."""
    if not _turned_about_the_image(kind, parameters):
        return drawn
    cos, sin = np.cos(np.radians(drawn.angle)), np.sin(np.radians(drawn.angle))
    return replace(drawn, x=cos * drawn.x + sin * drawn.y, y=cos * drawn.y - sin * drawn.x)


def _turned_about_the_image(kind: Type, parameters: CellParameters) -> bool:
    return kind.body is rectangle and parameters.turning == "image"


def layers(kind: Type, frame: Frame, parameters: CellParameters) -> np.ndarray:
    """(size, size) uint8: which layer of the cell each pixel shows."""
    drawn = kind.body(frame)
    if kind.mark is not None:
        drawn[kind.mark(frame, parameters)] = MARK
    if _turned_about_the_image(kind, parameters):
        drawn[~frame.kept] = OUTSIDE
    return drawn


def palette(kind: Type, parameters: CellParameters, rng: np.random.Generator) -> np.ndarray:
    """(4, 3) float32: the colour of each layer, black outside. The draws are the same for every type."""
    p = parameters
    border, inner = rng.uniform(*p.border_colour, 3), rng.uniform(*np.transpose(p.inner_colour))
    others, dominant = rng.uniform(*p.other_colour, 3), rng.uniform(*p.dominant_colour)
    if kind.dominant is not None:
        border = np.where(np.arange(3) == kind.dominant, dominant, others)
    mark = border * p.tail_shade if kind.shaded else border
    return np.array([np.zeros(3), inner, border, mark], np.float32)


def grades_of(kind: Type, colours: np.ndarray, parameters: CellParameters) -> np.ndarray:
    """(4,) uint8: the grade of each layer, 0 where its colour (4, 3) is too dark to count (make_explanation)."""
    lengths = np.sqrt((colours**2).sum(axis=1)) / 3
    feature = np.arange(4) == kind.feature
    thresholds = np.where(feature, parameters.feature_threshold, parameters.body_threshold)
    return np.where(lengths > thresholds, np.where(feature, 2, 1), 0).astype(np.uint8)
