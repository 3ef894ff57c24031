import numpy as np

from saltrust.quality_control import count_faults


def test_each_fault_is_counted_once():
    maps = np.random.default_rng(0).normal(size=(5, 1, 4, 4))
    maps[1] = 0
    maps[2] = 3
    maps[3, 0, 0, 0] = np.nan
    maps[4, 0, 1, 1] = np.inf
    assert count_faults(maps) == {"maps": 5, "not_finite": 2, "constant": 1, "empty": 1}
