"""An artefact: a frozen dataclass that names something computed by everything that determines it."""

import hashlib
import json
import re
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from saltrust.artefacts.fingerprint import code_digest
from saltrust.core.registry import Registry

STAGES = ("data", "networks", "maps", "scores")
"""In this order artefacts are made."""

Work = tuple[tuple[str, float], ...]
"""(what earlier artefacts of the kind must share, what the time is proportional to), the most alike first."""


@dataclass(frozen=True)
class Artefact:
    """Base of all artefacts. A subclass adds fields, `description`, `compute`, `write` and `read`.

    kind: the name of the class in snake case; artefacts of one kind lie in one folder of the store.
    description: what lies in such an artefact, for lists; a class without one is no kind of its own.
    stage: a name in STAGES.
    resumable: whether `compute` also takes `unfinished`, a folder for what it has so far.
    """

    description: ClassVar[str]
    kind: ClassVar[str]
    stage: ClassVar[str] = "scores"
    resumable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "description" in vars(cls):
            cls.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
            KINDS.register(cls.kind)(cls)

    @property
    def transient(self) -> bool:
        """Whether the value is put together from stored artefacts so easily that it is not stored itself."""
        return False

    def compute(self, get) -> Any:
        """The value. Imports of what it is computed with stand inside: they become part of the artefact's name.

        Args:
            get: function from another artefact to its value.
        """
        raise TypeError(f"{type(self).__name__} does not say how it is computed")

    def write(self, value: Any, folder: Path) -> None:
        """Store a value in an empty folder."""
        raise TypeError(f"{type(self).__name__} does not say how it is written")

    def read(self, folder: Path) -> Any:
        """The value that `write` stored."""
        raise TypeError(f"{type(self).__name__} does not say how it is read")

    def title(self) -> str:
        """What the artefact is, for those who watch it being computed."""
        return self.kind

    def part(self) -> str:
        """The network or method that it belongs to among those of its kind, "" where there is none."""
        return ""

    def job(self) -> tuple[str, ...]:
        """In which job of its stage it is made: a network, then the state of it. Where there is little to do, all
        states of one network share a job."""
        return (self.kind,)

    def work(self) -> Work:
        """What the time to compute it depends on, from the most alike to all of its kind."""
        return (("", 1.0),)

    def value_bytes(self) -> float:
        """Bytes of the arrays in its value, about; 0 for what is small."""
        return 0.0

    def memory(self) -> float:
        """Bytes of the arrays that are in memory at once while it is computed, about: what it is made from, and its
        value twice, in parts and put together."""
        needs = self.needs()
        joining = [need.memory() - need.value_bytes() for need in needs if need.transient]  # one after the other
        return 2 * self.value_bytes() + sum(need.value_bytes() for need in needs) + max(joining, default=0.0)

    def needs(self) -> list["Artefact"]:
        """What is asked for when it is computed."""
        return self.upstream()

    def code(self) -> tuple[str, ...]:
        """Names of modules that the computation reaches by a registry, so that no import statement shows them."""
        return ()

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over fields, upstream artefacts and code."""
        text = json.dumps([self.as_json(), code_digest(type(self), self.code())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def path(self) -> str:
        """Kind and digest: the path of the artefact in a store."""
        return f"{self.kind}/{self.digest}"

    def as_json(self) -> dict[str, Any]:
        """Every field as plain JSON; an upstream artefact becomes its kind and digest, a data card its identity."""
        return {"kind": self.kind, **{f.name: _plain(getattr(self, f.name)) for f in fields(self)}}

    def upstream(self) -> list["Artefact"]:
        """The artefacts among the fields."""
        return [artefact for f in fields(self) for artefact in _artefacts_in(getattr(self, f.name))]


@dataclass(frozen=True)
class ArrayArtefact(Artefact):
    """An artefact that is one array."""

    def write(self, value, folder: Path) -> None:
        import numpy as np

        np.save(folder / "array.npy", value)

    def read(self, folder: Path) -> Any:
        import numpy as np

        return np.load(folder / "array.npy")


KINDS: Registry[type[Artefact]] = Registry("kind of artefact")
"""Every kind in the order of computation. `saltrust.artefacts` has it complete: it imports the modules that define
them."""


def _artefacts_in(value: Any) -> list[Artefact]:
    if isinstance(value, Artefact):
        return [value]
    if isinstance(value, (tuple, list)):
        return [artefact for item in value for artefact in _artefacts_in(item)]
    return []


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Artefact):
        return value.path
    if hasattr(value, "identity"):
        return _plain(value.identity())
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    raise TypeError(f"the field of an artefact must be plain data, not {type(value).__name__}")
