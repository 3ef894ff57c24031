"""Saliency maps of a classifier in one of its states, localizers' maps, and the regions that XRAI ranks."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.networks import Branch, Classifier, ExternalClassifier, TrainedLocalizer
from saltrust.core.protocols import Preparation


@dataclass(frozen=True)
class Randomization:
    """Re-initialized weights. order: which stages are random in the state that is named for `stage`: "top_down" for
    those from the output down to it, "bottom_up" for those from the input up to it, "independent" for it alone."""

    stage: str
    initialization: str
    batchnorm: str
    seed: int
    order: str = "top_down"


SHARD = 16  # images whose regions are in memory at once
REGIONS = 300  # of an image, about; each a mask of its size


@dataclass(frozen=True)
class Regions(Artefact):
    """XRAI's regions of at most SHARD images, see `regions_of`. They depend on the images alone, so every model and
    every stage of a cascade shares them."""

    description: ClassVar[str] = "regions of the images, for XRAI"
    stage: ClassVar[str] = "data"
    data: ImageSet
    images: tuple[int, ...]

    def title(self) -> str:
        return f"regions of {len(self.images)} {self.data.title()}"

    def work(self) -> Work:
        n, size = len(self.images), self.data.size
        return ((f"at {size} pixels", n), ("", n * size**2))

    def value_bytes(self) -> float:
        return len(self.images) * self.data.size**2 * REGIONS

    def compute(self, get) -> list[np.ndarray]:
        from saltrust.core.progress import track
        from saltrust.methods.xrai import segment

        pixels = get(self.data).pixels[list(self.images)]
        return [segment(image) for image in track(pixels, "segments", len(pixels))]

    def write(self, value, folder: Path) -> None:
        np.savez_compressed(folder / "segments.npz", *(np.packbits(masks, axis=-1) for masks in value))

    def read(self, folder: Path) -> list[np.ndarray]:
        with np.load(folder / "segments.npz") as stored:
            packed = [stored[name] for name in stored.files]
        return [np.unpackbits(masks, axis=-1, count=self.data.size).astype(bool) for masks in packed]


def regions_of(data: ImageSet, images: tuple[int, ...]) -> list[Regions]:
    """The regions of some images, in parts of SHARD, so that few of them are in memory at once."""
    return [Regions(data, images[start : start + SHARD]) for start in range(0, len(images), SHARD)]


@dataclass(frozen=True)
class RawMaps:
    """Raw maps (n, channels, height, width), float32, and for a complete method what each should add up to: totals (n,)
    in units of the explained scalar, computed from the model's outputs; None for other methods."""

    values: np.ndarray
    totals: np.ndarray | None = None

    @property
    def residuals(self) -> np.ndarray | None:
        """By how much each map misses its total (n,), in units of the explained scalar: 0 for exact attribution."""
        return None if self.totals is None else self.values.sum((1, 2, 3), dtype=np.float64) - self.totals

    def signed(self, signs: np.ndarray) -> "RawMaps":
        """Each map, and what it should add up to, times 1 or -1 (n,)."""
        totals = None if self.totals is None else self.totals * signs
        return RawMaps(self.values * signs[:, None, None, None], totals)


ANY_GRID = 4  # of maps that use no layer; as in the default protocol, so that a state of a network is loaded once
SIGNED = ("negated_logit", "argmax_logit", "runner_up_logit")  # of a single output, it or minus it


def share_without_layer(maps: Any) -> None:
    """Protocols that choose another layer for class activation maps share the maps that use none. maps: an artefact of
    a `method`, whose `cam_min_grid` is set."""
    from saltrust.methods.registry import METHODS

    if not METHODS[maps.method].takes_layer:
        object.__setattr__(maps, "cam_min_grid", ANY_GRID)


