"""What the formats of annotations share: the parts that a card names, and the record of an image."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry
from saltrust.core.user_files import named
from saltrust.datasets import images
from saltrust.datasets.files import inside, present, walked
from saltrust.datasets.readers import Drawing, with_drawings
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import check_size


@dataclass(frozen=True)
class Part:
    """Annotations that lie together.

    Attributes:
        card: of the data set.
        root: its folder.
        split: of which they are, "" where they are of all splits.
        files: their file or folder, under the root.
        images: the folder of the images, likewise.
    """

    card: Card
    root: Path
    split: str
    files: Path
    images: Path


FORMATS: Registry[Callable[[Card], list[Record]]] = Registry("format of annotations")


def pictures_of(part: Part) -> list[str]:
    """The images of a part, by their path in its folder."""
    found = (file for file in walked(part.images, images.SUFFIXES) if file.name[0] != ".")
    return sorted(named(str(file.relative_to(part.images))) for file in found)


def parts_of(card: Card) -> Iterator[Part]:
    """The parts of a card: one for all splits, or one for each."""
    a, root = card.annotations, card.root
    by_split = isinstance(a.files, dict)
    if isinstance(a.images, dict) and set(a.images) != (set(a.files) if by_split else set()):
        raise SaltrustError(f"card '{card.name}': annotations.images: needs the splits of annotations.files")
    if by_split and (missing := set(SPLITS) - set(a.files)):
        raise SaltrustError(f"card '{card.name}': annotations.files: lacks {', '.join(sorted(missing))}")
    for split in a.files if by_split else ("",):
        files, folder = (each[split] if isinstance(each, dict) else each for each in (a.files, a.images))
        yield Part(card, root, split, present(card, files), present(card, folder))


def check_categories(card: Card, categories: Sequence[str]) -> None:
    for name in card.findings or card.annotations.positive:
        if name not in categories:
            raise unknown_name("category", name, categories)


def is_truth(card: Card, category: str) -> bool:
    """Whether annotations of a category are truth."""
    wanted = card.findings or card.annotations.positive
    return bool(card.classes) or not wanted or category in wanted


def record_of(
    part: Part,
    name: str,
    drawings: Sequence[Drawing],
    size: tuple[float, float] | None = None,
    readers: Sequence[str] = (),
) -> Record | None:
    """The record of an image.

    Args:
        part: of the card.
        name: of the image in the folder of images.
        drawings: its annotations, each with its category.
        size: width and height that the annotations state, which must be those of the file.
        readers: who read it.

    Returns:
        Its record; None where its readers do not agree.
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
    if card.absent_label is None:
        raise SaltrustError(f"{name} has no annotation, and the card names no class as 'absent'")
    return card.absent_label
