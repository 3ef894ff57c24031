"""Truth drawn by several readers: where at least so many of them agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import ceil

import numpy as np

from saltrust.datasets.records import Shape
from saltrust.datasets.shapes import Box, Polygon


@dataclass(frozen=True)
class Common:
    """What several shapes share."""

    shapes: tuple[Shape, ...]

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The pixels that lie in every shape, (height, width) bool."""
        return np.logical_and.reduce([shape.drawn(width, height) for shape in self.shapes])


def agreed(readers: Sequence[Sequence[Box | Polygon]], votes: int) -> tuple[Shape, ...]:
    """Shapes that together cover the pixels that at least `votes` of the readers marked.

    readers: what each of them drew, boxes or polygons. What boxes share is a box. Nothing is left where no pixel's
    centre is shared.
    """
    chosen = (one for some in combinations(readers, votes) for one in product(*some))
    shared = (_shared(one) for one in chosen)
    return tuple(dict.fromkeys(shape for shape in shared if shape is not None))


def _shared(shapes: tuple[Box | Polygon, ...]) -> Shape | None:
    if len(shapes) == 1:
        return shapes[0]
    around = [shape if isinstance(shape, Box) else shape.bounds() for shape in shapes]
    x0, y0 = (max(values) for values in zip(*((box.x0, box.y0) for box in around), strict=True))
    x1, y1 = (min(values) for values in zip(*((box.x1, box.y1) for box in around), strict=True))
    if ceil(x0 - 0.5) >= x1 - 0.5 or ceil(y0 - 0.5) >= y1 - 0.5:
        return None
    if all(isinstance(shape, Box) for shape in shapes):
        return Box(x0, y0, x1, y1)
    shared = Common(shapes)
    return shared if shared.drawn(ceil(x1), ceil(y1)).any() else None
