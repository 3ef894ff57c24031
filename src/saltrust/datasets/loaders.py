"""The registry of loaders, by the name that a data card gives."""

from collections.abc import Callable
from dataclasses import dataclass

from saltrust.core.data_cards import Card
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.datasets.records import Record


@dataclass(frozen=True)
class Loader:
    """load(card, split, count, size, seed) makes one split; fingerprint(card) tells versions of the files apart.

    shard: images that are made and stored at a time, None for all at once. A loader with a shard takes a sixth argument
    of `load`, `first`: the number in the split of the first image to make. records(card): what the files say of each
    image, None for images that are generated.
    """

    load: Callable[..., Split]
    fingerprint: Callable[[Card], str]
    shard: int | None = None
    records: Callable[[Card], list[Record]] | None = None


LOADERS: Registry[Loader] = Registry("loader")
