"""Which of two parts a map puts above the other: pairs of pixels, whatever the size of the parts."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from saltrust.core.errors import SaltrustError
from saltrust.scores.precedence import precedence


def test_it_is_the_area_under_the_roc_curve_between_the_parts():
    """Oracle: scikit-learn, on the pixels of either part."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        saliency = rng.integers(0, 6, (9, 9)) / 5  # with ties
        part = rng.integers(0, 4, (9, 9))  # 0: neither, 1 or 2: one part, 3: both
        first, second = np.isin(part, (1, 3)), np.isin(part, (2, 3))
        alone = np.isin(part, (1, 2))
        assert precedence(saliency, first, second) == pytest.approx(roc_auc_score(part[alone] == 1, saliency[alone]))


def test_the_size_of_the_parts_does_not_matter():
    saliency = np.zeros((10, 10))
    small, large = np.zeros((2, 10, 10), bool)
    small[0, 0], large[5:] = True, True
    assert precedence(saliency, small, large) == precedence(saliency, large, small) == 0.5
    saliency[0, 0] = 1
    assert (precedence(saliency, small, large), precedence(saliency, large, small)) == (1, 0)


def test_pixels_of_both_parts_are_left_out():
    first, second = np.array([[True, True, False]]), np.array([[False, True, True]])
    assert precedence(np.array([[0.2, 99, 0.1]]), first, second) == 1


@pytest.mark.parametrize(
    ("saliency", "first", "second", "message"),
    [
        ([[1, 2]], [[True, False]], [[True, True]], "one part lies within the other"),
        ([[1, 2]], [[True, False]], [[False, False]], "the truth is empty"),
        ([[1, 2]], [[True, False]], [[True, True, False]], "cannot be scored against"),
        ([[1, np.nan]], [[True, False]], [[False, True]], "NaN or infinite"),
    ],
)
def test_what_cannot_be_scored_is_refused(saliency, first, second, message):
    with pytest.raises(SaltrustError, match=message):
        precedence(np.array(saliency), np.array(first), np.array(second))
