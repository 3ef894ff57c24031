"""What claims are tested on: tables of scores by image, each made once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from saltrust.analysis.claims.limits import limits
from saltrust.artefacts.maps import RandomizedOutputs
from saltrust.artefacts.store import Store
from saltrust.core.data_cards import Card
from saltrust.core.protocols import PROTOCOLS
from saltrust.core.registry import Registry
from saltrust.methods.registry import CONTROLS
from saltrust.stats.bootstrap import clusters_of
from saltrust.stats.mixed_model import fit
from saltrust.stats.multiple_comparisons import all_pairs, compare
from saltrust.study.criteria import CRITERIA
from saltrust.study.five_band import TJOA_EIGHT, FiveBandStudy
from saltrust.study.multilabel import MultilabelStudy
from saltrust.study.study import Study

REFERENCES = ("average", "localizer")  # columns of tables that are no method


class Evidence:
    """A study's scores by image, each table made once.

    Attributes:
        known_limits: by table that was asked for, why columns cannot answer.
    """

    def __init__(self, study: Study, n_boot: int = 1000):
        self.study = study
        self.n_boot = n_boot
        self.seed = study.seed
        self._tables: dict[str, pd.DataFrame] = {}
        self.known_limits: dict[str, dict[str, tuple[str, ...]]] = {}
        self._contrasts: dict[tuple[str, str | None], pd.DataFrame] = {}

    def table(self, name: str) -> pd.DataFrame:
        """Scores (images x columns), a column for each method (or "network/method"); a name in TABLES."""
        if name not in self._tables:
            self._tables[name] = TABLES[name](self)
        return self._tables[name]

    def limits(self, table: str) -> dict[str, tuple[str, ...]]:
        """Why columns of a table cannot answer a claim, by column; one that can is not among them."""
        if table not in self.known_limits:
            self.known_limits[table] = limits(self, table)
        return self.known_limits[table]

    def clusters(self, images: pd.Index) -> np.ndarray | None:
        """What images, or pairs of them, belong to (n,), as `clusters_of` gives it."""
        return clusters_of(images, self.study.images.clusters)

    def contrast(self, table: str, column: str, than: str, than_table: str | None = None) -> dict[str, float]:
        """The difference of two means by the paper's test: a mixed model with a random intercept of each image, and of
        each patient where several images are of one, and Tukey's HSD (Arun et al., Statistical analysis).

        Args:
            table: a name in TABLES; all pairs of its columns are one family.
            column: of the table.
            than: the one that it is compared with.
            than_table: where that one is, if elsewhere; then the family is of each column with its own there.

        Returns:
            difference, ci_low, ci_high: the first minus the second, with its simultaneous 95 % interval, which is
            without 0 exactly if the adjusted p is below 0.05.
        """
        key = table, than_table
        if key not in self._contrasts:
            self._contrasts[key] = _contrasts(self, table, than_table)
        pairs = self._contrasts[key]
        sign = 1 if (column, than) in pairs.index else -1
        row = sign * pairs.loc[(column, than) if sign > 0 else (than, column)]
        ends = sorted([row["ci_low"], row["ci_high"]])
        return {"difference": row["estimate"], "ci_low": ends[0], "ci_high": ends[1]}

    @cached_property
    def networks(self) -> pd.DataFrame:
        """The classifiers and localizers with their areas under the ROC curve, as `Networks.table` gives them."""
        return self.study.networks.table(self.n_boot)

    def image_scores(self, network: str) -> np.ndarray:
        """How surely a network sees the finding in each test image (n,): a name in IMAGE_SCORES."""
        return np.asarray(IMAGE_SCORES[network](self.study))

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Table 2 of Arun et al., as `Study.verdicts` gives it."""
        return self.study.verdicts("paper", self.n_boot)

    @cached_property
    def graded(self) -> FiveBandStudy:
        """The maps of a data set with graded truth."""
        return FiveBandStudy(self.study)

    @cached_property
    def several(self) -> MultilabelStudy:
        """The network of a data set with several findings, and what may warn of its answers."""
        return MultilabelStudy(self.study)

    @cached_property
    def five_band(self) -> pd.DataFrame:
        """Five-band scores of the eight methods of Tjoa & Guan."""
        return self.graded.five_band(TJOA_EIGHT)

    @cached_property
    def roc(self) -> pd.DataFrame:
        """Their ROC curves."""
        return self.graded.roc(TJOA_EIGHT)


def collect(
    card: Card, profile: str, protocols: Sequence[str], seed: int, n_boot: int, store: Store | None = None
) -> dict[str, Evidence]:
    """The evidence on a data set, by protocol.

    Of drawn cells the protocol decides only how maps are counted: the faults of the published and of the run
    generator would be other images and want other networks, and the first makes two of the ten classes one.
    """
    store = store or Store()
    found = {}
    for protocol in protocols:
        graded = card.truth == "graded"
        study = Study(card.name, profile, "corrected" if graded else protocol, seed, store)
        counted = replace(study.protocol, five_band=PROTOCOLS[protocol].five_band)
        found[protocol] = Evidence(study.with_protocol(counted), n_boot)
    return found


