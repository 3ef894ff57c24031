"""The games of Lundberg & Lee, by hand and by networks that compute them."""

import numpy as np
import pytest
import torch

from saltrust.analysis.shapley_games import GAMES, deeplift_shares, lime_shares, rules, wide
from saltrust.methods.explained import Explained
from saltrust.methods.perturbation import lime
from saltrust.stats.shapley import coalitions, table


def test_the_worth_of_each_coalition_is_that_of_the_game():
    assert GAMES["sickness"].table.tolist() == [0, 5, 5, 2]
    assert GAMES["budget"].table.tolist() == [0, 5, 4, 5, 0, 5, 4, 5]


@pytest.mark.parametrize(("name", "network"), [(name, n) for name, game in GAMES.items() for n in game.networks])
def test_each_network_computes_its_game(name, network):
    game = GAMES[name]
    who = torch.tensor(coalitions(len(game.players)), dtype=torch.float32)
    assert game.networks[network]()(who[:, None, None]).flatten().tolist() == game.table.tolist()


def test_shares_that_are_worked_out_by_hand():
    sickness, budget = (rules(GAMES[name]) for name in ("sickness", "budget"))
    np.testing.assert_allclose(sickness["Shapley"], [1, 1])
    np.testing.assert_allclose(budget["Shapley"], [3, 2, 0])
    assert sickness["comes last (Occlusion)"].tolist() == [-3, -3]
    assert budget["comes last (Occlusion)"].tolist() == [1, 0, 0]
    assert sickness["comes first"].tolist() == [5, 5]


def test_deeplift_explains_the_network_and_not_the_function():
    """By the Rescale rule: relu(a + b - 1) has the multiplier 1/2, and relu(a - b), 0 before and after, none."""
    found = rules(GAMES["sickness"])
    np.testing.assert_allclose(found["DeepLIFT, min as relu(a + b - 1)"], [1, 1], atol=1e-6)
    np.testing.assert_allclose(found["DeepLIFT, min as a - relu(a - b)"], [-3, 5], atol=1e-6)


def test_deeplift_and_shapley_add_up_and_lime_need_not():
    for name, game in GAMES.items():
        found = rules(game)
        for rule, shares in found.items():
            if rule.startswith(("Shapley", "DeepLIFT")):
                assert shares.sum() == pytest.approx(game.table[-1], abs=1e-5), (name, rule)
        assert found["LIME"].sum() != pytest.approx(game.table[-1], abs=0.5)


def test_lime_over_all_coalitions_is_lime_with_many_samples():
    """Of four pixels in a row that add up but for a bonus, against the method itself."""

    class Bonus(torch.nn.Module):
        def forward(self, images):
            flat = images[:, 0].flatten(1)
            return (flat @ torch.tensor([1.0, 2.0, 3.0, 0.0]) + 4 * flat[:, 0] * flat[:, 1])[:, None]

    model = Explained(Bonus(), input_range=(0.0, 1.0))
    maps = lime(model, torch.ones(1, 1, 2, 2), [(0,)], samples=20000, segments=4, baseline="black")
    values = table(4, lambda who: float(who @ [1.0, 2.0, 3.0, 0.0]) + 4 * (who[0] and who[1]))
    np.testing.assert_allclose(lime_shares(values), maps.flatten(), atol=0.25)


def test_tables_have_a_column_for_each_player():
    found = wide("budget")
    assert list(found) == ["rule", "first", "second", "third", "sum"]
    assert found.iloc[0].tolist() == ["Shapley", pytest.approx(3), pytest.approx(2), 0, pytest.approx(5)]


def test_inputs_that_do_nothing_get_nothing_from_deeplift():
    assert deeplift_shares(GAMES["budget"].networks["max as 4b + relu(5a - 4b)"](), 3)[2] == 0
