"""Progress: every item passes, lines say how far and how long, and by default there is one line for each data set."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from saltrust.core import progress


def test_a_line_shows_share_work_and_time_left():
    assert progress.bar("maps", 5, 20, elapsed=30.0) == "█████░░░░░░░░░░░░░░░  25%  maps  1:30 left"


@pytest.mark.parametrize("log", [True, False])
def test_items_pass_unchanged(tmp_path, monkeypatch, log):
    if log:
        monkeypatch.setenv(progress.LOG, str(tmp_path / "log"))
    else:
        monkeypatch.delenv(progress.LOG, raising=False)
    assert list(progress.track("abc", "letters")) == ["a", "b", "c"]
    assert list(progress.track(iter("ab"), "letters", total=2)) == ["a", "b"]


def test_the_share_done_is_that_of_the_work(tmp_path, monkeypatch):
    """Items that take as long as they weigh: at each line the time left is what it then takes."""
    log, weights = tmp_path / "log", [1.0, 1.0, 6.0, 2.0]
    clock = iter([0.0, *np.cumsum(weights)])
    monkeypatch.setenv(progress.LOG, str(log))
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(progress.track("abcd", "weighing", weights=weights)) == [*"abcd"]
    lines = [json.loads(line)["line"] for line in log.read_text().splitlines()]
    assert [line.split()[1] for line in lines] == ["10%", "20%", "80%"]
    assert [line.split()[-2] for line in lines] == ["0:09", "0:08", "0:02"]


def test_items_of_a_wrong_total_still_pass(tmp_path, monkeypatch):
    monkeypatch.setenv(progress.LOG, str(tmp_path / "log"))
    assert list(progress.track(iter("abc"), "letters", total=2)) == ["a", "b", "c"]


def test_lines_are_written_at_most_once_an_interval(tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv(progress.LOG, str(log))
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    list(progress.track(range(4), "counting"))
    assert [json.loads(line)["line"].split()[1] for line in log.read_text().splitlines()] == ["25%", "50%", "75%"]
    monkeypatch.setattr(progress, "INTERVAL", 60.0)
    list(progress.track(range(4), "counting"))
    assert len(log.read_text().splitlines()) == 3


def test_saying_without_a_log_is_silent(monkeypatch, capsys):
    monkeypatch.delenv(progress.LOG, raising=False)
    progress.say("nothing")
    assert capsys.readouterr() == ("", "")


def test_a_long_work_writes_about_a_hundred_lines(tmp_path, monkeypatch):
    log, clock = tmp_path / "log", iter(range(0, 10**9, 2))
    monkeypatch.setenv(progress.LOG, str(log))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    list(progress.track(range(20_000), "counting"))
    lines = log.read_text().splitlines()
    assert 400 < len(lines) < 700  # a hundred at each doubling, and more at first


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (90, "1:30"), (3599.4, "59:59"), (3599.6, "1 h 0 min"), (7799, "2 h 9 min")]
)
def test_durations_read_in_minutes_and_from_an_hour_on_in_hours(seconds, text):
    assert progress.duration(seconds) == text


@pytest.fixture
def nobody_follows(monkeypatch):
    for name in (progress.LOG, progress.LABEL, progress.VERBOSE):
        monkeypatch.delenv(name, raising=False)


def test_verbose_shows_every_line_with_its_label_and_the_environment_is_back_afterwards(
    nobody_follows, monkeypatch, capsys
):
    monkeypatch.setenv(progress.VERBOSE, "1")
    monkeypatch.setenv(progress.LABEL, "before")
    with pytest.raises(KeyError), progress.shown("cells worker"):
        for line in ("first", "second"):
            progress.say(line)
        raise KeyError
    assert capsys.readouterr().err == "[cells worker] first\n[cells worker] second\n"
    assert os.environ[progress.LABEL] == "before"
    assert progress.LOG not in os.environ


def test_a_healthy_run_says_when_it_is_done_and_little_else(nobody_follows, monkeypatch, capsys):
    with progress.shown("cells atlas"):
        progress.say("maps of xrai")
        progress.say("done in 3 min", stays=True)
    assert capsys.readouterr().err == "cells  atlas: done in 3 min\n"


def test_each_data_set_is_heard_of_at_most_each_minute(monkeypatch, capsys):
    clock = iter([0.0, 10.0, 61.0, 62.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    cells, other = ({"label": name, "line": "x", "stays": False} for name in ("cells atlas", "other depth"))
    progress._now_and_then([[cells, other], [cells, cells], [other, cells], [cells]])
    assert capsys.readouterr().err.split("\n") == ["cells  atlas: x", "other  depth: x", "cells  atlas: x", ""]


def test_a_process_in_another_is_shown_by_the_outer_one(nobody_follows, monkeypatch, capsys):
    """As a kernel in its chapter, and a chapter in the workflow: one place writes to the terminal."""
    code = (
        "from saltrust.core import progress\nwith progress.shown('cells atlas'):\n    progress.say('inner', stays=True)"
    )
    with progress.shown():
        assert progress.followed()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        progress.say("outer", stays=True)
    assert done.stderr == ""
    assert capsys.readouterr().err == "cells  atlas: inner\nouter\n"
    assert not progress.followed()


def test_a_line_that_is_half_written_is_waited_for(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"label": "a", "li')
    done = progress.threading.Event()
    with log.open() as file:
        batches = progress._said(file, done)
        assert next(batches) == []
        with log.open("a") as more:
            more.write('ne": "b", "stays": false}\n')
        done.set()
        assert list(batches) == [[{"label": "a", "line": "b", "stays": False}]]


def test_on_a_terminal_there_is_a_line_for_each_data_set_below_what_stays(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    said = [{"label": f"{name} depth", "line": f"work {i}", "stays": False} for i in (1, 2) for name in ("a", "b")]
    progress._rewritten([said, [{"label": "a depth", "line": "done in 2 s", "stays": True}]])
    shown = capsys.readouterr().err
    assert "a  depth: work 2" in shown
    assert "b  depth: work 2" in shown
    assert "work 1" not in shown
    assert shown.index("work 2") < shown.index("a  depth: done in 2 s") < shown.rindex("b  depth: work 2")


def test_until_exit_what_others_say_is_shown_to_the_end():
    code = "from saltrust.core import progress\nprogress.show_until_exit()\nprogress.say('late', stays=True)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "late\n"
