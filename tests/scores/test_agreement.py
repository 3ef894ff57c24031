"""Agreement of masks: against scikit-learn, this package's areas on maps, and what is known of masks by definition."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss, jaccard_score

from saltrust.core.errors import SaltrustError
from saltrust.scores import auprc
from saltrust.scores.agreement import (
    AGREEMENT,
    auprc_trapezoid,
    average_precision,
    counted,
    dice,
    iou,
    pixel_error,
)


@pytest.fixture
def pairs():
    """Forty pairs of masks, some small and some large, none of them empty."""
    rng = np.random.default_rng(3)
    masks = rng.random((2, 40, 5, 7)) < rng.random((2, 40, 1, 1))
    masks[0, :, 2, 3] = masks[1, :, 4, 0] = True
    return masks


def flat(masks):
    return masks.reshape(len(masks), -1)


def test_overlaps_and_error_as_scikit_learn_has_them(pairs):
    first, second = pairs
    counts = counted(first, second)
    assert not counts.both_empty.any()
    couples = list(zip(flat(first), flat(second), strict=True))
    np.testing.assert_allclose(iou(counts), [jaccard_score(x, y) for x, y in couples])
    np.testing.assert_allclose(dice(counts), [f1_score(x, y) for x, y in couples])
    np.testing.assert_allclose(pixel_error(counts), [hamming_loss(x, y) for x, y in couples])
    np.testing.assert_allclose(dice(counts), 2 * iou(counts) / (1 + iou(counts)))


def test_areas_as_of_a_map_of_two_values(pairs):
    first, second = pairs
    first[0] = False  # a map without a mark
    first[1] = True
    counts = counted(first, second)
    couples = list(zip(first.astype(float), second, strict=True))
    np.testing.assert_allclose(auprc_trapezoid(counts), [auprc.trapezoid(x, y) for x, y in couples])
    np.testing.assert_allclose(average_precision(counts), [auprc.average_precision(x, y) for x, y in couples])


@pytest.mark.parametrize("name", AGREEMENT)
def test_equal_masks_and_the_order_of_the_pair(name, pairs):
    score = AGREEMENT[name]
    np.testing.assert_allclose(score(counted(pairs[0], pairs[0])), score.equal)
    if name in ("iou", "dice", "pixel_error"):
        np.testing.assert_array_equal(score(counted(*pairs)), score(counted(*pairs[::-1])))


@pytest.mark.parametrize("name", AGREEMENT)
def test_whether_a_score_needs_the_size_of_the_image(name, pairs):
    wider = np.pad(pairs, [(0, 0), (0, 0), (0, 3), (0, 0)])
    score = AGREEMENT[name]
    same = np.allclose(score(counted(*pairs)), score(counted(*wider)))
    assert same != score.of_image


def test_two_empty_masks_score_what_is_asked_for_and_are_counted():
    none, one = np.zeros((2, 2), bool), np.eye(2, dtype=bool)
    counts = counted(np.array([none, none, one]), np.array([none, one, none]))
    assert counts.both_empty.tolist() == [True, False, False]
    assert iou(counts).tolist() == [1, 0, 0]
    assert iou(counts, empty=0.0).tolist() == [0, 0, 0]
    assert np.isnan(dice(counts, empty=np.nan)).tolist() == [True, False, False]
    assert pixel_error(counts).tolist() == [0, 0.5, 0.5]
    assert np.isnan(auprc_trapezoid(counts)).tolist() == [True, False, True]


def test_leading_axes_are_broadcast(pairs):
    first, second = pairs
    every = counted(first[:, None], second[None])
    assert iou(every).shape == (40, 40)
    np.testing.assert_array_equal(np.diag(iou(every)), iou(counted(first, second)))


def test_others_than_masks_of_one_size_are_refused(pairs):
    with pytest.raises(SaltrustError, match=r"masks are boolean \(..., height, width\), not float64"):
        counted(pairs[0].astype(float), pairs[1])
    with pytest.raises(SaltrustError, match=r"one size are compared, not \(5, 7\) and \(5, 1\)"):
        counted(pairs[0], pairs[1][..., :1])
