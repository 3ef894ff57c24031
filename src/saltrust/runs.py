"""Execute chapters by Papermill: into the results that the book shows, or, with any parameters, into a folder of their
own."""

import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from filelock import FileLock
from traitlets.config import Config

from saltrust import cards, pages, paths, progress, run_page
from saltrust.chapters import Chapter, complete
from saltrust.errors import SaltrustError
from saltrust.leavings import notes, read_json
from saltrust.tables import columns

# glibc gives large blocks back to the system and takes them anew, page by page, at every pass of a network. Told to
# keep them, AlexNet and VGG16 train 1.6 times as fast.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


PATIENCE = 120.0  # seconds that an interrupted kernel may take to put aside what it has


def publish(chapter: Chapter, given: dict[str, str]) -> Path:
    """Execute a chapter with these parameters for the book; returns the executed notebook.

    Its figures, tables and numbers appear under results/<profile>/<dataset>/ only when the whole chapter has succeeded.
    A failed chapter leaves notebooks/<chapter>.failed.ipynb, with the cells that did run, and raises SaltrustError.
    """
    values = complete(chapter, given)
    results = paths.results_of(values["profile"], cards.load(values["dataset"]).name)
    notebooks = results / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    failed = notebooks / f"{chapter.name}.failed.ipynb"
    with tempfile.TemporaryDirectory(prefix=f".{chapter.name}-", dir=results) as staging:
        executed = Path(staging) / f"{chapter.name}.ipynb"
        try:
            _execute(chapter, values, executed)
        except SaltrustError:
            if executed.exists():
                executed.replace(failed)
            raise
        _publish(Path(staging), results, chapter.name)
    failed.unlink(missing_ok=True)
    return notebooks / executed.name


def run(chapter: Chapter, given: dict[str, str]) -> Path:
    """Execute a chapter with these parameters; returns the folder of the run, results/runs/<chapter>/<time>-<digest>/.

    It holds the executed notebook and its source, a page (index.html), figures/, tables/, numbers.json and
    provenance.json, and appears when all of it is there. The published results stay as they are. A failed run leaves
    its notebook in a folder whose name ends in `-failed`, and raises SaltrustError.
    """
    values = complete(chapter, given)
    folder = paths.RUNS / chapter.name / f"{time.strftime('%Y%m%d-%H%M%S')}-{_digest(values)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".running-", dir=folder.parent))
    try:
        executed = staging / f"{chapter.name}.ipynb"
        try:
            _execute(chapter, values, executed)
        except SaltrustError as error:
            if executed.exists():
                failed = folder.with_name(f"{folder.name}-failed")
                os.replace(staging, failed)
                raise SaltrustError(f"{error}; its notebook: {failed / executed.name}") from error
            raise
        run_page.write(staging, chapter, folder.name)
        staging.chmod(0o755)  # mkdtemp's is for its owner alone
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def sweep(chapter: Chapter, given: Mapping[str, Sequence[str]]) -> Iterator[Path]:
    """Execute a chapter once for each combination of the values; yields the folders of the runs.

    All combinations are checked before the first one runs.
    """
    combinations = [dict(zip(given, values, strict=True)) for values in product(*given.values())]
    for combination in combinations:
        complete(chapter, combination)
    for combination in combinations:
        yield run(chapter, combination)


def numbers_of(folders: Sequence[Path]) -> pd.DataFrame:
    """The parameters in which runs differ, and the numbers that they quote: a row for each run."""
    ran = [read_json(folder / "provenance.json") for folder in folders]
    numbers = [read_json(folder / "numbers.json") for folder in folders]
    given = pd.DataFrame([note["parameters"] for note in ran])
    differing = given.loc[:, given.astype(str).nunique() > 1]
    quoted = pd.DataFrame(numbers).rename(columns=lambda name: name.partition("/")[2])
    return pd.concat([pd.Series([folder.name for folder in folders], name="run"), differing, quoted], axis=1)


def tabulate(chapter: Chapter, folders: Sequence[Path]) -> Path:
    """Write the table of a sweep, `numbers_of` its runs, beside them, as CSV and as a page; returns the page."""
    page = paths.RUNS / chapter.name / f"sweep-{folders[0].name}.html"
    table = numbers_of(folders)
    table.to_csv(page.with_suffix(".csv"), index=False)
    page.write_text(_sweep_page(chapter, table, page.with_suffix(".csv").name), encoding="utf-8")
    return page


def _sweep_page(chapter: Chapter, table: pd.DataFrame, csv: str) -> str:
    """A row for each run, linked to its page. table: from `numbers_of`."""
    names = table["run"].tolist()
    rows = table.map(lambda value: "" if pd.isna(value) else str(value)).to_numpy().tolist()
    links = [pages.link(f"{name}/index.html", name) for name in names]
    body = columns(rows, len(table.columns))
    shown = pages.table([heading.replace("_", " ") for heading in table], body, pages.link(csv, "CSV"), first=links)
    compare = f"saltrust compare {names[0]} {names[-1]}"
    content = f"""<p>{len(names)} runs: the parameters in which they differ, and the numbers that they quote.</p>
{shown}
<p>Two of them side by side:</p>
{pages.command(compare)}"""
    return pages.document(chapter.title, f"sweep of {chapter.name}", content)


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
    environment = {"SALTRUST_OUT": str(staging)} | KEEP_MEMORY
    with (
        tempfile.TemporaryDirectory(prefix="saltrust-") as sockets,  # under /tmp: the path of a socket must be short
        patch.dict(os.environ, environment),  # which the kernel inherits
        progress.shown(label),
        Interruptible(),
    ):
        # Kernels are spoken to through files of their own rather than open TCP ports.
        manager = {"transport": "ipc", "ip": f"{sockets}/kernel", "shutdown_wait_time": PATIENCE}
        transport = Config({"KernelManager": manager})
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
    _note_run(staging / "provenance.json", chapter, values, time.perf_counter() - start)


def _note_run(file: Path, chapter: Chapter, values: dict[str, Any], seconds: float) -> None:
    note = read_json(file)
    note |= {"chapter": chapter.name, "parameters": values, "seconds": round(seconds, 1)}
    file.write_text(json.dumps(note, indent=1), encoding="utf-8")


def _publish(staging: Path, results: Path, chapter: str) -> None:
    """Move a finished chapter's files into the data set's results; its numbers replace those of its last run."""
    with FileLock(results / ".lock"):
        _refuse_taken_names(staging, results, chapter)
        # All that needs room on the disk comes before anything published is touched: a full disk leaves it as it was.
        merged = results / "numbers.json"
        numbers = {key: value for key, value in read_json(merged).items() if not key.startswith(f"{chapter}/")}
        numbers |= read_json(staging / "numbers.json")
        temporary = staging / "merged.json"
        temporary.write_text(json.dumps(numbers, indent=1, sort_keys=True), encoding="utf-8")
        for kind in ("figures", "tables", "provenance"):
            (results / kind).mkdir(exist_ok=True)
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
