"""Estimates are medians of the most similar earlier times, in proportion to the work."""

import json
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust.artefacts.maintenance import KINDS
from saltrust.artefacts.store import environment
from saltrust.study.durations import LADDERS, Durations, Timed, timed

DATA = {"data/a": {"kind": "data", "size": 64}, "data/b": {"kind": "data", "size": 128}}
MODELS = {"classifier/a": {"kind": "classifier", "architecture": "densenet121"}}


def maps(method="grad", images=10, data="data/a", **parameters):
    return {
        "kind": "maps",
        "method": method,
        "parameters": parameters,
        "model": "classifier/a",
        "data": data,
        "images": list(range(images)),
    }


def estimates(times, asked):
    earlier = [Timed(f"maps/{i}", description, seconds, here) for i, (description, seconds, here) in enumerate(times)]
    return Durations(earlier, DATA | MODELS).estimate(asked)


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=9), st.integers(1, 50))
def test_same_work_takes_the_median_and_more_images_take_longer(seconds, images):
    times = [(maps(), one, True) for one in seconds]
    same, more = estimates(times, maps()), estimates(times, maps(images=images))
    assert same.seconds == pytest.approx(median(seconds))
    assert same.rung == 0
    assert more.seconds == pytest.approx(median(seconds) * images / 10)
    assert len(same.earlier) == len(seconds)


def test_the_most_similar_decide():
    times = [(maps("ig", steps=5), 5.0, True), (maps("ig", steps=10), 30.0, True), (maps("xrai"), 100.0, True)]
    assert estimates(times, maps("ig", steps=5)).seconds == 5
    # passes are counted: 5 steps in 5 s and 10 in 30 s are 0.1 and 0.3 s for each pass of an image
    other = estimates(times, maps("ig", steps=20))
    assert other.seconds == pytest.approx(0.2 * 20 * 10)
    assert other.rung == 2
    # four times the pixels
    larger = estimates(times[:1], maps("ig", data="data/b", steps=5))
    assert larger.seconds == pytest.approx(20)
    assert larger.rung == 3


def test_this_machine_comes_first():
    times = [(maps(), 1.0, False), (maps(), 7.0, True)]
    assert estimates(times, maps()).seconds == 7
    elsewhere = estimates(times[:1], maps())
    assert (elsewhere.seconds, elsewhere.here) == (1, False)


def test_nothing_is_invented():
    heat = {"kind": "heat", "model": "localizer/x", "data": "data/a", "images": [1]}
    known = DATA | {"localizer/x": {"localizer": "unet"}}
    assert Durations([Timed("maps/0", maps(), 1.0, True)], known | MODELS).estimate(heat) is None


def test_what_older_code_described_otherwise_is_left_out():
    old = maps() | {"data": "data/gone"}
    assert estimates([(old, 1000.0, True), (maps(), 1.0, True)], maps()).seconds == 1
    for description in ({"kind": "maps"}, {"kind": "gone"}, {}):
        assert estimates([(description, 1000.0, True)], maps()) is None


def test_every_kind_has_a_ladder_and_a_name():
    assert set(LADDERS) == set(KINDS)


def test_training_takes_as_long_as_its_images():
    plan = {"epochs": 4, "steps_per_epoch": 10, "batch_size": 8}
    net = {"kind": "classifier", "architecture": "vgg16", "train": "data/t", "plan": plan}
    known = {"data/t": {"kind": "data", "size": 64, "count": 96}}
    durations = Durations([Timed("classifier/1", net, 32.0, True)], known)
    assert durations.estimate(net | {"plan": plan | {"epochs": 8}}).seconds == pytest.approx(64)
    # without a number of steps, as many as the training images fill: 12 of 8
    assert durations.estimate(net | {"plan": plan | {"steps_per_epoch": None}}).seconds == pytest.approx(38.4)


def test_sidecars_are_read_and_broken_ones_left_out(tmp_path):
    note = {"spec": maps(), "seconds": 2.5, "environment": environment()}
    other = note | {"environment": environment() | {"device": "another"}}
    broken = {f"c{i}": text for i, text in enumerate(("{", "[]", "3", "null", json.dumps(note | {"spec": 3})))}
    whole = {"a": json.dumps(note), "b": json.dumps(other), ".d-half": json.dumps(note)}
    for name, text in (whole | broken).items():
        folder = tmp_path / "maps" / name
        folder.mkdir(parents=True)
        (folder / "sidecar.json").write_text(text, encoding="utf-8")
    (tmp_path / ".locks").mkdir()
    (tmp_path / "a file").touch()
    (tmp_path / "maps" / "another").touch()
    here = Timed("maps/a", maps(), 2.5, True)
    assert sorted(timed(tmp_path), key=lambda one: one.name) == [here, replace(here, name="maps/b", here=False)]
    assert timed(tmp_path / "none") == []
