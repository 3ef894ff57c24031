"""Maps explain the output that their target names, and the classifier kept at hand is that of the target."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.artefacts.maps import Randomization, RandomizedOutputs, SaliencyMaps
from saltrust.core.errors import SaltrustError
from saltrust.methods.registry import METHODS
from saltrust.models.architectures import Stage
from saltrust.models.randomization import randomize

SIZE = 8


@pytest.fixture
def model():
    """A linear classifier of two outputs, as far as maps ask for one."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3, padding=1)
    network = nn.Sequential(first, nn.Flatten(), nn.Linear(4 * SIZE * SIZE, 2)).eval()
    return SimpleNamespace(
        digest="of the test",
        network=lambda get: network,
        stages=[SimpleNamespace(modules=("0",))],
        test=SimpleNamespace(size=SIZE),
        input_range=(-1.0, 1.0),
    )


def maps(model, scalar="logit", **target):
    pixels = np.random.default_rng(0).integers(0, 255, (2, SIZE, SIZE), np.uint8)
    made = SaliencyMaps(
        method="grad",
        parameters=METHODS["grad"].complete({}),
        model=model,
        randomization=None,
        scalar=scalar,
        cam_min_grid=1,
        data=None,
        images=(0, 1),
        **target,
    )
    return made.compute(lambda data: SimpleNamespace(pixels=pixels)).values


def test_each_output_has_its_maps(model):
    """The gradient of a linear network is the same at every image: what its weights make of the output."""
    network = model.network(None)
    for target in (0, 1, 0):
        inputs = torch.zeros(2, 3, SIZE, SIZE, requires_grad=True)
        network(inputs)[:, target].sum().backward()
        np.testing.assert_allclose(maps(model, target=target), inputs.grad.numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(maps(model), maps(model, target=0))


def test_an_output_that_is_not_there_is_refused(model):
    with pytest.raises(SaltrustError, match="target 2 is not among the model's outputs 0 to 1"):
        maps(model, target=2)


def test_outputs_of_a_randomized_classifier_are_those_of_its_drawn_weights(model):
    """Of all test images, by a network whose named stages are random and whose others are as they were."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, SIZE, SIZE), np.uint8)
    model.stages = [Stage("top", ("2",)), Stage("stem", ("0",))]
    network = model.network(None)

    def outputs(stage):
        made = RandomizedOutputs(model, Randomization(stage, "truncated_normal", "reset", seed=1))
        return made.compute(lambda data: SimpleNamespace(pixels=pixels))

    found = {stage: outputs(stage) for stage in ("top", "stem")}
    images = torch.from_numpy(pixels / 127.5 - 1).float().unsqueeze(1).repeat(1, 3, 1, 1)
    for stage, values in found.items():
        drawn = randomize(network, model.stages, stage, "truncated_normal", 1, "reset")
        np.testing.assert_allclose(values, drawn(images).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert found["top"].shape == (3, 2)
    assert not np.allclose(found["top"], found["stem"])
    assert not np.allclose(found["top"], network(images).detach().numpy())
