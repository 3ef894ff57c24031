"""Commands with wrong words, and in places where nothing can be written: one line, exit code 2, nothing left behind."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from saltrust import chapters
from saltrust.cli import main
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError

LONG = "x" * 5000
HUGE = "9" * 5000  # more digits than Python reads
MISSING = "/nowhere/at/all"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder in which commands are given and results go."""
    results = tmp_path / "results"
    monkeypatch.setattr(paths, "RESULTS", results)
    monkeypatch.setattr(paths, "STORE", results / "store")
    monkeypatch.setattr(paths, "RUNS", results / "runs")
    monkeypatch.setattr(paths, "ASSESSED", results / "cards")
    monkeypatch.setattr(paths, "BUILD", results / "book")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(words, monkeypatch, capsys) -> str:
    """What a command says that ends with exit code 2, in one line."""
    monkeypatch.setattr(sys, "argv", ["saltrust", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 2, told
    (line,) = told.err.splitlines()
    assert line.startswith("saltrust: ")
    assert told.out == ""
    return line


def within(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- wrong words ------------------------------------------------------------------------------------------------------

WORDS = {
    # of every command
    "no such command": (["rum"], "No such command 'rum'. Did you mean 'run'?"),
    "an empty command": ([""], "No such command ''"),
    "a command in capitals": (["RUN"], "No such command"),
    "an option before the command": (["--dataset", "cells", "run"], "No such option"),
    "a very long command": ([LONG], "No such command"),
    # run
    "run without a chapter": (["run"], "which chapter?"),
    "run with an option alone": (["run", "--profile", "smoke"], "which chapter?"),
    "run of no chapter": (["run", "localisation"], "did you mean 'localization'?"),
    "run of an empty chapter": (["run", ""], "unknown chapter ''"),
    "run of a path": (["run", "../notebooks/models"], "unknown chapter"),
    "run of two chapters": (["run", "models", "gallery"], "unexpected extra argument"),
    "run with an unknown parameter": (["run", "models", "--sead", "1"], "did you mean 'seed'?"),
    "run with an unknown parameter by name": (["run", "models", "-p", "sead=1"], "did you mean 'seed'?"),
    "run with a pair without a sign": (["run", "models", "-p", "seed"], "write name=value"),
    "run with a pair without a name": (["run", "models", "-p", "=1"], "unknown parameter"),
    "run with a pair without a value": (["run", "models", "-p", "seed="], "'seed'"),
    "run with an option without its value": (["run", "models", "--seed"], "requires an argument"),
    "run with one good and one bad value": (["run", "models", "--seed", "1", "--seed", "x"], "'x' is not of type int"),
    "run with values in one option": (["run", "models", "--seed", "1,2"], "several runs"),
    "run of a chapter that the data lack": (["run", "atlas", "--dataset", "phantom-pneumonia"], "graded truth"),
    "run of a chapter on a shortcut without one": (["run", "shortcut", "--dataset", "cells"], "shortcut_control"),
    "run on data that are not here": (["run", "models", "--dataset", "siim-pneumothorax"], "not on this machine"),
    "run on a card that is not there": (["run", "models", "--dataset", "no/such.yaml"], "no data card no/such.yaml"),
    "run on a folder as a card": (["run", "models", "--dataset", "folder.yaml"], "folder.yaml"),
    "run on a card of bytes": (["run", "models", "--dataset", "bytes.yaml"], "bytes.yaml"),
    "run on an empty card": (["run", "models", "--dataset", "empty.yaml"], "empty.yaml"),
    "run with a flag's value": (["run", "models", "--verbose=yes"], "does not take a value"),
    "run with an unknown short option": (["run", "models", "-z"], "unknown parameter"),
    "run with methods that share no name": (["run", "gallery", "--methods", "xria"], "did you mean 'xrai'?"),
    "run with an empty method among others": (["run", "gallery", "--methods", "xrai,,grad"], "''"),
    # readers
    "readers without a table": (["readers"], "Missing argument 'TABLE...'"),
    "readers of a table that is not there": (["readers", MISSING], f"no table {MISSING}"),
    "readers of bytes": (["readers", "bytes.yaml"], "bytes.yaml"),
    "readers of an empty file": (["readers", "empty.yaml"], "empty.yaml"),
    "readers of a folder": (["readers", "folder.yaml"], "folder.yaml is a folder"),
    "readers of no size": (["readers", "empty.yaml", "--size", "0x9"], "'0x9' is not a size in pixels"),
    "readers with a huge size": (["readers", "empty.yaml", "--size", f"{HUGE}x9"], "is not a size in pixels"),
    "readers with no votes": (["readers", "empty.yaml", "--votes", "0"], "0 is not in the range"),
    "readers with a fill of another kind": (["readers", "empty.yaml", "--fill", "convex"], "'convex' is not one of"),
    "readers without resamples": (["readers", "empty.yaml", "--n-boot", "0"], "0 is not in the range"),
    # publish
    "publish without a chapter": (["publish"], "which chapter?"),
    "publish of no chapter": (["publish", "modles"], "did you mean 'models'?"),
    "publish of several values": (["publish", "models", "--seed", "1", "--seed", "2"], "several values"),
    "publish of an unknown profile": (["publish", "models", "--profile", "tiny"], "unknown profile 'tiny'"),
    "publish on data that are not here": (["publish", "models", "--dataset", "rsna-pneumonia"], "not on this machine"),
    "publish with a negative seed": (["publish", "models", "--seed=-1"], "-1 is not between"),
    "publish with a seed of other digits": (["publish", "models", "--seed", "٣"], "'٣' is not of type int"),
    # plan
    "plan of no chapter": (["plan", "bok"], "unknown chapter 'bok'"),
    "plan of a parameter that the book lacks": (["plan", "--seed", "1"], "unknown parameter of chapter 'book'"),
    "plan of an unknown data set": (["plan", "--dataset", "phantom"], "unknown data set 'phantom'"),
    "plan of an unknown profile": (["plan", "--profile", "huge"], "unknown profile 'huge'"),
    "plan of no data set": (["plan", "--dataset", ""], "unknown data set ''"),
    "plan of a chapter and too much": (["plan", "models", "3"], "unexpected extra argument"),
    "plan in another form": (["plan", "--yaml"], "unknown parameter"),
    "plan of data that are not here": (["plan", "--dataset", "vindr-pleural-effusion"], ""),
    # compute
    "compute without a data set": (["compute"], "Missing option '--dataset'"),
    "compute of an unknown data set": (["compute", "--dataset", "cell"], "did you mean 'cells'?"),
    "compute of an unknown profile": (["compute", "--dataset", "cells", "--profile", "x"], "unknown profile 'x'"),
    "compute of an unknown stage": (["compute", "--dataset", "cells", "--stage", "map"], "did you mean 'maps'?"),
    "compute of the stage of scores": (["compute", "--dataset", "cells", "--stage", "scores"], "unknown stage"),
    "compute of an unknown part": (
        ["compute", "--dataset", "phantom-pneumonia", "--profile", "smoke", "--stage", "maps", "--part", "resnet18-1"],
        "unknown part 'resnet18-1'",
    ),
    "compute of data that are not here": (["compute", "--dataset", "rsna-pneumonia"], "not on this machine"),
    "compute of too much": (["compute", "--dataset", "cells", "now"], "unexpected extra argument"),
    # assess
    "assess without a model": (["assess", "--dataset", "cells"], "Missing option '--model'"),
    "assess without a data set": (["assess", "--model", "x.py:load"], "Missing option '--dataset'"),
    "assess of a file that is not there": (["assess", "--model", "no.py:load", "--dataset", "cells"], "no.py"),
    "assess of an empty model": (["assess", "--model", "", "--dataset", "cells"], ""),
    "assess of a folder": (["assess", "--model", "folder.yaml", "--dataset", "cells"], "folder.yaml"),
    "assess of an empty description": (["assess", "--model", "empty.yaml", "--dataset", "cells"], "empty.yaml"),
    "assess of bytes": (["assess", "--model", "bytes.yaml", "--dataset", "cells"], "bytes.yaml"),
    "assess of no function": (["assess", "--model", "model.py", "--dataset", "cells"], "model.py"),
    "assess of a function that is not there": (["assess", "--model", "model.py:lod", "--dataset", "cells"], "lod"),
    "assess of an unknown kind of file": (["assess", "--model", "model.xyz", "--dataset", "cells"], "model.xyz"),
    "assess on an unknown data set": (["assess", "--model", "model.py:load", "--dataset", "x"], "unknown data set"),
    "assess by an unknown protocol": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--protocol", "own"],
        "unknown protocol 'own'",
    ),
    "assess in an unknown profile": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--profile", "own"],
        "unknown profile 'own'",
    ),
    "assess of unknown methods": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--methods", "grda"],
        "did you mean 'grad'?",
    ),
    "assess with a seed in words": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--seed", "one"],
        "Invalid value for '--seed'",
    ),
    "assess with a negative seed": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--seed", "-1"],
        "Invalid value for '--seed'",
    ),
    "assess with a seed of too many bits": (
        ["assess", "--model", "model.py:load", "--dataset", "cells", "--seed", str(2**32)],
        "Invalid value for '--seed'",
    ),
    "assess of data that are not here": (
        ["assess", "--model", "model.py:load", "--dataset", "rsna-pneumonia"],
        "rsna-pneumonia",
    ),
    # datasets
    "datasets with an unknown command": (["datasets", "chek"], "No such command 'chek'"),
    "check of nothing": (["datasets", "check"], "Missing argument 'NAME'"),
    "check of an unknown data set": (["datasets", "check", "cell"], "did you mean 'cells'?"),
    "check of a card that is not there": (["datasets", "check", "no.yaml"], "no data card no.yaml"),
    "check of an empty card": (["datasets", "check", "empty.yaml"], "empty.yaml"),
    "check of a folder as a card": (["datasets", "check", "folder.yaml"], "folder.yaml"),
    "check of generated data elsewhere": (["datasets", "check", "cells", "--root", "x"], "no files"),
    "check of a negative sample": (["datasets", "check", "cells", "--sample", "-1"], "-1 is not in the range"),
    "check of half a sample": (["datasets", "check", "cells", "--sample", "0.5"], "not a valid integer"),
    "check of too many samples": (["datasets", "check", "cells", "--sample", HUGE], "--sample"),
    "check of two data sets": (["datasets", "check", "cells", "cells"], "unexpected extra argument"),
    # compare, trace
    "compare of nothing": (["compare"], "Missing argument 'FIRST'"),
    "compare of one": (["compare", "x"], "Missing argument 'SECOND'"),
    "compare of three": (["compare", "a", "b", "c"], "unexpected extra argument"),
    "compare of unknown runs": (["compare", "a", "b"], "no run 'a'"),
    "compare of published with itself": (["compare", "published", "published"], "published"),
    "compare of a folder that is no run": (["compare", "folder.yaml", "published"], "no run"),
    "compare of an empty name": (["compare", "", "published"], "no run ''"),
    "compare of a very long name": (["compare", LONG, "published"], "no run"),
    "compare of a name with a zero byte": (["compare", "a\0b", "published"], "no run"),
    "trace of nothing": (["trace"], "Missing argument 'RESULT'"),
    "trace of an unknown result": (["trace", "localization/best"], ""),
    "trace of no chapter": (["trace", "best"], ""),
    "trace of an unknown data set": (["trace", "models/auc", "--dataset", "cell"], "did you mean 'cells'?"),
    "trace of an unknown profile": (["trace", "models/auc", "--profile", "x"], "unknown profile 'x'"),
    "trace of a very long name": (["trace", LONG], ""),
    # crate, book
    "crate to nowhere": (["crate"], "Missing option '--output'"),
    "crate of an unknown profile": (["crate", "--output", "o.zip", "--profile", "x"], "unknown profile 'x'"),
    "crate of an unknown data set": (["crate", "--output", "o.zip", "--dataset", "cell"], ""),
    "crate of nothing": (["crate", "--output", "o.zip"], ""),
    "crate onto a file": (["crate", "--output", "model.py"], "model.py"),
    "crate onto a folder": (["crate", "--output", "folder.yaml"], "folder.yaml"),
    "crate into a folder that is not there": (["crate", "--output", f"{MISSING}/o.zip"], ""),
    "crate to an empty name": (["crate", "--output", ""], ""),
    "book of an unknown profile": (["book", "--profile", "x"], "unknown profile 'x'"),
    "book of too much": (["book", "cells"], "unexpected extra argument"),
    # chapters, methods, store
    "chapters of something": (["chapters", "models"], "unexpected extra argument"),
    "methods of something": (["methods", "grad"], "unexpected extra argument"),
    "methods in another form": (["methods", "--yaml"], "No such option"),
    "store with an unknown command": (["store", "list"], "No such command 'list'"),
    "store ls of something": (["store", "ls", "maps"], "unexpected extra argument"),
    "store verify of something": (["store", "verify", "maps"], "unexpected extra argument"),
    "gc of negative days": (["store", "gc", "--days", "-1"], "not in the range"),
    "gc of too many days": (["store", "gc", "--days", "36501"], "not in the range"),
    "gc of half a day": (["store", "gc", "--days", "0.5"], "not a valid integer"),
    "gc of no number of days": (["store", "gc", "--days", "nan"], "not a valid integer"),
    "gc of negative hours": (["store", "gc", "--hours", "-0.1"], "not in the range"),
    "gc of no number of hours": (["store", "gc", "--hours", "nan"], "--hours"),
    "gc of hours in words": (["store", "gc", "--hours", "many"], "not a valid float"),
    "gc that deletes and does not": (["store", "gc", "--delete=yes"], "does not take a value"),
}


