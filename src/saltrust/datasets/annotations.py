"""Annotations in formats that many tools write: COCO, Pascal VOC and YOLO.

A function for each format reads a card's annotations into records. What the categories mean is the card's to say: those
of `positive` are the finding, in a card with classes each is a class, in one with findings those of that name are. An
image without annotations has no finding.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry
from saltrust.datasets import images
from saltrust.datasets.files import absent, at, inside, present
from saltrust.datasets.readers import Drawing, with_drawings
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import LARGE, Box, CocoMask, Polygon, check_size


@dataclass(frozen=True)
class _Part:
    """Annotations that lie together: in the file, or the folder, `files`, of the images under `images`; both under
    `root`. split: "" where they are of all splits."""

    card: Card
    root: Path
    split: str
    files: Path
    images: Path


FORMATS: Registry[Callable[[Card], list[Record]]] = Registry("format of annotations")


@FORMATS.register("coco")
def coco(card: Card) -> list[Record]:
    """One JSON file, or one for each split: `images`, `annotations` and `categories` (cocodataset.org/#format-data).

    A crowd (`iscrowd`) is truth like all else. Where the card says which key of an annotation names its reader, every
    reader that a file names has read all images of the file; images in which they do not agree are left out.

    Raises:
        SaltrustError: Naming the file and the entry that is wrong.
    """
    records = []
    for part in _parts(card):
        file = part.files
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, OSError, RecursionError) as error:
            raise SaltrustError(f"{file}: not JSON: {error}") from error
        with at(str(file)):
            categories = {key: str(_get(entry, "name")) for key, entry in _by_id(content, "categories").items()}
            _check_positive(card, categories.values())
            known = _by_id(content, "images")
            found: dict[Any, list[Drawing]] = {number: [] for number in known}
            readers = _coco_readers(card, _entries(content, "annotations"))
            for position, entry in enumerate(_entries(content, "annotations")):
                with at(f"annotations[{position}]"):
                    number, category = _get(entry, "image_id"), _get(entry, "category_id")
                    if number not in known:
                        raise SaltrustError(f"image_id {number!r} is not among the images")
                    if category not in categories:
                        raise SaltrustError(f"category_id {category!r} is not among the categories")
                    if _counts(card, categories[category]):
                        reader = str(entry[card.annotations.reader]) if readers else ""
                        found[number].append(Drawing(_coco_shape(card, entry), categories[category], reader))
            for number, entry in known.items():
                with at(f"image {number}"):
                    stated = [entry[side] for side in ("width", "height") if side in entry]
                    size = tuple(_numbers(stated, "'width' and 'height'", 2)) if stated else None
                    records.append(_record(part, str(_get(entry, "file_name")), found[number], size, readers))
    return [record for record in records if record is not None]


def _coco_readers(card: Card, annotations: Sequence[dict]) -> list[str]:
    """Who drew annotations, sorted; no one where the card does not say which key names a reader."""
    key = card.annotations.reader
    if key is None:
        return []
    readers = set()
    for position, entry in enumerate(annotations):
        with at(f"annotations[{position}]"):
            readers.add(str(_get(entry, key)))
    if len(readers) < card.annotations.votes:
        named = ", ".join(sorted(readers)) or "nobody"
        raise SaltrustError(f"the card wants {card.annotations.votes} votes, and '{key}' names {len(readers)}: {named}")
    return sorted(readers)


def _entries(content: Any, name: str) -> list[dict]:
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SaltrustError(f"not COCO: needs a list '{name}' of objects")
    return entries


def _by_id(content: Any, name: str) -> dict[int | str, dict]:
    found = {}
    for entry in _entries(content, name):
        if (key := _get(entry, "id")) in found:
            raise SaltrustError(f"two of the {name} have the id {key}")
        found[key] = entry
    return found


def _get(entry: dict, name: str) -> int | str:
    value = entry.get(name)
    if not isinstance(value, (int, str)):
        raise SaltrustError(f"needs '{name}', a number or text")
    return value


def _coco_shape(card: Card, entry: dict) -> Shape | None:
    if card.truth == "none":
        return None
    if card.truth == "box":
        x, y, width, height = _numbers(entry.get("bbox"), "'bbox'", 4)
        return Box(x, y, x + width, y + height)
    drawn = entry.get("segmentation")
    if isinstance(drawn, dict):
        height, width = map(int, _numbers(drawn.get("size"), "size of 'segmentation'", 2))
        counts = drawn.get("counts")
        if isinstance(counts, list):
            counts = tuple(map(int, _numbers(counts, "counts of 'segmentation'")))
        if not isinstance(counts, (str, tuple)):
            raise SaltrustError("'segmentation' has no counts")
        return CocoMask((height, width), counts)
    if not isinstance(drawn, list) or not drawn:
        raise SaltrustError("has no 'segmentation', and the card's truth is 'mask'")
    return Polygon.flat(*(_numbers(part, "a polygon of 'segmentation'") for part in drawn))


def _numbers(value: Any, what: str, count: int | None = None) -> list[float]:
    right = isinstance(value, list) and all(type(x) in (int, float) and abs(x) < LARGE for x in value)
    if not right or (count is not None and len(value) != count):
        raise SaltrustError(f"{what} must be {count if count is not None else 'a list of'} numbers")
    return [float(number) for number in value]


@FORMATS.register("voc")
def voc(card: Card) -> list[Record]:
    """A folder of Pascal VOC's XML files, one for each image; or a folder for each split. An image without objects or
    without a file has no finding (the latter only where its folder belongs to one split).

    Pixels are counted from 1 and a box contains its last ones, as in VOC's development kit, so that xmin and ymin lose
    1; the boxes of tools that count from 0 are off by a pixel. Files with a document type are refused, so that no
    entity is ever expanded. Raises SaltrustError naming the file and what is wrong with it.
    """
    if card.truth == "mask":
        raise SaltrustError(f"card '{card.name}': annotations of format 'voc' are boxes, its truth is '{card.truth}'")
    records, categories = [], set()
    for part in _parts(card):
        files = sorted(part.files.rglob("*.xml"))
        if not files:
            raise SaltrustError(f"{part.files}: no XML files")
        named = set()
        for file in files:
            with at(str(file)):
                tree = _parsed(file)
                named.add(_text(tree, "filename"))
                objects = [(_text(entry, "name"), entry) for entry in tree.findall("object")]
                categories.update(category for category, _ in objects)
                found = [Drawing(_voc_box(entry), name) for name, entry in objects if _counts(card, name)]
                stated = tree.find("size") is not None
                size = tuple(_number(tree, f"size/{side}") for side in ("width", "height")) if stated else None
                records.append(_record(part, _text(tree, "filename"), found, size))
        if not part.split or isinstance(card.annotations.images, dict):
            records += [_record(part, name, []) for name in _pictures(part) if name not in named]
    _check_positive(card, categories)
    return records


def _pictures(part: _Part) -> list[str]:
    """The images of a part, by their path in its folder."""
    found = (file for file in part.images.rglob("*") if file.suffix.lower() in images.SUFFIXES and file.name[0] != ".")
    return sorted(str(file.relative_to(part.images)) for file in found)


class _Plain(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise SaltrustError("has a document type (<!DOCTYPE>), which is not allowed")


def _parsed(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file, ElementTree.XMLParser(target=_Plain())).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise SaltrustError(f"not XML: {error}") from error


def _text(element: ElementTree.Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise SaltrustError(f"<{element.tag}> has no <{path}>")
    return text


def _number(element: ElementTree.Element, path: str) -> float:
    text = _text(element, path)
    try:
        if abs(number := float(text)) < LARGE:
            return number
    except ValueError:
        pass
    raise SaltrustError(f"<{path}> is '{text[:40]}'; needs a number")


def _voc_box(entry: ElementTree.Element) -> Box:
    x0, y0, x1, y1 = (_number(entry, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax"))
    return Box(x0 - 1, y0 - 1, x1, y1)


@FORMATS.register("yolo")
def yolo(card: Card) -> list[Record]:
    """A folder of YOLO's text files, named like the images in their folder; or a folder for each split.

    A line is a category's number and either a box (centre x, y, width, height) or a polygon (x, y, x, y, ...), as parts
    of the image's width and height. An image with an empty file or none has no finding. The categories' names come from
    the card, or from `classes.txt` beside the files, or from `data.yaml` in the root. Raises SaltrustError naming the
    file and line that is wrong.
    """
    records = []
    for part in _parts(card):
        folder, where = part.files, part.images
        names = _names(part)
        _check_positive(card, names)
        pictures = _pictures(part)
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
            records.append(_record(part, picture, found))
    return records


def _names(part: _Part) -> Sequence[str]:
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
            if _counts(card, numbered[first]):
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


def _parts(card: Card) -> Iterator[_Part]:
    """The parts of a card: one for all splits, or one for each."""
    a, root = card.annotations, card.root
    by_split = isinstance(a.files, dict)
    if isinstance(a.images, dict) and set(a.images) != (set(a.files) if by_split else set()):
        raise SaltrustError(f"card '{card.name}': annotations.images: needs the splits of annotations.files")
    if by_split and (missing := set(SPLITS) - set(a.files)):
        raise SaltrustError(f"card '{card.name}': annotations.files: lacks {', '.join(sorted(missing))}")
    for split in a.files if by_split else ("",):
        files, folder = (each[split] if isinstance(each, dict) else each for each in (a.files, a.images))
        yield _Part(card, root, split, present(card, files), present(card, folder))


def _check_positive(card: Card, categories: Sequence[str]) -> None:
    for name in card.findings or card.annotations.positive:
        if name not in categories:
            raise unknown_name("category", name, categories)


def _counts(card: Card, category: str) -> bool:
    """Whether annotations of a category are truth."""
    wanted = card.findings or card.annotations.positive
    return bool(card.classes) or not wanted or category in wanted


def _record(
    part: _Part,
    name: str,
    drawings: Sequence[Drawing],
    size: tuple[float, float] | None = None,
    readers: Sequence[str] = (),
) -> Record | None:
    """The record of an image, by its name in the folder of images; None where its readers do not agree.

    drawings: its annotations, each with its category. size: width and height that the annotations state, which must be
    those of the file. readers: who read it.
    """
    card = part.card
    name = os.path.normpath(part.images.relative_to(part.root) / name)
    file = inside(part.root, name)
    if drawings and size and os.path.isfile(file):  # unlike Path's, False also for a name too long
        check_size(f"the size stated of {file}", size, images.size_of(file))
    bare = Record(name, file, _label(card, name, [drawing.finding for drawing in drawings]), part.split)
    drawings = [one if card.findings else one._replace(finding="") for one in drawings]
    return with_drawings(card, bare, drawings, readers, card.annotations.votes)


def _label(card: Card, name: str, categories: list[str]) -> int:
    if not card.classes:
        return int(bool(categories))
    if unknown := [category for category in categories if category not in card.classes]:
        raise unknown_name("class", unknown[0], card.classes)
    if len(set(categories)) > 1:
        raise SaltrustError(
            f"{name} has annotations of several classes ({', '.join(sorted(set(categories)))}), not one"
        )
    if categories:
        return card.classes.index(categories[0])
    if absent(card) is None:
        raise SaltrustError(f"{name} has no annotation, and the card names no class as 'absent'")
    return absent(card)
