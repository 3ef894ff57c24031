"""Progress of long work: a bar in a notebook or terminal, or lines in a log that is shown on the terminal."""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

T = TypeVar("T")

LOG = "SALTRUST_PROGRESS"  # environment variable: file that the lines of a process, and of its kernels, are appended to
INTERVAL = 5.0  # seconds between two lines, so that a log stays readable
LINES = 100  # about as many lines of one work, once it takes long


def track(iterable: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Iterate, showing how far the work is and how long it will still take.

    what: the work, as a short phrase ("maps xrai on densenet121-1"). total: number of items, where `len` does not tell.
    """
    total = total if total is not None else len(iterable)
    log = os.environ.get(LOG)
    if not log:
        from tqdm.auto import tqdm

        yield from tqdm(iterable, desc=what, total=total, leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(iterable, 1):
        yield item
        now = time.monotonic()
        if now - last >= max(INTERVAL, (now - start) / LINES) and done < total:
            last = now
            say(bar(what, done, total, now - start), log)


def bar(what: str, done: int, total: int, elapsed: float) -> str:
    """One line: a bar of 20 cells, the share done, the work, and the time left."""
    filled = round(20 * done / total)
    left = duration(elapsed * (total - done) / done)
    return f"{'█' * filled}{'░' * (20 - filled)} {done / total:4.0%}  {what}  {left} left"


def duration(seconds: float) -> str:
    """A length of time to read: "1:30" in minutes and seconds, from an hour on "2 h 10 min"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def say(line: str, log: str | None = None) -> None:
    """Append one line to the progress log, where there is one."""
    log = log or os.environ.get(LOG)
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def shown(label: str) -> Iterator[None]:
    """What this process and its kernels say inside the block is shown on the terminal, each line after [label].

    On a terminal one line is rewritten; elsewhere (a file, several processes at once) each line stands by itself.
    """
    done = threading.Event()
    with tempfile.TemporaryDirectory(prefix="saltrust-") as folder:
        log = Path(folder) / "progress.log"
        log.touch()
        follower = threading.Thread(target=_follow, args=(log, label, done), daemon=True)
        follower.start()
        try:
            with patch.dict(os.environ, {LOG: str(log)}):
                yield
        finally:
            done.set()
            follower.join()


def _follow(log: Path, label: str, done: threading.Event) -> None:
    rewrite = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    with log.open(encoding="utf-8") as lines:
        while True:
            last = done.is_set()
            for line in lines:
                text = f"[{label}] {line.rstrip()}"
                sys.stderr.write(f"\r{text[:width]:<{width}}" if rewrite else f"{text}\n")
                sys.stderr.flush()
            if last:
                break
            done.wait(0.5)
    if rewrite:
        sys.stderr.write("\r" + " " * width + "\r")
