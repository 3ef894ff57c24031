"""NIH ChestX-ray14: findings in one cell, boxes in a list with an odd header, most positives without a box."""

import shutil

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.shapes import Box
from tests.datasets import written

BOXED, SAME, PLAIN, CLEAR, AGAIN, OTHER = (
    f"0000000{p}_00{n}.png" for p, n in ((1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (4, 0))
)
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
ROWS = {
    BOXED: ("Cardiomegaly|Infiltration", 1, "PA"),
    SAME: ("Infiltration", 1, "PA"),
    PLAIN: ("Cardiomegaly", 2, "PA"),
    CLEAR: ("No Finding", 3, "PA"),
    AGAIN: ("No Finding", 3, "AP"),
    OTHER: ("Pleural_Thickening", 4, "PA"),
}
TABLE, BOXES = "Data_Entry_2017.csv", "BBox_List_2017.csv"


def records(root, finding="Cardiomegaly", **parameters):
    parameters = {"finding": finding, "negatives": 0} | parameters
    card = written.card("nih", root, "box", shares=written.SHARES, parameters=parameters)
    return written.by_id(card)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("nih")
    rows = [f"{name},{words},0,{p},57,M,{view},2682,2749,0.143,0.143," for name, (words, p, view) in ROWS.items()]
    written.text(root / TABLE, HEADER, *rows)
    boxes = [
        f"{BOXED},Cardiomegaly,225.5,547.25,86.5,79.25",
        f"{BOXED},Infiltrate,10,20,30.9,40",
        f"{SAME},Infiltrate,1,2,3,4",
    ]
    written.text(root / BOXES, "Image Index,Finding Label,Bbox [x,y,w,h],,,", *(f"{row},,," for row in boxes))
    for n, name in enumerate(ROWS):
        written.picture(root / f"images_00{n % 2 + 1}" / "images" / name, np.full((1024, 1024), 90, np.uint8))
    written.text(root / "test_list.txt", BOXED, CLEAR)
    return root


def test_a_positive_without_a_box_is_not_used(root):
    found = records(root)
    assert {name: r.label for name, r in found.items()} == {BOXED: 1, SAME: 0, CLEAR: 0, AGAIN: 0, OTHER: 0}
    assert found[BOXED].truth == (Box(225.5, 547.25, 312, 626.5),)
    assert [found[name].group for name in (BOXED, SAME, CLEAR, AGAIN)] == ["1", "1", "3", "3"]


def test_the_list_of_boxes_calls_infiltration_infiltrate(root):
    found = records(root, "Infiltration")
    assert found[SAME].truth == (Box(1, 2, 4, 6),)
    assert found[PLAIN].label == 0


def test_negatives_may_be_those_without_any_finding_or_of_one_list(root):
    assert set(records(root, without="No Finding")) == {BOXED, CLEAR, AGAIN}
    assert set(records(root, only="test_list.txt")) == {BOXED, CLEAR}


def test_negatives_are_drawn_by_their_names_alone(root):
    drawn = set(records(root, negatives=2))
    assert len(drawn) == 3
    assert BOXED in drawn
    lines = (root / TABLE).read_text().splitlines()
    written.text(root / TABLE, lines[0], *lines[:0:-1])
    assert set(records(root, negatives=2)) == drawn


def test_against_torchxrayvision(root):
    """Labels and patients agree where it has an image; masks do to the whole pixels that it cuts boxes to."""
    theirs = written.torchxrayvision()
    (root / "flat").mkdir()
    for file in root.glob("images_*/images/*.png"):
        shutil.copy(file, root / "flat")
    files = (str(root / "flat"), str(root / TABLE), str(root / BOXES))
    assert len(theirs.NIH_Dataset(*files)) == 4  # one image a patient, PA only
    other = theirs.NIH_Dataset(*files, views=["PA", "AP"], unique_patients=False, pathology_masks=True)
    found, finding = records(root, images="images_001", part=True), other.pathologies.index("Cardiomegaly")
    found |= records(root, images="images_002", part=True)
    for index, row in other.csv.iterrows():
        if row["Image Index"] == PLAIN:
            assert other.labels[index, finding] == 1
            assert finding not in other[index]["pathology_masks"]  # it has the finding, and no truth
            continue
        record = found[row["Image Index"]]
        assert (other.labels[index, finding], row.patientid) == (record.label, record.group)
    theirs_mask = other[0]["pathology_masks"][finding][0] > 0
    ours = written.drawn(found[BOXED], 1024, 1024)
    assert (theirs_mask != ours).sum() <= 2 * (87 + 80)  # at most a pixel along each edge
    assert ours.sum() == 87 * 79 or abs(ours.sum() - 86.5 * 79.25) < 87 + 80


def test_counts_as_published(root):
    assert records(root, published={"2017": {"images": 6, "positive": 2, "boxed": 1}})
    with pytest.raises(
        SaltrustError, match="has 6 images, 2 positive, 1 boxed, but was published with 2017: 880 boxed"
    ):
        records(root, published={"2017": {"boxed": 880}})


def table(old, new):
    return lambda root: written.replace(root / TABLE, old, new)


def boxes(old, new):
    return lambda root: written.replace(root / BOXES, old, new)


def small(root):
    written.picture(next(root.rglob(BOXED)), np.zeros((224, 224), np.uint8))


BAD = {
    "no finding": ({"finding": "Cardiomegali"}, None, "finding with boxes 'Cardiomegali'; did you mean 'Cardiomegaly'"),
    "a finding without boxes": ({"finding": "Hernia"}, None, "unknown finding with boxes 'Hernia'"),
    "no table": ({"table": "Data_Entry.csv"}, None, "no file .*Data_Entry.csv"),
    "no column": ({}, table("Patient ID", "Patient"), "no column 'Patient ID'"),
    "the other header": ({}, boxes("Bbox [x,y,w,h],,,", "x,y,w,h,,,"), r"no column 'Bbox \[x'"),
    "no finding and one": ({}, table("No Finding", "No Finding|Mass"), "line 5: .*'No Finding' among its findings"),
    "two rows": ({}, table(AGAIN, BOXED), "line 6: .* has another patient or other findings in another line"),
    "a box of no image": ({}, boxes(f"{BOXED},Card", f"{OTHER}x,Card"), "line 2: .*lacks the image"),
    "a box of no label": ({}, boxes(f"{BOXED},Card", f"{OTHER},Card"), "line 2: a box around Cardiomegaly, which"),
    "an empty box": ({}, boxes("225.5,547.25,86.5,79.25", ",,,"), "line 2: the box is empty"),
    "a negative height": ({}, boxes("79.25", "-79.25"), "line 2: .*must not be negative"),
    "no image": ({}, lambda root: next(root.rglob(CLEAR)).unlink(), f"1 of 5 images are not .*{CLEAR}"),
    "another size": ({}, small, "has 224 x 224 pixels"),
    "twice": ({}, lambda root: shutil.copy(next(root.rglob(CLEAR)), root), f"two images are called {CLEAR}"),
    "no list": ({"only": "train.txt"}, None, "no file .*train.txt"),
    "no finding given": ({"finding": None}, None, "parameters.finding"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    parameters, spoil, message = BAD[case]
    if spoil:
        spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)
