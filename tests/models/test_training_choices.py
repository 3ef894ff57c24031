"""Every choice of a training says where it comes from, with the values that networks are trained with."""

import json
from dataclasses import fields, replace

import pytest

from saltrust.core.profiles import NETWORKS, PROFILES
from saltrust.core.protocols import INFERRED, OURS, STATED
from saltrust.models import training_choices
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.branching import BranchPlan
from saltrust.models.recipes import classifier_plan
from saltrust.models.retinanet import RetinaNetPlan
from saltrust.models.training_choices import TRAINED, catalogue
from saltrust.models.training_plan import TrainingPlan
from saltrust.models.unet import UNetPlan


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: trained.title)
def test_every_field_of_every_plan_has_its_entry(trained):
    assert list(trained.origins.keys() - set(trained.choices)) == []
    assert list(set(trained.choices) - trained.origins.keys()) == []
    assert set(trained.apart) <= {field.name for field in fields(trained.kind)}
    for status, source in trained.origins.values():
        assert status in (STATED, INFERRED, OURS)
        assert source.strip()
        if status == STATED:
            assert not source.startswith("not given")
    for profile in PROFILES.values():
        assert {type(plan) for plan in trained.plans(profile).values()} == {trained.kind}


def test_no_kind_of_plan_is_left_out():
    kinds = {trained.kind for trained in TRAINED}
    assert {TrainingPlan, UNetPlan, RetinaNetPlan, BranchPlan} <= kinds
    assert kinds >= set(map(type, PROFILES.values()))
    told = {row["of"]: row["values"]["full"] for row in catalogue() if row["field"] == "learning_rate"}
    assert told["Second classifier, Venkatesh et al."] == "0.0001"
    assert told["Classifiers, Arun et al."] == "0.0001 (InceptionV3), 7e-05 (DenseNet121)"
    assert told["Base models, Tjoa & Guan"] == "0.0001 (AlexNet), 0.0001 (VGG16), 0.001 (ResNet34)"
    assert len(NETWORKS) == 3


def test_the_table_follows_the_plans(monkeypatch):
    """A recipe that changes is told as it is then."""

    def rows():
        return {(row["of"], row["field"]): row for row in json.loads(json.dumps(catalogue()))}

    before = rows()
    monkeypatch.setattr(
        training_choices,
        "classifier_plan",
        lambda *given, **named: replace(classifier_plan(*given, **named), batch_size=7),
    )
    changed = {key for key, row in rows().items() if row != before[key]}
    classifiers = ("Classifiers, Arun et al.", "Second classifier, Venkatesh et al.")
    assert changed == {(name, "batch_size") for name in classifiers}
    row = rows()["Classifiers, Arun et al.", "batch_size"]
    assert (set(row["values"].values()), row["status"]) == ({"7"}, OURS)


def test_every_classifier_that_a_profile_trains_is_told_once():
    told = [
        name
        for trained in TRAINED
        if trained.title.lower().partition(",")[0].endswith(("classifiers", "classifier"))
        for name in trained.plans(PROFILES["full"])
    ]
    assert sorted(told) == sorted(ARCHITECTURES[name].title for name in PROFILES["full"].architectures)


def test_what_the_paper_leaves_open_is_not_called_stated():
    """Arun et al., Methods, name no batch and no variation of images for classifiers, and no optimizer."""
    found = {(row["of"], row["field"]): row["status"] for row in catalogue()}
    for field in ("batch_size", "augment", "mirror", "optimizer", "weight_decay", "seed"):
        assert found["Classifiers, Arun et al.", field] != STATED
    for field in ("epochs", "patience", "learning_rate"):
        assert found["Classifiers, Arun et al.", field] == STATED
    for localizer in ("U-Net", "RetinaNet"):
        assert (found[localizer, "batch_size"], found[localizer, "augment"]) == (STATED, OURS)
    assert (found["U-Net", "epochs"], found["RetinaNet", "epochs"]) == (STATED, INFERRED)
