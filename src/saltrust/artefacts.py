"""The artefacts of a study, each named by a spec that says how it is computed and stored.

data -> classifier, localizer -> maps, heat maps -> utility, similarity. Heavy imports stand inside the methods, so
that reading what is stored needs none of them; they also tell the spec which code its result depends on.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.cards import Card
from saltrust.protocols import Preparation, Similarity
from saltrust.specs import Spec


@dataclass(frozen=True)
class DataSpec(Spec):
    """One split of a data set: `count` images of size x size pixels with their labels and truth."""

    kind: ClassVar[str] = "data"
    card: Card
    fingerprint: str
    split: str
    count: int
    size: int
    seed: int

    def title(self) -> str:
        return f"{self.split} images of {self.card.name}"

    def code(self) -> tuple[str, ...]:
        return (f"saltrust.datasets.{self.card.loader}",)

    def compute(self, get) -> Any:
        from saltrust.datasets.loaders import LOADERS

        return LOADERS[self.card.loader].load(self.card, self.split, self.count, self.size, self.seed)

    def write(self, value, folder: Path) -> None:
        arrays = {name: getattr(value, name) for name in ("pixels", "labels", "boxes", "ids")}
        np.savez(folder / "split.npz", **arrays, truth=np.packbits(value.truth, axis=-1))

    def read(self, folder: Path) -> Any:
        from saltrust.datasets.split import Split

        with np.load(folder / "split.npz") as stored:
            arrays = dict(stored)
        truth = np.unpackbits(arrays.pop("truth"), axis=-1, count=arrays["pixels"].shape[2]).astype(bool)
        return Split(truth=truth, **arrays)


@dataclass(frozen=True)
class Trained:
    """A trained network on disk: `record` (AUC, curves, epochs, seed, seconds, ...) and the file of its weights."""

    record: dict[str, Any]
    weights: Path

    def state(self) -> dict[str, Any]:
        import torch

        return torch.load(self.weights, weights_only=True, map_location="cpu")


@dataclass(frozen=True)
class _TrainedSpec(Spec):
    """What classifiers and localizers share: they are trained on two splits, measured on a third, and stored alike."""

    train: DataSpec
    val: DataSpec
    test: DataSpec
    plan: Any  # a frozen dataclass of saltrust.models

    def write(self, value, folder: Path) -> None:
        import torch

        state, record = value
        torch.save(state, folder / "weights.pt")
        (folder / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")

    def read(self, folder: Path) -> Trained:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        return Trained(record, folder / "weights.pt")


@dataclass(frozen=True)
class WeightsSpec(Spec):
    """Whether ImageNet weights are to be had, remembered so that one set of results never mixes both answers.

    Value: the checksum of the file, None where there is none. folder: of local weights ($SALTRUST_WEIGHTS), or None.
    """

    kind: ClassVar[str] = "weights"
    architecture: str
    folder: str | None

    def compute(self, get) -> str | None:
        from saltrust.models.classifiers import imagenet_weights

        file = imagenet_weights(self.architecture)
        return hashlib.sha256(file.read_bytes()).hexdigest() if file else None

    def write(self, value: str | None, folder: Path) -> None:
        (folder / "checksum.json").write_text(json.dumps(value), encoding="utf-8")

    def read(self, folder: Path) -> str | None:
        return json.loads((folder / "checksum.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class ClassifierSpec(_TrainedSpec):
    """A classifier; its record holds the scores of the test images (`test_scores`), from which the AUC follows."""

    kind: ClassVar[str] = "classifier"
    architecture: str
    pretrained: str | None  # checksum of the file of ImageNet weights, None from scratch

    def title(self) -> str:
        return f"{self.architecture}, seed {self.plan.seed}"

    def compute(self, get) -> Any:
        from saltrust.models.classifiers import build, imagenet_weights, predict
        from saltrust.models.training import train_classifier

        weights = imagenet_weights(self.architecture) if self.pretrained else None
        state, record = train_classifier(self.architecture, get(self.train), get(self.val), self.plan, weights)
        network = build(self.architecture)
        network.load_state_dict(state)
        record["test_scores"] = predict(network, get(self.test).pixels)[:, 0].tolist()
        return state, record


@dataclass(frozen=True)
class LocalizerSpec(_TrainedSpec):
    """A network trained to localize: U-Net or RetinaNet."""

    kind: ClassVar[str] = "localizer"
    localizer: str

    def title(self) -> str:
        return f"{self.localizer}, seed {self.plan.seed}"

    def compute(self, get) -> Any:
        from saltrust.models.localizers import LOCALIZERS, build_localizer, localize, train_localizer

        state, record = train_localizer(self.localizer, get(self.train), get(self.val), self.plan)
        network = build_localizer(self.localizer, self.plan)
        network.load_state_dict(state)
        heat = localize(self.localizer, network, get(self.test).pixels)
        record["test_scores"] = LOCALIZERS[self.localizer].image_scores(heat).tolist()
        return state, record


@dataclass(frozen=True)
class Randomization:
    """Re-initialized weights, from the top stage of a network down to `stage`."""

    stage: str
    initialization: str
    batchnorm: str
    seed: int


@dataclass(frozen=True)
class _ArraySpec(Spec):
    """An artefact that is one array."""

    def write(self, value, folder: Path) -> None:
        np.save(folder / "array.npy", value)

    def read(self, folder: Path) -> np.ndarray:
        return np.load(folder / "array.npy")


@dataclass(frozen=True)
class SegmentsSpec(Spec):
    """XRAI's regions. They depend on the images alone, so every model and every stage of a cascade shares them."""

    kind: ClassVar[str] = "segments"
    data: DataSpec
    images: tuple[int, ...]

    def compute(self, get) -> list[np.ndarray]:
        from saltrust.methods.xrai import segment
        from saltrust.progress import track

        pixels = get(self.data).pixels[list(self.images)]
        return [segment(image) for image in track(pixels, "segments", len(pixels))]

    def write(self, value, folder: Path) -> None:
        np.savez_compressed(folder / "segments.npz", *(np.packbits(masks, axis=-1) for masks in value))

    def read(self, folder: Path) -> list[np.ndarray]:
        with np.load(folder / "segments.npz") as stored:
            packed = [stored[name] for name in stored.files]
        return [np.unpackbits(masks, axis=-1, count=self.data.size).astype(bool) for masks in packed]


