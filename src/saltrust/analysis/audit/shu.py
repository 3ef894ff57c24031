"""Shu et al.: without public code, the text beside its own numbers, and their test beside itself."""

from itertools import combinations

import numpy as np

from saltrust.analysis import informer
from saltrust.analysis.alarm import PUBLISHED_RESAMPLES
from saltrust.analysis.audit.finding import SHU, finding
from saltrust.artefacts.scores import LocalizationScores
from saltrust.methods.registry import PAPER_EIGHT
from saltrust.stats.bootstrap import bootstrap_means, p_over_resamples
from saltrust.study.study import Study

AUC_DISCUSSED, AUC_MEASURED = 0.8, 0.796  # sections 4 and 3


@finding(
    SHU,
    "One film behind 51,000 cases",
    text="51,000 more cases of consolidation a year",
    code="the films that fit the printed sensitivity, specificity and F1",
    measure="consolidations found besides (text: cases a year; code: films of the 284)",
)
def one_film(study: Study) -> tuple[float, float]:
    before, after = informer.SENSITIVITIES
    found = informer.counts_behind(informer.IMAGES, (before, after), informer.SPECIFICITIES, informer.F1_ENTROPY)
    return round(informer.PATIENTS * (after - before)), (found["tp_after"] - found["tp_before"]).max()


@finding(
    SHU,
    "Means that do not follow",
    text="Table 1: F1 of five findings, and their mean",
    code="the means of its rows, rounding allowed for",
    measure="printed means that follow from their rows, of four",
)
def printed_means(study: Study) -> tuple[float, float]:
    table = informer.means_of_table()
    return len(table), table["agrees"].sum()


@finding(
    SHU,
    "Two areas for one network",
    text="AUC over 0.8 on the test set (section 4)",
    code="AUC of 0.796 on the test set (section 3)",
    measure="mean AUC on the test set, at the least",
)
def two_areas(study: Study) -> tuple[float, float]:
    return AUC_DISCUSSED, AUC_MEASURED


MANY_RESAMPLES, LEVEL = 1000, 0.01  # the level is that of the paper's stars


@finding(
    SHU,
    "A t-test over resamples",
    text=f"{PUBLISHED_RESAMPLES} resamples of the test films as a sample, in a paired t-test",
    code=f"the same of {MANY_RESAMPLES:,} resamples of the same films",
    measure=f"share of the pairs of eight methods whose mean AUPRC differs at p ≤ {LEVEL}, by that test, here",
)
def t_test(study: Study) -> tuple[float, float]:
    return tuple(different_pairs(study, number) for number in (PUBLISHED_RESAMPLES, MANY_RESAMPLES))


def different_pairs(study: Study, n_boot: int) -> float:
    """Share of the pairs of the paper's eight methods whose mean AUPRC a t-test over so many resamples of the explained
    images calls different."""
    means = []
    for name in PAPER_EIGHT:
        maps = LocalizationScores(study.maps.artefact(name), study.protocol.localization, "average_precision")
        means.append(bootstrap_means(np.nan_to_num(study.store.get(maps)), n_boot, study.seed))
    return float(np.mean([p_over_resamples(a - b) <= LEVEL for a, b in combinations(means, 2)]))
