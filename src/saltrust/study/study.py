"""The facade that chapters talk to: one data set, one profile, one protocol, one seed."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.data import AverageMask, ImageSet
from saltrust.artefacts.maps import LocalizerMaps, Maps, Randomization, SaliencyMaps, prepared
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
from saltrust.core import data_cards
from saltrust.core.data_cards import SPLITS
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.core.progress import track
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import CONTROLS, METHODS, select
from saltrust.stats.bootstrap import clusters_of, macro_auc, roc_auc
from saltrust.study.examples import Example, extremes
from saltrust.study.localization import localization
from saltrust.study.quality_control import count_faults, residual
from saltrust.study.similarity import agreement, null, unrelated
from saltrust.study.verdict import Comparison, judge

DEEPENED = "alexnet"  # the network to which convolutions are added, to see what depth does (their appendix)

# The scalar that speaks for another class of the same image: against the finding, or for the next most likely class.
_CONTRARY = {"logit": "negated_logit", "argmax_logit": "runner_up_logit"}


class Study:
    """Everything that is asked of one data set's saliency maps. What is missing is computed, what is stored is read.

    dataset: the name of a data card. profile: the size of the run. protocol: the choices of the analysis. Models are
    named `<architecture>-<replicate>`. The card names the architectures: `main`, whose maps are judged, `replicate`,
    which differs from it in its seed alone, `other`, of another architecture, and `random`, which is `main` with all
    its weights drawn anew. A card may name models that were trained elsewhere instead; then the first one is judged,
    and `replicate` and `other` are the first of the same and of another architecture, None where there is no such
    model. Raises SaltrustError, before any work, for an unknown name, data that is not on this machine, or a model
    that cannot be judged.
    """

    def __init__(
        self,
        dataset: str,
        profile: str = "quick",
        protocol: str = "corrected",
        seed: int = 0,
        store: Store | None = None,
    ):
        self.profile = PROFILES[profile]
        self.protocol = PROTOCOLS[protocol]
        self.card = data_cards.load(dataset).under(protocol)
        self.seed = seed
        self.store = store or Store()
        # Specs are asked for again and again; one instance of each computes its digest once.
        self._data, self.classifier_spec, self._localizer = map(
            cache, (self._data, self.classifier_spec, self._localizer)
        )
        if not self.card.available:
            raise SaltrustError(f"data set '{dataset}' is not on this machine: nothing at {self.card.root}")
        first, second = self.card.networks[:2]
        self.main, self.replicate, self.other = f"{first}-1", f"{first}-2", f"{second}-1"
        if self._own:
            self.main, *rest = self._own
            alike = {name: self._own[name].architecture == self._own[self.main].architecture for name in rest}
            self.replicate = next((name for name in rest if alike[name]), None)
            self.other = next((name for name in rest if not alike[name]), None)
        self.random = f"{self.architecture(self.main)}-random"
        self.classifiers = tuple(name for name in (self.main, self.replicate, self.other) if name)
        self.judged = (*self.classifiers, self.random)

    @cached_property
    def _own(self) -> dict[str, Any]:
        """The models that were trained elsewhere, by name."""
        if not self.card.models:
            return {}
        from saltrust.models.external.model import load, refuse_duplicates

        card = self.card
        models = {model.name: load(model, card.folder, card.classes, card.finding) for model in card.models}
        refuse_duplicates(models)
        return models

    @property
    def partners(self) -> dict[str, str]:
        """With which classifier's maps those of the main one are compared, by criterion."""
        partners = {"repeatability": self.replicate, "reproducibility": self.other}
        return {criterion: name for criterion, name in partners.items() if name}

    # --- data -----------------------------------------------------------------------------------------------------

    def data(self, split: str):
        """The images, labels and truth of "train", "val" or "test"."""
        return self.store.get(self._data(split))

    def test(self, architecture: str):
        """The test images as a network of that architecture sees them."""
        return self.store.get(self._data("test", self._size(architecture)))

    def _data(self, split: str, size: int | None = None) -> ImageSet:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        counted = self._counted[split]
        wanted = getattr(self.profile, split)
        if self._branching:
            wanted = self._loader.shard * self.profile.branching.shards[split]
        count = min(wanted or counted, counted)
        return ImageSet(self.card, self._fingerprint, split, count, size or self.size, self.seed)

    @cached_property
    def _counted(self) -> dict[str, int]:
        """Images that there are of each split."""
        if self.card.counts:
            return {split: count.images for split, count in self.card.counts.items()}
        return Counter(record.split for record in self._records)

    @property
    def _branching(self) -> bool:
        """Whether networks are trained as those of Tjoa & Guan: in several sizes, and as branches of one base model."""
        return self.card.truth == "graded"

    @property
    def size(self) -> int:
        """Side in pixels of the images that the main network sees."""
        return self._size(self.architecture(self.main))

    def _size(self, architecture: str) -> int:
        if architecture in self._own:
            return self._own[architecture].size
        if not self._branching:
            return self.profile.size
        return self.profile.branching.sizes[architecture.partition("+")[0]]  # "alexnet+3" sees what "alexnet" sees

    @cached_property
    def _loader(self):
        from saltrust.datasets.loaders import LOADERS

        return LOADERS[self.card.loader]

    @cached_property
    def _records(self) -> list[Any]:
        """What the files of the data set say of each image; none for data that is generated."""
        return self._loader.records(self.card) if self._loader.records else []

    @cached_property
    def _fingerprint(self) -> str:
        return self._loader.fingerprint(self.card)

    @cached_property
    def explained(self) -> tuple[int, ...]:
        """Positions in the test split of the images that get maps: positive ones, as in the paper, evenly spread.

        Spread, because neighbours in a table may be neighbouring slices of one patient.
        """
        return spread(self.data("test").positives(), self.profile.explained)

    @property
    def cascaded(self) -> tuple[int, ...]:
        """Those of the explained images that are followed through the cascade, evenly spread."""
        return spread(self.explained, self.profile.cascaded)

    @cached_property
    def clusters(self) -> dict[str, str] | None:
        """What each image belongs to, by its name, where the data set says: intervals then resample that."""
        groups = {record.id: record.group for record in self._records if record.group}
        return groups or None

    def quality(self, alike: pd.DataFrame) -> pd.DataFrame:
        """What is wrong with the data as it is used: check, found, among, examples (see `datasets.quality.report`).
        alike: the `pairs_alike` of its splits."""
        from saltrust.datasets.quality import report

        return report({split: self.data(split) for split in SPLITS}, alike, self._records)

    @property
    def unit(self) -> str:
        """What intervals resample, in a word."""
        if self.clusters is None:
            return "image"
        return self.card.table.group if self.card.table else "patient"

    # --- models ---------------------------------------------------------------------------------------------------

    def classifier(self, name: str | None = None) -> Trained:
        """A trained classifier, by default the main one: its record and its weights."""
        return self.store.get(self.classifier_spec(name or self.main))

    def localizer(self, replicate: int = 1) -> Trained:
        """A trained localizer of the kind that the card names."""
        return self.store.get(self._localizer(replicate))

    def architecture(self, model: str) -> str:
        """The architecture of a classifier; one that was trained elsewhere stands for itself."""
        return model if model in self._own else model.rpartition("-")[0]

    def title(self, model: str | None = None) -> str:
        """What a classifier, by default the main one, is called in prose."""
        from saltrust.models.architectures import ARCHITECTURES

        model = model or self.main
        architecture = self.architecture(model)
        if architecture in self._own:
            note = ", random" if model == self.random else ""
            return f"{self._own[architecture].title}{note}"
        note = {self.replicate: ", replicate", self.random: ", random"}.get(model, "")
        return f"{ARCHITECTURES[architecture].title}{note}"

    @property
    def replication(self) -> str:
        """How the replicates of a network differ, for prose."""
        if self._own:
            return "as their makers trained them"
        if self._branching:
            return "branches of one base model, which share most of their training"
        return "trained apart, from different seeds"

    def models(self, n_boot: int = 1000) -> pd.DataFrame:
        """One row for each network: model, role, auc, ci_low, ci_high, accuracy (where there are several classes), and
        what is known of its training. auc: of telling images with the finding from those without; where every image has
        one, of telling each class from the others, the mean over the classes.
        """
        networks = [(name, "classifier", self.classifier(name)) for name in self.classifiers]
        networks += [(f"{self.card.localizer}-{k}", "localizer", self.localizer(k)) for k in (1, 2)]
        shown = ("epochs", "best_epoch", "steps", "best_step", "seconds", "seed", "precision", "weights")
        table = pd.DataFrame(
            {
                "model": name,
                "role": role,
                **self._auc(trained.record, n_boot),
                "accuracy": trained.record.get("test_accuracy"),
                **{key: trained.record.get(key) for key in shown},
            }
            for name, role, trained in networks
        )
        return table.dropna(axis=1, how="all")

    def _auc(self, record: dict[str, Any], n_boot: int) -> dict[str, float]:
        test = self.data("test")
        if test.absent is not None:
            return roc_auc(test.present.astype(int), np.array(record["test_scores"]), n_boot, self.seed)
        if "test_probabilities" not in record:  # a localizer, where every image has the finding
            return dict.fromkeys(("auc", "ci_low", "ci_high"), np.nan)
        return macro_auc(test.labels, np.array(record["test_probabilities"]), n_boot, self.seed)

    def curves(self, name: str) -> pd.DataFrame:
        """How the training of a classifier went; columns, named for what they hold: time, training loss, score."""
        curves = self.classifier(name).record["curves"]
        if not self._branching:
            epochs = range(1, len(curves["loss"]) + 1)
            return pd.DataFrame({"epoch": epochs, "training loss": curves["loss"], "validation AUC": curves["val_auc"]})
        steps = curves["step"]
        losses = [np.mean(part) for part in np.split(np.array(curves["loss"]), steps)[: len(steps)]]
        return pd.DataFrame({"step": steps, "training loss": losses, "accuracy on a shard": curves["accuracy"]})

    def refused(self, methods: Sequence[str]) -> dict[str, str]:
        """Which of the methods cannot explain a model that was trained elsewhere, and why."""
        if not (self._own and methods):
            return {}
        from saltrust.study.explainable import explainable

        return {method: why for own in self._own.values() for method, why in explainable(own, methods).items()}

    def classifier_spec(self, name: str) -> Classifier | Branch | ExternalClassifier:
        """The name of a classifier. Raises SaltrustError for one that the study does not have."""
        if name not in self.networks:
            raise unknown_name("classifier", name, self.networks)
        if name in self._own:
            own = self._own[name]
            model = next(model for model in self.card.models if model.name == name)
            return ExternalClassifier(model, own.checksum, own.stages, self._data("test", own.size))
        architecture, replicate = name.rsplit("-", 1)
        seed = self._model_seed(replicate)
        return self._branch(architecture, seed) if self._branching else self._plain(architecture, seed)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """The names of all classifiers."""
        if not self._branching:
            return tuple(self._own) or self.classifiers
        deeper = [f"{DEEPENED}+{depth}" for depth in self.profile.branching.depths]
        return tuple(f"{a}-{k}" for a in (*self.card.networks, *deeper) for k in self.branches(a))

    def branches(self, architecture: str) -> range:
        """The numbers of a network's branches, from 1."""
        sizes = self.profile.branching
        return range(1, 1 + (sizes.deep_branches if "+" in architecture else sizes.branches))

    def _plain(self, architecture: str, seed: int) -> Classifier:
        from saltrust.models.recipes import classifier_plan

        weights = self._weights(architecture)
        plan = classifier_plan(architecture, self.profile.architectures[architecture], seed, weights is not None)
        splits = {split: self._data(split) for split in SPLITS}
        return Classifier(**splits, plan=plan, architecture=architecture, pretrained=weights)

    def _branch(self, architecture: str, seed: int) -> Branch:
        from saltrust.models.recipes import branch_plan

        splits = {split: self._data(split, self._size(architecture)) for split in SPLITS}
        plan = branch_plan(architecture, self.profile)
        return Branch(**splits, plan=plan, base=self._base(architecture), seed=seed)

    def _base(self, architecture: str) -> BaseModel:
        from saltrust.models.recipes import base_plan

        plain, _, depth = architecture.partition("+")
        weights = self._weights(plain)
        plan = base_plan(architecture, self.profile, self.seed, weights is not None)
        train = self._data("train", self._size(architecture))
        start = self._base(plain) if depth and weights is None else None  # the paper's start from ImageNet as well
        return BaseModel(train, plan=plan, architecture=architecture, pretrained=weights, start=start)

    def _weights(self, architecture: str) -> str | None:
        """Checksum of the ImageNet weights, None where the profile wants none or there are none."""
        if not self.profile.pretrained:
            return None
        return self.store.get(ImageNetWeights(architecture, os.environ.get("SALTRUST_WEIGHTS")))

    def _localizer(self, replicate: int) -> TrainedLocalizer:
        from saltrust.models.recipes import localizer_plan

        kind = self.card.localizer
        plan = localizer_plan(kind, self.profile.localizers[kind], self._model_seed(replicate), self.profile)
        return TrainedLocalizer(**{split: self._data(split) for split in SPLITS}, plan=plan, localizer=kind)

    def _model_seed(self, replicate: int | str) -> int:
        return 1000 * self.seed + int(replicate)

    # --- maps -----------------------------------------------------------------------------------------------------

    def maps(
        self, method: str, model: str | None = None, images: tuple[int, ...] | None = None, **parameters: object
    ) -> Maps:
        """Raw maps of the explained images, or of some test images; parameters: where they differ from the protocol."""
        return self.store.get(self.spec(method, model, images, parameters=parameters))

    def display(
        self, method: str, model: str | None = None, images: tuple[int, ...] | None = None, **parameters: object
    ) -> np.ndarray:
        """Those maps (n, height, width) in [0, 1], prepared as they are for SSIM, at the main network's size."""
        from saltrust.methods.preparation import resized

        spec = self.spec(method, model, images, parameters=parameters)
        return resized(prepared(spec, self.protocol.similarity, self.store.get), self.size)

    def seconds(self, method: str, images: tuple[int, ...] | None = None) -> float:
        """How long the maps took to compute, those that they are composed of included."""
        spec = self.spec(method, images=images)
        parts = METHODS[method].parts(spec.parameters).values()
        own = self.store.sidecar(spec)["seconds"]
        shared = [self.store.sidecar(replace(spec, method=part, parameters=given))["seconds"] for part, given in parts]
        return own + sum(shared)

    def cascade_display(self, method: str, order: str = "top_down") -> dict[str, np.ndarray]:
        """Maps in [0, 1] of the cascaded images, by stage of randomization; "original" is the trained model."""
        original = self.display(method)[[self.explained.index(image) for image in self.cascaded]]
        return {"original": original} | {
            stage: prepared(
                self.spec(method, images=self.cascaded, randomization=state), self.protocol.similarity, self.store.get
            )
            for stage, state in self.cascade(0, order).items()
        }

    def faults(
        self,
        methods: str = "paper",
        models: Sequence[str] = (),
        images: tuple[int, ...] | None = None,
    ) -> pd.DataFrame:
        """How many maps are not finite, constant or empty, and by what share they miss the total that they should add
        up to (residual; NaN for methods without one): one row for each method and model."""
        rows = []
        for model in models or self.judged:
            for method in select(methods):
                maps = self.maps(method, model, images)
                rows.append({"method": method, "model": model, **count_faults(maps.values), "residual": residual(maps)})
        return pd.DataFrame(rows)

    def spec(
        self,
        method: str,
        model: str | None = None,
        images: tuple[int, ...] | None = None,
        randomization: Randomization | None = None,
        parameters: Mapping[str, object] | None = None,
        contrary: bool = False,
    ) -> SaliencyMaps:
        """The name of some maps; by default of the explained images, by the main network, for what the protocol
        explains. contrary: for another class instead."""
        model = model or self.main
        if model == self.random:
            model, randomization = self.main, self._randomization(self.stages[-1], seed=-1)
        return SaliencyMaps(
            method=method,
            parameters=METHODS[method].complete(self.parameters(method) | dict(parameters or {})),
            model=self.classifier_spec(model),
            randomization=randomization,
            scalar=_CONTRARY[self.scalar] if contrary else self.scalar,
            cam_min_grid=self.protocol.cam_min_grid,
            data=self.classifier_spec(model).test,
            images=self.explained if images is None else images,
        )

    @property
    def scalar(self) -> str:
        """What is explained: of several classes, the predicted one."""
        return "argmax_logit" if self.card.classes else self.protocol.scalar

    def parameters(self, method: str) -> dict[str, object]:
        """The protocol's choices for a method, cut to the profile's size."""
        p, size = self.protocol, self.profile
        shared = {
            "samples": min(p.samples, size.samples),
            "noise": p.noise,
            "spread": p.spread,
            "power": p.power,
            "steps": min(p.steps, size.steps),
            "quadrature": p.quadrature,
            "seed": self.seed,
        }
        start = {"baseline": p.baseline}
        own = {
            "ig": start,
            "smooth_ig": start,
            "deeplift": start,
            "gradient_shap": {"noise": 0.0},
            "xrai": {
                "steps": min(p.xrai_steps, size.steps),
                "baselines": p.xrai_baselines,
                "channels": p.xrai_channels,
            },
            "guided_gradcam": {"maps": p.guided_gradcam},
            "polycam": {"channels": size.channels},
            "lime": {"samples": size.perturbations},
            "kernel_shap": {"samples": size.perturbations},
        }
        if (
            self._branching or self._own
        ):  # rectifiers other than ReLU, which captum's modified backward passes leave alone
            shared["rectifiers"] = "gradient"
        known = METHODS[method].defaults
        return {name: value for name, value in (shared | own.get(method, {})).items() if name in known}

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The stages of the cascade, from the logits down to the stem."""
        return tuple(stage.name for stage in self.classifier_spec(self.main).stages)

    def stages_of(self, order: str) -> tuple[str, ...]:
        """The stages in the order in which they are randomized."""
        from saltrust.models.randomization import in_order

        return tuple(in_order(self.stages, order))

    def _randomization(self, stage: str, seed: int, order: str = "top_down") -> Randomization:
        p = self.protocol
        return Randomization(stage, p.initialization, p.batchnorm, self._model_seed(100 + seed), order)

    def cascade(self, replicate: int, order: str = "top_down") -> dict[str, Randomization]:
        """The states of the main network as stage after stage is randomized, by the stage."""
        return {stage: self._randomization(stage, replicate, order) for stage in self.stages_of(order)}

    # --- the four criteria ----------------------------------------------------------------------------------------

    def localization(self, methods: str = "paper", score: str = "auprc", models: Sequence[str] = ()) -> pd.DataFrame:
        """Utility: score by image, method and model, with the controls, the average mask and the localizers beside.

        score: "auprc", or a name in LOCALIZATION. Controls that are named among the methods are scored as methods too.
        """
        sets = [
            (method, model, self.spec(method, model)) for model in models or self.judged for method in select(methods)
        ]
        sets += [(control, "control", self.spec(control)) for control in CONTROLS]
        sets.append(("average", "control", self.average_spec()))
        sets += [(self.card.localizer, f"{self.card.localizer}-{k}", self._heat(k)) for k in (1, 2)]
        return localization(self.store.get, track(sets, f"localization, {score}"), self.protocol, score)

    def sensitivity(
        self, methods: str = "paper", order: str = "top_down", score: str = "ssim", stage: str | None = None
    ) -> pd.DataFrame:
        """Likeness to the trained model's map after each stage of randomization, or after one of them: image, method,
        stage, replicate, <score>. order: a name in ORDERS; score: a name in SIMILARITY."""
        pairs = [
            (
                {"method": method, "stage": name, "replicate": replicate},
                self.spec(method),
                self.spec(method, images=self.cascaded, randomization=state),
            )
            for replicate in range(self.profile.replicates)
            for name, state in self.cascade(replicate, order).items()
            if stage in (None, name)
            for method in select(methods)
        ]
        return agreement(self.store.get, track(pairs, f"randomization, {score}"), self.protocol, score)

    def thresholds(self, methods: str = "paper", score: str = "ssim") -> pd.DataFrame:
        """Likeness of the trained model's maps of different images: image (the pair), method, <score>."""
        sets = [(method, self.spec(method)) for method in select(methods)]
        return unrelated(self.store.get, sets, self.protocol, self.seed, score)

    def stability(self, methods: str = "paper") -> dict[str, pd.DataFrame]:
        """Repeatability and reproducibility, as far as there are networks to compare, by criterion."""
        return {criterion: self._agreement(methods, other) for criterion, other in self.partners.items()}

    def repeatability(self, methods: str = "paper") -> pd.DataFrame:
        """SSIM between the maps of two replicates of one architecture: image, method, model, ssim."""
        return self._agreement(methods, self.replicate)

    def reproducibility(self, methods: str = "paper") -> pd.DataFrame:
        """SSIM between the maps of two architectures: image, method, model, ssim."""
        return self._agreement(methods, self.other)

    def _agreement(self, methods: str, other: str) -> pd.DataFrame:
        pairs = self._pairs(methods, other)
        return agreement(self.store.get, track(pairs, f"{self.main} ~ {other}"), self.protocol)

    def null(self, methods: str = "paper", other: str | None = None) -> pd.DataFrame:
        """SSIM by texture alone: of each map with surrogates of the map that another model, by default the same one,
        makes of that image; columns image, method, model, ssim. other: a classifier; the localizers stand beside."""
        pairs = self._pairs(methods, other or self.main)
        return null(self.store.get, track(pairs, "surrogates"), self.protocol, self.profile.surrogates, self.seed)

    def low(self, methods: str, other: str) -> dict[str, np.ndarray | float]:
        """The low baseline of SSIM with another model's maps, by method: one number, or one for each image."""
        fixed = self.protocol.low_baseline
        if fixed is None:
            return _by_method(self.null(methods, other), "ssim")
        return dict.fromkeys((*select(methods), self.card.localizer), fixed)

    def _pairs(self, methods: str, other: str) -> list[tuple[dict[str, object], Artefact, Artefact]]:
        """Each method's maps by the main model and by another one, and the heat maps of the two localizers."""
        pairs: list[tuple[dict[str, object], Artefact, Artefact]] = [
            ({"method": method, "model": f"{self.main} ~ {other}"}, self.spec(method), self.spec(method, other))
            for method in select(methods)
        ]
        kind = self.card.localizer
        pairs.append(({"method": kind, "model": f"{kind}-1 ~ {kind}-2"}, self._heat(1), self._heat(2)))
        return pairs

    def other_class(self, methods: str = "paper") -> pd.DataFrame:
        """SSIM between one model's maps of one image for two classes: the explained one, and its contrary (a single
        output: against the finding) or the next most likely class; of the cascaded images. image, method, ssim."""
        pairs = [
            ({"method": method}, self.spec(method), self.spec(method, images=self.cascaded, contrary=True))
            for method in select(methods)
        ]
        return agreement(self.store.get, track(pairs, "another class"), self.protocol)

    def _heat(self, replicate: int) -> LocalizerMaps:
        return LocalizerMaps(self._localizer(replicate), self._data("test"), self.explained)

    def average_spec(self) -> AverageMask:
        """The name of the average truth, once for each explained image."""
        splits = tuple(self._data(split) for split in self.protocol.average_of[self.card.truth])
        return AverageMask(splits, self._data("test"), self.explained)

    def heat(self, replicate: int = 1) -> np.ndarray:
        """The localizer's heat maps (n, height, width) in [0, 1] of the explained images."""
        return self.store.get(self._heat(replicate))[:, 0]

    def average(self) -> np.ndarray:
        """The average truth (height, width) of the images with the finding in the protocol's splits, in [0, 1]."""
        return self.store.get(self.average_spec())[0, 0]

    # --- the verdict ----------------------------------------------------------------------------------------------

    def verdicts(self, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
        """Table 2: each method against each baseline of the four criteria, PASS or FAIL, with the numbers compared."""
        utility = self.localization(methods)
        rivals = _by_method(utility.query("method == 'average' or model == @self._first_localizer"), "auprc")
        utility = _by_method(utility.query("model == @self.main"), "auprc")
        randomized = self.sensitivity(methods, stage=self.stages[-1])
        randomized = _by_method(
            randomized.groupby(["image", "method"], sort=False, as_index=False)["ssim"].mean(), "ssim"
        )
        threshold = _by_method(self.thresholds(methods), "ssim")
        stability = {
            criterion: (_by_method(frame, "ssim"), self.low(methods, self.partners[criterion]))
            for criterion, frame in self.stability(methods).items()
        }
        kind = self.card.localizer
        images = self.data("test").ids
        clusters, few = (clusters_of(images[list(those)], self.clusters) for those in (self.explained, self.cascaded))
        cells = []
        for method in select(methods):
            cells += [
                Comparison(method, "utility", "average", utility[method], rivals["average"], clusters=clusters),
                Comparison(method, "utility", "localizer", utility[method], rivals[kind], clusters=clusters),
                Comparison(
                    method,
                    "randomization",
                    "threshold",
                    randomized[method],
                    threshold[method],
                    larger=False,
                    paired=False,
                    clusters=few,
                ),
            ]
            for criterion, (scores, low) in stability.items():
                cells += [
                    Comparison(method, criterion, "low", scores[method], low[method], clusters=clusters),
                    Comparison(method, criterion, "localizer", scores[method], scores[kind], clusters=clusters),
                ]
        return judge(cells, self.protocol, n_boot, self.seed)

    def examples(self, methods: str = "paper") -> list[Example]:
        """The best and the worst example of each of the four questions."""
        test = self.data("test")
        position = {test.ids[index]: index for index in self.explained}
        found = []

        def add(question: str, frame: pd.DataFrame, score: str, larger: bool, first, second) -> None:
            for answer, row in extremes(frame.reset_index(drop=True), score, larger):
                index = position[row["image"]]
                label = f"{'AUPRC' if score == 'auprc' else 'SSIM'} {row[score]:.2f}"
                pair = first(row["method"], index), second(row["method"], index)
                found.append(Example(question, answer, row["method"], label, *pair, test.truth[index]))

        def shown(method: str, index: int, model: str | None = None) -> np.ndarray:
            return self.display(method, model)[self.explained.index(index)]

        def scrambled(method: str, index: int) -> np.ndarray:
            return self.cascade_display(method)[self.stages[-1]][self.cascaded.index(index)]

        utility = self.localization(methods).query("model == @self.main")
        add("utility", utility, "auprc", True, lambda method, index: test.pixels[index], shown)
        last = self.sensitivity(methods).query("stage == @self.stages[-1] and replicate == 0")
        add("randomization", last, "ssim", False, shown, scrambled)
        for question, scores in self.stability(methods).items():
            own = scores[scores["method"].isin(select(methods))]
            add(question, own, "ssim", True, shown, partial(shown, model=self.partners[question]))
        return found

    @property
    def _first_localizer(self) -> str:
        return f"{self.card.localizer}-1"


def spread(positions: Sequence[int], count: int | None) -> tuple[int, ...]:
    """`count` of the positions, evenly spread from the first to the last; None for all."""
    count = len(positions) if count is None else min(count, len(positions))
    chosen_ones = np.linspace(0, len(positions) - 1, count).round().astype(int)
    return tuple(int(positions[i]) for i in chosen_ones)


def _by_method(frame: pd.DataFrame, score: str) -> dict[str, np.ndarray]:
    return {method: rows[score].to_numpy() for method, rows in frame.groupby("method", sort=False)}
