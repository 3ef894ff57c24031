"""Networks: trained in pairs, as branches of a base model, or elsewhere; and localizers."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import Artefact, Work
from saltrust.artefacts.data import ImageSet
from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError


@dataclass(frozen=True)
class Trained:
    """A trained network on disk: `record` (AUC, curves, epochs, seed, seconds, ...) and the file of its weights, None
    for a network that was trained elsewhere."""

    record: dict[str, Any]
    weights: Path | None

    def state(self) -> dict[str, Any]:
        import torch

        return torch.load(self.weights, weights_only=True, map_location="cpu")


@dataclass(frozen=True)
class _TrainedNetwork(Artefact):
    """What trained networks share: a plan, the images they are trained on, and how they are stored."""

    stage: ClassVar[str] = "networks"
    resumable: ClassVar[bool] = True
    train: ImageSet
    plan: Any  # a frozen dataclass of saltrust.models

    def write(self, value, folder: Path) -> None:
        import torch

        state, record = value
        torch.save(state, folder / "weights.pt")
        (folder / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")

    def read(self, folder: Path) -> Trained:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        return Trained(record, folder / "weights.pt")

    def work(self) -> Work:
        """Images that pass through the network, where it does not stop early."""
        plan, name = self._phase(), self.part()
        images = plan.epochs * plan.steps(self.train.count) * plan.batch_size
        pixels = self.train.size**2
        return ((f"{name} at {self.train.size} pixels", images), (name, images * pixels), ("", images * pixels))

    def memory(self) -> float:
        plan = self._phase()
        return super().memory() + self.footprint(self.train.size).training(plan.batch_size)

    def footprint(self, size: int) -> Any:
        """The Footprint of the network on images of a size."""
        from saltrust.models.memory import of_classifier

        return of_classifier(self.architecture, len(self.train.card.classes) or 1, size)

    def _phase(self) -> Any:
        """The TrainingPlan that is carried out."""
        return self.plan


@dataclass(frozen=True)
class _MeasuredNetwork(_TrainedNetwork):
    """A network that is chosen on a second split and measured on a third."""

    val: ImageSet
    test: ImageSet


@dataclass(frozen=True)
class ImageNetWeights(Artefact):
    """Whether ImageNet weights are to be had, remembered so that one set of results never mixes both answers.

    Value: the checksum of the file, None where there is none. folder: of local weights ($SALTRUST_WEIGHTS), or None.
    """

    description: ClassVar[str] = "ImageNet weights, where there are any"
    stage: ClassVar[str] = "data"
    architecture: str
    folder: str | None

    def title(self) -> str:
        return f"ImageNet weights of {self.architecture}"

    def part(self) -> str:
        return self.architecture

    def compute(self, get) -> str | None:
        from saltrust.models.classifiers import imagenet_weights

        return _checksum(imagenet_weights(self.architecture))

    def write(self, value: str | None, folder: Path) -> None:
        (folder / "checksum.json").write_text(json.dumps(value), encoding="utf-8")

    def read(self, folder: Path) -> str | None:
        return json.loads((folder / "checksum.json").read_text(encoding="utf-8"))


def _named_weights(architecture: str, checksum: str | None) -> Path | None:
    """The file of ImageNet weights that an artefact names by its checksum; None from scratch.

    Raises SaltrustError where this machine has another one or none: what was trained would not be what its name says.
    """
    from saltrust.models.classifiers import WEIGHTS, imagenet_weights

    file = imagenet_weights(architecture) if checksum else None
    if _checksum(file) != checksum:
        raise SaltrustError(
            f"{architecture} is to start from ImageNet weights with SHA-256 {checksum[:16]}..., as these results began "
            f"with them, but here there {'are others' if file else 'are none'}; put their file in ${WEIGHTS}"
        )
    return file


def _checksum(file: Path | None) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else None


class _Classifier:
    """What classifiers trained here share: the network they name."""

    @property
    def n_outputs(self) -> int:
        return len(self.test.card.classes) or 1

    def part(self) -> str:
        return self.architecture

    def footprint(self, size: int) -> Any:
        from saltrust.models.memory import of_classifier

        return of_classifier(self.architecture, self.n_outputs, size)

    @property
    def input_range(self) -> tuple[float, float]:
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.architecture].input_range

    @property
    def stages(self) -> tuple[Any, ...]:
        """The blocks of its weights from the output to the input."""
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.architecture].stages

    @property
    def fine_stages(self) -> tuple[Any, ...]:
        """The same in more stages, where the architecture has a finer cascade; else ()."""
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.architecture].fine_stages

    def network(self, get: Callable) -> Any:
        """The network with its trained weights."""
        from saltrust.models.classifiers import restored

        return restored(self.architecture, get(self).state(), self.n_outputs)


def predictions(logits: np.ndarray, test: Any) -> dict[str, Any]:
    """What a record says of the test images, from a classifier's logits (n, outputs).

    test_scores: the log odds that an image has the finding; None where every image has one. Of several classes also
    test_predictions, test_accuracy and test_probabilities (n, classes).
    """
    from scipy.special import logsumexp, softmax

    if logits.shape[1] == 1:
        return {"test_scores": logits[:, 0].tolist()}
    scores = None
    if test.absent is not None:
        scores = logsumexp(np.delete(logits, test.absent, axis=1), axis=1) - logits[:, test.absent]
    predicted = logits.argmax(1)
    return {
        "test_scores": None if scores is None else scores.tolist(),
        "test_predictions": predicted.tolist(),
        "test_accuracy": float((predicted == test.labels).mean()),
        "test_probabilities": softmax(logits, axis=1).round(6).tolist(),
    }


@dataclass(frozen=True)
class Classifier(_Classifier, _MeasuredNetwork):
    """A classifier, binary or of the card's classes; its record holds its `predictions` of the test images."""

    description: ClassVar[str] = "trained classifiers"
    architecture: str
    pretrained: str | None  # checksum of the file of ImageNet weights, None from scratch

    def title(self) -> str:
        return f"{self.architecture}, seed {self.plan.seed}"

    def job(self) -> tuple[str, ...]:
        return self.architecture, str(self.plan.seed)

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.classifiers import predict, restored
        from saltrust.models.training import train_classifier

        weights = _named_weights(self.architecture, self.pretrained)
        splits = get(self.train), get(self.val)
        classes = len(self.train.card.classes)
        state, record = train_classifier(self.architecture, *splits, self.plan, weights, unfinished, classes)
        network, test = restored(self.architecture, state, self.n_outputs), get(self.test)
        return state, record | predictions(predict(network, test.pixels, input_range=self.input_range), test)


