"""COCO: one JSON file of images, annotations and categories."""

from collections.abc import Sequence
from typing import Any

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.user_files import read_json
from saltrust.datasets.annotations.parts import FORMATS, check_categories, is_truth, parts_of, record_of
from saltrust.datasets.files import at, opened
from saltrust.datasets.readers import Drawing
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import Box, CocoMask, Polygon, numbers


@FORMATS.register("coco")
def coco(card: Card) -> list[Record]:
    """One JSON file, or one for each split: `images`, `annotations` and `categories` (cocodataset.org/#format-data).

    A crowd (`iscrowd`) is truth like all else. Where the card says which key of an annotation names its reader, every
    reader that a file names has read all images of the file; images in which they do not agree are left out.

    Raises:
        SaltrustError: Naming the file and the entry that is wrong.
    """
    records = []
    for part in parts_of(card):
        file = part.files
        content = read_json(opened(part.root, file))
        with at(str(file)):
            categories = {key: str(_get(entry, "name")) for key, entry in _by_id(content, "categories").items()}
            check_categories(card, categories.values())
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
                    if is_truth(card, categories[category]):
                        reader = str(entry[card.annotations.reader]) if readers else ""
                        found[number].append(Drawing(_coco_shape(card, entry), categories[category], reader))
            for number, entry in known.items():
                with at(f"image {number}"):
                    stated = [entry[side] for side in ("width", "height") if side in entry]
                    size = tuple(numbers(stated, "'width' and 'height'", 2)) if stated else None
                    records.append(record_of(part, str(_get(entry, "file_name")), found[number], size, readers))
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
    if type(value) not in (int, str):
        raise SaltrustError(f"needs '{name}', a number or text")
    return value


def _coco_shape(card: Card, entry: dict) -> Shape | None:
    if card.truth == "none":
        return None
    if card.truth == "box":
        x, y, width, height = numbers(entry.get("bbox"), "'bbox'", 4)
        return Box(x, y, x + width, y + height)
    drawn = entry.get("segmentation")
    if isinstance(drawn, dict):
        return CocoMask.of(drawn)
    if not isinstance(drawn, list) or not drawn:
        raise SaltrustError("has no 'segmentation', and the card's truth is 'mask'")
    return Polygon.flat(*(numbers(part, "a polygon of 'segmentation'") for part in drawn))
