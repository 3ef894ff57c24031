"""Localizers: networks trained to find the finding, with which saliency maps are compared (Arun et al., Methods).

U-Net (MONAI) learns masks, RetinaNet (torchvision) boxes. Both yield heat maps (n, h, w) in [0, 1] and, from these, a
score for the whole image. The third comparison, the average mask, learns nothing but where findings tend to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.devices import device
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.models import retinanet, unet
from saltrust.models.architectures import State
from saltrust.models.augmentation import moved, random_affine, relit
from saltrust.models.classifiers import evaluating, provenance, seeded, to_input
from saltrust.models.training import fit
from saltrust.models.training_loop import Objective
from saltrust.models.training_plan import TrainingPlan

BATCH = 32  # images of a forward pass when nothing is learned


@dataclass(frozen=True)
class Localizer:
    """A kind of localizer.

    Attributes:
        name: in the registry.
        title: as in prose.
        plan: type of its plan.
        build: plan -> untrained network.
        loss: (network, images (n, 3, h, w), their split, their indices in it, affine maps that moved them or None,
            plan) -> training loss.
        heat: (network, images) -> heat maps (n, h, w) in [0, 1].
        image_scores: heat maps -> (n,) score of the finding being anywhere in the image.
        rotation: degrees, of the augmentation.
        features: (network, images) -> what it makes of them, before boxes are sought.
        body: plan -> torchvision's name of the network whose ImageNet weights its body can start from, where the plan
            says `pretrained`; "" for a kind that starts from scratch.
        fill: (network, file of these weights) -> None; the body of the network has them then.
    """

    name: str
    title: str
    plan: type[TrainingPlan]
    build: Callable[[Any], nn.Module]
    loss: Callable[..., Tensor]
    heat: Callable[[nn.Module, Tensor], np.ndarray]
    image_scores: Callable[[np.ndarray], np.ndarray]
    rotation: float
    features: Callable[[nn.Module, Tensor], Any] = lambda network, images: network(images)
    body: Callable[[Any], str] = lambda plan: ""
    fill: Callable[[nn.Module, Path], None] | None = None


LOCALIZERS: Registry[Localizer] = Registry("localizer")


def build_localizer(kind: str, plan: TrainingPlan) -> nn.Module:
    """An untrained network of a kind, with initial weights from the plan's seed.

    Args:
        kind: a name in LOCALIZERS.
        plan: of the kind's type.

    Raises:
        SaltrustError: the plan is another kind's, or cannot be built.
    """
    localizer = LOCALIZERS[kind]
    if not isinstance(plan, localizer.plan):
        raise SaltrustError(f"{kind} trains by a {localizer.plan.__name__}, not by a {type(plan).__name__}")
    with seeded(plan.seed):
        return localizer.build(plan)


def train_localizer(
    kind: str,
    train: Split,
    val: Split,
    plan: TrainingPlan,
    unfinished: Path | None = None,
    pretrained: Path | None = None,
) -> tuple[State, dict[str, Any]]:
    """Train a localizer, to the epoch of the lowest validation loss.

    Args:
        kind: a name in LOCALIZERS.
        train: the training images; batches are balanced between their labels.
        val: the validation images.
        plan: of the kind's type.
        unfinished: folder in which an interrupted training is kept (see `training.fit`); None to keep nothing.
        pretrained: file of ImageNet weights of the plan's body; None where the plan has none.

    Returns:
        The state at that epoch, and the record of `train_classifier` with val_loss for val_auc.

    Raises:
        SaltrustError: the plan is another kind's, the file is not that of its body, the truth is not what the kind
            learns, or the loss is not finite.

    Source:
        Arun et al. 2021, Methods.
    """
    localizer = LOCALIZERS[kind]
    model = build_localizer(kind, plan)
    if getattr(plan, "pretrained", False) != (pretrained is not None):
        raise SaltrustError(f"{kind}: a plan that says 'pretrained' takes a file of ImageNet weights, another one none")
    if pretrained is not None:
        localizer.fill(model, pretrained)

    def batch(indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, np.ndarray, Tensor | None]:
        maps = random_affine(len(indices), rng, localizer.rotation, plan.mirror) if plan.augment else None
        images = to_input(train.pixels[indices], where=device())
        return images if maps is None else relit(moved(images, maps), rng), indices, maps

    def loss(batch: tuple[Tensor, np.ndarray, Tensor | None]) -> Tensor:
        images, indices, maps = batch
        return localizer.loss(model, images, train, indices, maps, plan)

    def validation_loss() -> float:
        batches = [np.arange(i, min(i + BATCH, len(val))) for i in range(0, len(val), BATCH)]
        with evaluating(model), torch.no_grad():
            inputs = ((to_input(val.pixels[b], where=device()), b) for b in batches)
            losses = [localizer.loss(model, images, val, b, None, plan).item() for images, b in inputs]
        return float(np.average(losses, weights=[len(b) for b in batches]))

    title = f"training {localizer.title}"
    objective = Objective(batch, loss)
    state, record = fit(
        model, train.labels, objective, validation_loss, plan, title, "val_loss", sign=-1, unfinished=unfinished
    )
    return state, record | provenance(pretrained)


def localize(kind: str, model: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Heat maps of pixels.

    U-Net gives the probability at each pixel. RetinaNet gives each pixel the score of the best box over it, where that
    is more than 0.01, and else 0.

    Args:
        kind: a name in LOCALIZERS.
        model: a network of that kind.
        pixels: (n, h, w) or (n, h, w, 3), uint8.

    Returns:
        An array (n, h, w), float32 in [0, 1].

    Source:
        Arun et al. 2021, Methods.
    """
    where = next(model.parameters()).device
    batches = [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]
    with evaluating(model), torch.inference_mode():
        return np.concatenate(
            [LOCALIZERS[kind].heat(model, to_input(batch, where=where)) for batch in batches], dtype=np.float32
        )


def average_mask(splits: Iterable[Split]) -> np.ndarray:
    """Mean truth of all images that have the finding: where findings tend to be.

    Args:
        splits: with truth (n, h, w), all of one size.

    Returns:
        An array (h, w), float64 in [0, 1].

    Raises:
        SaltrustError: no image has the finding.

    >>> truth = np.array([[[True, False]], [[True, True]]])
    >>> empty, ids = np.zeros((0, 5), np.float32), np.array(["a", "b"])
    >>> average_mask([Split(np.zeros((2, 1, 2), np.uint8), np.ones(2, int), truth, empty, ids)]).tolist()
    [[1.0, 0.5]]
    """
    truths = np.concatenate([split.require_truth()[split.present] for split in splits])
    if len(truths) == 0:
        raise SaltrustError("the average mask needs an image with the finding; the splits hold none")
    return truths.mean(axis=0, dtype=np.float64)


LOCALIZERS.register("unet")(
    Localizer(
        name="unet",
        title="U-Net",
        plan=unet.UNetPlan,
        build=unet.build,
        loss=unet.loss,
        heat=unet.heat_maps,
        image_scores=unet.image_scores,
        rotation=10.0,
    )
)

LOCALIZERS.register("retinanet")(
    Localizer(
        name="retinanet",
        title="RetinaNet",
        plan=retinanet.RetinaNetPlan,
        build=retinanet.build,
        loss=retinanet.loss,
        heat=retinanet.heat_maps,
        image_scores=retinanet.image_scores,
        rotation=0.0,  # a turned box would no longer be a box
        features=lambda network, images: network.head(list(network.backbone(images).values())),
        body=lambda plan: plan.backbone,
        fill=retinanet.fill_body,
    )
)
