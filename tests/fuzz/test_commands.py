"""Words of a command line, and values of each parameter: one line and exit 2, or they mean what they say."""

import contextlib
import io
import shlex
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saltrust import chapters, cli
from saltrust.artefacts import STAGES
from saltrust.chapters import execute, plain_papermill
from saltrust.chapters.assess import card_of
from saltrust.cli import planning
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import METHODS, select
from saltrust.publishing import assemble, compare, contact_sheet, html, ro_crate, sweep
from tests.fuzz import guard
from tests.fuzz.mutations import WORDS

LOADED = (compare, contact_sheet, html, sweep)  # what commands import when they run: jupytext then starts a program
PARAMETERS = [(name, one.name) for name in chapters.NAMES for one in chapters.load(name).parameters]
SOUND = (
    *data_cards.names(), *PROFILES, *PROTOCOLS, *METHODS, *STAGES, "all", "paper", "0", "1", "20", "0.5", "true",
    "false", "lrp,xrai", "TCell", "grad", "corrected,published",
)  # fmt: skip
_values = st.one_of(
    st.sampled_from(SOUND),
    st.sampled_from(WORDS),
    st.text(max_size=6),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.sampled_from((*SOUND, *WORDS)), max_size=3).map(",".join),
)


@guard.fuzzed(150)
@given(which=st.sampled_from(PARAMETERS), text=_values)
def test_a_value_is_one_of_its_kind_or_refused(which, text):
    chapter = chapters.load(which[0])
    (parameter,) = (one for one in chapter.parameters if one.name == which[1])
    found = guard.attempt(lambda: chapters.check(chapter, {parameter.name: text}))
    if isinstance(found, SaltrustError):
        assert parameter.name in str(found)
        return
    (value,) = found.values()
    assert type(value) is type(parameter.default)
    assert value == parameter.default or str(value).lower() == text.lower() or float(value) == float(text)
    words = shlex.split(chapter.command(found))  # what a page says of how to run it again
    given_again = words[words.index(f"--{parameter.option}") + 1] if f"--{parameter.option}" in words else ""
    assert value == parameter.default or given_again == str(value) or f"--{parameter.option}={value}" in words


@guard.fuzzed(60)
@given(text=st.one_of(_values, st.lists(st.sampled_from((*METHODS, "paper", "all", "")), max_size=4).map(",".join)))
def test_methods_are_selected_once_each_or_refused(text):
    found = guard.attempt(lambda: select(text))
    if not isinstance(found, SaltrustError):
        assert len(set(found)) == len(found) > 0
        assert {*found} <= {*METHODS}


COMMANDS = tuple(cli.app.commands)
OPTIONS = (
    "--dataset",
    "--profile",
    "--protocol",
    "--seed",
    "--methods",
    "--n-boot",
    "-p",
    "--json",
    "--help",
    "-v",
    "--",
)
OPTIONS += (
    "--root",
    "--sample",
    "--days",
    "--hours",
    "--delete",
    "--dry-run",
    "--stage",
    "--part",
    "--output",
    "--model",
)
OPTIONS += ("--names", "ls", "verify", "gc", "check", "seed=1", "n_boot=", "=", "--seed=", "--profile=smoke")
_vectors = st.tuples(
    st.sampled_from((*COMMANDS, "", "--help", "nosuch")),
    st.lists(
        st.one_of(st.sampled_from((*OPTIONS, *chapters.NAMES)), st.sampled_from((*OPTIONS, *SOUND)), _values),
        max_size=5,
    ),
).map(lambda pair: [pair[0], *(word[:400] for word in pair[1])])  # click repeats what is typed, at any length


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    """Commands that do no work, in an empty place; the folder of results."""
    for name, folder in (
        ("RESULTS", "results"),
        ("RUNS", "results/runs"),
        ("STORE", "results/store"),
        ("ASSESSED", "results/cards"),
    ):
        monkeypatch.setattr(paths, name, tmp_path / folder)

    def nothing(*_, **__):
        raise SaltrustError("done")

    works = (
        (execute, "run"),
        (execute, "publish"),
        (assemble, "build"),
        (ro_crate, "write"),
        (plain_papermill, "write"),
    )
    for module, name in works:
        monkeypatch.setattr(module, name, nothing)
    for name in ("plan", "compute", "of_book"):
        monkeypatch.setattr(planning, name, nothing)
    monkeypatch.setattr("saltrust.chapters.assess.assess", nothing)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where progress has its folder
    return tmp_path


def _run(words: list[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    raise AssertionError("main() must end by SystemExit")


@guard.fuzzed(200)
@given(words=_vectors)
@example(words=["compute", "--dataset", "cells"])
def test_a_command_line_ends_with_one_line_or_does_what_it_says(quiet, monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["saltrust", *words])
    code, out, err = guard.attempt(lambda: _run(words), quiet)
    assert code in (0, 2), (code, err)
    assert "Traceback" not in err + out
    if code == 2 and not err.startswith("Usage:"):
        line, end, rest = err.rpartition("saltrust: ")[2].partition("\n")
        assert (end, rest) == ("\n", ""), err
        guard.check_line(line)
    made = [str(path.relative_to(quiet)) for path in quiet.rglob("*") if path.is_file()]
    assert not made, made


@guard.fuzzed(60)
@given(texts=st.lists(_values, max_size=3), card=st.sampled_from((*data_cards.names(), *WORDS)))
def test_models_of_a_command_line(texts, card):
    found = guard.attempt(lambda: card_of(card, texts))
    if isinstance(found, SaltrustError):
        return
    names = [model.name for model in found.models]
    assert len(set(names)) == len(texts) > 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:  # it can be kept and read again
        again = guard.attempt(lambda: data_cards.parse(data_cards.save(found, Path(folder))), Path(folder))
        assert [model.name for model in again.models] == names
