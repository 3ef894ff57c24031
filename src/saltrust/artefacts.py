"""The artefacts of a study, each named by a spec that says how it is computed and stored.

data -> classifier, localizer -> maps, heat maps -> utility, similarity. Heavy imports stand inside the methods, so
that reading what is stored needs none of them; they also tell the spec which code its result depends on.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.cards import Card, Model
from saltrust.errors import SaltrustError
from saltrust.protocols import Preparation
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
    first: int = 0  # the images before it are left out

    def title(self) -> str:
        part = f" from {self.first}" if self.first else ""
        return f"{self.split} images of {self.card.name}{part}"

    @property
    def shards(self) -> tuple["DataSpec", ...]:
        """The parts in which a large split is made and stored, so that an interruption costs no more than one of them;
        empty for a split that is made at once."""
        from saltrust.datasets.loaders import LOADERS

        most = LOADERS[self.card.loader].shard
        if most is None or self.count <= most:
            return ()
        starts = range(0, self.count, most)
        return tuple(replace(self, first=self.first + k, count=min(most, self.count - k)) for k in starts)

    @property
    def transient(self) -> bool:
        return bool(self.shards)

    def code(self) -> tuple[str, ...]:
        return (f"saltrust.datasets.{self.card.loader}",)

    def compute(self, get) -> Any:
        from saltrust.datasets.loaders import LOADERS
        from saltrust.datasets.split import joined

        if self.shards:
            return joined([get(shard) for shard in self.shards])
        loader = LOADERS[self.card.loader]
        first = (self.first,) if loader.shard else ()
        return loader.load(self.card, self.split, self.count, self.size, self.seed, *first)

    def write(self, value, folder: Path) -> None:
        arrays = {name: getattr(value, name) for name in ("pixels", "labels", "boxes", "ids", "classes")}
        arrays |= {} if value.absent is None else {"absent": value.absent}
        truth = {"truth": np.packbits(value.truth, axis=-1)} if value.grades is None else {"grades": value.grades}
        np.savez(folder / "split.npz", **arrays, **truth)

    def read(self, folder: Path) -> Any:
        from saltrust.datasets.split import Split

        with np.load(folder / "split.npz") as stored:
            arrays = dict(stored)
        width = arrays["pixels"].shape[2]
        arrays["classes"] = tuple(arrays["classes"].tolist())
        arrays["absent"] = int(arrays["absent"]) if "absent" in arrays else None
        if "grades" in arrays:
            return Split(truth=arrays["grades"] > 0, **arrays)
        truth = np.unpackbits(arrays.pop("truth"), axis=-1, count=width).astype(bool)
        return Split(truth=truth, **arrays)


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
class _TrainedSpec(Spec):
    """What trained networks share: a plan, the images they are trained on, and how they are stored."""

    resumable: ClassVar[bool] = True
    train: DataSpec
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
class _MeasuredSpec(_TrainedSpec):
    """A network that is chosen on a second split and measured on a third."""

    val: DataSpec
    test: DataSpec


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

        return _checksum(imagenet_weights(self.architecture))

    def write(self, value: str | None, folder: Path) -> None:
        (folder / "checksum.json").write_text(json.dumps(value), encoding="utf-8")

    def read(self, folder: Path) -> str | None:
        return json.loads((folder / "checksum.json").read_text(encoding="utf-8"))


def _named_weights(architecture: str, checksum: str | None) -> Path | None:
    """The file of ImageNet weights that a spec names by its checksum; None from scratch.

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
    """What the specs of classifiers trained here share: the network they name."""

    @property
    def n_outputs(self) -> int:
        return len(self.test.card.classes) or 1

    @property
    def input_range(self) -> tuple[float, float]:
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.architecture].input_range

    @property
    def stages(self) -> tuple[Any, ...]:
        """The blocks of its weights from the output to the input."""
        from saltrust.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.architecture].stages

    def network(self, get: Callable) -> Any:
        """The network with its trained weights."""
        from saltrust.models.classifiers import restored

        return restored(self.architecture, get(self).state(), self.n_outputs)


