"""The paper's model by statsmodels: a mean for each level of one factor, and a random intercept for each image.

It is the same model as `mixed_model.fit` with one random factor, fitted by code that shares nothing with it. That one
adds crossed factors and the degrees of freedom of contrasts; this one is the second opinion where both can be asked.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM

from saltrust.stats.mixed_model import Fit


@dataclass(frozen=True)
class RandomIntercept:
    """A model fitted by statsmodels; attributes as of `mixed_model.Fit`.

    Attributes:
        levels: names of the levels (p), in the order of the frame.
        means: the fixed effects (p,), in units of the response.
        covariance: of the means (p, p).
        variances: of the random factor, and "residual".
        log_likelihood: the restricted one.
        converged: whether statsmodels says so.
    """

    levels: tuple[str, ...]
    means: np.ndarray
    covariance: np.ndarray = field(repr=False)
    variances: dict[str, float]
    log_likelihood: float
    converged: bool


def by_statsmodels(frame: pd.DataFrame, response: str, fixed: str = "method", random: str = "image") -> RandomIntercept:
    """Fit score = mean of the level + shift of the image + rest, by restricted maximum likelihood.

    Args:
        frame: tidy, one row for each score; rows without a response are left out.
        response: name of the column with the scores.
        fixed: name of the column with the fixed factor.
        random: name of the column with the random factor.

    Returns:
        The fitted model.

    Source:
        statsmodels' MixedLM; Arun et al., Methods, Statistical analysis (R's lmer).

    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 3, 5]}
    >>> model = by_statsmodels(pd.DataFrame(scores), "score")
    >>> dict(zip(model.levels, model.means.round(4).tolist()))
    {'x': 2.0, 'y': 3.3333}
    """
    used = frame.dropna(subset=[response])
    scored = set(used[fixed])
    levels = tuple(level for level in frame[fixed].unique() if level in scored)
    indicators = (used[fixed].to_numpy()[:, None] == np.array(levels, object)).astype(float)
    values = used[response].to_numpy(float)
    unit = values.std() or 1.0  # its optimizer's tolerances are absolute
    with warnings.catch_warnings(action="ignore"):  # of variances at 0, which the result shows
        found = MixedLM(values / unit, indicators, groups=used[random].to_numpy()).fit(reml=True)
    p = len(levels)
    return RandomIntercept(
        levels,
        np.asarray(found.fe_params) * unit,
        np.asarray(found.cov_params())[:p, :p] * unit**2,
        {random: float(found.cov_re[0, 0]) * unit**2, "residual": float(found.scale) * unit**2},
        float(found.llf) - (len(values) - p) * np.log(unit),
        bool(found.converged),
    )


def gap(model: Fit, other: RandomIntercept) -> float:
    """The largest difference between the means of two fits of the same levels, in standard errors of the first.

    Args:
        model: fitted by `mixed_model.fit`.
        other: fitted to the same frame.

    >>> from saltrust.stats.mixed_model import fit
    >>> scores = {"method": ["x", "x", "x", "y", "y", "y"], "image": list("abcabc"), "score": [0, 2, 4, 2, 3, 5]}
    >>> frame = pd.DataFrame(scores)
    >>> gap(fit(frame, "score"), by_statsmodels(frame, "score")) < 1e-6
    True
    """
    means = pd.Series(other.means, other.levels)[list(model.levels)].to_numpy()
    return float(np.max(np.abs(means - model.means) / np.sqrt(np.diag(model.covariance))))
