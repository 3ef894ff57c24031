"""Chapters: parameters are read, cast and refused before any work; a run publishes all of its results or none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
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


def test_a_run_publishes_figures_tables_numbers_and_provenance(tmp_path):
    outcome = saltrust("run", "dataset", "--profile", "smoke", "-p", "n_shown=2", SALTRUST_RESULTS=str(tmp_path))
    assert outcome.returncode == 0, outcome.stderr
    results = tmp_path / "smoke" / "phantom-pneumothorax"
    assert outcome.stdout.strip() == str(results / "notebooks" / "dataset.ipynb")
    assert {p.name for p in (results / "figures").glob("*.png")} == {"positive.png", "negative.png", "truth.png"}
    note = json.loads((results / "figures" / "truth.json").read_text())
    assert note["caption"]
    assert note["alt"]
    splits = pd.read_csv(results / "tables" / "splits.csv")
    numbers = json.loads((results / "numbers.json").read_text())
    assert splits["positive"].tolist()[-1] == numbers["dataset/n_test_positive"]
    provenance = json.loads((results / "provenance" / "dataset.json").read_text())
    assert provenance["parameters"]["n_shown"] == 2
    assert {a["artefact"].split("/")[0] for a in provenance["artefacts"]} == {"data", "average"}
    assert {path.name for path in results.iterdir() if path.is_dir()} == {
        "figures",
        "tables",
        "notebooks",
        "provenance",
    }


@pytest.fixture
def project(tmp_path):
    """A project of one chapter, `dataset`, whose code is given."""

    def make(code: str) -> dict[str, str]:
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks" / "dataset.py").write_text(f"{HEAD}{COMMON}\n# %%\n{code}\n")
        cards = tmp_path / "data_cards"
        if not cards.exists():
            cards.symlink_to(paths.PROJECT / "data_cards")
        return {"SALTRUST_PROJECT": str(tmp_path), "SALTRUST_RESULTS": str(tmp_path / "results")}

    return make


PAGE = """
from saltrust.report import Page
from saltrust.study import Study
page = Page("dataset", Study(dataset, profile))
page.quote(answer={answer})
{then}
page.close()
"""


def test_a_failed_chapter_is_readable_and_leaves_the_published_results(project, tmp_path):
    results = tmp_path / "results" / "smoke" / "phantom-pneumothorax"
    assert saltrust("run", "dataset", **project(PAGE.format(answer=1, then=""))).returncode == 0
    outcome = saltrust("run", "dataset", **project(PAGE.format(answer=2, then="raise ValueError('no such luck')")))
    assert outcome.returncode == 2
    assert "dataset failed in dataset.py, cell 3: ValueError: no such luck" in outcome.stderr
    assert json.loads((results / "numbers.json").read_text()) == {"dataset/answer": 1}
    assert "no such luck" in (results / "notebooks" / "dataset.failed.ipynb").read_text()
    assert "answer=1" in (results / "notebooks" / "dataset.ipynb").read_text()
    assert saltrust("run", "dataset", **project(PAGE.format(answer=3, then=""))).returncode == 0
    assert json.loads((results / "numbers.json").read_text()) == {"dataset/answer": 3}
    assert not (results / "notebooks" / "dataset.failed.ipynb").exists()


def test_progress_of_the_kernel_reaches_the_terminal(project):
    code = "from saltrust import progress\nprogress.INTERVAL = 0\nlist(progress.track(range(3), 'counting'))"
    outcome = saltrust("run", "dataset", **project(code))
    assert "[phantom-pneumothorax dataset]" in outcome.stderr
    assert "67%  counting  0:00 left" in outcome.stderr


def test_chapters_on_graded_truth_are_refused_elsewhere():
    cells, phantom = (chapters.of(cards.load(name)) for name in ("cells", "phantom-pneumonia"))
    assert set(cells) == set(chapters.NAMES)
    assert "five_band" not in phantom
    for order in (cells, phantom):
        names = list(order)
        assert all(names.index(before) < names.index(name) for name in names for before in order[name])
    with pytest.raises(SaltrustError, match="'five_band' needs graded truth, .*; it runs on: cells"):
        chapters.run(chapters.load("five_band"), {"dataset": "phantom-pneumonia"})


def test_two_chapters_cannot_have_a_figure_of_one_name(tmp_path):
    staging, results = tmp_path / "staging", tmp_path / "results"
    for folder, owner in ((staging, "five_band"), (results, "models")):
        (folder / "figures").mkdir(parents=True)
        (folder / "figures" / "roc.json").write_text(json.dumps({"chapter": owner}))
        (folder / "figures" / "roc.png").write_bytes(owner.encode())
    with pytest.raises(SaltrustError, match="'five_band': 'roc' in figures is the name of one of 'models'"):
        chapters._publish(staging, results, "five_band")
    assert (results / "figures" / "roc.png").read_bytes() == b"models"
