"""Which ends of an interval are found; networks of all kinds are told apart in tests/hostile/test_networks.py."""

import math

import pytest
import torch
from torch import nn

from saltrust.models.external.open_range import bounded_outputs


class Through(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.function = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3)), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.body(x))


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (lambda z: 7 * z.sigmoid() - 2, -2, 5),
        (lambda z: z.log_softmax(1), -math.inf, 0),
        (lambda z: -nn.functional.softplus(z) + 1, -math.inf, 1),
        (lambda z: z.exp() + 3, 3, math.inf),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_ends_are_those_of_the_function(function, low, high, compiled):
    network = Through(function).eval()
    if compiled:
        network = torch.jit.trace(network, torch.rand(2, 3, 8, 8))
    found = bounded_outputs(network, 8)
    assert set(found) == {0, 1, 2}
    for ends in found.values():
        assert ends == pytest.approx((low, high), abs=1e-3)


def test_an_output_that_is_always_the_same_is_no_probability():
    network = Through(lambda z: torch.cat([torch.zeros_like(z[:, :1]), z], 1)).eval()
    assert bounded_outputs(network, 8) == {}
