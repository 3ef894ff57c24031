"""Look after a store: what lies in it, whether it is whole, and what no result needs any more."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from saltrust.store import SIDECAR, checksums


@dataclass(frozen=True)
class Stored:
    """An artefact in a store: `name` is "<kind>/<digest>"; seconds: that it took to compute; upstream: names of what it
    was made from. made is None where its sidecar cannot be read."""

    name: str
    folder: Path
    size: int  # bytes
    made: datetime | None
    seconds: float = 0.0
    upstream: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


def stored(root: Path) -> Iterator[Stored]:
    """Every artefact of a store, by name."""
    for folder in sorted(root.glob("[!.]*/[!.]*")):
        name = folder.relative_to(root).as_posix()
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
            made = datetime.fromisoformat(note["made"])
            yield Stored(name, folder, size, made, float(note["seconds"]), tuple(note["upstream"]))
        except (OSError, ValueError, KeyError):
            yield Stored(name, folder, size, None)


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
        try:
            expected = json.loads((one.folder / SIDECAR).read_text(encoding="utf-8"))["checksums"]
        except (OSError, ValueError, KeyError):
            yield one, f"no readable {SIDECAR}"
            continue
        found = checksums(one.folder)
        wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        if wrong:
            yield one, f"differs in {', '.join(wrong)}"


def unneeded(artefacts: Iterable[Stored], results: Path, younger: timedelta = timedelta(0)) -> list[Stored]:
    """Artefacts that no result names, neither what the book shows nor a run, and that none of those was made from.

    younger: what was made within that time is kept whoever names it: a chapter may be about to.
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
    return [one for one in known.values() if one.name not in needed and (one.made is None or one.made <= latest)]


def remove(artefacts: Iterable[Stored], root: Path) -> int:
    """Delete artefacts from the store, but for those that a process is computing just now; returns the bytes freed.

    Each is renamed first, so that none is ever there in part.
    """
    freed = 0
    (root / ".locks").mkdir(exist_ok=True)
    for one in artefacts:
        lock = FileLock(root / ".locks" / one.name.replace("/", "-"))
        try:
            with lock.acquire(timeout=0):
                gone = one.folder.with_name(f".{one.folder.name}-gone")
                one.folder.rename(gone)
                shutil.rmtree(gone)
                freed += one.size
        except Timeout:
            continue
    return freed


def _named(file: Path) -> list[str]:
    try:
        return [used["artefact"] for used in json.loads(file.read_text(encoding="utf-8")).get("artefacts", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
