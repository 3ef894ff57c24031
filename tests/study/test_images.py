"""Which images are explained, and how they are spread."""

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.study.images import spread
from saltrust.study.study import Study


def test_positions_are_spread_evenly_from_the_first_to_the_last():
    assert spread(range(10), 4) == (0, 3, 6, 9)
    assert spread((5, 7), 4) == spread((5, 7), None) == (5, 7)


def test_counts_and_sizes_are_those_of_profile_and_card(tiny_profile):
    with tiny_profile(train=16, val=12, test=24):
        images = Study("phantom-pneumothorax", "tiny").images
        cells = Study("cells", "tiny").images
    assert [images.artefact(split).count for split in ("train", "val", "test")] == [16, 12, 24]
    assert images.artefact("test") is images.artefact("test")
    assert images.artefact("test", 32).size == 32
    assert (images.unit, images.clusters) == ("image", None)
    assert cells.artefact("val").count % cells.artefact("test").count == 0  # drawn by the shard
    assert cells.size == 64
    with pytest.raises(SaltrustError, match="did you mean 'test'"):
        images.artefact("tests")
