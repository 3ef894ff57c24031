"""The paper's questions as linear mixed models (Arun et al., Methods, Statistical analysis).

Each question is a frame of scores, what varies in it at random, and which means are compared. The pairs of a question
are one family: their p-values are adjusted together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import skew

from saltrust.core.errors import SaltrustError
from saltrust.stats.bootstrap import clusters_of
from saltrust.stats.mixed_model import Fit, fit
from saltrust.stats.multiple_comparisons import Pair, all_pairs, compare, letters, resampled
from saltrust.stats.random_intercept import by_statsmodels, gap
from saltrust.study.criteria import CRITERIA

ALPHA = 0.05
UTILITY = ("utility", "utility_crossed", "utility_networks", "training")
QUESTIONS = (*UTILITY, *(name for name in CRITERIA if name != "utility"), "stability")
"""The questions, in their order."""


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        name: one of QUESTIONS.
        score: the column of the scores.
        scores: tidy, with the columns image, level, <score> and those of the random factors, None for a row without
            one.
        random: the factors that vary at random.
        pairs: of levels, the first minus the second.
        left_out: levels whose scores are all one number, as those of a control that is compared with itself: there is
            nothing to estimate.
    """

    name: str
    score: str
    scores: pd.DataFrame
    random: tuple[str, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A fitted model and its contrasts: columns question, contrast, estimate, ci_low, ci_high, p_adjusted, the other
    ones of `compare`, and boot_low, boot_high of `resampled`."""

    question: Question
    model: Fit
    contrasts: pd.DataFrame

    @property
    def means(self) -> pd.Series:
        """The mean of each level by the model, the highest first."""
        return pd.Series(self.model.means, self.model.levels).sort_values(ascending=False, kind="stable")

    @property
    def different(self) -> pd.DataFrame:
        """The contrasts with an adjusted p below 0.05."""
        return self.contrasts[self.contrasts["p_adjusted"] < ALPHA]

    @property
    def letters(self) -> dict[str, str]:
        """Two levels share a letter exactly if the test has not told them apart."""
        apart = zip(self.different["first"], self.different["second"], strict=True)
        return letters(list(self.means.index), list(apart))

    @property
    def directions(self) -> pd.DataFrame:
        """What the model and the bootstrap say of each pair: 1 the first is higher, -1 the second, 0 not shown."""
        bounds = {"model": ("ci_low", "ci_high"), "bootstrap": ("boot_low", "boot_high")}
        return pd.DataFrame(
            {
                name: np.sign(self.contrasts[low]).clip(0) + np.sign(self.contrasts[high]).clip(None, 0)
                for name, (low, high) in bounds.items()
            }
        )

    def summary(self) -> dict[str, object]:
        """A row of the table of fits.

        Returns:
            Among others variance_<factor>; icc, the image's share of all variance; spread_ratio, the largest standard
            deviation of a level's residuals over the smallest; residual_skew; pairs, how many are different, and how
            many by Holm's steps (different_by_holm). Where the image alone varies, mixedlm_gap: how far the means by
            statsmodels' MixedLM are from these at most, in standard errors. Where only images vary, as in the
            bootstrap: how many differ by model_only and by bootstrap_only, and on what share of the pairs the two say
            the same.
        """
        question, model = self.question, self.model
        levels = question.scores.dropna(subset=[question.score])["level"].to_numpy()
        spread = pd.Series(model.residuals).groupby(levels).std()
        row = {
            "question": question.name,
            "random": " + ".join(question.random),
            "status": model.status,
            "n": model.n,
            "missing": model.missing,
            "left_out": ", ".join(question.left_out),
            **{f"variance_{name}": value for name, value in model.variances.items()},
            "icc": model.variances["image"] / (sum(model.variances.values()) or np.nan),
            "log_likelihood": model.log_likelihood,
            "spread_ratio": spread.max() / spread.min(),
            "residual_skew": skew(model.residuals),
            "pairs": len(self.contrasts),
            "different": len(self.different),
            "different_by_holm": int((self.contrasts["p_holm"] < ALPHA).sum()),
        }
        if question.random == ("image",):
            row["mixedlm_gap"] = _second_opinion(question, model)
        if set(question.random) <= {"image", "group"}:
            found = self.directions
            row["model_only"] = int(((found["model"] != 0) & (found["bootstrap"] == 0)).sum())
            row["bootstrap_only"] = int(((found["model"] == 0) & (found["bootstrap"] != 0)).sum())
            row["bootstrap_agrees"] = (found["model"] == found["bootstrap"]).mean()
        return row


def _second_opinion(question: Question, model: Fit) -> float:
    """How far statsmodels' means are from ours, in standard errors; NaN where it finds no fit, as without variance."""
    try:
        return gap(model, by_statsmodels(question.scores, question.score, "level"))
    except np.linalg.LinAlgError:
        return float("nan")


def answer(question: Question, n_boot: int = 1000, seed: int = 0) -> Answer:
    """Fit the model and compare the pairs; the bootstrap draws images, or what they belong to (column `group`)."""
    model = fit(question.scores, question.score, "level", question.random)
    unit = "group" if "group" in question.scores else "image"
    boot = resampled(question.scores, question.score, "level", question.pairs, n_boot, seed, unit)
    contrasts = compare(model, question.pairs).join(boot)
    names = [_contrast(first, second) for first, second in question.pairs]
    contrasts.insert(0, "question", question.name)
    contrasts.insert(1, "contrast", names)
    return Answer(question, model, contrasts[[*LEAD, *contrasts.columns.difference(LEAD, sort=False)]])


LEAD = ["question", "contrast", "estimate", "ci_low", "ci_high", "p_adjusted"]


def _contrast(first: str, second: str) -> str:
    """ "grad - xrai", or "grad: trained - random" for two sides of one method."""
    method, of_one, side = first.partition(": ")
    return f"{method}: {side} - {second.partition(': ')[2]}" if of_one else f"{first} - {second}"


def questions(
    localization: pd.DataFrame,
    frames: Mapping[str, pd.DataFrame],
    *,
    methods: Sequence[str],
    trained: Sequence[str],
    untrained: str,
    clusters: Mapping[str, str] | None = None,
) -> list[Question]:
    """All questions, from the frames of `study.criteria`.

    utility: maps of the main network, controls, average truth and first localizer; the image is random.
    utility_crossed: all trained networks; image and network are random and crossed, controls have no network.
    utility_networks: the same, and a method may do better on one network than on another (method:model is random).
    training: for each method, the main network trained against random; stability: repeatability against
    reproducibility. The others: by method. Where the weights of several networks are drawn anew, these are crossed too.
    A question that has no two levels to compare is left out.

    Args:
        localization: utility of all networks' maps.
        frames: by criterion, the scores of the criteria that compare maps (`Frames.of`).
        methods: the saliency methods, as opposed to what stands beside them.
        trained: the classifiers, the main one first.
        untrained: the one with random weights.
        clusters: what each image belongs to; where several images belong together, that is a random factor too
            (`group`).

    Raises:
        SaltrustError: where all methods are controls.
    """
    auprc = CRITERIA["utility"].score
    scores = _controls_once(localization)
    networks = scores[scores["model"] != untrained]
    localizer = next(model for model in networks["model"].dropna() if model not in trained)
    own = scores["method"].isin(methods) & scores["model"].notna()
    if not own.any():
        raise SaltrustError(f"methods '{', '.join(methods)}': all are controls, which have no network to depend on")
    sides = scores["model"].map({trained[0]: "trained", untrained: "random"})
    found = [
        _by_method("utility", auprc, networks[networks["model"].isin([trained[0], localizer, None])], clusters),
        _by_method("utility_crossed", auprc, networks, clusters, ("model",)),
        _by_method("utility_networks", auprc, networks, clusters, ("model", "method:model")),
        _by_side("training", auprc, scores[own].assign(side=sides), clusters),
    ]
    for name, frame in frames.items():
        drawn = ("replicate", "method:replicate") if frame["replicate"].nunique() > 1 else ()
        found.append(_by_method(name, CRITERIA[name].score, frame, clusters, drawn))
    compared = [frame.assign(side=name) for name, frame in frames.items() if CRITERIA[name].partner]
    if compared:
        stability = pd.concat(compared, ignore_index=True)
        found.append(_by_side("stability", "ssim", stability[stability["method"].isin(methods)], clusters))
    return [question for question in found if question.pairs]


def _controls_once(scores: pd.DataFrame) -> pd.DataFrame:
    """Without the model of controls, and without those that are scored once more for each model."""
    control = scores["model"] == "control"
    again = scores["method"].isin(scores.loc[control, "method"].unique()) & ~control
    return scores.assign(model=scores["model"].where(~control, None))[~again]


def _by_method(name: str, score: str, scores: pd.DataFrame, clusters, random: tuple[str, ...] = ()) -> Question:
    scores, left_out = _varying(scores.assign(level=scores["method"]), score)
    return _question(name, score, scores, clusters, random, tuple(all_pairs(scores["level"].unique())), left_out)


def _by_side(name: str, score: str, scores: pd.DataFrame, clusters) -> Question:
    scores = scores.dropna(subset=["side"])
    sides = scores["side"].unique()
    scores, left_out = _varying(scores.assign(level=scores["method"] + ": " + scores["side"]), score)
    levels = set(scores["level"])
    both = (tuple(f"{method}: {side}" for side in sides) for method in scores["method"].unique())
    return _question(
        name, score, scores, clusters, (), tuple(pair for pair in both if levels.issuperset(pair)), left_out
    )


def _varying(scores: pd.DataFrame, score: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    values = scores.groupby("level", sort=False)[score].nunique()
    left_out = tuple(values.index[values < 2])
    return scores[~scores["level"].isin(left_out)], left_out


def _question(name, score, scores, clusters, random, pairs, left_out) -> Question:
    random = ("image", *random)
    if clusters is not None:
        scores = scores.assign(group=clusters_of(scores["image"], clusters))
        if 1 < scores["group"].nunique() < scores["image"].nunique():
            random = ("group", *random)
    return Question(name, score, scores, random, pairs, left_out)
