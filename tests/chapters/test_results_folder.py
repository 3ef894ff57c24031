"""What a chapter left is found among what others left beside it, and appears whole or not at all."""

import json
import os
import re

import pytest

from saltrust.chapters import results_folder
from saltrust.chapters.notes import FigureNote, Origin, Provenance, TableNote, read_json
from saltrust.chapters.results_folder import Results
from saltrust.core import paths
from saltrust.core.errors import SaltrustError


def leave(folder, kind, name, chapter, **more):
    """A note with its file."""
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / f"{name}.json").write_text(json.dumps({"name": name, "chapter": chapter} | more))
    (folder / kind / f"{name}.{'png' if kind == 'figures' else 'csv'}").write_bytes(chapter.encode())


def test_of_each_chapter_its_own(tmp_path):
    leave(tmp_path, "figures", "boxes", "localization", caption="c", counterpart="", tabs=["A"], cell=4, artefacts=2)
    leave(tmp_path, "figures", "curves", "models")
    leave(tmp_path, "tables", "boxes", "localization", rows=3, key=["method"], no_more=1)
    leave(tmp_path, "tables", "fits", "local")
    (tmp_path / "tables" / "boxes.html").touch()
    (tmp_path / "numbers.json").write_text(json.dumps({"localization/best": 1, "local/best": 2, "models/best": 3}))
    found = Results(tmp_path, "localization")
    (figure,), (table,) = found.figures(), found.tables()
    assert figure == FigureNote(name="boxes", chapter="localization", caption="c", tabs=("A",), cell=4, artefacts=2)
    assert table == TableNote(name="boxes", chapter="localization", rows=3, key=("method",))
    assert found.file(figure) == tmp_path / "figures" / "boxes.png"
    assert {file.relative_to(tmp_path).as_posix() for file in found.files()} == {
        *("figures/boxes.png", "figures/boxes.json", "tables/boxes.csv", "tables/boxes.json", "tables/boxes.html"),
    }
    assert Results(tmp_path, "models").tables() == []
    assert Results(tmp_path, "local").numbers() == {"local/best": 2}


def test_of_a_folder_that_is_not_there_nothing(tmp_path):
    found = Results(tmp_path / "no", "models")
    assert (found.figures(), found.tables(), found.numbers(), found.provenance()) == ([], [], {}, None)


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"null", b"1", b"\xff"])
def test_what_is_no_json_object_is_told_with_the_file(tmp_path, content):
    file = tmp_path / "numbers.json"
    assert read_json(file) == {}
    file.write_bytes(content)
    with pytest.raises(SaltrustError, match=r"^.*/numbers\.json [^\n]+$"):
        read_json(file)


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
@pytest.mark.parametrize("published", [True, False])
def test_provenance_says_with_which_parameters(tmp_path, note, whole, published):
    found = Results(tmp_path, "models", published)
    assert found.provenance() is None
    found.provenance_file.parent.mkdir(exist_ok=True)
    found.provenance_file.write_text(json.dumps(note))
    if whole:
        assert found.provenance() == Provenance(parameters={"dataset": "cells"})
    else:
        with pytest.raises(SaltrustError, match=r"\.json does not say with which parameters"):
            found.provenance()


def test_provenance_is_read_whole(tmp_path):
    note = {"chapter": "models", "parameters": {"seed": 1}, "seconds": 2.5, "environment": {"commit": "abc"}}
    note |= {"artefacts": [{"artefact": "data/1", "seconds": 1.5}], "numbers": {"best": {"cell": 3, "artefacts": 1}}}
    (tmp_path / "provenance.json").write_text(json.dumps(note))
    found = Results(tmp_path, "models").provenance()
    assert (found.chapter, found.seconds, found.artefacts) == ("models", 2.5, {"data/1": 1.5})
    assert found.numbers == {"best": Origin(cell=3, artefacts=1)}


