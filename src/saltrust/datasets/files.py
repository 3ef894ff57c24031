"""What all data sets of files share: from records of their images to a split in memory, and where splits come from."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Readers, Split, packed
from saltrust.core.progress import track
from saltrust.datasets import images
from saltrust.datasets.loaders import Loader
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import Box, reduced

TEXT = (".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml")  # files whose content a fingerprint covers


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
    if not card.root.is_dir():
        raise _absent(card, f"no folder {card.root}")


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
    chosen = _draw(chosen, count, seed)
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
    named = {"classes": card.classes, "absent": absent(card)} if card.classes else {}
    return Split(
        pixels=np.stack(pixels),
        labels=np.array([record.label for record in chosen], dtype=np.int64),
        truth=np.stack(truth) if located else None,
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 5),
        ids=np.array([record.id for record in chosen]),
        findings=_findings(card, chosen, findings if located else None, size) if card.findings else None,
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
    return not unknown


def _findings(
    card: Card, records: Sequence[Record], masks: Sequence[dict[str, np.ndarray]] | None, size: int
) -> Findings:
    present = np.array([[name in record.findings for name in card.findings] for record in records])
    if masks is None:
        return Findings(card.findings, present, None, size)
    nothing = np.zeros((size, size), dtype=bool)
    bits = [packed(np.stack([of.get(name, nothing) for of in masks])) for name in card.findings]
    return Findings(card.findings, present, np.stack(bits), size)


def _readers(bits: Sequence[dict[str, np.ndarray]], size: int) -> Readers:
    names = tuple(sorted(set().union(*bits)))
    read = np.array([[name in of for of in bits] for name in names])
    return Readers(names, read, np.stack([of[name] for name in names for of in bits if name in of]), size)


def absent(card: Card) -> int | None:
    """The label of an image without the finding; None where every image has one."""
    if not card.classes:
        return 0
    return None if card.absent is None else card.classes.index(card.absent)


def inside(root: Path, relative: str) -> Path:
    """The file of that name under the root. Raises SaltrustError for one that lies elsewhere, be it by an absolute
    path, by `..` or by a symbolic link: what a table says must not open other files of this machine."""
    folder, name = os.path.split(os.path.join(root, relative))
    if "\0" in relative:
        raise SaltrustError(f"{relative!r} is not the name of a file")
    file = os.path.join(_real(folder), name)
    file = os.path.realpath(file) if os.path.islink(file) else os.path.normpath(file)
    base = _real(str(root))
    if os.path.isabs(relative):
        raise SaltrustError(f"'{relative}' is absolute; write it relative to the data folder {root}")
    if os.path.commonpath([file, base]) != base:
        raise SaltrustError(f"'{relative}' leaves the data folder {root}")
    return Path(folder, name)


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def table(card: Card, name: str, columns: Sequence[str] = (), **options) -> pd.DataFrame:
    """A CSV file of a data set as text, "" for what is empty; rows are numbered as the lines of the file.

    name: relative to the root. columns: those that it must have. options: of pandas' `read_csv`. Raises SaltrustError
    for a file that is missing, not CSV, without rows or without one of the columns.
    """
    file = present(card, name)
    options = {"dtype": str, "skipinitialspace": True, "index_col": False, "skip_blank_lines": False} | options
    options |= {"keep_default_na": False, "na_values": ["", "NaN", "nan"]}  # a class may be "None"
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):  # it would cut the rows
            content = pd.read_csv(file, encoding="utf-8-sig", **options)
    except (ValueError, OSError, pd.errors.ParserWarning) as error:  # pandas' own errors are ValueErrors
        raise SaltrustError(f"{file}: not a CSV table: {' '.join(str(error).split())}") from error
    content.columns = [str(column).strip() for column in content.columns]
    if missing := [column for column in columns if column not in content.columns]:
        raise SaltrustError(f"{file}: no column {missing[0]!r}; columns: {', '.join(content.columns)}")
    first = 1 if options.get("header", 0) is None else 2
    content.index = range(first, len(content) + first)
    content = content.dropna(how="all").fillna("")
    if content.empty:
        raise SaltrustError(f"{file}: has no rows")
    return content


def present(card: Card, name: str) -> Path:
    """A file or folder of a data set, by its name relative to the root. Raises SaltrustError where it is missing."""
    with at(f"card '{card.name}'"):
        path = inside(card.root, name)
    if not os.path.exists(path):  # which, unlike Path's, is False also for a name too long
        raise _absent(card, f"no {'file' if path.suffix else 'folder'} {path}")
    return path


@contextmanager
def at(where: str) -> Iterator[None]:
    """Errors raised inside say where: a file and line, or an image."""
    try:
        yield
    except SaltrustError as error:
        raise SaltrustError(f"{where}: {error}") from error


def dealt(records: Sequence[Record], shares: dict[str, float], seed: int = 0) -> list[Record]:
    """Records dealt to splits, so that what belongs to one group stays together.

    Groups are dealt from the largest to the smallest, equals in an order drawn with `seed`, each to the split that it
    brings nearest to its share of every label and finding (by chi-square). Images without a group are groups by
    themselves. The order of the records does not matter.

    Args:
        records: of all images.
        shares: of the images, for each split.
        seed: of the draw.

    Returns:
        The records in their order, each in a split.
    """
    labels = [
        *sorted({record.label for record in records}),
        *sorted({name for one in records for name in one.findings}),
    ]
    members: dict[tuple[str, str], np.ndarray] = {}
    for record in records:
        found = members.setdefault(_group(record), np.zeros(len(labels)))
        found[[labels.index(label) for label in (record.label, *record.findings)]] += 1
    order = sorted(members, key=lambda group: (-members[group].sum(), _drawn(seed, group)))
    expected = np.outer(list(shares.values()), sum(members.values()))
    filled = np.zeros_like(expected)
    splits = {}
    for group in order:
        worse = (((filled + members[group] - expected) ** 2 - (filled - expected) ** 2) / expected).sum(1)
        best = int(worse.argmin())
        filled[best] += members[group]
        splits[group] = list(shares)[best]
    return [replace(record, split=splits[_group(record)]) for record in records]


def _group(record: Record) -> tuple[str, str]:
    return ("group", record.group) if record.group else ("image", record.id)


def _drawn(seed: int, group: tuple[str, str]) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()


def check_counts(card: Card, records: Sequence[Record]) -> None:
    """Raise SaltrustError where the splits hold other numbers of images, or of images with the finding, than the card
    counts."""
    wrong = []
    for split, count in card.counts.items():
        labels = [record.label for record in records if record.split == split]
        found = len(labels), sum(label != absent(card) for label in labels)
        if found != (count.images, count.positive):
            wrong.append(
                f"split '{split}' has {found[0]} images, {found[1]} with {card.finding}; "
                f"the card counts {count.images} and {count.positive}"
            )
    if wrong:
        raise SaltrustError(f"data set '{card.name}': {'; '.join(wrong)}")


def fingerprint(root: Path) -> str:
    """Digest of the tables under the root and of the size of every other file there: another version of the data has
    another one. An image that was changed without changing its size goes unnoticed."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            file = os.path.join(folder, name)
            digest.update(f"{file[len(str(root)) :]} {os.lstat(file).st_size}\n".encode())
            if name.lower().endswith(TEXT):
                digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def _absent(card: Card, what: str) -> SaltrustError:
    return SaltrustError(f"data set '{card.name}' is not on this machine: {what} (get it from {card.get.source})")


