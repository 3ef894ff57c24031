"""Quadratures: at which points of a path a gradient is taken, and how the points are weighed."""

from collections.abc import Callable

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry

QUADRATURES: Registry[Callable[[int], tuple[np.ndarray, np.ndarray]]] = Registry("quadrature")
"""Rules on [0, 1]: number of points -> (points, weights), the weights adding up to 1."""


@QUADRATURES.register("gauss_legendre")
def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights (steps,) that are exact for polynomials up to degree 2 steps - 1.

    >>> [part.tolist() for part in gauss_legendre(1)]
    [[0.5], [1.0]]
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


@QUADRATURES.register("riemann")
def riemann(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (steps,) with both ends included, weighed alike, as in PAIR saliency (core/integrated_gradients.py).

    >>> [part.tolist() for part in riemann(2)]
    [[0.0, 1.0], [0.5, 0.5]]
    """
    return np.linspace(0, 1, steps), np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_left")
def riemann_left(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (steps,) at the beginning of each of as many equal intervals, weighed alike.

    >>> [part.tolist() for part in riemann_left(2)]
    [[0.0, 0.5], [0.5, 0.5]]
    """
    return np.arange(steps) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_right")
def riemann_right(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (steps,) at the end of each of as many equal intervals, weighed alike.

    >>> [part.tolist() for part in riemann_right(2)]
    [[0.5, 1.0], [0.5, 0.5]]
    """
    return np.arange(1, steps + 1) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_middle")
def riemann_middle(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (steps,) in the middle of each of as many equal intervals, weighed alike.

    >>> [part.tolist() for part in riemann_middle(2)]
    [[0.25, 0.75], [0.5, 0.5]]
    """
    return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_trapezoid")
def riemann_trapezoid(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights (steps,) of the trapezoidal rule.

    captum's weights of this name add up to (steps - 1) / steps.

    >>> [part.tolist() for part in riemann_trapezoid(3)]
    [[0.0, 0.5, 1.0], [0.25, 0.5, 0.25]]
    """
    weights = np.ones(steps)
    weights[[0, -1]] = 0.5
    return np.linspace(0, 1, steps), weights / weights.sum()


def quadrature_rule(name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a rule on [0, 1].

    Args:
        name: of the rule, in QUADRATURES.
        steps: number of points, at least 1; 2 where both ends are points.

    Returns:
        Points (steps,) and weights (steps,), which add up to 1.

    Raises:
        SaltrustError: the name is unknown, or there are too few steps.

    >>> [part.tolist() for part in quadrature_rule("gauss_legendre", 1)]
    [[0.5], [1.0]]
    """
    least = 2 if name in ("riemann", "riemann_trapezoid") else 1
    rule = QUADRATURES[name]
    if steps < least:
        raise SaltrustError(f"steps is {steps}; quadrature '{name}' needs at least {least}")
    return rule(steps)
