"""The words of a command line: where the chapter stands, how parameters are written, what comes of several values."""

import errno
import subprocess
import sys

import pytest
from click.testing import CliRunner

from saltrust import cli
from saltrust.chapters import execute
from saltrust.cli import app, main
from saltrust.core import paths, progress
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
    assert ("Every chapter of some data sets" if command == "plan" else "localization     Utility: ") in text
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


def test_commands_that_need_no_torch_do_not_wait_for_it():
    slow = "{'torch', 'pandas', 'matplotlib', 'scipy', 'rich.console'}"
    code = f"import sys, saltrust.cli; print(sorted({slow} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "saltrust: No such command 'rum'. Did you mean 'run'?"),
        (["run", "models", "more"], "saltrust: Got unexpected extra argument (more)"),
        (["store", "gc", "--days", "-1"], "saltrust: Invalid value for '--days': -1 is not in the range 0<=x<=36500."),
        (["compare", "one"], "saltrust: Missing argument 'SECOND'."),
        (["plan", "--methods", "lrp"], "saltrust: unknown parameter of chapter 'book' 'methods'"),
        (["plan", "--methods", "lrp", "gallery", "-p", "x"], "saltrust: -p x: write name=value"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["saltrust", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert line.startswith(message)


def test_a_full_disk_is_told_with_the_place_of_the_results(monkeypatch, capsys):
    def full(*given, **named):
        raise OSError(errno.ENOSPC, "No space left on device", "file")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"results go to {paths.RESULTS} (SALTRUST_RESULTS); `saltrust store gc`" in capsys.readouterr().err


def test_a_mistake_in_a_process_that_another_follows_is_said_there(monkeypatch, capsys, tmp_path):
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv(progress.LOG, str(log))
    monkeypatch.setattr(sys, "argv", ["saltrust", "rum"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == ""
    assert '"saltrust: No such command' in log.read_text()


def test_without_a_command_the_help_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["saltrust"])
    with pytest.raises(SystemExit):
        main()
    assert "Can you trust a saliency map?" in capsys.readouterr().err