def _unique(card: Card, records: Sequence[Record]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise SaltrustError(f"data set '{card.name}': two images are called {record.id}")
        seen.add(record.id)


def _draw(records: list[Record], count: int | None, seed: int) -> list[Record]:
    """`count` of the records in their order, drawn so that every class keeps its share, and at least one image."""
    if count is None or count >= len(records):
        return records
    labels = np.array([record.label for record in records])
    values, found = np.unique(labels, return_counts=True)
    values, found = values[::-1], found[::-1]
    parts = np.diff(np.rint(found.cumsum() / len(records) * count), prepend=0).astype(int)
    if count >= len(values):
        parts = np.maximum(parts, 1)
        while parts.sum() > count:
            parts[parts.argmax()] -= 1
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == v), part, replace=False) for v, part in zip(values, parts, strict=True)
    ]
    return [records[i] for i in sorted(np.concatenate(chosen))]


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
    if record.label == absent(card) and truth.any():
        raise SaltrustError(f"has truth but is labelled {name}")
    marks = [(name, record.truth, truth)] if record.label != absent(card) and not card.findings else []
    marks += [(name, record.findings[name], mask) for name, mask in findings.items()]
    for name, shapes, mask in marks:
        if not mask.any():
            why = "its truth covers none of its pixels" if shapes else "has no truth"
            raise SaltrustError(f"is labelled {name} but {why}")
