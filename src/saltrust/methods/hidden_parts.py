"""Partly hidden images, and what the network says of them: what occlusion, LIME and Kernel SHAP share."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.path_integrals import starts

Hidden = Annotated[str | Tensor, "what hidden pixels become: black, white, grey or blur"]


def hiding_baseline(model: Explained, images: Tensor, baseline: str | Tensor) -> Tensor:
    """The one baseline that stands in for hidden pixels.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        baseline: a name in BASELINES, or a tensor that broadcasts to the images.

    Returns:
        A tensor of the images' shape.

    Raises:
        SaltrustError: the baseline is unknown, does not fit, or is several.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> hiding_baseline(Explained(network), torch.ones(1, 1, 1, 2), "grey").tolist()
    [[[[0.0, 0.0]]]]
    """
    begins = starts(baseline, images, *model.input_range)
    if len(begins) != 1:
        raise SaltrustError(f"hidden pixels become one baseline, not several ('{baseline}')")
    return begins[0].expand_as(images)


def responses(
    model: Explained, images: Tensor, baseline: str | Tensor, source: Tensor, shown: Callable[[Tensor], Tensor]
) -> np.ndarray:
    """The explained scalar of partly hidden images, which are made in batches of model.batch_size.

    Number j is images[source[j]] where shown(j) is true, and the baseline elsewhere.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        baseline: what hidden pixels become, see `hiding_baseline`.
        source: which image each of m partly hidden images is made from (m,), integers.
        shown: numbers of such images (b,) -> masks (b, 1, height, width).

    Returns:
        An array (m,), float64.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> left = torch.tensor([[True, False], [True, False]]).expand(1, 1, 2, 2)
    >>> responses(Explained(network), torch.ones(1, 1, 2, 2), "grey", torch.tensor([0]), lambda items: left).tolist()
    [0.5]
    """
    hidden, selection = hiding_baseline(model, images, baseline), model.select(images)
    values = []
    for items in torch.arange(len(source), device=images.device).split(model.batch_size):
        which = source[items]
        mixed = torch.where(shown(items), images[which], hidden[which])
        values.append(model.scalars(mixed, selection.take(which)))
    return torch.cat(values).cpu().double().numpy()
