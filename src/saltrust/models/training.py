"""Training of a classifier, and the early stopping that classifiers and localizers share.

Training sets torch's random state from the plan's seed and puts the caller's back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.devices import device
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.progress import say
from saltrust.models.architectures import ARCHITECTURES, State
from saltrust.models.augmentation import balanced_batches, moved, random_affine, relit
from saltrust.models.checkpoints import Checkpoint, identity
from saltrust.models.classifiers import build, evaluating, provenance, to_input
from saltrust.models.training_loop import Objective, TrainingLoop, epoch_text
from saltrust.models.training_plan import TrainingPlan, autocast


def train_classifier(
    architecture: str,
    train: Split,
    val: Split,
    plan: TrainingPlan,
    pretrained: Path | None = None,
    unfinished: Path | None = None,
    classes: int = 0,
) -> tuple[State, dict[str, Any]]:
    """Train a classifier, to the epoch of the best validation AUC.

    Batches are balanced between the labels. Of several classes the AUC is the mean over each against the others.
    Training ends `patience` epochs after the best one.

    Args:
        architecture: a name in ARCHITECTURES.
        train: the training images.
        val: the validation images.
        plan: of the training.
        pretrained: file of ImageNet weights; None to start from scratch.
        unfinished: folder in which an interrupted training is kept (see `fit`); None to keep nothing.
        classes: 0 for the finding alone, by binary cross-entropy; else so many classes, by cross-entropy.

    Returns:
        The state at that epoch, and a record: curves {loss, val_auc}, epochs, best_epoch (from 1), val_auc, seed,
        seconds, precision, and where the weights started (`provenance`).

    Raises:
        SaltrustError: a split lacks one of the classes, or the loss is not finite.

    Source:
        Arun et al. 2021, Methods.
    """
    for name, split in (("training", train), ("validation", val)):
        if len(np.unique(split.labels)) < (needed := classes or 2):
            raise SaltrustError(f"the {name} images of {architecture} lack a class: all {needed} are needed")
    model = build(architecture, classes or 1, pretrained=pretrained, seed=plan.seed)
    labels = torch.from_numpy(train.labels) if classes else torch.from_numpy(train.labels).float()
    smooth = plan.label_smoothing
    spec = ARCHITECTURES[architecture]

    batch = varied_batches(train.pixels, labels, plan, spec.input_range)

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


def varied_batches(
    pixels: np.ndarray, targets: Tensor, plan: TrainingPlan, input_range: tuple[float, float]
) -> Callable[[np.ndarray, torch.Generator], tuple[Tensor, Tensor]]:
    """How an `Objective` makes a batch: images as network input, varied where the plan says so, and their targets.

    Args:
        pixels: (n, h, w) or (n, h, w, 3), uint8.
        targets: (n, ...), on the processor.
        plan: of the training.
        input_range: of a black and of a white pixel.
    """

    def batch(indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        images = to_input(pixels[indices], input_range, device())
        if plan.augment:
            images = relit(moved(images, random_affine(len(images), rng, mirror=plan.mirror)), rng, input_range)
        return images.contiguous(memory_format=torch.channels_last), targets[indices].to(device())

    return batch


def logits(
    model: nn.Module, pixels: np.ndarray, plan: TrainingPlan, input_range: tuple[float, float], batch_size: int = 64
) -> np.ndarray:
    """Logits of pixels in the plan's precision: for validation.

    Args:
        model: maps (n, 3, h, w) to (n, n_outputs).
        pixels: (n, h, w) or (n, h, w, 3), uint8.
        plan: whose precision counts.
        input_range: of a black and of a white pixel.
        batch_size: images in one pass.

    Returns:
        An array (n, n_outputs), float64.

    >>> model = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> logits(model, np.zeros((2, 4, 4), np.uint8), TrainingPlan(), (-1.0, 1.0)).shape
    (2, 1)
    """
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
    """Train a model in place by a plan, to the epoch with the best validation score.

    Args:
        model: the network.
        labels: of the training images (n,), between which batches are balanced.
        objective: what is minimized.
        score: validation score of the model as it is.
        plan: of the training.
        title: the work, for the progress display.
        measure: name of the score in the record.
        sign: 1 where a larger score is better, -1 where a smaller is.
        unfinished: folder in which an interrupted training is kept and from which it goes on, to the same weights and
            record; None to keep nothing.

    Returns:
        The state at that epoch, and a record: curves {loss, measure}, epochs, best_epoch (from 1), measure, seed,
        seconds, precision.

    Raises:
        SaltrustError: the loss is not finite.
    """
    batches = balanced_batches(labels, plan.batch_size, np.random.default_rng((plan.seed, 1)))
    per_epoch = plan.steps(len(labels))
    checkpoint = Checkpoint(
        unfinished, identity(model.state_dict(), title, plan, labels.tolist()) if unfinished else ""
    )
    loop = TrainingLoop(model, objective, batches, plan, per_epoch, title, checkpoint)
    curves: dict[str, list[float]] = {"loss": [], measure: []}
    notes = {"curves": curves, "best": copy.deepcopy(model.state_dict()), "best_epoch": 0}
    with loop.under_way(notes):
        curves = notes["curves"]
        for step in loop.steps(notes):
            if step % per_epoch:
                continue
            epoch = step // per_epoch
            curves["loss"].append(float(np.mean(loop.losses[-per_epoch:])))
            curves[measure].append(score())
            value = sign * curves[measure][-1]
            loop.schedule.after_epoch(value)
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
    """A state as it is written to disk: on the processor, contiguous."""
    return {name: value.cpu().contiguous() for name, value in state.items()}
