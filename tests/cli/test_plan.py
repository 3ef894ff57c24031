"""A plan names what a chapter then asks for, and nothing is written or fetched to make it."""

import json
import socket
import sys
from collections import Counter

import pytest

from saltrust import chapters
from saltrust.cli import main
from saltrust.cli import planning as plan
from saltrust.cli.rehearsal import Rehearsal, rehearse
from saltrust.core import paths
from saltrust.core.errors import SaltrustError


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    return tmp_path


def work(name, **given):
    chapter = chapters.load(name)
    return chapter, chapters.complete(chapter, {key: str(value) for key, value in given.items()})


def execute(chapter, values, folder, monkeypatch):
    """Run a chapter's source as a script; returns the artefacts that its page says it was made from."""
    monkeypatch.setenv("SALTRUST_OUT", str(folder))
    monkeypatch.setenv("SALTRUST_PROGRESS", str(folder.parent / "log"))
    head, cell, rest = chapter.source.read_text(encoding="utf-8").partition('# %% tags=["parameters"]\n')
    given = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    exec(compile(given + "\n# %%" + rest.partition("\n# %%")[2], chapter.name, "exec"), {"__name__": "chapter"})
    note = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return {used["artefact"] for used in note["artefacts"]}


def made_of(chapter, tmp_path, old, new):
    """A chapter with another line in its notebook."""
    source = tmp_path / f"{chapter.name}.py"
    text = chapter.source.read_text(encoding="utf-8")
    assert old in text
    source.write_text(text.replace(old, new, 1), encoding="utf-8")
    return chapters.Chapter(chapter.name, chapter.title, source, chapter.parameters)


def names(found):
    return {one["artefact"] for one in found.artefacts}


def test_plan_names_what_the_executed_chapter_used(results, monkeypatch, tiny_profile):
    with tiny_profile(train=8, val=4, test=8, explained=2, cascaded=1):
        first = work("dataset", dataset="phantom-pneumothorax", profile="tiny")
        asked = work("localization", dataset="phantom-pneumothorax", profile="tiny", methods="xrai,gradcam", n_shown=1)
        unmade = plan.plan([asked])  # which images get maps is not known yet
        assert unmade.missing == len(unmade.artefacts)
        assert "not made yet" in unmade.notes[0]

        execute(*first, results / "first", monkeypatch)
        before = plan.plan([asked])
        kinds = [Counter(one["artefact"].partition("/")[0] for one in p.artefacts) for p in (unmade, before)]
        assert kinds[0] == kinds[1]
        stored = {f"{folder.parent.name}/{folder.name}" for folder in (results / "store").glob("[!.]*/[!.]*")}
        assert {one["artefact"] for one in before.artefacts if one["stored"]} == names(before) & stored

        used = execute(*asked, results / "second", monkeypatch)
        assert names(before) == used

        after = plan.plan([asked])
        assert after.missing == 0
        assert "nothing to compute" in after.summary
        assert names(after) < used  # what was only made on the way is not asked for again
        more = work("localization", dataset="phantom-pneumothorax", profile="tiny", methods="xrai,grad", n_shown=1)
        new = [one["title"] for one in plan.plan([more]).artefacts if not one["stored"]]
        assert new
        assert not any("xrai" in title or "gradcam" in title for title in new)
        assert sum(title.startswith("grad maps") for title in new) == 4  # of three networks, and of a random one


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_every_chapter_can_be_rehearsed_without_a_store(dataset, results):
    shown = (
        [name for name in chapters.NAMES if name not in chapters._ALWAYS] if dataset == "cells" else chapters._ALWAYS
    )
    for name in shown:
        rehearsal = Rehearsal()
        rehearse(*work(name, dataset=dataset, profile="smoke"), rehearsal)
        assert rehearsal.failed == []
        assert rehearsal.asked
        assert rehearsal.missing == rehearsal.asked.keys()
    assert list(results.iterdir()) == []


def test_time_is_known_of_what_is_put_together_from_shards(results):
    """Their splits are no artefacts themselves."""
    unmade = plan.plan([work("branches", dataset="cells", profile="quick")])
    assert unmade.missing == len(unmade.artefacts) > 0
    assert unmade.seconds == 0
    assert "nothing similar was ever timed" in unmade.summary


