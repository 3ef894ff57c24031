"""Classifiers of unknown make, probed with a few images: do they do what is asked of one?"""

from __future__ import annotations

import itertools
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.classifiers import seeded
from saltrust.models.external.sources import one_line, refusal

SIZES = (224, 256, 299, 320, 384, 448, 512, 192, 160, 128, 96, 64, 32)  # that are tried where none is named
TOLERANCE = 1e-3  # of the largest logit, between two batches with the same images
SAME = 1e-5  # of the largest logit, between two runs of the same batch

FAILURES = (Exception, SystemExit)  # what a network may raise

# Of autograd's nodes, without their "Backward".
PROBABILITIES = ("Sigmoid", "Softmax", "LogSoftmax", "Hardsigmoid", "LogSigmoid")
PASSED = ("View", "Squeeze", "Unsqueeze", "Reshape", "Alias", "Clone", "Expand", "ToCopy")  # leave values as they are


def probe_images(n: int, size: int) -> Tensor:
    """Images to try a network on: noise, coarse over fine, so that no two are alike to it.

    Args:
        n: number of images.
        size: their side in pixels.

    Returns:
        A tensor (n, 3, size, size) in [0, 1], always the same.

    >>> probe_images(2, 16).shape
    torch.Size([2, 3, 16, 16])
    """
    with seeded(0):
        coarse = nn.functional.interpolate(torch.rand(n, 3, 8, 8), size, mode="bilinear")
        return (0.7 * coarse + 0.3 * torch.rand(n, 3, size, size)).clamp(0, 1)


SURROUNDINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, torch.set_default_device),
    "whether torch follows gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "whether torch is deterministic": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "the random state of torch": (
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
    ),
    "the random state of NumPy": (
        lambda: pickle.dumps(np.random.get_state()),
        lambda state: np.random.set_state(pickle.loads(state)),
    ),
    "the random state of Python": (random.getstate, random.setstate),
}
"""What a network shares with everything else in the process: how it is read, how it is set."""


def _run(runner: nn.Module, images: Tensor, model: Model, seed: int = 0) -> object:
    """What a network returns for a copy of the images. Raises SaltrustError where it changes more than its outputs."""
    with seeded(seed):
        before = {name: read() for name, (read, _) in SURROUNDINGS.items()}
        own = _own(runner)
        try:
            returned = runner(images.clone())
        finally:
            changed = [name for name, (read, _) in SURROUNDINGS.items() if read() != before[name]]
            for name in changed:
                SURROUNDINGS[name][1](before[name])
    changed += [what for what, now in _own(runner).items() if own[what] != now]
    if changed:
        drawn = ": it must not draw at random in eval()" if "random" in changed[0] else ", which must stay as it is"
        raise refusal(model, f"changes {changed[0]} as it runs{drawn}")
    return returned


def _own(runner: nn.Module) -> dict[str, Any]:
    return {
        "its mode (train or eval)": [module.training for module in runner.modules()],
        "whether its weights ask for gradients": [weight.requires_grad for weight in runner.parameters()],
    }


def _written(runner: nn.Module) -> list[tuple[int, int]]:
    """Which tensors a network holds, and how often each has been written."""
    return [(id(tensor), tensor._version) for tensor in (*runner.parameters(), *runner.buffers())]


def find_input(body: nn.Module, model: Model) -> tuple[int, int]:
    """Channels and size of the images that a network takes.

    They are as the card names them, or the first of 3 and 1, and of SIZES, with which the network runs.

    Args:
        body: the network.
        model: what the card says.

    Returns:
        Channels, and side in pixels.

    Raises:
        SaltrustError: the network runs on none of them.
    """
    colour = 3 in (len(model.mean), len(model.std))
    channels = (model.channels,) if model.channels else (3,) if colour else (3, 1)
    first: BaseException | None = None
    for n, size in itertools.product(channels, (model.size,) if model.size else SIZES):
        try:
            with torch.no_grad():
                _run(body, probe_images(1, size)[:, :n], model)
            return n, size
        except SaltrustError:
            raise
        except FAILURES as error:
            first = first or error
    tried = f"{model.size} pixels" if model.size else f"any of {', '.join(map(str, sorted(SIZES)))} pixels"
    raise refusal(
        model,
        f"does not run on images of {' or '.join(map(str, channels))} channels at {tried}; say its `size` and "
        f"`channels`: {one_line(first)}",
    ) from first


def left_open(body: nn.Module, model: Model, channels: int, size: int) -> tuple[str, ...]:
    """What of size and channels nobody says and the network does not show, as it runs on images of others, too.

    Args:
        body: the network.
        model: what the card says.
        channels: with which it runs.
        size: with which it runs, in pixels.

    Returns:
        Names of fields of `Model`.
    """

    def runs(n: int, side: int) -> bool:
        try:
            with torch.no_grad():
                _run(body, probe_images(1, side)[:, :n], model)
            return True
        except FAILURES:
            return False

    others = {"size": [(channels, side) for side in SIZES[::-1] if side != size], "channels": [(4 - channels, size)]}
    unsaid = [name for name in others if getattr(model, name) is None]
    return tuple(name for name in unsaid if any(runs(*one) for one in others[name]))


