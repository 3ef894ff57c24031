"""The U-Net (MONAI), a localizer that learns masks (Arun et al., Methods)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.labelled_images import Split
from saltrust.models.augmentation import moved
from saltrust.models.training_plan import TrainingPlan, autocast


@dataclass(frozen=True)
class UNetPlan(TrainingPlan):
    """How the U-Net is trained; the defaults are those of the profile `full`.

    Attributes:
        features: channels at the five depths, and of the last layer.
    """

    epochs: int = 75
    patience: int = 15
    batch_size: int = 4
    schedule: str = "plateau"
    features: tuple[int, ...] = (64, 128, 256, 512, 1024, 64)


def build(plan: UNetPlan) -> nn.Module:
    """An untrained U-Net, from torch's random state."""
    from monai.networks.nets import BasicUNet  # slow to import, and only needed here

    # Batch normalization, where MONAI's default (instance) would make a blank image look like any other.
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=plan.features, norm="batch", bias=False)


def loss(
    model: nn.Module, images: Tensor, split: Split, indices: np.ndarray, maps: Tensor | None, plan: UNetPlan
) -> Tensor:
    """Focal + Dice. Dice is of the batch as a whole: an image without the finding has none.

    Args:
        model: a U-Net.
        images: (b, 3, h, w), as they were moved.
        split: where the images are from.
        indices: of the images in the split (b,).
        maps: affine maps (b, 2, 3) that moved the images; None where they were not moved.
        plan: of the training.

    Returns:
        A scalar.

    Source:
        Arun et al. 2021, Methods.
    """
    from monai.losses import DiceFocalLoss

    truth = torch.from_numpy(split.require_truth()[indices]).to(images.device).float().unsqueeze(1)
    if maps is not None:
        truth = moved(truth, maps, mode="nearest", outside="zeros")
    with autocast(plan):
        logits = model(images.contiguous(memory_format=torch.channels_last))
    return DiceFocalLoss(sigmoid=True, batch=True)(logits.float(), truth)


def heat_maps(model: nn.Module, images: Tensor) -> np.ndarray:
    """The probability at each pixel.

    Args:
        model: a U-Net.
        images: (n, 3, h, w) in [-1, 1].

    Returns:
        An array (n, h, w), float32 in [0, 1].
    """
    return model(images.contiguous(memory_format=torch.channels_last)).float().sigmoid()[:, 0].cpu().numpy()


def image_scores(heat: np.ndarray) -> np.ndarray:
    """Mean of the pixels that are not 0 in an 8-bit image of the output; 0 where all are.

    Args:
        heat: heat maps (n, h, w) in [0, 1].

    Returns:
        An array (n,) in [0, 1].

    Source:
        Arun et al. 2021, Methods.

    >>> image_scores(np.array([[[0.0, 1.0]], [[0.0, 0.0]]])).tolist()
    [1.0, 0.0]
    """
    grey = np.rint(heat * 255)
    return grey.sum(axis=(1, 2)) / np.maximum((grey > 0).sum(axis=(1, 2)), 1) / 255
