"""Sphinx extension: formulas become MathML while the book is built, so that pages need no script and no network."""

from html import escape
from importlib.resources import files
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from saltrust.publishing.mathml import to_mathml

logger = logging.getLogger(__name__)

# STIX Two Math (SIL Open Font License), as the package ziamath carries it: many systems have no font for formulas.
FONT = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"


def checked(latex: str, block: bool, node: nodes.Node) -> str:
    """The formula as MathML; one that cannot be read is a warning, and shown as it was typed."""
    try:
        return to_mathml(latex, block)
    except ValueError as error:
        logger.warning("cannot read the formula %s: %s", latex, error, location=node, type="mathml")
        return f"<code>{escape(latex)}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{checked(node.astext(), False, node)}</span>')
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math-display", TABINDEX="0"))  # a wide one scrolls
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
