"""CheXpert's images and labels, with the outlines that CheXlocalize adds to its validation and test images.

Ours, for torchxrayvision's reader stretches the mask of an oblong image to a square, keeps one image of each patient
unless asked not to, and gives labels of a table in which findings may be uncertain as NaN. CheXpert's training images
have labels alone: a split of them has no truth, and teaches a classifier and no localizer.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from saltrust.core.card_parts import Strict
from saltrust.core.data_cards import Card, SplitName
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import read_json
from saltrust.datasets import published
from saltrust.datasets.files import at, inside, opened, present, rows
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import CocoMask, Polygon, numbers

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
IMAGE = re.compile(r"(?:^|/)(patient[0-9]+)/(study[0-9]+)/(view[0-9]+_(frontal|lateral))\.jpg$")
CELLS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "": "blank", "-1": "uncertain", "-1.0": "uncertain"}
RULES = {"zeros": 0, "ones": 1, "left out": None}  # what such a label counts as; None: the image is not used

Rule = Literal["zeros", "ones", "left out"]


class ReleasedSplit(Strict):
    """Files of CheXpert that belong together.

    Attributes:
        labels: the table, with Path and the findings.
        outlines: CheXlocalize's JSON of masks or of polygons, None where there are labels alone.
        readers: the same of each reader whose drawings are not in the outlines, by name.
        images: the folder in which the patients' folders lie.
    """

    labels: str
    outlines: str | None = None
    readers: dict[str, str] = {}
    images: str


class ChexpertParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        finding: one of those outlined, in a card that has no `findings`.
        parts: by split, or by any of these names where the card gives shares.
        views: frontal, lateral, or both.
        uncertain: what -1 in a table counts as (Irvin et al. 2019, sec. 3.1: U-Zeros, U-Ones). An image of which one
            label is left out is not used.
        blank: what an empty cell counts as: the report does not mention the finding.
        at_least_one: the parts of which an image that shows no finding is not used (Shu et al. 2024, section 3).
    """

    finding: str = ""
    parts: dict[SplitName, ReleasedSplit] = {
        "val": ReleasedSplit(
            labels="CheXpert/val_labels.csv",
            outlines="CheXlocalize/gt_segmentations_val.json",
            images="CheXpert/val",
        ),
        "test": ReleasedSplit(
            labels="CheXpert/test_labels.csv",
            outlines="CheXlocalize/gt_segmentations_test.json",
            images="CheXpert/test",
        ),
    }
    views: tuple[Literal["frontal", "lateral"], ...] = ("frontal",)
    uncertain: Rule = "left out"
    blank: Rule = "zeros"
    at_least_one: tuple[SplitName, ...] = ()


def records(card: Card) -> list[Record]:
    """The images of all parts; those that have a finding, but no outline of it, are not used where others have one.

    The patient is that of the path. A part is the split where the card deals none.
    """
    given = published.parameters(card, ChexpertParameters)
    findings = _findings(card, given)
    for name in given.at_least_one:
        if name not in given.parts:
            raise SaltrustError(
                f"card '{card.name}': parameters.at_least_one: {unknown_name('part', name, given.parts)}"
            )
    labels = {name: _labels(card, part, given, findings) for name, part in given.parts.items()}
    outlined = {name: part.outlines for name, part in given.parts.items() if part.outlines and card.truth != "none"}
    outlines = {name: _outlines(card, file) for name, file in outlined.items()}
    published.counted(
        card,
        given,
        images=sum(map(len, labels.values())),
        patients=len({image.split("_")[0] for images in labels.values() for image in images}),
        outlined=sum(map(len, outlines.values())),
    )
    readers = {
        name: {reader: _outlines(card, file) for reader, file in part.readers.items()}
        for name, part in given.parts.items()
    }
    found = [
        record
        for name in given.parts
        for record in _records(card, given, name, labels[name], outlines.get(name), readers[name])
    ]
    found = published.here(card, given, found)
    for record in found:
        for drawn in (outlines.get(record.split, {}), *readers[record.split].values()):
            if size := drawn.get(record.id, {}).get("img_size"):  # polygons do not check it, masks do
                height, width = numbers(size, f"'img_size' of {record.id}", 2, whole=True)
                published.of_size(card, [record], int(width), int(height))
    return found


def _findings(card: Card, given: ChexpertParameters) -> tuple[str, ...]:
    """The columns that are the findings."""
    if bool(card.findings) == bool(given.finding):
        raise SaltrustError(
            f"card '{card.name}': needs either 'findings' or parameters.finding, a column of the tables"
        )
    findings = card.findings or (given.finding,)
    for finding in findings:
        if card.truth != "none" and finding not in OUTLINED:
            raise unknown_name("finding with outlines", finding, OUTLINED)
    return findings


