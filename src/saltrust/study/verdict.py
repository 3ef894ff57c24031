"""Verdicts: each method against each criterion's baseline, PASS or FAIL (Arun et al., Table 2)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

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
    """Columns method, criterion, baseline, against, value, reference, difference, ci_low, ci_high, verdict.

    value and reference are means. By the rule "mean" the sign of their difference decides; by "interval" a PASS needs
    the whole 95 % bootstrap interval of the difference on the right side of zero, so that doubt is a FAIL. A comparison
    that cannot be made, because a mean is not a number, is a FAIL too.
    """
    rows = []
    for c in cells:
        gap = difference(c.values, c.reference, paired=c.paired, n_boot=n_boot, seed=seed, clusters=c.clusters)
        sign = 1 if c.larger else -1
        bound = gap["difference"] if protocol.rule == "mean" else gap["ci_low" if c.larger else "ci_high"]
        rows.append(
            {
                "method": c.method,
                "criterion": c.criterion,
                "baseline": c.baseline,
                "against": c.against,
                "value": float(np.nanmean(c.values)),
                "reference": float(np.nanmean(c.reference)),
                **gap,
                "verdict": "PASS" if sign * bound > 0 else "FAIL",
            }
        )
    return pd.DataFrame(rows)
