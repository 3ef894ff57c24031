"""Scores of extreme maps, against scikit-learn, scikit-image and scipy."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import pearsonr, rankdata
from skimage.metrics import structural_similarity
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from saltrust.core.errors import SaltrustError
from saltrust.scores.auprc import AUPRC, precision_recall
from saltrust.scores.five_band import CLAMPED, SOFT, Thresholds, adjust, confusion, soft
from saltrust.scores.localization import LOCALIZATION
from saltrust.scores.masks import area_cut, best_cut, otsu_cut
from saltrust.scores.precedence import precedence
from saltrust.scores.similarity import SIMILARITY
from saltrust.scores.surrogates import surrogate
from tests.fuzz import guard

TYPES = (np.float64, np.float32, np.float16, np.int8, np.uint8, np.int64, np.bool_)
SPECIAL = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-308, 1.7e308, -1.7e308, 1e-20, 1 + 2**-52)
BROKEN = (np.nan, np.inf, -np.inf)


@st.composite
def maps(draw, shape=None, broken=True):
    """A map: of few or many values, of any type, constant, tiny, huge, or with what is no number."""
    shape = shape or draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    kind = draw(st.sampled_from(TYPES))
    if not np.issubdtype(kind, np.floating):
        return draw(arrays.arrays(kind, shape))
    largest = float(np.finfo(kind).max)
    special = [value for value in SPECIAL if abs(value) <= largest]
    values = draw(
        st.sampled_from(
            (
                st.floats(0, 1, width=np.dtype(kind).itemsize * 8),
                st.sampled_from(special),
                st.sampled_from((0.0, 1.0)),
                st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(kind).itemsize * 8),
                st.sampled_from((*special, *BROKEN)) if broken else st.just(0.5),
            )
        )
    )
    return draw(arrays.arrays(kind, shape, elements=values))


def truths(shape):
    return st.one_of(arrays.arrays(np.bool_, shape), st.just(np.zeros(shape, bool)), st.just(np.ones(shape, bool)))


@st.composite
def scored(draw):
    found = draw(maps())
    return found, draw(truths(found.shape))


def _quietly(act):
    """Numbers may overflow on the way; what counts is what comes out."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return guard.attempt(act)


def _refused(saliency, truth):
    return not truth.any() or not np.isfinite(saliency.astype(float)).all()


def _ranks(saliency):
    """Whole numbers in the order of a map's values: libraries would take those of 64 bits for floats."""
    return np.unique(saliency, return_inverse=True)[1].reshape(saliency.shape)


@guard.fuzzed(80)
@given(scored())
def test_areas_under_the_curve_are_those_of_scikit_learn(case):
    saliency, truth = case
    found = {name: _quietly(lambda score=score: score(saliency, truth)) for name, score in AUPRC.items()}
    curve = _quietly(lambda: precision_recall(saliency, truth))
    if _refused(saliency, truth):
        assert all(isinstance(one, SaltrustError) for one in (*found.values(), curve))
        return
    flat = _ranks(saliency).ravel(), truth.ravel()
    assert found["average_precision"] == pytest.approx(average_precision_score(flat[1], flat[0]), abs=1e-12)
    precision, recall, _ = precision_recall_curve(flat[1], flat[0])
    assert found["trapezoid"] == pytest.approx(auc(recall, precision), abs=1e-12)
    np.testing.assert_allclose(curve[0], precision[-2::-1], atol=1e-12)
    np.testing.assert_allclose(curve[1], recall[-2::-1], atol=1e-12)


@pytest.mark.parametrize("name", LOCALIZATION)
@guard.fuzzed(25)
@given(case=scored())
def test_localization_scores_are_shares(name, case):
    saliency, truth = case
    found = _quietly(lambda: LOCALIZATION[name](saliency, truth))
    if _refused(saliency, truth):
        assert isinstance(found, SaltrustError)
        return
    assert not isinstance(found, SaltrustError), found
    assert 0 <= found <= 1 + 1e-12
    mirrored = _quietly(lambda: LOCALIZATION[name](saliency[::-1, ::-1], truth[::-1, ::-1]))
    assert mirrored == pytest.approx(found, rel=1e-9)  # position says nothing
    if LOCALIZATION[name].by_rank:  # only the order counts
        assert _quietly(lambda: LOCALIZATION[name](_ranks(saliency), truth)) == pytest.approx(found, rel=1e-9)


@guard.fuzzed(60)
@given(scored())
def test_masks_are_the_best_and_the_largest_by_trying_all(case):
    saliency, truth = case
    if _refused(saliency, truth):
        return
    cut, threshold = _quietly(lambda: best_cut(saliency, truth))
    tried = [(np.sum(truth & (saliency >= t)) / np.sum(truth | (saliency >= t)), t) for t in np.unique(saliency)]
    assert cut.iou == pytest.approx(max(tried)[0])
    assert threshold == max(t for iou, t in tried if iou == pytest.approx(max(tried)[0], abs=1e-15))
    ordered = np.sort(saliency, axis=None)[::-1]
    n = int(truth.sum())
    if n == saliency.size or ordered[n - 1] > ordered[n]:  # no tie at the edge
        assert area_cut(saliency, truth).iou == pytest.approx(
            np.sum(truth & (saliency >= ordered[n - 1])) / np.sum(truth | (saliency >= ordered[n - 1]))
        )
    assert 0 <= _quietly(lambda: otsu_cut(saliency, truth)).iou <= 1


