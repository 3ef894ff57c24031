"""`saltrust compute`: fill the store before the chapters run."""

from pathlib import Path

import click

from saltrust.cli import options
from saltrust.core import progress


@click.command("compute", params=[options.verbose])
@options.dataset
@options.profile
@click.option("--name", default="worker", show_default=True, help="what the process is called in its progress")
def command(dataset: str, profile: str, name: str) -> None:
    """Compute what the chapters of a data set will ask for.

    Any number of processes share the work.
    """
    from saltrust.chapters.execute import Interruptible
    from saltrust.cli.workers import compute

    with Interruptible(), progress.shown(f"{Path(dataset).stem} {name}"):
        failed = compute(dataset, profile)
    for line in failed:
        print(line)