def count_outputs(runner: nn.Module, model: Model, size: int) -> int:
    """Number of the outputs of a network that proves to be a function from each image to its logits.

    Args:
        runner: the network, on images (n, 3, size, size) in [0, 1].
        model: what the card says.
        size: side of the images in pixels.

    Raises:
        SaltrustError: the network is not deterministic or not differentiable, images see each other, a run changes the
            next, or the outputs are no logits.
    """
    images = probe_images(4, size)
    tried = images.clone().requires_grad_()
    before = _written(runner)
    with torch.enable_grad():
        try:
            one = _run(runner, images[:1], model)
        except SaltrustError:
            raise
        except FAILURES as error:
            raise refusal(model, f"fails when it runs again: {one_line(error)}") from error
        if not isinstance(one, Tensor):
            raise refusal(model, f"returns a {type(one).__name__}; it must return a tensor (n, outputs) of logits")
        if one.ndim != 2 or len(one) != 1 or not one.shape[1]:
            raise refusal(model, f"returns shape {tuple(one.shape)} for one image; it must be (1, outputs)")
        if not one.is_floating_point() or one.layout != torch.strided:
            raise refusal(
                model, f"returns {one.layout} numbers of {one.dtype}; logits are plain floating-point numbers"
            )
        one = one.detach().clone()
        try:
            outputs = _run(runner, tried, model)
        except SaltrustError:
            raise
        except FAILURES as error:
            raise refusal(
                model,
                f"takes one image and no batch of {len(tried)}; export it so that n may vary: {one_line(error)}",
            ) from error
    if not isinstance(outputs, Tensor) or outputs.shape != (len(tried), one.shape[1]):
        shape = tuple(getattr(outputs, "shape", ()))
        raise refusal(model, f"returns shape {shape} for {len(tried)} images, {tuple(one.shape)} for one")
    if not bool(outputs.isfinite().all()):
        raise refusal(
            model, "returns NaN or infinite logits: its weights, or the mean, std and input_range, are not right"
        )
    settled = outputs.detach().clone()
    size_of_logits = float(settled.abs().max().clamp(min=1e-6))
    with torch.no_grad():
        returned = _again(runner, images[1:].flip(0), model)
        others = returned.flip(0)  # a copy
    with torch.inference_mode():
        again = _again(runner, images, model, seed=1)
    written = _written(runner) != before
    if float((again - settled).abs().max()) > (0 if written else SAME * size_of_logits):
        raise refusal(
            model,
            "gives the same images other logits when it runs again: it must not draw at random in eval(), nor keep "
            "anything from one run to the next",
        )
    if float((one - settled[:1]).abs().max()) > TOLERANCE * size_of_logits:
        raise refusal(model, "gives an image other logits alone than in a batch: images must not see each other")
    if float((others - settled[1:]).abs().max()) > TOLERANCE * size_of_logits:
        raise refusal(
            model,
            "gives images other logits in another order and number: images must not see each other, nor may anything "
            "be kept from one run to the next",
        )
    if not torch.equal(outputs.detach(), settled) or not torch.equal(returned.flip(0), others):
        raise refusal(model, "writes the outputs of a run over those of the run before: return a clone of them")
    what = _probabilities(outputs)
    if what is not None:
        raise refusal(model, f"ends in {what}: its outputs are probabilities; leave that out and return logits")
    _check_any_gradient(outputs, tried, model)
    return outputs.shape[1]


def _again(runner: nn.Module, images: Tensor, model: Model, seed: int = 0) -> Tensor:
    """The outputs of a further run."""
    try:
        outputs = _run(runner, images, model, seed)
    except SaltrustError:
        raise
    except FAILURES as error:
        raise refusal(model, f"fails when it runs again, without gradients: {one_line(error)}") from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(images):
        raise refusal(model, f"returns {len(images)} images' outputs in another form when it runs again")
    return outputs


def _check_any_gradient(outputs: Tensor, images: Tensor, model: Model) -> None:
    gradient = None
    if outputs.requires_grad:
        with seeded(0):
            signs = torch.randn(outputs.shape)
        try:
            gradient = torch.autograd.grad((outputs * signs).sum(), images, allow_unused=True)[0]
        except FAILURES as error:
            raise refusal(
                model,
                f"cannot be differentiated, as where `+=` overwrites what a layer needs again: {one_line(error)}",
            ) from error
    if gradient is None:
        raise refusal(
            model, "has outputs that carry no gradient to the image: no no_grad(), detach() or numpy on the way"
        )
    if not bool(gradient.isfinite().all()):
        raise refusal(model, "has a gradient with NaN or infinite numbers")
    if not bool(gradient.any()):
        raise refusal(model, "has outputs that do not depend on the image: their gradient is 0 everywhere")


def _probabilities(outputs: Tensor) -> str | None:
    """What makes probabilities of logits at the very end of a network; None where nothing does."""
    last = outputs.grad_fn
    while last is not None and last.name().startswith(PASSED) and last.next_functions:
        last = last.next_functions[0][0]
    name = last.name().removesuffix("0").removesuffix("Backward") if last is not None else ""
    if name in PROBABILITIES:
        return f"a {name.lower()}"
    shares = outputs.shape[1] > 1 and bool(((outputs >= 0) & (outputs <= 1)).all())
    return "something like a softmax" if shares and bool((outputs.sum(1) - 1).abs().max() < 1e-4) else None
