"""The store under stress, with real processes: many writers, kill -9, a full disk, two versions of the code, a move.

Whatever happens, nothing wrong is ever read and nothing finished is lost.
"""

import errno
import fcntl
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from saltrust.artefacts import maintenance
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.sidecar import environment, flaw
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from tests.artefacts.test_store import DAMAGES, damage

fork = multiprocessing.get_context("fork")
LOG = "SALTRUST_TEST_LOG"  # environment variable: file that gets a line for each piece of work
PATIENCE = 120  # seconds after which processes that wait for each other count as deadlocked


def note(line: str) -> None:
    with open(os.environ[LOG], "a") as log:
        log.write(f"{line}\n")


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """Reads the lines so far."""
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    (tmp_path / "log").touch()
    environment()  # asks git, once for all processes
    yield lambda: (tmp_path / "log").read_text().split()
    for process in fork.active_children():  # that a test which failed has left
        process.kill()


@dataclass(frozen=True)
class Part(Artefact):
    """The sum of n and of what it is made from, in several files of some size, or in one."""

    kind: ClassVar[str] = "part"
    n: int
    of: tuple[Artefact, ...] = ()
    files: int = 6
    size: int = 30_000

    def compute(self, get):
        note(f"part-{self.n}")
        below = [get(spec) for spec in self.of]
        time.sleep(0.01)
        return self.n + sum(below)

    def write(self, value, folder: Path):
        for file in range(self.files):
            np.save(folder / f"array-{file}.npy" if file else folder / "array.npy", np.full(self.size, value))

    def read(self, folder: Path):
        found = {int(value) for file in folder.glob("*.npy") for value in np.unique(np.load(file))}
        (value,) = found
        return value


@dataclass(frozen=True)
class Training(Part):
    """Some steps, each kept as soon as it is done."""

    kind: ClassVar[str] = "training"
    resumable: ClassVar[bool] = True
    steps: int = 10

    def compute(self, get, unfinished=None):
        unfinished.mkdir(parents=True, exist_ok=True)
        kept = unfinished / "steps"
        for step in range(int(kept.read_text()) if kept.exists() else 0, self.steps):
            note("step")
            time.sleep(0.01)
            (unfinished / "next").write_text(str(step + 1))
            os.replace(unfinished / "next", kept)
        return self.n


BASE = Training(100)
MIDDLE = tuple(Part(n, (BASE,)) for n in range(3))
TOP = tuple(Part(10 + n, (MIDDLE[n], MIDDLE[(n + 1) % 3], BASE)) for n in range(3))
VALUES = {BASE: 100, **{part: 100 + part.n for part in MIDDLE}}
VALUES |= {part: part.n + sum(VALUES[below] for below in part.of) for part in TOP}


def get_long(root: Path) -> None:
    Store(root).get(Training(1, steps=10_000))


