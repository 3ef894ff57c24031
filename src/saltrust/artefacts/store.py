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
By that, whoever collects what is not needed knows what not to take (`storage.unneeded`).
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.fingerprint import STARTED
from saltrust.core import paths
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import say

SIDECAR = "sidecar.json"
MEMORY = 1e9  # bytes of values that a process keeps at hand; RSNA's maps take many times as much
PROCESS = "process-"  # of the lock's name of a process at work
FIELDS = {"spec", "upstream", "made", "seconds", "environment", "checksums"}  # of every sidecar
ABSENT = object()

# One that is a mere file, which filelock else falls back to, would outlive a process that is killed on another node.
Lock = partial(FileLock, fallback_to_soft=False)


class DamagedError(Exception):
    """A stored artefact whose files do not match their checksums."""


class StorageError(SaltrustError):
    """Nothing can be stored: the disk is full, or the folder cannot be written or locked. Or what is stored cannot be
    read, which says nothing about whether it is whole."""


class Memory:
    """Values by digest: those that were used last, whose arrays take `limit` bytes. For several threads."""

    def __init__(self, limit: float):
        self.limit = limit
        self._kept: dict[str, tuple[Any, int]] = {}  # the one used last comes last
        self._size = 0
        self._lock = threading.Lock()

    def get(self, digest: str, otherwise: Any) -> Any:
        with self._lock:
            if digest not in self._kept:
                return otherwise
            value, _ = self._kept[digest] = self._kept.pop(digest)
            return value

    def keep(self, digest: str, value: Any) -> None:
        """The value stays until others need its place; one that is larger than the limit does not."""
        size = held(value)
        if size > self.limit:
            return
        with self._lock:
            _, before = self._kept.pop(digest, (None, 0))  # another thread was faster
            self._kept[digest] = value, size
            self._size += size - before
            while self._size > self.limit:
                _, gone = self._kept.pop(next(iter(self._kept)))
                self._size -= gone


def held(value: Any) -> int:
    """Bytes of the arrays in a value."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    return sum(map(held, value)) if isinstance(value, list | tuple) else 0


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
    """Artefacts by spec. `used` lists every spec that this process asked for, in order: the provenance of a page."""

    def __init__(self, root: Path | None = None):
        self.root = Path(root or paths.STORE)
        self.used: dict[str, Artefact] = {}
        self._memory = Memory(MEMORY)
        self._elsewhere = _Elsewhere()
        self._at_work: FileLock | None = None

    def folder(self, spec: Artefact) -> Path:
        return self.root / spec.path

    def lock_file(self, spec: Artefact) -> Path:
        """What a process holds while it computes an artefact."""
        return self.root / ".locks" / spec.path.replace("/", "-")

    def get(self, spec: Artefact, remember: bool = True) -> Any:
        """The artefact's value: from memory, from disk, or computed now and kept.

        Concurrent processes that want the same artefact wait for the first one to finish it. remember: whether the
        value may stay in memory, as far as `MEMORY` goes. Raises StorageError where the artefact cannot be stored (the
        disk is full, the folder cannot be written, or its file system has no locks) or cannot be checked.
        """
        digest = spec.digest
        self.used.setdefault(digest, spec)
        if (value := self._memory.get(digest, ABSENT)) is not ABSENT:
            return value
        part = partial(self.get, remember=False)  # the parts would stay in memory beside the whole
        value = spec.compute(part) if spec.transient else self._from_disk_or_new(spec)
        if remember:
            self._memory.keep(digest, value)
        return value

    def sidecar(self, spec: Artefact) -> dict[str, Any]:
        """What the store noted about a stored artefact."""
        return json.loads((self.folder(spec) / SIDECAR).read_text(encoding="utf-8"))

    def taken(self, spec: Artefact) -> bool:
        """Whether some process computes an artefact at this moment. Raises StorageError as `get` does."""
        try:
            with self._locked(spec, timeout=0):
                return False
        except Timeout:
            return True

    def _from_disk_or_new(self, spec: Artefact) -> Any:
        self.begin()
        folder = self.folder(spec)
        if folder.exists():
            with suppress(OSError):  # a store that can only be read
                os.utime(folder)  # says when it was used last
            try:
                return self._read(spec)
            except DamagedError as damage:
                warnings.warn(f"{damage}; computing it again", stacklevel=3)
        with self._elsewhere.counted(), self._locked(spec):
            try:  # another process may have finished it while this one waited
                return self._read(spec)
            except DamagedError:
                with suppress(OSError):  # it was not there at all, or what is written next tells why it cannot be
                    discard(folder)
            self._compute(spec)
            # Also right after computing, what is used is what was stored. Under the lock nobody deletes it.
            return spec.read(folder)

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

    def _locked(self, spec: Artefact, timeout: float = -1) -> Any:
        """A context in which no other process, nor another thread, makes this artefact. Raises Timeout where one does,
        for longer than these seconds; negative ones have no end."""
        file = self.lock_file(spec)
        try:
            self.folder(spec).parent.mkdir(parents=True, exist_ok=True)
            file.parent.mkdir(exist_ok=True)
            return Lock(file, timeout=timeout).acquire()
        except Timeout:
            raise
        except OSError as error:
            raise StorageError(
                f"cannot compute {spec.title()}: no lock in {self.root} ({error}); it must be a folder that can be "
                "written, on a file system with locks (flock); SALTRUST_RESULTS names another"
            ) from error

    def _compute(self, spec: Artefact) -> None:
        say(f"computing {spec.title()}")
        unfinished = self.root / ".unfinished" / f"{spec.kind}-{spec.digest}"
        start, elsewhere = time.perf_counter(), self._elsewhere.seconds
        value = spec.compute(self.get, **({"unfinished": unfinished} if spec.resumable else {}))
        seconds = time.perf_counter() - start - (self._elsewhere.seconds - elsewhere)
        self._write(spec, value, seconds)
        shutil.rmtree(unfinished, ignore_errors=True)

    def _write(self, spec: Artefact, value: Any, seconds: float) -> None:
        folder = self.folder(spec)
        for leftover in folder.parent.glob(f".{spec.digest}-*"):  # of a run that was killed; we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = folder.with_name(f".{spec.digest}-{os.getpid()}")
        try:
            temporary.mkdir()
            spec.write(value, temporary)
            note = {
                "spec": spec.description(),
                "upstream": list(dict.fromkeys(self._made_from(spec))),
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
                f"cannot store {spec.title()} in {self.root}: {error}; it takes more than {written / 1e6:,.1f} MB, "
                f"{shutil.disk_usage(self.root).free / 1e6:,.1f} MB are free. Nothing of it is kept, and what "
                "was stored before stays. `saltrust store gc` finds what can go; SALTRUST_RESULTS names another folder"
            ) from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _made_from(self, spec: Artefact) -> Iterator[str]:
        """Names of what a spec's value was made from; what is put together and never stored gives way to its parts."""
        for up in spec.upstream():
            yield from [up.path] if self.folder(up).exists() else self._made_from(up)

    def _read(self, spec: Artefact) -> Any:
        folder = self.folder(spec)
        if wrong := flaw(folder):
            raise DamagedError(f"{folder} {wrong}")
        try:
            return spec.read(folder)
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


