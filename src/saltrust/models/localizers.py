"""Localizers: networks trained to find the finding, with which saliency maps are compared (Arun et al., Methods).

U-Net (MONAI) learns masks, RetinaNet (torchvision) boxes. Both yield heat maps (n, h, w) in [0, 1] and, from these, a
score for the whole image. The third comparison, the average mask, learns nothing but where findings tend to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.devices import device
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.registry import Registry
from saltrust.models.architectures import State
from saltrust.models.augmentation import moved, random_affine, relit
from saltrust.models.classifiers import evaluating, seeded, to_input
from saltrust.models.torchvision_compat import torchvision
from saltrust.models.training import fit
from saltrust.models.training_loop import Objective
from saltrust.models.training_plan import TrainingPlan, autocast

BOX_THRESHOLD = 0.01  # a box counts from this score on (Arun et al., Methods)
BATCH = 32  # images of a forward pass when nothing is learned


@dataclass(frozen=True)
class UNetPlan(TrainingPlan):
    """The paper's training; features: channels at the five depths, and of the last layer."""

    epochs: int = 75
    patience: int = 15
    batch_size: int = 4
    schedule: str = "plateau"
    features: tuple[int, ...] = (64, 128, 256, 512, 1024, 64)


@dataclass(frozen=True)
class RetinaNetPlan(TrainingPlan):
    """The paper's body and optimizer, with the U-Net's epochs.

    backbone: a torchvision ResNet. width: channels of feature pyramid and heads. anchors: their side in pixels at each
    level of the pyramid, from stride 8 up; 3 levels, or 5.
    """

    epochs: int = 75
    patience: int = 15
    batch_size: int = 4
    schedule: str = "plateau"
    backbone: str = "resnet101"
    width: int = 256
    anchors: tuple[int, ...] = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Localizer:
    """A kind of localizer.

    plan: type of its plan. build: plan -> untrained network. loss: (network, images (n, 3, h, w), their split, their
    indices in it, affine maps that moved them or None, plan) -> training loss. heat: (network, images) -> heat maps
    (n, h, w) in [0, 1]. image_scores: heat -> (n,) score of the finding being anywhere in the image. rotation: degrees,
    of the augmentation.
    """

    name: str
    title: str
    plan: type[TrainingPlan]
    build: Callable[[Any], nn.Module]
    loss: Callable[..., Tensor]
    heat: Callable[[nn.Module, Tensor], np.ndarray]
    image_scores: Callable[[np.ndarray], np.ndarray]
    rotation: float


LOCALIZERS: Registry[Localizer] = Registry("localizer")


def build_localizer(kind: str, plan: TrainingPlan) -> nn.Module:
    """An untrained network of a kind, as its plan says, with initial weights from the plan's seed."""
    localizer = LOCALIZERS[kind]
    if not isinstance(plan, localizer.plan):
        raise SaltrustError(f"{kind} trains by a {localizer.plan.__name__}, not by a {type(plan).__name__}")
    with seeded(plan.seed):
        return localizer.build(plan)


def train_localizer(
    kind: str, train: Split, val: Split, plan: TrainingPlan, unfinished: Path | None = None
) -> tuple[State, dict[str, Any]]:
    """Train a localizer; returns its state at the epoch of the lowest validation loss, and a record.

    Batches are balanced between the labels (Arun et al., Methods). unfinished: folder in which an
    interrupted training is kept (see `fit`). The record is that of `train_classifier`, with val_loss for val_auc.
    """
    localizer = LOCALIZERS[kind]
    model = build_localizer(kind, plan)

    def batch(indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, np.ndarray, Tensor | None]:
        maps = random_affine(len(indices), rng, localizer.rotation) if plan.augment else None
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
    return state, record | {"weights": "scratch"}


