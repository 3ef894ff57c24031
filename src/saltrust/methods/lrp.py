"""Layer-wise relevance propagation: the explained scalar, shared out from layer to layer down to the image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.operations import Call, Operations, rescaled
from saltrust.methods.registry import method

# The tensors keep the network's values; what flows back through them is relevance instead of a gradient.

Epsilon = Annotated[float, "added to the size of each denominator, in units of the layer's output"]
Rule = Callable[[Call], Tensor]

STABILIZER = 1e-6  # of all rules of the composite but the dense layers', as in zennit


def _shared_by(total: Tensor, value: Tensor, small: float) -> Tensor:
    """A tensor of this value, whose relevance is divided by `total`, moved away from 0 by `small`."""
    size = total.detach()
    return rescaled(total, value, 1 / (size + small * size.sign().where(size != 0, 1)))


def _share(operand: Tensor) -> Tensor:
    """The operand, whose share of the relevance is proportional to its value. A copy: the model may overwrite it."""
    value = operand.detach().clone()
    return rescaled(operand, value, value)


def epsilon_rule(call: Call, small: float) -> Tensor:
    """R_i = sum_j x_i w_ij / (z_j + small sign z_j) R_j, with sign 0 = 1.

    z includes the bias, whose share of the relevance reaches no input, as in captum and zennit.

    Args:
        call: an operation that is linear in what depends on the image.
        small: added to the size of each denominator, above 0.

    Returns:
        The operation's output, through which relevance flows back.

    Source:
        Bach et al. 2015, equation 58.

    >>> from saltrust.methods.operations import parse
    >>> x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    >>> epsilon_rule(parse(torch.nn.functional.linear, (x, torch.ones(1, 2)), None), 1e-6).sum().backward()
    >>> x.grad.round(decimals=3).tolist()
    [[0.25, 0.75]]
    """
    total = call.run(_share)
    return _shared_by(total, total, small)


def z_plus_rule(call: Call, small: float) -> Tensor:
    """The epsilon rule for the positive contributions x_i w_ij and bias alone.

    Args:
        call: a convolution or linear layer.
        small: added to the size of each denominator, above 0.

    Returns:
        The operation's output, through which relevance flows back.

    Source:
        Bach et al. 2015, equation 60, with alpha 1 and beta 0; with negative inputs, as zennit's ZPlus.

    >>> from saltrust.methods.operations import parse
    >>> x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    >>> layer = parse(torch.nn.functional.linear, (x, torch.tensor([[1.0, -0.1]])), None)
    >>> z_plus_rule(layer, 1e-6).sum().backward()
    >>> bool(x.grad[0, 0] > 0), float(x.grad[0, 1])
    (True, 0.0)
    """
    x = call.dependent[0]
    positive, negative = x.detach().clamp(min=0), x.detach().clamp(max=0)
    total = _weighted(call, rescaled(x, positive, positive), lambda w: w.clamp(min=0), lambda b: b.clamp(min=0))
    if bool(negative.any()):
        total = total + _weighted(call, rescaled(x, negative, negative), lambda w: w.clamp(max=0), lambda b: None)
    return _shared_by(total, call.run(Tensor.detach), small)


def flat_rule(call: Call, small: float) -> Tensor:
    """The same share for every input of an output, whatever values and weights.

    Args:
        call: a convolution or linear layer.
        small: added to the size of each denominator, above 0.

    Returns:
        The operation's output, through which relevance flows back.

    Source:
        Lapuschkin et al. 2019.

    >>> from saltrust.methods.operations import parse
    >>> x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    >>> flat_rule(parse(torch.nn.functional.linear, (x, torch.ones(1, 2)), None), 1e-6).sum().backward()
    >>> bool(x.grad[0, 0] == x.grad[0, 1])
    True
    """
    x = call.dependent[0]
    total = _weighted(call, rescaled(x, torch.ones_like(x)), torch.ones_like, lambda b: None)
    return _shared_by(total, call.run(Tensor.detach), small)


def pass_rule(call: Call) -> Tensor:
    """Relevance as it is, from each value to the value it was computed from.

    Args:
        call: an operation on each value by itself.

    Returns:
        The operation's output, through which relevance flows back.

    >>> from saltrust.methods.operations import parse
    >>> x = torch.tensor([-1.0, 3.0], requires_grad=True)
    >>> pass_rule(parse(torch.relu, (x,), None)).sum().backward()
    >>> x.grad.tolist()
    [1.0, 1.0]
    """
    value = call.run(Tensor.detach)
    return rescaled(call.dependent[0].expand_as(value), value)


def _weighted(
    call: Call, x: Tensor, weight: Callable[[Tensor], Tensor], bias: Callable[[Tensor], Tensor | None]
) -> Tensor:
    """A convolution or linear layer on another input, with changed weight and bias."""
    names = ("input", "weight", "bias")
    given = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    options = {name: value for name, value in call.kwargs.items() if name not in names}
    own_bias = given.get("bias")
    changed = None if own_bias is None else bias(own_bias)
    return call.function(x, weight(given["weight"]), changed, *call.args[3:], **options)


class Composite(Operations):
    """One rule for each kind of operation, and a rule of its own for the first convolution that runs.

    The first convolution is the first that looks at more than one position, and those that mix the colours before it.

    Args:
        rules: kind of operation -> rule.
        first: the rule of the first convolution.
    """

    def __init__(self, rules: Mapping[str, Rule], first: Rule) -> None:
        super().__init__("LRP", {**rules, "convolution": self._convolution})
        self._first, self._later = first, rules["convolution"]
        self._begun = False

    def restart(self, images: Tensor) -> None:
        """Await the first convolution again, before the next run."""
        super().restart(images)
        self._begun = False

    def _convolution(self, call: Call) -> Tensor:
        begun = self._begun
        self._begun = begun or call.tensors[1].shape[2:].numel() > 1
        return (self._later if begun else self._first)(call)


def _relevance(model: Explained, images: Tensor, rules: Operations) -> Tensor:
    accepted = model.accept(images)
    selection = model.select(accepted)
    with model.under(rules):
        scalars, shares = model.scalars_and_gradients(accepted, selection)
    # Relevance is linear in that of the output. The sign is undone: shares have it already, and sign * value is f.
    value = selection.sign * scalars
    return (shares * value[:, None, None, None]).to(images.device)


def _relevances(model: Explained, images: Tensor, targets: Sequence[int], rules: Operations) -> Tensor:
    """Of several outputs. None is chosen by the prediction, so that no sign has to be undone."""
    accepted = model.accept(images)
    with model.under(rules):
        scalars, shares = model.scalars_and_gradients_of(accepted, targets)
    return (shares * scalars[..., None, None, None]).to(images.device)


def less_biases(model: Explained, images: Tensor, epsilon: float, **_: object) -> Tensor:
    """What the map of `lrp` adds up to: the explained scalar, less what biases and epsilon take on the way.

    Of an output z = sum_i x_i w_i + b with relevance R, they take (b + epsilon sign z) / (z + epsilon sign z) R, which
    the layers' outputs tell with their inputs and without.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        epsilon: as in `lrp`.

    Returns:
        A tensor (n,), in units of the explained scalar.

    Source:
        Bach et al. 2015, equations 2 and 58.

    >>> layer = torch.nn.Linear(4, 1)
    >>> _ = layer.weight.data.fill_(0.25), layer.bias.data.fill_(1.0)
    >>> less_biases(Explained(torch.nn.Sequential(torch.nn.Flatten(), layer)), torch.ones(1, 1, 2, 2), 1e-6).round()
    tensor([1.])
    """
    taken: list[Tensor] = []

    def counted(call: Call) -> Tensor:
        output, z, bias = epsilon_rule(call, epsilon), call.run(Tensor.detach), call.run(torch.zeros_like)
        small = epsilon * z.sign().where(z != 0, 1)
        share = (bias + small) / (z + small)
        output.register_hook(lambda relevance: taken.append((share * relevance).double().sum()))
        return output

    selection, totals = model.select(images), []
    rules = Operations("LRP", {**_UNCHANGED, **dict.fromkeys(_LINEAR, counted)})
    with model.under(rules):
        for one in range(len(images)):  # one by one: what is taken is a sum over all that runs
            taken.clear()
            item = slice(one, one + 1)
            scalar, _shares = model.scalars_and_gradients(images[item], selection.take(item))
            totals.append(scalar - selection.sign[item] * scalar * sum(taken))
    return torch.cat(totals)


def _with(rule: Callable[[Call, float], Tensor], small: float) -> Rule:
    if not small > 0:
        raise SaltrustError(f"epsilon is {small}; LRP divides by what may be 0, so it must be greater")
    return lambda call: rule(call, small)


_UNCHANGED: Mapping[str, Rule] = {"elementwise": pass_rule, "softmax": pass_rule}
_LINEAR = ("convolution", "dense", "product", "pool", "sum", "affine")


def _epsilon_rules(epsilon: float) -> Operations:
    return Operations("LRP", {**_UNCHANGED, **dict.fromkeys(_LINEAR, _with(epsilon_rule, epsilon))})


@method(
    "lrp",
    abbreviation="LRP",
    title="Layer-wise Relevance Propagation",
    family="modified_backward",
    cite="bach2015pixel",
    formula=r"R^{l}_i = \sum_j \frac{x_i w_{ij}}{z_j + \varepsilon \, \mathrm{sign}(z_j)} R^{l+1}_j",
    needs="convolutions, linear layers, pooling, sums and activations alone",
    total=less_biases,
    several=lambda model, images, keys, targets, epsilon: _relevances(model, images, targets, _epsilon_rules(epsilon)),
)
def lrp(model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]], *, epsilon: Epsilon = 1e-6) -> Tensor:
    """LRP with the epsilon rule in every layer.

    Activations, and the link to a probability, pass relevance on as it is. Pooling shares it by value, or gives all to
    the maximum. Batch normalization is part of the convolution before it, or else an affine layer.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        epsilon: added to the size of each denominator, in units of the layer's output, above 0.

    Returns:
        Maps of the images' shape, in units of the explained scalar. The sum is f(image) less what biases and epsilon
        take, see `less_biases`.

    Raises:
        SaltrustError: an operation has no rule, or epsilon is not above 0.

    Source:
        Bach et al. 2015, equation 58.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> round(float(lrp(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).sum()), 4)
    1.0
    """
    return _relevance(model, images, _epsilon_rules(epsilon))


@method(
    "lrp_composite",
    abbreviation="LRP-COMP",
    title="LRP, a rule for each depth",
    family="modified_backward",
    cite="kohlbrenner2020towards,montavon2019layer,lapuschkin2019unmasking",
    formula=r"R^{l}_i = \sum_j \frac{(x_i w_{ij})^{+}}{\sum_k (x_k w_{kj})^{+}} R^{l+1}_j",
    needs="convolutions, linear layers, pooling, sums and activations alone",
)
def lrp_composite(
    model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]], *, epsilon: Epsilon = 1e-6
) -> Tensor:
    """LRP with epsilon in dense layers, z+ in convolutions, and flat shares in the first convolution.

    A network without convolutions has no flat layer: a dense one would give every pixel the same. Sums and average
    pooling share relevance by value. Activations, and batch normalization that is not part of a convolution, pass it on
    as it is.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        epsilon: of the dense layers, in units of the layer's output, above 0.

    Returns:
        Maps of the images' shape, in units of the explained scalar.

    Raises:
        SaltrustError: as `lrp`.

    Source:
        Montavon et al. 2019, section 10.3; Kohlbrenner et al. 2020; the EpsilonPlusFlat of zennit.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> round(float(lrp_composite(Explained(network), torch.ones(1, 1, 2, 2), [(0,)]).sum()), 4)
    1.0
    """
    norm = _with(epsilon_rule, STABILIZER)
    rules = {
        **_UNCHANGED,
        "affine": pass_rule,
        "convolution": _with(z_plus_rule, STABILIZER),
        "dense": _with(epsilon_rule, epsilon),
        **dict.fromkeys(("product", "pool", "sum"), norm),
    }
    return _relevance(model, images, Composite(rules, first=_with(flat_rule, STABILIZER)))
