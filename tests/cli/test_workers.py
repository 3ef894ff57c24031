"""Processes that share the work: each artefact is computed by one of them, in order, and failures stop nobody."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from filelock import FileLock

from saltrust.artefacts import maintenance
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.store import StorageError, Store, environment
from saltrust.cli import workers
from saltrust.core import paths
from tests.artefacts.test_store_stress import ended, fork, start


@dataclass(frozen=True)
class SumSpec(Artefact):
    """One more than the sum of its parts; notes in `log` that it was computed."""

    kind: ClassVar[str] = "sum"
    name: str
    log: str
    parts: tuple["SumSpec", ...] = ()
    seconds: float = 0.0

    def compute(self, get) -> int:
        value = 1 + sum(get(part) for part in self.parts)
        time.sleep(self.seconds)
        with Path(self.log).open("a") as log:
            log.write(f"{self.name}\n")
        if self.name == "bad":
            raise ValueError("no such sum")
        return value

    def write(self, value: int, folder: Path) -> None:
        (folder / "value.json").write_text(json.dumps(value))

    def read(self, folder: Path) -> int:
        return json.loads((folder / "value.json").read_text())

    def title(self) -> str:
        return self.name


@pytest.fixture(autouse=True)
def _fast(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    monkeypatch.setattr(workers, "PAUSE", 0.02)
    environment()  # asks git and torch, once for all processes


def names(log: Path) -> list[str]:
    return log.read_text().split()


def test_three_processes_compute_everything_once(tmp_path):
    log = tmp_path / "log"
    leaves = tuple(SumSpec(f"leaf{k}", str(log), seconds=0.05) for k in range(12))
    specs = [*leaves, *(SumSpec(f"pair{k}", str(log), leaves[k : k + 2], 0.05) for k in range(0, 12, 2))]
    processes = [start(workers.share, specs, {}) for _ in range(3)]
    assert [ended(process) for process in processes] == [0] * 3
    assert Counter(names(log)) == Counter(spec.name for spec in specs)
    assert all(Store().get(spec) == 1 + len(spec.parts) for spec in specs)


def test_what_another_process_computes_is_left_to_it(tmp_path):
    log = tmp_path / "log"
    held, free = SumSpec("held", str(log)), SumSpec("free", str(log))
    lock = paths.STORE / ".locks" / f"sum-{held.digest}"
    lock.parent.mkdir(parents=True)

    def hold(ready):
        with FileLock(lock):
            ready.set()
            until = time.monotonic() + 60
            while not log.exists() and time.monotonic() < until:
                time.sleep(0.01)

    ready = fork.Event()
    other = start(hold, ready)
    assert ready.wait(60)
    assert workers.share([held, free], {})
    assert ended(other) == 0
    assert names(log) == ["free", "held"]  # the other one ended without it


def test_what_cannot_be_computed_stops_only_what_needs_it(tmp_path):
    log, failed = tmp_path / "log", {}
    bad, good = SumSpec("bad", str(log)), SumSpec("good", str(log))
    below = SumSpec("below", str(log), (bad, good))
    assert workers.share([bad, good, below], failed)
    assert sorted(names(log)) == ["bad", "good"]
    assert failed == {bad.digest: "bad cannot be computed: ValueError: no such sum"}
    assert not workers.share([bad, below], failed)  # nothing was left to do


def test_what_is_damaged_is_made_again(tmp_path):
    log, failed = tmp_path / "log", {}
    spec = SumSpec("leaf", str(log))
    assert workers.share([spec], failed)
    file = Store().folder(spec) / "value.json"
    file.write_text("2")
    with pytest.warns(UserWarning, match="differs in value.json"):
        assert workers.share([spec], failed)
    assert file.read_text() == "1"


def test_where_nothing_can_be_stored_a_process_stops(tmp_path, monkeypatch):
    def full(self, value, folder):
        raise OSError(28, "No space left on device")

    log = tmp_path / "log"
    monkeypatch.setattr(SumSpec, "write", full)
    with pytest.raises(StorageError, match="No space left on device"):
        workers.share([SumSpec("first", str(log)), SumSpec("second", str(log))], {})
    assert len(names(log)) == 1


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(37, "No locks available")])
def test_where_nothing_can_be_locked_a_process_stops(tmp_path, monkeypatch, error):
    def refuse(lock):
        raise error

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    with pytest.raises(StorageError, match=f"no lock in .*{error.strerror}.*SALTRUST_RESULTS"):
        workers.share([SumSpec("first", str(tmp_path / "log"))], {})


def test_what_a_process_made_in_one_round_is_not_collected_before_the_next(tmp_path, monkeypatch):
    at_work = []

    def asked(dataset, profile):
        at_work.append(maintenance.at_work(tmp_path))
        return []

    monkeypatch.setattr(workers, "asked", asked)
    assert workers.compute("phantom-pneumothorax", "smoke") == []
    assert at_work[0] is not None
    assert maintenance.at_work(tmp_path) is None


def test_what_decides_the_rest_comes_first(monkeypatch):
    rounds = iter([["guess", "data"], ["real"], []])
    monkeypatch.setattr(workers, "asked", lambda dataset, profile: [Kind(kind) for kind in next(rounds)])
    shared = []
    monkeypatch.setattr(workers, "share", lambda specs, failed: shared.append([spec.kind for spec in specs]) or True)
    assert workers.compute("phantom-pneumothorax", "smoke") == []
    assert shared == [["data"], ["real"]]


@dataclass(frozen=True)
class Kind:
    kind: str

    @property
    def digest(self) -> str:
        return self.kind
