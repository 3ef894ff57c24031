"""Occlusion: hide one window of the image after the other and watch the explained scalar. It runs forward only."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.hidden_parts import Hidden, responses
from saltrust.methods.path_integrals import Key
from saltrust.methods.registry import method

Window = Annotated[float, "side of the window, as a share of the image's side"]
Stride = Annotated[float, "step of the window, as a share of the image's side"]


def _positions(window: float, stride: float) -> int:
    """Windows along one side of the image, the last of which reaches the border."""
    if not 0 < stride <= window <= 1:
        raise SaltrustError(f"shares of the image's side must be 0 < stride <= window <= 1, not {stride=}, {window=}")
    return math.ceil(round((1 - window) / stride, 9)) + 1


def _windows(side: int, window: float, stride: float) -> np.ndarray:
    """Which of `side` pixels each window covers (positions, side); together all of them. The last may be cut off."""
    first = np.arange(_positions(window, stride)) * stride * side
    begin, end = (np.round(np.round(edge, 9)) for edge in (first, first + window * side))  # 10.4999... is a half
    pixel = np.arange(side)
    return (pixel >= begin[:, None]) & (pixel < end[:, None])


@method(
    "occlusion",
    abbreviation="OCC",
    title="Occlusion",
    family="perturbation",
    cite="zeiler2014visualizing",
    formula=r"\frac{1}{|W_i|} \sum_{w \in W_i} \left(f(x) - f(x_{\setminus w})\right)",
    backward=False,
    passes=lambda p: _positions(p["window"], p["stride"]) ** 2 + 1,
    odd=True,
)
def occlusion(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    window: Window = 1 / 8,
    stride: Stride = 1 / 16,
    baseline: Hidden = "grey",
) -> Tensor:
    """How far the explained scalar falls when a window hides the pixel, averaged over the windows that cover it.

    The window takes its shares of the height and of the width, rounded to pixels. Windows at the far borders may be cut
    off.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        window: side of the window, as a share of the image's side, up to 1.
        stride: step of the window, as a share of the image's side, above 0 and up to the window.
        baseline: what hidden pixels become: a name in BASELINES, or a tensor that broadcasts to the images.

    Returns:
        Maps (n, 1, height, width), in units of the explained scalar.

    Raises:
        SaltrustError: window, stride or baseline is not allowed.

    Source:
        Zeiler & Fergus 2014, section 4.2; the average over windows as in captum.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> occlusion(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], window=0.5, stride=0.5).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    accepted = model.accept(images)
    height, width = accepted.shape[2:]
    rows, columns = (
        torch.as_tensor(_windows(side, window, stride), device=accepted.device) for side in (height, width)
    )
    side = len(rows)

    def shown(items: Tensor) -> Tensor:
        position = items % side**2
        return ~(rows[position // side][:, None, :, None] & columns[position % side][:, None, None, :])

    source = torch.arange(len(accepted), device=accepted.device)
    clean = model.scalars(accepted, model.select(accepted)).cpu().double().numpy()
    occluded = responses(model, accepted, baseline, source.repeat_interleave(side**2), shown)
    falls = clean[:, None, None] - occluded.reshape(-1, side, side)
    rows, columns = rows.cpu().numpy().astype(float), columns.cpu().numpy().astype(float)
    maps = rows.T @ falls @ columns / np.outer(rows.sum(0), columns.sum(0))
    return torch.as_tensor(maps[:, None]).to(images.device, accepted.dtype)
