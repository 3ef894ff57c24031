"""Sphinx extension: what a page says only where it was computed.

Reads `evidence/data_sets.json`, the names and titles of all data sets in the order of the book, and which chapters each
of them has left. Gives

    {where-run} <chapter> ...        its content, for the first data set on which all these chapters ran
    {numbers-of-each} <chapter> ...  a table: a row for each line "<label> | <chapter>/<name> <format>", a column for
                                     each data set on which these chapters ran; nothing where there is none

In the content of the first, DATASET and TITLE stand for the data set. Its option `:of:` is `first`, `each` (the content
once for each of them, in turn) or the name of a data set. What belongs under a heading stands in one content with it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from computed import EVIDENCE, EvidenceFolder, NotRunError
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from saltrust.chapters.results_folder import Results

logger = logging.getLogger(__name__)

FIRST, EACH = "first", "each"


def data_sets(env: BuildEnvironment) -> dict[str, str]:
    """The titles of all data sets by their names, in the order of the book."""
    file = Path(env.srcdir) / EVIDENCE / "data_sets.json"
    env.note_dependency(str(file))
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def ran(env: BuildEnvironment, chapters: list[str]) -> Iterator[tuple[str, str]]:
    """Names and titles of the data sets on which all these chapters ran. The page is read again when that changes."""
    for name, title in data_sets(env).items():
        found = EvidenceFolder(name, Path(env.srcdir) / EVIDENCE / name)
        env.note_dependency(str(Results(found.folder, "").numbers_file))
        try:
            for chapter in chapters:
                found.results(chapter)
        except NotRunError:
            continue
        yield name, title


class WhereRun(SphinxDirective):
    """{where-run} <chapter> ..."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"of": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        of = self.options.get("of", FIRST)
        chosen = [*ran(self.env, self.arguments[0].split())]
        if of == FIRST:
            chosen = chosen[:1]
        elif of != EACH:
            if of not in data_sets(self.env):
                logger.warning("where-run: no data set '%s'", of, location=self.get_location(), type="where-run")
            chosen = [one for one in chosen if one[0] == of]
        return [node for name, title in chosen for node in self._of(name, title)]

    def _of(self, name: str, title: str) -> list[nodes.Node]:
        lines = [line.replace("DATASET", name).replace("TITLE", title) for line in self.content]
        return parsed(self, lines)


class NumbersOfEach(SphinxDirective):
    """{numbers-of-each} <chapter> ..."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"name": directives.unchanged_required, "caption": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        shown = [*ran(self.env, self.arguments[0].split())]
        if not shown:
            return []
        lines = [f":::{{list-table}} {self.options['caption']}", ":header-rows: 1", ":stub-columns: 1"]
        lines += [f":name: {self.options['name']}", "", "* -"]
        lines += [f"  - [{title}](#{name})" for name, title in shown]
        for row in self.content:
            label, _, number = (part.strip() for part in row.partition("|"))
            lines += [f"* - {label}", *(f"  - {{num}}`{name}/{number}`" for name, _ in shown)]
        return parsed(self, [*lines, ":::"])


def parsed(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """Lines of MyST, headings among them, as nodes."""
    holder = nodes.Element()
    source = StringList(lines, source=directive.get_source_info()[0])
    directive.state.nested_parse(source, directive.content_offset, holder, match_titles=True)
    return holder.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("where-run", WhereRun)
    app.add_directive("numbers-of-each", NumbersOfEach)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
