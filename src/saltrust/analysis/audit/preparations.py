"""One map, prepared in several ways before it is scored: what a score owes to the preparation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from saltrust.methods.preparation import prepare
from saltrust.scores.auprc import average_precision
from saltrust.scores.ssim import ssim

PREPARATIONS: dict[str, tuple[str, float | None]] = {
    "signed sum": ("sum", None),
    "absolute sum": ("sum_abs", None),
    "… clipped": ("sum_abs", 99.0),
    "|sum|": ("abs_sum", None),
    "positive part": ("sum_positive", None),
    "largest channel": ("max_abs", None),
}
"""How channels become one, and the percentile at which values are cut, by what the way is called."""


def in_every_way(raw: np.ndarray) -> dict[str, np.ndarray]:
    """One raw map, prepared in each way of PREPARATIONS.

    Args:
        raw: (channels, height, width), any real numbers.

    Returns:
        Maps (height, width) in [0, 1], by the way.

    >>> maps = in_every_way(np.array([[[1.0, -4.0]], [[1.0, 0.0]]]))
    >>> maps["signed sum"].tolist(), maps["absolute sum"].tolist()
    ([[1.0, 0.0]], [[0.0, 1.0]])
    """
    return {name: prepare(raw[None], *way)[0] for name, way in PREPARATIONS.items()}


def scores_by_preparation(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], truth: np.ndarray
) -> pd.DataFrame:
    """What two networks' maps of one image score, by the way in which they were prepared.

    Args:
        first: Maps (height, width) in [0, 1] of one network, from `in_every_way`.
        second: Those of the other.
        truth: (height, width), boolean.

    Returns:
        By the way: auprc_first, auprc_second (average precision), and ssim, that of the two maps.

    >>> rng = np.random.default_rng(0)
    >>> maps = in_every_way(rng.normal(size=(3, 16, 16)))
    >>> scores_by_preparation(maps, maps, rng.random((16, 16)) > 0.5)["ssim"].round(6).unique().tolist()
    [1.0]
    """
    rows = {
        name: {
            "auprc_first": average_precision(first[name], truth),
            "auprc_second": average_precision(second[name], truth),
            "ssim": ssim(first[name], second[name], data_range=1.0).item(),
        }
        for name in first
    }
    return pd.DataFrame.from_dict(rows, orient="index")
