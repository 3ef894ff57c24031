"""Sphinx extension: pages quote computed numbers, figures and tables; nobody types them.

Reads the folder `evidence/<dataset>/` of the book's source: numbers.json, figures/<name>.png with <name>.json, and
tables/<name>.csv with <name>.json, beside which tables/<name>.html may stand. Gives

    {num}`<dataset>/<chapter>/<name> <format>`    a number, linked to the page that computed it
    {result-figure} <dataset>/<name>              a numbered figure, label fig-<dataset>-<name>
    {result-table} <dataset>/<name>               a numbered table, label tab-<dataset>-<name>
    {result-document} <dataset>/<name>            a page of HTML in a frame, with its file to download

On an evidence page the data set may be left out: it is the page's own. What belongs to a chapter that was not run reads
"not run here"; a name that a run chapter lacks is a warning, so that a build with warnings as errors fails. A figure or
table outside its chapter names that chapter in the option `:chapter:`.
"""

import json
import posixpath
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.writers.html5 import HTML5Translator

from saltrust.chapters.notes import FigureNote, TableNote
from saltrust.chapters.results_folder import Results
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.tables import VERDICTS, Column, columns, read_csv
from saltrust.publishing.html import frame

logger = logging.getLogger(__name__)

EVIDENCE = "evidence"
NOT_RUN = "not run here"
BEING_MADE = "being made"  # of data sets whose chapters run while the book is built


class NotRunError(Exception):
    """The chapter was not run on the data set, as far as this copy of the book knows."""

    def __init__(self, dataset: str):
        super().__init__(dataset)
        self.dataset = dataset


@dataclass(frozen=True)
class EvidenceFolder:
    """The results of one data set: the folder `evidence/<dataset>`."""

    dataset: str
    folder: Path

    def page(self, chapter: str) -> str:
        """The page of a chapter, as Sphinx names it."""
        return f"{EVIDENCE}/{self.dataset}/{chapter}"

    def results(self, chapter: str) -> Results:
        """What a chapter left. Every chapter quotes numbers: raises NotRunError where there are none."""
        found = Results(self.folder, chapter, published=True)
        if not found.numbers():
            raise NotRunError(self.dataset)
        return found

    def number(self, key: str) -> float | int | str:
        """The value stored under "<chapter>/<name>". Raises NotRunError or SaltrustError."""
        numbers = self.results(key.split("/")[0]).numbers()
        if key not in numbers:
            raise SaltrustError(f"no number '{key}' for data set '{self.dataset}'{nearest(key, numbers)}")
        return numbers[key]

    def figure(self, name: str, chapter: str) -> tuple[Path, FigureNote]:
        """File and note of a figure. Raises NotRunError or SaltrustError."""
        results = self.results(chapter)
        return self._named("figure", name, results, results.figures())

    def table(self, name: str, chapter: str) -> tuple[Path, TableNote]:
        """File and note of a table. Raises NotRunError or SaltrustError."""
        results = self.results(chapter)
        return self._named("table", name, results, results.tables())

    def _named(self, kind: str, name: str, results: Results, notes: list[Any]) -> tuple[Path, Any]:
        known = {note.name: note for note in notes if results.file(note).is_file()}
        if name not in known:
            of = f"of '{results.chapter}' for data set '{self.dataset}'"
            raise SaltrustError(f"no {kind} '{name}' {of}{nearest(name, known)}")
        return results.file(known[name]), known[name]


