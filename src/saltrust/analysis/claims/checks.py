"""The ways to test a claim: functions of the evidence and a claim's parameters that give an outcome."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import nan, prod, sqrt
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from saltrust.analysis.claims.limits import LEAST_IMAGES, Reasons, few, merged
from saltrust.analysis.claims.tables import REFERENCES, TABLES, Evidence
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.stats.bootstrap import bootstrap_means, difference, interval
from saltrust.stats.weighted_areas import average_precision, roc_area

MARGIN = 0.5  # of a standard deviation over images: a smaller difference of means counts as none

Answer = Literal["yes", "no", "unclear", "too small to tell"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
TOO_SMALL = ANSWERS[-1]
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
        ci_low: of its 95 % interval, where it has one.
        ci_high: the other end.
        limit: what the run is too small for, of all that the test looks at.
    """

    ours: str
    agrees: Answer
    why: str
    estimate: float = nan
    ci_low: float = nan
    ci_high: float = nan
    limit: str = ""


CHECKS: Registry[Callable[..., Outcome]] = Registry("test of claims")
"""Functions (evidence, **parameters) -> Outcome."""


@dataclass(frozen=True)
class Gap:
    """The difference of two means, in the direction of the claim. margin: a smaller difference counts as none. limits:
    why the run cannot tell, by column."""

    column: str
    difference: float
    ci_low: float
    ci_high: float
    margin: float
    limits: Reasons

    @property
    def agrees(self) -> Answer:
        return TOO_SMALL if self.limits else _by_interval(self.ci_low, self.ci_high)

    @property
    def same(self) -> Answer:
        """Whether the two means do not differ."""
        if self.agrees != "unclear":
            return TOO_SMALL if self.limits else "no"
        return "yes" if -self.margin <= self.ci_low and self.ci_high <= self.margin else "unclear"

    @property
    def not_less(self) -> Answer:
        """Whether the first mean is as high as the second, or higher."""
        if self.agrees in ("no", TOO_SMALL):
            return self.agrees
        return "yes" if self.ci_low >= -self.margin else "unclear"


def _by_interval(low: float, high: float, bound: float = 0.0) -> Answer:
    """Whether a quantity exceeds a bound: its interval lies wholly above, wholly below, or neither."""
    return "yes" if low > bound else "no" if high < bound else "unclear"


def _worst(answers: Sequence[Answer]) -> Answer:
    """Of a sentence about several: it fails with one, and holds only if the run can tell it of each."""
    return next(word for word in ("no", TOO_SMALL, "unclear", "yes") if word in answers)


def _told(limits: Reasons) -> str:
    """Why a run cannot tell: each reason, with the columns that it holds for where that is not all of them."""
    columns: dict[str, list[str]] = {}
    for column, reasons in limits.items():
        for why in reasons:
            columns.setdefault(why, []).append(label(column))
    return "; ".join(
        f"{why} ({', '.join(named)})" if len(named) < len(limits) else why for why, named in columns.items()
    )


def _gap(
    evidence: Evidence, table: str, column: str, than: Reference, than_table: str | None, less: bool, tukey: bool
) -> Gap:
    """Image by image where both sides are of the same images, else each side by itself."""
    first, second, paired = evidence.table(table)[column], than, True
    sides = [(table, column)]
    if not isinstance(than, int | float):
        second = evidence.table(than_table or table)[than or column]
        sides.append((than_table or table, than or column))
        both = first.index.intersection(second.index)
        paired = len(both) > 0
        first, second = (side[both] if paired else side.dropna() for side in (first, second))
        second = second.to_numpy()
    limits = _limits(evidence, *sides)
    if tukey and not limits:  # a model asks for more images than one
        found = evidence.contrast(table, column, than or column, than_table)
    else:
        sampling = {"n_boot": evidence.n_boot, "seed": evidence.seed, "clusters": evidence.clusters(first.index)}
        found = difference(first.to_numpy(), second, paired=paired, **sampling)
    if less:
        found = {"difference": -found["difference"], "ci_low": -found["ci_high"], "ci_high": -found["ci_low"]}
    margin = MARGIN * float((first - second if paired else first).std())
    return Gap(column, **found, margin=margin, limits=limits)


