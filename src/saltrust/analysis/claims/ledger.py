"""The ledger: the claims as `book/claims.yaml` lists them, which of them a data set can test, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from saltrust.analysis.claims import cells  # noqa: F401 (its tables and checks come into the registries)
from saltrust.analysis.claims.checks import CHECKS, Outcome
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name

FILE = paths.BOOK / "claims.yaml"
KINDS = ("direction", "value", "verdict")
COUNTS = {"agree": "yes", "disagree": "no", "unclear": "unclear"}
COLUMNS = (
    *("id", "paper", "ours", "agrees", "estimate", "ci_low", "ci_high"),
    *("data", "kind", "title", "quote", "where", "number", "why"),
)


class Claim(BaseModel):
    """One claim of one paper.

    Attributes:
        paper: BibTeX key.
        title: the claim in our words.
        where: it stands in the paper.
        quote: a few of their words.
        number: their values.
        datasets: the cards that stand for the paper's data.
        truth: the kind of truth of that data, where no card stands for it.
        test: a name in CHECKS and its parameters.
        not_testable: why there is no test.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    paper: str
    title: str
    where: str
    quote: str
    number: str = ""
    kind: Literal["direction", "value", "verdict"]
    datasets: tuple[str, ...] = ()
    truth: Literal["mask", "box", "graded"] | None = None
    test: dict[str, Any] | None = None
    not_testable: str = ""

    @model_validator(mode="after")
    def _is_tested_or_says_why_not(self) -> "Claim":
        if (self.test is None) == (not self.not_testable):
            raise ValueError("give either 'test' or 'not_testable'")
        if self.test is not None:
            _check_test(dict(self.test))
        if unknown := set(self.datasets) - set(data_cards.names()):
            raise ValueError(f"datasets: {unknown_name('data set', min(unknown), data_cards.names())}")
        return self

    @property
    def on_paper(self) -> bool:
        """Whether it is tested on the paper's own numbers, without any data."""
        return self.test is not None and self.test["name"] == "arithmetic"


def _check_test(test: dict[str, Any]) -> None:
    name = test.pop("name", None)
    if name not in CHECKS:
        raise ValueError(f"test: {unknown_name('test', name, CHECKS)}")
    _, *parameters = signature(CHECKS[name]).parameters.values()  # the first is the evidence
    for given in test:
        if given not in (known := [parameter.name for parameter in parameters]):
            raise ValueError(f"test: {unknown_name(f'parameter of {name}', given, known)}")
    for parameter in parameters:
        if parameter.default is Parameter.empty and parameter.name not in test:
            raise ValueError(f"test: '{name}' needs '{parameter.name}'")
    for table in (test[key] for key in ("table", "than_table") if key in test):
        if table not in TABLES:
            raise ValueError(f"test: {unknown_name('table', table, TABLES)}")


def load(file: Path = FILE) -> list[Claim]:
    """All claims. Raises SaltrustError that names the file, the entry and what is wrong with it."""
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SaltrustError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SaltrustError(f"{file}: must hold a list of claims, each a mapping of fields to values")
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("id", f"entry {number}")
        try:
            claim = Claim(**entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SaltrustError(f"{file}: {name}: {f'{where}: ' if where else ''}{first['msg']}") from error
        if claim.id in claims:
            raise SaltrustError(f"{file}: {name}: this id is taken")
        claims[claim.id] = claim
    return list(claims.values())


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Every claim for the book, as plain values: its fields, whether it is tested, and the outcome of those that the
    paper's own numbers decide."""
    return {
        "claims": [
            claim.model_dump(mode="json", exclude={"test"})
            | {"tested": claim.test is not None, "outcome": asdict(answer(claim, None)) if claim.on_paper else None}
            for claim in load()
        ]
    }


def about(card: Card, claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """The claims that can be tested on a data set.

    own: those about the data that it stands for. outside: directions found on other data like it, as a check; where it
    stands for a paper's data, only those found on data that no card stands for. Each test is named once.
    """
    tested = [claim for claim in claims if claim.test and not claim.on_paper]
    own = [claim for claim in tested if card.name in claim.datasets]
    outside: dict[str, Claim] = {}
    for claim in tested:
        tried = claim.kind == "direction" and claim not in own and _like(card, claim)
        if tried and not (own and claim.datasets):
            outside.setdefault(str(claim.test), claim)
    return {"own": own, "outside": list(outside.values())}


def _like(card: Card, claim: Claim) -> bool:
    """Whether a data set's truth is of the kind that the claim is about, and its networks are the same."""
    named = [data_cards.load(name) for name in claim.datasets]
    return card.truth == claim.truth or any((c.truth, c.networks) == (card.truth, card.networks) for c in named)


def answer(claim: Claim, evidence: Evidence | None) -> Outcome:
    """Test a claim. evidence: None for one that the paper's own numbers decide."""
    given = dict(claim.test)
    return CHECKS[given.pop("name")](evidence, **given)


def evaluate(card: Card, evidence: Mapping[str, Evidence], claims: Sequence[Claim]) -> pd.DataFrame:
    """One row for each claim that can be tested on a data set.

    Args:
        card: of the data set.
        evidence: by protocol; the first one decides.
        claims: all that there are.

    Returns:
        Columns id, paper, ours, agrees, estimate, ci_low, ci_high, data ("own" or "outside"), kind, title, quote,
        where, number, why; and the answer under each protocol, by its name.
    """
    rows = []
    for data, group in about(card, claims).items():
        for claim in group:
            outcomes = {protocol: answer(claim, found) for protocol, found in evidence.items()}
            first = next(iter(outcomes.values()))
            row = {"id": claim.id, "paper": claim.paper, "ours": first.ours, "agrees": first.agrees}
            row |= {key: getattr(first, key) for key in ("estimate", "ci_low", "ci_high")}
            row |= {"data": data} | {key: getattr(claim, key) for key in ("kind", "title", "quote", "where", "number")}
            rows.append(row | {"why": first.why} | {protocol: outcome.agrees for protocol, outcome in outcomes.items()})
    return pd.DataFrame(rows, columns=[*COLUMNS, *evidence])
