"""Data cards: the project's own are valid; broken ones are refused with file, field and reason."""

import re

import pytest
import yaml

from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError

OWN_DATA = (paths.BOOK / "concepts" / "own_data.md").read_text(encoding="utf-8")

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


@pytest.mark.parametrize("name", data_cards.names())
def test_the_projects_cards_are_valid(name):
    assert data_cards.load(name).name == name


def test_a_good_card_is_read(write, monkeypatch, tmp_path):
    monkeypatch.setenv("MADE_UP", str(tmp_path / "there"))
    card = data_cards.parse(write())
    assert card.root == tmp_path / "there"
    assert not card.available


def test_prose_licence_and_place_do_not_change_what_the_card_names(write):
    first = data_cards.parse(write()).identity()
    assert (
        first
        == data_cards.parse(write(title="Another title", licence="other", get={"root": "/x", "source": "y"})).identity()
    )
    assert first != data_cards.parse(write(truth="mask", table=GOOD["table"] | {"label": "other"})).identity()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": "polygon"}, r"made-up\.yaml: truth: Input should be 'mask', 'box', 'graded' or 'none'"),
        ({"truth": "none"}, r"localizer: with truth 'none' it must be left out"),
        ({"localizer": None, "truth": "none", "table": GOOD["table"] | {"reader": "r"}}, r"'reader' needs truth"),
        ({"table": GOOD["table"] | {"votes": 2}}, r"table: 'votes' needs 'reader'"),
        ({"table": GOOD["table"] | {"reader": "r", "votes": 0}}, r"table\.votes: .*greater than or equal to 1"),
        ({"findings": ["a", "a"]}, r"'findings' needs each name once"),
        ({"findings": ["a", "b"], "classes": ["a", "b"]}, r"a card has either"),
        ({"findings": ["a"], "table": GOOD["table"] | {"positive": ["a"]}}, r"'positive' is for one finding"),
        (
            {"findings": ["a"], "table": {**GOOD["table"], "label": None}},
            r"findings with truth need",
        ),
        ({"finding": None}, r"finding: Field required"),
        ({"colour": "red"}, r"unknown field 'colour'"),
        ({"name": "Made Up"}, r"name: small letters, digits and single hyphens"),
        ({"name": "other"}, r"name: is 'other', the file is called 'made-up'"),
        ({"counts": {"train": {"images": 1, "positive": 1}}}, r"counts: .*lacks test, val"),
        ({"counts": GOOD["counts"] | {"val": {"images": 0, "positive": 0}}}, r"counts\.val\.images: .*greater than 0"),
        ({"table": None}, r"'folder' needs either 'table' or 'annotations'"),
        ({"get": None}, r"'table' needs 'get'"),
        ({"loader": "phantom", "table": None, "get": None, "counts": None}, r"generated data needs 'counts'"),
        ({"table": {k: v for k, v in GOOD["table"].items() if k != "split"}}, r"says nothing of splits"),
        ({"shares": {"train": 0.5, "val": 0.2, "test": 0.3}}, r"shares: the files already name splits"),
        ({"shares": {"train": 0.5, "test": 0.5}}, r"shares: lacks val"),
        ({"shares": {"train": 0.5, "val": 0.2, "test": 0.2}}, r"shares: must be above 0 and add up to 1"),
        ({"shares": {"train": 1.0, "val": 0.0, "test": 0.0}}, r"shares: must be above 0 and add up to 1"),
        ({"annotations": {"format": "coco", "files": "a", "images": "b"}}, r"either 'table' or 'annotations'"),
        ({"table": None, "annotations": {"format": "csv", "files": "a", "images": "b"}}, r"annotations\.format: Input"),
        ({"models": [{"source": "a.py:load", "size": 16}]}, r"models\.0\.size: Input should be greater"),
        ({"models": [{"source": "a.py:load", "channels": 2}]}, r"models\.0\.channels: Input should be 1 or 3"),
        ({"models": [{"name": "a"}]}, r"models\.0\.source: Field required"),
        ({"models": [{"source": "a.py:load"}]}, r"models: each needs a name of its own"),
        ({"models": [{"source": s, "name": "a"} for s in "xy"]}, r"models: each needs a name of its own"),
        ({"models": [{"source": "x", "name": "a"}, {"source": "y", "name": "a-random"}]}, r"'<the first>-random'"),
        ({"finding": None, "findng": "square"}, r"unknown field 'findng'; did you mean 'finding'"),
        ({"table": GOOD["table"] | {"rigth": "x"}}, r"unknown field of table 'rigth'; did you mean 'right'"),
        ({"table": {k: v for k, v in GOOD["table"].items() if k != "mask"}}, r"truth 'mask' needs the table's 'mask'"),
        ({"truth": "box"}, r"truth 'box' needs the table's 'x', 'y' and 'width'"),
        ({"plays": {"role": "sim", "data": "original"}}, r"plays: unknown role 'sim'; did you mean 'siim'"),
        (
            {"plays": {"role": "siim", "data": "own"}},
            r"plays\.data: Input should be 'original', 'redrawn' or 'stand-in'",
        ),
        ({"plays": {"role": "siim", "as": "original"}}, r"unknown field of plays 'as'"),
    ],
)
def test_a_broken_card_is_refused(write, changes, message):
    with pytest.raises(SaltrustError, match=message):
        data_cards.parse(write(**changes))


