"""Data cards, changed and made up from the schema: what is read says what was written, or the card is refused."""

import tempfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from saltrust.core import data_cards, paths
from saltrust.core.card_parts import Model
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS
from tests.fuzz import guard
from tests.fuzz.mutations import VALUES, applied, changed, edits, tree_changes

CARDS = {file.stem: file.read_bytes() for file in sorted(paths.CARDS.glob("*.yaml"))}
OWN = "made-up"  # the name of a card here: those of the project may not be taken


def _own(name: str) -> bytes:
    return CARDS[name].replace(f"name: {name}".encode(), f"name: {OWN}".encode())


def _check_read(content: bytes) -> Card | SaltrustError:
    """Read a card from a file. One that is read must come out the same when it is saved and read again."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder, f"{OWN}.yaml")
        file.write_bytes(content)
        card = guard.attempt(lambda: data_cards.parse(file))
        if isinstance(card, SaltrustError):
            assert str(card).startswith(str(file)), card
            return card
        other = Path(folder, "again")
        again = guard.attempt(lambda: data_cards.parse(data_cards.save(card, other)), other)
        assert not isinstance(again, SaltrustError), again
        titled = card.model_copy(update={"title": card.title or card.name})  # as one without a title is
        assert repr(again.model_dump()) == repr(titled.model_dump())  # also where a number is NaN
        guard.attempt(lambda: (card.root, card.available))
    return card


@pytest.mark.parametrize("name", CARDS)
@guard.fuzzed(10)
@given(data=st.data())
def test_a_changed_card_is_read_or_refused(name, data):
    _check_read(applied(_own(name), data.draw(edits(f"{name}.yaml"))))


@pytest.mark.parametrize("name", CARDS)
@guard.fuzzed(10)
@given(changes=tree_changes)
def test_a_card_with_other_fields_is_read_or_refused(name, changes):
    tree = changed(yaml.safe_load(_own(name)), changes)
    try:
        content = yaml.safe_dump(tree, allow_unicode=True).encode()
    except (yaml.YAMLError, ValueError):  # letters, or a number, that YAML cannot write
        return
    _check_read(content)


# --- from the schema --------------------------------------------------------------------------------------------------

_texts = st.one_of(
    st.sampled_from(("nodule", "scar", "a.csv", "x", "net.py:load", "img/", "$HOME", "1")), st.text(max_size=8)
)
_junk = st.sampled_from(VALUES)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field: mostly those of its type."""
    arguments = get_args(kind)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.one_of(st.integers(-2, 300), st.integers())
    if kind is float:
        return st.one_of(st.floats(0, 1), st.floats())
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _fields(kind)
    if get_origin(kind) is Literal:
        return st.sampled_from(arguments)
    if get_origin(kind) is tuple:
        return st.lists(_values(arguments[0]), max_size=3)
    if get_origin(kind) is dict:
        return st.dictionaries(_values(arguments[0]), _values(arguments[1]), max_size=3)
    if kind is str or kind is Any:
        return _texts
    return st.one_of(*(st.none() if one is type(None) else _values(one) for one in arguments)) if arguments else _texts


def _fields(kind: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    wanted = {name: field for name, field in kind.model_fields.items()}
    needed = {name: _values(field.annotation) for name, field in wanted.items() if field.is_required()}
    others = {name: _values(field.annotation) for name, field in wanted.items() if not field.is_required()}
    return st.fixed_dictionaries(needed, optional=others)


SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}
COUNTS = {split: {"images": 4, "positive": 2} for split in SHARES}
TABLE = {"file": "t.csv", "image": "image", "mask": "mask", "label": "label"}
SOUND = {
    "table": {"truth": "mask", "get": {"root": "."}, "table": TABLE, "shares": SHARES},
    "annotations": {
        "truth": "box", "get": {"root": "."}, "shares": SHARES,
        "annotations": {"format": "coco", "files": "a.json", "images": "i"},
    },
    "phantom": {"truth": "mask", "loader": "phantom", "counts": COUNTS, "parameters": {"finding": "pneumothorax"}},
    "cells": {"truth": "graded", "loader": "cells", "counts": COUNTS},
}  # fmt: skip


@pytest.mark.parametrize("kind", SOUND)
@guard.fuzzed(40)
@given(data=st.data())
def test_fields_made_up_from_the_schema(kind, data):
    content = {"name": OWN, "finding": "lesion"} | SOUND[kind]
    names = data.draw(st.lists(st.sampled_from([*Card.model_fields]), max_size=3, unique=True))
    for name in names:
        content[name] = data.draw(st.one_of(_values(Card.model_fields[name].annotation), _junk))
    try:
        text = yaml.safe_dump(content, allow_unicode=True).encode()
    except (yaml.YAMLError, ValueError):
        return
    card = _check_read(text)
    if not names:
        assert not isinstance(card, SaltrustError), card
    if isinstance(card, SaltrustError) or yaml.safe_load(text)["name"] != OWN:
        return
    for name in names:  # text is the text that was written, but for blanks around it, and never another type's
        if isinstance(content[name], str) and name != "mirror":  # which may be said in a word: yes, no
            assert getattr(card, name) in (content[name], content[name].strip())


@guard.fuzzed(60)
@given(content=_fields(Model))
def test_models_made_up_from_the_schema(content):
    try:
        text = yaml.safe_dump(content, allow_unicode=True).encode()
    except (yaml.YAMLError, ValueError):
        return
    sound = {"name": OWN, "finding": "lesion", "models": [yaml.safe_load(text) | {"name": "net"}]} | SOUND["table"]
    _check_read(yaml.safe_dump(sound, allow_unicode=True).encode())


@pytest.mark.parametrize("kind", ["phantom", "cells"])
@guard.fuzzed(40)
@given(data=st.data())
def test_parameters_of_generated_data(kind, data):
    from saltrust.datasets.cells.parameters import CellParameters
    from saltrust.datasets.phantom.parameters import PhantomParameters

    defaults = vars({"phantom": PhantomParameters, "cells": CellParameters}[kind]())
    name = data.draw(st.sampled_from([*defaults]))
    numbers = st.one_of(st.floats(0, 2), st.floats(), st.integers(-5, 2000))
    value = data.draw(st.one_of(numbers, st.lists(numbers, min_size=2, max_size=2), _junk))
    fields = SOUND[kind] | {"parameters": SOUND[kind].get("parameters", {}) | {name: value}}
    try:
        card = Card(name=OWN, finding="lesion", **fields)
    except ValidationError:  # what no field of a card may hold is none of the loader's business
        return
    split = guard.attempt(lambda: LOADERS[kind].load(card, "test", 1, 64, 0))
    if not isinstance(split, SaltrustError):
        assert len(split) == 1
        assert split.pixels.shape[1:3] == (64, 64)
