"""Overlap by chance: every shift is tried one after the other, and surrogates keep size and nothing else."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.scores.agreement import counted, iou
from saltrust.scores.chance import above_chance, by_surrogates, iou_by_shift


def overlap(x, y):
    return iou(counted(x, y))


@pytest.mark.parametrize(("high", "wide"), [(5, 8), (2, 3), (3, 8), (3, 4), (1, 1)])
def test_all_shifts_one_after_the_other(high, wide):
    """Masks that fill the image, and such that lie in a part of it, in one direction or both."""
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 6, 5, 8)) < rng.uniform(0.2, 0.9, (2, 6, 1, 1))
    first[:, high:] = first[..., wide:] = second[:, : 5 - high] = second[..., : 8 - wide] = False
    expected = [
        np.mean([overlap(x, np.roll(y, (down, right), (0, 1))) for down in range(5) for right in range(8)])
        for x, y in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(iou_by_shift(first, second), expected, atol=1e-12)


def test_empty_masks_overlap_by_chance_as_by_rule():
    none, one = np.zeros((2, 2), bool), np.eye(2, dtype=bool)
    first, second = np.array([none, none, one]), np.array([none, one, none])
    assert iou_by_shift(first, second).tolist() == [1, 0, 0]
    assert iou_by_shift(first, second, empty=0.0).tolist() == [0, 0, 0]


def test_masks_that_lie_anywhere_are_at_chance_on_average():
    """The oracle of the correction: over all shifts it is 0 on average, and 1 for a mask with itself."""
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    shifts = [np.roll(mask, (down, right), (0, 1)) for down in range(6) for right in range(9)]
    chance = iou_by_shift(mask, mask)
    found = [above_chance(overlap(mask, other), chance) for other in shifts]
    assert np.mean(found) == pytest.approx(0, abs=1e-12)
    assert found[0] == max(found) == 1


def test_large_masks_overlap_by_chance_and_small_ones_do_not():
    small, large = np.zeros((2, 32, 32), bool)
    small[4:8, 4:8] = True
    large[2:30, 2:30] = True
    rng = np.random.default_rng(0)
    for masks in (small, large):
        shifted, surrogates = iou_by_shift(masks, masks), by_surrogates(overlap, masks, masks, rng)
        share = masks.mean()
        assert surrogates == pytest.approx(share / (2 - share), abs=0.1)  # of pixels that lie anywhere
        assert shifted == pytest.approx(surrogates, abs=0.1)
    assert iou_by_shift(small, small) < 0.05 < 0.5 < iou_by_shift(large, large)


def test_maps_are_no_masks():
    with pytest.raises(SaltrustError, match="masks are boolean"):
        iou_by_shift(np.ones((2, 2)), np.ones((2, 2)))
