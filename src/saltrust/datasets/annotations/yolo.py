"""YOLO: a text file for each image, a line for each object."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from saltrust.core import yaml_files
from saltrust.core.card_parts import doubled
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.user_files import number, text
from saltrust.core.visible import hidden
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
from saltrust.datasets.files import at, inside, opened, walked
from saltrust.datasets.readers import Drawing
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box, Polygon

LONGEST = 200  # characters of a category's name


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
        texts = [file for file in walked(folder, ".txt") if file.name != "classes.txt"]
        labels = _by_stem({file: file.relative_to(folder) for file in texts})
        stems = _by_stem({Path(picture): Path(picture) for picture in pictures})
        if unmatched := sorted(set(labels) - set(stems)):
            raise SaltrustError(f"{labels[unmatched[0]]}: no image of that name in {where} ({len(unmatched)} such)")
        for stem, picture in stems.items():
            found = list(_yolo_lines(part, labels[stem], where / picture, names)) if stem in labels else []
            records.append(record_of(part, str(picture), found))
    return records


def _by_stem(files: dict[Path, Path]) -> dict[Path, Path]:
    """Files by what they are called without a suffix. Raises SaltrustError where two are called the same."""
    found: dict[Path, Path] = {}
    for file, name in files.items():
        stem = name.with_suffix("")
        if stem in found:
            raise SaltrustError(f"'{found[stem]}' and '{file}': only one of them can belong to '{stem}'")
        found[stem] = file
    return found


def _names(part: Part) -> Sequence[str]:
    listed, described = part.files / "classes.txt", part.root / "data.yaml"
    if part.card.annotations.names:
        return part.card.annotations.names
    if os.path.lexists(listed):
        return _checked(listed, _lines(part, listed))
    if not os.path.lexists(described):
        raise SaltrustError(f"{part.files}: categories without names; give the card 'names', or a file {listed}")
    content = yaml_files.read(inside(part.root, described.name))
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[position] for position in range(len(names))]
    if not isinstance(names, list) or not all(type(name) in (int, str) for name in names):
        raise SaltrustError(f"{described}: needs 'names', a list or numbered from 0, each a word")
    return _checked(described, [str(name) for name in names])


def _checked(file: Path, names: list[str]) -> list[str]:
    if doubled(names):
        raise SaltrustError(f"{file}: each category needs a name of its own, not {', '.join(map(repr, names))[:80]}")
    if wrong := [name for name in names if not 0 < len(name) <= LONGEST or hidden(name)]:
        raise SaltrustError(f"{file}: {wrong[0][:80]!r} is not the name of a category")
    return names


def _lines(part: Part, file: Path) -> list[str]:
    """The lines of a text file, stripped; empty ones at its end are left out."""
    return [line.strip() for line in text(opened(part.root, file)).rstrip().splitlines()]


def _yolo_lines(part: Part, file: Path, picture: Path, names: Sequence[str]) -> Iterator[Drawing]:
    lines = _lines(part, file)
    card, numbered = part.card, {str(position): name for position, name in enumerate(names)}
    width, height = images.size_of(inside(part.root, os.path.relpath(picture, part.root))) if lines else (0, 0)
    for row, line in enumerate(lines, 1):
        with at(f"{file}, line {row}"):
            first, *numbers = line.split() or [""]
            if first not in numbered:
                raise SaltrustError(f"category '{first[:40]}' is not a number from 0 to {len(names) - 1}")
            if is_truth(card, numbered[first]):
                yield Drawing(_yolo_shape(card, numbers).scaled(width, height), numbered[first])


def _yolo_shape(card: Card, texts: list[str]) -> Box | Polygon:
    """The shape in an image of size 1 x 1."""
    numbers = [number(one) for one in texts]
    if not all(-0.01 <= part <= 1.01 for part in numbers):  # rounding may lead over the border
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
