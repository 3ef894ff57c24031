"""Looking after a store: what is needed stays, what is damaged is found, what nobody names can go."""

import json
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock

from saltrust.artefacts import maintenance
from saltrust.artefacts.sidecar import SIDECAR, StorageError, sealed
from saltrust.artefacts.store import Store
from saltrust.chapters.results_folder import artefacts_named, in_work
from saltrust.cli import app
from saltrust.core import paths, scratch
from saltrust.core.errors import SaltrustError
from tests.artefacts.test_store import Squares


@dataclass(frozen=True)
class Sums(Squares):
    kind: ClassVar[str] = "sums"
    of: Squares

    def compute(self, get):
        return get(self.of).cumsum()


@pytest.fixture
def filled(tmp_path):
    """A store under results/ with two squares and the sums of the first; returns (results, names by what they are)."""
    store = Store(tmp_path / "results" / "store")
    specs = {"first": Squares(5), "second": Squares(6), "sums": Sums(7, Squares(5))}
    for spec in specs.values():
        store.get(spec)
    return tmp_path / "results", {name: f"{spec.kind}/{spec.digest}" for name, spec in specs.items()}


def names(artefacts):
    return {one.name for one in artefacts}


def artefacts(results):
    return list(maintenance.stored(results / "store"))


def unneeded(results, younger=timedelta(0)):
    named = partial(artefacts_named, results)
    return maintenance.unneeded(artefacts(results), results / "store", named, younger)


def publish(results, *used, place="quick/cells/provenance/models.json"):
    file = results / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"artefacts": [{"artefact": name, "seconds": 1} for name in used]}))


def test_every_artefact_is_listed_with_size_and_age(filled):
    results, named = filled
    found = artefacts(results)
    assert names(found) == set(named.values())
    assert {one.name: one.upstream for one in found}[named["sums"]] == (named["first"],)
    table = maintenance.listing(found, datetime.now(UTC) + timedelta(days=2)).set_index("kind")
    assert table.loc["squares", "artefacts"] == 2
    assert table["megabytes"].sum() * 1e6 == pytest.approx(
        sum(file.stat().st_size for file in (results / "store").rglob("*/*/*") if file.is_file())
    )
    assert table["newest"].min() == pytest.approx(2, abs=0.01)
    assert maintenance.listing([]).empty


@pytest.mark.parametrize(
    "place",
    [
        "quick/cells/provenance/models.json",
        "runs/models/now/provenance.json",
        "by_hand/quick/cells/models/provenance.json",
    ],
)
def test_what_a_result_was_made_from_is_needed_to_the_last_link(filled, place):
    results, named = filled
    assert names(unneeded(results)) == set(named.values())
    publish(results, named["sums"], "maps/of-another-store", place=place)
    assert names(unneeded(results)) == {named["second"]}
    assert unneeded(results, timedelta(hours=1)) == []


def used(results, name, when):
    """As if an artefact had been made and used at that time, in seconds."""
    file = results / "store" / name / SIDECAR
    note = json.loads(file.read_text()) | {"made": datetime.fromtimestamp(when, UTC).isoformat()}
    file.write_text(json.dumps(sealed(note)))
    os.utime(file.parent, (when, when))


def test_what_a_process_used_that_is_still_at_work_is_needed_however_long_ago_that_was(filled, monkeypatch):
    results, named = filled
    week_ago = time.time() - 7 * 86400
    monkeypatch.setattr("saltrust.artefacts.store.STARTED", week_ago)
    used(results, named["first"], week_ago - 3600)
    used(results, named["second"], week_ago + 60)
    used(results, named["sums"], week_ago - 3600)
    assert maintenance.at_work(results / "store") is None
    process = Store(results / "store")
    process.get(Sums(7, Squares(5)))  # reads it: it counts as used from now on
    assert maintenance.at_work(results / "store").timestamp() == pytest.approx(week_ago, abs=1)
    assert names(unneeded(results)) == {named["first"]}
    assert maintenance.leftovers(results / "store") == []
    used(results, named["sums"], week_ago + 60)
    assert names(unneeded(results, timedelta(days=1))) == {named["first"]}
    del process
    assert maintenance.at_work(results / "store") is None
    assert names(unneeded(results, timedelta(days=1))) == set(named.values())


