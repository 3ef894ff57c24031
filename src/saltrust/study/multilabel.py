"""A network for several findings: its images, its outputs, how its maps differ, and what makes it doubt an output."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import ClassVar

import numpy as np
from scipy.special import expit, xlogy

from saltrust.artefacts import Artefact
from saltrust.artefacts.findings import ChangedCopies, MapProducts
from saltrust.artefacts.maps import Randomization
from saltrust.artefacts.networks import ExternalMultilabelClassifier, MultilabelClassifier
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS
from saltrust.scores.alarm import youden
from saltrust.scores.distinctness import distances, distinctness
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.images import Images
from saltrust.study.study import Study

NETWORK = "densenet121"  # of Shu et al., Methods
FROM_MAPS = {"ixg": "input_x_gradient", "lrp": "lrp"}  # the paper's two alarms, and the method of each
JUDGED = ("val", "test")  # splits whose predictions are looked at: thresholds come from the first


class MultilabelStudy:
    """One network with an output for each finding of a card, and all that may warn that one of its answers is wrong.

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
        self.seed = 1000 * study.seed + 1
        profile = replace(study.profile, size=self.size, **counts)
        self.images = Images(card, profile, study.seed, study.store, self.size)
        self.products = cache(self.products)

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network sees."""
        return self.sizes.size

    @property
    def title(self) -> str:
        """What the network is called in prose."""
        return NETWORK

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

    # --- names in the store ---------------------------------------------------------------------------------------

    @cached_property
    def network(self) -> MultilabelClassifier | ExternalMultilabelClassifier:
        """The network."""
        from saltrust.models.recipes import multilabel_plan

        weights, mirror = self.study.networks.imagenet(NETWORK), self.study.card.mirror
        plan = multilabel_plan(NETWORK, self.sizes.training, self.seed, weights is not None, mirror)
        splits = {split: self.images.artefact(split) for split in ("train", *JUDGED)}
        return MultilabelClassifier(**splits, plan=plan, architecture=NETWORK, pretrained=weights)

    def products_artefact(
        self, split: str, method: str, random: bool = False, preparation: str = "signed"
    ) -> MapProducts:
        """The name of the products of a method's maps.

        Args:
            split: "val" or "test".
            method: a name in METHODS.
            random: whether all weights of the network are random.
            preparation: a name in PREPARATIONS.
        """
        protocol, network = self.study.protocol, self.network
        last = network.stages[-1].name
        state = Randomization(last, protocol.initialization, protocol.batchnorm, self.seed) if random else None
        parameters = METHODS[method].complete(self.study.maps.parameters(method))
        return MapProducts(network, self.images.artefact(split), method, parameters, preparation, state)

    def copies_artefact(self, split: str) -> ChangedCopies:
        """The name of the outputs for changed copies of the images."""
        return ChangedCopies(self.network, self.images.artefact(split), self.sizes.copies, self.study.seed)

    def clusters(self, split: str) -> np.ndarray | None:
        """What the images of a split belong to (n,), None where each stands for itself."""
        return clusters_of(self.split(split).ids, self.images.clusters)

    # --- what they hold -------------------------------------------------------------------------------------------

    def split(self, name: str) -> Split:
        """The images of "train", "val" or "test"."""
        return self.images.split(name)

    def present(self, split: str) -> np.ndarray:
        """Whether each image has each finding (n, k)."""
        return self.split(split).findings.present

    def logits(self, split: str) -> np.ndarray:
        """The network's outputs (n, k)."""
        return np.array(self.store.get(self.network).record[f"{split}_logits"])

    @cached_property
    def thresholds(self) -> np.ndarray:
        """The logit from which each finding is said to be there (k,): Youden's on the validation images."""
        logits, present = self.logits("val"), self.present("val")
        return np.array([youden(logits[:, k], present[:, k]) for k in range(len(self.findings))])

    def predicted(self, split: str) -> np.ndarray:
        """Whether the network says that each image has each finding (n, k)."""
        return self.logits(split) >= self.thresholds

    def products(self, split: str, method: str, random: bool = False) -> np.ndarray:
        """Inner products (n, k, k) of the maps of the outputs; arguments as in `products_artefact`."""
        return self.store.get(self.products_artefact(split, method, random))

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

    def distances(self, split: str, method: str, random: bool = False) -> np.ndarray:
        """Cosine distances (n, k, k) of the maps of the outputs; arguments as in `products_artefact`."""
        return distances(self.products(split, method, random))


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
    def network(self) -> ExternalMultilabelClassifier:
        found, (model, *_) = self.study.networks.models[self.study.networks.main], self.study.card.models
        splits = {split: self.images.artefact(split) for split in JUDGED}
        return ExternalMultilabelClassifier(model, found.checksum, found.stages, **splits)


