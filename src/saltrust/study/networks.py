"""The second link of a study: its classifiers and localizers, trained in pairs, as branches, or elsewhere."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from saltrust.artefacts.networks import (
    BaseModel,
    Branch,
    Classifier,
    ExternalClassifier,
    ImageNetWeights,
    Trained,
    TrainedLocalizer,
)
from saltrust.artefacts.store import Store
from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import unknown_name
from saltrust.core.labelled_images import Split
from saltrust.core.profiles import Profile
from saltrust.stats.bootstrap import macro_auc, roc_auc
from saltrust.study.images import Images

if TYPE_CHECKING:
    from saltrust.models.external.model import ExternalModel

DEEPENED = "alexnet"  # the network to which convolutions are added, to see what depth does (their appendix)

LEARNED = ("epochs", "best_epoch", "steps", "best_step", "seconds", "seed", "precision", "weights")
"""What a table of networks shows of a training's record."""


class Networks(ABC):
    """The networks of a study, by name: `<architecture>-<replicate>`, or as the card names one trained elsewhere.

    Attributes:
        main: the classifier whose maps are judged.
        replicate: one that differs from it in its training alone; None where there is no such network.
        other: one of another architecture, None where there is none.
        replicates: those of the main one's architecture whose weights are drawn anew, the main one first.
        random: `main` with all its weights drawn anew.
        classifiers: those of main, replicate and other that there are.
        judged: these, and the random one.
        all_classifiers: the classifiers, and the further replicates.
        names: all classifiers that can be asked for.
        replication: how replicates differ, for prose.
        parameters: what methods are told of such networks, where they have the parameter.
    """

    replication: ClassVar[str]
    parameters: ClassVar[Mapping[str, object]] = {}

    def __init__(self, images: Images, main: str, replicate: str | None, other: str | None, alike: Sequence[str] = ()):
        self.images, self.card, self.store = images, images.card, images.store
        self.main, self.replicate, self.other = main, replicate, other
        self.replicates = (main, *alike)[: images.profile.replicates]
        self.random = f"{self.architecture(main)}-random"
        self.classifiers = tuple(name for name in (main, replicate, other) if name)
        self.judged = (*self.classifiers, self.random)
        self.all_classifiers = tuple(dict.fromkeys((*self.classifiers, *self.replicates)))
        # One instance of a name computes its digest once.
        self.artefact, self.localizer_artefact = cache(self.artefact), cache(self.localizer_artefact)

    @classmethod
    def of(cls, card: Card, profile: Profile, seed: int, store: Store) -> "Networks":
        """The networks of a card, with the images as the main one sees them."""
        first, second = card.networks[:2]
        images = Images(card, profile, seed, store, cls.image_size(profile, first))
        alike = tuple(f"{first}-{k}" for k in range(2, profile.replicates + 1))
        return cls(images, f"{first}-1", f"{first}-2", f"{second}-1", alike)

    @staticmethod
    def image_size(profile: Profile, architecture: str) -> int:
        """Side in pixels of the images that an architecture sees."""
        return profile.size

    @property
    def names(self) -> tuple[str, ...]:
        return self.all_classifiers

    def trained(self, name: str | None = None) -> Trained:
        """A trained classifier, by default the main one: its record and its weights."""
        return self.store.get(self.artefact(name or self.main))

    def localizer(self, replicate: int = 1) -> Trained:
        """A trained localizer of the kind that the card names."""
        return self.store.get(self.localizer_artefact(replicate))

    def artefact(self, name: str) -> Classifier | Branch | ExternalClassifier:
        """The name of a classifier in the store. Raises SaltrustError for one that the study does not have."""
        if name not in self.names:
            raise unknown_name("classifier", name, self.names)
        return self._artefact(name)

    @abstractmethod
    def _artefact(self, name: str) -> Classifier | Branch | ExternalClassifier: ...

    def localizer_artefact(self, replicate: int) -> TrainedLocalizer:
        """The name of a localizer in the store; replicates are numbered from 1."""
        from saltrust.models.recipes import localizer_body, localizer_plan

        kind, profile = self.card.localizer, self.images.profile
        body = localizer_body(kind, profile)
        weights = self.imagenet(body) if body else None
        training, seed, mirror = profile.localizers[kind], self._seed(replicate), self.card.mirror
        plan = localizer_plan(kind, training, seed, profile, mirror, weights is not None)
        return TrainedLocalizer(**self._splits(), plan=plan, localizer=kind, pretrained=weights)

    @property
    def localizer_start(self) -> str:
        """Where the localizers' weights start from, and in the paper, where that differs; in words."""
        from saltrust.core.profiles import PROFILES
        from saltrust.models.recipes import localizer_body

        found, published = self.localizer().record["weights"], localizer_body(self.card.localizer, PROFILES["full"])
        return f"{found}; the paper's from ImageNet ({published})" if published and found == "scratch" else found

    def size(self, name: str) -> int:
        """Side in pixels of the images that a classifier sees."""
        return self.image_size(self.images.profile, self.architecture(name))

    def test(self, name: str | None = None) -> Split:
        """The test images as a classifier, by default the main one, sees them."""
        return self.store.get(self.images.artefact("test", self.size(name or self.main)))

    def architecture(self, name: str) -> str:
        """The architecture of a classifier."""
        return name.rpartition("-")[0]

    def title(self, name: str | None = None) -> str:
        """What a classifier, by default the main one, is called in prose."""
        from saltrust.models.architectures import ARCHITECTURES

        name = name or self.main
        further = {one: f", replicate {k}" for k, one in enumerate(self.replicates, 1) if k > 1}
        note = (further | {self.replicate: ", replicate", self.random: ", random"}).get(name, "")
        return f"{ARCHITECTURES[self.architecture(name)].title}{note}"

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of the main network's cascade, from the logits down to the input: the coarse or the fine ones, as
        the card says."""
        main = self.artefact(self.main)
        found = (main.fine_stages if self.card.cascade == "fine" else ()) or main.stages
        return tuple(stage.name for stage in found)

    @property
    def paper_end(self) -> str:
        """The stage at which the paper's cascade of such a network ended; the last one, where it made none. The fine
        cascade is that of Venkatesh et al., who went to the input."""
        from saltrust.models.architectures import ARCHITECTURES

        if self.card.cascade == "fine":
            return self.stages[-1]
        ends = (architecture.paper_end for architecture in ARCHITECTURES.values())
        return next((end for end in ends if end in self.stages), self.stages[-1])

    def stages_in(self, order: str) -> tuple[str, ...]:
        """The stages as they are randomized one after the other in an order, a name in ORDERS."""
        from saltrust.models.randomization import in_order

        return tuple(in_order(self.stages, order))

    def refused(self, methods: Sequence[str]) -> dict[str, str]:
        """Which of the methods cannot explain these networks, and why."""
        return {}

    def table(self, n_boot: int = 1000) -> pd.DataFrame:
        """One row for each network.

        Args:
            n_boot: resamples behind an interval.

        Returns:
            Columns model, role, auc, ci_low, ci_high; where there are several classes, accuracy and its interval by
            Wilson, accuracy_low, accuracy_high; and what is known of the training. auc: of telling images with the
            finding from those without; where every image has one, of telling each class from the others, the mean over
            the classes.
        """
        networks = [(name, "classifier", self.trained(name)) for name in self.all_classifiers]
        networks += [(f"{self.card.localizer}-{k}", "localizer", self.localizer(k)) for k in (1, 2)]
        table = pd.DataFrame(
            {
                "model": name,
                "role": role,
                **self._auc(trained.record, n_boot),
                **self._accuracy(trained.record),
                **{key: trained.record.get(key) for key in LEARNED},
            }
            for name, role, trained in networks
        )
        return table.dropna(axis=1, how="all")

    def _auc(self, record: dict[str, Any], n_boot: int) -> dict[str, float]:
        test, seed = self.images.split("test"), self.images.seed
        if test.absent is not None:
            return roc_auc(test.present.astype(int), np.array(record["test_scores"]), n_boot, seed)
        if "test_probabilities" not in record:  # a localizer, where every image has the finding
            return dict.fromkeys(("auc", "ci_low", "ci_high"), np.nan)
        return macro_auc(test.labels, np.array(record["test_probabilities"]), n_boot, seed)

    def _accuracy(self, record: dict[str, Any]) -> dict[str, float]:
        """Of the test images, with its 95 % interval by Wilson; NaN for a network that has none."""
        share, n = record.get("test_accuracy", np.nan), len(self.images.split("test"))
        low, high = (np.nan, np.nan) if np.isnan(share) else proportion_confint(round(share * n), n, method="wilson")
        return {"accuracy": share, "accuracy_low": low, "accuracy_high": high}

    def curves(self, name: str) -> pd.DataFrame:
        """How the training of a classifier went; columns, named for what they hold: time, training loss, score."""
        curves = self.trained(name).record["curves"]
        epochs = range(1, len(curves["loss"]) + 1)
        return pd.DataFrame({"epoch": epochs, "training loss": curves["loss"], "validation AUC": curves["val_auc"]})

    def _splits(self, size: int | None = None) -> dict[str, Any]:
        return {split: self.images.artefact(split, size) for split in SPLITS}

    def _seed(self, replicate: int | str) -> int:
        return 1000 * self.images.seed + int(replicate)

    def imagenet(self, architecture: str) -> str | None:
        """Checksum of the ImageNet weights, None where the profile wants none or there are none."""
        if not self.images.profile.pretrained:
            return None
        return self.store.get(ImageNetWeights(architecture, os.environ.get("SALTRUST_WEIGHTS")))


class PairedNetworks(Networks):
    """Networks trained apart, two or more of one architecture and one of another (Arun et al.)."""

    replication = "trained apart, from different seeds"

    def _artefact(self, name: str) -> Classifier:
        from saltrust.models.recipes import classifier_plan

        architecture, replicate = name.rsplit("-", 1)
        weights = self.imagenet(architecture)
        training = self.images.profile.architectures[architecture]
        plan = classifier_plan(architecture, training, self._seed(replicate), weights is not None, self.card.mirror)
        return Classifier(**self._splits(), plan=plan, architecture=architecture, pretrained=weights)


class BranchedNetworks(Networks):
    """Networks of several sizes, each trained as branches of one base model (Tjoa & Guan, section III-B).

    Names are `<architecture>-<branch>`, branches numbered from 1; "alexnet+3" is AlexNet with three convolutions more.
    """

    replication = "branches of one base model, which share most of their training"
    parameters: ClassVar[Mapping[str, object]] = {"rectifiers": "gradient"}  # as in captum, which leaves them alone

    @staticmethod
    def image_size(profile: Profile, architecture: str) -> int:
        return profile.branching.sizes[architecture.partition("+")[0]]  # "alexnet+3" sees what "alexnet" sees

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{a}-{k}" for a in (*self.card.networks, *self.deepened) for k in self.branches(a))

    @property
    def deepened(self) -> tuple[str, ...]:
        """The architectures with convolutions added."""
        return tuple(f"{DEEPENED}+{depth}" for depth in self.images.profile.branching.depths)

    def branches(self, architecture: str) -> range:
        """The numbers of a network's branches, from 1."""
        sizes = self.images.profile.branching
        return range(1, 1 + (sizes.deep_branches if "+" in architecture else sizes.branches))

    def _artefact(self, name: str) -> Branch:
        from saltrust.models.recipes import branch_plan

        architecture, branch = name.rsplit("-", 1)
        plan = branch_plan(architecture, self.images.profile, self.card.mirror)
        splits = self._splits(self.size(name))
        return Branch(**splits, plan=plan, base=self._base(architecture), seed=self._seed(branch))

    def _base(self, architecture: str) -> BaseModel:
        from saltrust.models.recipes import base_plan

        plain, _, depth = architecture.partition("+")
        weights = self.imagenet(plain)
        profile, seed = self.images.profile, self.images.seed
        plan = base_plan(architecture, profile, seed, weights is not None, self.card.mirror)
        train = self.images.artefact("train", self.image_size(profile, architecture))
        start = self._base(plain) if depth and weights is None else None  # the paper's start from ImageNet as well
        return BaseModel(train, plan=plan, architecture=architecture, pretrained=weights, start=start)

    def curves(self, name: str) -> pd.DataFrame:
        curves = self.trained(name).record["curves"]
        steps = curves["step"]
        losses = [np.mean(part) for part in np.split(np.array(curves["loss"]), steps)[: len(steps)]]
        return pd.DataFrame({"step": steps, "training loss": losses, "accuracy on a shard": curves["accuracy"]})


