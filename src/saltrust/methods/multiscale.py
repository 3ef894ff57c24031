"""Class activation maps that join the scales of a network, from its coarsest to its finest: FastCAM and Poly-CAM."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.methods.cam import enlarge, gradcam, gradcam_pp
from saltrust.methods.cam_layers import feature_maps, scale_ends
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import Selection
from saltrust.methods.path_integrals import BASELINES, Key
from saltrust.methods.registry import method

Layers = Annotated[
    str, "module paths from the image to the output, comma-separated; empty: the last block of each scale"
]

SMOE_WEIGHTS = (0.18, 0.15, 0.37, 0.4, 0.72)  # of the five scales of ResNet-50, from the finest (LLNL/fastcam, demos)
SMOE_OFFSET = 1e-7  # added to the activations, against the logarithm of 0 (LLNL/fastcam, maps.py)
ROUNDING = 100  # in units of floating-point precision: a smaller change of confidence is none
OUTLIERS = 0.001  # share of the positions cut at either end of a mask (aenglebert/polycam, core.py)

CAMS: Registry[Callable | None] = Registry("class activation map")
"""What FastCAM's map can be multiplied by."""
CAMS.register("none")(None)
CAMS.register("gradcam")(gradcam)
CAMS.register("gradcam_pp")(gradcam_pp)


@dataclass(frozen=True)
class Variant:
    """What is asked of a channel.

    Attributes:
        kept: whether to ask what the part of the image that the channel sees adds to nothing.
        removed: whether to ask what its loss costs the whole.
    """

    kept: bool
    removed: bool


VARIANTS: Registry[Variant] = Registry("variant of Poly-CAM")
VARIANTS.register("plus")(Variant(kept=True, removed=False))
VARIANTS.register("minus")(Variant(kept=False, removed=True))
VARIANTS.register("plus_minus")(Variant(kept=True, removed=True))


@method(
    "fastcam",
    abbreviation="FCAM",
    title="FastCAM",
    family="cam",
    cite="mundhenk2019efficient",
    formula=r"\mathrm{GCAM}(x) \odot \sum_l \omega_l \, \Phi\left(\frac{s_l - \mu_l}{\sigma_l}\right), "
    r"\quad s_l = \bar{A}_l \left(\log_2 \bar{A}_l - \frac{1}{K_l} \sum_k \log_2 A_l^k\right)",
    needs="layers with spatial maps, at one scale or more",
    signed=False,
    passes=lambda p: 1 + (p["cam"] != "none"),
)
def fastcam(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    layers: Layers = "",
    cam: Annotated[str, "what the map is multiplied by: gradcam, gradcam_pp or none"] = "gradcam",
) -> Tensor:
    """SMOE Scale maps of several layers, averaged, and times a class activation map.

    Each SMOE Scale map is mapped to [0, 1] by a normal distribution function; the class activation map is rescaled to
    [0, 1]. With `cam` "none" the first factor is left alone: it runs forward only and does not see the explained
    output, so that all classes share one map. The weights of the layers are those of the authors for the five scales of
    ResNet-50, interpolated over depth where there are more scales or fewer. A map that does not vary counts as 1/2 (NaN
    in the reference).

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layers: module paths from the image to the output, comma-separated; "" for the last block of each scale.
        cam: what the map is multiplied by: "gradcam", "gradcam_pp" or "none".

    Returns:
        Maps (n, 1, height, width) in [0, 1].

    Raises:
        SaltrustError: a layer returns no map, or cam is unknown.

    Source:
        Mundhenk et al. 2019; LLNL/fastcam, maps.py and norm.py.

    >>> layers = [torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten()]
    >>> model = Explained(torch.nn.Sequential(*layers))
    >>> float(fastcam(model, torch.ones(1, 1, 4, 4), [(0,)], layers="0", cam="none").mean())
    0.5
    """
    factor = CAMS[cam]
    accepted = model.accept(images)
    paths = _paths(model, accepted, layers)
    depths = np.linspace(0, 1, len(paths))
    weights = np.interp(depths, np.linspace(0, 1, len(SMOE_WEIGHTS)), SMOE_WEIGHTS)
    weights /= weights.sum()
    maps = []
    for batch in accepted.split(model.batch_size):
        features = feature_maps(model, batch, paths).values()
        scales = (enlarge(_gauss_normalized(smoe_scale(one)), batch) for one in features)
        maps.append(sum(float(weight) * scale for weight, scale in zip(weights, scales, strict=True)))
    combined = torch.cat(maps).to(images.device)
    return combined if factor is None else combined * _rescaled(factor(model, images, keys))


