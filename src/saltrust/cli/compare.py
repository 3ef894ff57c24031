"""`saltrust compare`: two runs side by side."""

from typing import TYPE_CHECKING

import click

from saltrust.cli import tables

if TYPE_CHECKING:
    import pandas as pd

    from saltrust.publishing.compare import Comparison

SHOWN = 12  # rows that the terminal shows of words in one column, and of estimates whose intervals overlap


@click.command("compare")
@click.argument("first")
@click.argument("second")
def command(first: str, second: str) -> None:
    """Show in what two runs differ.

    Their parameters, numbers, verdicts, and estimates with intervals; on a page, also the figures. FIRST and SECOND are
    the folder, page or name of a run, or 'published'.
    """
    from saltrust.publishing import compare

    found = compare.compare(compare.find(first, other=second), compare.find(second, other=first))
    show(found)
    print(compare.save(found))


def show(comparison: "Comparison") -> None:
    """Print a comparison: of the estimates first those whose intervals do not overlap, then those that differ most."""
    from saltrust.publishing.compare import parted

    first, second = comparison.first, comparison.second
    apart, others = parted(comparison.estimates)
    moved = others[others["first"] != others["second"]]
    print(f"{first.chapter}: {first.title} (first) and {second.title} (second)\n")
    _list("Parameters that differ", comparison.parameters)
    _list("Numbers that differ", comparison.numbers)
    _by_table("Verdicts and other words that differ", comparison.words, "column", SHOWN)
    _by_table(f"Intervals that do not overlap, {len(apart)} of {len(comparison.estimates)}", apart, "estimate")
    _by_table("Others that differ, in estimate or interval, or are in one run only", moved.head(SHOWN), "estimate")
    if len(moved) > SHOWN:
        print(f"... and {len(moved) - SHOWN} more, on the page\n")


def _by_table(heading: str, frame: "pd.DataFrame", of: str, most: int | None = None) -> None:
    """A list for each table and what the column `of` names in it. most: rows of one list, of which the page has all."""
    for (table, what), rows in frame.groupby(["table", of], sort=False):
        _list(f"{heading}: {what} in {table}", rows.drop(columns=["table", of]).head(most))
        if most and len(rows) > most:
            print(f"... and {len(rows) - most} more, on the page\n")
    if frame.empty:
        _list(heading, frame)


def _list(heading: str, frame: "pd.DataFrame") -> None:
    from saltrust.publishing.compare import texts

    print(heading if len(frame) else f"{heading}: none")
    if len(frame):
        tables.show(list(frame), texts(frame).to_numpy().tolist(), right=["difference"])
    print()
