"""The stages of a cascade, found in a network of unknown make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from saltrust.core.network_blocks import blocks
from saltrust.models.architectures import Stage
from saltrust.models.external.probe import probe_images
from saltrust.models.randomization import layers_of

MOST_STAGES = 16  # of a cascade; blocks in excess of them are randomized together


def stages_of(network: nn.Module, size: int) -> tuple[Stage, ...]:
    """The blocks of the body that hold weights, from the output to the input, as they ran.

    What only scales and shifts goes with the block before it. Parameters that lie outside all blocks go with the first
    block.

    Args:
        network: a sequence with the `body`, as in `ExternalModel`.
        size: side of its images in pixels.

    Returns:
        At most MOST_STAGES stages.
    """
    paths = [path for path in blocks(network) if layers_of(network, Stage(path, (path,)))]
    groups: list[list[str]] = []
    for path in _in_order_of_running(network, paths, size):
        scales_only = not any(weight.ndim > 1 for weight in network.get_submodule(path).parameters())
        if scales_only and groups:
            groups[-1].append(path)
        else:
            groups.append([path])
    outside = [path for path in _around(paths) if layers_of(network, Stage(path, (path,)))]
    if not groups:
        return (Stage("body", tuple(outside)),)
    inner = [part.tolist() for part in np.array_split(np.arange(1, len(groups) - 1), MOST_STAGES - 2)]
    joined = [part for part in ([0], *inner, [len(groups) - 1] if len(groups) > 1 else []) if part]
    stages = [[path for i in part for path in groups[i]] for part in joined]
    named = [Stage(paths[0].removeprefix("body."), tuple(reversed(paths))) for paths in stages]
    stem = Stage(named[0].name, (*named[0].modules, *outside))
    return (*reversed(named[1:]), stem)


def _around(paths: Sequence[str]) -> list[str]:
    """The modules around the blocks, each without what is in it (a path that ends in a dot)."""
    around = {f"{path.rsplit('.', k)[0]}." for path in paths for k in range(1, path.count(".") + 1)}
    return sorted(around or {"body."} - {f"{path}." for path in paths})


def _in_order_of_running(network: nn.Module, paths: Sequence[str], size: int) -> list[str]:
    """The blocks as they run, or as they are defined where some do not run as modules."""
    ran: list[str] = []
    handles = [
        network.get_submodule(path).register_forward_pre_hook(lambda module, inputs, path=path: ran.append(path))
        for path in paths
    ]
    try:
        with torch.no_grad():
            network(probe_images(1, size))
    finally:
        for handle in handles:
            handle.remove()
    order = list(dict.fromkeys(ran))
    return order if set(order) == set(paths) else list(paths)
