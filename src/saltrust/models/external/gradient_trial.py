"""Whether the gradient that a network hands out is that of its function: a trial by finite differences.

A straight-through estimator, a detached branch or a hook hands out another one, and every map would follow it without a
word. So the change of the outputs along a random direction is held against the gradient in that direction.

In double precision the step is so short that hardly a ReLU bends within it: the residual of a network of the field is
below 1e-5, where its outputs depend on the image at all, and that of a gradient that leaves out a twentieth of the
function is above 1e-2. What a network casts to single precision on its way is computed in double precision all the
same. A network that insists on single precision is tried there, with a longer step and the mean gradient along it,
which the bends of a ReLU do not disturb; there only gross faults can be told from rounding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saltrust.core.data_cards import Model
from saltrust.models.classifiers import seeded
from saltrust.models.external.double_precision import InDoublePrecision
from saltrust.models.external.probe import FAILURES, probe_images
from saltrust.models.external.sources import refusal

SIDE = 96  # pixels of the images of the trial, where the network takes them: double precision is slow
AT_ONCE = 2  # images of a trial


@dataclass(frozen=True)
class Precision:
    """How a trial is made in a precision.

    Attributes:
        dtype: of the arithmetic.
        change: of the outputs that a step should make, as a share of their size.
        longest: step that is made for it, as a share of the input's range.
        factors: the steps, as shares of that one; the first is made alone where it agrees.
        points: along a step whose gradients are averaged.
        tolerance: residual above which a gradient is not the function's.
        decidable: share of the residual's unit that rounding may make; above it the trial says nothing.
    """

    dtype: torch.dtype
    change: float
    longest: float
    factors: tuple[float, ...]
    points: int
    tolerance: float
    decidable: float


DOUBLE = Precision(torch.float64, 1e-8, 1e-5, (1, 1e-1, 1e-2), 1, 5e-3, 0.5)
SINGLE = Precision(torch.float32, 1e-2, 5e-2, (1,), 8, 0.3, 0.1)
TRIALS = 4  # more pairs of images, where the first fails: the median decides
ROUNDING = 16  # units of the machine's precision that the outputs of a deep network are off by


def check_gradient(runner: nn.Module, model: Model, size: int) -> None:
    """Check that a network's gradient is that of its outputs.

    Args:
        runner: the network, on images (n, 3, size, size) in [0, 1], which has not run yet; it is copied.
        model: what the card says.
        size: side of its images in pixels.

    Raises:
        SaltrustError: it is not.
    """
    residual, tolerance = _first_that_runs(runner, size)
    if residual > tolerance:
        raise refusal(
            model,
            f"has a gradient that is not its function's: along a random direction the outputs change otherwise than it "
            f"says, by {residual:.2g} of its length (up to {tolerance:g} is rounding). No straight-through rounding or "
            "clamping, no detach() of a part, no hook that changes gradients",
        )


def _first_that_runs(runner: nn.Module, size: int) -> tuple[float, float]:
    """The residual and its tolerance, in double precision on small images, or as near to that as the network allows."""
    for precision in (DOUBLE, SINGLE):
        for side in dict.fromkeys((min(SIDE, size), size)):
            try:
                return residual(runner, side, precision), precision.tolerance
            except FAILURES:  # whatever a network raises for what it does not take
                continue
    return 0.0, SINGLE.tolerance  # it was run before with these images: it fails now and then, and says so elsewhere


def residual(runner: nn.Module, side: int, precision: Precision) -> float:
    """How far the change of the outputs is from the gradient, along random directions of unit entries.

    A first pair of images decides where both agree. Else a ReLU may have bent in between, and the median over several
    pairs, each at the step that agrees best, decides.

    Args:
        runner: the network, which has not run yet; it is copied.
        side: of the images in pixels.
        precision: how the trial is made.

    Returns:
        The difference as a share of the gradient's length, which is the standard deviation over directions of what
        there is to compare. 0 where rounding could make as much.
    """
    network = copy.deepcopy(runner).to(precision.dtype)
    run = _in_double(network) if precision.dtype == torch.float64 else network
    first = _trial(run, side, precision, 0, precision.factors[:1])
    if max(first) <= precision.tolerance:
        return max(first)
    more = [_trial(run, side, precision, seed, precision.factors) for seed in range(1, 1 + TRIALS)]
    return float(torch.tensor([image for trial in more for image in trial]).median())


def _in_double(network: nn.Module) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        with InDoublePrecision():
            return network(images)

    return run


def _trial(
    run: Callable[[Tensor], Tensor], side: int, precision: Precision, seed: int, factors: Sequence[float]
) -> list[float]:
    """The residual of each of AT_ONCE images, at the step that agrees best."""
    images = probe_images(AT_ONCE * (seed + 1), side)[-AT_ONCE:].to(precision.dtype)
    with seeded(seed):
        direction = torch.randint(0, 2, images.shape).to(precision.dtype) * 2 - 1
    outputs, gradient = _with_gradient(run, images, seed)
    length, extent = gradient.flatten(1).norm(dim=1).double(), outputs.abs().sum(1).double()
    longest = (precision.change * extent / length).nan_to_num().clamp(max=precision.longest)
    steps = []
    for reach in (factor * longest for factor in factors):
        way = reach.to(precision.dtype).view(-1, 1, 1, 1) * direction
        with torch.no_grad():
            ends = [_weighted(run, images + sign * way, seed).double().sum(1) for sign in (1, -1)]
        along = [gradient]
        if precision.points > 1:
            places = (torch.arange(precision.points) + 0.5) / precision.points * 2 - 1
            along = [_with_gradient(run, images + float(place) * way, seed)[1] for place in places]
        told = torch.stack([(one * direction).flatten(1).sum(1).double() for one in along]).mean(0)
        off = ((ends[0] - ends[1]) / (2 * reach) - told).abs() / length
        rounding = ROUNDING * torch.finfo(precision.dtype).eps * extent / (reach * length)
        steps.append(off.where(rounding < precision.decidable, 0).nan_to_num(posinf=math.inf))
    return torch.stack(steps).amin(0).tolist()


def _weighted(run: Callable[[Tensor], Tensor], images: Tensor, seed: int) -> Tensor:
    """The outputs times random weights, always the same. The network may write into the images."""
    with seeded(seed):
        outputs = run(images.clone())
        return outputs * torch.randn(outputs.shape[1], dtype=images.dtype)


def _with_gradient(run: Callable[[Tensor], Tensor], images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The weighted outputs, and the gradient of their sum."""
    at = images.clone().requires_grad_()
    with torch.enable_grad():
        outputs = _weighted(run, at, seed)
        return outputs.detach(), torch.autograd.grad(outputs.sum(), at)[0]
