"""Tables of what readers drew, without the images, as the VGG Image Annotator (VIA) writes them: one for each reader,
or one with a column `reader`.

A line without a region says that the reader saw the image and drew nothing. A column `patient` says which images belong
together; the names of MURA's images say it, too.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.core.tables import read_csv
from saltrust.datasets import images, via
from saltrust.datasets.files import at
from saltrust.datasets.outlines import RowsFilled, crosses_itself
from saltrust.datasets.records import Shape
from saltrust.datasets.shapes import Box, Polygon

READER, PATIENT = "reader", "patient"  # columns that a table may have
MURA_NAME = re.compile(r"(?:train|valid)_[A-Z]+_p(?P<patient>[0-9]+)_s[0-9]+_image[0-9]+\.png")

FILLS: Registry[Callable[[Shape], Shape]] = Registry("way to fill an outline")
FILLS.register("exact")(lambda shape: shape)
FILLS.register("rows")(lambda shape: RowsFilled(shape) if isinstance(shape, Polygon) else shape)


@dataclass(frozen=True)
class Reading:
    """What several readers drew in the same images.

    Attributes:
        drawn: by reader and image, the boxes and polygons; of the images that all of them read, in one order.
        patients: by image, where that is known.
        unshared: images that only some of the readers read; they are in nothing else here.
    """

    drawn: dict[str, dict[str, tuple[Shape, ...]]]
    patients: dict[str, str]
    unshared: tuple[str, ...]

    @property
    def readers(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.drawn)

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the images that all readers read."""
        return tuple(next(iter(self.drawn.values())))

    def masks(self, image: str, size: tuple[int, int] | None = None, fill: str = "exact") -> np.ndarray:
        """What each reader drew in an image.

        Args:
            image: its name.
            size: its width and height; None where nobody knows: then masks reach as far as what is drawn in it.
            fill: how outlines are filled, a name in FILLS: "exact" by the even-odd rule, "rows" as OpenCV does.

        Returns:
            (readers, height, width) bool.

        Raises:
            SaltrustError: the way to fill is unknown, or the image would be too large.
        """
        drawn = [[FILLS[fill](shape) for shape in shapes[image]] for shapes in self.drawn.values()]
        width, height = size or self._extent(image)
        with at(image):
            images.check_pixels(width, height)
            nothing = np.zeros((height, width), dtype=bool)
            return np.stack([np.logical_or.reduce([nothing, *(s.drawn(width, height) for s in own)]) for own in drawn])

    def _extent(self, image: str) -> tuple[int, int]:
        """Width and height of the smallest image, from the upper left corner, that holds all that is drawn."""
        boxes = [bounds(shape) for shapes in self.drawn.values() for shape in shapes[image]]
        width, height = (ceil(max((getattr(box, end) for box in boxes), default=0)) for end in ("x1", "y1"))
        return max(width, 0) + 1, max(height, 0) + 1  # a point of an outline may stand for the pixel behind it

    def oddities(self, size: tuple[int, int] | None = None) -> dict[str, Counter[str]]:
        """How many drawings are not as they should be.

        Args:
            size: width and height of the images; None where nobody knows: then only what lies left of the image or
                above it is known to be outside.

        Returns:
            By what is odd about them, the drawings of each reader; nothing where all are in order.
        """
        found: dict[str, Counter[str]] = {}
        for reader, shapes in self.drawn.items():
            for shape in (one for own in shapes.values() for one in own):
                for what in _odd(shape, size):
                    found.setdefault(what, Counter())[reader] += 1
        return found


def bounds(shape: Shape) -> Box:
    """The smallest box around a box or polygon."""
    return shape if isinstance(shape, Box) else shape.bounds()


def _odd(shape: Shape, size: tuple[int, int] | None) -> Iterable[str]:
    box = bounds(shape)
    width, height = size or (np.inf, np.inf)
    if box.x0 == box.x1 or box.y0 == box.y1:
        yield "without area"
    elif box.x1 <= 0 or box.y1 <= 0 or box.x0 >= width or box.y0 >= height:
        yield "outside the image"
    elif box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height:
        yield "cut by the border of the image"
    if isinstance(shape, Polygon) and crosses_itself(shape):
        yield "with an outline that crosses itself"


def read(files: Sequence[Path]) -> Reading:
    """What readers drew, from their tables.

    Args:
        files: CSV with the columns `filename` and `region_shape_attributes`. With a column `reader` a table may hold
            several; without, it is one reader's, and called as the file is, without "_annotations".

    Returns:
        The drawings of the images that all readers read.

    Raises:
        SaltrustError: a table is broken, a reader has two, there is one reader only, none of the images was read by
            all, or an image has two patients.
    """
    drawn: dict[str, dict[str, list[Shape]]] = {}
    patients: dict[str, str] = {}
    for file in files:
        for reader, own in _one_table(Path(file), patients).items():
            if reader in drawn:
                raise SaltrustError(
                    f"{file}: reader '{reader}' has another table already; name the file after its reader"
                )
            drawn[reader] = own
    if len(drawn) < 2:
        who = f"only '{next(iter(drawn))}'" if drawn else "none"
        raise SaltrustError(f"agreement needs two readers or more, the tables have {who}")
    every = list(dict.fromkeys(image for own in drawn.values() for image in own))
    shared = [image for image in every if all(image in own for own in drawn.values())]
    if not shared:
        counts = ", ".join(f"{reader} {len(own)}" for reader, own in drawn.items())
        raise SaltrustError(f"no image was read by all readers; images of each: {counts}")
    return Reading(
        drawn={reader: {image: tuple(own[image]) for image in shared} for reader, own in drawn.items()},
        patients={image: patients[image] for image in shared if image in patients},
        unshared=tuple(image for image in every if image not in set(shared)),
    )


def _one_table(file: Path, patients: dict[str, str]) -> dict[str, dict[str, list[Shape]]]:
    """The drawings of one table by reader and image; adds the patients of its images."""
    head, rows = read_csv(file)
    head = [name.strip() for name in head]
    for column in (*via.COLUMNS, READER, PATIENT):
        if head.count(column) > 1:
            raise SaltrustError(f"{file}: two columns are called '{column}'")
        if column in via.COLUMNS and column not in head:
            raise SaltrustError(f"{file}: no column '{column}'; columns: {', '.join(head)}")
    found: dict[str, dict[str, list[Shape]]] = {}
    for number, row in enumerate(rows, start=1):
        with at(f"{file}, row {number}"):
            cells = dict(zip(head, row, strict=True))
            image, reader = cells[via.COLUMNS[0]], cells.get(READER, file.stem.removesuffix("_annotations"))
            if not image or not reader:
                raise SaltrustError(f"names no {'reader' if image else 'image'}")
            found.setdefault(reader, {}).setdefault(image, []).extend(via.regions(cells[via.COLUMNS[1]]))
            known = MURA_NAME.fullmatch(image)
            patient = cells.get(PATIENT, known["patient"] if known else "")
            if patient and patients.setdefault(image, patient) != patient:
                raise SaltrustError(f"{image} is of patient '{patient}', and of '{patients[image]}' elsewhere")
    if not rows:
        raise SaltrustError(f"{file}: has no rows")
    return found
