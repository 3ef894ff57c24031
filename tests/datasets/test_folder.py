"""The folder loader: anyone's images, table, masks and boxes through a card alone; what is wrong is named by line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import folder, loading
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.shapes import Box, MaskFile

BASE = {"name": "made-up", "finding": "square"}
COLUMNS = {"file": "t.csv", "image": "image", "label": "label", "split": "split"}
SPLITS = ("train", "val", "test")
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def card(root, truth="mask", columns=(), **fields):
    columns = COLUMNS | dict(columns)
    columns = {name: value for name, value in columns.items() if value}
    return Card(**BASE, truth=truth, get={"root": str(root), "source": "nowhere"}, table=columns, **fields)


def masked(root, **fields):
    return card(root, columns={"mask": "mask"} | fields.pop("columns", {}), **fields)


def boxed(root, **fields):
    edges = {"x": "x", "y": "y", "width": "w", "height": "h"}
    return card(root, "box", columns=edges | fields.pop("columns", {}), **fields)


def write(root, text):
    (root / "t.csv").write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")


@pytest.fixture
def squares(tmp_path):
    """24 images of 20 x 20, eight for each split, of which every second has a bright square with a mask file."""
    rows = []
    for i in range(24):
        image, mask = np.zeros((2, 20, 20), np.uint8)
        if i % 2:
            image[4:10, 2:12] = 200
            mask[4:10, 2:12] = 255
            Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        Image.fromarray(image).save(tmp_path / f"i{i}.png")
        rows.append((f"i{i}.png", i % 2, f"m{i}.png" if i % 2 else None, SPLITS[i // 8], i // 2))
    pd.DataFrame(rows, columns=["image", "label", "mask", "split", "patient"]).to_csv(tmp_path / "t.csv", index=False)
    return masked(tmp_path, counts={split: {"images": 8, "positive": 4} for split in SPLITS})


def test_images_masks_and_labels_become_a_split(squares):
    split = LOADERS["folder"].load(squares, "test", None, 10, 0)
    assert split.ids.tolist() == [f"i{i}.png" for i in range(16, 24)]
    assert split.labels.tolist() == [0, 1] * 4
    expected = np.zeros((10, 10), bool)
    expected[2:5, 1:6] = True
    np.testing.assert_array_equal(split.truth[1], expected)
    np.testing.assert_array_equal(split.pixels[1] > 100, expected)


def test_groups_and_shares_come_from_the_card(squares, tmp_path):
    grouped = masked(tmp_path, columns={"group": "patient", "split": None}, shares=SHARES)
    found = LOADERS["folder"].records(grouped)
    assert {record.id: record.group for record in found} == {f"i{i}.png": str(i // 2) for i in range(24)}
    split_of = {}
    for record in found:
        assert split_of.setdefault(record.group, record.split) == record.split
    assert set(split_of.values()) == set(SPLITS)


def test_without_labels_an_image_has_the_finding_where_it_has_truth(squares, tmp_path):
    found = folder.records(masked(tmp_path, columns={"label": None}))
    assert [record.label for record in found] == [0, 1] * 12


READ = """image,reader,x,y,w,h
a.png,r1,0,0,8,8
a.png,r2,4,0,8,8
a.png,r3,,,,
b.png,r1,,,,
b.png,r2,,,,
c.png,r1,0,0,2,2
c.png,r2,8,8,2,2
d.png,,,,,"""


def read(root, text=READ, **columns):
    for name in "abcd":
        Image.new("L", (20, 20)).save(root / f"{name}.png")
    write(root, text)
    columns = {"label": None, "split": None, "reader": "reader", "votes": 2} | columns
    return folder.records(boxed(root, columns=columns, shares=SHARES))


def test_a_row_for_each_reader_of_an_image(tmp_path):
    """What two marked is the truth; c, in which they marked other places, is left out; nobody read d."""
    a, b, d = read(tmp_path)
    assert (a.id, a.label, a.truth) == ("a.png", 1, (Box(4, 0, 8, 8),))
    assert a.readers == {"r1": (Box(0, 0, 8, 8),), "r2": (Box(4, 0, 12, 8),), "r3": ()}
    assert (b.label, b.readers) == (0, {"r1": (), "r2": ()})
    assert (d.label, d.readers) == (0, {})
    assert [record.id for record in read(tmp_path, votes=1)] == ["a.png", "b.png", "c.png", "d.png"]


def test_readers_are_named(tmp_path):
    with pytest.raises(SaltrustError, match=r"t.csv, line 2: column 'reader' is empty, and something is drawn"):
        read(tmp_path, READ.replace("a.png,r1", "a.png,"))
    with pytest.raises(SaltrustError, match=r"t.csv: the card wants 4 votes, and column 'reader' names 3 readers"):
        read(tmp_path, votes=4)


def found_by_words(root, text, separator="|", **fields):
    write(root, text)
    columns = {"split": None, "separator": separator}
    fields = {"findings": ("mass", "scar"), "shares": SHARES} | fields
    return folder.records(boxed(root, columns=columns, **fields))


def test_rows_name_findings_and_draw_them(tmp_path):
    a, b, c = found_by_words(
        tmp_path,
        """image,label,x,y,w,h
        a.png,mass,0,0,2,2
        a.png,mass|scar,5,5,2,2
        a.png,cyst,9,9,1,1
        b.png,none,,,,
        c.png,scar,0,0,2,2""",
    )
    first, second = Box(0, 0, 2, 2), Box(5, 5, 7, 7)
    assert a.findings == {"mass": (first, second), "scar": (second,)}
    assert (a.label, a.truth) == (1, (first, second))
    assert (b.label, b.truth, b.findings) == (0, (), {})
    assert c.findings == {"scar": (first,)}


def test_a_finding_that_no_row_names_is_told(tmp_path):
    with pytest.raises(SaltrustError, match="column 'label' has no row 'scar'; its values: mass"):
        found_by_words(tmp_path, "image,label,x,y,w,h\na.png,mass,0,0,2,2")


def test_a_finding_without_truth_is_told_by_its_name(tmp_path):
    text = "image,label,x,y,w,h\na.png,mass,0,0,2,2\na.png,scar,,,,"
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    (record,) = found_by_words(tmp_path, text)
    made = boxed(tmp_path, columns={"split": None}, findings=("mass", "scar"), shares=SHARES)
    with pytest.raises(SaltrustError, match="image a.png: is labelled scar but has no truth"):
        loading.load([replace(record, split="test")], made, "test", None, 10, 0)


LABELS = """image,mass,scar,split
a.png,1,1,train
b.png,0,0,train
c.png,1.0,0,val
d.png,0,1,test"""


def labels(root, text=LABELS):
    for name in "abcd":
        Image.new("L", (20, 20)).save(root / f"{name}.png")
    write(root, text)
    return card(root, "none", {"label": None}, findings=("mass", "scar"))


def test_labels_alone_of_several_findings(tmp_path):
    split = LOADERS["folder"].load(labels(tmp_path), "train", None, 10, 0)
    assert split.labels.tolist() == [1, 0]
    assert split.findings.present.tolist() == [[True, True], [False, False]]
    assert split.truth is None
    assert split.findings.bits is None


def test_a_label_that_is_none_is_told(tmp_path):
    with pytest.raises(SaltrustError, match="t.csv, line 3: scar '-1' must be 0 or 1"):
        folder.records(labels(tmp_path, LABELS.replace("b.png,0,0", "b.png,0,-1")))
    with pytest.raises(SaltrustError, match="no column 'mass'"):
        folder.records(labels(tmp_path, LABELS.replace("mass", "Mass")))


def test_folder_and_suffix_surround_the_name(tmp_path):
    write(tmp_path, "image,label,split,x,y,w,h\na,0,train,,,,\nb,0,val,,,,\nc,1,test,1,2,3,4")
    found = folder.records(boxed(tmp_path, columns={"folder": "x/y", "suffix": ".png"}))
    assert [record.file for record in found] == [tmp_path / "x/y" / f"{name}.png" for name in "abc"]
    assert [record.id for record in found] == ["a", "b", "c"]


def test_boxes_one_in_each_row_repeated_ones_once(tmp_path):
    write(
        tmp_path,
        """image,label,split,x,y,w,h
        a,1,train,4,2,8,10
        b,0,val,,,,
        a,1,train,36,16,10,10.5
        a,1,train,4,2,8,10
        c,0,test,,,,
        d,1,gap,1,1,1,1""",
    )
    a, b, c, d = folder.records(boxed(tmp_path))
    assert a.truth == (Box(4, 2, 12, 12), Box(36, 16, 46, 26.5))
    assert (a.split, b.split, c.split, d.split) == ("train", "val", "test", "")  # other words of split are not used
    assert b.truth == c.truth == ()
    write(tmp_path, "image,label,split,x,y,r,b\na,1,train,4,2,8,10\nb,0,val,,,,\nc,0,test,,,,")
    corners = {"width": None, "height": None, "right": "r", "bottom": "b"}
    assert folder.records(boxed(tmp_path, columns=corners))[0].truth == (Box(4, 2, 8, 10),)


def test_words_of_several_findings_in_one_cell_or_in_several_rows(tmp_path):
    write(
        tmp_path,
        """image,label,split,mask
        a,Effusion|Mass,train,m.png
        b,Mass,val,n.png
        c,No Finding,test,
        d,Mass,test,n.png
        d,Effusion,test,m.png""",
    )
    found = folder.records(masked(tmp_path, columns={"positive": ["Effusion"], "separator": "|"}))
    assert [record.label for record in found] == [1, 0, 0, 1]
    effusion = (MaskFile(tmp_path / "m.png"),)
    assert [record.truth for record in found] == [effusion, (), (), effusion]  # a mass is not the finding


def test_classes_by_name(tmp_path):
    write(tmp_path, "image,label,split,mask\na,disc,train,m.png\nb,none,val,\nc,ring,test,m.png")
    found = folder.records(masked(tmp_path, classes=("none", "ring", "disc"), absent="none"))
    assert [record.label for record in found] == [2, 0, 1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,split,mask\na,train,", r"t\.csv: no column 'label'; columns: image, split, mask"),
        ("image,label,split,mask\na,0,train,\nb,0,valid,", "'split' has no row 'val'; its values: train, valid"),
        ("image,label,split,mask\n,0,train,\nb,0,val,\nc,0,test,", "line 2: column 'image' is empty"),
        ("image,label,split,mask\na,,train,\nb,0,val,\nc,0,test,", "line 2: column 'label' is empty"),
        ("image,label,split,mask\na,0,train,\nb,2,val,\nc,0,test,", "line 3: label '2' must be 0 or 1; for words,"),
        ("image,label,split,mask\na,0,train,\nb,yes,val,\nc,0,test,", "line 3: label 'yes' must be 0 or 1"),
        (
            "image,label,split,mask\na,1,train,m\nb,0,val,\na,0,train,\nc,0,test,",
            "lines 2 and 4: label of a is 1 and 0",
        ),
        (
            "image,label,split,mask\na,0,train,\nb,0,val,\na,0,test,",
            "lines 2 and 4: column 'split' of a is 'train' and 't",
        ),
        ("image,label,split,mask\n../a,0,train,\nb,0,val,\nc,0,test,", r"line 2: '\.\./a' leaves the data folder"),
        ("image,label,split,mask\n/a,0,train,\nb,0,val,\nc,0,test,", "line 2: '/a' is absolute; write it relative"),
        ("image,label,split,mask\na,1,train,../m\nb,0,val,\nc,0,test,", r"line 2: '\.\./m' leaves the data folder"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, table, message):
    write(tmp_path, table)
    with pytest.raises(SaltrustError, match=message):
        folder.records(masked(tmp_path))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("4,2,8,", "line 2: box {'x': '4', 'y': '2', 'w': '8', 'h': ''}: needs four numbers, or none"),
        ("4,2,8,wide", "line 2: box .*'wide'}: needs four numbers, or none"),
        ("4,2,8,NaN", "line 2: box .*'h': ''}: needs four numbers"),
        ("4,2,inf,3", "line 2: box .*: 'inf' is not a number"),
        ("4,2,-8,3", "line 2: box with edges 4, 2, -4, 5: its width and height must not be negative"),
    ],
)
def test_a_wrong_box_is_refused(tmp_path, box, message):
    write(tmp_path, f"image,label,split,x,y,w,h\na,1,train,{box}\nb,0,val,,,,\nc,0,test,,,,")
    with pytest.raises(SaltrustError, match=message):
        folder.records(boxed(tmp_path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"columns": {"positive": ["Efusion"]}},
            "column 'label' has no row 'Efusion'; its values: Effusion, Mass, none",
        ),
        ({"columns": {"group": "person"}}, "no column 'person'; columns: image, label, split, mask"),
        ({"classes": ("none", "Mass")}, "line 4: unknown class 'Effusion'"),
        (
            {"classes": ("none", "Mass", "Effusion"), "columns": {"label": None}},
            "with 'classes', its table needs a 'label'",
        ),
    ],
)
def test_a_card_that_does_not_fit_its_table_is_refused(tmp_path, fields, message):
    write(tmp_path, "image,label,split,mask\na,Mass,train,m\nb,none,val,\nc,Effusion,test,m")
    with pytest.raises(SaltrustError, match=message):
        folder.records(masked(tmp_path, **fields))


def test_an_image_of_two_classes_is_refused(tmp_path):
    two = masked(tmp_path, classes=("disc", "ring"), columns={"separator": "+"})
    write(tmp_path, "image,label,split,mask\na,disc+ring,train,m\nb,disc,val,m\nc,ring,test,m")
    with pytest.raises(SaltrustError, match=r"line 2: label 'disc\+ring' names several of the card's classes"):
        folder.records(two)
    write(tmp_path, "image,label,split,mask\na,disc,train,m\nb,disc,val,m\nc,ring,test,m\na,ring,train,m")
    with pytest.raises(SaltrustError, match="lines 2 and 5: label of a is 0 and 1"):
        folder.records(two)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: Image.new("L", (5, 5), 255).save(root / "m17.png"),
            r"i17\.png: .*m17\.png: mask is 5 x 5, its image",
        ),
        (
            lambda root: Image.new("L", (20, 20)).save(root / "m17.png"),
            r"i17\.png: is labelled 1 but its truth covers none",
        ),
        (lambda root: (root / "m17.png").unlink(), r"image i17\.png: no image .*m17\.png"),
        (lambda root: (root / "i16.png").write_bytes(b"no"), r"i16\.png: cannot be read as an image"),
        (lambda root: (root / "i16.png").unlink(), r"no image .*i16\.png"),
        (lambda root: (root / "t.csv").unlink(), r"'made-up' is not on this machine: no file .*t\.csv \(get it from"),
    ],
)
def test_wrong_files_are_refused(squares, tmp_path, change, message):
    change(tmp_path)
    with pytest.raises(SaltrustError, match=message):
        LOADERS["folder"].load(squares, "test", None, 20, 0)


def test_a_table_that_lost_a_row_disagrees_with_the_counts(squares, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(SaltrustError, match="'test' has 7 images, 3 with square; the card counts 8 and 4"):
        LOADERS["folder"].load(squares, "test", None, 20, 0)
