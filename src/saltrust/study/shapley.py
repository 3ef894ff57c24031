"""Small networks for images of which every coalition of parts can be run, and maps of two of their outputs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property

import numpy as np
import pandas as pd
import torch

from saltrust.artefacts import Artefact
from saltrust.artefacts.coalitions import BATCH, CoalitionOutputs, Games, SampledShares
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.artefacts.networks import Classifier
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Split
from saltrust.datasets.digits import SIDE
from saltrust.methods.coalitions import blocks
from saltrust.methods.registry import METHODS
from saltrust.models.classifiers import predict
from saltrust.study.images import Images, spread
from saltrust.study.study import Study

ARCHITECTURE = "scnn"
KINDS = ("strong", "weak")  # of network: one that learned from enough images, one from few
PER_SIDE = 4  # blocks along a side: 16 players
BASELINE = "black"  # what hidden pixels become: the background, which says nothing
# Windows of Occlusion, (side, step) as shares of the image: a block each, blocks that overlap by half, single pixels.
WINDOWS = {"blocks": (1 / 4, 1 / 4), "blocks that overlap": (1 / 4, 1 / 8), "pixels": (1 / 8, 1 / 8)}


def _windows(name: str) -> dict[str, float]:
    """The parameters of Occlusion for some of WINDOWS."""
    return dict(zip(("window", "stride"), WINDOWS[name], strict=True))


VARIANTS = {
    "occlusion, blocks": ("occlusion", _windows("blocks")),
    "kernel_shap, super-pixels": ("kernel_shap", {"segments": PER_SIDE**2}),
    "ig, grey": ("ig", {"baseline": "grey"}),
    "ig, white": ("ig", {"baseline": "white"}),
}
"""Methods with other parts or another baseline: name -> (method, what differs)."""
BESIDE = "ig"  # the method whose baselines are compared, which stands in every comparison


class ShapleyStudy:
    """What is asked of a data set of tiny images, two of whose classes are contrasted.

    Args:
        study: of a data set whose card names a `contrast`; profile, protocol and seed are its.

    Attributes:
        contrast: numbers of the two classes, the one that images show and the one that they might show.
        names: what these are called.
        images: of the data set, at the size at which they come.

    Raises:
        SaltrustError: where the card names no two classes.
    """

    def __init__(self, study: Study):
        card, self.sizes = study.card, study.profile.contrast
        if not card.contrast:
            raise SaltrustError(f"data set '{card.name}' names no 'contrast', two classes that maps are to tell apart")
        self.study, self.store, self.names = study, study.store, card.contrast
        self.contrast = tuple(card.classes.index(name) for name in card.contrast)
        profile = replace(study.profile, size=SIDE, train=None, val=None, test=None)  # they are small enough
        self.images = Images(card, profile, study.seed, study.store, SIDE)
        self.network, self.games_artefact = cache(self.network), cache(self.games_artefact)
        self._loaded = cache(self._load)

    @property
    def test(self) -> Split:
        """The test images."""
        return self.images.split("test")

    @property
    def labels(self) -> np.ndarray:
        """Which block each pixel belongs to (8, 8)."""
        return blocks(SIDE, PER_SIDE)

    @cached_property
    def explained(self) -> tuple[int, ...]:
        """Positions in the test split of images of any class whose coalitions are all run."""
        return spread(range(len(self.test)), self.sizes.explained)

    @cached_property
    def contrasted(self) -> tuple[int, ...]:
        """Positions in the test split of images of the first of the two classes."""
        return spread(np.flatnonzero(self.test.labels == self.contrast[0]), self.sizes.contrasted)

    # --- names in the store ---------------------------------------------------------------------------------------

    def network(self, kind: str = "strong", member: int = 0) -> Classifier:
        """The name of a network.

        Args:
            kind: one of KINDS.
            member: which of those that differ in their start and batches alone, from 0.
        """
        from saltrust.models.recipes import contrast_plan

        if kind not in KINDS:
            raise unknown_name("kind of network", kind, KINDS)
        splits = {split: self.images.artefact(split) for split in ("val", "test")}
        train = self.images.artefact("train")
        count = min(self.sizes.train if kind == "strong" else self.sizes.weak, train.count)
        plan = contrast_plan(self.sizes.training, 1000 * self.study.seed + 1 + member)
        return Classifier(replace(train, count=count), plan, **splits, architecture=ARCHITECTURE, pretrained=None)

    def members(self) -> Iterator[tuple[str, int]]:
        """All networks: kind and number."""
        yield from ((kind, member) for kind in KINDS for member in range(self.sizes.members))

    def games_artefact(self, kind: str = "strong", member: int = 0, contrasted: bool = False) -> CoalitionOutputs:
        """The name of all coalitions of the explained images, or of those of the contrasted ones."""
        images = self.contrasted if contrasted else self.explained
        return CoalitionOutputs(self.network(kind, member), self._test, images, PER_SIDE, BASELINE)

    def sampled_artefact(self) -> SampledShares:
        """The name of what KernelSHAP makes of samples, for the predicted class of the explained images."""
        return SampledShares(self.games_artefact(), self.sizes.samples, self.sizes.repeats, self.study.seed)

    def map_artefact(self, method: str, output: int) -> SaliencyMaps:
        """The name of the maps of one output for the contrasted images. method: as in METHODS, or one of VARIANTS."""
        method, differs = VARIANTS.get(method, (method, {}))
        background = {"baseline": BASELINE} if "baseline" in METHODS[method].defaults else {}
        parameters = self.study.maps.parameters(method) | background | differs
        return self._maps(method, parameters, "logit", self.contrasted, output)

    def occlusion_artefact(self, windows: str) -> SaliencyMaps:
        """The name of Occlusion's maps of the predicted class for the explained images. windows: as in WINDOWS."""
        parameters = _windows(windows) | {"baseline": BASELINE}
        return self._maps("occlusion", parameters, "argmax_logit", self.explained)

    def artefacts(self, methods: Sequence[str]) -> Iterator[Artefact]:
        """All that is asked for, but for erasures, which take a second.

        methods: names in METHODS, whose maps of both classes are made, as those of BESIDE and VARIANTS are.
        """
        yield self._test
        for kind, member in self.members():
            yield self.network(kind, member)
            yield self.games_artefact(kind, member)
        yield self.games_artefact(contrasted=True)
        yield self.sampled_artefact()
        yield from (self.occlusion_artefact(windows) for windows in WINDOWS)
        compared = dict.fromkeys([*methods, BESIDE, *VARIANTS])
        yield from (self.map_artefact(method, output) for method in compared for output in self.contrast)

    def _maps(
        self, method: str, parameters: dict, scalar: str, images: tuple[int, ...], output: int = 0
    ) -> SaliencyMaps:
        given, grid = METHODS[method].complete(parameters), self.study.protocol.cam_min_grid
        network = self.network()
        return SaliencyMaps(method, given, network, None, scalar, grid, self._test, images, output)

    @property
    def _test(self) -> ImageSet:
        return self.images.artefact("test")

    # --- what they hold -------------------------------------------------------------------------------------------

    def networks(self) -> pd.DataFrame:
        """Columns network (kind and number from 1), kind, member, images (of the training), accuracy."""
        rows = []
        for kind, member in self.members():
            artefact = self.network(kind, member)
            accuracy = self.store.get(artefact).record["test_accuracy"]
            about = {"network": f"{kind}-{member + 1}", "kind": kind, "member": member}
            rows.append(about | {"images": artefact.train.count, "accuracy": accuracy})
        return pd.DataFrame(rows)

    def games(self, kind: str = "strong", member: int = 0, contrasted: bool = False) -> Games:
        """All coalitions of the explained images, or of the contrasted ones."""
        return self.store.get(self.games_artefact(kind, member, contrasted))

    def sampled(self) -> np.ndarray:
        """What KernelSHAP makes of samples (images, samples, repeats, parts)."""
        return self.store.get(self.sampled_artefact())

    def occluded(self, windows: str) -> np.ndarray:
        """What Occlusion says of each block (n, parts): falls of the output, shared among the pixels of a window."""
        maps = self.store.get(self.occlusion_artefact(windows)).values.sum(axis=1, dtype=np.float64)
        window = WINDOWS[windows][0] * SIDE
        return by_block(maps, self.labels) / window**2

    def difference(self, method: str) -> np.ndarray:
        """The map of the first class minus that of the second (n, 8, 8), channels added up."""
        first, second = (self.store.get(self.map_artefact(method, output)).values for output in self.contrast)
        return (first.astype(np.float64) - second).sum(axis=1)

    def share_difference(self, kind: str = "strong") -> np.ndarray:
        """The same of the exact Shapley values, shared evenly among the pixels of a block (n, 8, 8), by the first
        network of a kind."""
        games = self.games(kind, contrasted=True)
        first, second = (games.shares(output) for output in self.contrast)
        return ((first - second) / np.bincount(self.labels.ravel()))[:, self.labels]

    def log_odds(self, pixels: np.ndarray, kind: str = "strong") -> np.ndarray:
        """Log-odds of the first class against the second (n,), by the first network of a kind. pixels: (n, 8, 8),
        uint8."""
        found = predict(self._loaded(kind), pixels, BATCH, self.network(kind).input_range)
        return found[:, self.contrast[0]] - found[:, self.contrast[1]]

    def _load(self, kind: str) -> torch.nn.Module:
        return self.network(kind).network(self.store.get)

    def greedy(self, count: int) -> np.ndarray:
        """Pixels of the contrasted images, of which each is the one whose removal lowers the log-odds most, given those
        before it: about as low as one can get (n, 8, 8), boolean.

        count: pixels of each image, fewer where no further one lowers them.
        """
        pixels = self.test.pixels[list(self.contrasted)]
        flat = pixels.reshape(len(pixels), -1).copy()
        removed = np.zeros(flat.shape, bool)
        single = ~np.eye(flat.shape[1], dtype=bool)
        before = self.log_odds(pixels)
        for _ in range(count):
            tried = (flat[:, None] * single).reshape(-1, SIDE, SIDE)
            after = self.log_odds(tried).reshape(flat.shape)
            best, rows = after.argmin(axis=1), np.arange(len(flat))
            helps = after[rows, best] < before
            removed[rows[helps], best[helps]] = True
            flat[removed] = 0
            before = np.where(helps, after[rows, best], before)
        return removed.reshape(pixels.shape)


def by_block(maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sums of maps over the parts of an image.

    Args:
        maps: (n, h, w).
        labels: which part each pixel belongs to (h, w), whole numbers from 0.

    Returns:
        An array (n, parts).

    >>> by_block(np.arange(4.0).reshape(1, 2, 2), np.array([[0, 0], [1, 1]])).tolist()
    [[1.0, 5.0]]
    """
    return np.stack([maps[:, labels == part].sum(axis=1) for part in range(labels.max() + 1)], axis=1)
