"""A second, slow and independent route to each map: what a network does to a method shows where they part.

The methods are tested on networks that the tests know. A network of unknown make may still fool them: it may keep
something from one call to the next, write into its input, mix the images of a batch, or hide what it does. So on two
images every map is compared with what comes of another route to it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saltrust.core.registry import Registry
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import Selection
from saltrust.methods.guided import GatedReLU
from saltrust.methods.lrp import less_biases
from saltrust.methods.network_runs import isolated
from saltrust.methods.path_integrals import Key
from saltrust.methods.registry import Method


@dataclass(frozen=True)
class Deviation:
    """How far a map is from what its second route says.

    Attributes:
        share: of the map's size, sum |value|.
        allowed: what rounding may come to, with room to spare.
        route: what the map was compared with, in words.
    """

    share: float
    allowed: float
    route: str

    @property
    def is_close(self) -> bool:
        """Whether the map does what it should; NaN does not."""
        return self.share <= self.allowed

    def __str__(self) -> str:
        return (
            f"its map is {self.share:.2g} of its size away from {self.route} ({self.allowed:g} is allowed): look for "
            "what the network keeps from one call to the next, hides from torch or does in a backward pass of its own"
        )


Route = Callable[[Method, Explained, "Plain", Tensor, Sequence[Key], Mapping[str, Any], Tensor], Deviation | None]
"""(method, the network, the same plainly, images, keys, all parameters, the method's maps) -> how far they are off."""

ROUTES: Registry[Route] = Registry("second route")
"""Of the methods with a rule for operations, by the method's name; all others are run on the plain network."""


# Of a map's size. In single precision a ReLU near 0, or a maximum among near equals, may go the other way, and with it
# the gradient of all that lies behind; networks of random weights came to 0.04, faults to 0.3 and more.
ALLOWED = {torch.float64: 1e-6, torch.float32: 0.2}


def precise(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of a network in double precision, where it runs so; else in its own.

    Args:
        network: maps images (n, channels, height, width) to outputs (n, n_outputs).
        images: some that it takes.

    Returns:
        The copy.

    >>> next(precise(nn.Linear(2, 1), torch.ones(1, 2)).parameters()).dtype
    torch.float64
    """
    double = copy.deepcopy(network).double().eval()
    with isolated(images.device), torch.no_grad():
        try:
            outputs = double(images.double())
        except Exception:  # what names a precision of its own may raise anything
            return copy.deepcopy(network)
    return double if outputs.dtype == torch.float64 else copy.deepcopy(network)


class Plain(Explained):
    """The network as it was given, image by image: no batches, no folding, no memory format, a fresh copy of each image
    for each pass. Where a method asks for layers, it gets those of the other route.

    Args:
        network: maps images (n, channels, height, width) to outputs (n, n_outputs).
        explained: the same network, as the methods see it.
    """

    def __init__(self, network: nn.Module, explained: Explained) -> None:
        self.scalar, self.target, self.cam_layer = explained.scalar, explained.target, explained.cam_layer
        self.input_range, self.device, self.dtype = explained.input_range, explained.device, explained.dtype
        self.batch_size, self._to_be_measured, self._rules = 1, False, None
        self.other = explained
        self.plain = copy.deepcopy(network).to(self.device).eval().requires_grad_(False)

    def outputs(self, images: Tensor) -> Tensor:
        with isolated(self.device), torch.no_grad():
            return torch.cat([self.plain(image[None].clone()) for image in images])

    def scalars(self, images: Tensor, selection: Selection | None = None) -> Tensor:
        selection = selection or self.select(images)
        return selection.pick(self.scalar.link(self.outputs(images)))

    def scalars_and_gradients(self, images: Tensor, selection: Selection | None = None) -> tuple[Tensor, Tensor]:
        selection = selection or self.select(images)
        results = [self._backward(image[None], selection.take([i])) for i, image in enumerate(images)]
        scalars, _, gradients = map(torch.cat, zip(*results, strict=True))
        return scalars, gradients

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        whole = [self.whole(layer) for layer in layers]
        seen = [[self._backward(image[None], None, layer)[1] for image in images] for layer in whole]
        return {layer: torch.cat(parts) for layer, parts in zip(whole, seen, strict=True)}

    def activations(self, images: Tensor, layer: str | None = None) -> tuple[Tensor, Tensor]:
        layer, selection = self.other._cam_layer(layer), self.select(images)
        results = [self._backward(image[None], selection.take([i]), layer) for i, image in enumerate(images)]
        _, outputs, gradients = map(torch.cat, zip(*results, strict=True))
        return outputs, gradients

    @property
    def blocks(self) -> list[str]:
        return self.other.blocks

    def block_grids(self, images: Tensor) -> dict[str, tuple[int, int]]:
        return self.other.block_grids(images)

    def grids(self, layers: Sequence[str], images: Tensor) -> dict[str, tuple[int, int]]:
        return self.other.grids(layers, images)

    def whole(self, layer: str) -> str:
        return self.other.whole(layer)

    def scalar_of(self, image: Tensor, selection: Selection) -> tuple[Tensor, Tensor]:
        """The explained scalar of one image (1, channels, height, width), with its graph, and the image in it."""
        start = image.detach().clone().requires_grad_()
        return selection.pick(self.scalar.link(self.plain(start.clone()))), start

    def _backward(
        self, image: Tensor, selection: Selection | None, layer: str | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(scalar, variable, gradient) of one image: the variable is the image, or what the layer returns for it.
        Without a selection there is no pass backward."""
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
            seen.append(output)
            return output.clone()

        handle = self.plain.get_submodule(layer).register_forward_hook(keep) if layer else None
        try:
            with isolated(self.device):
                scalar, start = self.scalar_of(image, selection or self.select(image))
                variable = seen[-1] if layer else start
                if selection is None:
                    return scalar.detach(), variable.detach(), variable.detach()
                (gradient,) = torch.autograd.grad(scalar.sum(), variable)
                return scalar.detach(), variable.detach(), gradient
        finally:
            if handle is not None:
                handle.remove()


def deviation(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation | None:
    """How far a method's maps are from what their second route says; None where there is no other route.

    Args:
        method: not a composition: its parts are compared, each by itself.
        explained: the network.
        plain: the same network, plainly.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image.
        parameters: of the method, those that differ from its defaults.
        maps: what the method has made of the images.

    Returns:
        The deviation.

    >>> from saltrust.methods.registry import METHODS
    >>> import saltrust.methods.gradient
    >>> network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    >>> model, images = Explained(network), torch.ones(1, 1, 2, 2)
    >>> plain, grad = Plain(network, model), METHODS["grad"]
    >>> [deviation(grad, model, plain, images, [(0,)], {}, torch.full((1, 1, 2, 2), v)).is_close for v in (0.25, 0.3)]
    [True, False]
    """
    if method.library:
        return None
    route = ROUTES.get(method.name, _same_method)
    return route(method, explained, plain, images, keys, method.complete(parameters), maps)


def _same_method(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation:
    expected = method.function(plain, images, keys, **parameters)
    return Deviation(
        _share(maps - expected, expected), ALLOWED[plain.dtype], "that of each image by itself, by autograd alone"
    )


@ROUTES.register("deeplift")
@ROUTES.register("deeplift_shap")
def _complete(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation:
    """DeepLIFT's maps add up to the change of the explained scalar, which two forward passes give."""
    totals = method.total(plain, plain.accept(images), **parameters)
    return Deviation(
        _share(_sums(maps) - totals, maps), ALLOWED[plain.dtype], "the sum that it should have, f(image) - f(baseline)"
    )


@ROUTES.register("lrp")
def _conserved(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation:
    """LRP loses no relevance but what biases take, which the layers' outputs without their inputs tell."""
    totals = less_biases(explained, explained.accept(images), **parameters)
    return Deviation(
        _share(_sums(maps) - totals, maps), ALLOWED[plain.dtype], "the sum that it should have, f less what biases take"
    )


@ROUTES.register("lrp_composite")
def _one_by_one(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation:
    """Each image by itself: all that is left where no sum is promised and the rules are the method."""
    single = [
        method.function(explained, image[None], [key], **parameters) for image, key in zip(images, keys, strict=True)
    ]
    expected = torch.cat(single)
    return Deviation(_share(maps - expected, expected), ALLOWED[plain.dtype], "that of each image by itself")


@ROUTES.register("guided_backprop")
@ROUTES.register("deconvolution")
def _by_graph(
    method: Method,
    explained: Explained,
    plain: Plain,
    images: Tensor,
    keys: Sequence[Key],
    parameters: Mapping[str, Any],
    maps: Tensor,
) -> Deviation | None:
    """The rule at the ReLU nodes of autograd's graph, whatever has made them. None for a network that has others."""
    seen = GatedReLU(method.title, lambda gradient, fired: gradient * fired, "gradient")
    with explained.under(seen):
        explained.gradients(explained.accept(images)[:1])
    accepted, guided = plain.accept(images), method.name == "guided_backprop"
    selection, expected = plain.select(accepted), []

    def gate(node: Any) -> Callable[[tuple, tuple], tuple]:
        def rule(into: tuple, out: tuple) -> tuple[Tensor]:
            positive = out[0].clamp(min=0)
            return (positive * (node._saved_result > 0) if guided else positive,)

        return rule

    for i, image in enumerate(accepted):
        with isolated(plain.device):
            scalar, start = plain.scalar_of(image[None], selection.take([i]))
            nodes = [node for node in graph(scalar) if node.name() == "ReluBackward0"]
            if len(nodes) < seen.calls:  # ReLUs in other words
                return None
            for node in nodes:
                node.register_hook(gate(node))
            expected += torch.autograd.grad(scalar.sum(), start)
    expected = torch.cat(expected)
    return Deviation(_share(maps - expected, expected), ALLOWED[plain.dtype], "what the rule gives in autograd's graph")


def graph(output: Tensor) -> list[Any]:
    """All nodes of autograd's graph behind a tensor.

    >>> [node.name() for node in graph(torch.ones(1, requires_grad=True).relu())][:1]
    ['ReluBackward0']
    """
    waiting, met = [output.grad_fn], {}
    while waiting:
        node = waiting.pop()
        if node is not None and node not in met:
            met[node] = None
            waiting += [following for following, _ in node.next_functions]
    return list(met)


def _sums(maps: Tensor) -> Tensor:
    return maps.double().sum((1, 2, 3))


def _share(difference: Tensor, like: Tensor) -> float:
    """Sum |difference| over sum |like|; 0 where both are nothing."""
    missed, size = float(difference.double().abs().sum()), float(like.double().abs().sum())
    return missed / size if size else 0.0 if missed == 0 else float("inf")