@dataclass(frozen=True)
class MapsOfNetwork(Artefact):
    """What a method finds on some images in one state of one classifier, of one of its outputs (`target`) where the
    scalar leaves that open. cam_min_grid: rows and columns that the layer of class activation maps has at least.

    A classifier with a single output says no more about the predicted class than plus or minus that output. So the maps
    of an odd method for it are those of the output, with the sign of the prediction.
    """

    stage: ClassVar[str] = "maps"
    method: str
    parameters: dict[str, Any]
    model: Classifier | Branch | ExternalClassifier
    randomization: Randomization | None
    scalar: str
    cam_min_grid: int
    data: ImageSet
    images: tuple[int, ...]
    target: int = 0

    def __post_init__(self) -> None:
        share_without_layer(self)

    def title(self) -> str:
        state = f", {self.randomization.order} randomized to {self.randomization.stage}" if self.randomization else ""
        output = f", output {self.target}" if self.target else ""
        return f"{self.method} maps of {self.model.title()}{output}{state}"

    def part(self) -> str:
        return self.method

    def job(self) -> tuple[str, ...]:
        r = self.randomization
        return "-".join(self.model.job()), *((r.order, r.stage, r.batchnorm, str(r.seed)) if r else ())

    def work(self) -> Work:
        """Passes through the network, at least one for each image."""
        from saltrust.methods.registry import METHODS

        method, n, size = METHODS[self.method], len(self.images), self.data.size
        network = "" if method.is_composition else f" of {self.model.part()}"  # the parts are artefacts of their own
        if self.of_output is not None:
            return ((f"signs{network} at {size} pixels", n), ("signs", n * size**2))
        passes = n * max(method.passes(self.parameters), 1) * size**2
        alike = f"{self.method}{network} at {size} pixels, {json.dumps(self.parameters, sort_keys=True)}"
        return ((alike, n), (f"{self.method}{network}", passes), (self.method, passes), ("", passes))

    def needs(self) -> list[Artefact]:
        return [self.data, self.model, *([] if self.of_output is None else [self.of_output])]

    def value_bytes(self) -> float:
        return len(self.images) * self.data.size**2 * 3 * 4

    def memory(self) -> float:
        """Of regions few are in memory at once; beside the maps stands what a pass keeps."""
        from saltrust.core.devices import ON_CPU

        made_from = [need.value_bytes() for need in self.needs() if not isinstance(need, Regions)]
        regions = max((need.memory() for need in self.needs() if isinstance(need, Regions)), default=0.0)
        passes = self.model.footprint(self.data.size).explaining(ON_CPU) if regions == 0 else 0.0
        return 2 * self.value_bytes() + sum(made_from) + max(regions, passes)

    def code(self) -> tuple[str, ...]:
        from saltrust.methods.registry import METHODS

        return (METHODS[self.method].function.__module__,)

    @property
    def of_output(self) -> "MapsOfNetwork | None":
        """The maps of the single output, of which these differ in nothing but the sign of each; None for others."""
        from saltrust.methods.registry import METHODS

        signed = self.scalar in SIGNED and self.model.n_outputs == 1 and METHODS[self.method].odd
        return replace(self, scalar="logit") if signed else None

    def _signs(self, get: Callable) -> np.ndarray:
        """1 or -1 for each image (n,)."""
        if self.scalar == "negated_logit":
            return -np.ones(len(self.images), np.float32)
        explained, images = self._given(get)
        return explained.select(explained.accept(images)).sign.cpu().numpy().astype(np.float32)

    def _given(self, get: Callable) -> tuple[Any, Any]:
        """The classifier, ready to be explained, and the images in its input range."""
        from saltrust.models.classifiers import to_input

        explained = _explained(self, get)
        return explained, to_input(get(self.data).pixels[list(self.images)], explained.input_range)


@dataclass(frozen=True)
class Powers(MapsOfNetwork, ArrayArtefact):
    """Mean, and mean of squares, of the maps of noisy copies (2, n, channels, height, width), float32: the same passes
    give both. The parameters are without the power."""

    description: ClassVar[str] = "mean and mean of squares over noisy copies"

    def value_bytes(self) -> float:
        return 2 * super().value_bytes()

    def compute(self, get) -> np.ndarray:
        from saltrust.methods.registry import METHODS

        if self.of_output is not None:
            mean, squares = get(self.of_output)
            return np.stack([mean * self._signs(get)[:, None, None, None], squares])
        explained, images = self._given(get)
        keys = [(index,) for index in self.images]
        return METHODS[self.method].powers(explained, images, keys, **self.parameters).cpu().numpy().astype(np.float32)


