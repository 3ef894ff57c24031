"""Where libraries part, on networks of a few numbers: what the number should be, ours, and that of the library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.methods.explained import Explained
from saltrust.methods.libraries.captum import CAPTUM
from saltrust.methods.libraries.library import Library
from saltrust.methods.libraries.pair import PAIR
from saltrust.methods.libraries.pytorch_grad_cam import GRAD_CAM
from saltrust.methods.registry import METHODS
from saltrust.methods.xrai import rank_regions

Numbers = tuple[float, float, float | str]
"""What a number should be, ours, and the library's, or why it refuses."""


@dataclass(frozen=True)
class Example:
    """The smallest case of what a library does otherwise.

    Attributes:
        name: in EXAMPLES.
        library: whose it is.
        title: what it does, for a table.
        network: and its input, in words.
        measure: what the numbers are.
        numbers: computes them.
    """

    name: str
    library: Library
    title: str
    network: str
    measure: str
    numbers: Callable[[], Numbers]


EXAMPLES: Registry[Example] = Registry("example")


def example(library: Library, title: str, *, network: str, measure: str) -> Callable[[Callable[[], Numbers]], Example]:
    """Make a function that computes the numbers the example of its name."""

    def add(numbers: Callable[[], Numbers]) -> Example:
        found = Example(numbers.__name__, library, title, network, measure, numbers)
        return EXAMPLES.register(numbers.__name__)(found)

    return add


def example_table() -> pd.DataFrame:
    """All examples of installed libraries.

    Returns:
        Columns name, library, title, network, measure, should_be, ours, theirs (NaN where it refuses) and refusal ("",
        or what the library says).
    """
    rows = []
    for one in (one for one in EXAMPLES.values() if one.library.version):
        should_be, ours, theirs = one.numbers()
        refuses = isinstance(theirs, str)
        rows.append(
            {
                **{"name": one.name, "library": one.library.title, "title": one.title},
                **{"network": one.network, "measure": one.measure, "should_be": should_be, "ours": ours},
                **{"theirs": float("nan") if refuses else theirs, "refusal": theirs if refuses else ""},
            }
        )
    return pd.DataFrame(rows)


# --- networks of a few numbers ----------------------------------------------------------------------------------------


class Summed(nn.Module):
    """The sum of what some modules or functions, one after the other, make of an image of one channel."""

    def __init__(self, *steps: Callable[[Tensor], Tensor]):
        super().__init__()
        self.modules_of_it = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        modules = iter(self.modules_of_it)
        for step in self.steps:
            x = next(modules)(x) if isinstance(step, nn.Module) else step(x)
        return x.flatten(1).sum(1, keepdim=True)


def row(*values: float) -> Tensor:
    """An image (1, 1, 1, n).

    >>> row(1.0, 2.0).shape
    torch.Size([1, 1, 1, 2])
    """
    return torch.tensor([[[values]]])


def total(name: str, network: nn.Module, image: Tensor, pixel: int | None = None, **parameters: Any) -> float:
    """The sum of a method's map, or one pixel of it.

    Args:
        name: in METHODS.
        network: that is explained, its input from -10 to 10.
        image: (1, channels, 1, n).
        pixel: which one; None for all.
        parameters: of the method.

    >>> total("grad", Summed(), row(1.0, 2.0))
    2.0
    """
    model = Explained(network, input_range=(-10.0, 10.0))
    found = METHODS[name].function(model, image, [(0,)], **parameters)[0].sum(0).flatten()
    return float(found.sum() if pixel is None else found[pixel])


def refusal_or_number(compute: Callable[[], float]) -> float | str:
    """A number, or what the error says."""
    try:
        return compute()
    except SaltrustError as error:
        return str(error)


def change(network: nn.Module, image: Tensor, baseline: Tensor) -> float:
    """What a complete map of the image adds up to.

    >>> change(Summed(), row(1.0, 2.0), row(0.0, 0.0))
    3.0
    """
    return float(network(image.clone()) - network(baseline.clone()))


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _kernel_of_one() -> nn.Conv2d:
    one = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(one.weight)
    return one


# --- captum -----------------------------------------------------------------------------------------------------------


