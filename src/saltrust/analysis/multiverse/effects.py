"""What each choice does to the verdicts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.core.errors import SaltrustError
from saltrust.core.outcomes import FAIL, OUTCOMES, PASS, UNDECIDED

INTERACTIONS = "interactions"

_RANKS = {PASS: 1, UNDECIDED: 0, FAIL: -1}


# --- what the choices do ------------------------------------------------------------------------------------------


def verdict_shares(curve: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Share of the crossed specifications with each verdict, by its name.

    Args:
        curve: from `specification_curve`.

    Returns:
        For each name in OUTCOMES a row for each method and a column for each criterion, in the order of the curve. They
        add up to 1.
    """
    crossed = curve[curve["in_grid"]]
    methods, criteria = crossed["method"].unique(), crossed["criterion"].unique()
    cells = [crossed["method"], crossed["criterion"]]
    return {
        outcome: crossed["verdict"].eq(outcome).groupby(cells).mean().unstack().loc[methods, criteria]
        for outcome in OUTCOMES
    }


def effects(curve: pd.DataFrame) -> pd.DataFrame:
    """What each choice does to the verdicts of each method and criterion.

    Args:
        curve: from `specification_curve`.

    Returns:
        Columns criterion, method, choice, levels; pairs, the pairs of specifications that differ in this choice alone;
        flips, those of them whose verdicts differ; reversals, those of which one says PASS and the other FAIL; and the
        share of the variance over the specifications that the choice explains by itself (eta squared of its main
        effect), of the difference (variance_difference) and of the verdict (variance_verdict: PASS is 1, UNDECIDED 0,
        FAIL -1); NaN where there is none. A row "interactions" holds the rest of the variance: what choices do only
        together.

    Raises:
        SaltrustError: where the specifications of a method and criterion are not fully crossed.
    """
    rows = []
    for (criterion, method), own in curve[curve["in_grid"]].groupby(["criterion", "method"], sort=False):
        names = [name for name in FACTORS if own[name].nunique() > 1]
        levels = [own[name].unique() for name in names]
        shape = tuple(map(len, levels))
        places = [pd.Index(found).get_indexer(own[name]) for name, found in zip(names, levels, strict=True)]
        where = np.ravel_multi_index(places, shape)
        if sorted(where) != list(range(np.prod(shape))):
            raise SaltrustError(f"{criterion} of {method}: the specifications are not all combinations of {names}")
        order = np.argsort(where)
        difference = own["difference"].to_numpy()[order].reshape(shape)
        verdict = own["verdict"].map(_RANKS).to_numpy(float)[order].reshape(shape)
        explained = {"variance_difference": main_effects(difference), "variance_verdict": main_effects(verdict)}
        for axis, name in enumerate(names):
            most = shape[axis]
            passed, undecided, failed = ((verdict == rank).sum(axis) for rank in _RANKS.values())
            rows.append(
                {
                    "criterion": criterion,
                    "method": method,
                    "choice": name,
                    "levels": most,
                    "pairs": passed.size * most * (most - 1) // 2,
                    "flips": int((passed * undecided + (passed + undecided) * failed).sum()),
                    "reversals": int((passed * failed).sum()),
                    **{column: shares[axis] for column, shares in explained.items()},
                }
            )
        rest = {column: 1 - shares.sum() for column, shares in explained.items()}
        rows.append({"criterion": criterion, "method": method, "choice": INTERACTIONS, **rest})
    return pd.DataFrame(rows).astype({name: "Int64" for name in ("levels", "pairs", "flips", "reversals")})


def main_effects(values: np.ndarray) -> np.ndarray:
    """Share of the variance of a full factorial that each axis explains by itself (eta squared): (values.ndim,).

    The design is balanced, so that the sums of squares of the main effects are orthogonal and what they leave of the
    total is interaction. NaN where the values do not vary.

    Source:
        statsmodels' anova_lm.

    >>> main_effects(np.array([[0.0, 0.0], [1.0, 1.0]])).round(6)
    array([1., 0.])
    """
    values = values.astype(float)
    if values.var() <= 1e-24:
        return np.full(values.ndim, np.nan)
    names = [f"axis_{axis}" for axis in range(values.ndim)]
    frame = pd.DataFrame(dict(zip(names, np.indices(values.shape).reshape(values.ndim, -1), strict=True)))
    fitted = ols(" + ".join(["value ~ 1", *(f"C({name})" for name in names)]), frame.assign(value=values.ravel())).fit()
    with np.errstate(divide="ignore", invalid="ignore"):  # F and p, of which there are none without residuals
        squares = anova_lm(fitted)["sum_sq"].to_numpy()
    return squares[:-1] / squares.sum()  # the last are the residuals: interactions


def flip_rates(found: pd.DataFrame, by: Sequence[str] = ("criterion",)) -> pd.Series:
    """Share of the pairs of specifications differing in one choice alone whose verdicts differ, pooled; from `effects`,
    by choice and the columns `by`."""
    pooled = found[found["choice"] != INTERACTIONS].groupby([*by, "choice"], sort=False)[["flips", "pairs"]].sum()
    return (pooled["flips"] / pooled["pairs"]).astype(float)
