"""Whether two means are equal, as far as matters: two one-sided tests with a margin, by the bootstrap.

That a difference is not significant does not show that there is none: few images are enough for that. Here equality is
what must be shown. The interval of the difference has to lie within a margin, below which no difference would matter.
"""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.stats.bootstrap import LEVEL, difference_means, interval

EQUIVALENT, DIFFERENT, UNDECIDED = "equivalent", "different", "undecided"
TESTED = 2 * LEVEL - 1  # of two one-sided tests, each of which errs in 5 %: the 90 % interval


@dataclass(frozen=True)
class Equivalence:
    """What is known of a difference, beside a margin.

    Attributes:
        difference: mean of the first minus mean of the second.
        low: of its 90 % interval.
        high: of its 90 % interval.
        ci_low: of its 95 % interval.
        ci_high: of its 95 % interval.
        margin: the largest difference that does not matter.
    """

    difference: float
    low: float
    high: float
    ci_low: float
    ci_high: float
    margin: float

    @property
    def verdict(self) -> str:
        """EQUIVALENT where the 90 % interval lies within the margin on both sides, be the difference 0 or not. Else
        DIFFERENT where the 95 % interval leaves 0 out, and UNDECIDED where it does not: more images would be needed."""
        if -self.margin < self.low and self.high < self.margin:
            return EQUIVALENT
        return UNDECIDED if self.ci_low <= 0 <= self.ci_high else DIFFERENT

    @property
    def non_inferior(self) -> bool:
        """Whether the first is worse by less than the margin, where more is better; it may be better by any amount."""
        return self.low > -self.margin


def equivalence(
    first: np.ndarray,
    second: np.ndarray | float,
    margin: float,
    *,
    paired: bool,
    n_boot: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> Equivalence:
    """Whether two means differ by less than a margin.

    Args:
        first: sample (n,).
        second: sample (m,), or one number.
        margin: the largest difference that does not matter, above 0, in units of the samples. It must be chosen before
            the samples are looked at.
        paired: as in `bootstrap.difference`, which has the same intervals.
        n_boot: number of resamples.
        seed: of the random draws.
        clusters: of the images of `first` (n,), for example patients; then whole clusters are drawn.

    Returns:
        The difference and its intervals, with a verdict.

    Raises:
        SaltrustError: the margin is not above 0, or nothing is left to compare.

    Source:
        Schuirmann 1987 (two one-sided tests); Westlake 1972 (the interval). Student's t in the place of the bootstrap,
        which takes images as independent: statsmodels' `ttost_paired` and `ttost_ind`.

    >>> same = equivalence(np.array([0.5, 0.6, 0.7]), np.array([0.5, 0.6, 0.71]), 0.1, paired=True, n_boot=100, seed=0)
    >>> same.verdict, same.non_inferior
    ('equivalent', True)
    """
    if not 0 < margin < np.inf:
        raise SaltrustError(f"a margin of {margin}: must be above 0, the largest difference that does not matter")
    first, second = np.asarray(first, float), np.asarray(second, float)
    compared = [first - second] if paired else [first, second]
    if not all((~np.isnan(one)).any() for one in compared):
        raise SaltrustError("nothing to compare: each image lacks a score, or there is none")
    estimate, means = difference_means(first, second, paired=paired, n_boot=n_boot, seed=seed, clusters=clusters)
    return Equivalence(estimate, *interval(means, TESTED), *interval(means), margin)
