"""Games of images: which outputs they hold, and what they become as tables."""

import numpy as np
import pytest

from saltrust.artefacts.coalitions import Games
from saltrust.stats.shapley import exact


@pytest.fixture
def games():
    rng = np.random.default_rng(0)
    players = (np.array([0, 2]), np.array([1]), np.array([], dtype=int))
    return Games(3, players, tuple(rng.normal(size=(2 ** len(p), 2)) for p in players), np.ones(3))


def test_parts_that_are_no_players_get_nothing(games):
    shares = games.shares(1)
    assert [np.flatnonzero(row).tolist() for row in shares] == [[0, 2], [1], []]
    np.testing.assert_allclose(shares[0][[0, 2]], exact(games.outputs[0][:, 1]))


def test_the_whole_table_has_the_same_shares(games):
    for image in range(3):
        np.testing.assert_allclose(exact(games.worth(image, 0)), games.shares(0)[image], atol=1e-12)


def test_whole_images_decide_what_is_predicted(games):
    assert games.predicted.tolist() == [int(one[-1][1] > one[-1][0]) for one in games.outputs]
    assert games.passes.tolist() == [4, 2, 1]
