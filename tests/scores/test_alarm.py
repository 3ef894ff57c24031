"""Thresholds, and the alarm that swaps what it flags.

F1 is a fraction of whole numbers, so equal ones are equal floats. Comparisons are exact, except with scikit-learn's
sums (1e-12).
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve

from saltrust.core.errors import SaltrustError
from saltrust.scores.alarm import Alarm, choose, f1, f1_threshold, flips, published_grid, swapped, youden

bits = st.integers(0, 1)
few = st.integers(-4, 4).map(float)  # with ties


def columns(*kinds, least=1):
    """Vectors of one length, one of each kind."""
    rows = st.lists(st.tuples(*kinds), min_size=least, max_size=25)
    return rows.map(lambda rows: [np.array(one) for one in zip(*rows, strict=True)])


@given(columns(few, bits, least=2))
def test_youden_is_that_of_sklearn(case):
    scores, labels = case
    assume(0 < labels.sum() < len(labels))
    alarms, hits, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    index = hits - alarms
    best = np.flatnonzero(index >= index.max() - 1e-12)[0]  # thresholds fall: the first has the highest specificity
    assert youden(scores, labels) == thresholds[best]


def test_reversed_scores_have_no_threshold():
    scores, labels = np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0])
    assert youden(scores, labels) == np.inf
    assert not (scores >= youden(scores, labels)).any()


@given(columns(few, bits))
def test_the_best_f1_is_that_of_sklearn(case):
    scores, labels = case
    assume(labels.any())
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    both = precision + recall
    values = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)[:-1]
    best = np.flatnonzero(values >= values.max() - 1e-12)[-1]  # thresholds rise
    assert f1_threshold(scores, labels) == thresholds[best]
    assert f1(scores >= thresholds[best], labels) == pytest.approx(values[best], abs=1e-12)


@given(columns(bits, bits))
def test_f1_is_that_of_sklearn(case):
    predicted, labels = case
    assert f1(predicted, labels) == pytest.approx(f1_score(labels, predicted, zero_division=0), abs=1e-12)


def slowly_chosen(doubt, predicted, labels, thresholds):
    """(best F1, fewest flags, highest threshold or None) by trying one threshold after the other."""
    tried = [(f1(predicted, labels), 0, np.inf, None)]
    for tau in thresholds:
        flagged = np.array([not np.isnan(one) and one > tau for one in doubt])
        after = [1 - p if flag else p for p, flag in zip(predicted, flagged, strict=True)]
        tried.append((f1(np.array(after), labels), -flagged.sum(), tau, tau))
    return max(tried, key=lambda one: one[:3])


@given(columns(st.one_of(few, st.just(np.nan), st.just(np.inf)), bits, bits))
def test_the_exact_search_finds_the_best_threshold(case):
    """Oracle: every cut between two distinct doubts, one after the other."""
    doubt, predicted, labels = case
    distinct = sorted(set(doubt[~np.isnan(doubt)]))
    best, flags, _, tau = slowly_chosen(doubt, predicted, labels, [*distinct, -np.inf])
    alarm = choose(doubt, predicted, labels)
    assert alarm.tau == tau
    flagged = alarm.flagged(doubt)
    assert f1(swapped(predicted, flagged), labels) == best
    assert flagged.sum() == -flags
    assert not flagged[np.isnan(doubt)].any()
    between = [(a + b) / 2 for a, b in pairwise(distinct) if np.isfinite(b)]
    assert slowly_chosen(doubt, predicted, labels, between)[0] <= best  # no other cut is better


@given(columns(few, bits, bits), st.lists(st.floats(-5, 5), max_size=8))
def test_a_grid_is_searched_in_the_same_way(case, grid):
    doubt, predicted, labels = case
    *_, tau = slowly_chosen(doubt, predicted, labels, grid)
    assert choose(doubt, predicted, labels, np.array(grid)).tau == tau


@given(columns(st.floats(0, 8), bits, bits))
def test_the_published_grid_is_never_better_than_the_exact_search(case):
    """The paper's rule is d < tau, with tau from 0 to the largest d: the largest itself is never flagged."""
    distinct, predicted, labels = case
    alarm = choose(-distinct, predicted, labels, -published_grid(distinct.max()))
    exact = choose(-distinct, predicted, labels)
    on_grid, anywhere = (f1(swapped(predicted, one.flagged(-distinct)), labels) for one in (alarm, exact))
    assert f1(predicted, labels) <= on_grid <= anywhere
    assert not alarm.flagged(-distinct)[distinct.argmax()]


