"""statsmodels' MixedLM, our own model and R's lme4 say the same where a random intercept is all there is."""

import numpy as np
import pandas as pd
import pytest

from saltrust.stats.mixed_model import fit
from saltrust.stats.random_intercept import by_statsmodels, gap
from tests.stats.conftest import ORACLE, RANDOM
from tests.stats.test_mixed_model import table

ONE_FACTOR = [name for name, random in RANDOM.items() if random == ("image",)]


@pytest.mark.parametrize("name", ONE_FACTOR)
def test_agrees_with_lme4_and_with_our_own(name, record):
    frame, expected = pd.read_csv(ORACLE / f"{name}.csv"), record[name]
    theirs, ours = by_statsmodels(frame, "score"), fit(frame, "score")
    assert theirs.levels == ours.levels
    variance = 2e-3 * sum(expected["variances"].values())  # its optimizer stops early, most of all at a variance of 0
    for name, value in theirs.variances.items():
        assert value == pytest.approx(expected["variances"][name], abs=variance)
    np.testing.assert_allclose(theirs.means, expected["means"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(theirs.covariance, expected["covariance"], rtol=5e-3, atol=variance / 10)
    assert theirs.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-3)
    assert gap(ours, theirs) < 1e-3


def test_units_do_not_matter():
    frame = table(1, image_sd=2)
    model, small = (by_statsmodels(frame.assign(score=frame["score"] * unit), "score") for unit in (1.0, 1e-4))
    np.testing.assert_allclose(small.means, 1e-4 * model.means, rtol=1e-6)
    assert small.variances["image"] == pytest.approx(1e-8 * model.variances["image"], rel=1e-3)
    assert small.log_likelihood == pytest.approx(fit(frame.assign(score=frame["score"] * 1e-4), "score").log_likelihood)


def test_the_gap_is_in_standard_errors():
    frame = table(2)
    model, other = fit(frame, "score"), by_statsmodels(frame.assign(score=frame["score"] + 1.0), "score")
    assert gap(model, other) == pytest.approx(1 / np.sqrt(model.covariance[0, 0]), rel=1e-4)
