"""From a profile's sizes to a plan that determines a training: which recipe trains which network."""

from dataclasses import replace

from saltrust.core.profiles import Profile, Training
from saltrust.models.architectures import ARCHITECTURES, DEEPER
from saltrust.models.branching import BranchPlan, published_plan
from saltrust.models.localizers import LOCALIZERS
from saltrust.models.retinanet import RetinaNetPlan
from saltrust.models.training_plan import TrainingPlan, best_precision
from saltrust.models.unet import UNetPlan

# From scratch, on some thousand images: a large rate that rises and falls once. From ImageNet weights: the paper's
# rate, which it names without an optimizer (see training_choices).
FROM_SCRATCH = {"optimizer": "adamw", "schedule": "one_cycle", "weight_decay": 1e-2, "learning_rate": 1e-3}
FINE_TUNING = {"optimizer": "adam", "schedule": "constant"}
OWN_TUNING = {"densenet169": {"optimizer": "adamw", "schedule": "plateau", "weight_decay": 1e-4}}  # Venkatesh et al.

# Localizers that two cores train in half a minute at 128 pixels. The default fields of the plans are the paper's sizes.
NARROW = {
    "unet": UNetPlan(features=(16, 16, 32, 64, 128, 16), optimizer="adamw", schedule="one_cycle", learning_rate=2e-3),
    "retinanet": RetinaNetPlan(
        backbone="resnet18", width=64, anchors=(16, 32, 64), optimizer="adamw", schedule="one_cycle", learning_rate=1e-3
    ),
}

# Ten classes from scratch on two cores: for the base, plain networks get temporary batch normalization and do without
# their dropout, images are mirrored, and the learning rate rises and falls once. A branch is then a few careful steps.
_MIRRORED = {"augment": False, "mirror": True}
_BASE = TrainingPlan(**FROM_SCRATCH, **_MIRRORED, warmup=0.15, batch_size=64)
_BRANCH = TrainingPlan(**_MIRRORED, learning_rate=2e-6, weight_decay=1e-5, batch_size=32, epochs=1, steps_per_epoch=24)
_QUICK = BranchPlan(_BASE, _BRANCH, limit=5, scaffolded=True, dropout=False)
_DEEPER = replace(_BASE, learning_rate=1e-4, epochs=1, steps_per_epoch=16)  # goes on from the trained AlexNet
_SMOKE = BranchPlan(
    replace(_BASE, epochs=1, batch_size=16, steps_per_epoch=2), replace(_BRANCH, steps_per_epoch=4), scaffolded=True
)

# Branches go on at the paper's learning rate at once, so that they part even where the target stops them early, and end
# at a low one. Networks of the depth test start from the trained AlexNet with layers that pass the image on, and train
# until these, too, have moved.
_APART = replace(_BRANCH, learning_rate=1e-4, schedule="one_cycle", warmup=0.0, steps_per_epoch=40)
_LEARNED = replace(_DEEPER, learning_rate=5e-4, steps_per_epoch=32)
_BRANCHES = {"branch": _APART, "limit": 8}

BRANCHING = {
    "smoke": {name: _SMOKE for name in ("resnet34", "alexnet", "vgg16", *DEEPER)},
    "quick": {
        "resnet34": replace(_QUICK, base=replace(_BASE, epochs=4), refresh=0.4, **_BRANCHES),
        "alexnet": replace(_QUICK, base=replace(_BASE, epochs=12), **_BRANCHES),
        "vgg16": replace(_QUICK, base=replace(_BASE, epochs=5), **_BRANCHES),
        **dict.fromkeys(DEEPER, replace(_QUICK, base=_LEARNED, branch=replace(_APART, steps_per_epoch=16))),
    },
}
"""How base models and branches train in the profiles that are smaller than the paper."""


def base_plan(architecture: str, profile: Profile, seed: int, pretrained: bool, mirror: bool) -> BranchPlan:
    """How a base model of several classes is trained; what concerns its branches is left at its defaults.

    From ImageNet weights it trains with the paper's optimizer and learning rate, for as many steps as the profile
    grants.

    Args:
        architecture: a name in ARCHITECTURES.
        profile: the size of the run.
        seed: of the training.
        pretrained: whether it starts from ImageNet weights.
        mirror: whether the card allows images to be mirrored.
    """
    plan = _branching(architecture, profile)
    base = replace(plan.base, precision=best_precision(), seed=seed, mirror=plan.base.mirror and mirror)
    if pretrained and architecture not in DEEPER:
        published = published_plan(architecture).base
        base = replace(published, epochs=base.epochs, batch_size=base.batch_size, steps_per_epoch=base.steps_per_epoch,
                       precision=base.precision, seed=seed)  # fmt: skip
    return BranchPlan(base=base, scaffolded=plan.scaffolded and not pretrained, dropout=plan.dropout or pretrained)


