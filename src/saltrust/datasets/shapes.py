"""The forms in which data sets mark a finding, each drawn as a mask: boxes, polygons, runs of pixels, mask files.

x runs along the width and y along the height from the upper left corner of the image, so that the first pixel reaches
from 0 to 1; a pixel belongs to a form where its centre does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saltrust.core.errors import SaltrustError
from saltrust.datasets import images

CROSSINGS = 5_000_000  # of edges and rows that are looked at together
LARGE = 1e9  # above the coordinates of any image


@dataclass(frozen=True)
class Box:
    """A rectangle from its left, upper edge x0, y0 to its right, lower one x1, y1, in pixels.

    It may reach over the border, or lie outside. Raises SaltrustError for edges that are not finite or in wrong order.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        edges = (self.x0, self.y0, self.x1, self.y1)
        if not np.isfinite(edges).all():
            raise SaltrustError(f"box with edges {_listed(edges)}: must be numbers")
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise SaltrustError(f"box with edges {_listed(edges)}: its width and height must not be negative")

    def scaled(self, x: float, y: float) -> Box:
        """The box in an image that is x times as wide and y times as high."""
        return Box(self.x0 * x, self.y0 * y, self.x1 * x, self.y1 * y)

    def cut(self, width: int, height: int) -> Box:
        """What of it lies in the image; without area if nothing does."""
        x0, x1 = np.clip((self.x0, self.x1), 0, width).tolist()
        y0, y1 = np.clip((self.y0, self.y1), 0, height).tolist()
        return Box(x0, y0, x1, y1)

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width): empty for a box outside or without area. One that is thinner than a pixel and has
        no pixel's centre inside keeps the pixels that it lies in."""
        box = self.cut(width, height)
        return _covered(box.y0, box.y1, height)[:, None] & _covered(box.x0, box.x1, width)


def _covered(start: float, end: float, count: int) -> np.ndarray:
    """Which of `count` pixels in a row have their centre in [start, end); at least one, if that is not empty."""
    centre = np.arange(count) + 0.5
    inside = (centre >= start) & (centre < end)
    if start < end and not inside.any():
        inside[int((start + end) / 2)] = True
    return inside


@dataclass(frozen=True)
class Polygon:
    """One or more polygons; each is ((x, y), (x, y), ...), closed by itself.

    Where a polygon crosses itself, the even-odd rule holds. Raises SaltrustError for one with less than three points,
    or with points that are not finite.
    """

    parts: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        for points in self.parts:
            if len(points) < 3 or any(len(point) != 2 for point in points):
                raise SaltrustError(f"polygon of {len(points)} points: needs three or more, each of x and y")
            if not (np.abs(np.array(points, float)) < LARGE).all():
                raise SaltrustError(f"polygon with a point that is not a number, or not below {LARGE:g}")

    @classmethod
    def flat(cls, *parts: list[float]) -> Polygon:
        """From lists x, y, x, y, ..., one for each part (COCO, YOLO). Raises SaltrustError for an odd one."""
        for part in parts:
            if len(part) % 2:
                raise SaltrustError(f"polygon of {len(part)} numbers: needs x and y of each point")
        return cls(tuple(tuple(zip(part[::2], part[1::2], strict=True)) for part in parts))

    def scaled(self, x: float, y: float) -> Polygon:
        """The polygons in an image that is x times as wide and y times as high."""
        return Polygon(tuple(tuple((px * x, py * y) for px, py in points) for points in self.parts))

    def bounds(self) -> Box:
        """The smallest box around all parts."""
        x, y = np.array([point for points in self.parts for point in points], float).T
        return Box(*map(float, (x.min(), y.min(), x.max(), y.max())))

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width); what reaches over the border is cut."""
        masks = [_even_odd(np.array(points, float), width, height) for points in self.parts]
        return np.logical_or.reduce(masks)


def _even_odd(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixels (height, width) from whose centre a ray to the left crosses an odd number of edges.

    Each edge toggles, in the rows whose centres it spans, all pixels from where it crosses: half-open like a box, and
    many times as fast on large outlines as asking for each pixel (skimage.draw.polygon).
    """
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, axis=0).T
    first, last = np.clip(np.ceil(np.sort([y0, y1], axis=0) - 0.5), 0, height).astype(int)
    toggles = np.zeros(height * (width + 1), dtype=int)
    for some in _together(last - first):
        spans = (last - first)[some]
        edge = np.repeat(some, spans)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(spans) - last[some], spans)
        slope = (x1 - x0)[edge] / (y1 - y0)[edge]  # edges along the rows span none
        crossing = x0[edge] + (row + 0.5 - y0[edge]) * slope
        column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
        toggles += np.bincount(row * (width + 1) + column, minlength=len(toggles))
    toggles = toggles.reshape(height, width + 1)
    return (np.cumsum(toggles[:, :width] % 2, axis=1, dtype=np.uint8) % 2).astype(bool)


def _together(spans: np.ndarray) -> list[np.ndarray]:
    """The edges that span so many rows, in parts that fit into memory whatever an outline looks like."""
    part = np.cumsum(spans) // CROSSINGS
    return np.split(np.arange(len(spans)), np.flatnonzero(np.diff(part)) + 1)


