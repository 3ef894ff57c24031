"""A split of a data set in memory: images, labels and where the finding lies."""

from dataclasses import dataclass

import numpy as np

from saltrust.errors import SaltrustError


@dataclass(frozen=True)
class Split:
    """n images with binary labels and pixel truth; checked when made, so that nothing downstream need ask.

    pixels: (n, h, w) or (n, h, w, 3) uint8. labels: (n,) int64, 0 or 1. truth: (n, h, w) bool, True inside the finding
    (box truth: inside any box). boxes: (m, 5) float32 rows image index, x0, y0, x1, y1 in pixels, half-open; m = 0
    where the truth is masks. ids: (n,) str. Raises SaltrustError where an array has another shape, type or range.
    """

    pixels: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    boxes: np.ndarray
    ids: np.ndarray

    def __post_init__(self) -> None:
        shape = np.shape(self.pixels)
        grey_or_colour = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        _require(grey_or_colour, "pixels", "(n, h, w) or (n, h, w, 3)", f"shape {shape}")
        self._check("pixels", np.uint8, shape)
        self._check("labels", np.int64, shape[:1])
        self._check("truth", np.bool_, shape[:3])
        self._check("boxes", np.float32, (len(self.boxes), 5))
        self._check("ids", np.str_, shape[:1])
        _require(np.isin(self.labels, (0, 1)).all(), "labels", "0 or 1", f"values {np.unique(self.labels)[:5]}")
        _require(len(np.unique(self.ids)) == len(self.ids), "ids", "unique", "a repeated id")
        self._check_boxes()

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

    def positives(self) -> np.ndarray:
        """Indices of the images that have the finding, ascending."""
        return np.flatnonzero(self.labels == 1)


def _require(holds: bool, name: str, expected: str, found: str) -> None:
    if not holds:
        raise SaltrustError(f"split: {name} must be {expected}, found {found}")
