"""Tables of readers: what they drew, what is odd about it, and which tables cannot be compared."""

import json

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.reader_tables import FILLS, read
from saltrust.datasets.shapes import Box, Polygon

NAME = "valid_WRIST_p{}_s1_image1.png"


def rect(x, y, width, height):
    return {"name": "rect", "x": x, "y": y, "width": width, "height": height}


def polygon(*points):
    return {"name": "polygon", "all_points_x": [x for x, _ in points], "all_points_y": [y for _, y in points]}


def write(file, rows, **columns):
    """A table as VIA writes it; rows: (image, shape); columns: further ones, a cell for each row."""
    head = ["filename", "region_shape_attributes", *columns]
    cells = [[image, json.dumps(shape)] for image, shape in rows]
    lines = [head, *(row + [column[k] for column in columns.values()] for k, row in enumerate(cells))]
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    file.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def tables(tmp_path):
    """Two readers of two images of two patients, and one image each that the other did not read."""
    a, b, c, d = (NAME.format(k) for k in range(4))
    first = [(a, rect(1, 2, 3, 4)), (a, rect(0, 0, 2, 2)), (b, {}), (c, {})]
    second = [(b, polygon((0, 0), (4, 0), (0, 4))), (a, {}), (d, {})]
    return [write(tmp_path / "ann_annotations.csv", first), write(tmp_path / "bob.csv", second)]


def test_what_each_reader_drew_in_the_images_that_both_read(tables):
    reading = read(tables)
    a, b, c, d = (NAME.format(k) for k in range(4))
    assert reading.readers == ("ann", "bob")
    assert reading.images == (a, b)
    assert reading.drawn["ann"] == {a: (Box(1, 2, 4, 6), Box(0, 0, 2, 2)), b: ()}
    assert reading.drawn["bob"] == {a: (), b: (Polygon((((0, 0), (4, 0), (0, 4)),)),)}
    assert reading.patients == {a: "0", b: "1"}
    assert reading.unshared == (c, d)


def test_one_table_with_a_column_of_readers_and_one_of_patients(tmp_path):
    rows = [("x", rect(0, 0, 2, 2)), ("y", {}), ("x", {}), ("y", rect(1, 1, 1, 1))]
    readers, patients = ["ann", "ann", "bob", "bob"], ["p", "q", "p", ""]
    reading = read([write(tmp_path / "all.csv", rows, reader=readers, patient=patients)])
    assert reading.readers == ("ann", "bob")
    assert reading.drawn["bob"] == {"x": (), "y": (Box(1, 1, 2, 2),)}
    assert reading.patients == {"x": "p", "y": "q"}


def test_masks_of_a_known_size_and_as_far_as_something_is_drawn(tables):
    reading = read(tables)
    image = reading.images[0]
    known = reading.masks(image, (9, 8))
    expected = np.zeros((2, 8, 9), bool)
    expected[0, 2:6, 1:4] = expected[0, 0:2, 0:2] = True
    np.testing.assert_array_equal(known, expected)
    around = reading.masks(image)
    np.testing.assert_array_equal(around, known[:, : around.shape[1], : around.shape[2]])
    assert around.sum() == known.sum()
    assert reading.masks(reading.images[1], fill="rows").sum() > reading.masks(reading.images[1], fill="exact").sum()
    assert set(FILLS) == {"exact", "rows"}


def test_what_is_odd_is_counted(tmp_path):
    odd = [rect(-9, 0, 3, 3), rect(-1, 0, 3, 3), rect(0, 0, 0, 5), rect(95, 0, 9, 9), rect(200, 0, 9, 9)]
    crossed = polygon((0, 0), (4, 4), (4, 0), (0, 4))
    first = write(tmp_path / "a.csv", [("x", shape) for shape in odd] + [("x", crossed)])
    reading = read([first, write(tmp_path / "b.csv", [("x", crossed), ("x", rect(1, 1, 9, 9))])])
    same = {"without area": {"a": 1}, "with an outline that crosses itself": {"a": 1, "b": 1}}
    cut, outside = "cut by the border of the image", "outside the image"
    assert reading.oddities() == same | {outside: {"a": 1}, cut: {"a": 1}}
    assert reading.oddities((100, 100)) == same | {outside: {"a": 2}, cut: {"a": 2}}
    assert read([first, write(tmp_path / "c.csv", [("x", {})])]).masks("x", (100, 100))[1].sum() == 0


WRONG = {
    "one reader": ([("a", [("x", {})])], "agreement needs two readers or more, the tables have only 'a'"),
    "no image in common": (
        [("a", [("x", {})]), ("b", [("y", {}), ("z", {})])],
        "no image was read by all readers; images of each: a 1, b 2",
    ),
    "a shape of another kind": (
        [("a", [("x", {}), ("x", {"name": "circle"})]), ("b", [("x", {})])],
        "a.csv, row 2: unknown shape of a region 'circle'; known: polygon, rect",
    ),
    "half a rectangle": ([("a", [("x", {"name": "rect", "x": 1})])], "a.csv, row 1: not a region as VIA writes it: "),
    "two points": ([("a", [("x", polygon((0, 0), (1, 1)))])], "polygon of 2 points: needs three or more"),
    "no name": ([("a", [("", {})])], "a.csv, row 1: names no image"),
    "no rows": ([("a", [])], "a.csv: has no rows"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_cannot_be_compared_are_refused_in_one_line(tmp_path, case):
    tables, message = WRONG[case]
    files = [write(tmp_path / f"{name}.csv", rows) for name, rows in tables]
    with pytest.raises(SaltrustError) as told:
        read(files)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_further_mistakes(tmp_path, tables):
    (tmp_path / "twice").mkdir()
    again = write(tmp_path / "twice" / "bob.csv", [("x", {})])
    with pytest.raises(SaltrustError, match="bob.csv: reader 'bob' has another table already"):
        read([*tables, again])
    other = write(tmp_path / "carl.csv", [(NAME.format(0), {})], patient=["99"])
    with pytest.raises(SaltrustError, match="is of patient '99', and of '0' elsewhere"):
        read([*tables, other])
    (tmp_path / "plain.csv").write_text("image,x\na,1\n")
    with pytest.raises(SaltrustError, match="plain.csv: no column 'filename'; columns: image, x"):
        read([tmp_path / "plain.csv"])
    with pytest.raises(SaltrustError, match="no table .*nowhere.csv"):
        read([tmp_path / "nowhere.csv"])
    huge = read([write(tmp_path / "h.csv", [("x", rect(0, 0, 9e8, 9e8))]), write(tmp_path / "i.csv", [("x", {})])])
    with pytest.raises(SaltrustError, match="x: .*pixels"):
        huge.masks("x")
