"""The split's own checks: every wrong shape, type or range is refused with the name of the field."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split, joined


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


def graded(first: int, **changes) -> Split:
    """Two images of four classes with graded truth, the second of them empty."""
    grades = np.zeros((2, 4, 4), np.uint8)
    grades[0, 1:3, 1:3] = [[1, 2], [2, 1]]
    return Split(
        **{
            "pixels": np.full((2, 4, 4, 3), first, np.uint8),
            "labels": np.array([first % 3, 3], np.int64),
            "truth": grades > 0,
            "boxes": np.array([[0, 1, 1, 3, 3]], np.float32),
            "ids": np.array([f"{first}", f"{first + 1}"]),
            "classes": ("a", "b", "c", "none"),
            "absent": 3,
            "grades": grades,
            **changes,
        }
    )


def test_the_absent_class_is_the_one_without_the_finding():
    split = graded(0)
    np.testing.assert_array_equal(split.present, [True, False])
    np.testing.assert_array_equal(split.positives(), [0])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": np.array([0, 4], np.int64)}, "labels"),
        ({"absent": 4}, "absent"),
        ({"grades": np.zeros((2, 4, 4), np.uint8)}, "grades"),  # the truth is not empty
        ({"grades": np.full((2, 4, 4), 3, np.uint8), "truth": np.ones((2, 4, 4), bool)}, "grades"),
        ({"grades": np.zeros((2, 4, 4))}, "grades"),
    ],
)
def test_bad_classes_and_grades_are_refused(changes, field):
    with pytest.raises(SaltrustError, match=f"split: {field} must be"):
        graded(0, **changes)


def test_joined_splits_keep_their_images_in_order():
    whole = joined([graded(0), graded(2)])
    np.testing.assert_array_equal(whole.ids, ["0", "1", "2", "3"])
    np.testing.assert_array_equal(whole.pixels[:, 0, 0, 0], [0, 0, 2, 2])
    np.testing.assert_array_equal(whole.boxes[:, 0], [0, 2])  # boxes name the images by their new positions
    np.testing.assert_array_equal(whole.grades > 0, whole.truth)
    assert (whole.classes, whole.absent) == (graded(0).classes, 3)
