"""The report card: what one study found about the saliency maps of one classifier."""

from dataclasses import dataclass

import pandas as pd

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
    "fail": Grade("fails a low baseline", "✕"),
}


def report_card(study: Study, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
    """One row for each method, criterion and baseline, and one for each control and localizer by criterion.

    Args:
        study: whose main network's maps are judged.
        methods: names and groups of methods, joined by commas.
        n_boot: resamples behind an interval.

    Returns:
        Columns method, role ("map", "control" or "localizer"), criterion, score (its name), value (the mean over
        images), ci_low, ci_high (its 95 % bootstrap interval), n (images), baseline, reference (the baseline's mean)
        and verdict ("PASS" or "FAIL"). The last three are missing for controls and localizers, which are not judged.
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
    failed = card[card["role"] == "map"].assign(failed=lambda rows: rows["verdict"] == "FAIL")
    low = failed["baseline"] != "localizer"
    found = failed.groupby(["method", "criterion"], sort=False).size().rename("grade").to_frame().assign(grade="pass")
    for part, grade in ((failed[~low], "low"), (failed[low], "fail")):  # a failed low baseline weighs more
        found.loc[part[part["failed"]].set_index(["method", "criterion"]).index.unique(), "grade"] = grade
    return found["grade"].unstack().loc[list(dict.fromkeys(failed["method"])), criteria_of(card)]


def criteria_of(card: pd.DataFrame) -> list[str]:
    """The criteria of a card, in the order of CRITERIA: some need a second network."""
    return [criterion for criterion in CRITERIA if (card["criterion"] == criterion).any()]
