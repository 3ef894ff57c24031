"""Shapes of truth: drawn as pycocotools, scikit-image, the published decoders or a count of centres draw them."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco
from skimage.draw import polygon

from saltrust.core.errors import SaltrustError
from saltrust.datasets import shapes
from saltrust.datasets.shapes import Box, CocoMask, MaskFile, Polygon, RunLength, reduced

coordinate = st.floats(-20, 50, allow_subnormal=False)
mask = (
    st.integers(1, 12)
    .flatmap(lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=12))
    .map(lambda rows: np.array(rows, dtype=bool))
)


@given(coordinate, coordinate, coordinate, coordinate)
def test_a_box_holds_the_pixels_whose_centre_it_holds(x0, y0, x1, y1):
    x0, x1, y0, y1 = *sorted((x0, x1)), *sorted((y0, y1))
    drawn = Box(x0, y0, x1, y1).drawn(30, 20)
    columns, rows = np.arange(30) + 0.5, np.arange(20) + 0.5
    expected = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))
    if expected.any():
        np.testing.assert_array_equal(drawn, expected)
    else:  # thinner than a pixel, or outside
        cut = Box(x0, y0, x1, y1).cut(30, 20)
        assert drawn.any() == (cut.x0 < cut.x1 and cut.y0 < cut.y1)
        assert min(drawn.any(0).sum(), drawn.any(1).sum()) <= 1


@pytest.mark.parametrize("edges", [(-9, -9, -1, -1), (40, 3, 50, 6), (5, 5, 5, 9), (3, -7, 8, 0)])
def test_a_box_outside_or_without_area_is_empty(edges):
    assert not Box(*edges).drawn(30, 20).any()


def test_a_thin_box_keeps_the_pixels_it_lies_in():
    np.testing.assert_array_equal(np.argwhere(Box(2.6, 1.7, 2.9, 4).drawn(6, 6)), [[2, 2], [3, 2]])


def test_scaling_moves_edges():
    assert Box(1, 2, 3, 4).scaled(2, 0.5) == Box(2, 1, 6, 2)
    outline = Polygon.flat([1, 2, 3, 4, 1, 4])
    assert outline.scaled(2, 0.5).bounds() == Box(2, 1, 6, 2)


def _crossings(points, width, height):
    """Even-odd rule, one pixel at a time: the crossings of a ray from its centre to the left."""
    inside = np.zeros((height, width), bool)
    for row, column in np.ndindex(inside.shape):
        x, y = column + 0.5, row + 0.5
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x:
                inside[row, column] ^= True
    return inside


@given(st.lists(st.tuples(st.integers(-20, 60), st.integers(-20, 60)), min_size=3, max_size=8))
def test_a_polygon_holds_the_pixels_whose_centre_it_holds(halves):
    points = [(x / 2, y / 2) for x, y in halves]  # also exactly on centres and borders
    np.testing.assert_array_equal(Polygon((tuple(points),)).drawn(20, 16), _crossings(points, 20, 16))


def test_polygons_agree_with_other_libraries():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 15))
        radius = rng.uniform(20, 48, 15)
        x, y = 50.03 + radius * np.cos(angle), 60.01 + radius * np.sin(angle)
        drawn = Polygon((tuple(zip(x, y, strict=True)),)).drawn(100, 120)
        other = np.zeros((120, 100), bool)
        other[polygon(y - 0.5, x - 0.5, other.shape)] = True  # pixel centres at whole numbers
        np.testing.assert_array_equal(drawn, other)
        theirs = coco.decode(coco.frPyObjects([np.c_[x, y].ravel().tolist()], 120, 100))[..., 0] > 0
        assert (drawn ^ theirs).sum() <= 0.5 * coco_border(theirs)  # which draws borders on a finer grid


def test_a_polygon_of_many_long_edges_is_drawn_in_parts(monkeypatch):
    x, y = np.random.default_rng(0).uniform(-5, 45, (2, 60))
    many = Polygon((tuple(zip(x, y, strict=True)),))
    whole = many.drawn(40, 30)
    assert 0 < whole.mean() < 1
    for most in (1, 40, 300):
        monkeypatch.setattr(shapes, "CROSSINGS", most)
        np.testing.assert_array_equal(many.drawn(40, 30), whole)


def coco_border(drawn):
    """How many pixels of a mask have a neighbour outside."""
    padded = np.pad(drawn, 1)
    inner = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return (drawn & ~inner).sum()


def test_a_polygon_with_edges_on_pixels_is_a_box():
    np.testing.assert_array_equal(Polygon.flat([2, 3, 9, 3, 9, 7, 2, 7]).drawn(12, 12), Box(2, 3, 9, 7).drawn(12, 12))


def test_parts_join_and_are_cut_at_the_border():
    square = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0))
    other = ((7.0, 7.0), (14.0, 7.0), (14.0, 14.0), (7.0, 14.0))
    expected = Box(1, 1, 9, 9).drawn(12, 12) | Box(7, 7, 12, 12).drawn(12, 12)
    np.testing.assert_array_equal(Polygon((square, other)).drawn(12, 12), expected)


def _starts(flat):
    edges = np.diff(np.r_[0, flat.astype(int), 0])
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


@given(mask)
def test_run_lengths_return_the_mask_they_code(drawn):
    height, width = drawn.shape
    starts, lengths = _starts(drawn.ravel(order="F"))
    if not len(starts):
        return
    gaps = starts - np.r_[0, (starts + lengths)[:-1]]
    relative = " ".join(f"{gap} {length}" for gap, length in zip(gaps, lengths, strict=True))
    np.testing.assert_array_equal(RunLength.relative(relative).drawn(width, height), drawn)


def test_relative_runs_agree_with_the_competitions_own_decoder():
    text, (width, height) = "30 4 5 12 70 3", (20, 10)
    flat, position = np.zeros(width * height), 0
    numbers = list(map(int, text.split()))
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        position += start
        flat[position : position + length] = 255
        position += length
    np.testing.assert_array_equal(RunLength.relative(text).drawn(width, height), flat.reshape(width, height).T > 0)


@given(mask)
def test_coco_masks_return_what_pycocotools_codes(drawn):
    height, width = drawn.shape
    coded = coco.encode(np.asfortranarray(drawn.astype(np.uint8)))
    compressed = CocoMask((height, width), coded["counts"].decode())
    np.testing.assert_array_equal(compressed.drawn(width, height), drawn)
    runs = tuple(len(list(run)) for _, run in groupby(drawn.ravel(order="F")))
    uncompressed = CocoMask((height, width), (0, *runs) if drawn[0, 0] else runs)
    np.testing.assert_array_equal(uncompressed.drawn(width, height), drawn)


def test_long_runs_survive_compression():
    rng = np.random.default_rng(1)
    drawn = np.repeat(np.arange(60) % 2, rng.integers(1, 40_000, 60)).astype(np.uint8)
    drawn = np.resize(drawn, (1000, 700)).copy(order="F")
    coded = coco.encode(drawn)["counts"].decode()
    np.testing.assert_array_equal(CocoMask((1000, 700), coded).drawn(700, 1000), drawn > 0)


def test_a_mask_file_is_what_is_not_black(tmp_path):
    Image.fromarray(np.array([[0, 1], [255, 0], [7, 0]], np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(MaskFile(tmp_path / "m.png").drawn(2, 3), [[0, 1], [1, 0], [1, 0]])


def test_a_reduced_mask_keeps_majorities_and_the_small():
    drawn = np.zeros((40, 40), bool)
    drawn[8:24, 4:20] = True
    np.testing.assert_array_equal(reduced(drawn, 10), Box(1, 2, 5, 6).drawn(10, 10))
    point = np.zeros((40, 40), bool)
    point[17, 30] = True
    np.testing.assert_array_equal(np.argwhere(reduced(point, 10)), [[4, 7]])
    assert not reduced(np.zeros((40, 40), bool), 10).any()


@given(arrays(bool, (32, 32), elements=st.booleans()))
def test_a_reduced_mask_is_where_at_least_half_was(drawn):
    share = drawn.reshape(8, 4, 8, 4).mean((1, 3))
    expected = (share >= 0.5) if share.max() >= 0.5 else (share == share.max()) & (share > 0)
    np.testing.assert_array_equal(reduced(drawn, 8), expected)


@given(mask)
def test_a_reduced_mask_is_never_empty_where_the_mask_is_not(drawn):
    assert reduced(drawn, 5).any() == drawn.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(1, 2, float("nan"), 4), "box with edges 1, 2, nan, 4: must be numbers"),
        (lambda: Box(1, 2, float("inf"), 4), "box with edges 1, 2, inf, 4: must be numbers"),
        (lambda: Box(5, 2, 3, 4), "box with edges 5, 2, 3, 4: its width and height must not be negative"),
        (lambda: Polygon.flat([1, 2, 3, 4]), "polygon of 2 points: needs three or more"),
        (lambda: Polygon.flat([1, 2, 3, 4, 5]), "polygon of 5 numbers: needs x and y"),
        (lambda: Polygon((((0, 0), (1, 1), (1,)),)), "polygon of 3 points: needs three or more, each of x and y"),
        (lambda: Polygon.flat([1, 2, 3, float("nan"), 5, 6]), "a point that is not a number"),
        (lambda: Polygon.flat([1, 2, 3, 1e300, 5, 6]), "or not below 1e"),
        (lambda: RunLength.relative(""), "of 0 numbers: needs a start and a length"),
        (lambda: RunLength.relative("-1"), "run-length code with '-1': needs whole numbers"),
        (lambda: RunLength.relative("5 3 8"), "of 3 numbers: needs a start and a length"),
        (lambda: RunLength.relative("5 3.5"), "with '3.5': needs whole numbers"),
        (lambda: RunLength.relative("5 0"), "code '5 0': starts count from 0, lengths from 1"),
        (lambda: RunLength.relative("190 20").drawn(20, 10), "reaches pixel 210, the image has 20 x 10 = 200"),
        (lambda: CocoMask((3, 4), (2, 3)), "COCO mask of 5 pixels: size is 4 x 3 = 12"),
        (lambda: CocoMask((3, 4), (20, -8)), "COCO mask of 12 pixels: size is 4 x 3 = 12, runs are 0 or more"),
        (lambda: CocoMask((3, 4), "0000"), "COCO mask of 0 pixels"),  # pycocotools would return memory
        (lambda: CocoMask((3, 4), "o\u00fc"), "COCO mask: '\u00fc' is not part of a compressed code"),
        (lambda: CocoMask((3, 4), "oooooooooooo"), "COCO mask: 'o' is not part of a compressed code"),
        (lambda: CocoMask((3, 4), "3o"), "its compressed code breaks off"),
        (lambda: CocoMask((3, 4), (12,)).drawn(5, 5), r"COCO mask is 4 x 3, its image 5 x 5 \(width x height\)"),
    ],
)
def test_what_is_no_shape_is_refused(make, message):
    with pytest.raises(SaltrustError, match=message):
        make()


def test_a_mask_file_of_another_size_is_refused(tmp_path):
    Image.new("L", (5, 4), 255).save(tmp_path / "m.png")
    with pytest.raises(SaltrustError, match=r"m\.png: mask is 5 x 4, its image 20 x 20"):
        MaskFile(tmp_path / "m.png").drawn(20, 20)
    with pytest.raises(SaltrustError, match=r"no image .*gone\.png"):
        MaskFile(tmp_path / "gone.png").drawn(20, 20)
