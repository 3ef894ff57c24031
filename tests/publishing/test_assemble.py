"""Assembling the book: executed chapters become pages with numbered figures; what was not run says so."""

import json
import re
import shutil
import zipfile
from types import SimpleNamespace

import jupytext
import nbformat
import pytest
import yaml

from saltrust import chapters
from saltrust.chapters.chapter import MIME
from saltrust.chapters.results_folder import published
from saltrust.core import data_cards, paths
from saltrust.core.card_parts import Model
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import METHODS, by_family
from saltrust.publishing import assemble, blocks, launch, myst
from saltrust.study.maps import Maps


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Results and evidence in a scratch folder."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(assemble, "EVIDENCE", tmp_path / "evidence")
    return tmp_path


@pytest.fixture
def executed(folders):
    """The chapter `dataset` of one card, as `saltrust run` leaves it."""
    results = folders / "results" / "smoke" / "phantom-pneumothorax"
    for kind in ("notebooks", "figures", "tables", "provenance"):
        (results / kind).mkdir(parents=True)
    v4 = nbformat.v4
    shown = v4.new_output(
        "display_data",
        {"text/plain": "x", MIME: {"kind": "figure", "name": "truth", "chapter": "dataset"}},
    )
    cells = [
        v4.new_markdown_cell("# The data set\n\nHow large is the finding?"),
        v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("import numpy"),
        v4.new_code_cell("page.figure(...)", outputs=[v4.new_output("stream", name="stderr", text="a bar"), shown]),
        v4.new_code_cell("print(1)", outputs=[v4.new_output("stream", name="stdout", text="1\n")]),
    ]
    nbformat.write(v4.new_notebook(cells=cells), results / "notebooks" / "dataset.ipynb")
    parameters = {p.name: p.default for p in chapters.load("dataset").parameters} | {"n_shown": 3, "profile": "smoke"}
    note = {
        "chapter": "dataset",
        "parameters": parameters,
        "seconds": 12.3,
        "environment": {"commit": "abc", "python": "3.11.7"},
        "artefacts": [{"artefact": "data/1", "seconds": 1.5}, {"artefact": "average/2", "seconds": 2.5}],
    }
    (results / "provenance" / "dataset.json").write_text(json.dumps(note))
    (results / "numbers.json").write_text("{}")
    return results


def test_an_executed_chapter_becomes_a_page(executed):
    page = myst.page(data_cards.load("phantom-pneumothorax"), "dataset", "smoke")
    assert page.startswith("(phantom-pneumothorax-dataset)=\n# The data set\n")
    assert page.count("# The data set") == 1
    assert "How large is the finding?" in page
    assert "```{result-figure} truth\n```" in page
    assert "import numpy\n\npage.figure(...)" in page  # cells without output between them share one fold
    assert "```text\n1\n```" in page
    assert "a bar" not in page
    assert "seed = 0" not in page.replace("`seed = 0`", "")


def assessed(*names: str) -> data_cards.Card:
    """The card of a data set on which networks from elsewhere are judged, by their names."""
    models = tuple(Model(name=name, source="models.py:load") for name in names)
    return data_cards.load("phantom-pneumothorax").model_copy(update={"models": models})


@pytest.mark.parametrize("models", [(), ("a",), ("a", "b")])
def test_a_page_links_only_to_chapters_that_its_data_set_has(models):
    card = assessed(*models)
    known = chapters.of(card)
    prose = "\n".join(cell.source for name in known for cell in jupytext.read(chapters.load(name).source).cells)
    assert blocks.CHAPTER_LINK.search(prose)
    shown = blocks.CHAPTER_LINK.finditer(myst.write(blocks.Prose(prose), card))
    assert {link["chapter"] for link in shown} <= set(known)


def test_a_link_to_a_chapter_that_is_missing_leaves_its_words():
    card = assessed("a")
    page = myst.write(blocks.Prose("the [chapter on statistics](statistics.md) and [that](localization.md)"), card)
    assert page == "the chapter on statistics and [that](localization.md)"


