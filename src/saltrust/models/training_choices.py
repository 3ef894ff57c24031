"""Where each choice of a training comes from: stated by a paper, inferred from a code or a custom, or ours.

A choice is a field of a plan, or of a profile. What is said of it concerns its value in the profile `full`, which is to
have the papers' sizes; the smaller profiles are ours throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from saltrust.core.profiles import NETWORKS, PROFILES, Branching, Profile
from saltrust.core.protocols import INFERRED, OURS, STATED, plainly
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.branching import BranchPlan
from saltrust.models.localizers import LOCALIZERS
from saltrust.models.recipes import base_plan, branch_plan, classifier_plan, localizer_body, localizer_plan
from saltrust.models.retinanet import RetinaNetPlan
from saltrust.models.training_plan import TrainingPlan
from saltrust.models.unet import UNetPlan

Origin = tuple[str, str]
"""STATED, INFERRED or OURS; and the place in the text, the custom, or the reason (MyST)."""


@dataclass(frozen=True)
class Trained:
    """What is trained, or sized, by one kind of plan.

    Attributes:
        title: as in prose.
        kind: the dataclass whose fields are its choices.
        plans: profile -> a plan for each network, by its name in prose; "" where there is one.
        origins: field -> where it comes from.
        apart: fields that are told elsewhere: they are plans of their own, or a name.
    """

    title: str
    kind: type
    plans: Callable[[Profile], Mapping[str, Any]]
    origins: Mapping[str, Origin]
    apart: tuple[str, ...] = ()

    @property
    def choices(self) -> list[str]:
        """The fields that are told here."""
        return [field.name for field in fields(self.kind) if field.name not in self.apart]


def _from_imagenet(profile: Profile) -> bool:
    """The paper's size is told as it trains from ImageNet weights, the smaller ones as from scratch."""
    return profile.localizer_width == "paper"


def _classifiers(*names: str) -> Callable[[Profile], dict[str, Any]]:
    def plans(profile: Profile) -> dict[str, Any]:
        return {
            ARCHITECTURES[name].title: classifier_plan(
                name, profile.architectures[name], 0, _from_imagenet(profile), mirror=False
            )
            for name in names
        }

    return plans


def _localizer(kind: str) -> Callable[[Profile], dict[str, Any]]:
    def plans(profile: Profile) -> dict[str, Any]:
        return {
            "": localizer_plan(kind, profile.localizers[kind], 0, profile, False, bool(localizer_body(kind, profile)))
        }

    return plans


def _bases(profile: Profile) -> dict[str, BranchPlan]:
    plans = {name: base_plan(name, profile, 0, _from_imagenet(profile), mirror=True) for name in NETWORKS}
    return {ARCHITECTURES[name].title: plan for name, plan in plans.items()}


def _branches(profile: Profile) -> dict[str, BranchPlan]:
    return {ARCHITECTURES[name].title: branch_plan(name, profile, mirror=True) for name in NETWORKS}


_ALWAYS: dict[str, Origin] = {
    "warmup": (OURS, "of `one_cycle` alone"),
    "precision": (OURS, "the fastest arithmetic that trains well on the machine (here that of this copy of the book)"),
    "batchnorm_momentum": (OURS, "not given; torch's default"),
    "seed": (OURS, "not given, and the codes set none; counted up from that of the page"),
}

_CLASSIFIER: dict[str, Origin] = _ALWAYS | {
    "epochs": (STATED, "Methods: at most 20 and 30"),
    "patience": (STATED, "Methods: 4 and 5, by the AUC on the validation images"),
    "batch_size": (OURS, "not given, and no code of the training is public; every batch is balanced, as Methods say"),
    "steps_per_epoch": (INFERRED, "not given; by custom an epoch shows as many images as there are"),
    "learning_rate": (STATED, "Methods: 1e-4 and 7e-5"),
    "weight_decay": (INFERRED, "not given; Keras has none unless told"),
    "optimizer": (INFERRED, "not given for classifiers; Methods name Adam for both localizers"),
    "schedule": (INFERRED, "Methods name one learning rate and, unlike for the U-Net, no schedule"),
    "augment": (OURS, "not given; small turns, shifts and changes of light and contrast, against few images"),
    "mirror": (OURS, "not given; a mirrored chest has its heart on the wrong side, so the data card decides"),
    "label_smoothing": (STATED, "Methods: binary cross-entropy, by its formula"),
}

