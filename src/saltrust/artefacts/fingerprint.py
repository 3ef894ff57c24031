"""The code that an artefact is computed with, as a digest that is part of its name.

It covers the artefact's class, the functions of this package that it calls, and every saltrust module imported inside
them, followed transitively. Comments, docstrings, formatting and what a class only says about itself do not count.
"""

import ast
import hashlib
import inspect
import textwrap
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from saltrust.core import paths
from saltrust.core.errors import SaltrustError

PACKAGE = "saltrust"
STARTED = time.time()

# Modules that cannot change a result: how errors read, where files lie, how progress looks, how things are stored.
NEUTRAL = {
    f"{PACKAGE}.{name}"
    for name in (
        "core.errors",
        "core.registry",
        "core.progress",
        "core.paths",
        "artefacts.artefact",
        "artefacts.fingerprint",
        "artefacts.memory",
        "artefacts.sidecar",
        "artefacts.store",
        "models.checkpoints",
    )
}


# What is said about an artefact, which cannot change its value either. `compute` must not use it.
ASIDE = {"description", "stage", "title", "part", "job", "work", "value_bytes", "memory", "footprint"}


@cache
def code_digest(cls: type, modules: tuple[str, ...] = ()) -> str:
    """Digest of the source that `cls` computes with: its own, and the modules reached from it or from `modules`.

    Raises SaltrustError where a file of it was written after this process began: what is on the disk may not be what
    runs here, and would give its name to what the earlier code computes.
    """
    own = [_tree_of(thing) for thing in _own_definitions(cls)]
    reached = set(modules).union(*(_imports(tree, cls.__module__) for tree in own))
    closure = sorted(_closure(frozenset(reached)))
    for name in (cls.__module__, *closure):
        source = _source_of(name) if name.startswith(PACKAGE) else None
        if source and source.stat().st_ctime > STARTED:  # which also a copy that keeps its age has anew
            raise SaltrustError(f"{source} has changed since this process began; begin it anew (restart the kernel)")
    parts = [normalized(tree) for tree in own]
    parts += [f"{name}\n{_module_code(name)}" for name in closure]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _own_definitions(cls: type) -> list[Any]:
    """`cls`, the artefacts that it inherits from, and the functions and plain classes of this package that they name,
    transitively, in whichever of its modules these stand.

    Other artefacts are left out: where one is a field, its own digest already counts.
    """
    root = cls.__mro__[-2]  # `Artefact`, which cannot be imported here: it imports this module
    found: dict[str, Any] = {base.__name__: base for base in cls.__mro__ if base not in (object, root)}
    pending = list(found.values())
    while pending:
        thing = pending.pop()
        tree, module = _tree_of(thing), inspect.getmodule(thing)
        for name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(found):
            named = inspect.unwrap(getattr(module, name, None)) if module else None
            if not (inspect.isfunction(named) or inspect.isclass(named)) or not _followed(named, cls):
                continue
            if not (inspect.isclass(named) and issubclass(named, root)):
                found[name] = named
                pending.append(named)
    return [found[name] for name in sorted(found)]


def _tree_of(thing: Any) -> ast.Module:
    """The source of a function or class, without the members in ASIDE."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    (definition,) = tree.body
    if isinstance(definition, ast.ClassDef):
        definition.body = [node for node in definition.body if _name(node) not in ASIDE]
    return tree


def _name(node: ast.stmt) -> str:
    """What a statement of a class defines."""
    return getattr(node, "name", "") or getattr(getattr(node, "target", None), "id", "")


def _followed(thing: Any, cls: type) -> bool:
    """Whether a function or class stands beside `cls`, in its module or its package, where imports are not followed."""
    module = thing.__module__
    return module == cls.__module__ or (module.startswith(f"{PACKAGE}.artefacts.") and module not in NEUTRAL)


def normalized(tree: ast.AST) -> str:
    """The code without comments, docstrings and formatting: what remains can change a result."""
    tree = ast.parse(ast.unparse(tree))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _closure(modules: frozenset[str]) -> frozenset[str]:
    seen: set[str] = set()
    pending = set(modules)
    while pending:
        name = pending.pop()
        if name in seen or name in NEUTRAL:
            continue
        seen.add(name)
        pending |= _imports(_module_tree(name), name)
    return frozenset(seen)


def _imports(tree: ast.AST, where: str) -> set[str]:
    """The saltrust modules named by import statements anywhere in `tree` (also inside functions)."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{where}: relative import; saltrust modules import each other by full name")
            if node.module and node.module.split(".")[0] == PACKAGE:
                members = {f"{node.module}.{alias.name}" for alias in node.names}
                submodules = {name for name in members if _source_of(name) is not None}
                found |= submodules
                if submodules != members:
                    found.add(node.module)
    return {name for name in found if name != PACKAGE}


@cache
def _source_of(module: str) -> Path | None:
    """The file of a module of this package, found without importing what it lies in: that would take seconds."""
    name, *parts = module.split(".")
    place = paths.PACKAGE.joinpath(*parts)
    files = (place.with_suffix(".py"), place / "__init__.py") if name == PACKAGE else ()
    return next((file for file in files if file.is_file()), None)


@cache
def _module_tree(module: str) -> ast.Module:
    source = _source_of(module)
    if source is None:
        raise ValueError(f"no module {module}")
    return ast.parse(source.read_text(encoding="utf-8"))


@cache
def _module_code(module: str) -> str:
    return normalized(_module_tree(module))


def modules_reached(source: Path, modules: Iterable[str] = ()) -> frozenset[Path]:
    """The files of this package that a script depends on: those that it imports, directly or by way of others.

    Args:
        source: the script.
        modules: names of more modules that it depends on, which no import statement shows.
    """
    imported = _imports(ast.parse(source.read_text(encoding="utf-8")), str(source))
    files = map(_source_of, _closure(frozenset(imported.union(modules))))
    return frozenset(file for file in files if file is not None)
