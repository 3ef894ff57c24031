"""Pascal VOC: an XML file for each image."""

from pathlib import Path
from xml.etree import ElementTree

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.user_files import number
from saltrust.datasets.annotations.parts import (
    FORMATS,
    Part,
    check_categories,
    is_truth,
    parts_of,
    pictures_of,
    record_of,
)
from saltrust.datasets.files import at, opened, walked
from saltrust.datasets.readers import Drawing
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import LARGE, Box


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
    for part in parts_of(card):
        files = list(walked(part.files, ".xml"))
        if not files:
            raise SaltrustError(f"{part.files}: no XML files")
        named = set()
        for file in files:
            with at(str(file)):
                tree = _parsed(part, file)
                named.add(_text(tree, "filename"))
                objects = [(_text(entry, "name"), entry) for entry in tree.findall("object")]
                categories.update(category for category, _ in objects)
                found = [Drawing(_voc_box(entry), name) for name, entry in objects if is_truth(card, name)]
                stated = tree.find("size") is not None
                size = tuple(_number(tree, f"size/{side}") for side in ("width", "height")) if stated else None
                records.append(record_of(part, _text(tree, "filename"), found, size))
        if not part.split or isinstance(card.annotations.images, dict):
            records += [record_of(part, name, []) for name in pictures_of(part) if name not in named]
    check_categories(card, categories)
    return records


class _Plain(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise SaltrustError("has a document type (<!DOCTYPE>), which is not allowed")


def _parsed(part: Part, file: Path) -> ElementTree.Element:
    try:
        with opened(part.root, file) as stream:
            return ElementTree.parse(stream, ElementTree.XMLParser(target=_Plain())).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise SaltrustError(f"not XML: {error}") from error


def _text(element: ElementTree.Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise SaltrustError(f"<{element.tag}> has no <{path}>")
    return text


def _number(element: ElementTree.Element, path: str) -> float:
    text = _text(element, path)
    with at(f"<{path}>"):
        if abs(value := number(text)) < LARGE:
            return value
        raise SaltrustError(f"{value:g} is above the coordinates of any image")


def _voc_box(entry: ElementTree.Element) -> Box:
    x0, y0, x1, y1 = (_number(entry, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax"))
    return Box(x0 - 1, y0 - 1, x1, y1)
