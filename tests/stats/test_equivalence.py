"""Equivalence by the bootstrap, against statsmodels' two one-sided t-tests, and cases whose answer is known."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW, ttost_ind, ttost_paired

from saltrust.core.errors import SaltrustError
from saltrust.stats.bootstrap import difference
from saltrust.stats.equivalence import DIFFERENT, EQUIVALENT, UNDECIDED, Equivalence, equivalence

MARGIN = 0.1


def pairs(seed, gap=0.0, spread=0.3, n=120):
    rng = np.random.default_rng(seed)
    shared = rng.beta(2, 3, n)
    return shared + gap + spread * rng.standard_normal(n), shared


@pytest.mark.parametrize(
    ("paired", "theirs"), [(True, ttost_paired), (False, lambda *args: ttost_ind(*args, usevar="unequal"))]
)
def test_the_verdict_is_that_of_students_t(paired, theirs):
    """But for p near 0.05, where two estimates of one number may lie on either side."""
    verdicts = []
    for seed in range(40):
        first, second = pairs(seed, gap=(-0.12, -0.05, 0.0, 0.03)[seed % 4])
        p = theirs(first, second, -MARGIN, MARGIN)[0]
        found = equivalence(first, second, MARGIN, paired=paired, n_boot=2000, seed=seed)
        if not 0.03 < p < 0.08:
            assert (found.verdict == EQUIVALENT) == (p < 0.05)
            verdicts.append(found.verdict)
    assert len(set(verdicts)) > 1


def test_the_intervals_are_students_where_images_are_many():
    first, second = pairs(1, n=400)
    found = equivalence(first, second, MARGIN, paired=True, n_boot=8000, seed=0)
    gaps = DescrStatsW(first - second)
    np.testing.assert_allclose((found.low, found.high), gaps.tconfint_mean(alpha=0.1), atol=0.003)
    np.testing.assert_allclose((found.ci_low, found.ci_high), gaps.tconfint_mean(alpha=0.05), atol=0.003)
    assert found.difference == pytest.approx(gaps.mean)


def test_the_wider_interval_is_that_of_a_difference():
    first, second = pairs(2)
    first[::7] = np.nan
    for paired in (True, False):
        for clusters in (None, np.arange(120) // 3):
            given = {"paired": paired, "n_boot": 200, "seed": 4, "clusters": clusters}
            found = equivalence(first, second, MARGIN, **given)
            assert difference(first, second, **given) == {
                "difference": found.difference, "ci_low": found.ci_low, "ci_high": found.ci_high,
            }  # fmt: skip
            assert found.ci_low < found.low < found.difference < found.high < found.ci_high


@pytest.mark.parametrize(
    ("numbers", "verdict", "non_inferior"),
    [
        ((0.00, -0.05, 0.05, -0.06, 0.06), EQUIVALENT, True),
        ((0.04, 0.02, 0.06, 0.01, 0.07), EQUIVALENT, True),  # not 0, and too little to matter
        ((0.00, -0.15, 0.15, -0.20, 0.20), UNDECIDED, False),
        ((0.05, -0.05, 0.15, -0.08, 0.18), UNDECIDED, True),
        ((-0.05, -0.15, 0.05, -0.18, 0.08), UNDECIDED, False),
        ((-0.15, -0.25, -0.05, -0.28, -0.02), DIFFERENT, False),
        ((0.15, 0.05, 0.25, 0.02, 0.28), DIFFERENT, True),
        ((0.05, 0.00, 0.10, -0.01, 0.11), UNDECIDED, True),  # it touches the margin
        ((-0.05, -0.10, 0.00, -0.11, 0.01), UNDECIDED, False),
    ],
)
def test_words(numbers, verdict, non_inferior):
    found = Equivalence(*numbers, margin=0.1)
    assert (found.verdict, found.non_inferior) == (verdict, non_inferior)


def test_few_images_show_no_equivalence():
    """The study's rule, that no significant difference is none, passes whoever has few images."""
    few, many = (equivalence(*pairs(0, n=n), MARGIN, paired=True, n_boot=2000, seed=0) for n in (6, 600))
    assert (few.verdict, many.verdict) == (UNDECIDED, EQUIVALENT)


def test_copies_of_an_image_are_no_more_evidence():
    first, second = pairs(6, n=30)
    once = equivalence(first, second, MARGIN, paired=True, n_boot=500, seed=0)
    copies = np.repeat(first, 20), np.repeat(second, 20)
    again = equivalence(*copies, MARGIN, paired=True, n_boot=500, seed=0, clusters=np.repeat(np.arange(30), 20))
    assert (once.low, once.high) == pytest.approx((again.low, again.high))
    assert once.verdict == again.verdict == UNDECIDED
    assert ttost_paired(*copies, -MARGIN, MARGIN)[0] < 0.05


def test_a_difference_of_the_margin_is_called_none_once_in_twenty():
    called = [
        equivalence(*pairs(seed, gap=MARGIN, n=60, spread=0.2), MARGIN, paired=True, n_boot=300, seed=seed).verdict
        for seed in range(400)
    ]
    assert called.count(EQUIVALENT) / 400 == pytest.approx(0.05, abs=0.035)


def test_one_number_is_compared_with():
    found = equivalence(np.full(9, 0.52), 0.5, 0.05, paired=True, n_boot=10, seed=0)
    assert found.verdict == EQUIVALENT
    assert found.difference == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("first", "margin", "message"),
    [
        ([0.1], 0.0, "a margin of 0.0: must be above 0"),
        ([0.1], np.nan, "a margin of nan"),
        ([0.1], np.inf, "a margin of inf"),
        ([np.nan], 0.1, "nothing to compare"),
        ([], 0.1, "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, margin, message):
    for paired in (True, False):
        with pytest.raises(SaltrustError, match=message):
            equivalence(np.array(first, float), np.array(first, float), margin, paired=paired, n_boot=5, seed=0)
