"""Progress: every item passes, lines say how far and how long, and without a log a bar is shown."""

import os

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


def test_lines_are_written_at_most_once_an_interval(tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv(progress.LOG, str(log))
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    list(progress.track(range(4), "counting"))
    assert [line.split()[1] for line in log.read_text().splitlines()] == ["25%", "50%", "75%"]
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


def test_what_is_said_inside_is_shown_with_its_label_and_the_log_before_is_back(tmp_path, monkeypatch, capsys):
    before = tmp_path / "before"
    monkeypatch.setenv(progress.LOG, str(before))
    with pytest.raises(KeyError), progress.shown("phantom worker"):
        assert os.environ[progress.LOG] != str(before)
        for line in ("first", "second"):
            progress.say(line)
        raise KeyError
    assert capsys.readouterr().err == "[phantom worker] first\n[phantom worker] second\n"
    assert os.environ[progress.LOG] == str(before)
    assert not before.exists()
    monkeypatch.delenv(progress.LOG)
    with progress.shown("one"):
        pass
    assert progress.LOG not in os.environ
