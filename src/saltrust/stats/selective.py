"""Selective prediction: a network answers for the images that it doubts least. How often is it wrong there?

A doubt is a number for each image, the larger the more doubtful. An image without one, NaN, is taken as less doubtful
than all others: no alarm can keep it back. Ties count in expectation: images of one doubt come in random order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.stats import chi2
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_table
from statsmodels.stats.multitest import multipletests

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.stats.bootstrap import interval, times_drawn
from saltrust.stats.logistic_mixed import fit_logistic
from saltrust.stats.weighted_areas import roc_area

COVERAGES = (0.8, 0.9, 0.95)
COMPARED = ("auroc", "aurc")  # the excess AURC of two doubts differs as their AURC does: the oracle is one
_BLOCK = 1 << 21  # weights at a time


def risk_coverage(doubt: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The risk-coverage curve: the share of wrong predictions among the least doubtful images.

    Args:
        doubt: doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.

    Returns:
        coverage (n,): 1/n, 2/n, ..., 1. risk (n,): 0 to 1, the expected share of wrong predictions at each coverage
        over the random orders of ties.

    Raises:
        SaltrustError: there is no image, the vectors do not fit, or `wrong` holds anything but 0 and 1.

    Source:
        El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017.

    >>> coverage, risk = risk_coverage(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, True, False, True]))
    >>> coverage.tolist(), risk.round(4).tolist()
    ([0.25, 0.5, 0.75, 1.0], [0.0, 0.25, 0.3333, 0.5])
    """
    sizes, errors = _of_all(doubt, wrong)
    kept = np.arange(1, int(sizes.sum()) + 1)
    return kept / kept[-1], _errors_among(sizes[0], errors[0], kept) / kept


def aurc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean of its risks at coverages 1/n, 2/n, ..., 1.

    A doubt that knows nothing has, in expectation, the error rate.

    Args:
        doubt: doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.

    Returns:
        A number, 0 to 1, the lower the better.

    Raises:
        SaltrustError: as `risk_coverage`.

    Source:
        Geifman, Uziel & El-Yaniv 2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers".
        Other software integrates by trapezoids, and has somewhat different areas for few images.

    >>> aurc(np.array([0.1, 0.5]), np.array([False, True]))
    0.25
    """
    return float(_aurc(*_of_all(doubt, wrong))[0])


def excess_aurc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """AURC minus that of an oracle, which doubts all wrong predictions more than any right one.

    With an error rate r and many images, the oracle has about r + (1 - r) ln(1 - r). A doubt that knows nothing so has
    an excess of about -(1 - r) ln(1 - r), somewhat below r.

    Args:
        doubt: doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.

    Returns:
        A number, 0 to 1; 0 for a doubt as good as the oracle.

    Raises:
        SaltrustError: as `risk_coverage`.

    Source:
        Geifman, Uziel & El-Yaniv 2019 (E-AURC, here with the exact oracle of n images).

    >>> excess_aurc(np.array([0.5, 0.1]), np.array([False, True]))
    0.5
    """
    sizes, errors = _of_all(doubt, wrong)
    return float((_aurc(sizes, errors) - _oracle_aurc(sizes, errors))[0])


def risk_at(doubt: np.ndarray, wrong: np.ndarray, coverages: Sequence[float]) -> np.ndarray:
    """The risk where a share of the images is answered for.

    The fewest images are kept that are at least that share: with 10 images, a coverage of 0.85 keeps 9.

    Args:
        doubt: doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.
        coverages: shares (m,), above 0, up to 1.

    Returns:
        An array (m,), 0 to 1: the expected share of wrong predictions among those kept.

    Raises:
        SaltrustError: a coverage is not above 0 and up to 1; else as `risk_coverage`.

    >>> risk_at(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 0, 1]), [0.7, 1.0]).tolist()
    [0.0, 0.25]
    """
    coverages = np.asarray(coverages, dtype=np.float64)
    if not ((coverages > 0) & (coverages <= 1)).all():
        raise SaltrustError(f"risk at coverages of {coverages.tolist()}: each must be above 0 and at most 1")
    sizes, errors = _of_all(doubt, wrong)
    kept = _kept(sizes.sum(), coverages)
    return _errors_among(sizes[0], errors[0], kept) / kept


def error_auroc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Area under the ROC curve of a doubt for wrong predictions: the pairs where the wrong one is doubted more.

    Args:
        doubt: doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.

    Returns:
        A number, 0 to 1; 0.5 for a doubt that knows nothing. NaN where all or no predictions are wrong.

    Raises:
        SaltrustError: as `risk_coverage`.

    Source:
        Hendrycks & Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples".

    >>> error_auroc(np.array([0.1, 0.2, 0.3]), np.array([False, True, False]))
    0.5
    """
    ranks, wrong = _checked(doubt, wrong)
    return float(_auroc(ranks, wrong, np.ones((1, len(wrong))))[0])


