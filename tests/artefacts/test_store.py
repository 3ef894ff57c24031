"""The store: computed once, atomic, checked, and honest about what took how long."""

import errno
import json
import os
import random
import shutil
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from saltrust.artefacts import maintenance
from saltrust.artefacts import store as store_module
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.memory import Memory, held
from saltrust.artefacts.sidecar import StorageError, flaw
from saltrust.artefacts.store import Store, discard
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split

COMPUTED = []


@dataclass(frozen=True)
class Squares(Artefact):
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
    with pytest.raises(SaltrustError, match="disk full.*Nothing of it is kept"):
        store.get(Broken(2))
    assert [path.name for path in (tmp_path / "broken").iterdir()] == []


def damage(folder: Path, how: str) -> None:
    """Do to a stored array what disks, copies and people do."""
    file, sidecar = folder / "array.npy", folder / "sidecar.json"
    content = bytearray(file.read_bytes())
    if how == "flip":
        content[-5] ^= 1
        file.write_bytes(content)
    elif how == "truncate":
        file.write_bytes(content[:-20])
    elif how == "empty":  # as after a power cut: the name is on the disk, the content was not yet
        file.write_bytes(b"")
    elif how == "missing":
        file.unlink()
    elif how == "extra":
        (folder / "more.txt").touch()
    elif how == "no sidecar":
        sidecar.unlink()
    elif how == "empty sidecar":
        sidecar.write_bytes(b"")
    elif how == "flipped sidecar":
        sidecar.write_text(sidecar.read_text().replace('"made": "2', '"made": "3'))
    elif how == "less in the sidecar":
        sidecar.write_text(json.dumps({name: value for name, value in json.loads(sidecar.read_text()).items()
                                       if name not in ("seconds", "checksum")}))  # fmt: skip


