import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saltrust.core.errors import SaltrustError
from saltrust.scores.five_band import CLAMPED, SOFT, Confusion, Thresholds, adjust, confusion, soft, stratify

FEW = Thresholds(0.3, 0.5, 0.05, 5)  # pairs down to (0.1, 0.3): values in tenths tie with many of them
COUNTS = ("hit", "missed", "misjudged", "false_alarm", "true_negative")
TENTHS = st.integers(-10, 10).map(lambda tenths: tenths / 10)
MAPS = arrays(np.float64, (2, 3, 4), elements=TENTHS | st.sampled_from([*FEW.pairs().ravel(), *-FEW.pairs().ravel()]))
GRADES = arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 2))


def literal_band(h, inner, outer):
    """Section III-C, condition by condition."""
    if h > outer:
        return 2
    if inner < h <= outer:
        return 1
    if -inner < h <= inner:
        return 0
    if -outer < h <= -inner:
        return -1
    assert h <= -outer
    return -2


def literal(adjusted, grades, thresholds, to_the_letter=False):
    """Precision, recall, accuracy, FPR (4, n, m) and the counts, by loops over maps, thresholds, rows and columns, with
    the sets as the authors' code has them, or as section III-C writes them."""
    pairs = thresholds.pairs()
    scores = np.zeros((4, len(adjusted), len(pairs)))
    counted = {name: np.zeros((len(adjusted), len(pairs)), int) for name in COUNTS}
    for k, (one, truths) in enumerate(zip(adjusted.tolist(), grades.tolist(), strict=True)):
        for m, (inner, outer) in enumerate(pairs.tolist()):
            tp = fp = fn = tn = right = pixels = 0
            for row, truth_row in zip(one, truths, strict=True):
                for h, h0 in zip(row, truth_row, strict=True):
                    band = literal_band(h, inner, outer)
                    tp += h0 != 0 and band == h0
                    fp += h0 == 0 and band != 0
                    fp += h0 != 0 and band != h0 and (to_the_letter or band != 0)
                    fn += h0 != 0 and band == 0
                    tn += h0 == 0 and band == 0
                    right += band == h0
                    pixels += 1
                    counted["hit"][k, m] += h0 != 0 and band == h0
                    counted["missed"][k, m] += h0 != 0 and band == 0
                    counted["misjudged"][k, m] += h0 != 0 and band not in (0, h0)
                    counted["false_alarm"][k, m] += h0 == 0 and band != 0
                    counted["true_negative"][k, m] += h0 == 0 and band == 0
            scores[:, k, m] = tp / (tp + fp + 1e-6), tp / (tp + fn + 1e-6), right / pixels, fp / (fp + tn + 1e-6)
    return scores, counted


def assert_equal_to_the_literal_loops(adjusted, grades, thresholds):
    ours = confusion(adjusted, grades, thresholds)
    scores, counted = literal(adjusted, grades, thresholds)
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(ours, name), counted[name])
    mine = [ours.precision(), ours.recall(), ours.accuracy(), ours.fpr()]
    np.testing.assert_allclose(mine, scores, rtol=0, atol=1e-15)
    read_to_the_letter, _ = literal(adjusted, grades, thresholds, to_the_letter=True)
    np.testing.assert_allclose(ours.precision_to_the_letter(), read_to_the_letter[0], rtol=0, atol=1e-15)
    assert (ours.precision_to_the_letter() <= ours.recall() + 1e-15).all()


def literal_adjustment(raw, clamp, order):
    """Section III-C and IV-A for one map (c, h, w), in plain Python."""
    c, height, width = raw.shape
    pixels = [(i, j) for i in range(height) for j in range(width)]

    def clamped(values):
        return {key: min(max(value, -clamp), clamp) for key, value in values.items()}

    def normalized(values):
        largest = max(abs(value) for value in values.values())
        return {key: value / largest if largest else 0.0 for key, value in values.items()}

    values = {(k, i, j): float(raw[k, i, j]) for k in range(c) for i, j in pixels}
    if clamp and order == "as_run":
        values = clamped(values)
    values = normalized(values)
    if clamp and order == "published":
        values = clamped(values)
    summed = normalized({(i, j): sum(values[k, i, j] for k in range(c)) for i, j in pixels})
    return np.array([summed[pixel] for pixel in pixels]).reshape(height, width)


