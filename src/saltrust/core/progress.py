"""Progress of long work: a bar in a notebook, or what a process and those that it starts say, on its terminal.

Processes say how far they are through a file that the outermost of them follows (`shown`): a kernel in that of its
chapter, all chapters in that of `make book`. By default there is one line for each data set, rewritten on a terminal
and repeated at most each minute elsewhere; with VERBOSE set, every line that is said.
"""

import atexit
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import TypeVar

from saltrust.core import scratch

T = TypeVar("T")

# Environment variables, which kernels and other processes inherit.
LOG = "SALTRUST_PROGRESS"  # file that what is said is appended to
LABEL = "SALTRUST_LABEL"  # who says it: a data set, then what works on it, with a space between
VERBOSE = "SALTRUST_VERBOSE"  # set: show every line

INTERVAL = 5.0  # seconds between two lines of one work
LINES = 100  # about as many lines of one work, once it takes long
REPEATED = 60.0  # seconds between two lines of a data set where they cannot be rewritten


def track(
    iterable: Iterable[T], what: str, total: int | None = None, weights: Sequence[float] | None = None
) -> Iterator[T]:
    """Iterate, showing how far the work is and how long it will still take.

    Args:
        iterable: what is worked through.
        what: the work, as a short phrase ("maps xrai on densenet121-1").
        total: number of items, where `len` does not tell.
        weights: amount of work of each item, in any unit, where they differ; the share done is that of the work.

    >>> list(track("abc", "letters"))
    ['a', 'b', 'c']
    """
    total = total if total is not None else len(iterable)
    if not os.environ.get(LOG):
        from tqdm.auto import tqdm

        yield from tqdm(iterable, desc=what, total=total, leave=False)
        return
    amounts = list(accumulate(weights if weights is not None else repeat(1, total)))
    whole = amounts[-1] if amounts else 0
    start = last = time.monotonic()
    for done, item in zip(chain(amounts, repeat(whole)), iterable, strict=False):
        yield item
        now = time.monotonic()
        if now - last >= max(INTERVAL, (now - start) / LINES) and 0 < done < whole:
            last = now
            say(bar(what, done, whole, now - start))


def bar(what: str, done: float, total: float, elapsed: float) -> str:
    """How far a work is, in one line: a bar of 20 cells, the share done, the work, and the time left.

    >>> bar("maps", 5, 20, elapsed=30.0)
    '█████░░░░░░░░░░░░░░░  25%  maps  1:30 left'
    """
    filled = round(20 * done / total)
    left = duration(elapsed * (total - done) / done)
    return f"{'█' * filled}{'░' * (20 - filled)} {done / total:4.0%}  {what}  {left} left"


def duration(seconds: float) -> str:
    """A length of time to the second, from an hour on to the minute.

    >>> duration(90), duration(7799)
    ('1:30', '2 h 9 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def say(line: str, stays: bool = False) -> None:
    """Say how far this process is; where nobody follows, nothing is said.

    Args:
        line: a short phrase.
        stays: whether it is shown for good, as the end of a chapter is, and not rewritten by what comes next.
    """
    if log := os.environ.get(LOG):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"label": os.environ.get(LABEL, ""), "line": line, "stays": stays}) + "\n")


def followed() -> bool:
    """Whether what this process says is shown by another one."""
    return Path(os.environ.get(LOG, "")).is_file()


@contextmanager
def shown(label: str = "") -> Iterator[None]:
    """Show on the terminal what this process and those that it starts say inside the block.

    Args:
        label: who says it: a data set, then what works on it ("cells atlas").
    """
    from unittest.mock import patch  # imports asyncio, which other commands need not wait for

    with ExitStack() as stack:
        named = {LABEL: label}
        if not followed():
            log = stack.enter_context(scratch.folder()) / "progress.jsonl"
            log.touch()
            stack.enter_context(_following(log))
            named[LOG] = str(log)
        stack.enter_context(patch.dict(os.environ, named))
        yield


def show_until_exit() -> None:
    """Show what the processes that this one starts say, for as long as it runs."""
    stack = ExitStack()
    stack.enter_context(shown())
    atexit.register(stack.close)


@contextmanager
def _following(log: Path) -> Iterator[None]:
    """Show in a thread what is appended to a log."""
    done = threading.Event()
    follower = threading.Thread(target=_follow, args=(log, done), daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()


def _follow(log: Path, done: threading.Event) -> None:
    show = _every_line if os.environ.get(VERBOSE) else _rewritten if sys.stderr.isatty() else _now_and_then
    with log.open(encoding="utf-8") as file:
        show(_said(file, done))


Said = dict[str, str | bool]
"""What a process said: label, line, stays."""


def _said(file: Iterable[str], done: threading.Event) -> Iterator[list[Said]]:
    """What was said since the last time, twice a second, until all is done."""
    partial = ""
    while True:
        last = done.wait(0.5)
        new = []
        for text in file:
            partial += text
            if partial.endswith("\n"):  # else its writer is not done
                new.append(json.loads(partial))
                partial = ""
        yield new
        if last:
            return


def _every_line(batches: Iterable[list[Said]]) -> None:
    for said in batches:
        for one in said:
            _print(f"[{one['label']}] {one['line']}")


def _now_and_then(batches: Iterable[list[Said]]) -> None:
    """What stays at once, and how far each data set is at most each minute."""
    started = time.monotonic()
    latest: dict[str, float] = {}
    for said in batches:
        now = time.monotonic()
        for one in said:
            dataset, text = _by_dataset(one)
            if one["stays"] or now - latest.setdefault(dataset, started) >= REPEATED:
                latest[dataset] = now
                _print(f"{dataset}  {text}" if dataset else text)


def _rewritten(batches: Iterable[list[Said]]) -> None:
    """A line for each data set that is rewritten, below what stays."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    lines: dict[str, str] = {}
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for said in batches:
            for one in said:
                dataset, text = _by_dataset(one)
                if one["stays"]:
                    lines.pop(dataset, None)
                    console.print(f"{dataset}  {text}" if dataset else text)
                else:
                    lines[dataset] = text
            shown = "\n".join(f"{dataset}  {text}" for dataset, text in lines.items())
            live.update(Text(shown, no_wrap=True, overflow="ellipsis"), refresh=True)


def _by_dataset(said: Said) -> tuple[str, str]:
    """The data set that something was said about, and what: the rest of the label before the line."""
    dataset, _, work = str(said["label"]).partition(" ")
    return dataset, f"{work}: {said['line']}" if work else str(said["line"])


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
