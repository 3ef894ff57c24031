"""A network's outputs for every coalition of an image's parts: some are shown, the others hidden."""

import numpy as np
import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.hidden_parts import hiding_baseline

MOST = 20  # parts that an image shows: 2^20 passes
AT_ONCE = 8192  # partly hidden images in memory


def blocks(size: int, per_side: int) -> np.ndarray:
    """Squares of pixels, numbered row by row.

    Args:
        size: side of the image in pixels.
        per_side: squares along a side, which they divide.

    Returns:
        Labels (size, size), 0 to per_side^2 - 1.

    Raises:
        SaltrustError: the side is no multiple of them.

    >>> blocks(4, 2).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    """
    if per_side < 1 or size < per_side or size % per_side:
        raise SaltrustError(f"{size} pixels are not {per_side} equal blocks")
    place = np.arange(size) // (size // per_side)
    return place[:, None] * per_side + place


def outputs_of_coalitions(
    model: Explained, image: Tensor, labels: np.ndarray, baseline: str | Tensor = "black"
) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of every coalition of an image's parts.

    A part that looks like the baseline changes nothing, whether it is shown or not: it is no player, and 2^k distinct
    images stand for all coalitions, k being the parts that differ from the baseline. This is exact.

    Args:
        model: the network.
        image: (1, channels, height, width), as accepted by the model.
        labels: which part each pixel belongs to (height, width), whole numbers from 0.
        baseline: what hidden pixels become: a name in BASELINES, or a tensor that broadcasts to the image.

    Returns:
        The numbers of the parts that differ from the baseline (k,), ascending; and all outputs (2^k, n_outputs),
        float64, in the order of the tables of `stats.shapley`: part number i of those is shown where bit i is set.

    Raises:
        SaltrustError: the image has more than MOST such parts, or the baseline is none.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> image = torch.tensor([[[[1.0, 1.0], [-1.0, 0.0]]]])
    >>> players, outputs = outputs_of_coalitions(Explained(network), image, blocks(2, 2))
    >>> players.tolist(), outputs[:, 0].tolist()
    ([0, 1, 3], [-1.0, -0.5, -0.5, 0.0, -0.75, -0.25, -0.25, 0.25])
    """
    hidden = hiding_baseline(model, image, baseline)
    differs = (image != hidden).any(1)[0].cpu().numpy()
    players = np.unique(labels[differs])
    if len(players) > MOST:
        raise SaltrustError(f"an image with {len(players)} parts has 2^{len(players)} coalitions; 2^{MOST} at most")
    place = np.searchsorted(players, labels).clip(max=max(len(players) - 1, 0))
    bit = torch.as_tensor(place, device=image.device)
    found = []
    for numbers in torch.arange(2 ** len(players), device=image.device).split(AT_ONCE):
        shown = (numbers[:, None, None] >> bit) & 1 == 1
        found.append(model.outputs(torch.where(shown[:, None], image, hidden)))
    return players, torch.cat(found).cpu().double().numpy()
