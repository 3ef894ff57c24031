"""Scaffolding: normalization and condensed layer come and go, and what is left computes the same."""

import pytest
import torch
from torch import nn

from saltrust.models.classifiers import build
from saltrust.models.temporary_batchnorm import fold, insert

SIZE = 12


def plain(large: int = 2) -> nn.Module:
    """Its last convolution has a grid of 3 x 3 pixels."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 2, dilation=2), nn.LeakyReLU()),
        nn.AdaptiveAvgPool2d(large), nn.Flatten(),
        nn.Sequential(nn.Dropout(), nn.Linear(5 * large**2, 7), nn.LeakyReLU(), nn.Dropout(), nn.Linear(7, 4)),
    )  # fmt: skip


@pytest.fixture
def images():
    return torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def normalizations(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def unlike_at_the_start(model: nn.Module) -> None:
    for norm in normalizations(model):
        for tensor in (norm.weight, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 2)
        for tensor in (norm.bias, norm.running_mean):
            nn.init.uniform_(tensor, -1, 1)


def test_every_layer_but_the_last_is_normalized(images):
    model = plain()
    insert(model, SIZE)
    assert len(normalizations(model)) == 3
    assert type(model[3][-1]) is nn.Linear
    seen = []
    model[0][0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.train()(images)
    assert torch.allclose(seen[0].mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-5)
    assert torch.allclose(seen[0].var(dim=(0, 2, 3)), torch.ones(6), atol=1e-2)


@pytest.mark.parametrize("large", [2, 3, 5, 6, 7])
def test_what_remains_is_the_plain_network_with_the_same_outputs(images, large):
    model = plain(large)
    insert(model, SIZE)
    unlike_at_the_start(model)
    model.train()(images)
    expected = model.eval()(images)
    fold(model)
    assert not normalizations(model)
    untouched = plain(large).eval()
    untouched.load_state_dict(model.state_dict())
    assert torch.allclose(untouched(images), expected, atol=1e-5)


@pytest.mark.parametrize(("large", "inputs"), [(2, 20), (3, 45), (4, 80), (5, 45), (6, 45), (7, 45)])
def test_the_first_linear_layer_reads_the_grid_where_pooling_only_spreads_it(images, large, inputs):
    """A grid of 3 x 3: pooled to 2 x 2, kept, spread so that the middle row is in no pixel alone (4), spread."""
    model, same = plain(large).eval(), plain(large).eval()
    same.load_state_dict(model.state_dict())
    insert(model, SIZE)
    linear = next(m for m in model.modules() if isinstance(m, nn.Linear))
    assert linear.in_features == inputs
    assert torch.allclose(model.eval()(images), same(images), atol=1e-4)  # normalizations at the start change nothing


@pytest.mark.parametrize(
    ("shares", "large"),
    [
        ([[1 / 7] * 7], 7),
        ([[1 / 3] * 3 + [0] * 4, [0] * 4 + [1 / 3] * 3], 7),  # the middle row is a mean of both
        ([[1 / 2] * 2 + [0] * 4, [0] * 2 + [1 / 2] * 2 + [0] * 2, [0] * 4 + [1 / 2] * 2], 6),
    ],
)
def test_a_weight_is_shared_out_among_the_copies_of_its_pixel(shares, large):
    shares = torch.tensor(shares)  # rows of the grid x rows of the spread one
    model = nn.Sequential(nn.AdaptiveAvgPool2d(large), nn.Flatten(), nn.Linear(3 * large**2, 5), nn.Linear(5, 2))
    insert(model, len(shares))
    trained = next(m for m in model.modules() if isinstance(m, nn.Linear)).weight
    nn.init.normal_(trained, generator=torch.Generator().manual_seed(0))
    trained = trained.detach().clone().view(5, 3, len(shares), len(shares))
    fold(model)
    expected = torch.einsum("ocij,ik,jl->ockl", trained, shares, shares).flatten(1)
    assert torch.allclose(model[2].weight, expected, atol=1e-4)


def test_a_network_that_normalizes_is_left_alone():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 3))
    names = list(model.state_dict())
    insert(model, SIZE)
    fold(model)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("architecture", ["alexnet", "alexnet+2"])
def test_the_networks_of_the_paper_come_back(architecture):
    """At 64 pixels AlexNet's grid is 1 x 1, which its pooling spreads over 6 x 6."""
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = build(architecture, 10).eval()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    insert(model, 64)
    assert model.state_dict()["classifier.1.0.weight"].shape == (4096, 256)
    unlike_at_the_start(model)
    expected = model.eval()(images)
    fold(model)
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == shapes
    assert torch.allclose(model(images), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
