"""An artefact: a frozen dataclass that names something computed by everything that determines it."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from saltrust.artefacts.fingerprint import code_digest


@dataclass(frozen=True)
class Artefact:
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

    def upstream(self) -> list["Artefact"]:
        """The specs among the fields."""
        return [spec for f in fields(self) for spec in _specs_in(getattr(self, f.name))]


def _specs_in(value: Any) -> list[Artefact]:
    if isinstance(value, Artefact):
        return [value]
    if isinstance(value, tuple | list):
        return [spec for item in value for spec in _specs_in(item)]
    return []


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Artefact):
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
