"""The ledger: its file is valid, each claim can be tested or says why not, and each data set gets its own."""

from collections import Counter

import pytest
import yaml

from saltrust.analysis.claims import ledger
from saltrust.analysis.claims.checks import CHECKS, Outcome
from saltrust.analysis.claims.ledger import Claim, about, answer, catalogue, evaluate, load
from saltrust.analysis.claims.tables import TABLES
from saltrust.core import data_cards, paths
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
    needed = {"utility", "utility_other"}  # utility_by_model is made from them
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
    for role, names in (roles | {"cells": "cells", "mura": "mura"}).items():
        for name in names.split():
            assert groups[name]["own"] == [claim for claim in CLAIMS if claim.test and role in claim.role]
            assert groups[name]["own"]
    for name in ("phantom-pneumonia", "rsna-pneumonia"):
        assert {claim.paper for claim in groups[name]["outside"]} == {"venkatesh2024gradient"}
    for name in ("phantom-pneumothorax", "siim-pneumothorax", "cells", "mura"):
        assert groups[name]["outside"] == []
    tiles = groups["brain-tumor-tiles"]
    assert tiles["own"] == []
    assert {claim.kind for claim in tiles["outside"]} == {"direction"}
    assert all("siim" in claim.role for claim in tiles["outside"])
    tests = [str(claim.test) for claim in tiles["outside"]]
    assert len(tests) == len(set(tests))


def test_a_table_has_a_row_for_each_claim_and_a_column_for_each_protocol(monkeypatch):
    def fixed(evidence, table, **parameters):
        return Outcome(f"on {table}", evidence, "a rule", 0.5, 0.4, 0.6)

    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, lambda evidence, table="t", **parameters: fixed(evidence, table))
    frame = evaluate(data_cards.load("cells"), {"published": "no", "corrected": "yes"}, CLAIMS)
    assert list(frame)[:4] == ["id", "paper", "ours", "agrees"]
    assert (frame["agrees"] == "no").all()
    assert (frame["corrected"] == "yes").all()
    assert frame["id"].tolist() == [claim.id for claim in CLAIMS if claim.test and "cells" in claim.role]


def test_without_claims_the_table_has_its_columns():
    frame = evaluate(data_cards.load("cells"), {"published": None}, [])
    assert frame.empty
    assert list(frame) == [*ledger.COLUMNS, "published"]


def test_the_book_is_told_of_every_claim_and_of_those_that_need_no_data():
    told = {claim["id"]: claim for claim in catalogue()["claims"]}
    assert list(told) == [claim.id for claim in CLAIMS]
    assert told["informer-mean-entropy"]["outcome"]["agrees"] == "yes"
    assert told["informer-mean-lrp"]["outcome"]["agrees"] == "no"
    assert told["siim-utility-best"]["outcome"] is None
    assert not told["users-with-maps"]["tested"]


def test_a_claim_is_answered_by_its_test():
    assert answer(Claim(**ENTRY, test=SUM), None).agrees == "yes"
