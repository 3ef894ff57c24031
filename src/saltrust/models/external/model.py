"""Your model: a classifier that was trained elsewhere, made to take and give what this package does, and checked."""

from __future__ import annotations

import copy
import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.parameter import is_lazy

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.core.network_blocks import Wrapper
from saltrust.models.architectures import Stage
from saltrust.models.classifiers import seeded
from saltrust.models.external import keras, libraries  # noqa: F401  with them, every source is known
from saltrust.models.external.gradient_trial import check_gradient
from saltrust.models.external.open_range import check_range
from saltrust.models.external.probe import FAILURES, SAME, count_outputs, find_input, left_open, probe_images
from saltrust.models.external.sources import LoadedNetwork, find, one_line, refusal
from saltrust.models.external.stages import stages_of
from saltrust.models.external.torchscript import Compiled
from saltrust.models.randomization import check

SHOWN = 8  # names that an error lists
MOST_NESTED = 100  # modules within one another


@dataclass(frozen=True)
class ExternalModel:
    """A classifier that was trained elsewhere.

    Attributes:
        network: images (n, 3, h, w), float32 in [0, 1], 0 black -> logits (n, 1) of the card's finding, or (n, k) of
            the card's classes or findings in their order. It is a sequence of `preprocessing`, `body` and `selection`,
            without those that would change nothing.
        size: side of its images in pixels.
        title: as in prose.
        classes: what its own outputs are called.
        stages: its blocks of weights from the output to the input.
        architecture: equal for replicates of one.
        checksum: of weights and code.
        model: all that is known of its input and outputs, from the card or its source.
        visible: whether its operations can be seen as they run, which is not so for TorchScript.
        guessed: what was assumed of its input and outputs, since neither the card nor its source says it and the
            network does not show it: names of fields of `Model`.
    """

    network: nn.Module
    size: int
    title: str
    classes: tuple[str, ...]
    stages: tuple[Stage, ...]
    architecture: str
    checksum: str
    model: Model
    visible: bool
    guessed: tuple[str, ...] = ()

    @property
    def assumed(self) -> str:
        """What the model is taken to be, in words: as its source says, or where that is silent, as found or guessed."""
        m = self.model
        guess = {name: f" (a guess: say `{name}`)" if name in self.guessed else "" for name in Model.model_fields}
        black, white = m.input_range or (0.0, 1.0)
        norm = f", less {_listed(m.mean or (0,))}, over {_listed(m.std or (1,))}" if m.mean or m.std else ""
        kind = "" if len(self.classes) < 2 else ", exclusive" if m.exclusive is not False else ", each for itself"
        return (
            f"{self.size} pixels{guess['size']}, {m.channels} channel{'s' if m.channels > 1 else ''}"
            f"{guess['channels']}, black {black:g} and white {white:g}{norm}{guess['input_range']}; outputs "
            f"{_list(self.classes)}{kind}{guess['exclusive']}"
        )

    @property
    def body(self) -> nn.Module:
        """The network as it was given."""
        return self.network.get_submodule("body")


def refuse_duplicates(models: Mapping[str, ExternalModel]) -> None:
    """Check that no two models have the same weights: they would agree, and say nothing.

    Args:
        models: name -> model.

    Raises:
        SaltrustError: two models have the same weights.
    """
    for (first, one), (second, other) in combinations(models.items(), 2):
        weights, others = one.body.state_dict(), other.body.state_dict()
        if one.architecture == other.architecture and all(torch.equal(weights[name], others[name]) for name in weights):
            raise SaltrustError(f"models '{first}' and '{second}' have the same weights: they are no replicates")


