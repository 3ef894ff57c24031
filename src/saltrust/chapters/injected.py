"""What plain papermill puts into a notebook: the parameters that it was given, in a cell after the notebook's own.

`saltrust run` checks parameters before any work. Papermill takes every name, and a misspelled one changes nothing.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from IPython import get_ipython

from saltrust.chapters.chapter import Chapter
from saltrust.core.errors import SaltrustError, unknown_name

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


def into(chapter: Chapter) -> dict[str, Any]:
    """What papermill gave to the notebook that runs now.

    Raises:
        SaltrustError: for a parameter that the chapter does not have, or a value of another type than its default.
    """
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


def digest(given: dict[str, Any]) -> str:
    """A short name of the parameters, so that runs with others do not replace each other; "" of none."""
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:8] if given else ""
