import numpy as np
import pytest
import saliency.core
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core.xrai import _get_segments_felzenszwalb
from scipy.ndimage import gaussian_filter
from skimage.morphology import dilation, disk

from saltrust.core.errors import SaltrustError
from saltrust.methods.registry import METHODS
from saltrust.methods.xrai import dilate, dilated_masks, rank_regions, segment, xrai


def picture(size, seed, channels=None):
    """Smooth blobs with some texture, uint8."""
    rng = np.random.default_rng(seed)
    shape = (size, size) if channels is None else (size, size, channels)
    coarse, fine = (rng.normal(size=shape) for _ in range(2))
    axes = (0, 1)
    grey = gaussian_filter(coarse, size / 16, axes=axes) * size + gaussian_filter(fine, 1.5, axes=axes)
    return np.round(255 * (grey - grey.min()) / np.ptp(grey)).astype(np.uint8)


def attribution(size, seed, smooth=2.0):
    return gaussian_filter(np.random.default_rng(seed).normal(size=(size, size, 3)), smooth, axes=(0, 1))


@pytest.mark.parametrize(("size", "channels"), [(96, None), (80, 3), (250, None)])
def test_segments_are_those_of_pair_saliency(size, channels):
    image = picture(size, seed=size, channels=channels)
    colour = image if channels else np.repeat(image[..., None], 3, axis=2)
    theirs = [mask for mask in _get_segments_felzenszwalb(colour) if mask.any()]
    np.testing.assert_array_equal(segment(image), theirs)


def test_segments_of_an_image_full_of_ties_are_those_of_pair_saliency():
    """Flat squares and a frame that is not square: differences that are equal but for the last bits."""
    image = np.zeros((90, 140), np.uint8)
    image[20:50, 20:50], image[60:80, 70:130], image[30:60, 90:120] = 200, 200, 90
    theirs = [mask for mask in _get_segments_felzenszwalb(np.repeat(image[..., None], 3, axis=2)) if mask.any()]
    np.testing.assert_array_equal(segment(image), theirs)


def test_a_constant_image_is_one_region():
    np.testing.assert_array_equal(segment(np.full((7, 9), 3, np.uint8)), np.ones((1, 7, 9), bool))


sides = st.integers(1, 17)


@given(radius=st.integers(0, 6), seed=st.integers(0, 99), height=sides, width=sides)
@settings(max_examples=30, deadline=None)
def test_dilation_is_that_of_scikit_image(radius, seed, height, width):
    mask = np.random.default_rng(seed).random((height, width)) < 0.1
    before = mask.copy()
    np.testing.assert_array_equal(dilate(mask, radius), dilation(mask, disk(radius)))
    np.testing.assert_array_equal(mask, before)


@given(radius=st.integers(0, 6), seed=st.integers(0, 99), height=sides, width=sides)
@settings(max_examples=30, deadline=None)
def test_masks_are_dilated_within_their_boxes_as_in_the_whole_image(radius, seed, height, width):
    pair = np.random.default_rng(seed).integers(0, 9, (2, height, width))
    expected = [dilate(labels == label, radius) for labels in pair for label in np.unique(labels)]
    np.testing.assert_array_equal(dilated_masks(pair, radius), expected)


ALGORITHMS = {"full": saliency.core.XRAI._xrai, "fast": saliency.core.XRAI._xrai_fast}


def assert_ranked_as_by_pair_saliency(grey, segments, algorithm):
    gains, ranks = rank_regions(grey, segments, algorithm)
    expected_gains, expected_ranks = ALGORITHMS[algorithm](grey, list(segments))
    np.testing.assert_array_equal(gains, expected_gains)
    np.testing.assert_array_equal(ranks, expected_ranks)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("smooth", [0, 3])
