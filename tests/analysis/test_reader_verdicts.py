"""Verdicts beside readers, on scores made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saltrust.analysis import beside_readers, reader_verdicts
from saltrust.analysis.reader_verdicts import Comparison, judged, p_of
from saltrust.core.protocols import PROTOCOLS

RNG = np.random.default_rng(0)
GIVEN = {"margin": 0.05, "n_boot": 500, "seed": 0}


def comparison(
    values, reference, strength="strong", score="iou", criterion="repeatability", against="readers, pairwise"
):
    return Comparison("grad", criterion, strength, score, against, np.asarray(values), reference, None)


def around(mean, n=40, sd=0.1):
    values = RNG.normal(0, sd, n)
    return values - values.mean() + mean


@pytest.mark.parametrize(
    ("mean", "rule", "verdict"),
    [
        (0.60, "interval", "PASS"),  # better
        (0.50, "interval", "PASS"),  # as good, within the margin
        (0.30, "interval", "FAIL"),
        (0.47, "interval", "UNDECIDED"),
        (0.47, "mean", "PASS"),  # not significantly worse
        (0.30, "mean", "FAIL"),
    ],
)
def test_a_strong_test_asks_whether_a_map_is_no_worse_than_readers(mean, rule, verdict):
    spread = 0.15 if verdict == "UNDECIDED" or mean == 0.47 else 0.05
    row = judged(comparison(around(mean, sd=spread), np.full(40, 0.5)), rule, **GIVEN)
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx(mean - 0.5)
    assert row["ci_low"] <= row["difference"] <= row["ci_high"]


def test_few_images_pass_the_study_s_strong_test_and_not_ours():
    values, readers = [0.1, 0.5, 0.3], np.array([0.5, 0.6, 0.9])
    assert judged(comparison(values, readers), "mean", **GIVEN)["verdict"] == "PASS"
    assert judged(comparison(values, readers), "interval", **GIVEN)["verdict"] != "PASS"


def test_less_is_better_of_errors_and_of_likeness_to_a_random_network():
    error = comparison(around(0.1), 0.5, "weak", "pixel_error", against="0.5")
    random = comparison(around(0.1), 0.5, "weak", "iou", "sensitivity", "different images")
    likeness = comparison(around(0.1), 0.5, "weak", "iou", against="0.5")
    for rule in ("mean", "interval"):
        assert [judged(one, rule, **GIVEN)["verdict"] for one in (error, random, likeness)] == ["PASS", "PASS", "FAIL"]


def test_images_that_lack_a_score_are_left_out_and_counted_nowhere():
    values = np.r_[around(0.6, 10), [np.nan] * 5]
    reference = np.r_[np.full(10, 0.5), np.zeros(5)]
    row = judged(comparison(values, reference), "interval", **GIVEN)
    assert row["reference"] == 0.5
    assert row["value"] == pytest.approx(0.6)
    lone = judged(comparison([np.nan, 0.4], np.array([0.1, 0.2])), "interval", **GIVEN)
    assert (lone["verdict"], np.isnan(lone["value"])) == ("UNDECIDED", True)


@pytest.mark.parametrize("strength", ["weak", "strong"])
def test_p_is_that_of_student(strength):
    values, reference = around(0.55), around(0.5)
    sided = 2 if strength == "strong" else 1
    t, p = stats.ttest_ind(values, reference)
    expected = p if sided == 2 else (p / 2 if t > 0 else 1 - p / 2)
    assert p_of(values, reference, strength) == pytest.approx(expected)
    t, p = stats.ttest_1samp(values, 0.5)
    expected = p if sided == 2 else (p / 2 if t > 0 else 1 - p / 2)
    assert p_of(values, np.full(40, 0.5), strength) == pytest.approx(expected)
    assert p_of(np.full(3, 0.5), np.full(3, 0.5), strength) == 1


def table_of(rows):
    frame = pd.DataFrame(rows, columns=["method", "criterion", "strength", "score", "against", "value", "verdict"])
    return frame.assign(reference=0.5)


def test_a_verdict_turns_where_the_two_references_disagree():
    found = reader_verdicts.flips(
        table_of(
            [
                ("grad", "repeatability", "strong", "iou", "readers, consensus", 0.45, "FAIL"),
                ("grad", "repeatability", "strong", "iou", "readers, pairwise", 0.45, "PASS"),
                ("ig", "repeatability", "strong", "iou", "readers, consensus", 0.2, "FAIL"),
                ("ig", "repeatability", "strong", "iou", "readers, pairwise", 0.2, "FAIL"),
                ("ig", "repeatability", "weak", "iou", "0.5", 0.2, "FAIL"),
            ]
        )
    )
    assert found["flipped"].tolist() == [True, False]
    assert found["published"].tolist() == ["FAIL", "FAIL"]
    words = beside_readers.answer(pd.DataFrame({"method": ["grad"], "verdict": ["FAIL"]}), found)
    assert words.startswith("No method passes every test beside readers. Of 2 verdicts on IoU")
    assert "1 depend" in words


def test_the_worst_score_decides_of_the_protocol_s_reference():
    reading = type("Reading", (), {"choices": PROTOCOLS["corrected"].readers})
    rows = [
        ("grad", "repeatability", "weak", "ssim", "0.5", 0.9, "PASS"),
        ("grad", "repeatability", "weak", "iou", "0.5", 0.4, "UNDECIDED"),
        ("grad", "repeatability", "strong", "iou", "readers, consensus", 0.4, "FAIL"),
        ("grad", "repeatability", "strong", "iou", "readers, pairwise", 0.4, "FAIL"),
        ("grad", "repeatability", "weak", "iou_above_chance", "0", 0.2, "PASS"),
        ("grad", "repeatability", "strong", "iou_above_chance", "readers, pairwise", 0.2, "PASS"),
    ]
    found = reader_verdicts.by_criterion(table_of(rows), reading).set_index("baseline")
    assert found.loc["0", ["score", "verdict"]].tolist() == ["iou_above_chance", "PASS"]
    assert found.loc["readers", "verdict"] == "PASS"
    published = type("Reading", (), {"choices": PROTOCOLS["published"].readers})
    found = reader_verdicts.by_criterion(table_of(rows), published).set_index("baseline")
    assert found.loc["0.5", ["score", "verdict"]].tolist() == ["iou", "UNDECIDED"]
    assert found.loc["readers", "verdict"] == "FAIL"
