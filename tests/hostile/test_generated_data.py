"""Parameters of generated data in a card, of another type than they have or beyond what can be drawn."""

import pytest

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS

COUNTS = {split: {"images": 4, "positive": 2} for split in ("train", "val", "test")}
NUMBERS = {
    "phantom": ("severity", "conspicuity", "noise", "scatter", "variation", "mimic", "tube_given_finding", "leads"),
    "cells": ("tail_start", "tail_share", "rotation", "shift", "wave_noise", "feature_threshold", "leak"),
}
WRONG = {"a word": "much", "a list": [1, 2, 3], "nothing": None, "a truth value": True, "no number": float("nan")}
CASES = {
    f"{name} of {loader} is {what}": (loader, name, value)
    for loader, names in NUMBERS.items()
    for name in names
    for what, value in WRONG.items()
}
CASES |= {
    f"{name} of cells is {what}": ("cells", name, value)
    for name in ("attempts", "patches", "wave_grid")
    for what, value in {"a word": "8", "a truth value": True, "too many": 10**9, "half": 2.5}.items()
}
CASES |= {
    f"{name} of cells is {what}": ("cells", name, value)
    for name in ("radius", "noise", "border_colour", "inner_colour")
    for what, value in {"words": ["a", "b"], "a mapping": {"low": 1}, "empty": [], "lists": [[0], [1]]}.items()
}
CASES |= {
    "finding of phantom is a number": ("phantom", "finding", 3),
    "finding of phantom is a list": ("phantom", "finding", ["pneumothorax"]),
    "crossed of phantom is a word": ("phantom", "crossed", "test"),
    "crossed of phantom is numbers": ("phantom", "crossed", [1]),
    "pole_test of cells is a list": ("cells", "pole_test", ["corrected"]),
    "turning of cells is nothing": ("cells", "turning", None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_wrong_parameter_is_named(case):
    loader, name, value = case
    fields = {"truth": "mask" if loader == "phantom" else "graded", "loader": loader, "counts": COUNTS}
    card = Card(name="made-up", finding="lesion", parameters={name: value}, **fields)
    with pytest.raises(SaltrustError, match=rf"^{loader}: {name}.* (must|Input|required)|unknown ({name}|split) "):
        LOADERS[loader].load(card, "test", 1, 64, 0)
