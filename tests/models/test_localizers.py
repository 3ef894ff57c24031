"""Localizers: the box-to-pixel rule and the other exact pieces, and that both networks learn."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.models.augmentation import moved
from saltrust.models.localizers import LOCALIZERS, average_mask, build_localizer, localize, train_localizer
from saltrust.models.retinanet import RetinaNetPlan, box_heat, fill_body, moved_boxes
from saltrust.models.torchvision_compat import torchvision
from saltrust.models.unet import UNetPlan

UNET = UNetPlan(
    epochs=3, patience=3, batch_size=8, steps_per_epoch=12, features=(8, 8, 8, 16, 16, 8), learning_rate=0.03,
    optimizer="adamw", schedule="one_cycle",
)  # fmt: skip
RETINANET = RetinaNetPlan(
    epochs=2, patience=2, batch_size=8, steps_per_epoch=8, backbone="resnet18", width=16, anchors=(12, 24, 48),
    learning_rate=3e-3, optimizer="adamw", schedule="one_cycle",
)  # fmt: skip
PLANS = {"unet": UNET, "retinanet": RETINANET}


def squares(n: int, seed: int, size: int = 64) -> Split:
    """Noise; every second image has a bright square of 16 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    pixels, truth, boxes = rng.integers(40, 120, (n, size, size)), np.zeros((n, size, size), bool), []
    for i in np.flatnonzero(labels):
        x, y = rng.integers(2, size - 18, 2)
        truth[i, y : y + 16, x : x + 16] = True
        boxes.append((i, x, y, x + 16, y + 16))
    pixels = np.clip(pixels + 110 * truth, 0, 255).astype(np.uint8)
    return Split(
        pixels, labels, truth, np.array(boxes, np.float32).reshape(-1, 5), np.array([str(i) for i in range(n)])
    )


def test_each_pixel_takes_the_score_of_the_best_box_over_it():
    boxes = np.array([[1, 0, 4, 2], [0, 1, 3, 4], [3, 3, 5, 5], [0, 4, 1, 5]], np.float32)
    scores = np.array([0.9, 0.5, 0.01, 0.011], np.float32)  # the third is at the threshold, and does not count
    expected = np.array(
        [
            [0, 0.9, 0.9, 0.9, 0],
            [0.5, 0.9, 0.9, 0.9, 0],
            [0.5, 0.5, 0.5, 0, 0],
            [0.5, 0.5, 0.5, 0, 0],
            [0.011, 0, 0, 0, 0],
        ],
        np.float32,
    )
    for order in (slice(None), slice(None, None, -1)):
        heat = box_heat(boxes[order], scores[order], (5, 5))
        assert np.array_equal(heat, expected)


def test_a_box_covers_the_pixels_whose_centres_lie_in_it():
    heat = box_heat(np.array([[0.4, 0.6, 2.5, 3.6]]), np.array([0.7]), (4, 4))
    assert np.argwhere(heat > 0).tolist() == [[1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 1]]


def test_no_box_is_no_heat():
    heat = box_heat(np.zeros((0, 4)), np.zeros(0), (3, 4))
    assert heat.shape == (3, 4)
    assert not heat.any()


def test_boxes_move_with_their_image():
    image = torch.zeros(1, 1, 40, 60)
    image[:, :, 10:24, 12:36] = 1
    box = torch.tensor([[12.0, 10, 36, 24]])
    for row in ([[-1.1, 0, 0.05], [0, 1.1, -0.03]], [[0.9, 0, 0.1], [0, 0.9, 0.1]]):
        affine = torch.tensor(row)
        where = torch.nonzero(moved(image, affine[None], outside="zeros")[0, 0] > 0.5)
        low, high = where.amin(dim=0), where.amax(dim=0) + 1
        found = moved_boxes(box, affine, (40, 60))[0]
        assert found.tolist() == pytest.approx([*low.flip(0).tolist(), *high.flip(0).tolist()], abs=0.75)