@pytest.mark.parametrize("case", WORDS.values(), ids=WORDS)
def test_wrong_words_are_refused_in_one_line_and_leave_nothing(case, place, monkeypatch, capsys):
    words, said = case
    (place / "folder.yaml").mkdir()
    (place / "empty.yaml").touch()
    (place / "bytes.yaml").write_bytes(bytes(range(128, 256)))
    (place / "model.py").write_text("def load():\n    return None\n")
    (place / "model.xyz").write_text("")
    before = within(place)
    assert said in refusal(words, monkeypatch, capsys)
    assert within(place) == before


# --- wrong parameters of chapters -------------------------------------------------------------------------------------

TEXTS = {"no name": "no-such-name", "an empty text": "", "a very long name": LONG, "a path": "../../etc/passwd"}
LISTS = TEXTS | {"one wrong name of two": "corrected,no-such-name", "a comma": ","}
NUMBERS = {
    "no number": "many",
    "an empty text": "",
    "half": "0.5",
    "NaN": "nan",
    "infinity": "inf",
    "less than nothing": "-1",
    "far too many": str(10**30),
    "more digits than Python reads": HUGE,
    "digits of another script": "٣",
    "a sign between digits": "1_0",
}
REALS = {key: NUMBERS[key] for key in ("no number", "an empty text", "NaN", "infinity", "less than nothing")}
REALS |= {"more than a float holds": "1e999", "digits of another script": "٠.٣", "a sign between digits": "0.0_1"}
WRONG: dict[str, dict[str, str]] = {
    "backgrounds": TEXTS,
    "branch": NUMBERS | {"none": "0", "one too many": "1000"},
    "cascaded image": NUMBERS,
    "cell side": NUMBERS | {"none": "0", "too few": "1"},
    "cell type": TEXTS,
    "cell types": LISTS,
    "count": NUMBERS | {"none": "0", "one too many": "100001"},
    "data set": TEXTS | {"a card that is not there": "no.yaml"},
    "further methods": {key: text for key, text in LISTS.items() if text} | {"made of others": "xrai"},
    "method": {key: text for key, text in TEXTS.items() if text},  # none is allowed
    "methods": LISTS,
    "number of thresholds": NUMBERS | {"none": "0"},
    "order": TEXTS,
    "profile": TEXTS,
    "protocol": TEXTS | {"two names": "corrected,published"},
    "protocols": {key: text for key, text in LISTS.items() if text.strip(",")},  # none is allowed
    "resamples": NUMBERS | {"none": "0", "one too few": "19", "one too many": "100001"},
    "seed": NUMBERS | {"one too many bits": str(2**32)},
    "thresholds": REALS,
}
"""Texts that are no value, by the kind of a parameter."""

