"""Statistics of extreme samples, against scikit-learn, scipy and statsmodels."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from saltrust.core.errors import SaltrustError
from saltrust.stats import bootstrap, weighted_areas
from saltrust.stats.mixed_model import fit
from saltrust.stats.multiple_comparisons import all_pairs, compare, letters, resampled
from saltrust.stats.random_intercept import by_statsmodels
from tests.fuzz import guard

_numbers = st.one_of(
    st.floats(0, 1),
    st.sampled_from((0.0, 1.0, 0.5)),
    st.sampled_from((0.0, -0.0, 5e-324, 1e-300, 1e150, -1e150, 1.0)),
)
_missing = st.one_of(_numbers, st.just(np.nan))
SEED, BOOT = 0, 40


def _samples(values, least=1, most=12):
    return st.lists(values, min_size=least, max_size=most).map(lambda some: np.array(some, float))


def _quietly(act):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return guard.attempt(act)


def _is_interval(low, high, values):
    assert low <= high
    size = np.abs(values).max(initial=0) * (1 + 1e-9)
    assert -size <= low
    assert high <= size


@guard.fuzzed(60)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("vwxyz"), _missing), min_size=1, max_size=12))
def test_summaries_of_groups_with_gaps(rows):
    frame = pd.DataFrame(rows, columns=["method", "image", "score"])
    found = _quietly(lambda: bootstrap.summarize(frame, "score", ["method"], BOOT, SEED))
    assert found["method"].tolist() == list(dict.fromkeys(frame["method"]))
    for method, row in found.set_index("method").iterrows():
        by_image = frame[frame["method"] == method].groupby("image")["score"].mean().dropna()
        assert row["n"] == len(by_image)
        if not len(by_image):
            assert row[["mean", "ci_low", "ci_high"]].isna().all()
            continue
        assert row["mean"] == pytest.approx(by_image.mean(), rel=1e-9, abs=1e-12 * by_image.abs().max())
        _is_interval(row["ci_low"], row["ci_high"], by_image.to_numpy())
        assert np.isnan(row["sd"]) == (len(by_image) < 2)


@guard.fuzzed(60)
@given(first=_samples(_missing), second=_samples(_missing), paired=st.booleans())
def test_differences_of_samples_with_gaps(first, second, paired):
    if paired:
        n = min(len(first), len(second))
        first, second = first[:n], second[:n]
    found = _quietly(lambda: bootstrap.difference(first, second, paired=paired, n_boot=BOOT, seed=SEED))
    gaps = (first - second)[~np.isnan(first - second)] if paired else None
    kept = [gaps] if paired else [one[~np.isnan(one)] for one in (first, second)]
    if not all(map(len, kept)):
        assert isinstance(found, SaltrustError) or np.isnan([*found.values()]).all()
        return
    expected = gaps.mean() if paired else kept[0].mean() - kept[1].mean()
    size = max(np.abs(one).max() for one in kept)
    assert found["difference"] == pytest.approx(expected, rel=1e-9, abs=1e-12 * size)
    assert found["ci_low"] <= found["ci_high"]


@guard.fuzzed(60)
@given(cases=st.lists(st.tuples(st.integers(0, 1), _numbers), min_size=1, max_size=14))
def test_areas_under_the_roc_curve_with_ties_and_empty_classes(cases):
    labels, scores = np.array([one for one, _ in cases]), np.array([value for _, value in cases])
    found = _quietly(lambda: bootstrap.roc_auc(labels, scores, BOOT, SEED))
    if len(set(labels)) < 2:
        assert isinstance(found, SaltrustError) or np.isnan(found["auc"])
        return
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert 0 <= found["ci_low"] <= found["ci_high"] <= 1
    both = _quietly(lambda: bootstrap.auc_difference(labels, scores, -scores, BOOT, SEED))
    assert both["difference"] == pytest.approx(2 * roc_auc_score(labels, scores) - 1, abs=1e-12)


@guard.fuzzed(40)
@given(data=st.data())
def test_areas_of_several_classes(data):
    n, k = data.draw(st.integers(1, 10)), data.draw(st.integers(2, 4))
    labels = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    scores = np.array(data.draw(st.lists(st.lists(_numbers, min_size=k, max_size=k), min_size=n, max_size=n)))
    found = _quietly(lambda: bootstrap.macro_auc(labels, scores, BOOT, SEED))
    if len(set(labels)) < k:
        assert isinstance(found, SaltrustError) or np.isnan(found["auc"])
        return
    expected = np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(k)])
    assert found["auc"] == pytest.approx(expected)


@guard.fuzzed(50)
@given(data=st.data())
def test_areas_with_weights(data):
    cases = data.draw(st.lists(st.tuples(st.booleans(), _numbers, st.integers(0, 4)), min_size=2, max_size=12))
    present, scores, weights = (np.array(column) for column in zip(*cases, strict=True))
    assume(weights[present].sum() and weights[~present].sum())
    given_all = present, scores, weights[None].astype(float)
    roc = _quietly(lambda: weighted_areas.roc_area(*given_all))[0]
    area = _quietly(lambda: weighted_areas.average_precision(*given_all))[0]
    used = weights > 0
    given_ = present[used], scores[used], weights[used]
    assert roc == pytest.approx(roc_auc_score(*given_[:2], sample_weight=given_[2]), abs=1e-9)
    assert area == pytest.approx(average_precision_score(*given_[:2], sample_weight=given_[2]), abs=1e-9)


@st.composite
def frames(draw):
    """Scores of methods on images, with gaps, ties, and levels of which nothing is known."""
    methods, images = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    unit = draw(st.sampled_from((1.0, 1e-6, 1e6)))
    value = draw(st.sampled_from((st.floats(0, 1, width=16), st.sampled_from((0.0, 1.0)), st.just(0.25))))
    known = st.one_of(value, value, value, st.just(np.nan))
    rows = [(f"m{m}", f"i{i}", draw(known) * unit) for m in range(methods) for i in range(images)]
    return pd.DataFrame(rows, columns=["method", "image", "score"])


@guard.fuzzed(25)
@given(frame=frames())
def test_mixed_models_are_those_of_statsmodels(frame):
    model = _quietly(lambda: fit(frame, "score"))
    if isinstance(model, SaltrustError):
        return
    used = frame.dropna()
    assert set(model.levels) == set(used["method"])
    assert np.isfinite(model.means).all()
    size = used["score"].abs().max() or 1.0
    balanced = len(used) == used["method"].nunique() * used["image"].nunique()
    if balanced:  # the means of the model are those of the scores
        expected = used.groupby("method")["score"].mean()[list(model.levels)]
        np.testing.assert_allclose(model.means, expected, rtol=1e-6, atol=1e-9 * size)
    table = _quietly(lambda: compare(model, all_pairs(model.levels))) if len(model.levels) > 1 else None
    if table is not None:
        p = table["p_adjusted"].dropna()
        assert ((p >= 0) & (p <= 1)).all()
        assert (table["ci_low"].dropna() <= table["ci_high"].dropna()).all()
        shown = letters(
            model.levels, [(a, b) for a, b, one in table[["first", "second", "p_adjusted"]].values if one < 0.05]
        )
        assert all(shown.values())
    if balanced and model.status == "converged" and 1e-6 < size < 1e6:
        theirs = _quietly(lambda: by_statsmodels(frame, "score"))
        if theirs.converged:
            assert model.log_likelihood >= theirs.log_likelihood - 1e-3 * max(1, abs(theirs.log_likelihood))


@guard.fuzzed(25)
@given(frame=frames())
def test_resampled_differences_hold_their_estimate(frame):
    used = frame.dropna()
    levels = list(used["method"].unique())
    assume(len(levels) > 1)
    found = _quietly(lambda: resampled(used, "score", "method", all_pairs(levels), n_boot=BOOT))
    means = used.groupby("method")["score"].mean()
    for (first, second), (low, high) in zip(all_pairs(levels), found.to_numpy(), strict=True):
        slack = 1e-9 * used["score"].abs().max()
        assert low - slack <= means[first] - means[second] <= high + slack


@guard.fuzzed(40)
@given(data=st.data())
def test_letters_are_shared_exactly_by_what_does_not_differ(data):
    levels = [f"m{n}" for n in range(data.draw(st.integers(1, 7)))]
    pairs = all_pairs(levels)
    different = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    shown = guard.attempt(lambda: letters(levels, different))
    for first, second in pairs:
        assert bool(set(shown[first]) & set(shown[second])) == ((first, second) not in different)
