"""From a profile's sizes to a plan that determines a training: which recipe trains which network."""

from dataclasses import replace

from saltrust.models.classifiers import ARCHITECTURES
from saltrust.models.localizers import LOCALIZERS, RetinaNetPlan, UNetPlan
from saltrust.models.training import TrainingPlan, best_precision
from saltrust.profiles import Profile, Training

# From scratch, on some thousand images: a large rate that rises and falls once. From ImageNet weights: the paper's.
FROM_SCRATCH = {"optimizer": "adamw", "schedule": "one_cycle", "weight_decay": 1e-2, "learning_rate": 1e-3}
FINE_TUNING = {"optimizer": "adam", "schedule": "constant"}

# Localizers that two cores train in half a minute at 128 pixels. The default fields of the plans are the paper's sizes.
NARROW = {
    "unet": UNetPlan(features=(16, 16, 32, 64, 128, 16), optimizer="adamw", schedule="one_cycle", learning_rate=2e-3),
    "retinanet": RetinaNetPlan(
        backbone="resnet18", width=64, anchors=(16, 32, 64), optimizer="adamw", schedule="one_cycle", learning_rate=1e-3
    ),
}


def classifier_plan(architecture: str, training: Training, seed: int, pretrained: bool) -> TrainingPlan:
    """How a classifier is trained; the learning rate of fine-tuning is the architecture's own."""
    recipe = FINE_TUNING | {"learning_rate": ARCHITECTURES[architecture].learning_rate} if pretrained else FROM_SCRATCH
    return replace(TrainingPlan(**recipe), **_sizes(training, seed))


def localizer_plan(kind: str, training: Training, seed: int, profile: Profile) -> TrainingPlan:
    """How a localizer is trained, narrow or in the paper's size as the profile says."""
    base = LOCALIZERS[kind].plan() if profile.localizer_width == "paper" else NARROW[kind]
    return replace(base, **_sizes(training, seed))


def _sizes(training: Training, seed: int) -> dict[str, object]:
    return {
        "epochs": training.epochs,
        "patience": training.patience,
        "steps_per_epoch": training.steps,
        "batch_size": training.batch_size,
        "precision": best_precision(),
        "seed": seed,
    }