def flaw(folder: Path) -> str:
    """What is wrong with a stored artefact, "" with one that is whole. Reads every byte.

    Raises StorageError where a file cannot be read: for want of rights, of a connection or of file handles it may be
    whole all the same.
    """
    try:
        note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return f"has no readable {SIDECAR}"
    except OSError as error:
        raise unreadable(folder, error) from error
    # The first sidecars had no checksum of their own.
    told = set(note) if isinstance(note, dict) else set()
    if not told >= FIELDS or (told != FIELDS and note != sealed(note)):
        return f"differs in {SIDECAR}"
    try:
        expected, found = note["checksums"], checksums(folder)
    except FileNotFoundError as error:  # it is being deleted
        return f"cannot be read ({error})"
    except OSError as error:
        raise unreadable(folder, error) from error
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return f"differs in {', '.join(wrong)}" if wrong else ""


def unreadable(folder: Path, error: OSError) -> StorageError:
    why = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return StorageError(
        f"cannot read {folder} ({why}); whether it is whole is not known, and nothing is deleted: "
        "see to the file, or try again"
    )


def sealed(note: dict[str, Any]) -> dict[str, Any]:
    """A sidecar with the checksum of everything else that it says."""
    told = {name: value for name, value in note.items() if name != "checksum"}
    return told | {"checksum": _blake2(json.dumps(told, sort_keys=True).encode()).hexdigest()}


_blake2 = partial(hashlib.blake2b, digest_size=16)


def checksums(folder: Path) -> dict[str, str]:
    """BLAKE2 checksum of every file but the sidecar, by name relative to the folder. Hidden ones are no part of any
    artefact: a system left them (.DS_Store, .nfs0001)."""
    found = {}
    for place, folders, names in os.walk(folder, onerror=_raised):  # rglob passes over what it may not read
        folders[:] = [name for name in folders if name[0] != "."]
        for file in (Path(place, name) for name in names if name[0] != "." and name != SIDECAR):
            with file.open("rb") as stream:
                name = file.relative_to(folder).as_posix()
                found[name] = hashlib.file_digest(stream, _blake2).hexdigest()
    return dict(sorted(found.items()))


def _raised(error: OSError) -> None:
    raise error


@cache
def commit() -> str:
    """The project's git commit, marked when the working tree differs from it."""
    if paths.INSTALLED:  # the folder may lie in another project's clone
        return "not a git checkout"
    describe = ["git", "-C", str(paths.PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip() or "not a git checkout"


def environment() -> dict[str, str]:
    """Versions, device, threads and commit under which an artefact is made.

    threads: on which the last bits of every sum depend; a training takes one (`training.deterministic`).
    """
    packages = {name: version(name) for name in ("saltrust", "numpy", "torch", "torchvision", "scikit-image")}
    torch = sys.modules.get("torch")
    device = "cpu"
    if torch is not None and torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return {
        **packages,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": device,
        "threads": str(torch.get_num_threads() if torch else os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
        "commit": commit(),
    }
