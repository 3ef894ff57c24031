"""Changed copies: what each of the three changes does, and that they are drawn anew."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from saltrust.models import test_time
from saltrust.models.test_time import changed


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def still(monkeypatch):
    """Neither turned nor moved."""
    monkeypatch.setattr(test_time, "TURN", 0.0)
    monkeypatch.setattr(test_time, "PADDING", 0)


def test_the_box_is_ten_pixels_at_the_papers_size_and_shrinks_with_the_image(still):
    images = torch.rand(1, 1, 320, 320, generator=drawn())
    found = changed(images, drawn(), 0.0)[0, 0].numpy()
    expected = uniform_filter(images[0, 0].double().numpy(), 10, mode="nearest")
    # scipy's even box lies half a pixel to one side, ours to the other
    np.testing.assert_allclose(found[20:-20, 20:-20], np.roll(expected, (-1, -1), (0, 1))[20:-20, 20:-20], atol=1e-5)
    small = torch.rand(1, 1, 32, 32, generator=drawn())
    np.testing.assert_allclose(changed(small, drawn(), 0.0), small, atol=1e-6)  # a box of one pixel


def test_copies_are_turned_by_up_to_45_degrees_and_drawn_anew(monkeypatch):
    monkeypatch.setattr(test_time, "BLUR", 0)
    monkeypatch.setattr(test_time, "PADDING", 0)
    images = torch.zeros(40, 1, 65, 65)
    images[:, :, 32, 56] = 1.0  # right of the middle
    found = changed(images, drawn(), 0.0).reshape(40, -1).argmax(dim=1)
    rows, columns = found // 65 - 32, found % 65 - 32
    angles = torch.atan2(rows.double(), columns.double()) * 180 / np.pi
    assert angles.abs().max() <= 47  # to the pixel
    assert angles.max() > 20 > -20 > angles.min()
    assert len(torch.unique(found)) > 20


def test_what_lies_outside_is_black(monkeypatch):
    monkeypatch.setattr(test_time, "TURN", 45.0)
    images = torch.ones(8, 1, 64, 64)
    corner = changed(images, drawn(), -1.0)[:, 0, 0, 0]
    assert corner.min() == pytest.approx(-1.0, abs=1e-5)


def test_the_same_generator_gives_the_same_copies():
    images = torch.rand(3, 3, 48, 48, generator=drawn(5))
    assert torch.equal(changed(images, drawn(1), 0.0), changed(images, drawn(1), 0.0))
    assert not torch.equal(changed(images, drawn(1), 0.0), changed(images, drawn(2), 0.0))
