"""A plan names what chapters then ask for, and nothing is written or fetched to make it."""

import json
import socket
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from saltrust import chapters
from saltrust.analysis.needs import NEEDS
from saltrust.artefacts import KINDS, STAGES
from saltrust.cli import app, main
from saltrust.cli import planning as plan
from saltrust.core import data_cards, paths
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
    """Run a chapter's source as a script; returns what its page says it was made from, but for scores."""
    monkeypatch.setenv("SALTRUST_OUT", str(folder))
    monkeypatch.setenv("SALTRUST_PROGRESS", str(folder.parent / "log"))
    head, cell, rest = chapter.source.read_text(encoding="utf-8").partition('# %% tags=["parameters"]\n')
    given = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    exec(compile(given + "\n# %%" + rest.partition("\n# %%")[2], chapter.name, "exec"), {"__name__": "chapter"})
    note = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    asked = {used["artefact"] for used in note["artefacts"]}
    return {name for name in asked if KINDS[name.partition("/")[0]].stage != STAGES[-1]}


def names(found):
    return {one.path for one in found.artefacts.values()}


def test_every_chapter_says_what_it_needs():
    assert set(NEEDS) == set(chapters.NAMES)


def test_plan_names_what_the_executed_chapter_used(results, monkeypatch, tiny_profile):
    with tiny_profile(train=8, val=4, test=8, explained=2, cascaded=1):
        asked = work("localization", dataset="phantom-pneumothorax", profile="tiny", methods="xrai,gradcam", n_shown=1)
        unmade = plan.plan([asked])  # which images get maps is not known yet
        assert unmade.missing == unmade.artefacts.keys()
        assert "not made yet" in next(unmade.notes())
        assert list(results.iterdir()) == []

        execute(*work("dataset", dataset="phantom-pneumothorax", profile="tiny"), results / "first", monkeypatch)
        before = plan.plan([asked])
        assert len(before.artefacts) == len(unmade.artefacts)
        stored = {f"{folder.parent.name}/{folder.name}" for folder in (results / "store").glob("[!.]*/[!.]*")}
        assert {one.path for one in before.artefacts.values() if one.digest not in before.missing} <= stored

        used = execute(*asked, results / "second", monkeypatch)
        assert names(before) == used

        after = plan.plan([asked])
        assert after.missing == set()
        assert "nothing to compute" in plan.summary(after, after.rows(), plan.own([asked], after.store))
        assert names(after) < used  # what was only made on the way is not asked for again
        more = work("localization", dataset="phantom-pneumothorax", profile="tiny", methods="xrai,grad", n_shown=1)
        found = plan.plan([more])
        new = [found.artefacts[digest].title() for digest in found.missing]
        assert sum(title.startswith("grad maps") for title in new) == 4 == len(new)  # of three networks, a random one


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_a_plan_needs_no_store_and_writes_nothing(dataset, results):
    found = plan.plan(plan.of_book(dataset, "smoke"))
    assert found.missing == found.artefacts.keys() != set()
    assert list(results.iterdir()) == []


def test_planning_fetches_nothing(results, monkeypatch):
    def refuse(*given):
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = plan.plan([work("models", dataset="phantom-pneumothorax", profile="quick")])
    assert any("ImageNet weights is not known" in note for note in found.notes())
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("name", ["methods", "seed"])
def test_the_book_has_no_such_parameter(name):
    outcome = CliRunner().invoke(app, ["plan", f"--{name}", "1"])
    assert f"unknown parameter of chapter 'book' '{name}'" in str(outcome.exception)


def test_artefacts_of_several_chapters_count_once(results):
    both = [work(name, dataset="phantom-pneumothorax", profile="smoke") for name in ("models", "gallery")]
    apart, together = [names(plan.plan([one])) for one in both], names(plan.plan(both))
    assert together == apart[0] | apart[1]
    assert len(together) < len(apart[0]) + len(apart[1])


def test_what_cannot_be_read_is_computed_again(results, monkeypatch):
    asked = work("localization", dataset="phantom-pneumothorax", profile="smoke")
    execute(*work("atlas", dataset="cells", profile="smoke"), results / "first", monkeypatch)
    found = plan.plan([work("atlas", dataset="cells", profile="smoke")])
    assert found.missing == set()
    (images,) = found.artefacts.values()
    folder = results / "store" / images.path
    (folder / "split.npz").write_bytes(b"")
    again = plan.plan([work("five_band", dataset="cells", profile="smoke")])
    assert images.digest in again.missing
    assert asked


def test_sweep_is_planned_as_it_runs():
    given = {"dataset": ["phantom-pneumothorax", "phantom-pneumonia"], "methods": ["grad", "xrai", "ig"]}
    asked = plan.combined(chapters.load("localization"), given)
    assert len(asked) == 6
    assert plan.combined(chapters.load("localization"), given | {"seed": ["0", "0"]}) == asked
    with pytest.raises(SaltrustError, match="did you mean 'xrai'"):
        plan.combined(chapters.load("localization"), {"methods": ["xria"]})


def test_book_is_every_chapter_of_its_data_sets():
    asked = [*plan.of_book("phantom-pneumothorax", "smoke"), *plan.of_book("cells", "smoke")]
    assert [(chapter.name, values["dataset"]) for chapter, values in asked] == [
        *((name, "phantom-pneumothorax") for name in chapters.of(data_cards.load("phantom-pneumothorax"))),
        *((name, "cells") for name in chapters.of(data_cards.load("cells"))),
    ]
    assert {values["profile"] for _, values in asked} == {"smoke"}
    assert plan.as_by_default(asked)
    assert not plan.as_by_default([work("localization", dataset="cells", methods="lrp")])


