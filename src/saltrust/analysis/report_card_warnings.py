"""What speaks against the numbers of a report card."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from saltrust.analysis.models import called, still_improving, training_words
from saltrust.analysis.randomization import falls, late_words
from saltrust.core.outcomes import UNDECIDED
from saltrust.core.registry import Registry
from saltrust.methods.registry import PAPER_EIGHT, label_of, select
from saltrust.study.study import Study

# --- warnings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CardEvidence:
    """What warnings are drawn from: a study, the methods asked for and their report card."""

    study: Study
    methods: str
    card: pd.DataFrame
    n_boot: int = 1000

    @cached_property
    def models(self) -> pd.DataFrame:
        return self.study.networks.table(self.n_boot)

    @cached_property
    def faults(self) -> pd.DataFrame:
        return self.study.maps.faults(self.methods, models=(self.study.networks.main,))

    @cached_property
    def falls(self) -> pd.DataFrame:
        return falls(self.study, self.methods)

    @cached_property
    def utility(self) -> dict[str, pd.Series]:
        """Mean AUPRC by method, the highest first, for each role."""
        means = self.card[self.card["criterion"] == "utility"].drop_duplicates("method").set_index("method")
        return {role: rows["value"].sort_values(ascending=False) for role, rows in means.groupby("role")}

    @property
    def best(self) -> tuple[str, float]:
        """The map with the highest mean AUPRC, and that mean."""
        means = self.utility["map"]
        return label_of(means.index[0]), means.iloc[0]


WARNINGS: Registry[Callable[[CardEvidence], str | None]] = Registry("warning")
"""Each looks at the evidence, and says in one line what is wrong and what follows, or nothing (None)."""

WEAK = 0.8  # AUC below which a classifier has hardly learned the finding; the papers' reach 0.89 or more
FEW = 50  # images
LOOSE = 0.1  # residual, as a share of the total
LARGE = 0.1  # share of the image


def warnings(evidence: CardEvidence) -> list[str]:
    """What a reader of the card must know before believing it, one line each; empty where nothing is amiss."""
    return [text for check in WARNINGS.values() if (text := check(evidence))]


@WARNINGS.register("profile")
def _profile(evidence: CardEvidence) -> str | None:
    if evidence.study.profile.name != "smoke":
        return None
    which = "localizers" if evidence.study.card.models else "networks"
    return f"Profile smoke: few images, and {which} trained for a few steps only. The card shows that the code runs."


@WARNINGS.register("generated")
def _generated(evidence: CardEvidence) -> str | None:
    if evidence.study.card.get is not None:
        return None
    return "The images are drawn by a program: what holds for them need not hold for patients."


@WARNINGS.register("classifiers")
def _classifiers(evidence: CardEvidence) -> str | None:
    own = evidence.models.query("role == 'classifier'").dropna(subset="auc")
    weakest = own.loc[own["auc"].idxmin()]
    if weakest["auc"] >= WEAK:
        return None
    return (
        f"{evidence.study.networks.title(weakest['model'])} has an AUC of {weakest['auc']:.2f} "
        f"({weakest['ci_low']:.2f} to {weakest['ci_high']:.2f}): a map cannot show what its network has not learned."
    )


@WARNINGS.register("converged")
def _converged(evidence: CardEvidence) -> str | None:
    networks = evidence.study.networks
    records = {called(networks.title(name)): networks.trained(name).record for name in networks.classifiers}
    return training_words(records) if still_improving(records) else None


@WARNINGS.register("images")
def _images(evidence: CardEvidence) -> str | None:
    fewest = evidence.card.query("role == 'map'").groupby("criterion")["n"].max()
    if fewest.min() >= FEW:
        return None
    return (
        f"{fewest['utility']} images behind utility, {fewest['randomization']} behind randomization: the fewer there "
        "are, the more an interval is too narrow, so that PASS and FAIL may be chance; and a small difference is not "
        "seen."
    )


@WARNINGS.register("networks")
def _networks(evidence: CardEvidence) -> str | None:
    study = evidence.study
    if not study.criteria.partners:
        return "There is one network: whether another one would show the same was not asked."
    return (
        f"What another network would show rests on one pair of networks ({study.networks.replication}): no interval "
        "here says how far another pair would differ."
    )


@WARNINGS.register("refused")
def _refused(evidence: CardEvidence) -> str | None:
    """Of the paper's methods, those that were left out since they cannot explain a model that was trained elsewhere."""
    reasons = evidence.study.networks.refused([name for name in PAPER_EIGHT if name not in select(evidence.methods)])
    if not reasons:
        return None
    return "Not shown: " + "; ".join(f"{label_of(method)} ({reason})" for method, reason in reasons.items()) + "."


