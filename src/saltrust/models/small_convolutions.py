"""Convolutions on small grids as matrix products, in which form a processor trains them faster.

Where a layer has many channels on a grid of a few pixels, oneDNN's convolution is slow, and most of all its gradient of
the weights. With 512 -> 512 channels and 3 x 3 weights in bfloat16, forward and backward take, this way, a third of the
time on a grid of 2 x 2, half on 3 x 3 and two thirds on 4 x 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEWEST_WEIGHTS = 1_000_000  # of a layer, and largest side of its output in pixels, for which this is faster (measured)
LARGEST_GRID = 4


class MatrixProductConv2d(nn.Conv2d):
    """A convolution with the weights of another, which it shares; the result is the same to rounding.

    Args:
        layer: a convolution that is not dilated, not in groups, and has a border of zeros.

    >>> layer = nn.Conv2d(2, 3, 3, padding=1)
    >>> images = torch.ones(1, 2, 4, 4)
    >>> torch.allclose(MatrixProductConv2d(layer)(images), layer(images), atol=1e-5)
    True
    """

    def __init__(self, layer: nn.Conv2d):
        bias = layer.bias is not None
        sizes = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
        super().__init__(*sizes, bias=bias, device="meta")
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) -> images (n, k, rows, columns)."""
        (rows, columns), (down, right) = self.kernel_size, self.stride
        above, beside = self.padding
        height = (images.shape[2] + 2 * above - rows) // down + 1
        width = (images.shape[3] + 2 * beside - columns) // right + 1
        if max(height, width) > LARGEST_GRID:
            return super().forward(images)
        padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, beside, beside, above, above))
        patches = [
            padded[:, i : i + down * (height - 1) + 1 : down, j : j + right * (width - 1) + 1 : right]
            for i in range(rows)
            for j in range(columns)
        ]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(torch.cat(patches, 3), weight, self.bias).permute(0, 3, 1, 2)


def use_matrix_products(model: nn.Module) -> None:
    """Let the convolutions of a model with many weights compute matrix products where their grid is small.

    Names and tensors of the state stay what they were. Convolutions in groups, dilated or with a border other than
    zeros are left alone.

    Args:
        model: changed in place.
    """
    for path, layer in list(model.named_modules()):
        if type(layer) is not nn.Conv2d or layer.weight.numel() < FEWEST_WEIGHTS:
            continue
        if (layer.groups, layer.dilation, layer.padding_mode) == (1, (1, 1), "zeros"):
            model.set_submodule(path, MatrixProductConv2d(layer))
