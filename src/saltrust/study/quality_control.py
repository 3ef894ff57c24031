"""What is wrong with a set of maps before any score: NaN, constant and empty maps are counted, never dropped."""

import numpy as np

from saltrust.artefacts.maps import Maps


def count_faults(maps: np.ndarray) -> dict[str, int]:
    """How many raw maps (n, channels, height, width) hold NaN or infinity, are constant but not 0, or are all 0."""
    flat = maps.reshape(len(maps), -1)
    broken = ~np.isfinite(flat).all(axis=1)
    level = flat.min(axis=1) == flat.max(axis=1)
    zero = (flat == 0).all(axis=1)
    return {
        "maps": len(maps),
        "not_finite": int(broken.sum()),
        "constant": int((level & ~zero & ~broken).sum()),
        "empty": int(zero.sum()),
    }


def residual(maps: Maps) -> float:
    """By what share a set of maps misses what it should add up to: sum |residual| / sum |total|, 0 for exact
    attribution. NaN for a method that has no total."""
    if maps.totals is None:
        return float("nan")
    return float(np.abs(maps.residuals).sum() / np.abs(maps.totals).sum())
