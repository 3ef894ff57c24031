"""How a network is trained: the plan of a training, and the optimizers, schedules and precisions that it names.

A plan is everything that determines the trained weights, apart from the data and the code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from saltrust.core.devices import device
from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry

OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")
OPTIMIZERS.register("adam")(
    lambda weights, plan: torch.optim.Adam(weights, plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
)
OPTIMIZERS.register("adamw")(
    lambda weights, plan: torch.optim.AdamW(weights, plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
)
OPTIMIZERS.register("sgd")(
    lambda weights, plan: torch.optim.SGD(
        weights, plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay
    )
)

PRECISIONS: Registry[torch.dtype] = Registry("precision")
PRECISIONS.register("float32")(torch.float32)
PRECISIONS.register("bfloat16")(torch.bfloat16)
PRECISIONS.register("float16")(torch.float16)


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained; the defaults are those of InceptionV3 in the profile `full`.

    Which of them Arun et al. state, and which are ours, stands in `training_choices`.

    Attributes:
        epochs: at most so many, at least 1.
        patience: epochs without a better validation score after which training ends, at least 1.
        batch_size: images in a batch, at least 1.
        steps_per_epoch: batches of an epoch; None for as many as the training images fill.
        learning_rate: the largest one of the schedule.
        weight_decay: of the optimizer.
        optimizer: "adam", "adamw" or "sgd" (Nesterov, momentum 0.9).
        schedule: of the learning rate: "constant", "one_cycle" (linear warm-up over the first `warmup` of all steps,
            then a cosine down to 0) or "plateau" (x0.1 when more than 3 epochs pass without a better validation score).
        warmup: share of all steps.
        precision: of the products: "float32", "bfloat16" or "float16" (whose gradients are scaled).
        augment: whether training images are varied (see `random_affine`, `relit`).
        mirror: whether half of the training images are mirrored left to right, which their card must allow.
        label_smoothing: e moves the targets 0, 1 to e/2, 1 - e/2.
        batchnorm_momentum: of the running statistics.
        seed: of the initial weights, the batches and their variation.

    Raises:
        SaltrustError: a name is unknown, or a size is below 1.
    """

    epochs: int = 20
    patience: int = 4
    batch_size: int = 32
    steps_per_epoch: int | None = None
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    optimizer: str = "adam"
    schedule: str = "constant"
    warmup: float = 0.25
    precision: str = "float32"
    augment: bool = True
    mirror: bool = False
    label_smoothing: float = 0.0
    batchnorm_momentum: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for registry, name in ((OPTIMIZERS, self.optimizer), (SCHEDULES, self.schedule), (PRECISIONS, self.precision)):
            registry[name]
        for size in ("epochs", "patience", "batch_size", "steps_per_epoch"):
            value = getattr(self, size)
            if value is not None and value < 1:
                raise SaltrustError(f"training plan: {size} must be at least 1, not {value}")

    def steps(self, images: int) -> int:
        """Batches of an epoch over so many images.

        >>> TrainingPlan(batch_size=32).steps(100)
        4
        """
        return self.steps_per_epoch or math.ceil(images / self.batch_size)


def best_precision() -> str:
    """The fastest arithmetic that trains well here.

    Returns:
        "bfloat16" on a GPU that has it or on a processor with bfloat16 instructions (AMX, AVX512-BF16: about twice as
        fast), "float16" on other GPUs, else "float32".
    """
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    instructions = torch.cpu.get_capabilities()
    return "bfloat16" if instructions.get("amx_bf16") or instructions.get("avx512_bf16") else "float32"


def autocast(plan: TrainingPlan) -> AbstractContextManager:
    """The arithmetic that the plan asks for, inside the block."""
    precision = PRECISIONS[plan.precision]
    return nullcontext() if precision is torch.float32 else torch.autocast(device().type, dtype=precision)


@dataclass(frozen=True)
class Schedule:
    """What changes the learning rate: after each step or, if `by_score`, after each epoch by its validation score."""

    scheduler: torch.optim.lr_scheduler.LRScheduler
    by_score: bool = False

    def after_step(self) -> None:
        """Called after each step."""
        if not self.by_score:
            self.scheduler.step()

    def after_epoch(self, score: float) -> None:
        """Called after each epoch with its validation score; the larger, the better."""
        if self.by_score:
            self.scheduler.step(score)


SCHEDULES: Registry[Callable[[torch.optim.Optimizer, TrainingPlan, int], Schedule]] = Registry("schedule")


@SCHEDULES.register("constant")
def _constant(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    return Schedule(torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0))


@SCHEDULES.register("one_cycle")
def _one_cycle(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    warmup = max(1, round(plan.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return Schedule(torch.optim.lr_scheduler.LambdaLR(optimizer, factor))


@SCHEDULES.register("plateau")
def _plateau(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    # As torch counts, 3 bad epochs are let pass, and the fourth acts.
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.1, patience=3, threshold=0.0)
    return Schedule(scheduler, by_score=True)
