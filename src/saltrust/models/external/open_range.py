"""Whether a network's outputs are logits: nothing behind its last weights keeps them in an interval.

Logits of a few images lie in some interval, too; so images cannot tell. Weights can: a logit is as large as the sums
that they make. What runs behind the last weighted sum is run again on other sums, ever larger ones. A logit leaves
every interval then; a probability, its logarithm or a multiple of it comes to an end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from saltrust.core.data_cards import Model
from saltrust.models.classifiers import seeded
from saltrust.models.external.double_precision import widened
from saltrust.models.external.probe import FAILURES, probe_images
from saltrust.models.external.sources import refusal

SUMS = frozenset({"convolution", "linear", "addmm", "mm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot"})
"""Operations of aten that weigh and sum."""
DEPTH = 6  # weighted sums from the end that are tried: the last may feed an attention, which is bounded by design
SIZES = tuple(10 ** (2 * k / 3) for k in range(10))  # of the sums that take the place of the network's own
DRAWS = 8  # of the channels' shares: half of them the other half's with the other sign
GROWTH = 1e-2  # of what outputs reach, beyond all smaller sizes, as a share of the smallest's; bounded ones do not grow
STRAIGHT = 1e-9  # share by which steps may differ that are taken for equal
CORNER = 16  # places along each dimension of weights that are looked at


@dataclass
class _Tail:
    """What ran behind a weighted sum.

    Attributes:
        total: the sum.
        channels: its dimension along which the weights differ.
        calls: of aten, each with what it took and gave.
    """

    total: Tensor
    channels: int
    calls: list[tuple[Any, tuple, dict, Any]] = field(default_factory=list)

    def on(self, size: float, draw: int, outputs: Tensor) -> Tensor:
        """What takes the place of the outputs where the sum's channels are normally distributed numbers of a size."""
        shape = [1] * self.total.ndim
        if shape:
            shape[self.channels] = self.total.shape[self.channels]
        drawn = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(draw // 2))
        values = (-size if draw % 2 else size) * drawn
        anew = {id(self.total): values.expand(self.total.shape).clone()}
        for function, args, kwargs, given in self.calls:
            in_its_place = partial(_in_its_place, anew, function._schema.is_mutable)
            now, named = tree_map(in_its_place, (args, kwargs))
            found = function(*now, **named)
            pairs = zip(tree_leaves(given), tree_leaves(found), strict=True)
            anew |= {id(before): after for before, after in pairs if isinstance(before, Tensor)}
        return anew[id(outputs)].double()


def _in_its_place(anew: dict[int, Tensor], writes: bool, value: Any) -> Any:
    if id(value) in anew:
        return anew[id(value)]
    value = widened(value)
    return value.clone() if writes and isinstance(value, Tensor) else value


class _Recorder(TorchDispatchMode):
    """Keeps what runs behind each of the last weighted sums of what depends on the images."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.tails = [_Tail(images, 1)]
        self._dependent = WeakIdKeyDictionary()
        self._dependent[images] = True

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        others = [tensor for tensor in given if tensor not in self._dependent]
        if len(others) == len(given):
            return output
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._dependent[tensor] = True
        for tail in self.tails:
            tail.calls.append((func, args, kwargs, output))
        name = func._schema.name.partition("::")[2]
        if name in SUMS and any(map(_are_weights, others)):
            channels = 1 if name == "convolution" else output.ndim - 1
            self.tails = [*self.tails[1 - DEPTH :], _Tail(output, channels)]
        return output


def _are_weights(tensor: Tensor) -> bool:
    """Of both signs and several values, as far as a corner shows. A mean or a choice of probabilities is not such."""
    corner = tensor[(slice(CORNER),) * tensor.ndim]
    return tensor.is_floating_point() and bool(
        (corner < 0).any() and (corner > 0).any() and corner.unique().numel() > 2
    )


def bounded_outputs(network: nn.Module, size: int) -> dict[int, tuple[float, float]]:
    """The outputs of a network that never leave an interval, whatever its last weighted sums are.

    Args:
        network: images (n, 3, size, size) in [0, 1] -> outputs (n, k).
        size: side of the images in pixels.

    Returns:
        Number of the output -> the ends of the interval, of which one may be infinite. An output that is always the
        same, as that of a class which the others are told from, is left out. Empty where the operations cannot be run
        again.

    >>> bounded_outputs(nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Sigmoid()), 4)
    {0: (0.0, 1.0)}
    >>> bounded_outputs(nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), 4)
    {}
    """
    images = probe_images(2, size)
    recorder = _Recorder(images)
    try:
        with torch.no_grad(), seeded(0), recorder:
            outputs = network(images)
    except FAILURES:  # it ran without being recorded: the recorder is in its way
        return {}
    reached = [outputs.double()]
    above = below = torch.zeros(outputs.shape[1], dtype=torch.bool)
    for tail in reversed(recorder.tails):
        found = list(_reached(tail, outputs, SIZES))
        if len(found) > 1:
            scale = found[0].abs().amax(0)
            up, down = (_grows(torch.stack([(sign * one).amax(0) for one in found]), scale) for sign in (1, -1))
            if not bool((up & down).all()):  # a logit that a ReLU has cut off is one all the same
                cut = (up | down) & _straight(tail, outputs)
                up, down = up | cut, down | cut
            above, below = above | up, below | down
            reached += found
        if bool((above & below).all()):
            return {}
    low, high = torch.cat(reached).amin(0), torch.cat(reached).amax(0)
    kept = ~(above & below) & (low < high) if len(reached) > 1 else torch.zeros_like(above)
    ends = zip(low.where(~below, -math.inf).tolist(), high.where(~above, math.inf).tolist(), strict=True)
    return {number: pair for number, pair in enumerate(ends) if bool(kept[number])}


def check_range(network: nn.Module, model: Model, size: int) -> None:
    """Check that nothing behind a network's weights keeps its outputs in an interval, unless the card says it may.

    Args:
        network: images (n, 3, size, size) in [0, 1] -> outputs (n, k).
        model: what the card says.
        size: side of the images in pixels.

    Raises:
        SaltrustError: an output is bounded.
    """
    found = {} if model.bounded_logits else bounded_outputs(network, size)
    if not found:
        return
    number, (low, high) = next(iter(found.items()))
    which = "its output" if len(found) == 1 else f"its {len(found)} outputs" if not number else f"its output {number}"
    where = f"above {high:.3g}" if low == -math.inf else f"below {low:.3g}"
    where = where if math.inf in (-low, high) else f"out of {low:.3g} to {high:.3g}"
    raise refusal(
        model,
        f"never lets {which} go {where}, however large its last weighted sums are, as it is with probabilities and "
        "what is made of them. Return the logits before that; if these are the logits, say `bounded_logits: true`",
    )


def _reached(tail: _Tail, outputs: Tensor, sizes: Iterable[float]) -> Iterator[Tensor]:
    """The outputs (DRAWS * n, k) for sums of each size, up to the first that gives NaN or cannot be computed."""
    for size in sizes:
        try:
            with torch.no_grad():
                found = torch.cat([tail.on(size, draw, outputs) for draw in range(DRAWS)])
        except FAILURES:  # operations that fit the network's own numbers alone
            return
        if bool(found.isnan().any()):  # a softmax by hand: exp overflows
            return
        yield found


def _grows(reached: Tensor, scale: Tensor) -> Tensor:
    """Whether the last of what was reached (sizes, k) is beyond all before it, measured by a scale (k)."""
    before, after = reached[:-1].amax(0), reached[-1]
    return (after == math.inf) | (after - before > GROWTH * scale)


def _straight(tail: _Tail, outputs: Tensor) -> Tensor:
    """Whether each output grows in equal steps with the sums, as a logit does that a ReLU has cut off, and no logarithm
    of a probability."""
    one, two, three = _reached(tail, outputs, (1.0, 2.0, 3.0))
    return ((three - two) - (two - one)).abs().amax(0) <= STRAIGHT * (three - one).abs().amax(0)
