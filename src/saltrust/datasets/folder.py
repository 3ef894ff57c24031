"""Anyone's images: a data card says where they are and how their table, or their annotations, are to be read."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from saltrust.core.data_cards import SPLITS, Card, Table
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import number
from saltrust.datasets.annotations import FORMATS
from saltrust.datasets.files import at, inside, table
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.readers import Drawing, with_drawings
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.shapes import Box, MaskFile

COLUMNS = ("image", "label", "split", "group", "reader", "mask", "x", "y", "width", "height", "right", "bottom")
NUMBERS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}

Row = dict[str, str]  # a row of the table by column, "" where it is empty


def records(card: Card) -> list[Record]:
    """The images of a card with a table or annotations, in the order of these.

    Rows of one image must agree on its label, split and group; a box or mask that they repeat counts once. Where the
    card gives `positive` words, or several findings, a row may name any of them: an image has the findings that its
    rows name, and what is drawn in a row is the truth of those. Where rows name readers, images in which these do not
    agree are left out.

    Raises:
        SaltrustError: Naming the file, the line and what is wrong with it.
    """
    if card.annotations:
        return FORMATS[card.annotations.format](card)
    t = card.table
    columns = [column for name in COLUMNS if (column := getattr(t, name))]
    rows = table(card, t.file, [*columns, *(() if t.label else card.findings)])
    root = card.root
    file = root / t.file
    _check_values(card, file, rows)
    images: dict[str, dict[int, Row]] = {}
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        images.setdefault(row[t.image], {})[line] = row
    records = (_record(card, root, file, name, lines) for name, lines in images.items())
    return [record for record in records if record is not None]


def _check_values(card: Card, file: Path, rows: pd.DataFrame) -> None:
    """Raise SaltrustError where the table never names a split or a word that the card expects."""
    t = card.table
    if card.classes and not t.label:
        raise SaltrustError(f"card '{card.name}': with 'classes', its table needs a 'label' column")
    if t.split and not card.shares:
        _check_named(file, t.split, SPLITS, rows[t.split])
    if t.label and (expected := t.positive or card.findings):
        words = {word for text in rows[t.label] for word in _words(t, text)}
        _check_named(file, t.label, expected, words)
        _check_no_misspelling(file, t, expected, words)
    if t.reader and len(found := set(rows[t.reader]) - {""}) < t.votes:
        raise SaltrustError(
            f"{file}: the card wants {t.votes} votes, and column {t.reader!r} names {len(found)} readers"
        )


def _check_no_misspelling(file: Path, t: Table, expected: Sequence[str], words: set[str]) -> None:
    """Raise SaltrustError for a word that would count as without the finding, and is an expected one in another
    spelling or behind another separator."""
    known = {word.casefold(): word for word in expected}
    for word in sorted(words - set(expected)):
        for part in re.split(r"[;,|/]", word):
            if meant := known.get(part.strip().casefold()):
                hint = "the separator differs" if part != word else "they differ in case alone"
                raise SaltrustError(
                    f"{file}: column {t.label!r} has '{word}', which does not count as '{meant}': {hint}; "
                    "add it to 'positive', or correct 'separator' or the table"
                )


def _check_named(file: Path, column: str, expected: Iterable[str], values: Iterable[str]) -> None:
    found = set(values)
    for word in expected:
        if word not in found:
            shown = ", ".join(sorted(found)[:20])
            raise SaltrustError(f"{file}: column {column!r} has no row '{word}'; its values: {shown}")


def _record(card: Card, root: Path, file: Path, name: str, lines: dict[int, Row]) -> Record | None:
    """The record of an image from its rows, by line; None where its readers do not agree."""
    t = card.table
    with at(f"{file}, line {min(lines)}"):
        if not name:
            raise SaltrustError(f"column {t.image!r} is empty")
        path = inside(root, os.path.join(t.folder, name + t.suffix))
    several = bool((t.positive or card.findings) and not card.classes)  # rows may name other findings, too
    labels: dict[int, int] = {}
    drawings: dict[Drawing, None] = {}
    for line, row in lines.items():
        with at(f"{file}, line {line}"):
            shapes = _shapes(card, root, row)
            findings = _findings(card, row)
            labels[line] = _label(card, row[t.label]) if t.label else int(any((*shapes, *findings)))
            reader = row[t.reader] if t.reader else ""
            if t.reader and shapes and not reader:
                raise SaltrustError(f"column {t.reader!r} is empty, and something is drawn")
        if card.findings:
            drawings |= {Drawing(shape, finding, reader): None for finding in findings for shape in shapes or (None,)}
        elif labels[line] or not several:
            drawings |= {Drawing(shape, "", reader): None for shape in shapes}

    def agreed(what: str, values: dict[int, str | int]) -> str | int:
        (line, value), *others = values.items()
        for other, differing in others:
            if differing != value:
                raise SaltrustError(
                    f"{file}, lines {line} and {other}: {what} of {name} is {value!r} and {differing!r}"
                )
        return value

    def column(name: str | None) -> str:
        return agreed(f"column {name!r}", {line: row[name] for line, row in lines.items()}) if name else ""

    split = column(t.split)
    bare = Record(
        id=name,
        file=path,
        label=max(labels.values()) if several or not t.label else agreed("label", labels),
        split=split if split in SPLITS else "",
        group=column(t.group),
    )
    readers = sorted({row[t.reader] for row in lines.values()} - {""}) if t.reader else []
    return with_drawings(card, bare, list(drawings), readers, t.votes)


def _findings(card: Card, row: Row) -> tuple[str, ...]:
    """Of the card's findings those that a row names, or that have 1 in their column."""
    if card.table.label:
        words = _words(card.table, row[card.table.label])
        return tuple(name for name in card.findings if name in words)
    for name in card.findings:
        if row[name] not in NUMBERS:
            raise SaltrustError(f"{name} '{row[name]}' must be 0 or 1")
    return tuple(name for name in card.findings if NUMBERS[row[name]])


def _words(t: Table, text: str) -> list[str]:
    return [word.strip() for word in (text.split(t.separator) if t.separator else [text])]


def _label(card: Card, text: str) -> int:
    """1 or 0, or the position of the class, that a label of the table says."""
    t = card.table
    if not text:
        raise SaltrustError(f"column {t.label!r} is empty")
    words = _words(t, text)
    if card.classes:
        if unknown := [word for word in words if word not in card.classes]:
            raise unknown_name("class", unknown[0], card.classes)
        if len(set(words)) > 1:
            raise SaltrustError(f"label '{text}' names several of the card's classes; an image has one")
        return card.classes.index(words[0])
    if expected := t.positive or card.findings:
        return int(any(word in expected for word in words))
    if text not in NUMBERS:
        raise SaltrustError(f"label '{text}' must be 0 or 1; for words, the card's table says which are 'positive'")
    return NUMBERS[text]


def _shapes(card: Card, root: Path, row: Row) -> tuple[Shape, ...]:
    """The mask or the box that a row names, if any."""
    t = card.table
    if card.truth == "none":
        return ()
    if card.truth == "mask":
        return (MaskFile(inside(root, row[t.mask])),) if row[t.mask] else ()
    texts = [row[column] for column in t.box]
    if not any(texts):
        return ()
    with at(f"box {dict(zip(t.box, texts, strict=True))}: needs four numbers, or none"):
        x, y, right, bottom = map(number, texts)
    return (Box(x, y, right + x * bool(t.width), bottom + y * bool(t.height)),)


LOADERS.register("folder")(loader(records))
