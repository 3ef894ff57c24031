"""Simulated readers: with a steady hand they draw the boxes themselves, and each parameter does what its name says."""

from dataclasses import replace

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.shapes import Box
from saltrust.datasets.simulated_readers import LEAST, READERS, ReaderParameters, read

NONE, ALL = (0.0,) * 3, (1.0,) * 3
STEADY = ReaderParameters(
    miss=NONE, astray=NONE, thorough=ALL, split=NONE, merge=NONE, grown=ALL, spread=NONE, shift=NONE, margin=0.0
)
LESIONS = np.array([[128.0, 128.0, 256.0, 256.0], [384.0, 256.0, 448.0, 384.0]])
BOXES = (Box(128.0, 128.0, 256.0, 256.0), Box(384.0, 256.0, 448.0, 384.0))
PLACE = np.array([[384.0, 128.0]])


def drawn(parameters, lesions=LESIONS, places=PLACE, size=(512, 512), seed=0, **chances):
    return read(lesions, places, size, parameters, np.random.default_rng(seed), **{"hard": 0.0} | chances)


def many(parameters, count=2000, **given):
    """What each reader draws of many films."""
    films = [drawn(parameters, seed=seed, **given) for seed in range(count)]
    return {name: [film[name] for film in films] for name in READERS}


def test_a_steady_hand_draws_the_boxes_themselves():
    assert drawn(STEADY) == dict.fromkeys(READERS, BOXES)
    assert drawn(STEADY, np.zeros((0, 4))) == dict.fromkeys(READERS, ())


def test_several_lesions_in_one_box_and_one_in_two():
    assert drawn(replace(STEADY, merge=ALL)) == dict.fromkeys(READERS, (Box(128.0, 128.0, 448.0, 384.0),))
    high = (Box(384.0, 256.0, 448.0, 320.0), Box(384.0, 320.0, 448.0, 384.0))
    assert drawn(replace(STEADY, split=ALL), LESIONS[1:]) == dict.fromkeys(READERS, high)
    wide = (Box(0.0, 0.0, 50.0, 40.0), Box(50.0, 0.0, 100.0, 40.0))
    assert drawn(replace(STEADY, split=ALL), np.array([[0.0, 0.0, 100.0, 40.0]]))["reader1"] == wide


@pytest.mark.parametrize("chances", [{"hard": 1.0}, {"vague": 4.0}])
def test_whoever_is_mistaken_marks_another_place_as_large_as_the_first_lesion(chances):
    mistaken = replace(STEADY, astray=(0.25,) * 3)
    assert drawn(mistaken, **chances) == dict.fromkeys(READERS, (Box(320.0, 64.0, 448.0, 192.0),))


def test_each_reader_has_numbers_of_his_own():
    found = drawn(replace(STEADY, grown=(0.5, 1.0, 2.0)), LESIONS[:1])
    assert found == {
        "reader1": (Box(160.0, 160.0, 224.0, 224.0),),
        "reader2": BOXES[:1],
        "reader3": (Box(64.0, 64.0, 320.0, 320.0),),
    }
    wider = drawn(replace(STEADY, margin=0.125), LESIONS[1:])["reader2"]
    assert wider == (Box(320.0, 192.0, 512.0, 448.0),)


def test_what_happens_by_chance_happens_as_often_as_asked():
    share = replace(STEADY, miss=(0.3, 0.0, 0.6), thorough=(1.0, 0.4, 0.0))
    found = many(share)
    for name, miss in zip(READERS, share.miss, strict=True):
        assert np.mean([not boxes for boxes in found[name]]) == pytest.approx(miss, abs=0.04)
    assert {len(boxes) for boxes in found["reader1"]} == {0, 2}
    assert {len(boxes) for boxes in found["reader2"]} == {1, 2}  # he who marks neither lesion marks one all the same
    assert np.mean([len(boxes) == 2 for boxes in found["reader2"]]) == pytest.approx(0.4**2, abs=0.03)
    assert {len(boxes) for boxes in found["reader3"]} == {0, 1}
    together = many(STEADY, hard=0.4)
    assert together["reader1"] == together["reader2"] == together["reader3"]
    assert np.mean([boxes != BOXES for boxes in together["reader1"]]) == pytest.approx(0.4, abs=0.04)


