"""The files of a data set: tables are text by line, and no name leads out of the folder."""

import hashlib
import os

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets import files
from tests.datasets import written


def test_a_table_is_text_by_line(tmp_path):
    (tmp_path / "t.csv").write_bytes('\ufeffimage, label ,x\n001,1,\n\n"a, b",0,NaN\n'.encode())
    found = files.table(written.card("siim", tmp_path), "t.csv", ("image", "label"))
    assert found.to_dict("index") == {
        2: {"image": "001", "label": "1", "x": ""},
        4: {"image": "a, b", "label": "0", "x": ""},
    }
    (tmp_path / "u.csv").write_text("a/1,1\nb/2,0\n")
    assert files.table(written.card("siim", tmp_path), "u.csv", headings=["path", "label"])["path"].to_dict() == {
        1: "a/1",
        2: "b/2",
    }


def test_names_inside_the_root_are_files_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "a" / "b.png")
    for name in ("a/b.png", "a/../a/b.png", "link.png", "a/new.png"):
        assert files.inside(tmp_path, name) == tmp_path / name
    other = tmp_path.parent / f"{tmp_path.name}-root"
    other.symlink_to(tmp_path)  # the root itself may be a link
    assert files.inside(other, "a/b.png").is_file()


@pytest.mark.parametrize(
    "name", ["../t.csv", "a/../../t.csv", "/etc/passwd", "..", "out/t.csv", "out.csv", "link/../../x.png"]
)
def test_names_that_leave_the_root_are_refused(tmp_path, name):
    root, outside = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    outside.mkdir()
    (outside / "t.csv").touch()
    (root / "out").symlink_to(outside)
    (root / "out.csv").symlink_to(outside / "t.csv")
    why = "is absolute; write it relative to" if name.startswith("/") else "leaves"
    with pytest.raises(SaltrustError, match=f"'{name}' {why} the data folder {root}"):
        files.inside(root, name)


def test_a_name_with_a_null_character_is_refused(tmp_path):
    with pytest.raises(SaltrustError, match=r"'a\\x00b' is not the name of a file"):
        files.inside(tmp_path, "a\0b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a CSV table: it is empty"),
        (b"image,label\n", "has no rows"),
        (b"image,label\n\n\n", "has no rows"),
        (b"image\n1\n", "no column 'label'; columns: image"),
        (b"image;label\na;1\n", "no column 'image'; columns: image;label"),
        (b"image,label\na,1\nb,0,0,0\n", "not a CSV table: line 3 has 4 cells, not 2"),
        (b"image,label\na,1,7\nb,0,7\n", "not a CSV table: "),
        (b'image,label\n"a,1\n', "not a CSV table: line 2: unexpected end of data"),
        (b"image,label\n\xff\xfe,1\n", "not a text file in UTF-8: 'utf-8' codec"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SaltrustError, match=rf"t\.csv: {message}"):
        files.table(written.card("siim", tmp_path), "t.csv", ("image", "label"))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def test_the_fingerprint_is_of_names_sizes_and_tables(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.png").write_bytes(b"12345")
    (tmp_path / "a.csv").write_bytes(b"image\n1\n")
    expected = _digest(b"/a.csv 8\n", b"image\n1\n", b"/b/x.png 5\n")
    assert files.fingerprint(tmp_path) == expected
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb"):
        pass
    assert files.fingerprint(tmp_path) == _digest(b"/a.csv 8\n", b"image\n1\n", b"/\xff.png 0\n", b"/b/x.png 5\n")


def test_where_a_link_leads_is_part_of_the_fingerprint_and_what_lies_elsewhere_is_not_read(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "elsewhere.csv"
    root.mkdir()
    outside.write_text("first")
    for name in "ab":
        (root / f"{name}.png").write_bytes(b"12345")
        (root / f"folder-{name}").mkdir()
    link, folder, table = root / "link.png", root / "folder", root / "t.csv"
    table.symlink_to(outside)
    folder.symlink_to("folder-a")
    link.symlink_to("a.png")
    first = files.fingerprint(root)
    outside.write_text("other")  # what lies elsewhere is not the data set's
    assert files.fingerprint(root) == first
    link.unlink()
    link.symlink_to("b.png")  # of the same length
    second = files.fingerprint(root)
    folder.unlink()
    folder.symlink_to("folder-b")
    assert len({first, second, files.fingerprint(root)}) == 3
    (root / "kept.data").write_text("first")
    table.unlink()
    table.symlink_to("kept.data")
    third = files.fingerprint(root)
    (root / "kept.data").write_text("other")
    assert files.fingerprint(root) != third


def test_a_pipe_is_part_of_the_fingerprint_and_not_read(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    assert files.fingerprint(tmp_path) == _digest(b"/t.csv 0\n")


def test_a_row_may_lack_cells_of_columns_without_a_name(tmp_path):
    (tmp_path / "t.csv").write_text("image,x,,\na,1\nb,2,,\n")
    assert files.table(written.card("siim", tmp_path), "t.csv", ("image", "x"))["x"].tolist() == ["1", "2"]


def test_lines_are_counted_where_cells_hold_several(tmp_path):
    (tmp_path / "t.csv").write_text('image,x\n"a\nb",1\nc,2\n')
    assert files.table(written.card("siim", tmp_path), "t.csv", ("image",)).index.tolist() == [3, 4]
