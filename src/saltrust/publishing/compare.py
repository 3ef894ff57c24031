"""Compare two runs of a chapter, or a run with what the book shows: parameters, numbers, tables and figures."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jupytext
import numpy as np
import pandas as pd

from saltrust import chapters
from saltrust.chapters import results_folder
from saltrust.chapters.chapter import Chapter
from saltrust.chapters.notes import FigureNote
from saltrust.chapters.prose import NUM, quote_number
from saltrust.chapters.results_folder import Results
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.markup import myst
from saltrust.core.profiles import PROFILES
from saltrust.core.tables import Column, as_number
from saltrust.publishing import html

PUBLISHED = "published"
CLOSE = 1e-12  # relative: numbers that differ by less are the same
LOW, HIGH = "ci_low", "ci_high"


@dataclass(frozen=True)
class ComparedRun:
    """What a chapter left behind, read for a comparison.

    Attributes:
        title: The name of a run, or "published".
        results: Where it lies.
        page: The file that shows it as a whole.
        parameters: By name.
        numbers: That the prose quotes, by "<chapter>/<name>".
        tables: By name, those that say what tells their rows apart; the cells as they are written, the rows by that.
        figures: By name.
    """

    title: str
    results: Results
    page: Path
    parameters: dict[str, Any]
    numbers: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    figures: dict[str, FigureNote]

    @property
    def chapter(self) -> str:
        """The name of the chapter."""
        return self.results.chapter


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        first: One of them.
        second: The other.
        parameters: name, first, second, where they differ.
        numbers: name, first, second, difference (of numbers), where they differ.
        words: The cells of tables that both have and whose words differ, a verdict for example: table, row, column,
            change ("UNDECIDED → PASS").
        estimates: Of each row of a table with intervals, the estimates and intervals of both, their difference, and
            whether the intervals overlap ("yes", "no", or nothing where one has none). Those that do not come first,
            then by the size of the difference.
    """

    first: ComparedRun
    second: ComparedRun
    parameters: pd.DataFrame
    numbers: pd.DataFrame
    words: pd.DataFrame
    estimates: pd.DataFrame


def find(text: str, other: str = "") -> ComparedRun:
    """A run to be compared.

    Args:
        text: Its folder, its page or another file in it, the name of the folder, or `published` for what the book shows
            of the other run's chapter, data set and profile.
        other: The other run, likewise.

    Raises:
        SaltrustError: where there is no such run, or where a file of it is missing or cannot be read.
    """
    if text == PUBLISHED:
        if other in ("", PUBLISHED):
            raise SaltrustError("compare: one of the two must be a run; the other may be 'published'")
        return published(find(other))
    found = results_folder.find(text)
    parameters = _parameters(found)
    if found.page.is_file():
        return _read(found.name, found, found.page)
    dataset, profile = (str(parameters[name]) for name in chapters.ALWAYS)
    return _read(f"by-hand-{Path(dataset).stem}-{profile}", found, found.provenance_file)  # in JupyterLab


def published(run: ComparedRun) -> ComparedRun:
    """What the book shows of the same chapter, data set and profile. Raises SaltrustError where it shows nothing."""
    chapter, dataset = run.chapter, data_cards.load(run.parameters["dataset"]).name
    shown = results_folder.published(PROFILES[run.parameters["profile"]].name, dataset, chapter)
    shown = Results(shown.folder.resolve(), chapter, published=True)
    if not shown.provenance_file.is_file():
        raise SaltrustError(f"chapter '{chapter}' of {dataset} is not published in {shown.folder}")
    return _read(PUBLISHED, shown, shown.notebook)