def test_the_lock_of_a_process_that_was_killed_is_a_leftover(filled):
    results, _ = filled
    lock = results / "store" / ".locks" / "process-1000-1-0123abcd"
    lock.touch()
    assert maintenance.at_work(results / "store") is None
    assert [left.kind for left in maintenance.leftovers(results / "store")] == ["(lock)"]
    maintenance.remove(maintenance.leftovers(results / "store"), results / "store")
    assert not lock.exists()


def staged(results, place, hours=0.0):
    """The folder of a chapter that was last written to so long ago."""
    folder = results / place
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    for path in (folder / ".lock", folder):
        os.utime(path, (time.time() - 3600 * hours,) * 2)
    return folder


@pytest.mark.parametrize("place", ["runs/models/.running-abcd_123", "full/rsna/.models-abcd_123"])
def test_a_chapter_that_runs_is_no_leftover_however_old_and_one_that_was_killed_is(filled, place):
    results, named = filled
    young, old = staged(results, f"{place[:-3]}456"), staged(results, place, hours=300)
    publish(results, named["first"], place=f"{place}/provenance.json")  # its kernel has ended, it does not yet show
    os.utime(old / "provenance.json", (0, 0))
    os.utime(old, (0, 0))
    with FileLock(old / ".lock"):
        assert maintenance.leftovers(results / "store", in_work=in_work(results)) == []
        assert named["first"] not in names(unneeded(results))
    (old / "provenance.json").write_text("{")
    assert len(unneeded(results)) == 3
    os.utime(old / "provenance.json", (0, 0))
    (left,) = maintenance.leftovers(results / "store", in_work=in_work(results))
    assert left.folder == old
    assert maintenance.remove([left], results / "store") == left.size > 0
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize(
    "place",
    [
        "projects/thesis/.venv-3.11",
        "runs/models/.venv-abcd_123",
        "runs/other/.running-abcd_123",
        "full/rsna/.other-abcd_123",
        "full/rsna/.models-old",
        "else/rsna/.models-abcd_123",
    ],
)
def test_only_folders_that_chapters_make_are_leftovers(tmp_path, place):
    staged(tmp_path, place, hours=300)
    assert maintenance.leftovers(tmp_path / "store", in_work=in_work(tmp_path)) == []


def test_what_another_user_may_not_look_into_is_left_out(filled, monkeypatch):
    results, _ = filled
    folder = staged(results, "full/rsna/.models-abcd_123", hours=300)
    scan = os.scandir

    def refuse(path):
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert maintenance.leftovers(results / "store", in_work=in_work(results)) == []


def test_what_another_user_may_not_delete_stays(filled, monkeypatch):
    results, _ = filled

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(maintenance, "discard", refuse)
    assert maintenance.remove(artefacts(results), results / "store") == 0
    assert len(artefacts(results)) == 3


def test_an_artefact_whose_origin_cannot_be_read_now_stops_a_collection(filled, monkeypatch):
    """Or what it was made from would count as unneeded."""
    results, named = filled
    publish(results, named["sums"])
    measured = maintenance._measured

    def stale(path):
        if path.name == named["sums"].partition("/")[2]:
            raise OSError(116, "Stale file handle", str(path))
        return measured(path)

    monkeypatch.setattr(maintenance, "_measured", stale)
    with pytest.raises(StorageError, match="Stale file handle"):
        artefacts(results)


@pytest.fixture
def command(filled, monkeypatch):
    """`saltrust store` on the store that is filled, with temporary folders of its own.

    Returns (what it printed, what it raised)."""
    monkeypatch.setattr(paths, "RESULTS", filled[0])
    monkeypatch.setattr(paths, "STORE", filled[0] / "store")
    monkeypatch.setattr(tempfile, "tempdir", str(filled[0]))
    monkeypatch.setattr(scratch, "SHORT", str(filled[0]))

    def run(*words):
        done = CliRunner().invoke(app, ["store", *words], env={"COLUMNS": "200"})
        return done.output, done.exception

    return run


