"""Selective prediction against slow re-derivations (fractions, all orders of ties), scikit-learn, scipy and cases whose
answers are known. Tolerance: 1e-12, unless a test says otherwise."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binomtest, kstest
from sklearn.metrics import roc_auc_score

from saltrust.core.errors import SaltrustError
from saltrust.stats.bootstrap import bootstrap_means, times_drawn
from saltrust.stats.selective import (
    Changes,
    adds_to,
    aurc,
    differences,
    error_auroc,
    excess_aurc,
    intervals,
    mcnemar,
    risk_at,
    risk_coverage,
)

doubts = st.one_of(st.integers(0, 3).map(float), st.just(np.nan))  # with ties


def images(most):
    rows = st.lists(st.tuples(doubts, st.booleans()), min_size=1, max_size=most)
    return rows.map(lambda rows: [np.array(one) for one in zip(*rows, strict=True)])


def slow_curve(wrong):
    """Risk at each coverage of predictions in this order."""
    return [Fraction(sum(map(int, wrong[: k + 1])), k + 1) for k in range(len(wrong))]


@settings(max_examples=40)
@given(images(most=6))
def test_ties_count_in_expectation(case):
    """Oracle: the mean over all orders of all images that the doubt allows."""
    doubt, wrong = case
    value = np.where(np.isnan(doubt), -1, doubt)
    orders = [one for one in permutations(range(len(wrong))) if (np.diff(value[list(one)]) >= 0).all()]
    curves = [slow_curve(wrong[list(one)]) for one in orders]
    expected = [float(sum(column) / len(curves)) for column in zip(*curves, strict=True)]
    coverage, risk = risk_coverage(doubt, wrong)
    np.testing.assert_allclose(risk, expected, atol=1e-12)
    np.testing.assert_allclose(coverage, np.arange(1, len(wrong) + 1) / len(wrong), atol=1e-12)
    assert aurc(doubt, wrong) == pytest.approx(np.mean(expected), abs=1e-12)
    oracle = float(sum(slow_curve(np.sort(wrong)))) / len(wrong)
    assert excess_aurc(doubt, wrong) == pytest.approx(np.mean(expected) - oracle, abs=1e-12)
    np.testing.assert_allclose(risk_at(doubt, wrong, coverage), expected, atol=1e-12)


@given(images(most=30))
def test_the_area_is_the_mean_of_the_curve(case):
    assert aurc(*case) == pytest.approx(risk_coverage(*case)[1].mean(), abs=1e-12)


@given(images(most=30))
def test_the_auroc_is_that_of_sklearn(case):
    doubt, wrong = case
    found = error_auroc(doubt, wrong)
    if wrong.all() or not wrong.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(wrong, np.where(np.isnan(doubt), -1, doubt)), abs=1e-12)


@settings(max_examples=30)
@given(images(most=30), st.integers(0, 1000))
def test_a_resample_has_the_scores_of_its_images_written_out(case, seed):
    """The weighted sums of the bootstrap, against the same functions on repeated images, whose copies are ties."""
    doubt, wrong = case
    clusters = np.arange(len(wrong)) // 3
    (weights,) = times_drawn(len(wrong), 1, seed, clusters)
    repeated = np.repeat(doubt, weights), np.repeat(wrong, weights)
    row = intervals({"a": doubt}, wrong, clusters, n_boot=1, seed=seed).iloc[0]
    expected = [error_auroc(*repeated), aurc(*repeated), excess_aurc(*repeated), *risk_at(*repeated, [0.8, 0.9, 0.95])]
    names = ["ci", "aurc", "excess_aurc", "risk_at_80", "risk_at_90", "risk_at_95"]
    for end in ("low", "high"):
        np.testing.assert_allclose([row[f"{name}_{end}"] for name in names], expected, atol=1e-12)


def test_the_draws_are_those_of_the_bootstrap_of_means():
    values = np.random.default_rng(0).normal(size=30)
    for clusters in (None, np.arange(30) // 4):
        weights = times_drawn(30, 50, 7, clusters)
        np.testing.assert_allclose(
            weights @ values / weights.sum(axis=1), bootstrap_means(values, 50, 7, clusters), atol=1e-12
        )


def test_the_oracle_has_no_excess():
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=300) < 0.2
    for oracle in (wrong.astype(float), wrong + rng.uniform(0, 0.5, 300)):
        assert excess_aurc(oracle, wrong) == pytest.approx(0, abs=1e-12)
        assert error_auroc(oracle, wrong) == 1
        np.testing.assert_allclose(risk_at(oracle, wrong, [0.5, 1]), [0, wrong.mean()], atol=1e-12)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_a_doubt_that_knows_nothing_has_the_excess_of_the_error_rate(rate):
    """A constant doubt has the error rate at each coverage, and an excess of -(1 - r) ln(1 - r) for many images (to
    1e-3 here); a random one is near it (0.02: about four standard deviations of its area)."""
    n = 4000
    wrong = np.arange(n) < rate * n
    excess = -(1 - rate) * np.log(1 - rate)
    assert aurc(np.zeros(n), wrong) == pytest.approx(rate, abs=1e-12)
    assert excess_aurc(np.zeros(n), wrong) == pytest.approx(excess, abs=1e-3)
    assert excess_aurc(np.random.default_rng(0).uniform(size=n), wrong) == pytest.approx(excess, abs=0.02)


def test_an_image_without_a_doubt_is_kept_to_the_last():
    doubt, wrong = np.array([0.0, np.nan, 1.0, 2.0]), np.array([False, True, False, False])
    assert risk_coverage(doubt, wrong)[1].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert intervals({"a": doubt}, wrong, n_boot=5).loc[0, ["undefined", "n"]].tolist() == [1, 4]


def test_infinite_doubts_have_ranks():
    doubt, wrong = np.array([-np.inf, np.inf, 0.0, np.nan]), np.array([False, True, False, True])
    assert error_auroc(doubt, wrong) == 0.625
    assert np.isfinite(intervals({"a": doubt}, wrong, n_boot=20)[["auroc", "aurc"]]).all(axis=None)


def test_a_coverage_keeps_the_fewest_images_that_reach_it():
    wrong = np.arange(10) >= 8
    kept = {0.01: 0, 0.8: 0, 0.81: 1 / 9, 0.9: 1 / 9, 0.95: 0.2, 1: 0.2}
    np.testing.assert_allclose(risk_at(np.arange(10), wrong, list(kept)), list(kept.values()), atol=1e-12)
    hundredths = np.arange(1, 101) / 100  # 0.07 * 100 is above 7 in floats, and keeps 7 of 100 all the same
    np.testing.assert_allclose(
        risk_at(np.arange(100), np.arange(100) >= 50, hundredths) * np.arange(1, 101),
        np.maximum(np.arange(1, 101) - 50, 0),
        atol=1e-9,
    )


@pytest.fixture(scope="module")
def monitored():
    """Doubts of 600 images of 200 patients: three that see the errors, from well to not at all, and one copy."""
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=600) < 0.25
    noise = rng.normal(size=(3, 600))
    scores = {"good": 2 * wrong + noise[0], "fair": wrong + noise[1], "blind": noise[2], "copy": wrong + noise[1]}
    return scores, wrong, np.arange(600) // 3


def test_all_scores_have_the_same_resamples(monitored):
    scores, wrong, clusters = monitored
    table = intervals(scores, wrong, clusters, n_boot=200).set_index("score")
    assert table.drop(columns=["undefined", "n"]).loc["fair"].equals(table.drop(columns=["undefined", "n"]).loc["copy"])
    alone = intervals({"blind": scores["blind"]}, wrong, clusters, n_boot=200).set_index("score")
    pd.testing.assert_series_equal(alone.loc["blind"], table.loc["blind"])
    assert ((table["ci_low"] < table["auroc"]) & (table["auroc"] < table["ci_high"])).all()
    assert table["auroc"].tolist() == pytest.approx([roc_auc_score(wrong, one) for one in scores.values()], abs=1e-12)
    assert table["ci_low"]["blind"] < 0.5 < table["ci_high"]["blind"]
    assert table["excess_aurc"].tolist() == pytest.approx([excess_aurc(one, wrong) for one in scores.values()])


def test_differences_are_paired(monitored):
    scores, wrong, clusters = monitored
    table = differences(scores, wrong, "fair", clusters, n_boot=200).set_index(["measure", "score"])
    assert len(table) == 6
    for measure in ("auroc", "aurc"):
        of = table.loc[measure]
        copied = of.loc["copy", ["difference", "ci_low", "ci_high", "p", "p_holm"]].tolist()
        assert copied == pytest.approx([0, 0, 0, 1, 1], abs=1e-12)
        assert of.loc["good", "p"] == pytest.approx(2 / 201)  # the smallest that 200 resamples can give
        assert of.loc["good", "p_holm"] == pytest.approx(min(1, 3 * of.loc["good", "p"]))
        assert (of["p_holm"] >= of["p"]).all()
    areas = {name: roc_auc_score(wrong, one) for name, one in scores.items()}
    assert table.loc[("auroc", "good"), "difference"] == pytest.approx(areas["good"] - areas["fair"], abs=1e-12)
    assert table.loc[("aurc", "good"), "difference"] < 0 < table.loc[("aurc", "blind"), "difference"]


def test_clusters_widen_the_interval_of_images_that_are_alike():
    """Each image four times over: with its cluster drawn whole, the interval is about twice as wide (1.6 to 2.4)."""
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=150) < 0.3
    doubt = wrong + rng.normal(size=150)
    doubt, wrong = np.repeat(doubt, 4), np.repeat(wrong, 4)
    apart = intervals({"a": doubt}, wrong, n_boot=500).iloc[0]
    whole = intervals({"a": doubt}, wrong, np.arange(600) // 4, n_boot=500).iloc[0]
    assert 1.6 < (whole["ci_high"] - whole["ci_low"]) / (apart["ci_high"] - apart["ci_low"]) < 2.4


@pytest.mark.parametrize("wrong", [np.zeros(5, bool), np.ones(5, bool)])
def test_without_errors_or_with_nothing_else_there_is_no_auroc(wrong):
    scores = {"a": np.arange(5.0), "b": np.ones(5)}
    table = intervals(scores, wrong, n_boot=10)
    assert table[["auroc", "ci_low", "ci_high"]].isna().all(axis=None)
    assert table["aurc"].tolist() == pytest.approx([wrong.mean()] * 2)
    compared = differences(scores, wrong, "a", n_boot=10).set_index("measure")
    assert compared.loc["auroc", ["difference", "p", "p_holm"]].isna().all()
    assert compared.loc["aurc", "p_holm"] == 1


def test_one_score_alone_has_no_differences():
    table = differences({"a": np.arange(3.0)}, np.array([False, True, False]), "a", n_boot=5)
    assert table.empty
    assert "p_holm" in table


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_mcnemar_is_a_binomial_test_of_the_changes(pairs):
    before, after = (np.array(one) for one in zip(*pairs, strict=True))
    found = mcnemar(before, after)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1
    assert found == Changes(gained, lost, pytest.approx(p, abs=1e-12))


def deviance(wrong, columns):
    """Minus twice the log likelihood of a logistic regression, minimized by scipy."""
    design = np.column_stack([np.ones(len(wrong)), *columns])
    sign = np.where(wrong, -1, 1)
    slope = lambda b: design.T @ (2 * sign / (1 + np.exp(-sign * (design @ b))))  # noqa: E731
    return minimize(lambda b: 2 * np.logaddexp(0, sign * (design @ b)).sum(), np.zeros(design.shape[1]), jac=slope).fun


def simulated(seed, n=300, slope=0.0):
    rng = np.random.default_rng(seed)
    margin, extra = rng.normal(size=(2, n))
    return rng.uniform(size=n) < 1 / (1 + np.exp(1 + margin - slope * extra)), margin, extra + 0.5 * margin


def test_the_likelihood_ratio_is_that_of_scipys_optimum():
    """To 1e-4: where scipy's search stops. Units do not count."""
    wrong, margin, extra = simulated(0, slope=0.5)
    expected = deviance(wrong, [margin]) - deviance(wrong, [margin, extra])
    found = adds_to(wrong, margin, extra)
    assert found.statistic == pytest.approx(expected, abs=1e-4)
    assert (found.df, found.n, found.reason) == (1, 300, "")
    assert found.coefficients[0] > 0
    assert found.p < 0.01
    other = adds_to(wrong, 1e6 * margin + 3, -1e-9 * extra)
    assert other.statistic == pytest.approx(found.statistic, abs=1e-6)
    assert other.coefficients[0] == pytest.approx(-found.coefficients[0], abs=1e-6)
    two = adds_to(wrong, margin, np.column_stack([extra, extra**2]))
    assert two.df == len(two.coefficients) == 2
    assert two.statistic >= found.statistic


