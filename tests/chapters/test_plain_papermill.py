"""Plain papermill runs a chapter, and what it gives is checked as `saltrust run` checks it."""

import json

import papermill
import pytest
from click.testing import CliRunner
from papermill.exceptions import PapermillExecutionError

from saltrust import chapters
from saltrust.chapters import plain_papermill
from saltrust.chapters.results_folder import by_hand
from saltrust.cli import app
from saltrust.core import paths
from saltrust.core.errors import SaltrustError


def test_the_injected_cell_is_read_and_no_other():
    cells = ["n_boot = 1000", '# Parameters\nn_boot = 300\nmethods = "xrai"\nshare = -0.5\n', "n_boot = 7"]
    assert plain_papermill.parameters(cells) == {"n_boot": 300, "methods": "xrai", "share": -0.5}
    assert plain_papermill.parameters(["n_boot = 1000"]) == {}


def test_other_parameters_have_other_names_and_the_same_the_same():
    all_given = ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}, {})
    names = [by_hand("smoke", "cells", "models", given).folder.name for given in all_given]
    assert names[0] == names[1] != names[2]
    assert names[3] == "models"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The chapters as notebooks."""
    folder = tmp_path_factory.mktemp("notebooks") / "mine"
    outcome = CliRunner().invoke(app, ["notebooks", str(folder)], catch_exceptions=False)
    assert outcome.exit_code == 0
    assert len(outcome.output.splitlines()) == len(chapters.NAMES)
    return folder


def test_notebooks_that_are_there_stay(written):
    before = {file.name: file.read_bytes() for file in written.iterdir()}
    assert set(before) == {f"{name}.ipynb" for name in chapters.NAMES}
    outcome = CliRunner().invoke(app, ["notebooks", str(written)])
    assert isinstance(outcome.exception, SaltrustError)
    assert "atlas.ipynb" in str(outcome.exception)
    assert {file.name: file.read_bytes() for file in written.iterdir()} == before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_show": 2}, "unknown parameter of chapter 'dataset' 'n_show'; did you mean 'n_shown'?"),
        ({"n_shown": "two"}, "chapter 'dataset': n_shown must be of type int, not 'two'"),
    ],
)
def test_papermill_alone_is_refused_what_the_chapter_does_not_know(written, tmp_path, monkeypatch, given, told):
    with pytest.raises(PapermillExecutionError) as error:
        execute(written, tmp_path, monkeypatch, given)
    assert told in str(error.value)
    assert not (tmp_path / "results/by_hand").exists()


def test_two_runs_of_papermill_do_not_replace_each_other(written, tmp_path, monkeypatch):
    for shown in (1, 2):
        execute(written, tmp_path, monkeypatch, {"n_shown": shown})
    left = sorted((tmp_path / "results/by_hand/smoke/phantom-pneumothorax").iterdir())
    assert [folder.name[:8] for folder in left] == ["dataset-", "dataset-"]
    shown = {json.loads((folder / "provenance.json").read_text())["parameters"]["n_shown"] for folder in left}
    assert shown == {1, 2}


def execute(written, tmp_path, monkeypatch, given):
    monkeypatch.setenv("SALTRUST_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    source, out = written / "dataset.ipynb", tmp_path / "out.ipynb"
    papermill.execute_notebook(
        source, out, {"profile": "smoke", **given}, kernel_name="python3", progress_bar=False, cwd=paths.WORK
    )