@dataclass(frozen=True)
class RunLength:
    """Runs of pixels (start, length), starts counted from 0 down the columns, from left to right."""

    runs: tuple[tuple[int, int], ...]

    @classmethod
    def relative(cls, text: str) -> RunLength:
        """SIIM-ACR's "start length start length ...": each start is counted from the end of the run before, the first
        from 0 (the competition's `mask_functions.py`)."""
        runs, position = [], 0
        for start, length in _pairs(text):
            runs.append((position + start, length))
            position += start + length
        return cls(tuple(runs))

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width). Raises SaltrustError for a run that ends behind the last pixel."""
        mask = np.zeros(width * height, dtype=bool)
        for start, length in self.runs:
            if start + length > mask.size:
                raise SaltrustError(
                    f"run-length code reaches pixel {start + length}, the image has {width} x {height} = {mask.size}"
                )
            mask[start : start + length] = True
        return mask.reshape(width, height).T


def _pairs(text: str) -> list[tuple[int, int]]:
    """Starts and lengths of a run-length code."""
    numbers = text.split()
    if wrong := next((number for number in numbers if not re.fullmatch("[0-9]{1,12}", number)), None):
        raise SaltrustError(f"run-length code with '{wrong[:20]}': needs whole numbers, 0 or above")
    if len(numbers) % 2 or not numbers:
        raise SaltrustError(f"run-length code of {len(numbers)} numbers: needs a start and a length of each run")
    pairs = [(int(start), int(length)) for start, length in zip(numbers[::2], numbers[1::2], strict=True)]
    for start, length in pairs:
        if length == 0:
            raise SaltrustError(f"run-length code '{start} {length}': starts count from 0, lengths from 1")
    return pairs


@dataclass(frozen=True)
class CocoMask:
    """COCO's run-length code: lengths of runs outside, inside, outside ..., down the columns, as numbers or compressed.

    Decoded here, as pycocotools (2.0.11) returns whatever lies in memory for pixels that a code too short does not
    reach.

    Attributes:
        size: height and width.
        counts: the numbers, or the string that pycocotools writes.

    Raises:
        SaltrustError: For a code that is not one, or does not fill the image.

    >>> CocoMask((2, 2), (1, 2, 1)).drawn(2, 2).astype(int)
    array([[0, 1],
           [1, 0]])
    """

    size: tuple[int, int]
    counts: tuple[int, ...] | str

    def __post_init__(self) -> None:
        height, width = self.size
        images.check_pixels(width, height)
        runs = self._runs()
        if min(runs, default=0) < 0 or sum(runs) != height * width:
            raise SaltrustError(
                f"COCO mask of {sum(runs)} pixels: size is {width} x {height} = {width * height}, runs are 0 or more"
            )

    @classmethod
    def of(cls, written: dict[str, Any]) -> CocoMask:
        """From an object of JSON with `size` (height, width) and `counts`. Raises SaltrustError where it has not."""
        height, width = numbers(written.get("size"), "the 'size' of a mask", 2, whole=True)
        counts = written.get("counts")
        if not isinstance(counts, str):
            counts = tuple(map(int, numbers(counts, "the 'counts' of a mask", whole=True)))
        return cls((int(height), int(width)), counts)

    def _runs(self) -> tuple[int, ...]:
        return _uncompressed(self.counts) if isinstance(self.counts, str) else self.counts

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width). Raises SaltrustError for an image of another size."""
        check_size("COCO mask", self.size[::-1], (width, height))
        runs = self._runs()
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _uncompressed(text: str) -> tuple[int, ...]:
    """The runs of a compressed COCO mask: signed numbers of 5 bits a character, the lowest first, 32 says that more
    follow; from the fourth on, the difference to the run before the last (`rleFrString` of maskApi.c)."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 35:
            raise SaltrustError(f"COCO mask: '{letter}' is not part of a compressed code")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise SaltrustError("COCO mask: its compressed code breaks off")
    return tuple(runs)


@dataclass(frozen=True)
class MaskFile:
    """An image of the size of its image; what is not black is the finding."""

    file: Path

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width). Raises SaltrustError for a file that is missing, broken or of another size."""
        mask = images.read_mask(self.file)
        check_size(f"{self.file}: mask", mask.shape[::-1], (width, height))
        return mask


def reduced(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask at another size: a pixel is in where at least half of it was.

    Args:
        mask: (h, w) bool.
        size: side of the result, in pixels.

    Returns:
        (size, size) bool. A finding smaller than half a pixel keeps the pixels that it covers most.

    >>> reduced(np.array([[True, True, False, False]] * 4), 2)
    array([[ True, False],
           [ True, False]])
    """
    way = Image.Resampling.BOX if max(mask.shape) > size else Image.Resampling.BILINEAR
    share = np.asarray(Image.fromarray(mask.astype(np.float32)).resize((size, size), way))
    return (share > 0) & (share >= min(0.5, share.max()))


def numbers(value: Any, what: str, count: int | None = None, whole: bool = False) -> list[float]:
    """A list of numbers from JSON.

    Args:
        value: what stands there.
        what: the errors call it.
        count: how many there must be, None for any.
        whole: whether they must be whole numbers.

    Raises:
        SaltrustError: It is no such list, or holds a number above the coordinates of any image.
    """
    right = isinstance(value, list) and all(type(x) in (int, float) and abs(x) < LARGE for x in value)
    if not right or (count is not None and len(value) != count) or (whole and any(x != int(x) for x in value)):
        kind = "whole numbers" if whole else "numbers"
        raise SaltrustError(f"{what} must be {count if count is not None else 'a list of'} {kind}")
    return [float(number) for number in value]


def check_size(what: str, found: tuple[float, float], expected: tuple[int, int]) -> None:
    """Raise SaltrustError where a width and height are not those of the image."""
    if tuple(found) != tuple(expected):
        raise SaltrustError(
            f"{what} is {found[0]:g} x {found[1]:g}, its image {expected[0]} x {expected[1]} (width x height)"
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
