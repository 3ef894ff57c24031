"""Adjusted p-values agree with multcomp and the studentized range; letters and bootstrap keep their promises."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import studentized_range

from saltrust.stats.mixed_model import fit
from saltrust.stats.multiple_comparisons import all_pairs, compare, letters, resampled
from tests.stats.test_mixed_model import table


def test_agrees_with_lmertest_and_multcomp(case):
    frame, random, expected = case
    model = fit(frame, "score", random=random)
    pairs = all_pairs(model.levels)
    own = compare(model, pairs)
    assert [f"{a} - {b}" for a, b in pairs] == expected["pairs"]
    for column, key in (("estimate", "estimate"), ("se", "se"), ("p", "p")):
        np.testing.assert_allclose(own[column], expected[key], rtol=1e-4, atol=1e-8)
    for df, key in ((expected["whole_df"], "tukey_t"), (1e9, "tukey_z")):
        np.testing.assert_allclose(compare(model, pairs, df)["p_adjusted"], expected[key], atol=1e-3)


@pytest.mark.parametrize("methods", [2, 3, 8, 14])
def test_balanced_designs_are_tukeys_hsd(methods):
    """To 1e-3, against the exact studentized range, in p and in the width of the intervals."""
    model = fit(table(methods, images=10, methods=methods), "score")
    found = compare(model, all_pairs(model.levels))
    q = np.sqrt(2) * np.abs(found["estimate"]) / found["se"]
    np.testing.assert_allclose(found["p_adjusted"], studentized_range.sf(q, methods, found["df"]), atol=1e-3)
    reach = studentized_range.ppf(0.95, methods, found["df"][0]) / np.sqrt(2) * found["se"]
    np.testing.assert_allclose(found["ci_high"] - found["estimate"], reach, rtol=3e-3)


def test_holms_steps_are_those_by_hand():
    found = compare(model := fit(table(5), "score"), all_pairs(model.levels)).sort_values("p")
    steps = np.arange(len(found), 0, -1)
    np.testing.assert_allclose(found["p_holm"], np.minimum(np.maximum.accumulate(found["p"] * steps), 1), rtol=1e-12)


def test_intervals_effects_and_p_tell_one_story():
    model = fit(table(5, images=10, methods=8, image_sd=2, sd=2), "score")
    found = compare(model, all_pairs(model.levels))
    excludes_zero = (found["ci_low"] > 0) | (found["ci_high"] < 0)
    assert 0 < excludes_zero.sum() < len(found)
    assert (excludes_zero == (found["p_adjusted"] < 0.05)).all()
    assert (found["p"] <= found["p_adjusted"]).all()
    assert (found["p_adjusted"] <= found["p"] * len(found)).all()
    np.testing.assert_allclose(found["effect_size"] * np.sqrt(sum(model.variances.values())), found["estimate"])
    assert (found["effect_low"] < found["effect_size"]).all()


def test_a_family_of_one_is_not_adjusted_and_a_smaller_family_less():
    model = fit(table(5), "score")
    one, some, every = (
        compare(model, pairs).iloc[0]
        for pairs in ([("m0", "m1")], [("m0", "m1"), ("m0", "m2")], all_pairs(model.levels))
    )
    assert one["p_adjusted"] == pytest.approx(one["p"])
    assert one["p"] < some["p_adjusted"] < every["p_adjusted"]


def test_scores_without_variance_have_differences_but_no_p():
    found = compare(fit(table(0, sd=0, image_sd=0), "score"), [("m0", "m1")]).iloc[0]
    assert found["estimate"] == pytest.approx(-1)
    assert np.isnan(found["p_adjusted"])
    assert np.isnan(found["p_holm"])
    assert np.isnan(found["effect_size"])


@pytest.mark.parametrize("levels", [3, 8])
def test_scores_that_are_an_exact_sum_have_differences_but_no_p(levels):
    rng = np.random.default_rng(levels)
    of_method, of_image = rng.normal(size=levels), rng.normal(size=6)
    rows = [(f"m{i}", f"i{j}", of_method[i] + of_image[j]) for i in range(levels) for j in range(6)]
    model = fit(pd.DataFrame(rows, columns=["method", "image", "score"]), "score")
    assert model.status == "no residual variance"
    np.testing.assert_allclose(model.residuals, 0, atol=1e-6)
    result = compare(model, [("m0", "m1")])
    assert result["estimate"].item() == pytest.approx(of_method[0] - of_method[1])
    assert result[["p", "p_adjusted", "ci_low", "se"]].isna().all(axis=None)


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(itertools.combinations(range(n), 2)) or [None])))
    )
)
@settings(max_examples=300)
def test_levels_share_a_letter_exactly_if_they_do_not_differ(case):
    n, different = case
    different.discard(None)
    shown = letters(range(n), different)
    assert all(shown.values())
    for pair in itertools.combinations(range(n), 2):
        assert (pair in different) != bool(set(shown[pair[0]]) & set(shown[pair[1]]))


def test_letters_start_with_the_first_level():
    different = {("a", "c"), ("a", "d"), ("b", "d")}
    assert letters("abcd", different) == {"a": "a", "b": "ab", "c": "bc", "d": "c"}
    assert letters("abc", set()) == {"a": "a", "b": "a", "c": "a"}
    assert letters("abc", {("c", "a"), ("b", "a"), ("b", "c")}) == {"a": "a", "b": "b", "c": "c"}


def test_bootstrap_agrees_with_tukey_on_normal_scores():
    """Tukey's assumptions hold there: widths agree to 15 % with 60 images and 4,000 resamples."""
    frame = table(0, images=60, methods=5, sd=2)
    model = fit(frame, "score")
    found = compare(model, all_pairs(model.levels))
    boot = resampled(frame, "score", "method", all_pairs(model.levels), n_boot=4000)
    np.testing.assert_allclose((boot["boot_low"] + boot["boot_high"]) / 2, found["estimate"], atol=1e-9)
    widths = (boot["boot_high"] - boot["boot_low"]) / (found["ci_high"] - found["ci_low"])
    assert widths.mean() == pytest.approx(1, abs=0.15)


