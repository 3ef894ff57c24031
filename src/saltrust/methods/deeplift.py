"""DeepLIFT with the Rescale rule: differences from a reference, traced back through the network."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import Selection
from saltrust.methods.operations import KINDS, Call, Operations, parse, place, rescaled
from saltrust.methods.path_integrals import (
    Baseline,
    Distribution,
    Key,
    References,
    Seed,
    baseline_set,
    count_starts,
    starts,
)
from saltrust.methods.quadrature import quadrature_rule
from saltrust.methods.registry import method
from saltrust.methods.rules import Rules
from saltrust.methods.totals import from_baseline, from_baseline_set

SOFTMAX_STEPS = 128  # a softmax is the last operation: points are cheap, and this many leave rounding alone

Reference = tuple[str, Tensor]
"""Name of a nonlinear operation, and its input when the network runs on the reference."""


class Recorder(Rules):
    """Keeps the inputs of the nonlinear operations, in the order of their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Reference] = []

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        if KINDS.get(call.name) in NONLINEAR:
            self.calls.append((call.name, call.tensors[0].clone()))  # a clone: the operation may work in place
        return func(*args, **(kwargs or {}))


class RescaleRules(Operations):
    """The network on images, with each nonlinear operation's gradient replaced by its multiplier.

    The multiplier is the change of the output over the change of the input, from a reference to the image.

    Args:
        calls: the nonlinear operations of the run on the reference, as `Recorder` keeps them.
    """

    def __init__(self, calls: Sequence[Reference]) -> None:
        super().__init__("DeepLIFT", {kind: self._against_reference(rule) for kind, rule in NONLINEAR.items()})
        self._calls = calls
        self._waiting: Iterator[Reference] = iter(calls)
        self._reference: Tensor | None = None

    def restart(self, images: Tensor) -> None:
        """Begin the recorded operations again, before the next run."""
        super().restart(images)
        self._waiting = iter(self._calls)

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        if KINDS.get(call.name) in NONLINEAR:
            name, self._reference = next(self._waiting, ("no further operation", torch.empty(0)))
            if name != call.name or not _broadcasts(self._reference, call.tensors[0]):
                raise self._divergence(call.name, name)
        return super().__torch_function__(func, types, args, kwargs)

    def finish(self, outputs: Tensor) -> None:
        """Check that the run on the reference had no further operations.

        Args:
            outputs: what the run on the image has returned.

        Raises:
            SaltrustError: it had.
        """
        super().finish(outputs)
        left = next(self._waiting, None)
        if left is not None:
            raise self._divergence("no further operation", left[0])

    def _against_reference(self, rule: Callable[[Call, Tensor], Tensor]) -> Callable[[Call], Tensor]:
        return lambda call: rule(call, self._reference)

    def _divergence(self, image: str, reference: str) -> SaltrustError:
        return SaltrustError(
            f"DeepLIFT compares the same operations on image and reference; in {place(self.path)} the image meets "
            f"'{image}' where the reference met '{reference}', by name or by shape. A model whose operations depend on "
            "the input's values, or that mixes the images of a batch, needs another method, such as 'ig'"
        )


def _broadcasts(reference: Tensor, value: Tensor) -> bool:
    shapes = zip(reference.shape, value.shape, strict=False)
    return reference.ndim == value.ndim and all(one in (1, other) for one, other in shapes)


def rescale(call: Call, reference: Tensor) -> Tensor:
    """The Rescale rule for a curve: multiplier (f(x) - f(r)) / (x - r).

    The derivative at x, its limit, takes its place where |x - r| <= eps^(2/3) (|f(x)| + |f(r)|), eps the machine
    epsilon: there rounding of f would leave an error of eps^(1/3) or more in the multiplier. The bound is in units of
    f, so that where the bend of a ReLU lies between x and r the multiplier is exact, however close they are.

    Args:
        call: an elementwise operation on the image.
        reference: its input r when the network runs on the reference; broadcasts to x.

    Returns:
        The operation's output, with the multiplier for a gradient.

    Source:
        Shrikumar et al. 2017, section 3.5.1.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> rescale(parse(torch.relu, (x,), None), torch.tensor([-1.0])).sum().backward()
    >>> x.grad.tolist()
    [0.75]
    """
    x = call.dependent[0]
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        at_x = call.run(lambda _: point)
        (slope,) = torch.autograd.grad(at_x.sum(), point)
    at_x, at_reference = at_x.detach(), call.run(lambda _: reference)
    change = point.detach() - reference
    small = change.abs() <= torch.finfo(x.dtype).eps ** (2 / 3) * (at_x.abs() + at_reference.abs())
    multiplier = torch.where(small, slope, (at_x - at_reference) / change)
    return rescaled(x, at_x, multiplier)


