"""How the weights of a layer are drawn anew, and what becomes of its batch normalization.

A random network must still depend on its image, or its maps say nothing. Measured on an InceptionV3 with the running
statistics of a short training, fully randomized, 8 phantoms at 128 px, seeds 0 and 1 (logit: sd over the images;
gradient: mean L2 norm over an image; trained: 0.26 and 4.1):

    initialization    batchnorm        logit sd         gradient         sd of activations, stem -> Mixed_7c
    truncated_normal  reset            0.02, 0.01       0.10, 0.14       0.6 -> 0.2
    truncated_normal  keep_statistics  0.12, 0.10       1.0, 1.2         5 -> 25 (Mixed_7a) -> 2
    torch_default     keep_statistics  2e-8, 4e-8       3e-8, 5e-8       0.5 -> 0.2, the same for every image
    torch_default     reset            0, 8e-10         4e-9, 6e-9       0.01 -> 4e-8

So both choices of truncated_normal stay alive: with `reset` no layer's scale depends on the trained network, with
`keep_statistics` each layer is rescaled by statistics that belong to other weights. With torch_default the image's
share shrinks at every layer, down to the last bits of a float32 logit: such a cascade's last stages compare rounding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from torch import Tensor, nn

from saltrust.core.registry import Registry

INITS: Registry[Callable[[nn.Module], None]] = Registry("initialization")

# Variance of a standard normal truncated to [-2, 2], by which the truncation shrinks the variance.
_TRUNCATED_VARIANCE = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))

_SETTLED = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.instancenorm._InstanceNorm, nn.PReLU)
"""Layers whose own initial weights are no matter of chance."""

_SCALE = re.compile("weight|gamma|scale")
TOKEN_SD = 0.02  # of tokens and positions, as transformers draw them (Dosovitskiy et al. 2021, their code; timm)


@INITS.register("truncated_normal")
def truncated_normal(layer: nn.Module) -> None:
    """Weights from a normal truncated at 2 sd, of variance 2/fan_in after the truncation; biases 0.

    That variance keeps the size of activations and gradients through any number of ReLU layers. Truncated without the
    correction, the variance would be 0.77 of it at each layer. Scales, one number for each channel, become 1. What is
    neither weight, bias nor scale, such as a transformer's tokens and positions, is drawn with sd 0.02.

    Args:
        layer: changed in place.

    Source:
        He et al. 2015.

    >>> layer = nn.Linear(100, 2)
    >>> truncated_normal(layer)
    >>> layer.bias.tolist(), bool(layer.weight.abs().max() <= 2 * (2 / 100 / _TRUNCATED_VARIANCE) ** 0.5)
    ([0.0, 0.0], True)
    """
    if isinstance(layer, _SETTLED):
        layer.reset_parameters()
        return
    for name, tensor in layer.named_parameters(recurse=False):
        if name.endswith("bias"):
            nn.init.zeros_(tensor)
        elif _is_scale(name, tensor):
            nn.init.ones_(tensor)
        else:
            variance = 2 / _fan_in(layer, tensor) if "weight" in name else TOKEN_SD**2
            sd = math.sqrt(variance / _TRUNCATED_VARIANCE)
            nn.init.trunc_normal_(tensor, std=sd, a=-2 * sd, b=2 * sd)


def _is_scale(name: str, tensor: Tensor) -> bool:
    """Whether a parameter holds one factor for each channel, by its name and shape."""
    per_channel = tensor.numel() <= max(tensor.shape, default=1)
    return bool(_SCALE.search(name)) and per_channel and not (name == "weight" and tensor.ndim > 1)


def _fan_in(layer: nn.Module, weight: Tensor) -> float:
    """How many products each output of a layer sums up, away from the border."""
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return weight[:, 0].numel() / layer.groups / math.prod(layer.stride)
    return weight[0].numel()


@INITS.register("torch_default")
def torch_default(layer: nn.Module) -> None:
    """The layer's own `reset_parameters`; a layer that has none gets what `truncated_normal` says.

    For convolutions and linear layers these are uniform weights and biases, weights of variance 1/(3 fan_in).

    Args:
        layer: changed in place.
    """
    reset_parameters = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    reset_parameters() if reset_parameters else truncated_normal(layer)


def keep_statistics(norm: nn.Module) -> None:
    """Scale 1, shift 0; the running mean and variance stay the trained network's.

    So it is where only trainable variables are re-initialized.

    Args:
        norm: a batch normalization, changed in place.

    Source:
        Adebayo et al.'s code.
    """
    if norm.weight is not None:
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)


def reset(norm: nn.Module) -> None:
    """Scale 1, shift 0, running mean 0 and variance 1: the layer passes its input on unchanged.

    Args:
        norm: a batch normalization, changed in place.

    >>> norm = nn.BatchNorm2d(1)
    >>> norm.running_mean.fill_(3.0).tolist(), reset(norm), norm.running_mean.tolist()
    ([3.0], None, [0.0])
    """
    keep_statistics(norm)
    for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
        if (statistics := getattr(norm, name, None)) is not None:  # not every kind counts its batches
            statistics.fill_(value)


BATCHNORM: dict[str, Callable[[nn.Module], None]] = Registry("batchnorm")
BATCHNORM.register("keep_statistics")(keep_statistics)
BATCHNORM.register("reset")(reset)


def has_statistics(layer: nn.Module) -> bool:
    """Whether a layer is a batch normalization, of whatever class, with running statistics.

    >>> has_statistics(nn.BatchNorm2d(1)), has_statistics(nn.LayerNorm(1))
    (True, False)
    """
    return isinstance(getattr(layer, "running_mean", None), Tensor) and not isinstance(layer, _SETTLED)
