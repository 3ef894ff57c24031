"""VinDr-CXR: boxes of three readers who may disagree, or of none by name; MONOCHROME1."""

import shutil

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.shapes import Box
from tests.datasets import written

HEART, LUNG = "Cardiomegaly", "Lung Opacity"
TWO, APART, ONE, NONE, OTHER = (letter * 32 for letter in "abcde")
HEADER = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
ROWS = (
    f"{TWO},{HEART},3,R10,10.0,20.0,50.0,60.0",
    f"{TWO},{HEART},3,R8,30.0,25.0,70.0,80.0",
    f"{TWO},{LUNG},7,R8,0.0,0.0,5.0,5.0",
    f"{TWO},No finding,14,R9,,,,",
    f"{APART},{HEART},3,R10,0.0,0.0,10.0,10.0",
    f"{APART},{HEART},3,R8,40.0,40.0,50.0,50.0",
    f"{APART},{LUNG},7,R9,0.0,0.0,50.0,50.0",
    f"{ONE},{HEART},3,R10,5.0,5.0,15.0,15.0",
    f"{ONE},No finding,14,R8,,,,",
    f"{ONE},No finding,14,R9,,,,",
    *(f"{NONE},No finding,14,{reader},,,," for reader in ("R1", "R2", "R3")),
    *(f"{OTHER},{LUNG},7,{reader},1.0,1.0,9.0,9.0" for reader in ("R1", "R2", "R3")),
)


def card(root, shares=written.SHARES, **parameters):
    return written.card("vindr", root, shares=shares or {}, parameters={"finding": HEART} | parameters)


def records(root, **parameters):
    return written.by_id(card(root, **parameters))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("vindr")
    written.text(root / "train.csv", HEADER, *ROWS)
    ramp = np.tile(np.linspace(0, 4095, 100).astype(np.uint16), (100, 1))
    for name in (TWO, APART, ONE, NONE, OTHER):
        kind = "MONOCHROME1" if name == NONE else "MONOCHROME2"
        elements = {"PhotometricInterpretation": kind, "BitsStored": 12, "HighBit": 11}
        written.dicom(root / "train" / f"{name}.dicom", ramp, jpeg=False, **elements)
    return root


def test_what_two_of_three_readers_marked(root):
    found = records(root)
    assert {name: r.label for name, r in found.items()} == {TWO: 1, NONE: 0, OTHER: 0}
    assert found[TWO].truth == (Box(30, 25, 50, 60),)


def test_each_reader_is_kept_apart(root):
    found = records(root)
    assert found[TWO].readers == {"R10": (Box(10, 20, 50, 60),), "R8": (Box(30, 25, 70, 80),), "R9": ()}
    assert found[NONE].readers == {"R1": (), "R2": (), "R3": ()}


@pytest.mark.parametrize("truth", ["mask", "box"])
def test_what_is_loaded(root, truth):
    made = written.card("vindr", root, truth, parameters={"finding": HEART, "validation": 0.5})
    split = LOADERS["vindr"].load(made, "train", None, 20, 0)
    truth_of = dict(zip(split.ids.tolist(), split.truth, strict=True))
    np.testing.assert_array_equal(truth_of[TWO], written.boxed(20, 20, (6, 5, 10, 12)))
    assert len(split.boxes) == (truth == "box")


def test_what_any_reader_marked(root):
    found = records(root, votes=1)
    assert {name: r.label for name, r in found.items()} == {TWO: 1, APART: 1, ONE: 1, NONE: 0, OTHER: 0}
    expected = written.boxed(100, 100, (10, 20, 50, 60), (30, 25, 70, 80))
    np.testing.assert_array_equal(written.drawn(found[TWO], 100, 100), expected)


