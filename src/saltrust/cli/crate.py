"""`saltrust crate`: results to be deposited."""

from pathlib import Path

import click

from saltrust.cli import options
from saltrust.core.profiles import PROFILES


@click.command("crate")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="folder, or archive if it ends in .zip; must not exist",
)
@options.profile
@click.option("--dataset", "datasets", multiple=True, help="name of a data card; several, by default all")
def command(output: Path, profile: str, datasets: tuple[str, ...]) -> None:
    """Package what the book shows as an RO-Crate, to be deposited.

    It holds all that is known of how the results were made.
    """
    from saltrust.publishing import ro_crate

    print(ro_crate.write(PROFILES[profile].name, output, datasets))
