"""Verdicts: each method against each criterion's baseline, PASS, UNDECIDED or FAIL (Arun et al., Table 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saltrust.core.outcomes import FAIL, PASS, UNDECIDED
from saltrust.core.protocols import Protocol
from saltrust.stats.bootstrap import difference


@dataclass(frozen=True)
class VerdictCell:
    """One cell of Table 2.

    Attributes:
        method: that is judged.
        criterion: a name in CRITERIA.
        baseline: what it is compared with.
        against: that baseline by its own name: of several low ones, the one that counts.
        values: the method's scores, by image.
        reference: the baseline's, or one number.
        larger: whether values must exceed the reference.
        paired: whether both belong to the same images in the same order.
        clusters: what the images of the values belong to, see `bootstrap_means`.
    """

    method: str
    criterion: str
    baseline: str
    values: np.ndarray
    reference: np.ndarray | float
    larger: bool = True
    paired: bool = True
    clusters: np.ndarray | None = None
    against: str = ""


def judge(cells: list[VerdictCell], protocol: Protocol, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Every cell with its verdict.

    By the rule "mean" the sign of the difference of the means decides: PASS or FAIL, as in Table 2. By "interval" its
    95 % bootstrap interval does: PASS where all of it is better than the baseline, FAIL where none of it is (a tie
    beyond doubt is no better), else UNDECIDED.

    A comparison that cannot be made, because a mean is not a number, is UNDECIDED by either rule: nothing was found
    against the method, and nothing for it.

    Args:
        cells: what is compared.
        protocol: whose rule decides.
        n_boot: resamples behind an interval.
        seed: of the resamples.

    Returns:
        One row for each cell: method, criterion, baseline, against, value and reference (the means), difference (value
        minus reference), ci_low, ci_high (its 95 % bootstrap interval) and verdict, a name in OUTCOMES.

    Source: Arun et al., Table 2, of which the rule is not stated; the interval is ours.
    """
    rows = []
    for c in cells:
        gap = difference(c.values, c.reference, paired=c.paired, n_boot=n_boot, seed=seed, clusters=c.clusters)
        rows.append(
            {
                "method": c.method,
                "criterion": c.criterion,
                "baseline": c.baseline,
                "against": c.against,
                "value": float(np.nanmean(c.values)),
                "reference": float(np.nanmean(c.reference)),
                **gap,
                "verdict": _verdict(gap, c.larger, protocol.rule),
            }
        )
    return pd.DataFrame(rows)


def _verdict(gap: Mapping[str, float], larger: bool, rule: str) -> str:
    """The verdict on a difference with its interval; larger: whether it must lie above zero."""
    ends = ("difference",) if rule == "mean" else ("ci_low", "ci_high")
    better = [gap[end] > 0 if larger else gap[end] < 0 for end in ends]
    if not np.isfinite(gap["difference"]) or any(better) != all(better):
        return UNDECIDED
    return PASS if all(better) else FAIL
