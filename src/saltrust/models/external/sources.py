"""Where classifiers come from: the registries of libraries and file formats, and functions in a user's file.

Weights are read as numbers alone. Code runs where the user names a file of code or a compiled program, nowhere else.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry

UNPACKED = 4  # times the size of an archive that its contents may have


@dataclass(frozen=True)
class LoadedNetwork:
    """A network as its source gives it.

    Attributes:
        body: the network.
        says: what the source tells of its input and outputs, as fields of a `Model`.
        code: the files that were run.
    """

    body: nn.Module
    says: Mapping[str, Any]
    code: tuple[Path, ...] = ()


Loader = Callable[[str, Model, Path], LoadedNetwork]
"""(what follows the name of the library, or the path; what the card says; the folder of the card) -> the network."""

LIBRARIES: Registry[Loader] = Registry("library of models")
FORMATS: Registry[Loader] = Registry("format of models")


def find(model: Model, folder: Path) -> LoadedNetwork:
    """The network that a card's model names.

    Args:
        model: what the card says.
        folder: where relative paths start.

    Raises:
        SaltrustError: there is none, or its file is not sound.
    """
    library, colon, name = model.source.partition(":")
    if colon and library in LIBRARIES:
        return LIBRARIES[library](name, model, folder)
    file = model.source.rpartition(":")[0] if ".py:" in model.source else model.source
    suffix = Path(file).suffix
    if suffix not in FORMATS:
        libraries = ", ".join(f"{name}:<name>" for name in LIBRARIES)
        raise SaltrustError(
            f"model '{model.source}' is neither a file ({', '.join(sorted(FORMATS))}) nor one of {libraries}"
        )
    return FORMATS[suffix](model.source, model, folder)


def refusal(model: Model, what: str) -> SaltrustError:
    """The error for a model that will not do.

    Args:
        model: what the card says.
        what: a verb and the rest, after the model's name.
    """
    return SaltrustError(f"model '{model.source}' {what}")


def find_file(path: str, folder: Path, what: str) -> Path:
    """A file, relative to the folder of the card or to the working folder.

    Args:
        path: absolute, from "~", or relative.
        folder: of the card.
        what: the errors call it.

    Raises:
        SaltrustError: there is no such file.
    """
    places = [(place / Path(path).expanduser()).resolve() for place in (folder, Path.cwd())]
    for file in places:
        if file.is_file():
            return file
    raise SaltrustError(f"{what} '{path}': no such file in {' or '.join(dict.fromkeys(str(p.parent) for p in places))}")


def intact_file(source: str, folder: Path) -> Path:
    """The file of a model, unless it is empty, or an archive that is damaged or unpacks to many times its size.

    torch itself does not compare checksums: of a weight in which a bit has flipped it says nothing.

    Args:
        source: its path.
        folder: of the card.

    Raises:
        SaltrustError: there is no such file, or it is not sound.
    """
    file = find_file(source, folder, "model")
    if not file.stat().st_size:
        raise SaltrustError(f"model '{source}' is an empty file")
    if file.suffix != ".safetensors":  # any numbers may look like the end of an archive
        _check_archive(file, f"model '{source}'")
    return file


def _check_archive(file: Path, what: str) -> None:
    size, unpacked, damaged = file.stat().st_size, 0, None
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
                damaged = archive.testzip() if unpacked <= UNPACKED * size else None
    except Exception as error:  # of many kinds, for what is only like an archive
        raise SaltrustError(f"{what} is a damaged archive: {one_line(error)}") from error
    if unpacked > UNPACKED * size:
        raise SaltrustError(
            f"{what} has {size:,} bytes and unpacks to {unpacked:,}; torch packs weights without compression, so this "
            "is no file of its making"
        )
    if damaged:
        raise SaltrustError(f"{what} is a damaged archive: the checksum of {damaged} does not fit")


def one_line(error: BaseException) -> str:
    r"""An error on one line of bearable length.

    >>> one_line(ValueError("a\n  b"))
    'ValueError: a b'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'…' if len(text) > 300 else ''}"


@FORMATS.register(".py")
def from_function(source: str, model: Model, folder: Path) -> LoadedNetwork:
    """What a function without arguments returns; its file runs, with its folder on the import path.

    The function returns a torch module, or a dict with it as "network" and with fields of a `Model` that say what it
    takes and gives.

    Args:
        source: "path/to/file.py:function".
        model: not used; formats are called alike.
        folder: of the card.

    Raises:
        SaltrustError: the file or function is missing, fails, or returns something else.
    """
    path, colon, name = source.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise SaltrustError(
            f"model '{source}' names no function: write {source}:load, where `load` returns the network"
        )
    file = find_file(path, folder, "model")
    with _running(file, source) as module:
        function = getattr(module, name, None)
        if not callable(function):
            defined = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise unknown_name(f"function of {file.name}", name, defined)
        given = function()
    described = dict(given) if isinstance(given, Mapping) else {"network": given}
    body = described.pop("network", None)
    if not isinstance(body, nn.Module):
        raise SaltrustError(
            f"{source} returned a {type(given).__name__}; it must return a torch.nn.Module, or a dict with the module "
            'as "network" and what else there is to say, such as "classes", "mean" and "std"'
        )
    known = set(Model.model_fields) - {"source", "name", "architecture"}
    for key in described:
        if key not in known:
            raise unknown_name(f"key in what {source} returned,", key, {*known, "network"})
    return LoadedNetwork(body.cpu(), described, _imported_by(file))


@contextmanager
def _running(file: Path, source: str) -> Iterator[ModuleType]:
    """A file of Python as a module of its own, with its neighbours within reach while it and its functions run.

    The neighbours are forgotten afterwards: two models may each have a `net.py`. Whatever goes wrong inside becomes one
    SaltrustError.
    """
    before = set(sys.modules)
    name = f"saltrust_model_{abs(hash(file))}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
        yield module
    except SaltrustError:
        raise
    except (Exception, SystemExit) as error:
        raise SaltrustError(f"{source} failed{_where(error, file)}: {one_line(error)}") from error
    finally:
        sys.path.remove(str(file.parent))
        for key in set(sys.modules) - before:
            if _lies_beside(sys.modules[key], key.partition(".")[0], file.parent):
                del sys.modules[key]


def _where(error: BaseException, file: Path) -> str:
    """The last line of the user's file that an error came through."""
    trace, line = error.__traceback__, None
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(file) else line
        trace = trace.tb_next
    line = line or getattr(error, "lineno", None)
    return f" in line {line}" if line else ""


def _lies_beside(module: ModuleType, name: str, folder: Path) -> bool:
    """Whether a module is one of the folder's, or lies in a package of that name there, with or without __init__.py."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(Path(place).is_relative_to(folder / part) for place in places if place for part in (name, f"{name}.py"))


def _imported_by(file: Path) -> tuple[Path, ...]:
    """A file and the modules of its folder that it imports, directly or not; packages with all their modules."""
    found: dict[Path, None] = {}
    pending = [file]
    while pending:
        one = pending.pop()
        if one in found:
            continue
        found[one] = None
        tree = ast.parse(one.read_text(encoding="utf-8"))
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        for name in sorted({name.partition(".")[0] for name in named}):
            place = file.parent / name
            pending += [path for path in (place.with_suffix(".py"),) if path.is_file()]
            pending += sorted(place.rglob("*.py"))
    return tuple(found)
