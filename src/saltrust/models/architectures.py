"""The networks that can be trained and explained: torchvision bodies with the heads of the papers.

A network maps images (n, 3, h, w), float32 in its input range, to logits (n, n_outputs). Its stages name the blocks of
its weights from the output to the input: the order in which a cascade randomizes them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from saltrust.core.registry import Registry
from saltrust.models.torchvision_compat import torchvision

State = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """A block of weights that a cascade randomizes in one step.

    Attributes:
        name: of the stage.
        modules: dotted paths, all with their submodules; a path that ends in a dot names a module without them.
    """

    name: str
    modules: tuple[str, ...]

    @property
    def whole(self) -> str:
        """The name of the stage whose random numbers it takes."""
        return self.name


@dataclass(frozen=True)
class Part(Stage):
    """A part of a stage, as a finer cascade has it: a stage that takes its share of the whole one's random numbers.

    So what is random in both cascades is the same numbers in both, and a stage that both have names the same network.

    Attributes:
        of: name of the whole stage.
    """

    of: str

    @property
    def whole(self) -> str:
        return self.of


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained and explained.

    Attributes:
        name: in the registry.
        title: as in prose.
        builder: number of outputs -> untrained network.
        adapt: torchvision's ImageNet state -> the state for inputs in `input_range` under this network's names.
        learning_rate: its paper's, for fine-tuning.
        stages: from the output to the input, as are the modules of a stage.
        input_range: of a black and of a white pixel.
        fresh: paths of the layers that ImageNet weights do not fill; () for the first stage.
        body: torchvision's name of the network whose weights fill the rest; "" for the name itself.
        paper_end: name of the last stage in the cascade of its paper, None where the paper made none.
        fine_stages: the same weights in more stages, where a paper has a finer cascade; else ().
    """

    name: str
    title: str
    builder: Callable[[int], nn.Module]
    adapt: Callable[[State], State]
    learning_rate: float
    stages: tuple[Stage, ...]
    input_range: tuple[float, float] = (-1.0, 1.0)
    fresh: tuple[str, ...] = ()
    body: str = ""
    paper_end: str | None = None
    fine_stages: tuple[Stage, ...] = ()

    def is_fresh(self, tensor: str) -> bool:
        """Whether a tensor of the state belongs to a layer that ImageNet weights do not fill."""
        return any(tensor.startswith(f"{path}.") for path in self.fresh or self.stages[0].modules)


ARCHITECTURES: Registry[Architecture] = Registry("architecture")


def _register(name: str, **fields) -> None:
    ARCHITECTURES.register(name)(Architecture(name, **fields))


# Arun et al.: InceptionV3 and DenseNet121 on [-1, 1]; learning rates from their Methods. Venkatesh et al.: InceptionV3
# and DenseNet169, with one learning rate for both, from their code.


def _inception_v3(n_outputs: int) -> nn.Module:
    model = torchvision.models.inception_v3(
        weights=None, num_classes=n_outputs, aux_logits=False, transform_input=False, init_weights=False, dropout=0.0
    )
    # He's scale, where torchvision draws every layer with sd 0.1 (the default) through a slow sampler.
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def _adapt_inception_v3(state: State) -> State:
    """The weights were trained on [-1, 1] (torchvision converts its own inputs to that); the auxiliary head goes."""
    return {name: value for name, value in state.items() if not name.startswith("AuxLogits.")}


def _densenet(layers: int, n_outputs: int) -> nn.Module:
    return torchvision.models.get_model(f"densenet{layers}", weights=None, num_classes=n_outputs)


def _adapt_densenet(state: State) -> State:
    """Rename the old checkpoint's layers, and fold the ImageNet normalization (x - mean)/sd into the first block.

    With x = (u + 1)/2 the normalized input is a·u + b, a = 0.5/sd, b = (0.5 - mean)/sd per channel: a scales the first
    convolution, and what it makes of the constant b moves its batch normalization's mean. Exact but for the border,
    where the convolution's zero padding stands for another grey.
    """
    layer = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    state = {layer.sub(r"\1\2", name): value for name, value in state.items()}
    weight, mean = state.get("features.conv0.weight"), state.get("features.norm0.running_mean")
    if weight is None or mean is None:
        return state
    centre, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    constant = (weight.sum(dim=(2, 3)) * ((0.5 - centre) / sd)).sum(dim=1)
    state["features.conv0.weight"] = weight * (0.5 / sd).view(1, 3, 1, 1)
    state["features.norm0.running_mean"] = mean - constant
    return state


