"""Gradient methods: the gradient itself, and its averages over noise, paths and baselines."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.path_integrals import (
    SPREADS,
    Baseline,
    Distribution,
    Key,
    References,
    Seed,
    baseline_set,
    check_keys,
    count_starts,
    noise_sample,
    path_attributions,
    quadrature_rule,
    starts,
)
from saltrust.methods.registry import method

Samples = Annotated[int, "noisy copies of the image"]
Noise = Annotated[float, "standard deviation of the noise, as a share of `spread`"]
Spread = Annotated[str, 'what the noise is a share of: the range of the "input", or of the "image" itself']
Power = Annotated[int, "1: mean over the samples; 2: mean of their squares"]
Steps = Annotated[int, "points on the path"]
Quadrature = Annotated[str, "how the points on the path are placed and weighed"]


def difference(model: Explained, images: Tensor, baselines: Sequence[Tensor]) -> Tensor:
    """f(image) - f(baseline), averaged over the baselines, per image (n,): what a complete map adds up to
    (Sundararajan et al. 2017, proposition 1). Each baseline broadcasts to the images."""
    selection = model.select(images)
    at_baselines = [model.scalars(baseline.expand_as(images), selection) for baseline in baselines]
    return model.scalars(images, selection) - sum(at_baselines) / len(at_baselines)


def from_baseline(model: Explained, images: Tensor, baseline: str | Tensor, **_: object) -> Tensor:
    """The total of a method that compares the image with `baseline`."""
    return difference(model, images, starts(baseline, images, *model.input_range))


def from_baseline_set(
    model: Explained, images: Tensor, distribution: str, references: int, seed: int, **_: object
) -> Tensor:
    """The total of a method that compares the image with a set of baselines."""
    return difference(model, images, baseline_set(distribution, images, references, seed, *model.input_range))


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
    baseline: str | Tensor,
    quadrature: str,
    **smoothing: object,
) -> Tensor:
    accepted = model.accept(images)
    points, weights = quadrature_rule(quadrature, steps)
    rule = {"points": points, "weights": weights, "times_path": True}
    begins = starts(baseline, accepted, *model.input_range)
    maps = [path_attributions(model, accepted, keys, start=start, **rule, **smoothing) for start in begins]
    return (sum(maps) / len(maps)).to(images.device)


def _copies(protocol, profile) -> dict[str, object]:
    """How a protocol smooths over noisy copies."""
    samples = min(protocol.samples, profile.samples)
    return {"samples": samples, "noise": protocol.noise, "spread": protocol.spread, "power": protocol.power}


def _path(protocol, profile) -> dict[str, object]:
    """Along which path a protocol integrates."""
    steps = min(protocol.steps, profile.steps)
    return {"steps": steps, "baseline": protocol.baseline, "quadrature": protocol.quadrature}


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
    "input_x_gradient",
    abbreviation="IxG",
    title="Input × Gradient",
    family="gradient",
    cite="shrikumar2017learning",
    formula=r"x \odot \frac{\partial f(x)}{\partial x}",
)
def input_x_gradient(model: Explained, images: Tensor, keys: Sequence[Key]) -> Tensor:
    """The gradient times the image, in the units of the model's input (Shrikumar et al. 2017, section 2.2).

    What is 0 in those units gets 0: mid-grey for an input in [-1, 1], black for one in [0, 1]. On a model without
    biases, made of linear layers, ReLU and pooling, the map adds up to the explained scalar. images: (n, channels,
    height, width) in the model's input range. Returns the same shape, in units of the explained scalar.
    """
    accepted = model.accept(images)
    return (accepted * model.gradients(accepted)).to(images.device)


@method(
    "smoothgrad",
    abbreviation="SG",
    title="SmoothGrad",
    family="gradient",
    cite="smilkov2017smoothgrad",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} \left(\frac{\partial f(x + \varepsilon_k)}{\partial x}\right)^{p}, "
    r"\quad \varepsilon_k \sim \mathcal{N}(0, \sigma^2)",
    passes=lambda p: p["samples"],
    from_protocol=_copies,
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
    passes=lambda p: p["steps"] * count_starts(p["baseline"]),
    total=from_baseline,
    from_protocol=_path,
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

    images: (n, channels, height, width) in the model's input range. steps: points of the quadrature. baseline: names in
    BASELINES joined by "+", whose maps are averaged, or a tensor that broadcasts to the images. Returns attributions of
    the images' shape, in units of the explained scalar; their sum over an image approaches f(image) - f(baseline) as
    `steps` grows.
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
    passes=lambda p: p["samples"] * p["steps"] * count_starts(p["baseline"]),
    from_protocol=lambda protocol, profile: _copies(protocol, profile) | _path(protocol, profile),
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


@method(
    "gradient_shap",
    abbreviation="GSHAP",
    title="Gradient SHAP",
    family="gradient",
    cite="erion2021improving,lundberg2017unified",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} (x_k - x'_k) \odot \frac{\partial f}{\partial x}"
    r"\bigl(x'_k + \alpha_k (x_k - x'_k)\bigr), \quad \alpha_k \sim \mathcal{U}(0, 1), \quad x_k = x + \varepsilon_k",
    passes=lambda p: p["samples"],
    total=from_baseline_set,
    from_protocol=lambda protocol, profile: {
        "samples": min(protocol.samples, profile.samples),
        "noise": 0.0,
        "spread": protocol.spread,
    },
)
def gradient_shap(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    samples: Annotated[int, "random points, each on the path from a random baseline"] = 25,
    distribution: Distribution = "greys",
    references: References = 4,
    noise: Noise = 0.0,
    spread: Spread = "input",
    seed: Seed = 0,
) -> Tensor:
    """Expected gradients: Integrated Gradients averaged over baselines, each sample at one random point of one path
    (Erion et al. 2021, equation 3; the GradientExplainer of Lundberg & Lee's code, captum's GradientShap).

    images: (n, channels, height, width) in the model's input range. Returns the same shape, in units of the explained
    scalar. Its sum has the expected value f(image) - mean of f(baseline), and the error of `samples` draws.
    """
    accepted = model.accept(images)
    if samples < 1 or noise < 0:
        raise SaltrustError(f"samples >= 1, noise >= 0; not {samples=}, {noise=}")
    check_keys(keys, len(images))
    begins = baseline_set(distribution, accepted, references, seed, *model.input_range)
    deviation = noise * SPREADS[spread](accepted, *model.input_range)
    selection = model.select(accepted)
    maps = torch.zeros_like(accepted, memory_format=torch.contiguous_format)
    for items in torch.arange(len(images) * samples).split(model.batch_size):
        image, sample = items // samples, items % samples
        pairs = [(keys[i], s) for i, s in zip(image.tolist(), sample.tolist(), strict=True)]
        drawn = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, s, 1))) for key, s in pairs]
        which = [int(generator.integers(references)) for generator in drawn]
        fraction = torch.tensor([generator.random() for generator in drawn]).to(accepted)[:, None, None, None]
        image = image.to(accepted.device)
        ends = accepted[image]
        if noise:
            samples_of_noise = torch.stack([noise_sample(images.shape[1:], seed, key, s) for key, s in pairs])
            ends = torch.addcmul(ends, deviation[image], samples_of_noise.to(accepted))
        lengths = ends - begins[which, 0]
        gradients = model.gradients(torch.addcmul(begins[which, 0], fraction, lengths), selection.take(image))
        maps.index_add_(0, image, gradients.mul_(lengths), alpha=1 / samples)
    return maps.to(images.device)
