"""Execute chapters by Papermill: into the results that the book shows, or, with any parameters, into a folder of their
own."""

import errno
import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from traitlets.config import Config

from saltrust.artefacts.maintenance import LOCK
from saltrust.artefacts.store import Lock
from saltrust.chapters.chapter import Chapter, complete
from saltrust.chapters.leavings import notes, read_json
from saltrust.core import data_cards, paths, progress
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import rough_duration

# glibc gives large blocks back to the system and takes them anew, page by page, at every pass of a network. Told to
# keep them, AlexNet and VGG16 train 1.6 times as fast.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


PATIENCE = 120.0  # seconds that an interrupted kernel may take to put aside what it has
# Jupyter interrupts every kernel before it ends one, idle as it is, and ipykernel reports that as an error.
NO_FALSE_ALARM = (
    "__import__('logging').getLogger('IPKernelApp').addFilter("
    "lambda record: not str(record.msg).startswith('KeyboardInterrupt caught in kernel'))"
)
LONGEST = 60  # characters of a folder in which sockets can lie; their whole path may have 107


def publish(chapter: Chapter, given: dict[str, str]) -> Path:
    """Execute a chapter with these parameters for the book; returns the executed notebook.

    Its figures, tables and numbers appear under results/<profile>/<dataset>/ only when the whole chapter has succeeded.
    A failed chapter leaves notebooks/<chapter>.failed.ipynb, with the cells that did run, and raises SaltrustError.
    """
    values = complete(chapter, given)
    results = paths.results_of(values["profile"], data_cards.load(values["dataset"]).name)
    notebooks = results / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    read_json(results / "numbers.json")  # a damaged one is refused now, not after the work
    failed = notebooks / f"{chapter.name}.failed.ipynb"
    with _in_work(results, f".{chapter.name}-") as staging:
        executed = staging / f"{chapter.name}.ipynb"
        try:
            _execute(chapter, values, executed)
        except SaltrustError:
            if executed.exists():
                executed.replace(failed)
            raise
        _publish(staging, results, chapter.name)
    failed.unlink(missing_ok=True)
    return notebooks / executed.name


def run(chapter: Chapter, given: dict[str, str], write_page: Callable[[Path, Chapter, str], None]) -> Path:
    """Execute a chapter with these parameters; returns the folder of the run, results/runs/<chapter>/<time>-<digest>/.

    It holds the executed notebook and its source, a page (index.html), figures/, tables/, numbers.json and
    provenance.json, and appears when all of it is there. The published results stay as they are. A failed run leaves
    its notebook in a folder whose name ends in `-failed`, and raises SaltrustError.

    write_page(folder, chapter, name) writes the page into the folder before that gets its name.
    """
    values = complete(chapter, given)
    folder = paths.RUNS / chapter.name / f"{time.strftime('%Y%m%d-%H%M%S')}-{_digest(values)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _in_work(folder.parent, ".running-") as staging:
        executed = staging / f"{chapter.name}.ipynb"
        try:
            _execute(chapter, values, executed)
        except SaltrustError as error:
            if executed.exists():
                failed = _named(staging, folder, "-failed")
                raise SaltrustError(f"{error}; its notebook: {failed / executed.name}") from error
            raise
        return _named(staging, folder, page=lambda name: write_page(staging, chapter, name))


