"""The stream of passes behind all path-based methods: noisy samples, points on straight paths, fixed-size batches."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.methods.explained import Explained

Key = tuple[int, ...]

Baseline = Annotated[str | Tensor, "what the image is compared with: black, white, grey, blur; several joined by +"]
Distribution = Annotated[str, "the set of baselines: greys from black to white, or near_black"]
References = Annotated[int, "number of baselines"]
Seed = Annotated[int, "of what is drawn at random"]

BLUR = 1 / 16  # sd of the blur, as a share of the shorter side: no detail smaller than an organ survives

BASELINES: Registry[Callable[[Tensor, float, float], Tensor]] = Registry("baseline")
"""What an image is compared with: (images, black, white) -> tensor that broadcasts to the images."""
BASELINES.register("black")(lambda images, black, white: torch.full_like(images[:, :1, :1, :1], black))
BASELINES.register("white")(lambda images, black, white: torch.full_like(images[:, :1, :1, :1], white))
BASELINES.register("grey")(lambda images, black, white: torch.full_like(images[:, :1, :1, :1], (black + white) / 2))
BASELINES.register("image_min")(lambda images, black, white: images.amin((1, 2, 3), keepdim=True))
BASELINES.register("image_max")(lambda images, black, white: images.amax((1, 2, 3), keepdim=True))


@BASELINES.register("blur")
def blurred(images: Tensor, black: float, white: float) -> Tensor:
    """The image without its detail: same tones, same places, no edges (Sturmfels et al. 2020)."""
    sd = BLUR * min(images.shape[2:])
    return torch.as_tensor(gaussian_filter(images.cpu().numpy(), (0, 0, sd, sd))).to(images)


def starts(baseline: str | Tensor, images: Tensor, black: float, white: float) -> tuple[Tensor, ...]:
    """The baselines of a name in BASELINES, of several joined by "+" ("black+white"), or of a tensor of one's own.

    Each broadcasts to the images. Raises SaltrustError for an unknown name or a tensor that does not fit.
    """
    if isinstance(baseline, str):
        return tuple(BASELINES[name](images, black, white) for name in baseline.split("+"))
    try:
        torch.broadcast_to(baseline, images.shape)
    except RuntimeError:
        raise SaltrustError(
            f"a baseline {tuple(baseline.shape)} does not broadcast to images {tuple(images.shape)}"
        ) from None
    return (baseline.to(images),)


def count_starts(baseline: str | Tensor) -> int:
    """How many baselines `starts` will return."""
    return baseline.count("+") + 1 if isinstance(baseline, str) else 1


DISTRIBUTIONS: Registry[Callable[[Tensor, int, int, float, float], Tensor]] = Registry("distribution of baselines")
"""Sets of baselines: (images, count, seed, black, white) -> (count, 1, c or 1, h or 1, w or 1)."""


@DISTRIBUTIONS.register("greys")
def greys(images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """Uniform images at grey levels evenly spread from black to white."""
    levels = torch.linspace(black, white, count, dtype=images.dtype, device=images.device)
    return levels[:, None, None, None, None]


@DISTRIBUTIONS.register("near_black")
def near_black(images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """Black with normal noise of a thousandth of the input range, as in Tjoa & Guan's code."""
    noise = torch.stack([noise_sample(images.shape[1:], seed, (), k) for k in range(count)])
    return black + 0.001 * (white - black) * noise.to(images)[:, None]


