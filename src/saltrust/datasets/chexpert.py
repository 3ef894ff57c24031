"""CheXpert's validation and test images, with the outlines that CheXlocalize adds to them.

Ours, for torchxrayvision's reader stretches the mask of an oblong image to a square, keeps one image of each patient
unless asked not to, and gives labels of a table in which findings may be uncertain as NaN. CheXpert's training images
have labels alone: without truth, no chapter could say whether a map finds anything in them.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from saltrust.core.data_cards import Card, Split
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets import published
from saltrust.datasets.files import at, inside, loader, present
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import CocoMask, Polygon

# CheXpert's findings that CheXlocalize outlines, and what its files call them.
OUTLINED = {
    name: name
    for name in (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Enlarged Cardiomediastinum",
        "Lung Lesion",
        "Pleural Effusion",
        "Pneumothorax",
        "Support Devices",
    )
} | {"Lung Opacity": "Airspace Opacity"}
IMAGE = re.compile(r"(?:^|/)(patient\d+)/(study\d+)/(view\d+_(frontal|lateral))\.jpg$")
LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "": 0, "-1": None, "-1.0": None}  # "": the report does not mention it
UNCERTAIN = {"left out": None, "present": 1, "absent": 0}


class Part(BaseModel):
    """labels: the table, with Path and the findings. outlines: CheXlocalize's JSON of masks or of polygons. images:
    the folder in which the patients' folders lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: str
    outlines: str
    images: str


class Parameters(published.Parameters):
    """finding: one of those outlined. views: frontal, lateral, or both. uncertain: what -1 in a table counts as."""

    finding: str
    parts: dict[Split, Part] = {
        "val": Part(
            labels="CheXpert/val_labels.csv",
            outlines="CheXlocalize/gt_segmentations_val.json",
            images="CheXpert/val",
        ),
        "test": Part(
            labels="CheXpert/test_labels.csv",
            outlines="CheXlocalize/gt_segmentations_test.json",
            images="CheXpert/test",
        ),
    }
    views: tuple[Literal["frontal", "lateral"], ...] = ("frontal",)
    uncertain: Literal["left out", "present", "absent"] = "left out"


def records(card: Card) -> list[Record]:
    """The images of all parts; those that have the finding, but no outline of it, are not used.

    The patient is that of the path. A part is the split where the card deals none.
    """
    given = published.parameters(card, Parameters)
    if given.finding not in OUTLINED:
        raise unknown_name("finding with outlines", given.finding, OUTLINED)
    labels = {name: _labels(card, part, given) for name, part in given.parts.items()}
    outlines = {name: _outlines(present(card, part.outlines)) for name, part in given.parts.items()}
    published.counted(
        card,
        given,
        images=sum(map(len, labels.values())),
        patients=len({image.split("_")[0] for images in labels.values() for image in images}),
        outlined=sum(map(len, outlines.values())),
    )
    found = []
    for name, part in given.parts.items():
        for image, label in labels[name].items():
            patient, study, view = image.split("_", 2)
            if view.split("_")[1] not in given.views or label is None:
                continue
            with at(f"{part.outlines}, {image}"):
                truth = _shape(outlines[name].get(image, {}), OUTLINED[given.finding])
            if truth and not label:
                raise SaltrustError(
                    f"{image} has an outline in {part.outlines}, but no {given.finding} in {part.labels}"
                )
            if bool(truth) == bool(label):
                file = inside(card.root, f"{part.images}/{patient}/{study}/{view}.jpg")
                found.append(Record(image, file, label, name, patient, truth))
    found = published.here(card, given, found)
    for record in found:
        if size := outlines[record.split].get(record.id, {}).get("img_size"):  # polygons do not check it, masks do
            published.of_size(card, [record], size[1], size[0])
    return found


def _labels(card: Card, part: Part, given: Parameters) -> dict[str, int | None]:
    """The label of each image, called as CheXlocalize does (patient1_study1_view1_frontal); None for one not used."""
    labels: dict[str, int | None] = {}
    for line, path, cell in published.rows(card, part.labels, ("Path", given.finding)):
        with at(f"{part.labels}, line {line}"):
            if not (image := IMAGE.search(path)):
                raise SaltrustError(f"'{path}' is not the path of an image (patient1/study1/view1_frontal.jpg)")
            if cell not in LABELS:
                raise SaltrustError(f"{given.finding} must be 1, 0, -1 or empty, not '{cell}'")
            label = UNCERTAIN[given.uncertain] if LABELS[cell] is None else LABELS[cell]
            if labels.setdefault("_".join(image.groups()[:3]), label) != label:
                raise SaltrustError(f"{path} has another label in another line")
    return labels


def _outlines(file: Path) -> dict[str, dict[str, Any]]:
    try:
        outlines = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise SaltrustError(f"{file}: not JSON: {error}") from error
    if not isinstance(outlines, dict) or not all(isinstance(of, dict) for of in outlines.values()):
        raise SaltrustError(f"{file}: must hold the outlines of each image by its name")
    return outlines


def _shape(outlines: dict[str, Any], name: str) -> tuple[Shape, ...]:
    """The finding's outline among those of an image: of masks one, empty where there is none; or a list of polygons."""
    outline = outlines.get(name)
    if not outline:
        return ()
    try:
        if isinstance(outline, list):
            return (Polygon(tuple(tuple((float(x), float(y)) for x, y in points) for points in outline)),)
        height, width = outline["size"]
        mask = CocoMask((int(height), int(width)), str(outline["counts"]))
    except (TypeError, ValueError, KeyError) as error:
        raise SaltrustError(f"{name}: neither a mask (size, counts) nor polygons: {error!r}") from error
    runs = sum(not (ord(letter) - 48) & 32 for letter in mask.counts)  # the last character of each; one is the outside
    return (mask,) if runs > 1 else ()


LOADERS.register("chexpert")(loader(records))
