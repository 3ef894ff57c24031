"""Where several readers agree: the shapes cover the pixels that enough of them marked, counted pixel by pixel."""

from itertools import combinations
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saltrust.core.errors import SaltrustError
from saltrust.datasets import readers as joining
from saltrust.datasets.readers import Common, Drawing, agreed, with_drawings
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box, CocoMask, MaskFile, Polygon
from tests.datasets import written

SIDE = 12
NOTHING = np.zeros((SIDE, SIDE), dtype=bool)


@st.composite
def boxes(draw):
    """A box that is no thinner than a pixel: a thinner one keeps a pixel whose centre it does not hold."""
    (x0, y0), (width, height) = ([draw(st.floats(low, 10, width=16)) for _ in range(2)] for low in (0, 1))
    return Box(x0, y0, x0 + width, y0 + height)


@given(st.lists(st.lists(boxes(), max_size=3), min_size=1, max_size=4), st.integers(1, 3))
def test_boxes_of_readers(readers, votes):
    marked = [np.any([NOTHING, *(box.drawn(SIDE, SIDE) for box in reader)], axis=0) for reader in readers]
    found = agreed(readers, votes)
    assert all(isinstance(shape, Box) for shape in found)
    drawn = np.any([NOTHING, *(shape.drawn(SIDE, SIDE) for shape in found)], axis=0)
    np.testing.assert_array_equal(drawn, np.sum(marked, axis=0) >= votes)


TRIANGLE = Polygon((((1.0, 1.0), (9.0, 1.0), (1.0, 9.0)),))


def test_a_polygon_and_a_box():
    box = Box(2, 2, 6, 12)
    (shape,) = agreed([[TRIANGLE], [box], []], 2)
    assert isinstance(shape, Common)
    np.testing.assert_array_equal(shape.drawn(SIDE, SIDE), TRIANGLE.drawn(SIDE, SIDE) & box.drawn(SIDE, SIDE))


@pytest.mark.parametrize("box", [Box(10, 1, 12, 3), Box(7, 7, 9, 9)], ids=["beside it", "only beside its edge"])
def test_nothing_in_common_is_left_out(box):
    assert agreed([[TRIANGLE], [box]], 2) == ()


def test_what_several_pairs_share_is_there_once():
    box = Box(0, 0, 3, 3)
    assert agreed([[box], [box], [box]], 2) == (box,)


def test_shapes_that_would_combine_for_ever_are_refused():
    box = Box(0, 0, 3, 3)
    with pytest.raises(
        SaltrustError, match="5 of 10 readers may agree in 25,200,000 ways, with one shape of each, and at most"
    ):
        agreed([[box] * 10] * 10, 5)
    assert agreed([[box]] * 17, 1) == (box,)


@pytest.mark.parametrize("votes", [0, 1, 2, 3, 4, 5])
def test_the_ways_to_agree_are_counted(votes):
    counts = [2, 0, 3, 1]
    ways = sum(prod(some) for some in combinations(counts, votes))
    assert joining._ways(counts, votes) == ways


def coco_mask(mask):
    runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=False)), prepend=0, append=mask.size)
    return CocoMask(mask.shape, tuple(runs.tolist()))


@pytest.fixture
def mask_file(tmp_path):
    mask = written.boxed(SIDE, SIDE, (0, 0, 5, 5))
    Image.fromarray(mask).save(tmp_path / "m.png")
    return MaskFile(tmp_path / "m.png")


def test_masks_boxes_and_polygons_of_three_readers(mask_file):
    """A mask in a file, one as COCO writes it, and a polygon: what any two of them share."""
    square = written.boxed(SIDE, SIDE, (3, 3, 9, 9))
    shapes = [[mask_file], [coco_mask(square)], [TRIANGLE]]
    marked = sum(shape.drawn(SIDE, SIDE).astype(int) for (shape,) in shapes)
    for votes in (1, 2, 3):
        drawn = np.any([NOTHING, *(shape.drawn(SIDE, SIDE) for shape in agreed(shapes, votes))], axis=0)
        np.testing.assert_array_equal(drawn, marked >= votes)


def test_masks_with_nothing_in_common_are_left_out(mask_file):
    assert agreed([[mask_file], [coco_mask(written.boxed(SIDE, SIDE, (6, 6, 9, 9)))]], 2) == ()


LEFT, RIGHT, FAR = Box(0, 0, 6, 6), Box(3, 0, 9, 6), Box(10, 10, 12, 12)
BARE = Record("a", Path("a.png"), 1, "test", "p")


def card(truth="box", **fields):
    return written.card("folder", Path(), truth, table=TABLE, shares=written.SHARES, **fields)


TABLE = {"file": "t.csv", "image": "i", "label": "l", "x": "x", "y": "y", "width": "w", "height": "h"}


def test_the_truth_is_what_enough_readers_drew_and_all_drawings_are_kept():
    drawings = [Drawing(LEFT, reader="r1"), Drawing(RIGHT, reader="r2"), Drawing(FAR, reader="r2")]
    record = with_drawings(card(), BARE, drawings, ("r1", "r2", "r3"), votes=2)
    assert record.truth == (Box(3, 0, 6, 6),)
    assert record.readers == {"r1": (LEFT,), "r2": (RIGHT, FAR), "r3": ()}
    assert (record.id, record.label, record.split, record.group, record.findings) == ("a", 1, "test", "p", {})
    assert with_drawings(card(), BARE, drawings, ("r1", "r2", "r3"), votes=3) is None
    assert with_drawings(card(), BARE, [], ("r1", "r2"), votes=2).truth == ()


def test_each_finding_has_its_own_truth():
    drawings = [
        Drawing(LEFT, "mass", "r1"),
        Drawing(RIGHT, "mass", "r2"),
        *(Drawing(FAR, "scar", f"r{k}") for k in (1, 2)),
    ]
    both = card(findings=["mass", "scar", "cyst"])
    record = with_drawings(both, BARE, drawings, ("r1", "r2"), votes=2)
    assert record.findings == {"mass": (Box(3, 0, 6, 6),), "scar": (FAR,)}
    assert record.truth == (Box(3, 0, 6, 6), FAR)
    assert with_drawings(both, BARE, drawings[:3], ("r1", "r2"), votes=2) is None  # they differ about the scar
    assert with_drawings(both, BARE, [Drawing(LEFT, "mass"), Drawing(LEFT, "scar")]).truth == (LEFT,)


def test_without_truth_findings_are_labels():
    labels = card("none", findings=["mass", "scar"])
    record = with_drawings(labels, BARE, [Drawing(LEFT, "mass")])
    assert (record.truth, record.findings) == (None, {"mass": ()})
