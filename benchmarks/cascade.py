"""Cascading randomization beside Quantus' model parameter randomisation test (MPRT), its maps made by captum."""

from collections.abc import Callable, Iterator
from itertools import islice
from types import SimpleNamespace

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients, NoiseTunnel, Saliency
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import ARCHITECTURE, network, network_inputs
from saltrust.methods.explained import Explained
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import METHODS
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.randomization import cascade, randomized
from saltrust.scores.ssim import ssim

INIT, SEED = "truncated_normal", 0
CHANNELS = "sum_abs"

Similarities = dict[str, np.ndarray]  # method -> (states, images)


def ours_of(model: nn.Module, images: Tensor, methods: dict[str, dict], states: int) -> Similarities:
    """SSIM of each map of the trained model with that of each of `states` states of the cascade."""

    def maps(model: nn.Module) -> Iterator[np.ndarray]:
        explained = Explained(model)
        keys = [(i,) for i in range(len(images))]
        for name, parameters in methods.items():
            yield prepare(METHODS[name].function(explained, images, keys, **parameters).numpy(), CHANNELS)

    trained = list(maps(model))
    random = [
        maps(state) for _, state in islice(cascade(model, ARCHITECTURES[ARCHITECTURE].stages, INIT, SEED), states)
    ]
    scores = [[ssim(*pair, data_range=1.0) for pair in zip(trained, state, strict=True)] for state in random]
    return dict(zip(methods, np.array(scores).swapaxes(0, 1), strict=True))


def explain_by(attribute: Callable[[nn.Module, Tensor], Tensor]) -> Callable[..., np.ndarray]:
    """A method as Quantus wants it: (model, inputs, targets) -> prepared maps (n, 1, height, width)."""

    def explain(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
        raw = attribute(model, torch.as_tensor(inputs, dtype=torch.float32).requires_grad_())
        return prepare(raw.detach().numpy(), CHANNELS)[:, None]

    return explain


def gradient(model: nn.Module, images: Tensor) -> Tensor:
    return Saliency(model).attribute(images, target=0, abs=False)


def theirs_of(model: nn.Module, images: Tensor, methods: dict[str, Callable]) -> Similarities:
    """What Quantus gives for the layers of the model, from the output to the input."""
    import quantus  # installed by `make benchmark` alone

    settings = {"abs": False, "normalise": False, "disable_warnings": True, "layer_order": "top_down"}
    targets = np.zeros(len(images), int)
    found = {}
    for name, attribute in methods.items():
        test = quantus.MPRT(similarity_func=similarity, **settings)
        scores = test(model, images.numpy(), targets, explain_func=explain_by(attribute), channel_first=True)
        found[name] = np.array([values for layer, values in scores.items() if layer != "original"])
    return found


def similarity(first: np.ndarray, second: np.ndarray, **_: object) -> np.ndarray:
    """SSIM of flattened square maps (n, pixels), with the window of `ours_of`."""
    side = round(first.shape[1] ** 0.5)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    pairs = zip(first.reshape(-1, side, side), second.reshape(-1, side, side), strict=True)
    return np.array([structural_similarity(a, b, **window) for a, b in pairs])


class Staged(nn.Module):
    """The network with the stages of our cascade in the place of its layers, so that Quantus randomizes the same."""

    def __init__(self, model: nn.Module, states: int):
        super().__init__()
        self.model, self.states = model, states
        self.random = randomized(model, ARCHITECTURES[ARCHITECTURE].stages, INIT, SEED)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    def named_modules(self, *_: object, **__: object) -> Iterator[tuple[str, SimpleNamespace]]:
        """The stages, each of which Quantus asks to `reset_parameters`."""
        for stage in reversed(ARCHITECTURES[ARCHITECTURE].stages[: self.states]):
            yield stage.name, SimpleNamespace(reset_parameters=lambda stage=stage: self._reset(stage.modules))

    def _reset(self, paths: tuple[str, ...]) -> None:
        for path in paths:
            self.model.get_submodule(path).load_state_dict(self.random.get_submodule(path).state_dict())


@BENCHMARKS.register("cascade")
def whole(size: Size) -> Comparison:
    model, (images, _) = network(), network_inputs(size.images, size.input)
    layers = sum(hasattr(layer, "reset_parameters") for layer in model.modules())
    return Comparison(
        work=f"whole cascade of an InceptionV3, gradient, {size.images} images of {size.input} px",
        beside="Quantus MPRT",
        ours=lambda: ours_of(model, images, {"grad": {}}, size.states),
        theirs=lambda: theirs_of(model, images, {"grad": gradient}),
        agree=lambda one, other: bool(np.isfinite([*one["grad"].ravel(), *other["grad"].ravel()]).all()),
        target=10,
        repeats=1,
        warm_up=False,
        note=f"Each as it comes: ours randomizes {size.states} stages, Quantus each of {layers} layers, with other "
        "weights, so only their being finite is compared; the row below compares values. The cost of both is "
        "proportional to the images and to the passes of the method.",
    )


@BENCHMARKS.register("cascade_states")
def same_states(size: Size) -> Comparison:
    model, (images, _) = network(), network_inputs(size.images, size.input)
    samples, steps = min(size.samples, 3), min(size.steps, 3)
    methods = {"grad": {}, "input_x_gradient": {}, "ig": {"steps": steps}, "smoothgrad": {"samples": samples}}
    paths = {"baselines": -1.0, "n_steps": steps, "method": "gausslegendre", "internal_batch_size": 32}
    noise = {"nt_samples": samples, "stdevs": 0.3, "abs": False}

    by_captum = {
        "grad": gradient,
        "input_x_gradient": lambda model, images: InputXGradient(model).attribute(images, target=0),
        "ig": lambda model, images: IntegratedGradients(model).attribute(images, target=0, **paths),
        "smoothgrad": lambda model, images: NoiseTunnel(Saliency(model)).attribute(images, target=0, **noise),
    }

    def agree(one: Similarities, other: Similarities) -> bool:
        return all(np.abs(one[name] - other[name]).max() <= 0.01 for name in ("grad", "input_x_gradient", "ig"))

    return Comparison(
        work=f"cascade, the same {size.states} states, {len(methods)} methods, {size.images} images",
        beside="Quantus MPRT",
        ours=lambda: ours_of(model, images, methods, size.states),
        theirs=lambda: theirs_of(Staged(model, size.states), images, by_captum),
        agree=agree,
        target=1.2,
        repeats=1,
        warm_up=False,
        note=f"Gradient, Input x Gradient, Integrated Gradients of {steps} steps and SmoothGrad of {samples} samples, "
        "on the same weights, with the same SSIM. Its values differ by at most 0.01, but for SmoothGrad, whose noise "
        "differs. Both make the same passes, so that the ratio is about that of one pass; the row above also "
        "counts the states that are spared.",
    )
