"""Comparisons of the means of a mixed model: adjusted p-values, simultaneous intervals, letters, and a bootstrap."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.multitest import multipletests

from saltrust.stats.bootstrap import LEVEL
from saltrust.stats.mixed_model import Fit, degrees_of_freedom

DRAWS, BINS = 1 << 17, 1 << 11  # directions in the integral of `_Largest`, and what they are reduced to
BLOCK = 1 << 12  # directions at a time

Pair = tuple[Hashable, Hashable]


def all_pairs(levels: Sequence[Hashable]) -> list[Pair]:
    """Each pair of levels once, the earlier one first: the family of Tukey's test.

    >>> all_pairs(["a", "b", "c"])
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    return list(combinations(levels, 2))


def compare(model: Fit, pairs: Sequence[Pair], df: float | None = None) -> pd.DataFrame:
    """Difference of two means for each pair, two-sided, adjusted for all pairs.

    p_adjusted is single-step: the probability that the largest |t| of the family is at least this one, where all have a
    multivariate t distribution with the pairs' correlation and this pair's df. Over all pairs of a balanced design this
    is Tukey's HSD. The integral is right to about 5e-4, and kept between its bounds: p, and p times the number of
    pairs. It is NaN where the scores do not vary, and where a model that
    did not converge has no degrees of freedom.

    Args:
        model: a fitted model.
        pairs: pairs of its levels.
        df: one number of degrees of freedom for all pairs; None for each pair's own (Satterthwaite).

    Returns:
        One row for each pair, with columns first, second; estimate (first minus second), ci_low, ci_high (simultaneous
        95 % interval), p_adjusted; p (of this pair alone); p_holm, adjusted by Holm's steps, which know nothing of the
        pairs' correlation; se, df; effect_size, effect_low, effect_high: estimate and interval over the standard
        deviation of a single score, the root of the sum of all variances, taken as known.

    Source:
        Hothorn, Bretz & Westfall 2008 (adjustment); statsmodels' multipletests (Holm); Westfall, Kenny & Judd 2014
        (effect size).

    >>> from saltrust.stats.mixed_model import fit
    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 3, 5]}
    >>> compare(fit(pd.DataFrame(scores), "score"), [("y", "x")])["estimate"].round(4).tolist()
    [1.3333]
    """
    K = contrast_matrix(model.levels, pairs)
    estimate = K @ model.means
    se = np.sqrt(np.einsum("ij,jk,ik->i", K, model.covariance, K))
    freedom, p, p_adjusted, reach = _inference(model, K, np.abs(estimate), se, df)
    firsts, seconds = zip(*pairs, strict=True)
    columns = {
        "first": firsts,
        "second": seconds,
        "estimate": estimate,
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "p_adjusted": p_adjusted,
        "p": p,
        "p_holm": multipletests(p, method="holm")[1] if np.isfinite(p).all() else p,
        "se": se,
        "df": freedom,
    }
    effects = {"effect_size": estimate, "effect_low": estimate - reach, "effect_high": estimate + reach}
    return pd.DataFrame(columns | {name: value / (model.total_sd or np.nan) for name, value in effects.items()})


def _inference(model: Fit, K: np.ndarray, size: np.ndarray, se: np.ndarray, df: float | None) -> tuple:
    """Degrees of freedom, p, adjusted p, and half the width of the simultaneous interval, of each contrast."""
    if not (se > 0).all():
        return (np.full(len(K), np.nan),) * 4
    freedom = degrees_of_freedom(model, K) if df is None else np.full(len(K), float(df))
    if not (freedom > 0).all():  # of a model that is not at its optimum
        return (np.full(len(K), np.nan),) * 4
    t = size / se
    largest = _Largest.of(K @ np.linalg.cholesky(model.covariance) / se[:, None])
    p_adjusted = np.array([largest.exceeds(*one) for one in zip(t, freedom, strict=True)])
    known, which = np.unique(freedom.round(6), return_inverse=True)
    reach = np.array([largest.critical(one) for one in known])[which] * se
    return freedom, 2 * stats.t.sf(t, freedom), p_adjusted, reach


def contrast_matrix(levels: Sequence[Hashable], pairs: Sequence[Pair]) -> np.ndarray:
    """One row for each pair: 1 for the first level, -1 for the second, 0 elsewhere.

    Args:
        levels: the p levels in the order of the columns.
        pairs: m pairs of levels.

    Returns:
        An array (m, p).

    >>> contrast_matrix(["a", "b", "c"], [("a", "c")]).tolist()
    [[1.0, 0.0, -1.0]]
    """
    position = {level: i for i, level in enumerate(levels)}
    unit = np.eye(len(levels))
    return np.array([unit[position[first]] - unit[position[second]] for first, second in pairs])