def test_a_page_ends_with_its_command_its_parameters_and_its_provenance(executed):
    page = myst.page(data_cards.load("phantom-pneumothorax"), "dataset", "smoke")
    assert "saltrust run dataset --dataset phantom-pneumothorax --profile smoke --n-shown 3\n" in page
    for fact in (
        "commit `abc`",
        "12 s for this page",
        "4 s to compute the 2 artefacts",
        "**`n_shown = 3`**\n: images in each figure (default: `12`)",
        "\n`seed = 0`\n: of everything that is drawn at random\n",
        "python 3.11.7",
    ):
        assert fact in page


def test_a_page_links_to_the_outside_only_where_that_is_configured(executed, folders, monkeypatch):
    monkeypatch.setattr(launch, "FILE", folders / "launch.yaml")
    card = data_cards.load("phantom-pneumothorax")
    assert not re.search(r"https?://", myst.page(card, "dataset", "smoke"))
    text = "source: https://x.org/{chapter}.py\nlaunch: {Binder: 'https://b.org/{chapter}', Here: 'http://h/{chapter}'}"
    launch.FILE.write_text(text)
    page = myst.page(card, "dataset", "smoke")
    assert "([on the web](https://x.org/dataset.py))" in page
    assert "with its defaults: [Binder](https://b.org/dataset) · [Here](http://h/dataset)\n" in page


def test_a_page_can_be_taken_away_whole(executed, folders):
    for kind, name, owner in (
        ("figures", "truth", "dataset"),
        ("tables", "splits", "dataset"),
        ("figures", "roc", "models"),
    ):
        (executed / kind / f"{name}.json").write_text(json.dumps({"chapter": owner}))
        (executed / kind / f"{name}.{'png' if kind == 'figures' else 'csv'}").write_bytes(name.encode())
    (executed / "numbers.json").write_text(json.dumps({"dataset/n": 3, "models/auc": 0.9}))
    assemble.assemble("smoke")
    page = myst.page(data_cards.load("phantom-pneumothorax"), "dataset", "smoke")
    linked = re.findall(r"\{download\}`[^`<]+<([^>]+)>`", page)
    folder = folders / "evidence" / "phantom-pneumothorax"
    bundle, notebook, source = (folder / address for address in linked)
    assert notebook.read_bytes() == (executed / "notebooks" / "dataset.ipynb").read_bytes()
    assert source.read_text() == (paths.CHAPTERS / "dataset.py").read_text()
    with zipfile.ZipFile(bundle) as archive:
        top = "phantom-pneumothorax-dataset"
        assert set(archive.namelist()) == {
            f"{top}/{name}"
            for name in (
                *("figures/truth.json", "figures/truth.png", "tables/splits.csv", "tables/splits.json"),
                *("numbers.json", "provenance.json", "dataset.py"),
            )
        }
        assert json.loads(archive.read(f"{top}/numbers.json")) == {"dataset/n": 3}


def test_what_was_not_run_says_why_and_how(folders, monkeypatch):
    monkeypatch.setenv("SALTRUST_DATA", str(folders))
    absent = myst.page(data_cards.load("brain-tumor-tiles"), "verdict", "quick")
    assert "Not run here" in absent
    assert "is not on this machine. It comes from figshare 1512427" in absent
    assert "make book DATASETS=brain-tumor-tiles PROFILE=quick" in absent
    failed = published("quick", "phantom-pneumonia", "models").failed
    failed.parent.mkdir(parents=True)
    failed.touch()
    assert "This chapter failed; its notebook is" in myst.page(data_cards.load("phantom-pneumonia"), "models", "quick")


