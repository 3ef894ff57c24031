"""Methods as PAIR saliency computes them: it asks for gradients and does the rest in numpy, one image at a time."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from saltrust.methods.cam import Layer
from saltrust.methods.cam_layers import layer_of
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import Selection
from saltrust.methods.gradient import Noise, Power, Samples, Spread, Steps
from saltrust.methods.libraries.library import Library, Version
from saltrust.methods.path_integrals import SPREADS, Baseline, Key, Seed, starts
from saltrust.methods.totals import from_baseline

PAIR = Library("pair", "PAIR saliency", "saliency", "saliency.core", "pair2022saliency")
VERSION = PAIR.version

Mask = Callable[[np.ndarray, Callable, Tensor], np.ndarray]
"""(image (h, w, channels), function that PAIR calls for gradients, image (1, channels, h, w)) -> mask."""


def _masks(
    model: Explained,
    images: Tensor,
    mask: Mask,
    call: Callable[[Explained, Tensor, Selection], dict[str, Tensor]],
    seeds: Sequence[np.random.SeedSequence] | None = None,
) -> Tensor:
    """Maps (n, channels or 1, h, w) of masks (h, w[, channels]). PAIR draws noise from numpy's global generator, which
    is given back as it was."""
    accepted = model.accept(images)
    selection = model.select(accepted)
    maps, state = [], np.random.get_state()
    try:
        for i, image in enumerate(accepted.split(1)):
            if seeds:
                np.random.seed(seeds[i].generate_state(4))
            chosen = selection.take(slice(i, i + 1))
            found = PAIR.guarded(model, mask, _arrays(image)[0], _called(model, chosen, call), image)
            maps.append(torch.as_tensor(np.atleast_3d(found).copy()).permute(2, 0, 1))
    finally:
        np.random.set_state(state)
    return torch.stack(maps).to(images.device, images.dtype)


def _called(model: Explained, selection: Selection, call: Callable) -> Callable:
    """The function that PAIR calls with images (b, h, w, channels) for what it needs of the network."""

    def function(images: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, np.ndarray]:
        batch = torch.as_tensor(np.asarray(images)).permute(0, 3, 1, 2).to(model.device, model.dtype)
        one = selection.take(torch.zeros(len(batch), dtype=torch.long, device=model.device))
        return {key: _arrays(value) for key, value in call(model, batch, one).items()}

    return function


def _gradients(model: Explained, images: Tensor, selection: Selection) -> dict[str, Tensor]:
    return {"INPUT_OUTPUT_GRADIENTS": model.gradients(images, selection)}


def _arrays(images: Tensor) -> np.ndarray:
    """Channels last, as PAIR has them."""
    return images.detach().permute(0, 2, 3, 1).cpu().numpy()


def _smoothing(model: Explained, image: Tensor, samples: int, noise: float, spread: str, power: int) -> dict[str, Any]:
    """How PAIR is told of our smoothing: its spread is a share of the image's own range."""
    own = float(SPREADS["image"](image, *model.input_range))
    share = noise * float(SPREADS[spread](image, *model.input_range)) / (own or 1.0)
    return {"stdev_spread": share, "nsamples": samples, "magnitude": power == 2}


def _averaged(model: Explained, baseline: str | Tensor, image: Tensor, mask: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The mean over baselines (h, w, channels) of the masks that paths from them give."""
    begins = starts(baseline, image, *model.input_range)
    return sum(mask(_arrays(start.expand_as(image))[0]) for start in begins) / len(begins)


@PAIR.counterpart("grad")
def gradient(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """PAIR's GradientSaliency: the gradient that it is handed.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of PAIR saliency.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: that version of PAIR saliency is not installed, or it fails.

    Source:
        saliency/core/gradients.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradient(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    core = PAIR.load(version)
    return _masks(model, images, lambda x, call, _: core.GradientSaliency().GetMask(x, call), _gradients)


@PAIR.counterpart("smoothgrad")
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
    version: Version = VERSION,
) -> Tensor:
    """PAIR's GetSmoothedMask of its GradientSaliency.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its noise depends on.
        samples: noisy copies of the image, at least 1.
        noise: standard deviation of the noise, as a share of `spread`, at least 0.
        spread: the range of the "input", or of each "image" itself.
        power: 1 for the mean of the gradients; 2 for that of their squares, PAIR's default.
        seed: of the noise.
        version: of PAIR saliency.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        saliency/core/base.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> smoothgrad(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=2).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    core = PAIR.load(version)

    def smooth(x: np.ndarray, call: Callable, image: Tensor) -> np.ndarray:
        given = _smoothing(model, image, samples, noise, spread, power)
        return core.GradientSaliency().GetSmoothedMask(x, call, **given)

    return _masks(model, images, smooth, _gradients, _seeds(seed, keys))


def _seeds(seed: int, keys: Sequence[Key]) -> list[np.random.SeedSequence]:
    return [np.random.SeedSequence(seed, spawn_key=key) for key in keys]


@PAIR.counterpart("ig", total=from_baseline)
def integrated_gradients(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    steps: Steps = 25,
    baseline: Baseline = "black",
    version: Version = VERSION,
) -> Tensor:
    """PAIR's IntegratedGradients: equal points, both ends included and weighed in full.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        steps: points on the path, at least 1.
        baseline: names in BASELINES joined by "+", whose maps are averaged, or a tensor that broadcasts to the images.
        version: of PAIR saliency.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        saliency/core/integrated_gradients.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> integrated_gradients(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], steps=2, baseline="grey").tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    core, path = PAIR.load(version), {"x_steps": steps, "batch_size": model.batch_size}

    def integrate(x: np.ndarray, call: Callable, image: Tensor) -> np.ndarray:
        return _averaged(
            model,
            baseline,
            image,
            lambda start: core.IntegratedGradients().GetMask(x, call, x_baseline=start, **path),
        )

    return _masks(model, images, integrate, _gradients)


