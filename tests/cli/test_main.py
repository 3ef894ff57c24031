"""The words of a command line: where the chapter stands, how parameters are written, what comes of several values."""

import pytest
from click.testing import CliRunner

from saltrust.chapters import execute
from saltrust.cli import app
from saltrust.core.errors import SaltrustError
from saltrust.publishing import sweep


def invoke(*words):
    return CliRunner().invoke(app, words, prog_name="saltrust")


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The parameters of each run, none of which is executed; the one with seed 1 fails."""
    ran = []

    def run(chapter, given, write_page):
        ran.append(given)
        if given.get("seed") == "1":
            raise SaltrustError("no such luck")
        return tmp_path / f"{chapter.name}-{given.get('seed')}"

    monkeypatch.setattr(execute, "run", run)
    monkeypatch.setattr(sweep, "tabulate", lambda chapter, folders: [folder.name for folder in folders])
    return ran


@pytest.mark.parametrize(
    "words",
    [
        ("models", "--profile", "smoke", "--n-boot", "50", "--dataset", "phantom-pneumonia"),
        ("--profile", "smoke", "models", "--n_boot", "50", "--dataset=phantom-pneumonia"),
        ("-p", "n_boot=50", "--profile=smoke", "--dataset", "phantom-pneumonia", "models"),
        ("--n_boot=50", "-p", "profile=smoke", "models", "-p", "dataset=phantom-pneumonia"),
    ],
)
def test_the_chapter_may_stand_anywhere(ran, words):
    assert invoke("run", *words).exit_code == 0
    assert ran == [{"profile": "smoke", "n_boot": "50", "dataset": "phantom-pneumonia"}]


def test_a_value_is_no_chapter(ran):
    outcome = invoke("run", "--dataset", "models")
    assert str(outcome.exception).startswith("which chapter? saltrust run CHAPTER, then its parameters; known: atlas,")
    assert "unknown data set 'dataset'" in str(invoke("run", "--dataset", "dataset", "models").exception)
    assert ran == []


@pytest.mark.parametrize("command", ["run", "publish", "plan"])
def test_help_is_of_the_chapter_or_lists_them(command):
    text = invoke(command, "--help").output
    assert ("Every chapter of some data sets" if command == "plan" else "  localization    Utility: ") in text
    for words in (["models", "--help"], ["--help", "models"]):
        assert f"Usage: saltrust {command} models" in invoke(command, *words).output


def test_equal_values_are_one_run(ran):
    assert invoke("run", "models", "--seed", "2", "-p", "seed=2").exit_code == 0
    assert ran == [{"seed": "2"}]


def test_one_that_fails_stops_no_other(ran):
    outcome = invoke("run", "models", "--profile", "smoke", "--seed", "0", "--seed", "1", "--seed", "2")
    assert [given["seed"] for given in ran] == ["0", "1", "2"]
    assert "saltrust: no such luck" in outcome.output
    assert "All runs in one table: ['models-0', 'models-2']" in outcome.output
    assert str(outcome.exception) == "1 of 3 runs failed: seed=1"


def test_all_are_checked_before_the_first(ran):
    outcome = invoke("run", "models", "--seed", "0", "--seed", "-4")
    assert "parameter 'seed': -4 is not between" in str(outcome.exception)
    assert ran == []


def test_an_only_run_fails_as_itself(ran):
    assert str(invoke("run", "models", "--seed", "1").exception) == "no such luck"
