import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score

from saltrust.core.errors import SaltrustError
from saltrust.scores.localization import (
    LOCALIZATION,
    dice_best,
    hit_rate,
    iou_area,
    iou_best,
    iou_otsu,
    m_gt,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from saltrust.scores.masks import area_cut, best_cut, otsu_cut

SHAPE = (5, 6)
TIED = arrays(np.float64, SHAPE, elements=st.integers(-3, 3).map(float))
DISTINCT = st.permutations(range(30)).map(lambda p: np.array(p, float).reshape(SHAPE))
TRUTH = arrays(bool, SHAPE, elements=st.booleans()).filter(np.any)


@given(st.one_of(TIED, DISTINCT), TRUTH)
def test_all_scores_lie_between_0_and_1(saliency, truth):
    for score in LOCALIZATION.values():
        assert 0 <= score(saliency, truth) <= 1


@pytest.mark.parametrize("name", LOCALIZATION)
def test_a_perfect_map_scores_one(name):
    truth = np.zeros((20, 20), bool)
    truth[3:9, 4:15] = True
    assert LOCALIZATION[name](truth.astype(float), truth) == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 0.7, -2.0])
def test_a_constant_map_scores_what_is_stated(value):
    truth = np.zeros((20, 20), bool)
    truth[3:9, 4:15] = True
    p = truth.mean()
    stated = {
        "the prevalence": p,
        "the share of pixels within the tolerance": pytest.approx(1, abs=0.2),  # 15 px reach nearly everything here
        "p / (2 - p) for prevalence p": p / (2 - p),
        "2p / (1 + p) for prevalence p": 2 * p / (1 + p),
        "0": 0,
    }
    for score in LOCALIZATION.values():
        assert score(np.full(truth.shape, value), truth) == pytest.approx(stated[score.constant]), score.title


@given(st.one_of(TIED, DISTINCT), TRUTH)
def test_scores_by_rank_ignore_monotone_transforms(saliency, truth):
    for score in LOCALIZATION.values():
        if score.by_rank:
            assert score(np.exp(saliency / 4) - 3, truth) == pytest.approx(score(saliency, truth), abs=1e-12)


@given(st.one_of(TIED, DISTINCT), TRUTH, st.randoms(use_true_random=False))
def test_pixels_positions_do_not_break_ties(saliency, truth, random):
    """All scores but the pointing game see a set of pixels: a shuffle of map and truth together changes nothing."""
    order = list(range(saliency.size))
    random.shuffle(order)
    moved, moved_truth = (x.ravel()[order].reshape(SHAPE) for x in (saliency, truth))
    for name, score in LOCALIZATION.items():
        if name != "pointing_game":
            assert score(moved, moved_truth) == pytest.approx(score(saliency, truth), abs=1e-12)


@given(st.one_of(TIED, DISTINCT), TRUTH, st.integers(0, 4))
def test_pointing_game_is_the_distance_of_the_maxima(saliency, truth, tolerance):
    maxima, true = np.argwhere(saliency == saliency.max()), np.argwhere(truth)
    expected = np.mean(cdist(maxima, true).min(axis=1) <= tolerance)
    assert pointing_game(saliency, truth, tolerance=tolerance) == pytest.approx(expected)
    if tolerance == 0:
        assert hit_rate(saliency, truth) == pytest.approx(expected)


def test_pointing_game_within_the_tolerance():
    truth = np.zeros((40, 40), bool)
    truth[10, 10] = True
    saliency = np.zeros((40, 40))
    saliency[19, 22] = 1  # 9 down, 12 right: at a distance of 15
    assert pointing_game(saliency, truth) == 1
    assert pointing_game(saliency, truth, tolerance=14.9) == 0
    assert hit_rate(saliency, truth) == 0


@given(st.one_of(TIED, DISTINCT), TRUTH)
def test_best_threshold_is_the_best_of_all_masks(saliency, truth):
    masks = {cut: saliency >= cut for cut in np.unique(saliency)}
    ious = [(mask & truth).sum() / (mask | truth).sum() for mask in masks.values()]
    dices = [2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask in masks.values()]
    overlap, threshold = best_cut(saliency, truth)
    assert overlap.iou == iou_best(saliency, truth) == pytest.approx(max(ious))
    assert dice_best(saliency, truth) == pytest.approx(max(dices))
    assert overlap.iou == pytest.approx(jaccard_score(truth.ravel(), masks[threshold].ravel()))
    assert overlap.marked == masks[threshold].sum()


@given(DISTINCT, TRUTH, st.floats(0.01, 1))
def test_area_marks_the_highest_pixels(saliency, truth, area):
    n = max(1, round(area * saliency.size))
    mask = np.zeros(saliency.size, bool)
    mask[np.argsort(saliency, axis=None)[-n:]] = True
    overlap = area_cut(saliency, truth, area)
    assert overlap.iou == pytest.approx(jaccard_score(truth.ravel(), mask))
    assert overlap.dice == pytest.approx(f1_score(truth.ravel(), mask))


