"""The ledger: its file is valid, each claim can be tested or says why not, and each data set gets its own."""

from collections import Counter
from types import SimpleNamespace

import pytest
import yaml

from saltrust.analysis.claims import ledger
from saltrust.analysis.claims.checks import CHECKS, Outcome
from saltrust.analysis.claims.ledger import Claim, about, answer, asks_readers, catalogue, evaluate, load
from saltrust.analysis.claims.tables import TABLES
from saltrust.core import data_cards, paths
from saltrust.core.card_parts import Plays
from saltrust.core.errors import SaltrustError

CLAIMS = load()
BIBLIOGRAPHY = (paths.BOOK / "references.bib").read_text(encoding="utf-8")
ENTRY = {"id": "a-claim", "paper": "p", "title": "t", "where": "w", "quote": "q", "kind": "direction"}
SUM = {"name": "arithmetic", "operation": "sum", "of": [1, 2], "stated": 3}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_located_and_short(claim):
    assert f"{{{claim.paper}," in BIBLIOGRAPHY
    assert len(claim.quote.split()) < 15
    assert claim.where
    assert claim.title
    assert claim.kind in ledger.KINDS
    if claim.test and not claim.on_paper:
        assert claim.role


def test_every_test_and_every_table_is_used():
    tests = [claim.test for claim in CLAIMS if claim.test]
    assert {test["name"] for test in tests} == set(CHECKS)
    needed = {"utility", "utility_other", "alarm_experiments", "reader_scores"}  # other tables are made from them
    assert {test.get(key) for test in tests for key in ("table", "than_table")} - {None} | needed == set(TABLES)


