"""From records of images to a split in memory: what the loaders of all data sets of files share."""

import json
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Readers, Split, packed
from saltrust.core.progress import track
from saltrust.datasets import images
from saltrust.datasets.fetching import fetch
from saltrust.datasets.files import at, fingerprint
from saltrust.datasets.loaders import Loader, refuse_findings
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import Box, reduced
from saltrust.datasets.splits import dealt, sampled


def loader(read: Callable[[Card], list[Record]]) -> Loader:
    """The loader of a data set, from a function that reads what its files say.

    Its `records` are those of `read`, dealt to the splits where the card gives shares.
    """

    latest: dict[str, list[Record]] = {}  # each split asks anew, and reading may mean a header of every image

    def records(card: Card) -> list[Record]:
        key = json.dumps([card.identity(), str(card.root), version(card)], sort_keys=True)
        if key not in latest:
            found = read(card)
            _unique(card, found)
            if any(record.label and not record.findings for record in found):
                refuse_findings(card)
            latest.clear()
            latest[key] = dealt(found, card.shares) if card.shares else found
        return latest[key]

    def load_split(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
        return load(records(card), card, split, count, size, seed)

    def version(card: Card) -> str:
        _check_card(card)
        return fingerprint(card.root)

    return Loader(load_split, version, records=records)


def _check_card(card: Card) -> None:
    if card.truth == "graded":
        raise SaltrustError(
            f"card '{card.name}': truth of files is 'mask', 'box' or 'none'; 'graded' is for generated data"
        )
    if card.root is None:
        raise SaltrustError(f"card '{card.name}': needs 'get', where the files are")
    if not card.available:
        raise card.not_here(f"no folder {card.root}")
    if card.get.embedded:
        fetch(card)


def load(records: Sequence[Record], card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """Read one split, every image resized to size x size pixels.

    Grey images stay grey (n, h, w); if any image of the split has colour, all become RGB. Boxes (truth "box") are in
    pixels of the resized image, cut at its border.

    Args:
        records: of the data set's images, of all splits.
        card: of the data set.
        split: "train", "val" or "test".
        count: how many images, drawn so that every class keeps its share; None for all.
        size: side of the images, in pixels.
        seed: of the draw.

    Returns:
        The split. Its truth is None where the files give labels alone.

    Raises:
        SaltrustError: Naming the image or file that is missing or wrong.
    """
    check_counts(card, records)
    chosen = [record for record in records if record.split == split]
    if not chosen:
        raise SaltrustError(f"data set '{card.name}': no image in split '{split}'")
    chosen = sampled(chosen, count, seed)
    located = _located(card, split, chosen)
    pixels, truth, boxes, findings, readers = [], [], [], [], []
    for index, record in enumerate(track(chosen, f"reading {card.name} {split}", len(chosen))):
        image = images.read(record.file)
        pixels.append(images.resized(image, size))
        draw = partial(drawn, width=image.shape[1], height=image.shape[0], size=size)
        with at(f"data set '{card.name}', image {record.id}"):
            if located:
                truth.append(draw(record.truth))
                findings.append({name: draw(shapes) for name, shapes in record.findings.items()})
                _check_truth(card, record, truth[-1], findings[-1])
            readers.append({name: packed(draw(shapes)) for name, shapes in record.readers.items()})
        if card.truth == "box":
            boxes.extend((index, *edges) for edges in _boxes(record, image.shape[1], image.shape[0], size))
    if any(image.ndim == 3 for image in pixels):
        pixels = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in pixels]
    named = {"classes": card.classes, "absent": card.absent_label} if card.classes else {}
    names = card.findings or tuple(sorted({name for record in chosen for name in record.findings}))
    return Split(
        pixels=np.stack(pixels),
        labels=np.array([record.label for record in chosen], dtype=np.int64),
        truth=np.stack(truth) if located else None,
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 5),
        ids=np.array([record.id for record in chosen]),
        findings=_findings(names, chosen, findings if located else None, size) if names else None,
        readers=_readers(readers, size) if any(readers) else None,
        **named,
    )