@dataclass(frozen=True)
class MultilabelClassifier(_Classifier, _MeasuredNetwork):
    """A network with one output for each of the card's findings; its record holds val_logits and test_logits, a row for
    each image."""

    description: ClassVar[str] = "networks for several findings"
    architecture: str
    pretrained: str | None  # checksum of the file of ImageNet weights, None from scratch

    @property
    def n_outputs(self) -> int:
        return len(self.test.card.findings)

    def title(self) -> str:
        return f"{self.architecture} for {self.n_outputs} findings, seed {self.plan.seed}"

    @property
    def head(self) -> str:
        """The path of its last layer, which is linear."""
        return self.stages[0].modules[0]

    def job(self) -> tuple[str, ...]:
        return f"{self.architecture}-findings", str(self.plan.seed)

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.classifiers import predict, restored
        from saltrust.models.multilabel import check_findings, train_multilabel

        weights, splits = _named_weights(self.architecture, self.pretrained), (get(self.train), get(self.val))
        check_findings(get(self.test), "the test images")
        state, record = train_multilabel(self.architecture, *splits, self.plan, weights, unfinished)
        network = restored(self.architecture, state, self.n_outputs)
        for name, split in (("val", get(self.val)), ("test", get(self.test))):
            record[f"{name}_logits"] = predict(network, split.pixels, input_range=self.input_range).tolist()
        return state, record


@dataclass(frozen=True)
class BaseModel(_TrainedNetwork):
    """A classifier of several classes after continuous training, from which branches start (Tjoa & Guan, sec. III-B).

    start: a shallower network whose weights it takes over, None for ImageNet's or none.
    """

    description: ClassVar[str] = "networks that branches start from"
    architecture: str
    pretrained: str | None
    start: "BaseModel | None" = None

    def title(self) -> str:
        return f"{self.architecture}, base model"

    def part(self) -> str:
        return self.architecture

    def job(self) -> tuple[str, ...]:
        return self.architecture, "base"

    def _phase(self) -> Any:
        return self.plan.base

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.branching import train_base

        weights = _named_weights(self.architecture, self.pretrained)
        start = get(self.start).state() if self.start else None
        return train_base(self.architecture, get(self.train), self.plan, weights, start, unfinished)


@dataclass(frozen=True)
class Branch(_Classifier, _MeasuredNetwork):
    """A branch of a base model. Its record says where the base's weights started from, and what it makes of the test
    images (`predictions`)."""

    description: ClassVar[str] = "branches of a network"
    base: BaseModel
    seed: int

    @property
    def architecture(self) -> str:
        return self.base.architecture

    def title(self) -> str:
        return f"{self.architecture}, branch with seed {self.seed}"

    def job(self) -> tuple[str, ...]:
        return self.architecture, str(self.seed)

    def _phase(self) -> Any:
        return self.plan.branch

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.branching import train_branch
        from saltrust.models.classifiers import predict, restored

        base, test = get(self.base), get(self.test)
        splits = get(self.train), get(self.val)
        state, record = train_branch(self.architecture, base.state(), *splits, self.plan, self.seed, unfinished)
        network = restored(self.architecture, state, self.n_outputs)
        logits = predict(network, test.pixels, input_range=self.input_range)
        return state, record | {"weights": base.record["weights"]} | predictions(logits, test)


