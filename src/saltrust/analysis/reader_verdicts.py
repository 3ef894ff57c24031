"""Verdicts on maps beside readers: weak ones against edges and fixed numbers, strong ones against the readers.

By the rule of the study (protocols with the rule "mean"): a map passes a weak test where it is significantly better
than its reference, and a strong one unless it is significantly worse than the readers, so that few images help. By
ours (the rule "interval"): it passes a strong test where it is no worse than the readers by more than a margin.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp, ttest_ind

from saltrust.core.outcomes import FAIL, OUTCOMES, PASS, UNDECIDED
from saltrust.stats.bootstrap import difference
from saltrust.stats.equivalence import equivalence
from saltrust.study.readers import EDGES, ReaderStudy

LEVEL = 0.05
LOWER_IS_BETTER = ("pixel_error",)
REFERENCE_OF = {"utility": ("consensus", "others"), "repeatability": ("consensus", "pairwise")}
REFERENCE_OF["reproducibility"] = REFERENCE_OF["repeatability"]
"""What readers may be held against, by criterion: the study's, in which each agrees with himself, and a like one."""
CELL = ["method", "criterion", "baseline"]


@dataclass(frozen=True)
class Comparison:
    """One score of a method's maps beside what it must reach.

    Attributes:
        method: that is judged.
        criterion: "utility", "sensitivity", "repeatability" or "reproducibility".
        strength: "weak" or "strong".
        score: what is compared.
        against: whose scores the reference has.
        values: of the method (n,).
        reference: the same of the same images (n,), or one number.
        clusters: what the images belong to (n,), None where each stands for itself.
    """

    method: str
    criterion: str
    strength: str
    score: str
    against: str
    values: np.ndarray
    reference: np.ndarray | float
    clusters: np.ndarray | None

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is: of errors, and of the likeness to a random network's maps."""
        return -1 if self.score in LOWER_IS_BETTER or self.criterion == "sensitivity" else 1


def judged(comparison: Comparison, rule: str, margin: float | None, n_boot: int, seed: int) -> dict[str, object]:
    """A comparison with its verdict.

    Args:
        comparison: what is compared.
        rule: "mean" for the study's rule, "interval" for ours.
        margin: by how much a map may be worse than the readers by our rule.
        n_boot: resamples of an interval.
        seed: of the resamples.

    Returns:
        method, criterion, strength, score, against; value and reference (means of the images that have both),
        difference, ci_low, ci_high (its 95 % bootstrap interval), p (of the study's t-test) and verdict, in OUTCOMES.
    """
    c = comparison
    values, reference = np.asarray(c.values, float), np.broadcast_to(np.asarray(c.reference, float), len(c.values))
    known = ~np.isnan(values - reference)
    row = {name: getattr(c, name) for name in ("method", "criterion", "strength", "score", "against")}
    if known.sum() < 2:
        numbers = dict.fromkeys(("value", "reference", "difference", "ci_low", "ci_high", "p"), np.nan)
        return row | numbers | {"verdict": UNDECIDED}
    values, reference = values[known], reference[known]
    clusters = None if c.clusters is None else c.clusters[known]
    given = {"paired": True, "n_boot": n_boot, "seed": seed, "clusters": clusters}
    gap = difference(values, reference, **given)
    row |= {"value": values.mean(), "reference": reference.mean()} | gap
    row["p"] = p_of(c.sign * values, c.sign * reference, c.strength)
    if rule == "mean":
        worse = c.sign * gap["difference"] < 0
        passed = row["p"] < LEVEL if c.strength == "weak" else not (row["p"] < LEVEL and worse)
        return row | {"verdict": PASS if passed else FAIL}
    low, high = sorted((c.sign * gap["ci_low"], c.sign * gap["ci_high"]))
    if c.strength == "weak":
        return row | {"verdict": PASS if low > 0 else FAIL if high < 0 else UNDECIDED}
    no_worse = equivalence(c.sign * values, c.sign * reference, margin, **given).non_inferior
    return row | {"verdict": PASS if no_worse else FAIL if high < -margin else UNDECIDED}


def p_of(values: np.ndarray, reference: np.ndarray, strength: str) -> float:
    """p of the study's test, by Student's t, in which images count as independent.

    Args:
        values: the more the better (n,).
        reference: what they are compared with (n,); of a number, it n times.
        strength: "weak" for one side, that the values are higher; "strong" for both sides.

    Returns:
        p; of samples that do not vary, 0 where they differ on that side and 1 where they do not.

    Source:
        Venkatesh et al. 2024, and their code.

    >>> p_of(np.array([1.0, 1.0]), np.array([0.5, 0.5]), "weak")
    0.0
    """
    gap = values.mean() - reference.mean()
    if np.ptp(values) == 0 and np.ptp(reference) == 0:
        return float(not (gap > 0 or (strength == "strong" and gap < 0)))
    side = "greater" if strength == "weak" else "two-sided"
    if np.ptp(reference) == 0:
        return float(ttest_1samp(values, reference[0], alternative=side).pvalue)
    return float(ttest_ind(values, reference, alternative=side).pvalue)


