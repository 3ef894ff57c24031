"""`saltrust plan`: what a run would compute."""

import click

from saltrust.chapters.chapter import Chapter, Parameter
from saltrust.cli import tables
from saltrust.cli.chapter_commands import ChapterGroup, Given
from saltrust.core import paths

BOOK = Chapter(
    "book",
    "Every chapter of some data sets, as `make book` computes them",
    paths.CHAPTERS,
    (
        Parameter(
            "dataset",
            "phantom-pneumothorax phantom-pneumonia",
            "data set",
            "a data card; several: one option for each",
        ),
        Parameter("profile", "quick", "profile", "smoke, quick or full"),
    ),
)


def plan(chapter: Chapter, given: Given, as_json: bool) -> None:
    """Print what is stored, what is missing and the time, as a table or as JSON."""
    from saltrust import chapters
    from saltrust.artefacts import KINDS
    from saltrust.cli import planning

    if chapter is BOOK:
        defaults = {parameter.name: parameter.default.split() for parameter in BOOK.parameters}
        work = [one for values in chapters.combinations(defaults | given) for one in planning.of_book(**values)]
    else:
        work = planning.combined(chapter, given)
    found = planning.plan(work)
    notes = [*found.notes(), *([] if planning.as_by_default(work) else [planning.COARSE])]
    itself = planning.own(work, found.store)
    if as_json:
        print(planning.to_json(found, notes, itself))
        return
    rows = found.rows()
    if rows:
        shown = [(tables.INDENT + row.part if row.part else KINDS[row.kind].description, *row.cells) for row in rows]
        tables.show(["", "stored", "to compute", "time", "from"], shown, right=["stored", "to compute"])
    print(planning.summary(found, rows, itself), *notes, sep="\n")


command = ChapterGroup(
    "plan",
    plan,
    "Say what a run would compute, and how long it takes.\n\n"
    "The options are those of `run`; without a chapter, the book's.",
    [click.Option(["--json", "as_json"], is_flag=True, help="every artefact, for programs")],
    default=BOOK,
)