@example(
    CAPTUM,
    "Guided Backpropagation guides modules, not calls of relu()",
    network="-relu(x) at x = 1, relu a function",
    measure="Guided Backpropagation at the pixel",
)
def guided_function() -> Numbers:
    network = Summed(functional.relu, torch.neg)
    return 0.0, *(total(name, network, row(1.0)) for name in ("guided_backprop", "captum:guided_backprop"))


@example(
    CAPTUM,
    "DeepLift takes a call of relu() for linear",
    network="relu(x) at x = 1 from -1, relu a function",
    measure="sum of the map",
)
def deeplift_function() -> Numbers:
    network, image, start = Summed(functional.relu), row(1.0), row(-1.0)
    maps = (total(name, network, image, baseline=start) for name in ("deeplift", "captum:deeplift"))
    return change(network, image, start), *maps


@example(
    CAPTUM,
    "DeepLift keeps one share where windows of max pooling overlap",
    network="maxima of (1, 3) and (3, 2), windows of x = (1, 3, 2), from 0",
    measure="sum of the map",
)
def deeplift_overlap() -> Numbers:
    network, image, start = Summed(nn.MaxPool2d((1, 2), 1)), row(1.0, 3.0, 2.0), row(0.0, 0.0, 0.0)
    maps = (total(name, network, image, baseline=start) for name in ("deeplift", "captum:deeplift"))
    return change(network, image, start), *maps


@example(
    CAPTUM,
    "DeepLift loses its rule of a ReLU that max pooling follows at once",
    network="max relu(x) at x = (1, 3, 2) from (2, 1, 0)",
    measure="sum of the map",
)
def deeplift_relu_then_maximum() -> Numbers:
    network, image, start = Summed(nn.ReLU(), nn.MaxPool2d((1, 3))), row(1.0, 3.0, 2.0), row(2.0, 1.0, 0.0)
    maps = (total(name, network, image, baseline=start) for name in ("deeplift", "captum:deeplift"))
    return change(network, image, start), *maps


@example(
    CAPTUM,
    "DeepLift refuses a module that is used twice",
    network="relu(relu(x) - 1) at x = 3 from 0, one module",
    measure="sum of the map",
)
def deeplift_reused() -> Numbers:
    relu = nn.ReLU()

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = relu

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.relu(x) - 1).flatten(1)

    network, image, start = Twice(), row(3.0), row(0.0)
    ours = total("deeplift", network, image, baseline=start)
    theirs = refusal_or_number(lambda: total("captum:deeplift", network, image, baseline=start))
    return change(network, image, start), ours, theirs


@example(
    CAPTUM,
    "The weights of its trapezoidal rule do not add up to 1",
    network="x at x = 1 from 0, 5 points",
    measure="sum of Integrated Gradients",
)
def trapezoid() -> Numbers:
    given = {"steps": 5, "baseline": row(0.0), "quadrature": "riemann_trapezoid"}
    return 1.0, *(total(name, Summed(), row(1.0), **given) for name in ("ig", "captum:ig"))


@example(
    CAPTUM,
    "Saliency, and SmoothGrad of it, are absolute unless told otherwise",
    network="-2 x, no noise",
    measure="SmoothGrad by default",
)
def smoothgrad_absolute() -> Numbers:
    attr = CAPTUM.load(CAPTUM.version)
    network, image = Summed(lambda x: -2 * x), row(1.0)
    tunnel = attr.NoiseTunnel(attr.Saliency(network))
    theirs = tunnel.attribute(image.requires_grad_(), nt_samples=3, stdevs=0.0, target=0)
    return -2.0, total("smoothgrad", network, row(1.0), noise=0.0), float(theirs.sum())


@example(
    CAPTUM,
    "LRP shares relevance among the inputs of a pooling function as a gradient does",
    network="mean of x = (1, 3), a function",
    measure="relevance of the first pixel",
)
def lrp_pooling() -> Numbers:
    network = Summed(_kernel_of_one(), _mean, _kernel_of_one())
    return 0.5, *(total(name, network, row(1.0, 3.0), pixel=0) for name in ("lrp", "captum:lrp"))


