"""`saltrust compute`: fill the store before the chapters run."""

from pathlib import Path

import click

from saltrust.cli import options
from saltrust.core import progress


@click.command("compute", params=[options.verbose])
@options.dataset
@options.profile
@click.option("--stage", default="all", show_default=True, help="data, networks, maps or all")
@click.option(
    "--part", default="all", show_default=True, help="a job of that stage, as `saltrust plan --json` names it"
)
def command(dataset: str, profile: str, stage: str, part: str) -> None:
    """Compute what the chapters of a data set need, or one job of it.

    Any number of processes share the work.
    """
    from saltrust.cli import planning

    with progress.shown(f"{Path(dataset).stem} {part}"):
        failed = planning.compute(dataset, profile, stage, part)
    for line in failed:
        print(line)