@pytest.mark.parametrize(
    ("dataset", "judged"), [("phantom-chest5", "densenet121-findings-1"), ("phantom-pneumothorax", "inception_v3-1")]
)
def test_the_network_that_is_judged_has_more_work_waiting_than_any_other(dataset, judged, results):
    found, _ = plan.jobs(plan.of_book(dataset, "quick"))
    networks = sorted((job for job in found if job.stage == "networks"), key=lambda job: job.chain)
    assert networks[-1].name == judged
    assert networks[-1].chain > networks[-2].chain
    maps = max((job for job in found if job.stage == "maps"), key=lambda job: job.chain)
    assert maps.name == judged
    assert networks[-1].chain == networks[-1].work + maps.work


def test_command_prints_json_and_refuses_unknown_names(results, monkeypatch, capsys):
    command = ["saltrust", "plan", "dataset", "--profile", "smoke", "--protocol", "published", "--json"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["stored"], said["missing"]) == (0, 4)
    assert [row["unknown"] for row in said["rows"]] == [3, 1]  # nothing was ever timed here
    assert [job["job"] for job in said["jobs"]] == ["all/all"]
    assert said["notes"][-1] == plan.COARSE
    monkeypatch.setattr(sys, "argv", ["saltrust", "plan", "dataset", "--profil", "smoke"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "did you mean 'profile'" in capsys.readouterr().err


def test_computing_goes_stage_by_stage_and_plans_anew_where_that_decides_what_follows(results, monkeypatch):
    """Nothing is computed: what was asked for is written down."""
    made = []
    monkeypatch.setattr(plan.computing, "compute", lambda missing: made.append([one.stage for one in missing]) or [])
    plans = []
    planned = plan.plan
    monkeypatch.setattr(plan, "plan", lambda work: plans.append(work) or planned(work))
    monkeypatch.setattr(plan, "of_book", lambda *given: [work("models", dataset=given[0], profile=given[1])])
    assert plan.compute("phantom-pneumothorax", "smoke") == []
    assert [set(stages) for stages in made] == [{"data"}, {"networks"}, set()]
    assert len(plans) == 2  # at the start, and once there are images
    made.clear()
    plan.compute("phantom-pneumothorax", "full", "networks", "inception_v3-1")
    assert made == [["networks"]]
    with pytest.raises(SaltrustError, match="unknown stage 'map'; did you mean 'maps'"):
        plan.compute("phantom-pneumothorax", "smoke", "map")


def test_what_the_images_decide_is_made_in_their_stage(results, monkeypatch):
    """Whose average masks are asked for is known once there are images."""
    monkeypatch.setattr(plan, "of_book", lambda *given: [work("dataset", dataset=given[0], profile=given[1])])
    assert plan.compute("phantom-pneumothorax", "smoke", "data") == []
    left = plan.plan(plan.of_book("phantom-pneumothorax", "smoke"))
    assert not {left.artefacts[digest].kind for digest in left.missing}
    assert len(list((results / "store" / "average_mask").iterdir())) == 1


def executed(results, number, seconds, artefacts, machine=None, profile="smoke"):
    """Note of a run of `models` that has just ended."""
    here = plan.environment() | ({"machine": machine} if machine else {})
    folder = results / "runs" / "models" / str(number)
    folder.mkdir(parents=True)
    used = [{"artefact": name, "seconds": 1.0} for name in artefacts]
    parameters = {"dataset": "cells", "profile": profile}
    note = {"chapter": "models", "parameters": parameters, "seconds": seconds, "environment": here, "artefacts": used}
    (folder / "provenance.json").write_text(json.dumps(note))


def made(results, name, seconds, ago):
    folder = results / "store" / name
    folder.mkdir(parents=True)
    when = datetime.now(UTC) - timedelta(seconds=ago)
    (folder / "sidecar.json").write_text(json.dumps({"made": when.isoformat(timespec="seconds"), "seconds": seconds}))


def test_what_a_chapter_takes_besides_is_its_time_without_what_was_made_meanwhile(results):
    asked = [work("models", dataset="phantom-pneumothorax", profile="smoke")]
    store = plan.Foresight(results / "store")
    none = plan.own(asked, store)
    assert (none.timed, none.untimed) == (0, 1)
    assert "no time is known of the chapter itself" in none.words
    made(results, "classifier/0123456789abcdef", 60.0, ago=50)
    made(results, "classifier/1123456789abcdef", 60.0, ago=500)  # was there before
    made(results, "score_batch/0123456789abcdef", 25.0, ago=50)  # no part of a plan: the chapter's own
    executed(results, 1, 100.0, ["classifier/0123456789abcdef", "classifier/1123456789abcdef", "classifier/gone"])
    executed(results, 2, 100.0, ["score_batch/0123456789abcdef"])
    executed(results, 3, 7.0, [], machine="another")
    executed(results, 4, 7.0, [], profile="quick")
    (results / "runs" / "models" / "5").mkdir()
    (results / "runs" / "models" / "5" / "provenance.json").write_text("{")
    found = plan.own(asked, store)
    assert (found.low, found.high, found.timed, found.untimed, found.earlier) == (40.0, 100.0, 1, 0, 2)
    assert found.words.startswith("40 s to 2 min in the chapter itself")
    assert found.words.endswith("unsure")  # two are few
    executed(results, 6, 50.0, [])
    assert not plan.own(asked, store).words.endswith("unsure")
    more = plan.own([*asked, work("gallery", dataset="phantom-pneumothorax", profile="smoke")], store)
    assert (more.timed, more.untimed) == (1, 1)
    assert more.words.endswith("unsure")