def _limits(evidence: Evidence, *sides: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """Why (table, column)s cannot answer, by column; one that can is not among them."""
    return merged(*({column: evidence.limits(table).get(column, ())} for table, column in sides))


def _gaps(
    evidence: Evidence,
    table: str,
    columns: Sequence[str] | None,
    than: Sequence[str] | Reference,
    than_table: str | None,
    less: bool = False,
    tukey: bool = False,
) -> list[Gap]:
    columns = columns or _methods(evidence.table(table))
    than = than if isinstance(than, list) else [than] * len(columns)
    return [_gap(evidence, table, *pair, than_table, less, tukey) for pair in zip(columns, than, strict=True)]


def _limits_of(gaps: Sequence[Gap]) -> str:
    return _told(merged(*(gap.limits for gap in gaps)))


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
    tukey: bool = False,
) -> Outcome:
    """All columns have a higher mean (`less`: a lower one) than what they are compared with.

    tukey: where the sentence says "significantly" or gives a p-value: by the paper's test, see `Evidence.contrast`.
    """
    gaps = _gaps(evidence, table, columns, than, than_table, less, tukey)
    word = _worst([gap.agrees for gap in gaps])
    decisive = min((gap for gap in gaps if gap.agrees == word), key=lambda gap: gap.ci_low)
    if len({gap.column for gap in gaps}) == 1:
        mean = evidence.table(table)[decisive.column].mean()
        others = [_number(mean + gap.difference * (1 if less else -1)) for gap in gaps]
        ours = f"{label(decisive.column)} {_number(mean)}, compared with {' and '.join(others)}"
    else:
        ours = f"{sum(gap.agrees == 'yes' for gap in gaps)} of {len(gaps)} clearly"
        for answer, words in {"no": "the other way", "unclear": "unclear", TOO_SMALL: TOO_SMALL}.items():
            named = ", ".join(label(gap.column) for gap in gaps if gap.agrees == answer)
            ours += f"; {words}: {named}" if named else ""
    why = "difference of means in the claimed direction, of several the one that decides; above 0: yes, below: no"
    why += _BY_TUKEY if tukey else ""
    return Outcome(ours, word, why, decisive.difference, decisive.ci_low, decisive.ci_high, _limits_of(gaps))


_BY_TUKEY = "; interval simultaneous for all comparisons, by the paper's mixed model and Tukey's HSD"


@CHECKS.register("resampled_above")
def resampled_above(
    evidence: Evidence, table: str, columns: Sequence[str], than: Sequence[str], than_table: str | None = None
) -> Outcome:
    """Each of the columns lies above each of those that it is compared with, in a table of RESAMPLED: of what is no
    mean over images."""
    own, other = evidence.table(table), evidence.table(than_table or table)
    gaps = []
    for column, rival in product(columns, than):
        gap, told = own[column] - other[rival], _limits(evidence, (table, column), (than_table or table, rival))
        gaps.append(Gap(column, float(gap.iloc[0]), *interval(gap.to_numpy()[1:]), margin=0.0, limits=told))
    word = _worst([gap.agrees for gap in gaps])
    decisive = min((gap for gap in gaps if gap.agrees == word), key=lambda gap: gap.ci_low)
    sides = [
        ", ".join(f"{label(c)} {_number(one[c].iloc[0])}" for c in of) for one, of in ((own, columns), (other, than))
    ]
    why = "difference in the claimed direction, of several the one that decides; its interval from resamples of all "
    why += "images, with every threshold chosen anew; above 0: yes, below: no"
    ours = ", compared with ".join(sides)
    return Outcome(ours, word, why, decisive.difference, decisive.ci_low, decisive.ci_high, _limits_of(gaps))


