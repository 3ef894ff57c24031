"""Every operation of a network by its kind, and how it is run by the rule of its kind: what DeepLIFT and LRP need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.rules import Rules

_KINDS = {
    # Values change place, are copied or left out; none is changed.
    "move": """
        view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze expand expand_as permute transpose t
        swapaxes swapdims movedim moveaxis contiguous clone to type type_as float double cpu cuda getitem setitem get
        copy select narrow index_select gather chunk split tensor_split unbind cat concat concatenate stack hstack
        vstack dstack flip roll repeat repeat_interleave tile pad unfold pixel_shuffle pixel_unshuffle channel_shuffle
        where masked_fill dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout
    """,
    # Weighted sums of one tensor, with constant weights.
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "dense": "linear",
    "product": "matmul mm mv bmm einsum tensordot addmm baddbmm",
    "pool": """
        avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum
        interpolate upsample
    """,
    # Each value scaled or shifted by a constant; "add" and "sub" of two tensors are a "sum".
    "affine": "add sub subtract rsub mul multiply div divide true_divide neg negative batch_norm",
    # Each value by itself, through a curve.
    "elementwise": """
        relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish sigmoid log_sigmoid hardsigmoid hardswish
        hardtanh tanh tanhshrink softplus softsign softshrink hardshrink threshold clamp clamp_min clamp_max clip
    """,
    "maximum": """
        max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax
    """,
    "softmax": "softmax log_softmax",
}
KINDS = {name: kind for kind, names in _KINDS.items() for name in names.split()}
"""Name of a torch function or method, without the marks of in-place forms -> kind of operation."""

SUMS = frozenset({"add", "sub", "subtract"})
# Kinds and names whose first operand alone may depend on the image: c / x is no scaling of x.
FIRST_ONLY = frozenset({"convolution", "dense", "elementwise", "maximum", "softmax"})
FIRST_ONLY_NAMES = frozenset({"div", "divide", "true_divide", "batch_norm"})
RANDOM_IN_TRAINING = frozenset({name for name in KINDS if "dropout" in name} | {"batch_norm", "rrelu"})


@dataclass(frozen=True)
class Call:
    """A call of a torch function.

    Attributes:
        name: of the function, without the marks of in-place forms.
        function: its out-of-place form.
        args: its positional arguments.
        kwargs: its named arguments.
        target: the tensor that the model's own call overwrites; None where it overwrites none.
    """

    name: str
    function: Callable
    args: tuple
    kwargs: Mapping[str, Any]
    target: Tensor | None = None

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments, also in lists and tuples."""
        return _tensors([*self.args, *self.kwargs.values()])

    @property
    def dependent(self) -> list[Tensor]:
        """The operands that depend on the image (all else has no gradient), one for each place where they stand."""
        return [tensor for tensor in self.tensors if tensor.requires_grad]

    @property
    def kind(self) -> str | None:
        """Kind of operation, a value of KINDS or "sum"; None for an operation without a kind.

        It is None as well for an operation that has no kind on these operands: the product of two tensors that both
        depend on the image is not affine.
        """
        kind, dependent = KINDS.get(self.name), self.dependent
        if kind == "move" or not dependent:
            return kind
        if len(dependent) > 1:
            return "sum" if self.name in SUMS else None
        first = kind in FIRST_ONLY or self.name in FIRST_ONLY_NAMES
        return None if first and self.tensors[0] is not dependent[0] else kind

    @property
    def fits_only(self) -> bool:
        """Whether the image lends its shape or type alone: `zeros_like(x)`, `weight.to(x)`."""
        moved = KINDS.get(self.name) == "move" and not self.tensors[0].requires_grad
        return moved or self.name.startswith("new_") or self.name.endswith("_like")

    def run(self, swap: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Any:
        """The output, computed out of place, with each operand that depends on the image swapped."""
        named = {name: _swapped(value, swap) for name, value in self.kwargs.items()}
        return self.function(*_swapped(self.args, swap), **named)


def parse(function: Callable, args: tuple, kwargs: Mapping[str, Any] | None) -> Call:
    """A call as torch shows it to a mode: of a function or a method, in place by its name or by the flag `inplace`.

    Args:
        function: the torch function or method.
        args: its positional arguments.
        kwargs: its named arguments; None for none.

    Returns:
        The call, its function in the out-of-place form.

    >>> call = parse(torch.Tensor.relu_, (torch.zeros(1),), None)
    >>> call.name, call.target.tolist()
    ('relu', [0.0])
    """
    kwargs = dict(kwargs or {})
    written = getattr(function, "__name__", str(function))
    name = written.strip("_")
    marked = written.endswith("_") and not written.endswith("__")
    flagged = bool(kwargs.pop("inplace", False))
    if not (marked or flagged) or KINDS.get(name, "move") == "move":
        return Call(name, function, args, kwargs)
    if marked:
        function = next(getattr(home, name) for home in (torch, functional, Tensor) if hasattr(home, name))
    return Call(name, function, args, kwargs, target=args[0])


def apply(call: Call, rule: Callable[[Call], Tensor]) -> Tensor:
    """The call's output by a rule.

    What the model computes in place is written to its target, also where the model makes no use of what is returned.

    Args:
        call: the call.
        rule: function of the call that returns its output, out of place.

    Returns:
        The output, or the target with the output in it.

    >>> x = torch.tensor([-1.0, 1.0])
    >>> apply(parse(torch.Tensor.relu_, (x,), None), lambda call: call.args[0] * 2).tolist(), x.tolist()
    ([-2.0, 2.0], [-2.0, 2.0])
    """
    if call.target is None:
        return rule(call)
    kept = call.target.clone()  # the rule may need the values that are about to be overwritten
    return call.target.copy_(rule(replace(call, args=(kept, *call.args[1:]), target=None)))


class _Rescaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source: Tensor, value: tuple[Tensor], factor: Tensor | None) -> Tensor:
        ctx.save_for_backward(factor)
        return value[0]  # in a tuple: a tensor given as such would come back as a view, closed to in-place operations

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (factor,) = ctx.saved_tensors
        return gradient if factor is None else gradient * factor, None, None


