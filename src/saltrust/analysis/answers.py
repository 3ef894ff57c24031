"""What a chapter found, in one or two sentences that the numbers choose: a run ends with it."""

from collections.abc import Mapping, Sequence

import pandas as pd

from saltrust.analysis.words import listed
from saltrust.methods.registry import label_of


def of_utility(means: pd.Series, average: float) -> str:
    """Which method finds most, and whether it finds more than the average mask.

    Args:
        means: Mean AUPRC by method.
        average: That of the average mask.

    >>> print(of_utility(pd.Series({"ig": 0.25, "xrai": 0.5}), 0.375).replace(". ", ".\\n"))
    XRAI finds most, with a mean AUPRC of 0.500.
    The average mask, which sees no image, scores 0.375: only XRAI has a higher mean.
    """
    best = means.idxmax()
    which = _which(list(means.index[means > average]), len(means), "has a higher mean", "have a higher mean")
    return (
        f"{label_of(best)} finds most, with a mean AUPRC of {means[best]:.3f}. The average mask, which sees no image, "
        f"scores {average:.3f}: {which}."
    )


def of_randomization(last: pd.Series, threshold: pd.Series, only_last: Sequence[str]) -> str:
    """Which methods still resemble the trained network's maps when its weights are random.

    Args:
        last: Mean SSIM after the last stage, by method.
        threshold: That below which a map counts as changed, by method.
        only_last: Methods that fall below it at the last stage alone.

    >>> of_randomization(pd.Series({"ig": 0.2, "xrai": 0.5}), pd.Series({"ig": 0.4, "xrai": 0.4}), ["ig"])
    'After the last random stage only XRAI stays above its threshold on average. IG falls below it there, not before.'
    """
    stay = list(last.index[last >= threshold])
    which = _which(stay, len(last), "stays above its threshold on average", "stay above their thresholds on average")
    late = [label_of(name) for name in only_last]
    verb = "fall below them" if len(late) > 1 else "falls below it"
    return f"After the last random stage {which}." + (f" {listed(late)} {verb} there, not before." if late else "")


def of_agreement(means: Mapping[str, pd.Series]) -> str:
    """Between which likenesses the maps of two networks lie.

    Args:
        means: Mean SSIM by method, for each criterion.

    >>> of_agreement({"repeatability": pd.Series({"ig": 0.25, "xrai": 0.5})})
    'Mean SSIM of maps of two networks: repeatability from 0.250 (IG) to 0.500 (XRAI).'
    """
    ranges = (
        f"{name} from {maps.min():.3f} ({label_of(maps.idxmin())}) to {maps.max():.3f} ({label_of(maps.idxmax())})"
        for name, maps in means.items()
    )
    return f"Mean SSIM of maps of two networks: {'; '.join(ranges)}."


def of_report_card(graded: pd.DataFrame) -> str:
    """How many methods pass each criterion against its low baselines, and which pass all.

    Args:
        graded: From `report_card.grades`.

    >>> graded = {"utility": {"ig": "fail", "xrai": "low"}, "randomization": {"ig": "pass", "xrai": "fail"}}
    >>> of_report_card(pd.DataFrame(graded))
    'Of 2 methods pass by criterion: utility 1, randomization 1. None passes all.'
    """
    passed = graded.isin(["pass", "low"])
    counts = ", ".join(f"{criterion} {n}" for criterion, n in passed.sum().items())
    which = _which(list(graded.index[passed.all(axis=1)]), len(graded), "passes all", "pass all")
    return f"Of {len(graded)} methods pass by criterion: {counts}. {which[0].upper()}{which[1:]}."


def _which(names: Sequence[str], of: int, one: str, more: str) -> str:
    """Who of so many does something: a judgement, not a count of nothing."""
    if not names:
        return f"none {one}"
    if len(names) == of:
        return f"all {of} {more}" if of > 1 else f"it {one}"
    return f"only {label_of(names[0])} {one}" if len(names) == 1 else f"{listed([label_of(n) for n in names])} {more}"
