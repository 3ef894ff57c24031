"""The report card: what one study found about the saliency maps of one classifier."""

from dataclasses import dataclass

import pandas as pd

from saltrust.core import outcomes
from saltrust.methods.registry import select
from saltrust.stats.bootstrap import summarize
from saltrust.study.criteria import CRITERIA
from saltrust.study.study import Study


@dataclass(frozen=True)
class Grade:
    """How a method does by one criterion. title: in words; symbol: in text."""

    title: str
    symbol: str


GRADES = {
    "pass": Grade("passes every baseline", "●"),
    "low": Grade("passes all but the localizer", "▲"),
    "undecided": Grade("undecided against a low baseline", "□"),
    "fail": Grade("fails a low baseline", "✕"),
}
"""By name, from the best to the worst."""


def report_card(study: Study, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
    """One row for each method, criterion and baseline, and one for each control and localizer by criterion.

    Args:
        study: whose main network's maps are judged.
        methods: names and groups of methods, joined by commas.
        n_boot: resamples behind an interval.

    Returns:
        Columns method, role ("map", "control" or "localizer"), criterion, score (its name), value (the mean over
        images), ci_low, ci_high (its 95 % bootstrap interval), n (images), baseline, reference (the baseline's mean)
        and verdict (a name in OUTCOMES). The last three are missing for controls and localizers, which are not judged.
    """
    means = pd.concat(
        summarize(study.criteria.of(name, methods), criterion.score, ["method"], n_boot, study.seed).assign(
            criterion=name, score=criterion.score_title
        )
        for name, criterion in study.criteria.applicable.items()
    ).rename(columns={"mean": "value"})
    roles = dict.fromkeys(select(methods), "map") | {study.card.localizer: "localizer"}
    means["role"] = means["method"].map(roles).fillna("control")
    judged = study.verdicts(methods, n_boot)[["method", "criterion", "baseline", "reference", "verdict"]]
    columns = ["method", "role", "criterion", "score", "value", "ci_low", "ci_high", "n"]
    return means[columns].merge(judged, "left", ["method", "criterion"])


def grades(card: pd.DataFrame) -> pd.DataFrame:
    """How each method does by each criterion, a name in GRADES: methods x criteria. card: from `report_card`."""
    own = card[card["role"] == "map"]
    of_low = {outcomes.PASS: "pass", outcomes.UNDECIDED: "undecided", outcomes.FAIL: "fail"}
    of_localizer = {outcomes.PASS: "pass", outcomes.UNDECIDED: "low", outcomes.FAIL: "low"}
    grade = own["verdict"].map(of_low).where(own["baseline"] != "localizer", own["verdict"].map(of_localizer))
    worst = grade.map(list(GRADES).index).groupby([own["method"], own["criterion"]], sort=False).max()
    return worst.map(dict(enumerate(GRADES))).unstack().loc[list(dict.fromkeys(own["method"])), criteria_of(card)]


def criteria_of(card: pd.DataFrame) -> list[str]:
    """The criteria of a card, in the order of CRITERIA: some need a second network."""
    return [criterion for criterion in CRITERIA if (card["criterion"] == criterion).any()]