class ExternalNetworks(Networks):
    """Models that were trained elsewhere and that a card names: the first is judged, the first of the same architecture
    is its replicate, the first of another one the other. Each stands for its own architecture."""

    replication = "as their makers trained them"
    parameters: ClassVar[Mapping[str, object]] = {"rectifiers": "gradient"}  # a user's may have any

    def __init__(self, images: Images, models: Mapping[str, "ExternalModel"]):
        self.models = models
        main, *rest = models
        alike = [name for name in rest if models[name].architecture == models[main].architecture]
        other = next((name for name in rest if name not in alike), None)
        super().__init__(images, main, alike[0] if alike else None, other, alike)

    @classmethod
    def of(cls, card: Card, profile: Profile, seed: int, store: Store) -> "ExternalNetworks":
        from saltrust.models.external.model import load, refuse_duplicates

        outputs = card.folder, card.classes, card.finding, card.findings
        models = {model.name: load(model, *outputs) for model in card.models}
        refuse_duplicates(models)
        return cls(Images(card, profile, seed, store, next(iter(models.values())).size), models)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.models)

    def size(self, name: str) -> int:
        return self.models[name].size

    def architecture(self, name: str) -> str:
        return name if name in self.models else super().architecture(name)

    def title(self, name: str | None = None) -> str:
        name = name or self.main
        note = ", random" if name == self.random else ""
        return f"{self.models[self.architecture(name)].title}{note}"

    def refused(self, methods: Sequence[str]) -> dict[str, str]:
        from saltrust.study.explainable import explainable

        if not methods:
            return {}
        return {method: why for model in self.models.values() for method, why in explainable(model, methods).items()}

    def _artefact(self, name: str) -> ExternalClassifier:
        model = next(model for model in self.card.models if model.name == name)
        found = self.models[name]
        return ExternalClassifier(model, found.checksum, found.stages, self.images.artefact("test", found.size))


def networks_of(card: Card, profile: Profile, seed: int, store: Store) -> Networks:
    """The networks that a card calls for: those that it names, else branches where the truth is graded, else pairs."""
    kind = ExternalNetworks if card.models else BranchedNetworks if card.truth == "graded" else PairedNetworks
    return kind.of(card, profile, seed, store)
