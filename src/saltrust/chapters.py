"""Chapters: notebooks with typed parameters. Inspect them, check what a user gives, and execute them by Papermill."""

import ast
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from traitlets.config import Config

from saltrust import cards, paths, progress
from saltrust.cards import Card
from saltrust.errors import SaltrustError, unknown_name
from saltrust.profiles import PROFILES
from saltrust.protocols import PROTOCOLS

# Each chapter with those whose artefacts it shares, so that two of them never compute the same at once; in the order
# of the book. The first ones are about graded truth, and only data sets that have it have them.
_GRADED = {
    "atlas": (),
    "branches": ("atlas",),
    "five_band": ("branches",),
    "footing": ("five_band",),
    "heatmaps": ("footing",),
    "depth": ("branches",),
}
_ALWAYS = {
    "dataset": (),
    "models": ("dataset",),
    "gallery": ("models",),
    "every_method": ("gallery",),
    "localization": ("gallery",),
    "randomization": ("localization",),
    "repeatability": ("localization",),
    "statistics": ("randomization", "repeatability"),
    "verdict": ("randomization", "repeatability"),
    "report_card": ("verdict",),
    "specifications": ("verdict",),
    "audit": ("verdict",),
    "claims": ("specifications",),
}
NAMES = (*_GRADED, *_ALWAYS)

# Chapters about networks that are trained here, which a user's own models have not; and those that need two networks.
_TRAINED_HERE = ("every_method", "statistics", "specifications", "audit", "claims")
_OF_TWO = ("repeatability",)


def of(card: Card) -> dict[str, tuple[str, ...]]:
    """The chapters of a data set in the order of the book, each with those that run before it."""
    if not card.models:
        return _GRADED | _ALWAYS if card.truth == "graded" else _ALWAYS
    without = _TRAINED_HERE + (_OF_TWO if len(card.models) < 2 else ())
    return {
        name: tuple(other for other in before if other not in without)
        for name, before in _ALWAYS.items()
        if name not in without
    }


# glibc gives large blocks back to the system and takes them anew, page by page, at every pass of a network. Told to
# keep them, AlexNet and VGG16 train 1.6 times as fast.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's `parameters` cell: `name = default  # help`."""

    name: str
    default: str | int | float | bool
    help: str

    def cast(self, text: str) -> str | int | float | bool:
        """A value from the command line in the type of the default. Raises SaltrustError for one that does not fit."""
        kind = type(self.default)
        if kind is bool:
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
        else:
            try:
                return kind(text)
            except ValueError:
                pass
        raise SaltrustError(
            f"parameter '{self.name}': '{text}' is not of type {kind.__name__} (default: {self.default})"
        )


@dataclass(frozen=True)
class Chapter:
    name: str
    title: str
    source: Path
    parameters: tuple[Parameter, ...]


def load(name: str) -> Chapter:
    """The chapter of that name. Raises SaltrustError for an unknown name or a parameters cell that cannot be read."""
    if name not in NAMES:
        raise unknown_name("chapter", name, NAMES)
    source = paths.CHAPTERS / f"{name}.py"
    text = source.read_text(encoding="utf-8")
    title = next(line.removeprefix("# # ") for line in text.splitlines() if line.startswith("# # "))
    return Chapter(name, title, source, _parameters(source, text))


def _parameters(source: Path, text: str) -> tuple[Parameter, ...]:
    cell = text.partition('# %% tags=["parameters"]\n')[2].partition("\n# %%")[0]
    if not cell:
        raise SaltrustError(f"{source}: no cell tagged 'parameters'")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(cell).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for node in ast.parse(cell).body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            raise SaltrustError(f"{source}: the parameters cell holds more than `name = value  # help` lines")
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise SaltrustError(f"{source}: parameter '{node.targets[0].id}' is not a plain constant") from None
        found.append(Parameter(node.targets[0].id, default, comments.get(node.lineno, "")))
    return tuple(found)


