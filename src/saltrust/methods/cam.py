"""Class activation maps: what the channels of one layer see, weighed by their influence on the explained output."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from saltrust.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.registry import method

Layer = Annotated[str | None, "module path of the layer; None for the model's cam_layer"]


@method(
    "gradcam",
    abbreviation="GCAM",
    title="Grad-CAM",
    family="cam",
    cite="selvaraju2017gradcam",
    formula=r"\mathrm{ReLU}\left(\sum_k \alpha_k A^k\right), "
    r"\quad \alpha_k = \frac{1}{Z} \sum_{i,j} \frac{\partial f(x)}{\partial A^k_{ij}}",
    signed=False,
)
def gradcam(model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]], *, layer: Layer = None) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2), enlarged bilinearly to the size of the image.

    images: (n, channels, height, width) in the model's input range. layer: dotted path of a module that returns
    (n, c, rows, columns), by default the model's cam_layer. Returns (n, 1, height, width), non-negative.
    """
    activations, gradients = model.activations(model.accept(images), layer)
    influence = gradients.mean((2, 3), keepdim=True)
    cam = (influence * activations).sum(1, keepdim=True).relu()
    return functional.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False).to(images.device)


def choose_cam_layer(model: torch.nn.Module, candidates: Sequence[str], size: int, min_grid: int) -> str:
    """The deepest layer whose map still has min_grid x min_grid positions for images of size x size pixels.

    candidates: module paths from the output of the network downward; those that return no spatial map are passed over.
    Raises SaltrustError where none is fine enough.
    """
    explained = Explained(model)
    image = torch.zeros(1, 3, size, size, device=explained.device, dtype=explained.dtype)
    shapes = explained.output_shapes(candidates, image)
    grids = {layer: min(shape[2:]) for layer, shape in shapes.items() if len(shape) == 4}
    for layer, grid in grids.items():
        if grid >= min_grid:
            return layer
    raise SaltrustError(
        f"no layer has a grid of {min_grid} x {min_grid} for images of {size} pixels; "
        f"grids: {', '.join(f'{layer} {grid}' for layer, grid in grids.items()) or 'none'}"
    )
