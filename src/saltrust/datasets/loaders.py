"""The registry of loaders, by the name that a data card gives."""

from collections.abc import Callable
from dataclasses import dataclass

from saltrust.cards import Card
from saltrust.datasets.split import Split
from saltrust.registry import Registry


@dataclass(frozen=True)
class Loader:
    """load(card, split, count, size, seed) makes one split; fingerprint(card) tells versions of the files apart."""

    load: Callable[[Card, str, int, int, int], Split]
    fingerprint: Callable[[Card], str]


LOADERS: Registry[Loader] = Registry("loader")
