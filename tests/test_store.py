"""The store: computed once, atomic, checked, shared between processes, and safe against kill -9."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from saltrust.specs import Spec
from saltrust.store import Store

COMPUTED = []


@dataclass(frozen=True)
class Squares(Spec):
    kind: ClassVar[str] = "squares"
    n: int

    def compute(self, get):
        COMPUTED.append(self.n)
        return np.arange(self.n) ** 2

    def write(self, value, folder: Path):
        np.save(folder / "array.npy", value)

    def read(self, folder: Path):
        return np.load(folder / "array.npy")


@dataclass(frozen=True)
class Broken(Squares):
    kind: ClassVar[str] = "broken"

    def write(self, value, folder: Path):
        (folder / "half.npy").write_bytes(b"half")
        raise OSError("disk full")


@pytest.fixture(autouse=True)
def _nothing_computed():
    COMPUTED.clear()


def test_computes_once_across_stores(tmp_path):
    spec = Squares(4)
    np.testing.assert_array_equal(Store(tmp_path).get(spec), [0, 1, 4, 9])
    np.testing.assert_array_equal(Store(tmp_path).get(spec), [0, 1, 4, 9])
    assert COMPUTED == [4]


def test_sidecar_says_what_from_what_and_how_long(tmp_path):
    store = Store(tmp_path)
    store.get(Squares(3))
    note = store.sidecar(Squares(3))
    assert note["spec"] == {"kind": "squares", "n": 3}
    assert note["seconds"] >= 0
    assert set(note["checksums"]) == {"array.npy"}
    assert {"numpy", "torch", "python", "commit", "device"} <= set(note["environment"])
    assert list(store.used.values()) == [Squares(3)]


def test_a_failed_write_leaves_nothing_to_read(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        store.get(Broken(2))
    assert [path.name for path in (tmp_path / "broken").iterdir()] == []


@pytest.mark.parametrize("damage", ["flip", "truncate", "no sidecar"])
def test_damage_is_found_and_repaired(tmp_path, damage):
    store, spec = Store(tmp_path), Squares(50)
    store.get(spec)
    file = store.folder(spec) / "array.npy"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-5] ^= 1
        file.write_bytes(content)
    elif damage == "truncate":
        file.write_bytes(content[:-20])
    else:
        (store.folder(spec) / "sidecar.json").unlink()
    with pytest.warns(UserWarning, match="computing it again"):
        value = Store(tmp_path).get(spec)
    np.testing.assert_array_equal(value, np.arange(50) ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Store(tmp_path).get(spec)
    assert COMPUTED == [50, 50]


WORKER = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from saltrust.specs import Spec
from saltrust.store import Store

@dataclass(frozen=True)
class Slow(Spec):
    kind: ClassVar[str] = "slow"
    n: int
    def compute(self, get):
        with open(sys.argv[2], "a") as log:
            log.write(f"{self.n}\\n")
        time.sleep(0.15)
        return "x" * 200_000
    def write(self, value, folder):
        for part in range(20):
            (folder / f"{part}.txt").write_text(value)
            time.sleep(0.005)
    def read(self, folder):
        return [len((folder / f"{part}.txt").read_text()) for part in range(20)]

store = Store(Path(sys.argv[1]))
for n in range(6):
    assert store.get(Slow(n)) == [200_000] * 20
print("done")
"""


def _worker(tmp_path: Path) -> subprocess.Popen:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, script, tmp_path / "store", tmp_path / "log"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_9_loses_nothing_finished_and_leaves_nothing_half_written(tmp_path):
    killed = 0
    while True:
        process = _worker(tmp_path)
        finished = len(list((tmp_path / "store").glob("slow/[!.]*")))
        deadline = time.monotonic() + 30
        # Let at least one more artefact be finished, then kill in the middle of the next.
        while process.poll() is None and len(list((tmp_path / "store").glob("slow/[!.]*"))) <= finished:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if killed == 3 or process.poll() is not None:
            break
        time.sleep(0.05 * killed)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    assert killed == 3
    assert process.communicate()[0].strip() == "done"
    computed = (tmp_path / "log").read_text().split()
    assert set(computed) == set("012345")
    assert len(computed) <= 6 + killed  # only what was under way when it was killed is computed again
    leftovers = [path for path in (tmp_path / "store" / "slow").iterdir() if path.name.startswith(".")]
    assert leftovers == []


def test_two_processes_share_one_computation(tmp_path):
    workers = [_worker(tmp_path) for _ in range(2)]
    assert [worker.communicate()[0].strip() for worker in workers] == ["done", "done"]
    assert sorted((tmp_path / "log").read_text().split()) == list("012345")


def test_a_value_is_what_was_stored(tmp_path):
    store = Store(tmp_path)
    value = store.get(Squares(3))
    assert json.loads((store.folder(Squares(3)) / "sidecar.json").read_text())
    np.testing.assert_array_equal(value, np.load(store.folder(Squares(3)) / "array.npy"))


@dataclass(frozen=True)
class Joined(Spec):
    """Two arrays one after the other, put together whenever they are asked for."""

    kind: ClassVar[str] = "joined"
    parts: tuple[Squares, ...]
    transient: ClassVar[bool] = True

    def compute(self, get):
        return np.concatenate([get(part) for part in self.parts])


def test_a_transient_artefact_is_remembered_but_not_stored_and_its_parts_the_other_way_round(tmp_path):
    store = Store(tmp_path)
    spec = Joined((Squares(2), Squares(3)))
    value = store.get(spec)
    np.testing.assert_array_equal(value, [0, 1, 0, 1, 4])
    assert store.get(spec) is value
    assert not (tmp_path / "joined").exists()
    assert len(list((tmp_path / "squares").glob("[!.]*"))) == 2
    assert list(store._memory) == [spec.digest]
    assert [used.kind for used in store.used.values()] == ["joined", "squares", "squares"]
    np.testing.assert_array_equal(Store(tmp_path).get(spec), value)
    assert COMPUTED == [2, 3]
