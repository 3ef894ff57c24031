"""The steps of a training: one after the other, repeatable to the bit, and able to go on after an interruption."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.devices import device, device_name
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import duration, say, track
from saltrust.models.checkpoints import Checkpoint
from saltrust.models.classifiers import seeded
from saltrust.models.training_plan import OPTIMIZERS, SCHEDULES, TrainingPlan

TIMED = 5  # steps, after the first, that the estimate of the time rests on


@dataclass(frozen=True)
class Objective:
    """What a training minimizes.

    Attributes:
        batch: indices of images and a random generator -> a batch, on the device.
        loss: that batch -> a scalar.
    """

    batch: Callable[[np.ndarray, torch.Generator], Any]
    loss: Callable[[Any], Tensor]


class TrainingLoop:
    """A model under training: all that its next step depends on.

    The model is brought, in place, to where and how it trains.

    Args:
        model: the network.
        objective: what is minimized.
        batches: endless indices, the same at every start.
        plan: of the training.
        per_epoch: steps of an epoch.
        title: the work, for the progress display.
        checkpoint: where an interrupted training is kept.

    Attributes:
        losses: of the steps so far.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Iterator[np.ndarray],
        plan: TrainingPlan,
        per_epoch: int,
        title: str,
        checkpoint: Checkpoint,
    ):
        model.to(device(), memory_format=torch.channels_last).train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = plan.batchnorm_momentum
        self.model, self.objective, self.batches, self.plan = model, objective, batches, plan
        self.per_epoch, self.title, self.checkpoint = per_epoch, title, checkpoint
        self.optimizer = OPTIMIZERS[plan.optimizer]([w for w in model.parameters() if w.requires_grad], plan)
        self.schedule = SCHEDULES[plan.schedule](self.optimizer, plan, plan.epochs * per_epoch)
        self.scaler = torch.amp.GradScaler(device().type, enabled=plan.precision == "float16")
        self.rng = torch.Generator().manual_seed(plan.seed)
        self.losses: list[float] = []

    @contextmanager
    def under_way(self, notes: dict[str, Any]) -> Iterator[None]:
        """Random states as the plan has them, and, where an interrupted training is kept, everything as it was then.

        Args:
            notes: what the caller keeps beside the loop, brought up to date in place.
        """
        with seeded(self.plan.seed), deterministic(), self.checkpoint:
            kept = self.checkpoint.load()
            if kept is not None:
                self._load(kept["descent"])
                notes |= kept["notes"]
                say(f"{self.title}  goes on after step {len(self.losses)}")
            yield

    def steps(self, notes: dict[str, Any]) -> Iterator[int]:
        """Take the steps that are left.

        Args:
            notes: kept with each checkpoint, which falls due between two steps.

        Yields:
            After each step, its number from 1.
        """
        total, seconds = self.plan.epochs * self.per_epoch, []
        for step in track(range(len(self.losses) + 1, total + 1), self.title):
            seconds.append(self.take())
            if len(seconds) == 1 + TIMED:
                say(estimate_text(self.title, self.plan.epochs, self.per_epoch, total - step, seconds[1:]))
            yield step
            if self.checkpoint.due:
                self.checkpoint.save({"descent": self._state(), "notes": notes})

    def take(self) -> tuple[float, float]:
        """Take one step.

        Returns:
            The seconds that its batch took, and those of all of it.

        Raises:
            SaltrustError: the loss is not finite.
        """
        start = time.perf_counter()
        batch = self.objective.batch(next(self.batches), self.rng)
        ready = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        value = self.objective.loss(batch)
        if not torch.isfinite(value):
            raise SaltrustError(
                f"training diverged: the loss is {value.item()}; lower the learning rate {self.plan.learning_rate}"
            )
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.after_step()
        self.losses.append(value.item())
        return ready - start, time.perf_counter() - start

    @property
    def _parts(self) -> tuple[Any, ...]:
        return self.model, self.optimizer, self.schedule.scheduler, self.scaler

    def _state(self) -> dict[str, Any]:
        return {
            "parts": [part.state_dict() for part in self._parts],
            "losses": self.losses,
            "random": [torch.get_rng_state(), self.rng.get_state(), *self._gpu_random()],
        }

    def _load(self, state: dict[str, Any]) -> None:
        for part, kept in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(kept)
        self.losses = state["losses"]
        for _ in self.losses:
            next(self.batches)
        torch_state, drawn, *gpu = state["random"]
        torch.set_rng_state(torch_state)
        self.rng.set_state(drawn)
        for one in gpu:
            torch.cuda.set_rng_state(one)

    @staticmethod
    def _gpu_random() -> list[Tensor]:
        """The random state of the GPU that trains, if one does."""
        return [torch.cuda.get_rng_state()] if device().type == "cuda" else []


def estimate_text(title: str, epochs: int, per_epoch: int, left: int, seconds: list[tuple[float, float]]) -> str:
    """How long the steps that are left will take, in one line.

    Args:
        title: the work.
        epochs: of the training.
        per_epoch: steps of an epoch.
        left: steps that are left.
        seconds: (of the batch, of the step) of some steps.
    """
    loading, whole = (duration(left * mean) for mean in np.mean(seconds, axis=0))
    return (
        f"{title}  about {whole} for {left} of {epochs} x {per_epoch} steps on {device_name()}, {loading} of it data"
        " loading; validation comes on top"
    )


def epoch_text(title: str, epoch: int, epochs: int, curves: dict[str, list[float]], seconds_left: float) -> str:
    """Where a training stands after an epoch, in one line.

    Args:
        title: the work.
        epoch: its number from 1.
        epochs: at most so many.
        curves: name -> values by epoch, of which the last are shown.
        seconds_left: if no early stop comes.

    >>> epoch_text("training", 1, 20, {"loss": [0.5]}, 60.0)
    'training  epoch 1/20  loss 0.500  1:00 left'
    """
    values = "  ".join(f"{name} {curve[-1]:.3f}" for name, curve in curves.items())
    return f"{title}  epoch {epoch}/{epochs}  {values}  {duration(seconds_left)} left"


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside the block the same plan gives the same weights on the same machine.

    On a GPU, cuDNN's repeatable algorithms are used. On a processor there is one thread: the number of threads decides
    in which order a sum is taken, and its last bits, rounded to bfloat16, are after a few steps another network. So
    there is one, however many the caller has: trainings run side by side instead.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device().type == "cpu" else threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(threads)
