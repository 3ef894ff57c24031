"""The residual of the trial is rounding for a gradient that is the function's, and a share of it for any other."""

import pytest
import torch
from torch import nn

from saltrust.models.external.gradient_trial import DOUBLE, SINGLE, residual
from saltrust.models.external.libraries import library

timm = library("timm")

HONEST = {
    "resnet18": lambda: timm.create_model("resnet18", num_classes=2),
    "a transformer": lambda: timm.create_model("test_vit", num_classes=2, img_size=96),
    "maxima": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3), Pooled()),
    "hard curves": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Hardsigmoid(), nn.ReLU6(), Pooled()),
}


class Pooled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax((2, 3))


class Leaks(nn.Module):
    """A share of what passes does not carry its gradient."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (1 - self.share) * x + self.share * x.detach()


@pytest.mark.parametrize("make", HONEST.values(), ids=HONEST)
def test_a_network_of_the_field_leaves_rounding_alone(make):
    torch.manual_seed(0)
    assert residual(make().eval(), 96, DOUBLE) < DOUBLE.tolerance / 50


@pytest.mark.parametrize("share", [0.05, 0.5, 1.5])
def test_the_residual_grows_with_the_share_that_is_missing(share):
    """A missing share s of the gradient leaves s / (1 - s) of what is there, times a number around 1."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), Leaks(share), nn.Conv2d(8, 2, 3), Pooled()).eval()
    found = residual(network, 32, DOUBLE)
    assert found > DOUBLE.tolerance
    assert 0.2 < found / abs(share / (1 - share)) < 3
    if share > 0.4:
        assert residual(network, 32, SINGLE) > SINGLE.tolerance
