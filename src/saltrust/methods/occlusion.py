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
)
def occlusion(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    window: Annotated[float, "side of the window, as a share of the image's side"] = 1 / 8,
    stride: Annotated[float, "step of the window, as a share of the image's side"] = 1 / 16,
    baseline: Hidden = "grey",
) -> Tensor:
    """How far the explained scalar falls when a window hides the pixel (Zeiler & Fergus 2014, section 4.2), averaged
    over the windows W_i that cover it, as captum does.

    images: (n, channels, height, width) in the model's input range. The window takes its shares of the height and of
    the width, rounded to pixels; windows at the far borders may be cut off. Returns (n, 1, height, width), in units of
    the explained scalar.
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
