"""What the files of a data set say of an image: where it lies, its label and split, and the shapes drawn in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np


class Shape(Protocol):
    """A part of the truth of an image, in pixels of the image as it is on file."""

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The part as a mask.

        Args:
            width: of the image, in pixels.
            height: of the image, in pixels.

        Returns:
            (height, width) bool.

        Raises:
            SaltrustError: Where the shape cannot belong to such an image.
        """


@dataclass(frozen=True)
class Record:
    """An image of a data set as its files describe it.

    Attributes:
        id: what its files call it, unique in the data set.
        file: where its pixels are.
        label: 1 with and 0 without the finding (any of several independent ones), or the position of its class.
        split: "train", "val", "test", or "" for one that is not used.
        group: what it belongs to (a patient, a slice), "" where nobody says.
        truth: the parts of the finding, none without it; None where nobody says where it lies.
        findings: of a card's independent findings those that it has, each with its parts, none where only its label is
            known; or the one finding, where the truth is what readers made of it.
        readers: what each reader drew who read it, nothing included.
    """

    id: str
    file: Path
    label: int
    split: str = ""
    group: str = ""
    truth: tuple[Shape, ...] | None = ()
    findings: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)
    readers: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)
