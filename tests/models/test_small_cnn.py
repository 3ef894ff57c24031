"""The small CNN and how it learns the digits."""

import numpy as np
import torch

from saltrust.core.profiles import Training
from saltrust.datasets.digits import load
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build, predict, restored
from saltrust.models.recipes import contrast_plan
from saltrust.models.training import train_classifier

COUNTS = {"train": 1097, "val": 300, "test": 400}


def test_it_sees_eight_pixels_by_four_positions_and_any_larger_image():
    network = build("scnn", 10)
    assert network[:7](torch.zeros(1, 3, 8, 8)).shape[2:] == (4, 4)
    for size in (8, 32, 128):
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_its_stages_hold_all_weights_once():
    named = [path for stage in ARCHITECTURES["scnn"].stages for path in stage.modules]
    weights = {name.rpartition(".")[0] for name in build("scnn", 10).state_dict()}
    assert sorted(named) == sorted(weights)


def test_an_empty_image_is_told_from_the_border_by_nothing():
    """The border is padded with what the background is: an empty image is the same wherever it is shifted."""
    network = build("scnn", 10, seed=1)
    inner = network.conv1(torch.zeros(1, 3, 8, 8))
    assert inner.std(dim=(2, 3)).max() < 1e-7


def test_it_learns_to_read_in_a_second_without_variation_or_rounding():
    train, val = load(COUNTS, "train", 300, 8), load(COUNTS, "val", 100, 8)
    plan = contrast_plan(Training(epochs=12, patience=12, steps=None, batch_size=32), seed=1)
    assert (plan.augment, plan.mirror, plan.precision) == (False, False, "float32")
    state, record = train_classifier("scnn", train, val, plan, classes=10)
    network = restored("scnn", state, 10)
    right = predict(network, val.pixels, input_range=(0.0, 1.0)).argmax(1) == val.labels
    assert right.mean() > 0.85
    assert record["weights"] == "scratch"
    assert np.isfinite(record["curves"]["loss"]).all()
