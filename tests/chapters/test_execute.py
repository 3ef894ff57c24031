"""Running chapters: all of the results appear or none, in a folder of their own or, for the book, in its place."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from saltrust import chapters
from saltrust.chapters import execute, kernel
from saltrust.cli import app
from saltrust.cli.chapter_commands import ChapterCommand
from saltrust.core import paths

SALTRUST = Path(sys.executable).with_name("saltrust")
HEAD = '# %% [markdown]\n# # Made up\n\n# %% tags=["parameters"]\n'
COMMON = 'dataset = "phantom-pneumothorax"  # data set: a card\nprofile = "smoke"  # profile: size\n'


def saltrust(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SALTRUST, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_publishing_gives_figures_tables_numbers_and_provenance(tmp_path):
    outcome = saltrust("publish", "dataset", "--profile", "smoke", "-p", "n_shown=2", SALTRUST_RESULTS=str(tmp_path))
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
    assert {a["artefact"].split("/")[0] for a in provenance["artefacts"]} == {"image_set", "average_mask"}
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
from saltrust.chapters.page import Page
from saltrust.study.study import Study
page = Page("dataset", Study(dataset, profile))
page.quote(answer={answer})
{then}
page.close()
"""


def test_results_go_where_the_user_says_whatever_the_place_is_like(project, tmp_path):
    """Named from another folder, with braces that Papermill would fill in; beside a long folder for temporary files,
    and a kernel of the same name that is another program."""
    made = project(PAGE.format(answer=1, then=""))
    elsewhere, temporary = tmp_path / "else", tmp_path / ("t" * 100)
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    for folder in (elsewhere, temporary, kernel.parent):
        folder.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/usr/bin/false"], "display_name": "p", "language": "python"}))
    made |= {"SALTRUST_RESULTS": "{res}", "TMPDIR": str(temporary), "JUPYTER_PATH": str(tmp_path / "jupyter")}
    for command in ("publish", "run"):
        done = subprocess.run(
            [SALTRUST, command, "dataset"],
            cwd=elsewhere, env=os.environ | made, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).is_relative_to(elsewhere / "{res}")
    assert list(elsewhere.glob("{res}/**/numbers.json"))
    assert len(list(elsewhere.rglob("numbers.json"))) == len(list(tmp_path.rglob("numbers.json"))) == 2
    assert list(temporary.iterdir()) == []


def test_damaged_results_are_refused_before_any_work(project, tmp_path):
    made = project("raise ValueError('it ran')")
    numbers = tmp_path / "results" / "smoke" / "phantom-pneumothorax" / "numbers.json"
    numbers.parent.mkdir(parents=True)
    numbers.write_text("{")
    outcome = saltrust("publish", "dataset", **made)
    assert outcome.returncode == 2
    assert str(numbers) in outcome.stderr
    assert "it ran" not in outcome.stderr


def test_a_failed_chapter_is_readable_and_leaves_the_published_results(project, tmp_path):
    results = tmp_path / "results" / "smoke" / "phantom-pneumothorax"
    assert saltrust("publish", "dataset", **project(PAGE.format(answer=1, then=""))).returncode == 0
    outcome = saltrust("publish", "dataset", **project(PAGE.format(answer=2, then="raise ValueError('no such luck')")))
    assert outcome.returncode == 2
    assert "dataset failed in dataset.py, cell 3: ValueError: no such luck" in outcome.stderr
    assert json.loads((results / "numbers.json").read_text()) == {"dataset/answer": 1}
    assert "no such luck" in (results / "notebooks" / "dataset.failed.ipynb").read_text()
    assert "answer=1" in (results / "notebooks" / "dataset.ipynb").read_text()
    assert saltrust("publish", "dataset", **project(PAGE.format(answer=3, then=""))).returncode == 0
    assert json.loads((results / "numbers.json").read_text()) == {"dataset/answer": 3}
    assert not (results / "notebooks" / "dataset.failed.ipynb").exists()


