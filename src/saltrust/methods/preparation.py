"""From a raw map to the grey map that is scored or shown: channels joined, cut from above, rescaled."""

from collections.abc import Callable

import numpy as np
from skimage.transform import resize

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry

CHANNELS: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("channel reduction")
"""How channels are joined: (n, c, h, w) -> (n, h, w)."""
CHANNELS.register("sum")(lambda raw: raw.sum(1))
CHANNELS.register("sum_abs")(lambda raw: np.abs(raw).sum(1))
CHANNELS.register("abs_sum")(lambda raw: np.abs(raw.sum(1)))
CHANNELS.register("max")(lambda raw: raw.max(1))
CHANNELS.register("max_abs")(lambda raw: np.abs(raw).max(1))
CHANNELS.register("sum_positive")(lambda raw: np.maximum(raw, 0).sum(1))

RESCALINGS = ("minmax", "none")


def prepare(raw: np.ndarray, channels: str, clip: float | None = None, rescale: str = "minmax") -> np.ndarray:
    """Join the channels of raw maps, cut them above a percentile and rescale each to [0, 1].

    Every step is monotone in the joined value. A constant map becomes zeros. NaN pixels stay NaN and are left out of
    percentile, minimum and maximum. Where the percentile is the minimum itself (a sparse map), all that lies above it
    becomes 1: the limit of a cut just above.

    Args:
        raw: maps (n, c, h, w), any real numbers.
        channels: how channels are joined, a name in CHANNELS.
        clip: percentile (0 to 100] of the map's pixels above which values are cut; None for no cut.
        rescale: "minmax" or "none".

    Returns:
        Maps (n, h, w), float64.

    Raises:
        SaltrustError: the maps have another shape, or a setting is not allowed.

    >>> prepare(np.array([[[[0.0, 1.0]], [[0.0, -3.0]]]]), "sum_abs").tolist()
    [[[0.0, 1.0]]]
    """
    raw = np.asarray(raw)
    if raw.ndim != 4:
        raise SaltrustError(f"raw maps have shape (n, channels, height, width), not {raw.shape}")
    if clip is not None and not 0 < clip <= 100:
        raise SaltrustError(f"clip is {clip}; it is a percentile above 0 and up to 100, or None")
    if rescale not in RESCALINGS:
        raise unknown_name("rescaling", rescale, RESCALINGS)
    join, prepared = CHANNELS[channels], np.empty((len(raw), *raw.shape[2:]))
    for i, one in enumerate(prepared):  # map by map: in double precision, all at once would take twice their memory
        one[:] = _prepare_one(join(raw[i : i + 1].astype(np.float64))[0], clip, rescale)
    return prepared


def rounded(maps: np.ndarray, bits: int | None) -> np.ndarray:
    """Maps as a picture of so many bits holds them.

    Args:
        maps: of any shape, in [0, 1].
        bits: 2^bits grey levels from 0 to 1; None leaves the maps as they are.

    Returns:
        Maps of the same shape, in [0, 1].

    Source:
        Arun et al. 2021, Methods: the U-Net's output times 255, rounded.

    >>> rounded(np.array([0.0, 0.2, 0.6, 1.0]), 1).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    return maps if bits is None else np.rint(maps * (2**bits - 1)) / (2**bits - 1)


def resized(maps: np.ndarray, size: int) -> np.ndarray:
    """Maps at another size, by linear interpolation, smoothed first where they shrink.

    Args:
        maps: (n, h, w).
        size: side of the new maps in pixels.

    Returns:
        Maps (n, size, size).

    >>> resized(np.ones((1, 4, 4)), 2).round(6).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    if maps.shape[1:] == (size, size):
        return maps
    return np.stack([resize(one, (size, size), order=1, anti_aliasing=size < one.shape[0]) for one in maps])


def _prepare_one(grey: np.ndarray, clip: float | None, rescale: str) -> np.ndarray:
    if np.isnan(grey).all():
        return grey
    cut = np.nanmax(grey) if clip is None else np.nanpercentile(grey, clip)
    if rescale == "none":
        return np.minimum(grey, cut)
    low = np.nanmin(grey)
    if cut > low:
        return (np.minimum(grey, cut) - low) / (cut - low)
    return np.where(np.isnan(grey), np.nan, grey > low)