def rescaled(source: Tensor, value: Tensor, factor: Tensor | None = None) -> Tensor:
    """A tensor of any value, whose gradient reaches the source times a factor.

    Args:
        source: where the gradient goes.
        value: what the tensor holds, in the shape of the source.
        factor: of that shape; None to pass the gradient as it is.

    Returns:
        A tensor with that value.

    >>> x = torch.ones(2, requires_grad=True)
    >>> rescaled(x, torch.zeros(2), torch.tensor([2.0, 3.0])).sum().backward()
    >>> x.grad.tolist()
    [2.0, 3.0]
    """
    return _Rescaled.apply(source, (value.detach(),), factor)


class Operations(Rules):
    """Runs each operation that depends on the image by the rule of its kind, and the kinds without a rule as they are.

    A map that follows the rules only in part of the network would be wrong without a word. So three things are refused:
    operations of no kind; operations that mix a signal with what depends on the image, but has no gradient (a mask `x >
    0`, a detached copy); and operations on what was computed out of sight (by a custom autograd function, by compiled
    code).

    Args:
        method: what errors call the method.
        rules: kind -> function of the call that returns its output.
    """

    def __init__(self, method: str, rules: Mapping[str, Callable[[Call], Tensor]]) -> None:
        super().__init__()
        self.method = method
        self.rules = rules
        self._image: Tensor | None = None

    def restart(self) -> None:
        """Forget the image of the last run."""
        self._image = None

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        signals = call.dependent
        blind = next(filter(None, map(_label, call.tensors)), "")
        if signals:
            self._check(call, blind)
        rule = self.rules.get(call.kind) if signals else None
        output = apply(call, rule) if rule else func(*args, **(kwargs or {}))
        if signals and call.kind is None:
            output = self._without_rule(call, output)
        for tensor in _tensors([output, *args[: call.name == "setitem"]]):
            if tensor.requires_grad:
                tensor._saltrust_label = ""
            elif blind or (signals and not call.fits_only):
                tensor._saltrust_label = blind or call.name
        return output

    def _check(self, call: Call, blind: str) -> None:
        if self._image is None:
            self._image = call.dependent[0]
        if any(_label(signal) != "" and signal is not self._image for signal in call.dependent):
            raise self._refusal(f"cannot see how the input of '{call.name}' was computed (custom or compiled code)")
        if blind and call.name in KINDS:
            raise self._refusal(f"would take the result of '{blind}' for a constant in '{call.name}'")
        if call.name in RANDOM_IN_TRAINING and (call.kwargs.get("training") or any(a is True for a in call.args[:6])):
            raise self._refusal(f"has no rule for '{call.name}' in training mode")

    def _without_rule(self, call: Call, output: Any) -> Any:
        if not any(tensor.requires_grad for tensor in _tensors([output])):
            return output  # a shape, a comparison
        if call.name in ("max", "min") and len(call.args) == 1 and not call.kwargs:
            return output.detach()  # a check of the input's range, as far as one can tell
        several = " of several tensors that depend on the image" if len(call.dependent) > 1 else ""
        raise self._refusal(f"has no rule for '{call.name}'{several}")

    def _refusal(self, what: str) -> SaltrustError:
        return SaltrustError(
            f"{self.method} {what}, in {place(self.path)}. Rewrite it with operations that have a "
            "rule (convolution, linear, activations, pooling, sums), or use a method that needs none, such as 'ig'"
        )


def place(path: str) -> str:
    """A module's path as the errors call it."""
    return f"module '{path}'" if path else "the model's own forward"


def _label(tensor: Tensor) -> str | None:
    """What `Operations` has written on a tensor: nothing ("") for one that depends on the image and was computed in
    sight, an operation's name for what that has derived from such a tensor without a gradient. None for all others."""
    return getattr(tensor, "_saltrust_label", None)


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    """The tensors among the values, and in the lists and tuples among them."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _swapped(value: Any, swap: Callable[[Tensor], Tensor]) -> Any:
    """The value with each tensor that depends on the image swapped, also in lists and tuples."""
    if isinstance(value, Tensor):
        return swap(value) if value.requires_grad else value
    return [_swapped(item, swap) for item in value] if isinstance(value, list | tuple) else value
