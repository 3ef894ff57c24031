"""Outlines: filled as OpenCV fills them, and crossings found by solving for them."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.outlines import RowsFilled, crosses_itself
from saltrust.datasets.shapes import Polygon


def polygon(points):
    return Polygon((tuple((float(x), float(y)) for x, y in points),))


def star(rng, corners, dents):
    """Points in order around a centre; without dents on an ellipse, so that the outline is convex."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(10, 40, (corners, 1)) if dents else rng.uniform(15, 40, 2)
    return np.rint(50 + reach * np.c_[np.cos(angles), np.sin(angles)]).astype(np.int32)


@pytest.mark.parametrize("seed", range(12))
def test_rows_are_filled_as_opencv_fills_them(seed):
    points = star(np.random.default_rng(seed), 3 + seed % 6, dents=False)
    expected = np.zeros((100, 100))
    cv2.fillConvexPoly(expected, points, 1)
    drawn = RowsFilled(polygon(points)).drawn(100, 100)
    differ = drawn != (expected == 1)
    assert expected.sum() > 50
    assert differ.sum() <= 0.01 * expected.sum() + 2  # pixels of the outline where it lies between two


def test_a_dent_from_the_side_stays_and_one_from_above_is_filled():
    """What `fillConvexPoly` is said to do with concave outlines, and what it does."""
    from_the_side = np.array([[10, 10], [50, 10], [30, 30], [50, 50], [10, 50]], np.int32)
    for points, filled in ((from_the_side, False), (from_the_side[:, ::-1].copy(), True)):
        expected = np.zeros((60, 60))
        cv2.fillConvexPoly(expected, points, 1)
        drawn = RowsFilled(polygon(points)).drawn(60, 60)
        x, y = (45, 30) if not filled else (30, 45)
        assert drawn[y, x] == filled
        if not filled:
            np.testing.assert_array_equal(drawn, expected == 1)


def test_what_reaches_over_the_border_is_cut():
    whole = polygon([(-10, -5), (30, 4), (12, 30)])
    np.testing.assert_array_equal(RowsFilled(whole).drawn(20, 15), RowsFilled(whole).drawn(40, 40)[:15, :20])
    assert not RowsFilled(polygon([(100, 100), (110, 100), (100, 110)])).drawn(20, 15).any()
    assert not RowsFilled(polygon([(-9, -9), (-3, -9), (-9, -3)])).drawn(20, 15).any()


def test_an_edge_that_no_image_has_is_refused():
    with pytest.raises(SaltrustError, match="polygon with an edge of 90000000 pixels"):
        RowsFilled(polygon([(0, 0), (9e7, 0), (0, 9)])).drawn(9, 9)


def solved(points):
    """Whether two edges without a common point have one, by the equation of their lines."""
    points = np.asarray(points, float)
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    for (i, (a, b)), (j, (c, d)) in combinations(enumerate(edges), 2):
        lines = np.c_[b - a, c - d]
        if j - i in (1, len(edges) - 1) or abs(np.linalg.det(lines)) < 1e-9:
            continue
        s, t = np.linalg.solve(lines, c - a)
        if 0 <= s <= 1 and 0 <= t <= 1:
            return True
    return False


def test_crossings_are_those_that_equations_have():
    rng = np.random.default_rng(4)
    drawn = [rng.uniform(0, 9, (rng.integers(3, 7), 2)) for _ in range(200)]
    expected = [solved(points) for points in drawn]
    assert 40 < sum(expected) < 160
    assert [crosses_itself(polygon(points)) for points in drawn] == expected


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], False),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], True),
        ([(0, 0), (4, 0), (2, 0), (2, 3), (1, 0), (1, -2)], True),  # along an earlier edge
        ([(0, 0), (0, 0), (4, 0), (4, 4), (4, 4), (0, 4), (0, 0)], False),  # points drawn twice, and closed
        ([(1, 1), (1, 1), (1, 1)], False),
    ],
)
def test_special_outlines(points, crosses):
    assert crosses_itself(polygon(points)) == crosses
