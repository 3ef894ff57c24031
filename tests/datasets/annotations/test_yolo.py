"""YOLO against boxes and polygons by hand; what is wrong in a file is named."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets import folder
from saltrust.datasets.shapes import Box
from tests.datasets.annotations.cards import card


def write_yolo(root, text="0 0.5 0.5 0.25 0.5\n1 0.05 0.1 0.1 0.2\n", classes="lesion\nscar\n"):
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / "a.txt").write_text(text)
    (root / "labels" / "b.txt").write_text("")
    if classes is not None:
        (root / "labels" / "classes.txt").write_text(classes)


def test_yolo_boxes_are_parts_of_the_image(pictures):
    write_yolo(pictures)
    a, b, c = folder.records(card(pictures, "yolo", "box", "labels"))
    assert a.truth == (Box(15, 5, 25, 15), Box(0, 0, 4, 4))
    assert [r.label for r in (a, b, c)] == [1, 0, 0]  # b has an empty file, c has none
    assert [r.id for r in (a, b, c)] == ["images/a.png", "images/b.png", "images/c.png"]
    assert folder.records(card(pictures, "yolo", "box", "labels", positive=["scar"]))[0].truth == (Box(0, 0, 4, 4),)


def test_yolo_polygons_are_masks_or_bounds(pictures):
    write_yolo(pictures, "0 0.25 0.5 0.75 0.5 0.75 1 0.25 1\n")
    as_mask = folder.records(card(pictures, "yolo", "mask", "labels"))[0].truth[0]
    np.testing.assert_array_equal(as_mask.drawn(40, 20), Box(10, 10, 30, 20).drawn(40, 20))
    assert folder.records(card(pictures, "yolo", "box", "labels"))[0].truth == (Box(10, 10, 30, 20),)


@pytest.mark.parametrize("names", ["[lesion, scar]", "{0: lesion, 1: scar}"])
def test_yolo_names_come_from_the_card_or_a_file(pictures, names):
    write_yolo(pictures, classes=None)
    with pytest.raises(SaltrustError, match="labels: categories without names; give the card 'names', or a file"):
        folder.records(card(pictures, "yolo", "box", "labels"))
    (pictures / "data.yaml").write_text(f"nc: 2\nnames: {names}\n")
    assert len(folder.records(card(pictures, "yolo", "box", "labels", positive=["scar"]))[0].truth) == 1
    own = card(pictures, "yolo", "box", "labels", names=["x", "y"], positive=["y"])
    assert len(folder.records(own)[0].truth) == 1


@pytest.mark.parametrize(
    ("truth", "text", "message"),
    [
        ("box", "0 0.5 0.5 0.2\n", r"a\.txt, line 1: 3 numbers after the category; a box has 4"),
        ("box", "0 0.5 0.5 0.2 0.2 0.9\n", "line 1: 5 numbers after the category; a box has 4"),
        ("box", "0 .1 .1 .2 .2\n0 0.5 0.5 20 0.2\n", "line 2: '0.5 0.5 20 0.2': needs parts of the image's width"),
        ("box", "0 0.5 0.5 nan 0.2\n", "line 1: 'nan' is not a number"),
        ("box", "0 0.5 0.5 -0.2 0.2\n", "line 1: '0.5 0.5 -0.2 0.2': needs parts of"),
        ("box", "0 0.5 0.5 a 0.2\n", "line 1: 'a' is not a number"),
        ("box", "2 0.5 0.5 0.2 0.2\n", "line 1: category '2' is not a number from 0 to 1"),
        ("box", "lesion 0.5 0.5 0.2 0.2\n", "line 1: category 'lesion' is not a number"),
        ("box", "0 .5 .5 .2 .2\n\n0 .5 .5 .2 .2", "line 2: category '' is not a number"),
        ("mask", "0 0.5 0.5 0.2 0.2\n", "line 1: a box, and the card's truth is 'mask', which needs a polygon"),
    ],
)
def test_wrong_yolo_lines_are_refused(pictures, truth, text, message):
    write_yolo(pictures, text)
    with pytest.raises(SaltrustError, match=message):
        folder.records(card(pictures, "yolo", truth, "labels"))


def test_yolo_files_need_their_images(pictures):
    write_yolo(pictures)
    (pictures / "labels" / "z.txt").write_text("")
    with pytest.raises(SaltrustError, match=r"z\.txt: no image of that name in .*images \(1 such\)"):
        folder.records(card(pictures, "yolo", "box", "labels"))
    with pytest.raises(SaltrustError, match=r"labels: no images \(\.png, \.jpg"):
        folder.records(card(pictures, "yolo", "box", "labels", "labels"))
    (pictures / "labels" / "a.txt").write_bytes(b"\xff\xfe")
    (pictures / "labels" / "z.txt").unlink()
    with pytest.raises(SaltrustError, match=r"a\.txt: not a text file"):
        folder.records(card(pictures, "yolo", "box", "labels"))
    (pictures / "labels" / "classes.txt").unlink()
    (pictures / "data.yaml").write_text("nc: 2\n")
    with pytest.raises(SaltrustError, match=r"data\.yaml: needs 'names', a list or numbered from 0"):
        folder.records(card(pictures, "yolo", "box", "labels"))
