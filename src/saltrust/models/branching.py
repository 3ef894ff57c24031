"""Training in two phases for any number of classes: one base model, and branches from it (Tjoa & Guan, section III-B).

Phase 1 runs through its epochs without a look at the validation data. In phase 2, "regular evaluation", a branch goes
on from the base. Every few steps it is validated on a random shard of the validation data, until it is good enough,
shows no progress for too long, or has used up its epochs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.devices import device
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Split
from saltrust.core.progress import say
from saltrust.models import temporary_batchnorm
from saltrust.models.architectures import ARCHITECTURES, DEEPER, State, deepened
from saltrust.models.augmentation import mirrored, shuffled_batches
from saltrust.models.checkpoints import Checkpoint, identity
from saltrust.models.classifiers import build, provenance, to_input
from saltrust.models.small_convolutions import use_matrix_products
from saltrust.models.training import logits, stored
from saltrust.models.training_loop import Objective, TrainingLoop, epoch_text
from saltrust.models.training_plan import TrainingPlan, autocast

_PAPER = TrainingPlan(epochs=16, batch_size=16, learning_rate=1e-4, weight_decay=1e-5, optimizer="adam", augment=False)


@dataclass(frozen=True)
class BranchPlan:
    """How a base and its branches are trained; the defaults are Table I's for AlexNet.

    Attributes:
        base: plan of the base. No validation acts on it, so `patience` does not count and the schedule is "constant" or
            "one_cycle". Of the variations of images only `mirror` counts (see `mirrored`).
        branch: plan of a branch, likewise.
        every: steps between two validations, at least 1.
        target: accuracy on a shard above which a branch is done, in (0, 1].
        limit: counter at which a branch stops, above 0, see `EarlyStop`.
        refresh: what a better validation takes the counter times, in [0, 1), see `EarlyStop`.
        shard: validation images in a shard, at least 1.
        scaffolded: whether the base trains with temporary batch normalization, which its state keeps and its branches
            fold away in the end (see `temporary_batchnorm`); not in the paper.
        dropout: whether the network's dropout acts; not in the paper.

    Raises:
        SaltrustError: a value is out of range.
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

    Args:
        architecture: a network of the table, or of the depth test.

    Raises:
        SaltrustError: the network is not in the table.
    """
    if architecture not in _TABLE_I:
        raise unknown_name("network of Table I", architecture, _TABLE_I)
    return _TABLE_I[architecture]


@dataclass(frozen=True)
class EarlyStop:
    """When a branch stops, after the validations so far (Tjoa & Guan, section III-B).

    A validation that is better than the branch's best so far takes the counter times `refresh`, any other adds 1. The
    text stops when the counter "becomes equal" to `limit`; with fractions it may pass it, so here it stops from `limit`
    on. The code differs in two details: it rounds counter x refresh down to an integer, and an accuracy equal to the
    target suffices, where the text says "exceeds" (as here).

    Attributes:
        target: accuracy above which the branch is done.
        limit: counter at which it stops.
        refresh: what a better validation takes the counter times.
        best: the best accuracy so far.
        counter: the counter so far.

    >>> stop = EarlyStop(target=0.9, limit=2, refresh=0.5).after(0.6).after(0.5).after(0.4)
    >>> stop.counter, stop.reason
    (2.0, 'early')
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
    architecture: str,
    train: Split,
    plan: BranchPlan,
    pretrained: Path | None = None,
    start: State | None = None,
    unfinished: Path | None = None,
) -> tuple[State, dict[str, Any]]:
    """Phase 1, continuous training, to the last epoch.

    The network has an output for each of the split's classes; the loss is cross-entropy.

    Args:
        architecture: a name in ARCHITECTURES.
        train: the training images.
        plan: of the training.
        pretrained: file of ImageNet weights; None to start from scratch.
        start: state of an AlexNet for these classes, with which "alexnet+<k>" begins (see `deepened`); None for none.
        unfinished: folder in which an interrupted training is kept (see `training.fit`); None to keep nothing.

    Returns:
        The state after the last epoch, and a record: curves {loss} by epoch, epochs, steps, images, seed, seconds,
        precision, and where the weights started (`provenance`, or "alexnet").

    Raises:
        SaltrustError: the loss is not finite.
    """
    phase = plan.base
    model = build(architecture, len(train.classes), pretrained, phase.seed)
    if plan.scaffolded:
        temporary_batchnorm.insert(model, train.pixels.shape[1])
    if start is not None:
        model.load_state_dict(deepened(start, DEEPER[architecture]))
    title = f"training {ARCHITECTURES[architecture].title}"
    loop = _training_loop(model, architecture, train, phase, plan.dropout, title, unfinished)
    notes: dict[str, Any] = {"curves": {"loss": []}}
    with loop.under_way(notes):
        for step in loop.steps(notes):
            if step % loop.per_epoch:
                continue
            epoch = step // loop.per_epoch
            notes["curves"]["loss"].append(float(np.mean(loop.losses[-loop.per_epoch :])))
            left = loop.checkpoint.seconds / epoch * (phase.epochs - epoch)
            say(epoch_text(title, epoch, phase.epochs, notes["curves"], left))
    record = {
        "curves": notes["curves"],
        "epochs": phase.epochs,
        "steps": len(loop.losses),
        "images": len(train),
        "seed": phase.seed,
        "seconds": loop.checkpoint.seconds,
        "precision": phase.precision,
        **(provenance(pretrained) if start is None else {"weights": "alexnet"}),
    }
    return stored(model.state_dict()), record


