"""A split of a data set in memory: images, labels and where the finding lies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saltrust.core.errors import SaltrustError


@dataclass(frozen=True)
class Split:
    """n images with labels and pixel truth; checked when made, so that nothing downstream need ask.

    pixels: (n, h, w) or (n, h, w, 3) uint8. labels: (n,) int64, positions in `classes`. truth: (n, h, w) bool, True
    inside the finding (box truth: inside any box). boxes: (m, 5) float32 rows image index, x0, y0, x1, y1 in pixels,
    half-open; m = 0 where the truth is masks. ids: (n,) str. classes: their names. absent: the label of an image
    without the finding, None where every image has one. grades: (n, h, w) uint8 where the truth is graded, else None:
    0 outside, 1 on the body of the finding, 2 on the features that tell its class; above 0 where the truth is True.
    Raises SaltrustError where an array has another shape, type or range.
    """

    pixels: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    boxes: np.ndarray
    ids: np.ndarray
    classes: tuple[str, ...] = ("without", "with")
    absent: int | None = 0
    grades: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.pixels)
        grey_or_colour = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        _require(grey_or_colour, "pixels", "(n, h, w) or (n, h, w, 3)", f"shape {shape}")
        self._check("pixels", np.uint8, shape)
        self._check("labels", np.int64, shape[:1])
        self._check("truth", np.bool_, shape[:3])
        self._check("boxes", np.float32, (len(self.boxes), 5))
        self._check("ids", np.str_, shape[:1])
        known = range(len(self.classes))
        _require(np.isin(self.labels, known).all(), "labels", f"0 to {known[-1]}", f"values {np.unique(self.labels)}")
        _require(self.absent is None or self.absent in known, "absent", f"0 to {known[-1]} or None", f"{self.absent}")
        _require(len(np.unique(self.ids)) == len(self.ids), "ids", "unique", "a repeated id")
        self._check_boxes()
        if self.grades is not None:
            self._check("grades", np.uint8, shape[:3])
            _require((self.grades <= 2).all(), "grades", "0, 1 or 2", f"values up to {self.grades.max()}")
            same = np.array_equal(self.grades > 0, self.truth)
            _require(same, "grades", "above 0 where the truth is True, and only there", "other pixels")

    def _check(self, name: str, dtype: type, shape: tuple[int, ...]) -> None:
        array = np.asarray(getattr(self, name))
        expected = f"{dtype.__name__.rstrip('_')} of shape {shape}"
        _require(
            np.issubdtype(array.dtype, dtype) and array.shape == shape, name, expected, f"{array.dtype} {array.shape}"
        )

    def _check_boxes(self) -> None:
        image, x0, y0, x1, y1 = self.boxes.T
        height, width = self.truth.shape[1:]
        inside = (image >= 0) & (image < len(self.labels)) & (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height)
        valid = inside & (x0 < x1) & (y0 < y1)
        _require(valid.all(), "boxes", "inside an image of the split, x0 < x1, y0 < y1", f"{self.boxes[~valid][:1]}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def present(self) -> np.ndarray:
        """Whether each image has the finding (n,)."""
        return np.ones(len(self), dtype=bool) if self.absent is None else self.labels != self.absent

    def positives(self) -> np.ndarray:
        """Indices of the images that have the finding, ascending."""
        return np.flatnonzero(self.present)


def joined(splits: Sequence[Split]) -> Split:
    """Splits of the same kind one after the other, their images in that order. ids must differ between them."""
    first = splits[0]
    offsets = np.cumsum([0, *(len(split) for split in splits[:-1])])
    boxes = [
        split.boxes + np.array([offset, 0, 0, 0, 0], np.float32) for split, offset in zip(splits, offsets, strict=True)
    ]
    arrays = {
        name: np.concatenate([getattr(split, name) for split in splits])
        for name in ("pixels", "labels", "truth", "ids")
    }
    grades = None if first.grades is None else np.concatenate([split.grades for split in splits])
    return replace(first, boxes=np.concatenate(boxes), grades=grades, **arrays)


def _require(holds: bool, name: str, expected: str, found: str) -> None:
    if not holds:
        raise SaltrustError(f"split: {name} must be {expected}, found {found}")
