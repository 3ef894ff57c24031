"""Exact values beside others: errors, removed pixels, and networks, against cases by hand."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis import shapley
from saltrust.methods.perturbation import shapley_coalitions, shapley_values
from saltrust.stats.shapley import exact, numbers, table


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- exact and sampled ------------------------------------------------------------------------------------------------


def test_the_error_is_a_share_of_the_exact_values(rng):
    true = rng.normal(size=(3, 5))
    found = np.stack([true, np.zeros_like(true), 2 * true], axis=1)
    np.testing.assert_allclose(shapley.relative_error(found, true), [[0, 1, 1]] * 3)


def test_the_cosine_does_not_know_the_scale_and_nothing_has_none():
    first = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    second = np.array([[3.0, 3.0], [0.0, -2.0], [1.0, 1.0]])
    np.testing.assert_allclose(shapley.cosine(first, second), [1, 0, np.nan], atol=1e-12)


@pytest.fixture(scope="module")
def sampled():
    """Kernel SHAP of six players from four numbers of coalitions, in games drawn at random."""
    rng, samples = np.random.default_rng(1), (20, 40, 160, 640)
    games = rng.normal(size=(30, 256)).cumsum(axis=1)
    true = exact(games)
    found = np.empty((30, len(samples), 20, 8))
    for i, game in enumerate(games):
        for j, count in enumerate(samples):
            for k in range(20):
                rows, weights = _drawn(8, count, np.random.default_rng([i, j, k]))
                found[i, j, k] = shapley_values(rows, weights, game[numbers(rows)] - game[0], game[-1] - game[0])
    return samples, true, found


def _drawn(players, count, rng):
    """Draws with replacement also where all coalitions could be listed."""
    rows, _ = shapley_coalitions(24, 2, np.random.default_rng(0))  # as the library draws them
    assert (rows[0] ^ rows[1]).all(), "a coalition and its complement"
    sizes = np.arange(1, players)
    odds = 1 / (sizes * (players - sizes))
    half = np.zeros((count // 2, players), bool)
    for row, size in zip(half, rng.choice(sizes, count // 2, p=odds / odds.sum()), strict=True):
        row[rng.choice(players, size, replace=False)] = True
    return np.concatenate([half, ~half]), np.ones(2 * (count // 2))


def test_errors_fall_with_the_root_of_the_number_beyond_the_unknowns(sampled):
    samples, true, found = sampled
    errors = shapley.sampling_errors(found, true, samples, [f"i{k}" for k in range(30)])
    assert errors.groupby("samples")["error"].mean().is_monotonic_decreasing
    power = shapley.falls_as(errors, 100, 0, least=100)
    assert power["power"] == pytest.approx(-0.5, abs=0.08)
    assert power["ci_low"] <= power["power"] <= power["ci_high"]
    few, many = (shapley.constant(errors, count, 8) for count in (40, 640))
    assert few == pytest.approx(many, rel=0.25)
    plain = {count: errors.loc[errors["samples"] == count, "error"].mean() * np.sqrt(count) for count in (40, 640)}
    assert plain[40] > 1.3 * plain[640], "without the unknowns it is no constant"


def test_a_power_needs_two_numbers():
    errors = pd.DataFrame({"samples": [20, 2000], "image": "a", "error": [0.5, 0.1]})
    assert np.isnan(shapley.falls_as(errors, 20, 0)["power"])


def test_what_is_found_for_how_many_passes(rng):
    true = rng.normal(size=(25, 4))
    found = true[:, None, None] * np.array([0.5, 0.9])[None, :, None, None]
    errors = shapley.sampling_errors(found, true, (6, 10), [str(k) for k in range(25)])
    passes = shapley.by_passes(errors, {"blocks": 0.8 * true}, {"blocks": 5}, true, 0.25, 50, 0)
    assert passes["passes"].tolist() == [8, 12, 5, 16]
    assert passes["seconds"].tolist() == [2.0, 3.0, 1.25, 4.0]
    np.testing.assert_allclose(passes["error"], [0.5, 0.1, 0.2, 0], atol=1e-12)
    np.testing.assert_allclose(passes["cosine"], 1)
    assert shapley.overtakes(passes, "blocks") == 10
    assert np.isnan(shapley.overtakes(passes[passes["samples"] != 10], "blocks"))


def test_axioms_that_are_broken_are_counted():
    true = np.array([[2.0, 2.0, 0.0]])
    blank = np.array([[False, False, True]])
    found = shapley.axioms(true, np.array([[2.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 0.0]]), np.array([4.0]), blank)
    assert found["efficiency"].tolist() == [0, 0, 0.5]
    assert found["dummy"].tolist() == [0, 0.25, 0]


# --- pixels that are removed ------------------------------------------------------------------------------------------


def test_no_more_pixels_are_taken_than_are_above_zero(rng):
    maps = np.array([[[5.0, 4.0], [3.0, -1.0]], [[-1.0, 0.0], [-2.0, -3.0]]])
    assert shapley.top_pixels(maps, 2, rng)[0].tolist() == [[True, True], [False, False]]
    assert shapley.top_pixels(maps, 4, rng)[0].tolist() == [[True, True], [True, False]]
    assert not shapley.top_pixels(maps, 4, rng)[1].any()


def test_equal_pixels_are_taken_by_lot(rng):
    chosen = np.array([shapley.top_pixels(np.ones((1, 2, 2)), 1, rng)[0] for _ in range(400)])
    assert (chosen.sum((1, 2)) == 1).all()
    assert np.abs(chosen.mean(0) - 0.25).max() < 0.1


@pytest.fixture(scope="module")
def erased():
    """A network that reads the left half, ten units of log-odds a pixel of full ink."""
    rng = np.random.default_rng(0)
    pixels = (rng.random((30, 4, 4)) * 255).astype(np.uint8)
    left = np.zeros((4, 4))
    left[:, :2] = 10 / 255

    def log_odds(images):
        return (images * left).sum((1, 2))

    maps = {shapley.EXACT: pixels * left, "grad": np.broadcast_to(left, pixels.shape), "ig": -(pixels * left)}
    greedy = shapley.top_pixels(pixels * left, 3, rng)
    ids = [f"image-{k}" for k in range(30)]
    return pixels, left, shapley.erasures(pixels, maps, log_odds, ids, 20, 0, greedy)


def test_the_fall_is_what_the_removed_pixels_were_worth(erased):
    pixels, left, frame = erased
    wide = frame.pivot(index="image", columns="method", values="fall").loc[[f"image-{k}" for k in range(30)]]
    worth = np.sort((pixels * left).reshape(30, -1), axis=1)[:, -3:].sum(1)
    np.testing.assert_allclose(wide[shapley.EXACT], worth)
    np.testing.assert_allclose(wide[shapley.GREEDY], worth)
    assert (wide["ig"] == 0).all(), "nothing is above zero"
    assert wide["grad"].mean() == pytest.approx((pixels * left).sum((1, 2)).mean() * 3 / 8, rel=0.05)
    assert wide[shapley.RANDOM].mean() == pytest.approx((pixels * left).sum((1, 2)).mean() * 3 / 16, rel=0.1)


def test_rows_are_ordered_and_set_beside_random_ink_and_the_exact_values(erased):
    *_, frame = erased
    found = shapley.falls(frame, 100, 0)
    assert found["fall"].is_monotonic_decreasing
    rows = found.set_index("method")
    assert rows.loc[shapley.RANDOM_INK, "above_random"] == 0
    assert rows.loc[shapley.EXACT, ["beside_exact", "beside_low", "beside_high"]].tolist() == [0, 0, 0]
    assert rows.loc["grad", "pixels"] == 3
    assert rows.loc["ig", "pixels"] == rows.loc["ig", "ink"] == 0
    assert shapley.in_groups(found, ["grad", "ig"]) == {"above": ["grad"], "below": ["ig"], "undecided": []}
    assert shapley.better_than_exact(found, ["grad", "ig"]) == (
        "No method does demonstrably better than the exact Shapley values."
    )


def test_without_the_pixels_of_a_network_there_is_no_row_of_them(erased):
    pixels, left, _ = erased
    frame = shapley.erasures(pixels[:3], {}, lambda one: one.mean((1, 2)), list("abc"), 2, 0)
    assert frame["method"].unique().tolist() == [shapley.BRIGHTEST, shapley.RANDOM_INK, shapley.RANDOM]


def test_another_method_leaves_the_lots_of_the_others_as_they_are(erased):
    pixels, left, frame = erased
    fewer = shapley.erasures(pixels, {}, lambda one: (one * left).sum((1, 2)), [f"image-{k}" for k in range(30)], 20, 0)
    for method in (shapley.RANDOM, shapley.RANDOM_INK):
        assert fewer[fewer["method"] == method]["fall"].tolist() == frame[frame["method"] == method]["fall"].tolist()


def test_a_fifth_of_the_digits_pixels_are_thirteen(rng):
    frame = shapley.erasures(np.full((1, 8, 8), 9, np.uint8), {}, lambda one: one.sum((1, 2)), ["a"], 3, 0)
    assert (frame["pixels"] == 13).all()


# --- two networks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shares(rng):
    """Maps of two starts; what was learned turns them a little, and the weak ones are half as strong."""
    start = rng.normal(size=(2, 40, 16))
    return {
        (kind, member): size * (start[member] + 0.3 * rng.normal(size=(40, 16)))
        for kind, size in (("strong", 2.0), ("weak", 1.0))
        for member in (0, 1)
    }


def test_pairs_are_called_after_what_their_networks_share(shares):
    found = shapley.likeness(shares, [str(k) for k in range(40)])
    pairs = found.groupby(["first", "second"])["pair"].first()
    assert pairs.to_dict() == {
        ("strong-1", "strong-2"): "strong",
        ("strong-1", "weak-1"): shapley.SAME_START,
        ("strong-1", "weak-2"): "between",
        ("strong-2", "weak-1"): "between",
        ("strong-2", "weak-2"): shapley.SAME_START,
        ("weak-1", "weak-2"): "weak",
    }
    means = shapley.likeness_by_pair(found, 100, 0).set_index("pair")
    assert means.loc[shapley.SAME_START, "ci_low"] > 0.8 > means.loc["strong", "ci_high"]
    assert means.loc["strong", ["less_than_strong", "less_low", "less_high"]].tolist() == [0, 0, 0]


def test_networks_from_one_start_are_nearer_than_those_of_a_kind(shares):
    found = shapley.likeness(shares, [str(k) for k in range(40)])
    start = shapley.nearer(found, [shapley.SAME_START], shapley.OF_A_KIND, 100, 0)
    assert start["share"] > 0.95
    kind = shapley.nearer(found, shapley.OF_A_KIND, ["between"], 200, 0)
    assert kind["ci_low"] < 0.5 < kind["ci_high"]
    other = shapley.nearer(found, ["between"], shapley.OF_A_KIND, 200, 0)
    assert other["share"] == pytest.approx(1 - kind["share"])


def test_traits_are_those_of_single_maps(shares):
    one = {("strong", 0): np.array([[3.0, -1.0, 0.0, 0.0]]), ("weak", 0): np.array([[1.0, 1.0, 1.0, 1.0]])}
    found = shapley.traits(one, ["a"]).set_index("kind")
    assert found.loc["strong", ["total", "against", "spread"]].tolist() == [2, 0.25, 1 / (0.75**2 + 0.25**2)]
    assert found.loc["weak", ["total", "against", "spread"]].tolist() == [4, 0, 4]
    by_kind = shapley.traits_by_kind(shapley.traits(shares, [str(k) for k in range(40)]), 100, 0)
    assert by_kind["trait"].tolist() == list(shapley.TRAITS)
    assert ((by_kind["larger"] >= 0) & (by_kind["larger"] <= 1)).all()


# --- in words ---------------------------------------------------------------------------------------------------------


def test_what_is_told_follows_the_intervals(erased):
    *_, frame = erased
    found = pd.DataFrame({"method": "kernel_shap", "samples": [64, 256], "error": [0.3, 0.05]})
    fell, apart = shapley.falls(frame, 50, 0), {"share": 0.6, "ci_low": 0.55, "ci_high": 0.65}
    told = shapley.answer(found, fell, apart, ("8", "3"))
    assert told.startswith(
        "With 256 of 65,536 coalitions Kernel SHAP is within a tenth of the exact values. The pixels"
    )
    assert "speak for 8 rather than 3 more than random ink does." in told
    assert told.endswith("told to be good or poor in 60%, by a coin in half.")
    far = shapley.answer(found.head(1), fell, apart, ("8", "3"))
    assert far.startswith("With 64 coalitions Kernel SHAP is still 30% away from the exact values.")


@pytest.mark.parametrize(("low", "high", "word"), [(-2, -1, "behind"), (1, 2, "ahead of"), (-1, 1, "not demonstr")])
def test_beside_the_exact_values_the_interval_decides(low, high, word):
    row = pd.Series({"beside_exact": (low + high) / 2, "beside_low": low, "beside_high": high})
    assert f"Occlusion is {word}" in shapley.sentence_beside(row)


def test_traits_are_told_where_they_differ():
    rows = {"trait": ["total", "against", "spread"], "strong": [2.0, 0.1, 5.0], "weak": [1.0, 0.3, 5.0]}
    rows |= {
        "difference": [1.0, -0.2, 0.0],
        "ci_low": [0.5, -0.3, -1],
        "ci_high": [1.5, -0.1, 1],
        "larger": [1, 0.2, 0.5],
    }
    told = shapley.tell(pd.DataFrame(rows))
    assert "the sum of its values is larger for the strong networks on average (2.00, weak 1.00), and in 100%" in told
    assert "against the digit is smaller for the strong networks on average (0.10, weak 0.30), and in 80%" in told
    assert "blocks" not in told
    assert shapley.tell(pd.DataFrame(rows).tail(1)) == "No trait of a single map differs demonstrably."


def test_a_game_that_is_no_sum_is_not_shared_as_who_comes_last_says():
    """Why Occlusion and Shapley values differ at all."""
    values = table(3, lambda who: float(who.sum() >= 2))
    assert exact(values).sum() == pytest.approx(1)
    assert shapley.named("ig, grey") == "IG, grey"
