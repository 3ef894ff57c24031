"""Blocks of networks that were written by others."""

import pytest
from torch import nn

from saltrust.core.network_blocks import Wrapper, blocks


class Wrapped(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Eye(Wrapper, nn.Identity):
    pass


def body() -> nn.Module:
    stages = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
    return Wrapped(stem=nn.Linear(4, 8), stages=stages, head=nn.Linear(8, 2))


INSIDE = ["stem", "stages.0", "stages.1.0", "stages.1.1", "head"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (body(), INSIDE),
        (Wrapped(net=body()), [f"net.{path}" for path in INSIDE]),
        (Wrapped(net=body(), head=nn.Linear(2, 2)), [*(f"net.{path}" for path in INSIDE), "head"]),
        (Wrapped(before=Eye(), net=body(), after=Eye()), [f"net.{path}" for path in INSIDE]),
        (Wrapped(net=Wrapped(net=body())), [f"net.net.{path}" for path in INSIDE]),
        (Wrapped(two=nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]), act=nn.ReLU()), ["two.0", "two.1", "act"]),
        (Wrapped(layers=nn.Sequential(), head=nn.Linear(2, 2)), ["layers", "head"]),
        (nn.Sequential(nn.Linear(2, 2)), ["0"]),
        (nn.Linear(2, 2), []),
        (Wrapped(one=Wrapped(a=nn.Linear(2, 2)), two=Wrapped(a=nn.Linear(2, 2))), ["one", "two"]),
    ],
)  # fmt: skip
def test_sequences_wrappers_and_backbones_are_opened(network, expected):
    assert blocks(network) == expected
