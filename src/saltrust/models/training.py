"""Training: balanced batches, augmentation, schedules, early stopping; shared by classifiers and localizers.

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
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.datasets.split import Split
from saltrust.devices import device
from saltrust.errors import SaltrustError
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build, evaluating, seeded, to_input
from saltrust.progress import say, track
from saltrust.registry import Registry

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


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained; the defaults are Arun et al.'s for InceptionV3 (Methods).

    epochs: at most so many; patience: epochs without a better validation score after which training ends.
    steps_per_epoch: batches of an epoch, None for as many as the training images fill. optimizer: adam, adamw or sgd
    (Nesterov, momentum 0.9). schedule: of the learning rate; "constant", "one_cycle" (linear warm-up over the first
    `warmup` of all steps, then a cosine down to 0) or "plateau" (x0.1 after 3 epochs without a better validation
    score). precision: of the products, "float32" or "bfloat16". augment: whether training images are varied (see
    `random_affine`, `relit`).
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
    """The fastest arithmetic that trains well here: "bfloat16" on a GPU that has it or on a processor with bfloat16
    instructions (AMX, AVX512-BF16: about twice as fast), else "float32"."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    instructions = torch.cpu.get_capabilities()
    return "bfloat16" if instructions.get("amx_bf16") or instructions.get("avx512_bf16") else "float32"


def autocast(plan: TrainingPlan) -> AbstractContextManager:
    """The arithmetic that the plan asks for."""
    precision = PRECISIONS[plan.precision]
    return nullcontext() if precision is torch.float32 else torch.autocast(device().type, dtype=precision)


def train_classifier(
    architecture: str, train: Split, val: Split, plan: TrainingPlan, pretrained: Path | None = None
) -> tuple[State, dict[str, Any]]:
    """Train a binary classifier; returns its state at the best epoch and a record of the training.

    Binary cross-entropy on class-balanced batches; the epoch with the best validation AUC counts, and training ends
    `patience` epochs after it (Arun et al., Methods). The record holds curves {loss, val_auc}, epochs, best_epoch
    (from 1), val_auc, seed, seconds, precision, weights ("scratch" or "imagenet"). Raises SaltrustError where a split
    lacks one of the classes.
    """
    for name, split in (("training", train), ("validation", val)):
        if len(np.unique(split.labels)) < 2:
            raise SaltrustError(f"the {name} images of {architecture} are all of one class; both are needed")
    model = build(architecture, pretrained=pretrained, seed=plan.seed)
    labels = torch.from_numpy(train.labels).float()
    smooth = plan.label_smoothing
    spec = ARCHITECTURES[architecture]

    def loss(indices: np.ndarray, rng: torch.Generator) -> Tensor:
        images = to_input(train.pixels[indices], spec.input_range)
        if plan.augment:
            images = relit(moved(images, random_affine(len(images), rng)), rng, spec.input_range)
        with autocast(plan):
            outputs = model(images.to(device(), memory_format=torch.channels_last))[:, 0]
        targets = labels[indices].to(outputs.device) * (1 - smooth) + smooth / 2
        return F.binary_cross_entropy_with_logits(outputs.float(), targets)

    def score() -> float:
        return float(roc_auc_score(val.labels, logits(model, val.pixels, plan, spec.input_range)[:, 0]))

    title = f"training {spec.title}"
    state, record = fit(model, train.labels, loss, score, plan, title, "val_auc")
    return state, record | {"weights": "scratch" if pretrained is None else "imagenet"}


def logits(
    model: nn.Module, pixels: np.ndarray, plan: TrainingPlan, input_range: tuple[float, float], batch_size: int = 64
) -> np.ndarray:
    """Logits (n, n_outputs), float64, of uint8 pixels (n, h, w[, 3]) in the plan's precision: for validation."""
    with evaluating(model), torch.inference_mode(), autocast(plan):
        batches = [to_input(pixels[i : i + batch_size], input_range) for i in range(0, len(pixels), batch_size)]
        outputs = [model(batch.to(device(), memory_format=torch.channels_last)) for batch in batches]
    return torch.cat(outputs).double().cpu().numpy()