@WARNINGS.register("faults")
def _faults(evidence: CardEvidence) -> str | None:
    kinds = {"not_finite": "not finite", "constant": "constant", "empty": "empty"}
    found = evidence.faults.set_index("method")[list(kinds)].rename(columns=kinds).stack()
    found = found[found > 0]
    if found.empty:
        return None
    counts = ", ".join(f"{label_of(method)} {n} {kind}" for (method, kind), n in found.items())
    total = evidence.faults["maps"].sum()
    return f"{found.sum()} of {total} maps say nothing ({counts}): their scores are those of a blank, or missing."


@WARNINGS.register("residual")
def _residual(evidence: CardEvidence) -> str | None:
    loose = evidence.faults.set_index("method")["residual"]
    loose = loose[loose > LOOSE]
    if loose.empty:
        return None
    shares = ", ".join(f"{label_of(method)} by {share:.0%}" for method, share in loose.items())
    return (
        f"Maps miss the total that they should add up to (of LRP, less what biases take): {shares}. They are not yet "
        "what their method defines."
    )


@WARNINGS.register("controls")
def _controls(evidence: CardEvidence) -> str | None:
    (best, value), rivals = evidence.best, evidence.utility["control"]
    rivals = rivals[rivals >= value]
    if rivals.empty:
        return None
    names = ", ".join(f"{label_of(name)} {mean:.2f}" for name, mean in rivals.items())
    return f"No map finds more than a control that never sees the network: {names}; the best map, {best}, {value:.2f}."


@WARNINGS.register("edges")
def _edges(evidence: CardEvidence) -> str | None:
    maps, edges = evidence.utility["map"], evidence.utility["control"]["sobel"]
    below = int((maps <= edges).sum())
    if not below:
        return None
    return f"An edge detector (AUPRC {edges:.2f}) finds as much as, or more than, {below} of {len(maps)} methods."


@WARNINGS.register("localizer")
def _localizer(evidence: CardEvidence) -> str | None:
    (best, value), (name, reference) = evidence.best, next(evidence.utility["localizer"].items())
    if reference > value:
        return None
    return (
        f"The localizer ({label_of(name)}) finds no more than {best}: AUPRC {reference:.2f} against {value:.2f}. "
        "It is no high baseline here."
    )


@WARNINGS.register("texture")
def _texture(evidence: CardEvidence) -> str | None:
    study, fixed = evidence.study, evidence.study.protocol.low_baseline
    if not study.criteria.partners:
        return None
    other = next(iter(study.criteria.partners.values()))
    null = study.criteria.null(evidence.methods, other).groupby("method")["ssim"].mean().drop(study.card.localizer)
    name, value = label_of(null.idxmax()), null.max()
    if not isinstance(fixed, tuple):
        return (
            f"The low baseline of SSIM is set at {fixed:g}, not measured: maps that share their texture alone reach "
            f"{null.min():.2f} ({label_of(null.idxmin())}) to {value:.2f} ({name})."
        )
    if value <= 0.5:
        return None
    return f"SSIM is {value:.2f} for maps that share their texture alone ({name}): the number by itself says little."


@WARNINGS.register("undecided")
def _undecided(evidence: CardEvidence) -> str | None:
    verdicts = evidence.study.verdicts(evidence.methods, evidence.n_boot)
    if evidence.study.protocol.rule == "mean":
        doubtful = int(((verdicts["ci_low"] <= 0) & (verdicts["ci_high"] >= 0)).sum())
        then = "The mean alone decides here, so that their PASS or FAIL may be chance."
    else:
        doubtful = int((verdicts["verdict"] == UNDECIDED).sum())
        then = "The images cannot tell whether the method is better; it was not found to be worse."
    if not doubtful:
        return None
    return f"{doubtful} of {len(verdicts)} comparisons are in doubt: the interval of the difference holds zero. {then}"


@WARNINGS.register("boxes")
def _boxes(evidence: CardEvidence) -> str | None:
    if evidence.study.card.truth != "box":
        return None
    return "The truth is boxes, which hold more than the finding: a map of its exact outline would lose recall."


@WARNINGS.register("size")
def _size(evidence: CardEvidence) -> str | None:
    study = evidence.study
    share = study.images.split("test").truth[list(study.images.explained)].mean()
    if share <= LARGE:
        return None
    return f"The finding covers {share:.0%} of the image on average: a map that says nothing has that AUPRC."


@WARNINGS.register("filled")
def _filled(evidence: CardEvidence) -> str | None:
    images = evidence.study.images
    filled = images.split("test").truth[list(images.explained)].all(axis=(1, 2))
    if not filled.any():
        return None
    return (
        f"The truth fills {filled.sum()} of {len(filled)} images: of these every map has an AUPRC of 1, whatever it "
        "shows, and they are among those of the means."
    )


@WARNINGS.register("late")
def _late(evidence: CardEvidence) -> str | None:
    found = evidence.falls
    late = late_words(found)
    if not found["only_last"].any():
        return None
    stages = evidence.study.maps.cascade_stages(evidence.study.protocol)
    return (
        f"Only the last of {len(stages)} stages of random weights, {stages[-1]}, takes the maps below their threshold: "
        f"{late}. Until then they are more alike than the maps of different images are."
    )
