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
    from saltrust.cli import planning

    work = planning.of_book(given) if chapter is BOOK else planning.combined(chapter, given)
    found = planning.plan(work)
    if as_json:
        print(planning.as_json(found))
        return
    if found.rows:
        shown = [
            (tables.INDENT + row.part if row.part else row.title, row.stored, row.missing, row.time, row.basis)
            for row in found.rows
        ]
        tables.show(["", "stored", "to compute", "time", "from"], shown, right=["stored", "to compute"])
    print(found.summary, *found.notes, sep="\n")


command = ChapterGroup(
    "plan",
    plan,
    "Say what a run would compute, and how long it takes.\n\n"
    "The options are those of `run`; without a chapter, the book's.",
    [click.Option(["--json", "as_json"], is_flag=True, help="every artefact, for programs")],
    default=BOOK,
)