def fit(
    model: nn.Module,
    labels: np.ndarray,
    loss: Callable[[np.ndarray, torch.Generator], Tensor],
    score: Callable[[], float],
    plan: TrainingPlan,
    title: str,
    measure: str,
    sign: int = 1,
) -> tuple[State, dict[str, Any]]:
    """Train `model` in place by a plan; returns the state of the epoch with the best validation score, and a record.

    labels: (n,) of the training images, between which batches are balanced. loss: indices of a batch and a random
    generator -> loss to minimize. score: validation score of the model as it is; sign: 1 where larger is better, -1
    where smaller is. title: the work, for the progress display. measure: name of the score in the record. Raises
    SaltrustError if the loss is not finite.
    """
    start = time.monotonic()
    steps = plan.steps(len(labels))
    optimizer, schedule = prepared(model, plan, plan.epochs * steps)
    batches = balanced_batches(labels, plan.batch_size, np.random.default_rng((plan.seed, 1)))
    rng = torch.Generator().manual_seed(plan.seed)
    losses: list[float] = []
    curves: dict[str, list[float]] = {"loss": [], measure: []}
    best, best_epoch = copy.deepcopy(model.state_dict()), 0
    with seeded(plan.seed), deterministic():
        for step in track(range(1, plan.epochs * steps + 1), title):
            losses.append(take_step(loss, next(batches), rng, optimizer, schedule, plan))
            if step % steps:
                continue
            epoch = step // steps
            curves["loss"].append(float(np.mean(losses[-steps:])))
            curves[measure].append(score())
            value = sign * curves[measure][-1]
            schedule.after_epoch(value)
            left = (time.monotonic() - start) / epoch * (plan.epochs - epoch)
            say(epoch_text(title, epoch, plan.epochs, curves, left))
            if not best_epoch or value > sign * curves[measure][best_epoch - 1]:
                best, best_epoch = copy.deepcopy(model.state_dict()), epoch
            if epoch - best_epoch >= plan.patience:
                break
    record = {
        "curves": curves,
        "epochs": len(curves["loss"]),
        "best_epoch": best_epoch,
        measure: curves[measure][best_epoch - 1],
        "seed": plan.seed,
        "seconds": time.monotonic() - start,
        "precision": plan.precision,
    }
    return {name: value.cpu().contiguous() for name, value in best.items()}, record


def prepared(model: nn.Module, plan: TrainingPlan, steps: int) -> tuple[torch.optim.Optimizer, Schedule]:
    """The model brought, in place, to where and how it trains; its optimizer, and the schedule of so many steps."""
    model.to(device(), memory_format=torch.channels_last).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = plan.batchnorm_momentum
    optimizer = OPTIMIZERS[plan.optimizer]([w for w in model.parameters() if w.requires_grad], plan)
    return optimizer, SCHEDULES[plan.schedule](optimizer, plan, steps)


def take_step(
    loss: Callable[[np.ndarray, torch.Generator], Tensor],
    indices: np.ndarray,
    rng: torch.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    plan: TrainingPlan,
) -> float:
    """One step down the loss of a batch; returns that loss. Raises SaltrustError if it is not finite."""
    optimizer.zero_grad(set_to_none=True)
    value = loss(indices, rng)
    if not torch.isfinite(value):
        raise SaltrustError(
            f"training diverged: the loss is {value.item()}; lower the learning rate {plan.learning_rate}"
        )
    value.backward()
    optimizer.step()
    schedule.after_step()
    return value.item()


def epoch_text(title: str, epoch: int, epochs: int, curves: dict[str, list[float]], seconds_left: float) -> str:
    """One line: epoch, the curves' last values, remaining time if no early stop comes."""
    minutes, seconds = divmod(round(seconds_left), 60)
    values = "  ".join(f"{name} {curve[-1]:.3f}" for name, curve in curves.items())
    return f"{title}  epoch {epoch}/{epochs}  {values}  {minutes}:{seconds:02d} left"


