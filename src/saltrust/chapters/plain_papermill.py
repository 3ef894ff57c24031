"""Chapters as notebooks that papermill runs by itself, and what it puts into them.

Papermill writes the parameters that it is given into a cell after the notebook's own. It takes every name, and a
misspelled one would change nothing; `saltrust run` checks them before any work, and so does the notebook here.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saltrust.chapters.chapter import NAMES, Chapter, load
from saltrust.core.errors import SaltrustError, unknown_name


def write(folder: Path) -> list[Path]:
    """Write every chapter as .ipynb. Raises SaltrustError where one is there already; then nothing is written."""
    import jupytext

    sources = {folder / f"{name}.ipynb": load(name).source for name in NAMES}
    there = [file.name for file in sources if file.exists()]
    if there:
        raise SaltrustError(f"{folder} holds {', '.join(there)} already; name another folder, or move them")
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in sources.items():
        jupytext.write(jupytext.read(source), file)
    return [*sources]


_HEAD = "# Parameters\n"  # first line of papermill's cell


def parameters(cells: Iterable[str]) -> dict[str, Any]:
    """The values that papermill's cell assigns, by name; {} where there is none.

    Args:
        cells: the sources of the cells that have run.

    >>> parameters(["n_boot = 1000", "# Parameters\\nn_boot = 300\\nmethods = 'xrai'\\n"])
    {'n_boot': 300, 'methods': 'xrai'}
    """
    sources = [source for source in cells if source.startswith(_HEAD)]
    assigned = [node for source in sources for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def given_to(chapter: Chapter) -> dict[str, Any]:
    """What papermill gave to the notebook that runs now.

    Raises:
        SaltrustError: for a parameter that the chapter does not have, or a value of another type than its default.
    """
    from IPython import get_ipython  # slow to import, for commands that only write notebooks

    shell = get_ipython()
    given = parameters(shell.user_ns.get("In", ())) if shell else {}
    own = {parameter.name: parameter.default for parameter in chapter.parameters}
    for name, value in given.items():
        if name not in own:
            raise unknown_name(f"parameter of chapter '{chapter.name}'", name, own)
        if type(value) is not type(own[name]) and not (isinstance(own[name], float) and type(value) is int):
            kind = type(own[name]).__name__
            raise SaltrustError(f"chapter '{chapter.name}': {name} must be of type {kind}, not {value!r}")
    return given
