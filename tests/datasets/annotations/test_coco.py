"""COCO against pycocotools; several readers and findings; what is wrong in a file is named."""

import json

import numpy as np
import pytest
from pycocotools import mask as codes
from pycocotools.coco import COCO

from saltrust.core.errors import SaltrustError
from saltrust.datasets import folder
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.shapes import Box
from tests.datasets import written
from tests.datasets.annotations.cards import SHARES, card


def masks():
    """A disc with an odd border, as COCO's two run-length codes."""
    y, x = np.mgrid[:20, :40] + 0.5
    disc = np.asfortranarray(((x - 25) ** 2 + (y - 9) ** 2 < 33).astype(np.uint8))
    flat = disc.ravel(order="F")
    runs = np.diff(np.r_[0, np.flatnonzero(np.diff(flat)) + 1, flat.size]).tolist()
    return disc, codes.encode(disc)["counts"].decode(), runs


def coco_file():
    """Annotations of a (two polygons of one lesion, and a scar) and c (a disc twice); none of b."""
    _, compressed, runs = masks()
    lesion = {"image_id": 7, "category_id": 1, "bbox": [2, 3, 10.5, 4], "iscrowd": 0}
    polygons = [[2, 3, 12.4, 3, 12.4, 7, 2, 7], [20.2, 10.1, 30.3, 10.4, 25.7, 18.2]]
    return {
        "images": [
            {"id": n, "file_name": f"{f}.png", "width": 40, "height": 20} for n, f in ((7, "a"), (8, "b"), (9, "c"))
        ],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 5, "name": "scar"}],
        "annotations": [
            lesion | {"id": 1, "segmentation": polygons},
            lesion | {"id": 2, "category_id": 5, "bbox": [0, 0, 5, 5], "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]},
            lesion | {"id": 3, "image_id": 9, "segmentation": {"size": [20, 40], "counts": compressed}},
            lesion | {"id": 4, "image_id": 9, "segmentation": {"size": [20, 40], "counts": runs}, "iscrowd": 1},
        ],
    }


def write_coco(root, change=lambda content: None):
    content = coco_file()
    change(content)
    (root / "a.json").write_text(json.dumps(content))


def test_coco_masks_are_those_of_pycocotools(pictures):
    write_coco(pictures)
    records = {record.id: record for record in folder.records(card(pictures, "coco", "mask", "a.json"))}
    assert {name: record.label for name, record in records.items()} == {
        "images/a.png": 1,
        "images/b.png": 0,
        "images/c.png": 1,
    }
    theirs = COCO(pictures / "a.json")
    disc, _, _ = masks()
    for shape in records["images/c.png"].truth:
        np.testing.assert_array_equal(shape.drawn(40, 20), disc > 0)
    for shape, entry in zip(records["images/a.png"].truth, theirs.loadAnns([1, 2]), strict=True):
        np.testing.assert_array_equal(shape.drawn(40, 20)[:8, :19], theirs.annToMask(entry)[:8, :19] > 0)
        # which draws slanted borders on a finer grid
        assert (shape.drawn(40, 20) ^ (theirs.annToMask(entry) > 0)).sum() <= 6


def test_coco_boxes_and_the_categories_that_are_the_finding(pictures):
    write_coco(pictures)
    a, b, c = folder.records(card(pictures, "coco", "box", "a.json", positive=["lesion"]))
    assert a.truth == (Box(2, 3, 12.5, 7),)
    assert (a.label, b.label, c.label) == (1, 0, 1)
    assert b.truth == ()
    a, b, c = folder.records(card(pictures, "coco", "box", "a.json", positive=["scar"]))
    assert a.truth == (Box(0, 0, 5, 5),)
    assert (a.label, b.label, c.label) == (1, 0, 0)
    assert c.truth == ()