@CHECKS.register("most")
def most(
    evidence: Evidence,
    table: str,
    columns: Sequence[str] | None = None,
    than: Sequence[str] | Reference = None,
    than_table: str | None = None,
    less: bool = False,
    or_same: bool = False,
) -> Outcome:
    """More than half of the columns have a higher mean (`less`: a lower one) than what they are compared with.

    or_same: or none that lies on the other side by more than MARGIN standard deviations of the differences.
    """
    gaps = _gaps(evidence, table, columns, than, than_table, less)
    answers = [gap.not_less if or_same else gap.agrees for gap in gaps]
    clearly = np.mean([answer == "yes" for answer in answers])
    not_otherwise = np.mean([answer != "no" for answer in answers])
    share = np.mean([gap.difference > (-gap.margin if or_same else 0) for gap in gaps])
    ours = f"{share * len(gaps):.0f} of {len(gaps)}, {clearly * len(gaps):.0f} clearly"
    why = "share; its bounds: those clearly so, those not clearly otherwise; above half: yes, below: no"
    why += "; so is also who lies on the other side by less than half an SD of the differences" if or_same else ""
    word = _by_interval(clearly, not_otherwise, 0.5)
    word = TOO_SMALL if word == "unclear" and TOO_SMALL in answers else word
    return Outcome(ours, word, why, share, clearly, not_otherwise, _limits_of(gaps))


@CHECKS.register("highest")
def highest(
    evidence: Evidence, table: str, column: str, among: Sequence[str] | None = None, lowest: bool = False
) -> Outcome:
    """A column has the highest mean (`lowest`: the lowest) of the methods, or of those among which it is sought.

    One that the run can judge and that lies ahead of it decides; else it must lead them all.
    """
    scores, limits = evidence.table(table), evidence.limits(table)
    means = scores[among or _methods(scores)].mean()
    others = means.drop(column)
    known = [name for name in others.index if name not in limits]
    rival = others[known or others.index].agg("idxmin" if lowest else "idxmax")
    gap = _gap(evidence, table, column, rival, None, lowest, tukey=False)
    word = gap.agrees if gap.agrees == "no" or len(known) == len(others) else TOO_SMALL
    pair = (column, rival) if gap.difference >= 0 else (rival, column)
    ours = ", then ".join(f"{label(name)} {_number(means[name])}" for name in pair)
    why = f"lead over the {'lowest' if lowest else 'highest'} other; above 0: yes, below: no"
    told = _limits(evidence, *((table, name) for name in means.index))
    return Outcome(ours, word, why, gap.difference, gap.ci_low, gap.ci_high, _told(told))


@CHECKS.register("same")
def same(
    evidence: Evidence,
    table: str,
    columns: Sequence[str],
    than: Reference = None,
    than_table: str | None = None,
    tukey: bool = False,
) -> Outcome:
    """No column differs from what it is compared with.

    An interval that holds 0 does not show that; it must also lie within MARGIN standard deviations of the differences.
    tukey: as in `above`.
    """
    gaps = _gaps(evidence, table, columns, than, than_table, tukey=tukey)
    word = _worst([gap.same for gap in gaps])
    ours = ", ".join(f"{label(gap.column)} {_number(gap.difference, '+')}" for gap in gaps)
    why = "largest difference; interval holds 0 and lies within half an SD of the differences: yes; without 0: no"
    why += _BY_TUKEY if tukey else ""
    largest = max(gaps, key=lambda gap: abs(gap.difference))
    return Outcome(ours, word, why, largest.difference, largest.ci_low, largest.ci_high, _limits_of(gaps))


