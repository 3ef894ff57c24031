"""MURA: PNG in folders of studies, each study normal or abnormal, and regions that radiologists drew in some images.

torchxrayvision has no reader of it. The regions are those of Venkatesh et al., one table for each radiologist, as the
VGG Image Annotator (VIA) writes it; theirs are public, with all 638 abnormal test images in each, but have no licence.
"""

import re
from collections.abc import Iterator
from itertools import chain

from pydantic import Field

from saltrust.core.card_parts import Whole
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets import published, via
from saltrust.datasets.files import at, inside, rows, table
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.loading import loader
from saltrust.datasets.readers import agreed
from saltrust.datasets.records import Record, Shape
from saltrust.datasets.splits import thinned

STUDY = re.compile(r"(?:^|/)(train|valid)/XR_([A-Z]+)/patient([0-9]+)/study([0-9]+)_(positive|negative)/")
IMAGE = re.compile(STUDY.pattern + r"(image[0-9]+)\.png$")


class MuraParameters(published.PublishedParameters):
    """What a card tells the loader.

    Attributes:
        parts: of the data set, each with a table of image paths and one of labelled studies.
        tables: their folder.
        regions: of the body (WRIST, ELBOW, …), () for all.
        readers: VIA's table of each, by the name of the reader.
        votes: how many readers must have marked a pixel.
        negatives: how many normal images are drawn for each abnormal one, 0 for all.
    """

    parts: tuple[str, ...] = ("train", "valid")
    tables: str = "MURA-v1.1"
    regions: tuple[str, ...] = ()
    readers: dict[str, str] = {f"rad{number}": f"rad{number}_annotations.csv" for number in (1, 2, 3)}
    votes: Whole = Field(default=2, ge=1)
    negatives: Whole = Field(default=2, ge=0)


def records(card: Card) -> list[Record]:
    """The abnormal images in which enough readers marked the same pixels, and the normal ones.

    A study is labelled as a whole: which of its images show something is what the readers say. Images of abnormal
    studies that they have not all seen, or in which they do not agree, are not used. A patient is the same in all
    parts of the body.
    """
    given = published.parameters(card, MuraParameters)
    labels = dict(
        chain.from_iterable(_labels(card, f"{given.tables}/{part}_labeled_studies.csv") for part in given.parts)
    )
    _one_label_each(labels)
    paths = list(
        chain.from_iterable(_paths(card, f"{given.tables}/{part}_image_paths.csv", labels) for part in given.parts)
    )
    published.counted(
        card, given, images=len(paths), studies=len(labels), patients=len({STUDY.search(study)[3] for study in labels})
    )
    if given.regions and (unknown := set(given.regions) - (known := {STUDY.search(study)[2] for study in labels})):
        raise unknown_name("region", min(unknown), known)
    readers = {reader: _drawn(card, file) for reader, file in given.readers.items()}
    if given.votes > len(readers):
        raise SaltrustError(f"card '{card.name}': parameters.votes: {given.votes} of {len(readers)} readers")
    found = []
    for path in paths:
        part, region, patient, study, label, image = IMAGE.search(path).groups()
        if given.regions and region not in given.regions:
            continue
        name = f"{part}_{region}_p{patient}_s{study}_{image}.png"
        drawn = {reader: tuple(regions[name]) for reader, regions in readers.items() if name in regions}
        truth = agreed(list(drawn.values()), given.votes) if len(drawn) == len(readers) else ()
        if truth and label == "negative":
            raise SaltrustError(f"{path}: {given.votes} readers agree on a region in an image of a normal study")
        if truth or label == "negative":
            file, group = inside(card.root, path), f"patient{patient}"
            found.append(Record(path, file, int(bool(truth)), "", group, truth, readers=drawn))
    return thinned(published.here(card, given, found), given.negatives)


def _labels(card: Card, file: str) -> Iterator[tuple[str, str]]:
    """(study, label) of each line; the label must be that in the name of the study."""
    for line, path, label in _lines(card, file, 2):
        with at(f"{file}, line {line}"):
            study = STUDY.search(path)
            if not study:
                raise SaltrustError(f"'{path}' is not a study (train/XR_WRIST/patient00001/study1_positive/)")
            if label != {"positive": "1", "negative": "0"}[study[5]]:
                raise SaltrustError(f"{path} is labelled '{label}'")
        yield path, label


def _one_label_each(labels: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for study in labels:
        name = re.sub("_(positive|negative)/$", "", study)
        if name in seen:
            raise SaltrustError(f"study {name} has both labels: {seen[name]}, {study}")
        seen[name] = study


def _paths(card: Card, file: str, labels: dict[str, str]) -> Iterator[str]:
    """The images of the labelled studies."""
    for line, path in _lines(card, file, 1):
        with at(f"{file}, line {line}"):
            if not IMAGE.search(path):
                raise SaltrustError(f"'{path}' is not an image of a study (…/study1_positive/image1.png)")
            if path.rpartition("/")[0] + "/" not in labels:
                raise SaltrustError(f"the study of '{path}' is not among the labelled ones")
        yield path


def _lines(card: Card, file: str, columns: int) -> Iterator[tuple]:
    return table(card, file, headings=range(columns)).itertuples()


def _drawn(card: Card, file: str) -> dict[str, list[Shape]]:
    """By image, the regions that one reader drew; a line without a region says that the reader saw the image."""
    drawn: dict[str, list[Shape]] = {}
    for line, name, cell in rows(card, file, via.COLUMNS):
        with at(f"{file}, line {line}"):
            drawn.setdefault(name, []).extend(via.regions(cell))
    return drawn


LOADERS.register("mura")(loader(records))
