"""The third link of a study: the maps of its networks, as a protocol has them made and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from saltrust.artefacts.data import AverageMask
from saltrust.artefacts.maps import LocalizerMaps, Randomization, RawMaps, SaliencyMaps, prepared
from saltrust.core.protocols import Protocol
from saltrust.methods.registry import METHODS, select
from saltrust.study.networks import Networks

# The scalar that speaks for another class of the same image: against the finding, or for the next most likely class.
_CONTRARY = {"logit": "negated_logit", "argmax_logit": "runner_up_logit"}

Positions = tuple[int, ...]


class Maps:
    """Maps of test images by method, network and state of the network's weights.

    Args:
        networks: that make the maps. Where a method takes the name of one, None is the main network.
        protocol: the choices of how maps are made and prepared.
    """

    def __init__(self, networks: Networks, protocol: Protocol):
        self.networks, self.protocol = networks, protocol
        self.images, self.store, self.card = networks.images, networks.store, networks.card
        self._known: dict[tuple, SaliencyMaps] = {}

    # --- names in the store ---------------------------------------------------------------------------------------

    def artefact(
        self,
        method: str,
        model: str | None = None,
        images: Positions | None = None,
        randomization: Randomization | None = None,
        parameters: Mapping[str, object] | None = None,
        contrary: bool = False,
    ) -> SaliencyMaps:
        """The name of some maps.

        Args:
            method: a name in METHODS.
            model: a classifier, or the random one; None for the main one.
            images: positions in the test split, None for the explained ones.
            randomization: the state of the weights, None for the trained ones.
            parameters: of the method, where they differ from the protocol's.
            contrary: whether another class is explained than the protocol's.
        """
        if parameters:
            return self._artefact(method, model, images, randomization, parameters, contrary)
        asked = method, model, images, randomization, contrary
        if asked not in self._known:  # one instance of a name computes its digest once
            self._known[asked] = self._artefact(method, model, images, randomization, {}, contrary)
        return self._known[asked]

    def _artefact(
        self,
        method: str,
        model: str | None,
        images: Positions | None,
        randomization: Randomization | None,
        parameters: Mapping[str, object],
        contrary: bool,
    ) -> SaliencyMaps:
        networks, scalar = self.networks, self.scalar
        model = model or networks.main
        if model == networks.random:
            model, randomization = networks.main, self._randomization(networks.stages[-1], replicate=-1)
        classifier = networks.artefact(model)
        return SaliencyMaps(
            method=method,
            parameters=METHODS[method].complete(self.parameters(method) | dict(parameters)),
            model=classifier,
            randomization=randomization,
            scalar=_CONTRARY[scalar] if contrary else scalar,
            cam_min_grid=self.protocol.cam_min_grid,
            data=classifier.test,
            images=self.images.explained if images is None else images,
        )

    def localizer_artefact(self, replicate: int = 1) -> LocalizerMaps:
        """The name of a localizer's maps of the explained images."""
        localizer = self.networks.localizer_artefact(replicate)
        return LocalizerMaps(localizer, self.images.artefact("test"), self.images.explained)

    def average_artefact(self) -> AverageMask:
        """The name of the average truth, once for each explained image."""
        splits = tuple(self.images.artefact(split) for split in self.protocol.average_of[self.card.truth])
        return AverageMask(splits, self.images.artefact("test"), self.images.explained)

    @property
    def scalar(self) -> str:
        """What is explained: of several classes, the predicted one."""
        return "argmax_logit" if self.card.classes else self.protocol.scalar

    def parameters(self, method: str) -> dict[str, object]:
        """What a method is told where nothing else is asked for: the protocol's choices, cut to the profile's size."""
        shared = {"seed": self.images.seed, **self.networks.parameters}
        known = METHODS[method].defaults
        own = METHODS[method].from_protocol(self.protocol, self.images.profile)
        return {name: value for name, value in shared.items() if name in known} | own

    # --- the cascade ----------------------------------------------------------------------------------------------

    def cascade(self, method: str, replicate: str, order: str = "top_down") -> dict[str, SaliencyMaps]:
        """The maps of the cascaded images as stage after stage is randomized, by the stage.

        Each network draws random weights of its own.

        Args:
            method: a name in METHODS.
            replicate: one of the networks whose weights are drawn anew.
            order: a name in ORDERS.
        """
        number, images = self.networks.replicates.index(replicate), self.images.cascaded
        states = {stage: self._randomization(stage, number, order) for stage in self.networks.stages_in(order)}
        return {stage: self.artefact(method, replicate, images, state) for stage, state in states.items()}

    def before_cascade(self, method: str, replicate: str) -> SaliencyMaps:
        """The trained network's maps with which those of its cascade are compared: of all explained images, where these
        are made anyway."""
        judged = replicate in self.networks.classifiers
        return self.artefact(method, replicate, None if judged else self.images.cascaded)

    def cascade_stages(self, protocol: Protocol) -> tuple[str, ...]:
        """The stages that are random in the network that a protocol calls fully randomized, from the logits down."""
        stages = self.networks.stages
        return stages[: stages.index(self.networks.paper_end) + 1] if protocol.cascade_end == "paper" else stages

    def _randomization(self, stage: str, replicate: int, order: str = "top_down") -> Randomization:
        seed = 1000 * self.images.seed + 100 + replicate
        return Randomization(stage, self.protocol.initialization, self.protocol.batchnorm, seed, order)

    # --- the maps themselves --------------------------------------------------------------------------------------

    def raw(
        self, method: str, model: str | None = None, images: Positions | None = None, **parameters: object
    ) -> RawMaps:
        """Raw maps of the explained images, or of some test images; arguments as in `artefact`."""
        return self.store.get(self.artefact(method, model, images, parameters=parameters))

    def display(
        self, method: str, model: str | None = None, images: Positions | None = None, **parameters: object
    ) -> np.ndarray:
        """Those maps (n, height, width) in [0, 1], prepared as they are for SSIM, at the main network's size."""
        return self.displayed(self.artefact(method, model, images, parameters=parameters))

    def displayed(self, maps: SaliencyMaps | LocalizerMaps) -> np.ndarray:
        """Named maps (n, height, width) in [0, 1], as in `display`."""
        from saltrust.methods.preparation import resized

        return resized(prepared(maps, self.protocol.similarity, self.store.get), self.images.size)

    def cascade_display(self, method: str, order: str = "top_down") -> dict[str, np.ndarray]:
        """The main network's maps in [0, 1] of the cascaded images, by stage of randomization, and "original"."""
        cascaded = self.images.cascaded
        original = self.display(method)[[self.images.explained.index(image) for image in cascaded]]
        stages = self.cascade(method, self.networks.main, order)
        return {"original": original} | {stage: self.displayed(maps) for stage, maps in stages.items()}

    def localizer(self, replicate: int = 1) -> np.ndarray:
        """A localizer's maps (n, height, width) in [0, 1] of the explained images."""
        return self.store.get(self.localizer_artefact(replicate))[:, 0]

    def average(self) -> np.ndarray:
        """The average truth (height, width) of the images with the finding in the protocol's splits, in [0, 1]."""
        return self.store.get(self.average_artefact())[0, 0]

    def seconds(self, method: str, images: Positions | None = None) -> float:
        """How long the maps took to compute, those that they are composed of included."""
        maps = self.artefact(method, images=images)
        parts = [
            replace(maps, method=part, parameters=p) for part, p in METHODS[method].parts(maps.parameters).values()
        ]
        return sum(self.store.sidecar(one.powers or one)["seconds"] for one in (maps, *parts))

    # --- what is wrong with them ----------------------------------------------------------------------------------

    def faults(
        self, methods: str = "paper", models: Sequence[str] = (), images: Positions | None = None
    ) -> pd.DataFrame:
        """What is wrong with maps before any score: counted, never dropped.

        Args:
            methods: names and groups of methods, joined by commas.
            models: classifiers, by default all that are judged.
            images: positions in the test split, None for the explained ones.

        Returns:
            One row for each model and method: method, model, maps, not_finite, constant, empty (see `count_faults`) and
            residual (see `residual`).
        """
        rows = []
        for model in models or self.networks.judged:
            for method in select(methods):
                maps = self.raw(method, model, images)
                rows.append({"method": method, "model": model, **count_faults(maps.values), "residual": residual(maps)})
        return pd.DataFrame(rows)


def count_faults(maps: np.ndarray) -> dict[str, int]:
    """How many raw maps (n, channels, height, width) hold NaN or infinity, are constant but not 0, or are all 0.

    >>> count_faults(np.zeros((2, 1, 4, 4)))
    {'maps': 2, 'not_finite': 0, 'constant': 0, 'empty': 2}
    """
    flat = maps.reshape(len(maps), -1)
    broken = ~np.isfinite(flat).all(axis=1)
    level = flat.min(axis=1) == flat.max(axis=1)
    zero = (flat == 0).all(axis=1)
    return {
        "maps": len(maps),
        "not_finite": int(broken.sum()),
        "constant": int((level & ~zero & ~broken).sum()),
        "empty": int(zero.sum()),
    }


def residual(maps: RawMaps) -> float:
    """By what share a set of maps misses what it should add up to: sum |residual| / sum |total|, 0 for exact
    attribution. NaN for a method that has no total."""
    if maps.totals is None:
        return float("nan")
    return float(np.abs(maps.residuals).sum() / np.abs(maps.totals).sum())