_INCEPTION_BLOCKS = tuple(
    f"Mixed_{block}" for block in ("7c", "7b", "7a", "6e", "6d", "6c", "6b", "6a", "5d", "5c", "5b")
)
_INCEPTION_STEM = ("Conv2d_4a_3x3", "Conv2d_3b_1x1", "Conv2d_2b_3x3", "Conv2d_2a_3x3", "Conv2d_1a_3x3")
_INCEPTION_UPPER = (Stage("logits", ("fc",)), *(Stage(block, (block,)) for block in _INCEPTION_BLOCKS))

_register(
    "inception_v3",
    title="InceptionV3",
    builder=_inception_v3,
    adapt=_adapt_inception_v3,
    learning_rate=1e-4,
    stages=(*_INCEPTION_UPPER, Stage("stem", _INCEPTION_STEM)),
    paper_end="Mixed_5c",  # Keras' Mixed 1, the end of Fig. 3 of Arun et al.
    # The 17 of Venkatesh et al. [code], who call the logits fc.
    fine_stages=(*_INCEPTION_UPPER, *(Part(layer, (layer,), of="stem") for layer in _INCEPTION_STEM)),
)

for _layers, _learning_rate in ((121, 7e-5), (169, 1e-4)):
    _register(
        f"densenet{_layers}",
        title=f"DenseNet{_layers}",
        builder=partial(_densenet, _layers),
        adapt=_adapt_densenet,
        learning_rate=_learning_rate,
        stages=(
            Stage("logits", ("classifier",)),
            Stage("denseblock4", ("features.norm5", "features.denseblock4")),
            Stage("transition3", ("features.transition3",)),
            Stage("denseblock3", ("features.denseblock3",)),
            Stage("transition2", ("features.transition2",)),
            Stage("denseblock2", ("features.denseblock2",)),
            Stage("transition1", ("features.transition1",)),
            Stage("denseblock1", ("features.denseblock1",)),
            Stage("stem", ("features.norm0", "features.conv0")),
        ),
    )


# Tjoa & Guan: ResNet34, AlexNet and VGG16 on [0, 1] without the ImageNet mean and sd, so the weights load as they are;
# learning rates from section III-B, heads from the code. All layers run once and in order, but for ResNet's ReLUs. The
# code's VGG16 ends in one more LeakyReLU, on the logits: no explanation of a positive logit depends on it.

_UNIT = (0.0, 1.0)


def _headless(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("classifier.")}


