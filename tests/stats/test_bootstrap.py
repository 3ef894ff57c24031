import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_rel
from sklearn.metrics import roc_auc_score

from saltrust.stats.bootstrap import (
    _rank_auc,
    auc_difference,
    bootstrap_means,
    clusters_of,
    crossed,
    crossed_means,
    difference,
    interval,
    macro_auc,
    p_over_resamples,
    rank_correlation,
    roc_auc,
    summarize,
)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=60)
    ours = interval(bootstrap_means(values, 20_000, seed=1))
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # two Monte-Carlo answers to one question


def test_summaries_average_replicates_and_count_images():
    frame = pd.DataFrame(
        {"image": ["a", "a", "b", "c"], "method": ["m"] * 4, "score": [0.0, 1.0, 1.5, np.nan]},
    )
    row = summarize(frame, "score", ["method"]).iloc[0]
    assert row["mean"] == pytest.approx(1.0)  # of 0.5 and 1.5
    assert row["sd"] == pytest.approx(np.std([0.5, 1.5], ddof=1))
    assert row["n"] == 2
    assert 0.5 <= row["ci_low"] <= row["mean"] <= row["ci_high"] <= 1.5


def test_a_group_without_scores_is_shown_not_dropped():
    frame = pd.DataFrame({"image": ["a"], "method": ["m"], "score": [np.nan]})
    row = summarize(frame, "score", ["method"]).iloc[0]
    assert row["n"] == 0
    assert np.isnan(row["mean"])


def test_pairing_removes_what_the_images_share():
    rng = np.random.default_rng(3)
    image = rng.normal(0, 5, size=200)
    first, second = image + 0.5 + rng.normal(0, 0.1, 200), image
    paired = difference(first, second, paired=True, n_boot=2000, seed=0)
    unpaired = difference(first, second, paired=False, n_boot=2000, seed=0)
    assert paired["difference"] == pytest.approx(unpaired["difference"])
    assert paired["ci_high"] - paired["ci_low"] < 0.1 < 1 < unpaired["ci_high"] - unpaired["ci_low"]
    assert difference(first, 0.0, paired=True, n_boot=10, seed=0)["difference"] == pytest.approx(first.mean())


def test_auc_is_scikit_learns_and_lies_in_its_interval():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 150)
    scores = np.round(labels + rng.normal(0, 1, 150), 1)  # with ties
    result = roc_auc(labels, scores, n_boot=500)
    assert result["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert result["ci_low"] < result["auc"] < result["ci_high"]
    # With every image drawn once, the resampled statistic is the AUC itself.

    assert _rank_auc(scores[labels == 1], scores[labels == 0]) == pytest.approx(result["auc"])


def test_macro_auc_is_scikit_learns_and_lies_in_its_interval():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 120)
    scores = rng.random((120, 3)) + 0.4 * np.eye(3)[labels]
    scores /= scores.sum(axis=1, keepdims=True)
    result = macro_auc(labels, scores, n_boot=300)
    assert result["auc"] == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))
    assert result["ci_low"] < result["auc"] < result["ci_high"]


def delong(labels, first, second):
    """Difference of two areas on the same images and its standard error, after DeLong et al. (1988)."""
    positive, negative = labels == 1, labels == 0
    columns, rows = [], []
    for scores in (first, second):
        wins = np.sign(scores[positive][:, None] - scores[negative][None]) / 2 + 0.5
        columns.append(wins.mean(axis=1))
        rows.append(wins.mean(axis=0))
    parts = [np.cov(part) / part[0].size for part in (np.array(columns), np.array(rows))]
    contrast = np.array([1, -1])
    return columns[0].mean() - columns[1].mean(), np.sqrt(contrast @ (parts[0] + parts[1]) @ contrast)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_difference_of_two_areas_is_that_of_delong(shift):
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [90, 110])
    shared = labels + rng.normal(size=200)
    first, second = shared + shift * labels + rng.normal(0, 0.4, 200), shared + rng.normal(0, 0.4, 200)
    found = auc_difference(labels, first, second, n_boot=2000)
    expected, error = delong(labels, first, second)
    assert found["difference"] == pytest.approx(expected)
    assert found["difference"] == pytest.approx(roc_auc_score(labels, first) - roc_auc_score(labels, second))
    np.testing.assert_allclose(
        [found["ci_low"], found["ci_high"]],
        [expected - 1.96 * error, expected + 1.96 * error],
        atol=0.15 * error * 1.96,
    )
    apart = [roc_auc(labels, scores) for scores in (first, second)]
    unpaired = np.hypot(*(one["ci_high"] - one["ci_low"] for one in apart))
    assert found["ci_high"] - found["ci_low"] < 0.9 * unpaired  # what the networks share is gone


def test_the_difference_of_macro_areas_is_scikit_learns():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], 20)
    first, second = (rng.dirichlet(np.ones(3), 60) + 0.4 * np.eye(3)[labels] * k for k in (1, 0))
    found = auc_difference(labels, first, second, n_boot=200)
    areas = [np.mean([roc_auc_score(labels == k, scores[:, k]) for k in range(3)]) for scores in (first, second)]
    assert found["difference"] == pytest.approx(areas[0] - areas[1])
    assert 0 < found["ci_low"] < found["difference"] < found["ci_high"]