@CHECKS.register("value")
def value(evidence: Evidence, table: str, column: str, mean: float, sd: float | None = None) -> Outcome:
    """A mean is the paper's.

    With the paper's SD over images, as a test of equivalence: the interval of our mean lies within the paper's mean
    ± MARGIN SD (yes), overlaps that range (unclear), or does not (no). Without it: the interval holds the paper's mean.
    """
    values = evidence.table(table)[column].dropna()
    low, high = _mean_interval(evidence, values)
    limits = _limits(evidence, (table, column))
    ours = f"{label(column)} {_number(values.mean())}"
    if sd is None:
        why, word = "interval holds the paper's value: yes", _holds(low, high, mean, 0)
    else:
        ours += f" ± {_number(values.std())}"
        word = _within(low, high, mean, MARGIN * sd)
        why = "mean; interval within the paper's mean ± half its SD "
        why += f"({_number(mean - MARGIN * sd)} to {_number(mean + MARGIN * sd)}): yes; outside: no"
    return Outcome(ours, TOO_SMALL if limits else word, why, values.mean(), low, high, _told(limits))


@CHECKS.register("values")
def values(evidence: Evidence, table: str, means: Mapping[str, float]) -> Outcome:
    """The means of several columns are the paper's, where its deviations are not over images.

    As in `value`, but that a mean must be met within MARGIN standard deviations of our scores.
    """
    scores, limits = evidence.table(table)[list(means)], _limits(evidence, *((table, column) for column in means))
    answers, off = {}, {}
    for column, mean in means.items():
        known = scores[column].dropna()
        low, high = _mean_interval(evidence, known)
        answers[column] = TOO_SMALL if column in limits else _within(low, high, mean, MARGIN * known.std())
        off[column] = (known.mean() - mean, low - mean, high - mean)
    agree = sum(answer == "yes" for answer in answers.values())
    listed = ", ".join(f"{label(column)} {_number(scores[column].mean())}" for column in means)
    why = "difference from the paper's mean, the largest; interval of each within half an SD of ours: yes; outside: no"
    largest = max(off.values(), key=lambda gap: abs(gap[0]))
    return Outcome(f"{agree} of {len(means)}: {listed}", _worst(list(answers.values())), why, *largest, _told(limits))


def _mean_interval(evidence: Evidence, scores: pd.Series) -> tuple[float, float]:
    return interval(bootstrap_means(scores.to_numpy(), evidence.n_boot, evidence.seed, evidence.clusters(scores.index)))


def _within(low: float, high: float, mean: float, margin: float) -> Answer:
    """Whether an interval lies within a mean ± margin, overlaps that range, or lies outside."""
    bottom, top = mean - margin, mean + margin
    return "yes" if bottom <= low and high <= top else "no" if high < bottom or low > top else "unclear"


def _holds(low: float, high: float, mean: float, tolerance: float) -> Answer:
    """Whether an interval comes within a tolerance of a value."""
    return "yes" if low <= mean + tolerance and high >= mean - tolerance else "no"


CURVES = {"roc": roc_area, "precision_recall": average_precision}


@CHECKS.register("areas")
def areas(evidence: Evidence, of: Mapping[str, float], curve: str = "roc", tolerance: float = 0.0) -> Outcome:
    """How well networks tell images with the finding from others: areas under a curve of their image scores.

    Args:
        of: the paper's areas by network, a name in IMAGE_SCORES.
        curve: a name in CURVES.
        tolerance: what rounding of the paper's areas allows.
    """
    test = evidence.study.images.split("test")
    present, drawn = np.asarray(test.present, bool), _drawn(evidence, test)
    found, answers = {}, []
    for network, stated in of.items():
        estimate, *resampled = CURVES[curve](present, evidence.image_scores(network), drawn)
        low, high = interval(np.array(resampled))
        found[network] = float(estimate), low, high
        answers.append(_holds(low, high, stated, tolerance))
    fewest = min(present.sum(), (~present).sum())
    limit = "" if fewest >= LEAST_IMAGES else f"{few(fewest, 'image')} of one kind"
    ours = ", ".join(f"{label(network)} {_number(area)}" for network, (area, *_) in found.items())
    furthest = max(found, key=lambda network: abs(found[network][0] - of[network]))
    why = "area, of several the furthest from the paper's; interval holds the paper's value: yes"
    why += f", within {tolerance:g}" if tolerance else ""
    return Outcome(ours, TOO_SMALL if limit else _worst(answers), why, *found[furthest], limit)