def get_all(root: Path, seed: int, threads: int = 1) -> None:
    """Ask for everything, in an order of one's own, in several threads that share one store."""
    store, wrong = Store(root), []

    def work(seed: int) -> None:
        try:
            for spec in random.Random(seed).sample([*VALUES], len(VALUES)):
                if store.get(spec, remember=False) != VALUES[spec]:
                    wrong.append(spec)
        except BaseException as error:
            wrong.append(error)
            raise

    workers = [threading.Thread(target=work, args=(10 * seed + k,)) for k in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(len(wrong))


def start(target, *arguments):
    process = fork.Process(target=target, args=arguments, daemon=True)  # a stuck one must not outlive the tests
    process.start()
    return process


def ended(process) -> int:
    """Exit code; a process that does not end is a deadlock."""
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError("deadlock")
    return process.exitcode


def artefacts(root: Path) -> dict[str, tuple]:
    """Every artefact under its name, and what tells that it was not made again."""
    folders = [folder for folder in root.glob("[!.]*/[!.]*")]
    return {folder.name: ((folder / "sidecar.json").stat().st_ino, flaw(folder)) for folder in folders}


@pytest.mark.parametrize(("processes", "threads"), [(6, 1), (1, 4), (3, 3)])
def test_many_writers_compute_each_artefact_once_and_never_wait_in_a_circle(tmp_path, log, processes, threads):
    workers = [start(get_all, tmp_path / "store", seed, threads) for seed in range(processes)]
    assert [ended(worker) for worker in workers] == [0] * processes
    assert Counter(log()) == {"step": 10, **{f"part-{part.n}": 1 for part in (*MIDDLE, *TOP)}}
    assert {wrong for _, wrong in artefacts(tmp_path / "store").values()} == {""}
    assert len(artefacts(tmp_path / "store")) == len(VALUES)


def test_kill_9_at_20_random_moments(tmp_path, log):
    clock = time.monotonic()
    assert ended(start(get_all, tmp_path / "whole", 0)) == 0
    life = time.monotonic() - clock
    chance = random.Random(20)
    kills, stores, unkilled = 0, 1, 0
    (tmp_path / "log").write_text("")
    while kills < 20:
        root = tmp_path / f"store-{stores}"
        before = artefacts(root)
        process = start(get_all, root, kills)
        process.join(chance.uniform(0, life))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
        else:
            unkilled += process.exitcode
            stores += 1
        after = artefacts(root)
        assert before.items() <= after.items()  # nothing finished is lost or made again
        assert {wrong for _, wrong in after.values()} <= {""}  # nothing that is half there has a name
        half = list(root.glob("[!.]*/.*"))
        assert len(half) <= len(VALUES)  # one for each artefact, however many kills
    for number in range(1, stores + 1):
        root = tmp_path / f"store-{number}"
        assert ended(start(get_all, root, 0)) == 0
        assert list(root.glob("[!.]*/.*")) == []
        assert len(artefacts(root)) == len(VALUES)
    assert unkilled == 0
    done = Counter(log())
    assert done["step"] <= 10 * stores + kills  # a kill costs the step that was under way
    assert sum(done[f"part-{n}"] for n in (0, 1, 2, 10, 11, 12)) <= 6 * stores + 3 * kills


def dies_once_it_is_stored(root: Path, spec: Artefact) -> None:
    def write(self, *arguments):
        store_it(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    store_it, Store._write = Store._write, write
    Store(root).get(spec)


def test_kill_9_between_storing_a_training_and_forgetting_its_steps_leaves_them_to_the_collection(tmp_path, log):
    root = tmp_path / "store"
    assert ended(start(dies_once_it_is_stored, root, BASE)) == -signal.SIGKILL
    assert Store(root).get(BASE) == VALUES[BASE]
    assert log() == ["step"] * 10
    left = {left.kind: left for left in maintenance.leftovers(root)}
    assert left.keys() == {"(unfinished)", "(lock)"}  # that of the process
    assert maintenance.remove(left.values(), root) == left["(unfinished)"].size > 0
    assert maintenance.leftovers(root) == []
    assert Store(root).get(BASE) == VALUES[BASE]
    assert log() == ["step"] * 10


def fails_to_store(root: Path, spec: Artefact, limit: int) -> None:
    """A file larger than the limit cannot be written, as on a full disk or over a quota."""
    torch.set_num_threads(1)  # a fork has none of the threads that the tests before it left in torch's pool
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(SaltrustError, match=r"cannot store .* in .*store: .* MB are free.*Nothing of it is kept"):
        Store(root).get(spec)


@dataclass(frozen=True)
class Weights(Part):
    """As a network's: torch's writer has errors of its own."""

    kind: ClassVar[str] = "weights_of"

    def write(self, value, folder: Path):
        import torch

        torch.save({"layer": torch.zeros(self.size)}, folder / "weights.pt")


@pytest.mark.parametrize("spec", [Part(1, MIDDLE[:1], size=200_000), Weights(2, MIDDLE[:1], size=400_000)])
def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path, log, spec):
    root = tmp_path / "store"
    assert ended(start(fails_to_store, root, spec, 1_000_000)) == 0
    assert len(artefacts(root)) == 2  # those below it are kept
    assert list(root.glob("[!.]*/.*")) == []
    before = log()
    assert Store(root).get(MIDDLE[0]) == 100
    assert log() == before
    (tmp_path / "log").write_text("")
    if not isinstance(spec, Weights):
        assert Store(root).get(spec) == 101
        assert log() == ["part-1"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_and_what_is_stored_stays(small_disk):
    root, small, large = small_disk / "store", Part(1, size=10), Part(2, (Part(1, size=10),), size=100_000)
    Store(root).get(small)
    with pytest.raises(SaltrustError, match=r"cannot store part in .*; it takes more than 2\.\d MB, 2\.\d MB are free"):
        Store(root).get(large)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(SaltrustError, match=r"0\.0 MB are free"):
        Store(root).get(Part(3))
    assert Store(root).get(small) == 1
    assert len(artefacts(root)) == 1
    filler.unlink()
    assert Store(root).get(Part(3, size=10)) == 3


def test_a_store_that_cannot_be_written_is_read_and_refuses_new_work_clearly(request, tmp_path):
    place = tmp_path if os.geteuid() else request.getfixturevalue("small_disk")  # root may write whatever the mode says
    root = place / "store"
    Store(root).get(Part(1, size=10))
    if os.geteuid():
        for folder in (root, root / ".locks", root / "part"):
            folder.chmod(0o555)
    else:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    assert Store(root).get(Part(1, size=10)) == 1
    with pytest.raises(
        SaltrustError, match=r"cannot compute part: no lock in .*(Read-only|Permission).*SALTRUST_RESULTS"
    ):
        Store(root).get(Part(2, size=10))
    if os.geteuid():
        for folder in (root, root / ".locks", root / "part"):
            folder.chmod(0o755)


def test_a_root_that_is_no_folder_is_refused_clearly(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaltrustError, match="no lock in .*Not a directory"):
        Store(tmp_path / "file" / "store").get(Part(1))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_clearly(tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(SaltrustError, match="on a file system with locks"):
        Store(tmp_path).get(Part(1))


@pytest.mark.parametrize("way", ["renamed", "copied", "through a link"])
def test_moved_results_are_as_good_as_before(tmp_path, log, way):
    ended(start(get_all, tmp_path / "old" / "store", 0))
    before = log()
    new = tmp_path / "elsewhere" / "new"
    new.parent.mkdir()
    if way == "renamed":
        (tmp_path / "old").rename(new)
    elif way == "copied":
        shutil.copytree(tmp_path / "old", new)
        shutil.rmtree(tmp_path / "old")
    else:
        new.symlink_to(tmp_path / "old")
    assert ended(start(get_all, new / "store", 1)) == 0
    assert log() == before


VERSION = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.store import Store

def factor():
    return {factor}

@dataclass(frozen=True)
class Multiple(Artefact):
    kind: ClassVar[str] = "multiple"
    n: int
    def compute(self, get):
        print("computed", flush=True)
        time.sleep(0.05)
        return self.n * factor()
    def write(self, value, folder):
        (folder / "value").write_text(str(value))
    def read(self, folder):
        return int((folder / "value").read_text())

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    print([store.get(Multiple(n)) for n in range(1, 6)])
"""


def test_two_versions_of_the_code_share_a_store_and_each_reads_its_own(tmp_path):
    def both() -> list[str]:
        running = []
        for factor in (2, 3):
            script = tmp_path / str(factor) / "version.py"
            script.parent.mkdir(exist_ok=True)
            script.write_text(VERSION.format(factor=factor))
            command = [sys.executable, script, tmp_path / "store"]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return [process.communicate()[0].split("\n", 5) for process in running]

    values = ["[2, 4, 6, 8, 10]", "[3, 6, 9, 12, 15]"]
    assert [lines[-1].strip() for lines in both()] == values
    assert [lines[0] for lines in both()] == values  # nothing is computed again
    assert len(list((tmp_path / "store").glob("multiple/[!.]*"))) == 10


def test_what_a_killed_run_left_is_listed_and_collected_once_it_is_old(tmp_path):
    root = tmp_path / "store"
    Store(root).get(Part(1))
    process = start(get_long, root)
    deadline = time.monotonic() + 60
    while not list(root.glob(".unfinished/*/steps")) and time.monotonic() < deadline:
        time.sleep(0.005)

    def kinds(**younger):
        return Counter(left.kind for left in maintenance.leftovers(root, timedelta(**younger)))

    left = maintenance.leftovers(root)
    assert maintenance.remove([one for one in left if one.kind == "(unfinished)"], root) == 0  # it is in work
    assert list((root / ".unfinished").glob("*"))
    process.kill()
    process.join()
    (root / "part" / ".0123456789abcdef-77").mkdir()
    (root / "part" / ".0123456789abcdef-77" / "array.npy").write_bytes(b"half")
    assert kinds()["(unfinished)"] == kinds()["(half there)"] == 1
    assert kinds()["(lock)"] >= 1
    assert kinds(hours=1) == Counter()
    freed = maintenance.remove(maintenance.leftovers(root), root)
    assert freed >= 4
    assert kinds() == Counter()
    assert len(artefacts(root)) >= 1
    assert Store(root).get(Part(1)) == 1


def test_an_artefact_that_is_in_use_is_not_collected(tmp_path):
    root = tmp_path / "store"
    Store(root).get(Part(1))
    old = time.time() - 30 * 86400
    sidecar = root / "part" / Part(1).digest / "sidecar.json"
    os.utime(sidecar.parent, (old, old))
    listed = [one for one in maintenance.stored(root)]
    week = timedelta(days=7)
    Store(root).get(Part(1))  # read after it was listed
    assert maintenance.remove(listed, root) == 0
    assert maintenance.unneeded(maintenance.stored(root), root, list, week) == []
    os.utime(sidecar.parent, (old, old))
    (listed,) = maintenance.stored(root)
    assert maintenance.remove([listed, listed], root) == listed.size
    assert list(root.glob(".locks/*")) == []


def test_a_collection_that_was_interrupted_leaves_no_half_artefact(tmp_path, monkeypatch):
    root = tmp_path / "store"
    for n in (1, 2):
        Store(root).get(Part(n))
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda folder, **_: next(folder.glob("*"), folder).unlink(True))
        maintenance.remove(list(maintenance.stored(root))[:1], root)
    assert {wrong for _, wrong in artefacts(root).values()} == {""}
    assert len(artefacts(root)) == 1
    (gone,) = [one for one in maintenance.leftovers(root) if one.kind == "(half there)"]
    assert maintenance.remove([gone], root) == gone.size > 0
    assert [Store(root).get(Part(n)) for n in (1, 2)] == [1, 2]


def dies_while_writing(root: Path, spec: Artefact, files: int) -> None:
    def write(self, value, folder):
        for file in range(files):
            np.save(folder / f"array-{file}.npy", np.full(self.size, value))
        os.kill(os.getpid(), signal.SIGKILL)

    Part.write = write
    Store(root).get(spec)


class StoreMachine(RuleBasedStateMachine):
    """Any sequence of reading, damage, death, collection and moves: values stay right, and only what was damaged, lost
    or collected is computed again."""

    chain: ClassVar[tuple[Part, ...]] = (Part(1, files=2, size=5),)
    chain += (Part(2, chain, files=2, size=5), Part(3, chain, files=2, size=5))
    values: ClassVar[tuple[int, ...]] = (1, 3, 4)

    @initialize()
    def empty(self):
        self.place = Path(os.environ[LOG]).with_name(f"machine-{time.monotonic_ns()}")
        self.whole: set[Artefact] = set()

    @property
    def root(self) -> Path:
        return self.place / "store"

    def lines(self) -> list[str]:
        return Path(os.environ[LOG]).read_text().split()

    @rule(k=st.integers(0, 2))
    def read(self, k):
        spec = self.chain[k]
        needed = [spec] if spec in self.whole else [spec, *(below for below in spec.of if below not in self.whole)]
        fresh = [] if spec in self.whole else [f"part-{one.n}" for one in needed]
        before = len(self.lines())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert Store(self.root).get(spec) == self.values[k]
        assert self.lines()[before:] == fresh
        self.whole |= set(needed)

    @rule(k=st.integers(0, 2), how=st.sampled_from(DAMAGES))
    def harm(self, k, how):
        if self.chain[k] in self.whole:
            damage(Store(self.root).folder(self.chain[k]), how)
            self.whole.discard(self.chain[k])

    @rule(k=st.integers(0, 2), files=st.integers(0, 2))
    def die(self, k, files):
        if self.chain[0] in self.whole and self.chain[k] not in self.whole:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert ended(start(dies_while_writing, self.root, self.chain[k], files)) == -signal.SIGKILL

    @rule()
    def collect(self):
        damaged = [one for one, _ in maintenance.damaged(maintenance.stored(self.root))]
        maintenance.remove([*damaged, *maintenance.leftovers(self.root)], self.root) if self.root.exists() else None

    @rule(k=st.integers(0, 2))
    def lose(self, k):
        found = [one for one in maintenance.stored(self.root) if one.folder.name == self.chain[k].digest]
        if found:
            maintenance.remove(found, self.root)
            self.whole.discard(self.chain[k])

    @rule()
    def move(self):
        if self.place.exists():
            moved = self.place.with_name(f"{self.place.name}-moved")
            self.place.rename(moved)
            self.place = moved

    @invariant()
    def what_is_whole_is_there(self):
        for spec in getattr(self, "whole", ()):
            assert flaw(Store(self.root).folder(spec)) == ""


def test_any_sequence_of_reading_damage_death_collection_and_moves(log):
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=15, stateful_step_count=12, deadline=None))
