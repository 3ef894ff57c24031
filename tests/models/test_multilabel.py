"""Training for several findings: each is learned on its own, the last state counts, and what cannot be learned is
refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Split
from saltrust.core.profiles import PROFILES
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.models.classifiers import predict, restored
from saltrust.models.multilabel import check_findings, train_multilabel
from saltrust.models.recipes import multilabel_plan
from saltrust.models.training_plan import TrainingPlan

PLAN = TrainingPlan(
    epochs=4, batch_size=16, steps_per_epoch=15, learning_rate=0.02, optimizer="adamw", schedule="one_cycle",
    augment=False,
)  # fmt: skip


def corners(n: int, seed: int, names=("left", "right"), size: int = 16) -> Split:
    """Noise; the first finding is a bright left half, the second a dark right half, each on its own in half of all."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, 2)) < 0.5
    pixels = rng.integers(90, 160, (n, size, size))
    pixels[present[:, 0], :, : size // 2] += 60
    pixels[present[:, 1], :, size // 2 :] -= 60
    findings = Findings(names, present, None, size)
    ids = np.array([f"{seed}-{i}" for i in range(n)])
    return Split(pixels.astype(np.uint8), present.any(axis=1).astype(np.int64), None, np.zeros((0, 5), np.float32), ids,
                 findings=findings)  # fmt: skip


@pytest.fixture
def architecture(monkeypatch):
    def tiny(n_outputs):
        return nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(32, n_outputs))

    spec = Architecture("tiny", "Tiny", tiny, dict, 1e-3, (Stage("logits", ("3",)), Stage("stem", ("0",))))
    monkeypatch.setitem(ARCHITECTURES, "tiny", spec)
    return "tiny"


def test_each_finding_is_learned_on_its_own(architecture):
    train, val, test = corners(200, 0), corners(60, 1), corners(80, 2)
    state, record = train_multilabel(architecture, train, val, PLAN)
    outputs = predict(restored(architecture, state, 2), test.pixels)
    areas = roc_auc_score(test.findings.present, outputs, average=None)
    assert (areas > 0.95).all()
    assert len(record["curves"]["loss"]) == len(record["curves"]["val_auc"]) == record["epochs"] == 4
    assert record["weights"] == "scratch"


def test_the_last_state_counts_whatever_the_validation_says(architecture):
    """Labels of the validation that are turned round change no weight."""
    train, val = corners(60, 0), corners(40, 1)
    turned = replace(val, findings=replace(val.findings, present=~val.findings.present))
    (first, _), (second, _) = (train_multilabel(architecture, train, one, PLAN) for one in (val, turned))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finding_that_all_or_none_have_is_refused():
    split = corners(20, 0)
    for value, word in ((False, "none"), (True, "all")):
        present = split.findings.present.copy()
        present[:, 1] = value
        with pytest.raises(SaltrustError, match=f"{word} of the test images have 'right'"):
            check_findings(replace(split, findings=replace(split.findings, present=present)), "the test images")
    with pytest.raises(SaltrustError, match="two findings or more"):
        check_findings(replace(split, findings=None), "the test images")


def test_the_plan_is_the_papers_from_imagenet_weights():
    training = PROFILES["full"].multilabel.training
    plan = multilabel_plan("densenet121", training, 3, pretrained=True, mirror=False)
    assert (plan.learning_rate, plan.batch_size, plan.epochs, plan.seed) == (1e-4, 16, 3, 3)  # Shu et al., section 3
    scratch = multilabel_plan("densenet121", training, 3, pretrained=False, mirror=False)
    assert scratch.learning_rate > plan.learning_rate
