"""What a chapter left is found among what others left beside it."""

import json

import pytest

from saltrust.chapters import leavings
from saltrust.core.errors import SaltrustError


def test_of_each_chapter_its_own(tmp_path):
    for kind, name, chapter in (
        ("figures", "boxes", "localization"),
        ("figures", "curves", "models"),
        ("tables", "boxes", "localization"),
        ("tables", "fits", "local"),
    ):
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / f"{name}.json").write_text(json.dumps({"name": name, "chapter": chapter}))
        (tmp_path / kind / f"{name}.csv").touch()
    (tmp_path / "numbers.json").write_text(json.dumps({"localization/best": 1, "local/best": 2, "models/best": 3}))
    note = {"name": "boxes", "chapter": "localization"}
    assert leavings.notes(tmp_path, "figures", "localization") == {tmp_path / "figures/boxes.json": note}
    assert leavings.notes(tmp_path, "tables", "localization") == {tmp_path / "tables/boxes.json": note}
    assert leavings.notes(tmp_path, "tables", "models") == {}
    assert leavings.numbers(tmp_path, "local") == {"local/best": 2}


def test_of_a_folder_that_is_not_there_nothing(tmp_path):
    assert leavings.notes(tmp_path / "no", "figures", "models") == {}
    assert leavings.numbers(tmp_path / "no", "models") == {}


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"null", b"1", b"\xff"])
def test_what_is_no_json_object_is_told_with_the_file(tmp_path, content):
    file = tmp_path / "numbers.json"
    assert leavings.read_json(file) == {}
    file.write_bytes(content)
    with pytest.raises(SaltrustError, match=r"^.*/numbers\.json [^\n]+$"):
        leavings.read_json(file)


@pytest.mark.parametrize(
    ("note", "whole"),
    [
        ({"parameters": {"dataset": "cells"}}, True),
        ({"parameters": {}}, False),
        ({"parameters": ["dataset"]}, False),
        ({"chapter": "models"}, False),
        ({}, False),
    ],
)
def test_provenance_says_with_which_parameters(tmp_path, note, whole):
    file = tmp_path / "provenance.json"
    assert leavings.provenance(file) == {}
    file.write_text(json.dumps(note))
    if whole:
        assert leavings.provenance(file) == note
    else:
        with pytest.raises(SaltrustError, match=r"provenance\.json does not say with which parameters"):
            leavings.provenance(file)
