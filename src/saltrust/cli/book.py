"""`saltrust book`: the pages of what was computed."""

import click

from saltrust.cli import options
from saltrust.core.profiles import PROFILES


@click.command("book")
@options.profile
@click.option("--making", metavar="DATASET", multiple=True, help="Its missing chapters will run soon: say so.")
def command(profile: str, making: tuple[str, ...]) -> None:
    """Build the book from the results that are there. Prints where it is."""
    from saltrust.publishing import assemble

    first = assemble.build(PROFILES[profile].name, making)
    print(f"The book is at {first}" + ("; it fills up as chapters end" if making else ""))
