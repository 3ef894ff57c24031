"""Compare two runs of a chapter, or a run with what the book shows: parameters, numbers, tables and figures."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import quote

import jupytext
import numpy as np
import pandas as pd

from saltrust import cards, chapters, leavings, pages, paths
from saltrust.errors import SaltrustError
from saltrust.leavings import read_json
from saltrust.numbers import written
from saltrust.run_page import NUM, prose, quote_number
from saltrust.tables import Column

PUBLISHED = "published"
CLOSE = 1e-12  # relative: numbers that differ by less are the same
LOW, HIGH = "ci_low", "ci_high"
WIDTH = 100  # characters of a line in the terminal
CELL = 36  # characters of a cell there before it goes on in the next line
SHOWN = 12  # rows of estimates whose intervals overlap that the terminal shows


@dataclass(frozen=True)
class Run:
    """What a chapter left behind. folder: of figures/ and tables/. page: the file that shows it as a whole. figures:
    name -> alternative text."""

    title: str
    chapter: str
    folder: Path
    page: Path
    parameters: dict[str, Any]
    numbers: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    figures: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side. parameters: name, first, second, where they differ. numbers: name, first, second,
    difference (of numbers), where they differ. estimates: of each row that both have in a table with intervals, the
    estimates and intervals of both, their difference, and whether the intervals overlap ("yes", "no", or nothing where
    one has none); those that do not come first, then by the size of the difference."""

    first: Run
    second: Run
    parameters: pd.DataFrame
    numbers: pd.DataFrame
    estimates: pd.DataFrame


def find(text: str, other: str = "") -> Run:
    """A run by its folder, by the name of that folder, or `published` for what the book shows of the `other` run's
    chapter, data set and profile. Raises SaltrustError where there is no such run."""
    if text == PUBLISHED:
        if other in ("", PUBLISHED):
            raise SaltrustError("compare: one of the two must be a run; the other may be 'published'")
        return published(find(other))
    folders = [Path(text), *(paths.RUNS / chapter / text for chapter in chapters.NAMES)]
    folder = next((folder for folder in folders if (folder / "provenance.json").is_file()), None)
    if folder is None:
        raise SaltrustError(f"no run '{text}'; give its folder, its name under {paths.RUNS}, or 'published'")
    folder = folder.resolve()
    note = read_json(folder / "provenance.json")
    if (page := folder / "index.html").is_file():
        return _run(folder.name, note, folder, page)
    if not note.get("parameters"):
        raise SaltrustError(f"{folder / 'provenance.json'} does not say with which parameters the chapter ran")
    title = f"by-hand-{note['parameters']['dataset']}-{note['parameters']['profile']}"  # run in JupyterLab
    return _run(title, note, folder, folder / "provenance.json")


def published(run: Run) -> Run:
    """What the book shows of the same chapter, data set and profile. Raises SaltrustError where it shows nothing."""
    dataset = cards.load(run.parameters["dataset"]).name
    results = paths.results_of(run.parameters["profile"], dataset)
    file = results / "provenance" / f"{run.chapter}.json"
    if not file.is_file():
        raise SaltrustError(f"chapter '{run.chapter}' of {dataset} is not published in {results}")
    executed = results / "notebooks" / f"{run.chapter}.ipynb"
    return _run(PUBLISHED, read_json(file), results.resolve(), executed.resolve())


def compare(first: Run, second: Run) -> Comparison:
    """The two side by side. Raises SaltrustError for runs of different chapters."""
    if first.chapter != second.chapter:
        raise SaltrustError(f"compare: '{first.title}' is of {first.chapter}, '{second.title}' of {second.chapter}")
    parameters = _differing(first.parameters, second.parameters).drop(columns="difference")
    numbers = _differing(first.numbers, second.numbers)
    shared = [name for name in first.tables if name in second.tables]
    estimates = [_estimates(name, first.tables[name], second.tables[name]) for name in shared]
    table = pd.concat([_NO_ESTIMATES, *estimates], ignore_index=True)
    table = table.iloc[np.lexsort((-table["difference"].astype(float).abs(), table["overlap"] != "no"))]
    return Comparison(first, second, parameters, numbers, table.reset_index(drop=True))