def test_each_of_the_five_papers_has_claims():
    assert len(Counter(claim.paper for claim in CLAIMS)) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "give either 'test' or 'not_testable'"),
        ({"test": SUM, "not_testable": "no data"}, "give either 'test' or 'not_testable'"),
        ({"test": {"name": "abov"}}, "unknown test 'abov'; did you mean 'above'"),
        ({"test": {"name": "above", "table": "utilty"}}, "unknown table 'utilty'; did you mean 'utility'"),
        (
            {"test": {"name": "above", "table": "utility", "then": 1}},
            "unknown parameter of above 'then'; did you mean 'than'",
        ),
        ({"test": {"name": "highest", "table": "utility"}}, "'highest' needs 'column'"),
        ({"test": SUM, "role": "cell"}, "unknown role 'cell'; did you mean 'cells'"),
        ({"test": {"name": "none_passes"}}, "needs a 'role', the data set that it is about"),
        ({"test": SUM, "kind": "rank"}, "kind: Input should be"),
        ({"test": SUM, "place": "p. 3"}, "place: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(tmp_path, change, message):
    file = tmp_path / "claims.yaml"
    file.write_text(yaml.safe_dump([ENTRY | change]))
    with pytest.raises(SaltrustError) as error:
        load(file)
    assert "claims.yaml: a-claim: " in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1", "must hold a list of claims"),
        (yaml.safe_dump([ENTRY | {"test": SUM}] * 2), "a-claim: this id is taken"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, message):
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    with pytest.raises(SaltrustError, match=message):
        load(file)


def test_a_data_set_gets_the_claims_about_the_data_whose_role_it_plays():
    groups = {name: about(data_cards.load(name), CLAIMS) for name in data_cards.names()}
    roles = {"siim": "siim-pneumothorax phantom-pneumothorax", "rsna": "rsna-pneumonia phantom-pneumonia"}
    roles |= {"cells": "cells", "mura": "mura phantom-bones fracatlas", "chexpert": "phantom-chest5"}
    for role, names in roles.items():
        for name in names.split():
            stands_in = name.startswith("phantom") or name == "fracatlas"
            own = [c for c in CLAIMS if c.test and role in c.role and not (stands_in and c.not_on_stand_in)]
            assert groups[name]["own"] == own != []
    for name in ("phantom-pneumonia", "rsna-pneumonia"):
        assert {claim.paper for claim in groups[name]["outside"]} == {"venkatesh2024gradient"}
    alone = ("phantom-pneumothorax", "siim-pneumothorax", "cells", "mura", "phantom-bones", "fracatlas")
    for name in (*alone, "phantom-chest5"):
        assert groups[name]["outside"] == []
    tiles = groups["brain-tumor-tiles"]
    assert tiles["own"] == []
    assert {claim.kind for claim in tiles["outside"]} == {"direction"}
    assert all("siim" in claim.role for claim in tiles["outside"])
    tests = [str(claim.test) for claim in tiles["outside"]]
    assert len(tests) == len(set(tests))


@pytest.mark.parametrize("role", ["siim", "rsna"])
def test_the_papers_own_data_have_all_claims_and_a_stand_in_those_that_it_can_test(role):
    played = [card for card in map(data_cards.load, data_cards.names()) if card.plays and card.plays.role == role]
    cards = {card.plays.data: card for card in played}
    asked = {data: {claim.id for claim in about(card, CLAIMS)["own"]} for data, card in cards.items()}
    assert {"siim": "siim-pneumothorax", "rsna": "rsna-pneumonia"}[role] == cards["original"].name
    assert asked["original"] - asked["stand-in"] == {f"{role}-classifier-auc", f"{role}-replicate-auc"}
    assert asked["stand-in"] - asked["original"] == set()
    expected = {f"{role}-utility-xrai", f"{role}-table-utility-average", f"{role}-randomized-values", "none-meets-all"}
    assert expected <= asked["original"]


def test_claims_about_an_alarm_are_for_data_with_several_findings_and_others_are_not():
    card = data_cards.load("phantom-chest5")
    own = about(card, CLAIMS)["own"]
    assert {claim.paper for claim in own} == {"shu2024informer"}
    assert "informer-auc" not in {claim.id for claim in own}  # the phantom's difficulty was set
    original = card.model_copy(update={"plays": Plays(role="chexpert", data="original")})
    assert {claim.id for claim in about(original, CLAIMS)["own"]} == {claim.id for claim in own} | {"informer-auc"}
    alike = card.model_copy(update={"plays": None})
    assert {claim.id for claim in about(alike, CLAIMS)["outside"]} == {claim.id for claim in own}
    for other in ({"findings": ()}, {"truth": "box"}, {"networks": ("inception_v3", "densenet121")}):
        found = about(alike.model_copy(update=other), CLAIMS)["outside"]
        assert not {claim.id for claim in found} & {claim.id for claim in own}
    boxed = original.model_copy(update={"truth": "box"})  # the kind of truth that a claim on maps of one finding names
    assert about(boxed, CLAIMS)["outside"] == []


def test_claims_about_readers_are_for_data_that_play_the_role_of_those_with_readers():
    """And, as an outside check, for those of a card that plays none, whose networks are the same."""
    bones = data_cards.load("phantom-bones")
    asking = {claim.id for claim in CLAIMS if claim.of_readers}
    own = {claim.id for claim in about(bones, CLAIMS)["own"]}
    assert {"mura-radiologists", "mura-subgroups", "mura-none-meets-all"} <= asking & own
    assert asking - own == {"mura-radiologist-auprc", "mura-radiologist-iou"}  # to which its readers were fitted
    assert asking <= {claim.id for claim in about(data_cards.load("mura"), CLAIMS)["own"]}
    assert asks_readers(bones, CLAIMS)
    assert not asks_readers(data_cards.load("phantom-pneumonia"), CLAIMS)
    alike = bones.model_copy(update={"plays": None})
    assert asking & {claim.id for claim in about(alike, CLAIMS)["outside"]}
    for other in ({"readers": 0}, {"networks": ("inception_v3", "densenet121")}):
        found = about(alike.model_copy(update=other), CLAIMS)["outside"]
        assert asking.isdisjoint(claim.id for claim in found)


def test_a_card_of_ones_own_may_play_a_role(tmp_path):
    """Who has the images in another format writes a card, and is told what the paper says of them."""
    card = data_cards.load("siim-pneumothorax").model_copy(update={"name": "my-siim"})
    data_cards.save(card, tmp_path)
    again = data_cards.parse(tmp_path / "my-siim.yaml")
    assert again.plays == card.plays
    assert about(again, CLAIMS) == about(data_cards.load("siim-pneumothorax"), CLAIMS)


def test_what_the_paper_says_by_its_own_test_is_judged_by_it():
    """Sentences of Arun et al. that say "significantly", or stand with a p-value."""
    theirs = [claim for claim in CLAIMS if claim.test and {"siim", "rsna"} & set(claim.role)]
    said = {c.id for c in theirs if c.number.startswith("p ") or "significant" in c.quote or "statistical" in c.quote}
    assert {claim.id for claim in CLAIMS if claim.test and claim.test.get("tukey")} == said
    assert len(said) == 12


def test_a_table_has_a_row_for_each_claim_and_a_column_for_each_protocol(monkeypatch):
    def fixed(evidence, table, **parameters):
        return Outcome(f"on {table}", evidence, "a rule", 0.5, 0.4, 0.6, "5 images")

    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, lambda evidence, table="t", **parameters: fixed(evidence, table))
    frame = evaluate(data_cards.load("cells"), {"published": "no", "corrected": "yes"}, CLAIMS)
    assert list(frame)[:4] == ["id", "paper", "ours", "agrees"]
    assert (frame["agrees"] == "no").all()
    assert (frame["limit"] == "5 images").all()
    assert set(frame["data"]) == {"redrawn"}
    assert set(frame["role"]) == {"cells"}
    assert (frame["corrected"] == "yes").all()
    assert frame["id"].tolist() == [claim.id for claim in CLAIMS if claim.test and "cells" in claim.role]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("siim-pneumothorax", {"original"}),
        ("phantom-pneumothorax", {"stand-in"}),
        ("phantom-pneumonia", {"stand-in", "outside"}),
        ("brain-tumor-tiles", {"outside"}),
    ],
)
def test_a_table_says_how_its_data_stand_to_the_papers(monkeypatch, name, data):
    for check in CHECKS:
        monkeypatch.setitem(CHECKS, check, lambda evidence, **parameters: Outcome("ours", "yes", "a rule"))
    frame = evaluate(data_cards.load(name), {"published": None}, CLAIMS)
    assert set(frame["data"]) == data
    assert data <= set(ledger.DATA)
    assert (frame["role"] != "").equals(frame["data"] != "outside")


