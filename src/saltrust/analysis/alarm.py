"""Can a map raise an alarm? What doubts are worth on a network's predictions of several findings (Shu et al. 2024).

The paper's alarm flags a prediction that its doubt calls wrong, and swaps it. Two questions are kept apart here: what
that does to F1, as in the paper, and how well a doubt tells wrong predictions from right ones, whatever is then done.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.progress import track
from saltrust.methods.registry import METHODS
from saltrust.scores.alarm import Alarm, choose, f1, f1_threshold, flips, published_grid, swapped, youden
from saltrust.stats.bootstrap import times_drawn
from saltrust.stats.selective import adds_to, differences, holm, intervals, mcnemar
from saltrust.study.doubts import DOUBTS, doubts_for, missing, with_further
from saltrust.study.multilabel import FROM_MAPS, JUDGED, MultilabelStudy

NO_ALARM, BEST_F1 = "no_alarm", "f1_threshold"
TITLES = {NO_ALARM: "no alarm", BEST_F1: "threshold of the best F1"}
MEAN = "mean"  # over the findings, in the place of a finding
MARGIN = "margin"  # the doubt that the others are compared with: it needs the output alone
IN_FIGURES = ("ixg", "lrp", "margin", "entropy", "ensemble", "neighbours", "random_network", "lot")
PUBLISHED_RESAMPLES = 30  # of the paper's box plot
KINSHIP = {
    "input_x_gradient": "LRP is left out here.",
    "lrp": "With a small epsilon and the ε-rule in every layer, LRP is Input × Gradient on a network of convolutions, "
    "ReLU and pooling, as far as its biases allow. So the two alarms are nearly one. The paper's maps are those of "
    "captum, which sees modules alone, and are others: the protocols published and as_run have them.",
    "captum:lrp": "These maps are made with captum, as the paper's are. It puts its rules on modules, and passes a "
    "gradient through all that a network calls as a function. DenseNet121 ends in such calls: a ReLU, a mean over the "
    "places, and a flattening. So behind the mean, every place above zero gets the same share of the relevance, "
    "whatever its value; and the rule before it divides that share by the value, which may be next to nothing.",
}
"""How the maps of the second alarm are related to those of the first, by its method."""


def title_of(method: str) -> str:
    """What an alarm is called in tables."""
    return TITLES.get(method) or with_further([method] if method in METHODS else [])[method].title


# --- the networks' answers --------------------------------------------------------------------------------------------


def answers(study: MultilabelStudy) -> pd.DataFrame:
    """How well each finding is told.

    Returns:
        One row for each finding: finding, images, with_it, auc, threshold (as a probability), sensitivity, specificity,
        f1 and wrong (the number of wrong predictions), all of the test images.
    """
    from scipy.special import expit
    from sklearn.metrics import roc_auc_score

    logits, present, predicted = study.logits("test"), study.present("test"), study.predicted("test")
    rows = []
    for k, finding in enumerate(study.findings):
        there, said = present[:, k], predicted[:, k]
        rows.append(
            {
                "finding": finding,
                "images": len(there),
                "with_it": int(there.sum()),
                "auc": roc_auc_score(there, logits[:, k]),
                "threshold": float(expit(study.thresholds[k])),
                "sensitivity": said[there].mean(),
                "specificity": (~said[~there]).mean(),
                "f1": f1(said, there),
                "wrong": int((said != there).sum()),
            }
        )
    return pd.DataFrame(rows)


# --- the paper's alarm ------------------------------------------------------------------------------------------------


def doubts_of(study: MultilabelStudy, further: Sequence[str] = ()) -> dict[str, dict[str, np.ndarray]]:
    """Every doubt (n, k) that is to be had for the network, by its name and the split.

    Args:
        study: of the network.
        further: methods, names in METHODS, whose maps raise an alarm besides.

    Raises:
        SaltrustError: none of the paper's two alarms is to be had.
    """
    found = doubts_for(study, further)
    if not from_maps(found):
        reasons = missing(study)
        told = "; ".join(f"{method}: {reasons[name]}" for name, method in study.alarm_methods.items())
        raise SaltrustError(f"no map can raise an alarm on {study.title}: {told}")
    return {name: {split: doubt.of(study, split) for split in JUDGED} for name, doubt in found.items()}


def from_maps(names: Collection[str]) -> list[str]:
    """Of some alarms those of the paper that compare maps.

    >>> from_maps(["entropy", "lrp"])
    ['lrp']
    """
    return [name for name in FROM_MAPS if name in names]


def of_each(what: str, values: pd.Series) -> dict[str, object]:
    """What prose quotes of each alarm.

    Args:
        what: it is, a word, which begins the names.
        values: by alarm; those that are left out have none.

    Returns:
        The value of each alarm by "<what>_<alarm>", NaN of one that is left out.

    >>> quoted = of_each("f1", pd.Series({"ixg": 0.5}))
    >>> float(quoted["f1_ixg"]), quoted["f1_lrp"]
    (0.5, nan)
    """
    return {f"{what}_{name}": values.get(name, np.nan) for name in DOUBTS}


def left_out(study: MultilabelStudy, further: Sequence[str] = ()) -> str:
    """Which doubts are not to be had for the network, and why, in a sentence; "" where there is none."""
    by_reason: dict[str, list[str]] = {}
    for name, why in missing(study, further).items():
        by_reason.setdefault(why, []).append(title_of(name))
    told = "; ".join(f"{', '.join(titles)} ({why})" for why, titles in by_reason.items())
    return f"Left out: {told}." if told else ""


def alarms(study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]], exact: bool = True) -> pd.DataFrame:
    """What each alarm does to the test images: its threshold is chosen on the validation images, for the best F1.

    Args:
        study: of the network.
        doubts: as from `doubts_of`.
        exact: whether every threshold is tried, or those on the paper's grid of 0.001.

    Returns:
        One row for each alarm and finding, and the mean over the findings: method, finding, f1, f1_no_alarm, tau (in
        units of the doubt, NaN where nothing is flagged), flagged, flipped_right, flipped_wrong. Of no alarm, and of
        the threshold of the best F1 in the place of Youden's, flipped says what they change beside Youden's.
    """
    rows = []
    for k, finding in enumerate(study.findings):
        val, test = _Answers.of(study, "val", k), _Answers.of(study, "test", k)
        rows.append(_row(NO_ALARM, finding, test, np.zeros(len(test.present), bool), None))
        best = f1_threshold(val.logits, val.present)
        rows.append(_row(BEST_F1, finding, test, (test.logits >= best) != test.predicted, best))
        for name, of in doubts.items():
            alarm = _chosen(of["val"][:, k], val, exact)
            rows.append(_row(name, finding, test, alarm.flagged(of["test"][:, k]), alarm.tau))
    table = pd.DataFrame(rows)
    summed = ["flagged", "flipped_right", "flipped_wrong"]
    by = table.groupby("method", sort=False)
    means = by[["f1", "f1_no_alarm"]].mean().join(by[summed].sum()).reset_index().assign(finding=MEAN)
    return pd.concat([table, means], ignore_index=True)[[*table.columns]]


def flags(study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Which answers on the test images each alarm flags (n, k). doubts: as from `doubts_of`, or some of them."""
    findings = range(len(study.findings))
    _, alarms = _thresholds(study, doubts, [_Answers.of(study, "val", k) for k in findings], None)
    return {
        name: np.stack([alarms[k][name].flagged(doubt["test"][:, k]) for k in findings], axis=1)
        for name, doubt in doubts.items()
    }