def _drawn(evidence: Evidence, test: Split) -> np.ndarray:
    """How often test images, or what they belong to, are drawn (1 + resamples, n): each once, then with replacement.
    Resamples without an image of one kind are left out."""
    present, clusters = np.asarray(test.present, bool), evidence.clusters(pd.Index(test.ids))
    members = np.arange(len(present)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = members.max() + 1
    shares = np.random.default_rng(evidence.seed).multinomial(units, np.full(units, 1 / units), size=evidence.n_boot)
    weights = shares[:, members]
    both = (weights[:, present].sum(axis=1) > 0) & (weights[:, ~present].sum(axis=1) > 0)
    return np.vstack([np.ones(len(present), int), weights[both]])


@CHECKS.register("ranks")
def ranks(evidence: Evidence, table: str, values: Mapping[str, float]) -> Outcome:
    """The methods come in the paper's order: Spearman's correlation of their means with the paper's.

    Methods are the unit here, for they are few: the interval is that of Bonett & Wright (2000), Fisher's z with
    variance (1 + r^2 / 2) / (n - 3).
    """
    means, limits = evidence.table(table)[list(values)].mean(), _limits(evidence, *((table, name) for name in values))
    estimate = float(spearmanr(means, list(values.values())).statistic)
    half = 1.96 * sqrt((1 + estimate**2 / 2) / (len(means) - 3))
    low, high = np.tanh(np.arctanh(np.clip(estimate, -1 + 1e-12, 1 - 1e-12)) + np.array([-half, half]))
    why = "rank correlation, its interval by method; above 0: yes, below: no"
    word = TOO_SMALL if limits else _by_interval(low, high)
    return Outcome(_number(estimate, "+"), word, why, estimate, low, high, _told(limits))


@CHECKS.register("verdicts")
def verdicts(
    evidence: Evidence, criterion: str, baseline: str, passed: Sequence[str], among: Sequence[str] | None = None
) -> Outcome:
    """A column of Table 2: the same methods pass, and all others fail."""
    cells = _table_2(evidence).query("criterion == @criterion and baseline == @baseline").set_index("method")
    cells = cells.loc[among] if among else cells
    off = cells[cells["verdict"] != np.where(cells.index.isin(passed), "PASS", "FAIL")]
    in_doubt = _in_doubt(off)
    ours = f"{len(cells) - len(off)} of {len(cells)} cells alike"
    if len(off):
        texts = [f"{label(m)} {off.loc[m, 'verdict']}{'?' if in_doubt[m] else ''}" for m in off.index]
        ours += f"; here {', '.join(texts)}"
    word = "yes" if off.empty else "unclear"
    word = TOO_SMALL if cells["limited"].any() else word
    word = "no" if (~in_doubt & ~off["limited"]).any() else word
    why = "all cells alike: yes; only cells differ whose interval holds 0 (?): unclear"
    return Outcome(ours, word, why, limit=_told(merged(*cells["limits"])))


def _table_2(evidence: Evidence) -> pd.DataFrame:
    return _cells(evidence, evidence.verdicts)


def _cells(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells, with whether the run cannot tell (limited), and why (limits, by method and baseline)."""
    limits = []
    for cell in cells.itertuples():
        apart = cell.baseline in TABLES  # the threshold has a table of its own, with a column for each method
        beside = (cell.baseline, cell.method) if apart else (cell.criterion, cell.baseline)
        limits.append(_limits(evidence, (cell.criterion, cell.method), beside))
    return cells.assign(limits=limits, limited=[bool(found) for found in limits])


@CHECKS.register("none_passes")
def none_passes(evidence: Evidence) -> Outcome:
    """No method passes every comparison of Table 2."""
    return none_of(evidence, evidence.verdicts)


def none_of(evidence: Evidence, cells: pd.DataFrame) -> Outcome:
    """No method passes every comparison. cells: as from `judge`; their criteria are names in TABLES."""
    cells = _cells(evidence, cells)
    known = ~cells["limited"]
    passed = cells["verdict"] == "PASS"
    by_method = [cells["method"]]
    every = passed.groupby(by_method, sort=False).all()
    clearly = (passed & ~_in_doubt(cells) & known).groupby(by_method, sort=False).all()
    failed = ((cells["verdict"] == "FAIL") & known).groupby(by_method, sort=False).any()
    ours = f"{every.sum()} of {len(every)} pass all" + "".join(f", {label(method)}" for method in every.index[every])
    open_ones = cells[~cells["method"].isin(failed.index[failed])]
    word = "no" if clearly.any() else "yes" if failed.all() else TOO_SMALL if open_ones["limited"].any() else "unclear"
    why = "no method passes all: yes; one does, every interval without 0: no"
    return Outcome(ours, word, why, limit=_told(merged(*open_ones["limits"])))


@CHECKS.register("most_fail")
def most_fail(evidence: Evidence) -> Outcome:
    """More than half of the cells of Table 2 say FAIL."""
    cells = _table_2(evidence)
    failed, in_doubt = cells["verdict"] == "FAIL", _in_doubt(cells) | cells["limited"]
    low, high = (failed & ~in_doubt).mean(), (failed | in_doubt).mean()
    word = _by_interval(low, high, 0.5)
    word = TOO_SMALL if word == "unclear" and cells["limited"].any() else word
    why = "share of FAIL; its bounds: those beyond doubt, all that may be; above half: yes, below: no"
    ours = f"{failed.sum()} of {len(cells)} cells"
    return Outcome(ours, word, why, failed.mean(), low, high, _told(merged(*cells["limits"])))


def _in_doubt(cells: pd.DataFrame) -> pd.Series:
    return ((cells["ci_low"] <= 0) & (cells["ci_high"] >= 0)) | (cells["verdict"] == "UNDECIDED")


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
    limit = _told(evidence.limits("recall"))
    word = TOO_SMALL if limit else "yes" if below.mean() > 0.5 else "no"
    ours, why = f"{below.sum()} of {len(below)} curves", "share of the curves; above half: yes"
    return Outcome(ours, word, why, below.mean(), limit=limit)


@CHECKS.register("roc_rate")
def roc_rate(evidence: Evidence, method: str) -> Outcome:
    """A method's recall grows most for each step of its false positive rate, from the first threshold to the last, on
    every network."""
    ends = evidence.roc.groupby(["network", "method"], sort=False)[["fpr", "recall"]].agg(["first", "last"])
    grown = {score: ends[score]["last"] - ends[score]["first"] for score in ("recall", "fpr")}
    places = (grown["recall"] / grown["fpr"]).groupby("network", sort=False).rank(ascending=False)
    places = places.xs(method, level="method")
    limit = _told(evidence.limits("recall"))
    word = TOO_SMALL if limit else "yes" if (places == 1).all() else "no" if (places > 1).all() else "unclear"
    ours = ", ".join(f"{label(network)}: place {place:.0f}" for network, place in places.items())
    why = "mean place by the rate; first on every network: yes, on none: no"
    return Outcome(ours, word, why, places.mean(), limit=limit)


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
    """A column in words: a method, an alarm, a network, or "<network>/<method of Tjoa & Guan, score or channel>", or
    "<finding>/<alarm>"."""
    from saltrust.methods.registry import METHODS
    from saltrust.models.architectures import ARCHITECTURES
    from saltrust.study.five_band import TITLES

    network, _, method = column.partition("/")
    if method:
        return f"{TITLES.get(method) or label(method)} on {label(network)}"
    names = {"average": "AVG", "main": "main network", "other": "other network"}
    names |= {"copies": "changed copies"}
    names |= {"main_random": "main network, random", "other_random": "other network, random"}
    names |= {name: architecture.title for name, architecture in ARCHITECTURES.items()}
    names |= {name: method.abbreviation for name, method in METHODS.items()}
    return names.get(column, column)


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "\N{MINUS SIGN}")
