"""Logistic regression with a random intercept for each group, fitted by maximum likelihood.

logit P(y = 1) = x b + s u_g, with u_g ~ N(0, 1): rows of one group share a shift, so that they are not independent.
The shift is integrated out. statsmodels has such models by Bayesian approximation only, which gives no likelihood to
compare two of them by.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from statsmodels.discrete.discrete_model import Logit

STEP, REACH = 0.1, 8.0  # of the points of the integral, in standard deviations of the shift
LARGEST = 10.0  # bound of the shifts' standard deviation: beyond it groups are right or wrong as a whole
GRADIENT = 1e-3  # largest gradient of the log likelihood that counts as an optimum
_POINTS = np.arange(-REACH, REACH + STEP / 2, STEP)
_LOG_WEIGHTS = -(_POINTS**2) / 2 - np.log(np.sqrt(2 * np.pi) / STEP)


@dataclass(frozen=True)
class LogisticFit:
    """A fitted model.

    Attributes:
        coefficients: of the columns of the design (p,), in log odds.
        spread: standard deviation of the groups' shifts, in log odds.
        log_likelihood: at the optimum.
        converged: whether it is one, with a spread below LARGEST.
    """

    coefficients: np.ndarray
    spread: float
    log_likelihood: float
    converged: bool


def fit_logistic(outcome: np.ndarray, design: np.ndarray, groups: np.ndarray | None = None) -> LogisticFit:
    """Fit a logistic regression, with a random intercept for each group where there are groups.

    The integral over a group's shift is a sum over points STEP apart. Of a smooth function that vanishes at both ends
    this is very accurate: the error falls with exp(-20 (w / STEP)^2), where w is the width of the function, at least
    1 / sqrt(1 + n spread^2 / 4) for a group of n rows.

    Args:
        outcome: (n,) of bool.
        design: (n, p), of full rank, by no plane of which the outcomes are separated; its columns of similar size.
        groups: (n,), what each row belongs to; None for independent rows.

    Returns:
        The fitted model.

    Source:
        McCulloch & Searle 2001, chapter 8; Trefethen & Weideman 2014 (the trapezoidal rule).

    >>> rng = np.random.default_rng(0)
    >>> groups, x = np.repeat(np.arange(200), 5), rng.normal(size=1000)
    >>> outcome = rng.random(1000) < expit(x + 2 * rng.normal(size=200)[groups])
    >>> found = fit_logistic(outcome, np.column_stack([np.ones(1000), x]), groups)
    >>> found.coefficients.round(1).tolist(), round(found.spread, 1), found.converged
    ([0.2, 1.0], 1.9, True)
    """
    with warnings.catch_warnings(action="ignore"):  # what it warns of is in `mle_retvals`
        plain = Logit(outcome.astype(np.float64), design).fit(disp=0, maxiter=100)
    alone = LogisticFit(np.asarray(plain.params), 0.0, float(plain.llf), bool(plain.mle_retvals["converged"]))
    if groups is None:
        return alone
    order = np.argsort(groups, kind="stable")
    _, first = np.unique(groups[order], return_index=True)
    rows = np.where(outcome, 1.0, -1.0)[order], design[order], first
    begin, bounds = np.append(alone.coefficients, 1.0), [(None, None)] * design.shape[1] + [(0.0, LARGEST)]
    options = {"ftol": 0, "gtol": GRADIENT / 10, "maxiter": 500}
    found = minimize(_criterion, begin, rows, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if alone.log_likelihood >= -found.fun:  # groups do not differ: the optimum is at the end, where the slope is 0
        return alone
    *coefficients, spread = found.x
    at_optimum = bool(np.abs(found.jac).max() <= GRADIENT and spread < LARGEST)
    return LogisticFit(np.array(coefficients), float(spread), -float(found.fun), at_optimum)


def _criterion(parameters: np.ndarray, signs: np.ndarray, design: np.ndarray, first: np.ndarray):
    """Minus the log likelihood and its gradient. signs: 1 or -1 (n,), rows by group; first: of each group."""
    odds = (design @ parameters[:-1])[:, None] + parameters[-1] * _POINTS
    joint = np.add.reduceat(log_expit(signs[:, None] * odds), first) + _LOG_WEIGHTS
    by_group = logsumexp(joint, axis=1)
    weights = np.repeat(np.exp(joint - by_group[:, None]), np.diff(first, append=len(signs)), axis=0)
    slopes = weights * signs[:, None] * expit(-signs[:, None] * odds)
    gradient = np.append(slopes.sum(axis=1) @ design, (slopes @ _POINTS).sum())
    return -by_group.sum(), -gradient