class _Answers:
    """What a network says of one finding, and what is true."""

    def __init__(self, logits: np.ndarray, present: np.ndarray, threshold: float):
        self.logits, self.present, self.predicted = logits, present, logits >= threshold

    @classmethod
    def of(cls, study: MultilabelStudy, split: str, k: int) -> "_Answers":
        return cls(study.logits(split)[:, k], study.present(split)[:, k], study.thresholds[k])

    def drawn(self, times: np.ndarray, threshold: float) -> "_Answers":
        """Those of a resample. times: how often each image is in it."""
        return _Answers(np.repeat(self.logits, times), np.repeat(self.present, times), threshold)


def _chosen(doubt: np.ndarray, val: _Answers, exact: bool) -> Alarm:
    return choose(doubt, val.predicted, val.present, None if exact else _grid(doubt))


def _grid(doubt: np.ndarray) -> np.ndarray:
    """The paper's thresholds. A doubt that falls with what was measured is tried from the measure's 0 up, too."""
    largest = np.nanmax(np.abs(doubt), initial=0.0)
    grid = published_grid(largest, max(0.001, largest / 1e6))
    return -grid if np.nanmin(doubt, initial=0.0) < 0 else grid


def _row(method: str, finding: str, test: _Answers, flagged: np.ndarray, tau: float | None) -> dict[str, object]:
    right, wrong = flips(test.predicted, flagged, test.present)
    return {
        "method": method,
        "finding": finding,
        "f1": f1(swapped(test.predicted, flagged), test.present),
        "f1_no_alarm": f1(test.predicted, test.present),
        "tau": np.nan if tau is None else tau,
        "flagged": int(flagged.sum()),
        "flipped_right": right,
        "flipped_wrong": wrong,
    }


