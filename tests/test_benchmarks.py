"""The benchmarks themselves: how a ratio comes about, and that both sides of each still do the same work."""

import json
import sys
from importlib import import_module

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import harness, memory
from benchmarks.harness import SIZES, Comparison, load, measure, table

import_module("saltrust.models.torchvision_compat")  # mends torchvision, which quantus imports


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As the command runs them: with more, two runs of one pass may differ in the last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scripted(monkeypatch, ours, theirs, **changes):
    """What is measured where the work takes the given seconds, turn by turn."""
    log, times = [], {"ours": iter(ours), "theirs": iter(theirs)}

    def timed(work):
        name = work()
        return next(times[name]), name

    def named(name):
        return lambda: log.append(name) or name

    monkeypatch.setattr(harness, "timed", timed)
    parts = {"agree": lambda one, other: (one, other) == ("ours", "theirs"), "target": 2, "repeats": len(ours)}
    comparison = Comparison(
        "work", "library", named("ours"), named("theirs"), note="how it was done", **parts | changes
    )
    return measure(comparison), log


def test_the_best_of_turns_taken_counts(monkeypatch):
    row, log = scripted(monkeypatch, ours=[3.0, 2.0], theirs=[6.0, 9.0])
    assert (row.ours_seconds, row.theirs_seconds, row.ratio, row.spread) == (2.0, 6.0, 3.0, 0.5)
    assert row.reached
    assert row.agree
    assert log == ["ours", "theirs"] * 3  # the first of them to warm up


def test_a_share_of_a_floor_is_better_when_lower(monkeypatch):
    row, log = scripted(monkeypatch, ours=[1.1], theirs=[1.0], better="lower", target=1.05, warm_up=False)
    assert row.ratio == pytest.approx(1.1)
    assert not row.reached
    assert len(log) == 2


def test_the_table_shows_what_was_missed_and_what_differs(monkeypatch):
    row, _ = scripted(monkeypatch, ours=[1.0], theirs=[1.5], agree=lambda *_: False)
    head, line, _, note = table([row]).splitlines()
    assert head.split()[0] == "work"
    assert ">= 2.00 missed" in line
    assert line.endswith("DIFFER")
    assert note == "work. how it was done"


# The whole cascade in Quantus runs 189 layers; "cascade_states" goes through the same functions.
@pytest.mark.parametrize("name", sorted(load().keys() - {"cascade"}))
def test_both_sides_agree_at_the_smallest_size(name, monkeypatch):
    if name == "cascade_states":
        pytest.importorskip("quantus", reason="installed by `make benchmark` alone")
    monkeypatch.setattr(memory, "peak", lambda *_: 0)
    row = measure(load()[name](SIZES["smoke"]))
    assert row.agree
    assert min(row.ours_seconds, row.theirs_seconds, row.ratio) > 0


def test_the_command_prints_one_benchmark_and_writes_only_all(monkeypatch, tmp_path, capsys):
    chosen = {name: load()[name] for name in ("auprc", "ssim")}
    monkeypatch.setattr(command, "load", lambda: chosen)
    for names in (["auprc"], []):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *names, "--size", "smoke", "--out", str(tmp_path)])
        assert command.main() == 0
        assert "AUPRC of 3 maps" in capsys.readouterr().out
        assert (tmp_path / "benchmarks.json").exists() == (not names)
    rows = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert [row["beside"] for row in rows] == ["scikit-learn", "scikit-image"]
    assert {"work", "ours_seconds", "theirs_seconds", "ratio", "target", "agree", "better"} <= rows[0].keys()
    about = json.loads((tmp_path / "benchmarks_machine.json").read_text(encoding="utf-8"))
    assert about["cores"] >= 1
    assert about["size"] == "smoke"