def _labels(
    card: Card, part: ReleasedSplit, given: ChexpertParameters, findings: tuple[str, ...]
) -> dict[str, dict[str, int | None]]:
    """The labels of each image by finding, called as CheXlocalize does (patient1_study1_view1_frontal); None for one
    that is left out."""
    labels: dict[str, dict[str, int | None]] = {}
    rules = {"blank": RULES[given.blank], "uncertain": RULES[given.uncertain]}
    for line, path, *cells in rows(card, part.labels, ("Path", *findings)):
        with at(f"{part.labels}, line {line}"):
            if not (image := IMAGE.search(path)):
                raise SaltrustError(f"'{path}' is not the path of an image (patient1/study1/view1_frontal.jpg)")
            for finding, cell in zip(findings, cells, strict=True):
                if cell not in CELLS:
                    raise SaltrustError(f"{finding} must be 1, 0, -1 or empty, not '{cell}'")
            values = [CELLS[cell] for cell in cells]
            of = {name: rules.get(value, value) for name, value in zip(findings, values, strict=True)}
            if labels.setdefault("_".join(image.groups()[:3]), of) != of:
                raise SaltrustError(f"{path} has another label in another line")
    return labels


def _records(
    card: Card,
    given: ChexpertParameters,
    name: str,
    labels: dict[str, dict[str, int | None]],
    outlines: dict[str, dict[str, Any]] | None,
    readers: dict[str, dict[str, dict[str, Any]]],
) -> Iterator[Record]:
    """The images of one part. outlines: of all its images, None where it has labels alone; readers: of each reader."""
    part = given.parts[name]
    for image, of in labels.items():
        patient, study, view = image.split("_", 2)
        if view.split("_")[1] not in given.views or None in of.values():
            continue
        positive = [finding for finding, label in of.items() if label]
        if not positive and name in given.at_least_one:
            continue
        shapes: dict[str, tuple[Shape, ...]] = dict.fromkeys(positive, ())
        if outlines is not None:
            shapes = _shapes(f"{part.outlines}, {image}", outlines.get(image, {}), of)
            if wrong := [finding for finding in shapes if finding not in positive]:
                raise SaltrustError(f"{image} has an outline in {part.outlines}, but no {wrong[0]} in {part.labels}")
            if len(shapes) < len(positive):
                continue
        drawn = {
            reader: sum(_shapes(f"{part.readers[reader]}, {image}", images[image], of).values(), ())
            for reader, images in readers.items()
            if image in images
        }
        yield Record(
            image,
            inside(card.root, f"{part.images}/{patient}/{study}/{view}.jpg"),
            int(bool(positive)),
            name,
            patient,
            truth=None if outlines is None else sum(shapes.values(), ()),
            findings=shapes if card.findings else {},
            readers=drawn,
        )


def _shapes(where: str, outlines: dict[str, Any], findings: Iterable[str]) -> dict[str, tuple[Shape, ...]]:
    """Of some findings those that are outlined in an image, each with its outline."""
    with at(where):
        shapes = {finding: _shape(outlines, OUTLINED[finding]) for finding in findings}
    return {finding: shape for finding, shape in shapes.items() if shape}


def _outlines(card: Card, name: str) -> dict[str, dict[str, Any]]:
    file = present(card, name)
    outlines = read_json(opened(card.root, file))
    if not isinstance(outlines, dict) or not all(isinstance(of, dict) for of in outlines.values()):
        raise SaltrustError(f"{file}: must hold the outlines of each image by its name")
    return outlines


def _shape(outlines: dict[str, Any], name: str) -> tuple[Shape, ...]:
    """The finding's outline among those of an image: of masks one, empty where there is none; or a list of polygons."""
    outline = outlines.get(name)
    if not outline:
        return ()
    if isinstance(outline, list):
        return (Polygon(tuple(_points(points) for points in outline)),)
    if not isinstance(outline, dict) or not isinstance(outline.get("counts"), str):
        raise SaltrustError(f"{name}: neither a mask (size, counts as text) nor polygons")
    mask = CocoMask.of(outline)
    runs = sum(not (ord(letter) - 48) & 32 for letter in mask.counts)  # the last character of each; one is the outside
    return (mask,) if runs > 1 else ()


def _points(points: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(points, list):
        raise SaltrustError("a polygon must be a list of points")
    return tuple(tuple(numbers(point, "a point", 2)) for point in points)


LOADERS.register("chexpert")(loader(records))
