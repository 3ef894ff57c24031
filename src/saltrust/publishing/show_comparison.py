"""Show a comparison of two runs: as text in a terminal, and on a page with the figures of both."""

import io
import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jupytext
import pandas as pd
from rich.console import Console
from rich.table import Table

from saltrust import chapters
from saltrust.chapters.chapter import Chapter
from saltrust.core import paths
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.tables import Column
from saltrust.publishing import html
from saltrust.publishing.compare import ComparedRun, RunComparison

WIDTH = 100  # characters of a line in the terminal
SHOWN = 12  # rows that the terminal shows of words in one column, and of estimates whose intervals overlap


def to_text(comparison: RunComparison) -> str:
    """The comparison as text for a terminal of 100 columns: of the estimates first those whose intervals do not
    overlap, then, of the others, those that differ most."""
    first, second = comparison.first, comparison.second
    apart, others = _parted(comparison.estimates)
    moved = others[others["first"] != others["second"]]
    parts = [
        f"{first.results.chapter}: {first.title} (first) and {second.title} (second)",
        _listed("Parameters that differ", comparison.parameters),
        _listed("Numbers that differ", comparison.numbers),
        _by_table("Verdicts and other words that differ", comparison.words, "column", SHOWN),
        _by_table(f"Intervals that do not overlap, {len(apart)} of {len(comparison.estimates)}", apart, "estimate"),
        _by_table("Others that differ, in estimate or interval, or are in one run only", moved.head(SHOWN), "estimate"),
    ]
    if len(moved) > SHOWN:
        parts.append(f"... and {len(moved) - SHOWN} more, on the page")
    return "\n\n".join(parts)


def page(comparison: RunComparison, folder: Path) -> str:
    """The comparison as one page of HTML. It lies in `folder` and shows the figures where they lie, by relative
    addresses: it holds when the results are moved as a whole."""
    first, second = comparison.first, comparison.second
    chapter = chapters.load(first.results.chapter)
    links = [html.link(_address(run.page, folder), run.title) for run in (first, second)]
    apart, others = _parted(comparison.estimates)
    none_apart = (
        "None."
        if len(comparison.estimates)
        else "No table with intervals is in both, with rows that can be told apart."
    )
    body = [
        f"<p>First: {links[0]}. Second: {links[1]}.</p>",
        f"<h2>Parameters that differ</h2>{_table(comparison.parameters) or 'None.'}",
        f"<h2>Numbers that differ</h2>{_table(comparison.numbers) or 'None: all numbers are the same.'}",
        *_sentences(chapter, comparison),
        f"<h2>Verdicts and other words that differ</h2>{_table(comparison.words) or 'None.'}",
        f"<h2>Intervals that do not overlap</h2>{_table(apart) or none_apart}",
    ]
    if len(others):
        body.append(f"<details><summary>The other {len(others)} estimates</summary>{_table(others)}</details>")
    body.append("<h2>Figures</h2>")
    for name in dict.fromkeys([*first.figures, *second.figures]):
        body.append(f"<h3>{escape(name.replace('_', ' '))}</h3>{_figures(first, second, name, folder)}")
    head = f"comparison of {first.title} and {second.title}"
    return html.document(chapter.title, head, "\n".join(body))


def save(comparison: RunComparison) -> Path:
    """Write the page beside the runs; returns the file. Raises SaltrustError where it cannot be written."""
    first, second = comparison.first, comparison.second
    folder = paths.RUNS / first.results.chapter
    file = folder / f"compare-{first.title}-{second.title}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(page(comparison, folder.resolve()), encoding="utf-8")
    except OSError as error:
        raise SaltrustError(f"the page of the comparison could not be saved: {error}") from error
    return file


def _parted(estimates: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The estimates whose intervals do not overlap, and the others, each without what then goes without saying."""
    apart = estimates["overlap"] == "no"
    return estimates[apart].drop(columns="overlap"), estimates[~apart].drop(columns="overlap")


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a reader wants it: numbers with three digits, nothing where there is nothing."""
    return frame.map(lambda value: "" if pd.isna(value) else written(value))


def _by_table(heading: str, frame: pd.DataFrame, of: str, most: int | None = None) -> str:
    """A list for each table and what the column `of` names in it. most: rows of one list, of which the page has all."""
    parts = []
    for (table, what), rows in frame.groupby(["table", of], sort=False):
        parts.append(_listed(f"{heading}: {what} in {table}", rows.drop(columns=["table", of]).head(most)))
        if most and len(rows) > most:
            parts.append(f"... and {len(rows) - most} more, on the page")
    return "\n\n".join(parts) or f"{heading}: none"


def _listed(heading: str, frame: pd.DataFrame) -> str:
    """Heading and rows, no wider than a terminal: long cells go on in further lines."""
    if frame.empty:
        return f"{heading}: none"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in frame:
        table.add_column(name, overflow="fold")
    for row in _texts(frame).itertuples(index=False):
        table.add_row(*row)
    console = Console(
        file=io.StringIO(), width=WIDTH - 2, color_system=None, markup=False, highlight=False, emoji=False
    )
    console.print(table)
    return "\n".join([heading, *(f"  {line}".rstrip() for line in console.file.getvalue().splitlines())])


def _table(frame: pd.DataFrame) -> str:
    body = [Column(tuple(cells), numeric=name == "difference") for name, cells in _texts(frame).items()]
    return html.table(list(frame), body) if len(frame) else ""


def _sentences(chapter: Chapter, comparison: RunComparison) -> Iterator[str]:
    """The paragraphs of the chapter in which the numbers read differently, with both: what the numbers mean."""
    both = (comparison.first.numbers, comparison.second.numbers)

    def quoted(role: re.Match[str]) -> str:
        first, second = (html.quote_number(numbers, role["text"]) for numbers in both)
        return first if first == second else f"**{first} → {second}**"

    def read(paragraph: str, numbers: dict[str, Any]) -> str:
        return html.NUM.sub(lambda role: html.quote_number(numbers, role["text"]), paragraph)

    cells = [cell.source for cell in jupytext.read(chapter.source).cells if cell.cell_type == "markdown"]
    paragraphs = [part for cell in cells for part in re.split(r"\n\s*\n", cell)]
    told = [part for part in paragraphs if len({read(part, numbers) for numbers in both}) > 1]
    if told:
        yield "<h2>The sentences that quote them</h2><p>First → second.</p>"
    for paragraph in told:
        yield html.prose(html.NUM.sub(quoted, paragraph), {})


def _address(file: Path, folder: Path) -> str:
    """Of a file as seen from a page in that folder."""
    return quote(Path(os.path.relpath(file, folder)).as_posix())


def _figures(first: ComparedRun, second: ComparedRun, name: str, folder: Path) -> str:
    """The figure of both runs side by side, or once where it is the same."""
    files = [run.results.file(run.figures[name]) for run in (first, second) if name in run.figures]
    if len(files) == 2 and files[0].read_bytes() == files[1].read_bytes():
        return _figure(first, name, folder, "The same in both.")
    shown = "".join(_figure(run, name, folder, escape(run.title)) for run in (first, second))
    return f'<div class="pair">{shown}</div>'


def _figure(run: ComparedRun, name: str, folder: Path, caption: str) -> str:
    if name not in run.figures:
        return f"<p>{escape(run.title)} has no such figure.</p>"
    note = run.figures[name]
    return html.figure(_address(run.results.file(note), folder), note.alt, caption)
