"""Claims about an 8 and a 3: on a study whose networks have hardly learned anything."""

from dataclasses import replace

import pytest

from saltrust.analysis.claims import ledger
from saltrust.analysis.claims.contrasts import made_from
from saltrust.analysis.claims.limits import unlearned, unlearned_contrast
from saltrust.analysis.claims.tables import collect
from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.profiles import PROFILES, Training


@pytest.fixture(scope="module")
def evidence(tmp_path_factory, tiny_profile):
    sizes = replace(
        PROFILES["smoke"].contrast,
        train=20,
        weak=10,
        training=Training(epochs=1, patience=1, steps=1, batch_size=10),
        contrasted=4,
    )
    with tiny_profile(contrast=sizes):
        store = Store(tmp_path_factory.mktemp("store"))
        yield collect(data_cards.load("digits"), "tiny", ["published"], 0, 20, store)["published"]


def test_each_kind_has_its_columns_image_by_image(evidence):
    table = evidence.table("erased")
    assert sorted(table) == [
        "strong/kernel_shap",
        "strong/random_ink",
        "strong/shapley",
        "weak/random_ink",
        "weak/shapley",
    ]
    assert len(table) == 4
    assert table.notna().all(axis=None)


def test_networks_that_learned_nothing_cannot_answer(evidence):
    reasons = unlearned_contrast(evidence, "erased")
    assert all("network is right in" in reasons[column] for column in evidence.table("erased"))
    assert unlearned(evidence, "erased") == {}
    assert unlearned_contrast(evidence, "utility") == {}


def test_the_claims_are_those_of_the_review_and_too_small_to_tell(evidence):
    claims = ledger.load()
    own = ledger.about(data_cards.load("digits"), claims)["own"]
    assert [claim.id for claim in own] == ["shapley-eight-three", "shapley-two-networks"]
    for claim in own:
        assert ledger.answer(claim, evidence).agrees == "too small to tell"


def test_what_they_are_made_from_is_named(evidence):
    evidence.table("erased")
    named = {one.path for one in made_from(evidence.study)}
    used = {
        one.path for one in evidence.study.store.used.values() if one.kind in ("coalition_outputs", "saliency_maps")
    }
    assert used <= named
    assert len(named) == 4
