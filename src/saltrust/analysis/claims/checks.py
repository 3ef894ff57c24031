"""The ways to test a claim: functions of the evidence and a claim's parameters that give an outcome."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan, prod, sqrt
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from saltrust.analysis.claims.tables import REFERENCES, Evidence
from saltrust.core.registry import Registry
from saltrust.stats.bootstrap import bootstrap_means, crossed_means, difference, interval

MARGIN = 0.5  # of a standard deviation over images: a smaller difference of means counts as none

Answer = Literal["yes", "no", "unclear"]
Reference = str | float | None
"""What a column is compared with: another column, a number, or (None) the column of that name in another table."""


@dataclass(frozen=True)
class Outcome:
    """What came of a test.

    Attributes:
        ours: the result, in words and numbers.
        agrees: whether it is as the paper says.
        why: the rule.
        estimate: what decides.
        ci_low: of its 95 % bootstrap interval by image, where it has one.
        ci_high: the other end.
    """

    ours: str
    agrees: Answer
    why: str
    estimate: float = nan
    ci_low: float = nan
    ci_high: float = nan


CHECKS: Registry[Callable[..., Outcome]] = Registry("test of claims")
"""Functions (evidence, **parameters) -> Outcome."""


@dataclass(frozen=True)
class Gap:
    """The difference of two means, in the direction of the claim."""

    column: str
    difference: float
    ci_low: float
    ci_high: float

    @property
    def agrees(self) -> Answer:
        return _by_interval(self.ci_low, self.ci_high)


def _by_interval(low: float, high: float, bound: float = 0.0) -> Answer:
    """Whether a quantity exceeds a bound: its interval lies wholly above, wholly below, or neither."""
    return "yes" if low > bound else "no" if high < bound else "unclear"


def _worst(answers: Sequence[Answer]) -> Answer:
    return next(word for word in ("no", "unclear", "yes") if word in answers)


def _gap(evidence: Evidence, table: str, column: str, than: Reference, than_table: str | None, less: bool) -> Gap:
    """Image by image where both sides are of the same images, else each side by itself."""
    first, second, paired = evidence.table(table)[column], than, True
    if not isinstance(than, int | float):
        second = evidence.table(than_table or table)[than or column]
        both = first.index.intersection(second.index)
        paired = len(both) > 0
        first, second = (side[both] if paired else side.dropna() for side in (first, second))
        second = second.to_numpy()
    found = difference(first.to_numpy(), second, paired=paired, n_boot=evidence.n_boot, seed=evidence.seed)
    if less:
        found = {"difference": -found["difference"], "ci_low": -found["ci_high"], "ci_high": -found["ci_low"]}
    return Gap(column, **found)


def _gaps(
    evidence: Evidence,
    table: str,
    columns: Sequence[str] | None,
    than: Sequence[str] | Reference,
    than_table: str | None,
    less: bool = False,
) -> list[Gap]:
    columns = columns or _methods(evidence.table(table))
    than = than if isinstance(than, list) else [than] * len(columns)
    return [_gap(evidence, table, *pair, than_table, less) for pair in zip(columns, than, strict=True)]


def _methods(table: pd.DataFrame) -> list[str]:
    """The columns that are methods."""
    return [name for name in table if name not in REFERENCES and not name.endswith("/median")]


@CHECKS.register("above")
def above(
    evidence: Evidence,
    table: str,
    columns: Sequence[str] | None = None,
    than: Sequence[str] | Reference = None,
    than_table: str | None = None,
    less: bool = False,
) -> Outcome:
    """All columns have a higher mean (`less`: a lower one) than what they are compared with."""
    gaps = _gaps(evidence, table, columns, than, than_table, less)
    word = _worst([gap.agrees for gap in gaps])
    decisive = min((gap for gap in gaps if gap.agrees == word), key=lambda gap: gap.ci_low)
    if len(gaps) == 1:
        mean = evidence.table(table)[decisive.column].mean()
        other = mean + decisive.difference * (1 if less else -1)
        ours = f"{label(decisive.column)} {_number(mean)}, compared with {_number(other)}"
    else:
        named = {word: ", ".join(label(g.column) for g in gaps if g.agrees == word) for word in ("no", "unclear")}
        ours = f"{sum(gap.agrees == 'yes' for gap in gaps)} of {len(gaps)} clearly"
        ours += f"; the other way: {named['no']}" if named["no"] else ""
        ours += f"; unclear: {named['unclear']}" if named["unclear"] else ""
    why = "difference of means in the claimed direction, of several the one that decides; above 0: yes, below: no"
    return Outcome(ours, word, why, decisive.difference, decisive.ci_low, decisive.ci_high)


@CHECKS.register("most")
def most(
    evidence: Evidence,
    table: str,
    columns: Sequence[str] | None = None,
    than: Sequence[str] | Reference = None,
    than_table: str | None = None,
    less: bool = False,
) -> Outcome:
    """More than half of the columns have a higher mean (`less`: a lower one) than what they are compared with."""
    gaps = _gaps(evidence, table, columns, than, than_table, less)
    clearly = np.mean([gap.agrees == "yes" for gap in gaps])
    not_otherwise = np.mean([gap.agrees != "no" for gap in gaps])
    share = np.mean([gap.difference > 0 for gap in gaps])
    ours = f"{share * len(gaps):.0f} of {len(gaps)}, {clearly * len(gaps):.0f} clearly"
    why = "share; its bounds: those clearly so, those not clearly otherwise; above half: yes, below: no"
    return Outcome(ours, _by_interval(clearly, not_otherwise, 0.5), why, share, clearly, not_otherwise)


@CHECKS.register("highest")
def highest(
    evidence: Evidence, table: str, column: str, among: Sequence[str] | None = None, lowest: bool = False
) -> Outcome:
    """A column has the highest mean (`lowest`: the lowest) of the methods, or of those among which it is sought."""
    scores = evidence.table(table)
    means = scores[among or _methods(scores)].mean()
    others = means.drop(column)
    rival = others.idxmin() if lowest else others.idxmax()
    gap = _gap(evidence, table, column, rival, None, lowest)
    pair = (column, rival) if gap.difference >= 0 else (rival, column)
    ours = ", then ".join(f"{label(name)} {_number(means[name])}" for name in pair)
    why = f"lead over the {'lowest' if lowest else 'highest'} other; above 0: yes, below: no"
    return Outcome(ours, gap.agrees, why, gap.difference, gap.ci_low, gap.ci_high)


@CHECKS.register("same")
def same(
    evidence: Evidence,
    table: str,
    columns: Sequence[str],
    than: Reference = None,
    than_table: str | None = None,
) -> Outcome:
    """No column differs from what it is compared with.

    An interval that holds 0 does not show that; it must also lie within MARGIN standard deviations of the differences.
    """
    gaps = _gaps(evidence, table, columns, than, than_table)
    answers: list[Answer] = []
    for gap in gaps:
        reference = than if isinstance(than, int | float) else evidence.table(than_table or table)[than or gap.column]
        margin = MARGIN * (evidence.table(table)[gap.column] - reference).std()
        within = -margin <= gap.ci_low and gap.ci_high <= margin
        answers.append("no" if gap.agrees != "unclear" else "yes" if within else "unclear")
    ours = ", ".join(f"{label(gap.column)} {_number(gap.difference, '+')}" for gap in gaps)
    why = "largest difference; interval holds 0 and lies within half an SD of the differences: yes; without 0: no"
    largest = max(gaps, key=lambda gap: abs(gap.difference))
    return Outcome(ours, _worst(answers), why, largest.difference, largest.ci_low, largest.ci_high)


@CHECKS.register("value")
def value(evidence: Evidence, table: str, column: str, mean: float, sd: float | None = None) -> Outcome:
    """A mean is the paper's.

    With the paper's SD over images, as a test of equivalence: the interval of our mean lies within the paper's mean
    ± MARGIN SD (yes), overlaps that range (unclear), or does not (no). Without it: the interval holds the paper's mean.
    """
    values = evidence.table(table)[column].dropna().to_numpy()
    low, high = interval(bootstrap_means(values, evidence.n_boot, evidence.seed))
    if sd is None:
        return _holds(f"{label(column)} {_number(values.mean())}", values.mean(), low, high, mean)
    bottom, top = mean - MARGIN * sd, mean + MARGIN * sd
    word = "yes" if bottom <= low and high <= top else "no" if high < bottom or low > top else "unclear"
    ours = f"{label(column)} {_number(values.mean())} ± {_number(values.std(ddof=1))}"
    why = (
        f"mean; interval within the paper's mean ± half its SD ({_number(bottom)} to {_number(top)}): yes; outside: no"
    )
    return Outcome(ours, word, why, values.mean(), low, high)


@CHECKS.register("localizer_auc")
def localizer_auc(evidence: Evidence, mean: float) -> Outcome:
    """The area under the ROC curve of the localizer's image score is the paper's."""
    test, record = evidence.study.images.split("test"), evidence.study.networks.localizer().record
    present, scores = np.asarray(test.present, bool), np.asarray(record["test_scores"])
    in_order = np.sign(scores[present][:, None] - scores[~present]) / 2 + 0.5  # of each pair; its mean is the area
    low, high = interval(crossed_means(in_order, evidence.n_boot, evidence.seed))
    return _holds(_number(in_order.mean()), in_order.mean(), low, high, mean)


def _holds(ours: str, estimate: float, low: float, high: float, mean: float) -> Outcome:
    why = "interval holds the paper's value: yes"
    return Outcome(ours, "yes" if low <= mean <= high else "no", why, estimate, low, high)


@CHECKS.register("ranks")
def ranks(evidence: Evidence, table: str, values: Mapping[str, float]) -> Outcome:
    """The methods come in the paper's order: Spearman's correlation of their means with the paper's.

    Methods are the unit here, for they are few: the interval is that of Bonett & Wright (2000), Fisher's z with
    variance (1 + r^2 / 2) / (n - 3).
    """
    means = evidence.table(table)[list(values)].mean()
    estimate = float(spearmanr(means, list(values.values())).statistic)
    half = 1.96 * sqrt((1 + estimate**2 / 2) / (len(means) - 3))
    low, high = np.tanh(np.arctanh(np.clip(estimate, -1 + 1e-12, 1 - 1e-12)) + np.array([-half, half]))
    why = "rank correlation, its interval by method; above 0: yes, below: no"
    return Outcome(_number(estimate, "+"), _by_interval(low, high), why, estimate, low, high)


@CHECKS.register("verdicts")
def verdicts(
    evidence: Evidence, criterion: str, baseline: str, passed: Sequence[str], among: Sequence[str] | None = None
) -> Outcome:
    """A column of Table 2: the same methods pass."""
    cells = evidence.verdicts.query("criterion == @criterion and baseline == @baseline").set_index("method")
    cells = cells.loc[among] if among else cells
    off = cells[(cells["verdict"] == "PASS") != cells.index.isin(passed)]
    in_doubt = _in_doubt(off)
    ours = f"{len(cells) - len(off)} of {len(cells)} cells alike"
    if len(off):
        texts = [f"{label(m)} {off.loc[m, 'verdict']}{'?' if in_doubt[m] else ''}" for m in off.index]
        ours += f"; here {', '.join(texts)}"
    word = "yes" if off.empty else "unclear" if in_doubt.all() else "no"
    return Outcome(ours, word, "all cells alike: yes; only cells differ whose interval holds 0 (?): unclear")


@CHECKS.register("none_passes")
def none_passes(evidence: Evidence) -> Outcome:
    """No method passes every comparison of Table 2."""
    cells = evidence.verdicts
    passed = cells["verdict"] == "PASS"
    every = passed.groupby(cells["method"], sort=False).all()
    clearly = (passed & ~_in_doubt(cells)).groupby(cells["method"], sort=False).all()
    ours = f"{every.sum()} of {len(every)} pass all" + "".join(f", {label(method)}" for method in every.index[every])
    word = "yes" if not every.any() else "no" if clearly.any() else "unclear"
    return Outcome(ours, word, "no method passes all: yes; one does, every interval without 0: no")


@CHECKS.register("most_fail")
def most_fail(evidence: Evidence) -> Outcome:
    """More than half of the cells of Table 2 say FAIL."""
    cells = evidence.verdicts
    failed, in_doubt = cells["verdict"] == "FAIL", _in_doubt(cells)
    low, high = (failed & ~in_doubt).mean(), (failed | in_doubt).mean()
    why = "share of FAIL; its bounds: those beyond doubt, all that may be; above half: yes, below: no"
    return Outcome(f"{failed.sum()} of {len(cells)} cells", _by_interval(low, high, 0.5), why, failed.mean(), low, high)


def _in_doubt(cells: pd.DataFrame) -> pd.Series:
    return (cells["ci_low"] <= 0) & (cells["ci_high"] >= 0)


@CHECKS.register("only_reaches_target")
def only_reaches_target(evidence: Evidence, network: str) -> Outcome:
    """Branches of one network, and of no other, end their training because they reached the target accuracy."""
    branches = evidence.graded.accuracies()
    reached = (branches["stopped"] == "target").groupby(branches["network"], sort=False).agg(["sum", "size"])
    ours = ", ".join(f"{label(name)} {count} of {size}" for name, count, size in reached.itertuples())
    only = list(reached.index[reached["sum"] > 0]) == [network]
    return Outcome(ours, "yes" if only else "no", "branches that stopped at the target")


@CHECKS.register("roc_below")
def roc_below(evidence: Evidence) -> Outcome:
    """Most ROC curves lie below the diagonal, on average over the thresholds."""
    curves = evidence.roc
    below = (curves["recall"] - curves["fpr"]).groupby([curves["network"], curves["method"]]).mean() < 0
    word = "yes" if below.mean() > 0.5 else "no"
    return Outcome(f"{below.sum()} of {len(below)} curves", word, "share of the curves; above half: yes", below.mean())


@CHECKS.register("roc_rate")
def roc_rate(evidence: Evidence, method: str) -> Outcome:
    """A method's recall grows most for each step of its false positive rate, from the first threshold to the last, on
    every network."""
    ends = evidence.roc.groupby(["network", "method"], sort=False)[["fpr", "recall"]].agg(["first", "last"])
    grown = {score: ends[score]["last"] - ends[score]["first"] for score in ("recall", "fpr")}
    places = (grown["recall"] / grown["fpr"]).groupby("network", sort=False).rank(ascending=False)
    places = places.xs(method, level="method")
    word = "yes" if (places == 1).all() else "no" if (places > 1).all() else "unclear"
    ours = ", ".join(f"{label(network)}: place {place:.0f}" for network, place in places.items())
    return Outcome(ours, word, "mean place by the rate; first on every network: yes, on none: no", places.mean())


OPERATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "product": prod,
    "power": lambda of: of[0] ** of[1],
    "mean": lambda of: sum(of) / len(of),
    "difference": lambda of: of[0] - of[1],
}


@CHECKS.register("arithmetic")
def arithmetic(
    evidence: Evidence | None, operation: str, of: Sequence[float], stated: float, tolerance: float = 1e-9
) -> Outcome:
    """The paper's own numbers add up; needs no evidence. tolerance: what rounding of `of` and of the stated result
    allows."""
    result = float(OPERATIONS[operation](of))
    word = "yes" if abs(result - stated) <= tolerance else "no"
    return Outcome(f"{operation} {result:.10g}", word, "the paper's own numbers, rounding allowed for", result)


def label(column: str) -> str:
    """A column in words: a method, a network, or "<network>/<method of Tjoa & Guan, score or channel>"."""
    from saltrust.methods.registry import METHODS
    from saltrust.models.architectures import ARCHITECTURES
    from saltrust.study.five_band import TITLES

    network, _, method = column.partition("/")
    if method:
        return f"{TITLES.get(method, method)} on {label(network)}"
    names = {"average": "AVG", "main": "main network"}
    names |= {name: architecture.title for name, architecture in ARCHITECTURES.items()}
    names |= {name: method.abbreviation for name, method in METHODS.items()}
    return names.get(column, column)


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "\N{MINUS SIGN}")