def judged(logits: np.ndarray, test: Any) -> dict[str, Any]:
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
class ClassifierSpec(_Classifier, _MeasuredSpec):
    """A classifier, binary or of the card's classes; its record holds what it says of the test images (`judged`)."""

    kind: ClassVar[str] = "classifier"
    architecture: str
    pretrained: str | None  # checksum of the file of ImageNet weights, None from scratch

    def title(self) -> str:
        return f"{self.architecture}, seed {self.plan.seed}"

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.classifiers import predict, restored
        from saltrust.models.training import train_classifier

        weights = _named_weights(self.architecture, self.pretrained)
        splits = get(self.train), get(self.val)
        classes = len(self.train.card.classes)
        state, record = train_classifier(self.architecture, *splits, self.plan, weights, unfinished, classes)
        network, test = restored(self.architecture, state, self.n_outputs), get(self.test)
        return state, record | judged(predict(network, test.pixels, input_range=self.input_range), test)


@dataclass(frozen=True)
class BaseSpec(_TrainedSpec):
    """A classifier of several classes after continuous training, from which branches start (Tjoa & Guan, sec. III-B).

    start: a shallower network whose weights it takes over, None for ImageNet's or none.
    """

    kind: ClassVar[str] = "base"
    architecture: str
    pretrained: str | None
    start: "BaseSpec | None" = None

    def title(self) -> str:
        return f"{self.architecture}, base model"

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.branching import train_base

        weights = _named_weights(self.architecture, self.pretrained)
        start = get(self.start).state() if self.start else None
        return train_base(self.architecture, get(self.train), self.plan, weights, start, unfinished)


@dataclass(frozen=True)
class BranchSpec(_Classifier, _MeasuredSpec):
    """A branch of a base model. Its record says where the base's weights started from, and what it makes of the test
    images (`judged`)."""

    kind: ClassVar[str] = "branch"
    base: BaseSpec
    seed: int

    @property
    def architecture(self) -> str:
        return self.base.architecture

    def title(self) -> str:
        return f"{self.architecture}, branch with seed {self.seed}"

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.branching import train_branch
        from saltrust.models.classifiers import predict, restored

        base, test = get(self.base), get(self.test)
        splits = get(self.train), get(self.val)
        state, record = train_branch(self.architecture, base.state(), *splits, self.plan, self.seed, unfinished)
        network = restored(self.architecture, state, self.n_outputs)
        logits = predict(network, test.pixels, input_range=self.input_range)
        return state, record | {"weights": base.record["weights"]} | judged(logits, test)


@dataclass(frozen=True)
class OwnSpec(Spec):
    """A classifier that was trained elsewhere, measured on the test images. Its weights stay where they are.

    model: what the card says of it; checksum: of its files. stages: the blocks of its weights from the output to the
    input.
    """

    kind: ClassVar[str] = "own"
    model: Model
    checksum: str
    stages: tuple[Any, ...]
    test: DataSpec
    input_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def title(self) -> str:
        return self.model.name

    def network(self, get: Callable) -> Any:
        """The network as its maker left it, behind its preprocessing. Raises SaltrustError where its files are no
        longer those that the spec was made for."""
        card = self.test.card
        own = _loaded(self.checksum, self.model, card.folder, card.classes, card.finding)
        if own.checksum != self.checksum:
            raise SaltrustError(f"{self.model.source} has changed since this study began; begin it anew")
        return copy.deepcopy(own.network)  # the caller may move it to another device

    def compute(self, get) -> dict[str, Any]:
        from saltrust.models.classifiers import predict

        test = get(self.test)
        told = judged(predict(self.network(get), test.pixels, input_range=self.input_range), test)
        return told | {"weights": f"{Path(self.model.source).name}, trained elsewhere"}

    def write(self, value: dict[str, Any], folder: Path) -> None:
        (folder / "record.json").write_text(json.dumps(value), encoding="utf-8")

    def read(self, folder: Path) -> Trained:
        return Trained(json.loads((folder / "record.json").read_text(encoding="utf-8")), None)


