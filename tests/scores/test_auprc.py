import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from saltrust.core.errors import SaltrustError
from saltrust.scores.auprc import AUPRC, average_precision, precision_recall, trapezoid

SCORES = arrays(np.float64, 40, elements=st.integers(-5, 5).map(float))  # few distinct values: many ties
TRUTH = arrays(bool, 40, elements=st.booleans()).filter(np.any)


def assert_equal_to_scikit_learn(scores, truth):
    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    expected = average_precision_score(truth.ravel(), scores.ravel())
    assert average_precision(scores, truth) == pytest.approx(expected, abs=1e-12)
    assert trapezoid(scores, truth) == pytest.approx(auc(recall, precision), abs=1e-12)
    # scikit-learn runs from the laxest threshold to the strictest, and ends at precision 1 and recall 0.
    ours = precision_recall(scores, truth)
    np.testing.assert_allclose(ours, (precision[-2::-1], recall[-2::-1]), atol=1e-12)


@given(SCORES, TRUTH)
def test_equals_scikit_learn(scores, truth):
    assert_equal_to_scikit_learn(scores, truth)


def smooth(rng, size):
    """A map without ties whose neighbouring pixels are alike."""
    return np.cumsum(np.cumsum(rng.standard_normal((size, size)), axis=0), axis=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda rng, n: smooth(rng, n).astype(np.float32),
        lambda rng, n: smooth(rng, n).astype(np.float32).astype(np.float64),
        lambda rng, n: np.minimum(smooth(rng, n), 0),  # cut from above: many pixels share the maximum
        lambda rng, n: rng.random((4, 4)).repeat(n // 4, axis=0).repeat(n // 4, axis=1),  # constant in regions
        lambda rng, n: rng.integers(0, 256, (n, n), dtype=np.uint8),
        lambda rng, n: np.where(rng.random((n, n)) < 0.01, rng.random((n, n)), 0.0),
        lambda rng, n: np.copysign(0.0, rng.standard_normal((n, n))),  # zeros of both signs are equal
        lambda rng, n: rng.random((n, n)).T[::-1],  # not contiguous
    ],
    ids=["float32", "float32 as float64", "clipped", "regions", "quantized", "sparse", "signed zeros", "strided"],
)
def test_equals_scikit_learn_on_maps_as_they_occur(make):
    rng = np.random.default_rng(0)
    truth = np.zeros((64, 64), bool)
    truth[20:36, 30:50] = True
    assert_equal_to_scikit_learn(make(rng, 64), truth)


@given(SCORES, TRUTH)
def test_depends_on_the_order_of_the_scores_alone(scores, truth):
    for score in AUPRC.values():
        assert score(np.exp(scores / 3) + 7, truth) == pytest.approx(score(scores, truth), abs=1e-12)


def test_constant_map_has_the_prevalence_or_about_one_half():
    truth = np.arange(200) < 11  # 5.5 %, as in SIIM-ACR
    assert average_precision(np.zeros(200), truth) == pytest.approx(0.055)
    assert trapezoid(np.zeros(200), truth) == pytest.approx((1 + 0.055) / 2)


def test_perfect_map_scores_one():
    truth = np.eye(8, dtype=bool)
    for score in AUPRC.values():
        assert score(truth.astype(float), truth) == pytest.approx(1.0)


def test_all_pixels_true_score_one():
    for score in AUPRC.values():
        assert score(np.arange(4.0), np.ones(4, bool)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (np.zeros(4), np.zeros(4, bool), "at least one true pixel"),
        (np.array([0, np.nan]), np.ones(2, bool), "NaN"),
        (np.array([0, np.inf]), np.ones(2, bool), "infinite"),
        (np.zeros((2, 3)), np.ones((3, 2), bool), r"shape \(2, 3\)"),
    ],
)
@pytest.mark.parametrize("score", [*AUPRC.values(), precision_recall])
def test_bad_input_is_refused(score, scores, truth, message):
    with pytest.raises(SaltrustError, match=message):
        score(scores, truth)
