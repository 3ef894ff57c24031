"""Verdicts follow from the numbers, by either rule, on hand-made scores."""

from dataclasses import replace

import numpy as np
import pytest

from saltrust.core.protocols import PROTOCOLS
from saltrust.study.verdict import VerdictCell, judge

BY_INTERVAL = PROTOCOLS["corrected"]
BY_MEAN = replace(BY_INTERVAL, rule="mean")
HIGH, LOW = np.linspace(0.7, 0.9, 12), np.linspace(0.1, 0.3, 12)


def verdict(values, reference, protocol=BY_INTERVAL, **options):
    cell = VerdictCell("grad", "utility", "average", np.asarray(values, float), reference, **options)
    return judge([cell], protocol).iloc[0]


def test_better_passes_and_worse_fails():
    row = verdict(HIGH, LOW)
    assert row["verdict"] == "PASS"
    assert row["value"] == pytest.approx(0.8)
    assert row["reference"] == pytest.approx(0.2)
    assert row["difference"] == pytest.approx(0.6)
    assert verdict(LOW, HIGH)["verdict"] == "FAIL"


def test_where_small_is_good_the_verdict_turns_round():
    assert verdict(LOW, HIGH, larger=False, paired=False)["verdict"] == "PASS"
    assert verdict(HIGH, LOW, larger=False, paired=False)["verdict"] == "FAIL"


def test_doubt_fails_by_interval_and_not_by_mean():
    values = np.array([0.9, 0.1, 0.8, 0.2, 0.9, 0.3])  # mean 0.533, far from sure to exceed 0.5
    assert verdict(values, 0.5)["verdict"] == "FAIL"
    assert verdict(values, 0.5, BY_MEAN)["verdict"] == "PASS"


def test_equal_scores_fail():
    assert verdict(HIGH, HIGH)["verdict"] == "FAIL"
    assert verdict(HIGH, HIGH, BY_MEAN)["verdict"] == "FAIL"


def test_a_map_without_a_score_is_left_out_of_a_pair():
    row = verdict([0.9, np.nan, 0.9, 0.9], np.array([0.1, 0.1, 0.1, 0.1]))
    assert row["difference"] == pytest.approx(0.8)
    assert row["verdict"] == "PASS"
