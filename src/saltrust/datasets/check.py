"""Check the files of a data set on this machine against its card: what is there, what is missing, what disagrees."""

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from saltrust.core.card_names import check_names
from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import track
from saltrust.datasets import images
from saltrust.datasets.loaders import loader_of
from saltrust.datasets.loading import drawn
from saltrust.datasets.quality import counts_by_finding, counts_by_reader, groups_apart
from saltrust.datasets.quality import groups as groups_of
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box

SIDE = 320  # pixels of the square on which truth is drawn


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. good: whether it is as the card says; None for what is only told."""

    what: str
    found: str
    good: bool | None = None


def check(card: Card, sample: int = 200, seed: int = 0) -> tuple[list[Line], list[Record]]:
    """What the files say beside what the card says, and the records of the images that were opened and are in order.

    sample: images that are opened, drawn with `seed`, 0 for all. Reads every table, and of every image whether it is
    there. Nothing is written.
    """
    loader = loader_of(card)
    check_names(card)
    if loader.records is None:
        return [Line("files", f"none: {loader.origin}", True)], []
    if not card.available:
        return [Line("folder", f"no folder {card.root} ({card.how_to_get})", False)], []
    lines = [Line("folder", str(card.root), True)]
    try:
        records = loader.records(card)
    except SaltrustError as error:
        return [*lines, Line("tables", str(error), False)], []
    lines += [Line("tables", f"{len(records)} images described", bool(records))]
    lines += _splits(card, records)
    there = {record.file for record in records if os.path.isfile(record.file)}  # False also for a name too long
    missing = [str(record.file) for record in records if record.file not in there]
    lines.append(Line("image files", _cases(missing, len(records), "missing"), not missing))
    lines += _labels(card, records)
    for reader, (read, drew) in counts_by_reader(records).items():
        lines.append(Line(f"reader {reader}", f"drew in {drew} of {read} images"))
    apart, groups = groups_apart(records), len(groups_of(records))
    told = _cases(apart, groups, "in several splits") if groups else "not told: which images belong together is unknown"
    lines.append(Line("patients (groups)", told, not apart if groups else None))
    opened, sound = _open(card, [record for record in records if record.file in there], sample, seed)
    return lines + opened, sound


def _splits(card: Card, records: Sequence[Record]) -> list[Line]:
    """Images of each split, and with the finding, beside the card's counts."""
    none = card.absent_label
    lines = []
    for split in SPLITS:
        labels = [record.label for record in records if record.split == split]
        positive = sum(label != none for label in labels)
        found = f"{len(labels)} images, {positive} with {card.finding}"
        if card.classes:
            named = Counter(card.classes[label] for label in labels)
            found += f" ({', '.join(f'{name} {named[name]}' for name in card.classes)})"
        if card.findings:
            here = [record for record in records if record.split == split]
            found += f" ({', '.join(f'{name} {n}' for name, n in counts_by_finding(here, card.findings).items())})"
        expected = card.counts.get(split)
        if expected is None:
            lines.append(Line(split, found, bool(labels)))
            continue
        good = (expected.images, expected.positive) == (len(labels), positive)
        told = "" if good else f"; the card counts {expected.images} and {expected.positive}"
        lines.append(Line(split, found + told, good))
    if unused := sum(record.split not in SPLITS for record in records):
        lines.append(Line("in no split", f"{unused} images, not used"))
    return lines


def _labels(card: Card, records: Sequence[Record]) -> list[Line]:
    """Whether labels and truth agree, as far as the tables tell."""
    none = card.absent_label
    used = [record for record in records if record.split in SPLITS]
    bare = [record.id for record in used if record.label != none and record.truth == ()]
    extra = [record.id for record in used if record.label == none and record.truth]
    return [
        Line("labels without truth", _cases(bare, len(used), f"with {card.finding}, no truth"), not bare),
        Line("truth without label", _cases(extra, len(used), "with truth, labelled without"), not extra),
    ]


def _open(card: Card, records: list[Record], sample: int, seed: int) -> tuple[list[Line], list[Record]]:
    """Open images and draw their truth; what cannot be read is told."""
    chosen = random.Random(seed).sample(records, min(sample or len(records), len(records)))
    sizes, shares, over, full, faults, sound = set(), [], [], [], [], []
    for record in track(chosen, f"opening images of {card.name}", len(chosen)):
        try:
            height, width = images.read(record.file).shape[:2]
            truth = drawn(record.truth or (), width, height, SIDE)
        except SaltrustError as error:
            faults.append(f"{record.id}: {error}")
            continue
        if record.truth and not truth.any():
            faults.append(f"{record.id}: its truth covers none of its pixels")
            continue
        # What readers share of their boxes may well be a sliver: what they drew must be in order.
        shapes = chain.from_iterable(record.readers.values()) if record.readers else record.truth or ()
        boxes = [(shape, shape.cut(width, height)) for shape in shapes if isinstance(shape, Box)]
        if any(min(cut.x1 - cut.x0, cut.y1 - cut.y0) < 1 for _, cut in boxes):
            faults.append(f"{record.id}: less than a pixel of a box lies in its {width} x {height} pixels")
            continue
        over += [record.id] if any(box != cut for box, cut in boxes) else []
        sizes.add((width, height))
        shares += [truth.mean()] if record.truth else []
        full += [record.id] if truth.all() else []
        sound.append(record)
    of = f"{len(chosen)} of {len(records)} opened"
    lines = [Line("images", f"{of}; {_cases(faults, len(chosen), 'not in order')}", not faults)]
    if sizes:
        width, height = ("-".join(map(str, sorted({min(side), max(side)}))) for side in zip(*sizes, strict=True))
        lines.append(Line("size", f"{width} x {height} pixels"))
    if shares:
        spread = f"{min(shares):.2%} to {max(shares):.2%}, median {np.median(shares):.2%}"
        lines.append(Line("share of the truth", spread))
    if full:
        lines.append(
            Line("truth without an outside", _cases(full, len(shares), "filled by it: every map's AUPRC is 1"))
        )
    if over:
        lines.append(Line("boxes cut", _cases(over, len(chosen), "reach over the border of their image")))
    return lines, sound


def _cases(cases: Sequence[str], among: int, what: str, shown: int = 3) -> str:
    listed = f": {'; '.join(cases[:shown])}" if cases else ""
    more = f"; and {len(cases) - shown} more" if len(cases) > shown else ""
    return f"{len(cases)} of {among} {what}{listed}{more}"