PARAMETERS = {
    f"{chapter.name}, {parameter.name}: {what}": (chapter, parameter.name, text)
    for chapter in map(chapters.load, chapters.NAMES)
    for parameter in chapter.parameters
    for what, text in WRONG[parameter.kind].items()
}


def test_every_kind_of_parameter_has_wrong_values():
    kinds = {parameter.kind for name in chapters.NAMES for parameter in chapters.load(name).parameters}
    assert set(WRONG) == kinds


@pytest.mark.parametrize("case", PARAMETERS.values(), ids=PARAMETERS)
def test_wrong_parameters_are_refused_in_one_line(case):
    chapter, name, text = case
    with pytest.raises(SaltrustError) as refused:
        chapters.check(chapter, {name: text})
    (line,) = str(refused.value).splitlines()
    assert f"'{name}'" in line
    assert len(line) < 2000, "a text that is far too long is told in part"


# --- places in which nothing can be written ---------------------------------------------------------------------------

Spoil = Callable[[Path], None]


def a_file(*where: str) -> Spoil:
    def spoil(place: Path) -> None:
        file = place.joinpath("results", *where)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("in the way")

    return spoil


def dangling(*where: str) -> Spoil:
    def spoil(place: Path) -> None:
        link = place.joinpath("results", *where)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(MISSING)

    return spoil


