"""What is compared, and how maps are."""

import numpy as np
import pytest

from saltrust.analysis.libraries import comparison
from saltrust.analysis.libraries.comparison import (
    SETTINGS,
    WHY,
    compared_methods,
    counterpart,
    largest_difference,
    maps_of,
    rank_correlation,
    refusals,
    warm_up,
)
from saltrust.artefacts.sidecar import StorageError
from saltrust.core.errors import SaltrustError
from saltrust.methods.registry import METHODS, select
from saltrust.study.study import Study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr("saltrust.core.paths.STORE", tmp_path / "store")
    return Study("phantom-pneumothorax", "quick", "corrected", 0)


def test_compared_is_what_has_one_of_ours_beside_it_and_does_not_cost_too_much(study):
    names = compared_methods(study, "libraries", 200)
    assert set(select("libraries")) - set(names) == {"pair:blur_ig", "captum:occlusion"}
    assert all(counterpart(name) in METHODS for name in names)
    assert compared_methods(study, "ig,captum:ig,pair:xrai", 200) == ["captum:ig", "pair:xrai"]
    assert "captum:occlusion" in compared_methods(study, "captum", 1000)
    for nothing in ("paper", "pair:blur_ig"):
        with pytest.raises(SaltrustError, match=f"methods '{nothing}': none is of an installed library"):
            compared_methods(study, nothing, 200)


def test_every_difference_has_its_reason_but_for_exact_methods():
    exact = {"captum:grad", "captum:input_x_gradient", "captum:gradcam", "pair:grad", "pair:blur_ig"}
    assert set(WHY) == set(select("libraries")) - exact


def test_the_first_of_each_library_takes_the_time_of_its_import(study, monkeypatch):
    images = tuple(range(5))
    monkeypatch.setattr(type(study.images), "explained", images)
    names = ["pair:ig", "captum:lrp", "captum:ig"]
    first = warm_up(study, names)
    assert [(maps.method, maps.images) for maps in first] == [("ig", (0,)), ("pair:ig", (0,)), ("captum:ig", (0,))]
    needed = list(maps_of(study, names, 2))
    assert needed[:3] == first
    assert [maps.method for maps in needed[3:-1]] == ["ig", "lrp", *names, "ig"]
    assert needed[-2].parameters["quadrature"] == "riemann"
    assert all(one.images == (0, 1) for one in needed[3:])


def test_versions_are_part_of_the_name(study, monkeypatch):
    monkeypatch.setattr(type(study.images), "explained", (0, 1))
    here, other = (study.maps.artefact("captum:ig", parameters=one) for one in ({}, {"version": "0.1"}))
    assert here.parameters["version"] == METHODS["captum:ig"].defaults["version"]
    assert here.digest != other.digest


def test_a_refusal_is_told_and_a_full_disk_is_none(study, monkeypatch):
    monkeypatch.setattr(type(study.images), "explained", (0, 1))

    def raw(name, images):
        if name == "captum:lrp":
            raise SaltrustError("captum refuses")
        if name == "pair:ig":
            raise StorageError("the disk is full")

    monkeypatch.setattr(study.maps, "raw", raw)
    assert refusals(study, ["captum:ig", "captum:lrp"], 2) == {"captum:lrp": "captum refuses"}
    with pytest.raises(StorageError):
        refusals(study, ["pair:ig"], 2)


def test_differences_are_shares_of_our_largest_value():
    ours = np.array([[[[0.0, -4.0]]], [[[1.0, 2.0]]]])
    assert largest_difference(ours + np.array([0.0, 1.0]), ours) == 0.25
    assert np.isnan(largest_difference(ours, 0 * ours))
    one_channel = ours.sum(1, keepdims=True)
    assert largest_difference(one_channel, ours.repeat(3, axis=1)) == 0


def test_rank_correlation_is_the_mean_over_images_and_needs_maps_that_vary():
    maps = np.array([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]])
    other = np.array([[[1.0, 4.0, 9.0]], [[9.0, 4.0, 1.0]]])
    assert rank_correlation(maps, other) == pytest.approx(0)
    assert np.isnan(rank_correlation(maps, np.ones_like(maps)))
    assert comparison.AGREES < 1 / 255


def test_settings_that_a_library_has_fixed_are_ours_to_choose():
    for name, given in SETTINGS.items():
        assert set(given) <= set(METHODS[counterpart(name)].defaults) - set(METHODS[name].defaults)