@dataclass(frozen=True)
class _Largest:
    """The distribution of the largest |t| of a family. `rank` independent normal variables are a direction and, apart
    from it, a length R; max_j |Z_j| is R times a reach, which depends on the direction alone. reaches (BINS,):
    quantiles of it. count: how many contrasts there are."""

    reaches: np.ndarray
    rank: int
    count: int

    @classmethod
    def of(cls, factor: np.ndarray) -> "_Largest":
        """For contrasts whose estimates, in standard errors, are factor @ z with z independent standard normal."""
        left, size, _ = np.linalg.svd(factor, full_matrices=False)
        kept = size > 1e-9 * size[0]
        factor = left[:, kept] * size[kept]
        points = stats.norm.ppf(stats.qmc.Sobol(factor.shape[1], seed=0).random(DRAWS))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        blocks = (points[i : i + BLOCK] @ factor.T for i in range(0, DRAWS, BLOCK))
        reaches = np.concatenate([np.abs(block).max(axis=1) for block in blocks])
        return cls(np.sort(reaches).reshape(BINS, -1).mean(axis=1), factor.shape[1], len(factor))

    def exceeds(self, t: float, df: float) -> float:
        """P(max |T| >= t): (R / s)^2 / rank has an F distribution, where df s^2 is chi-squared."""
        alone = 2 * stats.t.sf(t, df)
        joint = stats.f.sf((t / self.reaches) ** 2 / self.rank, self.rank, df).mean()
        return float(np.clip(joint, alone, min(1.0, self.count * alone)))

    def critical(self, df: float) -> float:
        """The t that the largest exceeds in 5 % of all samples."""
        alpha = 1 - LEVEL
        low, high = stats.t.isf(alpha / 2, df) * 0.99, stats.t.isf(alpha / 2 / self.count, df) * 1.01
        return brentq(lambda t: self.exceeds(t, df) - alpha, low, high, xtol=1e-8)


def letters(levels: Sequence[Hashable], different: Collection[Pair]) -> dict[Hashable, str]:
    """Compact letter display: two levels share a letter exactly if they are not different.

    Args:
        levels: in the order in which letters are given out, the highest mean first.
        different: pairs of levels that differ.

    Returns:
        Level -> its letters.

    Source:
        Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons": insert and absorb.

    >>> letters(["a", "b", "c"], [("a", "c")])
    {'a': 'a', 'b': 'ab', 'c': 'b'}
    """
    columns = [frozenset(levels)]
    for pair in different:
        split = [column - {level} for column in columns if column.issuperset(pair) for level in pair]
        columns = [column for column in columns if not column.issuperset(pair)] + split
        columns = [
            one for i, one in enumerate(columns) if not any(one < other for other in columns) and one not in columns[:i]
        ]
    columns.sort(key=lambda column: [level not in column for level in levels])
    marks = [ascii_letters[i] if i < len(ascii_letters) else f"({i + 1})" for i in range(len(columns))]
    return {level: "".join(m for m, column in zip(marks, columns, strict=True) if level in column) for level in levels}


def resampled(
    frame: pd.DataFrame,
    response: str,
    fixed: str,
    pairs: Sequence[Pair],
    n_boot: int = 1000,
    seed: int = 0,
    unit: str = "image",
) -> pd.DataFrame:
    """Simultaneous 95 % bootstrap intervals of the differences of pairs.

    Whole units are drawn: all scores of an image, or of a patient with unit="patient". Neither a distribution nor equal
    variances are assumed. Each resample has its own standard errors. The intervals reach as many standard errors to
    both sides as the largest |t| of the family does in 95 % of the resamples. With few units they are wide, with two
    infinite. Standard errors are those of ratios of sums, to first order, for units that do not have every score.

    Args:
        frame: tidy, one row for each score.
        response: name of the column with the scores.
        fixed: name of the column with the levels.
        pairs: pairs of levels.
        n_boot: number of resamples.
        seed: of the random draws.
        unit: name of the column with what is drawn.

    Returns:
        One row for each pair, with columns boot_low and boot_high.

    Source:
        Efron & Tibshirani 1993, section 12.5 (bootstrap t); Westfall & Young 1993 (its maximum).

    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 4, 6]}
    >>> resampled(pd.DataFrame(scores), "score", "method", [("y", "x")], n_boot=20).values.tolist()
    [[2.0, 2.0]]
    """
    tables = frame.pivot_table(response, unit, fixed, ["sum", "count"], fill_value=0, sort=False, observed=True)
    sums, counts = tables["sum"], tables["count"]
    means = sums.sum() / counts.sum()
    K = contrast_matrix(list(means.index), pairs)
    estimate = K @ means.to_numpy()
    parts = ((sums - means * counts) / counts.mean()).to_numpy() @ K.T  # of each unit in each difference
    n = len(parts)
    shares = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_boot) / n
    moved = shares @ parts
    se = np.sqrt((parts**2).mean(axis=0) / max(n - 1, 1))
    own = np.sqrt(np.maximum(shares @ parts**2 - moved**2, 0) / max(n - 1, 1))
    varies = own > 1e-6 * se  # else the resample says nothing of that difference
    largest = np.divide(np.abs(moved), own, out=np.full_like(own, -1), where=varies).max(axis=1)
    critical = np.quantile(np.where(largest < 0, np.inf, largest), LEVEL, method="higher")
    reach = np.where(se > 0, critical, 0) * se
    return pd.DataFrame({"boot_low": estimate - reach, "boot_high": estimate + reach})