TABLES: Registry[Callable[[Evidence], pd.DataFrame]] = Registry("table of scores")

IMAGE_SCORES: Registry[Callable[[Study], Sequence[float]]] = Registry("network of a study")
"""Functions that give a score of each test image, by what the network is to the study."""


def _scores_of(role: str) -> Callable[[Study], Sequence[float]]:
    return lambda study: study.networks.trained(getattr(study.networks, role)).record["test_scores"]


def _random_scores_of(role: str) -> Callable[[Study], Sequence[float]]:
    return lambda study: study.store.get(random_outputs(study, role))[:, 0]


RANDOM = {"main_random": "main", "other_random": "other"}
"""The networks whose weights are drawn anew, by what the trained ones are to the study."""

for _role in ("main", "replicate", "other"):
    IMAGE_SCORES.register(_role)(_scores_of(_role))
for _name, _role in RANDOM.items():
    IMAGE_SCORES.register(_name)(_random_scores_of(_role))
IMAGE_SCORES.register("localizer")(lambda study: study.networks.localizer().record["test_scores"])


def random_outputs(study: Study, role: str) -> RandomizedOutputs:
    """The name of what the "main" or the "other" network makes of the test images after all its weights were drawn
    anew, as those of the study's random network are."""
    model = study.networks.artefact(getattr(study.networks, role))
    drawn = study.maps.artefact("grad", study.networks.random).randomization
    return RandomizedOutputs(model, replace(drawn, stage=model.stages[-1].name))


def _contrasts(evidence: Evidence, table: str, than_table: str | None) -> pd.DataFrame:
    """All comparisons of a family by their columns: estimate, ci_low, ci_high (see `compare`)."""
    names = [table, *([than_table] if than_table else [])]
    tables = [evidence.table(name) for name in names]
    shared = [column for column in tables[0] if all(column in one for one in tables)]
    if than_table:
        shared = [column for column in shared if column not in REFERENCES]  # they are the same in both
    long = pd.concat(
        one[shared].rename_axis("image").reset_index().melt("image", var_name="column").assign(table=name)
        for name, one in zip(names, tables, strict=True)
    )
    long["level"] = long["column"] + (": " + long["table"] if than_table else "")
    random = ["image"]
    if (clusters := evidence.clusters(long["image"])) is not None:
        long["group"] = clusters
        if 1 < long["group"].nunique() < long["image"].nunique():
            random.insert(0, "group")
    shown = [(column, column) for column in shared] if than_table else all_pairs(shared)
    pairs = [tuple(f"{c}: {n}" for c, n in zip(pair, names, strict=True)) for pair in shown] if than_table else shown
    found = compare(fit(long, "value", "level", random), pairs)
    return found.set_index(pd.MultiIndex.from_tuples(shown))[["estimate", "ci_low", "ci_high"]]


def _wide(frame: pd.DataFrame, score: str, *columns: str) -> pd.DataFrame:
    """Images x columns, these joined by "/"; several rows of one image (replicates, branches) are averaged."""
    joined = frame[list(columns)].agg("/".join, axis=1)
    return frame[score].groupby([frame["image"], joined.rename(None)], sort=False).mean().unstack()


def _by_criterion(criterion: str) -> Callable[[Evidence], pd.DataFrame]:
    """The scores behind a verdict: the methods, the average mask and the localizer."""

    def table(evidence: Evidence) -> pd.DataFrame:
        return _shown(evidence, evidence.study.criteria.of(criterion, "paper"), CRITERIA[criterion].score)

    return table


def _shown(evidence: Evidence, frame: pd.DataFrame, score: str) -> pd.DataFrame:
    """Without the controls, and the localizer called so whatever it is."""
    rows = frame[~frame["method"].isin(CONTROLS)]
    return _wide(rows, score, "method").rename(columns={evidence.study.card.localizer: "localizer"})


for _criterion in CRITERIA:
    TABLES.register(_criterion)(_by_criterion(_criterion))


@TABLES.register("utility_other")
def _utility_other(evidence: Evidence) -> pd.DataFrame:
    return _utility(evidence, evidence.study.networks.other)


@TABLES.register("utility_random")
def _utility_random(evidence: Evidence) -> pd.DataFrame:
    return _utility(evidence, evidence.study.networks.random)


def _utility(evidence: Evidence, model: str) -> pd.DataFrame:
    frame = evidence.study.criteria.localization("paper", models=(model,))
    return _shown(evidence, frame[frame["model"] != f"{evidence.study.card.localizer}-2"], "auprc")


@TABLES.register("utility_by_model")
def _utility_by_model(evidence: Evidence) -> pd.DataFrame:
    """Mean over the eight methods, a column for each architecture."""
    tables = {"main": evidence.table("utility"), "other": evidence.table("utility_other")}
    return pd.DataFrame({name: table.drop(columns=list(REFERENCES)).mean(axis=1) for name, table in tables.items()})


