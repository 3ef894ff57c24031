"""What the loaders of the published data sets share: their parameters, and the counts as published."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from saltrust.core.card_parts import Strict, Whole
from saltrust.core.data_cards import Card, told
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import number
from saltrust.datasets.files import at, inside, walked
from saltrust.datasets.images import size_of
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box


class PublishedParameters(Strict):
    """What a card tells the loader of any published data set.

    Attributes:
        published: by version of the set, how many things it counts ("images", "positive", …); one version must fit.
        part: only some of the images are here: those that are missing are left out, and nothing is counted.
    """

    published: dict[str, dict[str, Whole]] = {}
    part: bool = False


P = TypeVar("P", bound=PublishedParameters)


def parameters(card: Card, kind: type[P]) -> P:
    """The card's parameters.

    Args:
        card: of the data set.
        kind: the class of its loader's parameters.

    Raises:
        SaltrustError: Naming the parameter that is unknown or wrong.
    """
    if unknown := set(card.parameters) - set(kind.model_fields):
        raise unknown_name(f"parameter of the loader '{card.loader}'", min(unknown), kind.model_fields)
    try:
        return kind(**card.parameters)
    except ValidationError as error:
        raise SaltrustError(f"card '{card.name}': parameters.{told(error, kind)}") from error


def counted(card: Card, given: PublishedParameters, **counts: int) -> None:
    """Compare what was counted in the tables with what was published.

    Args:
        card: of the data set.
        given: its parameters, with the counts by version.
        counts: what was counted, by what the card calls it.

    Raises:
        SaltrustError: Where no version fits.
    """
    versions = given.published
    for version in versions.values():
        if unknown := set(version) - set(counts):
            raise unknown_name(f"count in the card '{card.name}'", min(unknown), counts)
    if given.part or not versions or any(version.items() <= counts.items() for version in versions.values()):
        return
    known = "; ".join(f"{name}: {_listed(version)}" for name, version in versions.items())
    raise SaltrustError(
        f"data set '{card.name}' has {_listed(counts)}, but was published with {known} (where only a part of it is "
        "wanted, write `part: true` into the card's parameters)"
    )


def here(card: Card, given: PublishedParameters, records: Sequence[Record]) -> list[Record]:
    """The records whose image is on this machine. Raises SaltrustError if one is not, unless `part` is set; or all."""
    missing = [record.file for record in records if not os.path.isfile(record.file)]  # False also for a name too long
    if missing and (not given.part or len(missing) == len(records)):
        raise SaltrustError(
            f"data set '{card.name}': {len(missing)} of {len(records)} images are not on this machine, the first is "
            f"{missing[0]} (get them from {card.get.source}; where only a part of them is wanted, write `part: true` "
            "into the card's parameters)"
        )
    absent = set(missing)
    return [record for record in records if record.file not in absent]


def by_name(root: Path, folder: Path, suffix: str) -> Callable[[str], Path]:
    """The files of that suffix in a folder of the data set and in those below it, however deep.

    Args:
        root: the folder of the data set.
        folder: in it.
        suffix: how the names end.

    Returns:
        From a name without the suffix to the file; where there is none, to where it would lie. Raises SaltrustError for
        a name or a link that leads out of the root.

    Raises:
        SaltrustError: Where two files have the same name.
    """
    files: dict[str, Path] = {}
    for file in walked(folder, suffix):
        if not file.name.endswith(suffix) or file.name.startswith("."):
            continue
        stem = file.name.removesuffix(suffix)
        if stem in files:
            raise SaltrustError(f"two images are called {file.name}: in {files[stem].parent} and in {file.parent}")
        files[stem] = file

    def find(stem: str) -> Path:
        return inside(root, os.path.relpath(files.get(stem, folder / f"{stem}{suffix}"), root))

    return find


def box(values: Sequence[str], corners: bool = False) -> Box | None:
    """The box of four cells.

    Args:
        values: x, y, width and height, or two corners, as text.
        corners: whether they are two corners.

    Returns:
        The box; None where all cells are empty.

    Raises:
        SaltrustError: For a cell that is empty or no number, and for a box without an inside.

    >>> box(["1", "2", "3", "4"])
    Box(x0=1.0, y0=2.0, x1=4.0, y1=6.0)
    """
    if not any(values):
        return None
    with at(f"a box needs four numbers, not {', '.join(map(repr, values))}"):
        x, y, right, bottom = map(number, values)
    found = Box(x, y, right, bottom) if corners else Box(x, y, x + right, y + bottom)
    if found.x0 == found.x1 or found.y0 == found.y1:
        raise SaltrustError(f"a box needs a width and a height above 0, not {', '.join(values)}")
    return found


def of_size(card: Card, records: Iterable[Record], width: int, height: int) -> None:
    """Check that images still have the size that something was drawn on.

    Mirrors of the sets exist with smaller images and the same tables: there the truth would lie elsewhere.

    Args:
        card: of the data set.
        records: of images; those in which nothing is drawn are not looked at.
        width: of the image as it was published, in pixels.
        height: likewise.

    Raises:
        SaltrustError: For the first image of another size.
    """
    for record in records:
        if (record.truth or any(record.readers.values())) and (size := size_of(record.file)) != (width, height):
            raise SaltrustError(
                f"{record.file}: has {size[0]} x {size[1]} pixels, but the truth of '{card.name}' was drawn on {width} "
                f"x {height}; get the original images from {card.get.source}"
            )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
