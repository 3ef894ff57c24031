"""Anyone's images with masks, as of the loader `folder`, which three simulated readers then read.

The truth is what two of them mark, as in data that several people have read. The mask itself stays beside it, as the
pixels of the finding: so one can ask how far a consensus lies from the truth on real images, too.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import ndimage

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import folder, images
from saltrust.datasets.files import at
from saltrust.datasets.generated import parameters
from saltrust.datasets.loaders import LOADERS, refuse_findings
from saltrust.datasets.loading import loader
from saltrust.datasets.readers import agreed
from saltrust.datasets.records import Record
from saltrust.datasets.simulated_readers import READERS, VOTES, ReaderParameters, read

FIELDS = 4  # along each side of an image: the middles of its brighter fields are where a mistaken reader looks


@dataclass(frozen=True)
class FolderReaders(ReaderParameters):
    """Those who read the images of a folder. Raises SaltrustError for a value outside its range."""

    doubt: float = 0.05  # probability that an image is hard for all of them
    seed: int = 0  # of what readers do, which does not depend on how many images are used

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.doubt <= 0.5:
            raise SaltrustError(f"readers: doubt must lie between 0 and 0.5, not {self.doubt}")
        if self.seed < 0:
            raise SaltrustError(f"readers: seed must not be negative, not {self.seed}")


def records(card: Card) -> list[Record]:
    """The images of a card with a table and masks, as they were read.

    An image with the finding in which no two readers mark the same pixel is not used. In one without it nobody draws.

    Raises:
        SaltrustError: As the loader `folder`, and for a card whose images cannot be read so.
    """
    refuse_findings(card)
    if card.classes or card.truth != "mask" or card.table is None or card.table.reader:
        raise SaltrustError(
            f"card '{card.name}': the loader '{card.loader}' reads images of a 'table' with truth 'mask', with and "
            "without one finding: no 'classes', no 'reader'"
        )
    given = parameters(FolderReaders, card.parameters, "readers")
    return [found for one in folder.records(card) if (found := _as_read(one, card.finding, given)) is not None]


def _as_read(record: Record, finding: str, given: FolderReaders) -> Record | None:
    """The record with what readers drew, and the truth by their votes; None where they do not agree."""
    if not record.label:
        return replace(record, readers=dict.fromkeys(READERS, ()))
    with at(f"image {record.id}"):
        pixels = images.read(record.file)
        height, width = pixels.shape[:2]
        if not record.truth:
            raise SaltrustError(f"is labelled with {finding}, and has no mask")
        mask = np.any([shape.drawn(width, height) for shape in record.truth], axis=0)
        if not mask.any():
            raise SaltrustError(f"is labelled with {finding}, and its mask is empty")
        rng = np.random.default_rng([given.seed, *record.id.encode()])
        boxes = read(lesions(mask), bright_places(pixels), (width, height), given, rng, hard=given.doubt)
    truth = agreed(list(boxes.values()), VOTES)
    return replace(record, truth=truth, findings={finding: record.truth}, readers=boxes) if truth else None


def lesions(mask: np.ndarray) -> np.ndarray:
    """The boxes around the parts of a mask that hang together.

    Args:
        mask: (h, w) bool.

    Returns:
        x0, y0, x1, y1 of each in pixels (n, 4), the largest part first.

    >>> lesions(np.array([[True, False, False], [False, False, True], [False, False, True]])).tolist()
    [[2.0, 1.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]]
    """
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    order = np.argsort(-np.bincount(parts.ravel(), minlength=count + 1)[1:], kind="stable")
    around = ndimage.find_objects(parts)
    return np.array([[x.start, y.start, x.stop, y.stop] for y, x in (around[k] for k in order)], float).reshape(-1, 4)


def bright_places(pixels: np.ndarray) -> np.ndarray:
    """Where a reader may look who is mistaken: the middles of those fields of an image that are as bright as the whole,
    or brighter. On a radiograph that is bone, and not the air around it.

    Args:
        pixels: (h, w) or (h, w, 3) uint8.

    Returns:
        x, y of each in pixels (n, 2), at least one.

    >>> bright_places(np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1).repeat(16, axis=0))[:2].tolist()
    [[10.0, 2.0], [14.0, 2.0]]
    """
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    height, width = grey.shape
    fields = images.resized(grey.astype(np.uint8), FIELDS).astype(float)
    bright = fields >= fields.mean()
    return np.array(
        [
            ((column + 0.5) * width / FIELDS, (row + 0.5) * height / FIELDS)
            for row, column in product(range(FIELDS), repeat=2)
            if bright[row, column]
        ]
    )


LOADERS.register("folder_with_readers")(loader(records))