def _he(model: nn.Module) -> nn.Module:
    """He's normal weights and zero biases: without them plain deep networks do not train from scratch."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def _resnet34(n_outputs: int) -> nn.Module:
    *body, _ = torchvision.models.resnet34(weights=None).named_children()
    return nn.Sequential(OrderedDict([*body, ("fc", nn.Conv2d(512, n_outputs, 1)), ("flatten", nn.Flatten())]))


def _plain(network: Callable[..., nn.Module], classifier: Callable[[int], nn.Module], n_outputs: int) -> nn.Sequential:
    """The convolutions of AlexNet or VGG under another classifier."""
    with torch.device("meta"):  # torchvision's own classifier, of 100 million weights, is never made
        body = network(weights=None)
        parts = [("features", body.features), ("avgpool", body.avgpool), ("flatten", nn.Flatten())]
        model = nn.Sequential(OrderedDict([*parts, ("classifier", classifier(n_outputs))]))
    return _he(model.to_empty(device=torch.get_default_device()))


def _alexnet_classifier(n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.LeakyReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.LeakyReLU(),
        nn.Linear(4096, n_outputs),
    )  # fmt: skip


def _vgg16_classifier(n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(), nn.Linear(512 * 7 * 7, 4096), nn.LeakyReLU(),
        nn.Dropout(), nn.Linear(4096, n_outputs),
    )  # fmt: skip


_alexnet = partial(_plain, torchvision.models.alexnet, _alexnet_classifier)
_vgg16 = partial(_plain, torchvision.models.vgg16, _vgg16_classifier)


def _deeper_alexnet(extra: int, n_outputs: int) -> nn.Module:
    """AlexNet behind `extra` convolutions 3 -> 3 channels, 3 x 3, dilation 2, each with a LeakyReLU [code].

    The text gives numbers of layers only. The code hands their number to a setting that the network does not read, so
    that, run as it is, each of its eight networks has two such layers.
    """
    layers = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=2, dilation=2), nn.LeakyReLU()) for _ in range(extra)]
    return nn.Sequential(OrderedDict([("extra", _he(nn.Sequential(*layers))), *_alexnet(n_outputs).named_children()]))


def deepened(state: State, extra: int) -> State:
    """The state of "alexnet+<extra>" that computes what AlexNet does: its extra layers pass the image on.

    This is exact, since the image is not negative and LeakyReLU leaves such numbers alone.

    Args:
        state: of an AlexNet.
        extra: number of layers, from 0.

    Returns:
        A state, with tensors of the given one in it.

    >>> deepened({}, 1)["extra.0.0.weight"].shape
    torch.Size([3, 3, 3, 3])
    """
    identity = nn.init.dirac_(torch.empty(3, 3, 3, 3))
    layers = {f"extra.{i}.0.weight": identity.clone() for i in range(extra)}
    biases = {f"extra.{i}.0.bias": torch.zeros(3) for i in range(extra)}
    return {**layers, **biases, **state}


_ALEXNET_STAGES = (
    Stage("logits", ("classifier.6",)),
    Stage("fc7", ("classifier.4",)),
    Stage("fc6", ("classifier.1",)),
    *(Stage(f"conv{i}", (f"features.{layer}",)) for i, layer in ((5, 10), (4, 8), (3, 6), (2, 3), (1, 0))),
)

_register(
    "resnet34",
    title="ResNet34",
    builder=_resnet34,
    adapt=dict,
    learning_rate=1e-3,
    stages=(
        Stage("logits", ("fc",)),
        *(Stage(f"layer{i}", (f"layer{i}",)) for i in (4, 3, 2, 1)),
        Stage("stem", ("bn1", "conv1")),
    ),
    input_range=_UNIT,
)

_register(
    "alexnet",
    title="AlexNet",
    builder=_alexnet,
    adapt=_headless,
    learning_rate=1e-4,
    stages=_ALEXNET_STAGES,
    input_range=_UNIT,
    fresh=("classifier",),
)

_register(
    "vgg16",
    title="VGG16",
    builder=_vgg16,
    adapt=_headless,
    learning_rate=1e-4,
    stages=(
        Stage("logits", ("classifier.4",)),
        Stage("fc6", ("classifier.1",)),
        *(
            Stage(f"conv{i}", tuple(f"features.{layer}" for layer in layers))
            for i, layers in ((5, (28, 26, 24)), (4, (21, 19, 17)), (3, (14, 12, 10)), (2, (7, 5)), (1, (2, 0)))
        ),
    ),
    input_range=_UNIT,
    fresh=("classifier",),
)

DEEPER = {f"alexnet+{extra}": extra for extra in range(1, 9)}
"""The networks of the depth test (Tjoa & Guan, appendix Fig. 1) -> how many layers they add to AlexNet."""

for _name, _extra in DEEPER.items():
    _register(
        _name,
        title=f"AlexNet + {_extra}",
        builder=partial(_deeper_alexnet, _extra),
        adapt=_headless,
        learning_rate=1e-4,
        stages=(*_ALEXNET_STAGES, Stage("extra", tuple(f"extra.{i}" for i in reversed(range(_extra))))),
        input_range=_UNIT,
        fresh=("classifier", "extra"),
        body="alexnet",
    )


# Of ours, for images of 8 x 8 pixels, of which thousands are run in a second; a background of 0 stays 0 at the border.


def _small(n_outputs: int) -> nn.Module:
    widths = (3, 8, 16, 16)
    first, second, third = (nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:], strict=False))
    layers = [("conv1", first), ("relu1", nn.ReLU()), ("conv2", second), ("relu2", nn.ReLU())]
    layers += [("pool", nn.MaxPool2d(2)), ("conv3", third), ("relu3", nn.ReLU())]
    layers += [("grid", nn.AdaptiveAvgPool2d(4)), ("flatten", nn.Flatten()), ("fc", nn.Linear(16 * 16, n_outputs))]
    return _he(nn.Sequential(OrderedDict(layers)))


_register(
    "scnn",
    title="Small CNN",
    builder=_small,
    adapt=dict,
    learning_rate=1e-3,
    stages=(Stage("logits", ("fc",)), *(Stage(name, (name,)) for name in ("conv3", "conv2", "conv1"))),
    input_range=_UNIT,
)
