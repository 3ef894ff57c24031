"""Convolutions as matrix products: the same numbers, the same gradients, the same state."""

import pytest
import torch
from torch import nn

from saltrust.models import small_convolutions
from saltrust.models.small_convolutions import MatrixProductConv2d, use_matrix_products


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "bias"),
    [(3, 1, 1, True), (3, 2, 1, False), (1, 2, 0, False), ((2, 3), (1, 2), (0, 1), True), (4, 1, 0, True)],
)
def test_product_and_convolution_agree(kernel, stride, padding, bias):
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 7, kernel, stride, padding, bias=bias).double()
    images = torch.randn(3, 5, 4, 4, dtype=torch.float64, requires_grad=True)
    leaves = [images, *layer.parameters()]
    expected, found = layer(images), MatrixProductConv2d(layer)(images)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-12)
    outer = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(found, leaves, outer), torch.autograd.grad(expected, leaves, outer), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-12)


def test_only_wide_layers_on_small_grids_are_products(monkeypatch):
    monkeypatch.setattr(small_convolutions, "FEWEST_WEIGHTS", 1000)
    wide, narrow = nn.Conv2d(256, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
    dilated = nn.Conv2d(256, 8, 3, padding=2, dilation=2)
    model = nn.Sequential(nn.Sequential(wide), narrow, dilated)
    use_matrix_products(model)
    assert [type(layer) for layer in (model[0][0], model[1], model[2])] == [MatrixProductConv2d, nn.Conv2d, nn.Conv2d]
    used = []
    product = small_convolutions.F.linear
    monkeypatch.setattr(
        small_convolutions.F, "linear", lambda *given: used.append(given[0].shape[1:3]) or product(*given)
    )
    for side in (2, 4, 5):
        assert torch.allclose(model[0](torch.ones(1, 256, side, side)), wide(torch.ones(1, 256, side, side)), atol=1e-4)
    assert used == [(2, 2), (4, 4)]


def test_weights_and_names_are_those_of_the_model(monkeypatch):
    monkeypatch.setattr(small_convolutions, "FEWEST_WEIGHTS", 1)
    model = nn.Sequential(nn.Conv2d(256, 4, 1), nn.ReLU())
    before = dict(model.named_parameters())
    use_matrix_products(model)
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
