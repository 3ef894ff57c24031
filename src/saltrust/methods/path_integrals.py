"""Gradients along straight paths: baselines, noisy samples, points on the path, and passes in fixed-size batches."""

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
    """The image without its detail: same tones, same places, no edges.

    Args:
        images: (n, channels, height, width).
        black: not used; baselines are called alike.
        white: not used.

    Returns:
        A tensor of the images' shape.

    Source:
        Sturmfels et al. 2020.

    >>> blurred(torch.ones(1, 1, 4, 4), -1.0, 1.0).mean().item()
    1.0
    """
    sd = BLUR * min(images.shape[2:])
    return torch.as_tensor(gaussian_filter(images.cpu().numpy(), (0, 0, sd, sd))).to(images)


def starts(baseline: str | Tensor, images: Tensor, black: float, white: float) -> tuple[Tensor, ...]:
    """The baselines of a name, of several names joined by "+", or of a tensor of one's own.

    Args:
        baseline: names in BASELINES ("black+white"), or a tensor.
        images: (n, channels, height, width).
        black: the model's input for black.
        white: the model's input for white.

    Returns:
        Tensors that broadcast to the images.

    Raises:
        SaltrustError: a name is unknown, or the tensor does not fit.

    >>> [start.item() for start in starts("black+white", torch.zeros(1, 1, 2, 2), -1.0, 1.0)]
    [-1.0, 1.0]
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
    """How many baselines `starts` will return.

    >>> count_starts("black+white")
    2
    """
    return baseline.count("+") + 1 if isinstance(baseline, str) else 1


DISTRIBUTIONS: Registry[Callable[[Tensor, int, int, float, float], Tensor]] = Registry("distribution of baselines")
"""Sets of baselines: (images, count, seed, black, white) -> (count, 1, c or 1, h or 1, w or 1)."""


@DISTRIBUTIONS.register("greys")
def greys(images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """Uniform images at grey levels evenly spread from black to white.

    Args:
        images: (n, channels, height, width); only their type and device matter.
        count: number of baselines.
        seed: not used; sets of baselines are called alike.
        black: the model's input for black.
        white: the model's input for white.

    Returns:
        A tensor (count, 1, 1, 1, 1).

    >>> greys(torch.zeros(1, 1, 2, 2), 3, 0, -1.0, 1.0).flatten().tolist()
    [-1.0, 0.0, 1.0]
    """
    levels = torch.linspace(black, white, count, dtype=images.dtype, device=images.device)
    return levels[:, None, None, None, None]


@DISTRIBUTIONS.register("near_black")
def near_black(images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """Black with normal noise of a thousandth of the input range.

    Args:
        images: (n, channels, height, width).
        count: number of baselines.
        seed: of the noise.
        black: the model's input for black.
        white: the model's input for white.

    Returns:
        A tensor (count, 1, channels, height, width).

    Source:
        Tjoa & Guan's code.

    >>> near_black(torch.zeros(1, 1, 2, 2), 3, 0, -1.0, 1.0).shape
    torch.Size([3, 1, 1, 2, 2])
    """
    noise = torch.stack([noise_sample(images.shape[1:], seed, (), k) for k in range(count)])
    return black + 0.001 * (white - black) * noise.to(images)[:, None]


def baseline_set(distribution: str, images: Tensor, count: int, seed: int, black: float, white: float) -> Tensor:
    """Baselines from a distribution, the same for all images.

    Args:
        distribution: a name in DISTRIBUTIONS.
        images: (n, channels, height, width).
        count: number of baselines, at least 1.
        seed: of baselines that are drawn at random.
        black: the model's input for black.
        white: the model's input for white.

    Returns:
        A tensor (count, 1, c or 1, h or 1, w or 1).

    Raises:
        SaltrustError: the distribution is unknown, or count is below 1.

    >>> baseline_set("greys", torch.zeros(1, 1, 2, 2), 2, 0, 0.0, 1.0).flatten().tolist()
    [0.0, 1.0]
    """
    if count < 1:
        raise SaltrustError(f"there are {count} baselines; at least one is needed")
    return DISTRIBUTIONS[distribution](images, count, seed, black, white)


SPREADS: Registry[Callable[[Tensor, float, float], Tensor]] = Registry("noise spread")
"""What the noise level is a fraction of: (images, black, white) -> tensor (n, 1, 1, 1)."""
SPREADS.register("input")(lambda images, black, white: torch.full_like(images[:, :1, :1, :1], white - black))
SPREADS.register("image")(lambda images, black, white: images.amax((1, 2, 3), True) - images.amin((1, 2, 3), True))


def check_keys(keys: Sequence[Key], images: int) -> None:
    """Check that there is one noise key for each image.

    Args:
        keys: the noise keys.
        images: number of images.

    Raises:
        SaltrustError: their numbers differ.
    """
    if len(keys) != images:
        raise SaltrustError(f"{images} images need as many noise keys, not {len(keys)}")


def noise_sample(shape: Sequence[int], seed: int, key: Key, sample: int) -> Tensor:
    """Standard normal noise that depends on (seed, key, sample) alone.

    Args:
        shape: of the noise.
        seed: non-negative integer.
        key: non-negative integers, of the image.
        sample: non-negative integer.

    Returns:
        A tensor of the shape, float32.

    >>> torch.equal(noise_sample((2, 2), 0, (1,), 0), noise_sample((2, 2), 0, (1,), 0))
    True
    """
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
    powers: Sequence[int] = (1,),
    seed: int = 0,
) -> Tensor:
    """Mean over noisy samples of powers of the weighted sum of gradients along straight paths.

    Sample s of image i runs from start[i] to images[i] + noise. The gradients at points of it are summed with weights
    and, for `times_path`, multiplied by (end - start). All (image, sample, point) triples form one stream that is cut
    into batches of model.batch_size, so that memory does not grow with samples or points.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        keys: one tuple of non-negative integers for each image.
        start: where the paths start; broadcasts to the images but for its first axis, which is n.
        points: fractions of the path's length (k,), 0 to 1.
        weights: of the points (k,).
        times_path: whether to multiply by (end - start).
        samples: noisy samples, at least 1.
        noise: standard deviation, as a share of `spread`, at least 0.
        spread: what the noise is a share of, a name in SPREADS.
        powers: of what the samples give, each 1 or 2; all from the same passes.
        seed: of the noise.

    Returns:
        A tensor (powers, n, channels, height, width).

    Raises:
        SaltrustError: a parameter is out of range, or keys are missing.

    >>> model = Explained(torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten()))
    >>> rule = {"points": np.array([0.5]), "weights": np.array([1.0]), "times_path": True}
    >>> path_attributions(model, torch.ones(1, 1, 2, 2), [(0,)], start=torch.zeros(1, 1, 1, 1), **rule).sum().item()
    1.0
    """
    if not set(powers) <= {1, 2} or samples < 1 or noise < 0:
        power = ", ".join(map(str, powers))
        raise SaltrustError(f"power is 1 or 2, samples >= 1, noise >= 0; not {power=!s}, {samples=}, {noise=}")
    check_keys(keys, len(images))
    selection = model.select(images)
    deviation = noise * SPREADS[spread](images, *model.input_range)
    points, weights = (torch.as_tensor(a).to(images)[:, None, None, None] for a in (points, weights))
    maps = images.new_zeros(len(powers), *images.shape)
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
        for power, mean in zip(powers, maps, strict=True):
            mean.index_add_(0, image[:whole], values if power == 1 else values.square(), alpha=1 / samples)
    return maps
