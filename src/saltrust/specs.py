"""Specs: frozen dataclasses that name an artefact by everything that determines it.

A spec's digest covers its class, its fields (other specs by their digests) and the code that computes it: the class's
own source, the functions of its module that it calls, and every saltrust module imported inside them, followed
transitively. Comments, docstrings and formatting do not count.
"""

import ast
import hashlib
import importlib.util
import inspect
import json
import textwrap
import time
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from saltrust.errors import SaltrustError

PACKAGE = "saltrust"
STARTED = time.time()

# Modules that cannot change a result: how errors read, where files lie, how progress looks, how things are stored.
NEUTRAL = {
    f"{PACKAGE}.{name}" for name in ("errors", "registry", "progress", "paths", "store", "specs", "models.checkpoints")
}


@dataclass(frozen=True)
class Spec:
    """Base of all artefact names. A subclass adds fields, `kind`, and the three methods below.

    compute(get) makes the value; `get` fetches other specs' values. write(value, folder) and read(folder) store it.
    """

    kind: ClassVar[str]
    resumable: ClassVar[bool] = False  # whether `compute` also takes `unfinished`, a folder for what it has so far

    @property
    def transient(self) -> bool:
        """Whether the value is put together from stored artefacts so easily that it is not stored itself."""
        return False

    def compute(self, get) -> Any:
        raise TypeError(f"{type(self).__name__} does not say how it is computed")

    def write(self, value: Any, folder: Path) -> None:
        raise TypeError(f"{type(self).__name__} does not say how it is written")

    def read(self, folder: Path) -> Any:
        raise TypeError(f"{type(self).__name__} does not say how it is read")

    def title(self) -> str:
        """What the artefact is, for those who watch it being computed."""
        return self.kind

    def code(self) -> tuple[str, ...]:
        """Names of modules that the computation reaches by a registry, so that no import statement shows them."""
        return ()

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over parameters, upstream specs and code."""
        text = json.dumps([self.description(), code_digest(type(self), self.code())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def path(self) -> str:
        """Kind and digest: the path of the artefact in a store."""
        return f"{self.kind}/{self.digest}"

    def description(self) -> dict[str, Any]:
        """Every field as plain JSON; an upstream spec becomes its kind and digest, a data card its identity."""
        return {"kind": self.kind, **{f.name: _plain(getattr(self, f.name)) for f in fields(self)}}

    def upstream(self) -> list["Spec"]:
        """The specs among the fields."""
        return [spec for f in fields(self) for spec in _specs_in(getattr(self, f.name))]


def _specs_in(value: Any) -> list[Spec]:
    if isinstance(value, Spec):
        return [value]
    if isinstance(value, tuple | list):
        return [spec for item in value for spec in _specs_in(item)]
    return []


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Spec):
        return value.path
    if hasattr(value, "identity"):
        return _plain(value.identity())
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    raise TypeError(f"a spec field must be plain data, not {type(value).__name__}")


@cache
def code_digest(cls: type, modules: tuple[str, ...] = ()) -> str:
    """Digest of the source that `cls` computes with: its own, and the modules reached from it or from `modules`.

    Raises SaltrustError where a file of it was written after this process began: what is on the disk may not be what
    runs here, and would give its name to what the earlier code computes.
    """
    own = [ast.parse(textwrap.dedent(inspect.getsource(thing))) for thing in _own_definitions(cls)]
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
    """`cls`, its base specs, and the functions and plain classes of its module that they name, transitively.

    Other specs of the module are left out: where one is a field, its own digest already counts.
    """
    module = inspect.getmodule(cls)
    found: dict[str, Any] = {base.__name__: base for base in cls.__mro__ if base not in (object, Spec)}
    pending = list(found.values())
    while pending:
        tree = ast.parse(textwrap.dedent(inspect.getsource(pending.pop())))
        for name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(found):
            thing = inspect.unwrap(getattr(module, name, None)) if module else None
            local = inspect.isfunction(thing) or inspect.isclass(thing)
            if (
                local
                and thing.__module__ == cls.__module__
                and not (inspect.isclass(thing) and issubclass(thing, Spec))
            ):
                found[name] = thing
                pending.append(thing)
    return [found[name] for name in sorted(found)]


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
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


@cache
def _module_tree(module: str) -> ast.Module:
    source = _source_of(module)
    if source is None:
        raise ValueError(f"no module {module}")
    return ast.parse(source.read_text(encoding="utf-8"))


@cache
def _module_code(module: str) -> str:
    return normalized(_module_tree(module))