def told(comparison: Comparison) -> str:
    """The comparison as text for a terminal of 100 columns: estimates whose intervals do not overlap first, then those
    that differ most of the others."""
    first, second = comparison.first, comparison.second
    apart, others = _parted(comparison.estimates)
    moved = others[others["first"] != others["second"]]
    parts = [
        f"{first.chapter}: {first.title} (first) and {second.title} (second)",
        _listed("Parameters that differ", comparison.parameters),
        _listed("Numbers that differ", comparison.numbers),
        _by_table(f"Intervals that do not overlap, {len(apart)} of {len(comparison.estimates)}", apart),
        _by_table("Others that differ, in estimate or interval, or are in one run only", moved.head(SHOWN)),
    ]
    if len(moved) > SHOWN:
        parts.append(f"... and {len(moved) - SHOWN} more, on the page")
    return "\n\n".join(parts)


def page(comparison: Comparison, folder: Path) -> str:
    """The comparison as one page of HTML. It lies in `folder` and shows the figures where they lie, by relative
    addresses: it holds when the results are moved as a whole."""
    first, second = comparison.first, comparison.second
    links = [pages.link(_address(run.page, folder), run.title) for run in (first, second)]
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
        *_retold(chapters.load(first.chapter), comparison),
        f"<h2>Intervals that do not overlap</h2>{_table(apart) or none_apart}",
    ]
    if len(others):
        body.append(f"<details><summary>The other {len(others)} estimates</summary>{_table(others)}</details>")
    body.append("<h2>Figures</h2>")
    for name in dict.fromkeys([*first.figures, *second.figures]):
        body.append(f"<h3>{escape(name.replace('_', ' '))}</h3>{_figures(first, second, name, folder)}")
    head = f"comparison of {first.title} and {second.title}"
    return pages.document(chapters.load(first.chapter).title, head, "\n".join(body))


def save(comparison: Comparison) -> Path:
    """Write the page beside the runs; returns the file."""
    first, second = comparison.first, comparison.second
    folder = paths.RUNS / first.chapter
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"compare-{first.title}-{second.title}.html"
    file.write_text(page(comparison, folder.resolve()), encoding="utf-8")
    return file


_NO_ESTIMATES = pd.DataFrame(columns=["table", "row", "estimate", "first", "second", "difference", "overlap"])


def _run(title: str, note: dict[str, Any], folder: Path, page: Path) -> Run:
    chapter = note["chapter"]
    tables = [one["name"] for one in leavings.notes(folder, "tables", chapter).values()]
    tables = {name: pd.read_csv(folder / "tables" / f"{name}.csv") for name in tables}
    figures = {one["name"]: one["alt"] for one in leavings.notes(folder, "figures", chapter).values()}
    numbers = leavings.numbers(folder, chapter)
    return Run(title, chapter, folder, page, note["parameters"], numbers, tables, figures)


