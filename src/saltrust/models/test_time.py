"""Test-time augmentation: changed copies of an image, whose outputs tell how sure a network is of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from saltrust.models.augmentation import moved

PAPER = 320  # pixels a side, at which the sizes below are meant; they shrink with the image
BLUR, PADDING, TURN = 10, 8, 45.0  # side of the box, pixels that a crop may move by, degrees


def changed(images: Tensor, rng: torch.Generator, black: float) -> Tensor:
    """One copy of each image: turned by up to 45 degrees, blurred by a box of 10 pixels, padded by 8 and cropped anew.

    The sizes are those of images of 320 pixels, and shrink with the image. The paper names the three changes and not
    how they are joined: here each copy undergoes all three.

    Args:
        images: (n, c, h, w).
        rng: source of the random draws.
        black: the value outside the image.

    Returns:
        Images of the same shape.

    Source:
        Shu et al. 2024, Methods, test-time augmentation.

    >>> changed(torch.ones(2, 1, 32, 32), torch.Generator().manual_seed(0), 0.0).shape
    torch.Size([2, 1, 32, 32])
    """
    n, side = len(images), images.shape[-1]
    angle = math.radians(TURN) * (2 * torch.rand(n, generator=rng) - 1)
    shift = 2 * PADDING / PAPER * (2 * torch.rand(2, n, generator=rng) - 1)  # in half sides, as `moved` counts
    cos, sin = angle.cos(), angle.sin()
    maps = torch.stack([torch.stack([cos, -sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)], 1)
    turned = moved(images - black, maps, outside="zeros") + black
    box = max(1, round(BLUR * side / PAPER))
    before, after = (box - 1) // 2, box // 2  # an even box has no middle
    return F.avg_pool2d(F.pad(turned, (before, after, before, after), mode="replicate"), box, stride=1)