def test_what_a_run_was_too_small_for_is_listed_once_for_all_scores():
    known = {
        "utility": {"ig": ("5 of 25 steps",)},
        "threshold": {"ig": ("5 of 25 steps", "4 pairs"), "xrai": ("4 pairs",)},
    }
    frame = ledger.limits_met(SimpleNamespace(known_limits=known))
    assert frame.to_dict("records") == [
        {"why": "5 of 25 steps", "what": "IG", "scores": "utility, threshold"},
        {"why": "4 pairs", "what": "IG, XRAI", "scores": "threshold"},
    ]
    stages = {"cascade": {"logits": ("5 images",), "Mixed_7c": ("5 images",)}}
    of_stages = ledger.limits_met(SimpleNamespace(known_limits=stages))
    assert of_stages.to_dict("records") == [{"why": "5 images", "what": "GBP", "scores": "cascade"}]
    assert ledger.limits_met(SimpleNamespace(known_limits={"utility": {}})).empty


def test_without_claims_the_table_has_its_columns():
    frame = evaluate(data_cards.load("cells"), {"published": None}, [])
    assert frame.empty
    assert list(frame) == [*ledger.COLUMNS, "published"]


def test_the_book_is_told_of_every_claim_and_of_those_that_need_no_data():
    told = {claim["id"]: claim for claim in catalogue()["claims"]}
    assert list(told) == [claim.id for claim in CLAIMS]
    assert told["informer-mean-entropy"]["outcome"]["agrees"] == "yes"
    assert told["informer-mean-lrp"]["outcome"]["agrees"] == "no"
    assert told["informer-films"]["outcome"]["agrees"] == told["informer-rows"]["outcome"]["agrees"] == "no"
    assert told["informer-images"]["outcome"]["agrees"] == told["mura-printed-below"]["outcome"]["agrees"] == "yes"
    assert told["siim-utility-best"]["outcome"] is None
    assert not told["users-with-maps"]["tested"]


def test_a_claim_is_answered_by_its_test():
    assert answer(Claim(**ENTRY, test=SUM), None).agrees == "yes"