def check(chapter: Chapter, given: dict[str, str]) -> dict[str, Any]:
    """Cast and check parameters from the command line, before any work.

    Raises SaltrustError for a name that the chapter does not have, a value of the wrong type, or one that is not in the
    registry that it is looked up in.
    """
    known = {parameter.name: parameter for parameter in chapter.parameters}
    for name in given:
        if name not in known:
            raise unknown_name(f"parameter of chapter '{chapter.name}'", name, known)
    values = {name: known[name].cast(text) for name, text in given.items()}
    for name, value in values.items():
        CHOICES.get(name, lambda value: None)(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            raise SaltrustError(f"parameter '{name}': {value} is negative")
    return values


def _check_methods(value: str) -> None:
    from saltrust.study import chosen

    chosen(value)


def _check_order(value: str) -> None:
    from saltrust.models.randomization import ORDERS

    ORDERS[value]


CHOICES = {
    "dataset": lambda value: cards.load(value),
    "profile": lambda value: PROFILES[value],
    "protocol": lambda value: PROTOCOLS[value],
    "methods": _check_methods,
    "order": _check_order,
}


def run(chapter: Chapter, given: dict[str, str]) -> Path:
    """Execute a chapter with these parameters; returns the executed notebook.

    Its figures, tables and numbers appear under results/<profile>/<dataset>/ only when the whole chapter has succeeded.
    A failed chapter leaves notebooks/<chapter>.failed.ipynb, with the cells that did run, and raises SaltrustError.
    """
    values = {p.name: p.default for p in chapter.parameters} | check(chapter, given)
    card = cards.load(values["dataset"])
    if values["dataset"] != card.name:  # a file, which the kernel looks for from another folder
        values["dataset"] = str(Path(values["dataset"]).resolve())
    if chapter.name not in of(card):
        suited = [name for name in cards.names() if chapter.name in of(cards.load(name))]
        lacks = "networks that are trained here" if card.models else "graded truth"
        raise SaltrustError(
            f"chapter '{chapter.name}' needs {lacks}, which '{card.name}' has not; it runs on: {', '.join(suited)}"
        )
    if not card.available:
        raise SaltrustError(f"data set '{card.name}' is not on this machine: nothing at {card.root}")
    results = paths.results_of(values["profile"], card.name)
    notebooks = results / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    failed = notebooks / f"{chapter.name}.failed.ipynb"
    with tempfile.TemporaryDirectory(prefix=f".{chapter.name}-", dir=results) as staging:
        start = time.perf_counter()
        executed = Path(staging) / f"{chapter.name}.ipynb"
        try:
            _execute(chapter, values, executed)
        except SaltrustError:
            if executed.exists():
                executed.replace(failed)
            raise
        _note_run(Path(staging) / "provenance.json", chapter, values, time.perf_counter() - start)
        _publish(Path(staging), results, chapter.name)
    failed.unlink(missing_ok=True)
    return notebooks / executed.name


def _execute(chapter: Chapter, values: dict[str, Any], executed: Path) -> None:
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    staging = executed.parent
    source = staging / "source.ipynb"
    jupytext.write(jupytext.read(chapter.source), source)
    label = f"{values['dataset']} {chapter.name}"
    environment = {"SALTRUST_OUT": str(staging), progress.LOG: str(staging / "progress.log")} | KEEP_MEMORY
    with (
        tempfile.TemporaryDirectory(prefix="saltrust-") as sockets,  # under /tmp: the path of a socket must be short
        _Environment(environment),
        _Echo(staging / "progress.log", label),
    ):
        # Kernels are spoken to through files of their own rather than open TCP ports.
        transport = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        try:
            papermill.execute_notebook(
                source,
                executed,
                values,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=paths.PROJECT,
                config=transport,
            )
        except PapermillExecutionError as error:
            where = f"{chapter.source.name}, cell {error.exec_count}"
            raise SaltrustError(f"{label} failed in {where}: {error.ename}: {error.evalue}") from error
    source.unlink()


def _note_run(file: Path, chapter: Chapter, values: dict[str, Any], seconds: float) -> None:
    note = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    note |= {"chapter": chapter.name, "parameters": values, "seconds": round(seconds, 1)}
    file.write_text(json.dumps(note, indent=1), encoding="utf-8")


def _publish(staging: Path, results: Path, chapter: str) -> None:
    """Move a finished chapter's files into the data set's results; its numbers replace those of its last run."""
    with FileLock(results / ".lock"):
        _refuse_taken_names(staging, results, chapter)
        for kind in ("figures", "tables"):
            (results / kind).mkdir(exist_ok=True)
            for note in (results / kind).glob("*.json"):  # what the chapter's last run left, under whatever names
                if json.loads(note.read_text(encoding="utf-8"))["chapter"] == chapter:
                    for file in (results / kind).glob(f"{note.stem}.*"):
                        file.unlink()
            for file in (staging / kind).glob("*"):
                os.replace(file, results / kind / file.name)
        (results / "provenance").mkdir(exist_ok=True)
        os.replace(staging / "provenance.json", results / "provenance" / f"{chapter}.json")
        merged = results / "numbers.json"
        numbers = json.loads(merged.read_text(encoding="utf-8")) if merged.exists() else {}
        numbers = {key: value for key, value in numbers.items() if not key.startswith(f"{chapter}/")}
        if (staging / "numbers.json").exists():
            numbers |= json.loads((staging / "numbers.json").read_text(encoding="utf-8"))
        temporary = staging / "merged.json"
        temporary.write_text(json.dumps(numbers, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(temporary, merged)
        os.replace(staging / f"{chapter}.ipynb", results / "notebooks" / f"{chapter}.ipynb")


def _refuse_taken_names(staging: Path, results: Path, chapter: str) -> None:
    """Raises SaltrustError where a figure or table has the name of another chapter's, whose place it would take."""
    for note in [*(staging / "figures").glob("*.json"), *(staging / "tables").glob("*.json")]:
        there = results / note.parent.name / note.name
        if there.exists() and (owner := json.loads(there.read_text(encoding="utf-8"))["chapter"]) != chapter:
            raise SaltrustError(
                f"chapter '{chapter}': '{note.stem}' in {note.parent.name} is the name of one of '{owner}'"
            )


class _Environment:
    """Environment variables set inside a `with` block, for the kernel that is started there."""

    def __init__(self, values: dict[str, str]):
        self.values = values

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.values}
        os.environ.update(self.values)

    def __exit__(self, *exception) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Echo:
    """Shows the lines that a kernel appends to its progress log, on the terminal of the one who runs the chapter.

    On a terminal one line is rewritten; elsewhere (a file, several chapters at once) each line stands by itself.
    """

    def __init__(self, log: Path, label: str):
        self.log, self.label = log, label
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> None:
        self.log.touch()
        self.thread.start()

    def __exit__(self, *exception) -> None:
        self.done.set()
        self.thread.join()

    def _follow(self) -> None:
        rewrite = sys.stderr.isatty()
        width = shutil.get_terminal_size().columns - 1
        with self.log.open(encoding="utf-8") as lines:
            while True:
                last = self.done.is_set()
                for line in lines:
                    text = f"[{self.label}] {line.rstrip()}"
                    sys.stderr.write(f"\r{text[:width]:<{width}}" if rewrite else f"{text}\n")
                    sys.stderr.flush()
                if last:
                    break
                self.done.wait(0.5)
        if rewrite:
            sys.stderr.write("\r" + " " * width + "\r")
