"""Linear mixed models with crossed random intercepts, fitted by restricted maximum likelihood (REML).

y = X b + sum_k Z_k u_k + e, with u_k ~ N(0, s_k^2 I) and e ~ N(0, s^2 I): a mean for each level of one fixed factor, a
random shift for each level of every random factor. Only what is orthogonal to X bears on the variances (Patterson &
Thompson 1971). So the criterion needs no more than S = Z'MZ and Z'My, where M projects X out: matrices of the size of
the random effects, whatever the number of rows.

statsmodels' MixedLM has one grouping factor. It takes crossed ones only as variance components of a single group that
is as large as the data, and it has no degrees of freedom for a contrast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from saltrust.core.errors import SaltrustError

STARTS = (1.0, 0.01, 100.0)  # ratios of variances from which the fit is tried, until one ends at an optimum
LARGEST = 1e8  # bound of a ratio: beyond it there is no residual variance to speak of
NO_RESIDUAL = "no residual variance"
ADDITIVE = 1e-13  # of what the fixed factor leaves: a residual below it is rounding
GRADIENT = 1e-5  # largest gradient of the criterion, by the logarithm of a ratio, that counts as an optimum


@dataclass(frozen=True)
class Fit:
    """A fitted model. Its p levels are those of the fixed factor, in the order of the frame.

    Attributes:
        levels: names of the levels (p).
        means: the fixed effects (p,), in units of the response.
        covariance: of the means (p, p).
        variances: of each random factor, and "residual".
        log_likelihood: the restricted one.
        status: "converged", or what was not as it should be.
        n: rows used.
        missing: rows left out because their response is missing.
        fitted: fitted responses (n,), with the predicted random effects.
        residuals: responses minus the fitted ones (n,).
        slopes: derivatives of the covariance (k, p, p) by the logarithms of the k variances that are not zero (ratios
            to the residual's, then the residual's); `degrees_of_freedom` needs them.
        information: second derivatives of the criterion (k, k) by the same logarithms.
    """

    levels: tuple[str, ...]
    means: np.ndarray
    covariance: np.ndarray
    variances: dict[str, float]
    log_likelihood: float
    status: str
    n: int
    missing: int
    fitted: np.ndarray = field(repr=False)
    residuals: np.ndarray = field(repr=False)
    slopes: np.ndarray = field(repr=False)
    information: np.ndarray = field(repr=False)

    @property
    def total_sd(self) -> float:
        """Standard deviation of one score: the root of the sum of all variances."""
        return float(np.sqrt(sum(self.variances.values())))


def fit(frame: pd.DataFrame, response: str, fixed: str = "method", random: Sequence[str] = ("image",)) -> Fit:
    """Fit a mean for each level of one factor and a random intercept for each level of every random factor.

    A fit that does not end at an optimum is tried again from other starts. `status` says so, and names the factors
    whose variance is estimated as zero ("singular"). Scores that are an exact sum of effects leave no residual: means
    and fitted scores are then right, and variances, covariance and likelihood are NaN ("no residual variance").

    Args:
        frame: tidy, one row for each score. Rows without a response are left out and counted.
        response: name of the column with the scores.
        fixed: name of the column with the fixed factor.
        random: the random factors. Each is a column, or several whose levels are joined: "method:model" for methods
            that differ from model to model. A row without a level (None) has no effect of it: a control has no model.

    Returns:
        The fitted model.

    Raises:
        SaltrustError: the frame cannot tell the variances apart: too few rows, or a factor with one level or with
            nothing that the fixed factor leaves over.

    Source:
        Bates et al. 2015, "Fitting linear mixed-effects models using lme4", section 3.4, with X projected out.

    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 3, 5]}
    >>> model = fit(pd.DataFrame(scores), "score")
    >>> dict(zip(model.levels, model.means.round(4).tolist()))
    {'x': 2.0, 'y': 3.3333}
    """
    used = frame.dropna(subset=[response])
    scored = set(used[fixed])
    levels = tuple(level for level in frame[fixed].unique() if level in scored)
    y, X, Zs = _matrices(used, response, fixed, levels, random)
    problem = _Problem.of(y, X, Zs)
    _check(problem, random, fixed, len(levels))
    ratios, trouble = _optimum(problem)
    status = "; ".join(filter(None, (trouble, _singular(ratios, random)))) or "converged"
    return _finish(problem, ratios, levels, y, X, Zs, status, random, len(frame) - len(used))


def degrees_of_freedom(model: Fit, contrasts: np.ndarray) -> np.ndarray:
    """Satterthwaite's degrees of freedom of contrasts of the means; exact in balanced designs.

    Factors whose variance is estimated as zero are left out, as if the model had been without them.

    Args:
        model: a fitted model of p levels.
        contrasts: (m, p), one contrast a row.

    Returns:
        An array (m,), above 0.

    Source:
        Kuznetsova et al. 2017 (lmerTest), by the observed information.

    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 3, 5]}
    >>> degrees_of_freedom(fit(pd.DataFrame(scores), "score"), np.array([[1.0, -1.0]])).round(4).tolist()
    [2.0]
    """
    variance = _quadratic(contrasts, model.covariance)
    slopes = np.array([_quadratic(contrasts, slope) for slope in model.slopes])
    spread = np.einsum("im,ij,jm->m", slopes, np.linalg.pinv(model.information, hermitian=True), slopes)
    return variance**2 / spread


def _quadratic(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.einsum("ij,jk,ik->i", rows, matrix, rows)


def _matrices(used: pd.DataFrame, response: str, fixed: str, levels: tuple, random: Sequence[str]):
    y = used[response].to_numpy(float)
    Zs = [_indicators(_codes(used, name)) for name in random]
    return y, _indicators(pd.Index(levels).get_indexer(used[fixed])), Zs


def _codes(used: pd.DataFrame, name: str) -> np.ndarray:
    """Number of each row's level of a random factor, or of several joined by ":"; -1 where there is none."""
    parts = name.split(":")
    return used.groupby(parts, sort=False).ngroup().fillna(-1).to_numpy(int)


