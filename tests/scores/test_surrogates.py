"""Surrogates: the same values, nearly the same spectrum, another layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter

from saltrust.core.errors import SaltrustError
from saltrust.scores.ssim import ssim
from saltrust.scores.surrogates import surrogate


def smooth(seed, sd=4.0, size=64):
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), sd, mode="wrap")
    return (field - field.min()) / np.ptp(field)


def spectrum_gap(one, other):
    """Distance of two amplitude spectra, the mean left out, relative to the first."""
    a, b = (np.abs(np.fft.fft2(x)).ravel()[1:] for x in (one, other))
    return np.linalg.norm(a - b) / np.linalg.norm(a)


@given(
    arrays(float, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.floats(-5, 5)),
    st.integers(0, 9),
)
def test_every_value_is_kept_as_often_as_it_was(saliency, seed):
    found = surrogate(saliency, np.random.default_rng(seed))
    assert found.shape == saliency.shape
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(saliency, axis=None))


@pytest.mark.parametrize("sd", [1.0, 4.0])
@pytest.mark.parametrize(("change", "most"), [(lambda x: x, 0.05), (np.square, 0.1), (lambda x: x > 0.7, 0.6)])
def test_the_spectrum_is_nearly_kept(sd, change, most):
    """Two values leave little room to set a spectrum; also then the surrogate is nearer to it than a shuffled map."""
    saliency = change(smooth(0, sd)).astype(float)
    shuffled = np.random.default_rng(1).permutation(saliency.ravel()).reshape(saliency.shape)
    gap = spectrum_gap(saliency, surrogate(saliency, np.random.default_rng(1)))
    assert gap < most
    assert gap < 0.8 * spectrum_gap(saliency, shuffled)


def test_the_layout_is_not_kept():
    saliency = smooth(0)
    found = [surrogate(saliency, np.random.default_rng(seed)) for seed in range(40)]
    correlations = [np.corrcoef(saliency.ravel(), other.ravel())[0, 1] for other in found]
    standard_error = np.std(correlations) / np.sqrt(len(correlations))
    assert abs(np.mean(correlations)) < 4 * standard_error


def test_its_similarity_is_that_of_independent_maps_of_the_same_kind():
    """Gaussian fields are all alike but for their layout: surrogates must score as a second field does."""
    first, second = (np.stack([smooth(2 * k + part) for k in range(60)]) for part in (0, 1))
    made = np.stack([surrogate(saliency, np.random.default_rng(k)) for k, saliency in enumerate(first)])
    independent, null = (ssim(first, other, data_range=1.0) for other in (second, made))
    standard_error = np.hypot(independent.std(), null.std()) / np.sqrt(len(first))
    assert abs(independent.mean() - null.mean()) < 4 * standard_error


def test_one_seed_one_surrogate():
    one, same, other = (surrogate(smooth(0), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_constant_map_is_its_own_surrogate():
    np.testing.assert_array_equal(surrogate(np.full((8, 9), 0.3), np.random.default_rng(0)), np.full((8, 9), 0.3))


def test_a_map_that_is_not_finite_is_refused():
    with pytest.raises(SaltrustError, match="NaN or infinite"):
        surrogate(np.array([[0.0, np.nan], [1.0, 2.0]]), np.random.default_rng(0))
