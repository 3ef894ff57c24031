"""The store: each artefact is computed once, written atomically, and checked when it is read.

An artefact lies in `<root>/<kind>/<digest>/` beside `sidecar.json`, which says what it is, what it was made from, with
which versions, on what device and how long that took, and holds a checksum of every file and of itself. A folder
appears under its name only when it is whole: it is written elsewhere first and then renamed, so a killed run leaves
nothing that could be read. Nothing is forced to the disk: what a power cut takes from a file, its checksum tells, and
it is made again. What a long computation has so far, it may keep in `<root>/.unfinished/<kind>-<digest>/` and go on
from there.

One process computes an artefact, under its lock, while the others that want it wait. It may wait for another lock in
turn, but only for that of an artefact that its own is made from; since none is made from itself, by whatever detour,
no circle of waiting can arise.

A process that uses the store holds a lock of its own, `<root>/.locks/process-<when it began>-*`, as long as it lives.
By that, whoever collects what is not needed knows what not to take (`maintenance.unneeded`).
"""

import json
import os
import secrets
import shutil
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.fingerprint import STARTED
from saltrust.artefacts.memory import Memory
from saltrust.artefacts.sidecar import SIDECAR, StorageError, checksums, environment, flaw, sealed
from saltrust.core import paths
from saltrust.core.progress import say

MEMORY = 1e9  # bytes of values that a process keeps at hand; RSNA's maps take many times as much
PROCESS = "process-"  # of the lock's name of a process at work
ABSENT = object()

# One that is a mere file, which filelock else falls back to, would outlive a process that is killed on another node.
Lock = partial(FileLock, fallback_to_soft=False)


class DamagedError(Exception):
    """A stored artefact whose files do not match their checksums."""


class _Elsewhere(threading.local):
    """Seconds that a thread has spent on other artefacts than the one that it computes: making those below it, or
    waiting for another process."""

    seconds = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before, start = self.seconds, time.perf_counter()
        try:
            yield
        finally:
            self.seconds = before + time.perf_counter() - start