def test_boxes_that_leave_the_image_are_clipped_or_go():
    shift = torch.tensor([[1.0, 0, 0.5], [0, 1.0, 0]])  # by a quarter of the width to the left
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10]])
    assert moved_boxes(boxes, shift, (40, 40)).tolist() == [[0.0, 0.0, 5.0, 10.0]]
    assert moved_boxes(boxes[:0], shift, (40, 40)).shape == (0, 4)


def test_average_mask_is_the_mean_over_images_with_the_finding():
    one, two = squares(4, 0), squares(6, 1)
    average = average_mask([one, two])
    masks = [m for split in (one, two) for m, label in zip(split.truth, split.labels, strict=True) if label]
    assert average.shape == (64, 64)
    assert np.allclose(average, sum(m.astype(float) for m in masks) / 5, atol=1e-12)


def test_average_of_no_finding_is_an_error():
    healthy = squares(1, 0)
    with pytest.raises(SaltrustError, match="needs an image with the finding"):
        average_mask([healthy])


def test_image_scores():
    heat = np.zeros((3, 2, 2), np.float32)
    heat[0] = [[0.0019, 0.4], [0.8, 0]]  # 0.0019 is 0 in 8 bits
    heat[1] = 1.0
    assert LOCALIZERS["unet"].image_scores(heat) == pytest.approx([0.6, 1.0, 0.0], abs=1e-6)
    assert LOCALIZERS["retinanet"].image_scores(heat) == pytest.approx([0.8, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("kind", LOCALIZERS)
def test_a_localizer_learns_where_the_finding_is(kind):
    train, val = squares(40, 0), squares(16, 1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    state, record = train_localizer(kind, train, val, PLANS[kind])
    assert torch.equal(before, torch.get_rng_state())
    assert record["curves"]["loss"][-1] < 0.8 * record["curves"]["loss"][0]
    assert record["val_loss"] == min(record["curves"]["val_loss"])
    model = build_localizer(kind, PLANS[kind])
    model.load_state_dict(state)
    heat = localize(kind, model, val.pixels)
    assert heat.shape == val.truth.shape
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() <= 1
    positive = val.labels == 1
    inside, outside = heat[positive][val.truth[positive]].mean(), heat[positive][~val.truth[positive]].mean()
    assert inside > 1.5 * outside
    assert np.allclose(localize(kind, model, val.pixels[3:4]), heat[3:4], atol=1e-4)


def test_the_paper_s_sizes_are_the_defaults():
    unet, retinanet = UNetPlan(), RetinaNetPlan()
    assert (unet.learning_rate, unet.batch_size, unet.epochs, unet.patience, unet.schedule) == (
        1e-4,
        4,
        75,
        15,
        "plateau",
    )
    assert (retinanet.backbone, retinanet.width, len(retinanet.anchors)) == ("resnet101", 256, 5)
    with torch.device("meta"):
        body = LOCALIZERS["retinanet"].build(retinanet).backbone.body
    assert (
        sum(isinstance(m, nn.Conv2d) for m in body.modules()) == 104
    )  # 100 of the blocks, 4 of the shortcuts, the stem


@pytest.mark.parametrize("training", [True, False])
def test_retinanet_sees_images_at_their_own_size(training):
    """torchvision enlarges images to 800 pixels unless stopped, in evaluation also where told to skip it."""
    model = build_localizer("retinanet", RETINANET).train(training)
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape)))
    image = torch.zeros(3, 64, 64)
    target = {"boxes": torch.tensor([[4.0, 4, 20, 20]]), "labels": torch.zeros(1, dtype=torch.int64)}
    with torch.no_grad():
        model([image, image], [target, target] if training else None)
    assert seen == [(2, 3, 64, 64)]


