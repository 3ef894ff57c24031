"""The page of a run: what an executed chapter says and shows, as one folder of HTML that needs nothing else."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from saltrust.chapters.chapter import ALWAYS, MIME, Chapter
from saltrust.chapters.leavings import read_json
from saltrust.core.formatting import written
from saltrust.core.tables import columns, read_csv
from saltrust.publishing import pages

NUM = re.compile(r"\{num\}`(?P<text>[^`]*)`")
_ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}`(?P<text>[^`]*)`")
_BOOK_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?:\.\./|#)[^)]*\)")
_KEY = re.compile(r"(?P<author>[a-z]+)(?P<year>\d{4})\w*")  # of the bibliography, which a run's page does not have


TINY = "The profile smoke shows that everything works; its numbers mean nothing."


def write(folder: Path, chapter: Chapter, run: str) -> None:
    """Write index.html into the folder of an executed chapter, from its notebook, numbers, figures and tables, and the
    chapter's source beside it. run: the name by which the run is found; its folder may have another until it is whole.
    """
    notebook = nbformat.read(folder / f"{chapter.name}.ipynb", as_version=4)
    numbers = read_json(folder / "numbers.json")
    provenance = read_json(folder / "provenance.json")
    (folder / chapter.source.name).write_bytes(chapter.source.read_bytes())
    head = ", ".join(f"{name} {provenance['parameters'][name]}" for name in ALWAYS)
    blocks = [
        f'<p class="note">{escape(head)} · <a href="#again">Parameters, downloads, run it again</a></p>',
        *([f'<p class="note">{TINY}</p>'] if provenance["parameters"]["profile"] == "smoke" else []),
        *(block for cell in notebook.cells for block in _blocks(cell, numbers, folder)),
        _again(chapter, provenance["parameters"], run),
        _made(provenance),
    ]
    page = pages.document(chapter.title, f"run {run} of {chapter.name}", "\n".join(blocks))
    (folder / "index.html").write_text(page, encoding="utf-8")


def prose(text: str, numbers: Mapping[str, Any]) -> str:
    """MyST as HTML: numbers filled in, terms and citations as words, links into the book as their text."""
    filled = _ROLE.sub(lambda role: _role(role["role"], role["text"], numbers), text)
    return _MARKDOWN.render(_BOOK_LINK.sub(lambda link: link["text"] or "the book", filled))


def _formula(latex: str, about: Mapping[str, Any]) -> str:
    return convert(latex, display="block" if about["display_mode"] else "inline")


_MARKDOWN = MarkdownIt(options_update={"typographer": True}).enable(["table", "smartquotes"])
_MARKDOWN.use(dollarmath_plugin, renderer=_formula)


def _role(role: str, text: str, numbers: Mapping[str, Any]) -> str:
    if role == "num":
        return quote_number(numbers, text)
    if role.startswith("cite"):
        return ", ".join(_KEY.sub(lambda key: f"{key['author'].title()} {key['year']}", key) for key in text.split(","))
    return text.partition("<")[0].strip() if role == "term" else text


def quote_number(numbers: Mapping[str, Any], text: str) -> str:
    """A number as prose quotes it. text: of the role `num`, a name and perhaps a format."""
    name, _, form = " ".join(text.split()).partition(" ")
    return written(numbers[name], form) if name in numbers else "not computed"


def _blocks(cell: nbformat.NotebookNode, numbers: Mapping[str, Any], folder: Path) -> list[str]:
    if cell.cell_type == "markdown":
        title, _, rest = cell.source.partition("\n")
        return [prose(rest if title.startswith("# ") else cell.source, numbers)]  # the title stands at the top
    return [block for output in cell.get("outputs", []) if (block := _output(output, numbers, folder))]


def _output(output: nbformat.NotebookNode, numbers: Mapping[str, Any], folder: Path) -> str:
    if output.output_type == "stream":
        return f"<pre>{escape(output.text)}</pre>" if output.name == "stdout" else ""
    note = output.get("data", {}).get(MIME)
    if note is None:
        return ""
    return {"figure": _figure, "table": _table, "document": _document}[note["kind"]](note, numbers, folder)


def _figure(note: Mapping[str, Any], numbers: Mapping[str, Any], folder: Path) -> str:
    file = f"figures/{note['name']}.png"
    return pages.figure(file, note["alt"], f"{prose(note['caption'], numbers)} {pages.link(file, 'PNG')}")


def _table(note: Mapping[str, Any], numbers: Mapping[str, Any], folder: Path) -> str:
    file = f"tables/{note['name']}.csv"
    head, rows = read_csv(folder / file)
    caption = f"{prose(note['caption'], numbers)} {pages.link(file, 'CSV')}"
    body = columns(rows[: note.get("rows")], len(head))
    return pages.table([heading.replace("_", " ") for heading in head], body, caption)


def _document(note: Mapping[str, Any], numbers: Mapping[str, Any], folder: Path) -> str:
    file = f"tables/{note['name']}.html"
    frame = pages.frame((folder / file).read_text(encoding="utf-8"), escape(note["name"]))
    return f'<div class="document">{frame}<p>{pages.link(file, "Open it by itself")}</p></div>'


def _again(chapter: Chapter, parameters: Mapping[str, Any], run: str) -> str:
    """The box with the command, the parameters that were chosen in bold, and what can be taken away."""
    items = []
    for parameter, value in chapter.given(parameters):
        shown = f"<code>{escape(f'{parameter.name} = {value}')}</code>"
        chosen = value != parameter.default
        told = f"{parameter.help} (default: {parameter.default})" if chosen else parameter.help
        items.append(f"<dt>{f'<strong>{shown}</strong>' if chosen else shown}</dt><dd>{escape(told)}</dd>")
    files = {
        f"{chapter.name}.ipynb": "executed notebook",
        "figures/": "figures",
        "tables/": "tables",
        "numbers.json": "numbers",
        "provenance.json": "provenance",
        chapter.source.name: f"source, {chapter.source.name}",
    }
    links = " · ".join(pages.link(file, text) for file, text in files.items())
    return f"""<h2 id="again">Run it again</h2>
<div class="again">{pages.command(chapter.command(parameters))}
<dl>{"".join(items)}</dl>
<p>With <code>publish</code> in the place of <code>run</code> the outcome goes into the book. In what this run differs
from what the book shows:</p>
{pages.command(f"saltrust compare {run} published")}
<p>Files of this run: {links}</p></div>"""


def _made(provenance: Mapping[str, Any]) -> str:
    environment = ", ".join(f"{key} {value}" for key, value in provenance.get("environment", {}).items())
    return f'<p class="note">It took {provenance["seconds"]:.0f} s. {escape(environment)}.</p>'
