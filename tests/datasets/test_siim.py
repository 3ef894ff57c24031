"""SIIM-ACR: runs relative to each other down the columns, several rows an image, nested folders, -1 for none."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.loaders import LOADERS
from tests.datasets import written

UID = "1.2.276.0.7230010.3.1.4.8323329.{}.1517875201.850819"
FIRST = written.boxed(1024, 1024, (300, 100, 420, 260))
SECOND = written.boxed(1024, 1024, (700, 500, 705, 640))
LEFT, RIGHT, CLEAR, PLAIN, INVERTED, UNLABELLED = (UID.format(n) for n in (11, 12, 13, 14, 15, 99))


def card(root, **fields):
    return written.card("siim", root, **({"shares": written.SHARES} | fields))


def records(root, **parameters):
    return written.by_id(card(root, parameters=parameters))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """One image with two masks, one of them in two equal rows; one mask; three without; one file without a row."""
    root = tmp_path_factory.mktemp("siim")
    rows = [
        f"{CLEAR},-1",
        f"{LEFT},{written.relative_runs(FIRST)}",
        f"{RIGHT},{written.relative_runs(SECOND)}",
        f"{LEFT},{written.relative_runs(SECOND)}",
        f"{LEFT},{written.relative_runs(FIRST)}",
        f"{PLAIN}, -1",
        f"{INVERTED},-1",
    ]
    written.text(root / "train-rle.csv", "ImageId, EncodedPixels", *rows)
    grey = np.tile(np.linspace(0, 255, 1024).astype(np.uint8), (1024, 1))
    for uid, patient in ((LEFT, "a"), (RIGHT, "a"), (CLEAR, "b"), (PLAIN, "c"), (INVERTED, ""), (UNLABELLED, "d")):
        file = root / "dicom-images-train" / f"study {uid}" / "series" / f"{uid}.dcm"
        kind = "MONOCHROME1" if uid == INVERTED else "MONOCHROME2"
        written.dicom(file, grey, patient, PhotometricInterpretation=kind)
    return root


def test_masks_of_all_rows_are_joined_and_equal_rows_count_once(root):
    found = records(root)
    assert {uid: r.label for uid, r in found.items()} == {LEFT: 1, RIGHT: 1, CLEAR: 0, PLAIN: 0, INVERTED: 0}
    assert len(found[LEFT].truth) == 2
    np.testing.assert_array_equal(written.drawn(found[LEFT], 1024, 1024), FIRST | SECOND)
    np.testing.assert_array_equal(written.drawn(found[RIGHT], 1024, 1024), SECOND)


def test_the_patient_is_that_of_the_header(root):
    found = records(root)
    assert (found[LEFT].group, found[RIGHT].group, found[INVERTED].group) == ("a", "a", INVERTED)
    assert found[LEFT].split == found[RIGHT].split


def test_flat_folders_work_like_nested_ones(root):
    for file in list(root.rglob("*.dcm")):
        file.rename(root / file.name)
    assert len(records(root)) == 5


def test_against_torchxrayvision(root):
    """Its label and mask of an image with one row are ours; of one with several it keeps the last row's mask only."""
    theirs = written.torchxrayvision()
    other = theirs.SIIM_Pneumothorax_Dataset(str(root), str(root / "train-rle.csv"), pathology_masks=True)
    found, rows = records(root), {row.ImageId: index for index, row in other.csv.iterrows()}
    assert len(other) == 7
    assert len(found) == 5
    sample = other[rows[RIGHT]]
    np.testing.assert_array_equal(sample["pathology_masks"][0][0] > 0, written.drawn(found[RIGHT], 1024, 1024))
    assert sample["lab"] == found[RIGHT].label
    lost = other[rows[LEFT]]["pathology_masks"][0][0] > 0
    assert (written.drawn(found[LEFT], 1024, 1024) & ~lost).sum() > 0
    as_stored = other[rows[INVERTED]]["img"][0]  # -1024 to 1024, black where the file says white
    assert np.corrcoef(as_stored.ravel(), images.read(found[INVERTED].file).ravel())[0, 1] == pytest.approx(
        -1, abs=0.01
    )
    assert other.labels[rows[PLAIN]] == 1  # it takes " -1", as the competition's first table had it, for a mask


