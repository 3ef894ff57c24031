"""What claims about an alarm are tested on (Shu et al. 2024): F1 in resamples, answers by film, printed numbers."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from saltrust.analysis import alarm, informer
from saltrust.analysis.claims.checks import CHECKS, TOO_SMALL, Outcome
from saltrust.analysis.claims.limits import (
    LEAST_GRID,
    LEAST_IMAGES,
    LIMITS,
    OF_FINDINGS,
    RESAMPLED,
    cam_grid,
    few,
)
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.artefacts import Artefact
from saltrust.stats.bootstrap import interval, roc_auc, times_drawn
from saltrust.stats.weighted_areas import roc_area
from saltrust.study.doubts import DOUBTS, from_maps
from saltrust.study.multilabel import JUDGED, MultilabelStudy

GRADCAM = "gradcam"


ALARMS = {
    "input_x_gradient": DOUBTS["ixg"],
    "lrp": DOUBTS["lrp"],
    "entropy": DOUBTS["entropy"],
    "copies": DOUBTS["copies"],
    GRADCAM: from_maps(GRADCAM),
}
"""The paper's alarms, the third that it speaks of, and its baselines: the columns of the tables here."""


def made_from(study: MultilabelStudy) -> Iterator[Artefact]:
    """The network, its images, and what the alarms are made from."""
    yield study.network
    for split in JUDGED:
        yield study.images.artefact(split)
        for doubt in ALARMS.values():
            yield from doubt.artefacts(study, split)


def _doubts(study: MultilabelStudy) -> dict[str, dict[str, np.ndarray]]:
    return {name: {split: doubt.of(study, split) for split in JUDGED} for name, doubt in ALARMS.items()}


# --- tables -----------------------------------------------------------------------------------------------------------


@TABLES.register("alarm_experiments")
def _experiments(evidence: Evidence) -> pd.DataFrame:
    """The paper's experiment and what resamples make of it, by statistic and alarm, as from `alarm.repeated`."""
    several = evidence.several
    return alarm.repeated(several, _doubts(several), several.sizes.resamples)


def _statistic(name: str) -> Callable[[Evidence], pd.DataFrame]:
    return lambda evidence: evidence.table("alarm_experiments")[name]


for _name in ("f1", "first_quartile", "median"):
    TABLES.register(f"alarm_{_name}")(_statistic(_name))


@TABLES.register("alarm_flagged")
def _flagged(evidence: Evidence) -> pd.DataFrame:
    """Whether the alarm flags the answer on each test image, by finding and alarm: columns "<finding>/<alarm>"."""
    several = evidence.several
    flagged = alarm.flags(several, _doubts(several))
    columns = [f"{finding}/{name}" for name in flagged for finding in several.findings]
    values = np.concatenate([*flagged.values()], axis=1).astype(float)
    return pd.DataFrame(values, index=several.split("test").ids, columns=columns)


@TABLES.register("alarm_found")
def _found(evidence: Evidence) -> pd.DataFrame:
    """Whether a finding is named, once flagged answers are swapped, of the test images that have it."""
    return _said(evidence).where(_for_each_alarm(evidence.several.present("test")))


@TABLES.register("alarm_cleared")
def _cleared(evidence: Evidence) -> pd.DataFrame:
    """Whether it is not named, of those that do not have it."""
    return (1 - _said(evidence)).where(~_for_each_alarm(evidence.several.present("test")))


def _said(evidence: Evidence) -> pd.DataFrame:
    """Whether a finding is named, once flagged answers are swapped, in the columns of "alarm_flagged"."""
    return (evidence.table("alarm_flagged") != _for_each_alarm(evidence.several.predicted("test"))).astype(float)


def _for_each_alarm(of_findings: np.ndarray) -> np.ndarray:
    """What is so of each finding (n, k), once for each alarm."""
    return np.tile(of_findings, len(ALARMS))


# --- what a run cannot tell -------------------------------------------------------------------------------------------


@LIMITS.register("few_with_a_finding")
def few_with_a_finding(evidence: Evidence, table: str) -> dict[str, Sequence[str]]:
    """Too few test images that have a finding, or that do not have it, for the interval of a score over all images."""
    if table not in RESAMPLED:
        return {}
    return dict.fromkeys(evidence.table(table), _few(evidence))


def _few(evidence: Evidence) -> list[str]:
    several, told = evidence.several, []
    for name, present in zip(several.findings, several.present("test").T, strict=True):
        for count, words in ((present.sum(), "with"), ((~present).sum(), "without")):
            if count < LEAST_IMAGES:
                told.append(f"{few(count, 'image')} {words} {name}")
    return told