@pytest.mark.parametrize(
    ("clamp", "order"), [(None, "published"), (0.1, "published"), (0.1, "as_run"), (0.02, "as_run")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_adjustment_equals_its_steps_by_hand(channels, clamp, order):
    raw = np.random.default_rng(0).normal(scale=0.05, size=(4, channels, 5, 6))
    expected = [literal_adjustment(one, clamp, order) for one in raw]
    np.testing.assert_allclose(adjust(raw, clamp, order), expected, rtol=0, atol=1e-15)


def test_the_two_orders_of_clamping_differ():
    raw = np.random.default_rng(0).normal(scale=0.05, size=(1, 3, 9, 9))
    published, as_run = (adjust(raw, 0.1, order) for order in ("published", "as_run"))
    assert np.abs(published - as_run).max() > 0.1
    # Raw values that clamping leaves alone are adjusted as without.
    np.testing.assert_array_equal(adjust(raw, 1.0, "as_run"), adjust(raw))


@given(arrays(np.float64, (2, 3, 2, 4), elements=st.floats(-1e6, 1e6, width=32)), st.sampled_from([None, 0.1]))
def test_adjusted_maps_reach_one_and_do_not_depend_on_scale(raw, clamp):
    adjusted = adjust(raw, clamp)
    assert set(np.abs(adjusted).max(axis=(1, 2))) <= {0.0, 1.0}
    np.testing.assert_array_equal(adjust(raw * 1024, clamp), adjusted)  # a power of 2: no rounding
    np.testing.assert_array_equal(adjust(-raw, clamp), -adjusted)


def test_empty_maps_stay_empty_and_broken_maps_are_broken_all_over():
    raw = np.ones((5, 3, 2, 2))
    raw[1] = 0
    raw[2] = np.array([1, 1, -2])[:, None, None]  # the channels cancel
    raw[3, 0, 0, 0] = np.nan
    raw[4, 0, 0, 0] = np.inf
    for adjusted in (adjust(raw), adjust(raw, 0.5, "as_run")[:2]):
        assert (adjusted[0] == 1).all()
        assert not adjusted[1].any()
    assert not adjust(raw)[2].any()
    for order in ("published", "as_run"):
        assert np.isnan(adjust(raw, 0.1, order)[3:]).all()


def test_a_broken_map_scores_nan_and_its_neighbours_do_not():
    adjusted = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4))
    adjusted[1, 2, 3] = np.nan
    counted = confusion(adjusted, np.ones((3, 4, 4), np.uint8))
    for scores in (counted.precision(), counted.recall(), counted.accuracy(), counted.fpr()):
        assert np.isnan(scores[1]).all()
        assert np.isfinite(scores[[0, 2]]).all()
        assert [np.isnan(part).tolist() for part in soft(scores)] == [[False, True, False]] * 2
    assert not counted.pixels[1].any()


def test_bands_hold_their_upper_bound():
    values = np.array([-1, -0.5, -0.4, -0.3, -0.2, 0, 0.3, 0.4, 0.5, 1])
    bands = stratify(values, 0.3, 0.5)
    assert bands.tolist() == [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2]
    assert bands.dtype == np.int8
    assert bands.tolist() == [literal_band(h, 0.3, 0.5) for h in values]
    with pytest.raises(SaltrustError, match="NaN has no bands"):
        stratify(np.array([np.nan]), 0.3, 0.5)


@settings(max_examples=60)
@given(MAPS, GRADES)
def test_counts_equal_the_literal_loops_also_at_ties(adjusted, grades):
    assert_equal_to_the_literal_loops(adjusted, grades, FEW)


@pytest.mark.parametrize("thresholds", [SOFT, CLAMPED])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_counts_equal_the_literal_loops_at_the_published_thresholds(thresholds, dtype):
    rng = np.random.default_rng(0)
    adjusted = rng.uniform(-1, 1, (3, 12, 13)).astype(dtype)
    ties = rng.choice(np.r_[thresholds.pairs().ravel(), -thresholds.pairs().ravel()], (12, 13))
    adjusted[0] = ties
    grades = rng.integers(0, 3, (3, 12, 13), dtype=np.uint8)
    grades[2] = 0  # no cell
    assert_equal_to_the_literal_loops(adjusted, grades, thresholds)


@given(MAPS, GRADES)
def test_bands_and_counts_agree(adjusted, grades):
    counted = confusion(adjusted, grades, FEW)
    for m, (inner, outer) in enumerate(FEW.pairs()):
        bands = stratify(adjusted, inner, outer)
        same = ((grades > 0) & (bands == grades)).sum(axis=(1, 2))
        np.testing.assert_array_equal(counted.hit[:, m], same)
        np.testing.assert_array_equal(counted.false_alarm[:, m], ((grades == 0) & (bands != 0)).sum(axis=(1, 2)))
    assert (counted.pixels == 12).all()
    # Lower thresholds leave less in band 0, of the cell and of the background.
    assert (np.diff(counted.missed) <= 0).all()
    assert (np.diff(counted.true_negative) <= 0).all()
    # To the letter, false positives are at least as many, so that precision is at most as high.
    assert (counted.precision_to_the_letter() <= counted.precision()).all()