@contextmanager
def _in_work(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder for what is not finished, gone with the block unless it was given a name."""
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    staging.chmod(0o755)  # mkdtemp's is for its owner alone
    try:
        with Lock(staging / LOCK):  # `saltrust store gc` leaves it alone
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _named(staging: Path, folder: Path, ending: str = "", page: Callable[[str], Any] = lambda name: None) -> Path:
    """Give what is finished its name, with a number where another of the same second has it. page: writes what shows
    the name."""
    (staging / LOCK).unlink()
    target, numbers = folder.with_name(f"{folder.name}{ending}"), count(2)
    while True:
        page(target.name)
        try:
            os.replace(staging, target)
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            target = folder.with_name(f"{folder.name}-{next(numbers)}{ending}")


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _execute(chapter: Chapter, values: dict[str, Any], executed: Path) -> None:
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    staging = executed.parent
    source = staging / "source.ipynb"
    jupytext.write(jupytext.read(chapter.source), source)
    start = time.perf_counter()
    label = f"{Path(values['dataset']).stem} {chapter.name}"
    # A kernel called python3 in JUPYTER_PATH would be that of another environment.
    environment = {"SALTRUST_OUT": str(staging), "JUPYTER_PATH": ""} | paths.moved() | KEEP_MEMORY
    short = None if len(tempfile.gettempdir()) < LONGEST else "/tmp"
    with (
        tempfile.TemporaryDirectory(prefix="saltrust-", dir=short) as sockets,
        patch.dict(os.environ, environment),  # which the kernel inherits
        progress.shown(label),
        Interruptible(),
    ):
        # Kernels are spoken to through files of their own rather than open TCP ports.
        manager = {"transport": "ipc", "ip": f"{sockets}/kernel", "shutdown_wait_time": PATIENCE}
        first = [f"--IPKernelApp.exec_lines={NO_FALSE_ALARM}"]
        settings = Config({"KernelManager": manager, "NotebookClient": {"extra_arguments": first}})
        try:
            papermill.execute_notebook(
                _literally(source),
                _literally(executed),
                values,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=paths.WORK,
                config=settings,
            )
        except PapermillExecutionError as error:
            where = f"{chapter.source.name}, cell {error.exec_count}"
            raise SaltrustError(f"{label} failed in {where}: {error.ename}: {error.evalue}") from error
        progress.say(f"done in {rough_duration(time.perf_counter() - start)}", stays=True)
    source.unlink()
    _note_run(staging / "provenance.json", chapter, values, time.perf_counter() - start)


def _literally(path: Path) -> str:
    """A path for Papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _note_run(file: Path, chapter: Chapter, values: dict[str, Any], seconds: float) -> None:
    note = read_json(file)
    note |= {"chapter": chapter.name, "parameters": values, "seconds": round(seconds, 1)}
    file.write_text(json.dumps(note, indent=1), encoding="utf-8")


def _publish(staging: Path, results: Path, chapter: str) -> None:
    """Move a finished chapter's files into the data set's results; its numbers replace those of its last run."""
    with Lock(results / ".lock"):
        _refuse_taken_names(staging, results, chapter)
        # All that needs room on the disk comes before anything published is touched: a full disk leaves it as it was.
        merged = results / "numbers.json"
        numbers = {key: value for key, value in read_json(merged).items() if not key.startswith(f"{chapter}/")}
        numbers |= read_json(staging / "numbers.json")
        temporary = staging / "merged.json"
        temporary.write_text(json.dumps(numbers, indent=1, sort_keys=True), encoding="utf-8")
        for kind in ("figures", "tables", "provenance"):
            (results / kind).mkdir(exist_ok=True)
        # Killed from here on, the chapter counts as not run: its notebook comes last.
        (results / "notebooks" / f"{chapter}.ipynb").unlink(missing_ok=True)
        for kind in ("figures", "tables"):
            for note in notes(results, kind, chapter):  # what its last run left, under whatever names
                for file in (results / kind).glob(f"{note.stem}.*"):
                    file.unlink()
            for file in (staging / kind).glob("*"):
                os.replace(file, results / kind / file.name)
        os.replace(staging / "provenance.json", results / "provenance" / f"{chapter}.json")
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


class Interruptible:
    """Inside a `with` block a request to end (SIGTERM, of a scheduler for example) is an interruption, as Ctrl-C is: a
    kernel puts aside what it has."""

    def __enter__(self) -> None:
        self.before = None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def __exit__(self, *exception) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)
