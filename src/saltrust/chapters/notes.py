"""What a chapter notes of its figures, tables, documents and numbers, and of how it ran; as JSON in files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from saltrust.core.errors import SaltrustError


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where in a chapter a result was made.

    Attributes:
        cell: Number of the cell in the executed notebook; None outside one, or where it was not noted.
        artefacts: How many artefacts the chapter had asked for by then. The result was made from some of these first
            ones in the chapter's list. None where it was not noted.
    """

    cell: int | None = None
    artefacts: int | None = None


class Note:
    """What a chapter notes of a figure, table or document.

    Attributes:
        kind: "figure", "table" or "document".
        folder: Where its file lies within the folder of results.
        suffix: Of its file.
        name: Of its file, without the suffix.
        chapter: That made it.
    """

    kind: ClassVar[str]
    folder: ClassVar[str]
    suffix: ClassVar[str]
    name: str
    chapter: str

    @property
    def address(self) -> str:
        """Where the file lies in the folder of results, for example "figures/boxes.png"."""
        return f"{self.folder}/{self.name}{self.suffix}"

    def as_json(self) -> dict[str, Any]:
        """The note as files and notebooks hold it."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class FigureNote(Note):
    """What a chapter notes of a figure. Its fields are the arguments of `Page.figure`, and `Origin`."""

    kind: ClassVar[str] = "figure"
    folder: ClassVar[str] = "figures"
    suffix: ClassVar[str] = ".png"
    name: str
    caption: str = ""
    alt: str = ""
    chapter: str
    counterpart: str = ""
    tabs: tuple[str, ...] = ()
    cell: int | None = None
    artefacts: int | None = None


@dataclass(frozen=True, kw_only=True)
class TableNote(Note):
    """What a chapter notes of a table. Its fields are the arguments of `Page.table`, and `Origin`."""

    kind: ClassVar[str] = "table"
    folder: ClassVar[str] = "tables"
    suffix: ClassVar[str] = ".csv"
    name: str
    caption: str = ""
    chapter: str
    rows: int | None = None
    key: tuple[str, ...] = ()
    cell: int | None = None
    artefacts: int | None = None


@dataclass(frozen=True, kw_only=True)
class DocumentNote(Note):
    """What a notebook notes of a page of HTML. Its fields are the arguments of `Page.document`."""

    kind: ClassVar[str] = "document"
    folder: ClassVar[str] = "tables"
    suffix: ClassVar[str] = ".html"
    name: str
    chapter: str
    tabs: tuple[str, ...] = ()


KINDS = {kind.kind: kind for kind in (FigureNote, TableNote, DocumentNote)}


def note_from_json(found: Mapping[str, Any]) -> Note:
    """The note that a file or notebook holds; keys that it no longer has are left out.

    Raises:
        SaltrustError: for a field that is missing or of another type.
    """
    if not isinstance(found, Mapping) or found.get("kind") not in (*KINDS,):
        raise SaltrustError(f"kind: must be one of {', '.join(KINDS)}")
    return _checked(KINDS[found["kind"]], found)


def _checked(kind: Any, found: Any) -> Any:
    """A dataclass, or a list or mapping of some, from JSON."""
    try:
        return _adapter(kind).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise SaltrustError(f"{where}: {first['msg']}".removeprefix(": ")) from error


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a chapter ran.

    Attributes:
        chapter: Name of the chapter, "" where it was not noted.
        parameters: Every parameter, by name.
        seconds: That the notebook took.
        environment: Versions, machine and commit.
        artefacts: Seconds to compute each artefact, by its name, in the order in which the chapter asked for them.
        numbers: Where each quoted number was made, by its name.
    """

    chapter: str = ""
    parameters: Mapping[str, Any]
    seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    artefacts: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class _Used:
    """An artefact that a chapter asked for, and the seconds to compute it."""

    artefact: str
    seconds: float = 0.0


def provenance_from_json(found: Mapping[str, Any]) -> Provenance:
    """What a file of provenance holds; keys that it no longer has are left out.

    Raises:
        SaltrustError: for a field that is of another type.
    """
    used = _checked(list[_Used], found.get("artefacts", []))
    return _checked(Provenance, {**found, "artefacts": {one.artefact: one.seconds for one in used}})


def read_json(file: Path) -> dict[str, Any]:
    """The object that a file of JSON holds; nothing where there is no file. Raises SaltrustError for any other file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SaltrustError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise SaltrustError(f"{file} must hold a JSON object, not {type(found).__name__}")
    return found


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write an object as a file of JSON."""
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
