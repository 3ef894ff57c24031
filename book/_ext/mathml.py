"""Sphinx extension: formulas become MathML while the book is built, so that pages need no script and no network."""

import re
from html import escape
from importlib.resources import files
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# latex2mathml 3 writes these as a plain tilde and as a rare operator that few fonts hold.
OPERATORS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mi>&#x029F5;</mi>": "<mo>&#x02216;</mo>",
}
LARGE = r"\displaystyle"
# STIX Two Math (SIL Open Font License), as the package ziamath carries it: many systems have no font for formulas.
FONT = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"


def to_mathml(latex: str, block: bool) -> str:
    r"""A formula as a <math> element, on its own line or within the text.

    A formula within the text that starts with \displaystyle keeps its place and has large signs with limits above and
    below. Raises ValueError for a command that is not known: it would otherwise appear as text.
    """
    large = latex.lstrip().startswith(LARGE)
    element = convert(latex.replace(LARGE, ""), display="block" if block or large else "inline")
    if unknown := re.search(r"\\[A-Za-z]+", element):
        raise ValueError(f"unknown command {unknown[0]}")
    for written, meant in OPERATORS.items():
        element = element.replace(written, meant)
    if large and not block:
        element = element.replace('display="block"', 'display="inline" displaystyle="true"', 1)
    return element


def checked(latex: str, block: bool, node: nodes.Node) -> str:
    """The formula as MathML; one that cannot be read is a warning, and shown as it was typed."""
    try:
        return to_mathml(latex, block)
    except Exception as error:  # the parser has a dozen types of its own, all of which mean the same here
        logger.warning("cannot read the formula %s: %r", latex, error, location=node, type="mathml")
        return f"<code>{escape(latex)}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{checked(node.astext(), False, node)}</span>')
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math-display"))
    self.body.append(checked(node.astext(), True, node))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def ship_font(app: Sphinx, config: Config) -> None:
    config.html_static_path.append(str(FONT))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", ship_font)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
