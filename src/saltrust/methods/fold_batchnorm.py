"""Batch normalization folded into the convolution before it: the same function of the image, for a tenth less time."""

from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from saltrust.methods.network_runs import sharing_copy


def fold_batchnorm(model: nn.Module, keep: str | None = None) -> frozenset[str]:
    """Fold, in place, each BatchNorm2d of a model in evaluation mode into the Conv2d whose only user it is.

    A model that torch.fx cannot trace is left as it is, as are modules that are called twice, carry hooks or are
    parametrized.

    Args:
        model: in evaluation mode.
        keep: path of a convolution whose own output is needed, and which is left alone; None for none.

    Returns:
        Paths of the convolutions that were folded: their output is now that of their batch normalization.

    >>> fold_batchnorm(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval())
    frozenset({'0'})
    """
    try:  # on a copy with the same weights: the model may keep something of each call
        graph = fx.symbolic_trace(sharing_copy(model)).graph
    except (Exception, SystemExit):  # tracing runs the user's code on proxies; folding is optional
        return frozenset()
    modules = dict(model.named_modules())
    nodes = [node for node in graph.nodes if node.op == "call_module"]
    calls = Counter(id(modules[node.target]) for node in nodes)
    read = {node.target.rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}

    def foldable(node: fx.Node, kind: type) -> bool:
        module = modules[node.target]
        hooked = module._forward_hooks or module._forward_pre_hooks
        return type(module) is kind and calls[id(module)] == 1 and not hooked and node.target not in read

    folded = set()
    for node in nodes:
        before = node.args[0] if node.args else None
        if (
            not isinstance(before, fx.Node)
            or before.op != "call_module"
            or len(before.users) != 1
            or before.target == keep
            or not foldable(node, nn.BatchNorm2d)
            or not foldable(before, nn.Conv2d)
            or modules[node.target].running_var is None
        ):
            continue
        with torch.no_grad():
            fused = fuse_conv_bn_eval(modules[before.target], modules[node.target])
        model.set_submodule(before.target, fused.requires_grad_(False))
        model.set_submodule(node.target, nn.Identity())
        folded.add(before.target)
    return frozenset(folded)
