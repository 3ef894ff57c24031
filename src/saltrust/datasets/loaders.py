"""The registry of loaders, by the name that a data card gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.datasets.records import Record


@dataclass(frozen=True)
class Loader:
    """How a data set is read, or generated.

    Attributes:
        load: (card, split, count, size, seed) to one split; with a shard, a sixth argument `first` is the number in the
            split of the first image to make.
        fingerprint: tells versions of the files apart.
        shard: images that are made and stored at a time, None for all at once.
        records: what the files say of each image, None for images that are generated.
        groups: (card, names of test images) to what each of them belongs to, by its name, for generated images of which
            several show the same patient.
    """

    load: Callable[..., Split]
    fingerprint: Callable[[Card], str]
    shard: int | None = None
    records: Callable[[Card], list[Record]] | None = None
    groups: Callable[[Card, Sequence[str]], dict[str, str]] | None = None


def refuse_findings(card: Card) -> None:
    """Raise SaltrustError for a card of several findings, in the loader of a data set that has one."""
    if card.findings:
        raise SaltrustError(f"card '{card.name}': the loader '{card.loader}' knows one finding, not several 'findings'")


LOADERS: Registry[Loader] = Registry("loader")
