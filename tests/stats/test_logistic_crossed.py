"""Crossed random intercepts beside a slow Laplace approximation by automatic derivatives, beside the integral itself,
and beside what was put in."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logsumexp
from scipy.stats import norm

from saltrust.core.errors import SaltrustError
from saltrust.stats import logistic_crossed
from saltrust.stats.logistic_crossed import fit_crossed
from saltrust.stats.logistic_mixed import fit_logistic


def simulated(seed, participants=12, tasks=6, spreads=(0.8, 1.2), effect=1.0):
    rng = np.random.default_rng(seed)
    person, task = (index.ravel() for index in np.mgrid[:participants, :tasks])
    x = np.where(person % 2, 0.5, -0.5)
    odds = 0.3 + effect * x
    odds = odds + spreads[0] * rng.normal(size=participants)[person] + spreads[1] * rng.normal(size=tasks)[task]
    design = pd.DataFrame({"intercept": 1.0, "x": x})
    return rng.random(len(x)) < expit(odds), design, {"person": person, "task": task}


def slow(outcome, design, factors, coefficients, spreads):
    """Laplace's log likelihood: the mode by a general optimizer, the curvature by automatic derivatives."""
    y = torch.tensor(outcome, dtype=torch.float64)
    fixed = torch.tensor(design.to_numpy(float) @ coefficients)
    codes = [torch.tensor(values) for values in factors.values()]
    sizes = [int(code.max()) + 1 for code in codes]

    def height(u):
        odds = fixed
        for part, code, spread in zip(u.split(sizes), codes, spreads, strict=True):
            odds = odds + spread * part[code]
        return -torch.nn.functional.binary_cross_entropy_with_logits(odds, y, reduction="sum") - (u**2).sum() / 2

    u = torch.zeros(sum(sizes), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        loss = -height(u)
        loss.backward()
        return loss

    optimizer.step(closure)
    curvature = -torch.autograd.functional.hessian(height, u.detach())
    return float(height(u.detach()) - torch.logdet(curvature) / 2)


def exact(outcome, design, factors, coefficients, spreads, points=61):
    """The log likelihood itself, of two tasks: sums over a grid of both tasks' shifts and of each participant's."""
    fixed = design.to_numpy(float) @ coefficients
    grid = np.linspace(-7, 7, points)
    weight = norm.logpdf(grid) + np.log(grid[1] - grid[0])
    total = weight[:, None] + weight[None, :]
    for person in np.unique(factors["person"]):
        own = np.flatnonzero(factors["person"] == person)
        joint = weight[None, None, :] + np.zeros((points, points, points))
        for row in own:
            shift = grid[:, None, None] if factors["task"][row] == 0 else grid[None, :, None]
            odds = fixed[row] + spreads[1] * shift + spreads[0] * grid[None, None, :]
            joint = joint + np.log(expit(odds if outcome[row] else -odds))
        total = total + logsumexp(joint, axis=2)
    return float(logsumexp(total))


@pytest.mark.parametrize("spreads", [(0.8, 1.2), (0.0, 1.0), (3.0, 0.1)])
def test_the_likelihood_is_that_of_a_slow_derivation(spreads):
    outcome, design, factors = simulated(4)
    problem = logistic_crossed._Problem.of(outcome.astype(float), design.to_numpy(float), factors)
    value, _ = problem.criterion(np.array([0.2, 0.7, *spreads]))
    assert -value == pytest.approx(slow(outcome, design, factors, [0.2, 0.7], spreads), abs=1e-8)


def test_the_gradient_is_that_of_differences():
    outcome, design, factors = simulated(5)
    problem = logistic_crossed._Problem.of(outcome.astype(float), design.to_numpy(float), factors)
    at = np.array([0.2, 0.7, 0.6, 1.4])
    _, gradient = problem.criterion(at)
    for place, step in enumerate(1e-5 * np.eye(4)):
        difference = (problem.criterion(at + step)[0] - problem.criterion(at - step)[0]) / 2e-5
        assert gradient[place] == pytest.approx(difference, rel=1e-5)


def test_no_other_parameters_are_better_by_the_slow_derivation():
    outcome, design, factors = simulated(6)
    found = fit_crossed(outcome, design, factors)
    assert found.converged
    at = np.array([*found.table["estimate"], *found.spreads.values()])
    best = slow(outcome, design, factors, at[:2], at[2:])
    assert found.log_likelihood == pytest.approx(best, abs=1e-8)
    for step in 0.05 * np.eye(4):
        for side in (1, -1):
            other = at + side * step
            assert slow(outcome, design, factors, other[:2], other[2:]) < best


def test_standard_errors_are_the_curvature_of_the_slow_derivation():
    outcome, design, factors = simulated(6)
    found = fit_crossed(outcome, design, factors)
    at = np.array([*found.table["estimate"], *found.spreads.values()])
    step = 1e-2

    def value(moves):
        other = at + step * np.array(moves)
        return slow(outcome, design, factors, other[:2], other[2:])

    unit = np.eye(4)
    second = np.array(
        [[(value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / (4 * step**2) for b in unit] for a in unit]
    )
    expected = np.sqrt(np.diag(np.linalg.inv(-second)))[:2]
    np.testing.assert_allclose(found.table["se"], expected, rtol=2e-3)
    np.testing.assert_allclose(found.table["z"], found.table["estimate"] / expected, rtol=2e-3)


def test_the_approximation_is_near_the_integral():
    """Of small groups, where it is at its worst."""
    outcome, design, factors = simulated(1, participants=30, tasks=2, spreads=(0.5, 0.5))
    laplace = slow(outcome, design, factors, [0.3, 1.0], (0.5, 0.5))
    assert laplace == pytest.approx(exact(outcome, design, factors, [0.3, 1.0], (0.5, 0.5)), abs=0.1)


def test_what_was_put_in_comes_out():
    outcome, design, factors = simulated(2, participants=120, tasks=24, effect=0.6)
    found = fit_crossed(outcome, design, factors)
    effect = found.table.set_index("term").loc["x"]
    assert abs(effect["estimate"] - 0.6) < 3 * effect["se"]
    assert effect["se"] < 0.25
    assert found.spreads["person"] == pytest.approx(0.8, abs=0.2)
    assert found.spreads["task"] == pytest.approx(1.2, abs=0.4)


def test_a_factor_without_differences_leaves_the_model_of_the_other():
    """Many answers for each person: Laplace's approximation and the sum over points then agree."""
    rng = np.random.default_rng(0)
    person, task = (index.ravel() for index in np.mgrid[:10, :60])
    outcome = rng.random(600) < expit(1.5 * rng.normal(size=10)[person])
    order = np.lexsort((person, outcome))  # tasks: each has as even a share of right answers as can be
    task = np.empty(600, int)
    task[order] = np.arange(600) % 60
    found = fit_crossed(outcome, pd.DataFrame({"one": np.ones(600)}), {"person": person, "task": task})
    alone = fit_logistic(outcome, np.ones((600, 1)), person)
    assert found.spreads["task"] == 0
    assert found.spreads["person"] == pytest.approx(alone.spread, rel=0.01)
    assert found.log_likelihood == pytest.approx(alone.log_likelihood, abs=0.1)  # ten groups of 60
    assert found.table["estimate"].iloc[0] == pytest.approx(alone.coefficients[0], abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, X, f: (y | True, X, f), "all answers are right"),
        (lambda y, X, f: (y, X.assign(twice=2 * X["x"]), f), "the columns depend on each other"),
        (lambda y, X, f: (X["x"].to_numpy() > 0, X, f), "no finite solution"),
        (lambda y, X, f: (y, X, f | {"task": 0 * f["task"]}), "'task' has one level"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(change, message):
    with pytest.raises(SaltrustError, match=message):
        fit_crossed(*change(*simulated(0)))