@pytest.mark.parametrize("name", ["methods", "seed"])
def test_the_book_has_no_such_parameter(name):
    with pytest.raises(SaltrustError, match=f"unknown parameter of the book '{name}'"):
        plan.of_book({name: ["1"]})


def test_artefacts_of_several_chapters_count_once(results):
    both = [work(name, dataset="phantom-pneumothorax", profile="smoke") for name in ("models", "gallery")]
    apart, together = [names(plan.plan([one])) for one in both], names(plan.plan(both))
    assert together == apart[0] | apart[1]
    assert len(together) < len(apart[0]) + len(apart[1])


def test_planning_fetches_nothing(results, monkeypatch):
    def refuse(*given):
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = plan.plan([work("models", dataset="phantom-pneumothorax", profile="quick")])
    assert any("ImageNet weights is not known" in note for note in found.notes)
    assert list(results.iterdir()) == []


def test_a_statement_that_fails_is_said_and_the_rest_goes_on(results, tmp_path):
    chapter, values = work("models", dataset="phantom-pneumothorax", profile="smoke")
    broken = made_of(chapter, tmp_path, "\npage = ", "\nraise ValueError('no')\npage = ")
    whole = plan.plan([(chapter, values)])
    found = plan.plan([(broken, values)])
    assert names(found) == names(whole)
    assert whole.notes != found.notes
    assert "models.py, line" in found.notes[-1]
    assert "ValueError: no" in found.notes[-1]


def test_a_chapter_that_would_end_before_it_asks_for_anything_cannot_be_planned(results, tmp_path):
    chapter, values = work("models", dataset="phantom-pneumothorax", profile="smoke")
    refusing = "from saltrust.core.errors import SaltrustError\nraise SaltrustError('such models')\npage = "
    with pytest.raises(SaltrustError, match="^such models$"):
        plan.plan([(made_of(chapter, tmp_path, "page = ", refusing), values)])


def test_what_failed_is_never_nothing_to_compute(results, tmp_path):
    chapter, values = work("atlas", dataset="cells", profile="smoke")
    found = plan.plan([(made_of(chapter, tmp_path, "from saltrust.study.study import Study\n", ""), values)])
    assert found.artefacts == ()
    assert "could not be found out" in found.summary
    assert "nothing to compute" not in found.summary


def test_what_cannot_be_read_is_computed_again(results, monkeypatch):
    asked = work("dataset", dataset="phantom-pneumothorax", profile="smoke")
    execute(*asked, results / "first", monkeypatch)
    (results / "store" / "a file").touch()
    assert plan.plan([asked]).missing == 0
    damaged = sorted((results / "store" / "data").iterdir())[0]
    (damaged / "split.npz").write_bytes(b"")
    (damaged / "sidecar.json").write_text("[]")
    found = plan.plan([asked])
    assert f"data/{damaged.name}" in {one["artefact"] for one in found.artefacts if not one["stored"]}
    assert found.failed == 0


def test_sweep_is_planned_as_it_runs():
    given = {"dataset": ["phantom-pneumothorax", "phantom-pneumonia"], "methods": ["grad", "xrai", "ig"]}
    asked = plan.combined(chapters.load("localization"), given)
    assert len(asked) == 6
    assert plan.combined(chapters.load("localization"), given | {"seed": ["0", "0"]}) == asked
    with pytest.raises(SaltrustError, match="did you mean 'xrai'"):
        plan.combined(chapters.load("localization"), {"methods": ["xria"]})


def test_book_is_every_chapter_of_its_data_sets():
    asked = plan.of_book({"dataset": ["phantom-pneumothorax", "cells"], "profile": ["smoke"]})
    assert [(chapter.name, values["dataset"]) for chapter, values in asked] == [
        *((name, "phantom-pneumothorax") for name in chapters._ALWAYS),
        *((name, "cells") for name in chapters.NAMES),
    ]
    assert {values["profile"] for _, values in asked} == {"smoke"}


def test_command_prints_json_and_refuses_unknown_names(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["saltrust", "plan", "dataset", "--profile", "smoke", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["stored"], said["missing"]) == (0, 4)
    assert [row["unknown"] for row in said["rows"]] == [3, 1]  # nothing was ever timed here
    monkeypatch.setattr(sys, "argv", ["saltrust", "plan", "dataset", "--profil", "smoke"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "did you mean 'profile'" in capsys.readouterr().err
