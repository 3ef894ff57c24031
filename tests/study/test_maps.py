"""What is wrong with maps is counted before any score."""

import numpy as np

from saltrust.artefacts.maps import RawMaps
from saltrust.study.maps import count_faults, residual


def test_each_fault_is_counted_once():
    maps = np.random.default_rng(0).normal(size=(5, 1, 4, 4))
    maps[1] = 0
    maps[2] = 3
    maps[3, 0, 0, 0] = np.nan
    maps[4, 0, 1, 1] = np.inf
    assert count_faults(maps) == {"maps": 5, "not_finite": 2, "constant": 1, "empty": 1}


def test_the_residual_is_a_share_of_the_totals():
    values = np.array([[[[1.0, 2.0]]], [[[0.0, -4.0]]]], dtype=np.float32)
    maps = RawMaps(values, totals=np.array([4.0, -4.0]))
    np.testing.assert_array_equal(maps.residuals, [-1.0, 0.0])
    assert residual(maps) == 1 / 8
    assert np.isnan(residual(RawMaps(values)))