@TABLES.register("cascade")
def _cascade(evidence: Evidence) -> pd.DataFrame:
    """SSIM of Guided Backpropagation at the stages of the paper's cascade before its last one, a column for each."""
    networks = evidence.study.networks
    before = networks.stages[: networks.stages.index(networks.paper_end)]
    frame = evidence.study.criteria.sensitivity("guided_backprop")
    return _wide(frame[frame["stage"].isin(before)], "ssim", "stage")


@TABLES.register("threshold")
def _threshold(evidence: Evidence) -> pd.DataFrame:
    """SSIM of maps of different images; the rows are pairs."""
    return _wide(evidence.study.criteria.thresholds("paper"), "ssim", "method")


@TABLES.register("accuracy")
def _accuracy(evidence: Evidence) -> pd.DataFrame:
    """Share of the branches that are right, by test image and network."""
    graded, labels = evidence.graded, evidence.study.images.split("test").labels
    branches = evidence.study.networks.branches
    return pd.DataFrame(
        {
            network: np.mean([graded.predicted(network, b) == labels for b in branches(network)], axis=0)
            for network in graded.networks
        }
    )


@TABLES.register("recall")
def _recall(evidence: Evidence) -> pd.DataFrame:
    return _with_medians(_wide(evidence.five_band, "recall_avg", "network", "method"), evidence.graded)


@TABLES.register("precision")
def _precision(evidence: Evidence) -> pd.DataFrame:
    return _with_medians(_wide(evidence.five_band, "precision_avg", "network", "method"), evidence.graded)


def _with_medians(table: pd.DataFrame, graded: FiveBandStudy) -> pd.DataFrame:
    medians = {f"{n}/median": table.filter(like=f"{n}/").median(axis=1) for n in graded.networks}
    return table.assign(**medians)


@TABLES.register("recall_by_network")
def _recall_by_network(evidence: Evidence) -> pd.DataFrame:
    return _wide(evidence.five_band, "recall_avg", "network")


@TABLES.register("recall_unsigned")
def _recall_unsigned(evidence: Evidence) -> pd.DataFrame:
    frame = evidence.graded.five_band(("deeplift", "deeplift_shap"), unsigned=True)
    return _wide(frame, "recall_avg", "network", "method")


@TABLES.register("clamping")
def _clamping(evidence: Evidence) -> pd.DataFrame:
    """By how much clamping moves the best recall and precision of a map, in either direction, by network and score."""
    return _clamped(evidence, abs)


@TABLES.register("clamping_change")
def _clamping_change(evidence: Evidence) -> pd.DataFrame:
    """By how much clamping raises them."""
    return _clamped(evidence, lambda change: change)


def _clamped(evidence: Evidence, size: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    clamped, scores = evidence.graded.five_band(TJOA_EIGHT, clamped=True), ("recall", "precision")
    raised = {s: size(clamped[f"{s}_best"] - evidence.five_band[f"{s}_best"]) for s in scores}
    tables = [_wide(clamped.assign(raised=raised[s]), "raised", "network").add_suffix(f"/{s}") for s in scores]
    return pd.concat(tables, axis=1)


@TABLES.register("first_fpr")
def _first_fpr(evidence: Evidence) -> pd.DataFrame:
    """False positive rate at the strictest thresholds."""
    return _with_medians(_wide(evidence.graded.ends(TJOA_EIGHT), "fpr_first", "network", "method"), evidence.graded)


@TABLES.register("recall_gain")
def _recall_gain(evidence: Evidence) -> pd.DataFrame:
    """Recall at the laxest thresholds less that at the strictest."""
    return _with_medians(_wide(evidence.graded.ends(TJOA_EIGHT), "recall_gain", "network", "method"), evidence.graded)


@TABLES.register("blank")
def _blank(evidence: Evidence) -> pd.DataFrame:
    """Share of the pixels in band 0, by network."""
    return _wide(_bands(evidence), "blank", "network")


@TABLES.register("false_alarms")
def _false_alarms(evidence: Evidence) -> pd.DataFrame:
    """Share of the background in another band than 0."""
    return _wide(_bands(evidence), "false_alarms", "network", "method")


def _bands(evidence: Evidence) -> pd.DataFrame:
    return evidence.graded.blank(TJOA_EIGHT)


@TABLES.register("depth")
def _depth(evidence: Evidence) -> pd.DataFrame:
    """Change of recall and precision with each convolution that is added to AlexNet: least-squares slope by image."""
    frame = evidence.graded.five_band(TJOA_EIGHT, evidence.graded.deepened)
    tables = {score: _wide(frame, f"{score}_avg", "network") for score in ("recall", "precision")}
    return pd.DataFrame({score: table.apply(_slope, axis=1) for score, table in tables.items()})


def _slope(scores: pd.Series) -> float:
    layers = [int(network.partition("+")[2]) for network in scores.index]
    return np.polyfit(layers, scores, 1)[0]
