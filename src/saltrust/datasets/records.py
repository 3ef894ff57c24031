"""What the files of a data set say of an image: where it lies, its label, its split, and the shapes of its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


class Shape(Protocol):
    """A part of the truth of an image, in pixels of the image as it is on file."""

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The part as a mask (height, width), bool, for an image of that size. Raises SaltrustError where it cannot
        belong to such an image."""


@dataclass(frozen=True)
class Record:
    """An image of a data set as its files describe it.

    id: what its files call it, unique in the data set. file: where its pixels are. label: 1 with and 0 without the
    finding, or the position of its class. split: "train", "val", "test", or "" for one that is not used. group: what it
    belongs to (a patient, a slice), "" where nobody says. truth: the parts of the finding, none without it.
    """

    id: str
    file: Path
    label: int
    split: str = ""
    group: str = ""
    truth: tuple[Shape, ...] = ()
