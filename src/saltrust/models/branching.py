"""Training in two phases for any number of classes: one base model, and branches from it (Tjoa & Guan, section III-B).

Phase 1 runs through its epochs without a look at the validation data. In phase 2, "regular evaluation", a branch goes
on from the base: every few steps it is validated on a random shard of the validation data, until it is good enough,
shows no progress for too long, or has used up its epochs.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.datasets.split import Split
from saltrust.devices import device
from saltrust.errors import SaltrustError, unknown_name
from saltrust.models.architectures import ARCHITECTURES, DEEPER, deepened
from saltrust.models.classifiers import build, seeded, to_input
from saltrust.models.products import small_as_products
from saltrust.models.scaffolding import dismantle, scaffold
from saltrust.models.training import (
    State,
    TrainingPlan,
    autocast,
    deterministic,
    epoch_text,
    logits,
    mirrored,
    prepared,
    shuffled_batches,
    take_step,
)
from saltrust.progress import say, track

_PAPER = TrainingPlan(epochs=16, batch_size=16, learning_rate=1e-4, weight_decay=1e-5, optimizer="adam", augment=False)


@dataclass(frozen=True)
class BranchPlan:
    """How a base and its branches are trained; the defaults are Table I's for AlexNet.

    base, branch: of each phase; no validation acts on them, so `patience` does not count and the schedule is "constant"
    or "one_cycle". augment: see `mirrored`. every: steps between two validations. target: accuracy on a shard above
    which a branch is done. limit, refresh: see `EarlyStop`. shard: validation images in a shard. Not in the paper:
    scaffolded: whether the base trains in a scaffold, which its state keeps and its branches take away in the end (see
    `scaffolding`); dropout: whether the network's dropout acts. Raises SaltrustError on a value out of range.
    """

    base: TrainingPlan = _PAPER
    branch: TrainingPlan = _PAPER
    every: int = 4
    target: float = 0.96
    limit: float = 48
    refresh: float = 0.3
    shard: int = 200
    scaffolded: bool = False
    dropout: bool = True

    def __post_init__(self) -> None:
        allowed = {
            "every": (self.every >= 1, "at least 1"),
            "target": (0 < self.target <= 1, "in (0, 1]"),
            "limit": (self.limit > 0, "above 0"),
            "refresh": (0 <= self.refresh < 1, "in [0, 1)"),
            "shard": (self.shard >= 1, "at least 1"),
        }
        for name, (holds, range_) in allowed.items():
            if not holds:
                raise SaltrustError(f"branch plan: {name} must be {range_}, not {getattr(self, name)}")
        if "plateau" in (self.base.schedule, self.branch.schedule):
            raise SaltrustError("branch plan: schedule 'plateau' needs a score per epoch; use constant or one_cycle")


def _row(learning_rate: float, batch_size: int, epochs: tuple[int, int], limit: float, refresh: float) -> BranchPlan:
    phase = replace(_PAPER, learning_rate=learning_rate, batch_size=batch_size)
    base, branch = (replace(phase, epochs=n) for n in epochs)
    return BranchPlan(base, branch, limit=limit, refresh=refresh)


_TABLE_I = {
    "resnet34": _row(1e-3, 4, (2, 4), 24, 0.4),
    "alexnet": BranchPlan(),
    "vgg16": _row(1e-4, 16, (4, 4), 48, 0.3),
    **dict.fromkeys(DEEPER, BranchPlan()),  # the code's depth test trains as AlexNet does
}


def published_plan(architecture: str) -> BranchPlan:
    """The training of Table I (learning rates and weight decay: section III-B), from ImageNet weights.

    Raises SaltrustError for a network that is not in the table.
    """
    if architecture not in _TABLE_I:
        raise unknown_name("network of Table I", architecture, _TABLE_I)
    return _TABLE_I[architecture]


@dataclass(frozen=True)
class EarlyStop:
    """When a branch stops, after the validations so far (section III-B).

    A validation that is better than the branch's best so far takes the counter times `refresh`, any other adds 1.
    The text stops when the counter "becomes equal" to `limit`; with fractions it may pass it, so here it stops from
    `limit` on. The code differs in two details: it rounds counter x refresh down to an integer, and an accuracy equal
    to the target suffices, where the text says "exceeds" (as here).
    """

    target: float
    limit: float
    refresh: float
    best: float = 0.0
    counter: float = 0.0

    def after(self, accuracy: float) -> EarlyStop:
        """The state after one more validation."""
        if accuracy > self.best:
            return replace(self, best=accuracy, counter=self.counter * self.refresh)
        return replace(self, counter=self.counter + 1)

    @property
    def reason(self) -> str | None:
        """Why to stop now, "target" or "early"; None to go on."""
        if self.best > self.target:
            return "target"
        return "early" if self.counter >= self.limit else None


def train_base(
    architecture: str, train: Split, plan: BranchPlan, pretrained: Path | None = None, start: State | None = None
) -> tuple[State, dict[str, Any]]:
    """Phase 1, continuous training: returns the state after the last epoch, and a record.

    The network has an output for each of the split's classes; loss: cross-entropy. pretrained: file of ImageNet
    weights. start: state of an AlexNet for these classes, with which "alexnet+<k>" begins (see `deepened`). The record
    holds curves {loss} by epoch, epochs, steps, images, seed, seconds, precision, weights ("scratch", "imagenet" or
    "alexnet"). Raises SaltrustError if the loss is not finite.
    """
    began = time.monotonic()
    phase = plan.base
    model = build(architecture, len(train.classes), pretrained, phase.seed)
    if plan.scaffolded:
        scaffold(model, train.pixels.shape[1])
    if start is not None:
        model.load_state_dict(deepened(start, DEEPER[architecture]))
    per_epoch = phase.steps(len(train))
    title = f"training {ARCHITECTURES[architecture].title}"
    losses: list[float] = []
    curves: dict[str, list[float]] = {"loss": []}
    with seeded(phase.seed), deterministic():
        for step, loss in _descent(model, architecture, train, phase, plan.dropout, title):
            losses.append(loss)
            if step % per_epoch == 0:
                epoch = step // per_epoch
                curves["loss"].append(float(np.mean(losses[-per_epoch:])))
                left = (time.monotonic() - began) / epoch * (phase.epochs - epoch)
                say(epoch_text(title, epoch, phase.epochs, curves, left))
    record = {
        "curves": curves,
        "epochs": phase.epochs,
        "steps": len(losses),
        "images": len(train),
        "seed": phase.seed,
        "seconds": time.monotonic() - began,
        "precision": phase.precision,
        "weights": "alexnet" if start is not None else "imagenet" if pretrained is not None else "scratch",
    }
    return _stored(model.state_dict()), record


def train_branch(
    architecture: str, base_state: State, train: Split, val: Split, plan: BranchPlan, seed: int
) -> tuple[State, dict[str, Any]]:
    """Phase 2, training in regular-evaluation mode: returns the state of the best validation, and a record.

    The text does not say which state a branch keeps; the code keeps that of the best accuracy on a shard, which is the
    last one where the target was reached. seed: of the branch's batches, shards and dropout. The record holds curves
    {loss} by step and {step, accuracy, counter} by validation, stopped ("target", "early" or "epochs"), steps,
    best_step, val_accuracy (of the state returned, on all of `val`), seed, seconds, precision. Raises SaltrustError if
    the loss is not finite.
    """
    began = time.monotonic()
    phase = replace(plan.branch, seed=seed)
    model = build(architecture, len(train.classes))
    scaffolded = base_state.keys() != model.state_dict().keys()
    if scaffolded:
        scaffold(model, train.pixels.shape[1])
    model.load_state_dict(base_state)
    shards = np.array_split(np.arange(len(val)), max(1, round(len(val) / plan.shard)))
    draw = np.random.default_rng((seed, 2))
    stop = EarlyStop(plan.target, plan.limit, plan.refresh)
    curves: dict[str, list[float]] = {"loss": [], "step": [], "accuracy": [], "counter": []}
    best, best_step = base_state, 0
    title = f"branch {seed} of {ARCHITECTURES[architecture].title}"
    with seeded(seed), deterministic():
        for step, loss in _descent(model, architecture, train, phase, plan.dropout, title):
            curves["loss"].append(loss)
            if step % plan.every:
                continue
            accuracy = _accuracy(model, architecture, val, shards[draw.integers(len(shards))], phase)
            if accuracy > stop.best:
                best, best_step = copy.deepcopy(model.state_dict()), step
            stop = stop.after(accuracy)
            for name, value in (("step", step), ("accuracy", accuracy), ("counter", stop.counter)):
                curves[name].append(value)
            if stop.reason:
                break
        model.load_state_dict(best)
        if scaffolded:
            dismantle(model)
        val_accuracy = _accuracy(model, architecture, val, np.arange(len(val)), phase)
    say(f"{title}  {stop.reason or 'epochs'} after {step} steps  validation accuracy {val_accuracy:.3f}")
    record = {
        "curves": curves,
        "stopped": stop.reason or "epochs",
        "steps": step,
        "best_step": best_step,
        "val_accuracy": val_accuracy,
        "seed": seed,
        "seconds": time.monotonic() - began,
        "precision": phase.precision,
    }
    return _stored(model.state_dict()), record


def _descent(
    model: nn.Module, architecture: str, train: Split, plan: TrainingPlan, dropout: bool, title: str
) -> Iterator[tuple[int, float]]:
    """Train the model, in place, through all epochs: (step from 1, loss of its batch), step by step."""
    spec = ARCHITECTURES[architecture]
    labels = torch.from_numpy(train.labels)
    steps = plan.epochs * plan.steps(len(train))
    if device().type == "cpu":
        small_as_products(model)
    optimizer, schedule = prepared(model, plan, steps)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train(dropout)
    batches = shuffled_batches(len(train), plan.batch_size, np.random.default_rng((plan.seed, 1)))
    rng = torch.Generator().manual_seed(plan.seed)

    def loss(indices: np.ndarray, rng: torch.Generator) -> Tensor:
        images = to_input(train.pixels[indices], spec.input_range)
        if plan.augment:
            images = mirrored(images, rng)
        with autocast(plan):
            outputs = model(images.to(device(), memory_format=torch.channels_last))
        targets = labels[indices].to(outputs.device)
        return F.cross_entropy(outputs.float(), targets, label_smoothing=plan.label_smoothing)

    for step in track(range(1, steps + 1), title):
        yield step, take_step(loss, next(batches), rng, optimizer, schedule, plan)


def _accuracy(model: nn.Module, architecture: str, split: Split, indices: np.ndarray, plan: TrainingPlan) -> float:
    outputs = logits(model, split.pixels[indices], plan, ARCHITECTURES[architecture].input_range)
    return float((outputs.argmax(axis=1) == split.labels[indices]).mean())


def _stored(state: State) -> State:
    return {name: value.cpu().contiguous() for name, value in state.items()}