@example(
    CAPTUM,
    "LRP refuses other activations than ReLU and tanh",
    network="gelu(x) at x = 1",
    measure="relevance of the pixel",
)
def lrp_gelu() -> Numbers:
    network = Summed(_kernel_of_one(), nn.GELU())
    theirs = refusal_or_number(lambda: total("captum:lrp", network, row(1.0)))
    return float(functional.gelu(torch.ones(()))), total("lrp", network, row(1.0)), theirs


# --- PAIR saliency ----------------------------------------------------------------------------------------------------


@example(
    PAIR,
    "Integrated Gradients counts both ends of the path in full",
    network="x³ at x = 1 from 0, 5 points",
    measure="sum of Integrated Gradients",
)
def path_with_both_ends() -> Numbers:
    network, given = Summed(lambda x: x**3), {"steps": 5, "baseline": row(0.0)}
    return 1.0, *(total(name, network, row(1.0), **given) for name in ("ig", "pair:ig"))


@example(
    PAIR,
    "SmoothGrad is the mean of squares unless told otherwise",
    network="-2 x, no noise",
    measure="SmoothGrad by default",
)
def smoothgrad_squares() -> Numbers:
    core, network = PAIR.load(PAIR.version), Summed(lambda x: -2 * x)
    theirs = core.GradientSaliency().GetSmoothedMask(np.ones((1, 1, 1)), _gradient_of_minus_2, nsamples=3)
    return -2.0, total("smoothgrad", network, row(1.0), noise=0.0), float(theirs.sum())


def _gradient_of_minus_2(images: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict:
    return {"INPUT_OUTPUT_GRADIENTS": np.full_like(images, -2.0)}


@example(
    PAIR,
    "XRAI starts its paths at the image's own least and largest value unless told otherwise",
    network="-2 (x₁ + x₂) at x = (0, 0.5) in [-1, 1], a region for each pixel",
    measure="attribution of the second pixel",
)
def xrai_baselines() -> Numbers:
    core, image = PAIR.load(PAIR.version), np.repeat([[[0.0], [0.5]]], 3, axis=2)
    parts = {f"ig_{name}": -2 * (image - end).transpose(2, 0, 1)[None] for name, end in (("black", -1), ("white", 1))}
    regions = np.array([[[True, False]], [[False, True]]])
    settings = core.XRAIParameters(steps=3)
    settings.experimental_params["min_pixel_diff"] = 0
    theirs = core.XRAI().GetMask(
        image, _gradient_of_minus_2, segments=list(regions), extra_parameters=settings, batch_size=1
    )
    mean = (parts["ig_black"] + parts["ig_white"]).max(1)[0] / 2
    return -1.0, float(rank_regions(mean, regions, min_pixels=1)[0][0, 1]), float(theirs[0, 1])


@example(
    PAIR,
    "Guided Integrated Gradients calls numpy in a way that numpy has given up",
    network="-2 x at x = 1 from 0",
    measure="sum of the map",
)
def guided_ig() -> Numbers:
    core, image = PAIR.load(PAIR.version), np.ones((1, 1, 1))
    model = Explained(Summed())

    def theirs() -> float:
        mask = core.GuidedIG().GetMask(image, _gradient_of_minus_2, x_baseline=0 * image, x_steps=3)
        return float(mask.sum())

    network = Summed(lambda x: -2 * x)
    ours = total("ig", network, row(1.0), baseline=row(0.0))
    return -2.0, ours, refusal_or_number(lambda: PAIR.guarded(model, theirs))


# --- pytorch-grad-cam -------------------------------------------------------------------------------------------------


@example(
    GRAD_CAM,
    "Maps are scaled to [0, 1] image by image",
    network="0.01 x at x = (0, 1, 0, 1), its layer x",
    measure="largest value of Grad-CAM",
)
def scaled_cam() -> Numbers:
    network = Summed(_kernel_of_one(), lambda x: 0.01 * x)
    image, names = row(0.0, 1.0, 0.0, 1.0), ("gradcam", "pytorch-grad-cam:gradcam")
    return 0.01, *(total(name, network, image, 1, layer="modules_of_it.0") for name in names)
