"""Guided backpropagation, for every ReLU that runs: modules, functions, methods, in place or not, reused or not."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from saltrust.errors import SaltrustError, unknown_name
from saltrust.methods.explained import Explained
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import method

RELUS = frozenset({functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_})

# The rule is defined for ReLU. A network that mixes others in would get a map that is neither the gradient nor guided.
OTHER_RECTIFIERS = frozenset(
    getattr(functional, name)
    for name in (
        *("celu", "elu", "gelu", "hardswish", "hardtanh", "leaky_relu", "mish", "prelu", "relu6", "rrelu", "selu"),
        *(
            "silu",
            "softplus",
            "threshold",
            "elu_",
            "celu_",
            "hardtanh_",
            "leaky_relu_",
            "rrelu_",
            "selu_",
            "threshold_",
        ),
    )
)


class GuidedReLU(TorchFunctionMode):
    """While active, no ReLU lets a negative gradient pass.

    ReLU's own backward pass then stops what did not fire forward, which together is the rule of Springenberg et al.
    2015 (section 3.4). The network's code is not rewritten: the calls themselves are seen, wherever they come from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self._effects: list[Tensor] = []

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in OTHER_RECTIFIERS:
            raise SaltrustError(
                f"guided backpropagation is defined for ReLU; the model also calls {func.__name__}. Use another method"
            )
        output = func(*args, **(kwargs or {}))
        if func in RELUS:
            self.calls += 1
            if output.requires_grad:
                output.register_hook(self._guide(output.detach()))
        return output

    def _guide(self, output: Tensor) -> Callable[[Tensor], Tensor]:
        def positive(gradient: Tensor) -> Tensor:
            self._effects.append(((gradient < 0) & (output > 0)).any())
            return gradient.clamp(min=0)

        return positive

    @property
    def changed_something(self) -> bool:
        """Whether a negative gradient was stopped that plain backpropagation would have let pass."""
        return any(bool(effect) for effect in self._effects)


@method(
    "guided_backprop",
    abbreviation="GBP",
    title="Guided Backpropagation",
    family="modified_backward",
    cite="springenberg2015striving",
    formula=r"R^{l} = \mathbb{1}[f^{l} > 0] \, \mathbb{1}[R^{l+1} > 0] \, R^{l+1}",
)
def guided_backprop(model: Explained, images: Tensor, keys: Sequence[tuple[int, ...]]) -> Tensor:
    """The gradient where each ReLU lets only positive gradients pass (Springenberg et al. 2015, section 3.4).

    images: (n, channels, height, width) in the model's input range. Returns the same shape. Raises SaltrustError where
    the model calls no ReLU, calls other rectifiers, or the map would equal the plain gradient.
    """
    with GuidedReLU() as rule:
        maps = model.gradients(model.accept(images))
    if not rule.calls:
        raise SaltrustError("guided backpropagation found no ReLU in the model, so its map would be the plain gradient")
    if not rule.changed_something and bool(maps.any()):
        raise SaltrustError(
            f"guided backpropagation equals the plain gradient: no negative gradient reaches the model's {rule.calls} "
            "ReLU calls. Use 'grad'"
        )
    return maps.to(images.device)


@method(
    "guided_gradcam",
    abbreviation="GGCAM",
    title="Guided Grad-CAM",
    family="modified_backward",
    cite="selvaraju2017gradcam",
    formula=r"\mathrm{GCAM}(x) \odot \mathrm{GBP}(x)",
    parts=lambda p: {"gradcam": ("gradcam", {"layer": p["layer"]}), "guided_backprop": ("guided_backprop", {})},
)
def guided_gradcam(
    images: np.ndarray,
    keys: Sequence[tuple[int, ...]],
    parts: dict[str, np.ndarray],
    *,
    layer: Annotated[str | None, "module path of Grad-CAM's layer; None for the model's cam_layer"] = None,
    maps: Annotated[str, '"raw" maps, or as "displayed"'] = "raw",
) -> np.ndarray:
    """Grad-CAM times guided backpropagation, pixel by pixel (Selvaraju et al. 2017, section 3.2).

    parts: "gradcam" (n, 1, height, width) and "guided_backprop" (n, channels, height, width). maps: "raw" for the maps
    themselves, "displayed" for both as they are shown (absolute sum over channels, clipped at the 99th percentile,
    rescaled to [0, 1]), as the code of Arun et al. does. Returns (n, channels or 1, height, width).
    """
    cam, guided = parts["gradcam"], parts["guided_backprop"]
    if maps == "raw":
        return cam * guided
    if maps == "displayed":
        return (prepare(cam, "sum_abs", clip=99.0) * prepare(guided, "sum_abs", clip=99.0))[:, None]
    raise unknown_name("kind of maps to multiply", maps, ("raw", "displayed"))
