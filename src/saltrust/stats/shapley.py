"""Shapley values of games: fair shares of what a coalition of players is worth, exact from the worth of all coalitions.

A game of m players is a table of 2^m worths. Coalition number c holds player i exactly if bit i of c is set, so that
number 0 is the empty coalition and the last one holds all.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln

from saltrust.core.errors import SaltrustError

MOST = 24  # players: a table of 2^24 worths takes 128 MB


def coalitions(players: int) -> np.ndarray:
    """Who is in each coalition.

    Args:
        players: their number, 0 to MOST.

    Returns:
        An array (2^players, players), boolean, in the order of the tables.

    Raises:
        SaltrustError: there are more players than MOST.

    >>> coalitions(2).tolist()
    [[False, False], [True, False], [False, True], [True, True]]
    """
    if not 0 <= players <= MOST:
        raise SaltrustError(f"a game has 0 to {MOST} players, not {players}: all coalitions are listed")
    return (np.arange(2**players)[:, None] >> np.arange(players)) % 2 == 1


def table(players: int, worth: Callable[[np.ndarray], float]) -> np.ndarray:
    """The worth of every coalition of a game.

    Args:
        players: their number, 0 to MOST.
        worth: of a coalition, who is in it (players,), boolean -> a number.

    Returns:
        An array (2^players,), float64.

    >>> table(2, lambda who: 3.0 * who.all()).tolist()
    [0.0, 0.0, 0.0, 3.0]
    """
    return np.array([worth(who) for who in coalitions(players)], dtype=np.float64)


def exact(values: np.ndarray) -> np.ndarray:
    """Shapley values: what each player adds, averaged over all orders in which the players may come.

    A player's share is the mean of v(S with him) - v(S) over the coalitions S without him, where a coalition of s
    others counts s! (m - s - 1)! / m!. Time and memory grow as 2^m.

    Args:
        values: the worth of all coalitions (..., 2^m), in any unit; leading axes hold games of their own.

    Returns:
        An array (..., m), float64, in units of the worth; each adds up to what all players gain over none.

    Raises:
        SaltrustError: the last axis is not a power of two, or holds more than 2^MOST.

    Source:
        Shapley 1953.

    >>> exact(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [2.0, 3.0]
    """
    values, players = _checked(values)
    sizes = _sizes(players - 1) if players else np.zeros(0, int)
    # in logarithms: 24! is no longer exact in a float, and the weights of large games would overflow
    weights = np.exp(gammaln(sizes + 1) + gammaln(players - sizes) - gammaln(players + 1))
    shares = [(_added(values, i) * weights).sum(-1) for i in range(players)]
    return np.stack(shares, axis=-1) if players else np.zeros((*values.shape[:-1], 0))


def last_in(values: np.ndarray) -> np.ndarray:
    """What each player adds who comes last: the worth of all minus that of all others. Occlusion of one part of an
    image after the other gives these.

    Args:
        values: the worth of all coalitions (..., 2^m).

    Returns:
        An array (..., m), float64. They need not add up to anything.

    Raises:
        SaltrustError: as for `exact`.

    >>> last_in(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [3.0, 4.0]
    """
    values, players = _checked(values)
    return values[..., -1:] - values[..., [2**players - 1 - 2**i for i in range(players)]]


def first_in(values: np.ndarray) -> np.ndarray:
    """What each player is worth who comes first: the worth of him alone minus that of nobody.

    Args:
        values: the worth of all coalitions (..., 2^m).

    Returns:
        An array (..., m), float64.

    Raises:
        SaltrustError: as for `exact`.

    >>> first_in(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [1.0, 2.0]
    """
    values, players = _checked(values)
    return values[..., [2**i for i in range(players)]] - values[..., :1]


def with_dummies(values: np.ndarray, players: np.ndarray, total: int) -> np.ndarray:
    """The table of a larger game, in which further players change nothing.

    Args:
        values: the worth of all coalitions of k players (..., 2^k).
        players: which of the `total` these are (k,), whole numbers, ascending.
        total: players of the larger game.

    Returns:
        An array (..., 2^total).

    >>> with_dummies(np.array([0.0, 7.0]), np.array([1]), 2).tolist()
    [0.0, 0.0, 7.0, 7.0]
    """
    return np.asarray(values)[..., numbers(coalitions(total)[:, players])]


def numbers(who: np.ndarray) -> np.ndarray:
    """The place of coalitions in a table.

    Args:
        who: who is in each (..., m), boolean.

    Returns:
        Whole numbers (...).

    >>> numbers(np.array([[True, False], [True, True]])).tolist()
    [1, 3]
    """
    return np.asarray(who, dtype=bool) @ (1 << np.arange(np.shape(who)[-1], dtype=np.int64))


def _checked(values: np.ndarray) -> tuple[np.ndarray, int]:
    values = np.asarray(values, dtype=np.float64)
    length = values.shape[-1] if values.ndim else 0
    players = max(length, 1).bit_length() - 1
    if length != 2**players or players > MOST:
        raise SaltrustError(
            f"a game of m players has a worth for each of 2^m coalitions, m at most {MOST}; here are {length}"
        )
    return values, players


def _sizes(players: int) -> np.ndarray:
    """How many players are in each coalition (2^players,)."""
    return np.bitwise_count(np.arange(2**players)).astype(int)


def _added(values: np.ndarray, player: int) -> np.ndarray:
    """What a player adds to each coalition of the others (..., 2^(m-1)), in the order of a table of these."""
    pairs = values.reshape(*values.shape[:-1], -1, 2, 2**player)  # higher players, this one, lower ones
    return (pairs[..., 1, :] - pairs[..., 0, :]).reshape(*values.shape[:-1], -1)