# --- resamples --------------------------------------------------------------------------------------------------------


def resampled_f1(
    study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]], n_boot: int, nested: bool
) -> pd.DataFrame:
    """Mean F1 over the findings in resamples of the images, by alarm.

    Args:
        study: of the network.
        doubts: as from `doubts_of`.
        n_boot: number of resamples; the paper has 30.
        nested: whether the validation images are drawn again, too, and all thresholds chosen anew. Without it, as in
            the paper, chance in the thresholds is left out.

    Returns:
        A row for each resample and a column for each alarm.
    """
    answers, times = _answers_and_draws(study, n_boot)
    fixed = None if nested else _thresholds(study, doubts, answers["val"], None)
    rows = []
    for number in track(range(n_boot), "resamples"):
        drawn = times["val"][number] if nested else None
        cuts, alarms = fixed or _thresholds(study, doubts, answers["val"], drawn)
        rows.append(_f1_of(answers["test"], doubts, cuts, alarms, times["test"][number]))
    return pd.DataFrame(rows)


def _answers_and_draws(study: MultilabelStudy, n_boot: int) -> tuple[dict, dict]:
    """By split, what is said of each finding, and how often each image is in each resample (n_boot, n)."""
    findings, seed = range(len(study.findings)), study.study.seed
    answers = {split: [_Answers.of(study, split, k) for k in findings] for split in JUDGED}
    times = {split: times_drawn(len(study.split(split)), n_boot, seed + place, study.clusters(split))
             for place, split in enumerate(JUDGED)}  # fmt: skip
    return answers, times


def _thresholds(study, doubts, val: list[_Answers], times: np.ndarray | None):
    """Of each finding Youden's threshold and that of the best F1, and the alarms; of a resample where it is given."""
    cuts, alarms = [], []
    for k, found in enumerate(val):
        drawn = np.ones(len(found.present), int) if times is None else times
        if len(np.unique(np.repeat(found.present, drawn))) < 2:  # no threshold can be chosen: keep that of all
            drawn = np.ones(len(found.present), int)
        logits, present = np.repeat(found.logits, drawn), np.repeat(found.present, drawn)
        cuts.append((youden(logits, present), f1_threshold(logits, present)))
        of = found.drawn(drawn, cuts[-1][0])
        own = {name: np.repeat(doubt["val"][:, k], drawn) for name, doubt in doubts.items()}
        alarms.append({name: _chosen(doubt, of, True) for name, doubt in own.items()})
    return cuts, alarms


