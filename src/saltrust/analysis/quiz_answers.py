"""What answers of a study with people say: by arm, by kind of image, in a mixed model, and what such a study can find.

Intervals are over participants: answers of one person are not independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from saltrust.analysis.quiz_reading import ARMS
from saltrust.core.errors import SaltrustError
from saltrust.stats.bootstrap import interval
from saltrust.stats.logistic_crossed import CrossedFit, fit_crossed
from saltrust.study.quiz import KINDS

WITH_MAPS, WITH_SCORES = ("maps", "both"), ("scores", "both")
LEVEL = 0.95


@dataclass(frozen=True)
class Measure:
    """A number for each participant. of: from that participant's answers; NaN where they give none."""

    title: str
    of: Callable[[pd.DataFrame], float]


def _ratio(part: str) -> Callable[[pd.DataFrame], float]:
    return lambda own: own[part].sum() / own["named"].sum() if own["named"].sum() else np.nan


MEASURES: Mapping[str, Measure] = {
    "right": Measure("right", lambda own: own["right"].mean()),
    "said": Measure("says 'it will'", lambda own: own["said"].mean()),
    "confidence": Measure("confidence, 1 to 4", lambda own: own["confidence"].mean()),
    "local": Measure("named: parts of the image", _ratio("local")),
    "telling": Measure("named: true of the class", _ratio("telling")),
}
"""By name. local: the saliency-feature ratio, the share of what is named that a map can mark."""


