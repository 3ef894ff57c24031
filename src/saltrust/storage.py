"""Look after a store: what lies in it, whether it is whole, and what no result needs any more."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from saltrust.errors import SaltrustError
from saltrust.store import SIDECAR, discard, flaw

KINDS = {
    "weights": "ImageNet weights, where there are any",
    "data": "images, labels and truth",
    "own": "classifiers trained elsewhere",
    "classifier": "trained classifiers",
    "base": "networks that branches start from",
    "branch": "branches of a network",
    "localizer": "trained localizers",
    "segments": "regions of the images, for XRAI",
    "maps": "saliency maps of a method and network",
    "heat": "maps of localizers",
    "average": "average truths",
    "utility": "scores against the truth",
    "five_band": "counts in five bands",
    "similarity": "likeness of two sets of maps",
    "null": "likeness of maps of different images",
    "scores": "scores of many choices of the analysis",
}
"""What lies in an artefact of each kind, in the order of computation."""


@dataclass(frozen=True)
class Stored:
    """An artefact in a store, or what a killed run left.

    name: "<kind>/<digest>" of an artefact. size: bytes. made: None where its sidecar cannot be read. seconds: that it
    took to compute, those below it left out. upstream: names of what it was made from. used: when it was last computed,
    read or written to. lock: what a process holds that works on it, "" for nothing.
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
    """Every artefact of a store, by name."""
    for kind in _visible(root):
        for folder in _visible(kind):
            name, lock = f"{kind.name}/{folder.name}", f"{kind.name}-{folder.name}"
            try:
                size, _ = _measured(folder)
                used = _when(folder.stat().st_mtime)
            except FileNotFoundError:  # deleted meanwhile
                continue
            try:
                note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
                made, seconds = datetime.fromisoformat(note["made"]), float(note["seconds"])
                yield Stored(name, folder, size, made, seconds, tuple(note["upstream"]), used, lock)
            except (OSError, ValueError, KeyError, TypeError):
                yield Stored(name, folder, size, None, used=used, lock=lock)


def leftovers(results: Path, younger: timedelta = timedelta(0)) -> list[Stored]:
    """What killed runs left: trainings to go on with (or just stored), artefacts half written or half deleted, locks of
    artefacts that are not there, folders of chapters that were never finished.

    younger: what was written to within that time is left out; of chapters always what is younger than a day, since
    those have no lock.
    """
    root = results / "store"
    found = [("unfinished", path, path.name) for path in (root / ".unfinished").glob("*")]
    found += [
        ("half there", path, f"{path.parent.name}-{path.name[1:].rpartition('-')[0]}")
        for path in root.glob("[!.]*/.*-*")
    ]
    here = {f"{kind.name}-{folder.name}" for kind in _visible(root) for folder in _visible(kind)}
    found += [("lock", path, path.name) for path in (root / ".locks").glob("*") if path.name not in here]
    staged = [path for path in results.glob("*/*/.*-*") if path.is_dir() and not path.is_relative_to(root)]
    now = datetime.now(UTC)
    rows = []
    for kind, path, lock in [*found, *(("chapter", path, "") for path in staged)]:
        try:
            size, used = _measured(path)
        except FileNotFoundError:  # no leftover: it was in work
            continue
        if now - used >= (younger if lock else max(younger, timedelta(days=1))):
            rows.append(Stored(f"({kind})/{path.name}", path, size, used, used=used, lock=lock))
    return rows


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
    """A row for each kind, the largest first: kind, artefacts, megabytes, hours (to compute), oldest, newest (days)."""
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
    return sums.join(ages).sort_values("megabytes", ascending=False).reset_index()


def damaged(artefacts: Iterable[Stored]) -> Iterator[tuple[Stored, str]]:
    """Those that are not whole, each with what is wrong. Reads every byte."""
    for one in artefacts:
        if wrong := flaw(one.folder):
            yield one, wrong


def unneeded(artefacts: Iterable[Stored], results: Path, younger: timedelta = timedelta(0)) -> list[Stored]:
    """Artefacts that no result names, neither what the book shows nor a run, and that none of those was made from.
    Raises SaltrustError where a result does not say what it needs.

    younger: what was made or read within that time is kept whoever names it: a chapter may be about to.
    """
    known = {one.name: one for one in artefacts}
    notes = [*results.glob("*/*/provenance/*.json"), *results.glob("runs/*/*/provenance.json")]
    notes += results.glob("by_hand/*/*/*/provenance.json")
    pending = [name for file in notes for name in _named(file)]
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name in known and name not in needed:
            needed.add(name)
            pending += known[name].upstream
    latest = datetime.now(UTC) - younger
    return [one for one in known.values() if one.name not in needed and max(one.made or one.used, one.used) <= latest]


def remove(artefacts: Iterable[Stored], root: Path) -> int:
    """Delete artefacts and leftovers, but for those that a process is working on, or has read since they were listed;
    returns the bytes freed.

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
            with FileLock(file).acquire(timeout=0):
                freed += _deleted(one)
                file.unlink(missing_ok=True)  # whoever waits for it finds that it is gone, and makes a new one
        except Timeout:
            continue
    return freed


def _deleted(one: Stored) -> int:
    """Bytes freed."""
    if not one.folder.exists() or (one.folder.is_dir() and _when(one.folder.stat().st_mtime) > one.used):
        return 0
    if one.folder.is_file():
        one.folder.unlink()
        return one.size
    discard(one.folder)
    return one.size


def _named(file: Path) -> list[str]:
    try:
        return [used["artefact"] for used in json.loads(file.read_text(encoding="utf-8")).get("artefacts", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SaltrustError(
            f"{file} cannot be read, so that what it needs is not known: repair or remove it"
        ) from error