def took(results, name, hours):
    file = results / "store" / name / SIDECAR
    file.write_text(json.dumps(sealed(json.loads(file.read_text()) | {"seconds": 3600 * hours})))
    os.utime(file.parent)


def test_a_collection_says_what_it_would_cost_and_stops_where_that_is_much(filled, command):
    results, named = filled
    took(results, named["second"], 40)
    publish(results, named["sums"])
    said, _ = command("gc", "--days", "0")
    assert "1 of 3 artefacts, 0 leftovers, 40.0 hours of computing" in said
    _, refused = command("gc", "--days", "0", "--delete")
    assert isinstance(refused, SaltrustError)
    assert "more than --hours 1, so nothing is deleted; --hours 40 deletes them" in str(refused)
    assert len(artefacts(results)) == 3
    said, raised = command("gc", "--days", "0", "--delete", "--hours", "40")
    assert raised is None
    assert "MB freed" in said
    assert names(artefacts(results)) == {named["first"], named["sums"]}


def test_an_unfinished_training_costs_what_it_took_so_far(filled):
    results, named = filled
    for name in ("classifier-0123456789abcdef", named["first"].replace("/", "-")):
        folder = results / "store" / ".unfinished" / name
        folder.mkdir(parents=True)
        torch.save({"identity": "", "seconds": 7200.0, "state": {"weight": torch.zeros(3)}}, folder / "training.pt")
    hours = {left.folder.name: left.seconds / 3600 for left in maintenance.leftovers(results / "store")}
    # That of what is stored is no loss.
    assert hours == {"classifier-0123456789abcdef": 2, named["first"].replace("/", "-"): 0}


def test_a_collection_says_what_it_keeps_for_a_process_at_work(filled, command):
    process = Store(filled[0] / "store")
    process.get(Squares(5))
    said, _ = command("gc", "--days", "0")
    assert "Nothing to collect." in said
    assert "Kept: all that was made or read since" in said


@pytest.mark.parametrize("days", ["inf", "1e12", "-1", "nan", "36501"])
def test_days_that_are_none_are_refused(command, days):
    said, raised = command("gc", "--days", days)
    assert isinstance(raised, SystemExit)
    assert "--days" in said


def test_where_nothing_is_stored_the_list_says_so(tmp_path, command, monkeypatch):
    assert "3 artefacts" in command("ls")[0]
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "new")
    monkeypatch.setattr(paths, "STORE", tmp_path / "new" / "store")
    assert command("ls")[0] == f"Nothing is stored in {tmp_path / 'new' / 'store'}\n"


def test_where_a_result_does_not_say_what_it_needs_nothing_is_called_unneeded(filled):
    results, named = filled
    publish(results, named["sums"])
    (results / "quick/cells/provenance/verdict.json").write_text("{")
    with pytest.raises(SaltrustError, match=r"verdict\.json cannot be read.*repair or remove it"):
        unneeded(results)


def test_nothing_is_removed_from_a_store_that_is_not_there(tmp_path):
    assert maintenance.remove([], tmp_path / "results" / "store") == 0


def test_removing_frees_what_it_says_and_leaves_what_is_in_work(filled):
    results, named = filled
    found = {one.name: one for one in artefacts(results)}
    with FileLock(results / "store" / ".locks" / named["second"].replace("/", "-")):
        freed = maintenance.remove(found.values(), results / "store")
    assert freed == sum(one.size for name, one in found.items() if name != named["second"])
    assert names(artefacts(results)) == {named["second"]}
    assert np.array_equal(Store(results / "store").get(Squares(5)), np.arange(5) ** 2)


def test_damage_is_found(filled):
    results, named = filled
    found = {one.name: one for one in artefacts(results)}
    assert list(maintenance.damaged(found.values())) == []
    flipped = found[named["first"]].folder / "array.npy"
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"\x01")
    (found[named["second"]].folder / "more.txt").touch()
    (found[named["sums"]].folder / SIDECAR).write_text("{")
    assert {one.name for one in artefacts(results) if one.made is None} == {named["sums"]}
    why = {one.name: text for one, text in maintenance.damaged(artefacts(results))}
    assert why == {
        named["first"]: "differs in array.npy",
        named["second"]: "differs in more.txt",
        named["sums"]: f"has no readable {SIDECAR}",
    }
