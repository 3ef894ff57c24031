"""Mixed models agree with lme4 and lmerTest, and with the analysis of variance where it is exact; failures are told."""

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltrust.core.errors import SaltrustError
from saltrust.stats import mixed_model
from saltrust.stats.mixed_model import degrees_of_freedom, fit
from saltrust.stats.multiple_comparisons import all_pairs, contrast_matrix
from tests.stats.conftest import ORACLE


def table(seed, images=8, methods=4, image_sd=1.0, sd=1.0):
    """Balanced scores: one for each image and method."""
    rng = np.random.default_rng(seed)
    scores = np.arange(methods) + rng.normal(0, image_sd, (images, 1)) + rng.normal(0, sd, (images, methods))
    rows = [(f"i{i}", f"m{j}", scores[i, j]) for i in range(images) for j in range(methods)]
    return pd.DataFrame(rows, columns=["image", "method", "score"])


def test_agrees_with_lme4_and_lmertest(case):
    frame, random, expected = case
    model = fit(frame, "score", random=random)
    np.testing.assert_allclose(model.means, expected["means"], rtol=1e-6)
    np.testing.assert_allclose(model.covariance, expected["covariance"], rtol=1e-5, atol=1e-12)
    for name, value in model.variances.items():
        assert value == pytest.approx(expected["variances"][name], rel=1e-5, abs=1e-12)
    assert model.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-6)
    assert ("singular" in model.status) == expected["singular"]
    freedom = degrees_of_freedom(model, contrast_matrix(model.levels, all_pairs(model.levels)))
    np.testing.assert_allclose(freedom, expected["df"], rtol=1e-4)
    assert model.missing == frame["score"].isna().sum()
    assert model.n == frame["score"].notna().sum()


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_record_is_what_r_says_today(record):
    done = subprocess.run(["Rscript", ORACLE / "oracle.R"], capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[0])
    assert done.returncode == 0, done.stderr
    today = json.loads(done.stdout)["frames"]
    assert today.keys() == record.keys()
    for name, answer in today.items():
        for key in ("means", "covariance", "estimate", "se", "df", "p"):
            np.testing.assert_allclose(answer[key], record[name][key], rtol=1e-4, atol=1e-9, err_msg=f"{name} {key}")
        for key in ("tukey_t", "tukey_z"):
            np.testing.assert_allclose(answer[key], record[name][key], atol=1e-3, err_msg=f"{name} {key}")


@given(seed=st.integers(0, 10_000), images=st.integers(2, 12), methods=st.integers(2, 6))
@settings(max_examples=40)
def test_balanced_designs_are_the_analysis_of_variance(seed, images, methods):
    """REML has a closed form there: mean squares, or the pooled one where the image's would be negative."""
    frame = table(seed, images, methods)
    wide = frame.pivot(index="image", columns="method", values="score").to_numpy()
    by_image = methods * wide.mean(axis=1).var(ddof=1)
    freedom = (images - 1) * (methods - 1)
    rest = wide - wide.mean(axis=1, keepdims=True) - wide.mean(axis=0) + wide.mean()
    residual = (rest**2).sum() / freedom
    model = fit(frame, "score")
    np.testing.assert_allclose(model.means, wide.mean(axis=0))
    if by_image > residual * (1 + 1e-4):
        assert model.variances["residual"] == pytest.approx(residual, rel=1e-4)
        assert model.variances["image"] == pytest.approx((by_image - residual) / methods, rel=1e-3)
        np.testing.assert_allclose(degrees_of_freedom(model, np.eye(methods)[:1] - np.eye(methods)[1:2]), freedom)
    elif by_image < residual:
        pooled = (residual * freedom + by_image * (images - 1)) / (methods * (images - 1))
        assert model.variances == pytest.approx({"image": 0, "residual": pooled})
        assert model.status == "singular: image"


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-4, 1.0, 1e5]), shift=st.floats(-100, 100))
@settings(max_examples=20)
def test_units_do_not_matter(seed, scale, shift):
    frame = table(seed, image_sd=2)
    moved = fit(frame.assign(score=scale * (frame["score"] + shift)), "score")
    model = fit(frame, "score")
    np.testing.assert_allclose(moved.means, scale * (model.means + shift), rtol=1e-7, atol=1e-9 * scale)
    assert moved.variances["image"] == pytest.approx(scale**2 * model.variances["image"], rel=1e-4)
    assert moved.variances["residual"] == pytest.approx(scale**2 * model.variances["residual"], rel=1e-4)


def test_fitted_and_residuals_add_up_and_shrink_towards_the_mean():
    frame = table(3)
    model = fit(frame, "score")
    np.testing.assert_allclose(model.fitted + model.residuals, frame["score"])
    shifts = (model.fitted - np.tile(model.means, 8)).reshape(8, 4)[:, 0]
    wide = frame.pivot(index="image", columns="method", values="score").to_numpy()
    ratio = model.variances["image"] / (model.variances["image"] + model.variances["residual"] / 4)
    np.testing.assert_allclose(shifts, ratio * (wide.mean(axis=1) - wide.mean()), atol=1e-6)


def test_levels_keep_the_order_of_the_frame_also_where_the_first_score_is_missing():
    frame = table(0)
    frame.loc[frame.index[0], "score"] = np.nan
    frame.loc[frame["method"] == "m2", "score"] = np.nan
    model = fit(frame, "score")
    assert model.levels == ("m0", "m1", "m3")
    assert model.missing == 9


def test_a_fit_that_stops_early_is_tried_again_and_says_so(monkeypatch):
    frame, descend = table(1, image_sd=3), mixed_model._descend
    plain = fit(frame, "score")
    assert plain.status == "converged"
    monkeypatch.setattr(
        mixed_model, "_descend", lambda problem, start: descend(problem, start) if start < 1 else np.ones(1)
    )
    again = fit(frame, "score")
    assert again.status == "refit from 0.01"
    assert again.variances == pytest.approx(plain.variances, rel=1e-6)
    monkeypatch.setattr(mixed_model, "_descend", lambda problem, start: np.array([start]))
    assert fit(frame, "score").status.startswith("not converged, gradient")


def test_scores_without_variance_are_fitted_and_named():
    frame = table(0, sd=0, image_sd=0)
    model = fit(frame, "score")
    np.testing.assert_allclose(model.means, range(4))
    assert model.status == "no variance; singular: image"
    assert model.total_sd == 0


@pytest.mark.parametrize(
    ("frame", "random", "message"),
    [
        (table(0, images=1), ("image",), "4 scores are too few"),
        (table(0).assign(model="net"), ("image", "model"), "'model' has one level"),
        (table(0).assign(model=lambda f: f["method"]), ("image", "model"), "varies with 'method' alone"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(frame, random, message):
    with pytest.raises(SaltrustError, match=message):
        fit(frame, "score", random=random)
