"""SIIM-ACR Pneumothorax Segmentation: DICOM, and masks in a table as lengths of runs.

Ours, for torchxrayvision's reader takes every row for an image (12,954 for 12,047), keeps only the last mask of an
image with several, knows no patients, does not turn MONOCHROME1 round, and looks for the images of a second data set
in the folder of the first.
"""

from collections.abc import Collection
from dataclasses import replace

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import track
from saltrust.datasets import images, published
from saltrust.datasets.files import at, present, rows
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import RunLength
from saltrust.datasets.splits import named_splits

SIDE = 1024  # pixels of an image, which the runs count
NONE = "-1"  # in the place of runs, for an image without the finding


class SiimParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        table: with ImageId and EncodedPixels.
        images: folder of the DICOM files, however deep they lie.
        splits: a table with Image_ID and Split; images that it lacks are not used.
    """

    table: str = "train-rle.csv"
    images: str = "."
    splits: str = ""


def records(card: Card) -> list[Record]:
    """Every image of the table, its runs in one or several rows. Files that the table lacks have no label: not used.

    The patient is that of the DICOM header: the UID only numbers the images as they were converted.
    """
    given = published.parameters(card, SiimParameters)
    masks = _masks(card, given.table)
    published.counted(card, given, images=len(masks), positive=sum(map(bool, masks.values())))
    splits = named_splits(card, given.splits) if given.splits else dict.fromkeys(masks, "")
    folder = present(card, given.images)
    find = published.by_name(card.root, folder, ".dcm")
    labelled = [
        Record(uid, find(uid), int(bool(runs)), splits[uid], truth=runs) for uid, runs in masks.items() if uid in splits
    ]
    found = published.here(card, given, labelled)
    published.of_size(card, found, SIDE, SIDE)
    return [replace(record, group=_patient(record)) for record in track(found, f"reading the headers of {card.name}")]


def _masks(card: Card, file: str) -> dict[str, tuple[RunLength, ...]]:
    """The parts of every image's mask, none for one without the finding. A row that is there twice counts once."""
    masks: dict[str, dict[str, RunLength | None]] = {}
    for line, uid, cell in rows(card, file, ("ImageId", "EncodedPixels")):
        with at(f"{file}, line {line}"):
            cells = masks.setdefault(uid, {})
            if cell.strip() not in cells:
                cells[cell.strip()] = _runs(cell.strip(), cells)
    return {uid: tuple(runs for runs in cells.values() if runs) for uid, cells in masks.items()}


def _runs(cell: str, others: Collection[str]) -> RunLength | None:
    if others and NONE in (cell, *others):
        raise SaltrustError(f"the image has a mask in one row and none ({NONE}) in another")
    if cell == NONE:
        return None
    runs = RunLength.relative(cell)
    if (end := sum(runs.runs[-1])) > SIDE**2:
        raise SaltrustError(f"the runs reach pixel {end}, an image has {SIDE} x {SIDE} = {SIDE**2}")
    return runs


def _patient(record: Record) -> str:
    return images.patient_of(record.file) or record.id


LOADERS.register("siim")(loader(records))
