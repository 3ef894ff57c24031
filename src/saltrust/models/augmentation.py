"""Which images a training step sees, and how they are varied.

Random numbers are drawn on the processor, a few for each image; the images are varied wherever they are, so that a GPU
gets its pixels as bytes and turns and lights them itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def balanced_batches(labels: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of indices, each with as many images of every class.

    Each class is dealt from its own shuffled deck, reshuffled when it runs out, so that every image of a class is seen
    before one is seen again. What a batch cannot part evenly goes to the classes in turn. A class that is absent leaves
    its share to the others.

    Args:
        labels: of the images (n,).
        batch_size: indices in a batch.
        rng: source of the random draws.

    Yields:
        Indices (batch_size,).

    >>> batch = next(balanced_batches(np.array([0, 0, 0, 1]), 4, np.random.default_rng(0)))
    >>> sorted(np.array([0, 0, 0, 1])[batch].tolist())
    [0, 0, 1, 1]
    """
    decks = [_deal(np.flatnonzero(labels == label), rng) for label in np.unique(labels)]
    dealt = 0
    while True:
        turns = [decks[(dealt + i) % len(decks)] for i in range(batch_size)]
        yield np.array([next(deck) for deck in turns])
        dealt += batch_size


def shuffled_batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of indices, dealt from one deck that is reshuffled when it runs out.

    Args:
        n: number of images; indices are below it.
        batch_size: indices in a batch.
        rng: source of the random draws.

    Yields:
        Indices (batch_size,).

    >>> sorted(next(shuffled_batches(3, 3, np.random.default_rng(0))).tolist())
    [0, 1, 2]
    """
    deck = _deal(np.arange(n), rng)
    while True:
        yield np.array([next(deck) for _ in range(batch_size)])


def _deal(cards: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(cards)


def random_affine(n: int, rng: torch.Generator, rotation: float = 10.0, mirror: bool = False) -> Tensor:
    """Random maps from output to input positions, both in [-1, 1] across the image.

    Scale 0.9-1.1, shift up to 5 % of the side.

    Args:
        n: number of maps.
        rng: source of the random draws.
        rotation: largest rotation to either side, in degrees.
        mirror: whether a random half of them mirror left to right.

    Returns:
        A tensor (n, 2, 3).

    >>> random_affine(2, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 2, 3])
    """
    uniform = 2 * torch.rand(5, n, generator=rng) - 1
    angle, scale, shift = uniform[0] * math.radians(rotation), 1 + 0.1 * uniform[1], 0.1 * uniform[2:4]
    side = torch.where(uniform[4] < 0, -1.0, 1.0) if mirror else torch.ones(n)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    return torch.stack([torch.stack([side * cos, -sin, shift[0]], 1), torch.stack([side * sin, cos, shift[1]], 1)], 1)


def moved(images: Tensor, maps: Tensor, mode: str = "bilinear", outside: str = "border") -> Tensor:
    """Images under affine maps.

    Args:
        images: (n, c, h, w).
        maps: (n, 2, 3), from output to input positions, as from `random_affine`.
        mode: of interpolation, "bilinear" or "nearest".
        outside: "border" repeats the edge, "zeros" fills with 0.

    Returns:
        Images (n, c, h, w).

    >>> mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> moved(torch.tensor([[[[1.0, 2.0]]]]), mirror).tolist()
    [[[[2.0, 1.0]]]]
    """
    grid = F.affine_grid(maps.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode=outside, align_corners=False)


def relit(images: Tensor, rng: torch.Generator, input_range: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Images with contrast x0.8-1.2 about each image's mean and brightness +-10 % of the input range.

    Args:
        images: (n, c, h, w) in the input range.
        rng: source of the random draws.
        input_range: of a black and of a white pixel.

    Returns:
        Images (n, c, h, w) in the input range.

    >>> bool(relit(torch.ones(1, 1, 2, 2), torch.Generator().manual_seed(0)).max() <= 1)
    True
    """
    black, white = input_range
    uniform = ((2 * torch.rand(2, len(images), 1, 1, 1, generator=rng) - 1) * 0.2).to(images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    shift = uniform[1] * ((white - black) / 2)
    return (mean + (1 + uniform[0]) * (images - mean) + shift).clamp(black, white)


def mirrored(images: Tensor, rng: torch.Generator) -> Tensor:
    """Images, of which a random half is mirrored left to right.

    Args:
        images: (n, c, h, w).
        rng: source of the random draws.

    Returns:
        Images (n, c, h, w).

    >>> mirrored(torch.zeros(2, 1, 2, 2), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 2, 2])
    """
    chosen = torch.rand(len(images), 1, 1, 1, generator=rng) < 0.5
    return torch.where(chosen.to(images.device), images.flip(3), images)
