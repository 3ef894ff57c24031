"""Class activation maps: what the channels of one layer see, weighed by their influence on the explained output."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.network_runs import is_map
from saltrust.methods.path_integrals import Key
from saltrust.methods.registry import method

Layer = Annotated[str | None, "module path of the layer; None for the model's cam_layer, else its coarsest scale"]

NEW_SCALE = 0.75  # of the first grid of a scale: below it, a new scale begins
MIN_GRID = 2  # positions along each side: one position sees no place


@method(
    "gradcam",
    abbreviation="GCAM",
    title="Grad-CAM",
    family="cam",
    cite="selvaraju2017gradcam",
    formula=r"\mathrm{ReLU}\left(\sum_k \alpha_k A^k\right), "
    r"\quad \alpha_k = \frac{1}{Z} \sum_{i,j} \frac{\partial f(x)}{\partial A^k_{ij}}",
    needs="a layer with a spatial map",
    signed=False,
)
def gradcam(model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2), enlarged bilinearly to the size of the image.

    images: (n, channels, height, width) in the model's input range. layer: dotted path of a module that returns
    (n, c, rows, columns), by default the model's cam_layer, or where it has none, the end of its coarsest scale.
    Returns (n, 1, height, width), non-negative.
    """
    activations, gradients = _activations(model, images, layer)
    influence = gradients.mean((2, 3), keepdim=True)
    return enlarge((influence * activations).sum(1, keepdim=True).relu(), images)


@method(
    "gradcam_pp",
    abbreviation="GCAM++",
    title="Grad-CAM++",
    family="cam",
    cite="chattopadhay2018gradcampp",
    formula=r"\mathrm{ReLU}\left(\sum_k w_k A^k\right), \quad w_k = \sum_{i,j} \frac{\mathrm{ReLU}(g^k_{ij})}"
    r"{2 + g^k_{ij} \sum_{a,b} A^k_{ab}}, \quad g^k_{ij} = \frac{\partial f(x)}{\partial A^k_{ij}}",
    needs="a layer with a spatial map",
    signed=False,
)
def gradcam_pp(model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, equation 19), for the exponential of the explained scalar.

    The weight of equation 19, g^2 / (2 g^2 + g^3 sum(A)), is 1 / (2 + g sum(A)): so written it needs no epsilon, which
    in pytorch-grad-cam (1e-6, added to the denominator) flattens the weights of networks with small gradients. Only
    positive gradients count and, as the paper takes the map after a ReLU, only positive activations enter the sum: no
    denominator is below 2. The factor exp(f(x)), one number per image, is left out. Arguments and shapes as in gradcam.
    """
    activations, gradients = _activations(model, images, layer)
    helpful = gradients.relu()
    weights = (helpful / (2 + helpful * activations.relu().sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return enlarge((weights * activations).sum(1, keepdim=True).relu(), images)


@method(
    "layercam",
    abbreviation="LCAM",
    title="LayerCAM",
    family="cam",
    cite="jiang2021layercam",
    formula=r"\mathrm{ReLU}\left(\sum_k \mathrm{ReLU}\left(\frac{\partial f(x)}{\partial A^k}\right) \odot A^k\right)",
    needs="a layer with a spatial map",
    signed=False,
)
def layercam(model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None) -> Tensor:
    """LayerCAM (Jiang et al. 2021): each position is weighed by its own positive gradient.

    Arguments and shapes as in gradcam.
    """
    activations, gradients = _activations(model, images, layer)
    return enlarge((gradients.relu() * activations).sum(1, keepdim=True).relu(), images)


@method(
    "eigencam",
    abbreviation="ECAM",
    title="Eigen-CAM",
    family="cam",
    cite="muhammad2020eigencam",
    formula=r"\mathrm{ReLU}\left(\sum_k v_k (A^k - \bar{A}^k)\right), "
    r"\quad v = \arg\max_{|u| = 1} \sum_{i,j} \left(\sum_k u_k (A^k_{ij} - \bar{A}^k)\right)^2",
    needs="a layer with a spatial map",
    signed=False,
    backward=False,
)
def eigencam(model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None) -> Tensor:
    """First principal component of the activations of a layer (Muhammad & Yeasin 2020).

    It does not see the explained output: all classes share one map. As in pytorch-grad-cam, and unlike the paper, the
    activations are centred over positions and the negative part is cut off. Of the component's two signs, the one that
    rises with the sum over channels is taken, so that large means active, as it always does without centring;
    pytorch-grad-cam leaves the sign to the linear algebra library. Arguments and shapes as in gradcam.
    """
    accepted = model.accept(images)
    chosen = _layer(model, accepted, layer)
    return enlarge(first_component(feature_maps(model, accepted, [chosen])[chosen]).relu(), images)


@method(
    "eigengradcam",
    abbreviation="EGCAM",
    title="Eigen-Grad-CAM",
    family="cam",
    cite="gildenblat2021pytorch",
    formula=r"\mathrm{ReLU}\left(\sum_k v_k (B^k - \bar{B}^k)\right), "
    r"\quad B^k = \frac{\partial f(x)}{\partial A^k} \odot A^k, "
    r"\quad v = \arg\max_{|u| = 1} \sum_{i,j} \left(\sum_k u_k (B^k_{ij} - \bar{B}^k)\right)^2",
    needs="a layer with a spatial map",
    signed=False,
)
def eigengradcam(model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None) -> Tensor:
    """First principal component of gradient times activation (EigenGradCAM of pytorch-grad-cam; no paper).

    Centred, signed and cut as in eigencam: it rises with the sum of gradient times activation over the channels.
    Arguments and shapes as in gradcam.
    """
    activations, gradients = _activations(model, images, layer)
    return enlarge(first_component(gradients * activations).relu(), images)


def first_component(features: Tensor) -> Tensor:
    """Projection of the channels of each position, centred over positions, onto their first principal axis.

    features: (n, channels, rows, columns). Returns (n, 1, rows, columns), with the sign whose sum over positions of
    projection times (sum over channels) is positive. Features that do not vary give zeros.
    """
    positions = features.flatten(2).mT
    centred = positions - positions.mean(1, keepdim=True)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:, :1]
    axes = torch.where(axes.sum(2, keepdim=True) < 0, -axes, axes)  # <Xv, X1> = s^2 <v, 1>
    return (axes @ centred.mT).unflatten(2, features.shape[2:])


def enlarge(cams: Tensor, images: Tensor) -> Tensor:
    """Maps (n, 1, rows, columns) at the size of the images and on their device, interpolated bilinearly between the
    centres of the positions."""
    return functional.interpolate(cams, images.shape[2:], mode="bilinear", align_corners=False).to(images.device)


def feature_maps(model: Explained, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Outputs (n, c, rows, columns) of some layers, from forward runs alone. Raises SaltrustError where one is no map
    of at least 2 x 2 positions."""
    features = model.features(images, layers)
    for layer, output in features.items():
        if not is_map(output, images) or min(output.shape[2:]) < MIN_GRID:
            raise SaltrustError(
                f"module '{layer}' returns shape {tuple(output.shape)} for images of {tuple(images.shape[2:])} pixels; "
                "a map (n, c, rows, columns) with at least 2 x 2 positions is needed"
            )
    return features


