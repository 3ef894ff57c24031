"""Several runs of one chapter in one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saltrust.chapters.chapter import Chapter
from saltrust.chapters.leavings import read_json
from saltrust.core import paths
from saltrust.core.tables import columns
from saltrust.publishing import pages


def numbers_of(folders: Sequence[Path]) -> pd.DataFrame:
    """The parameters in which runs differ, and the numbers that they quote: a row for each run."""
    ran = [read_json(folder / "provenance.json") for folder in folders]
    numbers = [read_json(folder / "numbers.json") for folder in folders]
    given = pd.DataFrame([note["parameters"] for note in ran])
    differing = given.loc[:, given.astype(str).nunique() > 1]
    quoted = pd.DataFrame(numbers).rename(columns=lambda name: name.partition("/")[2])
    return pd.concat([pd.Series([folder.name for folder in folders], name="run"), differing, quoted], axis=1)


def tabulate(chapter: Chapter, folders: Sequence[Path]) -> Path:
    """Write the table of a sweep, `numbers_of` its runs, beside them, as CSV and as a page; returns the page."""
    page = paths.RUNS / chapter.name / f"sweep-{folders[0].name}.html"
    table = numbers_of(folders)
    table.to_csv(page.with_suffix(".csv"), index=False)
    page.write_text(_sweep_page(chapter, table, page.with_suffix(".csv").name), encoding="utf-8")
    return page


def _sweep_page(chapter: Chapter, table: pd.DataFrame, csv: str) -> str:
    """A row for each run, linked to its page. table: from `numbers_of`."""
    names = table["run"].tolist()
    rows = table.map(lambda value: "" if pd.isna(value) else str(value)).to_numpy().tolist()
    links = [pages.link(f"{name}/index.html", name) for name in names]
    body = columns(rows, len(table.columns))
    shown = pages.table([heading.replace("_", " ") for heading in table], body, pages.link(csv, "CSV"), first=links)
    compare = f"saltrust compare {names[0]} {names[-1]}"
    content = f"""<p>{len(names)} runs: the parameters in which they differ, and the numbers that they quote.</p>
{shown}
<p>Two of them side by side:</p>
{pages.command(compare)}"""
    return pages.document(chapter.title, f"sweep of {chapter.name}", content)
