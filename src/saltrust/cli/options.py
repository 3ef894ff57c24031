"""Options that several commands have."""

import os

import click

from saltrust.core.progress import VERBOSE

profile = click.option("--profile", default="quick", show_default=True, help="smoke, quick or full")
dataset = click.option("--dataset", required=True, help="name or file of a data card")


def _set(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ[VERBOSE] = "1"  # also for the processes that this one starts


verbose = click.Option(
    ["--verbose", "-v"], is_flag=True, expose_value=False, callback=_set, help="show every line of the progress"
)
