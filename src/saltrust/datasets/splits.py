"""Which images are used, and which split each is in: named, dealt by shares, or drawn."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets.files import at, rows
from saltrust.datasets.records import Record


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


def sampled(records: list[Record], count: int | None, seed: int) -> list[Record]:
    """Some of the records in their order, drawn so that every class keeps its share, and at least one image.

    Args:
        records: of one split.
        count: how many to keep, None for all.
        seed: of the draw.
    """
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


def thinned(records: Sequence[Record], negatives: int) -> list[Record]:
    """All records with the finding, and some without it, in their order.

    Args:
        records: of all images.
        negatives: how many to keep without the finding for each with it, 0 for all; which ones depends on nothing but
            their ids.
    """
    if not negatives:
        return list(records)
    without = sorted((r.id for r in records if not r.label), key=lambda name: hashlib.sha256(name.encode()).digest())
    kept = set(without[: negatives * sum(record.label for record in records)])
    return [record for record in records if record.label or record.id in kept]


def named_splits(card: Card, file: str) -> dict[str, str]:
    """The split of each image, from a table as Arun et al. published theirs.

    Args:
        card: of the data set.
        file: the table, with the columns Image_ID and Split.

    Raises:
        SaltrustError: Where one image is in two splits, or in one that does not exist.
    """
    found: dict[str, str] = {}
    for line, name, split in rows(card, file, ("Image_ID", "Split")):
        with at(f"{file}, line {line}"):
            if split not in SPLITS:
                raise unknown_name("split", split, SPLITS)
            image = name.removesuffix(".png").removesuffix(".dcm")
            if found.setdefault(image, split) != split:
                raise SaltrustError(f"{image} is in '{found[image]}' already")
    return found
