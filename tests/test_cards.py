"""Data cards: the project's own are valid; broken ones are refused with file, field and reason."""

import pytest
import yaml

from saltrust import cards, paths
from saltrust.errors import SaltrustError

GOOD = {
    "name": "made-up",
    "title": "Made up",
    "summary": "For a test.",
    "role": "none",
    "finding": "square",
    "modality": "drawing",
    "truth": "mask",
    "localizer": "unet",
    "licence": "CC0-1.0",
    "loader": "folder",
    "get": {"root": "$MADE_UP", "source": "nowhere"},
    "table": {"file": "t.csv", "image": "image", "label": "label", "split": "split", "mask": "mask"},
    "counts": {split: {"images": 4, "positive": 2} for split in ("train", "val", "test")},
}


@pytest.fixture
def write(tmp_path):
    def write(**changes):
        content = {key: value for key, value in (GOOD | changes).items() if value is not None}
        file = tmp_path / "made-up.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@pytest.mark.parametrize("name", cards.names())
def test_the_projects_cards_are_valid(name):
    assert cards.load(name).name == name


def test_a_good_card_is_read(write, monkeypatch, tmp_path):
    monkeypatch.setenv("MADE_UP", str(tmp_path / "there"))
    card = cards.parse(write())
    assert card.root == tmp_path / "there"
    assert not card.available


def test_prose_licence_and_place_do_not_change_what_the_card_names(write):
    first = cards.parse(write()).identity()
    assert (
        first
        == cards.parse(write(title="Another title", licence="other", get={"root": "/x", "source": "y"})).identity()
    )
    assert first != cards.parse(write(truth="mask", table=GOOD["table"] | {"label": "other"})).identity()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": "polygon"}, r"made-up\.yaml: truth: Input should be 'mask', 'box' or 'graded'"),
        ({"licence": None}, r"licence: Field required"),
        ({"colour": "red"}, r"colour: Extra inputs"),
        ({"name": "Made Up"}, r"name: String should match"),
        ({"name": "other"}, r"name: is 'other', the file is called 'made-up'"),
        ({"counts": {"train": {"images": 1, "positive": 1}}}, r"counts: .*lacks test, val"),
        ({"counts": GOOD["counts"] | {"val": {"images": 0, "positive": 0}}}, r"counts\.val\.images: .*greater than 0"),
        ({"table": None}, r"'get' and 'table' belong together"),
        ({"table": {k: v for k, v in GOOD["table"].items() if k != "mask"}}, r"truth 'mask' needs the table's 'mask'"),
        ({"truth": "box"}, r"truth 'box' needs the table's 'x', 'y', 'width' and 'height'"),
    ],
)
def test_a_broken_card_is_refused(write, changes, message):
    with pytest.raises(SaltrustError, match=message):
        cards.parse(write(**changes))


def test_other_mistakes_are_named(write, tmp_path, monkeypatch):
    monkeypatch.delenv("MADE_UP", raising=False)
    with pytest.raises(SaltrustError, match="environment variable MADE_UP"):
        _ = cards.parse(write()).root
    with pytest.raises(SaltrustError, match="did you mean 'phantom-pneumonia'"):
        cards.load("phantom-pneumoni")
    file = tmp_path / "made-up.yaml"
    file.write_text("a: [1, 2")
    with pytest.raises(SaltrustError, match="not valid YAML"):
        cards.parse(file)
    file.write_text("- 1")
    with pytest.raises(SaltrustError, match="a mapping of fields"):
        cards.parse(file)


def test_the_data_root_defaults_to_the_project(monkeypatch):
    monkeypatch.delenv("SALTRUST_DATA", raising=False)
    assert cards.load("brain-tumor-tiles").root == paths.PROJECT / "data" / "brain_tumor_tiles"


def test_a_protocol_may_change_the_loaders_parameters(write):
    card = cards.parse(write(parameters={"a": 1, "b": 2}, protocols={"as_run": {"b": 3}}))
    assert card.under("as_run").parameters == {"a": 1, "b": 3}
    assert card.under("corrected") == card
    assert card.under("as_run").identity() != card.identity()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a", "b"]}, "'absent' must be one of the classes: a, b"),
        ({"classes": ["a", "b"], "absent": "c"}, "'absent' must be one of the classes: a, b"),
        ({"networks": ["alexnet"]}, "'networks' needs two architectures"),
    ],
)
def test_classes_and_networks_are_checked(write, changes, message):
    with pytest.raises(SaltrustError, match=message):
        cards.parse(write(**changes))
