"""Every choice has its sources, and is told as plain text."""

import json
from dataclasses import fields, replace

import pytest

from saltrust.core.protocols import CHOICES, PROTOCOLS, Protocol, catalogue


def test_every_choice_says_where_it_comes_from_under_every_protocol():
    assert list(CHOICES) == [field.name for field in fields(Protocol) if field.name != "name"]
    for choice in CHOICES.values():
        assert all(getattr(choice, field.name).strip() for field in fields(choice))


def test_the_catalogue_shows_values_as_text():
    rows = {row["field"]: row for row in json.loads(json.dumps(catalogue()))}
    assert rows["steps"]["as_run"] == {"value": "10", "source": CHOICES["steps"].as_run}
    assert rows["xrai_baselines"]["published"]["value"] == "black + white"
    assert rows["average_of"]["as_run"]["value"] == "mask, graded: train + val; box: test"
    assert rows["similarity"]["published"]["value"] == "sum, none"
    assert rows["pairs_by_method"]["as_run"]["value"] == "yes"


def test_ssim_takes_another_range_for_heat_maps_only():
    ssim = replace(PROTOCOLS["as_run"].ssim, heat_range=3.0)
    assert ssim.settings(heat=False)["data_range"] == 2.0
    assert ssim.settings(heat=True)["data_range"] == 3.0
    assert set(ssim.settings(heat=True)) == {"window", "size", "sigma", "data_range"}


@pytest.mark.parametrize("score", ["spearman", "hog"])
def test_other_measures_have_no_settings(score):
    assert PROTOCOLS["corrected"].likeness(score)[1] == {}
