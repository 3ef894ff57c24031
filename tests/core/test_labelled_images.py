"""Splits: what is wrong is refused by the name of the field; findings and readers come back from their bits."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Readers, Split, joined, packed


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


def masks(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 8, 6)) < 0.3


def several(seed=0, **changes):
    """A split of three images with two findings and three readers, of whom the second read two images."""
    drawn, truth = masks(3, 3, seed=seed), masks(2, 3, seed=seed + 1)
    read = np.array([[True, True, True], [False, True, True], [True, True, True]])
    return Split(
        **parts(
            ids=np.array([f"{seed}{letter}" for letter in "abc"]),
            truth=truth.any(axis=0),
            findings=Findings(("a", "b"), truth.any(axis=(2, 3)).T, packed(truth), 6),
            readers=Readers(("r1", "r2", "r3"), read, packed(drawn[read]), 6),
        )
        | changes
    ), (truth, drawn * read[..., None, None])


def test_findings_and_readers_come_back_from_their_bits():
    split, (truth, drawn) = several()
    for name, expected in zip(("a", "b"), truth, strict=True):
        np.testing.assert_array_equal(split.findings.truth(name), expected)
    for name, expected in zip(("r1", "r2", "r3"), drawn, strict=True):
        np.testing.assert_array_equal(split.readers.drawn(name), expected)
    assert split.findings.bits.shape == (2, 3, 8, 1)
    assert split.readers.bits.shape == (8, 8, 1)  # of nine, one was not read


def test_who_or_what_is_unknown_is_named():
    split, _ = several()
    with pytest.raises(SaltrustError, match="unknown reader 'r4'"):
        split.readers.drawn("r4")
    with pytest.raises(SaltrustError, match="unknown finding 'c'"):
        split.findings.truth("c")


def labelled(**changes):
    """The same without truth."""
    split, _ = several()
    findings = Findings(split.findings.names, split.findings.present, None, 6)
    return several(truth=None, readers=None, findings=findings, boxes=np.zeros((0, 5), np.float32), **changes)[0]


def test_labels_alone_have_no_truth():
    with pytest.raises(SaltrustError, match="labels alone"):
        labelled().require_truth()
    with pytest.raises(SaltrustError, match="labels of 'b', but nobody says where"):
        labelled().findings.truth("b")
    np.testing.assert_array_equal(several()[0].require_truth(), several()[0].truth)


def same(first, second):
    """Whether two splits hold the same arrays of the same types."""
    one, other = first.arrays(), second.arrays()
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], strict=True)


@pytest.mark.parametrize(
    "split",
    [Split(**parts()), graded(0), several()[0], labelled(), Split(**parts(), absent=None)],
    ids=["plain", "graded", "several", "labelled", "always"],
)
def test_a_split_comes_back_from_its_arrays(split):
    again = Split.from_arrays(split.arrays())
    same(again, split)
    assert (again.classes, again.absent) == (split.classes, split.absent)
    for name in ("truth", "grades"):
        kept, given = getattr(again, name), getattr(split, name)
        assert given is kept if given is None else np.array_equal(kept, given)


def test_joined_splits_keep_findings_and_readers():
    (first, (truth, drawn)), (second, (more, others)) = several(0), several(5)
    whole = joined([first, second])
    for i, name in enumerate(("a", "b")):
        np.testing.assert_array_equal(whole.findings.truth(name), np.concatenate([truth[i], more[i]]))
    for i, name in enumerate(("r1", "r2", "r3")):
        np.testing.assert_array_equal(whole.readers.drawn(name), np.concatenate([drawn[i], others[i]]))
    np.testing.assert_array_equal(whole.findings.present[3:], second.findings.present)


def test_joined_labels_have_no_truth():
    whole = joined([labelled(), labelled(ids=np.array(["d", "e", "f"]))])
    assert whole.truth is None
    assert whole.findings.bits is None
    assert whole.findings.present.shape == (6, 2)


def others():
    split, _ = several(5)
    return Findings(("a", "c"), split.findings.present, split.findings.bits, 6)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"readers": None}, "readers"),
        ({"findings": others()}, "findings"),
        ({"truth": None}, "truth"),
        ({"findings": Findings(("a", "b"), np.ones((3, 2), bool), None, 6)}, "findings"),
    ],
)
def test_splits_of_another_kind_are_not_joined(changes, field):
    with pytest.raises(SaltrustError, match=f"split: {field} must be"):
        joined([several(0)[0], several(5, **changes)[0]])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("findings.present", Findings(("a",), np.ones((3, 2), bool), None, 6)),
        ("findings.present", Findings(("a", "b"), np.ones((3, 2)), None, 6)),
        ("findings.bits", Findings(("a", "b"), np.ones((3, 2), bool), np.zeros((2, 3, 8, 2), np.uint8), 6)),
        ("findings.width", Findings(("a", "b"), np.ones((3, 2), bool), None, 5)),
        ("readers.read", Readers(("r",), np.ones((1, 2), bool), np.zeros((2, 8, 1), np.uint8), 6)),
        ("readers.bits", Readers(("r",), np.ones((1, 3), bool), np.zeros((2, 8, 1), np.uint8), 6)),
        ("readers.width", Readers(("r",), np.ones((1, 3), bool), np.zeros((3, 8, 1), np.uint8), 7)),
    ],
)
def test_bad_findings_and_readers_are_refused(field, value):
    with pytest.raises(SaltrustError, match=f"split: {field} must be"):
        Split(**parts(**{field.partition(".")[0]: value}))
