"""Look after a store: what lies in it, whether it is whole, and what no result needs any more."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path

import pandas as pd
from filelock import Timeout

from saltrust.artefacts import KINDS
from saltrust.artefacts.sidecar import SIDECAR, flaw, unreadable
from saltrust.artefacts.store import PROCESS, Lock, discard
from saltrust.core.scratch import LOCK

MOMENT = timedelta(minutes=10)  # until a folder in work has its lock; by which clocks of two machines may differ


@dataclass(frozen=True)
class Stored:
    """An artefact in a store, or what a killed run left.

    name: "<kind>/<digest>" of an artefact. size: bytes. made: None where its sidecar is damaged. seconds: that it took
    to compute so far, those below it left out. upstream: names of what it was made from. used: when it was last
    computed, read or written to. lock: what a process holds that works on it, "" for nothing.
    """

    name: str
    folder: Path
    size: int
    made: datetime | None
    seconds: float = 0.0
    upstream: tuple[str, ...] = ()
    used: datetime = datetime.min.replace(tzinfo=UTC)
    lock: str = ""

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


def stored(root: Path) -> Iterator[Stored]:
    """Every artefact of a store, by name. Raises StorageError where one cannot be read."""
    for kind in _visible(root):
        for folder in _visible(kind):
            name, lock = f"{kind.name}/{folder.name}", f"{kind.name}-{folder.name}"
            try:
                size, _ = _measured(folder)
                used = _when(folder.stat().st_mtime)
            except FileNotFoundError:  # deleted meanwhile
                continue
            except OSError as error:
                raise unreadable(folder, error) from error
            try:
                note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
                made, seconds, upstream = datetime.fromisoformat(note["made"]), float(note["seconds"]), note["upstream"]
                if made.tzinfo is None or not isfinite(seconds) or not all(isinstance(one, str) for one in upstream):
                    raise ValueError("not as the store writes it")
                yield Stored(name, folder, size, made, seconds, tuple(upstream), used, lock)
            except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
                yield Stored(name, folder, size, None, used=used, lock=lock)
            except OSError as error:  # not to know what it was made from would make that unneeded
                raise unreadable(folder, error) from error


def leftovers(
    root: Path, younger: timedelta = timedelta(0), in_work: Iterable[Path] = (), temporary: Iterable[Path] = ()
) -> list[Stored]:
    """What killed runs left, and no process works on: trainings to go on with (or just stored), artefacts half written
    or half deleted, locks of what is not there, folders that were never finished. What this user may not look into is
    left out.

    Args:
        root: of a store.
        younger: what was written to within that time is left out.
        in_work: folders in which chapters run, or ran until they were killed; each has its LOCK.
        temporary: folders that processes have for a while, as from `scratch.folders`; each has its LOCK, too.
    """
    found = [("unfinished", path, path.name) for path in (root / ".unfinished").glob("*")]
    found += [
        ("half there", path, f"{path.parent.name}-{path.name[1:].rpartition('-')[0]}")
        for path in root.glob("[!.]*/.*-*")
    ]
    here = {f"{kind.name}-{folder.name}" for kind in _visible(root) for folder in _visible(kind)}
    found += [("lock", path, path.name) for path in (root / ".locks").glob("*") if path.name not in here]
    found += [("chapter", path, "") for path in in_work]
    found += [("temporary", path, "") for path in temporary]
    now = datetime.now(UTC)
    rows = []
    for kind, path, lock in found:
        try:
            size, used = _measured(path)
        except (FileNotFoundError, PermissionError):  # no leftover, it was in work; or another user's
            continue
        old = now - used >= (younger if lock else max(younger, MOMENT))
        if old and not _held(root / ".locks" / lock if lock else path / LOCK):
            seconds = _so_far(path) if kind == "unfinished" and lock not in here else 0.0
            rows.append(Stored(f"({kind})/{path.name}", path, size, used, seconds, used=used, lock=lock))
    return rows


def _held(lock: Path) -> bool:
    """Whether a process holds a lock. One that this user may not try counts as held."""
    if not lock.exists():
        return False
    try:
        with Lock(lock, timeout=0):
            return False
    except OSError:  # a Timeout is one
        return True


def _so_far(unfinished: Path) -> float:
    """Seconds that an unfinished training has taken."""
    import torch

    try:
        (file,) = unfinished.glob("*.pt")
        return float(torch.load(file, map_location="cpu", weights_only=True, mmap=True)["seconds"])
    except Exception:  # damaged, in whatever way: nothing can go on from there
        return 0.0


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(Path(entry) for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_dir())


def _measured(path: Path) -> tuple[int, datetime]:
    """Bytes in a folder or file, and when anything in it was last written to."""
    top = path.stat()
    size, latest = (0 if path.is_dir() else top.st_size), top.st_mtime
    pending = [path] if path.is_dir() else []
    while pending:
        for entry in os.scandir(pending.pop()):
            about = entry.stat(follow_symlinks=False)
            latest = max(latest, about.st_mtime)
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry)
            else:
                size += about.st_size
    return size, _when(latest)


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def listing(artefacts: Iterable[Stored], now: datetime | None = None) -> pd.DataFrame:
    """A row for each kind in the order of computation, then for what killed runs left.

    Returns:
        Columns kind, artefacts, megabytes, hours (to compute), oldest, newest (days).
    """
    now = now or datetime.now(UTC)
    rows = pd.DataFrame(
        {
            "kind": one.kind,
            "artefacts": 1,
            "megabytes": one.size / 1e6,
            "hours": one.seconds / 3600,
            "days": (now - one.made).total_seconds() / 86400 if one.made else None,
        }
        for one in artefacts
    )
    if rows.empty:
        return pd.DataFrame(columns=["kind", "artefacts", "megabytes", "hours", "oldest", "newest"])
    sums = rows.groupby("kind")[["artefacts", "megabytes", "hours"]].sum()
    ages = rows.groupby("kind")["days"].agg(oldest="max", newest="min")
    found = sums.join(ages)
    return found.loc[sorted(found.index, key=[*KINDS, *found.index].index)].reset_index()


def damaged(artefacts: Iterable[Stored]) -> Iterator[tuple[Stored, str]]:
    """Those that are not whole, each with what is wrong. Reads every byte."""
    for one in artefacts:
        if wrong := flaw(one.folder):
            yield one, wrong


def at_work(root: Path) -> datetime | None:
    """When the first of the processes that use the store at this moment began; None where there is none."""
    locks = [file for file in (root / ".locks").glob(f"{PROCESS}*") if _held(file)]
    return min((_when(float(file.name.split("-")[1])) for file in locks), default=None)


def unneeded(
    artefacts: Iterable[Stored], root: Path, named: Callable[[], Iterable[str]], younger: timedelta = timedelta(0)
) -> list[Stored]:
    """Artefacts that no result names, and that none of those was made from.

    What was made or read since a process began that is still at work is never among them, as it may be about to name
    it.

    Args:
        artefacts: of the store, as from `stored`.
        root: of the store.
        named: reads the names of the artefacts that results need. It is called after it is known who is at work: a
            process that ends meanwhile has left its own.
        younger: what was made or read within that time is kept, too.
    """
    known = {one.name: one for one in artefacts}
    latest = datetime.now(UTC) - younger
    if began := at_work(root):
        latest = min(latest, began - MOMENT)
    pending = list(named())
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name in known and name not in needed:
            needed.add(name)
            pending += known[name].upstream
    return [one for one in known.values() if one.name not in needed and max(one.made or one.used, one.used) <= latest]


def remove(artefacts: Iterable[Stored], root: Path) -> int:
    """Delete artefacts and leftovers, but for those that a process is working on, or has read since they were listed,
    and those that this user may not delete; returns the bytes freed.

    An artefact is renamed first, so that none is ever there in part; one half deleted when this was killed is a
    leftover.
    """
    freed = 0
    locks = root / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    for one in artefacts:
        try:
            if not one.lock:
                freed += _deleted(one)
                continue
            file = locks / one.lock
            with Lock(file, timeout=0):
                freed += _deleted(one)
                file.unlink(missing_ok=True)  # whoever waits for it finds that it is gone, and makes a new one
        except (Timeout, PermissionError):
            continue
    return freed


def _deleted(one: Stored) -> int:
    """Bytes freed."""
    if not one.folder.exists() or (one.folder.is_dir() and _when(one.folder.stat().st_mtime) > one.used):
        return 0
    if one.folder.is_file():
        one.folder.unlink()
        return one.size
    if one.lock:
        discard(one.folder)
    else:
        shutil.rmtree(one.folder, ignore_errors=True)
    return 0 if one.folder.exists() else one.size
