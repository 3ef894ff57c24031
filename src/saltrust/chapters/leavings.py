"""What executed chapters left in a folder: notes of their figures and tables, and the numbers that they quote.

The folder is that of a run, with one chapter in it, or that of a data set's published results, with all of them.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from saltrust.chapters.chapter import NAMES
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES


def in_work(results: Path) -> Iterator[Path]:
    """The folders in which chapters run, or ran until they were killed, as `execute` names them."""
    for chapter in NAMES:
        yield from results.glob(f"runs/{chapter}/.running-????????")
        for profile in PROFILES:
            yield from results.glob(f"{profile}/*/.{chapter}-????????")


def artefacts_named(results: Path) -> Iterator[str]:
    """Names of the artefacts that results were made from: what the book shows, runs, and chapters run by hand.

    Raises SaltrustError where a result does not say what it needs.
    """
    for folder in in_work(results):
        with suppress(SaltrustError):  # it has not got so far
            yield from _named(folder / "provenance.json")
    for pattern in (
        "*/*/provenance/*.json",
        "runs/*/[!.]*/provenance.json",
        "by_hand/*/*/*/provenance.json",
    ):
        for file in results.glob(pattern):
            yield from _named(file)


def _named(file: Path) -> list[str]:
    try:
        return [used["artefact"] for used in json.loads(file.read_text(encoding="utf-8")).get("artefacts", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SaltrustError(
            f"{file} cannot be read, so that what it needs is not known: repair or remove it"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """The object that a file of JSON holds; nothing where there is no file. Raises SaltrustError for any other file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SaltrustError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise SaltrustError(f"{file} must hold a JSON object, not {type(found).__name__}")
    return found


def provenance(file: Path) -> dict[str, Any]:
    """What was noted of how a chapter ran; nothing where there is no file. Raises SaltrustError where it cannot be read
    or does not say with which parameters."""
    note = read_json(file)
    parameters = note.get("parameters")
    if file.exists() and not (parameters and isinstance(parameters, dict)):
        raise SaltrustError(f"{file} does not say with which parameters the chapter ran")
    return note


def notes(folder: Path, kind: Literal["figures", "tables"], chapter: str) -> dict[Path, dict[str, Any]]:
    """What a chapter noted of its figures or tables, by the file of each note. Raises SaltrustError for a note that
    cannot be read or does not name its chapter."""
    found = {file: read_json(file) for file in sorted((folder / kind).glob("*.json"))}
    if unsigned := [file for file, note in found.items() if "chapter" not in note]:
        raise SaltrustError(f"{unsigned[0]} does not say which chapter it is of")
    return {file: note for file, note in found.items() if note["chapter"] == chapter}


def numbers(folder: Path, chapter: str) -> dict[str, Any]:
    """The numbers that a chapter quotes, by "<chapter>/<name>"."""
    found = read_json(folder / "numbers.json")
    return {name: value for name, value in found.items() if name.startswith(f"{chapter}/")}
