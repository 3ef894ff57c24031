"""Every choice has its sources, and is told as plain text."""

import json
from dataclasses import fields

import pytest

from saltrust.core.protocols import CHOICES, PROTOCOLS, Protocol, catalogue, status


def test_every_choice_says_where_it_comes_from_under_every_protocol():
    assert list(CHOICES) == [field.name for field in fields(Protocol) if field.name != "name"]
    for choice in CHOICES.values():
        assert all(getattr(choice, field.name).strip() for field in fields(choice))


def test_what_a_text_leaves_open_is_not_called_stated():
    open_ones = {field for field, choice in CHOICES.items() if choice.published.startswith("not ")}
    assert open_ones  # which their own words say
    assert {field for field in open_ones if status(field, "published") == "stated"} == set()
    for field in CHOICES:
        found = {name: status(field, name) for name in PROTOCOLS}
        assert set(found.values()) <= {"stated", "inferred", "ours"}
        values = {name: getattr(protocol, field) for name, protocol in PROTOCOLS.items()}
        own = values["corrected"] not in (values["published"], values["as_run"])
        assert (found["corrected"] == "ours") == own
    assert [status("batchnorm", name) for name in ("published", "as_run")] == ["inferred", "inferred"]
    assert status("steps", "corrected") == "stated"


def test_the_catalogue_shows_values_as_text():
    rows = {row["field"]: row for row in json.loads(json.dumps(catalogue()))}
    assert rows["steps"]["as_run"] == {
        "value": "10",
        "status": "inferred",
        "source": CHOICES["steps"].as_run,
    }
    assert rows["xrai_baselines"]["published"]["value"] == "black + white"
    assert rows["average_of"]["as_run"]["value"] == "mask, graded: train + val; box: test"
    assert rows["similarity"]["published"]["value"] == "sum, none"
    assert rows["pairs_by_method"]["as_run"]["value"] == "yes"


@pytest.mark.parametrize(
    ("protocol", "of_a_classifier", "unet", "retinanet"),
    [
        ("published", 1.0, (8, 1.0), (None, 1.0)),
        ("as_run", 2.0, (8, 1.0), (None, 2.0)),  # by type of number: floats 2, bytes 255 of 255
        ("corrected", 1.0, (None, 1.0), (None, 1.0)),
    ],
)
def test_the_u_net_s_maps_are_bytes_and_the_retinanet_s_are_floats(protocol, of_a_classifier, unet, retinanet):
    p = PROTOCOLS[protocol]
    preparation, settings = p.likeness("ssim")
    assert (preparation, settings["data_range"]) == (p.similarity, of_a_classifier)
    assert set(settings) == {"window", "size", "sigma", "data_range", "sample_covariance"}
    for kind, expected in (("unet", unet), ("retinanet", retinanet)):
        preparation, settings = p.likeness("ssim", kind)
        assert (preparation.bits, settings["data_range"]) == expected
        assert preparation == p.heat(kind)


@pytest.mark.parametrize("score", ["spearman", "hog"])
def test_other_measures_have_no_settings(score):
    assert PROTOCOLS["corrected"].likeness(score)[1] == {}
