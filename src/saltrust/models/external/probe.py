"""Classifiers of unknown make, probed with a few images: do they do what is asked of one?"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from saltrust.core.data_cards import Model
from saltrust.models.classifiers import seeded
from saltrust.models.external.sources import refusal

SIZES = (224, 256, 299, 320, 384, 448, 512, 192, 160, 128, 96, 64, 32)  # that are tried where none is named
TOLERANCE = 1e-3  # of the largest logit, between two runs or two batches of the same images

# Of autograd's nodes, without their "Backward".
PROBABILITIES = ("Sigmoid", "Softmax", "LogSoftmax", "Hardsigmoid", "LogSigmoid")
PASSED = ("View", "Squeeze", "Unsqueeze", "Reshape", "Alias", "Clone", "Expand", "ToCopy")  # leave values as they are
LINEAR = ("Addmm", "Mm", "Mean", "Convolution", "Bmm", "Add", "Sub", "Mul", "Div", "UnsafeView")


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


def _run(runner: nn.Module, images: Tensor) -> object:
    with seeded(0):
        return runner(images)


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
    first: Exception | None = None
    for n, size in itertools.product(channels, (model.size,) if model.size else SIZES):
        try:
            with torch.no_grad():
                _run(body, probe_images(1, size)[:, :n])
            return n, size
        except Exception as error:  # whatever a network raises for what it does not take
            first = first or error
    tried = f"{model.size} pixels" if model.size else f"any of {', '.join(map(str, sorted(SIZES)))} pixels"
    said = " ".join(str(first).split())[:250]
    raise refusal(
        model,
        f"does not run on images of {' or '.join(map(str, channels))} channels at {tried}; say its `size` and "
        f"`channels`: {said}",
    ) from first


def count_outputs(runner: nn.Module, model: Model, size: int) -> int:
    """Number of the outputs of a network that proves to be a function from each image to its logits.

    Args:
        runner: the network, on images (n, 3, size, size) in [0, 1].
        model: what the card says.
        size: side of the images in pixels.

    Raises:
        SaltrustError: the network is not deterministic or not differentiable, images see each other, or the outputs are
            no logits.
    """
    images = probe_images(4, size)
    tried = images.clone().requires_grad_()
    with torch.enable_grad():
        one = _run(runner, images[:1])
        if not isinstance(one, Tensor):
            raise refusal(model, f"returns a {type(one).__name__}; it must return a tensor (n, outputs) of logits")
        if one.ndim != 2 or len(one) != 1 or not one.shape[1]:
            raise refusal(model, f"returns shape {tuple(one.shape)} for one image; it must be (1, outputs)")
        try:
            outputs = _run(runner, tried)
        except Exception as error:
            said = " ".join(str(error).split())[:150]
            raise refusal(
                model, f"takes one image and no batch of {len(tried)}; export it so that n may vary: {said}"
            ) from error
    if not isinstance(outputs, Tensor) or outputs.shape != (len(tried), one.shape[1]):
        raise refusal(
            model, f"returns shape {tuple(outputs.shape)} for {len(tried)} images, {tuple(one.shape)} for one"
        )
    if not bool(outputs.isfinite().all()):
        raise refusal(
            model, "returns NaN or infinite logits: its weights, or the mean, std and input_range, are not right"
        )
    settled = outputs.detach()
    close = TOLERANCE * float(settled.abs().max().clamp(min=1e-6))
    with torch.no_grad(), seeded(1):
        again = runner(images)
    if float((again - settled).abs().max()) > close:
        raise refusal(
            model, "gives the same images other logits when it runs again: it must not draw at random in eval()"
        )
    if float((one.detach() - settled[:1]).abs().max()) > close:
        raise refusal(model, "gives an image other logits alone than in a batch: images must not see each other")
    what = _probabilities(outputs)
    if what is not None:
        raise refusal(model, f"ends in {what}: its outputs are probabilities; leave that out and return logits")
    _check_gradient(outputs, tried, model)
    return outputs.shape[1]


def _check_gradient(outputs: Tensor, images: Tensor, model: Model) -> None:
    gradient = None
    if outputs.requires_grad:
        with seeded(0):
            signs = torch.randn(outputs.shape)
        gradient = torch.autograd.grad((outputs * signs).sum(), images, allow_unused=True)[0]
    if gradient is None:
        raise refusal(
            model, "has outputs that carry no gradient to the image: no no_grad(), detach() or numpy on the way"
        )
    if not bool(gradient.isfinite().all()):
        raise refusal(model, "has a gradient with NaN or infinite numbers")
    if not bool(gradient.any()):
        raise refusal(model, "has outputs that do not depend on the image: their gradient is 0 everywhere")


def _probabilities(outputs: Tensor) -> str | None:
    """What makes probabilities of logits at the end of a network; None where nothing does."""
    last = outputs.grad_fn
    while last is not None and last.name().startswith(PASSED) and last.next_functions:
        last = last.next_functions[0][0]
    name = last.name().removesuffix("0").removesuffix("Backward") if last is not None else ""
    if name in PROBABILITIES:
        return f"a {name.lower()}"
    if not bool(((outputs >= 0) & (outputs <= 1)).all()):
        return None
    if outputs.shape[1] > 1 and bool((outputs.sum(1) - 1).abs().max() < 1e-4):
        return "something like a softmax"
    return None if name.startswith(LINEAR) or not name else "something that keeps them from 0 to 1"