@dataclass(frozen=True)
class MapsSpec(_ArraySpec):
    """Raw maps (n, channels, height, width), float32, of some images by one method on one state of one classifier."""

    kind: ClassVar[str] = "maps"
    method: str
    parameters: dict[str, Any]
    model: ClassifierSpec
    randomization: Randomization | None
    scalar: str
    cam_min_grid: int
    data: DataSpec
    images: tuple[int, ...]

    def title(self) -> str:
        state = f", random down to {self.randomization.stage}" if self.randomization else ""
        return f"{self.method} maps of {self.model.title()}{state}"

    def code(self) -> tuple[str, ...]:
        from saltrust.methods.registry import METHODS

        return (METHODS[self.method].function.__module__,)

    def compute(self, get) -> np.ndarray:
        from saltrust.methods.registry import METHODS

        method = METHODS[self.method]
        pixels = get(self.data).pixels[list(self.images)]
        keys = [(index,) for index in self.images]
        if method.is_composition:
            return self._composed(get, method, pixels, keys)
        from saltrust.models.classifiers import to_input

        explained = _explained(self.model, self.randomization, self.scalar, self.cam_min_grid, get)
        maps = method.function(explained, to_input(pixels), keys, **self.parameters)
        return maps.cpu().numpy().astype(np.float32)

    def _composed(self, get: Callable, method, pixels: np.ndarray, keys: list[tuple[int, ...]]) -> np.ndarray:
        parts = {
            name: get(replace(self, method=part, parameters=parameters))
            for name, (part, parameters) in method.parts(self.parameters).items()
        }
        if method.segments:
            parts["segments"] = get(SegmentsSpec(self.data, self.images))
        return method.function(pixels, keys, parts, **self.parameters).astype(np.float32)


_LATEST: dict[tuple, Any] = {}  # the one classifier that was explained last


