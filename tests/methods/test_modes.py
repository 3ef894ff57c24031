"""What is kept of a map, against slow re-derivations of the study's steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops
from skimage.morphology import dilation, disk, erosion

from saltrust.methods.modes import MODES, boxes, opened_boxes


def smooth(seed, size=64, sd=3.0):
    field = gaussian_filter(np.random.default_rng(seed).random((size, size)), sd)
    return (field - field.min()) / np.ptp(field)


def otsu_by_search(grey):
    """The threshold of the largest variance between the classes, of the 256 bins that scikit-image takes."""
    counts, edges = np.histogram(grey, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    best = max(
        range(255),
        key=lambda k: (
            counts[: k + 1].sum()
            * counts[k + 1 :].sum()
            * (
                np.average(middles[: k + 1], weights=counts[: k + 1] + 1e-300)
                - np.average(middles[k + 1 :], weights=counts[k + 1 :] + 1e-300)
            )
            ** 2
        ),
    )
    return middles[best]


@pytest.mark.parametrize("seed", range(4))
def test_otsu_keeps_the_grey_above_the_threshold_that_parts_best(seed):
    grey = smooth(seed)
    kept = MODES["otsu"](grey[None])[0]
    np.testing.assert_array_equal(kept, np.where(grey > otsu_by_search(grey), grey, 0))
    assert 0 < np.count_nonzero(kept) < grey.size


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mode", ["raw", "otsu"])
def test_a_constant_map_stays_as_it_is(mode, value):
    maps = np.full((2, 40, 40), value)
    np.testing.assert_array_equal(MODES[mode](maps), maps)


def test_a_map_that_holds_nan_is_not_cut():
    grey = smooth(0)
    grey[3, 4] = np.nan
    np.testing.assert_array_equal(MODES["otsu"](grey[None])[0], grey)


@given(seed=st.integers(0, 10**6), sd=st.sampled_from([1.0, 2.0, 4.0]))
@settings(max_examples=25, deadline=None)
def test_boxes_are_those_of_the_connected_parts(seed, sd):
    grey = smooth(seed, 48, sd)
    kept = MODES["otsu"](grey[None])[0] > 0
    expected = np.zeros(grey.shape)
    for part in regionprops(label(kept, connectivity=1)):
        top, left, bottom, right = part.bbox
        expected[top:bottom, left:right] = 1
    np.testing.assert_array_equal(boxes(grey[None])[0], expected)
    assert (boxes(grey[None])[0] >= kept).all()


@pytest.mark.parametrize(("side", "kept"), [(40, 0.0), (41, 0.74), (60, 0.88)])
def test_the_opening_takes_small_boxes_away_and_rounds_the_others(side, kept):
    """At the study's 320 pixels, as computed from its code."""
    grey = np.zeros((1, 320, 320))
    grey[0, 100 : 100 + side, 120 : 120 + side] = 1
    assert opened_boxes(grey).sum() / side**2 == pytest.approx(kept, abs=0.005)


@pytest.mark.parametrize("size", [64, 128])
def test_the_opening_is_two_erosions_and_two_dilations(size):
    grey = smooth(1, size, sd=6.0)
    found = boxes(grey[None])[0]
    footprint = disk(round(size / 32))
    shrunk = np.pad(found, size)  # outside the image nothing is marked
    for step in (erosion, erosion, dilation, dilation):
        shrunk = step(shrunk, footprint)
    np.testing.assert_array_equal(opened_boxes(grey[None])[0], shrunk[size:-size, size:-size])


def test_every_mode_gives_maps_of_the_same_shape_in_the_unit_interval():
    maps = np.stack([smooth(seed, 48) for seed in range(3)])
    for name, mode in MODES.items():
        found = mode(maps)
        assert found.shape == maps.shape, name
        assert found.min() >= 0, name
        assert found.max() <= 1, name


def test_images_too_small_for_an_opening_keep_their_boxes():
    maps = smooth(2, 16)[None]
    np.testing.assert_array_equal(opened_boxes(maps), boxes(maps))