@pytest.fixture
def read(tmp_path):
    """Two DICOM images and a PNG, 40 x 20 pixels; in the first, three readers drew a box, a polygon and a mask around
    the lesion, in the second one did, and one drew a scar there; in the third no one drew anything."""
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        ramp = np.tile(np.linspace(0, 4095, 40).astype(np.uint16), (20, 1))
        written.dicom(tmp_path / "images" / f"{name}.dcm", ramp, jpeg=False, BitsStored=12, HighBit=11)
    written.picture(tmp_path / "images/c.png", np.full((20, 40), 90, np.uint8))
    box = written.boxed(20, 40, (10, 5, 20, 15))
    code = codes.encode(np.asfortranarray(box.astype(np.uint8)))["counts"].decode()
    lesion = {"image_id": 1, "category_id": 1, "annotator_id": "rad1", "bbox": [8, 5, 10, 10]}
    content = {
        "images": [{"id": n, "file_name": f} for n, f in enumerate(("a.dcm", "b.dcm", "c.png"), 1)],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "scar"}],
        "annotations": [
            lesion | {"segmentation": [[8, 5, 18, 5, 18, 15, 8, 15]]},
            lesion
            | {"annotator_id": "rad2", "bbox": [10, 5, 10, 10], "segmentation": {"size": [20, 40], "counts": code}},
            lesion | {"annotator_id": 3, "bbox": [0, 0, 12, 20], "segmentation": [[0, 0, 12, 0, 12, 20, 0, 20]]},
            lesion | {"image_id": 2, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]], "bbox": [0, 0, 4, 4]},
            lesion | {"image_id": 2, "category_id": 2, "segmentation": [[0, 0, 4, 0, 4, 4]], "bbox": [0, 0, 4, 4]},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    return tmp_path


def read_card(root, truth="mask", votes=2, fields=(), **annotations):
    return card(root, "coco", truth, "a.json", reader="annotator_id", votes=votes, fields=fields, **annotations)


@pytest.mark.parametrize("truth", ["mask", "box"])
def test_annotators_are_readers(read, truth):
    """What two of three marked is the truth; b, which one marked, is left out."""
    a, c = folder.records(read_card(read, truth, positive=["lesion"]))
    assert [a.id, c.id] == ["images/a.dcm", "images/c.png"]
    assert (a.label, c.label, c.truth) == (1, 0, ())
    np.testing.assert_array_equal(written.drawn(a, 20, 40), written.boxed(20, 40, (10, 5, 18, 15), (8, 5, 12, 15)))
    assert list(a.readers) == ["3", "rad1", "rad2"]
    assert {name: len(shapes) for name, shapes in c.readers.items()} == {"3": 0, "rad1": 0, "rad2": 0}


def test_readers_and_findings_of_dicom_and_png_become_a_split(read):
    fields = {"shares": {}, "findings": ("lesion", "scar")}
    (read / "none.json").write_text(
        json.dumps(json.loads((read / "a.json").read_text()) | {"images": [], "annotations": []})
    )
    files = {"train": "a.json", "val": "none.json", "test": "none.json"}
    made = card(read, "coco", "mask", files, reader="annotator_id", votes=1, fields=fields)
    with pytest.raises(SaltrustError, match="none.json: the card wants 1 votes, and 'annotator_id' names 0: nobody"):
        LOADERS["folder"].load(made, "train", None, 20, 0)
    one = made.model_copy(update={"annotations": made.annotations.model_copy(update={"files": "a.json"})})
    one = one.model_copy(update={"shares": {"train": 1.0}})
    split = LOADERS["folder"].load(one, "train", None, 20, 0)
    assert split.pixels.shape == (3, 20, 20)
    assert split.labels.tolist() == [1, 1, 0]
    assert split.findings.present.tolist() == [[True, False], [True, True], [False, False]]
    assert split.readers.names == ("3", "rad1", "rad2")
    assert split.readers.read.all()
    np.testing.assert_array_equal(split.readers.drawn("rad2")[0], written.boxed(20, 20, (5, 5, 10, 15)))
    np.testing.assert_array_equal(split.findings.truth("lesion")[1], written.boxed(20, 20, (0, 0, 2, 4)))
    truths = [split.findings.truth(name) for name in ("lesion", "scar")]
    np.testing.assert_array_equal(np.any(truths, axis=0), split.truth)


def test_a_category_is_a_label_where_the_card_wants_labels_alone(read):
    content = json.loads((read / "a.json").read_text())
    for entry in content["annotations"]:
        del entry["segmentation"], entry["bbox"]
    (read / "a.json").write_text(json.dumps(content))
    found = folder.records(card(read, "coco", "none", "a.json", fields={"findings": ("scar", "lesion")}))
    assert [(record.label, record.truth, sorted(record.findings)) for record in found] == [
        (1, None, ["lesion"]),
        (1, None, ["lesion", "scar"]),
        (0, None, []),
    ]


