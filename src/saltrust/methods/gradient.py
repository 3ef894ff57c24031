"""Gradient methods: the gradient itself, and its averages over noise, paths and baselines."""

from collections.abc import Sequence
from functools import partial
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
    starts,
)
from saltrust.methods.quadrature import quadrature_rule
from saltrust.methods.registry import POWERS, method
from saltrust.methods.totals import from_baseline, from_baseline_set

Samples = Annotated[int, "noisy copies of the image"]
Noise = Annotated[float, "standard deviation of the noise, as a share of `spread`"]
Spread = Annotated[str, 'what the noise is a share of: the range of the "input", or of the "image" itself']
Power = Annotated[int, "1: mean over the samples; 2: mean of their squares"]
Steps = Annotated[int, "points on the path"]
Quadrature = Annotated[str, "how the points on the path are placed and weighed"]


def _smooth_gradient(model: Explained, images: Tensor, keys: Sequence[Key], **smoothing: object) -> Tensor:
    """One stack of maps for each of the `powers`."""
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
    """One stack of maps for each of the `powers`."""
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


def _path(protocol, steps: int) -> dict[str, object]:
    """Along which path a protocol integrates, in so many steps at most."""
    return {
        "steps": min(protocol.steps, steps),
        "baseline": protocol.baseline,
        "quadrature": protocol.quadrature,
    }


def _gradients_of(model: Explained, images: Tensor, keys: Sequence[Key], targets: Sequence[int]) -> Tensor:
    return model.scalars_and_gradients_of(model.accept(images), targets)[1].to(images.device)


def _inputs_x_gradients_of(model: Explained, images: Tensor, keys: Sequence[Key], targets: Sequence[int]) -> Tensor:
    accepted = model.accept(images)
    return (accepted * model.scalars_and_gradients_of(accepted, targets)[1]).to(images.device)