def test_a_fine_grid_and_the_exact_search_flag_the_same():
    """Where distinct values are more than a step apart, and the best alarm flags not all."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        distinct = rng.choice(4000, 60, replace=False) * 0.002 + 0.0003
        labels, predicted = rng.integers(0, 2, (2, 60))
        labels[distinct.argmax()] = predicted[distinct.argmax()] = 1  # to swap the most distinct is never best
        exact = choose(-distinct, predicted, labels).flagged(-distinct)
        grid = choose(-distinct, predicted, labels, -published_grid(distinct.max())).flagged(-distinct)
        if not exact.all():
            assert (exact == grid).all()


def test_nothing_is_flagged_where_nothing_is_gained():
    labels = np.array([0, 1, 1, 0])
    assert choose(np.arange(4.0), labels, labels) == Alarm(None)
    assert choose(np.full(4, np.nan), 1 - labels, labels) == Alarm(None)  # no doubt is known
    assert choose(np.arange(4.0), labels, np.zeros(4, int)) == Alarm(None)  # every F1 is 0
    assert choose(np.arange(4.0), 1 - labels, labels, grid=[]) == Alarm(None)


def test_an_image_without_a_doubt_is_counted():
    doubt = np.array([np.nan, 0.2, np.nan])
    assert Alarm.undefined(doubt) == 2
    assert Alarm(-np.inf).flagged(doubt).tolist() == [False, True, False]


@given(columns(bits, bits, bits))
def test_swapping_helps_where_more_than_half_of_the_flagged_are_wrong(case):
    predicted, flagged, labels = case
    right, wrong = flips(predicted, flagged, labels)
    after = swapped(predicted, flagged)
    assert right + wrong == flagged.sum()
    assert (after == labels).sum() - (predicted == labels).sum() == right - wrong
    assert ((after == labels).sum() > (predicted == labels).sum()) == (right > flagged.sum() / 2)


@given(columns(few, bits), few)
def test_an_alarm_on_one_side_of_the_threshold_is_another_threshold(case, t):
    """Doubt the images below t alone, the more the nearer: swapping those above tau makes positive where score > tau.
    Doubt those at or above t: swapping makes positive where score >= -tau. So the better of the two chosen alarms has
    the F1 of the best threshold, and no more."""
    scores, labels = case
    predicted = scores >= t
    below, above = np.where(predicted, np.nan, scores), np.where(predicted, -scores, np.nan)
    for tau in np.unique(scores):
        if tau < t:
            assert (swapped(predicted, Alarm(tau).flagged(below)) == (scores > tau)).all()
        else:
            assert (swapped(predicted, Alarm(-tau).flagged(above)) == (scores >= tau)).all()
    assume(labels.any())
    reached = [f1(swapped(predicted, choose(one, predicted, labels).flagged(one)), labels) for one in (below, above)]
    assert max(reached) == f1(scores >= f1_threshold(scores, labels), labels)


@given(columns(few, bits, least=2), st.integers(1, 8))
def test_a_band_around_youdens_threshold_turns_both_sides(case, width):
    """doubt = -|score - t|: swapping the flagged makes positive what is within the band below t, or beyond the band
    above. That is a threshold, t - width, where no score is in the upper half of the band, and none in general."""
    scores, labels = case
    assume(0 < labels.sum() < len(labels))
    t = youden(scores, labels)
    assume(np.isfinite(t))
    after = swapped(scores >= t, Alarm(-width).flagged(-np.abs(scores - t)))
    assert (after == (((t - width < scores) & (scores < t)) | (scores >= t + width))).all()
    apart = scores[(scores < t) | (scores >= t + width)]
    after = swapped(apart >= t, Alarm(-width).flagged(-np.abs(apart - t)))
    assert (after == (apart > t - width)).all()
    swaps_itself = swapped(scores >= t, Alarm(-width).flagged(-np.abs(scores - t)))[scores == t]
    assert not swaps_itself.any()  # Youden's threshold is a score: its own image is the first to be swapped


def test_the_grid_reaches_the_largest_value():
    assert published_grid(0.003).tolist() == pytest.approx([0, 0.001, 0.002, 0.003])
    assert len(published_grid(8)) == 8001
    assert published_grid(0).tolist() == [0]
    just_below = np.nextafter(2, 0)
    assert published_grid(just_below)[-1] == just_below


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: youden([0.1, 0.2], [1, 1]), "2 images of one class"),
        (lambda: youden([0.1, 0.2], [0, 0]), "2 images of one class"),
        (lambda: youden([0.1, np.nan], [0, 1]), "hold NaN"),
        (lambda: youden([], []), "no images"),
        (lambda: youden([0.1, 0.2], [0, 2]), "neither 0 nor 1"),
        (lambda: youden([0.1, 0.2], [0]), "a vector of 2"),
        (lambda: youden([[0.1]], [0]), "pass a vector"),
        (lambda: f1_threshold([0.1, 0.2], [0, 0]), "without the finding"),
        (lambda: choose([0.1], [0, 1], [0, 1]), "predictions of shape"),
        (lambda: choose([0.1], [0.5], [1]), "neither 0 nor 1"),
        (lambda: choose([0.1], [0], [1], [np.nan]), "grid of thresholds holds NaN"),
        (lambda: choose([0.1], [0], [1], 0.5), "thresholds of the grid"),
        (lambda: swapped([0, 1], [True]), "flags of shape"),
        (lambda: flips([0, 1], [1, 0], [1]), "labels of shape"),
        (lambda: f1([0, 1], [np.nan, 1]), "neither 0 nor 1"),
        (lambda: published_grid(-1), "a grid from 0 to -1"),
        (lambda: published_grid(1, 0), "steps of 0"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(SaltrustError, match=message):
        call()