def test_splits_as_published_are_counted(root):
    splits = (f"0,{LEFT},train", f"1,{CLEAR},train", f"2,{RIGHT},val", f"3,{PLAIN},test")
    written.text(root / "splits.csv", ",Image_ID,Split", *splits)
    counts = {"train": (2, 1), "val": (1, 1), "test": (1, 0)}
    fields = {
        "shares": {},
        "parameters": {"splits": "splits.csv"},
        "counts": {split: {"images": n, "positive": m} for split, (n, m) in counts.items()},
    }
    split = LOADERS["siim"].load(card(root, **fields), "train", None, 64, 0)
    assert split.labels.tolist() == [0, 1]
    assert split.truth[1].sum() == pytest.approx((FIRST | SECOND).sum() / 256, rel=0.1)
    two = LOADERS["siim"].load(
        card(root, **fields, classes=("normal", "pneumothorax"), absent="normal"), "train", None, 64, 0
    )
    assert (two.classes, two.absent, two.labels.tolist()) == (("normal", "pneumothorax"), 0, [0, 1])
    fields["counts"]["val"]["positive"] = 0
    with pytest.raises(SaltrustError, match="split 'val' has 1 images, 1 with finding; the card counts 1 and 0"):
        LOADERS["siim"].load(card(root, **fields), "train", None, 64, 0)


def test_one_of_the_published_versions_must_fit(root):
    versions = {"stage 1": {"images": 4, "positive": 2}, "stage 2": {"images": 5, "positive": 2}}
    assert len(records(root, published=versions)) == 5
    versions["stage 2"]["images"] = 6
    with pytest.raises(SaltrustError, match="5 images, 2 positive, but .*stage 1: 4 images, 2 positive; stage 2: 6"):
        records(root, published=versions)
    assert len(records(root, published=versions, part=True)) == 5


def test_a_part_of_the_images_is_enough_if_the_card_says_so(root):
    for file in root.rglob(f"{CLEAR}.dcm"):
        file.unlink()
    with pytest.raises(SaltrustError, match="1 of 5 images are not on this machine, the first is .*part: true"):
        records(root)
    assert set(records(root, part=True)) == {LEFT, RIGHT, PLAIN, INVERTED}


def table(old, new):
    return lambda root: written.replace(root / "train-rle.csv", old, new)


def resized(root):
    written.dicom(next(root.rglob(f"{RIGHT}.dcm")), np.zeros((512, 512), np.uint8), "a")


def twice(root):
    written.dicom(root / f"{LEFT}.dcm", np.zeros((8, 8), np.uint8))


def broken(root):
    next(root.rglob(f"{CLEAR}.dcm")).write_bytes(b"not DICOM")


def nothing(root):
    for file in root.rglob("*.dcm"):
        file.unlink()


BAD = {
    "no table": (lambda root: (root / "train-rle.csv").unlink(), {}, "no file .*train-rle.csv"),
    "no column": (table(" EncodedPixels", " Mask"), {}, "no column 'EncodedPixels'; columns: ImageId, Mask"),
    "runs past the image": (table(f"{PLAIN}, -1", f"{PLAIN},1048570 10"), {}, "line 7: the runs reach pixel 1048580"),
    "a start without a length": (table(f"{PLAIN}, -1", f"{PLAIN},5 10 3"), {}, "line 7: .*of 3 numbers"),
    "no runs": (table(f"{PLAIN}, -1", f"{PLAIN},"), {}, "line 7: run-length code of 0 numbers"),
    "no number": (table(f"{PLAIN}, -1", f"{PLAIN},5 x"), {}, "line 7: .*'x': needs whole numbers"),
    "an empty run": (table(f"{PLAIN}, -1", f"{PLAIN},5 0"), {}, "line 7: .*lengths from 1"),
    "with and without": (table(f"{PLAIN}, -1", f"{LEFT},-1"), {}, "line 7: .*a mask in one row and none"),
    "two files": (twice, {}, r"two images are called 1\.2\.276"),
    "another size": (resized, {}, "has 512 x 512 pixels, but the truth of 'made-up' was drawn on 1024 x 1024"),
    "not DICOM": (broken, {}, "cannot be read as DICOM"),
    "nothing here": (nothing, {"part": True}, "5 of 5 images are not on this machine"),
    "a path for a name": (table(f"{PLAIN}, -1", "../../etc/passwd,-1"), {}, "leaves the data folder"),
    "an unknown parameter": (lambda root: None, {"tabel": "x"}, "loader 'siim' 'tabel'; did you mean 'table'"),
    "a wrong parameter": (lambda root: None, {"part": "perhaps"}, "card 'made-up': parameters.part: "),
    "an unknown count": (lambda root: None, {"published": {"v": {"image": 3}}}, "'image'; did you mean 'images'"),
    "no folder": (lambda root: None, {"images": "dicom"}, "no folder .*dicom"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    spoil, parameters, message = BAD[case]
    spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"1,{LEFT},training", "unknown split 'training'; did you mean 'train'"),
        (f"1,{LEFT},val", "is in 'train' already"),
    ],
)
def test_a_split_that_cannot_be(root, row, message):
    written.text(root / "splits.csv", ",Image_ID,Split", f"0,{LEFT},train", row)
    with pytest.raises(SaltrustError, match=f"splits.csv, line 3: .*{message}"):
        records(root, splits="splits.csv")