def load(
    model: Model, folder: Path, classes: Sequence[str], finding: str, findings: Sequence[str] = ()
) -> ExternalModel:
    """A card's model, ready to be explained.

    Of a binary finding, one output is its logit. Of two outputs that exclude each other, what is explained is the
    difference of the logits, the log odds; of more, the finding's logit alone. Of several findings, which never exclude
    each other, it is the logit of each.

    Args:
        model: what the card says.
        folder: where relative paths start.
        classes: the card's; () for a binary finding.
        finding: the card's.
        findings: the card's; a single one counts as none.

    Raises:
        SaltrustError: the model cannot be had, does not do what it should on a few images, or does not know the card's
            classes or findings; the error names its source.
    """
    with seeded(0):
        found = find(model, folder)
    findings = findings if len(findings) > 1 else ()
    model = _each_for_itself(_described(model, found)) if findings else _described(model, found)
    body = _settled(found.body, model)
    _check_repeats(body, model, folder)
    trial = _copied(body, model)
    channels, size = find_input(trial, model)
    unsaid = left_open(trial, model, channels, size)
    model = model.model_copy(update={"channels": channels, "size": size})
    preprocessing = _preprocessing(model)
    checksum = _checksum(body, found, model)
    n_outputs = _sound_outputs(body, trial, preprocessing, model, checksum)
    names = _names(model, n_outputs, finding)
    selection = _selection(model, names, classes or findings, finding)
    parts = OrderedDict(preprocessing=preprocessing, body=body, selection=selection)
    if _changes_nothing(preprocessing):
        del parts["preprocessing"]
    visible = not isinstance(body, Compiled)
    if visible and torch.equal(selection.weight, torch.eye(n_outputs)):  # a rule must see something run
        del parts["selection"]
    network = nn.Sequential(parts).eval()
    try:
        stages = stages_of(nn.Sequential(parts | {"body": trial}), size)  # another instance of the same modules
        check(network, stages)
    except SaltrustError as error:
        raise refusal(model, f"cannot be randomized: {error}") from error
    except FAILURES as error:
        raise refusal(model, f"cannot be cut into stages: {one_line(error)}") from error
    title = model.name or model.source
    guessed = _guessed(model, names, unsaid)
    return ExternalModel(network, size, title, names, stages, _architecture(body), checksum, model, visible, guessed)


_SOUND: dict[tuple[str, bool], int] = {}  # networks that passed every trial in this process -> number of outputs


def _sound_outputs(body: nn.Module, trial: nn.Module, preprocessing: nn.Module, model: Model, checksum: str) -> int:
    """Number of outputs of a network that passes all trials, which a copy runs: what it keeps of a run is not handed
    over. Once in a process."""
    key = (checksum, model.bounded_logits)
    if key not in _SOUND:
        runner = nn.Sequential(preprocessing, trial).eval()
        _check_copy(body, runner, preprocessing, model)
        n_outputs = count_outputs(runner, model, model.size)
        check_range(runner, model, model.size)
        check_gradient(nn.Sequential(preprocessing, body).eval(), model, model.size)
        _SOUND[key] = n_outputs
    return _SOUND[key]


def _check_repeats(body: nn.Module, model: Model, folder: Path) -> None:
    """Raise SaltrustError where the model's code gives other weights each time."""
    if ".py:" in model.source or ".py:" in model.architecture:
        with seeded(1):
            again = _settled(find(model, folder).body, model)
        if _weights(body) != _weights(again):
            raise refusal(
                model,
                "has other weights each time that it is loaded: read them from a file, or set a seed before they are "
                "drawn (torch.manual_seed)",
            )


def _settled(body: nn.Module, model: Model) -> nn.Module:
    """The network in evaluation mode and single precision, without gradients of its weights."""
    if _nesting(body) > MOST_NESTED:  # torch itself would crash
        raise refusal(model, f"holds itself, or modules within modules more than {MOST_NESTED} deep: RecursionError")
    empty = [name for name, w in (*body.named_parameters(), *body.named_buffers()) if w.is_meta or is_lazy(w)]
    if empty:
        raise refusal(model, f"has weights without values (meta device, or lazy and never run): {_list(empty)}")
    try:
        return body.float().eval().requires_grad_(False)
    except FAILURES as error:
        raise refusal(model, f"cannot be put into evaluation mode: {one_line(error)}") from error


def _nesting(body: nn.Module) -> float:
    """How many modules lie within one another; infinitely many where one holds itself."""
    deepest, around, seen, pending = 0, set(), set(), [(body, False)]
    while pending:
        module, leaves = pending.pop()
        if leaves:
            around.remove(module)
        elif module in around:
            return math.inf
        elif module not in seen:
            seen.add(module)
            around.add(module)
            deepest = max(deepest, len(around))
            pending += [(module, True), *((child, False) for child in module._modules.values() if child is not None)]
    return deepest