def _indicators(codes: np.ndarray) -> sparse.csr_array:
    """One column for each level; a row whose code is -1 stays zero."""
    rows = np.flatnonzero(codes >= 0)
    return sparse.csr_array((np.ones(len(rows)), (rows, codes[rows])), shape=(len(codes), codes.max(initial=-1) + 1))


@dataclass(frozen=True)
class _Problem:
    """What the criterion depends on. df: n - p. cells (q, p): T = Z'X (X'X)^-1. S = Z'MZ, s = Z'My, total = y'My."""

    df: int
    counts: np.ndarray
    cells: np.ndarray
    S: np.ndarray
    s: np.ndarray
    total: float
    factor: np.ndarray  # (q,) which random factor a column of Z belongs to

    @classmethod
    def of(cls, y: np.ndarray, X: sparse.csr_array, Zs: list[sparse.csr_array]) -> "_Problem":
        counts = X.sum(axis=0)
        y = y - y.mean()  # keeps digits
        Z = sparse.hstack(Zs)
        cells = (Z.T @ X).toarray() / counts
        rest = y - X @ ((X.T @ y) / counts)
        S = (Z.T @ Z).toarray() - (cells * counts) @ cells.T
        factor = np.repeat(np.arange(len(Zs)), [part.shape[1] for part in Zs])
        return cls(len(y) - len(counts), counts, cells, S, Z.T @ rest, float(rest @ rest), factor)

    def criterion(self, ratios: np.ndarray) -> tuple[float, np.ndarray]:
        """-2 log restricted likelihood up to a constant, and its gradient, at ratios s_k^2 / s^2."""
        root = np.sqrt(ratios)[self.factor]
        lower = self._cholesky(root)
        half = solve_triangular(lower, root * self.s, lower=True)
        left = max(self.total - half @ half, np.finfo(float).tiny)
        reduced = solve_triangular(lower, root[:, None] * self.S, lower=True)
        traces = self._by_factor(np.diag(self.S) - (reduced**2).sum(axis=0))
        squares = self._by_factor((self.s - reduced.T @ half) ** 2)
        value = 2 * np.log(np.diag(lower)).sum() + self.df * np.log(left)
        return float(value), traces - self.df * squares / left

    def residual(self) -> float:
        """Sum of squares that no effect, fixed or random, can take away."""
        return float(self.total - self.s @ np.linalg.lstsq(self.S, self.s, rcond=None)[0])

    def solved(self, ratios: np.ndarray) -> np.ndarray:
        """B = (S + diag(1 / ratio))^-1, which is zero where the ratio is."""
        root = np.sqrt(ratios)[self.factor]
        return root[:, None] * cho_solve((self._cholesky(root), True), np.diag(root))

    def _cholesky(self, root: np.ndarray) -> np.ndarray:
        return np.tril(cho_factor(np.eye(len(root)) + root[:, None] * self.S * root, lower=True)[0])

    def _by_factor(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.factor, values)


