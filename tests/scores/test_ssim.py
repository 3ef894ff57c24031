import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from saltrust.core.errors import SaltrustError
from saltrust.scores.ssim import ssim


def maps(seed, n=3, shape=(29, 24)):
    return np.random.default_rng(seed).random((2, n, *shape))


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("data_range", [1.0, 2.0, 255.0])
@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"window": "gaussian", "size": 11}, {"gaussian_weights": True, "sigma": 1.5, "win_size": 11}),
        ({"window": "uniform", "size": 7}, {"win_size": 7}),
    ],
)
def test_equals_scikit_image(settings, reference, data_range, sample):
    first, second = maps(0)
    expected = [
        structural_similarity(a, b, data_range=data_range, use_sample_covariance=sample, **reference)
        for a, b in zip(first, second, strict=True)
    ]
    found = ssim(first, second, data_range=data_range, sample_covariance=sample, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("shape", [(11, 11), (11, 80), (26, 27), (58, 43)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scikit_image_for_any_size(shape, dtype):
    """From one window to many: the inner map need not be a multiple of the blocks that it is smoothed in."""
    first, second = maps(1, n=1, shape=shape).astype(dtype)
    settings = {"gaussian_weights": True, "sigma": 1.5, "win_size": 11, "use_sample_covariance": False}
    a, b = (x[0].astype(np.float64) for x in (first, second))
    assert ssim(first, second, data_range=1.0) == pytest.approx(
        structural_similarity(a, b, data_range=1.0, **settings), abs=1e-10
    )


@given(st.integers(0, 10_000))
def test_is_symmetric_bounded_and_one_for_equal_maps(seed):
    first, second = maps(seed, n=1, shape=(16, 16))
    forward = ssim(first, second, data_range=1.0)
    np.testing.assert_allclose(forward, ssim(second, first, data_range=1.0), atol=1e-12)
    assert -1 <= forward.item() < 1
    np.testing.assert_allclose(ssim(first, first, data_range=1.0), 1.0, atol=1e-12)


def test_two_disjoint_boxes_look_alike():
    """The trap that makes 0.5 no midpoint: most of both maps is flat and equal."""
    first, second = np.zeros((2, 128, 128))
    first[10:30, 10:30] = 1
    second[90:110, 90:110] = 1
    assert ssim(first, second, data_range=2.0, window="uniform", size=7) > 0.85


@pytest.mark.parametrize(
    ("shapes", "size", "message"),
    [(((8, 8), (8, 9)), 7, "one shape"), (((8, 8), (8, 8)), 11, "window 11"), (((8, 8), (8, 8)), 4, "must be odd")],
)
def test_bad_input_is_refused(shapes, size, message):
    first, second = (np.zeros(shape) for shape in shapes)
    with pytest.raises(SaltrustError, match=message):
        ssim(first, second, data_range=1.0, size=size)