def nearest(name: str, known: Any) -> str:
    """The end of an error message: the known name most like `name`, or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"; nearest is '{near[0]}'" if near else ""


def locate(env: BuildEnvironment, target: str, levels: int) -> tuple[EvidenceFolder, str]:
    """Split "[<dataset>/]<rest>" into evidence and rest; `levels` is the number of parts of the rest.

    Without a data set it is the current page's. Raises SaltrustError for a target of another shape.
    """
    parts = target.split("/")
    page = env.docname.split("/")
    if len(parts) == levels and page[0] == EVIDENCE and len(page) > 2:
        parts.insert(0, page[1])
    if len(parts) != levels + 1 or not all(parts):
        shape = {1: "<dataset>/<name>", 2: "<dataset>/<chapter>/<name>"}[levels]
        raise SaltrustError(f"'{target}' is not of the form {shape}")
    found = EvidenceFolder(parts[0], Path(env.srcdir) / EVIDENCE / parts[0])
    # Noted also when absent, so that the page is read again once the data set has been run.
    env.note_dependency(str(Results(found.folder, "").numbers_file))
    return found, "/".join(parts[1:])


def render(value: float | int | str, spec: str = "") -> str:
    """A value as text, with a true minus sign. spec: a format, by default .3g for floats. Raises SaltrustError."""
    try:
        return written(value, spec)
    except ValueError as error:
        raise SaltrustError(f"cannot write {value!r} with format '{spec}'") from error


def page_link(docname: str, text: str, *classes: str) -> nodes.Node:
    """A quiet link to a page of the book."""
    link = addnodes.pending_xref(
        "",
        nodes.inline(text=text),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{docname}",
        refexplicit=True,
        refwarn=True,
    )
    link["classes"] += ["computed-link", *classes]
    return link


def not_run_note(env: BuildEnvironment, dataset: str) -> nodes.paragraph:
    """One sentence that says what is missing and which command computes it."""
    if absence(env, dataset) == BEING_MADE:
        return nodes.paragraph(text=f"It is computed by a chapter of {dataset} that has not ended yet.")
    note = nodes.paragraph("", f"This copy of the book has no such result for {dataset}. ")
    note += nodes.literal(text=f'make book DATASETS="{dataset}"')
    note += nodes.Text(" computes it.")
    return note


def absence(env: BuildEnvironment, dataset: str) -> str:
    """Why there is no result of a data set, in two or three words. The page is read again when that changes."""
    env.note_dependency(str(Path(env.srcdir) / EVIDENCE / "making.json"))
    return BEING_MADE if dataset in making(Path(env.srcdir))["datasets"] else NOT_RUN


def making(source: Path) -> dict[str, Any]:
    """What is computed while the book is built: datasets, and how many of their chapters are ready."""
    file = source / EVIDENCE / "making.json"
    nothing = {"datasets": [], "ready": 0, "chapters": 0}
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else nothing


class Number(SphinxRole):
    """{num}`<dataset>/<chapter>/<name> <format>`"""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        target, _, spec = self.text.partition(" ")
        try:
            evidence, key = locate(self.env, target, levels=2)
            value = evidence.number(key)
            text = render(value, spec.strip())
        except NotRunError as absent:
            return [nodes.emphasis(text=absence(self.env, absent.dataset), classes=["not-run"])], []
        except SaltrustError as problem:
            logger.warning("num: %s", problem, location=self.get_location(), type="computed", subtype="num")
            return [nodes.literal(text=f"?{target}?")], []
        page, kind = evidence.page(key.split("/")[0]), "words" if isinstance(value, str) else "num"  # words may break
        if page == self.env.docname:
            return [nodes.inline(text=text, classes=[kind])], []
        return [page_link(page, text, kind)], []


class Result(SphinxDirective):
    """What figures and tables share: name, label, caption, and what is shown when there is nothing to show."""

    required_arguments = 1
    option_spec = {"name": directives.unchanged, "chapter": directives.unchanged_required}
    prefix: str

    def run(self) -> list[nodes.Node]:
        target = self.arguments[0]
        try:
            evidence, name = locate(self.env, target, levels=1)
            self.options.setdefault("name", f"{self.prefix}-{evidence.dataset}-{name}")
            try:
                shown = self.result(evidence, name)
            except NotRunError:
                shown = self.absent(evidence, name)
        except SaltrustError as problem:
            logger.warning(
                "%s: %s", self.name, problem, location=self.get_location(), type="computed", subtype=self.prefix
            )
            return []
        self.set_source_info(shown)
        self.add_name(shown)
        return [shown]

    @property
    def chapter(self) -> str:
        """The chapter that made the result: the option, or the page itself."""
        return self.options.get("chapter", self.env.docname.rpartition("/")[2])

    def caption(self, evidence: EvidenceFolder, note: FigureNote | TableNote, file: Path) -> list[nodes.Node]:
        """The stored caption as inline nodes, with a link to the page that computed the result."""
        if not note.caption.strip():
            raise SaltrustError(f"{file.with_suffix('.json')}: the caption is empty")
        caption, _ = self.parse_inline(note.caption)
        page = evidence.page(self.chapter)
        if page != self.env.docname:
            caption += [nodes.Text(" "), page_link(page, "How it was computed.")]
        return caption

    def use(self, file: Path) -> str:
        """Note a file and its description as dependencies of the page; its path from the book's root."""
        self.env.note_dependency(str(file))
        self.env.note_dependency(str(file.with_suffix(".json")))
        return "/" + file.relative_to(self.env.srcdir).as_posix()


class image_file(nodes.inline):  # noqa: N801 - as docutils names its nodes
    """A link to the file of an image that the page shows. A download reference would put a second copy in the book."""


def visit_image_file(self: HTML5Translator, node: image_file) -> None:
    file = posixpath.join(self.builder.imgpath, quote(self.builder.images[node["uri"]]))
    self.body.append(f'<a class="file" href="{file}" download="{escape(node["name"])}">')


def depart_image_file(self: HTML5Translator, node: image_file) -> None:
    self.body.append("</a>")