def test_hands_are_as_unsteady_as_asked():
    loose = replace(STEADY, spread=(0.1, 0.2, 0.0), shift=(0.0, 0.0, 0.1))
    found = many(loose, lesions=np.array([[200.0, 200.0, 300.0, 240.0]]), vague=1.5)
    sides = {name: np.array([(b.x1 - b.x0, b.y1 - b.y0) for (b,) in found[name]]) for name in READERS}
    for name, spread in zip(READERS, loose.spread, strict=True):
        np.testing.assert_allclose(np.log(sides[name]).std(axis=0), 1.5 * spread, rtol=0.07, atol=1e-9)
        np.testing.assert_allclose(np.log(sides[name]).mean(axis=0), np.log((100, 40)), atol=0.02)
    middles = np.array([((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for (b,) in found["reader3"]])
    np.testing.assert_allclose(middles.std(axis=0), (15, 6), rtol=0.07)
    np.testing.assert_allclose(middles.mean(axis=0), (250, 220), atol=1)


def test_what_one_reader_does_does_not_depend_on_the_others():
    loose = replace(STEADY, spread=(0.2, 0.2, 0.2))
    other = replace(loose, miss=(0.9, 0.0, 0.0), split=(1.0, 0.0, 0.0))
    for seed in range(20):
        first, second = (drawn(parameters, seed=seed) for parameters in (loose, other))
        assert first["reader2"] == second["reader2"]
        assert first["reader3"] == second["reader3"]


def test_boxes_are_the_same_share_of_a_film_at_every_size():
    loose = ReaderParameters()
    for seed in range(30):
        large = drawn(loose, seed=seed)
        small = drawn(loose, LESIONS / 4, PLACE / 4, (128, 128), seed)
        assert {name: tuple(box.scaled(0.25, 0.25) for box in boxes) for name, boxes in large.items()} == small


def test_a_box_is_cut_at_the_border_and_no_smaller_than_a_hand_can_draw():
    point = np.array([[100.0, 50.0, 100.0, 50.0]])
    (box,) = drawn(STEADY, point, size=(512, 256))["reader1"]
    assert (box.x1 - box.x0, box.y1 - box.y0) == (LEAST * 512, LEAST * 512)
    (box,) = drawn(STEADY, point, size=(128, 64))["reader1"]
    assert (box.x1 - box.x0, box.y1 - box.y0) == (2, 2)
    edge = np.array([[500.0, 100.0, 540.0, 140.0]])
    assert drawn(STEADY, edge, size=(512, 256))["reader2"] == (Box(500.0, 100.0, 512.0, 140.0),)
    assert drawn(STEADY, edge + (40, 0, 40, 0), size=(512, 256))["reader2"] == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"miss": (0.0, 1.0, 0.0)}, "readers: miss of reader2 must lie between 0 and 0.9, not 1.0"),
        ({"spread": (0.1, 0.1)}, "readers: spread needs 3 numbers, for reader1, reader2, reader3, not 2"),
        ({"shift": (-0.1, 0.1, 0.1)}, "readers: shift of reader1 must lie between 0 and 1, not -0.1"),
        ({"grown": (1.0, 1.0, float("nan"))}, "readers: grown of reader3 must lie between 0 and 4, not nan"),
        ({"margin": 0.3}, "readers: margin must lie between 0 and 0.2, not 0.3"),
    ],
)
def test_parameters_outside_their_range_are_refused(changes, message):
    with pytest.raises(SaltrustError, match=message):
        replace(STEADY, **changes)
