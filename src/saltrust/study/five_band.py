"""The maps of Tjoa & Guan: their methods, on their networks, by their score; asked for by the chapters on cells.

A facade beside `study`, on the same artefacts, for data whose truth is graded and whose networks are branches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from saltrust.artefacts.maps import SaliencyMaps
from saltrust.artefacts.networks import Trained
from saltrust.artefacts.scores import FiveBandCounts
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.progress import track
from saltrust.core.protocols import FiveBand
from saltrust.core.registry import Registry
from saltrust.scores.five_band import CLAMPED, SOFT, Confusion, Thresholds, adjust, soft
from saltrust.study import criteria
from saltrust.study.images import spread
from saltrust.study.study import Study

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalization
CLAMP = 0.1  # largest magnitude that a clamped map keeps (sec. IV-A)


@dataclass(frozen=True)
class TjoaMethod:
    """A way in which they make maps.

    Attributes:
        title: as in their tables.
        method: a name in METHODS.
        absolute: whether its signs are dropped, as captum's Saliency does.
        first_layer: whether Guided Grad-CAM uses the first convolution.
        parameters: where they differ from the study's.
    """

    title: str
    method: str
    absolute: bool = False
    first_layer: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)


# captum's defaults: five samples without noise, between the image and four baselines that are all but black [code].
NEAR_BLACK = {"distribution": "near_black", "references": 4}
# The product of raw maps under every protocol, as captum has it; the displayed ones of `as_run` are another paper's.
RAW = {"maps": "raw"}

TJOA_METHODS: Registry[TjoaMethod] = Registry("method of Tjoa & Guan")
for _name, _method in {
    "saliency": TjoaMethod("Saliency", "grad", absolute=True),
    "input_x_gradient": TjoaMethod("Input × Gradient", "input_x_gradient"),
    "deeplift": TjoaMethod("DeepLift", "deeplift", parameters={"baseline": "black"}),
    "guided_backprop": TjoaMethod("GuidedBackprop", "guided_backprop"),
    "guided_gradcam": TjoaMethod("GuidedGradCam", "guided_gradcam", first_layer=True, parameters=RAW),  # layer: [code]
    "deconvolution": TjoaMethod("Deconvolution", "deconvolution"),
    "gradient_shap": TjoaMethod("GradientShap", "gradient_shap", parameters={"samples": 5, "noise": 0.0, **NEAR_BLACK}),
    "deeplift_shap": TjoaMethod("DeepLiftShap", "deeplift_shap", parameters=NEAR_BLACK),
    "ig": TjoaMethod("Integrated Gradients", "ig", parameters={"baseline": "black"}),
    "xrai": TjoaMethod("XRAI", "xrai"),
    "guided_gradcam_last": TjoaMethod("GuidedGradCam, last layer", "guided_gradcam", parameters=RAW),
    "gradient": TjoaMethod("Gradient, signed", "grad"),
}.items():
    TJOA_METHODS.register(_name)(_method)

TITLES = {name: method.title for name, method in TJOA_METHODS.items()}
TJOA_EIGHT = tuple(TJOA_METHODS)[:8]
TJOA_TEN = tuple(TJOA_METHODS)[:10]


@dataclass(frozen=True)
class GalleryImage:
    """An image of a gallery: its position in the test split, its class and the predicted one."""

    index: int
    label: int
    predicted: int

    @property
    def right(self) -> bool:
        return self.label == self.predicted


class FiveBandStudy:
    """Maps of a study's branches for the class that each predicts, and their scores.

    Networks are named by their architecture ("alexnet"), branches are numbered from 1.

    Args:
        study: of a data set whose truth is graded.
        thresholds: of maps that are not clamped.

    Raises:
        SaltrustError: where the truth is not graded.
    """

    def __init__(self, study: Study, thresholds: Thresholds = SOFT):
        if study.card.truth != "graded":
            raise SaltrustError(f"data set '{study.card.name}' has no graded truth, which the five-band score needs")
        self.study = study
        self.thresholds = thresholds
        self.networks = study.card.networks
        self.titles = {network: study.networks.title(f"{network}-1") for network in self.networks}
        self.deepened = study.networks.deepened

    @cached_property
    def judged(self) -> tuple[int, ...]:
        """Positions of the test images whose maps are scored, those without a cell among them, evenly spread."""
        sizes = self.study.profile.branching
        return spread(range(len(self.study.images.split("test"))), sizes.judged)

    def of_class(self, name: str, count: int) -> tuple[int, ...]:
        """Positions of test images of one class, the first `count` of them, or all where there are fewer."""
        test = self.study.images.split("test")
        return tuple(np.flatnonzero(test.labels == test.classes.index(name))[:count].tolist())

    # --- networks -------------------------------------------------------------------------------------------------

    def accuracies(self, networks: Sequence[str] = ()) -> pd.DataFrame:
        """Table I: network, branch, size, accuracy (on the test images), and how the branch's training went."""
        rows = []
        for network in networks or self.networks:
            for branch in self.study.networks.branches(network):
                record = self.record(network, branch)
                rows.append(
                    {
                        "network": network,
                        "branch": branch,
                        "size": self.test(network).pixels.shape[1],
                        "accuracy": record["test_accuracy"],
                        **{key: record[key] for key in ("val_accuracy", "stopped", "steps", "seconds")},
                    }
                )
        return pd.DataFrame(rows)

    def plan(self, network: str):
        """How a network is trained."""
        return self.study.networks.artefact(f"{network}-1").plan

    def base(self, network: str) -> Trained:
        """The base model of a network."""
        return self.study.store.get(self.study.networks.artefact(f"{network}-1").base)

    def base_losses(self, network: str) -> pd.DataFrame:
        """Mean training loss of the base model in each epoch: epoch, training loss."""
        losses = self.base(network).record["curves"]["loss"]
        return pd.DataFrame({"epoch": range(1, len(losses) + 1), "training loss": losses})

    def apart(self, network: str) -> pd.DataFrame:
        """How far the branches of a network have parted, a row for each but the first: network, branch, distance (of
        its weights from the first branch's, over the length of these), disagreement (share of the test images that it
        takes for another class)."""
        first, *others = self.study.networks.branches(network)
        origin, predicted = self._weights(network, first), self.predicted(network, first)
        rows = []
        for branch in others:
            distance = np.linalg.norm(self._weights(network, branch) - origin) / np.linalg.norm(origin)
            disagreement = (self.predicted(network, branch) != predicted).mean()
            rows.append((network, branch, float(distance), float(disagreement)))
        return pd.DataFrame(rows, columns=["network", "branch", "distance", "disagreement"])

    def _weights(self, network: str, branch: int) -> np.ndarray:
        """What a branch has learned, as one vector; without what batch normalization has counted."""
        state = self.study.networks.trained(f"{network}-{branch}").state()
        return np.concatenate([v.float().numpy().ravel() for k, v in state.items() if not k.endswith(STATISTICS)])

    def settings(self, network: str) -> dict[str, float]:
        """Table I's columns: size, batch_size, base_epochs, epochs, limit, refresh."""
        plan = self.plan(network)
        return {
            "size": self.test(network).pixels.shape[1],
            "batch_size": plan.branch.batch_size,
            "base_epochs": plan.base.epochs,
            "epochs": plan.branch.epochs,
            "limit": plan.limit,
            "refresh": plan.refresh,
        }

    def record(self, network: str, branch: int = 1) -> dict:
        """What is known of a branch's training."""
        return self.study.networks.trained(f"{network}-{branch}").record

    def test(self, network: str) -> Split:
        """The test images as a network sees them."""
        return self.study.networks.test(f"{network}-1")

    def predicted(self, network: str, branch: int = 1) -> np.ndarray:
        """The class that a branch predicts for each test image (n,)."""
        return np.array(self.record(network, branch)["test_predictions"])

    # --- maps -----------------------------------------------------------------------------------------------------

    def raw(self, name: str, network: str, branch: int = 1, images: tuple[int, ...] | None = None) -> np.ndarray:
        """Raw maps (n, channels, h, w) of the judged test images, or of some; absolute where the method is."""
        values = self.study.store.get(self.artefact(name, network, branch, images)).values
        return np.abs(values) if TJOA_METHODS[name].absolute else values

    def adjusted(
        self,
        name: str,
        network: str,
        branch: int = 1,
        images: tuple[int, ...] | None = None,
        clamped: bool = False,
    ) -> np.ndarray:
        """Those maps (n, h, w) in [-1, 1], after channel adjustment."""
        clamp = CLAMP if clamped else None
        return adjust(self.raw(name, network, branch, images), clamp, self._rules.clamping)

    def gallery(self, network: str, branch: int, right: int) -> list[GalleryImage]:
        """For each class, the first test images that the branch predicts rightly, and the first that it does not."""
        labels, predicted = self.test(network).labels, self.predicted(network, branch)
        found = []
        for label in range(len(self.study.card.classes)):
            hits = np.flatnonzero((labels == label) & (predicted == label))[:right]
            misses = np.flatnonzero((labels == label) & (predicted != label))[:1]
            found += [GalleryImage(int(i), label, int(predicted[i])) for i in (*hits, *misses)]
        return found

    # --- scores ---------------------------------------------------------------------------------------------------

    def five_band(
        self,
        names: Sequence[str],
        networks: Sequence[str] = (),
        clamped: bool = False,
        unsigned: bool = False,
        empty: bool | None = None,
    ) -> pd.DataFrame:
        """Precision, recall and accuracy of each image by method and branch: average and best over soft thresholds.

        Args:
            names: of maps, in TJOA_METHODS.
            networks: architectures, by default those of the card.
            clamped: whether maps are clamped first.
            unsigned: whether the signs of all maps are dropped first.
            empty: whether images without a cell are kept, None for the protocol's choice.

        Returns:
            Columns image, label, predicted, method, network, branch, {precision,recall,accuracy}_{avg,best}.
        """
        rules = self._rules

        def columns(name: str, network: str, branch: int) -> dict[str, np.ndarray]:
            c = self._confusion(name, network, branch, clamped, unsigned)
            scores = {"precision": c.precision(), "recall": c.recall(), "accuracy": c.accuracy()}
            found = {}
            for score, values in scores.items():
                divisor = values.shape[1] - 1 if rules.n_soft else None
                found[f"{score}_avg"], found[f"{score}_best"] = soft(values, divisor)
            return found

        return self.counted(self._table(names, networks, "five-band scores", columns), empty)

    def blank(self, names: Sequence[str], networks: Sequence[str] = (), empty: bool = False) -> pd.DataFrame:
        """How much of a map is in band 0, mean over the thresholds: image, label, predicted, method, network, branch,
        blank (share of all pixels), false_alarms (share of the pixels outside a cell in another band).

        empty: of the images without a cell, else of those with one.
        """

        def columns(name: str, network: str, branch: int) -> dict[str, np.ndarray]:
            c = self._confusion(name, network, branch)
            blank = (c.missed + c.true_negative) / c.pixels
            alarms = c.false_alarm / (c.false_alarm + c.true_negative)
            return {"blank": blank.mean(axis=1), "false_alarms": alarms.mean(axis=1)}

        frame = self._table(names, networks, "blank pixels", columns)
        return frame[(frame["label"] == self.study.images.split("test").absent) == empty]

    def roc(self, names: Sequence[str], networks: Sequence[str] = (), by_branch: bool = False) -> pd.DataFrame:
        """False positive rate and recall at each inner threshold, means over images and branches: method, network,
        threshold, fpr, recall. by_branch: each branch apart, with a column branch."""
        rows = []
        inner = self.thresholds.pairs()[:, 0]
        for name, network, branch in track(self._sets(names, networks), "ROC curves"):
            confusion = self._confusion(name, network, branch)
            shown = self.counted(self._frame(name, network, branch, {})).index
            means = {"fpr": confusion.fpr(), "recall": confusion.recall()}
            means = {key: values[shown].mean(axis=0) for key, values in means.items()}
            by = {"method": name, "network": network, **({"branch": branch} if by_branch else {})}
            rows.append(pd.DataFrame({**by, "threshold": inner, **means}))
        return pd.concat(rows).groupby([*by, "threshold"], sort=False, as_index=False).mean()

    def ends(self, names: Sequence[str], networks: Sequence[str] = ()) -> pd.DataFrame:
        """What the thresholds change: image, label, predicted, method, network, branch, fpr_first (false positive rate
        at the strictest thresholds), recall_gain (recall at the laxest less that at the strictest)."""

        def columns(name: str, network: str, branch: int) -> dict[str, np.ndarray]:
            c = self._confusion(name, network, branch)
            recall = c.recall()
            return {"fpr_first": c.fpr()[:, 0], "recall_gain": recall[:, -1] - recall[:, 0]}

        return self.counted(self._table(names, networks, "thresholds", columns))

    def localization(self, names: Sequence[str], score: str, networks: Sequence[str] = ()) -> pd.DataFrame:
        """Another score of the same maps: image, label, predicted, method, network, branch, <score>.

        score: "auprc", or a name in LOCALIZATION. Images without a cell have none.
        """

        def columns(name: str, network: str, branch: int) -> dict[str, np.ndarray]:
            scores = criteria.localization(self.artefact(name, network, branch), self.study.protocol, score)
            return {score: self.study.store.get(scores)}

        return self.counted(self._table(names, networks, score, columns), empty=False)

    def counted(self, frame: pd.DataFrame, empty: bool | None = None) -> pd.DataFrame:
        """The rows that count in means: those of images without a cell too, or not; None: as the protocol says."""
        empty = self._rules.empty if empty is None else empty
        return frame if empty else frame[frame["label"] != self.study.images.split("test").absent]

    @property
    def _rules(self) -> FiveBand:
        return self.study.protocol.five_band

    def _sets(self, names: Sequence[str], networks: Sequence[str]) -> list[tuple[str, str, int]]:
        return [
            (name, network, b)
            for network in networks or self.networks
            for b in self.study.networks.branches(network)
            for name in names
        ]

    def _confusion(
        self, name: str, network: str, branch: int, clamped: bool = False, unsigned: bool = False
    ) -> Confusion:
        counts = FiveBandCounts(
            maps=self.artefact(name, network, branch),
            absolute=unsigned or TJOA_METHODS[name].absolute,
            clamp=CLAMP if clamped else None,
            clamping=self._rules.clamping,
            thresholds=CLAMPED if clamped else self.thresholds,
        )
        return Confusion(*self.study.store.get(counts))

    def artefacts(
        self,
        names: Sequence[str],
        networks: Sequence[str] = (),
        branches: Sequence[int] = (),
        images: tuple[int, ...] | None = None,
    ) -> Iterator[SaliencyMaps]:
        """Those of several methods, by default of all networks, their branches, and the judged images."""
        for network in networks or self.networks:
            for branch in branches or self.study.networks.branches(network):
                yield from (self.artefact(name, network, branch, images) for name in names)

    def artefact(self, name: str, network: str, branch: int, images: tuple[int, ...] | None = None) -> SaliencyMaps:
        """The name of those maps in the store."""
        from saltrust.models.architectures import ARCHITECTURES

        method = TJOA_METHODS[name]
        given = dict(method.parameters)
        if method.first_layer:
            given["layer"] = ARCHITECTURES[network].stages[-1].modules[-1]  # stages run from the output to the input
        images = self.judged if images is None else images
        return self.study.maps.artefact(method.method, f"{network}-{branch}", images, parameters=given)

    def _table(self, names: Sequence[str], networks: Sequence[str], work: str, columns: Callable) -> pd.DataFrame:
        """A row for each judged image by method, network and branch; columns(name, network, branch): their scores."""
        sets = track(self._sets(names, networks), work)
        return pd.concat([self._frame(*one, columns(*one)) for one in sets], ignore_index=True)

    def _frame(self, name: str, network: str, branch: int, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
        test, judged = self.test(network), list(self.judged)
        about = {"image": test.ids[judged], "label": test.labels[judged]}
        about["predicted"] = self.predicted(network, branch)[judged]
        return pd.DataFrame({**about, "method": name, "network": network, "branch": branch, **columns})
