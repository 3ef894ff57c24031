"""Where several readers agree: the shapes cover the pixels that enough of them marked, counted pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust.datasets.readers import Common, agreed
from saltrust.datasets.shapes import Box, Polygon

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
