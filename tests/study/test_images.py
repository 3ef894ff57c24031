"""Which images are explained, and how they are spread."""

from types import SimpleNamespace

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.study.images import drawn, spread
from saltrust.study.study import Study


def test_positions_are_spread_evenly_from_the_first_to_the_last():
    assert spread(range(10), 4) == (0, 3, 6, 9)
    assert spread((5, 7), 4) == spread((5, 7), None) == (5, 7)


def test_positions_are_drawn_evenly_by_the_seed_and_keep_their_order():
    positions = range(100, 110)
    draws = np.array([drawn(positions, 4, seed) for seed in range(500)])
    assert (np.diff(draws) > 0).all()  # so distinct as well
    counts = np.bincount(draws.ravel() - 100, minlength=10)
    assert (abs(counts - 200) < 5 * np.sqrt(200 * 0.6)).all()  # each with a chance of 4 in 10
    assert drawn(positions, 4, 3) == drawn(positions, 4, 3) != drawn(positions, 4, 4)
    assert drawn(positions, 20, 0) == tuple(positions)


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "phantom-pneumonia"])
def test_a_full_run_compares_a_hundred_images_drawn_at_random(dataset, monkeypatch):
    """As their code says, of the 246 and 601 with the finding; all of these are explained."""
    images = Study(dataset, "full").images
    positive = tuple(range(0, 1486, 2))
    monkeypatch.setattr(images, "split", lambda name: SimpleNamespace(positives=lambda: positive))
    assert images.explained == positive
    assert len(images.compared) == 100
    assert images.cascaded == images.compared
    assert set(images.compared) < set(positive)
    assert np.ptp(np.diff(images.compared)) > 5  # not spread evenly
    assert images.compared != positive[:100]


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
