import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from saltrust.scores.auprc import AUPRC, average_precision, trapezoid

SCORES = arrays(np.float64, 40, elements=st.integers(-5, 5).map(float))  # few distinct values: many ties
TRUTH = arrays(bool, 40, elements=st.booleans()).filter(np.any)


@given(SCORES, TRUTH)
def test_equals_scikit_learn(scores, truth):
    precision, recall, _ = precision_recall_curve(truth, scores)
    assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert trapezoid(scores, truth) == pytest.approx(auc(recall, precision), abs=1e-12)


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


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (np.zeros(4), np.zeros(4, bool), "at least one true pixel"),
        (np.array([0, np.nan]), np.ones(2, bool), "NaN"),
        (np.zeros(4), np.ones(5, bool), "4 pixels"),
    ],
)
def test_bad_input_is_refused(scores, truth, message):
    with pytest.raises(ValueError, match=message):
        average_precision(scores, truth)
