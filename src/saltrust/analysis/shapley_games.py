"""The games of Lundberg & Lee 2017 that people were asked about, shared by Shapley values and by other rules.

What people said is not in the texts that this project has, and is not made up here.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from saltrust.core.registry import Registry
from saltrust.methods.explained import Explained
from saltrust.methods.perturbation import lime_coefficients
from saltrust.methods.registry import METHODS
from saltrust.stats.shapley import coalitions, exact, first_in, last_in, table

COPIES = 250  # of every coalition, as many as LIME would draw; its penalty would else weigh as much as the coalitions
WIDTH = 0.25  # of LIME's kernel, its usual one


@dataclass(frozen=True)
class Game:
    """A game that people can be asked about.

    Attributes:
        title: in words.
        players: what they are called.
        worth: who is in a coalition (players,), boolean -> its worth.
        networks: by name, a way to compute the worth with sums and ReLUs: layers of weights and biases.
    """

    title: str
    players: tuple[str, ...]
    worth: Callable[[np.ndarray], float]
    networks: dict[str, Callable[[], nn.Module]]

    @property
    def table(self) -> np.ndarray:
        """The worth of every coalition (2^players,)."""
        return table(len(self.players), self.worth)


def _layer(weights: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights))
    layer.weight.data, layer.bias.data = torch.tensor(weights), torch.tensor(bias)
    return layer


def _relu_network(*layers: tuple[Sequence[Sequence[float]], Sequence[float]]) -> nn.Module:
    """Linear layers with a ReLU between any two."""
    steps: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for number, (weights, bias) in enumerate(layers):
        steps += [(f"relu{number}", nn.ReLU())] if number else []
        steps += [(f"linear{number}", _layer(weights, bias))]
    return nn.Sequential(OrderedDict(steps))


# 5 (fever + cough) - 8 min(fever, cough): min(a, b) is relu(a + b - 1) of two that are 0 or 1, and a - relu(a - b).
def _both_at_once() -> nn.Module:
    return _relu_network(([[1.0, 1.0], [1.0, 1.0]], [0.0, -1.0]), ([[5.0, -8.0]], [0.0]))


def _one_less_the_rest() -> nn.Module:
    """5 a + 5 b - 8 (a - relu(a - b)); a and b themselves pass a ReLU, which leaves 0 and 1 alone."""
    return _relu_network(([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], [0.0] * 3), ([[-3.0, 5.0, 8.0]], [0.0]))


def _largest() -> nn.Module:
    """max(5 a, 4 b, 0 c) of three that are 0 or 1: 4 b + relu(5 a - 4 b)."""
    return _relu_network(([[0.0, 1.0, 0.0], [5.0, -4.0, 0.0]], [0.0, 0.0]), ([[4.0, 1.0]], [0.0]))


def _largest_from_the_first() -> nn.Module:
    """max(5 a, 4 b, 0 c) as 5 a + relu(4 b - 5 a)."""
    return _relu_network(([[1.0, 0.0, 0.0], [-5.0, 4.0, 0.0]], [0.0, 0.0]), ([[5.0, 1.0]], [0.0]))


def _sickness(who: np.ndarray) -> float:
    return 2.0 if who.all() else 5.0 * who.any()


def _most_answers(who: np.ndarray) -> float:
    return max(np.array([5.0, 4.0, 0.0])[who], default=0.0)


GAMES: Registry[Game] = Registry("game")
GAMES.register("sickness")(
    Game(
        "a sickness score: 2 for fever and cough, 5 for one of them alone, 0 for neither",
        ("fever", "cough"),
        _sickness,
        {"min as relu(a + b - 1)": _both_at_once, "min as a - relu(a - b)": _one_less_the_rest},
    )
)
GAMES.register("budget")(
    Game(
        "a budget: as much as the best of three men earns, of whom the first would earn 5, the second 4, the third 0",
        ("first", "second", "third"),
        _most_answers,
        {"max as 4b + relu(5a - 4b)": _largest, "max as 5a + relu(4b - 5a)": _largest_from_the_first},
    )
)


def lime_shares(values: np.ndarray) -> np.ndarray:
    """What LIME says of a game whose coalitions are all tried.

    Args:
        values: the worth of all coalitions (2^m,).

    Returns:
        Its coefficients (m,). They need not add up to anything.

    >>> lime_shares(np.array([0.0, 1.0, 2.0, 3.0])).round(1).tolist()
    [1.0, 2.0]
    """
    who = np.repeat(coalitions(int(np.log2(len(values)))), COPIES, axis=0)
    return lime_coefficients(who, np.repeat(values, COPIES), WIDTH)


def deeplift_shares(network: nn.Module, players: int) -> np.ndarray:
    """What DeepLIFT says of a network whose inputs are all 1, beside the same network with inputs 0.

    Args:
        network: maps (n, 1, 1, players) to (n, 1).
        players: number of its inputs.

    Returns:
        An array (players,), which adds up to the difference of the outputs.
    """
    explained, whole = Explained(network, input_range=(0.0, 1.0)), torch.ones(1, 1, 1, players)
    return METHODS["deeplift"].function(explained, whole, [(0,)], baseline="black").flatten().double().numpy()


def rules(game: Game) -> dict[str, np.ndarray]:
    """The shares of the players (m,), by rule."""
    values = game.table
    found = {"Shapley": exact(values), "comes last (Occlusion)": last_in(values), "comes first": first_in(values)}
    found["LIME"] = lime_shares(values)
    for name, network in game.networks.items():
        found[f"DeepLIFT, {name}"] = deeplift_shares(network(), len(game.players))
    return found


def wide(name: str) -> pd.DataFrame:
    """One game, a row for each rule. name: in GAMES.

    Returns:
        Columns rule, one for each player, and sum.
    """
    players, found = GAMES[name].players, rules(GAMES[name])
    return pd.DataFrame(
        {"rule": rule, **dict(zip(players, shares.tolist(), strict=True)), "sum": shares.sum()}
        for rule, shares in found.items()
    )
