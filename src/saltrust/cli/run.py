"""`saltrust run`: execute a chapter into a folder of its own."""

import sys

import click

from saltrust import chapters
from saltrust.chapters.chapter import Chapter
from saltrust.cli.chapter_commands import ChapterGroup, Given
from saltrust.cli.options import verbose
from saltrust.core.errors import SaltrustError


def run(chapter: Chapter, given: Given) -> None:
    """Run a chapter once for each combination of the values, and print the pages."""
    combinations = chapters.combinations(given)
    complete = [chapters.complete(chapter, values) for values in combinations]  # all before the first one runs

    from saltrust.chapters import execute
    from saltrust.chapters.assess import check_methods
    from saltrust.chapters.results_folder import Results
    from saltrust.publishing import html, sweep

    for values in complete:
        check_methods(values)
    folders, failed = [], []
    for values in combinations:
        try:
            folders.append(execute.run(chapter, values, html.write))
        except SaltrustError as error:
            if len(combinations) == 1:
                raise
            print(f"saltrust: {error}", file=sys.stderr)
            failed.append(" ".join(f"{name}={value}" for name, value in values.items() if len(given[name]) > 1))
        else:
            if answer := Results(folders[-1], chapter.name).answer():
                click.echo(answer, err=True)  # what a script reads is the page alone
            click.echo(folders[-1] / "index.html")
    if len(folders) > 1:
        print(f"All runs in one table: {sweep.tabulate(chapter, folders)}")
    if failed:
        raise SaltrustError(f"{len(failed)} of {len(combinations)} runs failed: {'; '.join(failed)}")


command = ChapterGroup(
    "run",
    run,
    "Execute one chapter, with any parameters.\n\n"
    "A run has a folder of its own. Several values of one option give several runs.",
    [verbose],
)