@lru_cache(maxsize=4)
def _loaded(checksum: str, *given: Any) -> Any:
    """A model trained elsewhere, loaded once for all states of a cascade. checksum: tells versions of its files
    apart."""
    from saltrust.models.own.loading import load

    return load(*given)


@dataclass(frozen=True)
class LocalizerSpec(_MeasuredSpec):
    """A network trained to localize: U-Net or RetinaNet."""

    kind: ClassVar[str] = "localizer"
    localizer: str

    def title(self) -> str:
        return f"{self.localizer}, seed {self.plan.seed}"

    def compute(self, get, unfinished: Path | None = None) -> Any:
        from saltrust.models.localizers import LOCALIZERS, build_localizer, localize, train_localizer

        state, record = train_localizer(self.localizer, get(self.train), get(self.val), self.plan, unfinished)
        network = build_localizer(self.localizer, self.plan)
        network.load_state_dict(state)
        heat = localize(self.localizer, network, get(self.test).pixels)
        record["test_scores"] = LOCALIZERS[self.localizer].image_scores(heat).tolist()
        return state, record


@dataclass(frozen=True)
class Randomization:
    """Re-initialized weights. order: which stages are random in the state that is named for `stage`: "top_down" for
    those from the output down to it, "bottom_up" for those from the input up to it, "independent" for it alone."""

    stage: str
    initialization: str
    batchnorm: str
    seed: int
    order: str = "top_down"


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

    def title(self) -> str:
        return f"regions of {self.data.title()}"

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
class Maps:
    """Raw maps (n, channels, height, width), float32, and for a complete method what each should add up to: totals (n,)
    in units of the explained scalar, computed from the model's outputs; None for other methods."""

    values: np.ndarray
    totals: np.ndarray | None = None

    @property
    def residuals(self) -> np.ndarray | None:
        """By how much each map misses its total (n,), in units of the explained scalar: 0 for exact attribution."""
        return None if self.totals is None else self.values.sum((1, 2, 3), dtype=np.float64) - self.totals


@dataclass(frozen=True)
class MapsSpec(Spec):
    """Maps of some images by one method on one state of one classifier."""

    kind: ClassVar[str] = "maps"
    method: str
    parameters: dict[str, Any]
    model: ClassifierSpec | BranchSpec | OwnSpec
    randomization: Randomization | None
    scalar: str
    cam_min_grid: int
    data: DataSpec
    images: tuple[int, ...]

    def title(self) -> str:
        state = f", {self.randomization.order} randomized to {self.randomization.stage}" if self.randomization else ""
        return f"{self.method} maps of {self.model.title()}{state}"

    def code(self) -> tuple[str, ...]:
        from saltrust.methods.registry import METHODS

        return (METHODS[self.method].function.__module__,)

    def compute(self, get) -> Maps:
        from saltrust.methods.registry import METHODS

        method = METHODS[self.method]
        pixels = get(self.data).pixels[list(self.images)]
        keys = [(index,) for index in self.images]
        if method.is_composition:
            return self._composed(get, method, pixels, keys)
        from saltrust.models.classifiers import to_input

        explained = _explained(self, get)
        images = to_input(pixels, explained.input_range)
        values = method.function(explained, images, keys, **self.parameters).cpu().numpy().astype(np.float32)
        if method.total is None:
            return Maps(values)
        totals = method.total(explained, explained.accept(images), **self.parameters)
        return Maps(values, totals.double().cpu().numpy())

    def _composed(self, get: Callable, method, pixels: np.ndarray, keys: list[tuple[int, ...]]) -> Maps:
        parts = {
            name: get(replace(self, method=part, parameters=parameters)).values
            for name, (part, parameters) in method.parts(self.parameters).items()
        }
        if method.segments:
            parts["segments"] = get(SegmentsSpec(self.data, self.images))
        return Maps(method.function(pixels, keys, parts, **self.parameters).astype(np.float32))

    def write(self, value: Maps, folder: Path) -> None:
        np.save(folder / "maps.npy", value.values)
        if value.totals is not None:
            np.save(folder / "totals.npy", value.totals)

    def read(self, folder: Path) -> Maps:
        totals = folder / "totals.npy"
        return Maps(np.load(folder / "maps.npy"), np.load(totals) if totals.exists() else None)


