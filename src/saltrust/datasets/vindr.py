"""VinDr-CXR: DICOM, and boxes that three readers each drew in the training images, five together in the test images.

Ours, for torchxrayvision's reader joins the boxes of all readers, cuts coordinates down to whole pixels, knows a
finding by a part of its name, and fails on MONOCHROME1 without a window.
"""

from pydantic import Field

from saltrust.core.card_parts import Number, Whole
from saltrust.core.data_cards import Card, SplitName
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets import published
from saltrust.datasets.files import at, inside, table
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.readers import agreed
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.splits import dealt

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
TOGETHER = "all"  # the reader where a table names none: what several agreed on


class VindrParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        finding: one of the tables' class names.
        tables: by split, with image_id, class_name, rad_id and the corners of a box; without rad_id it holds what
            readers agreed on.
        images: by split, the folder.
        suffix: of the images' names.
        votes: how many readers must have marked a pixel.
        validation: share of the training images for validation, where the card deals no splits.
    """

    finding: str
    tables: dict[SplitName, str] = {"train": "train.csv"}
    images: dict[SplitName, str] = {"train": "train"}
    suffix: str = ".dicom"
    votes: Whole = Field(default=2, ge=1)
    validation: Number = Field(default=0.1, gt=0, lt=1)


def records(card: Card) -> list[Record]:
    """The images in which enough readers marked the same pixels, and those in which none marked the finding.

    The others, in which they disagree, are not used. Nobody says which images are of one patient.
    """
    given = published.parameters(card, VindrParameters)
    if set(given.tables) != set(given.images):
        raise SaltrustError(f"card '{card.name}': parameters: 'tables' and 'images' must name the same splits")
    found, images, contested = [], 0, 0
    for split in given.tables:
        for name, readers in _marked(card, given, split).items():
            together = TOGETHER in readers
            truth = agreed(list(readers.values()), 1 if together else given.votes)
            images += 1
            if not truth and any(readers.values()):
                contested += 1
                continue
            file = inside(card.root, f"{given.images[split]}/{name}{given.suffix}")
            drawn = {} if together else {reader: tuple(boxes) for reader, boxes in readers.items()}
            found.append(Record(name, file, int(bool(truth)), split, truth=truth, readers=drawn))
    positive = sum(record.label for record in found)
    published.counted(card, given, images=images, positive=positive, contested=contested)
    present = published.here(card, given, found)
    if card.shares or "val" in given.tables:
        return present
    training = [record for record in present if record.split == "train"]
    others = [record for record in present if record.split != "train"]
    return dealt(training, {"train": 1 - given.validation, "val": given.validation}) + others


def _marked(card: Card, given: VindrParameters, split: str) -> dict[str, dict[str, list[Shape]]]:
    """By image and reader, the boxes around the finding."""
    file = given.tables[split]
    rows = table(card, file, ["image_id", "class_name", *CORNERS])
    if "rad_id" not in rows:
        rows["rad_id"] = TOGETHER
    if given.finding not in (known := set(rows["class_name"])):
        raise unknown_name("finding", given.finding, known)
    images: dict[str, dict[str, list[Shape]]] = {}
    for line, name, reader, finding, *values in rows[["image_id", "rad_id", "class_name", *CORNERS]].itertuples():
        boxes = images.setdefault(name, {}).setdefault(reader, [])
        if finding != given.finding:
            continue
        with at(f"{file}, line {line}"):
            if (box := published.box(values, corners=True)) is None:
                raise SaltrustError(f"{finding} without a box")
            boxes.append(box)
    return images


LOADERS.register("vindr")(loader(records))
