"""NIH ChestX-ray14: PNG, findings mined from reports, and boxes around eight of them in 880 of 112,120 images.

Ours, for torchxrayvision's reader keeps one image of each patient and PA films alone unless asked not to, cuts
coordinates down to whole pixels, and has no mask for a positive without a box, as for a negative.
"""

from pydantic import Field

from saltrust.core.card_parts import Whole
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import text
from saltrust.datasets import published
from saltrust.datasets.files import at, opened, present, rows
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box
from saltrust.datasets.splits import thinned

SIDE = 1024  # pixels of an image, which the boxes refer to
NO_FINDING = "No Finding"
BOXED = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax")
SPELLED = {"Infiltrate": "Infiltration"}  # in the table of boxes, in the table of images


class NihParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        finding: one of those with boxes.
        table: with Image Index, Finding Labels and Patient ID.
        boxes: the list of boxes.
        images: folder of the PNG files, however deep they lie.
        only: a list of images, to leave out all others.
        without: a finding that images without `finding` must have ("No Finding"), "" for any.
        negatives: how many images without it are drawn for each with it, 0 for all.
    """

    finding: str
    table: str = "Data_Entry_2017.csv"
    boxes: str = "BBox_List_2017.csv"
    images: str = "."
    only: str = ""
    without: str = ""
    negatives: Whole = Field(default=4, ge=0)


def records(card: Card) -> list[Record]:
    """The images with a box around the finding, and images without the finding.

    Where the finding lies is unknown in most images that have it: these are neither, and not used.
    """
    given = published.parameters(card, NihParameters)
    if given.finding not in BOXED:
        raise unknown_name("finding with boxes", given.finding, BOXED)
    images = _images(card, given.table)
    boxes = _boxes(card, given, images)
    positive = [name for name, (_, labels) in images.items() if given.finding in labels]
    published.counted(card, given, images=len(images), positive=len(positive), boxed=len(boxes))
    only = set(text(opened(card.root, present(card, given.only))).split()) if given.only else images
    if images and not any(name in only for name in images):
        raise SaltrustError(f"{given.only}: names none of the images in {given.table}")
    folder = present(card, given.images)
    find = published.by_name(card.root, folder, ".png")
    labelled = [
        Record(
            name,
            find(name.removesuffix(".png")),
            int(name in boxes),
            group=patient,
            truth=tuple(boxes.get(name, ())),
        )
        for name, (patient, labels) in images.items()
        if name in only
        and (name in boxes or (given.finding not in labels and (not given.without or given.without in labels)))
    ]
    found = thinned(published.here(card, given, labelled), given.negatives)
    published.of_size(card, found, SIDE, SIDE)
    return found


def _images(card: Card, file: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Patient and findings of each image."""
    columns = ("Image Index", "Patient ID", "Finding Labels")
    images: dict[str, tuple[str, frozenset[str]]] = {}
    for line, name, patient, labels in rows(card, file, columns):
        with at(f"{file}, line {line}"):
            found = patient, frozenset(labels.split("|"))
            if NO_FINDING in found[1] and len(found[1]) > 1:
                raise SaltrustError(f"{name} has '{NO_FINDING}' among its findings: {labels}")
            if images.setdefault(name, found) != found:
                raise SaltrustError(f"{name} has another patient or other findings in another line")
    return images


def _boxes(card: Card, given: NihParameters, images: dict) -> dict[str, list[Box]]:
    """The boxes around the finding, by image. The header of the list parts "Bbox [x,y,w,h]" into four columns."""
    columns = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
    boxes: dict[str, list[Box]] = {}
    for line, name, finding, *values in rows(card, given.boxes, columns):
        if SPELLED.get(finding, finding) != given.finding:
            continue
        with at(f"{given.boxes}, line {line}"):
            if name not in images:
                raise SaltrustError(f"{given.table} lacks the image {name}")
            if given.finding not in images[name][1]:
                raise SaltrustError(f"a box around {finding}, which {given.table} does not find in {name}")
            if (found := published.box(values)) is None:
                raise SaltrustError("the box is empty")
            boxes.setdefault(name, []).append(found)
    return boxes


LOADERS.register("nih")(loader(records))
