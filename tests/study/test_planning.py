"""What is missing, about how long it takes, and in which jobs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from saltrust.artefacts.artefact import Artefact, Work
from saltrust.artefacts.sidecar import StorageError
from saltrust.artefacts.store import Store
from saltrust.study import computing, planning
from saltrust.study.planning import Durations, Foresight, Plan


@dataclass(frozen=True)
class Piece(Artefact):
    """A text that is made of those of its parts; `amount` of work."""

    kind: ClassVar[str] = "piece"
    name: str
    when: str = "data"
    states: tuple[str, ...] = ("net",)
    amount: float = 1.0
    parts: tuple["Piece", ...] = ()
    whole: bool = False

    @property
    def stage(self) -> str:  # of each, for once
        return self.when

    @property
    def transient(self) -> bool:
        return self.whole

    def title(self) -> str:
        return self.name

    def job(self) -> tuple[str, ...]:
        return self.states

    def work(self) -> Work:
        return ((self.name, self.amount), ("", self.amount))

    def compute(self, get) -> str:
        if self.name == "bad":
            raise ValueError("no such piece")
        return self.name + "".join(get(part) for part in self.parts)

    def write(self, value: str, folder: Path) -> None:
        (folder / "text").write_text(value)

    def read(self, folder: Path) -> str:
        return (folder / "text").read_text()


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(computing, "Store", lambda: Store(tmp_path))
    return Foresight(tmp_path)


def titles(plan):
    return [plan.artefacts[digest].title() for digest in plan.artefacts if digest in plan.missing]


def test_what_is_missing_comes_after_what_it_is_made_from_and_what_is_stored_hides_that(store, tmp_path):
    image = Piece("image")
    shards = Piece("shards", parts=(image,), whole=True)
    network = Piece("network", "networks", parts=(shards,))
    maps = Piece("maps", "maps", parts=(network, image))
    assert titles(Plan([maps, image], store)) == ["image", "network", "maps"]
    Store(tmp_path).get(network)
    found = Plan([maps], Foresight(tmp_path))
    assert titles(found) == ["maps"]
    assert [one.name for one in found.artefacts.values()] == ["network", "image", "maps"]
    assert not (tmp_path / maps.path).exists()


def test_time_is_known_from_what_is_most_alike(store, tmp_path, monkeypatch):
    for name, seconds in (("a", 2.0), ("b", 4.0)):
        piece = Piece(name, amount=2.0)
        Store(tmp_path)._locked(piece).lock.release()
        Store(tmp_path)._write(piece, name, seconds)
    durations = Durations(tmp_path)
    same = durations.estimate(Piece("a", amount=6.0, states=("other",)))
    assert (same.seconds, same.earlier, same.alike, same.here) == (6.0, 1, True, True)
    other = durations.estimate(Piece("c", amount=6.0))
    assert (other.seconds, other.earlier, other.alike) == (9.0, 2, False)
    assert Durations(tmp_path / "empty").estimate(Piece("a")) is None
    elsewhere = planning.environment() | {"machine": "another"}
    monkeypatch.setattr(planning, "environment", lambda: elsewhere)
    assert not Durations(tmp_path).estimate(Piece("a")).here


def test_a_range_needs_three_of_the_same_work_here_and_is_that_of_all_but_a_tenth(store, tmp_path, monkeypatch):
    def took(number, seconds):
        piece = Piece(f"a{number}", amount=1.0, states=("same",))
        Store(tmp_path)._locked(piece).lock.release()
        Store(tmp_path)._write(piece, "", seconds)

    monkeypatch.setattr(Piece, "work", lambda piece: (("same", piece.amount), ("", piece.amount)))
    for number in range(39):
        took(number, float(number + 1))
        found = Durations(tmp_path).estimate(Piece("b", amount=2.0))
        assert found.sure == (number >= 2)
    assert (found.low, found.seconds, found.high) == (4.0, 40.0, 76.0)  # the second of 39 from each end, times two
    rng, inside = np.random.default_rng(0), []
    for _ in range(2000):
        *earlier, following = rng.lognormal(size=40)
        low, high = planning.ends(earlier)
        inside.append(low <= following <= high)
    assert abs(np.mean(inside) - 36 / 40) < 0.02  # (n + 1 - 2k) / (n + 1); three standard errors


def test_a_row_says_a_range_or_that_it_is_unsure():
    row = planning.Row("kind", "", 0, 3, 13.0, 10.0, 200.0, 0, 5, True, True, True)
    assert row.time == "10 s to 3 min"
    assert replace(row, sure=False).time == "13 s, unsure"
    assert replace(row, unknown=1, sure=False).time == "13 s, unsure + 1 unknown"
    assert replace(row, unknown=3).time == "3 unknown"


def test_a_damaged_sidecar_is_no_duration(store, tmp_path):
    Store(tmp_path).get(Piece("a"))
    (tmp_path / Piece("a").path / "sidecar.json").write_text("[]")
    assert Durations(tmp_path).estimate(Piece("a")) is None


@dataclass(frozen=True)
class Heavy(Piece):
    """A piece that takes memory."""

    kind: ClassVar[str] = "heavy"
    takes: float = 0.0

    def value_bytes(self) -> float:
        return self.takes


def test_a_job_needs_what_its_largest_artefact_does(store):
    """By hand: its value twice, what it is made from, and what joining a split takes beside the split."""
    shards = tuple(Heavy(f"shard{k}", takes=1e9) for k in range(3))
    split = Heavy("split", parts=shards, whole=True, takes=3e9)
    network = Heavy("network", "networks", amount=LARGE, parts=(split,), takes=0.5e9)
    assert split.memory() == 2 * 3e9 + 3e9
    assert network.memory() == 2 * 0.5e9 + 3e9 + (9e9 - 3e9)
    jobs = {job.path: job.memory for job in Plan([network], store).jobs()}
    own = planning.PROCESS + planning.MEMORY
    assert jobs == {"data/rest": own + 2e9, "networks/net": own + 10e9}


LARGE = planning.WORTH


def paths(plan):
    return {job.path: ([one.name for one in job.artefacts], sorted(job.after)) for job in plan.jobs()}


def test_what_is_large_is_a_job_of_its_own_and_what_is_small_shares_one(store):
    image = Piece("image")
    network = Piece("network", "networks", ("net", "1"), LARGE, (image,))
    trained = Piece("trained", "maps", ("net-1",), LARGE, (network,))
    states = [Piece(f"state{k}", "maps", ("net-1", f"to {k}"), LARGE / 4, (network,)) for k in range(4)]
    other = Piece("other", "maps", ("net 2",), 1.0, (trained,))
    assert paths(Plan([*states, trained, other], store)) == {
        "data/rest": (["image"], []),
        "networks/net-1": (["network"], ["data/rest"]),
        "maps/net-1": (["state0", "state1", "state2", "state3", "trained"], ["networks/net-1"]),
        "maps/rest": (["other"], ["maps/net-1"]),
    }


def test_a_large_state_is_named_by_what_a_file_may_be_called(store):
    state = Piece("state", "maps", ("net-1", "top down/to 3"), LARGE)
    assert list(paths(Plan([state], store))) == ["maps/net-1-top_down_to_3"]


def test_a_chain_is_the_longest_of_all_that_begin_with_a_job(store):
    """The oracle walks every chain there is."""
    rng = np.random.default_rng(0)
    pieces: list[Piece] = []
    for k in range(12):
        chosen = tuple(pieces[p] for p in np.flatnonzero(rng.random(k) < 0.4))
        stage = ("data", "networks", "maps")[k // 4]
        pieces.append(Piece(f"piece{k}", stage, (f"job{k}",), LARGE * rng.integers(1, 9), chosen))
    jobs = Plan(pieces, store).jobs()
    assert len(jobs) == len(pieces)

    def chains(first):
        waiting = [other for other in jobs if first.path in other.after]
        return [first.work + rest for other in waiting for rest in chains(other)] or [first.work]

    assert {job.path: job.chain for job in jobs} == {job.path: max(chains(job)) for job in jobs}
    assert any(len(chains(job)) > 1 for job in jobs)


def test_all_of_a_small_data_set_is_one_job(store):
    image = Piece("image")
    maps = Piece("maps", "maps", parts=(image,))
    assert paths(Plan([maps], store)) == {"all/all": (["image", "maps"], [])}


def test_jobs_keep_their_names_when_a_part_is_done(store, tmp_path):
    pieces = [Piece(f"piece{k}", "maps", ("net", str(k)), LARGE / 2) for k in range(3)]
    assert list(paths(Plan(pieces, store))) == ["maps/net"]
    Store(tmp_path).get(pieces[0])
    Store(tmp_path).get(pieces[1])
    assert paths(Plan(pieces, Foresight(tmp_path))) == {"maps/net": (["piece2"], [])}


def test_what_cannot_be_computed_stops_only_what_needs_it(store, tmp_path):
    bad, good = Piece("bad"), Piece("good")
    failed = computing.compute([bad, good, Piece("below", parts=(bad, good))])
    assert failed == [f"{name} cannot be computed: ValueError: no such piece" for name in ("bad", "below")]
    assert Store(tmp_path).folder(good).exists()
    assert computing.compute([good]) == []


def test_where_nothing_can_be_stored_computing_stops(store, tmp_path, monkeypatch):
    def full(self, value, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Piece, "write", full)
    with pytest.raises(StorageError, match="No space left on device"):
        computing.compute([Piece("first"), Piece("second")])


def test_what_a_foresight_has_not_been_taught_is_refused(store):
    with pytest.raises(TypeError, match="must not depend on piece"):
        store.get(Piece("piece"))