def _located(card: Card, split: str, records: Sequence[Record]) -> bool:
    """Whether the files say where the finding lies. Raises SaltrustError where they do so of some images alone."""
    unknown = [record.id for record in records if record.truth is None]
    if unknown and len(unknown) < len(records):
        raise SaltrustError(
            f"data set '{card.name}', split '{split}': {len(unknown)} of {len(records)} images have labels alone, the "
            f"first is {unknown[0]}; a split has truth of all its images, or of none"
        )
    return card.truth != "none" and not unknown


def _findings(
    names: Sequence[str], records: Sequence[Record], masks: Sequence[dict[str, np.ndarray]] | None, size: int
) -> Findings:
    present = np.array([[name in record.findings for name in names] for record in records])
    if masks is None:
        return Findings(names, present, None, size)
    nothing = np.zeros((size, size), dtype=bool)
    bits = [packed(np.stack([of.get(name, nothing) for of in masks])) for name in names]
    return Findings(names, present, np.stack(bits), size)


def _readers(bits: Sequence[dict[str, np.ndarray]], size: int) -> Readers:
    names = tuple(sorted(set().union(*bits)))
    read = np.array([[name in of for of in bits] for name in names])
    return Readers(names, read, np.stack([of[name] for name in names for of in bits if name in of]), size)


def check_counts(card: Card, records: Sequence[Record]) -> None:
    """Raise SaltrustError where the splits hold other numbers of images, or of images with the finding, than the card
    counts."""
    wrong = []
    for split, count in card.counts.items():
        labels = [record.label for record in records if record.split == split]
        found = len(labels), sum(label != card.absent_label for label in labels)
        if found != (count.images, count.positive):
            wrong.append(
                f"split '{split}' has {found[0]} images, {found[1]} with {card.finding}; "
                f"the card counts {count.images} and {count.positive}"
            )
    if wrong:
        raise SaltrustError(f"data set '{card.name}': {'; '.join(wrong)}")


def _unique(card: Card, records: Sequence[Record]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise SaltrustError(f"data set '{card.name}': two images are called {record.id}")
        seen.add(record.id)


def drawn(shapes: Sequence[Shape], width: int, height: int, size: int) -> np.ndarray:
    """Shapes as one mask of the resized image.

    Args:
        shapes: in pixels of the image as it is on file.
        width: of the image on file.
        height: of the image on file.
        size: side of the resized image.

    Returns:
        (size, size) bool: of boxes, what they cover there; of other shapes, what is left of them.
    """
    mask = np.zeros((size, size), dtype=bool)
    for shape in shapes:
        mask |= (
            shape.scaled(size / width, size / height).drawn(size, size)
            if isinstance(shape, Box)
            else reduced(shape.drawn(width, height), size)
        )
    return mask


def _boxes(record: Record, width: int, height: int, size: int) -> list[np.ndarray]:
    """Edges in pixels of the resized image of those boxes that lie in it, if only in part."""
    scale = size / width, size / height
    cut = [shape.scaled(*scale).cut(size, size) for shape in record.truth or () if isinstance(shape, Box)]
    edges = [np.array([box.x0, box.y0, box.x1, box.y1], dtype=np.float32) for box in cut]
    return [box for box in edges if (box[:2] < box[2:]).all()]


def _check_truth(card: Card, record: Record, truth: np.ndarray, findings: dict[str, np.ndarray]) -> None:
    name = card.classes[record.label] if card.classes else record.label
    if record.label == card.absent_label and truth.any():
        raise SaltrustError(f"has truth but is labelled {name}")
    marks = [(name, record.truth, truth)] if record.label != card.absent_label and not card.findings else []
    marks += [(name, record.findings[name], mask) for name, mask in findings.items()]
    for name, shapes, mask in marks:
        if not mask.any():
            why = "its truth covers none of its pixels" if shapes else "has no truth"
            raise SaltrustError(f"is labelled {name} but {why}")
