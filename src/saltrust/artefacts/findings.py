"""What a network for several findings says of each image beside its outputs: how its maps differ, how sure it is."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.artefacts.data import ImageSet, ShiftedImages
from saltrust.artefacts.maps import ANY_GRID, Randomization, cam_layer, in_state, share_without_layer
from saltrust.artefacts.networks import ExternalMultilabelClassifier, MultilabelClassifier

SHARD = 32  # images whose maps are in memory at once


@dataclass(frozen=True)
class _OfEachImage(ArrayArtefact):
    """What a network makes of all images of a split."""

    stage: ClassVar[str] = "maps"
    model: MultilabelClassifier | ExternalMultilabelClassifier
    data: ImageSet | ShiftedImages

    def needs(self) -> list[Artefact]:
        return [self.data, self.model]

    def memory(self) -> float:
        from saltrust.core.devices import ON_CPU

        return self.data.value_bytes() + self.model.footprint(self.data.size).explaining(ON_CPU)

    def job(self) -> tuple[str, ...]:
        return self.model.job()

    def _work(self, part: str, passes: float) -> Work:
        amount = passes * self.data.count * self.data.size**2
        return ((f"{part} of {self.model.part()}", amount), (part, amount), ("", amount))


@dataclass(frozen=True)
class MapProducts(_OfEachImage):
    """Inner products (p, n, k, k), float64, of the maps of the k outputs for each image, for each of p preparations.

    They hold all that distances between maps and norms of maps need, in a hundredth of the maps' space. The
    preparations are those of PREPARATIONS, in that order: they are arithmetic on the same maps.

    method, parameters: as in METHODS. randomization: the state of the weights, None for the trained ones.
    cam_min_grid: rows and columns that the layer of class activation maps has at least.
    """

    description: ClassVar[str] = "products of the maps of a network's outputs"
    method: str
    parameters: dict[str, Any]
    randomization: Randomization | None = None
    cam_min_grid: int = ANY_GRID

    def __post_init__(self) -> None:
        share_without_layer(self)

    def title(self) -> str:
        state = ", weights random" if self.randomization else ""
        return f"products of {self.method} maps of {self.model.title()}{state}"

    def part(self) -> str:
        return self.method

    def job(self) -> tuple[str, ...]:
        return "-".join(self.model.job()), self.method, *(["random"] if self.randomization else [])

    def work(self) -> Work:
        from saltrust.methods.registry import METHODS

        return self._work(self.method, self.model.n_outputs * max(METHODS[self.method].passes(self.parameters), 1))

    def code(self) -> tuple[str, ...]:
        from saltrust.methods.registry import METHODS

        return (METHODS[self.method].function.__module__,)

    def compute(self, get) -> np.ndarray:
        from saltrust.core.progress import track
        from saltrust.scores.distinctness import PREPARATIONS, products

        pixels, explained = get(self.data).pixels, self._explained(get)
        found = []
        for start in track(range(0, len(pixels), SHARD), self.title()):
            maps = self._maps(explained, pixels[start : start + SHARD], start)
            found.append(np.stack([products(prepare(maps)) for prepare in PREPARATIONS.values()]))
        return np.concatenate(found, axis=1)

    def maps_of(self, get, image: int) -> np.ndarray:
        """The maps (k, channels, h, w) of one image, to be shown."""
        return self._maps(self._explained(get), get(self.data).pixels[image : image + 1], image)[:, 0]

    def _explained(self, get) -> Any:
        """The network, ready to be explained."""
        from saltrust.core.devices import device
        from saltrust.methods.explained import Explained
        from saltrust.methods.registry import METHODS

        network = in_state(self.model, self.randomization, get)
        layer = cam_layer(self.model, network, self.cam_min_grid) if METHODS[self.method].takes_layer else None
        return Explained(network.to(device()), "logit", cam_layer=layer, input_range=self.model.input_range)

    def _maps(self, explained: Any, pixels: np.ndarray, first: int) -> np.ndarray:
        """Of each output (k, n, channels, h, w). first: number of the first image, from which its noise is drawn."""
        from saltrust.methods.registry import METHODS
        from saltrust.models.classifiers import to_input

        images, keys = to_input(pixels, self.model.input_range), [(first + place,) for place in range(len(pixels))]
        method, targets = METHODS[self.method], range(self.model.n_outputs)
        if method.several:
            return method.several(explained, images, keys, targets=targets, **self.parameters).cpu().numpy()
        outputs = map(explained.of_output, targets)
        return np.stack([method.function(one, images, keys, **self.parameters).cpu().numpy() for one in outputs])


@dataclass(frozen=True)
class Outputs(_OfEachImage):
    """Logits (n, k) of images that the network's record does not hold."""

    description: ClassVar[str] = "outputs of a network for several findings"

    def title(self) -> str:
        return f"outputs of {self.model.title()} for {self.data.title()}"

    def work(self) -> Work:
        return self._work("outputs", 1)

    def compute(self, get) -> np.ndarray:
        from saltrust.core.devices import device
        from saltrust.models.classifiers import predict

        network = self.model.network(get).to(device())
        return predict(network, get(self.data).pixels, input_range=self.model.input_range)


@dataclass(frozen=True)
class Features(_OfEachImage):
    """What the head of a network, its last layer, gets of each image (n, d), float32."""

    description: ClassVar[str] = "features of images"

    def title(self) -> str:
        return f"features of {self.model.title()}"

    def work(self) -> Work:
        return self._work("features", 1)

    def compute(self, get) -> np.ndarray:
        import torch

        from saltrust.core.devices import device
        from saltrust.models.classifiers import evaluating, to_input

        network, pixels = self.model.network(get).to(device()), get(self.data).pixels
        found: list[np.ndarray] = []
        head = network.get_submodule(self.model.head)
        head.register_forward_pre_hook(lambda layer, inputs: found.append(inputs[0].cpu().numpy()))
        with evaluating(network), torch.inference_mode():
            for start in range(0, len(pixels), SHARD):
                network(to_input(pixels[start : start + SHARD], self.model.input_range, device()))
        return np.concatenate(found)


@dataclass(frozen=True)
class ChangedCopies(_OfEachImage):
    """Logits (copies, n, k) of copies of each image that are turned, blurred and cropped at random."""

    description: ClassVar[str] = "outputs for changed copies of the images"
    copies: int
    seed: int

    def title(self) -> str:
        return f"changed copies for {self.model.title()}"

    def work(self) -> Work:
        return self._work("copies", self.copies)

    def compute(self, get) -> np.ndarray:
        import torch

        from saltrust.core.devices import device
        from saltrust.core.progress import track
        from saltrust.models.classifiers import evaluating, to_input
        from saltrust.models.test_time import changed

        network, pixels = self.model.network(get).to(device()), get(self.data).pixels
        rng = torch.Generator().manual_seed(self.seed)
        found = np.empty((self.copies, len(pixels), self.model.n_outputs))
        with evaluating(network), torch.inference_mode():
            for start in track(range(0, len(pixels), SHARD), self.title()):
                images = to_input(pixels[start : start + SHARD], self.model.input_range, device())
                for copy in range(self.copies):
                    outputs = network(changed(images, rng, self.model.input_range[0]))
                    found[copy, start : start + SHARD] = outputs.double().cpu().numpy()
        return found