DAMAGES = (
    "flip", "truncate", "empty", "missing", "extra",
    "no sidecar", "empty sidecar", "flipped sidecar", "less in the sidecar",
)  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_found_and_repaired(tmp_path, how):
    store, spec = Store(tmp_path), Squares(50)
    store.get(spec)
    damage(store.folder(spec), how)
    with pytest.warns(UserWarning, match="computing it again"):
        value = Store(tmp_path).get(spec)
    np.testing.assert_array_equal(value, np.arange(50) ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Store(tmp_path).get(spec)
    assert COMPUTED == [50, 50]


def test_a_flipped_bit_anywhere_in_a_sidecar_is_found_or_changes_nothing(tmp_path):
    """What it may pass over is white space that stays white space."""
    store, spec = Store(tmp_path), Squares(3)
    store.get(spec)
    file = store.folder(spec) / "sidecar.json"
    whole = file.read_bytes()
    told, chance = json.loads(whole), random.Random(0)
    missed = 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        file.write_bytes(flipped)
        if not flaw(store.folder(spec)):
            assert json.loads(flipped) == told
            missed += 1
    assert missed < len(whole) / 50
    file.write_bytes(whole)
    assert flaw(store.folder(spec)) == ""


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize("which", ["sidecar.json", "array.npy"])
def test_what_cannot_be_read_now_is_neither_damaged_nor_deleted(tmp_path, monkeypatch, number, which):
    store, spec = Store(tmp_path), Squares(3)
    store.get(spec)
    open_it = Path.open

    def refuse(path, *given, **named):
        if path.name == which:
            raise OSError(number, os.strerror(number), str(path))
        return open_it(path, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        patched.setattr(Path, "read_text", lambda path, **named: refuse(path, **named).read())
        with pytest.raises(StorageError, match=rf"cannot read .*{os.strerror(number)}.*{which}.*nothing is deleted"):
            Store(tmp_path).get(spec)
        with pytest.raises(StorageError, match="cannot read"):
            list(maintenance.damaged(maintenance.stored(tmp_path)))
    assert Store(tmp_path).get(spec).tolist() == [0, 1, 4]
    assert COMPUTED == [3]


def test_a_folder_that_may_not_be_listed_is_not_empty(tmp_path, monkeypatch):
    """rglob takes it for that."""
    store, spec = Store(tmp_path), Squares(3)
    store.get(spec)

    def refuse(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageError, match="cannot read"):
        flaw(store.folder(spec))


@pytest.mark.parametrize("name", [".DS_Store", ".nfs000000a1", ".hidden/file"])
def test_hidden_files_that_a_system_leaves_are_no_damage(tmp_path, name):
    store, spec = Store(tmp_path), Squares(3)
    store.get(spec)
    file = store.folder(spec) / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    Store(tmp_path).get(spec)
    assert COMPUTED == [3]


def test_what_is_deleted_between_its_check_and_its_reading_is_computed_again(tmp_path, monkeypatch):
    spec = Squares(3)
    Store(tmp_path).get(spec)
    check = flaw

    def checked(folder):
        found = check(folder)
        monkeypatch.setattr(store_module, "flaw", check)
        discard(folder)
        return found

    monkeypatch.setattr(store_module, "flaw", checked)
    with pytest.warns(UserWarning, match="was deleted while it was read; computing it again"):
        assert Store(tmp_path).get(spec).tolist() == [0, 1, 4]
    assert COMPUTED == [3, 3]


def test_what_was_just_computed_cannot_be_collected_before_it_is_read(tmp_path, monkeypatch):
    freed, read = [], Squares.read

    def collected(spec, folder):
        freed.append(maintenance.remove(list(maintenance.stored(tmp_path)), tmp_path))
        return read(spec, folder)

    monkeypatch.setattr(Squares, "read", collected)
    assert Store(tmp_path).get(Squares(3)).tolist() == [0, 1, 4]
    assert freed == [0]


def test_a_file_that_read_asks_for_and_nobody_wrote_is_no_reason_to_compute_again(tmp_path, monkeypatch):
    Store(tmp_path).get(Squares(3))
    monkeypatch.setattr(Squares, "read", lambda spec, folder: np.load(folder / "other.npy"))
    with pytest.raises(FileNotFoundError, match=r"other\.npy"):
        Store(tmp_path).get(Squares(3))
    assert COMPUTED == [3]


@pytest.fixture
def clock(monkeypatch):
    """[seconds]: what the time is, which passes only where a test says so."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    Slow.clock = now
    return now


@dataclass(frozen=True)
class Slow(Squares):
    """Takes n seconds itself, and what those below it take."""

    kind: ClassVar[str] = "slow"
    clock: ClassVar[list[float]]
    of: tuple[Artefact, ...] = ()

    def compute(self, get):
        self.clock[0] += self.n / 4
        for spec in self.of:
            get(spec)
        self.clock[0] += 3 * self.n / 4
        return super().compute(get)


def test_seconds_are_those_of_the_artefact_alone(tmp_path, clock):
    deep = Slow(31)
    middle = Slow(12, (deep,))
    top = Slow(21, (middle, deep, Slow(17)))
    store = Store(tmp_path)
    store.get(top)
    for spec in (top, middle, deep, Slow(17)):
        assert store.sidecar(spec)["seconds"] == spec.n


def test_seconds_do_not_count_waiting_for_another_process(tmp_path, monkeypatch, clock):
    below, started, waited_for = Slow(70), threading.Event(), threading.Event()
    first, second = Store(tmp_path), Store(tmp_path)
    lock, compute = Store._locked, Slow.compute

    def locked(store, spec):
        if store is second and spec == below:
            waited_for.set()
        return lock(store, spec)

    def computed(spec, get):
        if spec == below:
            started.set()
            assert waited_for.wait(60)
        return compute(spec, get)

    monkeypatch.setattr(Store, "_locked", locked)
    monkeypatch.setattr(Slow, "compute", computed)
    thread = threading.Thread(target=first.get, args=(below,))
    thread.start()
    assert started.wait(60)
    second.get(Slow(10, (below,)))
    thread.join()
    assert clock == [80]
    assert second.sidecar(Slow(10, (below,)))["seconds"] == 10
    assert COMPUTED == [70, 10]


def test_a_value_is_what_was_stored(tmp_path):
    store = Store(tmp_path)
    value = store.get(Squares(3))
    assert json.loads((store.folder(Squares(3)) / "sidecar.json").read_text())
    np.testing.assert_array_equal(value, np.load(store.folder(Squares(3)) / "array.npy"))


@dataclass(frozen=True)
class Joined(Artefact):
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
    assert list(store._memory._kept) == [spec.digest]
    assert [used.kind for used in store.used.values()] == ["joined", "squares", "squares"]
    np.testing.assert_array_equal(Store(tmp_path).get(spec), value)
    assert COMPUTED == [2, 3]


def test_memory_holds_what_was_used_last_within_its_limit():
    memory = Memory(10)
    for name, size in [("a", 4), ("b", 4), ("a", 4), ("c", 2)]:
        memory.keep(name, (name, np.zeros(size, np.uint8)))
    assert list(memory._kept) == ["b", "a", "c"]
    assert memory.get("b", None)[0] == "b"
    memory.keep("d", np.zeros(3, np.uint8))
    assert list(memory._kept) == ["c", "b", "d"]
    assert memory.get("a", "gone") == "gone"
    memory.keep("e", np.zeros(11, np.uint8))
    assert list(memory._kept) == ["c", "b", "d"]  # what has no place takes none from others
    memory.keep("f", None)
    assert memory.get("f", "gone") is None


def test_what_a_value_holds_is_the_bytes_of_its_arrays(tmp_path):
    pair = {"one": np.zeros((2, 3), np.float32), "many": [np.zeros(5, bool), torch.zeros(7)]}
    assert held(pair) == 24 + 5 + 28
    pixels, boxes = np.zeros((2, 4, 4), np.uint8), np.array([[0, 1, 1, 3, 3]], np.float32)
    split = Split(pixels, np.zeros(2, np.int64), pixels > 0, boxes, np.array(["a", "b"]))
    assert held(split) == 32 + 16 + 32 + 20 + 8
    assert held(Path("file")) == held("text") == held(None) == 0


def test_what_memory_has_no_place_for_is_read_again_and_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MEMORY", 5 * np.arange(1).nbytes - 1)  # of two arrays, five numbers
    store = Store(tmp_path)
    first = store.get(Squares(2))
    assert store.get(Squares(2)) is first
    store.get(Squares(3))
    again = store.get(Squares(2))
    assert again is not first
    np.testing.assert_array_equal(again, first)
    assert COMPUTED == [2, 3]


@dataclass(frozen=True)
class Mean(Squares):
    """Of an array that is put together, and of squares that are computed on the way and not stored."""

    kind: ClassVar[str] = "mean"
    n: int
    joined: Joined
    passing: "Mean | None" = None

    def compute(self, get):
        passing = 0 if self.passing is None else self.passing.compute(get)
        return get(self.joined).mean(keepdims=True) + passing


def test_a_sidecar_names_what_is_stored_in_the_place_of_what_is_not(tmp_path):
    """Or no one who follows the names, to show them or to see what is needed, would come to the parts."""
    store = Store(tmp_path)
    top = Mean(1, Joined((Squares(2), Squares(3))), passing=Mean(0, Joined((Squares(4),))))
    store.get(top)
    assert store.sidecar(top)["upstream"] == [f"squares/{Squares(n).digest}" for n in (2, 3, 4)]


def test_what_is_half_discarded_is_a_leftover_of_its_artefact(tmp_path, monkeypatch):
    """It is found under the artefact's lock, so that it is collected neither too early nor never."""
    root = tmp_path / "store"
    Store(root).get(Squares(3))
    folder = Store(root).folder(Squares(3))
    monkeypatch.setattr(shutil, "rmtree", lambda *given, **named: None)  # killed before it could delete
    discard(folder)
    assert not folder.exists()
    (left,) = [one for one in maintenance.leftovers(tmp_path / "store") if one.kind == "(half there)"]
    assert left.lock == Store(root).lock_file(Squares(3)).name
