"""Training: plans, schedules, the descent that can be interrupted, early stopping; for classifiers and localizers.

A plan is everything that determines the trained weights, apart from the data and the code. Training sets torch's random
state from the plan's seed and puts the caller's back.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.devices import device, device_name
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.progress import duration, say, track
from saltrust.core.registry import Registry
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.augmentation import balanced_batches, moved, random_affine, relit
from saltrust.models.checkpoints import Checkpoint, identity
from saltrust.models.classifiers import build, evaluating, provenance, seeded, to_input

TIMED = 5  # steps, after the first, that the estimate of the time rests on

State = dict[str, Tensor]

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
    """How a network is trained; the defaults are Arun et al.'s for InceptionV3 (Methods).

    epochs: at most so many; patience: epochs without a better validation score after which training ends.
    steps_per_epoch: batches of an epoch, None for as many as the training images fill. optimizer: adam, adamw or sgd
    (Nesterov, momentum 0.9). schedule: of the learning rate; "constant", "one_cycle" (linear warm-up over the first
    `warmup` of all steps, then a cosine down to 0) or "plateau" (x0.1 when more than 3 epochs pass without a better
    validation score). precision: of the products, "float32", "bfloat16" or "float16" (whose gradients are scaled).
    augment: whether training images are varied (see `random_affine`, `relit`).
    label_smoothing: e moves the targets 0, 1 to e/2, 1 - e/2. batchnorm_momentum: of the running statistics. Raises
    SaltrustError on an unknown name and on a size below 1.
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
        """Batches of an epoch over so many images."""
        return self.steps_per_epoch or math.ceil(images / self.batch_size)


def best_precision() -> str:
    """The fastest arithmetic that trains well here.

    "bfloat16" on a GPU that has it or on a processor with bfloat16 instructions (AMX, AVX512-BF16: about twice as
    fast), "float16" on other GPUs, else "float32".
    """
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    instructions = torch.cpu.get_capabilities()
    return "bfloat16" if instructions.get("amx_bf16") or instructions.get("avx512_bf16") else "float32"


def autocast(plan: TrainingPlan) -> AbstractContextManager:
    """The arithmetic that the plan asks for."""
    precision = PRECISIONS[plan.precision]
    return nullcontext() if precision is torch.float32 else torch.autocast(device().type, dtype=precision)


@dataclass(frozen=True)
class Objective:
    """What a training minimizes.

    batch: indices of images and a random generator -> a batch, on the device. loss: that batch -> a scalar.
    """

    batch: Callable[[np.ndarray, torch.Generator], Any]
    loss: Callable[[Any], Tensor]


