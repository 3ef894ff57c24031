"""Numbers and lengths of time as prose has them."""

import pytest

from saltrust.core.formatting import rough_duration, written


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.12345, "", "0.123"),
        (-2, "", "\N{MINUS SIGN}2"),
        (0.451, ".0%", "45%"),
        ("XRAI", "", "XRAI"),
        ("a-b", "", "a-b"),
        (float("-inf"), "", "\N{MINUS SIGN}inf"),
        (float("nan"), ".3f", "undefined"),
    ],
)
def test_numbers_have_three_digits_and_a_true_minus_sign(value, spec, text):
    assert written(value, spec) == text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "under 1 s"), (20, "20 s"), (200, "3 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_times_are_round(seconds, words):
    assert rough_duration(seconds) == words
