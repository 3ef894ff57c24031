"""How much memory a network takes while it learns or is explained, found without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.localizers import LOCALIZERS
from saltrust.models.training_plan import TrainingPlan

COPIES = 5  # of the weights in a training: themselves, their gradients, Adam's two moments, and the best state so far
IN_PASSING = 1.5  # of what is kept for the way back, with the gradients on that way


@dataclass(frozen=True)
class Footprint:
    """Bytes of a network.

    Attributes:
        weights: of all weights and statistics, once.
        image: what is kept of one image for the way back.
    """

    weights: float
    image: float

    def training(self, batch_size: int) -> float:
        """Bytes while it learns from batches of so many images."""
        return COPIES * self.weights + self.explaining(batch_size)

    def explaining(self, batch_size: int) -> float:
        """Bytes beside the weights while gradients of so many images are taken."""
        return IN_PASSING * batch_size * self.image


@cache
def of_classifier(architecture: str, n_outputs: int, size: int) -> Footprint:
    """The footprint of a classifier.

    Args:
        architecture: a name in ARCHITECTURES.
        n_outputs: number of outputs.
        size: side of its images in pixels.
    """
    with torch.device("meta"):
        network = ARCHITECTURES[architecture].builder(n_outputs)
    return footprint(network, network, size)


@cache
def of_localizer(kind: str, plan: TrainingPlan, size: int) -> Footprint:
    """The footprint of a localizer.

    Args:
        kind: a name in LOCALIZERS.
        plan: of the kind's type.
        size: side of its images in pixels.
    """
    with torch.device("meta"):
        network = LOCALIZERS[kind].build(plan)
    return footprint(network, lambda images: LOCALIZERS[kind].features(network, images), size)


def footprint(network: nn.Module, run: Callable[[Tensor], Any], size: int) -> Footprint:
    """Count what autograd keeps of a pass through a network.

    Args:
        network: on the device "meta", where tensors have a shape and no content.
        run: images (n, 3, size, size) -> anything; how the network runs.
        size: side of its images in pixels.

    >>> with torch.device("meta"):
    ...     network = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ReLU())
    >>> footprint(network, network, 10)  # the image, and what the ReLU returns; both in 4 bytes
    Footprint(weights=96, image=4400.0)
    """
    own = {id(weight) for weight in network.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    def passed(n: int) -> float:
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            run(torch.empty(n, 3, size, size, device="meta"))
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())

    network.train()
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return Footprint(weights, (passed(4) - passed(2)) / 2)