def _check(problem: _Problem, random: Sequence[str], fixed: str, n_levels: int) -> None:
    where = f"mixed model of {n_levels} levels of '{fixed}' with random {', '.join(random)}"
    if problem.df < 1:
        raise SaltrustError(
            f"{where}: {problem.df + n_levels} scores are too few; it needs more than one for each level"
        )
    left = np.bincount(problem.factor, np.diag(problem.S), minlength=len(random))
    for name, rest in zip(random, left, strict=True):
        if rest < 1e-9:
            raise SaltrustError(f"{where}: '{name}' has one level, or varies with '{fixed}' alone; leave it out")


def _optimum(problem: _Problem) -> tuple[np.ndarray, str]:
    """The ratios at the optimum, and what had to be done to find it ("" for nothing)."""
    if problem.total <= 1e-24 * problem.df:
        return np.zeros(problem.factor.max() + 1), "no variance"
    if problem.residual() <= ADDITIVE * problem.total:
        return np.full(problem.factor.max() + 1, LARGEST), NO_RESIDUAL
    found = []
    for start in STARTS:
        ratios = _descend(problem, start)
        value, gradient = problem.criterion(ratios)
        wrong = np.where(ratios > 0, np.abs(ratios * gradient), np.maximum(-gradient, 0)).max()
        if wrong <= GRADIENT:
            return ratios, f"refit from {start:g}" if found else ""
        found.append((value, ratios, wrong))
    _, ratios, wrong = min(found, key=lambda one: one[0])
    return ratios, f"not converged, gradient {wrong:.1g}"


def _descend(problem: _Problem, start: float) -> np.ndarray:
    begin = np.full(problem.factor.max() + 1, start)
    options = {"ftol": 0, "gtol": 1e-9, "maxiter": 500}
    bounds = [(0, LARGEST)] * len(begin)
    return minimize(problem.criterion, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def _singular(ratios: np.ndarray, random: Sequence[str]) -> str:
    zero = [name for name, ratio in zip(random, ratios, strict=True) if ratio == 0]
    return f"singular: {', '.join(zero)}" if zero else ""


def _finish(problem, ratios, levels, y, X, Zs, status, random, missing) -> Fit:
    B = problem.solved(ratios)
    left = problem.total - problem.s @ B @ problem.s
    variance = np.nan if status == NO_RESIDUAL else left / problem.df
    effects = B @ problem.s
    shift = sparse.hstack(Zs) @ effects
    means = X.T @ (y - shift) / problem.counts
    fitted = X @ means + shift
    covariance = variance * (np.diag(1 / problem.counts) + problem.cells.T @ B @ problem.cells)
    slopes, information = _curvature(problem, ratios, B, variance, covariance)
    constant = problem.df * (1 + np.log(2 * np.pi / problem.df)) + np.log(problem.counts).sum()
    return Fit(
        levels,
        means,
        covariance,
        dict(zip(random, ratios * variance, strict=True)) | {"residual": variance},
        np.nan if status == NO_RESIDUAL else -(problem.criterion(ratios)[0] + constant) / 2,
        status,
        len(y),
        missing,
        fitted,
        y - fitted,
        slopes,
        information,
    )


def _curvature(problem: _Problem, ratios, B, variance, covariance) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the covariance, and second ones of the criterion, by the logarithms of the variances."""
    G = problem.S - problem.S @ B @ problem.S
    w = problem.s - problem.S @ (B @ problem.s)
    active = [np.flatnonzero(problem.factor == k) for k in np.flatnonzero(ratios)]
    ratios = ratios[ratios > 0]
    parts = [problem.cells.T @ B[:, own] for own in active]
    slopes = [variance / ratio * part @ part.T for ratio, part in zip(ratios, parts, strict=True)] + [covariance]
    information = np.empty((len(slopes), len(slopes)))
    for j, rows in enumerate(active):
        for k, columns in enumerate(active):
            block = G[np.ix_(rows, columns)]
            bend = 2 * w[rows] @ block @ w[columns] / variance - (block**2).sum()
            information[j, k] = ratios[j] * ratios[k] * bend
        information[j, -1] = information[-1, j] = ratios[j] * (w[rows] @ w[rows]) / variance
    information[-1, -1] = problem.df
    return np.array(slopes), information
