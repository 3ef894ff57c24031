"""ReLU by what it does: calls that come to max(x, 0), whatever they are called and however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LONGEST = 12  # calls of a chain; what is further back counts as its beginning
ROUNDING = 64  # times the machine epsilon: what a few operations may add up to
FAR = 1000.0  # from 0, where every rectifier in use is straight

Key = tuple[int, int]
"""A tensor and how often it had been overwritten: what stands for its value."""


class NotReplayableError(Exception):
    """A chain does not begin at the tensors whose values are given."""


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor among the arguments of a call, as it was when the call ran.

    Attributes:
        key: which tensor it was.
        tensor: its value; None where it was overwritten.
        step: how it was computed; None where a chain begins.
        constant: whether it does not depend on the image.
    """

    key: Key
    tensor: Tensor | None
    step: Step | None = None
    constant: bool = False

    def replay(self, known: dict[Key, Tensor]) -> Tensor:
        """The operand's value, had some tensors other values; it is added to them."""
        if self.constant:
            return self.tensor
        if self.key not in known:
            if self.step is None:
                raise NotReplayableError
            known[self.key] = self.step.replay(known)
        return known[self.key]


@dataclass(frozen=True, eq=False)
class Step:
    """How a tensor was computed: by one call of a function, on tensors that other steps have computed.

    Attributes:
        function: what was called.
        args: its positional arguments, an Operand in the place of each tensor.
        kwargs: its named ones, likewise.
        place: of the tensor among those that the function returned; None for the first argument, changed in place.
        operands: all of them that depend on the image.
        bent: whether a call in the chain is not linear.
        open: what speaks against the chain, as errors say it: rectifications on the way that nothing explains.
    """

    function: Callable
    args: tuple
    kwargs: Mapping[str, Any]
    place: int | None
    operands: tuple[Operand, ...]
    bent: bool = False
    open: tuple[str, ...] = ()
    depth: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        below = [operand.step.depth for operand in self.operands if operand.step is not None]
        object.__setattr__(self, "depth", 1 + max(below, default=0))

    def replay(self, known: dict[Key, Tensor]) -> Tensor:
        """What the chain computes, had some tensors other values.

        Args:
            known: their values; those of the tensors on the way are added to them.

        Returns:
            The tensor.

        Raises:
            NotReplayableError: the chain depends on the image in other ways.
        """
        args = [_filled(value, known) for value in self.args]
        kwargs = {name: _filled(value, known) for name, value in self.kwargs.items()}
        if self.place is None:
            args[0] = args[0].clone()
            self.function(*args, **kwargs)
            return args[0]
        return outputs_of(self.function(*args, **kwargs))[self.place]

    def sources(self) -> Iterator[Operand]:
        """The tensors with a gradient that the chain has met, from the last one back."""
        waiting, met = list(self.operands), set()
        while waiting:
            operand = waiting.pop(0)
            if operand.key in met:
                continue
            met.add(operand.key)
            if operand.tensor is not None and operand.tensor.requires_grad:
                yield operand
            waiting += operand.step.operands if operand.step is not None else ()


def outputs_of(output: Any) -> list[Any]:
    """What a function has returned, one by one."""
    return list(output) if isinstance(output, list | tuple) else [output]


def _filled(value: Any, known: dict[Key, Tensor]) -> Any:
    if isinstance(value, Operand):
        return value.replay(known)
    return type(value)(_filled(item, known) for item in value) if type(value) in (list, tuple) else value


@dataclass(frozen=True)
class Rectifier:
    """height max(side x, 0), of some tensor x.

    Attributes:
        source: x.
        height: not 0.
        side: 1, or -1 where what is below 0 passes.
        open: what speaks against the chain up to x.
    """

    source: Tensor
    height: float
    side: int
    open: tuple[str, ...]


