"""What one or several readers drew, and the truth that follows: where at least so many of them agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import ceil
from typing import NamedTuple

import numpy as np

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import Box, CocoMask, MaskFile

MOST_WAYS = 100_000  # in which readers may agree


class Drawing(NamedTuple):
    """Something drawn in an image.

    Attributes:
        shape: what was drawn; None where a finding is named and not drawn.
        finding: that it marks, "" in a card of one.
        reader: who drew it, "" where nobody says.
    """

    shape: Shape | None
    finding: str = ""
    reader: str = ""


def with_drawings(
    card: Card, record: Record, drawings: Sequence[Drawing], readers: Sequence[str] = (), votes: int = 1
) -> Record | None:
    """A record with what was drawn in its image.

    Args:
        card: whose findings and truth the record has.
        record: all else that the files say of the image.
        drawings: in the image, of any finding and by any reader.
        readers: who read it, be it that they drew nothing; none where nobody says who drew.
        votes: how many of them must have marked a pixel of the truth.

    Returns:
        The record with its truth, findings and readers; None where readers drew a finding, but too few of them the same
        pixels: whether the image has it is open then.
    """
    truths: dict[str, tuple[Shape, ...]] = {}
    for finding in dict.fromkeys(drawing.finding for drawing in drawings):
        shapes = [(one.reader, one.shape) for one in drawings if one.finding == finding and one.shape is not None]
        truths[finding] = tuple(shape for _, shape in shapes)
        if readers:
            drawn = [[shape for name, shape in shapes if name == reader] for reader in readers]
            truths[finding] = agreed(drawn, votes)
            if not truths[finding]:
                return None
    truth, findings = truths.get("", ()), {}
    if card.findings:  # a shape may mark several of them
        truth, findings = tuple(dict.fromkeys(shape for shapes in truths.values() for shape in shapes)), truths
    if card.truth == "none":
        truth, findings = None, dict.fromkeys(findings, ())
    by_reader = {
        reader: tuple(dict.fromkeys(one.shape for one in drawings if one.reader == reader and one.shape is not None))
        for reader in readers
    }
    return replace(record, truth=truth, findings=findings, readers=by_reader)


@dataclass(frozen=True)
class Common:
    """What several shapes share."""

    shapes: tuple[Shape, ...]

    def drawn(self, width: int, height: int) -> np.ndarray:
        """The pixels that lie in every shape, (height, width) bool."""
        return np.logical_and.reduce([shape.drawn(width, height) for shape in self.shapes])


def agreed(readers: Sequence[Sequence[Shape]], votes: int) -> tuple[Shape, ...]:
    """The truth by votes.

    Args:
        readers: what each of them drew: boxes, polygons or masks.
        votes: how many of them must have marked a pixel.

    Returns:
        Shapes that together cover the pixels that at least `votes` of the readers marked. What boxes share is a box.
        Nothing is left where no pixel's centre is shared.

    Raises:
        SaltrustError: For so many shapes that their combinations would take for ever.

    >>> agreed([[Box(0, 0, 4, 4)], [Box(2, 1, 6, 6)], []], votes=2)
    (Box(x0=2, y0=1, x1=4, y1=4),)
    """
    if (ways := _ways([len(shapes) for shapes in readers], votes)) > MOST_WAYS:
        raise SaltrustError(
            f"{votes} of {len(readers)} readers may agree in {ways:,} ways, with one shape of each, and at most "
            f"{MOST_WAYS:,} are tried: ask for fewer votes, or give what a reader drew as one mask"
        )
    chosen = (one for some in combinations(readers, votes) for one in product(*some))
    shared = (_shared(one) for one in chosen)
    return tuple(dict.fromkeys(shape for shape in shared if shape is not None))


def _ways(counts: Sequence[int], votes: int) -> int:
    """In how many ways one can take a shape of each of `votes` readers, who drew so many: the coefficient of x^votes in
    the product of 1 + count x."""
    ways = [1] + [0] * votes
    for count in counts:
        ways = [ways[0], *(ways[k] + count * ways[k - 1] for k in range(1, votes + 1))]
    return ways[votes]


def _shared(shapes: tuple[Shape, ...]) -> Shape | None:
    if len(shapes) == 1:
        return shapes[0]
    common = Common(shapes)
    if masks := [shape for shape in shapes if isinstance(shape, CocoMask | MaskFile)]:
        return common if common.drawn(*_size(masks[0])).any() else None
    around = [shape if isinstance(shape, Box) else shape.bounds() for shape in shapes]
    x0, y0 = (max(values) for values in zip(*((box.x0, box.y0) for box in around), strict=True))
    x1, y1 = (min(values) for values in zip(*((box.x1, box.y1) for box in around), strict=True))
    if ceil(x0 - 0.5) >= x1 - 0.5 or ceil(y0 - 0.5) >= y1 - 0.5:
        return None
    if all(isinstance(shape, Box) for shape in shapes):
        return Box(x0, y0, x1, y1)
    width, height = max(ceil(x1), 0), max(ceil(y1), 0)
    images.check_pixels(width, height)
    return common if common.drawn(width, height).any() else None


def _size(mask: CocoMask | MaskFile) -> tuple[int, int]:
    """Width and height of the image that a mask belongs to."""
    return images.size_of(mask.file) if isinstance(mask, MaskFile) else mask.size[::-1]
