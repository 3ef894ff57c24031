"""Guided backpropagation and its kin, for every ReLU that runs: known by what it does, however it is written."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.methods.explained import Explained
from saltrust.methods.operations import (
    KINDS,
    Call,
    Watching,
    apply,
    is_marked,
    label_of,
    parse,
    place,
    rescaled,
    shared,
)
from saltrust.methods.preparation import prepare
from saltrust.methods.rectifiers import LONGEST, Operand, Step, find_curve, find_rectifier, outputs_of
from saltrust.methods.registry import method

# The rules are defined for ReLU: among others, a map would be neither the gradient nor guided.
SATURATING = frozenset({"sigmoid", "log_sigmoid", "hardsigmoid", "tanh", "softsign"})
OTHER_RECTIFIERS = frozenset(
    {name for name, kind in KINDS.items() if kind == "elementwise"} - SATURATING - {"relu"}
) | {"maximum", "minimum", "fmax", "fmin"}

RECTIFIERS = ("refuse", "gradient")
Rectifiers = Annotated[
    str, 'rectifiers other than ReLU: "refuse", or "gradient" to let them pass their own gradient, as captum does'
]

# Where a chain of calls ends that may come to a ReLU: what these return is no function of each value by itself.
_ENDS = frozenset({"convolution", "dense", "product", "pool", "softmax", "maximum"})
_ENDS_NOT = frozenset({"amax"})  # of a stack of the signal and zeros
_STRAIGHT = frozenset({"move", "affine", "sum"})

Gate = Callable[[Tensor, Tensor], Tensor]
"""(gradient at a ReLU's output, where the ReLU fired) -> gradient at its input."""


class GatedReLU(Watching):
    """No ReLU passes the gradient on but through the gate.

    A call is a ReLU by its name, or by what it does, alone or with the calls before it: `torch.maximum(x, zeros)`,
    `x * (x > 0)`, `(x + x.abs()) / 2` (see `find_rectifier`). What bends the signal in another way is another
    rectifier, where it is a curve; a mask that comes to no curve is refused, and so is what cannot be seen.

    Args:
        method: what errors call the method.
        gate: function of the gradient at a ReLU's output and of where the ReLU fired.
        rectifiers: what is done with other rectifiers, of RECTIFIERS.
    """

    def __init__(self, method: str, gate: Gate, rectifiers: str) -> None:
        super().__init__(method)
        if rectifiers not in RECTIFIERS:
            raise unknown_name("treatment of other rectifiers", rectifiers, RECTIFIERS)
        self.gate = gate
        self.refuses = rectifiers == "refuse"
        self.calls = 0
        self._effects: list[Tensor] = []

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        derived, signals = self.look(call), call.dependent
        if not (signals or derived):
            return func(*args, **(kwargs or {}))
        if signals and call.name == "relu" and torch.is_grad_enabled():
            self._settle(signals)
            output = apply(call, self._relu)
        elif signals and call.kind in _ENDS and call.name not in _ENDS_NOT:
            self._settle(signals)
            output = func(*args, **(kwargs or {}))
        else:
            return self._followed(call, derived, func, args, kwargs or {})
        self.note(call, derived, output)
        return output

    def finish(self, outputs: Tensor) -> None:
        """Check that no rectification is left that nothing explains."""
        super().finish(outputs)
        self._settle([outputs])

    def refusal(self, what: str) -> SaltrustError:
        return SaltrustError(
            f"{self.method} {what}, in {place(self.path)}, where a ReLU would be missed. Write it as relu, or use a "
            "method that needs none, such as 'grad' or 'ig'"
        )

    @property
    def changed_something(self) -> bool:
        """Whether any ReLU passed on another gradient than its own."""
        return any(bool(effect) for effect in self._effects)

    # --- ReLU ---------------------------------------------------------------------------------------------------------

    def _relu(self, call: Call) -> Tensor:
        value = call.run(Tensor.detach)
        return self._gated(call.dependent[0], value, value > 0, 1.0)

    def _gated(self, source: Tensor, value: Tensor, fired: Tensor, height: float, side: int = 1) -> Tensor:
        """A tensor of that value, height max(side source, 0), whose gradient goes through the gate."""
        self.calls += 1

        def through(gradient: Tensor) -> Tensor:
            passed = side * self.gate(height * gradient, fired)
            self._effects.append((passed != side * height * gradient * fired).any())
            return passed

        output = rescaled(source, value)
        output.register_hook(through)
        return output

    # --- chains of calls ----------------------------------------------------------------------------------------------

    def _followed(self, call: Call, derived: str, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Run a call that may be, or complete, a ReLU in other words."""
        in_place = is_marked(func) or call.name == "setitem" or call.target is not None
        make_step = self._recorded(call, func, args, kwargs, in_place)
        output = func(*args, **kwargs)
        results = self.note(call, derived, output)
        if in_place:
            if any(args[0] is result for result in results):
                step = make_step(None)
                gated, step = self._explained(call, derived, step, args[0])
                if gated is not None:
                    args[0].copy_(gated)
                    self.note(call, derived, output)
                _remember(args[0], step)
                _leave_open(args[0], step.open)
            return output
        changed = outputs_of(output)
        for number, result in enumerate(changed):
            if not any(result is one for one in results):
                continue
            gated, step = self._explained(call, derived, make_step(number), result)
            if gated is not None:
                changed[number] = gated
                self.note(call, derived, gated)
            _remember(changed[number], step)
        if all(one is other for one, other in zip(changed, outputs_of(output), strict=True)):
            return output
        return type(output)(changed) if isinstance(output, list | tuple) else changed[0]

    def _recorded(
        self, call: Call, func: Callable, args: tuple, kwargs: dict, in_place: bool
    ) -> Callable[[int | None], Step]:
        """What makes the step of a call, recorded before it runs and may overwrite its first argument."""
        tracked: dict[int, Operand] = {}
        # What is overwritten is kept where the call may complete a ReLU of it.
        keep = in_place and (call.kind not in _STRAIGHT or sum(map(_is_tracked, call.tensors)) > 1)

        def operand(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(map(operand, value)) if type(value) in (list, tuple) else value
            if not isinstance(value, Tensor):
                return value
            target = in_place and value is args[0]
            tensor = (value.clone() if keep else None) if target else value
            if id(value) not in tracked:
                constant = not _is_tracked(value)
                kept = value.detach().clone() if target and constant else tensor
                tracked[id(value)] = Operand(_key(value), kept, _step_of(value), constant)
            return tracked[id(value)]

        arguments, named = operand(tuple(args)), {name: operand(value) for name, value in kwargs.items()}
        operands = tuple(one for one in tracked.values() if not one.constant)
        bent = call.kind not in _STRAIGHT or len(operands) > len(call.dependent)
        bent = bent or any(one.step is not None and one.step.bent for one in operands)
        unexplained = tuple(dict.fromkeys(text for one in call.tensors for text in _open_of(one)))
        return lambda number: Step(func, arguments, named, number, operands, bent, unexplained)

    def _explained(self, call: Call, derived: str, step: Step, result: Tensor) -> tuple[Tensor | None, Step]:
        """The gated output where the chain is a ReLU, else None; and the step, with what speaks against it."""
        if not (result.requires_grad and step.bent):
            return None, step
        if call.name not in SATURATING or derived:
            found = find_rectifier(step, result.detach())
            if found is not None:
                source = found.source.reshape(result.shape)
                fired = found.side * source.detach() > 0
                gated = self._gated(source, result.detach(), fired, found.height, found.side)
                return gated, _with(step, found.open)
        if call.kind is None and "relu" in call.name:  # torch.rnn_relu
            return None, _with(step, (*step.open, str(self.refusal(f"cannot reach the ReLU inside '{call.name}'"))))
        named = call.name in OTHER_RECTIFIERS or (call.name in ("max", "min") and len(call.dependent) > 1)
        if not (derived or (self.refuses and (named or call.kind is None))):
            return None, step
        curve = None if named and not derived else find_curve(step)
        if curve is None and derived:
            text = f"would take the result of '{derived}' for a constant in '{call.name}'"
            return None, _with(step, (*step.open, str(self.refusal(text))))
        if self.refuses and (named or (curve is not None and (derived or curve[1]))):
            before = step.open if curve is None else curve[0].step.open if curve[0].step else ()
            return None, _with(step, (*before, self._other(call)))
        return None, step

    def _other(self, call: Call) -> str:
        return (
            f"{self.method} is defined for ReLU; {place(self.path)} also calls '{call.name}'. Where that is a ReLU "
            "in other words, write it as relu; else use another method, or let it pass its own gradient "
            "by rectifiers='gradient'"
        )

    def _settle(self, signals: Sequence[Tensor]) -> None:
        """Raise SaltrustError where a chain has ended and something in it is no ReLU."""
        for signal in signals:
            for text in _open_of(signal):
                raise SaltrustError(text)


def _with(step: Step, unexplained: tuple[str, ...]) -> Step:
    return Step(step.function, step.args, step.kwargs, step.place, step.operands, step.bent, unexplained)


def _key(tensor: Tensor) -> tuple[int, int]:
    return id(tensor), tensor._version


def _is_tracked(tensor: Tensor) -> bool:
    """Whether a tensor depends on the image, with a gradient or without."""
    return tensor.requires_grad or bool(label_of(tensor))


def _remember(tensor: Tensor, step: Step) -> None:
    if step.depth > LONGEST:
        step = Step(step.function, (), {}, 0, (), False, step.open)
    tensor._saltrust_step = (step, tensor._version)


def _open_of(tensor: Tensor) -> tuple[str, ...]:
    """What speaks against a tensor: as its step says, or where it was overwritten by way of a view, what that left."""
    step = _step_of(tensor)
    return getattr(shared(tensor), "_saltrust_open", ()) if step is None else step.open


def _leave_open(tensor: Tensor, unexplained: tuple[str, ...]) -> None:
    """Note what speaks against a tensor that was overwritten, for all that look at the same numbers."""
    whole = shared(tensor)
    before = () if whole is tensor else getattr(whole, "_saltrust_open", ())
    whole._saltrust_open = tuple(dict.fromkeys((*before, *unexplained)))


def _step_of(tensor: Tensor) -> Step | None:
    """How a tensor was computed; None where that is not known, or where it has been overwritten since."""
    step, version = getattr(tensor, "_saltrust_step", (None, None))
    return step if version == tensor._version else None


def _gated_gradients(model: Explained, images: Tensor, method: str, gate: Gate, rectifiers: str) -> Tensor:
    rules = GatedReLU(method, gate, rectifiers)
    accepted = model.accept(images)
    with model.under(rules):
        maps = model.gradients(accepted)
    if not rules.calls:
        raise SaltrustError(f"{method} found no ReLU in the model, so its map would be the plain gradient")
    if not rules.changed_something and bool(maps.any()):
        raise SaltrustError(
            f"{method} equals the plain gradient: at none of the model's {rules.calls} ReLU calls does the rule stop "
            "or pass anything else. Use 'grad'"
        )
    return maps.to(images.device)


@method(
    "guided_backprop",
    abbreviation="GBP",
    title="Guided Backpropagation",
    family="modified_backward",
    cite="springenberg2015striving",
    formula=r"R^{l} = \mathbb{1}[f^{l} > 0] \, \mathbb{1}[R^{l+1} > 0] \, R^{l+1}",
    needs="ReLU, and no other rectifier unless asked for",
)
def guided_backprop(
    model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]], *, rectifiers: Rectifiers = "refuse"
) -> Tensor:
    """The gradient where each ReLU that fired passes positive gradients on, and nothing else.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        rectifiers: what is done with rectifiers other than ReLU: "refuse", or "gradient" to let them pass their own.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: the model has no ReLU, or other rectifiers (leaky, smooth, or capped like ReLU6) that are not to
            pass their gradient; or it computes something out of sight, or masks the signal by itself in a way that is
            no ReLU; or the map would equal the plain gradient.

    Source:
        Springenberg et al. 2015, section 3.4.

    >>> from torch import nn, ones
    >>> network = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    >>> model = Explained(network, scalar="negated_logit")  # whose gradient is -0.25 everywhere
    >>> guided_backprop(model, ones(1, 1, 2, 2), [(0,)]).tolist()
    [[[[0.0, 0.0], [0.0, 0.0]]]]
    """
    return _gated_gradients(
        model, images, "guided backpropagation", lambda g, fired: g.clamp(min=0) * fired, rectifiers
    )


@method(
    "deconvolution",
    abbreviation="DECONV",
    title="Deconvolution",
    family="modified_backward",
    cite="zeiler2014visualizing",
    formula=r"R^{l} = \mathbb{1}[R^{l+1} > 0] \, R^{l+1}",
    needs="ReLU, and no other rectifier unless asked for",
)
def deconvolution(
    model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]], *, rectifiers: Rectifiers = "refuse"
) -> Tensor:
    """The gradient where each ReLU, fired or not, passes positive gradients on, and nothing else.

    Max pooling passes signals back to where the maximum was: the switches of the deconvolutional network.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one noise key for each image; not used.
        rectifiers: what is done with rectifiers other than ReLU: "refuse", or "gradient" to let them pass their own.

    Returns:
        Maps of the images' shape.

    Raises:
        SaltrustError: as `guided_backprop`.

    Source:
        Zeiler & Fergus 2014, section 2.1; as a rule for gradients, Springenberg et al. 2015, section 3.4.

    >>> from torch import nn, ones
    >>> network = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    >>> deconvolution(Explained(network), -ones(1, 1, 2, 2), [(0,)]).tolist()  # no ReLU fires
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """
    return _gated_gradients(model, images, "deconvolution", lambda g, fired: g.clamp(min=0), rectifiers)


@method(
    "guided_gradcam",
    abbreviation="GGCAM",
    title="Guided Grad-CAM",
    family="modified_backward",
    cite="selvaraju2017gradcam",
    formula=r"\mathrm{GCAM}(x) \odot \mathrm{GBP}(x)",
    parts=lambda p: {
        "gradcam": ("gradcam", {"layer": p["layer"]}),
        "guided_backprop": ("guided_backprop", {"rectifiers": p["rectifiers"]}),
    },
    from_protocol=lambda protocol, profile: {"maps": protocol.guided_gradcam},
)
def guided_gradcam(
    images: np.ndarray,
    keys: Sequence[tuple[int, ...]],
    parts: dict[str, np.ndarray],
    *,
    layer: Annotated[str | None, "module path of Grad-CAM's layer; None for the model's cam_layer"] = None,
    maps: Annotated[str, '"raw" maps, or as "displayed"'] = "raw",
    rectifiers: Rectifiers = "refuse",
) -> np.ndarray:
    """Grad-CAM times guided backpropagation, pixel by pixel.

    Args:
        images: uint8 (n, height, width[, 3]); not used.
        keys: one noise key for each image; not used.
        parts: "gradcam" (n, 1, height, width) and "guided_backprop" (n, channels, height, width).
        layer: module path of Grad-CAM's layer, which its part was made with; None for the model's cam_layer.
        maps: "raw" for the maps themselves, "displayed" for both as they are shown (absolute sum over channels, clipped
            at the 99th percentile, rescaled to [0, 1]), as the code of Arun et al. does.
        rectifiers: as in `guided_backprop`, which its part was made with.

    Returns:
        Maps (n, channels or 1, height, width).

    Raises:
        SaltrustError: the kind of maps is unknown.

    Source:
        Selvaraju et al. 2017, section 3.2.

    >>> parts = {"gradcam": np.full((1, 1, 1, 2), 2.0), "guided_backprop": np.array([[[[0.5, -1.0]]]])}
    >>> guided_gradcam(np.zeros((1, 1, 2), np.uint8), [(0,)], parts).tolist()
    [[[[1.0, -2.0]]]]
    """
    cam, guided = parts["gradcam"], parts["guided_backprop"]
    if maps == "raw":
        return cam * guided
    if maps == "displayed":
        return (prepare(cam, "sum_abs", clip=99.0) * prepare(guided, "sum_abs", clip=99.0))[:, None]
    raise unknown_name("kind of maps to multiply", maps, ("raw", "displayed"))