def localize(kind: str, model: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Heat maps (n, h, w), float32 in [0, 1], of uint8 pixels (n, h, w[, 3]).

    U-Net: the probability at each pixel. RetinaNet: each pixel takes the score of the best box over it, where that is
    more than 0.01, and else 0 (Arun et al., Methods).
    """
    where = next(model.parameters()).device
    batches = [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]
    with evaluating(model), torch.inference_mode():
        return np.concatenate(
            [LOCALIZERS[kind].heat(model, to_input(batch, where=where)) for batch in batches], dtype=np.float32
        )


def average_mask(splits: Iterable[Split]) -> np.ndarray:
    """Mean truth (h, w), float64 in [0, 1], of all images that have the finding: where findings tend to be."""
    truths = np.concatenate([split.require_truth()[split.present] for split in splits])
    if len(truths) == 0:
        raise SaltrustError("the average mask needs an image with the finding; the splits hold none")
    return truths.mean(axis=0, dtype=np.float64)


def _build_unet(plan: UNetPlan) -> nn.Module:
    from monai.networks.nets import BasicUNet  # slow to import, and only needed here

    # Batch normalization, where MONAI's default (instance) would make a blank image look like any other.
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=plan.features, norm="batch", bias=False)


def _unet_loss(
    model: nn.Module, images: Tensor, split: Split, indices: np.ndarray, maps: Tensor | None, plan: UNetPlan
) -> Tensor:
    """Focal + Dice (Arun et al., Methods). Dice is of the batch as a whole: an image without the finding has none."""
    from monai.losses import DiceFocalLoss

    truth = torch.from_numpy(split.require_truth()[indices]).to(images.device).float().unsqueeze(1)
    if maps is not None:
        truth = moved(truth, maps, mode="nearest", outside="zeros")
    with autocast(plan):
        logits = model(images.contiguous(memory_format=torch.channels_last))
    return DiceFocalLoss(sigmoid=True, batch=True)(logits.float(), truth)


def _unet_heat(model: nn.Module, images: Tensor) -> np.ndarray:
    return model(images.contiguous(memory_format=torch.channels_last)).float().sigmoid()[:, 0].cpu().numpy()


def _unet_scores(heat: np.ndarray) -> np.ndarray:
    """Mean of the pixels that are not 0 in an 8-bit image of the output (Arun et al., Methods); 0 where all are."""
    grey = np.rint(heat * 255)
    return grey.sum(axis=(1, 2)) / np.maximum((grey > 0).sum(axis=(1, 2)), 1) / 255


def _build_retinanet(plan: RetinaNetPlan) -> nn.Module:
    detection, pyramid = torchvision.models.detection, torchvision.ops.feature_pyramid_network
    if len(plan.anchors) not in (3, 5):
        raise SaltrustError(f"retinanet: anchors must have 3 or 5 levels, not {len(plan.anchors)}")
    body = torchvision.models.get_model(plan.backbone, weights=None)
    channels = body.fc.in_features
    backbone = detection.backbone_utils.BackboneWithFPN(
        body,
        return_layers={"layer2": "0", "layer3": "1", "layer4": "2"},
        in_channels_list=[channels // 4, channels // 2, channels],
        out_channels=plan.width,
        extra_blocks=pyramid.LastLevelP6P7(channels, plan.width) if len(plan.anchors) == 5 else _NoMoreLevels(),
    )
    sizes = tuple(tuple(side * 2 ** (i / 3) for i in range(3)) for side in plan.anchors)
    anchors = detection.anchor_utils.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    head = detection.retinanet.RetinaNetHead(
        plan.width, anchors.num_anchors_per_location()[0], 1, norm_layer=partial(nn.GroupNorm, plan.width // 8)
    )
    model = detection.RetinaNet(
        backbone,
        num_classes=1,
        anchor_generator=anchors,
        head=head,
        score_thresh=BOX_THRESHOLD,
    )
    model.transform = _AsTheyAre(min_size=1, max_size=1, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    # Under bfloat16 the anchors take the features' type and the losses that of the outputs: both would be rounded.
    for part in (model.backbone, model.head):
        part.register_forward_hook(
            lambda module, inputs, output: {name: value.float() for name, value in output.items()}
        )
    return model


class _AsTheyAre(torchvision.models.detection.transform.GeneralizedRCNNTransform):
    """Images in [-1, 1] at their own size. torchvision's `_skip_resize` holds in training only: in evaluation it would
    still enlarge them, to 800 pixels, and no anchor would fit."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


class _NoMoreLevels(torchvision.ops.feature_pyramid_network.ExtraFPNBlock):
    """A feature pyramid that ends with the body's last layer."""

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        return results, names


def _retinanet_loss(
    model: nn.Module, images: Tensor, split: Split, indices: np.ndarray, maps: Tensor | None, plan: RetinaNetPlan
) -> Tensor:
    """Focal loss of the classes + L1 of the boxes (Lin et al. 2017), as torchvision computes them."""
    if len(split.boxes) == 0 and split.present.any():
        raise SaltrustError("retinanet learns boxes, and this data set has none; its truth is masks: use unet")
    targets = []
    for i, index in enumerate(indices):
        boxes = torch.from_numpy(split.boxes[split.boxes[:, 0] == index, 1:])
        if maps is not None:
            boxes = moved_boxes(boxes, maps[i], split.truth.shape[1:])
        labels = torch.zeros(len(boxes), dtype=torch.int64)
        targets.append({"boxes": boxes.to(images.device), "labels": labels.to(images.device)})
    # This flag alone (not batch normalization's) makes torchvision return losses, also for validation.
    mode, model.training = model.training, True
    try:
        with autocast(plan):
            losses = model(list(images), targets)
    finally:
        model.training = mode
    return losses["classification"] + losses["bbox_regression"]


def moved_boxes(boxes: Tensor, affine: Tensor, shape: tuple[int, int]) -> Tensor:
    """Boxes (m, 4), x0, y0, x1, y1 in pixels, where `moved` takes them; affine: (2, 3), without rotation.

    Clipped to the image; a box of which less than a pixel a side is left goes.
    """
    side = torch.tensor([shape[1], shape[0]])
    corners = boxes.reshape(-1, 2) / side * 2 - 1
    corners = ((corners - affine[:, 2]) / affine[:, :2].diagonal() + 1) / 2 * side
    corners = torch.minimum(corners.clamp(min=0), side).reshape(-1, 2, 2)
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat([low, high], dim=1)[((high - low) >= 1).all(dim=1)]


def _retinanet_heat(model: nn.Module, images: Tensor) -> np.ndarray:
    found = model(list(images))
    shape = tuple(images.shape[2:])
    return np.stack([box_heat(f["boxes"].cpu().numpy(), f["scores"].cpu().numpy(), shape) for f in found])


def box_heat(boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Boxes (m, 4), x0, y0, x1, y1 in pixels, as a heat map (h, w): each pixel takes the score of the best box over it.

    A box covers the pixels whose centres lie in it (half-open); boxes with a score of 0.01 or less do not count, and
    pixels under no box are 0 (Arun et al., Methods).
    """
    heat = np.zeros(shape, np.float32)
    edges = np.ceil(boxes - 0.5).astype(int).clip(min=0)
    for i in np.argsort(scores, kind="stable"):  # the best box is painted last
        if scores[i] > BOX_THRESHOLD:
            x0, y0, x1, y1 = edges[i]
            heat[y0:y1, x0:x1] = scores[i]
    return heat


def _retinanet_scores(heat: np.ndarray) -> np.ndarray:
    """The best box's score; 0 where no box was found."""
    return heat.max(axis=(1, 2)).astype(np.float64)


LOCALIZERS.register("unet")(
    Localizer(
        name="unet",
        title="U-Net",
        plan=UNetPlan,
        build=_build_unet,
        loss=_unet_loss,
        heat=_unet_heat,
        image_scores=_unet_scores,
        rotation=10.0,
    )
)

LOCALIZERS.register("retinanet")(
    Localizer(
        name="retinanet",
        title="RetinaNet",
        plan=RetinaNetPlan,
        build=_build_retinanet,
        loss=_retinanet_loss,
        heat=_retinanet_heat,
        image_scores=_retinanet_scores,
        rotation=0.0,  # a turned box would no longer be a box
    )
)
