"""Doubts of outputs and features: scipy, statsmodels, brute force, and what dropout must give on average."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import mutual_info_score
from statsmodels.api import Logit, add_constant

from saltrust.core.errors import SaltrustError
from saltrust.scores.uncertainty import calibrated, disagreement, dropped, entropy, nearer_others, other_label_fits


def drawn(seed=0, n=30, m=40):
    rng = np.random.default_rng(seed)
    labels = rng.random(m) < 0.4
    labels[:2] = True, False
    known = np.round(rng.normal(size=m) + labels, 1)  # rounded, so that there are ties
    return np.round(rng.normal(size=n) + 0.5, 1), rng.random(n) < 0.5, known, labels


def test_entropy_is_that_of_scipy():
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(entropy(p), scipy.stats.entropy([p, 1 - p], base=2), atol=1e-12)
    assert not np.signbit(entropy(p)).any()


def test_disagreement_is_the_mutual_information_of_network_and_answer():
    """Oracle: scikit-learn, from a table of counts that has exactly these probabilities."""
    p = np.array([0.25, 0.75, 1.0])
    networks = np.repeat([0, 1, 2], 4)
    answers = np.concatenate([np.arange(4) < 4 * one for one in p])
    expected = mutual_info_score(networks, answers) / np.log(2)
    assert disagreement(p[:, None])[0] == pytest.approx(expected, abs=1e-12)


@given(st.floats(0, 1), st.integers(1, 5))
def test_networks_that_agree_do_not_disagree(p, members):
    found = disagreement(np.full((members, 2), p))
    assert (found >= 0).all()
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize("own", [False, True])
def test_the_other_label_fits_as_often_as_counting_says(own):
    scores, said, known, labels = drawn(m=30)
    if own:
        scores = known
    found = other_label_fits(scores, said, known, labels, own)
    for i, (score, there) in enumerate(zip(scores, said, strict=True)):
        others = [known[j] for j in range(len(known)) if labels[j] != there and not (own and j == i)]
        no_better = sum(z >= score if there else z <= score for z in others)
        assert found[i] == (no_better + 1) / (len(others) + 1)


def test_p_values_of_the_true_label_are_valid():
    """Of images like the known ones, at most a share a has a p-value of a or less for its own label, but for chance."""
    rng = np.random.default_rng(3)
    labels, of = rng.random(2000) < 0.5, rng.random(4000) < 0.5
    known, scores = labels + rng.normal(size=2000), of + rng.normal(size=4000)
    p = other_label_fits(scores, ~of, known, labels)  # where the other label is said, the true one is the other
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.04)


def test_neighbours_are_those_of_brute_force():
    rng = np.random.default_rng(1)
    features, known = rng.normal(size=(6, 4)), rng.normal(size=(30, 4))
    labels, said = np.arange(30) < 8, np.arange(6) % 2 == 0
    apart = cdist(features, known)
    for k, last in ((1, (1, 1)), (10, (8, 10))):  # of eight with the finding there is no tenth
        of = [np.sort(apart[:, labels], axis=1)[:, last[0] - 1], np.sort(apart[:, ~labels], axis=1)[:, last[1] - 1]]
        expected = np.where(said, of[0] / of[1], of[1] / of[0])
        np.testing.assert_allclose(nearer_others(features, said, known, labels, k), expected, rtol=1e-12)


def test_calibration_is_a_logistic_regression():
    """Oracle: statsmodels, without a penalty; to 1e-3, as scikit-learn stops early and has a trace of one."""
    scores, _, known, labels = drawn(m=200)
    fitted = Logit(labels.astype(float), add_constant(known)).fit(disp=0)
    np.testing.assert_allclose(calibrated(scores, known, labels), fitted.predict(add_constant(scores)), atol=1e-3)


def test_a_temperature_keeps_the_order_of_entropies():
    z = np.random.default_rng(0).normal(0, 2, 50)
    orders = [np.argsort(entropy(1 / (1 + np.exp(-z / temperature)))) for temperature in (0.5, 1, 3)]
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


def test_dropout_keeps_the_mean_and_has_the_spread_of_its_draws():
    """Of w_j f_j, each left out with probability q: variance sum (w_j f_j)^2 q / (1 - q). 20,000 draws, 4 errors."""
    rng = np.random.default_rng(0)
    features, weight, bias = rng.normal(size=(3, 5)), rng.normal(size=(2, 5)), rng.normal(size=2)
    copies = dropped(features, weight, bias, share=0.3, copies=20_000, seed=1)
    sd = np.sqrt(((features[:, None] * weight[None]) ** 2).sum(axis=2) * 0.3 / 0.7)
    assert (np.abs(copies.mean(axis=0) - features @ weight.T - bias) < 4 * sd / np.sqrt(20_000)).all()
    np.testing.assert_allclose(copies.std(axis=0), sd, rtol=0.05)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: other_label_fits(np.zeros(2), np.zeros(2, bool), np.zeros(3), np.ones(3, bool)), "of one label"),
        (lambda: other_label_fits(np.zeros(2), np.zeros(3, bool), np.zeros(3), np.ones(3, bool)), "one answer"),
        (lambda: nearer_others(np.zeros((1, 2)), [True], np.zeros((3, 2)), np.ones(3, bool)), "both labels"),
        (lambda: nearer_others(np.zeros((1, 3)), [True], np.zeros((3, 2)), [True, False, True]), "pass .images, feat"),
        (lambda: calibrated(np.zeros(2), np.zeros(2), np.zeros(2, bool)), "of one label"),
        (lambda: dropped(np.ones((1, 2)), np.ones((1, 2)), np.zeros(1), 1.0, 3, 0), "0 <= share < 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong, told):
    with pytest.raises(SaltrustError, match=told):
        wrong()
