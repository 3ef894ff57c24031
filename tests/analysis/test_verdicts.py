"""The verdicts in words: the sentence about the controls follows the numbers, and so do the counts."""

import pandas as pd
import pytest

from saltrust.analysis.verdicts import IN_WORDS, controls_first, passes, verdict_counts
from saltrust.methods.registry import CONTROLS

COMPARISONS = [
    (criterion, baseline)
    for criterion, baselines in (
        ("utility", ("average", "localizer")),
        ("randomization", ("threshold",)),
        ("repeatability", ("low", "localizer")),
    )
    for baseline in baselines
]


def judged(**counts):
    """Verdicts of methods that pass so many of five comparisons; of the others every second one is undecided."""
    rows = [
        (method, *comparison, "PASS" if k < count else ("UNDECIDED", "FAIL")[k % 2])
        for method, count in counts.items()
        for k, comparison in enumerate(COMPARISONS)
    ]
    return pd.DataFrame(rows, columns=["method", "criterion", "baseline", "verdict"])


@pytest.mark.parametrize(
    ("methods", "controls", "said"),
    [
        (
            {"ig": 3, "xrai": 2},
            {"sobel": 4, "centre": 4, "random_field": 5, "constant": 2},
            "An edge detector, a spot in the centre and a random field, which see no network, pass more of the 5 "
            "comparisons than any method: 4, 4 and 5, and no method more than 3.",
        ),
        (
            {"ig": 0, "xrai": 0},
            {"sobel": 0, "centre": 1},
            "A spot in the centre, which sees no network, passes more of the 5 comparisons than any method: 1, and no "
            "method any.",
        ),
        (
            {"ig": 3, "xrai": 2},
            {"sobel": 3, "centre": 1},
            "No method passes more of the 5 comparisons than an edge detector does, which sees no network: 3.",
        ),
        (
            {"ig": 3, "xrai": 3},
            {"sobel": 3, "centre": 3, "constant": 3},
            "No method passes more of the 5 comparisons than an edge detector, a spot in the centre and a constant map "
            "do, which see no network: 3.",
        ),
        (
            {"ig": 4, "xrai": 2, "grad": 1},
            {"sobel": 2, "centre": 3},
            "Of 3 methods, only IG passes more of the 5 comparisons than a spot in the centre does, which sees no "
            "network: 3; the other 2 pass no more than that.",
        ),
        (
            {"ig": 4, "xrai": 5, "grad": 1},
            {"sobel": 3, "centre": 3},
            "Of 3 methods, only IG and XRAI pass more of the 5 comparisons than an edge detector and a spot in the "
            "centre do, which see no network: 3; the other passes no more than that.",
        ),
        (
            {"ig": 4, "xrai": 5},
            {"sobel": 3, "centre": 1},
            "Every method passes more of the 5 comparisons than an edge detector does, which sees no network: 3 at "
            "most; the fewest that a method passes are 4.",
        ),
    ],
)
def test_the_sentence_about_the_controls_follows_the_numbers(methods, controls, said):
    assert controls_first(judged(**methods), judged(**controls)) == said


def test_a_control_among_the_methods_is_no_method():
    controls = judged(sobel=4, centre=1)
    expected = controls_first(judged(ig=2), controls)
    assert expected.startswith("An edge detector, which sees no network, passes more")
    assert controls_first(judged(ig=2, sobel=4, canny=5), controls) == expected
    assert controls_first(judged(sobel=4, canny=5), controls).startswith(
        "The methods that are judged here are controls"
    )


def test_a_comparison_that_is_undecided_is_not_passed():
    assert passes(judged(ig=0, xrai=5)).to_dict() == {"ig": 0, "xrai": 5}


def test_each_control_has_words():
    assert set(IN_WORDS) == set(CONTROLS)


def test_the_counts_are_those_of_the_table():
    found = verdict_counts(judged(ig=3, xrai=5, grad=0), judged(sobel=3, centre=1))
    assert found == {
        "n_methods": 3,
        "n_tests": 5,
        "n_criteria": 3,
        "n_cells": 15,
        "n_pass": 8,
        "n_undecided": 4,
        "n_fail": 3,
        "n_maps_all_pass": 1,
        "n_maps_any_fail": 2,
        "n_pass_low": 1,
        "n_pass_localizer": 3,
        "most_passes": 5,
        "best_map": "XRAI",
        "control_passes": 3,
        "n_above_controls": 1,
        **{"utility_n_pass": 2, "utility_n_undecided": 1, "utility_n_fail": 0},
        **{"randomization_n_pass": 2, "randomization_n_undecided": 1, "randomization_n_fail": 0},
        **{"repeatability_n_pass": 1, "repeatability_n_undecided": 0, "repeatability_n_fail": 2},
    }
