"""What watches a case: how it ends, and that it neither hangs, eats memory, leaves files nor reaches elsewhere."""

import faulthandler
import os
import resource
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings

from saltrust.core.errors import SaltrustError

T = TypeVar("T")

SECONDS = 30  # after which a case hangs; all take milliseconds
MEMORY = 2 << 30  # bytes that a case may ask for
LONGEST = 6000  # characters of a line that is still clear: it may quote a word of 5,000
MANY = 8  # times as many cases in `make fuzz` as in `make test`
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate")
FOREIGN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.bind")
SECRETS = ("/etc/passwd", "/etc/shadow", "/etc/hosts")  # nothing that a file says may have them read

tried = 0
"""Cases of this process."""

_seen: list[str] | None = None  # what a case does to files; None where none runs


class HangError(BaseException):
    """A case that takes too long. No `except Exception` of the code under test catches it."""


def fuzzed(cases: int, **options: Any) -> settings:
    """Settings of a test whose every example is a case.

    Args:
        cases: in `make test`; `make fuzz` tries MANY times as many.
        options: of hypothesis' settings.
    """
    profile = settings.get_current_profile_name()
    phases = (Phase.generate, Phase.shrink) if profile == "shrink" else (Phase.generate,)  # which may take minutes
    fixed = {"suppress_health_check": list(HealthCheck), "database": None, "deadline": None, "phases": phases}
    return settings(max_examples=cases * (MANY if profile in ("fuzz", "shrink") else 1), **fixed | options)


def attempt(act: Callable[[], T], *writable: Path) -> T | SaltrustError:
    """Run one case: what it returns, or the error by which it is refused in one clear line.

    Args:
        act: the case. It may raise SaltrustError; whatever else it raises is the test's failure.
        writable: folders in which it may write; what it writes elsewhere is a failure, as is a program that it starts,
            a connection that it opens, or a secret of this machine that it reads.
    """
    global tried
    tried += 1
    with _in_time(), _in_memory(), _in_place(writable):
        try:
            return act()
        except SaltrustError as error:
            check_line(str(error))
            return error


def check_line(text: str) -> None:
    """Fail unless a message is one line that a terminal shows as it is."""
    assert text.strip(), "an empty message"
    assert len(text) <= LONGEST, f"a message of {len(text)} characters: {text[:200]}…"
    hidden = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert not hidden, f"a message that is not one plain line: {text!r}"
    assert "Traceback" not in text


@contextmanager
def _in_time() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise HangError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(4 * SECONDS, exit=True)  # inside a library no signal is heard
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _in_memory() -> Iterator[None]:
    """What asks for more gets a MemoryError."""
    if sys.platform != "linux":
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def _in_place(writable: tuple[Path, ...]) -> Iterator[None]:
    global _seen
    _seen = []
    try:
        yield
    finally:
        seen, _seen = _seen, None
    allowed = (*(f"{folder}{os.sep}" for folder in writable), "/dev/")
    left_out = "__pycache__", f".locks{os.sep}process-"  # the latter goes when Python gets to a store of a case before
    elsewhere = [
        one
        for one in seen
        if not f"{one.partition(' ')[2]}/".startswith(allowed) and not any(part in one for part in left_out)
    ]
    assert not elsewhere, f"reached elsewhere: {'; '.join(elsewhere[:3])}"


def _note(event: str, given: tuple) -> None:
    """Called for everything that Python does to the system, as long as the process lives."""
    if _seen is None:
        return
    if event == "open":
        path, _, flags = given
        if isinstance(path, str | bytes) and (flags & WRITING or os.fsdecode(path) in SECRETS):
            _seen.append(f"open {os.path.abspath(os.fsdecode(path))}")
    elif event in CHANGES:
        paths = given[:2] if event in ("os.rename", "os.link", "os.symlink") else given[:1]
        folder = given[-1] if isinstance(given[-1], int) and given[-1] >= 0 else None  # its descriptor
        start = os.getcwd() if folder is None else os.readlink(f"/proc/self/fd/{folder}")
        _seen.extend(f"{event} {os.path.join(start, os.fsdecode(one))}" for one in paths if not isinstance(one, int))
    elif event in FOREIGN:
        _seen.append(f"{event} {given[:2]!r}")


sys.addaudithook(_note)
