"""Results in words: names with their numbers, the best and the worst."""

import pandas as pd
import pytest

from saltrust.analysis.words import best_and_worst, furthest, in_words, listed


def test_values_are_listed_in_their_order():
    values = pd.Series({"xrai": 0.255, "unet": 1.0})
    assert in_words(values) == "XRAI 0.26, U-Net 1.00"
    assert in_words(values, ".0%", str.upper) == "XRAI 26%, UNET 100%"
    assert in_words({"recall": "Saliency"}, "", str) == "recall Saliency"
    assert in_words({}) == ""


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ({"ig": 0.1, "xrai": 0.9}, "Furthest below is IG with 0.10, furthest above XRAI with 0.90."),
        ({"ig": 0.1, "xrai": 0.3}, "None lies above; furthest below is IG with 0.10, nearest XRAI with 0.30."),
        ({"ig": 0.6, "xrai": 0.9}, "None lies below; furthest above is XRAI with 0.90, nearest IG with 0.60."),
        ({"ig": 0.5, "xrai": 0.3}, "None lies above; furthest below is XRAI with 0.30, nearest IG with 0.50."),
        ({"ig": 0.5, "xrai": 0.8}, "None lies below; furthest above is XRAI with 0.80, nearest IG with 0.50."),
    ],
)
def test_what_lies_on_one_side_is_not_said_to_lie_on_the_other(means, said):
    """Of one method, too, which is not compared with itself."""
    alone, verb = pd.Series(means).head(1), "below" if means["ig"] < 0.5 else "not below"
    assert furthest(alone, pd.Series({"ig": 0.5})) == f"It lies {verb}: IG with {means['ig']:.3f}."
    assert furthest(pd.Series(means), pd.Series({"xrai": 0.5, "ig": 0.5}), ".2f") == said


def test_names_are_listed_with_one_and():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_best_and_worst_are_named_as_prose_quotes_them():
    means = pd.Series({"grad": 0.25, "smoothgrad": 0.75, "ig": 0.5})
    expected = {"other_best_map": "SG", "other_best_ssim": 0.75, "other_worst_map": "GRAD", "other_worst_ssim": 0.25}
    assert best_and_worst(means, "ssim", "other_") == expected