def _f1_of(test: list[_Answers], doubts, cuts, alarms, times: np.ndarray) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in (NO_ALARM, BEST_F1, *doubts)}
    for k, (one, (cut, best)) in enumerate(zip(test, cuts, strict=True)):
        of = one.drawn(times, cut)
        found[NO_ALARM].append(f1(of.predicted, of.present))
        found[BEST_F1].append(f1(of.logits >= best, of.present))
        for name, doubt in doubts.items():
            flagged = alarms[k][name].flagged(np.repeat(doubt["test"][:, k], times))
            found[name].append(f1(swapped(of.predicted, flagged), of.present))
    return {name: float(np.mean(values)) for name, values in found.items()}


def repeated(
    study: MultilabelStudy,
    doubts: Mapping[str, Mapping[str, np.ndarray]],
    n_boot: int,
    drawn: int = PUBLISHED_RESAMPLES,
) -> pd.DataFrame:
    """The paper's whole experiment, and how it would have come out on other images.

    The experiment: thresholds chosen on the validation images, the mean F1 over the findings on the test images, and a
    box plot of it from test images drawn again. In a resample, both splits are drawn before all that.

    Args:
        study: of the network.
        doubts: as from `doubts_of`, or some of them.
        n_boot: number of resamples.
        drawn: how many times each experiment draws its test images again.

    Returns:
        The experiment itself in the first row, then a row for each resample. Columns (statistic, alarm): "f1" on the
        test images, "first_quartile" and "median" of the box plot.
    """
    findings, (answers, times) = range(len(study.findings)), _answers_and_draws(study, n_boot)
    rng, present = np.random.default_rng((study.study.seed, n_boot)), study.present("test")
    rows = []
    for number in track(range(n_boot + 1), "the experiment again"):
        val = times["val"][number - 1] if number else None
        test = times["test"][number - 1] if number else np.ones(len(present), int)
        cuts, alarms = _thresholds(study, doubts, answers["val"], val)
        weights = np.vstack([test, _drawn_again(test, drawn, rng, study.clusters("test"))])
        row = {}
        for name, doubt in doubts.items():
            said = np.stack([
                swapped(answers["test"][k].logits >= cuts[k][0], alarms[k][name].flagged(doubt["test"][:, k]))
                for k in findings
            ], axis=1)  # fmt: skip
            scores = _mean_f1(said, present, weights)
            row |= {("f1", name): scores[0], ("first_quartile", name): np.quantile(scores[1:], 0.25)}
            row |= {("median", name): np.median(scores[1:])}
        rows.append(row)
    found = pd.DataFrame(rows)
    return found.set_axis(pd.MultiIndex.from_tuples(found.columns), axis=1).sort_index(axis=1)


def _drawn_again(times: np.ndarray, number: int, rng: np.random.Generator, clusters: np.ndarray | None) -> np.ndarray:
    """How often each image is in each of some resamples (number, n) of a resample. times: how often it is in that."""
    images = np.arange(len(times)) if clusters is None else clusters
    _, first, members = np.unique(images, return_index=True, return_inverse=True)
    units = times[first]
    return rng.multinomial(units.sum(), units / units.sum(), size=number)[:, members]