_VENKATESH: dict[str, Origin] = _ALWAYS | {
    "epochs": (INFERRED, "the code: at most 75. Their InceptionV3, too; here it trains as that of Arun et al."),
    "patience": (INFERRED, "the code: no early stop"),
    "batch_size": (INFERRED, "the code: 64"),
    "steps_per_epoch": (INFERRED, "the code: all images"),
    "learning_rate": (INFERRED, "the code: 1e-4, the best of three on the validation images"),
    "weight_decay": (INFERRED, "the code: 1e-4, the best of four on the validation images"),
    "optimizer": (INFERRED, "the code: AdamW"),
    "schedule": (
        INFERRED,
        "the code: a tenth of the rate when the score does not rise for more than 3 epochs; theirs is that of the test "
        "images, ours that of the validation images",
    ),
    "augment": (INFERRED, "the code: turns by up to 30°; ours as the other classifiers'"),
    "mirror": (INFERRED, "the code: both ways; here left to right, where the data card allows it"),
    "label_smoothing": (INFERRED, "the code: not used"),
}

_LOCALIZER: dict[str, Origin] = _ALWAYS | {
    "steps_per_epoch": _CLASSIFIER["steps_per_epoch"],
    "learning_rate": (STATED, "Methods: 1e-4"),
    "batch_size": (STATED, "Methods: 4"),
    "optimizer": (STATED, "Methods: Adam, default betas"),
    "weight_decay": (INFERRED, "not given; Adam's default"),
    "augment": (OURS, "not given; as the classifiers', so that all see the same images"),
    "mirror": _CLASSIFIER["mirror"],
    "label_smoothing": (OURS, "not used"),
}

_UNET: dict[str, Origin] = _LOCALIZER | {
    "epochs": (STATED, "Methods: up to 75"),
    "patience": (STATED, "Methods: 15, by the validation loss"),
    "schedule": (STATED, "Methods: a tenth of the rate when the validation loss does not fall for more than 3 epochs"),
    "features": (INFERRED, "Methods: the base U-Net, whose authors begin with 64 channels and double them four times"),
}

_RETINANET: dict[str, Origin] = _LOCALIZER | {
    "mirror": (OURS, "not given; the code that Methods name mirrors half of its images, but a chest has its left side"),
    "epochs": (INFERRED, "not given; the U-Net's"),
    "patience": (INFERRED, "not given; the U-Net's"),
    "schedule": (INFERRED, "not given; the U-Net's, which is also that of the code that Methods name"),
    "pretrained": (
        STATED,
        "Methods: ImageNet; batch normalization keeps ImageNet's statistics, as in the code that Methods name: four "
        "images tell too little of their own. Where there is no file of weights, from scratch with its own statistics",
    ),
    "backbone": (STATED, "Methods: ResNet101"),
    "width": (INFERRED, "not given; of the code that Methods name"),
    "anchors": (INFERRED, "not given; of RetinaNet's authors, at 320 pixels"),
}

_TJOA: dict[str, Origin] = _ALWAYS | {
    "epochs": (STATED, "Table I"),
    "patience": (OURS, "not used: no validation acts on the base, and a counter ends a branch"),
    "batch_size": (STATED, "Table I"),
    "steps_per_epoch": (INFERRED, "not given; all images, as in the code"),
    "learning_rate": (STATED, "sec. III-B: 1e-3 for ResNet, 1e-4 for AlexNet and VGG"),
    "weight_decay": (STATED, "sec. III-B: 1e-5"),
    "optimizer": (STATED, "sec. III-B: Adam"),
    "schedule": (INFERRED, "sec. III-B names one learning rate and no schedule"),
    "augment": (INFERRED, "not given; the code has none"),
    "mirror": (INFERRED, "not given; the code has none. The smaller profiles mirror half of the cells"),
    "label_smoothing": (INFERRED, "not given; the code has none"),
}