def train_branch(
    architecture: str,
    base_state: State,
    train: Split,
    val: Split,
    plan: BranchPlan,
    seed: int,
    unfinished: Path | None = None,
) -> tuple[State, dict[str, Any]]:
    """Phase 2, training in regular-evaluation mode.

    The text does not say which state a branch keeps. The code keeps that of the best accuracy on a shard, which is the
    last one where the target was reached.

    Args:
        architecture: a name in ARCHITECTURES.
        base_state: state of the base, from `train_base`.
        train: the training images.
        val: the validation images.
        plan: of the training.
        seed: of the branch's batches, shards and dropout.
        unfinished: folder in which an interrupted training is kept (see `training.fit`); None to keep nothing.

    Returns:
        The state of the best validation, and a record: curves {loss} by step and {step, accuracy, counter} by
        validation, stopped ("target", "early" or "epochs"), steps, best_step, val_accuracy (of the state returned, on
        all of `val`), seed, seconds, precision.

    Raises:
        SaltrustError: the loss is not finite.
    """
    phase = replace(plan.branch, seed=seed)
    model = build(architecture, len(train.classes))
    scaffolded = base_state.keys() != model.state_dict().keys()
    if scaffolded:
        temporary_batchnorm.insert(model, train.pixels.shape[1])
    model.load_state_dict(base_state)
    shards = np.array_split(np.arange(len(val)), max(1, round(len(val) / plan.shard)))
    draw = np.random.default_rng((seed, 2))
    title = f"branch {seed} of {ARCHITECTURES[architecture].title}"
    loop = _training_loop(model, architecture, train, phase, plan.dropout, title, unfinished)
    notes: dict[str, Any] = {"curves": {"step": [], "accuracy": [], "counter": []}, "best": base_state, "best_step": 0}
    with loop.under_way(notes):
        curves = notes["curves"]
        stop = reduce(EarlyStop.after, curves["accuracy"], EarlyStop(plan.target, plan.limit, plan.refresh))
        for _ in curves["step"]:  # of an interrupted training
            draw.integers(len(shards))
        for step in loop.steps(notes):
            if step % plan.every:
                continue
            accuracy = _accuracy(model, architecture, val, shards[draw.integers(len(shards))], phase)
            if accuracy > stop.best:
                notes |= {"best": copy.deepcopy(model.state_dict()), "best_step": step}
            stop = stop.after(accuracy)
            for name, value in (("step", step), ("accuracy", accuracy), ("counter", stop.counter)):
                curves[name].append(value)
            if stop.reason:
                break
        model.load_state_dict(notes["best"])
        if scaffolded:
            temporary_batchnorm.fold(model)
        val_accuracy = _accuracy(model, architecture, val, np.arange(len(val)), phase)
    steps = len(loop.losses)
    say(f"{title}  {stop.reason or 'epochs'} after {steps} steps  validation accuracy {val_accuracy:.3f}")
    record = {
        "curves": {"loss": loop.losses, **curves},
        "stopped": stop.reason or "epochs",
        "steps": steps,
        "best_step": notes["best_step"],
        "val_accuracy": val_accuracy,
        "seed": seed,
        "seconds": loop.checkpoint.seconds,
        "precision": phase.precision,
    }
    return stored(model.state_dict()), record


def _training_loop(
    model: nn.Module,
    architecture: str,
    train: Split,
    plan: TrainingPlan,
    dropout: bool,
    title: str,
    unfinished: Path | None,
) -> TrainingLoop:
    """How the model, in place, trains through all epochs."""
    spec = ARCHITECTURES[architecture]
    labels = torch.from_numpy(train.labels)
    known = identity(model.state_dict(), title, plan, dropout, train.labels.tolist()) if unfinished else ""
    if device().type == "cpu":
        use_matrix_products(model)

    def batch(indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        images = to_input(train.pixels[indices], spec.input_range, device())
        if plan.mirror:
            images = mirrored(images, rng)
        return images.contiguous(memory_format=torch.channels_last), labels[indices].to(device())

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, targets = batch
        with autocast(plan):
            outputs = model(images)
        return F.cross_entropy(outputs.float(), targets, label_smoothing=plan.label_smoothing)

    batches = shuffled_batches(len(train), plan.batch_size, np.random.default_rng((plan.seed, 1)))
    per_epoch = plan.steps(len(train))
    loop = TrainingLoop(model, Objective(batch, loss), batches, plan, per_epoch, title, Checkpoint(unfinished, known))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train(dropout)
    return loop


def _accuracy(model: nn.Module, architecture: str, split: Split, indices: np.ndarray, plan: TrainingPlan) -> float:
    outputs = logits(model, split.pixels[indices], plan, ARCHITECTURES[architecture].input_range)
    return float((outputs.argmax(axis=1) == split.labels[indices]).mean())
