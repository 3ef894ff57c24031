"""The ledger: the claims as `book/claims.yaml` lists them, which of them a data set can test, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from saltrust.analysis.claims import alarms, cells, contrasts, readers  # noqa: F401 (tables and checks of the registries)
from saltrust.analysis.claims.checks import ANSWERS, CHECKS, Outcome, label
from saltrust.analysis.claims.limits import MADE_OF, OF_READERS
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.core import data_cards, paths, yaml_files
from saltrust.core.card_parts import ROLES
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name

FILE = paths.BOOK / "claims.yaml"
KINDS = ("direction", "value", "verdict")
COUNTS = dict(zip(("agree", "disagree", "unclear", "too_small"), ANSWERS, strict=True))
OUTSIDE = "outside"
ON_PAPER = ("arithmetic", "films_behind", "cells_in_place", "printed_below")
"""Tests that need the paper's own numbers alone."""
DATA = {
    "original": "the paper's own images",
    "redrawn": "images drawn anew by the paper's recipe",
    "stand-in": "other images in the place of the paper's",
    OUTSIDE: "data that stand for none of the papers'",
}
"""How a data set stands to the one that a claim is about, in words."""
COLUMNS = (
    *("id", "paper", "ours", "agrees", "limit", "estimate", "ci_low", "ci_high"),
    *("data", "role", "kind", "title", "quote", "where", "number", "why"),
)


class Claim(BaseModel):
    """One claim of one paper.

    Attributes:
        paper: BibTeX key.
        title: the claim in our words.
        where: it stands in the paper.
        quote: a few of their words.
        number: their values.
        role: the paper's data sets, names in ROLES; a card says which it plays.
        truth: also tried on other data with that kind of truth, as an outside check.
        test: a name in CHECKS and its parameters.
        not_on_stand_in: why it is tested on the paper's own data alone.
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
    role: Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)] = ()
    truth: Literal["mask", "box", "graded"] | None = None
    test: dict[str, Any] | None = None
    not_on_stand_in: str = ""
    not_testable: str = ""

    @model_validator(mode="after")
    def _is_tested_or_says_why_not(self) -> "Claim":
        if (self.test is None) == (not self.not_testable):
            raise ValueError("give either 'test' or 'not_testable'")
        if self.test is not None:
            _check_test(dict(self.test))
            if not (self.role or self.on_paper):
                raise ValueError("a claim that is tested on data needs a 'role', the data set that it is about")
        if unknown := set(self.role) - set(ROLES):
            raise ValueError(str(unknown_name("role", min(unknown), ROLES)))
        return self

    @property
    def on_paper(self) -> bool:
        """Whether it is tested on the paper's own numbers, without any data."""
        return self.test is not None and self.test["name"] in ON_PAPER

    @property
    def of_readers(self) -> bool:
        """Whether it is tested on what several readers drew."""
        test = self.test or {}
        return test.get("table") in OF_READERS or test.get("name") == "none_reaches_readers"


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
    entries = yaml_files.read(file, "ledger of claims")
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

    own: those about the data whose role it plays, on a stand-in but for those that only the paper's data can tell.
    outside: directions found on other data like it, as a check. Each test is named once.
    """
    tested = [claim for claim in claims if claim.test and not claim.on_paper]
    own = [claim for claim in tested if card.plays and card.plays.role in claim.role]
    if card.plays and card.plays.data == "stand-in":
        own = [claim for claim in own if not claim.not_on_stand_in]
    alike = _roles_alike(card)
    outside: dict[str, Claim] = {}
    for claim in tested:
        if claim.kind == "direction" and claim not in own and _like(card, claim, alike):
            outside.setdefault(str(claim.test), claim)
    return {"own": own, "outside": list(outside.values())}


def _like(card: Card, claim: Claim, alike: frozenset[str]) -> bool:
    """Whether a data set's truth is of the kind that the claim is about: by name; or, for a data set that plays no role
    itself, by a role of its like. Several findings are another task, and so are several readers."""
    if claim.of_readers and not card.readers:
        return False
    if claim.truth or card.plays:
        return card.truth == claim.truth and len(card.findings) < 2
    return not alike.isdisjoint(claim.role)


def _roles_alike(card: Card) -> frozenset[str]:
    """The roles that cards play of which the same is asked, and whose networks are the same; none for a card that plays
    one itself."""
    if card.plays:
        return frozenset()
    named = [other for other in map(data_cards.load, data_cards.names()) if other.plays]
    return frozenset(other.plays.role for other in named if _asked_of(other) == _asked_of(card))


def _asked_of(card: Card) -> tuple[str, tuple[str, ...], bool]:
    return card.truth, tuple(card.networks), len(card.findings) > 1


def networks_classified_with(card: Card, claims: Sequence[Claim]) -> set[str]:
    """The networks whose scores of the test images a data set's own claims ask for, names in IMAGE_SCORES."""
    tests = [claim.test for claim in about(card, claims)["own"]]
    return {network for test in tests if test["name"] == "areas" for network in test["of"]}


def asks_readers(card: Card, claims: Sequence[Claim]) -> bool:
    """Whether a data set's own claims are about what several readers drew."""
    return any(claim.of_readers for claim in about(card, claims)["own"])


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
        Columns id, paper, ours, agrees, limit (what the run is too small for, where that bears on the answer),
        estimate, ci_low, ci_high, data ("original", "redrawn" or "stand-in", as the card plays its role, or "outside"),
        role (that it plays), kind, title, quote, where, number, why; and the answer under each protocol, by its name.
    """
    groups = about(card, claims)
    plays = {"data": card.plays.data, "role": card.plays.role} if card.plays else {}
    placed = [(claim, plays) for claim in groups["own"]]
    placed += [(claim, {"data": OUTSIDE, "role": ""}) for claim in groups["outside"]]
    rows = []
    for claim, place in placed:
        outcomes = {protocol: answer(claim, found) for protocol, found in evidence.items()}
        first = next(iter(outcomes.values()))
        row = {"id": claim.id, "paper": claim.paper}
        row |= {key: getattr(first, key) for key in ("ours", "agrees", "limit", "estimate", "ci_low", "ci_high")}
        row |= place | {key: getattr(claim, key) for key in ("kind", "title", "quote", "where", "number")}
        rows.append(row | {"why": first.why} | {protocol: outcome.agrees for protocol, outcome in outcomes.items()})
    return pd.DataFrame(rows, columns=[*COLUMNS, *evidence])


def limits_met(evidence: Evidence) -> pd.DataFrame:
    """What a run was too small for, of the tables that claims have asked for: columns why, what (methods and networks)
    and scores (names in TABLES), joined by commas."""
    rows = [
        {"why": why, "what": label(MADE_OF[table][0] if len(MADE_OF.get(table, ())) == 1 else column), "scores": table}
        for table, limits in evidence.known_limits.items()
        for column, reasons in limits.items()
        for why in reasons
    ]
    frame = pd.DataFrame(rows, columns=["why", "what", "scores"])
    return frame.groupby("why", sort=False, as_index=False).agg(lambda names: ", ".join(dict.fromkeys(names)))
