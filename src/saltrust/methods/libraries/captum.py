"""Methods as captum computes them: by hooks on the network's modules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.methods.cam import Layer
from saltrust.methods.cam_layers import layer_of
from saltrust.methods.explained import Explained
from saltrust.methods.gradient import Noise, Power, Quadrature, Samples, Spread, Steps
from saltrust.methods.hidden_parts import Hidden, hiding_baseline
from saltrust.methods.libraries.library import Library, Signed, Version
from saltrust.methods.occlusion import Stride, Window
from saltrust.methods.path_integrals import (
    SPREADS,
    Baseline,
    Distribution,
    Key,
    References,
    Seed,
    baseline_set,
    starts,
)
from saltrust.methods.registry import METHODS
from saltrust.methods.totals import from_baseline, from_baseline_set

CAPTUM = Library("captum", "captum", "captum", "captum.attr", "kokhlikyan2020captum")
VERSION = CAPTUM.version

QUADRATURES = {"gauss_legendre": "gausslegendre"} | {
    name: name for name in ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
}
"""What captum calls our quadratures; that of PAIR saliency is not among them."""
NOISES = {1: "smoothgrad", 2: "smoothgrad_sq"}
"""What captum calls our powers."""


def _known(kind: str, names: Mapping[Any, str], name: Any) -> str:
    if name not in names:
        raise unknown_name(f"{kind} of captum", name, map(str, names))
    return names[name]


def _attributed(model: Explained, images: Tensor, attribute: Callable[[nn.Module], Any], **given: Any) -> Tensor:
    """What one of captum's classes makes of the images by themselves."""
    return CAPTUM.attributed(
        model, images, lambda network, x, targets: attribute(network).attribute(x, target=targets, **given)
    )