def test_a_run_of_the_same_second_gets_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    names = []
    for number in (1, 2, 3):
        with results_folder.staged_run("models", "20260101-000000-abc") as staged:
            assert results_folder.in_work(tmp_path.parent) == [] or staged.folder in results_folder.in_work(
                tmp_path.parent
            )
            names.append(staged.name)  # known before the run has ended
            staged.numbers_file.write_text(str(number))
            made = results_folder.keep(staged, failed=number == 3)
        assert [file.name for file in made.iterdir()] == ["numbers.json"]
        assert made.stat().st_mode & 0o777 == 0o755
    assert names == ["20260101-000000-abc", "20260101-000000-abc-2", "20260101-000000-abc-3"]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {*names[:2], f"{names[2]}-failed"}


def test_runs_of_the_same_second_side_by_side_have_different_names(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    with results_folder.staged_run("models", "now") as first, results_folder.staged_run("models", "now") as second:
        assert {first.name, second.name} == {"now", "now-2"}
    assert list((tmp_path / "models").iterdir()) == []  # neither was kept


def test_places_of_results_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    places = (
        "quick/cells/provenance/models.json",
        "runs/models/now/provenance.json",
        "by_hand/quick/cells/models/provenance.json",
    )
    shown = results_folder.published("quick", "cells", "models")
    with results_folder.staged_run("models", "now") as run, results_folder.staged_publication(shown) as publication:
        for place in places:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(json.dumps({"artefacts": [{"artefact": place, "seconds": 1.0}]}))
        run.provenance_file.write_text(json.dumps({"artefacts": [{"artefact": "run", "seconds": 1.0}]}))
        publication.provenance_file.write_text("{")  # half written
        assert sorted(results_folder.artefacts_named(tmp_path)) == sorted([*places, "run"])
        assert set(results_folder.in_work(tmp_path)) == {run.folder, publication.folder}
    assert results_folder.in_work(tmp_path) == []
    (tmp_path / places[0]).write_text("{}[")
    with pytest.raises(SaltrustError, match="models.json cannot be read, so that what it needs is not known"):
        list(results_folder.artefacts_named(tmp_path))


def publication(tmp_path, owner="five_band"):
    """A chapter that ran, and where it is to be shown."""
    staged, shown = Results(tmp_path / "staging", owner), Results(tmp_path / "results", owner, published=True)
    leave(staged.folder, "figures", "roc", owner)
    staged.provenance_file.write_text(json.dumps({"parameters": {"seed": 0}}))
    staged.numbers_file.write_text(json.dumps({f"{owner}/new": 1}))
    staged.notebook.touch()
    shown.notebook.parent.mkdir(parents=True)
    return staged, shown


def test_what_is_published_takes_the_place_of_what_the_chapter_left_last_time(tmp_path):
    staged, shown = publication(tmp_path)
    leave(shown.folder, "figures", "old", "five_band")
    leave(shown.folder, "figures", "kept", "models")
    shown.numbers_file.write_text(json.dumps({"models/n": 3, "five_band/old": 0}))
    results_folder.publish(staged, shown)
    assert {file.name for file in (shown.folder / "figures").glob("*.png")} == {"roc.png", "kept.png"}
    assert read_json(shown.numbers_file) == {"five_band/new": 1, "models/n": 3}
    assert shown.notebook.exists()
    assert shown.provenance().parameters == {"seed": 0}


def test_two_chapters_cannot_have_a_figure_of_one_name(tmp_path):
    staged, shown = publication(tmp_path)
    leave(shown.folder, "figures", "roc", "models")
    with pytest.raises(SaltrustError, match="'five_band': 'roc' in figures is the name of one of 'models'"):
        results_folder.publish(staged, shown)
    assert (shown.folder / "figures" / "roc.png").read_bytes() == b"models"


def test_a_publication_that_is_killed_half_way_counts_as_not_run(tmp_path, monkeypatch):
    staged, shown = publication(tmp_path)
    shown.notebook.touch()

    def killed(*places):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", killed)
        results_folder.publish(staged, shown)
    assert not shown.notebook.exists()


def test_what_is_no_run_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    with pytest.raises(
        SaltrustError, match=f"no run 'nowhere'; give its folder, its name under {re.escape(str(tmp_path))}"
    ):
        results_folder.find("nowhere")


@pytest.mark.parametrize("text", ["a\0b", "a" * 300, "", "/", "..", "a" * 5000])
def test_what_names_no_run_is_said(text):
    with pytest.raises(SaltrustError, match="no run '"):
        results_folder.find(text)
