"""Which maps are compared with which."""

import numpy as np
import pandas as pd
import pytest

from saltrust.study.criteria import different_pairs
from saltrust.study.examples import extremes


@pytest.mark.parametrize(("n", "count", "expected"), [(30, 50, 50), (4, 50, 6), (2, 50, 1)])
def test_pairs_are_distinct_and_of_different_images(n, count, expected):
    pairs = different_pairs(n, count, seed=0)
    assert len(set(pairs)) == len(pairs) == expected
    assert all(0 <= i < j < n for i, j in pairs)
    assert pairs == different_pairs(n, count, seed=0)


def test_another_seed_draws_other_pairs_evenly():
    assert different_pairs(30, 50, seed=0) != different_pairs(30, 50, seed=1)
    assert different_pairs(30, 50, seed=(0, 7)) != different_pairs(30, 50, seed=(0, 8))
    drawn = np.bincount(np.array([different_pairs(10, 9, seed) for seed in range(200)]).ravel(), minlength=10)
    assert drawn.min() > 0.8 * drawn.mean()


def test_extremes_know_which_end_is_good():
    frame = pd.DataFrame({"image": ["a", "b", "c"], "ssim": [0.2, 0.9, 0.5]})
    assert [(answer, row["image"]) for answer, row in extremes(frame, "ssim", larger=True)] == [
        ("best", "b"),
        ("worst", "a"),
    ]
    assert [(answer, row["image"]) for answer, row in extremes(frame, "ssim", larger=False)] == [
        ("best", "a"),
        ("worst", "b"),
    ]
