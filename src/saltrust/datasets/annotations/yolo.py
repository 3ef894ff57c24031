"""YOLO: a text file for each image, a line for each object."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.annotations.parts import (
    FORMATS,
    Part,
    check_categories,
    is_truth,
    parts_of,
    pictures_of,
    record_of,
)
from saltrust.datasets.files import at
from saltrust.datasets.readers import Drawing
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box, Polygon


@FORMATS.register("yolo")
def yolo(card: Card) -> list[Record]:
    """A folder of YOLO's text files, named like the images in their folder; or a folder for each split.

    A line is a category's number and either a box (centre x, y, width, height) or a polygon (x, y, x, y, ...), as parts
    of the image's width and height. An image with an empty file or none has no finding. The categories' names come from
    the card, or from `classes.txt` beside the files, or from `data.yaml` in the root. Raises SaltrustError naming the
    file and line that is wrong.
    """
    records = []
    for part in parts_of(card):
        folder, where = part.files, part.images
        names = _names(part)
        check_categories(card, names)
        pictures = pictures_of(part)
        if not pictures:
            raise SaltrustError(f"{where}: no images ({', '.join(images.SUFFIXES)})")
        texts = [file for file in folder.rglob("*.txt") if file.name != "classes.txt"]
        labels = {file.relative_to(folder).with_suffix("") for file in texts}
        stems = [Path(picture).with_suffix("") for picture in pictures]
        if unmatched := sorted(labels - set(stems)):
            raise SaltrustError(
                f"{folder / unmatched[0]}.txt: no image of that name in {where} ({len(unmatched)} such)"
            )
        for picture, stem in zip(pictures, stems, strict=True):
            found = list(_yolo_lines(card, folder / f"{stem}.txt", where / picture, names)) if stem in labels else []
            records.append(record_of(part, picture, found))
    return records


def _names(part: Part) -> Sequence[str]:
    listed, described = part.files / "classes.txt", part.root / "data.yaml"
    if part.card.annotations.names:
        return part.card.annotations.names
    if listed.is_file():
        return _lines(listed)
    if not described.is_file():
        raise SaltrustError(f"{part.files}: categories without names; give the card 'names', or a file {listed}")
    try:
        names = yaml.safe_load(described.read_text(encoding="utf-8"))["names"]
        return [str(names[i]) for i in range(len(names))]
    except (yaml.YAMLError, ValueError, KeyError, TypeError, OSError) as error:
        raise SaltrustError(f"{described}: needs 'names', a list or numbered from 0 ({error})") from error


def _lines(file: Path) -> list[str]:
    """The lines of a text file, stripped; empty ones at its end are left out."""
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines()]
    except (OSError, ValueError) as error:
        raise SaltrustError(f"{file}: not a text file: {error}") from error


def _yolo_lines(card: Card, file: Path, picture: Path, names: Sequence[str]) -> Iterator[Drawing]:
    lines = _lines(file)
    numbered = {str(number): name for number, name in enumerate(names)}
    width, height = images.size_of(picture) if lines else (0, 0)
    for row, line in enumerate(lines, 1):
        with at(f"{file}, line {row}"):
            first, *numbers = line.split() or [""]
            if first not in numbered:
                raise SaltrustError(f"category '{first[:40]}' is not a number from 0 to {len(names) - 1}")
            if is_truth(card, numbered[first]):
                yield Drawing(_yolo_shape(card, numbers).scaled(width, height), numbered[first])


def _yolo_shape(card: Card, texts: list[str]) -> Box | Polygon:
    """The shape in an image of size 1 x 1."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        raise SaltrustError(f"'{' '.join(texts)[:40]}': needs numbers") from None
    if not all(-0.01 <= number <= 1.01 for number in numbers):  # rounding may lead over the border
        raise SaltrustError(f"'{' '.join(texts)[:40]}': needs parts of the image's width and height, between 0 and 1")
    if len(numbers) == 4:
        if card.truth == "mask":
            raise SaltrustError("a box, and the card's truth is 'mask', which needs a polygon")
        x, y, width, height = numbers
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(numbers) < 6 or len(numbers) % 2:
        raise SaltrustError(
            f"{len(numbers)} numbers after the category; a box has 4, a polygon x and y of 3 points or more"
        )
    polygon = Polygon.flat(numbers)
    return polygon.bounds() if card.truth == "box" else polygon