def test_the_first_page_of_a_data_set_says_how_much_of_it_was_run(executed):
    stands = "| Stands for | SIIM-ACR Pneumothorax Segmentation (stand-in) |"
    assert stands in myst.overview(data_cards.load("phantom-pneumothorax"), "smoke")
    assert "*1 of 14 chapters were run here.*" in myst.overview(data_cards.load("phantom-pneumothorax"), "smoke")
    assert "Not run here" in myst.overview(data_cards.load("phantom-pneumonia"), "smoke")


def test_a_book_that_is_built_while_chapters_run_says_what_is_ready(executed, folders):
    name = "phantom-pneumothorax"
    toc = yaml.safe_load(assemble.assemble("smoke", [name, "phantom-pneumonia"]).read_text())
    parts = {part["caption"]: [group["file"] for group in part["chapters"]] for part in toc["parts"]}
    assert parts["Evidence"] == [f"evidence/{name}/index", "evidence/phantom-pneumonia/index", "evidence/elsewhere"]
    making = json.loads((folders / "evidence" / "making.json").read_text())
    assert making == {"datasets": [name, "phantom-pneumonia"], "ready": 1, "chapters": 28}
    verdict = (folders / "evidence" / name / "verdict.md").read_text()
    assert "Being made" in verdict
    assert "Not run here" not in verdict
    assert "*1 of 14 chapters are ready, the others are being made.*" in myst.overview(
        data_cards.load(name), "smoke", making=True
    )
    assemble.assemble("smoke")
    assert json.loads((folders / "evidence" / "making.json").read_text())["datasets"] == []
    assert "Not run here" in (folders / "evidence" / name / "verdict.md").read_text()


@pytest.fixture
def rendered(folders, monkeypatch):
    """How often the book was rendered, by a stand-in that leaves a first page."""
    html, calls = folders / "_build" / "html" / "index.html", []

    def run(command, check):
        calls.append(command)
        html.parent.mkdir(parents=True, exist_ok=True)
        html.touch()
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(assemble, "HTML", html)
    monkeypatch.setattr(assemble, "BUILT", html.with_name(".built"))
    monkeypatch.setattr(assemble.subprocess, "run", run)
    return calls


def test_a_book_is_rendered_again_only_where_something_changed(executed, rendered):
    assert assemble.build("smoke") == assemble.build("smoke") == assemble.HTML
    assert len(rendered) == 1
    assemble.build("smoke", ["phantom-pneumothorax"])  # its pages say other things
    assemble.build("smoke")
    assemble.build("quick")
    assemble.build("smoke")
    assert len(rendered) == 5
    (executed / "numbers.json").touch()
    assemble.build("smoke")
    assemble.build("smoke")
    assert len(rendered) == 6
    shutil.rmtree(executed / "figures")
    assemble.build("smoke")
    assert len(rendered) == 7


def test_a_book_that_could_not_be_rendered_is_tried_again(executed, rendered, monkeypatch):
    assemble.build("smoke")
    monkeypatch.setattr(assemble.subprocess, "run", lambda command, check: SimpleNamespace(returncode=1))
    for _ in range(2):
        (executed / "numbers.json").touch()
        with pytest.raises(SaltrustError, match="the book was not built"):
            assemble.build("smoke")
    assert not assemble.BUILT.exists()


def test_assembly_lists_every_card_and_carries_the_results(executed, folders):
    toc = yaml.safe_load(assemble.assemble("smoke").read_text())
    parts = {part["caption"]: part["chapters"] for part in toc["parts"]}
    (own, elsewhere) = parts["Evidence"]
    assert (own["file"], elsewhere["file"]) == ("evidence/phantom-pneumothorax/index", "evidence/elsewhere")
    others = {f"evidence/{name}/index" for name in data_cards.names() if name != "phantom-pneumothorax"}
    assert {group["file"] for group in elsewhere["sections"]} == others
    for group in (own, *elsewhere["sections"]):
        card = data_cards.load(group["file"].split("/")[1])
        shown = [section["file"].rsplit("/")[-1] for section in group.get("sections", [])]
        assert shown == (list(chapters.of(card)) if card.available else [])
        for file in (group, *group.get("sections", [])):
            assert (folders / f"{file['file']}.md").exists()
    copied = folders / "evidence" / "phantom-pneumothorax"
    assert (copied / "numbers.json").exists()
    assert (copied / "notebooks" / "dataset.ipynb").exists()
    assert not (folders / "evidence" / "phantom-pneumonia" / "numbers.json").exists()


