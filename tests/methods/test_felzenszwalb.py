import warnings

import numpy as np
import pytest
import skimage.segmentation
from hypothesis import given, settings
from hypothesis import strategies as st

from saltrust.methods.felzenszwalb import felzenszwalb


def assert_labels_of_scikit_image(image, scales, sigma, min_size):
    for scale, labels in zip(scales, felzenszwalb(image, scales, sigma, min_size), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # about images that might be volumes
            expected = skimage.segmentation.felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size)
        np.testing.assert_array_equal(labels, expected)


sides = st.integers(1, 30)


@given(
    height=sides,
    width=sides,
    channels=st.integers(1, 3),
    levels=st.integers(2, 20),
    min_size=st.integers(0, 30),
    sigma=st.sampled_from([0, 0.8]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=80, deadline=None)
def test_labels_are_those_of_scikit_image(height, width, channels, levels, min_size, sigma, seed):
    """Few grey levels make equal edges, whose order then decides."""
    image = np.random.default_rng(seed).integers(0, levels, (height, width, channels)) / 7
    assert_labels_of_scikit_image(image, (1, 10, 100, 1000), sigma, min_size)


def test_labels_of_a_large_image_are_those_of_scikit_image():
    image = np.random.default_rng(0).normal(size=(120, 90, 3)).cumsum(0).cumsum(1) / 40
    assert_labels_of_scikit_image(image, (50, 500), sigma=0.8, min_size=20)


@pytest.mark.parametrize(("difference", "segments"), [(0.1 - 1e-9, 1), (0.1 + 5e-10, 1), (0.1 + 3e-9, 2)])
def test_the_limit_of_an_edge_is_rounded_to_single_precision_as_in_scikit_image(difference, segments):
    image = np.array([[[0.0], [difference]]])
    (labels,) = felzenszwalb(image, [25.5], sigma=0, min_size=1)
    assert labels.max() + 1 == segments
    assert_labels_of_scikit_image(image, [25.5], sigma=0, min_size=1)
