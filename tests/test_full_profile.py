"""The extrapolation of a full run: how often each kind of work is done, by hand, and that every kind is timed."""

import json
import sys

import pytest

from benchmarks import full_profile
from benchmarks.full_profile import (
    Work,
    explained,
    gigabytes,
    lasts,
    maps,
    states,
    summary,
    timed_training,
    training_work,
)
from saltrust.core.profiles import PROFILES
from saltrust.models.recipes import classifier_plan, localizer_plan

FULL = PROFILES["full"]


def test_the_counts_are_the_papers():
    """SIIM-ACR: 8,646 / 961 images, 246 positive test images. RSNA: 12,039 / 1,338, 601. Batches of 32 and of 4."""
    plan = classifier_plan("inception_v3", FULL.architectures["inception_v3"], 0, True, False)
    both = dict.fromkeys(full_profile.DATASETS, 2)
    step, validation = training_work("InceptionV3", plan, both, (3.0, 0.1, 0.5))
    assert step.count == {"phantom-pneumothorax": 2 * 20 * 271, "phantom-pneumonia": 2 * 20 * 377}
    assert validation.count == {"phantom-pneumothorax": 2 * 20 * 961, "phantom-pneumonia": 2 * 20 * 1338}
    assert step.hours("phantom-pneumothorax") == pytest.approx(2 * 20 * 271 * 3 / 3600)
    plan = localizer_plan("unet", FULL.localizers["unet"], 0, FULL, False)
    step, _ = training_work("U-Net", plan, {"phantom-pneumothorax": 2}, (3.0, 0.0, 0.5))
    assert step.count == {"phantom-pneumothorax": 2 * 75 * 2162}
    assert step.hours("phantom-pneumonia") == 0
    assert states() == 4 + 1 + 3 * 13  # InceptionV3: the logits, eleven blocks, the stem; three cascades
    assert [full_profile.positives(name) for name in full_profile.DATASETS] == [246, 601]
    assert [explained(name) for name in full_profile.DATASETS] == [4 * n + 40 * 100 for n in (246, 601)]
    assert full_profile.NETWORKS == {"inception_v3": 3, "densenet121": 1}


def test_the_disk_holds_every_map():
    channels = 3 * 7 + 2  # IG twice; Grad-CAM and XRAI have no colour
    expected = channels * 320 * 320 * 4 * (4 * 246 + 40 * 100) / 1e9
    assert gigabytes(320)["phantom-pneumothorax"] == pytest.approx(expected)


def test_sums_are_those_of_the_rows():
    works = [
        Work("A: training step of 4 images", 2.0, {"phantom-pneumothorax": 3600}),
        Work("A: image validated", 1.0, {"phantom-pneumothorax": 3600}),
        Work("B: map", 0.5, dict.fromkeys(full_profile.DATASETS, 7200), passes=25),
    ]
    total = summary(works, 320)["totals"]["phantom-pneumothorax"]
    assert (total["training_hours"], total["map_hours"], total["hours"]) == (3.0, 1.0, 4.0)
    assert (total["steps"], total["passes"]) == (3600, 25 * 7200)


def test_workers_wait_for_the_classifiers_and_take_the_longest_first():
    """By hand: two localizers of 8 h, a classifier of 2 h, then four pieces of 3 h and two of 1 h."""

    def work(what: str, hours: float, artefacts: int) -> Work:
        return Work(what, 3600.0, {"a": hours}, artefacts=artefacts)

    works = [
        work("DenseNet121: training step of 32 images", 1.5, 1),
        work("DenseNet121: image validated", 0.5, 1),
        work("U-Net: training step of 4 images", 16.0, 2),
        work("Gradient: map", 2.0, 2),
        work("SmoothGrad: map", 12.0, 4),
    ]
    assert lasts(works, "a", 1) == 16 + 2 + 12 + 2
    assert lasts(works, "a", 2) == 8 + 2 + 3 + 3 + 1  # the other one waits for the classifier, from 8 h to 10 h
    assert lasts(works, "a", 3) == 8 + 3
    assert lasts(works, "a", 100) == 8


def test_steps_are_timed_without_the_first(monkeypatch):
    seconds = iter([(1.0, 50.0), (0.2, 2.0), (0.2, 2.0), (0.5, 9.0)])
    monkeypatch.setattr(full_profile.TrainingLoop, "take", lambda loop: next(seconds))

    def train():
        for _ in range(4):
            full_profile.TrainingLoop.take(None)
        return {}, {"seconds": 73.0}

    assert timed_training(train, validated=20) == (2.0, 0.1, 0.5)


def test_every_method_is_timed_and_parts_count_once():
    works = list(maps(side=80, images=1, most_passes=60))
    names = [work.work for work in works]
    assert len(names) == len(set(names))
    assert {work.work: work.passes for work in works if work.passes} == {
        "Gradient: map": 1,
        "SmoothGrad: map": 25,
        "Integrated Gradients (black): map": 25,
        "Integrated Gradients (white): map": 25,
        "Grad-CAM: map": 1,
        "Guided Backpropagation: map": 1,
    }
    assert {"XRAI: map", "Guided Grad-CAM: map", "XRAI's regions: image"} < set(names)
    assert all(work.seconds > 0 for work in works)


def test_the_command_writes_what_it_prints(monkeypatch, tmp_path, capsys):
    work = Work("A: training step of 4 images", 2.0, {"phantom-pneumothorax": 3600}, loading=0.25)
    monkeypatch.setattr(full_profile, "trainings", lambda side, steps, images: [work])
    monkeypatch.setattr(full_profile, "maps", lambda side, images: [])
    monkeypatch.setattr(sys, "argv", ["full_profile", "--out", str(tmp_path)])
    assert full_profile.main() == 0
    printed = capsys.readouterr().out
    assert "phantom-pneumothorax (SIIM-ACR): 2 h (0.1 days)" in printed
    assert "25%" in printed
    written = json.loads((tmp_path / "benchmarks_full.json").read_text(encoding="utf-8"))
    assert written["totals"]["phantom-pneumothorax"]["hours"] == 2.0
    assert written["machine"]["cores"] >= 1
