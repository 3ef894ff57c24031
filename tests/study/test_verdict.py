"""Verdicts follow from the numbers, by either rule, on hand-made scores."""

from dataclasses import replace

import numpy as np
import pytest

from saltrust.core.outcomes import OUTCOMES
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


DOUBTFUL = np.array([0.9, 0.1, 0.8, 0.2, 0.9, 0.3])  # mean 0.533, far from sure to exceed 0.5


def test_an_interval_that_holds_zero_is_undecided_whatever_the_side_of_the_mean():
    for reference, by_mean in ((0.5, "PASS"), (0.6, "FAIL")):
        row = verdict(DOUBTFUL, reference)
        assert row["ci_low"] < 0 < row["ci_high"]
        assert row["verdict"] == "UNDECIDED"
        assert verdict(DOUBTFUL, reference, BY_MEAN)["verdict"] == by_mean
    assert verdict(DOUBTFUL, DOUBTFUL[::-1], larger=False, paired=False)["verdict"] == "UNDECIDED"


def test_a_verdict_of_three_needs_the_whole_interval():
    """Beside the definition, for many samples: the verdict is the sign that both ends of the interval share."""
    rng = np.random.default_rng(0)
    rows = [verdict(rng.normal(shift, 1, 20), 0.0) for shift in np.linspace(-1, 1, 21)]
    expected = ["PASS" if r["ci_low"] > 0 else "FAIL" if r["ci_high"] <= 0 else "UNDECIDED" for r in rows]
    assert [row["verdict"] for row in rows] == expected
    assert set(expected) == set(OUTCOMES)


def test_a_tie_beyond_doubt_fails():
    assert verdict(HIGH, HIGH)["verdict"] == "FAIL"
    assert verdict(HIGH, HIGH, BY_MEAN)["verdict"] == "FAIL"


def test_a_map_without_a_score_is_left_out_where_nothing_is_paired():
    row = verdict([*HIGH, np.nan], np.array([*LOW, np.nan]), paired=False, clusters=np.arange(len(HIGH) + 1) // 2)
    assert row["difference"] == pytest.approx(0.6)
    assert row["verdict"] == "PASS"


def test_a_map_without_a_score_is_left_out_of_a_pair():
    row = verdict([0.9, np.nan, 0.9, 0.9], np.array([0.1, 0.1, 0.1, 0.1]))
    assert row["difference"] == pytest.approx(0.8)
    assert row["verdict"] == "PASS"


@pytest.mark.parametrize("protocol", [BY_INTERVAL, BY_MEAN])
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("larger", [True, False])
def test_a_comparison_that_cannot_be_made_is_undecided(protocol, paired, larger):
    nothing = np.full(3, np.nan)
    with pytest.warns(RuntimeWarning, match="empty"):  # the means that there are none of
        row = verdict(nothing, np.array([0.1, 0.2, 0.3]), protocol, paired=paired, larger=larger)
    assert np.isnan(row["difference"])
    assert row["verdict"] == "UNDECIDED"
