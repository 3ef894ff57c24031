"""`saltrust compute`: fill the store before the chapters run."""

from pathlib import Path

import click

from saltrust.cli import options
from saltrust.core import progress
from saltrust.core.errors import unknown_name


@click.command("compute", params=[options.verbose])
@options.dataset
@options.profile
@click.option("--stage", default="", help="data, networks or maps; all, if none is given")
@click.option("--part", default="", help="a job of that stage, as `saltrust plan --json` names it")
def command(dataset: str, profile: str, stage: str, part: str) -> None:
    """Compute what the chapters of a data set need, or one job of it.

    Any number of processes share the work.
    """
    from saltrust.artefacts import STAGES
    from saltrust.chapters.execute import Interruptible
    from saltrust.cli import planning
    from saltrust.study.computing import compute
    from saltrust.study.planning import ALL

    stages = STAGES[:-1]
    if stage and stage not in (*stages, ALL):
        raise unknown_name("stage", stage, (*stages, ALL))
    with Interruptible(), progress.shown(f"{Path(dataset).stem} {part or stage}".strip()):
        failed = []
        for one in [stage] if stage else [ALL, *stages]:  # planned anew: what is made decides what follows
            jobs = planning.plan(planning.of_book(dataset, profile)).jobs()
            chosen = [job for job in jobs if job.stage == one and part in ("", job.name)]
            failed += compute([artefact for job in chosen for artefact in job.artefacts])
    for line in failed:
        print(line)
