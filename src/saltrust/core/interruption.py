"""Requests to end: Ctrl-C (SIGINT), a scheduler's (SIGTERM), or that of a terminal which closes (SIGHUP).

Each becomes an exception of the main thread, so that what is open is put aside and cleaned up, and then an exit code.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, Any], None]

SETTLED = 1.0  # seconds in which several requests are one: what starts others often passes on what they, too, were sent


class Interrupted(KeyboardInterrupt):
    """A request to end.

    Attributes:
        request: its signal.

    >>> Interrupted(signal.SIGTERM).exit_code
    143
    """

    def __init__(self, request: int = signal.SIGINT):
        super().__init__("interrupted; what is computed is kept: the same command goes on from there")
        self.request = signal.Signals(request)

    @property
    def exit_code(self) -> int:
        """What a shell makes of a process that a signal ends."""
        return 128 + self.request


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block a request to end raises Interrupted in the main thread.

    A request that is ignored when the block begins stays ignored (`nohup`, a job in the background of a script).
    """
    came: list[Interrupted] = []
    latest = 0.0

    def interrupt(request: int, frame: object) -> None:
        nonlocal latest
        if not came or time.monotonic() - latest >= SETTLED:
            latest = time.monotonic()
            came.append(Interrupted(request))
            raise came[-1]

    try:
        with _handled(interrupt):
            yield
    except Exception as error:
        if came:  # an import, for one, makes an error of its own of what interrupts it
            raise came[0] from error
        raise


def end_at_once() -> None:
    """From now on, until another handler is set, a request to end is told and ends this process: of a program that has
    only begun, and has nothing to put aside."""

    def end(request: int, frame: object) -> None:
        asked = Interrupted(request)
        tell(asked)
        os._exit(asked.exit_code)

    _handle(dict.fromkeys(_heard(), end))


def pass_on() -> None:
    """From now on, a request to end goes on to what this process started, as far as a terminal would send it there (its
    process group), and raises Interrupted in the main thread."""
    import psutil

    _passed_on.clear()

    def passed(request: int, frame: object) -> None:
        for started in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getpgid(started.pid) == os.getpgrp():
                    started.send_signal(request)
        _passed_on.append(Interrupted(request))
        raise _passed_on[-1]

    _handle(dict.fromkeys(_heard(), passed))


def passed_on() -> Interrupted | None:
    """The first request to end since `pass_on`; None where there was none."""
    return next(iter(_passed_on), None)


_passed_on: list[Interrupted] = []


def tell(asked: Interrupted) -> None:
    """Print in one line that the process ends."""
    with suppress(OSError):  # a terminal that has closed
        print(f"saltrust: {asked}", file=sys.stderr, flush=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside the block requests to end wait until it is done: what must be whole, or gone altogether, stands there."""
    came: list[int] = []
    try:
        with _handled(lambda request, frame: came.append(request)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """With a handler for every request that is not ignored."""
    before = _heard()
    try:
        _handle(dict.fromkeys(before, handler))
        yield
    finally:
        _handle(before)


def _heard() -> dict[int, Any]:
    """The requests that are not ignored, with their handlers; none in a thread other than the main one, which cannot
    have any. A handler that was not set from Python is None, and could not be put back."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {request: signal.getsignal(request) for request in REQUESTS}
    return {request: handler for request, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}


def _handle(handlers: Mapping[int, Any]) -> None:
    for request, handler in handlers.items():
        signal.signal(request, handler)