def smoe_scale(features: Tensor) -> Tensor:
    """How much the channels of a position differ: m (log2 m - mean(log2 A)), m the mean of the positive activations A.

    Args:
        features: activations (n, c, rows, columns).

    Returns:
        A tensor (n, 1, rows, columns), at least 0, in units of the activations: 0 where all channels agree, most where
        few of many fire.

    Source:
        Mundhenk et al. 2019, SMOE Scale.

    >>> smoe_scale(torch.tensor([[[[1.0]], [[1.0]]]])).abs().round(decimals=4).tolist()
    [[[[0.0]]]]
    """
    positive = features.relu() + SMOE_OFFSET
    mean = positive.mean(1, keepdim=True)
    return mean * (mean.log2() - positive.log2().mean(1, keepdim=True))


@method(
    "polycam",
    abbreviation="PCAM",
    title="Poly-CAM",
    family="cam",
    cite="englebert2022polycam",
    formula=r"C_l = \frac{L_l}{\mathrm{up}(\mathrm{down}(L_l))} \odot \mathrm{up}(C_{l+1}), "
    r"\quad L_l = \mathrm{ReLU}\left(\sum_k w_l^k A_l^k\right), "
    r"\quad w_l^k = \mathrm{ReLU}\left(f(x \odot M_l^k) - f(0) + f(x) - f(x \odot (1 - M_l^k))\right)",
    needs="layers with spatial maps, at one scale or more; one or two runs per channel",
    signed=False,
    backward=False,
    passes=lambda p: 0,
    from_protocol=lambda protocol, profile: {"channels": profile.channels},
)
def polycam(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    variant: Annotated[str, "what a channel is weighed by: plus, what it keeps; minus, what it removes; plus_minus"] = (
        "plus_minus"
    ),
    channels: Annotated[int | None, "channels per layer, the most active; None for all, as in the paper"] = None,
    baseline: Annotated[str, "what masked pixels fade to: a name in BASELINES"] = "grey",
    layers: Layers = "",
) -> Tensor:
    """Poly-CAM: the map of the coarsest layer, refined by each finer one in turn.

    Each channel, rescaled to [0, 1], masks the image; its weight is the change of confidence, if positive and more than
    rounding. A layer's map L is divided by its own local mean at the resolution of the coarser map C (LNorm), and
    multiplied by C. It runs forward only: once for each channel of each layer, twice for "plus_minus"; thousands of
    times for a whole network.

    Confidence is the explained scalar, as for all methods here, so that they answer one question; the authors take the
    softmax output, which is the scalar "probability". There are further departures. What the baseline alone scores is
    subtracted (Score-CAM's increase of confidence), so that a constant added to a logit changes nothing. Masked pixels
    fade to `baseline`, where the authors multiply the input, whose 0 is grey, too, in an input range of -1 to 1. Masks
    are divided by the range of the channel, not its maximum. LNorm takes area means, which equal the authors' bilinear
    reduction where the grid halves, and never divide by 0 elsewhere. The map is not rescaled at the end.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        variant: what a channel is weighed by: "plus", what it keeps; "minus", what it removes; or "plus_minus".
        channels: channels of each layer, the most active, at least 1; None for all, as in the paper.
        baseline: what masked pixels fade to, a name in BASELINES.
        layers: module paths from the image to the output, comma-separated; "" for the last block of each scale.

    Returns:
        Maps (n, 1, height, width), non-negative; zeros where no channel of some layer raises the confidence.

    Raises:
        SaltrustError: the variant is unknown, or channels is below 1.

    Source:
        Englebert et al. 2022; aenglebert/polycam, core.py and polycam.py.

    >>> layers = [torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten()]
    >>> polycam(Explained(torch.nn.Sequential(*layers)), torch.ones(1, 1, 4, 4), [(0,)], layers="0").shape
    torch.Size([1, 1, 4, 4])
    """
    chosen = VARIANTS[variant]
    if channels is not None and channels < 1:
        raise SaltrustError(f"channels is {channels}; at least 1 per layer, or None for all")
    accepted = model.accept(images)
    paths = _paths(model, accepted, layers)
    blank = BASELINES[baseline](accepted, *model.input_range).expand_as(accepted)
    selection = model.select(accepted)
    maps = []
    for i in range(len(accepted)):
        image = accepted[i : i + 1]
        score = _Confidence(model, image, blank[i : i + 1], selection.take(slice(i, i + 1)), chosen)
        refined = None
        for activations in reversed(feature_maps(model, image, paths).values()):
            refined = _refine(refined, _layer_map(activations[0], score, channels))
        maps.append(enlarge(refined, image))
    return torch.cat(maps).to(images.device)


