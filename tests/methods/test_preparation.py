import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saltrust.core.errors import SaltrustError
from saltrust.methods.preparation import CHANNELS, prepare, resized

RAW = hnp.arrays(np.float64, (2, 3, 4, 5), elements=st.integers(-50, 50).map(float))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("sum", 1), ("sum_abs", 5), ("abs_sum", 1), ("max", 2), ("max_abs", 3), ("sum_positive", 2)],
)
def test_channels(channels, expected):
    raw = np.array([-3.0, 2.0, 0.0]).reshape(1, 3, 1, 1) * np.array([1.0, 0.0])
    value = -expected if channels == "sum" else expected
    np.testing.assert_array_equal(prepare(raw, channels, rescale="none"), [[[value, 0]]])


@given(raw=RAW, channels=st.sampled_from(sorted(CHANNELS)), clip=st.sampled_from([None, 50.0, 90.0, 99.0, 100.0]))
@settings(max_examples=200, deadline=None)
def test_maps_are_rescaled_to_the_unit_interval_and_keep_the_order(raw, channels, clip):
    prepared = prepare(raw, channels, clip)
    joined = CHANNELS[channels](raw)
    assert prepared.dtype == np.float64
    for grey, before in zip(prepared, joined, strict=True):
        if before.min() == before.max():
            assert not grey.any()
            continue
        assert grey.min() == 0
        assert grey.max() == 1
        order = np.argsort(before, axis=None)
        assert (np.diff(grey.ravel()[order]) >= 0).all()
        if clip is None:  # nothing is tied that was not
            assert len(np.unique(grey)) == len(np.unique(before))


@given(raw=RAW, scale=st.sampled_from([0.25, 4.0]), channels=st.sampled_from(["sum", "max", "sum_abs"]))
@settings(max_examples=50, deadline=None)
def test_a_scale_does_not_matter(raw, scale, channels):
    np.testing.assert_array_equal(prepare(raw * scale, channels, 99.0), prepare(raw, channels, 99.0))


def test_clipping_is_that_of_pair_visualization():
    """(x - min) / (99th percentile - min), clipped to [0, 1], of the sum of absolute values over channels."""
    raw = np.random.default_rng(0).normal(size=(1, 3, 30, 30))
    grey = np.abs(raw[0]).sum(0)
    low, high = grey.min(), np.percentile(grey, 99)
    np.testing.assert_allclose(prepare(raw, "sum_abs", 99)[0], np.clip((grey - low) / (high - low), 0, 1), atol=1e-15)


def test_maps_are_prepared_one_by_one_in_the_memory_of_few():
    """Bit for bit as all at once; in double precision, that would take 3 channels of all maps, and once more."""
    raw = np.random.default_rng(0).normal(size=(40, 3, 32, 32)).astype(np.float32)
    for channels, join in CHANNELS.items():
        whole = np.concatenate([prepare(one[None], channels, 99.0) for one in raw])
        np.testing.assert_array_equal(prepare(raw, channels, 99.0), whole)
        np.testing.assert_array_equal(prepare(raw, channels, rescale="none"), join(raw.astype(np.float64)))
    tracemalloc.start()
    prepare(raw, "sum_abs", 99.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * 40 * 32 * 32 * 8  # the result, and little else


def test_pair_visualization_itself():
    from saliency.core import VisualizeImageGrayscale

    raw = np.random.default_rng(1).normal(size=(1, 3, 20, 20))
    np.testing.assert_allclose(
        prepare(raw, "sum_abs", 99)[0], VisualizeImageGrayscale(raw[0].transpose(1, 2, 0)), rtol=0, atol=1e-12
    )


def test_a_sparse_map_saturates_instead_of_vanishing():
    raw = np.zeros((1, 1, 20, 20))
    raw[0, 0, 3, 4], raw[0, 0, 5, 6] = 2.0, 7.0
    prepared = prepare(raw, "sum", clip=99.0)[0]
    assert prepared.sum() == 2
    assert prepared[3, 4] == prepared[5, 6] == 1


def test_constant_maps_become_zero_and_nan_stays():
    raw = np.ones((3, 2, 4, 4))
    raw[1, 0, 2, 2] = np.nan
    raw[1, :, 0, 0] = 5
    raw[2] = np.nan
    prepared = prepare(raw, "sum", clip=99.0)
    assert not prepared[0].any()
    assert np.isnan(prepared[1]).sum() == 1
    assert np.isnan(prepared[1, 2, 2])
    assert np.nanmax(prepared[1]) == 1
    assert np.isnan(prepared[2]).all()


def test_no_maps_give_no_maps():
    assert prepare(np.zeros((0, 3, 4, 5)), "sum").shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"raw": np.zeros((4, 5)), "channels": "sum"}, r"not \(4, 5\)"),
        ({"channels": "sums"}, "unknown channel reduction 'sums'; did you mean 'sum'"),
        ({"channels": "sum", "clip": 0.0}, "clip is 0.0"),
        ({"channels": "sum", "clip": 101}, "clip is 101"),
        ({"channels": "sum", "rescale": "max"}, "unknown rescaling 'max'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(SaltrustError, match=message):
        prepare(**{"raw": np.zeros((1, 1, 4, 5))} | arguments)


def test_maps_of_another_size_keep_their_mean_and_their_place():
    maps = np.zeros((2, 8, 8))
    maps[0, 2:4, 4:6] = 1
    assert resized(maps, 8) is maps
    twice = resized(maps, 16)
    assert twice.shape == (2, 16, 16)
    np.testing.assert_allclose(twice.mean(), maps.mean(), rtol=1e-6)
    rows, columns = np.nonzero(twice[0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 8, 11)
    np.testing.assert_allclose(resized(twice, 8).mean(), maps.mean(), rtol=0.05)  # smoothing leaks over the border