def test_bootstrap_keeps_its_level_where_spreads_differ():
    """No two means differ: a family of 5 % is wrong in 5 of 100 samples. Tukey's, by one pooled variance, in more."""
    rng, levels, wrong = np.random.default_rng(0), [f"m{j}" for j in range(6)], np.zeros(2)
    critical = studentized_range.ppf(0.95, 6, 29 * 5)
    for _ in range(100):
        scores = rng.normal(0, np.geomspace(0.05, 1, 6), (30, 6))
        frame = pd.DataFrame(scores, columns=levels).rename_axis("image").reset_index()
        frame = frame.melt("image", var_name="method", value_name="score")
        boot = resampled(frame, "score", "method", all_pairs(levels), n_boot=300)
        wrong[0] += ((boot["boot_low"] > 0) | (boot["boot_high"] < 0)).any()
        rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
        q = np.ptp(scores.mean(axis=0)) / np.sqrt((rest**2).sum() / (29 * 5) / 30)
        wrong[1] += q > critical
    assert wrong[0] <= 10
    assert wrong[1] > wrong[0]


def test_a_bootstrap_of_two_images_shows_nothing():
    boot = resampled(table(0, images=2), "score", "method", [("m0", "m3")])
    assert np.isinf(boot).all(axis=None)


def test_whole_images_and_whole_patients_are_resampled():
    """Methods that differ by the same amount in every image differ without doubt, however the images differ; images of
    one patient that are copies bear no more than one of them."""
    frame = table(0, image_sd=5, sd=0)
    boot = resampled(frame, "score", "method", [("m1", "m0")])
    np.testing.assert_allclose(boot, [[1, 1]], atol=1e-9)
    alone = table(1, images=20)
    copies = pd.concat([alone.assign(patient=alone["image"], image=alone["image"] + f" {i}") for i in range(5)])
    pairs = [("m0", "m1"), ("m2", "m3")]
    expected = resampled(alone, "score", "method", pairs)
    np.testing.assert_allclose(resampled(copies, "score", "method", pairs, unit="patient"), expected, atol=1e-9)
    narrow = resampled(copies, "score", "method", pairs)
    assert (narrow["boot_high"] - narrow["boot_low"] < 0.6 * (expected["boot_high"] - expected["boot_low"])).all()


def test_missing_scores_are_left_out_of_the_means():
    frame = table(2)
    frame.loc[0, "score"] = np.nan
    boot = resampled(frame, "score", "method", [("m0", "m1")])
    means = frame.groupby("method")["score"].mean()
    assert boot.mean(axis=1)[0] == pytest.approx(means["m0"] - means["m1"])


def test_a_model_without_degrees_of_freedom_has_no_intervals():
    """As where the images explain every score: the likelihood has no highest point, and the fit ends anywhere."""
    model = fit(table(0, images=6, methods=3), "score")
    found = compare(replace(model, information=-model.information), all_pairs(model.levels))
    assert found["estimate"].notna().all()
    assert found[["ci_low", "ci_high", "p", "p_adjusted", "df"]].isna().all(axis=None)