def otsu_mask(grey):
    """Above the centre of the bin that leaves the least variance within both classes, by its definition."""
    counts, edges = np.histogram(grey, 256)
    centres = (edges[1:] + edges[:-1]) / 2
    within = []
    for k in range(1, 256):
        parts = [(counts[:k], centres[:k]), (counts[k:], centres[k:])]
        within.append(sum(w.sum() * np.average((c - np.average(c, weights=w)) ** 2, weights=w) for w, c in parts))
    return grey > centres[np.argmin(np.round(within, 9))]


@pytest.mark.parametrize("seed", range(5))
def test_otsu_leaves_the_least_variance_within_the_classes(seed):
    rng = np.random.default_rng(seed)
    truth = np.zeros((30, 40), bool)
    truth[5:15, 8:30] = True
    saliency = rng.normal(0, 0.2, truth.shape) + truth
    mask = otsu_mask(saliency)
    overlap = otsu_cut(saliency, truth)
    assert overlap.iou == pytest.approx(jaccard_score(truth.ravel(), mask.ravel()))
    assert overlap.dice == pytest.approx(f1_score(truth.ravel(), mask.ravel()))
    assert iou_otsu(saliency, truth) == overlap.iou


@given(TIED, TRUTH, st.integers(1, 30), st.integers(0, 1000))
def test_m_gt_is_the_mean_over_all_ways_to_break_ties(saliency, truth, n, seed):
    """Ties broken by chance, many times: the mean is what shared places give."""
    tie_break = np.random.default_rng(seed).random((1500, saliency.size))
    order = np.lexsort((tie_break, np.broadcast_to(-saliency.ravel(), tie_break.shape)), axis=-1)
    drawn = truth.ravel()[order[:, :n]].mean(axis=1)
    # Four standard errors of the mean, by the widest spread that a share can have.
    assert m_gt(saliency, truth, n=n) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(1500) + 1e-9)


@given(DISTINCT, TRUTH)
def test_rank_and_mass_accuracy_by_their_definition(saliency, truth):
    highest = np.argsort(-saliency, axis=None)[: truth.sum()]
    assert relevance_rank_accuracy(saliency, truth) == pytest.approx(truth.ravel()[highest].mean())
    shifted = saliency - 10  # negative values do not count
    mass = sum(v for v, t in zip(shifted.flat, truth.flat, strict=True) if v > 0 and t)
    assert relevance_mass_accuracy(shifted, truth) == pytest.approx(mass / sum(v for v in shifted.flat if v > 0))


@given(DISTINCT, TRUTH)
def test_agrees_with_quantus_where_nothing_is_tied(saliency, truth):
    """The published definitions as computed by Quantus: sums and an argsort over flattened maps."""
    flat, mask = saliency.ravel(), truth.ravel()
    assert relevance_mass_accuracy(saliency, truth) == pytest.approx((flat * mask).sum() / flat.sum())
    assert m_gt(saliency, truth, n=7) == pytest.approx(mask[np.argsort(-flat)][:7].mean())


def test_area_of_a_sparse_map_is_not_filled_up_with_the_background():
    """All that the map marks is true; the rest of the area is shared among all other pixels."""
    truth = np.zeros((100, 100), bool)
    truth[:10, :100] = True
    saliency = np.zeros((100, 100))
    saliency[:8, :100] = 1
    hits = 800 + 200 * 200 / 9200
    assert iou_area(saliency, truth) == pytest.approx(hits / (2000 - hits))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
@pytest.mark.parametrize("name", LOCALIZATION)
def test_any_real_type_is_scored_as_float64(name, dtype):
    rng = np.random.default_rng(0)
    saliency, truth = rng.integers(0, 2, (12, 9)).astype(dtype), rng.random((12, 9)) < 0.3
    assert LOCALIZATION[name](saliency, truth) == LOCALIZATION[name](saliency.astype(np.float64), truth)


@pytest.mark.parametrize("name", LOCALIZATION)
def test_bad_input_is_refused(name):
    score, good = LOCALIZATION[name], np.eye(4, dtype=bool)
    with pytest.raises(SaltrustError, match="truth is empty"):
        score(np.ones((4, 4)), np.zeros((4, 4), bool))
    with pytest.raises(SaltrustError, match="NaN"):
        score(np.where(good, np.nan, 1.0), good)
    with pytest.raises(SaltrustError, match=r"shape \(2, 8\)"):
        score(np.ones((2, 8)), good)


def test_bad_settings_are_refused():
    good = np.eye(4, dtype=bool)
    for n in (0, 17):
        with pytest.raises(SaltrustError, match="allows 1 to 16"):
            m_gt(good, good, n=n)
    for area in (0, 1.1):
        with pytest.raises(SaltrustError, match="above 0 and up to 1"):
            iou_area(good, good, area=area)
