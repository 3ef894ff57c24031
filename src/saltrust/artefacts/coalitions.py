"""A network's outputs for all coalitions of an image's parts, and what KernelSHAP makes of some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from saltrust.artefacts.artefact import ArrayArtefact, Artefact, Work
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.networks import Classifier

BATCH = 1024  # of a tiny network, where 32 would leave the processor idle


@dataclass(frozen=True)
class Games:
    """The games of some images: players are the parts that an image shows, worth is what the network says.

    Attributes:
        parts: of an image, those that show nothing included.
        players: of each image, the parts that are players (k_i,).
        outputs: of each image, those of all coalitions (2^k_i, n_outputs), in the order of `stats.shapley`.
        seconds: that the coalitions of each image took to run (n,).
    """

    parts: int
    players: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.players)

    @property
    def passes(self) -> np.ndarray:
        """Distinct images that were run for each (n,)."""
        return np.array([len(one) for one in self.outputs])

    @property
    def predicted(self) -> np.ndarray:
        """The class that the network sees in each whole image (n,)."""
        return np.array([one[-1].argmax() for one in self.outputs])

    def shares(self, output: int | Sequence[int]) -> np.ndarray:
        """Shapley values of all parts (n, parts), of one output, or of an output for each image."""
        from saltrust.stats.shapley import exact

        found = np.zeros((len(self), self.parts))
        for i, target in enumerate(np.broadcast_to(output, len(self))):
            found[i, self.players[i]] = exact(self.outputs[i][:, target])
        return found

    def worth(self, image: int, output: int) -> np.ndarray:
        """The whole table of one image and output (2^parts,)."""
        from saltrust.stats.shapley import with_dummies

        return with_dummies(self.outputs[image][:, output], self.players[image], self.parts)


@dataclass(frozen=True)
class CoalitionOutputs(Artefact):
    """The games of some images, whose parts are equal blocks.

    per_side: blocks along a side of the image. baseline: what hidden blocks become.
    """

    description: ClassVar[str] = "outputs for all coalitions of an image's parts"
    stage: ClassVar[str] = "maps"
    model: Classifier
    data: ImageSet
    images: tuple[int, ...]
    per_side: int
    baseline: str

    def title(self) -> str:
        return f"all coalitions of {len(self.images)} {self.data.title()}, {self.model.title()}"

    def part(self) -> str:
        return self.model.part()

    def job(self) -> tuple[str, ...]:
        return ("-".join(self.model.job()),)

    def needs(self) -> list[Artefact]:
        return [self.data, self.model]

    def work(self) -> Work:
        passes = len(self.images) * 2**self.per_side**2
        return ((f"{self.part()} at {self.data.size} pixels", passes), ("", passes * self.data.size**2))

    def value_bytes(self) -> float:
        return len(self.images) * 2 ** (self.per_side**2) * self.model.n_outputs * 8 / 8  # an eighth of them differ

    def compute(self, get) -> Games:
        from time import perf_counter

        from saltrust.core.devices import device
        from saltrust.core.progress import track
        from saltrust.methods.coalitions import blocks, outputs_of_coalitions
        from saltrust.methods.explained import Explained
        from saltrust.models.classifiers import to_input

        network = self.model.network(get).to(device())
        explained = Explained(network, batch_size=BATCH, input_range=self.model.input_range)
        images = explained.accept(to_input(get(self.data).pixels[list(self.images)], explained.input_range))
        labels, found, seconds = blocks(self.data.size, self.per_side), [], []
        for image in track(images, self.title(), len(images)):
            begin = perf_counter()
            found.append(outputs_of_coalitions(explained, image[None], labels, self.baseline))
            seconds.append(perf_counter() - begin)
        players, outputs = zip(*found, strict=True)
        return Games(self.per_side**2, players, tuple(one.astype(np.float32) for one in outputs), np.array(seconds))

    def write(self, value: Games, folder: Path) -> None:
        arrays = {f"players_{i}": one for i, one in enumerate(value.players)}
        arrays |= {f"outputs_{i}": one for i, one in enumerate(value.outputs)}
        np.savez(folder / "games.npz", parts=value.parts, seconds=value.seconds, **arrays)

    def read(self, folder: Path) -> Games:
        with np.load(folder / "games.npz") as stored:
            seconds = stored["seconds"]
            players, outputs = (
                tuple(stored[f"{name}_{i}"] for i in range(len(seconds))) for name in ("players", "outputs")
            )
            return Games(int(stored["parts"]), players, outputs, seconds)


@dataclass(frozen=True)
class SampledShares(ArrayArtefact):
    """Shapley values by KernelSHAP from some coalitions (images, samples, repeats, parts), float64, of the output that
    is largest for the whole image.

    The coalitions are looked up among those that have all been run, so that thousands of draws cost no pass.

    samples: numbers of coalitions that are drawn. repeats: draws of each number. seed: of the draws.
    """

    description: ClassVar[str] = "Shapley values from samples of coalitions"
    stage: ClassVar[str] = "maps"
    games: CoalitionOutputs
    samples: tuple[int, ...]
    repeats: int
    seed: int

    def title(self) -> str:
        return f"Kernel SHAP of {len(self.games.images)} images, {self.repeats} draws of {len(self.samples)} sizes"

    def part(self) -> str:
        return self.games.part()

    def job(self) -> tuple[str, ...]:
        return self.games.job()

    def work(self) -> Work:
        return (("", len(self.games.images) * self.repeats * sum(self.samples)),)

    def compute(self, get) -> np.ndarray:
        from saltrust.core.progress import track
        from saltrust.methods.perturbation import shapley_coalitions, shapley_values
        from saltrust.stats.shapley import numbers

        games: Any = get(self.games)
        found = np.empty((len(games), len(self.samples), self.repeats, games.parts))
        for i, output in enumerate(track(games.predicted, self.title(), len(games))):
            worth = games.worth(i, int(output)).astype(np.float64)
            gains = worth - worth[0]
            for place, count in enumerate(self.samples):
                for k in range(self.repeats):
                    rng = np.random.default_rng([self.seed, self.games.images[i], count, k])
                    drawn, weights = shapley_coalitions(games.parts, count, rng)
                    found[i, place, k] = shapley_values(drawn, weights, gains[numbers(drawn)], gains[-1])
        return found