def test_what_the_kernel_says_reaches_the_terminal_but_for_a_false_alarm(project):
    """Jupyter interrupts a kernel that has nothing to do before it ends it, and ipykernel calls that an error."""
    outcome = saltrust("publish", "dataset", "--verbose", **project("""
import logging
from saltrust.core import progress
progress.INTERVAL = 0
list(progress.track(range(3), 'counting'))
kernel = logging.getLogger("IPKernelApp")
for message in ("KeyboardInterrupt caught in kernel.", "KeyboardInterrupt caught in kernel", "no such luck"):
    kernel.error(message)
"""))  # fmt: skip
    assert "67%  counting  0:00 left" in outcome.stderr
    assert "[phantom-pneumothorax dataset] done in " in outcome.stderr
    assert "no such luck" in outcome.stderr
    assert "KeyboardInterrupt" not in outcome.stderr


def test_a_run_lands_in_a_folder_of_its_own_and_leaves_the_published_results(project, tmp_path):
    made = project(PAGE.format(answer=1, then="print('said')"))
    assert saltrust("publish", "dataset", **made).returncode == 0
    before = {file: file.read_bytes() for file in (tmp_path / "results" / "smoke").rglob("*") if file.is_file()}
    outcome = saltrust("run", "dataset", **made)
    assert outcome.returncode == 0, outcome.stderr
    (folder,) = (tmp_path / "results" / "runs" / "dataset").iterdir()
    assert outcome.stdout.strip() == str(folder / "index.html")
    assert {file.name for file in folder.iterdir()} == {
        "dataset.ipynb", "dataset.py", "index.html", "numbers.json", "provenance.json",
    }  # fmt: skip
    assert json.loads((folder / "numbers.json").read_text()) == {"dataset/answer": 1}
    page = (folder / "index.html").read_text()
    assert "<h1>Made up</h1>" in page
    assert "saltrust run dataset --dataset phantom-pneumothorax --profile smoke</pre>" in page
    assert f"saltrust compare {folder.name} published</pre>" in page
    assert {address for address in re.findall('href="([^"#]+)"', page) if not (folder / address).exists()} == {
        "figures/",  # a made-up chapter without any
        "tables/",
    }
    assert "<pre>said</pre>" in page
    assert {f: f.read_bytes() for f in (tmp_path / "results" / "smoke").rglob("*") if f.is_file()} == before


def test_several_values_are_several_runs_and_one_table(project, tmp_path):
    code = PAGE.format(answer="len(profile) + seed", then="")
    made = project(f"{code}")
    source = tmp_path / "notebooks" / "dataset.py"
    source.write_text(source.read_text().replace(COMMON, f"{COMMON}seed = 0  # seed: of the draw\n"))
    outcome = saltrust("run", "dataset", "--seed", "1", "-p", "seed=4", **made)
    assert outcome.returncode == 0, outcome.stderr
    *pages, last = outcome.stdout.splitlines()
    assert len(pages) == 2
    page = Path(last.removeprefix("All runs in one table: "))
    table = pd.read_csv(page.with_suffix(".csv"))
    text = page.read_text()
    for name in table["run"]:
        assert f'<a href="{name}/index.html">{name}</a>' in text
    assert f"saltrust compare {table['run'][0]} {table['run'][1]}</pre>" in text
    assert table["seed"].tolist() == [1, 4]
    assert table["answer"].tolist() == [6, 9]
    assert table["run"].tolist() == [Path(page).parent.name for page in pages]


def test_a_failed_run_leaves_its_notebook_and_says_where(project, tmp_path):
    outcome = saltrust("run", "dataset", **project(PAGE.format(answer=2, then="raise ValueError('no such luck')")))
    assert outcome.returncode == 2
    (folder,) = (tmp_path / "results" / "runs" / "dataset").iterdir()
    assert folder.name.endswith("-failed")
    assert f"ValueError: no such luck; its notebook: {folder / 'dataset.ipynb'}" in outcome.stderr
    assert "no such luck" in (folder / "dataset.ipynb").read_text()


