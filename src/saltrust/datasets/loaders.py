"""The registry of loaders, by the name that a data card gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
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
        records: what the files say of each image, None for images that lie in no files of the card's.
        origin: of images that lie in none: how they come to be there.
        groups: (card, names of test images) to what each of them belongs to, by its name, for generated images of which
            several show the same patient.
    """

    load: Callable[..., Split]
    fingerprint: Callable[[Card], str]
    shard: int | None = None
    records: Callable[[Card], list[Record]] | None = None
    origin: str = "the images are generated"
    groups: Callable[[Card, Sequence[str]], dict[str, str]] | None = None


def refuse_findings(card: Card) -> None:
    """Raise SaltrustError for a card of several findings, in the loader of a data set that has one."""
    if card.findings:
        raise SaltrustError(f"card '{card.name}': the loader '{card.loader}' knows one finding, not several 'findings'")


def loader_of(card: Card) -> Loader:
    """The loader that a card names.

    Raises:
        SaltrustError: For one that does not exist, and where the card says that generated images lie in files.
    """
    if card.loader not in LOADERS:
        raise SaltrustError(f"card '{card.name}': {unknown_name('loader', card.loader, LOADERS)}")
    found = LOADERS[card.loader]
    of_files = [name for name in ("get", "table", "annotations", "shares") if getattr(card, name)]
    if found.records is None and of_files:
        raise SaltrustError(
            f"card '{card.name}': the loader '{card.loader}' generates its images, and reads no files: leave out "
            f"'{of_files[0]}', or name another loader"
        )
    if found.records is not None and card.get is None:
        raise SaltrustError(f"card '{card.name}': the loader '{card.loader}' needs 'get', where the files are")
    return found


LOADERS: Registry[Loader] = Registry("loader")