def by_arm(answers: pd.DataFrame, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Each measure in each arm.

    Means of participants' means have an interval by Student's t; d' and criterion, of the answers of an arm together,
    one by resampling its participants.

    Args:
        answers: the table of `read_answers`.
        n_boot: resamples.
        seed: of the resamples.

    Returns:
        Columns measure (a name in MEASURES, "d_prime" or "criterion"), arm, value, ci_low, ci_high (NaN of a single
        participant), participants, answers.
    """
    rows = []
    for arm in ARMS:
        own = answers[answers["arm"] == arm]
        if own.empty:
            continue
        people = [one for _, one in own.groupby("participant")]
        for name, measure in MEASURES.items():
            values = np.array([measure.of(one) for one in people], float)
            rows.append((name, arm, *mean_interval(values), int((~np.isnan(values)).sum()), len(own)))
        for name, (value, low, high) in _detection_of(people, n_boot, seed).items():
            rows.append((name, arm, value, low, high, len(people), len(own)))
    return pd.DataFrame(rows, columns=["measure", "arm", "value", "ci_low", "ci_high", "participants", "answers"])


def by_kind(answers: pd.DataFrame) -> pd.DataFrame:
    """The share of right answers by what the new image is.

    Args:
        answers: the table of `read_answers`.

    Returns:
        Columns kind (a name in KINDS), value, ci_low, ci_high (over participants), participants, answers.
    """
    rows = []
    for kind in KINDS:
        own = answers[answers["kind"] == kind]
        values = own.groupby("participant")["right"].mean().to_numpy(float)
        if len(values):
            rows.append((kind, *mean_interval(values), len(values), len(own)))
    return pd.DataFrame(rows, columns=["kind", "value", "ci_low", "ci_high", "participants", "answers"])


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean and its 95 % interval by Student's t. values: (n,), NaN left out; the interval of one value is NaN.

    >>> [round(value, 3) for value in mean_interval(np.array([0.4, 0.6, np.nan]))]
    [0.5, -0.771, 1.771]
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    reach = float(student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - reach, mean + reach


# --- signal detection -------------------------------------------------------------------------------------------------


def detection(hits: np.ndarray, signals: np.ndarray, alarms: np.ndarray, noises: np.ndarray):
    """d' and criterion, with the log-linear correction: half an answer is added to each count, one to each total.

    Args:
        hits: "it will" where the network does (counts, any shape).
        signals: images where it does.
        alarms: "it will" where it does not.
        noises: images where it does not.

    Returns:
        d', how far both kinds are told apart in standard deviations, and the criterion: 0 without a bias, negative for
        who says "it will" too often.

    Source:
        Hautus 1995; Macmillan & Creelman 2005, chapters 1 and 2.

    >>> d, c = detection(np.array(20), np.array(40), np.array(20), np.array(40))
    >>> float(abs(d)), float(abs(c))
    (0.0, 0.0)
    """
    hit, alarm = (hits + 0.5) / (signals + 1), (alarms + 0.5) / (noises + 1)
    return norm.ppf(hit) - norm.ppf(alarm), -(norm.ppf(hit) + norm.ppf(alarm)) / 2


def _detection_of(people: list[pd.DataFrame], n_boot: int, seed: int) -> dict[str, tuple[float, float, float]]:
    counts = np.array(
        [
            (
                (one["said"] & one["recognised"]).sum(),
                one["recognised"].sum(),
                (one["said"] & ~one["recognised"]).sum(),
                (~one["recognised"]).sum(),
            )
            for one in people
        ]
    )
    drawn = np.random.default_rng(seed).integers(len(people), size=(n_boot, len(people)))
    resamples = counts[drawn].sum(axis=1)
    found = {}
    for place, name in enumerate(("d_prime", "criterion")):
        value = float(detection(*counts.sum(axis=0))[place])
        ends = interval(detection(*resamples.T)[place]) if len(people) > 1 else (np.nan, np.nan)
        found[name] = (value, float(ends[0]), float(ends[1]))
    return found


# --- the mixed model --------------------------------------------------------------------------------------------------


def model(answers: pd.DataFrame) -> CrossedFit:
    """right ~ maps x scores + (1 | participant) + (1 | task), in log odds.

    Each factor is coded as -1/2 and 1/2, so that an estimate is the mean effect of having it. A term that the arms
    which are there cannot tell from the others is left out.

    Args:
        answers: the table of `read_answers`.

    Returns:
        The fitted model, its terms "intercept", "maps", "scores" and "maps:scores".

    Raises:
        SaltrustError: with fewer than two participants or tasks, or where it has no finite solution.
    """
    for name in ("participant", "task"):
        if answers[name].nunique() < 2:
            raise SaltrustError(f"a mixed model of the answers needs two {name}s or more")
    maps, scores = (answers["arm"].isin(arms).to_numpy() - 0.5 for arms in (WITH_MAPS, WITH_SCORES))
    columns = {"intercept": np.ones(len(answers)), "maps": maps, "scores": scores, "maps:scores": maps * scores}
    kept: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        tried = np.column_stack([*kept.values(), column])
        if np.linalg.matrix_rank(tried) == tried.shape[1]:
            kept[name] = column
    factors = {name: answers[name].to_numpy() for name in ("participant", "task")}
    return fit_crossed(answers["right"].to_numpy(bool), pd.DataFrame(kept), factors)


# --- what such a study can find ---------------------------------------------------------------------------------------


def power(
    effect: float, participants: int, tasks: int, base: float = 0.551, spread: float = 0.0, level: float = 0.05
) -> float:
    """The probability that a study finds a difference between two groups of participants.

    A two-sided z-test of the shares of right answers, half of the participants in each group. Binomial variance, and
    where participants differ the variance between them. That tasks differ costs nothing, since all do the same ones.

    Args:
        effect: difference of the shares, such as 0.056.
        participants: of both groups together, 2 or more.
        tasks: of each participant, 1 or more.
        base: share of right answers in the one group, between 0 and 1, as is base + effect.
        spread: standard deviation of the participants' own shares; 0: all are alike.
        level: of significance.

    Raises:
        SaltrustError: for a number outside its range.

    >>> round(power(0.607 - 0.551, participants=64, tasks=14), 2)
    0.4
    """
    shares = np.array([base, base + effect])
    if participants < 2 or tasks < 1 or not ((shares > 0) & (shares < 1)).all() or not 0 < level < 1:
        raise SaltrustError(
            f"power needs 2 participants, 1 task, and shares between 0 and 1, not {participants}, {tasks} and "
            f"{shares[0]:g} and {shares[1]:g}, at a level between 0 and 1, not {level:g}"
        )
    if not 0 <= spread**2 <= (shares * (1 - shares)).min():
        raise SaltrustError(f"no participants' shares around {shares[0]:g} have a standard deviation of {spread:g}")
    of_one = (shares * (1 - shares) - spread**2) / tasks + spread**2
    error = np.sqrt(of_one.sum() / (participants / 2))
    bound = norm.ppf(1 - level / 2)
    return float(norm.sf(bound - effect / error) + norm.cdf(-bound - effect / error))


def needed(effect: float, tasks: int, aim: float = 0.8, **given: float) -> int:
    """The participants of both groups together that give a power.

    Args:
        effect, tasks: as in `power`; an effect other than 0.
        aim: the power, below 1.
        given: base, spread and level of `power`.

    >>> needed(0.056, tasks=14)
    174
    """
    if effect == 0 or not 0 < aim < 1:
        raise SaltrustError(f"no number of participants finds an effect of {effect:g} with a power of {aim:g}")
    low, high = 1, 2  # pairs
    while power(effect, 2 * high, tasks, **given) < aim:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, 2 * middle, tasks, **given) >= aim else (middle + 1, high)
    return 2 * low
