"""Randomized models: networks with the weights of some stages re-initialized.

An order says which stages are random in the state named after a stage: those from the output down to it, those from the
input up to it, or it alone. Each stage draws from its own generator, keyed by (seed, stage name), so that any state can
be made alone, and a stage's random weights are the same in every state and order. The parts of a stage draw as the
whole one does, and each takes its share: a finer cascade has the states of the coarser one, and more between them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import nn
from torch.nn.utils import parametrize

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry
from saltrust.models.architectures import Stage
from saltrust.models.classifiers import seeded
from saltrust.models.initialization import BATCHNORM, INITS, has_statistics

ORDERS: Registry[Callable[[Sequence[str], str], Sequence[str]]] = Registry("order of randomization")
"""(all stages from the output to the input, a stage) -> the stages that are random in that stage's state."""


@ORDERS.register("top_down")
def top_down(stages: Sequence[str], stage: str) -> Sequence[str]:
    """From the output down to and with the stage: cascading randomization.

    Args:
        stages: names from the output to the input.
        stage: one of them.

    Source:
        Adebayo et al. 2018, section 3.1.

    >>> top_down(["logits", "block", "stem"], "block")
    ['logits', 'block']
    """
    return stages[: stages.index(stage) + 1]


@ORDERS.register("bottom_up")
def bottom_up(stages: Sequence[str], stage: str) -> Sequence[str]:
    """From the input up to and with the stage, so that no trained stage sees the image before a random one.

    Top-down, the trained lower stages still pass on which activations are large.

    Args:
        stages: names from the output to the input.
        stage: one of them.

    Source:
        Binder et al. 2023.

    >>> bottom_up(["logits", "block", "stem"], "block")
    ['block', 'stem']
    """
    return stages[stages.index(stage) :]


@ORDERS.register("independent")
def independent(stages: Sequence[str], stage: str) -> Sequence[str]:
    """The stage alone, all others trained: independent randomization.

    Args:
        stages: names from the output to the input.
        stage: one of them.

    Source:
        Adebayo et al. 2018, section 3.2.

    >>> independent(["logits", "block", "stem"], "block")
    ['block']
    """
    return [stage]


def in_order(stages: Sequence[str], order: str) -> list[str]:
    """The stages as an order goes through them: the fewest random stages first.

    Args:
        stages: names from the output to the input.
        order: a name in ORDERS.

    >>> in_order(["logits", "block", "stem"], "bottom_up")
    ['stem', 'block', 'logits']
    """
    return sorted(stages, key=lambda stage: len(ORDERS[order](stages, stage)))