def baseline_set(distribution: str, images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """`count` baselines from a distribution, the same for all images: (count, 1, c or 1, h or 1, w or 1)."""
    if count < 1:
        raise SaltrustError(f"there are {count} baselines; at least one is needed")
    return DISTRIBUTIONS[distribution](images, count, seed, black, white)


SPREADS: Registry[Callable[[Tensor, float, float], Tensor]] = Registry("noise spread")
"""What the noise level is a fraction of: (images, black, white) -> tensor (n, 1, 1, 1)."""
SPREADS.register("input")(lambda images, black, white: torch.full_like(images[:, :1, :1, :1], white - black))
SPREADS.register("image")(lambda images, black, white: images.amax((1, 2, 3), True) - images.amin((1, 2, 3), True))

QUADRATURES: Registry[Callable[[int], tuple[np.ndarray, np.ndarray]]] = Registry("quadrature")
"""Rules on [0, 1]: number of points -> (points, weights), the weights adding up to 1."""


@QUADRATURES.register("gauss_legendre")
def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact for polynomials up to degree 2 steps - 1."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


@QUADRATURES.register("riemann")
def riemann(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends included and every point weighed alike, as PAIR saliency does (core/integrated_gradients.py)."""
    return np.linspace(0, 1, steps), np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_left")
def riemann_left(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(steps) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_right")
def riemann_right(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, steps + 1) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_middle")
def riemann_middle(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)


@QUADRATURES.register("riemann_trapezoid")
def riemann_trapezoid(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The trapezoidal rule. (captum's weights of this name add up to (steps - 1) / steps.)"""
    weights = np.ones(steps)
    weights[[0, -1]] = 0.5
    return np.linspace(0, 1, steps), weights / weights.sum()


def quadrature_rule(name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a rule in QUADRATURES. Raises SaltrustError for too few steps."""
    least = 2 if name in ("riemann", "riemann_trapezoid") else 1
    rule = QUADRATURES[name]
    if steps < least:
        raise SaltrustError(f"steps is {steps}; quadrature '{name}' needs at least {least}")
    return rule(steps)


def check_keys(keys: Sequence[Key], images: int) -> None:
    """Raises SaltrustError unless there is one noise key for each image."""
    if len(keys) != images:
        raise SaltrustError(f"{images} images need as many noise keys, not {len(keys)}")


def noise_sample(shape: Sequence[int], seed: int, key: Key, sample: int) -> Tensor:
    """Standard normal noise (float32) that depends on (seed, key, sample) alone, all of them non-negative integers."""
    state = np.random.SeedSequence(seed, spawn_key=(*key, sample)).generate_state(1, np.uint64)
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(int(state[0])))


def path_attributions(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    start: Tensor,
    points: np.ndarray,
    weights: np.ndarray,
    times_path: bool,
    samples: int = 1,
    noise: float = 0.0,
    spread: str = "input",
    power: int = 1,
    seed: int = 0,
) -> Tensor:
    """Mean over noisy samples of the power of the weighted sum of gradients along straight paths.

    Sample s of image i runs from start[i] to images[i] + noise; `points` on it are fractions of its length; the
    gradients there are summed with `weights` and, for `times_path`, multiplied by (end - start). All (image, sample,
    point) triples form one stream that is cut into batches of model.batch_size, so that memory does not grow with
    samples or points. noise: standard deviation as a fraction of `spread`. Returns (n, channels, height, width).
    """
    if power not in (1, 2) or samples < 1 or noise < 0:
        raise SaltrustError(f"power is 1 or 2, samples >= 1, noise >= 0; not {power=}, {samples=}, {noise=}")
    check_keys(keys, len(images))
    selection = model.select(images)
    deviation = noise * SPREADS[spread](images, *model.input_range)
    points, weights = (torch.as_tensor(a).to(images)[:, None, None, None] for a in (points, weights))
    maps = torch.zeros_like(images, memory_format=torch.contiguous_format)
    carried = None  # the sum of a path that the end of a batch has cut
    for items in torch.arange(len(images) * samples * len(points)).split(model.batch_size):
        path, point = items // len(points), items % len(points)
        paths = torch.arange(int(path[0]), int(path[-1]) + 1)
        cut = int(point[-1]) != len(points) - 1
        drawn = [noise_sample(images.shape[1:], seed, keys[p // samples], p % samples) for p in paths.tolist() if noise]
        image, path, point = (i.to(images.device) for i in (paths // samples, path - path[0], point))
        ends = images[image]
        if drawn:
            ends = torch.addcmul(ends, deviation[image], torch.stack(drawn).to(images))
        lengths = ends - start[image]
        places = torch.addcmul(start[image][path], points[point], lengths[path])
        gradients = model.gradients(places, selection.take(image[path]))
        sums = torch.zeros_like(ends, memory_format=torch.contiguous_format)
        if carried is not None:
            sums[0] = carried
        sums.index_add_(0, path, gradients.mul_(weights[point]))
        carried = sums[-1] if cut else None
        whole = len(paths) - cut
        values = sums[:whole] * lengths[:whole] if times_path else sums[:whole]
        maps.index_add_(0, image[:whole], values if power == 1 else values.square(), alpha=1 / samples)
    return maps