@guard.fuzzed(60)
@given(st.data())
def test_precedence_is_the_area_under_the_roc_curve(data):
    saliency = data.draw(maps())
    first, second = (data.draw(truths(saliency.shape)) for _ in range(2))
    found = _quietly(lambda: precedence(saliency, first, second))
    own, other = first & ~second, second & ~first
    if _refused(saliency, own) or _refused(saliency, other):
        assert isinstance(found, SaltrustError)
        return
    used = own | other
    expected = roc_auc_score(own[used], _ranks(saliency)[used])
    assert found == pytest.approx(expected, abs=1e-12)


def _correlation(first, second):
    """Spearman's, by scipy; NaN where a map holds NaN or is constant."""
    if any(np.isnan(one.astype(float)).any() or (one == one.flat[0]).all() for one in (first, second)):
        return np.nan
    ranks = (rankdata(one.ravel()) for one in (first, second))  # of each type by itself: together they may lose digits
    return pearsonr(*ranks).statistic


@guard.fuzzed(30)
@given(st.data())
def test_likeness_is_that_of_scipy_and_scikit_image(data):
    shape = data.draw(st.tuples(st.integers(11, 14), st.integers(11, 14)))
    first, second = (data.draw(maps(shape)) for _ in range(2))
    stacks = first[None], second[None]
    ranked = _quietly(lambda: SIMILARITY["spearman"](*stacks))
    assert ranked[0] == pytest.approx(_correlation(first, second), abs=1e-9, nan_ok=True)
    plain = [one.ravel().astype(np.float64) for one in (first, second)]
    signless = _quietly(lambda: SIMILARITY["spearman_abs"](*stacks))
    assert signless[0] == pytest.approx(_correlation(*map(np.abs, plain)), abs=1e-9, nan_ok=True)
    oriented = _quietly(lambda: SIMILARITY["hog"](*stacks, cell=3))
    assert np.isnan(oriented[0]) or -1 - 1e-9 <= oriented[0] <= 1 + 1e-9
    found = _quietly(lambda: SIMILARITY["ssim"](*stacks, data_range=1.0))
    if all(np.isfinite(one).all() and np.abs(one).max() < 1e6 for one in plain):
        settings = {"data_range": 1.0, "gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5}
        theirs = structural_similarity(*(one.reshape(shape) for one in plain), win_size=11, full=True, **settings)[1]
        size = np.abs(plain).max()
        assert found[0] == pytest.approx(theirs[5:-5, 5:-5].mean(), abs=1e-6 * max(1, size**2))


@guard.fuzzed(40)
@given(saliency=maps(), seed=st.integers(0, 2**32 - 1))
def test_a_surrogate_has_the_values_of_its_map(saliency, seed):
    found = _quietly(lambda: surrogate(saliency, np.random.default_rng(seed)))
    if not np.isfinite(saliency.astype(float)).all():
        assert isinstance(found, SaltrustError)
        return
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(saliency, axis=None))


@guard.fuzzed(60)
@given(data=st.data())
def test_bands_by_counting_pixels(data):
    shape = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    raw = data.draw(maps(shape))
    grades = data.draw(arrays.arrays(np.uint8, (shape[0], *shape[2:]), elements=st.integers(0, 2)))
    clamp, order = data.draw(st.sampled_from((None, 0.5, 1e-9))), data.draw(st.sampled_from(("published", "as_run")))
    thresholds = data.draw(st.sampled_from((SOFT, CLAMPED, Thresholds(count=1))))
    adjusted = _quietly(lambda: adjust(raw, clamp, order))
    assert not isinstance(adjusted, SaltrustError), adjusted
    broken = np.isnan(adjusted).any(axis=(1, 2))
    np.testing.assert_array_equal(broken, ~np.isfinite(raw.astype(np.float64)).all(axis=(1, 2, 3)))
    counted = _quietly(lambda: confusion(adjusted, grades, thresholds))
    assert not isinstance(counted, SaltrustError), counted
    for i, one in enumerate(adjusted):
        for k, (inner, outer) in enumerate(thresholds.pairs()):
            band = np.select([one > outer, one > inner, one > -inner, one > -outer], [2, 1, 0, -1], -2)
            hit = ((band == grades[i]) & (grades[i] > 0)).sum()
            quiet = ((band == 0) & (grades[i] == 0)).sum()
            assert (counted.hit[i, k], counted.true_negative[i, k]) == ((0, 0) if broken[i] else (hit, quiet))
    for score in (counted.precision(), counted.recall(), counted.fpr(), counted.accuracy()):
        average, best = soft(score)
        assert np.isnan(average).tolist() == np.isnan(best).tolist() == broken.tolist()
        assert ((score >= 0) & (score <= 1))[~broken].all()


@guard.fuzzed(40)
@given(st.tuples(*[st.one_of(st.floats(0, 1), st.floats())] * 3, st.integers(-2, 200)))
def test_thresholds_stay_between_0_and_1(values):
    found = _quietly(lambda: Thresholds(*values))
    if not isinstance(found, SaltrustError):
        pairs = found.pairs()
        assert ((pairs > 0) & (pairs < 1)).all()
        assert (pairs[:, 0] < pairs[:, 1]).all()
