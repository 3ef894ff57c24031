"""The files of a data set: tables are text by line, and no name leads out of the folder."""

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
