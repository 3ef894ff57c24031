"""Krippendorff's alpha: his own example, all pairs one after the other, and Scott's pi for two readers."""

from itertools import permutations

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.stats.krippendorff import alpha, interval_scale, nominal, value_counts

_ = np.nan
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
"""Krippendorff 2011: four observers, twelve units."""


def of(ratings, distance):
    counts, values = value_counts(ratings)
    return float(alpha(counts, distance(values)))


def test_the_published_example():
    assert of(PUBLISHED, nominal) == pytest.approx(0.743, abs=5e-4)
    assert of(PUBLISHED, interval_scale) == pytest.approx(0.849, abs=5e-4)


def by_pairs(ratings, difference):
    """The definition: every ordered pair of values in a unit, and every ordered pair of all values."""
    units = [[value for value in unit if not np.isnan(value)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    pooled = [value for unit in units for value in unit]
    found = sum(difference(x, y) / (len(unit) - 1) for unit in units for x, y in permutations(unit, 2)) / len(pooled)
    expected = np.mean([difference(x, y) for x, y in permutations(pooled, 2)])
    return 1 - found / expected


@pytest.mark.parametrize("seed", range(4))
def test_all_pairs_one_after_the_other(seed):
    rng = np.random.default_rng(seed)
    ratings = rng.integers(0, 4, (3, 25)).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = np.nan
    assert of(ratings, nominal) == pytest.approx(by_pairs(ratings, lambda x, y: x != y))
    assert of(ratings, interval_scale) == pytest.approx(by_pairs(ratings, lambda x, y: (x - y) ** 2))


def test_two_readers_and_many_units_have_scotts_pi():
    rng = np.random.default_rng(1)
    first = rng.random(100_000) < 0.3
    second = np.where(rng.random(first.size) < 0.8, first, rng.random(first.size) < 0.3)
    share = np.mean([first, second])
    chance = share**2 + (1 - share) ** 2
    pi = (np.mean(first == second) - chance) / (1 - chance)
    assert of(np.array([first, second]), nominal) == pytest.approx(pi, abs=1e-4)


def test_units_that_are_there_several_times():
    counts, values = value_counts(PUBLISHED)
    times = np.array([np.arange(12), np.ones(12, int)])
    repeated = np.repeat(PUBLISHED, times[0], axis=1)
    found = alpha(counts, nominal(values), times)
    assert found == pytest.approx([of(repeated, nominal), of(PUBLISHED, nominal)])


def test_chance_is_nothing_and_agreement_is_all():
    rng = np.random.default_rng(0)
    assert of(rng.integers(0, 2, (4, 20_000)), nominal) == pytest.approx(0, abs=0.01)
    assert of(np.tile([0, 1, 1], (3, 1)), nominal) == 1
    assert np.isnan(of(np.zeros((3, 5)), nominal))
    assert np.isnan(of(np.array([[0, _], [_, 1]]), nominal))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(SaltrustError, match=r"alpha: counts \(2, 3\) need differences of \(3, 3\)"):
        alpha(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(SaltrustError, match=r"times of \(\.\.\., 2\), not \(3, 3\) and \(5,\)"):
        alpha(np.ones((2, 3)), np.ones((3, 3)), np.ones(5))