def test_groups_that_do_not_differ_change_nothing_and_those_that_do_lower_what_rows_seem_to_say():
    """Of a patient with a shift of its own, six rows that share the extra value are one case rather than six."""
    wrong, margin, extra = simulated(0, slope=0.5)
    assert adds_to(wrong, margin, extra, np.arange(300) % 30).statistic == pytest.approx(
        adds_to(wrong, margin, extra).statistic, rel=0.05
    )
    p, spreads = {"grouped": [], "independent": []}, []
    for seed in range(40):
        rng, patients = np.random.default_rng(seed), np.repeat(np.arange(30), 6)
        shift, extra, margin = rng.normal(0, 2, 30)[patients], rng.normal(size=30)[patients], rng.normal(size=180)
        wrong = rng.random(180) < 1 / (1 + np.exp(margin - shift))
        found = adds_to(wrong, margin, extra, patients)
        spreads.append(found.spread)
        p["grouped"].append(found.p)
        p["independent"].append(adds_to(wrong, margin, extra).p)
    assert kstest(p["grouped"], "uniform").pvalue > 0.01  # with these seeds
    assert np.mean(np.array(p["independent"]) < 0.05) > 0.1  # with these seeds; 0.05 would be right
    assert 1 < np.mean(spreads) < 3


def test_what_adds_nothing_has_uniform_p():
    p = [adds_to(*simulated(seed)).p for seed in range(200)]
    assert kstest(p, "uniform").pvalue > 0.01  # with these seeds


