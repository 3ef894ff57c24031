"""Class activation maps as pytorch-grad-cam computes them: scaled to [0, 1] on each image, and enlarged by OpenCV."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saltrust.methods.cam import Layer
from saltrust.methods.cam_layers import layer_of
from saltrust.methods.explained import Explained
from saltrust.methods.libraries.library import Library, Version
from saltrust.methods.path_integrals import Key

GRAD_CAM = Library("pytorch-grad-cam", "pytorch-grad-cam", "grad-cam", "pytorch_grad_cam", "gildenblat2021pytorch")
VERSION = GRAD_CAM.version


def _cam(model: Explained, images: Tensor, layer: str | None, version: str, name: str) -> Tensor:
    library, wanted = GRAD_CAM.load(version), GRAD_CAM.load(version, "pytorch_grad_cam.utils.model_targets")
    path = model.whole(layer_of(model, model.accept(images), layer))

    def cam(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        outputs = [wanted.ClassifierOutputTarget(target) for target in targets.tolist()]
        with getattr(library, name)(network, [network.get_submodule(f"network.{path}")]) as found:
            return torch.as_tensor(found(x, outputs)).to(x)[:, None]

    return GRAD_CAM.attributed(model, images, cam)


@GRAD_CAM.counterpart("gradcam")
def gradcam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """pytorch-grad-cam's GradCAM.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: dotted path of the module whose output is used; None as in our Grad-CAM.
        version: of pytorch-grad-cam.

    Returns:
        Maps (n, 1, height, width), from 0 to 1 on each image.

    Raises:
        SaltrustError: that version of pytorch-grad-cam is not installed, or it refuses the network; or the layer does
            not exist, or was changed by folding.

    Source:
        pytorch_grad_cam/grad_cam.py, pytorch_grad_cam/base_cam.py
    """
    return _cam(model, images, layer, version, "GradCAM")


@GRAD_CAM.counterpart("gradcam_pp")
def gradcam_pp(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """pytorch-grad-cam's GradCAMPlusPlus, with 1e-6 added to its denominators.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.
        version: of pytorch-grad-cam.

    Returns:
        Maps (n, 1, height, width), from 0 to 1 on each image.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        pytorch_grad_cam/grad_cam_plusplus.py
    """
    return _cam(model, images, layer, version, "GradCAMPlusPlus")


@GRAD_CAM.counterpart("layercam")
def layercam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """pytorch-grad-cam's LayerCAM.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.
        version: of pytorch-grad-cam.

    Returns:
        Maps (n, 1, height, width), from 0 to 1 on each image.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        pytorch_grad_cam/layer_cam.py
    """
    return _cam(model, images, layer, version, "LayerCAM")


@GRAD_CAM.counterpart("eigencam")
def eigencam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """pytorch-grad-cam's EigenCAM, whose sign is that of the linear algebra library.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.
        version: of pytorch-grad-cam.

    Returns:
        Maps (n, 1, height, width), from 0 to 1 on each image.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        pytorch_grad_cam/eigen_cam.py
    """
    return _cam(model, images, layer, version, "EigenCAM")


@GRAD_CAM.counterpart("eigengradcam")
def eigengradcam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """pytorch-grad-cam's EigenGradCAM, whose sign is that of the linear algebra library.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `gradcam`.
        version: of pytorch-grad-cam.

    Returns:
        Maps (n, 1, height, width), from 0 to 1 on each image.

    Raises:
        SaltrustError: as `gradcam`.

    Source:
        pytorch_grad_cam/eigen_grad_cam.py
    """
    return _cam(model, images, layer, version, "EigenGradCAM")