def _guessed(model: Model, names: Sequence[str], unsaid: Sequence[str]) -> tuple[str, ...]:
    """What neither the card nor the source says, and the network does not show: names of fields of `Model`."""
    scaled = {"input_range", "mean", "std"} & model.model_fields_set
    several = len(names) > 1 and model.exclusive is None
    return (*unsaid, *([] if scaled else ["input_range"]), *(["exclusive"] if several else []))


def _described(model: Model, found: LoadedNetwork) -> Model:
    """What the card says, and where it is silent, what the source says."""
    said = {key: value for key, value in found.says.items() if value is not None and key not in model.model_fields_set}
    try:
        return Model(**(model.model_dump(exclude_unset=True) | said))
    except ValidationError as error:
        first = error.errors()[0]
        raise refusal(model, f"describes itself wrongly: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _each_for_itself(model: Model) -> Model:
    """The model of a card with several findings, whose outputs cannot exclude each other."""
    if model.exclusive:
        raise refusal(
            model,
            "has outputs that exclude each other, and an image has any number of the findings: each needs an output "
            "for itself; where they are such, say `exclusive: false`",
        )
    return model.model_copy(update={"exclusive": False})


def _copied(body: nn.Module, model: Model) -> nn.Module:
    """A copy to try out, which shares nothing with the network."""
    try:
        copied = copy.deepcopy(body)
    except FAILURES as error:  # copying runs whatever the network's attributes define
        raise refusal(model, f"cannot be copied, so it could not be kept as it is: {one_line(error)}") from error
    return copied


def _check_copy(body: nn.Module, runner: nn.Module, preprocessing: nn.Module, model: Model) -> None:
    """Check that a fresh copy does as the one that ran before, whatever its first image is, and on weights of its own:
    whoever draws these anew would change nothing else."""
    weights = [weight for weight in body.parameters() if weight.is_floating_point()]
    fresh = nn.Sequential(preprocessing, _copied(body, model)).eval()
    image = probe_images(2, model.size)[1:]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        with torch.enable_grad(), seeded(0):
            first, later, again = (one(image.clone()) for one in (fresh, runner, runner))
    except FAILURES as error:
        raise refusal(model, f"fails when it runs again: {one_line(error)}") from error
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    outputs = first, later, again
    usable = (isinstance(one, torch.Tensor) and one.is_floating_point() and not one.is_sparse for one in outputs)
    if not all(usable) or len({one.shape for one in outputs}) > 1 or not later.numel() or not torch.equal(later, again):
        return  # what is wrong with them is said of the runs of one copy
    if first.requires_grad:
        raise refusal(
            model,
            "still runs on its own weights when it is copied: a lambda or a function in an attribute keeps hold of a "
            "module. Write it as a method",
        )
    if bool(((first - later).abs() > SAME * later.abs().max()).any()):
        raise refusal(model, "gives an image other logits when it ran on another before: nothing may be kept of a run")


# --- parts ------------------------------------------------------------------------------------------------------------


class Preprocessing(Wrapper, nn.Conv2d):
    """Pixels in [0, 1] -> what a network takes: a 1 x 1 convolution, for which every method has its rule."""


class OutputSelection(Wrapper, nn.Linear):
    """All outputs of a network -> those that are explained."""


def _preprocessing(model: Model) -> Preprocessing:
    """(black + (white - black) x - mean) / std of each channel; a single channel takes the mean of the three."""
    black, white = model.input_range or (0.0, 1.0)
    n = model.channels
    mean, std = (
        torch.tensor([float(number) for number in given or [none]], dtype=torch.float64)
        for given, none in ((model.mean, 0), (model.std, 1))
    )
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, n):
            raise refusal(model, f"has {n} channels and {len(values)} numbers in {name}")
    scale, shift = ((white - black) / std).expand(n), ((black - mean) / std).expand(n)
    weight = torch.eye(3, dtype=torch.float64) if n == 3 else torch.full((1, 3), 1 / 3, dtype=torch.float64)
    layer = Preprocessing(3, n, 1).requires_grad_(False)
    layer.weight.copy_((scale[:, None] * weight)[:, :, None, None])
    layer.bias.copy_(shift)
    return layer