@dataclass(frozen=True)
class ExternalClassifier(Artefact):
    """A classifier that was trained elsewhere, measured on the test images. Its weights stay where they are.

    model: what the card says of it; checksum: of its files. stages: the blocks of its weights from the output to the
    input.
    """

    description: ClassVar[str] = "classifiers trained elsewhere"
    stage: ClassVar[str] = "networks"
    model: Model
    checksum: str
    stages: tuple[Any, ...]
    test: ImageSet
    fine_stages: ClassVar[tuple[Any, ...]] = ()
    input_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    n_outputs: ClassVar[int | None] = None  # known once it is loaded

    def title(self) -> str:
        return self.model.name

    def part(self) -> str:
        return self.model.name

    def job(self) -> tuple[str, ...]:
        return (self.model.name,)

    def work(self) -> Work:
        pixels = self.test.count * self.test.size**2
        return ((f"{self.model.name} {self.checksum}", pixels), ("", pixels))

    def footprint(self, size: int) -> Any:
        """The Footprint of the network on images of a size: of an unknown one, that of the largest classifier here."""
        from saltrust.models.architectures import ARCHITECTURES
        from saltrust.models.memory import of_classifier

        found = [of_classifier(name, 1, size) for name in ARCHITECTURES if not name.startswith("alexnet+")]
        return max(found, key=lambda one: one.image)

    def network(self, get: Callable) -> Any:
        """The network as its maker left it, behind its preprocessing. Raises SaltrustError where its files are no
        longer those that the artefact was named for."""
        card = self.test.card
        own = _loaded(self.checksum, self.model, card.folder, card.classes, card.finding, card.findings)
        if own.checksum != self.checksum:
            raise SaltrustError(f"{self.model.source} has changed since this study began; begin it anew")
        return copy.deepcopy(own.network)  # the caller may move it to another device

    def compute(self, get) -> dict[str, Any]:
        return predictions(self._logits(get, self.test), get(self.test)) | self._start()

    def _logits(self, get: Callable, images: ImageSet) -> np.ndarray:
        """Of all images of a split (n, outputs). Raises SaltrustError where one is NaN or infinite."""
        from saltrust.models.classifiers import predict
        from saltrust.models.external.sources import refusal

        split = get(images)
        found = predict(self.network(get), split.pixels, input_range=self.input_range)
        if len(wrong := np.flatnonzero(~np.isfinite(found).all(axis=1))):
            raise refusal(
                self.model,
                f"returns NaN or infinite logits for {len(wrong)} of {len(found)} {images.split} images; the first is "
                f"'{split.ids[wrong[0]]}'",
            )
        return found

    def _start(self) -> dict[str, str]:
        return {"weights": f"{Path(self.model.source).name}, trained elsewhere"}

    def write(self, value: dict[str, Any], folder: Path) -> None:
        (folder / "record.json").write_text(json.dumps(value), encoding="utf-8")

    def read(self, folder: Path) -> Trained:
        return Trained(json.loads((folder / "record.json").read_text(encoding="utf-8")), None)


@dataclass(frozen=True)
class ExternalMultilabelClassifier(ExternalClassifier):
    """The same with an output for each of the card's findings; its record holds val_logits and test_logits, a row for
    each image."""

    description: ClassVar[str] = "networks for several findings, trained elsewhere"
    val: ImageSet

    @property
    def n_outputs(self) -> int:
        return len(self.test.card.findings)

    def compute(self, get) -> dict[str, Any]:
        from saltrust.models.multilabel import check_findings

        record = self._start()
        for name, images in (("val", self.val), ("test", self.test)):
            check_findings(get(images), f"the {name} images")
            record[f"{name}_logits"] = self._logits(get, images).tolist()
        return record


@lru_cache(maxsize=4)
def _loaded(checksum: str, *given: Any) -> Any:
    """A model trained elsewhere, loaded once for all states of a cascade. checksum: tells versions of its files
    apart."""
    from saltrust.models.external.model import load

    return load(*given)


@dataclass(frozen=True)
class TrainedLocalizer(_MeasuredNetwork):
    """A network trained to localize: U-Net or RetinaNet."""

    description: ClassVar[str] = "trained localizers"
    localizer: str
    pretrained: str | None  # checksum of the file of its body's ImageNet weights, None from scratch

    def title(self) -> str:
        return f"{self.localizer}, seed {self.plan.seed}"

    def part(self) -> str:
        return self.localizer

    def job(self) -> tuple[str, ...]:
        return self.localizer, str(self.plan.seed)

    def footprint(self, size: int) -> Any:
        from saltrust.models.memory import of_localizer

        return of_localizer(self.localizer, self.plan, size)

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.localizers import LOCALIZERS, build_localizer, localize, train_localizer

        weights = _named_weights(LOCALIZERS[self.localizer].body(self.plan), self.pretrained)
        splits = get(self.train), get(self.val)
        state, record = train_localizer(self.localizer, *splits, self.plan, unfinished, weights)
        network = build_localizer(self.localizer, self.plan)
        network.load_state_dict(state)
        heat = localize(self.localizer, network, get(self.test).pixels)
        record["test_scores"] = LOCALIZERS[self.localizer].image_scores(heat).tolist()
        return state, record