def compare(first: ComparedRun, second: ComparedRun) -> Comparison:
    """The two side by side. Raises SaltrustError for runs of different chapters."""
    if first.chapter != second.chapter:
        raise SaltrustError(f"compare: '{first.title}' is of {first.chapter}, '{second.title}' of {second.chapter}")
    parameters = _differing(first.parameters, second.parameters).drop(columns="difference")
    numbers = _differing(first.numbers, second.numbers)
    pairs = [(name, table, second.tables[name]) for name, table in first.tables.items() if name in second.tables]
    pairs = [pair for pair in pairs if pair[1].index.names == pair[2].index.names]
    words = pd.DataFrame([row for pair in pairs for row in _words(*pair)], columns=["table", "row", "column", "change"])
    table = pd.concat([_NO_ESTIMATES, *(_estimates(*pair) for pair in pairs)], ignore_index=True)
    table = table.iloc[np.lexsort((-table["difference"].astype(float).abs(), table["overlap"] != "no"))]
    return Comparison(first, second, parameters, numbers, words, table.reset_index(drop=True))


def page(comparison: Comparison, folder: Path) -> str:
    """The comparison as one page of HTML. It lies in `folder` and shows the figures where they lie, by relative
    addresses: it holds when the results are moved as a whole."""
    first, second = comparison.first, comparison.second
    chapter = chapters.load(first.chapter)
    links = [html.link(_address(run.page, folder), run.title) for run in (first, second)]
    apart, others = parted(comparison.estimates)
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


def save(comparison: Comparison) -> Path:
    """Write the page beside the runs; returns the file. Raises SaltrustError where it cannot be written."""
    first, second = comparison.first, comparison.second
    folder = paths.RUNS / first.chapter
    file = folder / f"compare-{first.title}-{second.title}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(page(comparison, folder.resolve()), encoding="utf-8")
    except OSError as error:
        raise SaltrustError(f"the page of the comparison could not be saved: {error}") from error
    return file


_NO_ESTIMATES = pd.DataFrame(columns=["table", "row", "estimate", "first", "second", "difference", "overlap"])


def _parameters(found: Results) -> dict[str, Any]:
    provenance = found.provenance()
    given = [provenance.parameters.get(name) for name in chapters.ALWAYS]
    if provenance.chapter not in chapters.NAMES or not all(isinstance(value, str) for value in given):
        raise SaltrustError(f"{found.provenance_file} does not say which chapter ran on which data set and profile")
    return dict(provenance.parameters)


def _read(title: str, found: Results, page: Path) -> ComparedRun:
    parameters = _parameters(found)
    tables = {note.name: _cells(found.file(note), [*note.key]) for note in found.tables() if note.key}
    figures = {note.name: note for note in found.figures()}
    for file in map(found.file, figures.values()):
        if not file.is_file():
            raise SaltrustError(f"{file} is missing, though {file.stem}.json describes it")
    numbers = found.numbers()
    for name in found.provenance().numbers:
        if (key := f"{found.chapter}/{name}") not in numbers:
            raise SaltrustError(f"{found.numbers_file} lacks '{key}', which the chapter noted")
    return ComparedRun(title, found, page, parameters, numbers, tables, figures)


def _cells(file: Path, key: list[str]) -> pd.DataFrame:
    try:
        if len(set(key)) < len(key):
            raise ValueError("a column comes twice")
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        return table.set_index(key, verify_integrity=True)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).partition("\n")[0]
        raise SaltrustError(f"{file} cannot be read as a table with a row for each {', '.join(key)}: {why}") from error