BAD_READERS = {
    "no annotator": ({"reader": "user"}, r"a.json: annotations\[0\]: needs 'user', a number or text"),
    "too few": ({"votes": 4}, "a.json: the card wants 4 votes, and 'annotator_id' names 3: 3, rad1, rad2"),
    "no category": ({"fields": {"findings": ("lesion", "scarr")}}, "category 'scarr'; did you mean 'scar'"),
}


@pytest.mark.parametrize("case", BAD_READERS)
def test_what_is_wrong_with_readers_or_findings_is_named(read, case):
    changes, message = BAD_READERS[case]
    given = {"reader": "annotator_id", "votes": 2} | changes
    with pytest.raises(SaltrustError, match=message):
        folder.records(card(read, "coco", "mask", "a.json", **given))


def test_one_file_for_each_split(pictures):
    for name, number in zip(SHARES, (7, 8, 9), strict=True):
        content = coco_file()
        content["images"] = [entry for entry in content["images"] if entry["id"] == number]
        content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] == number]
        (pictures / f"{name}.json").write_text(json.dumps(content))
    files = {split: f"{split}.json" for split in SHARES}
    found = LOADERS["folder"].records(card(pictures, "coco", "box", files, fields={"shares": {}}))
    assert [record.split for record in found] == ["train", "val", "test"]


def test_categories_are_classes(pictures):
    def one(content):
        content["annotations"][:2] = [content["annotations"][1]]

    write_coco(pictures, one)
    three = {"classes": ("nothing", "lesion", "scar"), "absent": "nothing"}
    found = folder.records(card(pictures, "coco", "box", "a.json", fields=three))
    assert [record.label for record in found] == [2, 0, 1]


def test_a_split_is_read_from_annotations(pictures):
    write_coco(pictures)
    files = dict.fromkeys(SHARES, "a.json")
    whole = card(pictures, "coco", "mask", files, fields={"shares": {}})
    with pytest.raises(SaltrustError, match=r"two images are called images/a\.png"):
        LOADERS["folder"].records(whole)
    found = LOADERS["folder"].records(card(pictures, "coco", "mask", "a.json"))
    used = next(record.split for record in found if record.id == "images/c.png")
    split = LOADERS["folder"].load(card(pictures, "coco", "mask", "a.json"), used, None, 20, 0)
    assert split.truth[split.ids.tolist().index("images/c.png")].any()


def _drop(name):
    return lambda content: content.pop(name)


def _put(entry, **values):
    return lambda content: content["annotations"][entry].update(values)


def _image(**values):
    return lambda content: content["images"][0].update(values)


NAN = float("nan")