@PAIR.counterpart("smooth_ig")
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
    version: Version = VERSION,
) -> Tensor:
    """PAIR's GetSmoothedMask of its IntegratedGradients.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its noise depends on.
        samples: as in `smoothgrad`.
        noise: as in `smoothgrad`.
        spread: as in `smoothgrad`.
        power: as in `smoothgrad`.
        seed: of the noise.
        steps: as in `integrated_gradients`.
        baseline: as in `integrated_gradients`.
        version: of PAIR saliency.

    Returns:
        Maps of the images' shape, in units of the explained scalar, or of its square.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        saliency/core/base.py, saliency/core/integrated_gradients.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> smooth_integrated_gradients(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=2, steps=2).shape
    torch.Size([1, 1, 2, 2])
    """
    core, path = PAIR.load(version), {"x_steps": steps, "batch_size": model.batch_size}

    def smooth(x: np.ndarray, call: Callable, image: Tensor) -> np.ndarray:
        given = _smoothing(model, image, samples, noise, spread, power) | path
        return _averaged(
            model,
            baseline,
            image,
            lambda start: core.IntegratedGradients().GetSmoothedMask(x, call, x_baseline=start, **given),
        )

    return _masks(model, images, smooth, _gradients, _seeds(seed, keys))


@PAIR.counterpart("xrai", passes=lambda p: p["steps"] * len(p["baselines"]))
def xrai(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    steps: Annotated[int, "points on each path"] = 25,
    baselines: Annotated[tuple[str, ...], "where the paths start; their attributions are averaged"] = (
        "black",
        "white",
    ),
    algorithm: Annotated[str, '"full", or "fast": regions ranked once, whatever is already covered'] = "full",
    version: Version = VERSION,
) -> Tensor:
    """PAIR's XRAI, its own segmentation included. By default its paths start at the image's least and largest value.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        steps: points on each path.
        baselines: names in BASELINES, at least one.
        algorithm: "full" or "fast".
        version: of PAIR saliency.

    Returns:
        Maps (n, 1, height, width): for each pixel the mean attribution that its region added.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        saliency/core/xrai.py
    """
    core = PAIR.load(version)

    def rank(x: np.ndarray, call: Callable, image: Tensor) -> np.ndarray:
        begins = starts("+".join(baselines), image, *model.input_range)
        given = core.XRAIParameters(steps=steps, algorithm=algorithm)
        return core.XRAI().GetMask(
            x,
            call,
            baselines=[_arrays(start.expand_as(image))[0] for start in begins],
            batch_size=model.batch_size,
            extra_parameters=given,
        )

    return _masks(model, images, rank, _gradients)


@PAIR.counterpart("gradcam")
def gradcam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """PAIR's GradCam: divided by its maximum, then enlarged bilinearly by scikit-image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: dotted path of the module whose output is used; None as in our Grad-CAM.
        version: of PAIR saliency.

    Returns:
        Maps (n, 1, height, width), from 0 to at most 1.

    Raises:
        SaltrustError: as `gradient`; or as our Grad-CAM.

    Source:
        saliency/core/grad_cam.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradcam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
    """
    core, path = PAIR.load(version), layer_of(model, model.accept(images), layer)

    def activations(model: Explained, images: Tensor, selection: Selection) -> dict[str, Tensor]:
        values, gradients = model.activations(images, path)
        return {"CONVOLUTION_LAYER_VALUES": values, "CONVOLUTION_OUTPUT_GRADIENTS": gradients}

    return _masks(model, images, lambda x, call, _: core.GradCam().GetMask(x, call, three_dims=False), activations)


@PAIR.method(
    "blur_ig",
    abbreviation="BIG (PAIR saliency)",
    title="Blur Integrated Gradients (PAIR saliency)",
    family="gradient",
    cite="xu2020attribution,pair2022saliency",
    formula=r"\int_{\infty}^{0} \frac{\partial f(x_\sigma)}{\partial x_\sigma} \odot "
    r"\frac{\partial x_\sigma}{\partial \sigma} \, d\sigma, \quad x_\sigma = \mathcal{N}(0, \sigma^2) * x",
    passes=lambda p: p["steps"],
    from_protocol=lambda protocol, profile: {"steps": min(protocol.steps, profile.steps)},
)
def blur_ig(
    model: Explained, images: Tensor, keys: Sequence[Key], *, steps: Steps = 25, version: Version = VERSION
) -> Tensor:
    """PAIR's BlurIG: a path from a blurred image, up to a standard deviation of 50 pixels, to the image itself.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        steps: points on the path, at least 1.
        version: of PAIR saliency.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        Xu et al. 2020; saliency/core/blur_ig.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> blur_ig(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], steps=2).shape
    torch.Size([1, 1, 2, 2])
    """
    core, path = PAIR.load(version), {"steps": steps, "batch_size": model.batch_size}
    return _masks(model, images, lambda x, call, _: core.BlurIG().GetMask(x, call, **path), _gradients)