@dataclass(frozen=True)
class SaliencyMaps(MapsOfNetwork):
    """Maps of some images by one method. Those of a power are taken from `Powers`."""

    description: ClassVar[str] = "saliency maps of a method and network"

    @property
    def powers(self) -> Powers | None:
        """What maps of a power are taken from; None for other methods."""
        from saltrust.methods.registry import METHODS

        if METHODS[self.method].powers is None:
            return None
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        parameters = {name: value for name, value in self.parameters.items() if name != "power"}
        return Powers(**given | {"parameters": parameters})

    @property
    def transient(self) -> bool:
        return self.powers is not None

    def needs(self) -> list[Artefact]:
        from saltrust.methods.registry import METHODS

        method = METHODS[self.method]
        if self.powers is not None:
            return [self.powers]
        if not method.is_composition:
            return super().needs()
        return [self.data, *self._parts().values(), *(regions_of(self.data, self.images) if method.segments else [])]

    def _parts(self) -> dict[str, "SaliencyMaps"]:
        """The maps of other methods that a composition is made of, by what they are called in it."""
        from saltrust.methods.registry import METHODS

        parts = METHODS[self.method].parts(self.parameters)
        return {name: replace(self, method=part, parameters=given) for name, (part, given) in parts.items()}

    def compute(self, get) -> RawMaps:
        from saltrust.methods.registry import METHODS, POWERS

        method = METHODS[self.method]
        keys = [(index,) for index in self.images]
        if self.powers is not None:
            return RawMaps(get(self.powers)[POWERS.index(self.parameters["power"])])
        if self.of_output is not None:
            return get(self.of_output).signed(self._signs(get))
        if method.is_composition:
            return self._composed(get, method, get(self.data).pixels[list(self.images)], keys)
        explained, images = self._given(get)
        values = method.function(explained, images, keys, **self.parameters).cpu().numpy().astype(np.float32)
        if method.total is None:
            return RawMaps(values)
        totals = method.total(explained, explained.accept(images), **self.parameters)
        return RawMaps(values, totals.double().cpu().numpy())

    def _composed(self, get: Callable, method, pixels: np.ndarray, keys: list[tuple[int, ...]]) -> RawMaps:
        parts = {name: get(part).values for name, part in self._parts().items()}
        if method.segments:
            parts["segments"] = (one for part in regions_of(self.data, self.images) for one in get(part))
        return RawMaps(method.function(pixels, keys, parts, **self.parameters).astype(np.float32))

    def write(self, value: RawMaps, folder: Path) -> None:
        np.save(folder / "maps.npy", value.values)
        if value.totals is not None:
            np.save(folder / "totals.npy", value.totals)

    def read(self, folder: Path) -> RawMaps:
        totals = folder / "totals.npy"
        return RawMaps(np.load(folder / "maps.npy"), np.load(totals) if totals.exists() else None)


def in_order(maps: Iterable[MapsOfNetwork]) -> list[MapsOfNetwork]:
    """Those of one network one after the other, so that it is loaded once."""
    return sorted(
        maps, key=lambda m: (m.model.digest, str(m.randomization), m.scalar, m.target, m.cam_min_grid, m.method)
    )


# What was loaded last, by what it is: one method after the other asks for the same.
_STATE: dict[tuple, Any] = {}  # a network in one state
_LAYER: dict[tuple, str] = {}  # the layer of its class activation maps, which no state changes
_EXPLAINED: dict[tuple, Any] = {}  # the classifier, ready to be explained


def _kept(last: dict[tuple, Any], key: tuple, load: Callable[[], Any]) -> Any:
    if key not in last:
        last.clear()
        last[key] = load()
    return last[key]


def _explained(maps: MapsOfNetwork, get: Callable) -> Any:
    """The classifier in its state, ready to be explained."""
    layer = maps.parameters.get("layer")
    key = (maps.model.digest, maps.randomization, maps.scalar, maps.target, maps.cam_min_grid, layer)
    return _kept(_EXPLAINED, key, lambda: _load_explained(maps, get))


def _load_explained(maps: MapsOfNetwork, get: Callable) -> Any:
    from saltrust.core.devices import device
    from saltrust.methods.explained import Explained

    model = maps.model
    network = in_state(model, maps.randomization, get)
    layer = maps.parameters.get("layer") or cam_layer(model, network, maps.cam_min_grid)
    return Explained(network.to(device()), maps.scalar, maps.target, layer, input_range=model.input_range)


def cam_layer(model: Any, network: Any, min_grid: int) -> str:
    """The layer of a network's class activation maps. model: its artefact. min_grid: rows and columns at least."""
    from saltrust.methods.cam_layers import choose_cam_layer

    blocks = [module for stage in model.stages for module in stage.modules]
    key = (model.digest, model.test.size, min_grid)
    return _kept(_LAYER, key, lambda: choose_cam_layer(network, blocks, model.test.size, min_grid))