def train_classifier(
    architecture: str,
    train: Split,
    val: Split,
    plan: TrainingPlan,
    pretrained: Path | None = None,
    unfinished: Path | None = None,
    classes: int = 0,
) -> tuple[State, dict[str, Any]]:
    """Train a classifier; returns its state at the best epoch and a record of the training.

    classes: 0 for the finding alone, by binary cross-entropy; else so many classes, by cross-entropy. Batches are
    balanced between the labels; the epoch with the best validation AUC (of several classes: the mean over each against
    the others) counts, and training ends `patience` epochs after it (Arun et al., Methods). unfinished: see `fit`. The
    record holds curves {loss, val_auc}, epochs, best_epoch (from 1), val_auc, seed, seconds, precision, and where the
    weights started (`provenance`). Raises SaltrustError where a split lacks one of the classes.
    """
    for name, split in (("training", train), ("validation", val)):
        if len(np.unique(split.labels)) < (needed := classes or 2):
            raise SaltrustError(f"the {name} images of {architecture} lack a class: all {needed} are needed")
    model = build(architecture, classes or 1, pretrained=pretrained, seed=plan.seed)
    labels = torch.from_numpy(train.labels) if classes else torch.from_numpy(train.labels).float()
    smooth = plan.label_smoothing
    spec = ARCHITECTURES[architecture]

    def batch(indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        images = to_input(train.pixels[indices], spec.input_range, device())
        if plan.augment:
            images = relit(moved(images, random_affine(len(images), rng)), rng, spec.input_range)
        return images.contiguous(memory_format=torch.channels_last), labels[indices].to(device())

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, targets = batch
        with autocast(plan):
            outputs = model(images)
        if classes:
            return F.cross_entropy(outputs.float(), targets, label_smoothing=smooth)
        return F.binary_cross_entropy_with_logits(outputs[:, 0].float(), targets * (1 - smooth) + smooth / 2)

    def score() -> float:
        outputs = logits(model, val.pixels, plan, spec.input_range)
        if classes:
            shares = softmax(outputs, axis=1)
            return float(roc_auc_score(val.labels, shares if classes > 2 else shares[:, 1], multi_class="ovr"))
        return float(roc_auc_score(val.labels, outputs[:, 0]))

    title = f"training {spec.title}"
    state, record = fit(
        model, train.labels, Objective(batch, loss), score, plan, title, "val_auc", unfinished=unfinished
    )
    return state, record | provenance(pretrained)


def logits(
    model: nn.Module, pixels: np.ndarray, plan: TrainingPlan, input_range: tuple[float, float], batch_size: int = 64
) -> np.ndarray:
    """Logits (n, n_outputs), float64, of uint8 pixels (n, h, w[, 3]) in the plan's precision: for validation."""
    with evaluating(model), torch.inference_mode(), autocast(plan):
        outputs = [
            model(to_input(pixels[i : i + batch_size], input_range, device()).to(memory_format=torch.channels_last))
            for i in range(0, len(pixels), batch_size)
        ]
    return torch.cat(outputs).double().cpu().numpy()


def fit(
    model: nn.Module,
    labels: np.ndarray,
    objective: Objective,
    score: Callable[[], float],
    plan: TrainingPlan,
    title: str,
    measure: str,
    sign: int = 1,
    unfinished: Path | None = None,
) -> tuple[State, dict[str, Any]]:
    """Train `model` in place by a plan; returns the state of the epoch with the best validation score, and a record.

    labels: (n,) of the training images, between which batches are balanced. score: validation score of the model as it
    is; sign: 1 where larger is better, -1 where smaller is. title: the work, for the progress display. measure: name of
    the score in the record. unfinished: folder in which an interrupted training is kept and from which it goes on, to
    the same weights and record; None to keep nothing. Raises SaltrustError if the loss is not finite.
    """
    batches = balanced_batches(labels, plan.batch_size, np.random.default_rng((plan.seed, 1)))
    per_epoch = plan.steps(len(labels))
    checkpoint = Checkpoint(
        unfinished, identity(model.state_dict(), title, plan, labels.tolist()) if unfinished else ""
    )
    descent = Descent(model, objective, batches, plan, per_epoch, title, checkpoint)
    curves: dict[str, list[float]] = {"loss": [], measure: []}
    notes = {"curves": curves, "best": copy.deepcopy(model.state_dict()), "best_epoch": 0}
    with descent.under_way(notes):
        curves = notes["curves"]
        for step in descent.steps(notes):
            if step % per_epoch:
                continue
            epoch = step // per_epoch
            curves["loss"].append(float(np.mean(descent.losses[-per_epoch:])))
            curves[measure].append(score())
            value = sign * curves[measure][-1]
            descent.schedule.after_epoch(value)
            say(epoch_text(title, epoch, plan.epochs, curves, checkpoint.seconds / epoch * (plan.epochs - epoch)))
            if not notes["best_epoch"] or value > sign * curves[measure][notes["best_epoch"] - 1]:
                notes |= {"best": copy.deepcopy(model.state_dict()), "best_epoch": epoch}
            if epoch - notes["best_epoch"] >= plan.patience:
                break
    record = {
        "curves": curves,
        "epochs": len(curves["loss"]),
        "best_epoch": notes["best_epoch"],
        measure: curves[measure][notes["best_epoch"] - 1],
        "seed": plan.seed,
        "seconds": checkpoint.seconds,
        "precision": plan.precision,
    }
    return stored(notes["best"]), record


def stored(state: State) -> State:
    """A state as it is written to disk."""
    return {name: value.cpu().contiguous() for name, value in state.items()}


class Descent:
    """The way of a model down its objective: all that its next step depends on.

    The model is brought, in place, to where and how it trains. batches: endless indices, the same at every start.
    per_epoch: steps of an epoch. losses: of the steps so far.
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

        notes: what the caller will keep beside the descent, brought up to date in place.
        """
        with seeded(self.plan.seed), deterministic(), self.checkpoint:
            kept = self.checkpoint.load()
            if kept is not None:
                self._load(kept["descent"])
                notes |= kept["notes"]
                say(f"{self.title}  goes on after step {len(self.losses)}")
            yield

    def steps(self, notes: dict[str, Any]) -> Iterator[int]:
        """Take the steps that are left; yields, after each, its number from 1.

        notes are kept with each checkpoint, which falls due between two steps.
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
        """One step; returns the seconds that its batch and all of it took. Raises SaltrustError on a loss that is not
        finite."""
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
        own, drawn, *gpu = state["random"]
        torch.set_rng_state(own)
        self.rng.set_state(drawn)
        for one in gpu:
            torch.cuda.set_rng_state(one)

    @staticmethod
    def _gpu_random() -> list[Tensor]:
        """The random state of the GPU that trains, if one does."""
        return [torch.cuda.get_rng_state()] if device().type == "cuda" else []


def estimate_text(title: str, epochs: int, per_epoch: int, left: int, seconds: list[tuple[float, float]]) -> str:
    """One line: how long the steps that are left will take, from (seconds of the batch, of the step) of some steps."""
    loading, whole = (duration(left * mean) for mean in np.mean(seconds, axis=0))
    return (
        f"{title}  about {whole} for {left} of {epochs} x {per_epoch} steps on {device_name()}, {loading} of it data"
        " loading; validation comes on top"
    )


def epoch_text(title: str, epoch: int, epochs: int, curves: dict[str, list[float]], seconds_left: float) -> str:
    """One line: epoch, the curves' last values, remaining time if no early stop comes."""
    values = "  ".join(f"{name} {curve[-1]:.3f}" for name, curve in curves.items())
    return f"{title}  epoch {epoch}/{epochs}  {values}  {duration(seconds_left)} left"


@dataclass(frozen=True)
class Schedule:
    """What changes the learning rate: after each step or, if `by_score`, after each epoch by its validation score."""

    scheduler: torch.optim.lr_scheduler.LRScheduler
    by_score: bool = False

    def after_step(self) -> None:
        if not self.by_score:
            self.scheduler.step()

    def after_epoch(self, score: float) -> None:
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


@contextmanager
def deterministic() -> Iterator[None]:
    """The same plan gives the same weights on the same machine: cuDNN's repeatable algorithms; on a processor, one
    thread.

    The number of threads decides in which order a sum is taken; its last bits, rounded to bfloat16, are after a few
    steps another network. So there is one, however many the caller has: trainings run side by side instead.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device().type == "cpu" else threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(threads)
