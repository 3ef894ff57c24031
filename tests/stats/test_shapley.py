"""Shapley values against their definition, the axioms, and games that are solved by hand."""

from itertools import permutations

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.methods.perturbation import shapley_coalitions, shapley_values
from saltrust.stats.shapley import MOST, coalitions, exact, first_in, last_in, numbers, table, with_dummies


def by_orders(values: np.ndarray, players: int) -> np.ndarray:
    """The definition: the mean over all orders of what each player adds to those before him."""
    shares = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        before = 0
        for player in order:
            shares[player] += values[before + 2**player] - values[before]
            before += 2**player
    return shares / len(orders)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("players", range(1, 7))
def test_any_game_is_shared_as_its_orders_say(rng, players):
    values = rng.normal(size=2**players)
    np.testing.assert_allclose(exact(values), by_orders(values, players), rtol=0, atol=1e-12)


def test_several_games_are_shared_at_once(rng):
    values = rng.normal(size=(2, 3, 16))
    each = [[exact(one) for one in row] for row in values]
    np.testing.assert_array_equal(exact(values), each)


@pytest.mark.parametrize(
    ("worth", "shares"),
    [
        (lambda who: float(who[0] and (who[1] or who[2])), [2 / 3, 1 / 6, 1 / 6]),  # one left glove, two right ones
        (lambda who: float(who.sum() >= 2), [1 / 3] * 3),  # a majority of three
        (lambda who: float(who.sum()) ** 2, [3.0] * 3),  # the square of their number
        (lambda who: 0.0, [0.0] * 3),
    ],
    ids=["gloves", "majority", "square", "nothing"],
)
def test_games_that_are_solved_by_hand(worth, shares):
    np.testing.assert_allclose(exact(table(3, worth)), shares, atol=1e-12)


def test_the_airport_game_shares_each_step_among_those_who_need_it():
    """Littlechild & Owen 1973: who needs a longer runway pays his part of each further piece."""
    costs = np.array([8.0, 11.0, 13.0, 18.0])
    steps = np.diff(costs, prepend=0)
    shares = np.cumsum(steps / np.arange(4, 0, -1))
    np.testing.assert_allclose(exact(table(4, lambda who: max(costs[who], default=0.0))), shares, atol=1e-12)


def test_a_game_of_sixteen_players_that_add_up_is_shared_exactly(rng):
    own = rng.normal(size=16)
    np.testing.assert_allclose(exact(3 + coalitions(16) @ own), own, atol=1e-9)


# --- the axioms -------------------------------------------------------------------------------------------------------


def test_shares_add_up_to_what_all_gain_over_none(rng):
    values = rng.normal(size=(50, 64))
    np.testing.assert_allclose(exact(values).sum(-1), values[:, -1] - values[:, 0], atol=1e-12)


def test_players_who_can_be_exchanged_get_the_same(rng):
    """A game in which players 1 and 3 are told apart by nothing: the mean of any game and the one with both swapped."""
    who = coalitions(4)
    values = rng.normal(size=16)
    alike = values + values[numbers(who[:, [0, 3, 2, 1]])]
    shares = exact(alike)
    assert shares[1] == pytest.approx(shares[3], abs=1e-12)
    assert shares[0] != pytest.approx(shares[2], abs=1e-3)


def test_who_changes_nothing_gets_nothing_and_changes_no_share(rng):
    values = rng.normal(size=8)
    larger = with_dummies(values, np.array([0, 2, 3]), 5)
    np.testing.assert_allclose(exact(larger)[[0, 2, 3]], exact(values), atol=1e-12)
    np.testing.assert_array_equal(exact(larger)[[1, 4]], [0, 0])


def test_the_shares_of_two_games_together_are_the_sum_of_those_of_each(rng):
    first, second = rng.normal(size=(2, 32))
    np.testing.assert_allclose(exact(first - 2 * second), exact(first) - 2 * exact(second), atol=1e-12)


def test_renamed_players_take_their_shares_along(rng):
    order = rng.permutation(5)
    values = rng.normal(size=32)
    renamed = values[numbers(coalitions(5)[:, np.argsort(order)])]
    np.testing.assert_allclose(exact(renamed), exact(values)[order], atol=1e-12)


# --- beside others ----------------------------------------------------------------------------------------------------


def test_kernel_shap_with_every_coalition_finds_the_same(rng):
    values = rng.normal(size=2**7)
    rows, weights = shapley_coalitions(7, 2**7, rng)
    found = shapley_values(rows, weights, values[numbers(rows)] - values[0], values[-1] - values[0])
    np.testing.assert_allclose(found, exact(values), atol=1e-9)


def test_first_and_last_are_the_ends_of_the_orders():
    values = table(3, lambda who: float(who.all()) + 2 * who[0])
    np.testing.assert_array_equal(first_in(values), [2, 0, 0])
    np.testing.assert_array_equal(last_in(values), [3, 1, 1])


def test_of_two_players_the_share_is_the_mean_of_first_and_last(rng):
    values = rng.normal(size=(20, 4))
    np.testing.assert_allclose(exact(values), (first_in(values) + last_in(values)) / 2, atol=1e-12)


def test_a_table_of_another_length_is_refused():
    for length in (0, 3, 6):
        with pytest.raises(SaltrustError, match=f"2\\^m coalitions.*here are {length}"):
            exact(np.zeros(length))
    with pytest.raises(SaltrustError, match=f"0 to {MOST} players, not {MOST + 1}"):
        coalitions(MOST + 1)


def test_no_players_share_nothing():
    assert exact(np.ones((3, 1))).shape == (3, 0)