def _mean_over(
    model: Explained, images: Tensor, baseline: str | Tensor, attribute: Callable[[nn.Module], Any], **given: Any
) -> Tensor:
    """What captum makes of the images and a baseline, averaged over the baselines."""

    def mean(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        begins = starts(baseline, x.detach(), *model.input_range)
        theirs = [start.expand_as(x).contiguous() for start in begins]
        return sum(attribute(network).attribute(x, start, target=targets, **given) for start in theirs) / len(theirs)

    return CAPTUM.attributed(model, images, mean)


@CAPTUM.counterpart("grad")
def gradient(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """captum's Saliency, with its sign.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: that version of captum is not installed, or it refuses the network.

    Source:
        captum/attr/_core/saliency.py; its default abs=True would drop the sign.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradient(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return _attributed(model, images, CAPTUM.load(version).Saliency, abs=False)


@CAPTUM.counterpart("input_x_gradient")
def input_x_gradient(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """captum's InputXGradient.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: that version of captum is not installed, or it refuses the network.

    Source:
        captum/attr/_core/input_x_gradient.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> input_x_gradient(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return _attributed(model, images, CAPTUM.load(version).InputXGradient)


@CAPTUM.counterpart("smoothgrad")
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
    """captum's NoiseTunnel around its Saliency, with its sign. Its noise is drawn from torch's generator.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its noise depends on.
        samples: noisy copies of the image, at least 1.
        noise: standard deviation of the noise, as a share of `spread`, at least 0.
        spread: the range of the "input", or of each "image" itself.
        power: 1 for the mean of the gradients, 2 for that of their squares.
        seed: of the noise.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: as `gradient`; or the power is another.

    Source:
        captum/attr/_core/noise_tunnel.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> smoothgrad(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], samples=2).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    attr, kind = CAPTUM.load(version), _known("power of SmoothGrad", NOISES, power)
    waiting = iter(keys)

    def smooth(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        torch.manual_seed(int(np.random.SeedSequence(seed, spawn_key=next(waiting)).generate_state(1)[0]))
        deviation = float(noise * SPREADS[spread](x.detach(), *model.input_range))
        at_once = min(samples, model.batch_size)
        given = {"nt_type": kind, "nt_samples": samples, "nt_samples_batch_size": at_once, "stdevs": deviation}
        return attr.NoiseTunnel(attr.Saliency(network)).attribute(x, target=targets, abs=False, **given)

    return CAPTUM.attributed(model, images, smooth, by_image=True)


@CAPTUM.counterpart(
    "ig",
    total=from_baseline,
    from_protocol=lambda protocol, profile: {
        name: value
        for name, value in METHODS["ig"].from_protocol(protocol, profile).items()
        if name != "quadrature" or value in QUADRATURES
    },
)
def integrated_gradients(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    steps: Steps = 25,
    baseline: Baseline = "black",
    quadrature: Quadrature = "gauss_legendre",
    version: Version = VERSION,
) -> Tensor:
    """captum's IntegratedGradients. Where a protocol asks for a quadrature that captum lacks, it has its default.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        steps: points of the quadrature, at least 1.
        baseline: names in BASELINES joined by "+", whose maps are averaged, or a tensor that broadcasts to the images.
        quadrature: how the points are placed and weighed, a name in QUADRATURES.
        version: of captum.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`; or a parameter is not allowed.

    Source:
        captum/attr/_core/integrated_gradients.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> integrated_gradients(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], steps=1, baseline="grey").tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    attr, rule = CAPTUM.load(version), _known("quadrature", QUADRATURES, quadrature)
    size = {"internal_batch_size": max(model.batch_size, len(images))}
    return _mean_over(model, images, baseline, attr.IntegratedGradients, n_steps=steps, method=rule, **size)


@CAPTUM.counterpart("deeplift", total=from_baseline)
def deeplift(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    baseline: Baseline = "black",
    version: Version = VERSION,
) -> Tensor:
    """captum's DeepLift. It sees activations that are modules, and takes all others for linear.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        baseline: as in `integrated_gradients`.
        version: of captum.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        captum/attr/_core/deep_lift.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> deeplift(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], baseline="grey").tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return _mean_over(model, images, baseline, CAPTUM.load(version).DeepLift)


@CAPTUM.counterpart("deeplift_shap", total=from_baseline_set)
def deeplift_shap(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    distribution: Distribution = "greys",
    references: References = 4,
    seed: Seed = 0,
    version: Version = VERSION,
) -> Tensor:
    """captum's DeepLiftShap; as `deeplift`, over a set of baselines.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        distribution: the set of baselines, a name in DISTRIBUTIONS.
        references: number of baselines, at least 2.
        seed: of baselines that are drawn at random.
        version: of captum.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`.

    Source:
        captum/attr/_core/deep_lift.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> deeplift_shap(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], references=2).shape
    torch.Size([1, 1, 2, 2])
    """
    attr = CAPTUM.load(version)

    def mean(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        begins = baseline_set(distribution, x.detach(), references, seed, *model.input_range)[:, 0]
        begins = begins.expand(-1, *x.shape[1:]).contiguous()
        return attr.DeepLiftShap(network).attribute(x, begins, target=targets)

    return CAPTUM.attributed(model, images, mean)


@CAPTUM.counterpart("guided_backprop")
def guided_backprop(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """captum's GuidedBackprop. It guides ReLU modules; a call of relu() passes its own gradient.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: that version of captum is not installed, or it refuses the network.

    Source:
        captum/attr/_core/guided_backprop_deconvnet.py

    >>> network = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> guided_backprop(Explained(network, scalar="negated_logit"), torch.ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.0, 0.0], [0.0, 0.0]]]]
    """
    return _attributed(model, images, CAPTUM.load(version).GuidedBackprop)


@CAPTUM.counterpart("deconvolution")
def deconvolution(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """captum's Deconvolution. It changes ReLU modules; a call of relu() passes its own gradient.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: that version of captum is not installed, or it refuses the network.

    Source:
        captum/attr/_core/guided_backprop_deconvnet.py

    >>> network = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> deconvolution(Explained(network), -torch.ones(1, 1, 2, 2), [(0,)]).tolist()  # no ReLU fires
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return _attributed(model, images, CAPTUM.load(version).Deconvolution)