def rescale_maximum(call: Call, reference: Tensor) -> Tensor:
    """The Rescale rule for max pooling: gain and loss go to the window's winners.

    The gain over the reference, max(y, r) - r, goes to the window's winner in the image. The loss, y - max(y, r), goes
    to its winner in the reference. Both multipliers, gain or loss over the winner's own change, lie in [0, 1]: at its
    winner the image changes by at least the gain, and likewise for the loss.

    Args:
        call: a maximum over windows of the image.
        reference: its input when the network runs on the reference; broadcasts to that on the image.

    Returns:
        The operation's output, with the multipliers for gradients.

    Source:
        shap and captum, which share gain and loss out in the same way, but keep one window's share where windows
        overlap.

    >>> x = torch.tensor([[[1.0, 3.0]]], requires_grad=True)
    >>> rescale_maximum(parse(functional.max_pool1d, (x, 2), None), torch.tensor([[[2.0, 0.0]]])).sum().backward()
    >>> x.grad
    tensor([[[0.0000, 0.3333]]])
    """
    x = call.dependent[0]
    (places, winner), (reference_places, rival) = _windows(call, x), _windows(call, reference)
    reference_places, rival = reference_places.expand_as(places), rival.expand_as(winner)
    kept, lost = places.gather(-1, winner), places.gather(-1, rival)  # gradients of windows that overlap are added
    y, y_reference = kept.detach(), reference_places.gather(-1, rival)
    highest = torch.maximum(y, y_reference)
    gain = _ratio(highest - y_reference, y - reference_places.gather(-1, winner))
    loss = _ratio(y - highest, lost.detach() - y_reference)
    value = call.run(Tensor.detach)
    return rescaled((gain * kept + loss * lost).reshape(value.shape), value)


def _windows(call: Call, values: Tensor) -> tuple[Tensor, Tensor]:
    """The values with their pooled dimensions joined to a last one, and each window's index of its maximum there."""
    if call.name == "amax":
        dims = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else tuple(range(values.ndim)))
        dims = (dims,) if isinstance(dims, int) else tuple(dims)
        places = values.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
        return places, places.argmax(-1, keepdim=True)
    options = {**call.kwargs, "return_indices": True}
    winner = getattr(functional, call.name)(values.detach(), *call.args[1:], **options)[1]
    dimensions = int(call.name[-2])  # max_pool2d
    return values.flatten(-dimensions), winner.flatten(-dimensions)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.where(whole != 0, 1)


def rescale_softmax(call: Call, reference: Tensor) -> Tensor:
    """The Rescale rule for softmax: the mean of its derivative along the straight line from reference to input.

    For a function of one variable that mean is the Rescale rule. For several variables, too, the contributions add up
    to the change of each output; those of captum, which centres the multipliers of one variable, do not.

    Args:
        call: a softmax or log_softmax of what depends on the image.
        reference: its input when the network runs on the reference; broadcasts to that on the image.

    Returns:
        The operation's output, with the mean derivative for a gradient.

    >>> x = torch.tensor([[1.0, 0.0]], requires_grad=True)
    >>> rescale_softmax(parse(torch.softmax, (x, 1), None), torch.zeros(1, 2))[0, 0].backward()
    >>> x.grad  # times the change, 1 and 0: softmax(1, 0) - softmax(0, 0)
    tensor([[ 0.2311, -0.2311]])
    """
    x = call.dependent[0]
    points, weights = quadrature_rule("gauss_legendre", SOFTMAX_STEPS)
    line = [torch.lerp(reference, x.detach(), float(point)) for point in points]
    moving = x - x.detach()
    mean = sum(float(weight) * call.run(lambda _, at=at: at + moving) for weight, at in zip(weights, line, strict=True))
    return rescaled(mean, call.run(Tensor.detach))


NONLINEAR: dict[str, Callable[[Call, Tensor], Tensor]] = {
    "elementwise": rescale,
    "maximum": rescale_maximum,
    "softmax": rescale_softmax,
}
"""Kind of operation -> its rule, a function of the call and of the operation's input on the reference."""


