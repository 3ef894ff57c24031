"""RSNA Pneumonia: one row a box, the classes in a second table, neither-nor images left out, patients from NIH."""

import json

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.shapes import Box
from tests.datasets import written

BOTH, ONE, NORMAL, OTHER, AP = "0043-a", "0070-b", "0031-c", "0004-d", "0056-e"
CLASSES = {BOTH: "Lung Opacity", ONE: "Lung Opacity", NORMAL: "Normal", AP: "Normal"}
CLASSES[OTHER] = "No Lung Opacity / Not Normal"
LABELS = "stage_2_train_labels.csv"
DETAILED = "stage_2_detailed_class_info.csv"


def card(root, **fields):
    return written.card("rsna", root, "box", **({"shares": written.SHARES} | fields))


def records(root, **parameters):
    return written.by_id(card(root, parameters=parameters))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """One image with two boxes, one with one in two equal rows, one neither normal nor pneumonia, two normal."""
    root = tmp_path_factory.mktemp("rsna")
    rows = [
        f"{OTHER},,,,,0",
        f"{NORMAL},,,,,0",
        f"{BOTH},264.0,152.0,213.0,379.0,1",
        f"{BOTH},562.0,152.5,256.0,453.0,1",
        f"{ONE},323.0,577.0,160.0,104.0,1",
        f"{ONE},323.0,577.0,160.0,104.0,1",
        f"{AP},,,,,0",
    ]
    written.text(root / LABELS, "patientId,x,y,width,height,Target", *rows)
    repeated = [f"{image},{CLASSES[image]}" for image in (OTHER, NORMAL, BOTH, BOTH, ONE, AP)]
    written.text(root / DETAILED, "patientId,class", *repeated)
    for image in CLASSES:
        written.dicom(root / "stage_2_train_images" / f"{image}.dcm", np.full((1024, 1024), 90, np.uint8), image)
    mapping = [{"subset_img_id": image, "img_id": f"0000000{n // 2}_00{n}.png"} for n, image in enumerate(CLASSES)]
    (root / "mapping.json").write_text(json.dumps(mapping))
    return root


def test_boxes_of_all_rows_and_only_the_classes_that_count(root):
    found = records(root)
    assert {image: r.label for image, r in found.items()} == {NORMAL: 0, BOTH: 1, ONE: 1, AP: 0}
    assert found[BOTH].truth == (Box(264, 152, 477, 531), Box(562, 152.5, 818, 605.5))
    assert found[ONE].truth == (Box(323, 577, 483, 681),)
    assert {image: r.label for image, r in records(root, other=True).items()}[OTHER] == 0


def test_every_image_is_a_patient_unless_the_organizers_say_whose_it_is(root):
    assert [r.group for r in records(root).values()] == list(records(root))
    found = records(root, patients="mapping.json")
    assert {image: r.group for image, r in found.items()} == {
        BOTH: "00000000",
        ONE: "00000000",
        NORMAL: "00000001",
        AP: "00000001",
    }
    assert found[BOTH].split == found[ONE].split


def test_boxes_as_the_authors_code_scales_them(root):
    """At 320 pixels the mask is bb_mask[y_min : y_max + 1, x_min : x_max + 1] = 1 with int(320 * int(c) / 1023)."""
    loader, fields = LOADERS["rsna"], {"protocols": {"as_run": {"boxes": "as_run"}}}
    exact, as_run = (
        loader.load(card(root, **fields).under(protocol), split, None, 320, 0)
        for protocol in ("corrected", "as_run")
        for split in [records(root)[BOTH].split]
    )
    theirs = np.zeros((320, 320), dtype=bool)
    for x, y, width, height in ((264.0, 152.0, 213.0, 379.0), (562.0, 152.5, 256.0, 453.0)):
        x0, y0, x1, y1 = (int(320 * (int(edge) / 1023)) for edge in (x, y, x + width, y + height))
        theirs[y0 : y1 + 1, x0 : x1 + 1] = True
    index = as_run.ids.tolist().index(BOTH)
    np.testing.assert_array_equal(as_run.truth[index], theirs)
    assert not np.array_equal(exact.truth[index], theirs)


