"""What the benchmarks work on: drawn radiographs, smooth random maps and an untrained network."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from saltrust.core import data_cards
from saltrust.core.labelled_images import Split
from saltrust.datasets.loaders import LOADERS
from saltrust.methods.path_integrals import noise_sample
from saltrust.models.classifiers import build, to_input

ARCHITECTURE = "inception_v3"
CAM_LAYER = "Mixed_6e"


def radiographs(count: int, side: int) -> Split:
    """Images with their truth."""
    return LOADERS["phantom"].load(data_cards.load("phantom-pneumothorax"), "test", count, side, 0)


def network_inputs(count: int, side: int) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Images as a network sees them, and their noise keys.

    With grain: in flat regions the last bits of a number decide which pixel a pooling layer takes.
    """
    images, keys = to_input(radiographs(count, side).pixels), [(i,) for i in range(count)]
    grain = torch.stack([noise_sample(images.shape[1:], 1, key, 0) for key in keys])
    return (0.9 * images + 0.02 * grain).clamp(-1, 1), keys


def fields(shape: tuple[int, ...], seed: int = 0, smooth: float = 8.0) -> np.ndarray:
    """Smooth random maps (..., height, width), float64: what maps of a network look like."""
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return gaussian_filter(noise, smooth, axes=(-2, -1)).astype(np.float64)


def network() -> nn.Module:
    """Random weights: a trained network takes as long."""
    return build(ARCHITECTURE).eval()
