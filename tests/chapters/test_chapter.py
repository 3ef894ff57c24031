"""Chapters: parameters are read, cast and refused before any work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saltrust import chapters
from saltrust.chapters.chapter import _parameters
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError

SALTRUST = Path(sys.executable).with_name("saltrust")
HEAD = '# %% [markdown]\n# # Made up\n\n# %% tags=["parameters"]\n'


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
        ({"n_boot": "-3"}, "parameter 'n_boot': -3 is not between 20 and"),
        ({"seed": "0, 1"}, "not of type int .*; several runs, one for each value: --seed 0 --seed 1"),
        ({"methods": "grad,xria"}, "unknown method 'xria'; did you mean 'xrai'"),
        ({"dataset": "phantom"}, "unknown data set 'phantom'"),
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"protocol": "corected"}, "unknown protocol 'corected'; did you mean 'corrected'"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(SaltrustError, match=message):
        chapters.check(chapters.load("localization"), given)


NONSENSE = {int: ("-1", str(10**20)), float: ("nan", "inf", "-0.1"), str: ("no such thing", "grad,no such thing")}


@pytest.mark.parametrize("name", chapters.NAMES)
def test_nonsense_is_refused_for_every_parameter(name):
    chapter = chapters.load(name)
    for parameter in chapter.parameters:
        for text in NONSENSE[type(parameter.default)]:
            with pytest.raises(SaltrustError):
                chapters.check(chapter, {parameter.name: text})
        if parameter.name.startswith("n_"):
            with pytest.raises(SaltrustError, match=f"'{parameter.name}': 0 is not between"):
                chapters.check(chapter, {parameter.name: "0"})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("heatmaps", {"branch": "5", "profile": "full"}, {"branch": "5"}),
        ("randomization", {"shown": "2"}, {"shown": "2", "profile": "smoke"}),
        ("multiverse", {"shown": "lrp", "methods": "lrp,ig"}, {"shown": "lrp"}),
        ("five_band", {"n_thresholds": "80", "step": "0.001"}, {"n_thresholds": "80"}),
        ("five_band", {"inner": "0.5", "outer": "0.9"}, {"inner": "0.5"}),
        ("atlas", {"kinds": "CCell, empty", "backgrounds": "waves"}, {"kinds": ""}),
        ("claims", {"beside": ""}, {"beside": "as_run,nope"}),
    ],
)
def test_values_must_go_together(name, good, bad):
    chapter = chapters.load(name)
    assert set(chapters.check(chapter, good)) == set(good)
    with pytest.raises(SaltrustError):
        chapters.check(chapter, bad)


def test_a_linked_card_is_the_same_for_command_and_kernel(tmp_path, monkeypatch):
    """What is relative in it starts where the link lies."""
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    text = (paths.CARDS / "phantom-pneumonia.yaml").read_text(encoding="utf-8")
    (there / "mine.yaml").write_text(text.replace("name: phantom-pneumonia", "name: mine"), encoding="utf-8")
    (here / "mine.yaml").symlink_to(there / "mine.yaml")
    monkeypatch.chdir(here)
    values = chapters.complete(chapters.load("dataset"), {"dataset": "mine.yaml"})
    monkeypatch.chdir(there)  # a kernel starts elsewhere
    assert data_cards.load(values["dataset"]).folder == here


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x = 1 + 1  # count: help\n", "'x' is not a plain constant"),
        ("x = 1  # help\n", "made.py: parameter 'x': unknown kind of parameter 'help'; .*known: backgrounds, branch, "),
        ("x = 1\n", "made.py: parameter 'x': unknown kind of parameter ''"),
        ("x = 1  # cont: help\n", "did you mean 'count'"),
        ("import os\n", "more than `name = value"),
    ],
)
def test_a_parameters_cell_holds_constants_only(tmp_path, cell, message):
    source = tmp_path / "made.py"
    source.write_text(HEAD + cell)
    with pytest.raises(SaltrustError, match=message):
        _parameters(source, source.read_text())
    with pytest.raises(SaltrustError, match="no cell tagged 'parameters'"):
        _parameters(source, "# %%\nx = 1\n")


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
    cells, phantom = (chapters.of(data_cards.load(name)) for name in ("cells", "phantom-pneumonia"))
    assert set(cells) == set(chapters.NAMES) - {"shortcut", "multilabel", "alarm", "readers", "subgroups", "shapley"}
    assert "five_band" not in phantom
    for order in (cells, phantom):
        names = list(order)
        assert all(names.index(before) < names.index(name) for name in names for before in order[name])
    with pytest.raises(SaltrustError, match="'five_band' needs graded truth, .*; it runs on: cells"):
        chapters.complete(chapters.load("five_band"), {"dataset": "phantom-pneumonia"})


def test_data_with_several_readers_have_chapters_of_their_own():
    card = data_cards.load("phantom-bones")
    own = chapters.of(card.model_copy(update={"chapters": ()}))
    assert own["readers"] == ("localization",)
    assert own["subgroups"] == ("readers",)
    assert "readers" in own["claims"]
    assert not {"readers", "subgroups"} & set(chapters.of(card.model_copy(update={"chapters": (), "readers": 0})))
    with pytest.raises(
        SaltrustError, match="'readers' needs a card that counts two 'readers' or more, .* on: fracatlas,"
    ):
        chapters.complete(chapters.load("readers"), {"dataset": "phantom-pneumonia"})


@pytest.mark.parametrize("wrong", [{"readers": 1}, {"readers": 3, "truth": "none", "localizer": None}])
def test_readers_are_two_or_more_who_drew(wrong):
    given = data_cards.load("phantom-bones").model_dump(mode="json") | wrong
    with pytest.raises(ValueError, match="'readers' counts two or more"):
        data_cards.Card(**given)


def test_several_findings_have_chapters_of_their_own_and_a_card_may_choose():
    card = data_cards.load("phantom-chest5")
    expected = {"dataset": (), "multilabel": ("dataset",), "alarm": ("multilabel",), "claims": ("alarm",)}
    assert chapters.of(card) == expected
    assert list(chapters.of(card)) == list(expected)
    labels_alone = {"chapters": (), "truth": "none", "localizer": None}
    assert list(chapters.of(card.model_copy(update=labels_alone))) == [*expected]
    assert list(chapters.of(card.model_copy(update=labels_alone | {"plays": None}))) == [*expected][:-1]
    everything = chapters.of(card.model_copy(update={"chapters": ()}))
    assert {"localization", "verdict", "multilabel", "alarm"} <= set(everything)
    assert chapters.of(card.model_copy(update={"chapters": ("alarm",)})) == {"alarm": ()}
    assert "alarm" not in chapters.of(card.model_copy(update={"chapters": (), "findings": ("Edema",)}))
    with pytest.raises(SaltrustError, match="card 'phantom-chest5': chapters: unknown chapter of it 'shortcut'"):
        chapters.of(card.model_copy(update={"chapters": ("shortcut",)}))
    with pytest.raises(
        SaltrustError, match="'alarm' needs a card with several 'findings', .* on: chexpert-findings, phantom-chest5$"
    ):
        chapters.complete(chapters.load("alarm"), {"dataset": "phantom-pneumonia"})
    with pytest.raises(SaltrustError, match="'verdict' needs to stand among the 'chapters' of the card, .*chest5"):
        chapters.complete(chapters.load("verdict"), {"dataset": "phantom-chest5"})


def test_with_labels_alone_there_are_the_data_and_the_chapters_of_several_findings():
    card = data_cards.load("chexpert-findings")
    assert card.truth == "none"
    assert list(chapters.of(card)) == ["dataset", "multilabel", "alarm", "claims"]
    assert chapters.of(card.model_copy(update={"chapters": ()})) == chapters.of(card)
    assert chapters.of(card.model_copy(update={"chapters": (), "findings": ()})) == {}


def test_a_shortcut_is_asked_for_where_the_card_names_the_data_without_it():
    assert list(chapters.of(data_cards.load("phantom-shortcut")))[-1] == "shortcut"
    for name in ("phantom-no-shortcut", "phantom-pneumothorax", "cells"):
        assert "shortcut" not in chapters.of(data_cards.load(name))
    with pytest.raises(SaltrustError, match="needs a card with a 'shortcut_control', .* runs on: phantom-shortcut$"):
        chapters.complete(chapters.load("shortcut"), {"dataset": "phantom-no-shortcut"})


def test_shapley_values_are_asked_for_where_the_card_names_two_classes():
    digits = data_cards.load("digits")
    assert chapters.of(digits) == {"dataset": (), "shapley": ("dataset",), "claims": ("shapley",)}
    assert list(chapters.of(digits.model_copy(update={"plays": None}))) == ["dataset", "shapley"]
    assert "shapley" not in chapters.of(data_cards.load("cells"))
    with pytest.raises(SaltrustError, match="needs a card that names two classes as a 'contrast', .* runs on: digits$"):
        chapters.complete(chapters.load("shapley"), {"dataset": "cells"})