def closed(*where: str) -> Spoil:
    def spoil(place: Path) -> None:
        folder = place.joinpath("results", *where)
        folder.mkdir(parents=True)
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)

    return spoil


RUN = ["run", "dataset", "--profile", "smoke"]
PUBLISH = ["publish", "dataset", "--profile", "smoke"]
COMPUTE = ["compute", "--dataset", "phantom-pneumonia", "--profile", "smoke"]
PLACES = {
    "run where results are a file": (RUN, a_file()),
    "run where runs are a file": (RUN, a_file("runs")),
    "run where the chapter's runs are a file": (RUN, a_file("runs", "dataset")),
    "run where results are a dangling link": (RUN, dangling()),
    "run where runs are a dangling link": (RUN, dangling("runs")),
    "run where results cannot be written": (RUN, closed()),
    "run where runs cannot be written": (RUN, closed("runs")),
    "publish where results are a file": (PUBLISH, a_file()),
    "publish where the profile is a file": (PUBLISH, a_file("smoke")),
    "publish where the data set is a file": (PUBLISH, a_file("smoke", "phantom-pneumothorax")),
    "publish where notebooks are a file": (PUBLISH, a_file("smoke", "phantom-pneumothorax", "notebooks")),
    "publish where results are a dangling link": (PUBLISH, dangling()),
    "publish where results cannot be written": (PUBLISH, closed()),
    "publish where the data set cannot be written": (PUBLISH, closed("smoke", "phantom-pneumothorax")),
    "publish where the numbers are damaged": (PUBLISH, a_file("smoke", "phantom-pneumothorax", "numbers.json")),
    "compute where results are a file": (COMPUTE, a_file()),
    "compute where the store is a file": (COMPUTE, a_file("store")),
    "compute where the store is a dangling link": (COMPUTE, dangling("store")),
    "compute where the locks are a file": (COMPUTE, a_file("store", ".locks")),
    "compute where a kind is a file": (COMPUTE, a_file("store", "image_set")),
    "compute where the store cannot be written": (COMPUTE, closed("store")),
}


@pytest.mark.parametrize("case", PLACES.values(), ids=PLACES)
def test_where_nothing_can_be_written_a_command_says_so_in_one_line(case, place, monkeypatch, capsys):
    words, spoil = case
    if spoil.__qualname__.startswith("closed") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    spoil(place)
    before = within(place)
    line = refusal(words, monkeypatch, capsys)
    assert str(place) in line
    left = within(place) - before  # a store's own folders, which the next process needs, may stay
    assert all(name.startswith("results/store/") for name in left)
    assert within(place) >= before


CASES = WORDS | PARAMETERS | PLACES


def test_no_name_stands_for_two_cases():
    assert len(CASES) == len(WORDS) + len(PARAMETERS) + len(PLACES)
    assert data_cards.names()
