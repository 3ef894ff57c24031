"""Every operation of a network by its kind, and how it is run by the rule of its kind: what DeepLIFT and LRP need."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
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
LEAVE_TORCH = frozenset({"numpy", "array", "tolist"})
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
        return tensors_in([*self.args, *self.kwargs.values()])

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
    """A call as torch shows it to a mode: of a function, a method or an operator of the dispatcher (`aten.relu`), in
    place by its name or by the flag `inplace`.

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
    written = getattr(function, "__name__", str(function)).partition(".")[0]  # an operator's "relu.default"
    name = written.strip("_")
    marked = is_marked(function)
    place = _place_of_inplace(function)
    flagged = bool(kwargs.pop("inplace", False)) or bool(args[place : place + 1] and args[place])
    if not (marked or flagged) or KINDS.get(name, "move") == "move":
        return Call(name, function, args, kwargs)
    args = args[:place]  # nothing stands behind the flag
    if marked:
        function = next(getattr(home, name) for home in (torch, functional, Tensor) if hasattr(home, name))
    return Call(name, function, args, kwargs, target=args[0])


def is_marked(function: Callable) -> bool:
    """Whether a function works in place by its name: `relu_`, not `__getitem__`."""
    written = getattr(function, "__name__", "").partition(".")[0]
    return written.endswith("_") and not written.endswith("__")


@cache
def _place_of_inplace(function: Callable) -> int:
    """Where the flag `inplace` stands among a function's arguments; beyond all of them where it has none."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # what is written in C has none
        names = []
    return names.index("inplace") if "inplace" in names else len(names) + 100


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


class Watching(Rules):
    """Knows of each tensor whether it was computed from the image, and whether that was done in sight.

    Operations on what was computed out of sight (by a custom autograd function, by compiled code) are refused, and so
    is what takes numbers that depend on the image out of torch: what is done with them there is out of sight as well.

    Args:
        method: what errors call the method.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def restart(self, images: Tensor) -> None:
        """Begin with the image, before the next run."""
        _write(images, "")

    def finish(self, outputs: Tensor) -> None:
        """Check that what a run has returned was computed in sight."""
        self._refuse_unseen([outputs], "the output of the model")

    def look(self, call: Call) -> str:
        """Check a call before it runs.

        Args:
            call: the call.

        Returns:
            What the first of its operands without a gradient, but derived from the image, is the result of; "" where
            there is none.

        Raises:
            SaltrustError: an operand was computed out of sight, or numbers leave torch.
        """
        derived = next(filter(None, map(label_of, call.tensors)), "")
        if call.name == "set" and not derived:  # of an attribute that holds no values
            return ""
        self._refuse_unseen(call.dependent, f"the input of '{call.name}'")
        if call.name == "set" and call.dependent:
            raise self.refusal("cannot follow what is written into the data of a tensor")
        if call.name in LEAVE_TORCH and (derived or call.dependent):
            raise self.refusal(f"cannot follow what '{call.name}' takes out of torch")
        return derived

    def note(self, call: Call, derived: str, output: Any) -> list[Tensor]:
        """Write on a call's results whether they depend on the image.

        Args:
            call: the call, after it has run.
            derived: as `look` has returned it.
            output: what it has returned.

        Returns:
            Those of its results that depend on the image.
        """
        found = []
        for tensor in tensors_in([output, *call.args[: call.name == "setitem"]]):
            if tensor.requires_grad:
                _write(tensor, "")
            elif derived or (call.dependent and not call.fits_only):
                _write(tensor, derived or call.name)
            else:
                continue
            found.append(tensor)
        return found

    def refusal(self, what: str) -> SaltrustError:
        """The error for a network that the method cannot explain; what: a verb and the rest, after the method."""
        return SaltrustError(
            f"{self.method} {what}, in {place(self.path)}. Rewrite it with operations that have a "
            "rule (convolution, linear, activations, pooling, sums), or use a method that needs none, such as 'ig'"
        )

    def _refuse_unseen(self, signals: Sequence[Tensor], what: str) -> None:
        if any(signal.requires_grad and not _is_seen(signal) for signal in signals):
            raise self.refusal(f"cannot see how {what} was computed (custom or compiled code)")


class Operations(Watching):
    """Runs each operation that depends on the image by the rule of its kind, and the kinds without a rule as they are.

    A map that follows the rules only in part of the network would be wrong without a word. So beside what `Watching`
    refuses, two things are: operations of no kind; and operations that mix a signal with what depends on the image, but
    has no gradient (a mask `x > 0`, a detached copy).

    Args:
        method: what errors call the method.
        rules: kind -> function of the call that returns its output.
    """

    def __init__(self, method: str, rules: Mapping[str, Callable[[Call], Tensor]]) -> None:
        super().__init__(method)
        self.rules = rules

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        derived, signals = self.look(call), call.dependent
        if signals:
            self._check(call, derived)
        rule = self.rules.get(call.kind) if signals else None
        output = apply(call, rule) if rule else func(*args, **(kwargs or {}))
        if signals and call.kind is None:
            output = self._without_rule(call, output)
        self.note(call, derived, output)
        return output

    def _check(self, call: Call, derived: str) -> None:
        if derived and call.name in KINDS:
            raise self.refusal(f"would take the result of '{derived}' for a constant in '{call.name}'")
        if call.name in RANDOM_IN_TRAINING and (call.kwargs.get("training") or any(a is True for a in call.args[:6])):
            raise self.refusal(f"has no rule for '{call.name}' in training mode")

    def _without_rule(self, call: Call, output: Any) -> Any:
        if not any(tensor.requires_grad for tensor in tensors_in([output])):
            return output  # a shape, a comparison
        if call.name in ("max", "min") and len(call.args) == 1 and not call.kwargs:
            return output.detach()  # a check of the input's range, as far as one can tell
        several = " of several tensors that depend on the image" if len(call.dependent) > 1 else ""
        raise self.refusal(f"has no rule for '{call.name}'{several}")


def place(path: str) -> str:
    """A module's path as the errors call it."""
    return f"module '{path}'" if path else "the model's own forward"


def shared(tensor: Tensor) -> Tensor:
    """The tensor that a view looks at, or the tensor itself: what they hold is overwritten together."""
    return tensor if tensor._base is None else tensor._base


def _write(tensor: Tensor, label: str) -> None:
    for one in {id(tensor): tensor, id(shared(tensor)): shared(tensor)}.values():
        one._saltrust_label = label
    shared(tensor)._saltrust_version = tensor._version


def label_of(tensor: Tensor) -> str | None:
    """What `Watching` has written on a tensor, or on the one that it is a view of: nothing ("") for one that depends on
    the image and was computed in sight, an operation's name for what that has derived from such a tensor without a
    gradient. None for all others."""
    return getattr(tensor, "_saltrust_label", getattr(shared(tensor), "_saltrust_label", None))


def _is_seen(tensor: Tensor) -> bool:
    """Whether a tensor was computed in sight, and has not been overwritten since."""
    return label_of(tensor) == "" and getattr(shared(tensor), "_saltrust_version", None) == tensor._version


def tensors_in(values: Sequence[Any]) -> list[Tensor]:
    """The tensors among the values, and in the lists and tuples among them."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
    return found


def _swapped(value: Any, swap: Callable[[Tensor], Tensor]) -> Any:
    """The value with each tensor that depends on the image swapped, also in lists and tuples."""
    if isinstance(value, Tensor):
        return swap(value) if value.requires_grad else value
    return [_swapped(item, swap) for item in value] if isinstance(value, list | tuple) else value