class ResultFigure(Result):
    """{result-figure} <dataset>/<name>"""

    prefix = "fig"

    def result(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        file, note = evidence.figure(name, self.chapter)
        if not note.alt.strip():
            raise SaltrustError(f"{file.with_suffix('.json')}: the alternative text is empty")
        # A width makes Sphinx link the image to its full-size file; the style sheet decides how wide it is shown.
        uri = self.use(file)
        image = nodes.image(uri=uri, alt=note.alt, width="100%")
        link = image_file("", "PNG", uri=uri.removeprefix("/"), name=file.name)
        caption = nodes.caption("", "", *self.caption(evidence, note, file), nodes.Text(" "), link)
        return nodes.figure("", image, caption, classes=["result-figure"])

    def absent(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        title = nodes.title(text=absence(self.env, evidence.dataset).capitalize())
        note = nodes.admonition("", title, not_run_note(self.env, evidence.dataset))
        note["classes"].append("not-run")
        caption = nodes.caption(text=f"{name.replace('_', ' ').capitalize()}, {evidence.dataset}.")
        return nodes.figure("", note, caption, classes=["result-figure"])


class ResultTable(Result):
    """{result-table} <dataset>/<name>"""

    prefix = "tab"

    def result(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        file, note = evidence.table(name, self.chapter)
        head, rows = read_csv(file)
        title = nodes.title("", "", *self.caption(evidence, note, file), nodes.Text(" "))
        title += addnodes.download_reference(
            "", "", nodes.inline(text="CSV"), reftarget=self.use(file), refdoc=self.env.docname, classes=["csv"]
        )
        body = columns(rows[: note.rows], len(head))
        return table(title, [heading.replace("_", " ") for heading in head], body)

    def absent(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        title = nodes.title(text=f"{name.replace('_', ' ').capitalize()}, {evidence.dataset}.")
        body = table(title, [""], [Column((absence(self.env, evidence.dataset).capitalize(),), numeric=False)])
        body["classes"].append("not-run")
        return body


class ResultDocument(Result):
    """{result-document} <dataset>/<name>"""

    prefix = "doc"

    def result(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        file = evidence.table(name, self.chapter)[0].with_suffix(".html")
        if not file.is_file():
            raise SaltrustError(f"no document '{name}' for data set '{evidence.dataset}'")
        shown = frame(file.read_text(encoding="utf-8"), name)
        link = addnodes.download_reference(
            "", "", nodes.inline(text=f"Download {file.name}"), reftarget=self.use(file), refdoc=self.env.docname
        )
        return nodes.container(
            "", nodes.raw("", shown, format="html"), nodes.paragraph("", "", link), classes=["document"]
        )

    def absent(self, evidence: EvidenceFolder, name: str) -> nodes.Element:
        return not_run_note(self.env, evidence.dataset)


def table(title: nodes.title, headings: list[str], body: list[Column]) -> nodes.table:
    """A docutils table from its columns."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in body), cols=len(body))
    group += nodes.thead("", nodes.row("", *map(cell, headings, body)))
    rows = zip(*(column.cells for column in body), strict=True)
    group += nodes.tbody("", *(nodes.row("", *map(cell, row, body)) for row in rows))
    return nodes.table("", title, group, classes=["result-table"])


def cell(text: str, column: Column) -> nodes.entry:
    """One cell; PASS and FAIL carry a class, so that the style sheet can colour the word, and long texts one that lets
    them break into lines."""
    shown = nodes.inline(text=text, classes=[VERDICTS[text]]) if text in VERDICTS else nodes.Text(text)
    kind = column.kind(text)
    return nodes.entry("", nodes.paragraph("", "", shown), classes=[kind] if kind else [])


def ship_style(app: Sphinx, config: Config) -> None:
    """The style that the book shares with the pages of runs; before the book's own, which may change it."""
    config.html_static_path.append(str(files("saltrust.publishing") / "style.css"))
    app.add_css_file("style.css", priority=400)


def shut(app: Sphinx) -> None:
    """Let no page read a file or write HTML by a directive of its own."""
    app.env.settings |= {"file_insertion_enabled": False, "raw_enabled": False}


def say_what_is_missing(app: Sphinx, config: Config) -> None:
    """Of a book that is built while chapters run, say so on top of each page."""
    found = making(Path(app.srcdir))
    if found["datasets"] and config.html_theme == "sphinx_book_theme":  # others know no such line
        config.html_theme_options["announcement"] = (
            f"{found['ready']} of {found['chapters']} chapters are ready. The others are being computed; "
            "load this page again when <code>make book</code> has ended."
        )


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", shut)
    app.connect("config-inited", ship_style)
    app.connect("config-inited", say_what_is_missing)
    app.add_node(image_file, html=(visit_image_file, depart_image_file))
    app.add_role("num", Number())
    app.add_directive("result-figure", ResultFigure)
    app.add_directive("result-table", ResultTable)
    app.add_directive("result-document", ResultDocument)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