def test_the_page_on_data_sets_not_run_says_how_to_run_those_that_are_here(executed, folders, monkeypatch):
    monkeypatch.setenv("SALTRUST_DATA", str(folders))
    assemble.assemble("smoke")
    page = (folders / "evidence/elsewhere.md").read_text()
    assert "phantom-pneumothorax`" not in page
    assert "`make book DATASETS=phantom-pneumonia`" in page
    assert page.count("Its files are not on this machine.") == sum(
        not data_cards.load(name).available for name in data_cards.names()
    )
    assert list(json.loads((folders / "evidence/data_sets.json").read_text()))[0] == "phantom-pneumothorax"
    assert myst.elsewhere([], "smoke") == "# Data sets not run here\n\nAll were run here.\n"


def test_the_edition_for_students_is_without_the_teachers_page(executed, monkeypatch):
    def pages():
        toc = yaml.safe_load(assemble.assemble("smoke").read_text())
        return {page["file"] for part in toc["parts"] for page in part["chapters"]}

    everything = pages()
    monkeypatch.setenv("SALTRUST_EDITION", "student")
    assert everything - pages() == {"teaching"}


def test_no_page_of_another_edition_stays(executed, rendered, monkeypatch):
    assemble.build("smoke")
    page = assemble.HTML.with_name("teaching.html")
    page.touch()
    (executed / "numbers.json").touch()
    assemble.build("smoke")
    assert page.exists()
    monkeypatch.setenv("SALTRUST_EDITION", "student")
    assemble.build("smoke")
    assert not page.exists()


def test_an_unknown_edition_is_refused(monkeypatch):
    monkeypatch.setenv("SALTRUST_EDITION", "pupil")
    with pytest.raises(SaltrustError, match="'pupil'"):
        assemble.build("smoke")


def test_what_was_measured_here_takes_the_place_of_what_comes_with_the_project(folders, monkeypatch):
    monkeypatch.setattr(paths, "MEASURED", folders / "measured")
    for place, name in (
        ("measured", "benchmarks.json"),
        ("measured", "benchmarks_full.json"),
        ("results", "benchmarks.json"),
    ):
        (folders / place).mkdir(exist_ok=True)
        (folders / place / name).write_text(place)
    assemble.assemble("smoke")
    assert (folders / "evidence" / "benchmarks.json").read_text() == "results"
    assert (folders / "evidence" / "benchmarks_full.json").read_text() == "measured"
    assert not (folders / "evidence" / "benchmarks_machine.json").exists()


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_method_card_says_what_the_maps_of_the_book_are_made_with(profile):
    images = SimpleNamespace(seed=0, store=None, profile=PROFILES[profile])
    networks = SimpleNamespace(images=images, store=None, card=None, parameters={})
    maps = Maps(networks, PROTOCOLS["corrected"])
    rows = {row["name"]: row for row in assemble.methods_here(profile)}
    assert set(rows) == {method.name for method in by_family()}
    for name, row in rows.items():
        shown = {key: about["default"] for key, about in row["parameters"].items()} | row["here"]["parameters"]
        made = METHODS[name].complete(maps.parameters(name))
        assert shown | {"seed": 0} == made | {"seed": 0}
        assert row["here"]["passes"] == METHODS[name].passes(made)
    assert rows["smoothgrad"]["here"]["passes"] == {"quick": 5, "full": 25}[profile]
