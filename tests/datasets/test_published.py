"""The published sets' cards: valid, and their counts those of the tables that torchxrayvision carries with it."""

import gzip
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.datasets import published
from saltrust.datasets.loaders import LOADERS
from tests.datasets import written

CARDS = [
    name
    for name in data_cards.names()
    if data_cards.load(name).loader in ("siim", "rsna", "nih", "chexpert", "vindr", "mura")
]


def _parameters(loader):
    return getattr(import_module(f"saltrust.datasets.{loader}"), f"{loader.capitalize()}Parameters")


def test_every_loader_has_a_card():
    assert {data_cards.load(name).loader for name in CARDS} == {"siim", "rsna", "nih", "chexpert", "vindr", "mura"}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_gives_its_loader_what_it_knows(name):
    card = data_cards.load(name)
    given = published.parameters(card, _parameters(card.loader))
    assert given.published
    assert not given.part
    if card.counts and card.loader != "chexpert":  # whose tables count images that no split has
        whole = {name: sum(getattr(c, name) for c in card.counts.values()) for name in ("images", "positive")}
        assert whole in given.published.values()


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("siim-pneumothorax", {"train-rle.csv": "siim-pneumothorax-train-rle.csv.gz"}),
        ("vindr-cardiomegaly", {"train.csv": "vinbigdata-train.csv.gz"}),
        (
            "nih-cardiomegaly",
            {
                "Data_Entry_2017_v2020.csv": "Data_Entry_2017_v2020.csv.gz",
                "BBox_List_2017.csv": "BBox_List_2017.csv.gz",
            },
        ),
    ],
)
def test_the_counts_are_those_of_the_published_tables(name, tables, tmp_path, monkeypatch):
    """Without their images, which need a licence: these are taken to be there."""
    data = Path(find_spec("torchxrayvision").origin).parent / "data"
    for file, packed in tables.items():
        (tmp_path / file).write_bytes(gzip.decompress((data / packed).read_bytes()))
    for check in ("here", "of_size"):
        monkeypatch.setattr(published, check, lambda card, given, records, *_: records)
    monkeypatch.setattr("saltrust.datasets.siim._patient", lambda record: record.id)
    card = data_cards.load(name)
    parameters = {key: value for key, value in card.parameters.items() if key not in ("splits", "only")}
    found = LOADERS[card.loader].records(
        written.card(card.loader, tmp_path, card.truth, parameters=parameters, shares=written.SHARES)
    )
    assert len(found) == {"siim-pneumothorax": 12047, "vindr-cardiomegaly": 14517, "nih-cardiomegaly": 146 * 5}[name]


def test_a_version_that_fits_in_part_does_not_fit():
    given = published.PublishedParameters(
        published={"a": {"images": 2, "positive": 1}, "b": {"images": 3, "positive": 2}}
    )
    card = data_cards.load(CARDS[0])
    published.counted(card, given, images=3, positive=2)
    with pytest.raises(
        SaltrustError, match="3 images, 1 positive, but was published with a: 2 images, 1 positive; b: 3"
    ):
        published.counted(card, given, images=3, positive=1)
