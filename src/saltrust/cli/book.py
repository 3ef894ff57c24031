"""`saltrust book`: the pages of what was computed."""

import click

from saltrust.cli import options
from saltrust.core.profiles import PROFILES


@click.command("book")
@options.profile
def command(profile: str) -> None:
    """Build the book from the results that are there. Prints where it is."""
    from saltrust.publishing import assemble

    print(f"The book is at {assemble.build(PROFILES[profile].name)}")
