import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr
from skimage.feature import hog as skimage_hog

from saltrust.core.errors import SaltrustError
from saltrust.scores.similarity import OF_GREY, OF_MARKS, SIMILARITY, hog, spearman, spearman_abs

SETTINGS = {"ssim": {"data_range": 2.0}}
CORRELATIONS = [name for name in OF_GREY if name != "ssim"]
TIED = arrays(np.float64, (4, 5), elements=st.integers(-3, 3).map(float)).filter(lambda x: np.ptp(np.abs(x)) > 0)


def score(name, first, second):
    return SIMILARITY[name](first, second, **SETTINGS.get(name, {}))


def maps(seed, shape=(2, 3, 52, 67)):
    return np.random.default_rng(seed).normal(size=(2, *shape))


@given(TIED, TIED)
def test_spearman_equals_scipy(first, second):
    expected = spearmanr(first.ravel(), second.ravel()).statistic
    assert spearman(first, second) == pytest.approx(expected, abs=1e-12)
    expected = spearmanr(np.abs(first).ravel(), np.abs(second).ravel()).statistic
    assert spearman_abs(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cell", [16, 8])
def test_hog_equals_scikit_image(cell):
    first, second = maps(0)
    for index in np.ndindex(2, 3):
        features = []
        for grey in (first[index], second[index]):
            scaled = 2 * (grey / np.abs(grey).max() + 1) / 2 - 1  # to [-1, 1], as the paper has it
            features.append(skimage_hog(scaled, pixels_per_cell=(cell, cell)))
        assert hog(first, second, cell=cell)[index] == pytest.approx(np.corrcoef(*features)[0, 1], abs=1e-9)


@pytest.mark.parametrize("name", OF_GREY)
def test_is_symmetric_and_one_for_equal_maps(name):
    first, second = maps(1)
    values = score(name, first, second)
    assert values.shape == (2, 3)
    assert (np.abs(values) < 0.9).all()
    np.testing.assert_allclose(values, score(name, second, first), atol=1e-12)
    np.testing.assert_allclose(score(name, first, first), 1, atol=1e-12)


@pytest.mark.parametrize("name", OF_GREY)
def test_stacks_are_scored_pair_by_pair(name):
    first, second = maps(2)
    alone = [[score(name, a, b) for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]
    np.testing.assert_array_equal(score(name, first, second), alone)
    assert score(name, first[:0], second[:0]).shape == (0, 3)


@given(st.floats(1e-8, 1e8))
def test_correlations_ignore_the_unit_of_a_map(factor):
    first, second = maps(3, shape=(48, 48))
    for name in CORRELATIONS:
        assert score(name, factor * first, second) == pytest.approx(score(name, first, second), abs=1e-9)


def test_flipped_signs_are_seen_by_spearman_alone():
    first = maps(4)[0]
    np.testing.assert_allclose(spearman(first, -first), -1)
    np.testing.assert_allclose(spearman_abs(first, -first), 1)
    np.testing.assert_allclose(hog(first, -first), 1)  # orientations are unsigned


def test_unrelated_maps_score_about_zero():
    """Adebayo et al. 2018, app. B, report 0.0002 and -0.0013 for Gaussian maps of 299 px."""
    first, second = maps(5, shape=(1, 299, 299))
    assert abs(spearman(first, second)[0]) < 4 / 299
    assert abs(hog(first, second)[0]) < 0.1


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize("flat", [0.0, 3.0, -1e-9])
def test_constant_maps_have_no_correlation(name, flat):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = score(name, np.full((2, 48, 48), flat), maps(6, shape=(2, 48, 48))[0])
    assert np.isnan(values).all()


@pytest.mark.parametrize("name", OF_GREY)
def test_nan_stays_with_its_pair(name):
    first, second = maps(7, shape=(2, 48, 48))
    first[1, 20, 20] = np.nan
    values = score(name, first, second)
    assert np.isfinite(values[0])
    assert np.isnan(values[1])


@pytest.mark.parametrize("name", OF_GREY)
def test_maps_of_different_shapes_are_refused(name):
    with pytest.raises(SaltrustError, match="one shape"):
        score(name, np.zeros((1, 48, 48)), np.zeros((1, 48, 49)))


def test_maps_too_small_for_hog_are_refused():
    with pytest.raises(SaltrustError, match="cells of 16"):
        hog(np.zeros((47, 60)), np.zeros((47, 60)))


MARKS = arrays(np.float64, (2, 4, 5), elements=st.sampled_from([0.0, 0.0, 0.3, 1.0]))


@given(MARKS, MARKS)
def test_scores_of_marks_are_those_of_sets_of_pixels(first, second):
    for i in range(2):
        own, other = (set(map(tuple, np.argwhere(one[i] > 0))) for one in (first, second))
        both, either = len(own & other), len(own | other)
        expected = {
            "iou": both / either if either else 0.25,
            "dice": 2 * both / (len(own) + len(other)) if either else 0.25,
            "pixel_error": (either - both) / 20,
        }
        for name in OF_MARKS:
            assert SIMILARITY[name](first, second, empty=0.25)[i] == pytest.approx(expected[name], abs=1e-12)


def test_two_maps_that_mark_nothing_are_left_out_where_one_says_so():
    empty = np.zeros((1, 3, 3))
    assert np.isnan(SIMILARITY["iou"](empty, empty, empty=None)).all()
    assert SIMILARITY["iou"](empty, empty) == 1
    assert SIMILARITY["pixel_error"](empty, empty, empty=None) == 0
