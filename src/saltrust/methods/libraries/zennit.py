"""Layer-wise relevance propagation as zennit computes it: by rules that hook the modules of a network."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from saltrust.methods.explained import Explained
from saltrust.methods.libraries.library import Library, Version
from saltrust.methods.lrp import Epsilon
from saltrust.methods.path_integrals import Key

ZENNIT = Library("zennit", "zennit", "zennit", "zennit.composites", "anders2021software")
VERSION = ZENNIT.version


def _relevance(model: Explained, images: Tensor, version: str, composite: Any) -> Tensor:
    attribution = ZENNIT.load(version, "zennit.attribution")

    def relevance(network: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        outputs = network(x).detach()
        chosen = torch.zeros_like(outputs).scatter(1, index[:, None], outputs.gather(1, index[:, None]))
        with attribution.Gradient(network, composite=composite) as attributor:
            return attributor(x.detach(), chosen)[1]

    return ZENNIT.attributed(model, images, lambda network, x, targets: network.relevance(x, targets, relevance))


@ZENNIT.counterpart("lrp")
def lrp(
    model: Explained, images: Tensor, keys: Sequence[Key], *, epsilon: Epsilon = 1e-6, version: Version = VERSION
) -> Tensor:
    """zennit's epsilon rule in every linear layer and in average pooling, where these are modules.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        epsilon: added to the size of each denominator, in units of the layer's output, above 0.
        version: of zennit.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: that version of zennit is not installed, or it refuses the network.

    Source:
        zennit/rules.py, zennit/composites.py
    """
    composites = ZENNIT.load(version)
    return _relevance(model, images, version, _epsilon_everywhere(composites, epsilon, version))


def _epsilon_everywhere(composites: ModuleType, epsilon: float, version: str) -> Any:
    rules, types = ZENNIT.load(version, "zennit.rules"), ZENNIT.load(version, "zennit.types")
    layers = [*composites.layer_map_base(epsilon), (types.Linear, rules.Epsilon(epsilon=epsilon))]
    return composites.LayerMapComposite(layers)


@ZENNIT.counterpart("lrp_composite")
def lrp_composite(
    model: Explained, images: Tensor, keys: Sequence[Key], *, epsilon: Epsilon = 1e-6, version: Version = VERSION
) -> Tensor:
    """zennit's EpsilonPlusFlat.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        epsilon: of the dense layers, in units of the layer's output, above 0.
        version: of zennit.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `lrp`.

    Source:
        zennit/composites.py
    """
    return _relevance(model, images, version, ZENNIT.load(version).EpsilonPlusFlat(epsilon=epsilon))
