"""Class activation maps: what the channels of one layer see, weighed by their influence on the explained output."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from saltrust.methods.cam_layers import feature_maps, layer_of
from saltrust.methods.explained import Explained
from saltrust.methods.path_integrals import Key
from saltrust.methods.registry import method

Layer = Annotated[str | None, "module path of the layer; None for the model's cam_layer, else its coarsest scale"]


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
    """Grad-CAM, enlarged bilinearly to the size of the image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: dotted path of a module that returns (n, c, rows, columns); None for the model's cam_layer, or where it
            has none, the end of its coarsest scale.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: the layer does not exist, runs other than once, or returns no map.

    Source:
        Selvaraju et al. 2017, equations 1 and 2.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> maps = gradcam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0")
    >>> maps.shape, float(maps.mean())
    (torch.Size([1, 1, 4, 4]), 0.25)
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
    """Grad-CAM++, for the exponential of the explained scalar.

    The weight of equation 19, g^2 / (2 g^2 + g^3 sum(A)), is 1 / (2 + g sum(A)). So written it needs no epsilon, which
    in pytorch-grad-cam (1e-6, added to the denominator) flattens the weights of networks with small gradients. Only
    positive gradients count. As the paper takes the map after a ReLU, only positive activations enter the sum: no
    denominator is below 2. The factor exp(f(x)), one number for each image, is left out.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        Chattopadhay et al. 2018, equation 19.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradcam_pp(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
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
    """LayerCAM: each position is weighed by its own positive gradient.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        Jiang et al. 2021.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> float(layercam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").mean())
    0.25
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
    """First principal component of the activations of a layer.

    It does not see the explained output: all classes share one map. As in pytorch-grad-cam, and unlike the paper, the
    activations are centred over positions and the negative part is cut off. Of the component's two signs, the one that
    rises with the sum over channels is taken, so that large means active, as it always does without centring;
    pytorch-grad-cam leaves the sign to the linear algebra library.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        Muhammad & Yeasin 2020.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> eigencam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
    """
    accepted = model.accept(images)
    chosen = layer_of(model, accepted, layer)
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
    """First principal component of gradient times activation.

    Centred, signed and cut as in `eigencam`: it rises with the sum of gradient times activation over the channels.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        EigenGradCAM of pytorch-grad-cam; there is no paper.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> eigengradcam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
    """
    activations, gradients = _activations(model, images, layer)
    return enlarge(first_component(gradients * activations).relu(), images)


def first_component(features: Tensor) -> Tensor:
    """Projection of the channels of each position, centred over positions, onto their first principal axis.

    Args:
        features: (n, channels, rows, columns).

    Returns:
        A tensor (n, 1, rows, columns), with the sign whose sum over positions of projection times (sum over channels)
        is positive. Features that do not vary give zeros.

    >>> first_component(torch.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[-1.0, 1.0]]]]
    """
    positions = features.flatten(2).mT
    centred = positions - positions.mean(1, keepdim=True)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:, :1]
    axes = torch.where(axes.sum(2, keepdim=True) < 0, -axes, axes)  # <Xv, X1> = s^2 <v, 1>
    return (axes @ centred.mT).unflatten(2, features.shape[2:])


def enlarge(cams: Tensor, images: Tensor) -> Tensor:
    """Maps at the size of the images and on their device, interpolated bilinearly between the centres of the positions.

    Args:
        cams: maps (n, 1, rows, columns).
        images: (n, channels, height, width).

    Returns:
        Maps (n, 1, height, width).

    >>> enlarge(torch.tensor([[[[0.0, 1.0]]]]), torch.zeros(1, 3, 1, 4)).tolist()
    [[[[0.0, 0.25, 0.75, 1.0]]]]
    """
    return functional.interpolate(cams, images.shape[2:], mode="bilinear", align_corners=False).to(images.device)


def _activations(model: Explained, images: Tensor, layer: str | None) -> tuple[Tensor, Tensor]:
    accepted = model.accept(images)
    return model.activations(accepted, layer_of(model, accepted, layer))
