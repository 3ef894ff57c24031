"""The folder of what a chapter leaves: `page.Page` fills it, `Results` reads it. Only this module knows its layout:

    figures/<name>.png, .json   a figure and its note
    tables/<name>.csv, .json    a table and its note; beside them <name>.html, if a document has that name
    numbers.json                numbers that prose quotes, by "<chapter>/<name>"
    provenance.json             how the chapter ran, and what it was made from

There are three kinds of such folders:

    results/<profile>/<dataset>/                    published, for the book: all chapters of a data set share it.
                                                    It also holds notebooks/<chapter>.ipynb, or .failed.ipynb, and
                                                    provenance/<chapter>.json in the place of provenance.json; after
                                                    `saltrust assess` on several findings also alarm.html
    results/runs/<chapter>/<time>-<digest>/         a run: also <chapter>.ipynb, <chapter>.py and index.html; the name
                                                    of one that failed ends in "-failed"
    results/by_hand/<profile>/<dataset>/<chapter>/  of a notebook in JupyterLab: nothing else; of one to which papermill
                                                    gave parameters, the name ends in "-<digest>" of these
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from saltrust.artefacts.store import Lock
from saltrust.chapters.chapter import NAMES
from saltrust.chapters.notes import (
    FigureNote,
    Note,
    Provenance,
    TableNote,
    note_from_json,
    provenance_from_json,
    read_json,
    write_json,
)
from saltrust.core import paths
from saltrust.core.errors import SaltrustError
from saltrust.core.interruption import uninterrupted
from saltrust.core.profiles import PROFILES
from saltrust.core.scratch import LOCK

OUT = "SALTRUST_OUT"  # environment variable: the folder for the results, set by whoever executes the chapter
RUNNING = ".running-"  # before the name of a run that is not finished
FAILED = "-failed"  # after the name of a run that failed
LARGEST = 1023  # bits of a whole number that can be compared with others


@dataclass(frozen=True)
class Results:
    """What one chapter left in a folder.

    Attributes:
        folder: Of figures/ and tables/.
        chapter: Name of the chapter.
        published: Whether it is a folder for the book, with other chapters' results in it.
    """

    folder: Path
    chapter: str
    published: bool = False

    @property
    def name(self) -> str:
        """The name of a run, also of one that is not finished."""
        return self.folder.name.removeprefix(RUNNING)

    @property
    def notebook(self) -> Path:
        """The executed notebook; the chapter counts as run where it is there."""
        return self.folder / ("notebooks" if self.published else "") / f"{self.chapter}.ipynb"

    @property
    def failed(self) -> Path:
        """The notebook of a failed publication, with the cells that did run."""
        return self.notebook.with_suffix(".failed.ipynb")

    @property
    def page(self) -> Path:
        """The page of a run; of a published chapter, the one that `saltrust assess` writes."""
        return self.folder / (f"{self.chapter}.html" if self.published else "index.html")

    @property
    def numbers_file(self) -> Path:
        """The file of the numbers that prose quotes."""
        return self.folder / "numbers.json"

    @property
    def provenance_file(self) -> Path:
        """The file that says how the chapter ran."""
        return self.folder / (f"provenance/{self.chapter}.json" if self.published else "provenance.json")

    def file(self, note: Note) -> Path:
        """The file of a figure, table or document."""
        return self.folder / note.address

    def figures(self) -> list[FigureNote]:
        """The notes of the chapter's figures, by name. Raises SaltrustError for one that cannot be read."""
        return self._notes(FigureNote)

    def tables(self) -> list[TableNote]:
        """The notes of the chapter's tables, by name. Raises SaltrustError for one that cannot be read."""
        return self._notes(TableNote)

    def _notes(self, kind: type[Note]) -> list[Any]:
        found = []
        for file in sorted((self.folder / kind.folder).glob("*.json")):
            content = read_json(file)
            if "chapter" not in content:
                raise SaltrustError(f"{file} does not say which chapter it is of")
            if content["chapter"] == self.chapter:
                try:
                    found.append(note_from_json(content | {"kind": kind.kind, "name": file.stem}))
                except SaltrustError as error:
                    raise SaltrustError(f"{file}: {error}") from error
        return found

    def files(self) -> Iterator[Path]:
        """Every file of the chapter's figures and tables: their notes, and documents of a table's name, too."""
        for note in [*self.figures(), *self.tables()]:
            yield from sorted(self.file(note).parent.glob(f"{note.name}.*"))

    def numbers(self) -> dict[str, float | int | str]:
        """The numbers that the chapter quotes, by "<chapter>/<name>". Raises SaltrustError for what is none."""
        found = read_json(self.numbers_file)
        own = {key: value for key, value in found.items() if key.startswith(f"{self.chapter}/")}
        for key, value in own.items():
            large = isinstance(value, int) and value.bit_length() > LARGEST
            if large or not isinstance(value, int | float | str):
                raise SaltrustError(f"{self.numbers_file}: '{key}' must be a number or a text")
        return own

    def answer(self) -> str:
        """What the chapter found, in a sentence or two; "" where it says none. Raises SaltrustError as `numbers`."""
        return str(self.numbers().get(f"{self.chapter}/answer", ""))

    def provenance(self) -> Provenance | None:
        """How the chapter ran; None where that was not noted.

        Raises:
            SaltrustError: for a file that cannot be read, or does not say with which parameters.
        """
        found = read_json(self.provenance_file)
        if not self.provenance_file.exists():
            return None
        if not (found.get("parameters") and isinstance(found["parameters"], dict)):
            raise SaltrustError(f"{self.provenance_file} does not say with which parameters the chapter ran")
        try:
            return provenance_from_json(found)
        except SaltrustError as error:
            raise SaltrustError(f"{self.provenance_file}: {error}") from error


