"""One map in several preparations, each against its definition."""

import numpy as np
import pytest

from saltrust.analysis.audit.preparations import PREPARATIONS, in_every_way, scores_by_preparation
from saltrust.scores.auprc import average_precision
from saltrust.scores.ssim import ssim


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 16, 16)), rng.normal(size=(3, 16, 16))


def test_each_way_is_what_it_is_called(pair):
    raw = pair[0]
    maps = in_every_way(raw)
    assert list(maps) == list(PREPARATIONS)

    def scaled(values):
        return (values - values.min()) / np.ptp(values)

    np.testing.assert_allclose(maps["signed sum"], scaled(raw.sum(0)), atol=1e-6)
    np.testing.assert_allclose(maps["absolute sum"], scaled(np.abs(raw).sum(0)), atol=1e-6)
    np.testing.assert_allclose(maps["|sum|"], scaled(np.abs(raw.sum(0))), atol=1e-6)
    np.testing.assert_allclose(maps["largest channel"], scaled(np.abs(raw).max(0)), atol=1e-6)
    assert (maps["… clipped"] == 1).sum() > (maps["absolute sum"] == 1).sum()


def test_scores_are_those_of_the_prepared_maps(pair):
    one, other = map(in_every_way, pair)
    truth = np.random.default_rng(1).random((16, 16)) > 0.6
    found = scores_by_preparation(one, other, truth)
    assert list(found.index) == list(PREPARATIONS)
    for name in PREPARATIONS:
        assert found.loc[name, "auprc_first"] == average_precision(one[name], truth)
        assert found.loc[name, "auprc_second"] == average_precision(other[name], truth)
        assert found.loc[name, "ssim"] == pytest.approx(float(ssim(one[name], other[name], data_range=1.0)))