@pytest.mark.parametrize(
    ("truth", "change", "message"),
    [
        ("box", _drop("images"), r"a\.json: not COCO: needs a list 'images' of objects"),
        ("box", _drop("annotations"), "not COCO: needs a list 'annotations' of objects"),
        ("box", _drop("categories"), "not COCO: needs a list 'categories' of objects"),
        ("box", lambda c: c["images"].append(3), "not COCO: needs a list 'images' of objects"),
        ("box", _image(id=8), "two of the images have the id 8"),
        ("box", _image(id=[7]), "needs 'id', a number or text"),
        ("box", _put(2, image_id=99), r"annotations\[2\]: image_id 99 is not among the images"),
        ("box", _put(2, category_id=3), r"annotations\[2\]: category_id 3 is not among the categories"),
        ("box", _put(2, image_id=None), r"annotations\[2\]: needs 'image_id', a number or text"),
        ("box", _put(1, bbox=[1, 2, 3]), r"annotations\[1\]: 'bbox' must be 4 numbers"),
        ("box", _put(1, bbox=[1, 2, 3, "4"]), r"annotations\[1\]: 'bbox' must be 4 numbers"),
        ("box", _put(1, bbox=[1, 2, 3, NAN]), r"annotations\[1\]: 'bbox' must be 4 numbers"),
        ("box", _put(1, bbox=[1, 2, 3, 10**400]), r"annotations\[1\]: 'bbox' must be 4 numbers"),
        ("box", _put(1, bbox=[1, 2, -3, 4]), r"annotations\[1\]: box with edges 1, 2, -2, 6: its width and height"),
        ("mask", _put(1, segmentation=None), "has no 'segmentation', and the card's truth is 'mask'"),
        ("mask", _put(1, segmentation=[[1, 2, 3, 4]]), r"annotations\[1\]: polygon of 2 points: needs three"),
        ("mask", _put(1, segmentation=[1, 2, 3, 4, 5, 6]), "a polygon of 'segmentation' must be a list of numbers"),
        ("mask", _put(3, segmentation={"size": [20, 40], "counts": [1, 2]}), r"\[3\]: COCO mask of 3 pixels"),
        (
            "mask",
            _put(3, segmentation={"size": [20, 40], "counts": [NAN]}),
            "the 'counts' of a mask must be a list of whole numbers",
        ),
        ("mask", _put(3, segmentation={"size": [20, 40]}), "the 'counts' of a mask must be a list of whole numbers"),
        ("mask", _put(3, segmentation={"counts": "0"}), "the 'size' of a mask must be 2 whole numbers"),
        ("box", _image(width=41), r"image 7: the size stated of .*a\.png is 41 x 20, its image 40 x 20"),
        ("box", _image(width="40"), "image 7: 'width' and 'height' must be 2 numbers"),
        ("box", _image(file_name="../../a.png"), r"image 7: '\.\./a\.png' leaves the data folder"),
        ("box", _image(file_name="/etc/passwd"), "image 7: '/etc/passwd' is absolute"),
        ("box", _image(file_name=None), "image 7: needs 'file_name', a number or text"),
    ],
)
def test_wrong_coco_files_are_refused(pictures, truth, change, message):
    write_coco(pictures, change)
    with pytest.raises(SaltrustError, match=message) as error:
        folder.records(card(pictures, "coco", truth, "a.json"))
    assert "a.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "a.json: not JSON: Expecting property name .*line 1 column 2"),
        (b"\x80\x04\x95pickle", "a.json: not JSON: 'utf-8' codec"),
        (b"[]", "a.json: not COCO: needs a list 'categories' of objects"),
        (b"[" * 100_000, "a.json: not JSON: maximum recursion depth"),
    ],
)
def test_what_is_no_json_is_refused(pictures, content, message):
    (pictures / "a.json").write_bytes(content)
    with pytest.raises(SaltrustError, match=message):
        folder.records(card(pictures, "coco", "box", "a.json"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ("nothing", "lesion", "scar"), "absent": "nothing"}, "a.png has annotations of several classes"),
        ({"classes": ("nothing", "lesion"), "absent": "nothing"}, "unknown class 'scar'"),
        ({"classes": ("scar", "lesion", "spot")}, "a.png has annotations of several classes"),
        ({"annotations": {"positive": ["leison"]}}, "unknown category 'leison'; did you mean 'lesion'"),
        ({"annotations": {"files": "b.json"}}, r"'made-up' is not on this machine: no file .*b\.json"),
        ({"annotations": {"files": "../b.json"}}, r"'\.\./b\.json' leaves the data folder"),
        ({"annotations": {"images": "nowhere"}}, "no folder .*nowhere"),
        ({"annotations": {"images": dict.fromkeys(SHARES, "images")}}, "annotations.images: needs the splits of"),
        ({"annotations": {"files": {"train": "a.json"}}, "shares": {}}, "annotations.files: lacks test, val"),
    ],
)
def test_a_card_that_does_not_fit_its_annotations_is_refused(pictures, fields, message):
    write_coco(pictures)
    annotations = {"format": "coco", "files": "a.json", "images": "images"} | fields.get("annotations", {})
    with pytest.raises(SaltrustError, match=message):
        folder.records(card(pictures, "coco", "box", "", fields=fields | {"annotations": annotations}))


def test_an_image_without_annotation_needs_a_class_for_it(pictures):
    write_coco(pictures, lambda content: content["annotations"].pop(0))
    with pytest.raises(SaltrustError, match=r"b\.png has no annotation, and the card names no class as 'absent'"):
        folder.records(card(pictures, "coco", "box", "a.json", fields={"classes": ("lesion", "scar")}))