def scale_ends(model: Explained, images: Tensor) -> list[str]:
    """The last block of each scale of resolution, from the finest to the coarsest, for images of this size.

    A scale begins where the grid falls below 0.75 of the first grid of the scale before it. Blocks of pooling or
    dropout are passed over, as are grids below 2 x 2 and those that grow again. Raises SaltrustError where no block
    returns a map.
    """
    ends: list[str] = []
    first = last = float("inf")
    for block, (rows, columns) in model.block_grids(images[:1]).items():
        side = (rows * columns) ** 0.5
        if min(rows, columns) < MIN_GRID or side > last:
            continue
        if not ends or side < NEW_SCALE * first:
            ends.append(block)
            first = side
        ends[-1], last = block, side
    if not ends:
        blocks = model.blocks
        names = blocks if len(blocks) <= 6 else [*blocks[:3], "…", *blocks[-2:]]
        raise SaltrustError(
            f"no block of the model ({', '.join(names)}) returns a map of 2 x 2 positions or more for images of "
            f"{tuple(images.shape[2:])} pixels: name a layer inside a block"
        )
    return ends


def choose_cam_layer(model: torch.nn.Module, candidates: Sequence[str], size: int, min_grid: int) -> str | None:
    """The deepest layer whose map still has min_grid x min_grid positions for images of size x size pixels.

    candidates: module paths from the output of the network downward; those that return no spatial map are passed over.
    None where none returns one (a transformer). Raises SaltrustError where none is fine enough.
    """
    explained = Explained(model)
    image = torch.zeros(1, 3, size, size, device=explained.device, dtype=explained.dtype)
    candidates = [layer for layer in candidates if not layer.endswith(".")]  # a module without what is in it
    grids = {layer: min(grid) for layer, grid in explained.grids(candidates, image).items()}
    if not grids:
        return None
    for layer, grid in grids.items():
        if grid >= min_grid:
            return layer
    raise SaltrustError(
        f"no layer has a grid of {min_grid} x {min_grid} for images of {size} pixels; "
        f"grids: {', '.join(f'{layer} {grid}' for layer, grid in grids.items())}"
    )


def _layer(model: Explained, images: Tensor, layer: str | None) -> str:
    return layer or model.cam_layer or scale_ends(model, images)[-1]


def _activations(model: Explained, images: Tensor, layer: str | None) -> tuple[Tensor, Tensor]:
    accepted = model.accept(images)
    return model.activations(accepted, _layer(model, accepted, layer))
