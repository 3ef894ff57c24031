"""Pages outside the book read without it: prose, formulas, frames."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape, unescape
from importlib.resources import files
from shutil import copy

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from saltrust.chapters.chapter import load
from saltrust.chapters.results_folder import Results
from saltrust.core import data_cards
from saltrust.core.markup import code, myst, unescaped
from saltrust.plots.style import GRADE_MARKS
from saltrust.publishing import html


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("{num}`a/x .2f` of {num}`a/y`", "<p>−0.50 of seven</p>"),
        ("a {term}`map <saliency map>`", "<p>a map</p>"),
        ("see [](../../concepts/ssim.md) and [that](#cells-atlas)", "<p>see the book and that</p>"),
        ("the [next\nchapter](statistics.md)", "<p>the next\nchapter</p>"),
        ("(cells-heatmaps-gallery)=\n## Gallery", "<h2>Gallery</h2>"),
        ("{num}`a/z`", "<p>not computed</p>"),
        ("Fig. 2 of {cite:t}`arun2021assessing,shu2024informer`", "<p>Fig. 2 of Arun 2021, Shu 2024</p>"),
        ("a\n{num}`a/x\n.1f`", "<p>a\n−0.5</p>"),
    ],
)
def test_prose_of_a_run_reads_without_the_book(text, read):
    assert html.prose(text, {"a/x": -0.5, "a/y": "seven"}).strip() == read


def test_formulas_of_a_run_are_mathml():
    assert re.search("<p>so .*<math .*<mi>x</mi>.*</math>", html.prose("so $x^2$", {}))


def test_formulas_of_a_run_are_those_of_the_book():
    text = html.prose(r"so $\displaystyle \sum_k x \sim y$, not $\nosuchcommand <$", {})
    assert 'display="inline" displaystyle="true"' in text
    assert "<mo>&#x0223C;</mo>" in text
    assert r"<code>\nosuchcommand &lt;</code>" in text


@pytest.mark.parametrize("published", [True, False])
def test_files_that_a_page_names_are_where_it_says(published, tmp_path):
    """Of a published chapter, whose folder others share, and of a run, which alone can be compared."""
    results = Results(tmp_path / "cells", "atlas", published)
    parameters = {one.name: one.default for one in load("atlas").parameters} | {"profile": "smoke"}
    for file in (results.notebook, results.provenance_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# The atlas\n\nOne.")]), results.notebook)
    about = {"chapter": "atlas", "parameters": parameters, "seconds": 1.0, "artefacts": [], "numbers": {}}
    results.provenance_file.write_text(json.dumps(about | {"environment": {}}))
    results.numbers_file.write_text("{}")
    for folder in ("figures", "tables"):
        (results.folder / folder).mkdir()
    if not published:
        copy(load("atlas").source, results.folder)
    html.write(results)
    assert results.page.name == ("atlas.html" if published else "index.html")
    page = results.page.read_text()
    links = re.findall(r'href="([^"#]+)"', page)
    assert links
    assert all((results.folder / unescape(link)).exists() for link in links)
    assert ("saltrust compare" in page) != published
    assert ("atlas of cells" if published else "run cells of atlas") in page
    assert f"{escape(data_cards.load('cells').title)} · dataset cells, profile smoke · " in page


def test_a_page_in_a_frame_has_its_own_title():
    page = '<!doctype html><html><head><title>A card</title></head><body class="a">1 &lt; 2</body></html>'
    shown = re.search('<iframe title="A card" srcdoc="([^"]*)"', html.frame(page, "card"))
    assert unescape(shown[1]) == page
    assert html.frame("<p>", "a & b").startswith('<iframe title="a &amp; b"')


def hashed(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_policy_of_a_page_permits_what_is_in_it_and_nothing_else():
    page = html.document("A", "run", html.frame(html.document("B", "card", ""), "b"))
    policy = unescape(re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1])
    allowed = {one.split()[0]: one.split()[1:] for one in policy.split(";")}
    outer = re.sub('srcdoc="[^"]*"', "", page)
    handlers = re.findall(r' on\w+="([^"]*)"', outer)
    assert allowed["default-src"] == ["'none'"]
    assert allowed["style-src"] == [hashed(text) for text in re.findall("<style>(.*?)</style>", outer, re.DOTALL)]
    scripts = re.findall("<script>(.*?)</script>", outer, re.DOTALL)
    assert allowed["script-src"] == [*map(hashed, scripts), "'unsafe-hashes'", *map(hashed, handlers)]
    assert len(handlers) == len(scripts) == 1
    assert 'style="' not in outer
    inner = unescape(re.search('srcdoc="([^"]*)"', page)[1])  # a frame takes over the policy of the page around it
    assert unescape(re.search('Content-Security-Policy" content="([^"]*)"', inner)[1]) == policy


def test_cells_of_tables_are_aligned_by_classes():
    shown = html.prose("| a | b | c |\n|---|---:|:-:|\n| 1 | 2 | 3 |", {})
    assert '<td>1</td>\n<td class="text-right">2</td>\n<td class="text-center">3</td>' in shown
    assert "style=" not in shown
    style = (files("saltrust.publishing") / "style.css").read_text()
    assert ".text-right {" in style
    assert ".text-center {" in style


def test_grades_have_the_colours_of_their_marks():
    style = (files("saltrust.publishing") / "style.css").read_text()
    found = dict(re.findall(r"\.grade-(\w+) \{\s+color: (#\w+);", style))
    assert found == {name: colour for name, (_, colour) in GRADE_MARKS.items()}


def test_html_in_prose_is_text():
    assert html.prose("a <b>c</b>\n\n<script>x</script>", {}).count("&lt;") == 4


def test_a_role_in_code_is_no_role():
    assert html.prose("`` {num}`a/x` ``", {"a/x": 1}) == "<p><code>{num}`a/x`</code></p>\n"


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40)


def read(page: str) -> str:
    return "".join(unescape(re.sub("<[^>]*>", "", page)).split())


@given(TEXTS)
def test_a_text_written_as_myst_reads_as_the_text(text):
    shown = html.prose(f"x {myst(text)} x", {})
    assert read(shown) == f"x{''.join(text.split())}x"
    assert set(re.findall("<[^>]*>", shown)) == {"<p>", "</p>"}
    assert unescaped(myst(text)).split() == text.split()


@given(TEXTS)
def test_a_text_written_as_myst_begins_no_block(text):
    shown = html.prose(myst(text), {})
    assert read(shown) == "".join(text.split())
    assert set(re.findall("<[^>]*>", shown)) <= {"<p>", "</p>"}


@given(TEXTS.filter(str.strip))
def test_a_text_written_as_code_reads_as_the_text(text):
    shown = html.prose(f"x {code(text)} x", {})
    assert read(shown) == f"x{''.join(text.split())}x"
    assert set(re.findall("<[^>]*>", shown)) == {"<p>", "</p>", "<code>", "</code>"}