@LIMITS.register("unlearned_findings")
def unlearned_findings(evidence: Evidence, table: str) -> dict[str, Sequence[str]]:
    """Findings that the network has not learned, by the interval of its area under the ROC curve: an alarm on answers
    that are no better than chance shows nothing. A mean over the findings has all of them."""
    if table not in OF_FINDINGS:
        return {}
    several, told = evidence.several, {}
    for name, present, logits in zip(
        several.findings, several.present("test").T, several.logits("test").T, strict=True
    ):
        found = roc_auc(present, logits, evidence.n_boot, evidence.seed)
        if found["ci_low"] <= 0.5:
            told[name] = f"AUC {found['auc']:.2f} of {name}"
    return {
        column: [why for name, why in told.items() if table in RESAMPLED or name == column.partition("/")[0]]
        for column in evidence.table(table)
    }


@LIMITS.register("coarse_grid_of_an_alarm")
def coarse_grid_of_an_alarm(evidence: Evidence, table: str) -> dict[str, Sequence[str]]:
    """Grad-CAM of a grid that is too coarse to point at anything, on small images."""
    if table not in OF_FINDINGS:
        return {}
    several = evidence.several
    side = cam_grid(several.network.architecture, several.sizes.size, several.study.protocol.cam_min_grid)
    told = [f"a grid of {side} \N{MULTIPLICATION SIGN} {side}"] if side < LEAST_GRID else []
    return {column: told for column in evidence.table(table) if column.rpartition("/")[2] == GRADCAM}


# --- checks -----------------------------------------------------------------------------------------------------------


@CHECKS.register("mean_area")
def mean_area(evidence: Evidence, mean: float) -> Outcome:
    """The mean over the findings of the area under the ROC curve is the paper's."""
    several = evidence.several
    present, logits = several.present("test"), several.logits("test")
    drawn = times_drawn(len(present), evidence.n_boot, evidence.seed, several.clusters("test"))
    both = ((drawn @ present > 0) & (drawn @ ~present > 0)).all(axis=1)  # resamples with and without each finding
    weights = np.vstack([np.ones(len(present), int), drawn[both]])
    estimate, *resampled = np.mean(
        [roc_area(there, scores, weights) for there, scores in zip(present.T, logits.T, strict=True)], axis=0
    )
    low, high = interval(np.array(resampled))
    limit = "; ".join(_few(evidence))
    word = TOO_SMALL if limit else "yes" if low <= mean <= high else "no"
    why = "mean area; interval holds the paper's value: yes"
    return Outcome(f"mean area {estimate:.3f}", word, why, float(estimate), low, high, limit)


@CHECKS.register("films_behind")
def films_behind(
    evidence: Evidence | None,
    images: int,
    sensitivities: Sequence[float],
    specificities: Sequence[float],
    f1: float | None = None,
) -> Outcome:
    """A gain in sensitivity is more than chance, by the whole numbers of films that its percentages stand for.

    McNemar's exact test needs the films that changed either way. The fewest that fit are those gained, none lost: if
    the test is not significant with these, it is not with any.
    """
    found = informer.counts_behind(images, tuple(sensitivities), tuple(specificities), f1)
    gained = found["tp_after"] - found["tp_before"]
    least = 2.0 ** (1 - gained.clip(lower=1)).astype(float)  # the smallest p of as many more
    counts = [
        f"{row.tp_before} and {row.tp_after} of {row.positives} films found, "
        f"{row.tn_before} and {row.tn_after} of {images - row.positives} cleared"
        for row in found.itertuples()
    ]
    word = "no" if len(found) and (least >= 0.05).all() else "unclear"
    ours = f"{' or '.join(counts)}; p {least.min():.3g} at best" if counts else "no whole numbers fit"
    why = "films found besides; McNemar's exact p of no number of films that fits can be below 0.05: no"
    return Outcome(ours, word, why, float(gained.min()) if counts else np.nan)


@CHECKS.register("cells_in_place")
def cells_in_place(evidence: Evidence | None, exchanged: str) -> Outcome:
    """The means of Table 1 of Shu et al. follow from its rows as printed, rather than with two cells exchanged."""
    found = informer.means_of_table(exchanged=exchanged)
    here, there = int(found["agrees"].sum()), int(found["agrees_exchanged"].sum())
    word = "yes" if here == len(found) else "no" if there > here else "unclear"
    ours = f"{here} of {len(found)} means follow as printed, {there} with the cells exchanged"
    why = "means that follow from their rows, rounding allowed for; more do with the cells exchanged: no"
    return Outcome(ours, word, why, float(here))