def test_help_prints_what_the_notebook_says(project):
    made = project(PAGE.format(answer=1, then=""))
    text = saltrust("run", "dataset", "--help", **made).stdout
    assert "--profile TEXT" in text
    assert "size (default: smoke)" in text
    assert "  verdict " in saltrust("run", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "verdict", "--n-bot", "3"), "unknown parameter of chapter 'verdict' 'n_bot'; did you mean 'n_boot'"),
        (("run", "verdict", "--n-boot", "many"), "parameter 'n_boot': 'many' is not of type int"),
        (("run", "verdict", "--n-boot"), "Option '--n-boot' requires an argument."),
        (("run", "verdict", "--seed", "1", "--seed", "x"), "parameter 'seed': 'x' is not of type int"),
        (("publish", "verdict", "--seed", "1", "--seed", "2"), "parameter 'seed' has several values"),
    ],
)
def test_a_mistake_is_refused_before_any_work(tmp_path, arguments, message):
    outcome = saltrust(*arguments, SALTRUST_RESULTS=str(tmp_path))
    assert (outcome.returncode, outcome.stderr.count("\n")) == (2, 1)
    assert message in outcome.stderr
    assert list(tmp_path.iterdir()) == []


VALUES = {
    int: st.integers(0),
    float: st.floats(0, allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    str: st.text(st.characters(codec="utf-8", exclude_characters="\0")),
}


@given(st.data())
def test_the_command_gives_back_the_parameters(data):
    chapter = chapters.load(data.draw(st.sampled_from(chapters.NAMES)))
    values = {p.name: data.draw(VALUES[type(p.default)]) for p in chapter.parameters}
    _, command, name, *words = shlex.split(chapter.command(values))
    assert (command, name) == ("run", chapter.name)
    known = {p.name: p for p in chapter.parameters}
    given = {}
    ChapterCommand(chapter, lambda _, values: given.update(values), []).main(words, standalone_mode=False)
    read = {name: known[name].cast(text) for name, (text,) in given.items()}
    assert {p.name: p.default for p in chapter.parameters} | read == values


def test_the_command_of_an_own_card_runs_it(tmp_path, monkeypatch):
    """Through the whole command line, up to where the work would start."""
    folder = tmp_path / "it's my cards"
    folder.mkdir()
    text = (paths.CARDS / "phantom-pneumonia.yaml").read_text(encoding="utf-8")
    card = folder / "mine.yaml"
    card.write_text(text.replace("name: phantom-pneumonia", "name: mine"), encoding="utf-8")
    chapter = chapters.load("localization")
    values = chapters.complete(chapter, {"dataset": str(card), "methods": "xrai, gradcam", "n_boot": "20"})
    ran = []
    monkeypatch.setattr(
        execute, "run", lambda chapter, given, write_page: ran.append(chapters.complete(chapter, given)) or tmp_path
    )
    outcome = CliRunner().invoke(app, shlex.split(chapter.command(values))[1:])
    assert outcome.exit_code == 0, outcome.output
    assert ran == [values]
    assert values["dataset"] == str(card)


def test_the_command_of_an_older_run_leaves_out_what_is_no_parameter_any_more():
    chapter = chapters.load("models")
    given = {"dataset": "cells", "gone": 3, "profile": "quick"}
    assert chapter.command(given) == "saltrust run models --dataset cells --profile quick"


@pytest.mark.parametrize(("request_to_end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_chapter_that_is_interrupted_has_time_to_put_aside_what_it_has(project, tmp_path, request_to_end, code):
    """Longer than the 2.5 s after which Jupyter would end its kernel."""
    started, kept = tmp_path / "started", tmp_path / "kept"
    made = project(f"""
import time
from pathlib import Path
try:
    Path({str(started)!r}).touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(4)
    Path({str(kept)!r}).touch()
    raise
""")
    process = subprocess.Popen([SALTRUST, "run", "dataset"], env=os.environ | made, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(1200):
            if started.exists():
                break
            time.sleep(0.1)
        assert started.exists()
        process.send_signal(request_to_end)
        _, said = process.communicate(timeout=kernel.PATIENCE + 60)
    finally:
        process.kill()
    assert process.returncode == code
    assert "saltrust: interrupted; what is computed is kept" in said
    assert "KeyboardInterrupt caught" not in said
    assert kept.exists()
    assert all(folder.name.endswith("-failed") for folder in (tmp_path / "results" / "runs" / "dataset").iterdir())
