import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from saltrust.statistics import bootstrap_means, difference, interval, roc_auc, summarize


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
    from saltrust.statistics import _rank_auc

    assert _rank_auc(scores[labels == 1], scores[labels == 0]) == pytest.approx(result["auc"])