def multilabel_study(study: Study) -> MultilabelStudy:
    """What is asked of a data set with several findings: of the network that its card names, else of one that is
    trained here. Raises SaltrustError as `MultilabelStudy`."""
    return (ExternalMultilabelStudy if study.card.models else MultilabelStudy)(study)


@dataclass(frozen=True)
class Doubt:
    """A number for each image and finding that may warn of a wrong answer: the larger, the more doubtful.

    Attributes:
        title: in tables.
        of: (study, split) -> (n, k); NaN where it is not defined.
        artefacts: (study, split) -> what it is made from, besides the network.
        lacks: study -> why it is not to be had for the study's network, "" where it is.
    """

    title: str
    of: Callable[[MultilabelStudy, str], np.ndarray]
    artefacts: Callable[[MultilabelStudy, str], tuple[Artefact, ...]] = lambda study, split: ()
    lacks: Callable[[MultilabelStudy], str] = lambda study: ""


DOUBTS: Registry[Doubt] = Registry("doubt")


def _maps(title: str, method: str, random: bool = False) -> Doubt:
    return Doubt(
        title,
        lambda study, split: -distinctness(study.distances(split, method, random)),
        lambda study, split: (study.products_artefact(split, method, random),),
        lambda study: study.unexplained(method),
    )


def _entropy(study: MultilabelStudy, split: str) -> np.ndarray:
    p = expit(study.logits(split))
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p)) / np.log(2)


def _nearness(study: MultilabelStudy, split: str) -> np.ndarray:
    """A threshold that no output reaches is as far from each as the largest output is."""
    reached = np.minimum(study.thresholds, study.logits("val").max(axis=0))
    return -np.abs(study.logits(split) - reached)


def _weak_maps(study: MultilabelStudy, split: str) -> np.ndarray:
    return -np.sqrt(np.diagonal(study.products(split, "input_x_gradient"), axis1=1, axis2=2))


def _by_lot(study: MultilabelStudy, split: str) -> np.ndarray:
    shape = study.logits(split).shape
    return np.random.default_rng((study.study.seed, JUDGED.index(split))).random(shape)


DOUBTS.register("ixg")(_maps("maps alike, Input × Gradient", "input_x_gradient"))
DOUBTS.register("lrp")(_maps("maps alike, LRP", "lrp"))
DOUBTS.register("entropy")(Doubt("entropy of the probability", _entropy))
DOUBTS.register("copies")(
    Doubt(
        "spread over changed copies",
        lambda study, split: study.store.get(study.copies_artefact(split)).std(axis=0),
        lambda study, split: (study.copies_artefact(split),),
    )
)
DOUBTS.register("margin")(Doubt("nearness to the threshold", _nearness))
DOUBTS.register("norm")(
    Doubt(
        "weak map, Input × Gradient",
        _weak_maps,
        lambda study, split: (study.products_artefact(split, "input_x_gradient"),),
        lambda study: study.unexplained("input_x_gradient"),
    )
)
DOUBTS.register("random_network")(_maps("maps alike, random network", "input_x_gradient", random=True))
DOUBTS.register("lot")(Doubt("by lot", _by_lot))


def doubts(study: MultilabelStudy) -> dict[str, Doubt]:
    """The doubts that are to be had for the study's network, by name."""
    return {name: doubt for name, doubt in DOUBTS.items() if not doubt.lacks(study)}


def left_out(study: MultilabelStudy) -> dict[str, str]:
    """The other doubts, by name, and why they are not to be had."""
    return {name: why for name, doubt in DOUBTS.items() if (why := doubt.lacks(study))}


def artefacts(study: MultilabelStudy) -> Iterator[Artefact]:
    """All that the doubts are made from."""
    yield study.network
    for split in JUDGED:
        yield study.images.artefact(split)
        for doubt in doubts(study).values():
            yield from doubt.artefacts(study, split)
