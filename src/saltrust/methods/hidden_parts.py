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
    """The one baseline that stands in for hidden pixels, in the shape of the images."""
    begins = starts(baseline, images, *model.input_range)
    if len(begins) != 1:
        raise SaltrustError(f"hidden pixels become one baseline, not several ('{baseline}')")
    return begins[0].expand_as(images)


def responses(
    model: Explained, images: Tensor, baseline: str | Tensor, source: Tensor, shown: Callable[[Tensor], Tensor]
) -> np.ndarray:
    """The explained scalar of m partly hidden images (m,), which are made in batches of model.batch_size.

    Number j is images[source[j]] where shown(j) is true, and the baseline elsewhere; shown maps item numbers (b,) to
    masks (b, 1, height, width).
    """
    hidden, selection = hiding_baseline(model, images, baseline), model.select(images)
    values = []
    for items in torch.arange(len(source), device=images.device).split(model.batch_size):
        which = source[items]
        mixed = torch.where(shown(items), images[which], hidden[which])
        values.append(model.scalars(mixed, selection.take(which)))
    return torch.cat(values).cpu().double().numpy()
