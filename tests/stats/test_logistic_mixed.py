"""The mixed logistic regression beside integrals by scipy's quadrature, and beside what was put in."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from statsmodels.discrete.discrete_model import Logit

from saltrust.stats import logistic_mixed
from saltrust.stats.logistic_mixed import LARGEST, fit_logistic


def simulated(seed, groups=12, rows=4, spread=1.5):
    rng = np.random.default_rng(seed)
    of, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    design = np.column_stack([np.ones(len(x)), x])
    return rng.random(len(x)) < expit(0.8 * x - 0.3 + spread * rng.normal(size=groups)[of]), design, of


def log_likelihood(coefficients, spread, outcome, design, of):
    """Group by group, by adaptive quadrature."""
    total = 0.0
    for group in np.unique(of):
        odds, signs = design[of == group] @ coefficients, np.where(outcome[of == group], 1, -1)
        value, _ = quad(lambda u: norm.pdf(u) * np.prod(expit(signs * (odds + spread * u))), -12, 12, epsabs=1e-13)  # noqa: B023
        total += np.log(value)
    return total


def test_the_optimum_is_that_of_integrals_by_quadrature():
    outcome, design, of = simulated(3)
    found = fit_logistic(outcome, design, of)
    assert found.converged
    assert found.spread > 0.5
    own = log_likelihood(found.coefficients, found.spread, outcome, design, of)
    assert found.log_likelihood == pytest.approx(own, abs=1e-8)
    optimum = np.array([*found.coefficients, found.spread])
    for step in 0.05 * np.eye(3):
        below, above = (log_likelihood(p[:2], p[2], outcome, design, of) for p in (optimum - step, optimum + step))
        assert max(below, above) < own
        vertex = (below - above) / (below - 2 * own + above) / 2  # of the parabola through the three, in steps
        assert abs(vertex) < 0.02


@pytest.mark.parametrize("spread", [0.5, 3.0, 5.0])
def test_the_sum_over_points_is_the_integral_for_groups_of_several_films_and_large_spreads(spread):
    outcome, design, of = simulated(1, groups=9, rows=10, spread=spread)
    order = np.argsort(of, kind="stable")
    rows = np.where(outcome, 1.0, -1.0)[order], design[order], np.arange(0, 90, 10)
    value, gradient = logistic_mixed._criterion(np.array([0.2, 0.7, spread]), *rows)
    assert -value == pytest.approx(log_likelihood(np.array([0.2, 0.7]), spread, outcome, design, of), abs=1e-6)
    for place in range(3):
        step = np.eye(3)[place] * 1e-5
        ends = [logistic_mixed._criterion(np.array([0.2, 0.7, spread]) + s * step, *rows)[0] for s in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-5)


def test_without_groups_or_with_groups_that_do_not_differ_it_is_statsmodels_regression():
    outcome, design, of = simulated(0, groups=40, rows=5, spread=0.0)
    expected = Logit(outcome.astype(float), design).fit(disp=0)
    alone = fit_logistic(outcome, design)
    np.testing.assert_allclose(alone.coefficients, expected.params, atol=1e-6)
    assert alone.log_likelihood == pytest.approx(expected.llf)
    balanced = np.empty(200, int)  # each group has as many outcomes of both kinds as can be: less than chance would
    balanced[np.argsort(outcome, kind="stable")] = np.arange(200) % 40
    grouped = fit_logistic(outcome, np.ones((200, 1)), balanced)
    assert grouped.spread == 0
    assert grouped.log_likelihood == pytest.approx(Logit(outcome.astype(float), np.ones(200)).fit(disp=0).llf)
    assert of.max() == 39


def test_rows_of_a_group_need_not_stand_together():
    outcome, design, of = simulated(5)
    order = np.random.default_rng(0).permutation(len(of))
    first, second = fit_logistic(outcome, design, of), fit_logistic(outcome[order], design[order], of[order])
    assert first.log_likelihood == pytest.approx(second.log_likelihood, abs=1e-9)
    assert first.spread == pytest.approx(second.spread, abs=1e-4)


def test_what_was_put_in_comes_out():
    outcome, design, of = simulated(2, groups=1500, rows=5, spread=1.5)
    found = fit_logistic(outcome, design, of)
    np.testing.assert_allclose(
        [*found.coefficients, found.spread], [-0.3, 0.8, 1.5], atol=0.15
    )  # three standard errors


def test_groups_that_are_right_or_wrong_as_a_whole_have_no_spread_to_speak_of():
    outcome = np.repeat(np.arange(20) % 2 == 0, 30)
    found = fit_logistic(outcome, np.ones((600, 1)), np.repeat(np.arange(20), 30))
    assert not found.converged
    assert found.spread > LARGEST / 2