def test_a_perfect_map_and_an_image_without_cell():
    grades = np.zeros((2, 8, 8), np.uint8)
    grades[0, 2:6, 2:6] = 1
    grades[0, 3:5, 3:5] = 2
    adjusted = np.select([grades == 1, grades == 2], [0.4, 0.9])
    counted = confusion(adjusted, grades, Thresholds(count=1))
    assert counted.precision()[0, 0] == counted.recall()[0, 0] == pytest.approx(1, abs=1e-6)
    assert counted.accuracy().tolist() == [[1], [1]]
    assert counted.precision()[1, 0] == counted.recall()[1, 0] == counted.fpr()[1, 0] == 0


def test_a_missed_pixel_is_no_false_positive():
    """One hit, three missed: all that is marked is right. To the letter, precision would be the recall."""
    grades = np.array([[[2, 2, 2, 2, 0]]], np.uint8)
    counted = confusion(np.array([[[1.0, 0, 0, 0, 0]]]), grades, Thresholds(count=1))
    assert not counted.false_positive.any()
    assert counted.precision()[0, 0] == pytest.approx(1, abs=1e-5)
    assert counted.recall()[0, 0] == counted.precision_to_the_letter()[0, 0] == pytest.approx(1 / 4, abs=1e-6)
    assert counted.fpr()[0, 0] == 0


def test_average_may_be_divided_by_55_and_best_is_by_score():
    values = np.random.default_rng(0).random((3, 56))
    average, best = soft(values)
    np.testing.assert_allclose(average, [sum(row) / 56 for row in values.tolist()], rtol=1e-14)
    np.testing.assert_array_equal(best, [max(row) for row in values.tolist()])
    np.testing.assert_allclose(soft(values, divisor=55)[0], average * 56 / 55, rtol=1e-14)


def test_the_published_thresholds():
    assert SOFT.pairs().shape == (56, 2)
    np.testing.assert_allclose(SOFT.pairs()[[0, -1]], [[0.3, 0.5], [0.025, 0.225]], atol=1e-15)
    assert CLAMPED.pairs().shape == (41, 2)
    np.testing.assert_allclose(CLAMPED.pairs()[[0, -1]], [[0.5, 0.9], [0.1, 0.5]], atol=1e-15)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"inner": 0.6}, "0 < inner < outer < 1, found inner 0.6, outer 0.5"),
        ({"inner": 0.0}, "0 < inner"),
        ({"outer": 1.0}, "outer < 1"),
        ({"inner": float("nan")}, "0 < inner"),
        ({"step": -0.005}, "step above 0"),
        ({"count": 0}, "count of at least 1"),
        ({"count": 61}, "stays above 0, found -?[0-9.e-]+ after 60 steps"),
    ],
)
def test_thresholds_out_of_order_are_refused(wrong, message):
    with pytest.raises(SaltrustError, match=message):
        Thresholds(**wrong)


def test_what_cannot_be_scored_is_refused():
    maps, grades = np.zeros((2, 4, 4)), np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(SaltrustError, match="one shape"):
        confusion(maps, grades[:1])
    for wrong in (grades + np.uint8(3), grades + 0.4):
        with pytest.raises(SaltrustError, match="grades must be 0, 1 or 2 as uint8, found"):
            confusion(maps, wrong)
    with pytest.raises(SaltrustError, match=r"adjusted to \[-1, 1\], found values up to 3"):
        confusion(maps - 3, grades)
    with pytest.raises(SaltrustError, match="shape \\(n, c, h, w\\)"):
        adjust(maps)
    with pytest.raises(SaltrustError, match="unknown order of clamping 'asrun'; did you mean 'as_run'"):
        adjust(maps[None], 0.1, "asrun")
    with pytest.raises(SaltrustError, match="clamp must be above 0"):
        adjust(maps[None], 0.0)


def test_no_maps_have_no_scores():
    counted = confusion(adjust(np.zeros((0, 3, 4, 4))), np.zeros((0, 4, 4), np.uint8))
    assert isinstance(counted, Confusion)
    assert counted.recall().shape == (0, 56)