def intervals(
    doubts: Mapping[str, np.ndarray],
    wrong: np.ndarray,
    clusters: np.ndarray | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """How well each of several doubts finds the wrong predictions, with bootstrap intervals.

    All doubts have the same resamples. A resample in which all or no predictions are wrong has no AUROC, and is left
    out of the AUROC's interval.

    Args:
        doubts: name of a score -> its doubts (n,), in any unit; NaN is the least doubtful.
        wrong: (n,), whether the prediction is wrong.
        clusters: what each image belongs to (n,), for example its patient; whole clusters are drawn. None to draw the
            images. Predictions of several findings of one image are one cluster, too.
        n_boot: number of resamples, at least 1.
        seed: of the random draws.

    Returns:
        One row for each score: score; auroc, 0 to 1, with its 95 % percentile interval ci_low, ci_high; aurc,
        excess_aurc, risk_at_80, risk_at_90, risk_at_95, 0 to 1, each with <name>_low, <name>_high; undefined, the
        number of images without a doubt; n, the number of images.

    Raises:
        SaltrustError: no resample is asked for, or clusters do not fit; else as `risk_coverage`.

    Source:
        Efron & Tibshirani 1993, section 13.3 (percentile interval).

    >>> table = intervals({"oracle": np.array([0.0, 1.0, 0.0])}, np.array([False, True, False]), n_boot=20)
    >>> table[["score", "auroc", "excess_aurc", "n"]].values.tolist()
    [['oracle', 1.0, 0.0, 3]]
    """
    rows = []
    for name, (estimates, resampled) in _bootstrapped(doubts, wrong, clusters, n_boot, seed).items():
        row = {"score": name}
        for measure, value in estimates.items():
            ends = ("ci_low", "ci_high") if measure == "auroc" else (f"{measure}_low", f"{measure}_high")
            row |= {measure: value} | dict(zip(ends, _interval(resampled[measure]), strict=True))
        undefined = int(np.isnan(np.asarray(doubts[name], dtype=np.float64)).sum())
        rows.append(row | {"undefined": undefined, "n": len(wrong)})
    return pd.DataFrame(rows)


def differences(
    doubts: Mapping[str, np.ndarray],
    wrong: np.ndarray,
    reference: str,
    clusters: np.ndarray | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each doubt against one of them, paired: both are measured on the same images of every resample.

    Args:
        doubts: as of `intervals`.
        wrong: (n,), whether the prediction is wrong.
        reference: name of the doubt that the others are compared with.
        clusters: as of `intervals`.
        n_boot: number of resamples; p-values cannot fall below 2 / (n_boot + 1).
        seed: of the random draws; with that of `intervals`, the resamples are the same.

    Returns:
        One row for each measure and other score: measure ("auroc": higher is better; "aurc": lower is better), score,
        reference; difference (score minus reference) with its 95 % percentile interval ci_low, ci_high; p, two-sided:
        twice the smaller share of resampled differences on one side of 0, 0 itself on both, the estimate counted in;
        p_holm, adjusted over the scores of one measure. NaN where all or no predictions are wrong.

    Raises:
        SaltrustError: the reference is none of the doubts; else as `intervals`.

    Source:
        Davison & Hinkley 1997, chapter 4 (counting the estimate in); statsmodels' multipletests (Holm).

    >>> doubts = {"good": np.array([0.0, 0.1, 0.9, 0.8]), "bad": np.array([0.9, 0.0, 0.1, 0.2])}
    >>> table = differences(doubts, np.array([False, False, True, True]), "bad", n_boot=20)
    >>> table[["measure", "score", "difference"]].round(4).values.tolist()
    [['auroc', 'good', 0.5], ['aurc', 'good', -0.2083]]
    """
    if reference not in doubts:
        raise unknown_name("score", reference, doubts)
    found = _bootstrapped(doubts, wrong, clusters, n_boot, seed)
    base, base_resampled = found[reference]
    rows = []
    for measure in COMPARED:
        for name, (estimates, resampled) in found.items():
            if name == reference:
                continue
            gaps = resampled[measure] - base_resampled[measure]
            low, high = _interval(gaps)
            row = {"measure": measure, "score": name, "reference": reference}
            row |= {"difference": estimates[measure] - base[measure], "ci_low": low, "ci_high": high}
            rows.append(row | {"p": _two_sided(gaps)})
    columns = ["measure", "score", "reference", "difference", "ci_low", "ci_high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=table.groupby("measure")["p"].transform(holm))


@dataclass(frozen=True)
class Changes:
    """What a change of predictions does, image by image.

    Attributes:
        gained: number of predictions that were wrong and are right.
        lost: number of predictions that were right and are wrong.
        p: of McNemar's exact test that both are as likely, two-sided; 1 where no prediction changes.
    """

    gained: int
    lost: int
    p: float


def mcnemar(before_right: np.ndarray, after_right: np.ndarray) -> Changes:
    """Whether a change makes more predictions right than wrong: McNemar's exact test.

    It takes images as independent: with several of one patient, p is too small.

    Args:
        before_right: (n,), whether the prediction is right before the change.
        after_right: (n,), the same after it.

    Returns:
        The counts and p, 0 to 1.

    Raises:
        SaltrustError: there is no image, the vectors do not fit, or hold anything but 0 and 1.

    Source:
        McNemar 1947; statsmodels' `mcnemar` with exact=True.

    >>> mcnemar(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1]))
    Changes(gained=3, lost=0, p=0.25)
    """
    before = _bools(before_right, "what is right before")
    after = _bools(after_right, "what is right after", len(before))
    gained, lost = int((~before & after).sum()), int((before & ~after).sum())
    table = [[int((before & after).sum()), lost], [gained, int((~before & ~after).sum())]]
    return Changes(gained, lost, float(mcnemar_of_table(table, exact=True).pvalue))


@dataclass(frozen=True)
class Added:
    """What columns add to a logistic regression of wrong predictions.

    Attributes:
        statistic: likelihood ratio, twice the gain in log likelihood, from 0; NaN where there is no result.
        df: number of columns added.
        p: of the statistic under chi-squared with df degrees of freedom; NaN where there is no result.
        coefficients: of the added columns (df,), in log odds of a wrong prediction for one standard deviation.
        n: number of images, those without all values left out.
        reason: why there is no result, in words; "" where there is one.
        spread: standard deviation of the groups' intercepts in the larger model, in log odds; 0 without groups.
    """

    statistic: float
    df: int
    p: float
    coefficients: tuple[float, ...]
    n: int
    reason: str = ""
    spread: float = 0.0


def adds_to(wrong: np.ndarray, base: np.ndarray, extra: np.ndarray, groups: np.ndarray | None = None) -> Added:
    """Whether scores say more about wrong predictions than others do: a likelihood ratio test of two logistic models.

    The models are wrong ~ base and wrong ~ base + extra, both with an intercept, on the images that have all values.
    Columns are standardized. Without groups the test takes images as independent: with several of one patient, p is too
    small. With groups both models have a random intercept for each. There is no result where a model has no finite fit:
    a plane separates wrong from right (tested exactly, by linear programming), or columns depend on each other.

    Args:
        wrong: (n,), whether the prediction is wrong.
        base: (n,) or (n, b), in any units; NaN where an image has none.
        extra: (n,) or (n, e), in any units; NaN where an image has none.
        groups: (n,), what each image belongs to, None where each stands for itself.

    Returns:
        The test's result.

    Raises:
        SaltrustError: there is no image, the arrays do not fit, `wrong` holds anything but 0 and 1, or a value is
            infinite.

    Source:
        Wilks 1938; Konis 2007 (separation by linear programming); `logistic_mixed`.

    >>> rng = np.random.default_rng(0)
    >>> margin, noise = rng.normal(size=(2, 400))
    >>> wrong = rng.uniform(size=400) < 1 / (1 + np.exp(-margin))
    >>> adds_to(wrong, noise, margin).p < 0.001, adds_to(wrong, margin, np.ones(400)).reason
    (True, 'a column is constant, or follows from the others')
    """
    wrong = _bools(wrong, "what is wrong")
    base, extra = _columns(base, len(wrong), "base"), _columns(extra, len(wrong), "extra")
    if groups is not None and np.shape(groups) != wrong.shape:
        raise SaltrustError(f"groups of shape {np.shape(groups)} for {len(wrong)} images: one for each image")
    complete = ~np.isnan(np.hstack([base, extra])).any(axis=1)
    wrong, base, extra = wrong[complete], base[complete], extra[complete]
    groups = None if groups is None else np.asarray(groups)[complete]
    df, n = extra.shape[1], len(wrong)

    def none(reason: str) -> Added:
        return Added(np.nan, df, np.nan, (np.nan,) * df, n, reason)

    if not n:
        return none("no image has all values")
    if wrong.all() or not wrong.any():
        return none("all or no predictions are wrong")
    design = np.hstack([np.ones((n, 1)), _standardized(np.hstack([base, extra]))])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return none("a column is constant, or follows from the others")
    if _separated(design, wrong):  # where the larger model is not, the smaller is not either
        return none("a plane separates wrong from right predictions: the fit is not finite")
    try:
        smaller, larger = (fit_logistic(wrong, one, groups) for one in (design[:, : 1 + base.shape[1]], design))
    except (np.linalg.LinAlgError, ValueError) as error:
        return none(f"the fit failed: {error}")
    if not (smaller.converged and larger.converged):
        return none("the fit did not converge")
    statistic = max(0.0, 2 * (larger.log_likelihood - smaller.log_likelihood))
    coefficients = tuple(larger.coefficients[1 + base.shape[1] :].tolist())
    return Added(statistic, df, float(chi2.sf(statistic, df)), coefficients, n, spread=larger.spread)


def _separated(design: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether a plane has wrong predictions on one side and right ones on the other, some of them perhaps on it."""
    signed = np.where(wrong, 1.0, -1.0)[:, None] * design
    plane = linprog(-signed.mean(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    return plane.status != 0 or -plane.fun > 1e-6


def _standardized(columns: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and standard deviation 1; a constant one, as far as float64 can tell, is 0."""
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > 1e-12 * np.abs(columns).max(axis=0)
    return np.where(varies, centred, 0.0) / np.where(varies, spread, 1.0)


def _columns(values: np.ndarray, n: int, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != n or not values.shape[1]:
        raise SaltrustError(f"{what} of shape {values.shape} for {n} images: pass ({n},) or ({n}, columns)")
    if np.isinf(values).any():
        raise SaltrustError(f"{what} holds infinite values, which no regression takes: pass finite ones, or NaN")
    return values


def _bootstrapped(
    doubts: Mapping[str, np.ndarray], wrong: np.ndarray, clusters: np.ndarray | None, n_boot: int, seed: int
) -> dict[str, tuple[dict[str, float], dict[str, np.ndarray]]]:
    """Score -> its measures, and each measure (n_boot,) of the resamples, which are the same for all scores."""
    checked = {name: _checked(doubt, wrong) for name, doubt in doubts.items()}
    n = len(_bools(wrong, "what is wrong"))
    if clusters is not None and np.shape(clusters) != (n,):
        raise SaltrustError(f"clusters of shape {np.shape(clusters)} for {n} images: pass one for each image")
    if n_boot < 1:
        raise SaltrustError(f"{n_boot} resamples: pass at least 1")
    weights = times_drawn(n, n_boot, seed, clusters)
    step = max(1, _BLOCK // n)
    found = {}
    for name, (ranks, is_wrong) in checked.items():
        blocks = [_measures(ranks, is_wrong, weights[i : i + step]) for i in range(0, n_boot, step)]
        resampled = {measure: np.concatenate([block[measure] for block in blocks]) for measure in blocks[0]}
        once = _measures(ranks, is_wrong, np.ones((1, n), dtype=np.int64))
        found[name] = {measure: float(value[0]) for measure, value in once.items()}, resampled
    return found


def _measures(ranks: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure (k,) under each of the sets of weights (k, n), whole numbers."""
    sizes, errors = _grouped(ranks, wrong, weights)
    area = _aurc(sizes, errors)
    measures = {"auroc": _auroc(ranks, wrong, weights), "aurc": area, "excess_aurc": area - _oracle_aurc(sizes, errors)}
    for coverage in COVERAGES:
        kept = _kept(sizes.sum(axis=1), coverage)
        among = [_errors_among(*one) for one in zip(sizes, errors, kept, strict=True)]
        measures[f"risk_at_{100 * coverage:.0f}"] = np.array(among) / kept
    return measures


def _auroc(ranks: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    areas = np.full(len(weights), np.nan)
    both = weights[:, wrong].any(axis=1) & weights[:, ~wrong].any(axis=1)
    if both.any():
        areas[both] = roc_area(wrong, ranks.astype(np.float64), weights[both].astype(np.float64))
    return areas


def _of_all(doubt: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_grouped`, each image once."""
    ranks, wrong = _checked(doubt, wrong)
    return _grouped(ranks, wrong, np.ones((1, len(wrong)), dtype=np.int64))


def _grouped(ranks: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many images share each rank, and how many of them are wrong: two arrays (k, ranks), the least doubtful first.

    weights: how often each image counts (k, n), whole numbers.
    """
    order = np.argsort(ranks, kind="stable")
    starts = np.flatnonzero(np.diff(ranks[order], prepend=-1))
    return tuple(np.add.reduceat(one[:, order], starts, axis=1) for one in (weights, weights * wrong))


def _aurc(sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """AURC (k,) of groups (k, g).

    In a group of m images, w of them wrong, behind c images, e of them wrong, the j-th image has a risk of
    (e + j w/m) / (c + j) = w/m + (e - c w/m) / (c + j). Its sum over j has harmonic numbers.
    """
    ends, wrong = np.cumsum(sizes, axis=1), np.cumsum(errors, axis=1)
    harmonic = _harmonic(int(ends.max()))
    starts = ends - sizes
    rate = errors / np.maximum(sizes, 1)
    total = errors + (wrong - errors - starts * rate) * (harmonic[ends] - harmonic[starts])
    return total.sum(axis=1) / ends[:, -1]


def _oracle_aurc(sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """AURC (k,) of a doubt that puts all wrong predictions behind the right ones."""
    n, wrong = sizes.sum(axis=1), errors.sum(axis=1)
    harmonic = _harmonic(int(n.max()))
    return (wrong - (n - wrong) * (harmonic[n] - harmonic[n - wrong])) / n


def _harmonic(n: int) -> np.ndarray:
    """0, 1, 1 + 1/2, ..., up to the n-th harmonic number."""
    return np.r_[0.0, np.cumsum(1 / np.arange(1, n + 1))]


def _kept(n: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The fewest images that are at least a share of n; rounding does not make them one more."""
    return np.maximum(np.ceil(n * coverage - 1e-9), 1).astype(np.int64)


def _errors_among(sizes: np.ndarray, errors: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Expected number of wrong predictions among the least doubtful; groups (g,), any number of counts `kept`."""
    there = sizes > 0
    return np.interp(kept, np.r_[0, np.cumsum(sizes[there])], np.r_[0, np.cumsum(errors[there])])


def _interval(values: np.ndarray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return interval(known) if len(known) else (np.nan, np.nan)


def _two_sided(gaps: np.ndarray) -> float:
    """Bootstrap p of a difference whose resamples are given; NaN without any."""
    known = gaps[~np.isnan(gaps)]
    if not len(known):
        return np.nan
    sides = min((known <= 1e-12).sum(), (known >= -1e-12).sum())  # equal doubts differ by rounding at most
    return float(min(1.0, 2 * (1 + sides) / (1 + len(known))))


def holm(p: pd.Series) -> pd.Series:
    """p-values adjusted for their number by Holm's steps; those that are NaN are not counted, and stay so.

    >>> holm(pd.Series([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    known = p.notna()
    adjusted = p.copy()
    if known.any():
        adjusted[known] = multipletests(p[known], method="holm")[1]
    return adjusted


def _checked(doubt: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense ranks of the doubts (n,), from 0 for the least doubtful, and which predictions are wrong (n,), bool."""
    wrong = _bools(wrong, "what is wrong")
    doubt = np.asarray(doubt, dtype=np.float64)
    if doubt.shape != wrong.shape:
        raise SaltrustError(f"doubts of shape {doubt.shape} for {len(wrong)} predictions: pass one for each")
    return np.unique(np.where(np.isnan(doubt), -np.inf, doubt), return_inverse=True)[1], wrong


def _bools(values: np.ndarray, what: str, n: int | None = None) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or (n is not None and len(values) != n):
        raise SaltrustError(
            f"{what}, of shape {values.shape}: pass a vector of {n or 'at least 1'}, one for each image"
        )
    if not np.isin(values, (0, 1)).all():
        raise SaltrustError(f"{what} is neither 0 nor 1 for some image: pass 0 and 1, or bool")
    return values.astype(bool)
