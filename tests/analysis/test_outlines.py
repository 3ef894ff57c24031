"""What prose quotes of outlines: numbers, the sentence with the same numbers, and words where there are none."""

import numpy as np
import pytest

from saltrust.analysis.outlines import outlined


def test_the_sentence_quotes_the_numbers():
    found = outlined(np.array([0.0104, 0.2, 0.0512]))
    assert found["prevalence_pixels"] == pytest.approx((0.0104 + 0.2 + 0.0512) / 3)
    assert (found["smallest_area"], found["largest_area"]) == (0.0104, 0.2)
    assert "covers 8.7% of the pixels on average, from 1.0% to 20.0%." in found["extent"]
    assert "scored against" in found["located"]


def test_labels_alone_have_words_and_no_numbers():
    found = outlined(None)
    assert set(found) == {"located", "extent"}
    assert "labels alone" in found["located"]
    assert not any(letter.isdigit() for text in found.values() for letter in text)