_LATEST: dict[tuple, Any] = {}  # the one classifier that was explained last


def _explained(maps: MapsSpec, get: Callable):
    """The classifier in its state, ready to be explained; kept while one method after the other asks for it."""
    key = (maps.model.digest, maps.randomization, maps.scalar, maps.cam_min_grid, maps.parameters.get("layer"))
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = _load_explained(maps, get)
    return _LATEST[key]


def _load_explained(maps: MapsSpec, get: Callable):
    from saltrust.devices import device
    from saltrust.methods.cam import choose_cam_layer
    from saltrust.methods.explained import Explained
    from saltrust.models.randomization import randomize

    model = maps.model
    network = model.network(get)
    if maps.randomization is not None:
        r = maps.randomization
        network = randomize(network, model.stages, r.stage, r.initialization, r.seed, r.batchnorm, r.order)
    layer = maps.parameters.get("layer")
    if layer is None:
        blocks = [module for stage in model.stages for module in stage.modules]
        layer = choose_cam_layer(network, blocks, model.test.size, maps.cam_min_grid)
    return Explained(network.to(device()), scalar=maps.scalar, cam_layer=layer, input_range=model.input_range)


@dataclass(frozen=True)
class HeatSpec(_ArraySpec):
    """A localizer's heat maps (n, 1, height, width), in [0, 1]."""

    kind: ClassVar[str] = "heat"
    model: LocalizerSpec
    data: DataSpec
    images: tuple[int, ...]

    def title(self) -> str:
        return f"heat maps of {self.model.title()}"

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import build_localizer, localize

        network = build_localizer(self.model.localizer, self.model.plan)
        network.load_state_dict(get(self.model).state())
        return localize(self.model.localizer, network, get(self.data).pixels[list(self.images)])[:, None]


@dataclass(frozen=True)
class AverageSpec(_ArraySpec):
    """The average truth of all images of some splits with the finding, once for each image to be judged."""

    kind: ClassVar[str] = "average"
    splits: tuple[DataSpec, ...]
    data: DataSpec
    images: tuple[int, ...]

    def title(self) -> str:
        return f"average truth of {self.data.card.name}"

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import average_mask

        average = average_mask([get(split) for split in self.splits])
        return np.repeat(average[None, None], len(self.images), axis=0)


def prepared(maps: Spec, preparation: Preparation, get: Callable) -> np.ndarray:
    """Maps (n, height, width) in [0, 1], ready to be scored. Heat maps and averages are scored as they are."""
    from saltrust.methods.preparation import prepare
    from saltrust.methods.registry import METHODS

    if not isinstance(maps, MapsSpec):
        return get(maps)[:, 0].astype(np.float64)
    channels = preparation.channels if METHODS[maps.method].signed else "sum"
    return prepare(get(maps).values, channels, preparation.clip)


@dataclass(frozen=True)
class UtilitySpec(_ArraySpec):
    """Score (n,) of each map against its image's truth; NaN for a map that holds NaN, and where there is no truth.

    score: a name in AUPRC or in LOCALIZATION.
    """

    kind: ClassVar[str] = "utility"
    maps: MapsSpec | HeatSpec | AverageSpec
    preparation: Preparation
    score: str

    def title(self) -> str:
        return f"{self.score} of {self.maps.title()}"

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.auprc import AUPRC
        from saltrust.scores.localization import LOCALIZATION

        score = AUPRC[self.score] if self.score in AUPRC else LOCALIZATION[self.score]
        truth = get(self.maps.data).truth[list(self.maps.images)]
        maps = prepared(self.maps, self.preparation, get)
        pairs = zip(maps, truth, strict=True)
        return np.array([score(m, t) if t.any() and not np.isnan(m).any() else np.nan for m, t in pairs])


