"""Files of a user: only regular ones are opened; numbers are of ten digits; JSON says each thing once."""

import os

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.core.user_files import encodable, expanded, named, number, opened, parsed_json, read_json, text


def test_a_file_and_a_link_to_it_are_opened(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffä".encode())
    (tmp_path / "b").symlink_to("a")
    assert text(opened(tmp_path / "b")) == "ä"
    with opened(str(tmp_path / "a")) as stream:
        assert stream.name == str(tmp_path / "a")


def test_a_file_that_becomes_a_pipe_meanwhile_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    os.mkfifo(tmp_path / "pipe")
    there = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: there(tmp_path / "pipe", flags))
    with pytest.raises(SaltrustError, match="is a pipe; only regular files are read"):
        opened(tmp_path / "a")


@pytest.mark.parametrize(
    ("written", "value"), [("12", 12), (" -0.5 ", -0.5), ("+1e3", 1000), (".5", 0.5), ("5.", 5), ("1E-2", 0.01)]
)
def test_a_number_is_read(written, value):
    assert number(written) == value


@pytest.mark.parametrize(
    "written", ["", " ", ".", "e5", "1 2", "1_0", "１", "٣", "nan", "inf", "1e999", "0x1", "1,5", "--1", "True", "²"]
)
def test_what_is_no_number_is_refused(written):
    with pytest.raises(SaltrustError, match="is not a number"):
        number(written)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('[{"b": {"a": 1, "c": 2, "a": 1}}]', "'a' is there twice"),
        ('{"a": "\\ud800"}', "is not a text"),
        ("[" * 100_000, "not JSON: maximum recursion depth"),
        ("9" * 5000, "not JSON"),
        ("", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
    ],
)
def test_what_is_no_json_is_refused(content, says):
    with pytest.raises(SaltrustError, match=says):
        parsed_json(content)


def test_json_is_read_and_an_error_names_its_file(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"a": ["ä", 1.5, null]}', encoding="utf-8")
    assert read_json(opened(file)) == {"a": ["ä", 1.5, None]}
    file.write_text("{")
    with pytest.raises(SaltrustError, match=rf"^{file}: not JSON"):
        read_json(opened(file))


def test_names_of_files_are_seen():
    assert (named("ä b/c.png"), encodable("ä")) == ("ä b/c.png", "ä")
    with pytest.raises(SaltrustError, match=r"is not the name of a file: it holds the character '\\x1b'"):
        named("a\x1b.png")


def test_a_users_folder_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert str(expanded("a/~")) == "a/~"
    with pytest.raises(SaltrustError, match="'~nosuchuser/a': no such user's folder"):
        expanded("~nosuchuser/a")