def in_state(
    model: Classifier | Branch | ExternalClassifier, randomization: Randomization | None, get: Callable
) -> Any:
    """A network as it was trained, or with some of its weights random. Whoever asks for it leaves it as it is."""
    from saltrust.models.randomization import randomize

    def load() -> Any:
        network = model.network(get)
        if randomization is None:
            return network
        r = randomization
        coarse = any(stage.name == r.stage for stage in model.stages)  # where both cascades have it, it is one state
        stages = model.stages if coarse else model.fine_stages or model.stages
        return randomize(network, stages, r.stage, r.initialization, r.seed, r.batchnorm, r.order)

    return _kept(_STATE, (model.digest, randomization), load)


@dataclass(frozen=True)
class RandomizedOutputs(ArrayArtefact):
    """Logits (n, outputs) that a classifier in a state of random weights gives all test images."""

    description: ClassVar[str] = "outputs of classifiers with random weights"
    stage: ClassVar[str] = "maps"
    model: Classifier | Branch | ExternalClassifier
    randomization: Randomization

    def title(self) -> str:
        r = self.randomization
        return f"outputs of {self.model.title()}, {r.order} randomized to {r.stage}"

    def part(self) -> str:
        return self.model.part()

    def job(self) -> tuple[str, ...]:
        r = self.randomization
        return "-".join(self.model.job()), r.order, r.stage, r.batchnorm, str(r.seed)

    def work(self) -> Work:
        pixels = self.model.test.count * self.model.test.size**2
        return ((self.part(), pixels), ("", pixels))

    def needs(self) -> list[Artefact]:
        return [self.model.test, self.model]

    def compute(self, get) -> np.ndarray:
        from saltrust.core.devices import device
        from saltrust.models.classifiers import predict

        model = self.model
        network = in_state(model, self.randomization, get)
        return predict(network.to(device()), get(model.test).pixels, input_range=model.input_range)


@dataclass(frozen=True)
class LocalizerMaps(ArrayArtefact):
    """A localizer's heat maps (n, 1, height, width), in [0, 1]."""

    description: ClassVar[str] = "maps of localizers"
    stage: ClassVar[str] = "maps"
    model: TrainedLocalizer
    data: ImageSet
    images: tuple[int, ...]

    def title(self) -> str:
        return f"heat maps of {self.model.title()}"

    def part(self) -> str:
        return self.model.part()

    def job(self) -> tuple[str, ...]:
        return ("-".join(self.model.job()),)

    def work(self) -> Work:
        n, size = len(self.images), self.data.size
        return ((f"{self.part()} at {size} pixels", n), (self.part(), n * size**2), ("", n * size**2))

    def value_bytes(self) -> float:
        return len(self.images) * self.data.size**2 * 4

    def compute(self, get) -> np.ndarray:
        from saltrust.models.localizers import build_localizer, localize

        network = build_localizer(self.model.localizer, self.model.plan)
        network.load_state_dict(get(self.model).state())
        return localize(self.model.localizer, network, get(self.data).pixels[list(self.images)])[:, None]


def effective(preparation: Preparation, maps: Artefact) -> Preparation:
    """What a preparation comes to for some maps: the channels of an unsigned method are summed whatever is asked for;
    localizers' maps are rounded at most, and averages scored as they are."""
    from saltrust.methods.registry import METHODS

    if not isinstance(maps, SaliencyMaps):
        bits = preparation.bits if isinstance(maps, LocalizerMaps) else None
        return Preparation("sum", clip=None, bits=bits, mode=preparation.mode)
    preparation = replace(preparation, bits=None)
    return preparation if METHODS[maps.method].signed else replace(preparation, channels="sum")


def prepared(maps: Artefact, preparation: Preparation, get: Callable) -> np.ndarray:
    """Maps (n, height, width) in [0, 1], ready to be scored."""
    from saltrust.methods.modes import MODES
    from saltrust.methods.preparation import prepare, rounded

    preparation = effective(preparation, maps)
    if isinstance(maps, SaliencyMaps):
        grey = prepare(get(maps).values, preparation.channels, preparation.clip)
    else:
        grey = rounded(get(maps)[:, 0].astype(np.float64), preparation.bits)
    return MODES[preparation.mode](grey)