def test_a_network_equals_itself():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    assert auc_difference(labels, scores, scores, n_boot=20) == {"difference": 0, "ci_low": 0, "ci_high": 0}


def test_crossed_means_resample_rows_and_columns():
    values = np.arange(12.0).reshape(3, 4) ** 2
    means = crossed_means(values, 4000, seed=1)
    rng = np.random.default_rng(5)
    slow = [values[np.ix_(rng.integers(3, size=3), rng.integers(4, size=4))].mean() for _ in range(4000)]
    assert means.mean() == pytest.approx(values.mean(), abs=1)  # standard error 0.4
    np.testing.assert_allclose(np.quantile(means, [0.1, 0.5, 0.9]), np.quantile(slow, [0.1, 0.5, 0.9]), rtol=0.08)
    np.testing.assert_array_equal(crossed_means(2 * values, 10, seed=1), 2 * crossed_means(values, 10, seed=1))


def two_way(offsets: dict[str, float], score: str = "score") -> pd.DataFrame:
    """Scores of methods on five images by two branches: the same noise, moved by a method's offset."""
    noise = np.random.default_rng(0).normal(size=(2, 5))
    return pd.DataFrame(
        {"image": f"i{i}", "branch": b, "method": method, score: noise[b, i] + offset}
        for method, offset in offsets.items()
        for b in range(2)
        for i in range(5)
    )


def test_crossed_summary_has_the_mean_within_its_interval():
    table = crossed(two_way({"a": 0, "b": 10}), ["score"], ["method"], n_boot=500)
    assert list(table.columns) == ["method", "score", "score_low", "score_high"]
    assert (table["score_low"] < table["score"]).all()
    assert (table["score"] < table["score_high"]).all()
    assert table["score"][1] - table["score"][0] == pytest.approx(10)


def test_rank_correlation_of_two_scores_over_methods():
    first = (two_way({"a": 0, "b": 10, "c": 20}), "score")
    same, turned = ((two_way({"a": s, "b": 2 * s, "c": 3 * s}, "other"), "other") for s in (9, -9))
    assert rank_correlation(first, same, 200, seed=0) == {"correlation": 1, "ci_low": 1, "ci_high": 1}
    assert rank_correlation(first, turned, 200, seed=0) == {"correlation": -1, "ci_low": -1, "ci_high": -1}
    close = two_way({"a": 0, "b": 0, "c": 0}, "other")
    close["other"] += np.random.default_rng(3).normal(size=len(close))
    result = rank_correlation(first, (close, "other"), 500, seed=0)
    assert -1 <= result["ci_low"] < result["ci_high"] <= 1


def test_clusters_are_resampled_whole():
    """Equal values within each cluster: the interval is that of the clusters, however many images each has."""
    values = np.random.default_rng(0).normal(size=12)
    repeated, members = np.repeat(values, 5), np.repeat(np.arange(12), 5)
    np.testing.assert_allclose(bootstrap_means(repeated, 500, 1, members), bootstrap_means(values, 500, 1), atol=1e-12)
    assert np.ptp(interval(bootstrap_means(repeated, 2000, 1))) < np.ptp(interval(bootstrap_means(values, 2000, 1))) / 2
    uneven = bootstrap_means(np.array([0.0, 0.0, 0.0, 4.0]), 4000, 0, np.array(["a", "a", "a", "b"]))
    np.testing.assert_array_equal(np.unique(uneven), [0, 1, 4])  # both of a, one of each, both of b


def test_clusters_are_those_of_the_images_with_a_score():
    frame = pd.DataFrame({"image": list("abcd"), "method": "m", "score": [0.0, np.nan, 1.0, 1.0]})
    patients = {"a": "p", "b": "p", "c": "q", "d": "q"}
    row = summarize(frame, "score", ["method"], n_boot=400, clusters=patients).iloc[0]
    assert (row["ci_low"], row["ci_high"], row["n"]) == (0, 1, 3)
    first = np.array([1.0, np.nan, 3.0, 3.0])
    gap = difference(first, 1.0, paired=True, n_boot=400, seed=0, clusters=np.array(list("ppqq")))
    assert (gap["ci_low"], gap["ci_high"]) == (0, 2)
    assert clusters_of(["a", "x"], patients).tolist() == ["p", "x"]
    assert clusters_of(["a"], None) is None


def test_a_t_test_over_resamples_is_that_of_scipy_and_proves_whatever_one_draws_often_enough():
    values = np.random.default_rng(3).normal(0.02, 1, 200)  # of which an interval holds 0
    low, high = interval(bootstrap_means(values, 1000, 0))
    assert low < 0 < high
    p = {n: p_over_resamples(bootstrap_means(values, n, 0)) for n in (30, 1000, 30_000)}
    for n, found in p.items():
        means = bootstrap_means(values, n, 0)
        assert found == pytest.approx(ttest_rel(means, np.zeros(n)).pvalue)
    assert p[30_000] < 1e-6
    assert p_over_resamples(np.zeros(5)) == 1
    assert p_over_resamples(np.full(5, 0.1)) == 0