@dataclass(frozen=True)
class Schedule:
    """What changes the learning rate: after each step, and after each epoch by its validation score."""

    after_step: Callable[[], None] = lambda: None
    after_epoch: Callable[[float], None] = lambda score: None


SCHEDULES: Registry[Callable[[torch.optim.Optimizer, TrainingPlan, int], Schedule]] = Registry("schedule")


@SCHEDULES.register("constant")
def _constant(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    return Schedule()


@SCHEDULES.register("one_cycle")
def _one_cycle(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    warmup = max(1, round(plan.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return Schedule(after_step=torch.optim.lr_scheduler.LambdaLR(optimizer, factor).step)


@SCHEDULES.register("plateau")
def _plateau(optimizer: torch.optim.Optimizer, plan: TrainingPlan, steps: int) -> Schedule:
    # torch acts on the epoch after `patience` bad ones: 2 is the third.
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.1, patience=2, threshold=0.0)
    return Schedule(after_epoch=scheduler.step)


def balanced_batches(labels: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of indices, each with as many images of one class as of the other.

    Each class is dealt from its own shuffled deck, reshuffled when it runs out, so that every image of a class is seen
    before one is seen again. An odd batch gives its extra image to alternate classes. A class that is absent leaves its
    share to the other.
    """
    decks = [_deal(np.flatnonzero(labels == label), rng) for label in np.unique(labels)]
    dealt = 0
    while True:
        turns = [decks[(dealt + i) % len(decks)] for i in range(batch_size)]
        yield np.array([next(deck) for deck in turns])
        dealt += batch_size


def shuffled_batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of indices below n, dealt from one deck that is reshuffled when it runs out."""
    deck = _deal(np.arange(n), rng)
    while True:
        yield np.array([next(deck) for _ in range(batch_size)])


def _deal(cards: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(cards)


def random_affine(n: int, rng: torch.Generator, rotation: float = 10.0) -> Tensor:
    """n random maps (n, 2, 3) from output to input positions, both in [-1, 1] across the image.

    Half of them mirror; rotation up to +-`rotation` degrees, scale 0.9-1.1, shift up to 5 % of the side.
    """
    uniform = 2 * torch.rand(5, n, generator=rng) - 1
    angle, scale, shift = uniform[0] * math.radians(rotation), 1 + 0.1 * uniform[1], 0.1 * uniform[2:4]
    mirror = torch.where(uniform[4] < 0, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    return torch.stack(
        [torch.stack([mirror * cos, -sin, shift[0]], 1), torch.stack([mirror * sin, cos, shift[1]], 1)], 1
    )


def moved(images: Tensor, maps: Tensor, mode: str = "bilinear", outside: str = "border") -> Tensor:
    """Images (n, c, h, w) under affine maps (n, 2, 3); outside: "border" repeats the edge, "zeros" fills with 0."""
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode=outside, align_corners=False)


def relit(images: Tensor, rng: torch.Generator, input_range: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """Images (n, c, h, w) with contrast x0.8-1.2 about each image's mean and brightness +-10 % of the input range."""
    black, white = input_range
    uniform = (2 * torch.rand(2, len(images), 1, 1, 1, generator=rng) - 1) * 0.2
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    shift = uniform[1] * ((white - black) / 2)
    return (mean + (1 + uniform[0]) * (images - mean) + shift).clamp(black, white)


def mirrored(images: Tensor, rng: torch.Generator) -> Tensor:
    """Images (n, c, h, w), of which a random half is mirrored left to right."""
    chosen = torch.rand(len(images), 1, 1, 1, generator=rng) < 0.5
    return torch.where(chosen, images.flip(3), images)


@contextmanager
def deterministic() -> Iterator[None]:
    """cuDNN's repeatable algorithms inside the block: the same plan gives the same weights on the same machine."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