def _changes_nothing(layer: Preprocessing) -> bool:
    return (
        layer.out_channels == 3 and torch.equal(layer.weight[:, :, 0, 0], torch.eye(3)) and not bool(layer.bias.any())
    )


def _names(model: Model, n_outputs: int, finding: str) -> tuple[str, ...]:
    """Names of the outputs; a single one that has no name is the finding."""
    names = model.classes or ((model.finding or finding,) if n_outputs == 1 else ())
    if not names:
        raise refusal(model, f"has {n_outputs} outputs without names: say them in order by `classes`")
    if len(names) != n_outputs:
        raise refusal(model, f"has {n_outputs} outputs and {len(names)} class names: {_list(names)}")
    return tuple(names)


def _selection(model: Model, names: Sequence[str], several: Sequence[str], finding: str) -> OutputSelection:
    """The card's classes or findings in their order, or its finding."""
    if several:
        rows = [_row(model, names, name, "by `classes`") for name in several]
        if len(set(rows)) < len(rows):
            raise refusal(model, f"has one output for two of the card's names: {_list(several)}")
        weight = torch.eye(len(names))[rows]
    else:
        hint = "by `classes`, or name the one that is the finding by `finding`"
        row = _row(model, names, model.finding or finding, hint)
        weight = torch.eye(len(names))[[row]]
        if len(names) == 2 and model.exclusive is not False:
            weight[0, 1 - row] = -1
    layer = OutputSelection(*weight.T.shape, bias=False).requires_grad_(False)
    layer.weight.copy_(weight)
    return layer


def _row(model: Model, names: Sequence[str], wanted: str, how: str) -> int:
    """Where an output of that name is, whatever its case and whether its words are parted by blanks or underscores.
    how: outputs get the card's names, for the error where there is none."""
    plain = [_plain(name) for name in names]
    if plain.count(_plain(wanted)) > 1:
        raise refusal(model, f"has several outputs called '{wanted}'")
    if _plain(wanted) in plain:
        return plain.index(_plain(wanted))
    near = [name for name in names if name and (_plain(name) in _plain(wanted) or _plain(wanted) in _plain(name))]
    near = near or get_close_matches(wanted, names, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    raise refusal(
        model,
        f"has no output '{wanted}';{hint} its {len(names)} are called {_list(names)}: give them the card's names {how}",
    )


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _listed(numbers: Sequence[float]) -> str:
    return "/".join(f"{number:g}" for number in numbers)


def _list(names: Sequence[str]) -> str:
    given = [name for name in names if name]
    return ", ".join(given[:SHOWN]) + (f", and {len(given) - SHOWN} more" if len(given) > SHOWN else "")


# --- identity ---------------------------------------------------------------------------------------------------------


def _architecture(body: nn.Module) -> str:
    """What two networks share that differ in nothing but their training: names and shapes of all tensors."""
    shapes = sorted((name, tuple(value.shape)) for name, value in body.state_dict().items())
    return hashlib.sha256(repr((type(body).__name__, shapes)).encode()).hexdigest()[:16]


def _checksum(body: nn.Module, found: LoadedNetwork, model: Model) -> str:
    """Of every tensor by its name, of the files that were run and the function in them, of the architecture's name (two
    may share names and shapes of all weights), and of what is known of input and outputs."""
    digest = hashlib.sha256(_weights(body))
    for file in sorted(found.code):
        digest.update(file.read_bytes())
    function = model.source.rpartition(":")[2] if found.code else ""
    architecture = model.architecture.rpartition(":")[2]
    digest.update(repr((function, architecture, sorted(model.identity().items()))).encode())
    return digest.hexdigest()


def _weights(body: nn.Module) -> bytes:
    """Digest of every tensor by its name."""
    digest = hashlib.sha256()
    for name, value in sorted(body.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
    return digest.digest()
