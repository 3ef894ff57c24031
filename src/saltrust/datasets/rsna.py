"""RSNA Pneumonia Detection Challenge: DICOM, and boxes in a table.

Ours, for torchxrayvision's reader keeps the images that are neither normal nor pneumonia, drops the 12,173 AP films of
26,684 unless asked not to, cuts coordinates down to whole pixels, and counts every image as a patient. The images are
from NIH ChestX-ray14: who its patients are stands in a file of the organizers, which is read if the card names it.
"""

from typing import Literal

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import read_json
from saltrust.datasets import published
from saltrust.datasets.files import at, inside, opened, present, rows
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box
from saltrust.datasets.splits import named_splits

SIDE = 1024  # pixels of an image, which the boxes refer to
AS_RUN = 320  # pixels of an image in the code of Arun et al.
NORMAL, OPACITY, OTHER = "Normal", "Lung Opacity", "No Lung Opacity / Not Normal"  # the classes of an image


class RsnaParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        table: with patientId, x, y, width, height and Target.
        classes: with patientId and class.
        images: folder of the DICOM files.
        other: whether images that are neither normal nor pneumonia count as without the finding.
        patients: the organizers' JSON that names the NIH image of each; without it every image is a patient.
        splits: a table with Image_ID and Split; images that it lacks are not used.
        boxes: as they are, or as the code of Arun et al. scales them.
    """

    table: str = "stage_2_train_labels.csv"
    classes: str = "stage_2_detailed_class_info.csv"
    images: str = "stage_2_train_images"
    other: bool = False
    patients: str = ""
    splits: str = ""
    boxes: Literal["exact", "as_run"] = "exact"


def records(card: Card) -> list[Record]:
    """The images that are normal or have pneumonia, with the boxes of all their rows."""
    given = published.parameters(card, RsnaParameters)
    classes = _classes(card, given.classes)
    boxes = _boxes(card, given.table)
    for image, found in boxes.items():
        if image not in classes:
            raise SaltrustError(f"{given.classes}: lacks image {image} of {given.table}")
        if bool(found) != (classes[image] == OPACITY):
            raise SaltrustError(
                f"{image}: is '{classes[image]}' in {given.classes}, has {len(found)} boxes in {given.table}"
            )
    used = [image for image in boxes if given.other or classes[image] != OTHER]
    published.counted(card, given, images=len(used), positive=sum(bool(boxes[image]) for image in used))
    splits = named_splits(card, given.splits) if given.splits else dict.fromkeys(used, "")
    patients = _patients(card, given.patients) if given.patients else {image: image for image in used}
    if unknown := [image for image in used if image not in patients]:
        raise SaltrustError(f"{given.patients}: lacks {len(unknown)} images, the first is {unknown[0]}")
    scale = {"exact": tuple, "as_run": _as_run}[given.boxes]
    labelled = [
        Record(
            image,
            inside(card.root, f"{given.images}/{image}.dcm"),
            int(bool(boxes[image])),
            splits[image],
            patients[image],
            scale(boxes[image]),
        )
        for image in used
        if image in splits
    ]
    found = published.here(card, given, labelled)
    published.of_size(card, found, SIDE, SIDE)
    return found


def _classes(card: Card, file: str) -> dict[str, str]:
    """The class of each image; the table repeats it for every box."""
    classes: dict[str, str] = {}
    for line, image, name in rows(card, file, ("patientId", "class")):
        with at(f"{file}, line {line}"):
            if name not in (NORMAL, OPACITY, OTHER):
                raise unknown_name("class", name, (NORMAL, OPACITY, OTHER))
            if classes.setdefault(image, name) != name:
                raise SaltrustError(f"{image} is '{classes[image]}' in another line, '{name}' here")
    return classes


def _boxes(card: Card, file: str) -> dict[str, tuple[Box, ...]]:
    """The boxes of each image, none without the finding. A row that is there twice counts once."""
    columns = ("patientId", "Target", "x", "y", "width", "height")
    boxes: dict[str, dict[Box | None, None]] = {}
    for line, image, target, *values in rows(card, file, columns):
        with at(f"{file}, line {line}"):
            found = published.box(values)
            if target not in ("0", "1"):
                raise SaltrustError(f"Target must be 0 or 1, not '{target}'")
            if (target == "1") != (found is not None):
                raise SaltrustError(f"Target is {target} but there is {'a' if found else 'no'} box")
            of = boxes.setdefault(image, {})
            of[found] = None
            if len(of) > 1 and None in of:
                raise SaltrustError(f"{image} has a box in one row and none (Target 0) in another")
    return {image: tuple(found for found in of if found) for image, of in boxes.items()}


def _patients(card: Card, name: str) -> dict[str, str]:
    """The NIH patient of each image, from the organizers' list of `subset_img_id` and `img_id` (00000013_005.png)."""
    file = present(card, name)
    content = read_json(opened(card.root, file))
    try:
        pairs = [(item["subset_img_id"], item["img_id"]) for item in content]
    except (KeyError, TypeError) as error:
        raise SaltrustError(f"{file}: not a JSON list of subset_img_id and img_id: {error!r}") from error
    if wrong := next((pair for pair in pairs if not all(isinstance(name, str) for name in pair)), None):
        raise SaltrustError(
            f"{file}: subset_img_id and img_id must be texts, not {wrong[0]!r:.40} and {wrong[1]!r:.40}"
        )
    patients: dict[str, str] = {}
    for image, original in pairs:
        patient = original.split("_")[0]
        if patients.setdefault(image, patient) != patient:
            raise SaltrustError(f"{file}: {image} is of patient {patients[image]} and of {patient}")
    return patients


def _as_run(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Edges as in `create_maps_rsna.py`: int(320 * c / 1023), the last row and column included; in pixels of the file.

    For a network that sees 320 x 320 pixels.
    """
    pixel = SIDE / AS_RUN

    def scaled(edge: float) -> int:
        return int(AS_RUN * (int(edge) / (SIDE - 1)))

    return tuple(
        Box(*(scaled(low) * pixel for low in (b.x0, b.y0)), *((scaled(high) + 1) * pixel for high in (b.x1, b.y1)))
        for b in boxes
    )


LOADERS.register("rsna")(loader(records))