def multipliers(model: Explained, images: Tensor, selection: Selection, baseline: Tensor) -> Tensor:
    """Change of the explained scalar over the change of each input value, from the baseline to the image.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        selection: what is explained for each image.
        baseline: broadcasts to the images; where it is one for all, the network runs on it once.

    Returns:
        A tensor of the images' shape.

    Raises:
        SaltrustError: an operation has no rule, or image and baseline do not meet the same operations.

    >>> model = Explained(torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten()))
    >>> images = torch.ones(1, 1, 2, 2)
    >>> multipliers(model, images, model.select(images), torch.zeros(1, 1, 1, 1)).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    baseline = baseline.expand(-1, *images.shape[1:])
    shared = bool((baseline == baseline[:1]).all())
    parts, calls = [], []
    for items in torch.arange(len(images), device=images.device).split(model.batch_size):
        if not (parts and shared):
            calls = _record(model, baseline[:1] if shared else baseline[items], selection)
        rules = RescaleRules(calls)
        with model.under(rules):
            parts.append(model.gradients(images[items], selection.take(items)))
    return torch.cat(parts)


def _record(model: Explained, baseline: Tensor, selection: Selection) -> list[Reference]:
    recorder = Recorder()
    with model.under(recorder):
        model.scalars(baseline, selection.take(slice(0, len(baseline))))
    return recorder.calls


def _mean_over(model: Explained, images: Tensor, baselines: Sequence[Tensor]) -> Tensor:
    accepted = model.accept(images)
    selection = model.select(accepted)
    maps = [(accepted - start) * multipliers(model, accepted, selection, start) for start in baselines]
    return (sum(maps) / len(maps)).to(images.device)


@method(
    "deeplift",
    abbreviation="DL",
    title="DeepLIFT",
    family="modified_backward",
    cite="shrikumar2017learning",
    formula=r"(x - x') \odot m, \quad m^{l} = \frac{f^{l}(z) - f^{l}(z')}{z - z'} \, m^{l+1}",
    needs="convolutions, linear layers, pooling, sums and activations alone",
    passes=lambda p: count_starts(p["baseline"]),
    total=from_baseline,
    from_protocol=lambda protocol, profile: {"baseline": protocol.baseline},
)
def deeplift(model: Explained, images: Tensor, keys: Sequence[Key], *, baseline: Baseline = "black") -> Tensor:
    """DeepLIFT with the Rescale rule.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        baseline: as in `integrated_gradients`.

    Returns:
        Maps of the images' shape, in units of the explained scalar. An image's map adds up to f(image) - f(baseline),
        but for rounding.

    Raises:
        SaltrustError: an operation has no rule, or image and baseline do not meet the same operations.

    Source:
        Shrikumar et al. 2017, section 3.5.1.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> deeplift(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], baseline="grey").tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    accepted = model.accept(images)
    return _mean_over(model, images, starts(baseline, accepted, *model.input_range))


@method(
    "deeplift_shap",
    abbreviation="DLSHAP",
    title="DeepLIFT SHAP",
    family="modified_backward",
    cite="lundberg2017unified",
    formula=r"\frac{1}{n} \sum_{k=1}^{n} \mathrm{DL}(x; x'_k)",
    needs="convolutions, linear layers, pooling, sums and activations alone",
    passes=lambda p: p["references"],
    total=from_baseline_set,
)
def deeplift_shap(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    distribution: Distribution = "greys",
    references: References = 4,
    seed: Seed = 0,
) -> Tensor:
    """DeepLIFT averaged over a set of baselines.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        distribution: the set of baselines, a name in DISTRIBUTIONS.
        references: number of baselines, at least 1.
        seed: of baselines that are drawn at random.

    Returns:
        Maps of the images' shape, in units of the explained scalar. An image's map adds up to f(image) - mean of
        f(baseline), but for rounding.

    Raises:
        SaltrustError: as `deeplift`.

    Source:
        Lundberg & Lee 2017, section 4.2; their code's DeepExplainer.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> float(deeplift_shap(Explained(network), torch.ones(1, 1, 2, 2), [(0,)], references=3).sum())
    1.0
    """
    accepted = model.accept(images)
    return _mean_over(model, images, baseline_set(distribution, accepted, references, seed, *model.input_range))