def comparisons(
    reading: ReaderStudy,
    methods: Sequence[str],
    marked: pd.DataFrame,
    between: pd.DataFrame,
    cascade: Mapping[str, pd.DataFrame],
) -> Iterator[Comparison]:
    """All that is compared, of methods in the protocol's mode.

    Args:
        reading: whose readers they are.
        methods: names in METHODS.
        marked: scores of maps and readers, as from `ReaderStudy.maps_against` and `readers_against`.
        between: as from `ReaderStudy.between`.
        cascade: by score, as from `ReaderStudy.cascade`.
    """
    area, mode = reading.study.protocol.auprc, reading.choices.mode
    of_maps, of_networks = (frame[frame["mode"] == mode] for frame in (marked, between))
    of_readers = marked[marked["mode"] == "drawn"]
    clusters = reading.clusters
    for method in methods:
        for held in REFERENCE_OF["utility"]:
            own = np.where(reading.judged, values(of_maps, reading.ids, area, held, method), np.nan)
            readers = values(of_readers, reading.ids, area, held)
            if held == reading.choices.reference:
                edges = values(of_maps, reading.ids, area, held, EDGES)
                yield Comparison(method, "utility", "weak", area, EDGES, own, edges, clusters)
            yield Comparison(method, "utility", "strong", area, f"readers, {held}", own, readers, clusters)
        for criterion in reading.study.criteria.partners:
            for score in dict.fromkeys((*reading.choices.likeness, "iou")):  # the study's score beside the protocol's
                own, above = values(of_networks, reading.ids, score, criterion, method), reading.choices.above
                against = "different images" if above is None else f"{above:g}"
                above = reading.thresholds([method], score)[method] if above is None else above
                if score in reading.choices.likeness:
                    yield Comparison(method, criterion, "weak", score, against, own, above, clusters)
                for held in REFERENCE_OF[criterion]:
                    readers = values(of_readers, reading.ids, score, held)
                    yield Comparison(method, criterion, "strong", score, f"readers, {held}", own, readers, clusters)
        for score, frame in cascade.items():
            last = frame["stage"].iloc[-1]
            own = frame[(frame["method"] == method) & (frame["stage"] == last)]
            threshold = reading.thresholds([method], score)[method]
            members = reading.study.images.clusters
            units = None if members is None else np.array([members.get(i, i) for i in own["image"]])
            yield Comparison(
                method, "sensitivity", "weak", score, "different images", own[score].to_numpy(), threshold, units
            )


def values(frame: pd.DataFrame, ids: np.ndarray, score: str, reference: str, rater: str | None = None) -> np.ndarray:
    """One score by image (n,), NaN where an image has none.

    Args:
        frame: of one mode, in the columns of `study.readers`.
        ids: of the images, in order.
        score: its name.
        reference: its name.
        rater: whose it is, None for the mean over all raters.
    """
    own = frame[(frame["score"] == score) & (frame["reference"] == reference)]
    if rater is not None:
        own = own[own["rater"] == rater]
    return own.groupby("image")["value"].mean().reindex(ids).to_numpy()


def verdicts(found: Iterable[Comparison], reading: ReaderStudy, n_boot: int) -> pd.DataFrame:
    """Every comparison with its verdict by the protocol of a study; the columns of `judged`."""
    protocol, margin = reading.study.protocol, reading.choices.margin
    return pd.DataFrame([judged(one, protocol.rule, margin, n_boot, reading.study.seed) for one in found])


def by_criterion(table: pd.DataFrame, reading: ReaderStudy) -> pd.DataFrame:
    """One verdict for each method, criterion and strength: the worst of its scores, by the protocol's references.

    Args:
        table: from `verdicts`.
        reading: whose protocol says what readers are held against.

    Returns:
        Of each the row that decides, with the column baseline in the place of strength and against: "edges", a number,
        "different images" or "readers".
    """
    chosen = {"utility": reading.choices.reference, "repeatability": reading.choices.between}
    chosen["reproducibility"] = chosen["repeatability"]
    held = table["criterion"].map(chosen)
    counts = (table["strength"] == "weak") | (table["against"] == "readers, " + held.fillna(""))
    between = table["criterion"].isin(["repeatability", "reproducibility"])
    counts &= ~between | table["score"].isin(reading.choices.likeness)
    baseline = table["against"].where(table["strength"] == "weak", "readers").replace(EDGES, "edges")
    own = table[counts].assign(baseline=baseline[counts]).drop(columns=["strength", "against"])
    worst = own["verdict"].map(OUTCOMES.index).groupby([own[name] for name in CELL], sort=False).idxmax()
    return own.loc[worst].reset_index(drop=True)


def flips(table: pd.DataFrame) -> pd.DataFrame:
    """Strong verdicts that depend on what readers are held against.

    Args:
        table: from `verdicts`.

    Returns:
        A row for each method, criterion and score: value, of the map; for the study's reference and the like one,
        <reference>_readers (what readers reach) and <reference> (the verdict); flipped, whether the two differ.
    """
    strong, rows = table[table["strength"] == "strong"], []
    for (method, criterion, score), own in strong.groupby(["method", "criterion", "score"], sort=False):
        row = {"method": method, "criterion": criterion, "score": score, "value": own["value"].iloc[0]}
        for title, held in zip(("published", "like"), REFERENCE_OF[criterion], strict=True):
            (one,) = own[own["against"] == f"readers, {held}"].itertuples()
            row |= {f"{title}_readers": one.reference, title: one.verdict}
        rows.append(row | {"flipped": row["published"] != row["like"]})
    return pd.DataFrame(rows)
