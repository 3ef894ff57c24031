"""Scaffolding: normalization comes and goes, and what is left computes the same."""

import pytest
import torch
from torch import nn

from saltrust.models.scaffolding import dismantle, scaffold


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3, dilation=2), nn.LeakyReLU()),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Sequential(nn.Dropout(), nn.Linear(20, 7), nn.LeakyReLU(), nn.Dropout(), nn.Linear(7, 4)),
    )  # fmt: skip


@pytest.fixture
def images():
    return torch.rand(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def normalizations(model: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())


def test_every_layer_but_the_last_is_normalized(images):
    model = plain()
    scaffold(model)
    assert normalizations(model) == 3
    assert type(model[3][-1]) is nn.Linear
    seen = []
    model[0][0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.train()(images)
    assert torch.allclose(seen[0].mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-5)
    assert torch.allclose(seen[0].var(dim=(0, 2, 3)), torch.ones(6), atol=1e-2)


def test_what_remains_is_the_plain_network_with_the_same_outputs(images):
    model = plain()
    scaffold(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    model.train()(images)
    expected = model.eval()(images)
    dismantle(model)
    assert normalizations(model) == 0
    untouched = plain().eval()
    untouched.load_state_dict(model.state_dict())
    assert torch.allclose(untouched(images), expected, atol=1e-5)


def test_a_network_that_normalizes_is_left_alone():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 3))
    names = list(model.state_dict())
    scaffold(model)
    dismantle(model)
    assert list(model.state_dict()) == names