def find_rectifier(step: Step, value: Tensor) -> Rectifier | None:
    """The ReLU that the last calls of a chain come to; None where they come to none.

    The chain is replayed on other numbers, of both signs and of sizes from a thousandth to a thousand, and again on
    their negatives: it is a ReLU of one of its tensors where it returns max(x, 0), or a multiple of it, for all.

    Args:
        step: the chain.
        value: what it has computed.

    Returns:
        The ReLU, of the last tensor in the chain for which it holds.

    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> chain = Step(torch.clamp, (operand := Operand((0, 0), x),), {"min": 0.0}, 0, (operand,))
    >>> find_rectifier(chain, torch.tensor([0.0, 2.0])).height
    1.0
    """
    for operand in step.sources():
        x = operand.tensor.detach()
        if x.numel() != value.numel():
            continue
        for side in (1, -1):
            if bool(value[(side * x < 0).reshape(value.shape)].any()):
                continue
            height = _height(step, operand, side)
            if height is not None and _close(value, height * (side * x).clamp(min=0).reshape(value.shape)):
                return Rectifier(operand.tensor, height, side, operand.step.open if operand.step else ())
    return None


def _height(step: Step, operand: Operand, side: int) -> float | None:
    """The multiple of max(side x, 0) that a chain computes for all x; None where there is none."""
    one = _mixed(operand.tensor)
    height = None
    for x in (one, -one):
        try:
            found = step.replay({operand.key: x}).detach()
        except Exception:  # a call may raise whatever it likes on numbers that it was not written for
            return None
        if found.numel() != x.numel() or not found.is_floating_point():
            return None
        expected = (side * x).clamp(min=0).reshape(found.shape)
        if height is None:
            highest = expected.argmax()
            height = float(found.flatten()[highest] / expected.flatten()[highest])
        if not height or not _close(found, height * expected):
            return None
    return height


def _mixed(like: Tensor) -> Tensor:
    """Numbers in the shape of a tensor, of both signs and of sizes from a thousandth to a thousand, always the same."""
    generator = torch.Generator().manual_seed(0)
    sizes, signs = (torch.rand(like.shape, generator=generator) for _ in range(2))
    return (10 ** (6 * sizes - 3) * (2.0 * (signs < 0.5) - 1)).to(like.detach())


def _close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=ROUNDING * torch.finfo(found.dtype).eps, atol=0)


def find_curve(step: Step) -> tuple[Operand, bool] | None:
    """The tensor that a chain changes value by value, each by itself; None where it does something else.

    Args:
        step: the chain.

    Returns:
        The last such tensor in the chain, and whether the curve is a rectifier: far to the left and far to the right
        of 0 it is straight, with different slopes.

    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> operand = Operand((0, 0), x)
    >>> [find_curve(Step(f, (operand,), {}, 0, (operand,)))[1] for f in (torch.abs, torch.tanh)]
    [True, False]
    """
    for operand in step.sources():
        one = _mixed(operand.tensor)
        first = torch.rand(one.shape, generator=torch.Generator().manual_seed(1)).to(one.device) < 0.5
        other = -one / 3
        try:
            parts, mixed = (
                [step.replay({operand.key: x}).detach() for x in (one, other)],
                step.replay({operand.key: torch.where(first, one, other)}).detach(),
            )
            same = mixed.shape == one.shape and torch.allclose(
                mixed, torch.where(first, *parts), rtol=1e-4, atol=1e-6, equal_nan=True
            )
            if same:
                return operand, _rectifies(lambda x, key=operand.key: step.replay({key: x}).detach(), one)
        except Exception:  # as above
            continue
    return None


def _rectifies(curve: Callable[[Tensor], Tensor], like: Tensor) -> bool:
    slopes = []
    for side in (-1, 1):
        near, far, farther = (curve(torch.full_like(like, side * FAR * k)) for k in (1, 2, 3))
        slope = (far - near) / (side * FAR)
        if not _straight(slope, (farther - far) / (side * FAR)):
            return False
        slopes.append(slope)
    return not _straight(*slopes)


def _straight(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-2, atol=1e-4)
