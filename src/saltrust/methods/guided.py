"""Guided backpropagation and its kin, for every ReLU that runs: modules, functions, in place or not, reused or not."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from torch import Tensor

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.methods.explained import Explained
from saltrust.methods.operations import KINDS, Call, apply, parse, place, rescaled
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import method
from saltrust.methods.rules import Rules

# The rules are defined for ReLU: among others, a map would be neither the gradient nor guided.
SATURATING = frozenset({"sigmoid", "log_sigmoid", "hardsigmoid", "tanh", "softsign"})
OTHER_RECTIFIERS = frozenset(
    {name for name, kind in KINDS.items() if kind == "elementwise"} - SATURATING - {"relu"}
) | {"maximum"}

RECTIFIERS = ("refuse", "gradient")
Rectifiers = Annotated[
    str, 'rectifiers other than ReLU: "refuse", or "gradient" to let them pass their own gradient, as captum does'
]

Gate = Callable[[Tensor, Tensor], Tensor]
"""(gradient at a ReLU's output, where the ReLU fired) -> gradient at its input."""


class GatedReLU(Rules):
    """No ReLU passes the gradient on but through the gate.

    Args:
        method: what errors call the method.
        gate: function of the gradient at a ReLU's output and of where the ReLU fired.
        rectifiers: what is done with other rectifiers, of RECTIFIERS.
    """

    def __init__(self, method: str, gate: Gate, rectifiers: str) -> None:
        super().__init__()
        if rectifiers not in RECTIFIERS:
            raise unknown_name("treatment of other rectifiers", rectifiers, RECTIFIERS)
        self.method = method
        self.gate = gate
        self.refuses = rectifiers == "refuse"
        self.calls = 0
        self._effects: list[Tensor] = []

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = parse(func, args, kwargs)
        if self.refuses and call.name in OTHER_RECTIFIERS and call.dependent:
            raise SaltrustError(
                f"{self.method} is defined for ReLU; {place(self.path)} also calls '{call.name}'. Where that is a ReLU "
                "in other words, write it as relu; else use another method, or let it pass its own gradient "
                "by rectifiers='gradient'"
            )
        if call.name == "relu" and call.dependent:
            self.calls += 1
            return apply(call, self._gated)
        return func(*args, **(kwargs or {}))

    def _gated(self, call: Call) -> Tensor:
        value = call.run(Tensor.detach)
        fired = value > 0

        def through(gradient: Tensor) -> Tensor:
            passed = self.gate(gradient, fired)
            self._effects.append((passed != gradient * fired).any())
            return passed

        output = rescaled(call.dependent[0], value)
        output.register_hook(through)
        return output

    @property
    def changed_something(self) -> bool:
        """Whether any ReLU passed on another gradient than its own."""
        return any(bool(effect) for effect in self._effects)


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
        SaltrustError: the model calls no ReLU, or calls other rectifiers that are not to pass their gradient, or the
            map would equal the plain gradient.

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