@dataclass(frozen=True)
class FiveBandSpec(_ArraySpec):
    """The pixels of each map by truth and band (5, n, m): the parts of a Confusion of n maps at m pairs of thresholds.

    absolute: whether the map's signs are dropped first. clamp: in the map's units after normalization, None for none.
    clamping: "published" or "as_run". thresholds: a Thresholds.
    """

    kind: ClassVar[str] = "five_band"
    maps: MapsSpec
    absolute: bool
    clamp: float | None
    clamping: str
    thresholds: Any

    def title(self) -> str:
        return f"five-band score of {self.maps.title()}"

    def compute(self, get) -> np.ndarray:
        from dataclasses import astuple

        from saltrust.scores.five_band import adjust, confusion

        raw = get(self.maps).values
        maps = adjust(np.abs(raw) if self.absolute else raw, self.clamp, self.clamping)
        grades = get(self.maps.data).grades[list(self.maps.images)]
        return np.stack(astuple(confusion(maps, grades, self.thresholds)))


@dataclass(frozen=True)
class SimilaritySpec(_ArraySpec):
    """Likeness (k,) of maps of two model states; pair i joins map pairs[i][0] of the first, pairs[i][1] of the second.

    score: a name in SIMILARITY, called with `settings`.
    """

    kind: ClassVar[str] = "similarity"
    first: MapsSpec | HeatSpec
    second: MapsSpec | HeatSpec
    pairs: tuple[tuple[int, int], ...]
    preparation: Preparation
    score: str
    settings: dict[str, Any]

    def title(self) -> str:
        return f"{self.score} of {self.first.title()} and {self.second.title()}"

    def compute(self, get) -> np.ndarray:
        from saltrust.scores.similarity import SIMILARITY

        left, right = self.paired(get)
        images = [self.second.images[second] for _, second in self.pairs]
        partners = self.partners(right, images)
        return np.mean([SIMILARITY[self.score](left, other, **self.settings) for other in partners], axis=0)

    def paired(self, get) -> tuple[np.ndarray, np.ndarray]:
        """The prepared maps (k, height, width) of either side."""
        from saltrust.methods.preparation import resized

        left, right = (prepared(maps, self.preparation, get) for maps in (self.first, self.second))
        right = resized(right, left.shape[1])  # networks may see images of different sizes
        firsts, seconds = ([pair[side] for pair in self.pairs] for side in (0, 1))
        return left[firsts], right[seconds]

    def partners(self, maps: np.ndarray, images: Sequence[int]) -> Iterator[np.ndarray]:
        """What the first maps are compared with, one stack after the other: the second maps, of those images."""
        yield maps


@dataclass(frozen=True)
class NullSpec(SimilaritySpec):
    """What the likeness of those pairs would be if nothing lay in the same place (k,): of each first map with
    surrogates of its partner, the mean over `count` of them; NaN where the partner is not finite."""

    kind: ClassVar[str] = "null"
    count: int
    seed: int

    def partners(self, maps: np.ndarray, images: Sequence[int]) -> Iterator[np.ndarray]:
        """Each draw of the second maps' surrogates."""
        from saltrust.scores.surrogates import surrogate

        for draw in range(self.count):
            drawn = maps.copy()
            for i in np.flatnonzero(np.isfinite(maps).all(axis=(1, 2))):
                key = np.random.SeedSequence(self.seed, spawn_key=(images[i], draw))
                drawn[i] = surrogate(maps[i], np.random.default_rng(key))
            yield drawn
