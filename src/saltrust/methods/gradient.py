"""Gradient methods: the gradient, SmoothGrad, Integrated Gradients and their combination."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from torch import Tensor

from saltrust.methods.explained import Explained
from saltrust.methods.registry import method
from saltrust.methods.streams import BASELINES, Key, path_attributions, quadrature_rule

Samples = Annotated[int, "noisy copies of the image"]
Noise = Annotated[float, "standard deviation of the noise, as a share of `spread`"]
Spread = Annotated[str, 'what the noise is a share of: the range of the "input", or of the "image" itself']
Power = Annotated[int, "1: mean over the samples; 2: mean of their squares"]
Seed = Annotated[int, "of the noise"]
Steps = Annotated[int, "points on the path"]
Baseline = Annotated[str, "where the path starts: a name in BASELINES, or several joined by + and averaged"]
Quadrature = Annotated[str, "how the points on the path are placed and weighed"]


def completeness_residual(model: Explained, images: Tensor, maps: Tensor, baseline: str = "black") -> Tensor:
    """sum(map) - (f(image) - f(baseline)) per image (n,), in units of the explained scalar: 0 for exact integration
    (Sundararajan et al. 2017, proposition 1)."""
    given, images = images, model.accept(images)
    selection = model.select(images)
    start = BASELINES[baseline](images, *model.input_range).expand_as(images)
    change = model.scalars(images, selection) - model.scalars(start, selection)
    return maps.double().sum((1, 2, 3)) - change.double().to(given.device)


def _smooth_gradient(model: Explained, images: Tensor, keys: Sequence[Key], **smoothing: object) -> Tensor:
    accepted = model.accept(images)
    start = accepted.new_zeros(len(accepted), 1, 1, 1)
    at_end = {"points": np.ones(1), "weights": np.ones(1), "times_path": False}
    return path_attributions(model, accepted, keys, start=start, **at_end, **smoothing).to(images.device)


def _smooth_integral(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    steps: int,
    baseline: str,
    quadrature: str,
    **smoothing: object,
) -> Tensor:
    accepted = model.accept(images)
    start = BASELINES[baseline](accepted, *model.input_range)
    points, weights = quadrature_rule(quadrature, steps)
    rule = {"points": points, "weights": weights, "times_path": True}
    return path_attributions(model, accepted, keys, start=start, **rule, **smoothing).to(images.device)


@method(
    "grad",
    abbreviation="GRAD",
    title="Gradient",
    family="gradient",
    cite="simonyan2014deep",
    formula=r"\frac{\partial f(x)}{\partial x}",
)
def gradient(model: Explained, images: Tensor, keys: Sequence[Key]) -> Tensor:
    """The gradient of the explained scalar with respect to the image (Simonyan et al. 2014, section 3).

    images: (n, channels, height, width) in the model's input range. Returns the same shape.
    """
    return model.gradients(model.accept(images)).to(images.device)


@method(
    "smoothgrad",
    abbreviation="SG",
    title="SmoothGrad",
    family="gradient",
    cite="smilkov2017smoothgrad",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} \left(\frac{\partial f(x + \varepsilon_k)}{\partial x}\right)^{p}, "
    r"\quad \varepsilon_k \sim \mathcal{N}(0, \sigma^2)",
    passes=lambda p: p["samples"],
)
def smoothgrad(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    samples: Samples = 25,
    noise: Noise = 0.15,
    spread: Spread = "input",
    power: Power = 1,
    seed: Seed = 0,
) -> Tensor:
    """Mean over noisy copies of the gradient (`power` 1; Smilkov et al. 2017, section 2), or of its square (`power` 2,
    the default of PAIR saliency).

    images: (n, channels, height, width) in the model's input range. samples: noisy copies. noise: standard deviation as
    a fraction of the range of the "input", or of each "image" (`spread`). Returns the shape of the images.
    """
    return _smooth_gradient(model, images, keys, samples=samples, noise=noise, spread=spread, power=power, seed=seed)


@method(
    "ig",
    abbreviation="IG",
    title="Integrated Gradients",
    family="gradient",
    cite="sundararajan2017axiomatic",
    formula=r"(x - x') \int_0^1 \frac{\partial f(x' + \alpha (x - x'))}{\partial x} \, d\alpha",
    passes=lambda p: p["steps"],
)
def integrated_gradients(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    steps: Steps = 25,
    baseline: Baseline = "black",
    quadrature: Quadrature = "gauss_legendre",
) -> Tensor:
    """Path integral of the gradient from a baseline to the image (Sundararajan et al. 2017, equation 1).

    images: (n, channels, height, width) in the model's input range. steps: points of the quadrature. Returns
    attributions of the same shape, in units of the explained scalar; their sum over an image approaches
    f(image) - f(baseline) as `steps` grows.
    """
    return _smooth_integral(model, images, keys, steps, baseline, quadrature)


@method(
    "smooth_ig",
    abbreviation="SIG",
    title="Smooth Integrated Gradients",
    family="gradient",
    cite="smilkov2017smoothgrad",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} \mathrm{IG}(x + \varepsilon_k)^{p}, "
    r"\quad \varepsilon_k \sim \mathcal{N}(0, \sigma^2)",
    passes=lambda p: p["samples"] * p["steps"],
)
def smooth_integrated_gradients(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    samples: Samples = 25,
    noise: Noise = 0.15,
    spread: Spread = "input",
    power: Power = 1,
    seed: Seed = 0,
    steps: Steps = 25,
    baseline: Baseline = "black",
    quadrature: Quadrature = "gauss_legendre",
) -> Tensor:
    """Mean over noisy copies of Integrated Gradients, or of its square.

    Each path runs from the baseline, which has no noise, to the noisy image. Parameters as in smoothgrad and
    integrated_gradients; returns the shape of the images.
    """
    smoothing = {"samples": samples, "noise": noise, "spread": spread, "power": power, "seed": seed}
    return _smooth_integral(model, images, keys, steps, baseline, quadrature, **smoothing)
