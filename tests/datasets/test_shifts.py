"""Shifts: nothing at strength 0, what each strength means, and the same film for the same seed."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.shifts import SHIFTS, shifted

SIZE = 64


@pytest.fixture
def films():
    return np.random.default_rng(0).integers(40, 160, (3, SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("change", SHIFTS)
def test_no_strength_no_change(change, films):
    np.testing.assert_array_equal(shifted(films, change, 0, seed=1), films)


@pytest.mark.parametrize("change", SHIFTS)
def test_a_seed_says_all_and_colours_change_alike(change, films):
    strength = SHIFTS[change].strengths[-1]
    once = shifted(films, change, strength, seed=1)
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(once, shifted(films, change, strength, seed=1))
    assert not np.array_equal(once, films)
    colour = shifted(np.repeat(films[..., None], 3, axis=3), change, strength, seed=1)
    np.testing.assert_array_equal(colour, np.repeat(once[..., None], 3, axis=3))


@pytest.mark.parametrize("change", SHIFTS)
def test_strengths_rise_and_so_does_what_changes(change, films):
    strengths = SHIFTS[change].strengths
    assert all(0 < low < high for low, high in zip(strengths, strengths[1:], strict=False))
    gaps = [np.abs(shifted(films, change, one, seed=0).astype(int) - films).mean() for one in strengths]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0.5  # of 255 grey levels


def test_noise_has_its_standard_deviation():
    grey = np.full((2, 128, 128), 128, np.uint8)
    assert (shifted(grey, "noise", 0.06, seed=0) / 255).std() == pytest.approx(0.06, rel=0.05)


def test_darker_films_have_less_light():
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    found = shifted(ramp, "exposure", 1.0, seed=0)
    np.testing.assert_allclose(found / 255, (ramp / 255) ** 2, atol=0.5 / 255 + 1e-6)


def test_tubes_are_bright_thin_and_as_many_as_said():
    from skimage.measure import label

    black = np.zeros((40, 96, 96), np.uint8)
    one = shifted(black, "tubes", 1, seed=0)
    assert all(label(film > 60, connectivity=2).max() == 1 for film in one)  # in one piece
    covered = (one > 0).mean(axis=(1, 2))
    assert 0.005 < covered.min() < covered.max() < 0.12
    assert (shifted(black, "tubes", 4, seed=0) > 0).mean() > 2 * covered.mean()


def test_an_unknown_shift_is_refused(films):
    with pytest.raises(SaltrustError, match="unknown shift 'fog'"):
        shifted(films, "fog", 1, seed=0)
