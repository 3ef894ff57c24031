"""The page that says where every number comes from, on a tiny book."""

import importlib
import io
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from saltrust import chapters
from saltrust.core import data_cards

BOOK = Path(__file__).parents[2] / "book"
CARD = "phantom-pneumothorax"


@pytest.fixture(scope="module")
def provenance():
    """The extension."""
    with pytest.MonkeyPatch.context() as context:
        context.syspath_prepend(BOOK / "_ext")
        yield importlib.import_module("provenance")


def chapter(name: str, before: tuple[str, ...], state: str, results: list[dict]) -> dict:
    return {
        "chapter": name,
        "title": f"The {name} & more",
        "before": before,
        "state": state,
        "parameters": {"seed": 0, "methods": "<all>"},
        "seconds": 250.0,
        "environment": "abc",
        "artefacts": 20,
        "behind": 33,
        "computed": 7200.0,
        "results": results,
    }


@pytest.fixture
def page(tmp_path, provenance):
    """Build the page over a data set whose chapters ran but for one that failed and one that did not run; its HTML."""
    before = chapters.of(data_cards.load(CARD))
    states = dict.fromkeys(before, "run") | {"audit": "failed", "claims": "not run"}
    results = [
        {"kind": "figure", "name": "score_boxes", "cell": 5, "artefacts": 12},
        {"kind": "number", "name": "best", "cell": 5, "artefacts": 12},
        {"kind": "number", "name": "old", "cell": None, "artefacts": None},
    ]
    made = [chapter(name, ups, states[name], results if states[name] == "run" else []) for name, ups in before.items()]
    of = {"artefacts": 1000, "gone": 2, "megabytes": 1234.5, "seconds": 9000.0}
    absent = [chapter("dataset", (), "not run", [])]
    summary = {
        "profile": "quick",
        "datasets": [
            {"dataset": CARD, "title": "Phantoms", "chapters": made} | of,
            {"dataset": "mura", "title": "MURA", "chapters": absent} | of,
        ],
        "kinds": [{"kind": "saliency_maps", "of": "image_set", "artefacts": 1000, "megabytes": 0.1, "hours": 2.5}],
        "not_alone": 10,
        "versions": {
            "chapters": [{"what": "torch", "value": "2", "times": 11}, {"what": "commit", "value": "abc", "times": 11}],
            "artefacts": [{"what": "torch", "value": "1", "times": 3}],
        },
    }
    folder = tmp_path / "evidence" / CARD
    folder.mkdir(parents=True)
    (folder.parent / "lineage.json").write_text(json.dumps(summary))
    (folder / "lineage.json").write_text("{}")
    (folder / "index.md").write_text("---\norphan: true\n---\n# A\n")
    for name in before:
        (folder / f"{name}.md").write_text("---\norphan: true\n---\n# A\n")
    (tmp_path / "index.md").write_text((BOOK / "provenance.md").read_text())
    return build(tmp_path)


def build(folder: Path) -> str:
    warnings = io.StringIO()
    settings = {"extensions": ["myst_parser", "computed", "catalogue", "provenance"], "numfig": True}
    with docutils_namespace():
        app = Sphinx(folder, None, folder / "_out", folder / "_trees", "html", settings, status=None, warning=warnings)
        app.build()
    assert warnings.getvalue() == ""
    return (folder / "_out" / "index.html").read_text()


def test_the_graph_is_drawn_with_states_in_words_and_links_to_pages(page, tmp_path):
    (svg,) = re.findall("<svg.*?</svg>", page, re.DOTALL)
    graph = ElementTree.fromstring(svg)
    links = {Path(link.get("href")).stem: link for link in graph.iter("a")}
    before = chapters.of(data_cards.load(CARD))
    assert set(links) == set(before)
    for name, link in links.items():
        assert (tmp_path / "_out" / link.get("href")).exists()
        told = next(link.iter("title")).text
        state = {"audit": "failed", "claims": "not run"}.get(name, "run")
        assert link.get("class") == state.replace(" ", "-")
        assert f": {'run in 4 min' if state == 'run' else state}" in told
        assert all(up.replace("_", " ") in told for up in before[name])
    assert len(list(graph.iter("path"))) == sum(map(len, before.values()))
    boxes = {name: next(link.iter("rect")) for name, link in links.items()}
    for name, ups in before.items():
        assert all(float(boxes[up].get("y")) + 46 < float(boxes[name].get("y")) for up in ups)


def test_every_result_stands_with_its_cell_parameters_and_artefacts(page):
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    assert "Phantoms: 12 of 14 chapters run; 12 figures, 24 numbers" in text
    assert text.count("5 figure score_boxes ; number best 12") == 12
    assert text.count("not noted number old 20") == 12
    assert "seed = 0 , methods = <all>" in text
    assert "20 artefacts, 33 with what they were made from, 2.0 h; commit abc" in text
    assert "Not run here: MURA." in text
    assert "2 that chapters asked for are no longer in the store" in text
    anchor = nodes.make_id(f"fig-{CARD}-score_boxes")
    assert f'href="evidence/{CARD}/localization.html#{anchor}"' in page
    assert re.search(r'href="_downloads/\w+/lineage\.json"', page)


def test_tables_of_kinds_and_versions(page):
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    assert "saliency_maps saliency maps of a method and network image_set 1,000 0.1 2.50" in text
    assert "The hours of 10 of all 1,000" in text
    assert re.search("torch 2 11 0 torch 1 0 3 commit abc 11 0", text)


def test_without_results_the_page_says_so(tmp_path, provenance):
    (tmp_path / "index.md").write_text((BOOK / "provenance.md").read_text())
    assert build(tmp_path).count("Not run here") == 4


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_no_chapter_lies_on_another_or_above_what_it_needs(provenance, pairs):
    before = {str(node): sorted({str(a) for a, b in pairs if b == node and a < b}) for node in range(10)}
    at = provenance.places(before)
    made = [{"chapter": name, "title": name, "before": before[name], "state": "run", "seconds": 1.0} for name in before]
    graph = ElementTree.fromstring(provenance.graph(made, "any", dict.fromkeys(before, "#")))
    width = float(next(graph.iter("rect")).get("width"))
    for name, ups in before.items():
        assert all(at[up][1] < at[name][1] for up in ups)
    for row in {y for _, y in at.values()}:
        across = sorted(x for x, y in at.values() if y == row)
        assert all(right - left > width for left, right in pairwise(across))
        assert across[0] - width / 2 >= 0
        assert across[-1] + width / 2 <= provenance.WIDTH
