"""Several runs of one chapter in one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saltrust.chapters.chapter import Chapter
from saltrust.chapters.results_folder import Results
from saltrust.core import paths
from saltrust.core.tables import columns
from saltrust.publishing import html


def numbers_of(runs: Sequence[Results]) -> pd.DataFrame:
    """The parameters in which runs differ, and the numbers that they quote: a row for each run."""
    given = pd.DataFrame([run.provenance().parameters for run in runs])
    differing = given.loc[:, given.astype(str).nunique() > 1]
    quoted = pd.DataFrame([run.numbers() for run in runs]).rename(columns=lambda name: name.partition("/")[2])
    return pd.concat([pd.Series([run.name for run in runs], name="run"), differing, quoted], axis=1)


def tabulate(chapter: Chapter, folders: Sequence[Path]) -> Path:
    """Write the table of a sweep, `numbers_of` its runs, beside them, as CSV and as a page; returns the page."""
    page = paths.RUNS / chapter.name / f"sweep-{folders[0].name}.html"
    table = numbers_of([Results(folder, chapter.name) for folder in folders])
    table.to_csv(page.with_suffix(".csv"), index=False)
    page.write_text(_page(chapter, table, page.with_suffix(".csv").name), encoding="utf-8")
    return page


def _page(chapter: Chapter, table: pd.DataFrame, csv: str) -> str:
    """A row for each run, linked to its page. table: from `numbers_of`."""
    names = table["run"].tolist()
    rows = table.map(_shown).to_numpy().tolist()
    links = [html.link(f"{name}/index.html", name) for name in names]
    body = columns(rows, len(table.columns))
    shown = html.table([heading.replace("_", " ") for heading in table], body, html.link(csv, "CSV"), first=links)
    content = f"""<p>{len(names)} runs: the parameters in which they differ, and the numbers that they quote.</p>
{shown}
<p>Two of them side by side:</p>
{html.command(f"saltrust compare {names[0]} {names[-1]}")}"""
    return html.document(chapter.title, f"sweep of {chapter.name}", content)


def _shown(value: object) -> str:
    """A cell; parameters may be lists."""
    return "" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)