def test_other_mistakes_are_named(write, tmp_path, monkeypatch):
    monkeypatch.delenv("MADE_UP", raising=False)
    with pytest.raises(SaltrustError, match="environment variable MADE_UP"):
        _ = data_cards.parse(write()).root
    with pytest.raises(SaltrustError, match="did you mean 'phantom-pneumonia'"):
        data_cards.load("phantom-pneumoni")
    file = tmp_path / "made-up.yaml"
    file.write_text("a: [1, 2")
    with pytest.raises(SaltrustError, match="not valid YAML"):
        data_cards.parse(file)
    file.write_text("- 1")
    with pytest.raises(SaltrustError, match="a mapping of fields"):
        data_cards.parse(file)


def test_the_data_root_defaults_to_the_project(monkeypatch):
    monkeypatch.delenv("SALTRUST_DATA", raising=False)
    assert data_cards.load("brain-tumor-tiles").root == paths.PROJECT / "data" / "brain_tumor_tiles"


def test_a_protocol_may_change_the_loaders_parameters(write):
    card = data_cards.parse(write(parameters={"a": 1, "b": 2}, protocols={"as_run": {"b": 3}}))
    assert card.under("as_run").parameters == {"a": 1, "b": 3}
    assert card.under("corrected") == card
    assert card.under("as_run").identity() != card.identity()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a"]}, "'classes' needs two or more names, each once"),
        ({"classes": ["a", "b", "a"]}, "'classes' needs two or more names, each once"),
        ({"classes": ["a", "b"], "absent": "c"}, "'absent' must be one of the classes: a, b"),
        ({"networks": ["alexnet"]}, "'networks' needs two architectures"),
        ({"contrast": ["8", "3"]}, "'contrast' names two of the 'classes'"),
        ({"classes": ["8", "3"], "contrast": ["8"]}, "'contrast' names two of the 'classes'"),
        ({"classes": ["8", "3"], "contrast": ["3", "3"]}, "'contrast' names two of the 'classes'"),
    ],
)
def test_classes_and_networks_are_checked(write, changes, message):
    with pytest.raises(SaltrustError, match=message):
        data_cards.parse(write(**changes))


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", OWN_DATA, re.DOTALL))
def test_the_cards_that_the_book_shows_are_valid(text, tmp_path):
    file = tmp_path / f"{yaml.safe_load(text)['name']}.yaml"
    file.write_text(text)
    card = data_cards.parse(file)
    assert "$" in card.get.root or card.root.parent == tmp_path


def test_a_card_with_models_is_the_same_data_in_a_file_of_its_own(write, tmp_path, monkeypatch):
    monkeypatch.setenv("MADE_UP", str(tmp_path / "there"))
    card = data_cards.parse(write())
    own = data_cards.with_models(card, [data_cards.Model(source="/x/net.py:load", name="net", size=64)], "made-up-net")
    again = data_cards.parse(data_cards.save(own, tmp_path / "elsewhere"))
    assert again.model_dump() == own.model_dump()
    assert again.identity() == card.identity()
    assert again.root == card.root
    assert [model.source for model in again.models] == ["/x/net.py:load"]
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["made-up-net.yaml"]


def test_data_may_lie_elsewhere_unless_it_is_generated(write, tmp_path):
    assert data_cards.rooted(data_cards.parse(write()), str(tmp_path)).root == tmp_path
    with pytest.raises(SaltrustError, match="'cells' is generated: it has no files"):
        data_cards.rooted(data_cards.load("cells"), "/data")


def test_a_card_is_found_by_its_file_and_a_missing_one_named(write):
    assert data_cards.load(str(write())).name == "made-up"
    with pytest.raises(SaltrustError, match=r"no data card nowhere\.yaml"):
        data_cards.load("nowhere.yaml")


def test_one_number_may_stand_for_several():
    model = data_cards.Model(source="a.py:load", mean=0.5, std=[1, 2, 3])
    assert (model.mean, model.std) == ((0.5,), (1.0, 2.0, 3.0))


def test_a_card_elsewhere_cannot_have_the_name_of_the_projects(tmp_path):
    file = tmp_path / "cells.yaml"
    file.write_text((paths.CARDS / "cells.yaml").read_text())
    with pytest.raises(SaltrustError, match="'cells' is a card of the project; call it otherwise"):
        data_cards.parse(file)
