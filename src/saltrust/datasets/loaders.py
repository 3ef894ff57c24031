"""The registry of loaders, by the name that a data card gives."""

from collections.abc import Callable
from dataclasses import dataclass

from saltrust.cards import Card
from saltrust.datasets.split import Split
from saltrust.registry import Registry


@dataclass(frozen=True)
class Loader:
    """load(card, split, count, size, seed) makes one split; fingerprint(card) tells versions of the files apart.

    shard: images that are made and stored at a time, None for all at once. A loader with a shard takes a sixth argument
    of `load`, `first`: the number in the split of the first image to make.
    """

    load: Callable[..., Split]
    fingerprint: Callable[[Card], str]
    shard: int | None = None


LOADERS: Registry[Loader] = Registry("loader")
