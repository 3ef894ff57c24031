"""Batch normalization as a scaffold: with it a plain network trains from scratch, and it is gone when that is done.

AlexNet and VGG16 have none, and without ImageNet weights they do not train in minutes. So a normalization is put after
each of their layers for the training, and in the end folded into that layer. What remains is the plain network, with
the same outputs in evaluation mode.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_NORMS = {nn.Conv2d: (nn.BatchNorm2d, fuse_conv_bn_eval), nn.Linear: (nn.BatchNorm1d, fuse_linear_bn_eval)}


class _Pair(nn.Sequential):
    """A layer, and the normalization that was put after it."""


def scaffold(model: nn.Module) -> None:
    """Put, in place, a normalization after every convolution and linear layer but the last.

    A layer keeps its path and becomes the pair (layer, normalization). A network that normalizes of itself stays as it
    is, and so do the layers that "alexnet+<k>" adds (`extra`), which begin as identities.
    """
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return
    named = [(path, module) for path, module in model.named_modules() if type(module) in _NORMS]
    *layers, _ = [(path, module) for path, module in named if not path.startswith("extra.")]
    for path, layer in layers:
        norm, _ = _NORMS[type(layer)]
        model.set_submodule(path, _Pair(layer, norm(layer.weight.shape[0])))


def dismantle(model: nn.Module) -> None:
    """Fold, in place, each normalization of a scaffold into its layer, which is then at its path again.

    The state is then that of the network as it was built.
    """
    model.eval()
    for path, (layer, norm) in [(path, m) for path, m in model.named_modules() if type(m) is _Pair]:
        _, fuse = _NORMS[type(layer)]
        model.set_submodule(path, fuse(layer, norm))