class _Confidence:
    """How the explained scalar of one image changes where channels mask it."""

    def __init__(self, model: Explained, image: Tensor, blank: Tensor, selection: Selection, variant: Variant):
        self.model, self.image, self.blank, self.variant = model, image, blank, variant
        self.selection = selection
        self.whole, self.empty = self.of(torch.cat([image, blank]))
        largest = max(abs(float(self.whole)), abs(float(self.empty)))
        self.rounding = ROUNDING * torch.finfo(image.dtype).eps * largest

    def of(self, images: Tensor) -> Tensor:
        return self.model.scalars(images, self.selection.take(torch.zeros(len(images), dtype=torch.long)))

    def changes(self, channels: Tensor) -> Tensor:
        """Change of confidence (k,) for channels (k, rows, columns), in passes of model.batch_size."""
        changes = []
        for some in channels[:, None].split(self.model.batch_size):
            masks = enlarge(_mask(some), self.image)
            change = torch.zeros_like(masks[:, 0, 0, 0])
            if self.variant.kept:
                change += self.of(torch.lerp(self.blank, self.image, masks)) - self.empty
            if self.variant.removed:
                change += self.whole - self.of(torch.lerp(self.image, self.blank, masks))
            changes.append(change)
        return torch.cat(changes)


def _layer_map(activations: Tensor, score: _Confidence, channels: int | None) -> Tensor:
    if channels is not None:
        most_active = activations.mean((1, 2)).argsort(descending=True, stable=True)
        activations = activations[most_active[:channels]]
    changes = score.changes(activations)
    weights = torch.where(changes > score.rounding, changes, 0)  # LNorm would blow rounding up to a map of its own
    return torch.einsum("k,kij->ij", weights, activations).relu()[None, None]


def _refine(coarse: Tensor | None, fine: Tensor) -> Tensor:
    """The coarse map at the resolution of the fine one, its detail that of the fine one (LNorm)."""
    if coarse is None:
        return fine
    local = enlarge(functional.adaptive_avg_pool2d(fine, coarse.shape[2:]), fine)
    return fine / local.clamp(min=torch.finfo(fine.dtype).tiny) * enlarge(coarse, fine)


def _mask(channels: Tensor) -> Tensor:
    """Channels (k, 1, rows, columns), each rescaled to [0, 1] between two percentiles; zeros where it is constant."""
    ends = channels.new_tensor([OUTLIERS, 1 - OUTLIERS])
    low, high = channels.flatten(1).quantile(ends, 1)[..., None, None, None]
    spread = (high - low).clamp(min=torch.finfo(channels.dtype).tiny)
    return ((channels - low) / spread).clamp(0, 1) * (high > low)


def _gauss_normalized(maps: Tensor) -> Tensor:
    varies = maps.amax((2, 3), keepdim=True) > maps.amin((2, 3), keepdim=True)
    scores = (maps - maps.mean((2, 3), keepdim=True)) / maps.std((2, 3), keepdim=True)
    return torch.special.ndtr(torch.where(varies, scores, 0))


def _rescaled(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)


def _paths(model: Explained, images: Tensor, layers: str) -> list[str]:
    return list(dict.fromkeys(path.strip() for path in layers.split(","))) if layers else scale_ends(model, images)
