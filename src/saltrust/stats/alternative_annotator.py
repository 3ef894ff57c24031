"""The alternative annotator test: may a map, or a model, take the place of a reader?

Each reader is left out in turn. Who agrees better with the readers who remain: he, or the candidate? A candidate who
does so on nearly as many images as the reader may replace him: `epsilon` says how many fewer are accepted, since the
candidate costs less. One who may replace at least half of the readers has passed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.stats.bootstrap import LEVEL, interval, times_drawn

EPSILON = 0.15  # the authors': 0.2 for experts, 0.15 for the skilled, 0.1 for crowds; less where readers agree little
PASSED = 0.5  # share of the readers whom a candidate must beat
EQUAL = 1e-12  # equal scores differ by rounding at most


@dataclass(frozen=True)
class Replacement:
    """What the test finds.

    Attributes:
        readers: a row for each reader, in their order: n, the images; advantage, the share of them on which the
            candidate agrees with the others as well as he or better; of_reader, the share on which he does as well as
            the candidate or better; p, of the hypothesis that the candidate's share is lower than his by `epsilon` or
            more; p_adjusted, for the number of readers (Benjamini & Yekutieli); beaten, whether it is rejected at 5 %.
            A reader on whom there is no test has NaN, and is not beaten.
        winning_rate: share of the readers with a test who are beaten; NaN without any.
        advantage: mean of their advantages, the average advantage probability; NaN without any.
        ci_low: of the 95 % bootstrap interval of the advantage.
        ci_high: of the 95 % bootstrap interval of the advantage.
    """

    readers: pd.DataFrame
    winning_rate: float
    advantage: float
    ci_low: float
    ci_high: float

    @property
    def passed(self) -> bool:
        """Whether the candidate may take a reader's place: it beats at least half of them."""
        return self.winning_rate >= PASSED


def _bootstrapped(behind: np.ndarray, resampled: np.ndarray, epsilon: float) -> float:
    """One more than the resamples in which the candidate is behind by epsilon or more, over one more than all."""
    return (1 + int((~(resampled < epsilon - EQUAL)).sum())) / (1 + len(resampled))


def _published(behind: np.ndarray, resampled: np.ndarray, epsilon: float) -> float:
    """Student's t-test, which takes images as independent; the authors ask for 30 of them."""
    if np.ptp(behind) == 0:
        return float(behind[0] >= epsilon)
    return float(ttest_1samp(behind, epsilon, alternative="less").pvalue)


TESTS: Registry[Callable[[np.ndarray, np.ndarray, float], float]] = Registry("test")
"""p by: on which side the candidate is behind, image by image (n,), 1, 0 or -1; its means in resamples (n_boot,); and
epsilon."""
TESTS.register("bootstrap")(_bootstrapped)
TESTS.register("published")(_published)


def alternative_annotator(
    candidate: np.ndarray,
    readers: np.ndarray,
    epsilon: float = EPSILON,
    test: str = "bootstrap",
    clusters: np.ndarray | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> Replacement:
    """Whether a candidate may take the place of a reader.

    The numbers say how well somebody agrees with all readers but one, by any score of which more is better: IoU, Dice,
    AUPRC, with each of them and averaged, or with their consensus. Only which of two is higher counts.

    Args:
        candidate: (readers, images), how well the candidate agrees with the readers other than this one; NaN where he
            has no part in the image.
        readers: (readers, images), how well this reader agrees with the same others; NaN where he did not read it.
        epsilon: the share of images by which the candidate may be behind, from 0, below 1.
        test: a name in TESTS. "bootstrap" draws images or, with clusters, patients; "published" is Student's t-test.
        clusters: what each image belongs to (images,), for example a patient.
        n_boot: number of resamples.
        seed: of the random draws.

    Returns:
        What is found. A reader with fewer than two images, or two clusters for the bootstrap, has no test.

    Raises:
        SaltrustError: the arrays do not fit, `epsilon` is out of range, or the test is unknown.

    Source:
        Calderon, Reichart & Dror 2025, "The Alternative Annotator Test for LLM-as-a-Judge", section 3, with a bootstrap
        of clusters as the default in the place of their t-test.

    >>> others = np.array([[0.4, 0.5, 0.6, 0.5], [0.2, 0.3, 0.5, 0.5], [0.6, 0.3, 0.2, 0.4]])
    >>> found = alternative_annotator(others + 0.1, others)
    >>> found.advantage, found.winning_rate, found.passed
    (1.0, 1.0, True)
    """
    candidate, readers = np.asarray(candidate, float), np.asarray(readers, float)
    if candidate.ndim != 2 or candidate.shape != readers.shape or not candidate.size:
        raise SaltrustError(
            f"alignments of shapes {candidate.shape} and {readers.shape}: pass (readers, images) of the candidate, and "
            "as many of the readers"
        )
    if not 0 <= epsilon < 1:
        raise SaltrustError(f"an epsilon of {epsilon}: must be a share of the images, from 0, below 1")
    if clusters is not None and np.shape(clusters) != candidate.shape[1:]:
        raise SaltrustError(
            f"clusters of shape {np.shape(clusters)} for {candidate.shape[1]} images: pass one for each image"
        )
    if n_boot < 1:
        raise SaltrustError(f"{n_boot} resamples: pass at least 1")
    p_of = TESTS[test]
    known = ~np.isnan(candidate - readers)
    ahead, behind = known & (candidate >= readers - EQUAL), known & (readers >= candidate - EQUAL)
    units = np.arange(candidate.shape[1]) if clusters is None or test == "published" else np.asarray(clusters)
    times = times_drawn(candidate.shape[1], n_boot, seed, clusters)
    rows, resampled = [], []
    for one, other, own in zip(ahead, behind, known, strict=True):
        row = {"n": int(own.sum()), "advantage": np.nan, "of_reader": np.nan, "p": np.nan}
        if len(np.unique(units[own])) > 1:
            advantages, of_reader = (_shares(times[:, own], which[own]) for which in (one, other))
            resampled.append(advantages)
            row |= {"advantage": one[own].mean(), "of_reader": other[own].mean()}
            row["p"] = p_of(other[own].astype(float) - one[own], of_reader - advantages, epsilon)
        rows.append(row)
    table = _adjusted(pd.DataFrame(rows))
    tested = table[table["p"].notna()]
    if tested.empty:
        return Replacement(table, np.nan, np.nan, np.nan, np.nan)
    averages = np.mean(resampled, axis=0)
    averages = averages[~np.isnan(averages)]
    low, high = interval(averages) if len(averages) else (np.nan, np.nan)
    return Replacement(table, float(tested["beaten"].mean()), float(tested["advantage"].mean()), low, high)


def _shares(times: np.ndarray, which: np.ndarray) -> np.ndarray:
    """In each resample (n_boot, n) the share of such images; NaN in one that has none of the reader's."""
    drawn = times.sum(axis=1)
    return np.divide(times @ which, drawn, out=np.full(len(times), np.nan), where=drawn > 0)


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the readers with p adjusted for their number, and whether each is beaten."""
    known = table["p"].notna()
    p = table["p"].copy()
    if known.any():
        p[known] = multipletests(p[known], method="fdr_by")[1]
    return table.assign(p_adjusted=p, beaten=p <= 1 - LEVEL)
