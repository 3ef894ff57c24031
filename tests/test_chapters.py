"""Chapters: parameters are read, cast and refused before any work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saltrust import cards, chapters, paths
from saltrust.errors import SaltrustError

SALTRUST = Path(sys.executable).with_name("saltrust")
HEAD = '# %% [markdown]\n# # Made up\n\n# %% tags=["parameters"]\n'
COMMON = 'dataset = "phantom-pneumothorax"  # a card\nprofile = "smoke"  # size\n'


def saltrust(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SALTRUST, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", chapters.NAMES)
def test_every_chapter_has_documented_parameters(name):
    chapter = chapters.load(name)
    found = {parameter.name: parameter for parameter in chapter.parameters}
    assert {"dataset", "profile", "protocol", "seed"} <= set(found)
    assert all(parameter.help for parameter in chapter.parameters)
    assert chapters.check(chapter, {p.name: str(p.default) for p in chapter.parameters})


def test_notebooks_are_committed_without_outputs():
    tracked = subprocess.run(
        ["git", "-C", paths.PROJECT, "ls-files", "*.ipynb"], capture_output=True, text=True, check=True
    )
    assert tracked.stdout == ""
    assert {path.stem for path in paths.CHAPTERS.glob("*.py")} == set(chapters.NAMES)


def test_pairing_the_chapters_for_jupyterlab_leaves_their_sources_as_they_are(tmp_path):
    folder = tmp_path / "notebooks"
    shutil.copytree(paths.CHAPTERS, folder, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    sources = sorted(folder.glob("*.py"))
    jupytext = Path(sys.executable).with_name("jupytext")
    subprocess.run([jupytext, "--quiet", "--sync", *sources], check=True)
    for source in sources:
        notebook = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # JupyterLab need not ask for a kernel
        assert source.read_text(encoding="utf-8") == (paths.CHAPTERS / source.name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_bot": "5"}, "unknown parameter of chapter 'localization' 'n_bot'; did you mean 'n_boot'"),
        ({"n_boot": "many"}, "parameter 'n_boot': 'many' is not of type int"),
        ({"n_boot": "-3"}, "parameter 'n_boot': -3 is negative"),
        ({"methods": "grad,xria"}, "unknown method 'xria'; did you mean 'xrai'"),
        ({"dataset": "phantom"}, "unknown data set 'phantom'"),
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"protocol": "corected"}, "unknown protocol 'corected'; did you mean 'corrected'"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(SaltrustError, match=message):
        chapters.check(chapters.load("localization"), given)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x = 1 + 1  # help\n", "'x' is not a plain constant"),
        ("import os\n", "more than `name = value"),
    ],
)
def test_a_parameters_cell_holds_constants_only(tmp_path, cell, message):
    source = tmp_path / "made.py"
    source.write_text(HEAD + cell)
    with pytest.raises(SaltrustError, match=message):
        chapters._parameters(source, source.read_text())
    with pytest.raises(SaltrustError, match="no cell tagged 'parameters'"):
        chapters._parameters(source, "# %%\nx = 1\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "localisation"), "unknown chapter 'localisation'; did you mean 'localization'"),
        (("run", "verdict", "--dataset", "phantom-pneumothora"), "did you mean 'phantom-pneumothorax'"),
        (("run", "verdict", "-p", "n_boot"), "-p n_boot: write name=value"),
        (("run", "verdict", "--dataset", "brain-tumor-tiles"), "'brain-tumor-tiles' is not on this machine"),
    ],
)
def test_a_mistake_is_one_clear_line_and_a_bad_exit(tmp_path, arguments, message):
    outcome = saltrust(*arguments, SALTRUST_RESULTS=str(tmp_path), SALTRUST_DATA=str(tmp_path))
    assert outcome.returncode == 2
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # before any work


def test_chapters_on_graded_truth_are_refused_elsewhere():
    cells, phantom = (chapters.of(cards.load(name)) for name in ("cells", "phantom-pneumonia"))
    assert set(cells) == set(chapters.NAMES)
    assert "five_band" not in phantom
    for order in (cells, phantom):
        names = list(order)
        assert all(names.index(before) < names.index(name) for name in names for before in order[name])
    with pytest.raises(SaltrustError, match="'five_band' needs graded truth, .*; it runs on: cells"):
        chapters.complete(chapters.load("five_band"), {"dataset": "phantom-pneumonia"})
