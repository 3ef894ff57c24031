"""Keys: what an image is drawn from, and the random numbers that each of its parts has for itself."""

from collections.abc import Sequence

import numpy as np

from saltrust.core.card_parts import SPLITS
from saltrust.core.errors import SaltrustError, unknown_name

SMALLEST, LARGEST = 32, 2048  # pixels per side

# Every part of an image has random numbers of its own: switching one part on or off leaves the others as they are.
PATIENT, ANATOMY, FINDING, CONFOUNDERS, MIMIC, GRAIN, LABEL, ORDER, PRESENT, REPORTED, SEVERAL = range(11)
"""SEVERAL is the first of several findings, and the last part here: each of them has one, SEVERAL + its position."""


def random(key: Sequence[int], part: int) -> np.random.Generator:
    """The random numbers of one part of an image."""
    return np.random.default_rng([*key, part])


def check(key: Sequence[int], size: int) -> None:
    """Raise SaltrustError for a key or a size that no image has."""
    if not key or any(number < 0 for number in key):
        raise SaltrustError(f"phantom: a key is one or more integers >= 0, not {tuple(key)}")
    if not SMALLEST <= size <= LARGEST:
        raise SaltrustError(f"phantom: size must lie between {SMALLEST} and {LARGEST} pixels, not {size}")


def of_split(split: str, count: int, seed: int) -> tuple[int, int]:
    """The key of all images of a split. Raises SaltrustError for an unknown split, or a bad count or seed."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if count < 1 or seed < 0:
        raise SaltrustError(f"phantom: count must be at least 1 and seed not negative, not {count} and {seed}")
    return seed, SPLITS.index(split)
