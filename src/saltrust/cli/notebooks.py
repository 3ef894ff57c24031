"""`saltrust notebooks`: the chapters as notebooks for other tools."""

from pathlib import Path

import click

from saltrust.chapters import plain_papermill


@click.command("notebooks")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the chapters as .ipynb, to be run by papermill or in any Jupyter.

    \b
    saltrust notebooks mine
    papermill mine/localization.ipynb out.ipynb -p n_boot 300

    Their results lie in results/by_hand/. A notebook that is there already stays, and nothing is written.
    """
    print(*plain_papermill.write(folder), sep="\n")
