"""Pages outside the book read without it: prose, formulas, frames."""

import re
from html import unescape

import pytest

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


def test_a_page_in_a_frame_has_its_own_title():
    page = '<!doctype html><html><head><title>A card</title></head><body class="a">1 &lt; 2</body></html>'
    shown = re.search('<iframe title="A card" srcdoc="([^"]*)"', html.frame(page, "card"))
    assert unescape(shown[1]) == page
    assert html.frame("<p>", "a & b").startswith('<iframe title="a &amp; b"')
