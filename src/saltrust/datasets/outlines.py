"""Outlines as readers draw them: whether one crosses itself, and how another program fills it."""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.datasets.shapes import CROSSINGS, Polygon


def crosses_itself(polygon: Polygon) -> bool:
    """Whether two edges of a part that are no neighbours meet, so that its inside is a matter of convention.

    >>> crosses_itself(Polygon((((0, 0), (2, 2), (2, 0), (0, 2)),)))
    True
    """
    return any(_crosses_itself(np.array(points, float)) for points in polygon.parts)


@dataclass(frozen=True)
class RowsFilled:
    """Polygons of which every row is filled from the leftmost to the rightmost pixel of the outline.

    The code of Venkatesh et al. does so, with OpenCV's `fillConvexPoly`. A point stands for the pixel of its number,
    and the outline belongs to the mask. A dent from the side stays; one from above or below is filled, where it lies
    between two parts of a row.
    """

    polygon: Polygon

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The mask (height, width); what reaches over the border is cut."""
        mask = np.zeros((height, width), dtype=bool)
        columns = np.arange(width)
        for points in self.polygon.parts:
            x, y = _outline(np.rint(np.array(points, float)).astype(np.int64))
            top = max(int(y.min()), 0)
            rows = np.arange(top, min(int(y.max()) + 1, height))
            if not len(rows):
                continue
            inside = (y >= top) & (y < height)
            left, right = np.full(len(rows), width), np.full(len(rows), -1)
            np.minimum.at(left, y[inside] - top, x[inside])
            np.maximum.at(right, y[inside] - top, x[inside])
            mask[rows] |= (columns >= left[:, None]) & (columns <= right[:, None])
        return mask


def _outline(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels x, y of a closed line through the points, a pixel for each step along the longer side of an edge."""
    ends = np.roll(points, -1, axis=0)
    steps = np.abs(ends - points).max(axis=1)
    if steps.max() > CROSSINGS:
        raise SaltrustError(f"polygon with an edge of {steps.max()} pixels: an edge has up to {CROSSINGS}")
    lines = [np.linspace(start, end, n + 1) for start, end, n in zip(points, ends, steps, strict=True)]
    return tuple(np.floor(np.concatenate(lines) + 0.5).astype(np.int64).T)


def _crosses_itself(points: np.ndarray) -> bool:
    points = points[np.any(points != np.roll(points, 1, axis=0), axis=1)]  # a point drawn twice is no crossing
    ends = np.roll(points, -1, axis=0)
    last = len(points) - 1  # the last edge is the first one's other neighbour
    return any(
        _meet(points[i], ends[i], points[i + 2 : last + (i > 0)], ends[i + 2 : last + (i > 0)])
        for i in range(len(points))
    )


def _meet(start: np.ndarray, end: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether an edge meets any of the others: each lies on both sides of the other, or ends on it."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:  # of the line from a to b, on which c lies
        (bx, by), (cx, cy) = (b - a).T, (c - a).T
        return np.sign(bx * cy - by * cx)

    def between(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.all((np.minimum(a, b) <= c) & (c <= np.maximum(a, b)), axis=-1)

    first, second = side(start, end, starts), side(start, end, ends)
    third, fourth = side(starts, ends, start), side(starts, ends, end)
    crossed = (first * second < 0) & (third * fourth < 0)
    touched = (first == 0) & between(start, end, starts) | (second == 0) & between(start, end, ends)
    touched |= (third == 0) & between(starts, ends, start) | (fourth == 0) & between(starts, ends, end)
    return bool(np.any(crossed | touched))
