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
    """
    decks = [_deal(np.flatnonzero(labels == label), rng) for label in np.unique(labels)]
    dealt = 0
    while True:
        turns = [decks[(dealt + i) % len(decks)] for i in range(batch_size)]
        yield np.array([next(deck) for deck in turns])
        dealt += batch_size


def shuffled_batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of indices below n, dealt from one deck that is reshuffled when it runs out."""
    deck = _deal(np.arange(n), rng)
    while True:
        yield np.array([next(deck) for _ in range(batch_size)])


def _deal(cards: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(cards)


def random_affine(n: int, rng: torch.Generator, rotation: float = 10.0) -> Tensor:
    """n random maps (n, 2, 3) from output to input positions, both in [-1, 1] across the image.

    Half of them mirror; rotation up to +-`rotation` degrees, scale 0.9-1.1, shift up to 5 % of the side.
    """
    uniform = 2 * torch.rand(5, n, generator=rng) - 1
    angle, scale, shift = uniform[0] * math.radians(rotation), 1 + 0.1 * uniform[1], 0.1 * uniform[2:4]
    mirror = torch.where(uniform[4] < 0, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    return torch.stack(
        [torch.stack([mirror * cos, -sin, shift[0]], 1), torch.stack([mirror * sin, cos, shift[1]], 1)], 1
    )


def moved(images: Tensor, maps: Tensor, mode: str = "bilinear", outside: str = "border") -> Tensor:
    """Images (n, c, h, w) under affine maps (n, 2, 3); outside: "border" repeats the edge, "zeros" fills with 0."""
    grid = F.affine_grid(maps.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode=outside, align_corners=False)


def relit(images: Tensor, rng: torch.Generator, input_range: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Images (n, c, h, w) with contrast x0.8-1.2 about each image's mean and brightness +-10 % of the input range."""
    black, white = input_range
    uniform = ((2 * torch.rand(2, len(images), 1, 1, 1, generator=rng) - 1) * 0.2).to(images.device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    shift = uniform[1] * ((white - black) / 2)
    return (mean + (1 + uniform[0]) * (images - mean) + shift).clamp(black, white)


def mirrored(images: Tensor, rng: torch.Generator) -> Tensor:
    """Images (n, c, h, w), of which a random half is mirrored left to right."""
    chosen = torch.rand(len(images), 1, 1, 1, generator=rng) < 0.5
    return torch.where(chosen.to(images.device), images.flip(3), images)