def _differing(first: dict[str, Any], second: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for name in dict.fromkeys([*first, *second]):
        a, b = first.get(name), second.get(name)
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
        if a == b or (numeric and _close(a, b)):
            continue
        shown = [None if value is None else written(value) for value in (a, b)]
        rows.append((name, *shown, b - a if numeric else None))
    return pd.DataFrame(rows, columns=["name", "first", "second", "difference"])


def _close(a: float, b: float) -> bool:
    """Whether two numbers differ by no more than rounding, which whole ones do not."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return math.isclose(a, b, rel_tol=CLOSE) or (math.isnan(a) and math.isnan(b))


def _labels(rows: pd.Index) -> list[str]:
    return [", ".join(filter(None, cells)) for cells in rows.to_frame().itertuples(index=False)]


def _words(name: str, first: pd.DataFrame, second: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """The cells that differ, of the rows and columns that both tables have, where they or others of the column are
    words."""
    rows = first.index.intersection(second.index, sort=False)
    labels = _labels(rows)
    for column in first.columns.intersection(second.columns, sort=False):
        pairs = list(zip(first.loc[rows, column], second.loc[rows, column], strict=True))
        if any(cell and as_number(cell) is None for pair in pairs for cell in pair):
            for label, (a, b) in zip(labels, pairs, strict=True):
                if a != b:
                    yield name, label, column, f"{a or '(empty)'} → {b or '(empty)'}"


def _estimates(name: str, first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of either table, with the estimate that each interval belongs to; "" where one of them has no such row
    or no number in it."""
    if not all({LOW, HIGH} <= set(table) for table in (first, second)):
        return _NO_ESTIMATES
    before = ["", *first.columns][list(first.columns).index(LOW)]
    estimate = "mean" if before == "sd" else before  # it stands before its interval, but for a spread
    if not all(estimate in table for table in (first, second)):
        return _NO_ESTIMATES
    rows = first.index.union(second.index, sort=False)
    both = [table.reindex(rows)[[estimate, LOW, HIGH]] for table in (first, second)]
    a, b = (table.apply(pd.to_numeric, errors="coerce").astype(float).to_numpy() for table in both)
    low, high = np.maximum(a[:, 1], b[:, 1]), np.minimum(a[:, 2], b[:, 2])  # nan where one of them is
    found = pd.DataFrame(
        {
            "table": name,
            "row": _labels(rows),
            "estimate": estimate,
            "first": [_with_interval(*row) for row in a],
            "second": [_with_interval(*row) for row in b],
            "difference": b[:, 0] - a[:, 0],
            "overlap": np.select([np.isnan(low + high), low <= high], ["", "yes"], "no"),
        }
    )
    return found[(found["first"] != "") | (found["second"] != "")]


def _with_interval(value: float, low: float, high: float) -> str:
    return "" if math.isnan(value) else f"{written(value)} ({written(low)} to {written(high)})"


def parted(estimates: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The estimates whose intervals do not overlap, and the others, each without what then goes without saying."""
    apart = estimates["overlap"] == "no"
    return estimates[apart].drop(columns="overlap"), estimates[~apart].drop(columns="overlap")


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a reader wants it: numbers with three digits, nothing where there is nothing."""
    return frame.map(lambda value: "" if pd.isna(value) else written(value))


def _table(frame: pd.DataFrame) -> str:
    body = [Column(tuple(cells), numeric=name == "difference") for name, cells in texts(frame).items()]
    return html.table(list(frame), body) if len(frame) else ""


def _sentences(chapter: Chapter, comparison: Comparison) -> Iterator[str]:
    """The paragraphs of the chapter in which the numbers read differently, with both: what the numbers mean."""
    both = (comparison.first.numbers, comparison.second.numbers)

    def quoted(role: re.Match[str]) -> str:
        first, second = (myst(quote_number(numbers, role["text"])) for numbers in both)
        return first if first == second else f"**{first} → {second}**"

    def read(paragraph: str, numbers: dict[str, Any]) -> str:
        return NUM.sub(lambda role: quote_number(numbers, role["text"]), paragraph)

    cells = [cell.source for cell in jupytext.read(chapter.source).cells if cell.cell_type == "markdown"]
    paragraphs = [part for cell in cells for part in re.split(r"\n\s*\n", cell)]
    differing = [part for part in paragraphs if len({read(part, numbers) for numbers in both}) > 1]
    if differing:
        yield "<h2>The sentences that quote them</h2><p>First → second.</p>"
    for paragraph in differing:
        yield html.prose(NUM.sub(quoted, paragraph), {})


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