def _explained(model: ClassifierSpec, randomization: Randomization | None, scalar: str, min_grid: int, get: Callable):
    """The classifier in that state, ready to be explained; kept while one method after the other asks for it."""
    key = (model.digest, randomization, scalar, min_grid)
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = _load_explained(model, randomization, scalar, min_grid, get)
    return _LATEST[key]


def _load_explained(
    model: ClassifierSpec, randomization: Randomization | None, scalar: str, min_grid: int, get: Callable
):
    from saltrust.methods.cam import choose_cam_layer
    from saltrust.methods.explained import Explained
    from saltrust.models.classifiers import ARCHITECTURES, build
    from saltrust.models.randomization import randomize_down_to

    network = build(model.architecture)
    network.load_state_dict(get(model).state())
    if randomization is not None:
        network = randomize_down_to(
            network,
            model.architecture,
            randomization.stage,
            randomization.initialization,
            randomization.seed,
            randomization.batchnorm,
        )
    blocks = [module for stage in ARCHITECTURES[model.architecture].stages for module in stage.modules]
    layer = choose_cam_layer(network, blocks, model.test.size, min_grid)
    return Explained(network, scalar=scalar, cam_layer=layer)


@dataclass(frozen=True)
class HeatSpec(_ArraySpec):
    """A localizer's heat maps (n, 1, height, width), in [0, 1]."""

    kind: ClassVar[str] = "heat"
    model: LocalizerSpec
    data: DataSpec
    images: tuple[int, ...]

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import build_localizer, localize

        network = build_localizer(self.model.localizer, self.model.plan)
        network.load_state_dict(get(self.model).state())
        return localize(self.model.localizer, network, get(self.data).pixels[list(self.images)])[:, None]


@dataclass(frozen=True)
class AverageSpec(_ArraySpec):
    """The average truth of all training and validation images with the finding, once for each image to be judged."""

    kind: ClassVar[str] = "average"
    train: DataSpec
    val: DataSpec
    data: DataSpec
    images: tuple[int, ...]

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import average_mask

        average = average_mask([get(self.train), get(self.val)])
        return np.repeat(average[None, None], len(self.images), axis=0)


def prepared(maps: Spec, preparation: Preparation, get: Callable) -> np.ndarray:
    """Maps (n, height, width) in [0, 1], ready to be scored. Heat maps and averages are scored as they are."""
    from saltrust.methods.preparation import prepare
    from saltrust.methods.registry import METHODS

    raw = get(maps)
    if not isinstance(maps, MapsSpec):
        return raw[:, 0].astype(np.float64)
    channels = preparation.channels if METHODS[maps.method].signed else "sum"
    return prepare(raw, channels, preparation.clip)


@dataclass(frozen=True)
class UtilitySpec(_ArraySpec):
    """AUPRC (n,) of each map against its image's truth; NaN for a map that holds NaN."""

    kind: ClassVar[str] = "utility"
    maps: MapsSpec | HeatSpec | AverageSpec
    preparation: Preparation
    auprc: str

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.auprc import AUPRC

        score = AUPRC[self.auprc]
        truth = get(self.maps.data).truth[list(self.maps.images)]
        maps = prepared(self.maps, self.preparation, get)
        return np.array([np.nan if np.isnan(m).any() else score(m, t) for m, t in zip(maps, truth, strict=True)])


@dataclass(frozen=True)
class SimilaritySpec(_ArraySpec):
    """SSIM (k,) of maps of two model states; pair i joins map pairs[i][0] of the first, pairs[i][1] of the second."""

    kind: ClassVar[str] = "similarity"
    first: MapsSpec | HeatSpec
    second: MapsSpec | HeatSpec
    pairs: tuple[tuple[int, int], ...]
    preparation: Preparation
    similarity: Similarity

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.ssim import ssim

        left, right = (prepared(maps, self.preparation, get) for maps in (self.first, self.second))
        settings = self.similarity
        return ssim(
            left[[i for i, _ in self.pairs]],
            right[[j for _, j in self.pairs]],
            data_range=settings.data_range,
            window=settings.window,
            size=settings.size,
            sigma=settings.sigma,
        )