def _mean_f1(said: np.ndarray, present: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean F1 over the findings (r,), where images (n, k) count with weights (r, n)."""
    hits, named = weights @ (said & present), weights @ said.astype(int) + weights @ present.astype(int)
    return np.divide(2 * hits, named, out=np.zeros(hits.shape), where=named > 0).mean(axis=1)


def gains(resampled: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """What each alarm adds to the mean F1 of no alarm.

    Args:
        resampled: as from `resampled_f1`.
        table: as from `alarms`.

    Returns:
        One row for each alarm but none: method, f1, gain (its mean F1 minus that of no alarm), ci_low, ci_high (95 %
        percentile interval over the resamples).
    """
    mean = table[table["finding"] == MEAN].set_index("method")
    rows = []
    for method in resampled.columns.drop(NO_ALARM):
        low, high = np.quantile(resampled[method] - resampled[NO_ALARM], (0.025, 0.975))
        own = mean.loc[method]
        rows.append({"method": method, "f1": own["f1"], "gain": own["f1"] - own["f1_no_alarm"],
                     "ci_low": low, "ci_high": high})  # fmt: skip
    return pd.DataFrame(rows)


# --- selective prediction ---------------------------------------------------------------------------------------------


def selective(
    study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]], n_boot: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How well each doubt tells wrong predictions of the test images from right ones.

    Args:
        study: of the network.
        doubts: as from `doubts_of`.
        n_boot: resamples behind an interval, of images, or of patients where the data names them.

    Returns:
        One row for each doubt and finding: score, finding, and the columns of `stats.selective.intervals`; and each
        doubt beside the margin, as from `stats.selective.differences`, with its finding, p adjusted over the findings
        by Holm.
    """
    seed, tables, compared = study.study.seed, [], []
    wrong = study.predicted("test") != study.present("test")
    for k, finding in enumerate(study.findings):
        own = {name: of["test"][:, k] for name, of in doubts.items()}
        given = wrong[:, k], study.clusters("test"), n_boot, seed
        tables.append(intervals(own, *given).assign(finding=finding))
        compared.append(differences(own, wrong[:, k], MARGIN, *given[1:]).assign(finding=finding))
    table = pd.concat(tables, ignore_index=True)
    beside = pd.concat(compared, ignore_index=True)
    beside = beside[beside["measure"] == "auroc"].reset_index(drop=True)
    beside["p_holm"] = beside.groupby("score")["p"].transform(holm)
    first = ["score", "finding"]
    return table[[*first, *table.columns.drop(first)]], beside[[*first, *beside.columns.drop([*first, "measure"])]]


def added(study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Whether the maps' likeness says more about wrong predictions than the margin does.

    Returns:
        One row for each doubt of the paper made from maps, and finding: score, finding, statistic, p (likelihood ratio
        of two logistic regressions, with a random intercept for each patient where the data names them), coefficient
        (in log odds for one standard deviation), images, reason.
    """
    wrong, patients = study.predicted("test") != study.present("test"), study.clusters("test")
    rows = []
    for name in from_maps(doubts):
        for k, finding in enumerate(study.findings):
            found = adds_to(wrong[:, k], doubts[MARGIN]["test"][:, k], doubts[name]["test"][:, k], patients)
            rows.append({"score": name, "finding": finding, "statistic": found.statistic, "p": found.p,
                         "coefficient": found.coefficients[0], "images": found.n, "reason": found.reason})  # fmt: skip
    return pd.DataFrame(rows)


def added_to_all(study: MultilabelStudy, doubts: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """The same over all findings together, by a mixed model of a row for each answer, image and finding.

    wrong ~ finding + finding x margin, without the likeness and with it, and a random intercept for each patient: for
    each image where no patients are named. So a difficult film counts once, and not once for each finding. Margin and
    likeness are in standard deviations of their finding.

    Returns:
        One row for each doubt of the paper made from maps: score, coefficient (in log odds for one standard deviation),
        statistic, p, p_independent (without random intercepts), spread (standard deviation of these, in log odds),
        answers, patients, reason.
    """
    wrong, patients = study.predicted("test") != study.present("test"), study.clusters("test")
    n, k = wrong.shape
    patients = np.repeat(np.arange(n) if patients is None else patients, k)
    finding = np.tile(np.eye(k), (n, 1))
    base = np.hstack([finding[:, 1:], finding * _by_finding(doubts[MARGIN]["test"])])
    rows = []
    for name in from_maps(doubts):
        given = wrong.ravel(), base, _by_finding(doubts[name]["test"])
        found = adds_to(*given, patients)
        rows.append({"score": name, "coefficient": found.coefficients[0], "statistic": found.statistic, "p": found.p,
                     "p_independent": adds_to(*given).p, "spread": found.spread, "answers": found.n,
                     "patients": len(np.unique(patients)), "reason": found.reason})  # fmt: skip
    return pd.DataFrame(rows)


def _by_finding(doubt: np.ndarray) -> np.ndarray:
    """A doubt (n, k) in standard deviations of its finding, a row for each answer (n * k, 1)."""
    spread = np.nanstd(doubt, axis=0)
    return np.divide(doubt - np.nanmean(doubt, axis=0), spread, where=spread > 0, out=0 * doubt).reshape(-1, 1)


def all_together(table: pd.DataFrame) -> str:
    """What the mixed models say, in a sentence. table: as from `added_to_all`."""
    told = [
        f"{title_of(row.score)}: {row.reason}"
        if row.reason
        else f"{title_of(row.score)}: {written(row.coefficient, '+.2f')} log odds for one standard deviation, "
        f"likelihood ratio {row.statistic:.1f}, p = {row.p:.2g}"
        for row in table.itertuples()
    ]
    return f"{'; '.join(told)}."


def flipped(table: pd.DataFrame) -> pd.DataFrame:
    """The swapped predictions of each alarm over all findings, and whether more became right than wrong.

    Args:
        table: as from `alarms`.

    Returns:
        One row for each alarm that flags any: method, flagged, flipped_right, flipped_wrong, p (McNemar, exact).
    """
    rows = table[(table["finding"] == MEAN) & (table["flagged"] > 0)]
    found = rows[["method", "flagged", "flipped_right", "flipped_wrong"]].reset_index(drop=True)
    p = [
        mcnemar(np.r_[np.zeros(right, int), np.ones(wrong, int)], np.r_[np.ones(right, int), np.zeros(wrong, int)]).p
        for right, wrong in zip(found["flipped_right"], found["flipped_wrong"], strict=True)
    ]
    return found.assign(p=p)


def answer(gained: pd.DataFrame, found: pd.DataFrame, beside: pd.DataFrame) -> str:
    """The finding of the chapter, in two or three sentences that the numbers choose.

    Args:
        gained: as from `gains`.
        found: as from `selective`, its first table.
        beside: the second.
    """
    own = gained.set_index("method")
    maps = from_maps(own.index)
    helps = [name for name in maps if own.loc[name, "ci_low"] > 0]
    harms = [name for name in maps if own.loc[name, "ci_high"] < 0]
    best = own.loc[maps, "gain"].idxmax()
    span = "{} ({} to {})".format(*(written(own.loc[best, name], "+.3f") for name in ("gain", "ci_low", "ci_high")))
    if helps:
        first = f"An alarm from maps raises the mean F1: that of {title_of(best)} by {span}."
    elif len(harms) == len(maps):
        which = f"the better of the two, {title_of(best)}," if len(maps) > 1 else title_of(best)
        first = f"An alarm from maps lowers the mean F1; {which} changes it by {span}."
    else:
        first = f"No alarm from maps demonstrably raises the mean F1; {title_of(best)} changes it by {span}."
    significant = beside[beside["score"].isin(maps) & (beside["p_holm"] < 0.05)]
    better, worse = (int((sign * significant["difference"] > 0).sum()) for sign in (1, -1))
    auroc, trials = found.groupby("score")["auroc"].mean(), int(beside["score"].isin(maps).sum())
    rival = f"{auroc[MARGIN]:.2f} for the nearness of the output to its threshold"
    if better and worse:
        judged = f"better in {better} of {trials} comparisons, and worse in {worse}"
    elif better or worse:
        judged = f"{'better' if better else 'worse'} in {better or worse} of {trials} comparisons"
    else:
        judged = "which is no demonstrable difference"
    second = f"In finding wrong answers maps have a mean AUROC of {max(auroc[maps]):.2f}, against {rival}: {judged}."
    third = ""
    gain = own.loc[BEST_F1, "gain"]
    if gain > 0 and gain >= own.loc[best, "gain"]:
        third = f" A threshold that is chosen for F1 in the first place gains {written(gain, '+.3f')}, without any map."
    return f"{first} {second}{third}"
