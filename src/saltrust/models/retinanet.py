"""The RetinaNet (torchvision), a localizer that learns boxes (Arun et al., Methods)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.models.torchvision_compat import torchvision
from saltrust.models.training_plan import TrainingPlan, autocast

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels in [0, 1], by channel
BOX_THRESHOLD = 0.01  # a box counts from this score on (Arun et al., Methods)


@dataclass(frozen=True)
class RetinaNetPlan(TrainingPlan):
    """How the RetinaNet is trained; the defaults are those of the profile `full`: the paper's body and optimizer, with
    the U-Net's epochs.

    Attributes:
        pretrained: whether the body starts from ImageNet weights. Its batch normalization then keeps ImageNet's
            statistics, see `_FixedStatistics`.
        backbone: a torchvision ResNet.
        width: channels of feature pyramid and heads.
        anchors: their side in pixels at each level of the pyramid, from stride 8 up; 3 levels, or 5.
    """

    epochs: int = 75
    patience: int = 15
    batch_size: int = 4
    schedule: str = "plateau"
    pretrained: bool = False
    backbone: str = "resnet101"
    width: int = 256
    anchors: tuple[int, ...] = (32, 64, 128, 256, 512)


def build(plan: RetinaNetPlan) -> nn.Module:
    """An untrained RetinaNet, from torch's random state.

    Args:
        plan: its sizes.

    Raises:
        SaltrustError: the plan has neither 3 nor 5 levels of anchors.
    """
    detection, pyramid = torchvision.models.detection, torchvision.ops.feature_pyramid_network
    if len(plan.anchors) not in (3, 5):
        raise SaltrustError(f"retinanet: anchors must have 3 or 5 levels, not {len(plan.anchors)}")
    norm = _FixedStatistics if plan.pretrained else nn.BatchNorm2d
    body = torchvision.models.get_model(plan.backbone, weights=None, norm_layer=norm)
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
    # Of [-1, 1], ImageNet's mean m and sd s of [0, 1] are 2m - 1 and 2s.
    mean = [2 * m - 1 for m in IMAGENET_MEAN] if plan.pretrained else [0.0] * 3
    sd = [2 * s for s in IMAGENET_SD] if plan.pretrained else [1.0] * 3
    model.transform = _AsTheyAre(min_size=1, max_size=1, image_mean=mean, image_std=sd)
    # Under bfloat16 the anchors take the features' type and the losses that of the outputs: both would be rounded.
    for part in (model.backbone, model.head):
        part.register_forward_hook(
            lambda module, inputs, output: {name: value.float() for name, value in output.items()}
        )
    return model


class _FixedStatistics(nn.BatchNorm2d):
    """Batch normalization by the running statistics that it was loaded with, in training too; scale and shift learn.

    Four images tell too little of mean and variance, and what ImageNet's weights expect is known. The code that the
    paper names does the same (yhenon/pytorch-retinanet, `freeze_bn`).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def fill_body(model: nn.Module, weights: Path) -> None:
    """Put a classifier's weights into the body; what classifies is left out.

    Args:
        model: a RetinaNet, changed in place.
        weights: torchvision's file of the backbone's weights.

    Raises:
        SaltrustError: the file holds something else.
    """
    body = model.backbone.body
    try:
        state = dict(torch.load(weights, map_location="cpu", weights_only=True))
        lacking = body.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")}, strict=False)
    except Exception as error:
        raise SaltrustError(f"{weights} does not hold the weights of the RetinaNet's body: {error}") from error
    missing = [name for name in lacking.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or lacking.unexpected_keys:
        raise SaltrustError(
            f"{weights} does not hold the weights of the RetinaNet's body: {len(missing)} tensors are missing, "
            f"{len(lacking.unexpected_keys)} belong elsewhere (first: {(missing or lacking.unexpected_keys)[0]})"
        )


class _AsTheyAre(torchvision.models.detection.transform.GeneralizedRCNNTransform):
    """Images in [-1, 1] at their own size. torchvision's `_skip_resize` holds in training only: in evaluation it would
    still enlarge them, to 800 pixels, and no anchor would fit."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


class _NoMoreLevels(torchvision.ops.feature_pyramid_network.ExtraFPNBlock):
    """A feature pyramid that ends with the body's last layer."""

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        return results, names


def loss(
    model: nn.Module, images: Tensor, split: Split, indices: np.ndarray, maps: Tensor | None, plan: RetinaNetPlan
) -> Tensor:
    """Focal loss of the classes + L1 of the boxes, as torchvision computes them.

    Args:
        model: a RetinaNet.
        images: (b, 3, h, w), as they were moved.
        split: where the images are from; its boxes are learned.
        indices: of the images in the split (b,).
        maps: affine maps (b, 2, 3) that moved the images; None where they were not moved.
        plan: of the training.

    Returns:
        A scalar.

    Raises:
        SaltrustError: the split has no boxes.

    Source:
        Lin et al. 2017.
    """
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
    """Boxes where `moved` takes them, clipped to the image. A box of which less than a pixel a side is left goes.

    Args:
        boxes: (m, 4), x0, y0, x1, y1 in pixels.
        affine: a map (2, 3), without rotation.
        shape: (height, width) of the image in pixels.

    Returns:
        A tensor (at most m, 4).

    >>> mirror = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> moved_boxes(torch.tensor([[0.0, 0.0, 2.0, 4.0]]), mirror, (8, 8)).tolist()
    [[6.0, 0.0, 8.0, 4.0]]
    """
    side = torch.tensor([shape[1], shape[0]])
    corners = boxes.reshape(-1, 2) / side * 2 - 1
    corners = ((corners - affine[:, 2]) / affine[:, :2].diagonal() + 1) / 2 * side
    corners = torch.minimum(corners.clamp(min=0), side).reshape(-1, 2, 2)
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat([low, high], dim=1)[((high - low) >= 1).all(dim=1)]


def heat_maps(model: nn.Module, images: Tensor) -> np.ndarray:
    """The boxes that the network finds, as heat maps (see `box_heat`).

    Args:
        model: a RetinaNet.
        images: (n, 3, h, w) in [-1, 1].

    Returns:
        An array (n, h, w), float32 in [0, 1].
    """
    found = model(list(images))
    shape = tuple(images.shape[2:])
    return np.stack([box_heat(f["boxes"].cpu().numpy(), f["scores"].cpu().numpy(), shape) for f in found])


def box_heat(boxes: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Boxes as a heat map: each pixel takes the score of the best box over it.

    A box covers the pixels whose centres lie in it (half-open). Boxes with a score of 0.01 or less do not count, and
    pixels under no box are 0.

    Args:
        boxes: (m, 4), x0, y0, x1, y1 in pixels.
        scores: of the boxes (m,), 0 to 1.
        shape: (height, width) of the map.

    Returns:
        An array (height, width), float32.

    Source:
        Arun et al. 2021, Methods.

    >>> box_heat(np.array([[0, 0, 2, 1]]), np.array([0.5]), (1, 3)).tolist()
    [[0.5, 0.5, 0.0]]
    """
    heat = np.zeros(shape, np.float32)
    edges = np.ceil(boxes - 0.5).astype(int).clip(min=0)
    for i in np.argsort(scores, kind="stable"):  # the best box is painted last
        if scores[i] > BOX_THRESHOLD:
            x0, y0, x1, y1 = edges[i]
            heat[y0:y1, x0:x1] = scores[i]
    return heat


def image_scores(heat: np.ndarray) -> np.ndarray:
    """The best box's score; 0 where no box was found.

    Args:
        heat: heat maps (n, h, w) in [0, 1].

    Returns:
        An array (n,), float64.

    >>> image_scores(np.array([[[0.0, 0.5]]])).tolist()
    [0.5]
    """
    return heat.max(axis=(1, 2)).astype(np.float64)
