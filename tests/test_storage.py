"""Looking after a store: what is needed stays, what is damaged is found, what nobody names can go."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest
from filelock import FileLock

from saltrust import storage
from saltrust.errors import SaltrustError
from saltrust.store import SIDECAR, Store
from tests.test_store import Squares


@dataclass(frozen=True)
class Sums(Squares):
    kind: ClassVar[str] = "sums"
    of: Squares

    def compute(self, get):
        return get(self.of).cumsum()


@pytest.fixture
def filled(tmp_path):
    """A store under results/ with two squares and the sums of the first; returns (results, names by what they are)."""
    store = Store(tmp_path / "results" / "store")
    specs = {"first": Squares(5), "second": Squares(6), "sums": Sums(7, Squares(5))}
    for spec in specs.values():
        store.get(spec)
    return tmp_path / "results", {name: f"{spec.kind}/{spec.digest}" for name, spec in specs.items()}


def names(artefacts):
    return {one.name for one in artefacts}


def artefacts(results):
    return list(storage.stored(results / "store"))


def publish(results, *used, place="quick/cells/provenance/models.json"):
    file = results / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"artefacts": [{"artefact": name, "seconds": 1} for name in used]}))


def test_every_artefact_is_listed_with_size_and_age(filled):
    results, named = filled
    found = artefacts(results)
    assert names(found) == set(named.values())
    assert {one.name: one.upstream for one in found}[named["sums"]] == (named["first"],)
    table = storage.listing(found, datetime.now(UTC) + timedelta(days=2)).set_index("kind")
    assert table.loc["squares", "artefacts"] == 2
    assert table["megabytes"].sum() * 1e6 == pytest.approx(
        sum(file.stat().st_size for file in (results / "store").rglob("*/*/*") if file.is_file())
    )
    assert table["newest"].min() == pytest.approx(2, abs=0.01)
    assert storage.listing([]).empty


@pytest.mark.parametrize(
    "place",
    [
        "quick/cells/provenance/models.json",
        "runs/models/now/provenance.json",
        "by_hand/quick/cells/models/provenance.json",
    ],
)
def test_what_a_result_was_made_from_is_needed_to_the_last_link(filled, place):
    results, named = filled
    assert names(storage.unneeded(artefacts(results), results)) == set(named.values())
    publish(results, named["sums"], "maps/of-another-store", place=place)
    assert names(storage.unneeded(artefacts(results), results)) == {named["second"]}
    assert storage.unneeded(artefacts(results), results, timedelta(hours=1)) == []


def test_where_a_result_does_not_say_what_it_needs_nothing_is_called_unneeded(filled):
    results, named = filled
    publish(results, named["sums"])
    (results / "quick/cells/provenance/verdict.json").write_text("{")
    with pytest.raises(SaltrustError, match=r"verdict\.json cannot be read.*repair or remove it"):
        storage.unneeded(artefacts(results), results)


def test_nothing_is_removed_from_a_store_that_is_not_there(tmp_path):
    assert storage.remove([], tmp_path / "results" / "store") == 0


def test_removing_frees_what_it_says_and_leaves_what_is_in_work(filled):
    results, named = filled
    found = {one.name: one for one in artefacts(results)}
    with FileLock(results / "store" / ".locks" / named["second"].replace("/", "-")):
        freed = storage.remove(found.values(), results / "store")
    assert freed == sum(one.size for name, one in found.items() if name != named["second"])
    assert names(artefacts(results)) == {named["second"]}
    assert np.array_equal(Store(results / "store").get(Squares(5)), np.arange(5) ** 2)


def test_damage_is_found(filled):
    results, named = filled
    found = {one.name: one for one in artefacts(results)}
    assert list(storage.damaged(found.values())) == []
    flipped = found[named["first"]].folder / "array.npy"
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"\x01")
    (found[named["second"]].folder / "more.txt").touch()
    (found[named["sums"]].folder / SIDECAR).write_text("{")
    assert {one.name for one in artefacts(results) if one.made is None} == {named["sums"]}
    why = {one.name: text for one, text in storage.damaged(artefacts(results))}
    assert why == {
        named["first"]: "differs in array.npy",
        named["second"]: "differs in more.txt",
        named["sums"]: f"has no readable {SIDECAR}",
    }
