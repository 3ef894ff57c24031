"""A network for several findings: its images, its outputs, and how its maps differ."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import ClassVar

import numpy as np

from saltrust.artefacts.data import ImageSet, ShiftedImages
from saltrust.artefacts.findings import ChangedCopies, Features, MapProducts, Outputs
from saltrust.artefacts.maps import Randomization
from saltrust.artefacts.networks import ExternalMultilabelClassifier, MultilabelClassifier
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.protocols import Protocol
from saltrust.methods.registry import METHODS
from saltrust.scores.alarm import youden
from saltrust.scores.distinctness import PREPARATIONS, distances
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.images import Images
from saltrust.study.study import Study

NETWORK = "densenet121"  # of Shu et al., Methods
FROM_MAPS = ("ixg", "lrp")  # the paper's two alarms
JUDGED = ("val", "test")  # splits whose predictions are looked at: thresholds come from the first


def alarm_methods(protocol: Protocol) -> dict[str, str]:
    """The method, a name in METHODS, by which each of FROM_MAPS has its maps.

    >>> from saltrust.core.protocols import PROTOCOLS
    >>> alarm_methods(PROTOCOLS["corrected"])
    {'ixg': 'input_x_gradient', 'lrp': 'lrp'}
    """
    return {"ixg": "input_x_gradient", "lrp": protocol.lrp_of_alarm}


@dataclass(frozen=True)
class Shift:
    """Test images that are unlike those of the training, in the place of a split. change: a name in SHIFTS."""

    change: str
    strength: float


class MultilabelStudy:
    """One network with an output for each finding of a card, and what may warn that one of its answers is wrong.

    Args:
        study: of a data set with findings; profile, protocol and seed are its.

    Attributes:
        findings: their names, in the order of the network's outputs.
        images: of the data set, at the size of this network.
        no_training: why there are no trainings of the network, nor images that it has learned from; "" where there are.

    Raises:
        SaltrustError: where the card names fewer than two findings.
    """

    no_training: ClassVar[str] = ""

    def __init__(self, study: Study):
        card, self.sizes = study.card, study.profile.multilabel
        if len(card.findings) < 2:
            raise SaltrustError(
                f"data set '{card.name}' needs two 'findings' or more, of which an image has any number"
            )
        self.study, self.store, self.findings = study, study.store, card.findings
        counts = {split: getattr(self.sizes, split) for split in ("train", *JUDGED)}
        profile = replace(study.profile, size=self.size, **counts)
        self.images = Images(card, profile, study.seed, study.store, self.size)
        self.seed = 1000 * study.seed + 1
        self.products, self.data = cache(self.products), cache(self.data)

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network sees."""
        return self.sizes.size

    @property
    def title(self) -> str:
        """What the network is called in prose."""
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[NETWORK].title

    def origin(self) -> str:
        """What the network has learned from, in a sentence."""
        record, films = self.store.get(self.network).record, self.images.artefact("train").count
        epochs = f"{record['epochs']} epoch{'s' if record['epochs'] > 1 else ''}"
        return (
            f"{self.title} learned from {films} films, for {epochs}, from weights that came from: {record['weights']}."
        )

    def unexplained(self, method: str) -> str:
        """Why a method, a name in METHODS, cannot explain the network; "" where it can."""
        return ""

    @property
    def alarm_methods(self) -> dict[str, str]:
        """As `alarm_methods` of the study's protocol."""
        return alarm_methods(self.study.protocol)

    # --- names in the store ---------------------------------------------------------------------------------------

    @property
    def network(self) -> MultilabelClassifier | ExternalMultilabelClassifier:
        """The network that is judged."""
        return self.members[0]

    @cached_property
    def members(self) -> tuple[MultilabelClassifier | ExternalMultilabelClassifier, ...]:
        """The network, and others that were trained like it from other starts."""
        from saltrust.models.recipes import multilabel_plan

        weights, mirror = self.study.networks.imagenet(NETWORK), self.study.card.mirror
        splits = {split: self.images.artefact(split) for split in ("train", *JUDGED)}
        plans = [
            multilabel_plan(NETWORK, self.sizes.training, self.seed + place, weights is not None, mirror)
            for place in range(self.sizes.members)
        ]
        return tuple(
            MultilabelClassifier(**splits, plan=plan, architecture=NETWORK, pretrained=weights) for plan in plans
        )

    def data(self, split: str | Shift) -> ImageSet | ShiftedImages:
        """The name of the images of a split, or of some test images after a shift."""
        if isinstance(split, str):
            return self.images.artefact(split)
        test = self.images.artefact("test")
        count = min(self.sizes.shifted or test.count, test.count)
        return ShiftedImages(test, count, split.change, split.strength, self.study.seed)

    def outputs_artefact(self, split: str | Shift, member: int = 0) -> Outputs:
        """The name of the outputs of a network for images that its record does not hold."""
        return Outputs(self.members[member], self.data(split))

    def products_artefact(
        self, split: str | Shift, method: str, random: bool = False, **parameters: object
    ) -> MapProducts:
        """The name of the products of a method's maps.

        Args:
            split: "val", "test", or a shift.
            method: a name in METHODS.
            random: whether all weights of the network are random.
            parameters: of the method, where they differ from the protocol's.
        """
        protocol, network = self.study.protocol, self.network
        last = network.stages[-1].name
        state = Randomization(last, protocol.initialization, protocol.batchnorm, self.seed) if random else None
        told = METHODS[method].complete(self.study.maps.parameters(method) | parameters)
        return MapProducts(network, self.data(split), method, told, state, protocol.cam_min_grid)

    def copies_artefact(self, split: str | Shift) -> ChangedCopies:
        """The name of the outputs for changed copies of the images."""
        return ChangedCopies(self.network, self.data(split), self.sizes.copies, self.study.seed)

    def features_artefact(self, split: str | Shift) -> Features:
        """The name of the features of the images."""
        return Features(self.network, self.data(split))

    def clusters(self, split: str) -> np.ndarray | None:
        """What the images of a split belong to (n,), None where each stands for itself."""
        return clusters_of(self.split(split).ids, self.images.clusters)

    # --- what they hold -------------------------------------------------------------------------------------------

    def split(self, name: str | Shift) -> Split:
        """The images of "train", "val" or "test", or those of a shift."""
        return self.store.get(self.data(name))

    def present(self, split: str | Shift) -> np.ndarray:
        """Whether each image has each finding (n, k)."""
        return self.split(split).findings.present

    def logits(self, split: str | Shift, member: int = 0) -> np.ndarray:
        """The network's outputs (n, k), or those of another member."""
        if split not in JUDGED:
            return self.store.get(self.outputs_artefact(split, member))
        return np.array(self.store.get(self.members[member]).record[f"{split}_logits"])

    @cached_property
    def thresholds(self) -> np.ndarray:
        """The logit from which each finding is said to be there (k,): Youden's on the validation images."""
        logits, present = self.logits("val"), self.present("val")
        return np.array([youden(logits[:, k], present[:, k]) for k in range(len(self.findings))])

    def predicted(self, split: str | Shift) -> np.ndarray:
        """Whether the network says that each image has each finding (n, k)."""
        return self.logits(split) >= self.thresholds

    def products(
        self,
        split: str | Shift,
        method: str,
        random: bool = False,
        preparation: str = "signed",
        **parameters: object,
    ) -> np.ndarray:
        """Inner products (n, k, k) of the maps of the outputs.

        Args:
            split: "val", "test", or a shift.
            method: a name in METHODS.
            random: whether all weights of the network are random.
            preparation: a name in PREPARATIONS, what is done to the maps before.
            parameters: of the method, where they differ from the protocol's.
        """
        artefact = self.products_artefact(split, method, random, **parameters)
        return self.store.get(artefact)[list(PREPARATIONS).index(preparation)]

    def richest(self, number: int) -> int:
        """Position of a test image with two findings or more, in the order of the images; of any where there is none.

        number: which of them, from 0; beyond the last it begins anew.
        """
        several = np.flatnonzero(self.present("test").sum(axis=1) >= 2)
        chosen = several if len(several) else np.arange(len(self.split("test")))
        return int(chosen[number % len(chosen)])

    def maps(self, image: int, method: str) -> np.ndarray:
        """The maps (k, h, w) of the outputs for one test image, summed over the channels. method: as in METHODS."""
        return self.products_artefact("test", method).maps_of(self.store.get, image).sum(axis=1)

    def distances(
        self,
        split: str | Shift,
        method: str,
        random: bool = False,
        preparation: str = "signed",
        **parameters: object,
    ) -> np.ndarray:
        """Cosine distances (n, k, k) of the maps of the outputs; arguments as in `products`."""
        return distances(self.products(split, method, random, preparation, **parameters))


class ExternalMultilabelStudy(MultilabelStudy):
    """The same of a network that was trained elsewhere: the first of the card's models."""

    no_training: ClassVar[str] = "it was trained elsewhere"

    def __init__(self, study: Study):
        super().__init__(study)
        self.unexplained = cache(self.unexplained)

    @property
    def size(self) -> int:
        return self.study.networks.size(self.study.networks.main)

    @property
    def title(self) -> str:
        return self.study.networks.title()

    def origin(self) -> str:
        return f"{self.title} was trained elsewhere."

    def unexplained(self, method: str) -> str:
        return self.study.networks.refused([method]).get(method, "")

    @cached_property
    def members(self) -> tuple[ExternalMultilabelClassifier, ...]:
        found, (model, *_) = self.study.networks.models[self.study.networks.main], self.study.card.models
        splits = {split: self.images.artefact(split) for split in JUDGED}
        return (ExternalMultilabelClassifier(model, found.checksum, found.stages, **splits),)


def multilabel_study(study: Study) -> MultilabelStudy:
    """What is asked of a data set with several findings: of the network that its card names, else of one that is
    trained here. Raises SaltrustError as `MultilabelStudy`."""
    return (ExternalMultilabelStudy if study.card.models else MultilabelStudy)(study)