def _differing(first: dict[str, Any], second: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for name in dict.fromkeys([*first, *second]):
        a, b = first.get(name), second.get(name)
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
        if a == b or (numeric and np.isclose(a, b, rtol=CLOSE, atol=0, equal_nan=True)):
            continue
        shown = [None if value is None else written(value) for value in (a, b)]
        rows.append((name, *shown, b - a if numeric else None))
    return pd.DataFrame(rows, columns=["name", "first", "second", "difference"])


def _estimates(name: str, first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of both tables, matched by their words, with the estimate that each interval belongs to; "" where one of
    them has no such row."""
    if not all({LOW, HIGH} <= set(table) for table in (first, second)):
        return _NO_ESTIMATES
    estimate = first.columns[list(first.columns).index(LOW) - 1]  # it stands before its interval, but for a spread
    estimate = "mean" if estimate == "sd" else estimate
    keys = [column for column in first if first[column].dtype == object or pd.api.types.is_string_dtype(first[column])]
    keys = [column for column in keys if column in second]
    if not keys or estimate not in second or first.duplicated(keys).any() or second.duplicated(keys).any():
        return _NO_ESTIMATES
    both = first.merge(second, on=keys, how="outer", suffixes=("", " of the second"), indicator="in")
    low, high = (both[[bound, f"{bound} of the second"]] for bound in (LOW, HIGH))
    return pd.DataFrame(
        {
            "table": name,
            "row": both[keys].astype(str).agg(", ".join, axis=1),
            "estimate": estimate,
            "first": np.where(both["in"] == "right_only", "", _with_interval(both, estimate, "")),
            "second": np.where(both["in"] == "left_only", "", _with_interval(both, estimate, " of the second")),
            "difference": both[f"{estimate} of the second"] - both[estimate],
            "overlap": np.select(
                [low.isna().any(axis=1) | high.isna().any(axis=1), low.max(axis=1) <= high.min(axis=1)],
                ["", "yes"],
                "no",
            ),
        }
    )


def _with_interval(table: pd.DataFrame, estimate: str, suffix: str) -> list[str]:
    columns = [f"{name}{suffix}" for name in (estimate, LOW, HIGH)]
    texts = table[columns].astype(float).map(written)
    return [f"{value} ({low} to {high})" for value, low, high in texts.itertuples(index=False)]


def _parted(estimates: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The estimates whose intervals do not overlap, and the others, each without what then goes without saying."""
    apart = estimates["overlap"] == "no"
    return estimates[apart].drop(columns="overlap"), estimates[~apart].drop(columns="overlap")


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a reader wants it: numbers with three digits, nothing where there is nothing."""
    return frame.map(lambda value: "" if pd.isna(value) else written(value))


def _by_table(heading: str, estimates: pd.DataFrame) -> str:
    groups = estimates.groupby(["table", "estimate"], sort=False)
    parts = [
        _listed(f"{heading}: {estimate} in {table}", rows.drop(columns=["table", "estimate"]))
        for (table, estimate), rows in groups
    ]
    return "\n\n".join(parts) or f"{heading}: none"


def _listed(heading: str, frame: pd.DataFrame) -> str:
    """Heading and rows, each no wider than a terminal: long cells go on in further lines, those of the first column,
    words, before the others."""
    if frame.empty:
        return f"{heading}: none"
    texts = _texts(frame)
    widths = [min(CELL, max(len(name), texts[name].str.len().max())) for name in texts]
    widths[0] -= max(0, sum(widths) + 2 * len(widths) - WIDTH)
    lines = [heading]
    for row in [list(texts), *texts.to_numpy().tolist()]:
        cells = [wrap(text, width) for text, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append(f"  {'  '.join(padded)}".rstrip())
    return "\n".join(lines)


def _table(frame: pd.DataFrame) -> str:
    body = [Column(tuple(cells), numeric=name == "difference") for name, cells in _texts(frame).items()]
    return pages.table(list(frame), body) if len(frame) else ""


def _retold(chapter: chapters.Chapter, comparison: Comparison) -> Iterator[str]:
    """The paragraphs of the chapter in which the numbers read differently, with both: what the numbers mean."""
    both = (comparison.first.numbers, comparison.second.numbers)

    def quoted(role: re.Match[str]) -> str:
        first, second = (quote_number(numbers, role["text"]) for numbers in both)
        return first if first == second else f"**{first} → {second}**"

    def read(paragraph: str, numbers: dict[str, Any]) -> str:
        return NUM.sub(lambda role: quote_number(numbers, role["text"]), paragraph)

    cells = [cell.source for cell in jupytext.read(chapter.source).cells if cell.cell_type == "markdown"]
    paragraphs = [part for cell in cells for part in re.split(r"\n\s*\n", cell)]
    told = [part for part in paragraphs if len({read(part, numbers) for numbers in both}) > 1]
    if told:
        yield "<h2>The sentences that quote them</h2><p>First → second.</p>"
    for paragraph in told:
        yield prose(NUM.sub(quoted, paragraph), {})


def _address(file: Path, folder: Path) -> str:
    """Of a file as seen from a page in that folder."""
    return quote(Path(os.path.relpath(file, folder)).as_posix())


def _figures(first: Run, second: Run, name: str, folder: Path) -> str:
    """The figure of both runs side by side, or once where it is the same."""
    files = [run.folder / "figures" / f"{name}.png" for run in (first, second) if name in run.figures]
    if len(files) == 2 and files[0].read_bytes() == files[1].read_bytes():
        return pages.figure(_address(files[0], folder), first.figures[name], "The same in both.")
    shown = [_figure(run, name, folder) for run in (first, second)]
    return f'<div class="pair">{"".join(shown)}</div>'


def _figure(run: Run, name: str, folder: Path) -> str:
    if name not in run.figures:
        return f"<p>{escape(run.title)} has no such figure.</p>"
    return pages.figure(_address(run.folder / "figures" / f"{name}.png", folder), run.figures[name], escape(run.title))