_BRANCHING: dict[str, Origin] = {
    "every": (STATED, "sec. III-B: every 4 iterations"),
    "target": (STATED, "sec. III-B: 0.96"),
    "limit": (STATED, "Table I"),
    "refresh": (STATED, "Table I"),
    "shard": (STATED, "sec. III-A: 200"),
    "scaffolded": (OURS, "from scratch alone: plain networks do not train on two cores without it"),
    "dropout": (INFERRED, "not given; as the networks have it"),
}

_PROFILE: dict[str, Origin] = {
    "size": (INFERRED, "the code: 320 pixels"),
    "train": (STATED, "Methods: all images of the split"),
    "val": (STATED, "Methods: all images of the split"),
    "test": (STATED, "Methods: all images of the split"),
    "localizer_width": (STATED, "Methods: U-Net and RetinaNet with ResNet101"),
    "pretrained": (STATED, "Methods: all but the U-Net, from ImageNet"),
    "explained": (INFERRED, "the code: all test images with the finding"),
    "compared": (INFERRED, "the code: 100 random test images"),
    "cascaded": (INFERRED, "the code: the same 100"),
    "replicates": (INFERRED, "the code: three"),
    "surrogates": (OURS, "of the low baseline of `corrected`"),
    "samples": (OURS, "a limit on what the protocol asks for; none here"),
    "steps": (OURS, "a limit on what the protocol asks for; none here"),
    "copy_steps": (OURS, "a limit on what the protocol asks for; none here"),
    "perturbations": (OURS, "LIME and KernelSHAP are not in the paper"),
    "channels": (OURS, "Poly-CAM is not in the paper"),
    "shares": (INFERRED, "not in the paper; the code of Venkatesh et al.: a half, a tenth and a hundredth"),
}

_SIZES: dict[str, Origin] = {
    "sizes": (STATED, "Table I"),
    "shards": (STATED, "sec. III-A: 32, 8 and 8"),
    "branches": (STATED, "sec. III-B: five"),
    "judged": (STATED, "Fig. 3: all evaluation samples"),
    "depths": (STATED, "appendix: one to eight added layers"),
    "deep_branches": (INFERRED, "as the others"),
}

TRAINED: tuple[Trained, ...] = (
    Trained("Sizes, Arun et al.", Profile, lambda profile: {"": profile}, _PROFILE,
            apart=("name", "architectures", "localizers", "branching", "multilabel", "contrast")),
    Trained("Classifiers, Arun et al.", TrainingPlan, _classifiers("inception_v3", "densenet121"), _CLASSIFIER),
    Trained("Second classifier, Venkatesh et al.", TrainingPlan, _classifiers("densenet169"), _VENKATESH),
    Trained(LOCALIZERS["unet"].title, UNetPlan, _localizer("unet"), _UNET),
    Trained(LOCALIZERS["retinanet"].title, RetinaNetPlan, _localizer("retinanet"), _RETINANET),
    Trained("Sizes, Tjoa & Guan", Branching, lambda profile: {"": profile.branching}, _SIZES),
    Trained("Base models, Tjoa & Guan", TrainingPlan,
            lambda profile: {name: plan.base for name, plan in _bases(profile).items()}, _TJOA),
    Trained("Branches, Tjoa & Guan", TrainingPlan,
            lambda profile: {name: plan.branch for name, plan in _branches(profile).items()}, _TJOA),
    Trained("When branches stop, Tjoa & Guan", BranchPlan, _branches, _BRANCHING, apart=("base", "branch")),
)  # fmt: skip
"""All that is trained or sized, in the order of the table."""


def catalogue() -> list[dict[str, Any]]:
    """Each choice with its value in every profile, as plain data for JSON: of, field, values by profile, status and
    source."""
    return [
        {
            "of": trained.title,
            "field": field,
            "values": {name: _shown(trained.plans(profile), field) for name, profile in PROFILES.items()},
            "status": trained.origins[field][0],
            "source": trained.origins[field][1],
        }
        for trained in TRAINED
        for field in trained.choices
    ]


def _shown(plans: Mapping[str, Any], field: str) -> str:
    """A value; where networks differ, each with its name."""
    found = {name: getattr(plan, field) for name, plan in plans.items()}
    values = {name: "all" if value is None else plainly(value) for name, value in found.items()}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{value} ({name})" for name, value in values.items())