def branch_plan(architecture: str, profile: Profile, mirror: bool) -> BranchPlan:
    """How the branches of a base model are trained.

    Args:
        architecture: a name in ARCHITECTURES.
        profile: the size of the run.
        mirror: whether the card allows images to be mirrored.
    """
    plan = _branching(architecture, profile)
    branch = replace(plan.branch, precision=best_precision(), mirror=plan.branch.mirror and mirror)
    return replace(plan, branch=branch)


def _branching(architecture: str, profile: Profile) -> BranchPlan:
    sized = BRANCHING.get(profile.name)
    return sized[architecture] if sized else published_plan(architecture)


def classifier_plan(architecture: str, training: Training, seed: int, pretrained: bool, mirror: bool) -> TrainingPlan:
    """How a classifier is trained; the learning rate of fine-tuning is the architecture's own, and so is what its paper
    says of the optimizer.

    From scratch it trains through all its epochs: a learning rate that has yet to fall must not be stopped early.

    Args:
        architecture: a name in ARCHITECTURES.
        training: the profile's sizes.
        seed: of the training.
        pretrained: whether it starts from ImageNet weights.
        mirror: whether half of the images are mirrored, which their card must allow.
    """
    if not pretrained:
        return replace(TrainingPlan(**FROM_SCRATCH), **_given(training, seed, mirror) | {"patience": training.epochs})
    rate = {"learning_rate": ARCHITECTURES[architecture].learning_rate}
    recipe = FINE_TUNING | rate | OWN_TUNING.get(architecture, {})
    return replace(TrainingPlan(**recipe), **_given(training, seed, mirror))


def multilabel_plan(architecture: str, training: Training, seed: int, pretrained: bool, mirror: bool) -> TrainingPlan:
    """How a network for several findings is trained: at the paper's rate from ImageNet weights, else as a classifier
    from scratch.

    Args:
        architecture: a name in ARCHITECTURES.
        training: the profile's sizes.
        seed: of the training.
        pretrained: whether it starts from ImageNet weights.
        mirror: whether half of the images are mirrored, which their card must allow.
    """
    plan = classifier_plan(architecture, training, seed, pretrained, mirror)
    return replace(plan, learning_rate=1e-4) if pretrained else plan


def contrast_plan(training: Training, seed: int) -> TrainingPlan:
    """How a small CNN learns images of 8 x 8 pixels, from scratch: without variation, for a pixel more or less is
    another image, and in single precision, so that no rounding is mistaken for a difference of coalitions.

    Args:
        training: the profile's sizes.
        seed: of the training.
    """
    plan = classifier_plan("scnn", training, seed, pretrained=False, mirror=False)
    return replace(plan, learning_rate=5e-3, augment=False, precision="float32")


def localizer_body(kind: str, profile: Profile) -> str:
    """torchvision's name of the network whose ImageNet weights a localizer starts from, if there are any: those of the
    paper's size alone, whose recipe is the paper's; "" for others.

    Args:
        kind: a name in LOCALIZERS.
        profile: the size of the run.
    """
    localizer = LOCALIZERS[kind]
    return localizer.body(localizer.plan()) if profile.localizer_width == "paper" else ""


def localizer_plan(
    kind: str, training: Training, seed: int, profile: Profile, mirror: bool, pretrained: bool = False
) -> TrainingPlan:
    """How a localizer is trained, narrow or in the paper's size as the profile says.

    Args:
        kind: a name in LOCALIZERS.
        training: the profile's sizes.
        seed: of the training.
        profile: the size of the run.
        mirror: whether half of the images are mirrored, which their card must allow.
        pretrained: whether its body (see `localizer_body`) starts from ImageNet weights.
    """
    base = LOCALIZERS[kind].plan() if profile.localizer_width == "paper" else NARROW[kind]
    start = {"pretrained": True} if pretrained else {}
    return replace(base, **_given(training, seed, mirror), **start)


def _given(training: Training, seed: int, mirror: bool) -> dict[str, object]:
    return {
        "mirror": mirror,
        "epochs": training.epochs,
        "patience": training.patience,
        "steps_per_epoch": training.steps,
        "batch_size": training.batch_size,
        "precision": best_precision(),
        "seed": seed,
    }