def test_heat_map_and_ranks_are_identical_to_pair_saliency(smooth, dtype, algorithm):
    for seed in range(3):
        segments = segment(picture(96, seed))
        grey = attribution(96, seed, smooth).max(-1).astype(dtype)
        for signed in (grey, -grey, grey**4):
            assert_ranked_as_by_pair_saliency(signed, segments, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 25),
    levels=st.sampled_from([1, 2, 3, 50]),
    unit=st.sampled_from([1.0, 0.1]),
)
@settings(max_examples=60, deadline=None)
def test_random_overlapping_regions_and_ties_are_ranked_as_by_pair_saliency(algorithm, seed, count, levels, unit):
    """Few levels make ties, exact and up to rounding, and constant maps; random boxes leave pixels uncovered."""
    rng = np.random.default_rng(seed)
    segments = np.zeros((count, 24, 24), bool)
    for mask in segments:
        y, x = rng.integers(0, 20, 2)
        mask[y : y + rng.integers(1, 20), x : x + rng.integers(1, 20)] = True
    assert_ranked_as_by_pair_saliency(unit * rng.integers(1, levels + 1, (24, 24)), segments, algorithm)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_regions_keep_the_sum_of_the_attribution(seed):
    grey = attribution(64, seed).max(-1)
    segments = np.random.default_rng(seed).random((12, 64, 64)) < 0.2
    gains, ranks = rank_regions(grey, segments)
    assert gains.sum() == pytest.approx(grey.sum(), abs=1e-9)
    assert set(np.unique(ranks)) == set(range(1, ranks.max() + 1))


def test_a_map_that_is_not_finite_gives_nan_and_no_guess():
    grey = attribution(64, 0).max(-1)
    grey[3, 3] = np.nan
    assert np.isnan(rank_regions(grey, segment(picture(64, 0)))[0]).all()


def test_segments_of_another_size_are_refused():
    with pytest.raises(SaltrustError, match=r"segments \(1, 8, 8\) do not fit the attribution map \(9, 9\)"):
        rank_regions(np.zeros((9, 9)), np.ones((1, 8, 8), bool))
    with pytest.raises(SaltrustError, match=r"segments \(0, 9, 9\) do not fit"):
        rank_regions(np.zeros((9, 9)), np.ones((0, 9, 9), bool))
    with pytest.raises(SaltrustError, match="an image has shape"):
        segment(np.zeros((2, 3, 4, 5)))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_xrai_is_pair_saliency_given_the_mean_attribution(algorithm):
    images = np.stack([picture(80, seed) for seed in range(2)])
    parts = {
        f"ig_{b}": np.stack([attribution(80, 9 * i + s) for s in range(2)]) for i, b in enumerate(("black", "white"))
    }
    hwc = (parts["ig_black"] + parts["ig_white"]) / 2
    parts = {name: maps.transpose(0, 3, 1, 2) for name, maps in parts.items()}
    segments = np.empty(2, object)
    segments[:] = [segment(image) for image in images]
    maps = xrai(images, [], parts | {"segments": segments}, algorithm=algorithm)
    assert maps.shape == (2, 1, 80, 80)
    for i in range(2):
        colour = np.repeat(images[i][..., None], 3, axis=2).astype(float)
        choices = saliency.core.XRAIParameters(algorithm=algorithm)
        expected = saliency.core.XRAI().GetMask(colour, None, base_attribution=hwc[i], extra_parameters=choices)
        np.testing.assert_array_equal(maps[i, 0], expected)
    assert set(METHODS["xrai"].parts()) == {"ig_black", "ig_white"}
    summed = xrai(images, [], parts | {"segments": segments}, channels="sum")
    np.testing.assert_array_equal(summed[0, 0], rank_regions(hwc[0].sum(-1), segments[0])[0])
    with pytest.raises(SaltrustError, match="unknown XRAI algorithm 'fats'; did you mean 'fast'"):
        rank_regions(hwc[0].sum(-1), segments[0], "fats")
    with pytest.raises(SaltrustError, match="at least one baseline"):
        xrai(images, [], {"segments": segments}, baselines=())
