"""Non-maximum suppression against a slow re-derivation, and the guarded import in a fresh interpreter."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from saltrust.models.torchvision_compat import nms, torchvision


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Box by box from the definition: keep a box unless one already kept overlaps it too much."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def random_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corner = rng.uniform(0, 40, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 25, (n, 2))], axis=1).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9])
def test_nms_equals_the_slow_definition(threshold):
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 60):
        boxes, scores = random_boxes(rng, n), rng.permutation(n).astype(np.float32)
        assert nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).tolist() == slow_nms(
            boxes, scores, threshold
        )


def test_nms_of_nothing_is_nothing():
    kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_nms_keeps_the_order_of_equal_scores():
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 4], [10, 10, 14, 14.0]])
    assert nms(boxes, torch.ones(3), 0.5).tolist() == [0, 2]


def test_nms_drops_only_above_the_threshold():
    """Two boxes whose IoU is exactly 1/3: the operator compares with >, not >=."""
    boxes = torch.tensor([[0, 0, 2, 1], [1, 0, 3, 1.0]], dtype=torch.float32)
    third = (torch.tensor(1.0) / 3).item()
    assert nms(boxes, torch.tensor([1.0, 0.5]), third).tolist() == [0, 1]
    assert nms(boxes, torch.tensor([1.0, 0.5]), third - 1e-3).tolist() == [0]


def test_torchvision_finds_the_operator():
    rng = np.random.default_rng(1)
    boxes, scores = random_boxes(rng, 40), rng.permutation(40).astype(np.float32)
    found = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4)
    assert found.tolist() == slow_nms(boxes, scores, 0.4)


@pytest.mark.parametrize("n", [40, 1200])  # below and above the size at which torchvision changes its way
def test_batched_nms_suppresses_within_a_class_only(n):
    rng = np.random.default_rng(2)
    boxes, scores, classes = random_boxes(rng, n), rng.permutation(n).astype(np.float32), rng.integers(0, 3, n)
    arguments = (torch.from_numpy(a) for a in (boxes, scores, classes))
    found = torchvision.ops.boxes.batched_nms(*arguments, 0.3)
    expected = {
        int(members[i])
        for c in range(3)
        for members in [np.flatnonzero(classes == c)]
        for i in slow_nms(boxes[members], scores[members], 0.3)
    }
    assert set(found.tolist()) == expected
    assert (np.diff(scores[found.numpy()]) < 0).all()


def test_import_works_after_somebody_elses_failed_import():
    """A library that tries torchvision and does without leaves half-made modules; the guard must cope."""
    program = """
try:
    import torchvision
except RuntimeError:
    pass
from saltrust.models.torchvision_compat import torchvision
import torch
assert torchvision.ops.nms(torch.tensor([[0, 0, 1, 1.0]]), torch.ones(1), 0.5).tolist() == [0]
torchvision.models.resnet18
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
