"""Results in words: names with their numbers, the best and the worst."""

import pandas as pd

from saltrust.analysis.words import best_and_worst, in_words


def test_values_are_listed_in_their_order():
    values = pd.Series({"xrai": 0.255, "unet": 1.0})
    assert in_words(values) == "XRAI 0.26, U-Net 1.00"
    assert in_words(values, ".0%", str.upper) == "XRAI 26%, UNET 100%"
    assert in_words({"recall": "Saliency"}, "", str) == "recall Saliency"
    assert in_words({}) == ""


def test_best_and_worst_are_named_as_prose_quotes_them():
    means = pd.Series({"grad": 0.25, "smoothgrad": 0.75, "ig": 0.5})
    expected = {"other_best_map": "SG", "other_best_ssim": 0.75, "other_worst_map": "GRAD", "other_worst_ssim": 0.25}
    assert best_and_worst(means, "ssim", "other_") == expected
