"""Compare two runs of a chapter, or a run with what the book shows: parameters, numbers, tables and figures."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saltrust import cards, paths
from saltrust.chapters import NAMES
from saltrust.errors import SaltrustError
from saltrust.numbers import written
from saltrust.run_page import document, read_json

PUBLISHED = "published"
CLOSE = 1e-12  # relative: numbers that differ by less are the same
LOW, HIGH = "ci_low", "ci_high"


@dataclass(frozen=True)
class Run:
    """What a chapter left behind. folder: of figures/ and tables/. figures: name -> alternative text."""

    title: str
    chapter: str
    folder: Path
    parameters: dict[str, Any]
    numbers: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    figures: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side. parameters: name, first, second, where they differ. numbers: name, first, second,
    difference (of numbers), where they differ. estimates: of each row that both have in a table with intervals, the
    estimates and intervals of both, their difference, and whether the intervals overlap."""

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
    folders = [Path(text), *(paths.RUNS / chapter / text for chapter in NAMES)]
    folder = next((folder for folder in folders if (folder / "provenance.json").is_file()), None)
    if folder is None:
        raise SaltrustError(f"no run '{text}'; give its folder, its name under {paths.RUNS}, or 'published'")
    note = read_json(folder / "provenance.json")
    return _run(folder.name, note, folder, read_json(folder / "numbers.json"))


def published(run: Run) -> Run:
    """What the book shows of the same chapter, data set and profile. Raises SaltrustError where it shows nothing."""
    dataset = cards.load(run.parameters["dataset"]).name
    results = paths.results_of(run.parameters["profile"], dataset)
    file = results / "provenance" / f"{run.chapter}.json"
    if not file.is_file():
        raise SaltrustError(f"chapter '{run.chapter}' of {dataset} is not published in {results}")
    numbers = read_json(results / "numbers.json")
    own = {name: value for name, value in numbers.items() if name.startswith(f"{run.chapter}/")}
    return _run(PUBLISHED, read_json(file), results, own)


def compare(first: Run, second: Run) -> Comparison:
    """The two side by side. Raises SaltrustError for runs of different chapters."""
    if first.chapter != second.chapter:
        raise SaltrustError(f"compare: '{first.title}' is of {first.chapter}, '{second.title}' of {second.chapter}")
    parameters = _differing(first.parameters, second.parameters).drop(columns="difference")
    numbers = _differing(first.numbers, second.numbers)
    shared = [name for name in first.tables if name in second.tables]
    estimates = [_estimates(name, first.tables[name], second.tables[name]) for name in shared]
    return Comparison(first, second, parameters, numbers, pd.concat([_NO_ESTIMATES, *estimates], ignore_index=True))


def page(comparison: Comparison) -> str:
    """The comparison as one page of HTML, which shows the figures where they lie."""
    first, second = comparison.first, comparison.second
    title = f"{first.chapter}: {first.title} and {second.title}"
    body = [f"<h1>{escape(title)}</h1>"]
    for heading, frame, none in (
        ("Parameters that differ", comparison.parameters, "None."),
        ("Numbers that differ", comparison.numbers, "None: all numbers are the same."),
        ("Estimates and intervals", comparison.estimates, "No table with intervals is in both."),
    ):
        shown = frame.to_html(index=False, border=0, float_format="{:.3g}".format, na_rep="") if len(frame) else none
        body.append(f'<h2>{heading}</h2><div class="wide">{shown}</div>')
    body.append("<h2>Figures</h2>")
    for name in dict.fromkeys([*first.figures, *second.figures]):
        pair = "".join(_figure(run, name) for run in (first, second))
        body.append(f'<h3>{escape(name)}</h3><div class="pair">{pair}</div>')
    return document(title, "\n".join(body))


def save(comparison: Comparison) -> Path:
    """Write the page beside the runs; returns the file."""
    first, second = comparison.first, comparison.second
    folder = paths.RUNS / first.chapter
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"compare-{first.title}-{second.title}.html"
    file.write_text(page(comparison), encoding="utf-8")
    return file


_NO_ESTIMATES = pd.DataFrame(columns=["table", "row", "estimate", "first", "second", "difference", "overlap"])


def _run(title: str, note: dict[str, Any], folder: Path, numbers: dict[str, Any]) -> Run:
    chapter = note["chapter"]
    notes = {
        kind: [read_json(file) for file in sorted((folder / kind).glob("*.json"))] for kind in ("tables", "figures")
    }
    own = {kind: [one for one in found if one["chapter"] == chapter] for kind, found in notes.items()}
    tables = {one["name"]: pd.read_csv(folder / "tables" / f"{one['name']}.csv") for one in own["tables"]}
    figures = {one["name"]: one["alt"] for one in own["figures"]}
    return Run(title, chapter, folder.resolve(), note["parameters"], numbers, tables, figures)


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
    """The rows that both tables have, by their words, with the estimate that each interval belongs to."""
    if not all({LOW, HIGH} <= set(table) for table in (first, second)):
        return _NO_ESTIMATES
    estimate = first.columns[list(first.columns).index(LOW) - 1]  # it stands before its interval, but for a spread
    estimate = "mean" if estimate == "sd" else estimate
    keys = [column for column in first if first[column].dtype == object or pd.api.types.is_string_dtype(first[column])]
    keys = [column for column in keys if column in second]
    if not keys or estimate not in second or first.duplicated(keys).any() or second.duplicated(keys).any():
        return _NO_ESTIMATES
    both = first.merge(second, on=keys, suffixes=("", " of the second"))
    low, high = (both[[bound, f"{bound} of the second"]] for bound in (LOW, HIGH))
    return pd.DataFrame(
        {
            "table": name,
            "row": both[keys].astype(str).agg(", ".join, axis=1),
            "estimate": estimate,
            "first": _with_interval(both, estimate, ""),
            "second": _with_interval(both, estimate, " of the second"),
            "difference": both[f"{estimate} of the second"] - both[estimate],
            "overlap": np.where(low.max(axis=1) <= high.min(axis=1), "yes", "no"),
        }
    )


def _with_interval(table: pd.DataFrame, estimate: str, suffix: str) -> list[str]:
    columns = [f"{name}{suffix}" for name in (estimate, LOW, HIGH)]
    return [f"{value:.3g} ({low:.3g} to {high:.3g})" for value, low, high in table[columns].itertuples(index=False)]


def _figure(run: Run, name: str) -> str:
    if name not in run.figures:
        return f"<p>{escape(run.title)} has no such figure.</p>"
    file = (run.folder / "figures" / f"{name}.png").as_uri()
    alt = escape(run.figures[name])
    return f'<figure><img src="{file}" alt="{alt}"><figcaption>{escape(run.title)}</figcaption></figure>'
