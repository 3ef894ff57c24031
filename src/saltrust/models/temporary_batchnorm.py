"""Temporary batch normalization: what a plain network borrows to train from scratch, and gives back in the end.

AlexNet and VGG16 have no batch normalization, and without ImageNet weights they do not train in minutes. So a
normalization is inserted after each of their layers for the training, and in the end folded into that layer. And on
images smaller than ImageNet's most of their weights see copies: the adaptive pooling spreads a grid of 2 x 2, say, over
7 x 7, and the first linear layer has a weight for each of the 49. For the training it reads the grid as it is. What
remains is the plain network, with the same outputs in evaluation mode.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_NORMS = {nn.Conv2d: nn.BatchNorm2d, nn.Linear: nn.BatchNorm1d}
_FUSE = {nn.BatchNorm2d: fuse_conv_bn_eval, nn.BatchNorm1d: fuse_linear_bn_eval}


class _Pair(nn.Sequential):
    """A layer, and the normalization that was put after it."""


class _Condensed(nn.Linear):
    """A linear layer in front of which nothing is spread; spread: (small, large) pixels, the weight in each mean."""

    def __init__(self, layer: nn.Linear, spread: Tensor):
        channels = layer.in_features // spread.shape[1]
        super().__init__(channels * len(spread), layer.out_features, device="meta")
        weight = layer.weight.detach().unflatten(1, (channels, -1)) @ spread.T
        self.weight, self.bias = nn.Parameter(weight.flatten(1)), layer.bias
        self.spread = spread

    def expanded(self) -> nn.Linear:
        """The layer behind the spread. A pixel's weight goes in equal parts to its copies, those that nothing is mixed
        into: each weight keeps its sign, and every pixel its contribution."""
        copies = (self.spread == 1).to(self.weight)
        weight = self.weight.detach().unflatten(1, (-1, len(copies))) @ (copies / copies.sum(1, keepdim=True))
        layer = nn.Linear(weight[0].numel(), self.out_features, device="meta")
        layer.weight, layer.bias = nn.Parameter(weight.flatten(1)), self.bias
        return layer


def insert(model: nn.Module, size: int) -> None:
    """Insert a normalization after every layer but the last, and condense the first linear layer.

    Layers are convolutions and linear layers.

    A layer keeps its path and becomes the pair (layer, normalization). A network that normalizes of itself stays as it
    is. The layers that "alexnet+<k>" adds (`extra`), which begin as identities, are not normalized.

    Args:
        model: changed in place.
        size: side of the training images in pixels.

    >>> model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 1))
    >>> insert(model, size=8)
    >>> [type(layer).__name__ for layer in model[0]]
    ['Conv2d', 'BatchNorm2d']
    >>> fold(model)
    >>> type(model[0]).__name__
    'Conv2d'
    """
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return
    _condense(model, size)
    named = [(path, module) for path, module in model.named_modules() if isinstance(module, tuple(_NORMS))]
    *layers, _ = [(path, module) for path, module in named if not path.startswith("extra.")]
    for path, layer in layers:
        norm = next(norm for kind, norm in _NORMS.items() if isinstance(layer, kind))
        model.set_submodule(path, _Pair(layer, norm(layer.weight.shape[0])))


def fold(model: nn.Module) -> None:
    """Fold each inserted normalization into its layer, which is then at its path again.

    The first linear layer has all its weights again. The state is then that of the network as it was built.

    Args:
        model: changed in place, and then in evaluation mode.
    """
    for path, layer in [(path, m) for path, m in model.named_modules() if type(m) is _Condensed]:
        _pooling(model).output_size = math.isqrt(layer.spread.shape[1])
        model.set_submodule(path, layer.expanded())
    model.eval()
    for path, (layer, norm) in [(path, m) for path, m in model.named_modules() if type(m) is _Pair]:
        model.set_submodule(path, _FUSE[type(norm)](layer, norm))


def _condense(model: nn.Module, size: int) -> None:
    """Let the first linear layer read, in place of what the pooling makes of it, the grid of the last convolution.

    Only where each of the grid's pixels has a copy of its own after the pooling, else nothing is changed.
    """
    pooling = _pooling(model)
    grids: list[tuple[int, int]] = []
    hook = pooling.register_forward_hook(
        lambda module, inputs, output: grids.append((inputs[0].shape[2], output.shape[2]))
    )
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    hook.remove()
    ((small, large),) = grids
    spread = F.adaptive_avg_pool2d(torch.eye(small**2).view(-1, 1, small, small), large).flatten(1)
    if small < large and (spread == 1).any(1).all():
        pooling.output_size = small
        path, layer = next((path, m) for path, m in model.named_modules() if isinstance(m, nn.Linear))
        model.set_submodule(path, _Condensed(layer, spread))


def _pooling(model: nn.Module) -> nn.AdaptiveAvgPool2d:
    return next(module for module in model.modules() if isinstance(module, nn.AdaptiveAvgPool2d))