def test_against_torchxrayvision(root):
    """Labels, patients and, to the whole pixel, masks agree; it has the image that is neither, and lacks AP films."""
    theirs = written.torchxrayvision()
    headers = [f"{n},{image},{'AP' if image == AP else 'PA'}" for n, image in enumerate(CLASSES)]
    written.text(root / "headers.csv", ",PatientID,ViewPosition", *headers)
    other = theirs.RSNA_Pneumonia_Dataset(
        str(root / "stage_2_train_images"), str(root / LABELS), str(root / "headers.csv"), extension=".dcm",
        pathology_masks=True,
    )  # fmt: skip
    found = records(root)
    assert set(other.csv.patientid) == set(found) - {AP} | {OTHER}
    for index, image in enumerate(other.csv.patientid):
        if image in found:
            sample = other[index]
            assert (sample["lab"] == found[image].label).all()
            if found[image].label:
                mask = sample["pathology_masks"][0][0] > 0
                assert (mask != written.drawn(found[image], 1024, 1024)).sum() <= 2 * 256  # of a box at y = 152.5


def test_splits_as_published(root):
    written.text(root / "s.csv", ",Image_ID,Split", *(f"0,{i}.png,{s}" for i, s in ((BOTH, "train"), (AP, "test"))))
    found = LOADERS["rsna"].records(card(root, parameters={"splits": "s.csv"}, shares={}))
    assert {r.id: r.split for r in found} == {BOTH: "train", AP: "test"}


def test_counts_are_those_after_leaving_out(root):
    assert records(root, published={"stage 2": {"images": 4, "positive": 2}})
    with pytest.raises(SaltrustError, match="5 images, 2 positive, but was published with stage 2: 4 images"):
        records(root, other=True, published={"stage 2": {"images": 4, "positive": 2}})


def labels(old, new):
    return lambda root: written.replace(root / LABELS, old, new)


def classes(old, new):
    return lambda root: written.replace(root / DETAILED, old, new)


def mapping(content):
    return lambda root: (root / "mapping.json").write_text(content)


BAD = {
    "no classes": (lambda root: (root / DETAILED).unlink(), {}, "no file .*detailed_class_info.csv"),
    "no column": (labels("Target", "Label"), {}, "no column 'Target'"),
    "a negative width": (labels("213.0", "-213.0"), {}, "labels.csv, line 4: .*must not be negative"),
    "no width": (labels("213.0", "0"), {}, "line 4: a box needs a width and a height above 0"),
    "half a box": (labels("213.0", ""), {}, "line 4: a box needs four numbers, not '264.0', '152.0', '', '379.0'"),
    "not finite": (labels("213.0", "inf"), {}, "line 4: .*'inf' is not a number"),
    "a label without a box": (labels(f"{NORMAL},,,,,0", f"{NORMAL},,,,,1"), {}, "line 3: Target is 1 but there is no"),
    "a box without a label": (labels("160.0,104.0,1", "160.0,104.0,0"), {}, "line 6: Target is 0 but there is a box"),
    "another label": (labels(f"{NORMAL},,,,,0", f"{NORMAL},,,,,2"), {}, "line 3: Target must be 0 or 1, not '2'"),
    "with and without": (labels(f"{AP},,,,,0", f"{ONE},,,,,0"), {}, "line 8: .*a box in one row and none"),
    "an unknown class": (classes("Normal", "Healthy"), {}, "unknown class"),
    "two classes": (classes(f"{NORMAL},Normal", f"{BOTH},Normal"), {}, "line 4: .* is 'Normal' in another line"),
    "no class": (classes(f"{NORMAL},Normal\n", ""), {}, f"lacks image {NORMAL}"),
    "class against boxes": (classes(f"{AP},Normal", f"{AP},Lung Opacity"), {}, "is 'Lung Opacity' .* has 0 boxes"),
    "no DICOM": (lambda root: (root / f"stage_2_train_images/{ONE}.dcm").unlink(), {}, f"1 of 4 images.*{ONE}"),
    "no folder": (lambda root: None, {"images": "train"}, "4 of 4 images are not on this machine"),
    "a path for a name": (
        lambda r: [labels(AP, "../../x")(r), classes(AP, "../../x")(r)],
        {},
        "leaves the data folder",
    ),
    "no mapping": (lambda root: None, {"patients": "m.json"}, "no file .*m.json"),
    "another mapping": (mapping('[{"id": 1}]'), {"patients": "mapping.json"}, "not a JSON list of subset_img_id"),
    "a mapping of others": (
        mapping('[{"subset_img_id": "x", "img_id": "1_0.png"}]'),
        {"patients": "mapping.json"},
        f"mapping.json: lacks 4 images, the first is {NORMAL}",
    ),
    "not JSON": (mapping("[{"), {"patients": "mapping.json"}, "mapping.json: not JSON"),
    "boxes otherwise": (
        lambda root: None,
        {"boxes": "scaled"},
        "parameters.boxes: Input should be 'exact' or 'as_run'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    spoil, parameters, message = BAD[case]
    spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)