def published(profile: str, dataset: str, chapter: str) -> Results:
    """What the book shows of a chapter. dataset: name of a data card."""
    return Results(paths.RESULTS / profile / dataset, chapter, published=True)


def digest(parameters: Mapping[str, Any]) -> str:
    """A short name of a chapter's parameters, by which folders of runs with others differ."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]


def by_hand(profile: str, dataset: str, chapter: str, given: Mapping[str, Any]) -> Results:
    """What a notebook leaves that is run in JupyterLab or by papermill. given: parameters that papermill gave to it."""
    folder = f"{chapter}-{digest(given)}" if given else chapter
    return Results(paths.RESULTS / "by_hand" / profile / dataset / folder, chapter)


def find(text: str) -> Results:
    """A run, or what a notebook left by hand.

    Args:
        text: Its folder, its page or another file in it, or the name of its folder.

    Raises:
        SaltrustError: where there is no such run, or it does not say of which chapter it is.
    """
    given = Path(text)
    given = given.parent if os.path.isfile(given) else given  # unlike Path's, False also for what cannot be a name
    for folder in (given, *(paths.RUNS / chapter / text for chapter in NAMES)):
        if os.path.isfile(Results(folder, "").provenance_file):
            results = Results(folder.resolve(), "")
            return replace(results, chapter=results.provenance().chapter)
    raise SaltrustError(f"no run '{text}'; give its folder, its name under {paths.RUNS}, or 'published'")


def artefacts_named(root: Path) -> Iterator[str]:
    """Names of the artefacts behind all published chapters, runs, notebooks run by hand, and what is in work.

    Args:
        root: The folder of all results.

    Raises:
        SaltrustError: where a result does not say what it needs.
    """
    for folder in in_work(root):
        with suppress(SaltrustError):  # it has not got so far
            yield from _named(folder / "provenance.json")
    for place in (
        "*/*/provenance/*.json",
        "runs/*/[!.]*/provenance.json",
        "by_hand/*/*/*/provenance.json",
    ):
        for file in root.glob(place):
            yield from _named(file)


def executions() -> Iterator[tuple[Provenance, float]]:
    """How chapters ran whose results are there, published or as a run, each with when it ended (seconds since 1970);
    what cannot be read is left out."""
    for place in ("*/*/provenance/*.json", "runs/*/[!.]*/provenance.json"):
        for file in paths.RESULTS.glob(place):
            with suppress(SaltrustError, OSError, TypeError, KeyError):
                yield provenance_from_json(read_json(file)), file.stat().st_mtime


def _named(file: Path) -> list[str]:
    try:
        return [used["artefact"] for used in read_json(file).get("artefacts", [])]
    except (SaltrustError, KeyError, TypeError, AttributeError) as error:
        raise SaltrustError(
            f"{file} cannot be read, so that what it needs is not known: repair or remove it"
        ) from error


def in_work(root: Path) -> list[Path]:
    """The folders in which chapters run, or ran until they were killed. root: folder of all results."""
    places = [f"runs/{chapter}/{RUNNING}*" for chapter in NAMES]
    places += [f"{profile}/*/.{chapter}-????????" for profile in PROFILES for chapter in NAMES]
    return [folder for place in places for folder in root.glob(place)]


# --- while a chapter runs ---------------------------------------------------------------------------------------------


@contextmanager
def staged_run(chapter: str, name: str) -> Iterator[Results]:
    """The folder of a run that is not finished, gone with the block unless it was kept by `keep`.

    Args:
        chapter: Name of the chapter.
        name: For the run, to which a number is added where another run has it.
    """
    parent = paths.RUNS / chapter
    parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        unique = name if number == 1 else f"{name}-{number}"
        staging = parent / f"{RUNNING}{unique}"
        try:
            staging.mkdir()
        except FileExistsError:
            continue
        if not any((parent / f"{unique}{ending}").exists() for ending in ("", FAILED)):
            break
        staging.rmdir()
    with _held(staging):
        yield Results(staging, chapter)


def keep(staged: Results, failed: bool = False) -> Path:
    """Give the folder of a run its name; returns it."""
    target = staged.folder.with_name(f"{staged.name}{FAILED if failed else ''}")
    with uninterrupted():
        (staged.folder / LOCK).unlink()
        os.replace(staged.folder, target)
    return target


@contextmanager
def staged_publication(results: Results) -> Iterator[Results]:
    """A folder for what a chapter leaves until it has succeeded and `publish` moves it; gone with the block."""
    results.notebook.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{results.chapter}-", dir=results.folder))
    staging.chmod(0o755)  # mkdtemp's is for its owner alone
    with _held(staging):
        yield Results(staging, results.chapter)


@contextmanager
def _held(staging: Path) -> Iterator[None]:
    try:
        with Lock(staging / LOCK):  # `saltrust store gc` leaves it alone
            yield
    finally:
        with uninterrupted():
            shutil.rmtree(staging, ignore_errors=True)


def note_run(staged: Results, parameters: Mapping[str, Any], seconds: float) -> None:
    """Add to what the page noted of its provenance what only the one who executed it knows."""
    note = {"chapter": staged.chapter, "parameters": parameters, "seconds": round(seconds, 1)}
    write_json(staged.provenance_file, read_json(staged.provenance_file) | note)


def publish(staged: Results, to: Results) -> None:
    """Move what a chapter left to where the book shows it, in the place of what it left last time.

    Raises:
        SaltrustError: where a figure or table has the name of another chapter's, whose place it would take.
    """
    with Lock(to.folder / LOCK):
        _refuse_taken_names(staged, to)
        # All that needs room on the disk comes before anything published is touched: a full disk leaves it as it was.
        numbers, old = read_json(to.numbers_file), to.numbers()
        numbers = {key: value for key, value in numbers.items() if key not in old} | read_json(staged.numbers_file)
        merged = staged.folder / "merged.json"
        write_json(merged, dict(sorted(numbers.items())))
        for place in ("figures", "tables", "provenance"):
            (to.folder / place).mkdir(exist_ok=True)
        with uninterrupted():
            # Killed from here on, the chapter counts as not run: its notebook comes last.
            to.notebook.unlink(missing_ok=True)
            for file in [*to.files()]:  # what its last run left, under whatever names
                file.unlink()
            for place in ("figures", "tables"):
                for file in (staged.folder / place).glob("*"):
                    os.replace(file, to.folder / place / file.name)
            os.replace(staged.provenance_file, to.provenance_file)
            os.replace(merged, to.numbers_file)
            os.replace(staged.notebook, to.notebook)


def _refuse_taken_names(staged: Results, to: Results) -> None:
    for note in [*staged.figures(), *staged.tables()]:
        there = read_json(to.file(note).with_suffix(".json"))
        if there and (owner := there["chapter"]) != staged.chapter:
            what = f"'{note.name}' in {note.folder}"
            raise SaltrustError(f"chapter '{staged.chapter}': {what} is the name of one of '{owner}'")