@CAPTUM.counterpart("guided_gradcam", passes=lambda p: 2)
def guided_gradcam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """captum's GuidedGradCam, enlarged bilinearly: the product of raw maps.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: dotted path of the module whose output Grad-CAM uses; None as in our Grad-CAM.
        version: of captum.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: as `gradient`; or the layer does not exist, or was changed by folding.

    Source:
        captum/attr/_core/guided_grad_cam.py

    >>> layers = torch.nn.AvgPool2d(2), torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten()
    >>> model = Explained(torch.nn.Sequential(*layers))
    >>> guided_gradcam(model, torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
    """
    attr, path = CAPTUM.load(version), model.whole(layer_of(model, model.accept(images), layer))

    def product(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        guided = attr.GuidedGradCam(network, network.get_submodule(f"network.{path}"))
        return guided.attribute(x, target=targets, interpolate_mode="bilinear")

    return CAPTUM.attributed(model, images, product)


@CAPTUM.counterpart("gradcam")
def gradcam(
    model: Explained, images: Tensor, keys: Sequence[Key], *, layer: Layer = None, version: Version = VERSION
) -> Tensor:
    """captum's LayerGradCam without its negative part, enlarged bilinearly.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        layer: as in `guided_gradcam`.
        version: of captum.

    Returns:
        Maps (n, 1, height, width), non-negative.

    Raises:
        SaltrustError: as `guided_gradcam`.

    Source:
        captum/attr/_core/layer/grad_cam.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> gradcam(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], layer="0").shape
    torch.Size([1, 1, 4, 4])
    """
    attr, path = CAPTUM.load(version), model.whole(layer_of(model, model.accept(images), layer))

    def cam(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        layer_cam = attr.LayerGradCam(network, network.get_submodule(f"network.{path}"))
        small = layer_cam.attribute(x, target=targets, relu_attributions=True)
        return attr.LayerAttribution.interpolate(small, tuple(x.shape[2:]), "bilinear")

    return CAPTUM.attributed(model, images, cam)


def _folded_passes(network: nn.Module, version: str) -> nn.Module:
    """The network, with captum's rule where batch normalization was folded: relevance passes as it is."""
    rules = CAPTUM.load(version, "captum.attr._utils.lrp_rules")
    for module in network.modules():
        if type(module) is nn.Identity:
            module.rule = rules.EpsilonRule()
    return network


class _Some(nn.Module):
    """Some outputs of a network."""

    def __init__(self, network: nn.Module, targets: Sequence[int]):
        super().__init__()
        self.network, self.targets = network, list(targets)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)[:, self.targets]


def _gradients(forward: Callable, inputs: tuple[Tensor], *_: object) -> tuple[Tensor]:
    """What captum's LRP asks for, of every output: (n * outputs, ...), from one run of what it has put hooks on."""
    columns = forward(*inputs).unbind(1)
    found = [torch.autograd.grad(one.sum(), inputs, retain_graph=one is not columns[-1])[0] for one in columns]
    return (torch.stack(found, 1).flatten(0, 1),)


def _relevances(model: Explained, images: Tensor, targets: Sequence[int], version: str) -> Tensor:
    """captum's LRP of several outputs, as of one after the other: its passes forward are the same for all of them."""
    if model.scalar.place is not None:
        raise SaltrustError("the predicted class of an image is one output: ask for it, not for several")
    attr = CAPTUM.load(version)

    def relevances(network: Signed, x: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            outputs = network.network(x)
            share = (network.link(outputs) / outputs)[:, targets]
        explainer = attr.LRP(_Some(_folded_passes(network.network, version), targets))
        explainer.gradient_func = _gradients
        return explainer.attribute(x).unflatten(0, share.shape) * share[..., None, None, None]

    return CAPTUM.attributed(model, images, relevances).transpose(0, 1)


@CAPTUM.counterpart(
    "lrp", several=lambda model, images, keys, targets, version: _relevances(model, images, targets, version)
)
def lrp(model: Explained, images: Tensor, keys: Sequence[Key], *, version: Version = VERSION) -> Tensor:
    """captum's LRP with its default rule, epsilon; where batch normalization was folded, relevance passes as it is.

    It sees modules. Through a call of a function, such as relu() or flatten(), it passes a gradient where relevance
    would have to be shared: behind a pooling that is called so, every position gets the same share, whatever its value.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        version: of captum.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`; captum has no rule for other activations than ReLU and tanh, nor for flattening.

    Source:
        captum/attr/_core/lrp.py
    """
    attr = CAPTUM.load(version)

    def relevance(network: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        return attr.LRP(_folded_passes(network, version)).attribute(x, target=index)

    return CAPTUM.attributed(model, images, lambda network, x, targets: network.relevance(x, targets, relevance))


@CAPTUM.counterpart("occlusion")
def occlusion(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    window: Window = 1 / 8,
    stride: Stride = 1 / 16,
    baseline: Hidden = "grey",
    version: Version = VERSION,
) -> Tensor:
    """captum's Occlusion. Its windows and steps are whole pixels, the shares of the side rounded.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        window: side of the window, as a share of the image's side, up to 1.
        stride: step of the window, as a share of the image's side, above 0 and up to the window.
        baseline: what hidden pixels become: a name in BASELINES, or a tensor that broadcasts to the images.
        version: of captum.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `gradient`; or the baseline is several.

    Source:
        captum/attr/_core/occlusion.py

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> occlusion(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], window=0.5, stride=0.5).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    attr = CAPTUM.load(version)
    size, step = ([max(round(share * side), 1) for side in images.shape[2:]] for share in (window, stride))

    def hide(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        channels, hidden = x.shape[1], hiding_baseline(model, x.detach(), baseline)
        windows = {"sliding_window_shapes": (channels, *size), "strides": (channels, *step)}
        at_once = max(model.batch_size // len(x), 1)
        given = {"baselines": hidden, "target": targets, "perturbations_per_eval": at_once}
        with torch.no_grad():
            return attr.Occlusion(network).attribute(x.detach(), **windows, **given)

    return CAPTUM.attributed(model, images, hide)
