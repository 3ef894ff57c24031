"""The page of a run: what an executed chapter says and shows, as one folder of HTML that needs nothing else."""

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from markdown_it import MarkdownIt

from saltrust.chapters import Chapter
from saltrust.numbers import written
from saltrust.report import MIME

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { margin: 0 0 .2em; } h2 { margin: 1.6em 0 .4em; } figure { margin: 1.2em 0; }
figcaption, caption { color: #444; font-size: .9em; text-align: left; padding: .4em 0; }
img { display: block; max-width: 100%; height: auto; } iframe { width: 100%; height: 60rem; border: 1px solid #ddd; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85em; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .6em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } pre { overflow-x: auto; background: #f3f4f5; padding: .6em; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; } .note { color: #595959; font-size: .9em; }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; } }
"""

_ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}`(?P<text>[^`]*)`")
_BOOK_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?:\.\./|#)[^)]*\)")


def write(folder: Path, chapter: Chapter) -> None:
    """Write index.html into the folder of an executed chapter, from its notebook, numbers, figures and tables."""
    notebook = nbformat.read(folder / f"{chapter.name}.ipynb", as_version=4)
    numbers = read_json(folder / "numbers.json")
    provenance = read_json(folder / "provenance.json")
    blocks = [block for cell in notebook.cells for block in _blocks(cell, numbers, folder)]
    given = {p.name: p.default for p in chapter.parameters}
    chosen = [f"{k} = {v}" for k, v in provenance["parameters"].items() if k in ("dataset", "profile") or v != given[k]]
    blocks.insert(1, f"<p class='note'>{escape(', '.join(chosen))}</p>")
    parameters = "".join(
        f"<tr><td>{escape(k)}</td><td>{escape(str(v))}</td></tr>" for k, v in provenance["parameters"].items()
    )
    environment = ", ".join(f"{key} {value}" for key, value in provenance.get("environment", {}).items())
    blocks.append(
        f"<h2>How this page was made</h2><div class='wide'><table>{parameters}</table></div>"
        f"<p class='note'>{provenance['seconds']:.0f} s; {escape(environment)}.</p>"
    )
    (folder / "index.html").write_text(document(chapter.title, "\n".join(blocks)), encoding="utf-8")


def document(title: str, body: str) -> str:
    """A page of HTML in the style of the runs."""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body>
{body}
</body>
</html>
"""


def prose(text: str, numbers: Mapping[str, Any]) -> str:
    """MyST as HTML: numbers filled in, terms and citations as words, links into the book as their text."""
    filled = _ROLE.sub(lambda role: _role(role["role"], role["text"], numbers), text)
    return MarkdownIt().enable("table").render(_BOOK_LINK.sub(lambda link: link["text"] or "the book", filled))


def _role(role: str, text: str, numbers: Mapping[str, Any]) -> str:
    if role == "num":
        name, _, form = " ".join(text.split()).partition(" ")
        return written(numbers[name], form) if name in numbers else "not computed"
    return text.partition("<")[0].strip() if role == "term" else text


def _blocks(cell: nbformat.NotebookNode, numbers: Mapping[str, Any], folder: Path) -> list[str]:
    if cell.cell_type == "markdown":
        return [prose(cell.source, numbers)]
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
    caption = prose(note["caption"], numbers)
    return f'<figure><img src="{file}" alt="{escape(note["alt"])}"><figcaption>{caption}</figcaption></figure>'


def _table(note: Mapping[str, Any], numbers: Mapping[str, Any], folder: Path) -> str:
    file = f"tables/{note['name']}.csv"
    rows = pd.read_csv(folder / file, nrows=note.get("rows"))
    shown = rows.to_html(index=False, border=0, float_format="{:.3g}".format, na_rep="")
    link = f'<p class="note"><a href="{file}">CSV</a></p>'
    return f'<div>{prose(note["caption"], numbers)}{link}<div class="wide">{shown}</div></div>'


def _document(note: Mapping[str, Any], numbers: Mapping[str, Any], folder: Path) -> str:
    file = f"tables/{note['name']}.html"
    return (
        f'<iframe src="{file}" title="{escape(note["name"])}"></iframe><p class="note"><a href="{file}">{file}</a></p>'
    )


def read_json(file: Path) -> dict[str, Any]:
    """What a file of JSON holds; nothing where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
