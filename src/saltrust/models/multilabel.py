"""Training for several findings at once, of which an image has any number (Shu et al., Methods)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.progress import say
from saltrust.models.architectures import ARCHITECTURES, State
from saltrust.models.augmentation import shuffled_batches
from saltrust.models.checkpoints import Checkpoint, identity
from saltrust.models.classifiers import build, provenance
from saltrust.models.training import logits, stored, varied_batches
from saltrust.models.training_loop import Objective, TrainingLoop, epoch_text
from saltrust.models.training_plan import TrainingPlan, autocast


def train_multilabel(
    architecture: str,
    train: Split,
    val: Split,
    plan: TrainingPlan,
    pretrained: Path | None = None,
    unfinished: Path | None = None,
) -> tuple[State, dict[str, Any]]:
    """Train a network with one output for each finding, through all epochs of the plan.

    Batches are dealt from all images, not balanced: what is rare for one finding is frequent for another. The loss is
    the mean binary cross-entropy of the findings. No validation acts on it, as in the paper: the last state counts.

    Args:
        architecture: a name in ARCHITECTURES.
        train: the training images, with findings.
        val: the validation images, with the same findings.
        plan: of the training; its patience does not count.
        pretrained: file of ImageNet weights; None to start from scratch.
        unfinished: folder in which an interrupted training is kept (see `training.fit`); None to keep nothing.

    Returns:
        The last state, and a record: curves {loss, val_auc} by epoch (AUC: the mean over the findings), epochs, seed,
        seconds, precision, and where the weights started (`provenance`).

    Raises:
        SaltrustError: a split has no findings, or all or none of its images have one of them; or the loss is not
            finite.

    Source:
        Shu et al. 2024, Methods; Irvin et al. 2019.
    """
    for name, split in (("training", train), ("validation", val)):
        check_findings(split, f"the {name} images")
    names, spec = train.findings.names, ARCHITECTURES[architecture]
    model = build(architecture, len(names), pretrained=pretrained, seed=plan.seed)
    labels = torch.from_numpy(train.findings.present).float()

    batch = varied_batches(train.pixels, labels, plan, spec.input_range)

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, targets = batch
        with autocast(plan):
            outputs = model(images)
        return F.binary_cross_entropy_with_logits(outputs.float(), targets)

    title, per_epoch = f"training {spec.title} for {len(names)} findings", plan.steps(len(train))
    known = identity(model.state_dict(), title, plan, labels.tolist()) if unfinished else ""
    batches = shuffled_batches(len(train), plan.batch_size, np.random.default_rng((plan.seed, 1)))
    loop = TrainingLoop(model, Objective(batch, loss), batches, plan, per_epoch, title, Checkpoint(unfinished, known))
    notes: dict[str, Any] = {"curves": {"loss": [], "val_auc": []}}
    with loop.under_way(notes):
        curves = notes["curves"]
        for step in loop.steps(notes):
            if step % per_epoch:
                continue
            epoch, seconds = step // per_epoch, loop.checkpoint.seconds
            curves["loss"].append(float(np.mean(loop.losses[-per_epoch:])))
            outputs = logits(model, val.pixels, plan, spec.input_range)
            curves["val_auc"].append(float(roc_auc_score(val.findings.present, outputs, average="macro")))
            say(epoch_text(title, epoch, plan.epochs, curves, seconds / epoch * (plan.epochs - epoch)))
    record = {
        "curves": curves,
        "epochs": plan.epochs,
        "seed": plan.seed,
        "seconds": loop.checkpoint.seconds,
        "precision": plan.precision,
    }
    return stored(model.state_dict()), record | provenance(pretrained)


def check_findings(split: Split, what: str) -> None:
    """Refuse images whose findings cannot be learned or judged.

    Args:
        split: the images.
        what: they are, for the message ("the test images").

    Raises:
        SaltrustError: there are fewer than two findings, or all or none of the images have one of them.
    """
    if split.findings is None or len(split.findings.names) < 2:
        raise SaltrustError(f"{what} need two findings or more, of which an image has any number")
    share = split.findings.present.mean(axis=0)
    for name, found in zip(split.findings.names, share, strict=True):
        if found in (0, 1):
            have = "none" if found == 0 else "all"
            raise SaltrustError(f"{have} of {what} have '{name}': images with it and without are needed")