def test_the_test_images_have_boxes_of_all_readers_together(root):
    rows = (f"{ONE},{HEART},5.0,5.0,15.0,15.0", f"{NONE},No finding,,,,")
    written.text(root / "annotations_test.csv", "image_id,class_name,x_min,y_min,x_max,y_max", *rows)
    lines = [line for line in ROWS if line[:32] not in (ONE, NONE)]
    lines += [f"{number},No finding,14,R{reader},,,," for number in range(20) for reader in range(3)]
    written.text(root / "train.csv", HEADER, *lines)
    shutil.copytree(root / "train", root / "test")
    for number in range(20):
        shutil.copy(root / "train" / f"{OTHER}.dicom", root / "train" / f"{number}.dicom")
    splits = {"train": "train.csv", "test": "annotations_test.csv"}
    fields = {"tables": splits, "images": {split: split for split in splits}}
    found = {r.id: r for r in LOADERS["vindr"].records(card(root, None, **fields, validation=0.25))}
    assert {name for name, r in found.items() if r.label} == {TWO, ONE}
    assert (found[ONE].readers, len(found[TWO].readers)) == ({}, 3)
    assert {name for name, r in found.items() if r.split == "test"} == {ONE, NONE}
    assert sum(r.split == "val" for r in found.values()) == 5
    assert sum(r.split == "train" for r in found.values()) == 17


def test_against_torchxrayvision(root):
    """Its labels and masks are those of any reader; it cannot read MONOCHROME1 without a window, which ours turns."""
    theirs = written.torchxrayvision()
    other = theirs.VinDr_Dataset(str(root / "train"), str(root / "train.csv"), pathology_masks=True)
    found, finding = records(root, votes=1), other.pathologies.index(HEART)
    for index, name in enumerate(other.csv.image_id):
        assert other.labels[index, finding] == found[name].label
    sample = other[other.csv.image_id.tolist().index(TWO)]
    np.testing.assert_array_equal(sample["pathology_masks"][finding][0] > 0, written.drawn(found[TWO], 100, 100))
    with pytest.raises(OverflowError):
        other[other.csv.image_id.tolist().index(NONE)]
    inverted, plain = (images.read(found[name].file).astype(int) for name in (NONE, TWO))
    np.testing.assert_array_equal(inverted, 255 - plain)


def test_counts_of_images_in_which_readers_disagree(root):
    whole = {"images": 5, "positive": 1, "contested": 2}
    assert records(root, published={"Kaggle": whole})
    with pytest.raises(SaltrustError, match="5 images, 1 positive, 2 contested, but .* Kaggle: 15000 images"):
        records(root, published={"Kaggle": {"images": 15000}})


def table(old, new):
    return lambda root: written.replace(root / "train.csv", old, new)


BAD = {
    "an unknown finding": ({"finding": "Cardiomegali"}, None, "finding 'Cardiomegali'; did you mean 'Cardiomegaly'"),
    "no table": ({"tables": {"train": "annotations.csv"}}, None, "no file .*annotations.csv"),
    "no column": ({}, table("x_max", "width"), "no column 'x_max'"),
    "no box": ({}, table("10.0,20.0,50.0,60.0", ",,,"), "line 2: Cardiomegaly without a box"),
    "half a box": ({}, table("10.0,20.0,50.0,60.0", "10.0,20.0,,60.0"), "line 2: a box needs four numbers"),
    "right of its end": ({}, table("10.0,20.0,50.0,60.0", "50.0,20.0,10.0,60.0"), "line 2: .*must not be negative"),
    "no width": ({}, table("10.0,20.0,50.0,60.0", "10.0,20.0,10.0,60.0"), "line 2: .*a width and a height above 0"),
    "no image": ({}, lambda root: (root / f"train/{NONE}.dicom").unlink(), "1 of 3 images are not on this machine"),
    "another suffix": ({"suffix": ".png"}, None, "3 of 3 images are not on this machine"),
    "a path for a name": ({}, table(NONE, "../../x"), "leaves the data folder"),
    "no votes": ({"votes": 0}, None, "parameters.votes: .*greater than or equal to 1"),
    "all for validation": ({"validation": 1.0}, None, "parameters.validation: .*less than 1"),
    "other splits": ({"images": {"test": "test"}}, None, "'tables' and 'images' must name the same splits"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    parameters, spoil, message = BAD[case]
    if spoil:
        spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)