@pytest.fixture
def resnet18(tmp_path):
    """A file of a classifier's weights with statistics that no training has made."""
    torch.manual_seed(5)
    network = torchvision.models.resnet18(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    return network, tmp_path / "resnet18.pth"


PRETRAINED = dataclasses.replace(RETINANET, pretrained=True)


def test_a_pretrained_body_computes_what_the_classifier_does_of_normalized_images(resnet18):
    """In [0, 1], less ImageNet's mean, over its standard deviation: torchvision's own transform as the oracle."""
    network, file = resnet18
    model = build_localizer("retinanet", PRETRAINED)
    fill_body(model, file)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    body = torchvision.models._utils.IntermediateLayerGetter(network.eval(), {"layer2": "0", "layer4": "2"})
    expected = body(torchvision.models.ResNet18_Weights.DEFAULT.transforms(crop_size=64, resize_size=64)(pixels))
    for training in (False, True):  # in training, too, ImageNet's statistics count
        model.train(training)
        with torch.no_grad():
            images, _ = model.transform(list(pixels * 2 - 1))
            found = model.backbone.body(images.tensors)
        for name, features in expected.items():
            assert torch.allclose(found[name], features, rtol=1e-3, atol=1e-4)


def test_training_from_imagenet_keeps_its_statistics_and_learns_the_rest(resnet18):
    network, file = resnet18
    state, record = train_localizer("retinanet", squares(16, 0), squares(8, 1), PRETRAINED, pretrained=file)
    start = network.state_dict()
    body = {name.removeprefix("backbone.body."): value for name, value in state.items() if "backbone.body" in name}
    assert {"bn1.running_mean", "layer4.1.bn2.running_var", "conv1.weight"} < set(body)
    for name, value in body.items():
        if "running" in name:
            assert torch.equal(value, start[name])
        elif "num_batches" not in name:
            assert not torch.equal(value, start[name])
    assert (record["weights"], record["weights_file"]) == ("imagenet", "resnet18.pth")


def test_a_file_that_is_not_the_body_s_is_refused(resnet18, tmp_path):
    _, file = resnet18
    splits = squares(4, 0), squares(4, 1)
    with pytest.raises(SaltrustError, match="a plan that says 'pretrained' takes a file of ImageNet weights"):
        train_localizer("retinanet", *splits, PRETRAINED)
    with pytest.raises(SaltrustError, match="another one none"):
        train_localizer("unet", *splits, UNET, pretrained=file)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "head": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(SaltrustError, match="does not hold the weights of the RetinaNet's body: .* 1 belong elsewhere"):
        train_localizer("retinanet", *splits, PRETRAINED, pretrained=tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(SaltrustError, match="does not hold the weights of the RetinaNet's body"):
        train_localizer("retinanet", *splits, PRETRAINED, pretrained=tmp_path / "text.pth")


def test_boxes_are_needed_for_retinanet():
    split = squares(4, 0)
    masks = dataclasses.replace(split, boxes=np.zeros((0, 5), np.float32))
    with pytest.raises(SaltrustError, match="use unet"):
        train_localizer("retinanet", masks, split, RETINANET)


def test_bad_names_and_plans_are_refused():
    with pytest.raises(SaltrustError, match="did you mean 'unet'"):
        build_localizer("u-net", UNET)
    with pytest.raises(SaltrustError, match="unet trains by a UNetPlan, not by a RetinaNetPlan"):
        build_localizer("unet", RETINANET)
    with pytest.raises(SaltrustError, match="3 or 5 levels, not 2"):
        build_localizer("retinanet", dataclasses.replace(RETINANET, anchors=(16, 32)))


def test_labels_alone_teach_no_localizer():
    labels = dataclasses.replace(squares(4, seed=0), truth=None, boxes=np.zeros((0, 5), np.float32))
    with pytest.raises(SaltrustError, match="labels alone"):
        average_mask([labels])
    with pytest.raises(SaltrustError, match="labels alone"):
        train_localizer("unet", labels, labels, UNET)
