"""`saltrust notebooks`: the chapters as notebooks for other tools."""

from pathlib import Path

import click

from saltrust import chapters
from saltrust.core.errors import SaltrustError


@click.command("notebooks")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the chapters as .ipynb, to be run by papermill or in any Jupyter.

    \b
    saltrust notebooks mine
    papermill mine/localization.ipynb out.ipynb -p n_boot 300

    Their results lie in results/by_hand/. A notebook that is there already stays, and nothing is written.
    """
    import jupytext

    sources = {folder / f"{name}.ipynb": chapters.load(name).source for name in chapters.NAMES}
    there = [file.name for file in sources if file.exists()]
    if there:
        raise SaltrustError(f"{folder} holds {', '.join(there)} already; name another folder, or move them")
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in sources.items():
        jupytext.write(jupytext.read(source), file)
    print(*sources, sep="\n")
