"""Logistic regression with crossed random intercepts, fitted by maximum likelihood with Laplace's approximation.

logit P(y = 1) = X b + sum_k s_k Z_k u_k, with u_k ~ N(0, I): an answer belongs to a participant and to a task, and each
of them shifts the log odds of all its answers. The integral over all shifts at once does not fall apart into groups as
in `logistic_mixed`. Laplace's approximation puts a normal density with the right height and curvature in the place of
the integrand, which is what lme4's `glmer` does by default. statsmodels has the model by Bayesian approximation only.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import norm
from statsmodels.discrete.discrete_model import Logit

from saltrust.core.errors import SaltrustError

LARGEST = 10.0  # bound of a spread: beyond it levels are right or wrong as a whole
GRADIENT = 1e-4  # largest gradient of the log likelihood that counts as an optimum
STARTS = (0.5, 0.05, 2.0)  # of all spreads; the fits are compared, since at a spread of 0 the slope is always 0
STEP = 1e-4  # of the differences behind the second derivatives
LEAST = 1e-4  # a spread below it counts as 0
ROUNDS = 100  # of Newton's method
STEADY = 1e-20  # Newton's decrement at which the mode is found; the curvature moves with its root


@dataclass(frozen=True)
class CrossedFit:
    """A fitted model.

    Attributes:
        table: a row for each column of the design: term, estimate and se in log odds, z, p (Wald, two-sided).
        spreads: standard deviation of each random factor's shifts, in log odds; 0 where the data show none.
        log_likelihood: Laplace's, at the optimum.
        converged: whether it is one, with all spreads below LARGEST.
        n: rows used.
    """

    table: pd.DataFrame
    spreads: dict[str, float]
    log_likelihood: float
    converged: bool
    n: int


def fit_crossed(outcome: np.ndarray, design: pd.DataFrame, factors: Mapping[str, np.ndarray]) -> CrossedFit:
    """Fit a logistic regression with a random intercept for each level of every factor.

    Args:
        outcome: (n,) of bool.
        design: n rows, p named columns of similar size and full rank; a column of ones for the intercept.
        factors: by name, what each row belongs to (n,), such as its participant.

    Returns:
        The fitted model. Standard errors are from the second derivatives by coefficients and spreads, as in lme4.

    Raises:
        SaltrustError: outcomes that are all alike or that a plane of the design separates, columns that depend on each
            other, or a factor with one level.

    Source:
        Bates et al., "Computational methods for mixed models" (lme4's vignette), section on the Laplace approximation.

    >>> rng = np.random.default_rng(0)
    >>> person, task = np.divmod(np.arange(1200), 20)
    >>> odds = 1 + 1.5 * rng.normal(size=60)[person] + rng.normal(size=20)[task]
    >>> found = fit_crossed(rng.random(1200) < expit(odds), pd.DataFrame({"one": np.ones(1200)}),
    ...                     {"person": person, "task": task})
    >>> found.converged, {name: round(spread, 1) for name, spread in found.spreads.items()}
    (True, {'person': 1.5, 'task': 1.2})
    """
    X, y = design.to_numpy(float), np.asarray(outcome, dtype=float)
    problem = _Problem.of(y, X, factors)
    begin = _plain(y, X, list(design))
    p = X.shape[1]
    bounds = [(None, None)] * p + [(0.0, LARGEST)] * len(factors)
    options = {"ftol": 0, "gtol": GRADIENT / 10, "maxiter": 300}
    found = [
        minimize(
            problem.criterion,
            np.append(begin, np.full(len(factors), start)),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options=options,
        )
        for start in STARTS
    ]
    best = min(found, key=lambda one: one.fun)
    spreads = np.where(best.x[p:] < LEAST, 0.0, best.x[p:])
    at = np.append(best.x[:p], spreads)
    value, gradient = problem.criterion(at)
    table = _table(list(design), at[:p], _errors(problem, at, p))
    at_optimum = bool(np.abs(gradient).max() <= GRADIENT and (spreads < LARGEST).all())
    return CrossedFit(table, dict(zip(factors, spreads.tolist(), strict=True)), -float(value), at_optimum, len(y))


def _plain(y: np.ndarray, X: np.ndarray, names: list[str]) -> np.ndarray:
    """The coefficients without random effects."""
    what = f"logistic regression of {len(y)} answers on {', '.join(names)}"
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise SaltrustError(f"{what}: the columns depend on each other; some group has no answers")
    if y.min() == y.max():
        raise SaltrustError(f"{what}: all answers are {'right' if y.max() else 'wrong'}")
    with warnings.catch_warnings(action="ignore"):  # what it warns of is in `mle_retvals`
        try:
            fit = Logit(y, X).fit(disp=0, maxiter=100)
        except np.linalg.LinAlgError:
            fit = None
    if fit is None or not fit.mle_retvals["converged"] or np.abs(fit.params).max() > 30:
        raise SaltrustError(f"{what}: it has no finite solution; the answers of some group are all alike")
    return np.asarray(fit.params)


@dataclass
class _Problem:
    """y (n,) of 0 and 1, X (n, p), Z (n, q) of 0 and 1; factor (q,): which factor a column of Z belongs to."""

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, X: np.ndarray, factors: Mapping[str, np.ndarray]) -> "_Problem":
        parts = []
        for name, values in factors.items():
            levels, codes = np.unique(values, return_inverse=True)
            if len(levels) < 2:
                raise SaltrustError(f"logistic regression with random {', '.join(factors)}: '{name}' has one level")
            parts.append(np.eye(len(levels))[codes])
        factor = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        return cls(y, X, np.hstack(parts), factor)

    def criterion(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus Laplace's log likelihood at coefficients and spreads (p + k,), and its gradient.

        With h(u) the log of the integrand's exponential and H minus its second derivatives at its mode, the log
        likelihood is h - log det H / 2. The mode moves with the parameters, and so do the weights in H.
        """
        p = self.X.shape[1]
        coefficients, spreads = parameters[:p], parameters[p:]
        ZL = self.Z * spreads[self.factor]
        u, odds, weights, factored = self._mode(self.X @ coefficients, ZL)
        h = self._height(odds, u)
        value = h - np.log(np.diag(factored[0])).sum()

        rest = self.y - expit(odds)
        bend = weights * (1 - 2 * expit(odds))  # derivative of the weights by the log odds
        inverse = cho_solve(factored, np.eye(len(u)))
        leverage = ((ZL @ inverse) * ZL).sum(axis=1)
        weighted = ZL.T * weights
        along = inverse @ (weighted @ self.Z)
        gradient = np.empty(len(parameters))
        for j, column in enumerate(self.X.T):
            moved = column - ZL @ cho_solve(factored, weighted @ column)
            gradient[j] = rest @ column - 0.5 * leverage @ (bend * moved)
        for k in range(len(spreads)):
            own = self.factor == k
            shift = self.Z[:, own] @ u[own]
            pull = np.where(own, self.Z.T @ rest, 0.0) - weighted @ shift
            moved = shift + ZL @ cho_solve(factored, pull)
            gradient[p + k] = rest @ shift - 0.5 * leverage @ (bend * moved) - np.diag(along)[own].sum()
        return -value, -gradient

    def _height(self, odds: np.ndarray, u: np.ndarray) -> float:
        return float(log_expit(np.where(self.y > 0, odds, -odds)).sum() - u @ u / 2)

    def _mode(self, fixed: np.ndarray, ZL: np.ndarray):
        """The mode of the shifts, the log odds and weights there, and the factored second derivatives: Newton's method,
        with half the step where a whole one leads down."""
        u = np.zeros(ZL.shape[1])
        odds = fixed.copy()
        for _ in range(ROUNDS):
            mean = expit(odds)
            weights = mean * (1 - mean)
            factored = cho_factor(np.eye(len(u)) + (ZL.T * weights) @ ZL, lower=True)
            slope = ZL.T @ (self.y - mean) - u
            step = cho_solve(factored, slope)
            if slope @ step < STEADY:
                break
            here = self._height(odds, u)
            while self._height(fixed + ZL @ (u + step), u + step) < here - 1e-9:
                step = step / 2
            u = u + step
            odds = fixed + ZL @ u
        return u, odds, weights, factored


def _errors(problem: _Problem, at: np.ndarray, p: int) -> np.ndarray:
    """Standard errors (p,) of the coefficients, by differences of the gradient; a spread of 0 is left out."""
    active = [*range(p), *(k for k in range(p, len(at)) if at[k] > 0)]
    second = np.empty((len(active), len(active)))
    for row, place in enumerate(active):
        step = np.zeros(len(at))
        step[place] = min(STEP, at[place] / 2) if place >= p else STEP
        up, down = (problem.criterion(at + side * step)[1][active] for side in (1, -1))
        second[row] = (up - down) / (2 * step[place])
    covariance = np.linalg.pinv((second + second.T) / 2, hermitian=True)
    return np.sqrt(np.maximum(np.diag(covariance)[:p], 0))


def _table(names: list[str], estimates: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimates / errors
    return pd.DataFrame({"term": names, "estimate": estimates, "se": errors, "z": z, "p": 2 * norm.sf(np.abs(z))})
