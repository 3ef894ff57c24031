"""The split's own checks: every wrong shape, type or range is refused with the name of the field."""

import numpy as np
import pytest

from saltrust.datasets.split import Split
from saltrust.errors import SaltrustError


def parts(**changes) -> dict[str, np.ndarray]:
    """A valid split of three 8 x 6 images, with some fields replaced."""
    return {
        "pixels": np.zeros((3, 8, 6), np.uint8),
        "labels": np.array([1, 0, 1], np.int64),
        "truth": np.zeros((3, 8, 6), bool),
        "boxes": np.array([[0, 1, 2, 6, 8]], np.float32),
        "ids": np.array(["a", "b", "c"]),
        **changes,
    }


def test_length_and_positives():
    split = Split(**parts())
    assert len(split) == 3
    np.testing.assert_array_equal(split.positives(), [0, 2])


def test_colour_and_maskless_splits_are_valid():
    assert len(Split(**parts(pixels=np.zeros((3, 8, 6, 3), np.uint8), boxes=np.zeros((0, 5), np.float32)))) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixels", np.zeros((3, 8, 6), np.float32)),
        ("pixels", np.zeros((3, 8, 6, 2), np.uint8)),
        ("pixels", np.zeros((8, 6), np.uint8)),
        ("labels", np.array([1, 0, 1], np.int32)),
        ("labels", np.array([1, 0], np.int64)),
        ("labels", np.array([1, 0, 2], np.int64)),
        ("truth", np.zeros((3, 8, 6), np.uint8)),
        ("truth", np.zeros((3, 6, 8), bool)),
        ("boxes", np.zeros((1, 4), np.float32)),
        ("boxes", np.zeros((0, 5))),
        ("boxes", np.array([[3, 1, 2, 4, 5]], np.float32)),  # there is no image 3
        ("boxes", np.array([[0, 1, 2, 7, 5]], np.float32)),  # beyond the right border
        ("boxes", np.array([[0, 4, 2, 4, 5]], np.float32)),  # no width
        ("boxes", np.array([[0, 1, np.nan, 4, 5]], np.float32)),
        ("ids", np.array([1, 2, 3])),
        ("ids", np.array(["a", "b", "a"])),
    ],
)
def test_a_bad_field_is_refused_by_name(field, value):
    with pytest.raises(SaltrustError, match=f"split: {field} must be"):
        Split(**parts(**{field: value}))


def test_a_split_cannot_be_changed():
    with pytest.raises(AttributeError):
        Split(**parts()).labels = np.zeros(3, np.int64)