@method(
    "grad",
    abbreviation="GRAD",
    title="Gradient",
    family="gradient",
    cite="simonyan2014deep",
    formula=r"\frac{\partial f(x)}{\partial x}",
    odd=True,
    several=_gradients_of,
)
def gradient(model: Explained, images: Tensor, keys: Sequence[Key]) -> Tensor:
    """The gradient of the explained scalar with respect to the image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.

    Returns:
        Maps of the images' shape.

    Source:
        Simonyan et al. 2014, section 3.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradient(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return model.gradients(model.accept(images)).to(images.device)


@method(
    "input_x_gradient",
    abbreviation="IxG",
    title="Input × Gradient",
    family="gradient",
    cite="shrikumar2017learning",
    formula=r"x \odot \frac{\partial f(x)}{\partial x}",
    odd=True,
    several=_inputs_x_gradients_of,
)
def input_x_gradient(model: Explained, images: Tensor, keys: Sequence[Key]) -> Tensor:
    """The gradient times the image, in the units of the model's input.

    What is 0 in those units gets 0: mid-grey for an input in [-1, 1], black for one in [0, 1]. On a model without
    biases, made of linear layers, ReLU and pooling, the map adds up to the explained scalar.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Source:
        Shrikumar et al. 2017, section 2.2.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> input_x_gradient(Explained(network), torch.full((1, 1, 2, 2), 0.5), [(0,)]).tolist()
    [[[[0.125, 0.125], [0.125, 0.125]]]]
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
    odd=True,
    powers=partial(_smooth_gradient, powers=POWERS),
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
    """Mean over noisy copies of the gradient, or of its square.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its noise depends on.
        samples: noisy copies of the image, at least 1.
        noise: standard deviation of the noise, as a share of `spread`, at least 0.
        spread: the range of the "input", or of each "image" itself.
        power: 1 for the mean of the gradients; 2 for the mean of their squares, the default of PAIR saliency.
        seed: of the noise.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: a parameter is out of range.

    Source:
        Smilkov et al. 2017, section 2.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> smoothgrad(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=4).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    smoothing = {"samples": samples, "noise": noise, "spread": spread, "seed": seed}
    return _smooth_gradient(model, images, keys, powers=(power,), **smoothing)[0]


@method(
    "ig",
    abbreviation="IG",
    title="Integrated Gradients",
    family="gradient",
    cite="sundararajan2017axiomatic",
    formula=r"(x - x') \int_0^1 \frac{\partial f(x' + \alpha (x - x'))}{\partial x} \, d\alpha",
    passes=lambda p: p["steps"] * count_starts(p["baseline"]),
    total=from_baseline,
    from_protocol=lambda protocol, profile: _path(protocol, profile.steps),
    odd=True,
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
    """Path integral of the gradient from a baseline to the image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        steps: points of the quadrature, at least 1.
        baseline: names in BASELINES joined by "+", whose maps are averaged, or a tensor that broadcasts to the images.
        quadrature: how the points are placed and weighed, a name in QUADRATURES.

    Returns:
        Maps of the images' shape, in units of the explained scalar. Their sum over an image approaches f(image) -
        f(baseline) as `steps` grows.

    Raises:
        SaltrustError: a parameter is not allowed.

    Source:
        Sundararajan et al. 2017, equation 1.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> float(integrated_gradients(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], steps=1, baseline="grey").sum())
    1.0
    """
    return _smooth_integral(model, images, keys, steps, baseline, quadrature)[0]


@method(
    "smooth_ig",
    abbreviation="SIG",
    title="Smooth Integrated Gradients",
    family="gradient",
    cite="smilkov2017smoothgrad",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} \mathrm{IG}(x + \varepsilon_k)^{p}, "
    r"\quad \varepsilon_k \sim \mathcal{N}(0, \sigma^2)",
    passes=lambda p: p["samples"] * p["steps"] * count_starts(p["baseline"]),
    from_protocol=lambda protocol, profile: _copies(protocol, profile) | _path(protocol, profile.copy_steps),
    odd=True,
    powers=partial(_smooth_integral, powers=POWERS),
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

    Each path runs from the baseline, which has no noise, to the noisy image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its noise depends on.
        samples: noisy copies of the image, at least 1.
        noise: standard deviation of the noise, as a share of `spread`, at least 0.
        spread: the range of the "input", or of each "image" itself.
        power: 1 for the mean of the maps; 2 for the mean of their squares.
        seed: of the noise.
        steps: points of the quadrature, at least 1.
        baseline: as in `integrated_gradients`.
        quadrature: how the points are placed and weighed, a name in QUADRATURES.

    Returns:
        Maps of the images' shape, in units of the explained scalar, or of its square.

    Raises:
        SaltrustError: a parameter is not allowed.

    Source:
        Smilkov et al. 2017, section 2.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> smooth_integrated_gradients(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=2, steps=2).shape
    torch.Size([1, 1, 2, 2])
    """
    smoothing = {"samples": samples, "noise": noise, "spread": spread, "seed": seed}
    return _smooth_integral(model, images, keys, steps, baseline, quadrature, powers=(power,), **smoothing)[0]


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
    odd=True,
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
    """Expected gradients: Integrated Gradients averaged over baselines, each sample at one random point of one path.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its samples depend on.
        samples: random points, each on the path from a random baseline, at least 1.
        distribution: the set of baselines, a name in DISTRIBUTIONS.
        references: number of baselines, at least 1.
        noise: standard deviation of noise on the image, as a share of `spread`, at least 0.
        spread: the range of the "input", or of each "image" itself.
        seed: of all that is drawn at random.

    Returns:
        Maps of the images' shape, in units of the explained scalar. The sum over an image has the expected value
        f(image) - mean of f(baseline), and the error of `samples` draws.

    Raises:
        SaltrustError: a parameter is not allowed.

    Source:
        Erion et al. 2021, equation 3; the GradientExplainer of Lundberg & Lee's code; captum's GradientShap.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradient_shap(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=2).shape
    torch.Size([1, 1, 2, 2])
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