class Store:
    """The artefacts in a folder.

    used: every artefact that this process asked for, in order, by its digest: the provenance of a page.
    """

    def __init__(self, root: Path | None = None):
        self.root = Path(root or paths.STORE)
        self.used: dict[str, Artefact] = {}
        self._memory = Memory(MEMORY)
        self._elsewhere = _Elsewhere()
        self._at_work: FileLock | None = None

    def folder(self, artefact: Artefact) -> Path:
        return self.root / artefact.path

    def lock_file(self, artefact: Artefact) -> Path:
        """What a process holds while it computes an artefact."""
        return self.root / ".locks" / artefact.path.replace("/", "-")

    def get(self, artefact: Artefact, remember: bool = True) -> Any:
        """The artefact's value: from memory, from disk, or computed now and kept.

        Concurrent processes that want the same artefact wait for the first one to finish it. remember: whether the
        value may stay in memory, as far as `MEMORY` goes. Raises StorageError where the artefact cannot be stored (the
        disk is full, the folder cannot be written, or its file system has no locks) or cannot be checked.
        """
        digest = artefact.digest
        self.used.setdefault(digest, artefact)
        if (value := self._memory.get(digest, ABSENT)) is not ABSENT:
            return value
        part = partial(self.get, remember=False)  # the parts would stay in memory beside the whole
        value = artefact.compute(part) if artefact.transient else self._from_disk_or_new(artefact)
        if remember:
            self._memory.keep(digest, value)
        return value

    def sidecar(self, artefact: Artefact) -> dict[str, Any]:
        """What the store noted about a stored artefact."""
        return json.loads((self.folder(artefact) / SIDECAR).read_text(encoding="utf-8"))

    def taken(self, artefact: Artefact) -> bool:
        """Whether some process computes an artefact at this moment. Raises StorageError as `get` does."""
        try:
            with self._locked(artefact, timeout=0):
                return False
        except Timeout:
            return True

    def _from_disk_or_new(self, artefact: Artefact) -> Any:
        self.begin()
        folder = self.folder(artefact)
        if folder.exists():
            with suppress(OSError):  # a store that can only be read
                os.utime(folder)  # says when it was used last
            try:
                return self._read(artefact)
            except DamagedError as damage:
                warnings.warn(f"{damage}; computing it again", stacklevel=3)
        with self._elsewhere.counted(), self._locked(artefact):
            try:  # another process may have finished it while this one waited
                return self._read(artefact)
            except DamagedError:
                with suppress(OSError):  # it was not there at all, or what is written next tells why it cannot be
                    discard(folder)
            self._compute(artefact)
            # Also right after computing, what is used is what was stored. Under the lock nobody deletes it.
            return artefact.read(folder)

    def begin(self) -> None:
        """Let others see that this process is at work, until it ends or lets go of the store."""
        if self._at_work is not None:
            return
        file = self.root / ".locks" / f"{PROCESS}{STARTED:.0f}-{os.getpid()}-{secrets.token_hex(4)}"
        self._at_work = lock = Lock(file, thread_local=False)
        with suppress(OSError):  # a store that can only be read, or none at all, which `_locked` says
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            weakref.finalize(self, _end, lock)

    def _locked(self, artefact: Artefact, timeout: float = -1) -> Any:
        """A context in which no other process, nor another thread, makes this artefact. Raises Timeout where one does,
        for longer than these seconds; negative ones have no end."""
        file = self.lock_file(artefact)
        try:
            self.folder(artefact).parent.mkdir(parents=True, exist_ok=True)
            file.parent.mkdir(exist_ok=True)
            return Lock(file, timeout=timeout).acquire()
        except Timeout:
            raise
        except OSError as error:
            raise StorageError(
                f"cannot compute {artefact.title()}: no lock in {self.root} ({error}); it must be a folder that can be "
                "written, on a file system with locks (flock); SALTRUST_RESULTS names another"
            ) from error

    def _compute(self, artefact: Artefact) -> None:
        say(f"computing {artefact.title()}")
        unfinished = self.root / ".unfinished" / f"{artefact.kind}-{artefact.digest}"
        start, elsewhere = time.perf_counter(), self._elsewhere.seconds
        value = artefact.compute(self.get, **({"unfinished": unfinished} if artefact.resumable else {}))
        seconds = time.perf_counter() - start - (self._elsewhere.seconds - elsewhere)
        self._write(artefact, value, seconds)
        shutil.rmtree(unfinished, ignore_errors=True)

    def _write(self, artefact: Artefact, value: Any, seconds: float) -> None:
        folder = self.folder(artefact)
        for leftover in folder.parent.glob(f".{artefact.digest}-*"):  # of a run that was killed; we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = folder.with_name(f".{artefact.digest}-{os.getpid()}")
        try:
            temporary.mkdir()
            artefact.write(value, temporary)
            note = {
                "spec": artefact.as_json(),
                "work": artefact.work(),
                "upstream": list(dict.fromkeys(self._made_from(artefact))),
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 3),
                "environment": environment(),
                "checksums": checksums(temporary),
            }
            (temporary / SIDECAR).write_text(json.dumps(sealed(note), indent=1), encoding="utf-8")
            os.replace(temporary, folder)
        except (OSError, RuntimeError) as error:  # numpy and torch put neither errno nor ENOSPC into theirs
            written = sum(file.stat().st_size for file in temporary.rglob("*"))
            shutil.rmtree(temporary, ignore_errors=True)
            raise StorageError(
                f"cannot store {artefact.title()} in {self.root}: {error}; it takes more than {written / 1e6:,.1f} MB, "
                f"{shutil.disk_usage(self.root).free / 1e6:,.1f} MB are free. Nothing of it is kept, and what "
                "was stored before stays. `saltrust store gc` finds what can go; SALTRUST_RESULTS names another folder"
            ) from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _made_from(self, artefact: Artefact) -> Iterator[str]:
        """Names of what a value was made from; what is put together and never stored gives way to its parts."""
        for up in artefact.upstream():
            yield from [up.path] if self.folder(up).exists() else self._made_from(up)

    def _read(self, artefact: Artefact) -> Any:
        folder = self.folder(artefact)
        if wrong := flaw(folder):
            raise DamagedError(f"{folder} {wrong}")
        try:
            return artefact.read(folder)
        except FileNotFoundError as error:
            if folder.exists():
                raise
            raise DamagedError(f"{folder} was deleted while it was read") from error


def _end(at_work: FileLock) -> None:
    with suppress(OSError):
        os.unlink(at_work.lock_file)
    at_work.release()


def discard(folder: Path) -> None:
    """Delete a folder of a store. It is renamed first, so that it is never there in part: another process may be
    reading it, and one that is killed here leaves no more than a leftover."""
    gone = folder.with_name(f".{folder.name}-gone")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # NFS keeps the files that others have open