def test_images_without_a_value_are_left_out_of_both_models():
    wrong, margin, extra = simulated(0)
    holes = extra.copy()
    holes[::5] = np.nan
    kept = ~np.isnan(holes)
    found = adds_to(wrong, margin, holes)
    assert found.n == 240
    assert found == adds_to(wrong[kept], margin[kept], extra[kept])


@pytest.mark.parametrize(
    ("wrong", "extra", "reason"),
    [
        (lambda w, x: x > 0, lambda w, x: x, "a plane separates"),
        (lambda w, x: w, lambda w, x: (w & (x > 0.5)).astype(float), "a plane separates"),  # some of them on the plane
        (lambda w, x: w, lambda w, x: np.ones(len(x)), "a column is constant"),
        (lambda w, x: w, lambda w, x: np.column_stack([x, 3 * x + 1]), "follows from the others"),
        (lambda w, x: np.zeros(len(x)), lambda w, x: x, "all or no predictions are wrong"),
        (lambda w, x: w, lambda w, x: np.full(len(x), np.nan), "no image has all values"),
    ],
)
def test_a_model_without_a_finite_fit_has_no_p_but_a_reason(wrong, extra, reason):
    w, margin, x = simulated(0)
    found = adds_to(wrong(w, x), margin, extra(w, x))
    assert np.isnan([found.statistic, found.p, *found.coefficients]).all()
    assert reason in found.reason


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aurc([], []), "at least 1"),
        (lambda: aurc([0.1, 0.2], [1]), "doubts of shape"),
        (lambda: error_auroc([0.1], [2]), "neither 0 nor 1"),
        (lambda: risk_at([0.1], [1], [0.0]), "above 0 and at most 1"),
        (lambda: risk_at([0.1], [1], [np.nan]), "above 0 and at most 1"),
        (lambda: intervals({"a": [0.1, 0.2]}, [0, 1], clusters=[1]), "one for each image"),
        (lambda: intervals({"a": [0.1, 0.2]}, [0, 1], n_boot=0), "0 resamples"),
        (lambda: differences({"margin": [0.1]}, [1], "margins"), "did you mean 'margin'"),
        (lambda: mcnemar([1, 0], [1]), "a vector of 2"),
        (lambda: adds_to([0, 1], [1.0], [1.0, 2.0]), "base of shape"),
        (lambda: adds_to([0, 1], [1.0, np.inf], [1.0, 2.0]), "infinite values"),
        (lambda: adds_to([0, 1], [1.0, 0.0], [1.0, 2.0], np.array([1])), "groups of shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(SaltrustError, match=message):
        call()