def cascade(
    model: nn.Module,
    stages: Sequence[Stage],
    init: str,
    seed: int,
    batchnorm: str = "reset",
    order: str = "top_down",
) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a model in the state of each stage, from the fewest random stages to the most.

    So bottom_up runs from the input to the output, the others from the output to the input. Each model is a copy of its
    own and may be kept or changed.

    Args:
        model: a trained network, which stays as it is.
        stages: from the output to the input.
        init: how weights are drawn, a name in INITS.
        seed: of the random weights.
        batchnorm: what becomes of the random stages' batch normalization, a name in BATCHNORM.
        order: which stages are random, a name in ORDERS.

    Yields:
        The stage's name and the model.

    Raises:
        SaltrustError: a name is unknown, or a layer's weights cannot be drawn (see `check`).

    >>> stages = [Stage("logits", ("1",)), Stage("stem", ("0",))]
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    >>> [name for name, _ in cascade(network, stages, "truncated_normal", seed=0)]
    ['logits', 'stem']
    """
    names = [stage.name for stage in stages]
    state, random = model, set()
    for stage in in_order(names, order):
        wanted = set(ORDERS[order](names, stage))
        if not random <= wanted:
            state, random = model, set()
        state = _drawn(state, stages, wanted - random, init, seed, batchnorm)  # what is random stays: it is slow
        random = wanted
        yield stage, copy.deepcopy(state)


def randomize(
    model: nn.Module,
    stages: Sequence[Stage],
    stage: str,
    init: str,
    seed: int,
    batchnorm: str = "reset",
    order: str = "top_down",
) -> nn.Module:
    """A copy of a model with random weights in the stages that the order names for a stage; the rest is as it was.

    Args:
        model: a trained network, which stays as it is.
        stages: from the output to the input.
        stage: name of one of them.
        init: how weights are drawn, a name in INITS.
        seed: of the random weights.
        batchnorm: what becomes of the random stages' batch normalization, a name in BATCHNORM.
        order: which stages are random, a name in ORDERS.

    Raises:
        SaltrustError: a name is unknown, or a layer's weights cannot be drawn (see `check`).

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    >>> stages = [Stage("logits", ("1",)), Stage("stem", ("0",))]
    >>> found = randomize(network, stages, "logits", "truncated_normal", seed=0)
    >>> found[0].weight.equal(network[0].weight), found[1].weight.equal(network[1].weight)
    (True, False)
    """
    names = [one.name for one in stages]
    if stage not in names:
        raise unknown_name("stage", stage, names)
    return _drawn(model, stages, ORDERS[order](names, stage), init, seed, batchnorm)


def _drawn(
    model: nn.Module, stages: Sequence[Stage], wanted: Iterable[str], init: str, seed: int, batchnorm: str
) -> nn.Module:
    draw, normalize = INITS[init], BATCHNORM[batchnorm]
    named = {stage.name: stage for stage in stages}
    model = copy.deepcopy(model)
    check(model, stages)
    for name in wanted:
        whole = named[name].whole
        with seeded(_key(seed, whole)):
            for part in (stage for stage in stages if stage.whole == whole):
                for layer in layers_of(model, part):
                    own = layer if part.name == name else copy.deepcopy(layer)  # the numbers of other parts go by
                    (normalize if has_statistics(layer) else draw)(own)
    return model


def randomized(model: nn.Module, stages: Sequence[Stage], init: str, seed: int, batchnorm: str = "reset") -> nn.Module:
    """A copy of a model with every weight random: the last state of the cascade, from either end.

    Args:
        model: a trained network, which stays as it is.
        stages: from the output to the input.
        init: how weights are drawn, a name in INITS.
        seed: of the random weights.
        batchnorm: what becomes of batch normalization, a name in BATCHNORM.

    Raises:
        SaltrustError: a name is unknown, or a layer's weights cannot be drawn (see `check`).

    >>> found = randomized(nn.Sequential(nn.Linear(2, 1)), [Stage("logits", ("0",))], "truncated_normal", seed=0)
    >>> found[0].bias.tolist()
    [0.0]
    """
    return randomize(model, stages, stages[-1].name, init, seed, batchnorm)


def layers_of(model: nn.Module, stage: Stage) -> list[nn.Module]:
    """The layers of a stage that hold weights or statistics of their own, in the order of the network's definition.

    Args:
        model: the network.
        stage: its paths; one that ends in a dot names a module without its submodules.

    >>> layers_of(nn.Sequential(nn.Linear(2, 1), nn.ReLU()), Stage("all", ("0", "1")))
    [Linear(in_features=2, out_features=1, bias=True)]
    """
    found = []
    for path in stage.modules:
        module = model.get_submodule(path.removesuffix("."))
        found += [module] if path.endswith(".") else module.modules()
    return [
        layer for layer in found if has_statistics(layer) or next(layer.parameters(recurse=False), None) is not None
    ]


def check(model: nn.Module, stages: Sequence[Stage]) -> None:
    """Check that a random number can stand for each weight of the stages.

    It cannot for results of a parametrization (weight normalization, spectral normalization) and integers of a
    quantized layer.

    Args:
        model: the network.
        stages: of the network.

    Raises:
        SaltrustError: a stage holds such weights.
    """
    paths = {module: path for path, module in model.named_modules()}
    for layer in (layer for stage in stages for layer in layers_of(model, stage)):
        if isinstance(layer, parametrize.ParametrizationList):
            raise SaltrustError(
                f"module '{paths[layer]}' computes a weight from others: make it one by "
                "torch.nn.utils.parametrize.remove_parametrizations before the model is handed over"
            )
        for name, tensor in layer.named_parameters(recurse=False):
            if not tensor.is_floating_point():
                raise SaltrustError(f"'{name}' of module '{paths[layer]}' is {tensor.dtype}: random weights are floats")


def _key(seed: int, stage: str) -> int:
    """A seed for one stage: 63 bits of a hash, so that the stages of one seed, or of near seeds, share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stage}".encode()).digest()[:8], "big") >> 1
