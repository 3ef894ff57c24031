"""Execute chapters by Papermill: into the results that the book shows, or, with any parameters, into a folder of their
own."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from traitlets.config import Config

from saltrust.chapters import prose, results_folder
from saltrust.chapters.chapter import Chapter, complete
from saltrust.chapters.kernel import Kernel
from saltrust.chapters.results_folder import OUT, Results, keep, note_run, published, staged_publication, staged_run
from saltrust.core import data_cards, paths, progress, scratch
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import rough_duration

# glibc gives large blocks back to the system and takes them anew, page by page, at every pass of a network. Told to
# keep them, AlexNet and VGG16 train 1.6 times as fast.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


def publish(chapter: Chapter, given: dict[str, str]) -> Path:
    """Execute a chapter for the book.

    Its figures, tables and numbers appear under results/<profile>/<dataset>/ only when the whole chapter has succeeded.
    A failed chapter leaves notebooks/<chapter>.failed.ipynb, with the cells that did run.

    Args:
        chapter: To execute.
        given: Parameters that are not the default, as text.

    Returns:
        The executed notebook.

    Raises:
        SaltrustError: for parameters that do not do, or a chapter that fails.
    """
    values = complete(chapter, given)
    shown = published(values["profile"], data_cards.load(values["dataset"]).name, chapter.name)
    shown.numbers()  # a damaged file is refused now, not after the work
    with staged_publication(shown) as staged:
        try:
            _execute(chapter, values, staged)
        except SaltrustError:
            if staged.notebook.exists():
                staged.notebook.replace(shown.failed)
            raise
        results_folder.publish(staged, shown)
    shown.failed.unlink(missing_ok=True)
    return shown.notebook


def run(chapter: Chapter, given: dict[str, str], write_page: Callable[[Results], Any]) -> Path:
    """Execute a chapter into a folder of its own, results/runs/<chapter>/<time>-<digest>/.

    The folder appears when all of it is there. The published results stay as they are. A failed run leaves its notebook
    in a folder whose name ends in `-failed`.

    Args:
        chapter: To execute.
        given: Parameters that are not the default, as text.
        write_page: Writes a page into the folder of what was executed.

    Returns:
        The folder of the run.

    Raises:
        SaltrustError: for parameters that do not do, or a chapter that fails.
    """
    values = complete(chapter, given)
    with staged_run(chapter.name, f"{time.strftime('%Y%m%d-%H%M%S')}-{results_folder.digest(values)}") as staged:
        shutil.copy(chapter.source, staged.folder)
        try:
            _execute(chapter, values, staged)
        except SaltrustError as error:
            if staged.notebook.exists():
                failed = keep(staged, failed=True)
                raise SaltrustError(f"{error}; its notebook: {failed / staged.notebook.name}") from error
            raise
        write_page(staged)
        return keep(staged)


def _execute(chapter: Chapter, values: dict[str, Any], staged: Results) -> None:
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    start = time.perf_counter()
    label = f"{Path(values['dataset']).stem} {chapter.name}"
    # A kernel called python3 in JUPYTER_PATH would be that of another environment.
    environment = {OUT: str(staged.folder), "JUPYTER_PATH": ""} | paths.moved() | KEEP_MEMORY
    kernel = Kernel()
    with (
        scratch.folder(sockets=True) as temporary,
        patch.dict(os.environ, environment),  # which the kernel inherits
        progress.shown(label),
    ):
        source = temporary / "source.ipynb"
        jupytext.write(jupytext.read(chapter.source), source)

        def speak() -> None:
            papermill.execute_notebook(
                _literally(source),
                _literally(staged.notebook),
                values,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=paths.WORK,
                config=Config(kernel.settings(temporary)),
            )

        try:
            kernel.run(speak)
        except PapermillExecutionError as error:
            where = f"{chapter.source.name}, cell {error.exec_count}"
            why = " ".join(str(error.evalue).split())
            raise SaltrustError(f"{label} failed in {where}: {error.ename}: {why}") from error
        except RuntimeError as error:  # also nbclient's DeadKernelError
            if death := kernel.death():
                raise SaltrustError(f"{label} failed in {chapter.source.name}, cell {kernel.cells}: {death}") from error
            raise
        progress.say(f"done in {rough_duration(time.perf_counter() - start)}", stays=True)
    prose.fill_in(staged.notebook, staged.numbers())
    note_run(staged, values, time.perf_counter() - start)


def _literally(path: Path) -> str:
    """A path for Papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")
