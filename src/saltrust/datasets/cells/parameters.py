"""Every constant of the cells: lengths in units of which the side of an image has 512, colours from 0 to 1."""

from dataclasses import dataclass
from math import pi

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets.generated import parameters

UNITS = 512  # length of the side of an image; one unit is a pixel of the paper's larger size

Range = tuple[float, float]


@dataclass(frozen=True)
class CellParameters:
    """The constants of Tjoa & Guan's generator; a range (low, high) is drawn from uniformly for each image.

    Defaults are those of the paper's code, but for three choices. `pole_test`: "published" is Algorithm 2 as printed,
    which asks for y >= r v where -r v is meant, so that a plus sign has no pole. `compositing`: "channel" is the code,
    which adds the background wherever a colour channel is dark, so that it shows through inside a cell. `turning`:
    "image" is the code, which shifts a rectangular cell and then turns the picture about its centre; what is shifted
    out of the picture is lost, and cells come to lie further out. Round cells it turns about their own centre.
    Raises SaltrustError for a value outside its range.
    """

    # The body
    radius: Range = (90, 110)  # of a round cell, along its x axis
    stretch: Range = (0.5, 1.5)  # of a round cell along its y axis, relative to the radius
    side: Range = (100, 200)  # width and height of a rectangular cell, drawn apart
    border: Range = (10, 30)  # thickness
    # The marks
    bar: Range = (10, 30)  # thickness of the minus
    pole: Range = (5, 40)  # thickness of what makes it a plus
    tail: Range = (10, 30)  # thickness
    tail_start: float = 0.8  # distance of a tail's inner end from the centre, relative to the stretched radius
    tail_end: float = 1.5  # … and of its outer end, to which the thickness of the border is added
    tail_share: float = 0.003  # least share of the image that the tail of a one-tailed cell must cover
    attempts: int = 100  # draws of a one-tailed cell before giving up
    # Irregular edges: noise on a coarse grid displaces them
    noise: Range = (6, 12)  # standard deviation in units; 0: smooth edges
    roughness: Range = (31, 64)  # side of a field of the grid
    # The place
    rotation: float = 60  # largest rotation either way, degrees
    shift: float = 0.33  # largest shift of the centre either way along each axis, relative to the side of the image
    # Colours (red, green, blue)
    border_colour: Range = (0.5, 0.9)  # each channel of the border and marks of a round cell
    inner_colour: tuple[Range, Range, Range] = ((0.1, 0.3), (0.1, 0.3), (0.3, 0.5))
    dominant_colour: Range = (0.6, 0.9)  # the channel that names the class of a rectangular cell, on its border
    other_colour: Range = (0, 0.2)  # the other two
    tail_shade: float = 0.75  # colour of a tail relative to the border's
    # Backgrounds
    patches: int = 8  # patches along a side of the background "patches", smoothly joined
    patch_colour: Range = (0.2, 0.7)  # each channel of each
    wave_centre: Range = (128, 384)  # right of and below the middle of the image, where the waves start
    wave_number: Range = (1e-4 * 180 / pi, 1e-3 * 180 / pi)  # radians per unit, each channel its own
    wave_grid: int = 16  # fields along a side of the noise that bends the waves
    wave_noise: float = 0.3  # largest relative change of the distance from the centre
    wave_height: float = 0.5  # brightest value
    # The truth (Algorithm 1, make_explanation)
    feature_threshold: float = 0.05  # a third of a colour's length, above which a feature counts
    body_threshold: float = 0.05  # … and the rest of a cell
    # Where the code, or the text as printed, does otherwise
    pole_test: str = "corrected"  # a name in POLE_TESTS
    compositing: str = "object"  # a name in COMPOSITING
    turning: str = "cell"  # a name in TURNING: the centre about which a rectangular cell is turned
    leak: float = 0.01  # compositing "channel": value below which a channel counts as background

    def __post_init__(self) -> None:
        for name in ("radius", "stretch", "side", "border", "bar", "pole", "tail", "noise"):
            self._range(name, 0, UNITS)
        self._range("roughness", 1, UNITS)
        self._range("wave_centre", -2 * UNITS, 2 * UNITS)
        self._range("wave_number", 0, pi)
        for name in ("border_colour", "dominant_colour", "other_colour", "patch_colour"):
            self._range(name, 0, 1)
        if len(self.inner_colour) != 3:
            raise SaltrustError(f"cells: inner_colour must be three ranges (red, green, blue), not {self.inner_colour}")
        for channel in self.inner_colour:
            self._check_range("inner_colour", channel, 0, 1)
        self._within("rotation", 0, 180)
        self._within("tail_start", 0, self.tail_end)
        self._within("tail_end", 0, 3)
        for name in ("shift", "tail_share", "tail_shade", "wave_noise", "wave_height", "leak"):
            self._within(name, 0, 1)
        for name in ("feature_threshold", "body_threshold"):
            self._within(name, 0, 1)
        for name, most in (("attempts", 10_000), ("patches", UNITS), ("wave_grid", UNITS)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise SaltrustError(f"cells: {name} must be a whole number from 1 to {most}, not {value}")
        for name, known in (("pole_test", POLE_TESTS), ("compositing", COMPOSITING), ("turning", TURNING)):
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise SaltrustError(f"cells: {name} must lie between {low} and {high}, not {value}")

    def _range(self, name: str, low: float, high: float) -> None:
        self._check_range(name, getattr(self, name), low, high)

    def _check_range(self, name: str, value: Range, low: float, high: float) -> None:
        if not isinstance(value, tuple) or len(value) != 2 or not low <= value[0] <= value[1] <= high:
            raise SaltrustError(f"cells: {name} must be (low, high), {low} <= low <= high <= {high:g}, not {value}")

    @classmethod
    def of(cls, **values) -> "CellParameters":
        """Parameters from a data card's mapping. Raises SaltrustError as `generated.parameters`."""
        return parameters(cls, values, "cells")


POLE_TESTS = ("corrected", "published")
COMPOSITING = ("object", "channel")
TURNING = ("cell", "image")
