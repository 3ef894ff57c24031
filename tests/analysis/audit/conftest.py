"""A study of phantoms by two small networks, and the table of all findings on it."""

import pytest
from torch import nn

from saltrust.analysis.audit.table import audit
from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.study.study import Study

NETWORKS = ("small", "smaller")


def small(width):
    def build(n_outputs):
        return nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(16 * width, n_outputs),
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_profile):
    """A study of phantoms by two networks that train in a moment."""
    stages = (Stage("logits", ("8",)), Stage("conv2", ("4",)), Stage("conv1", ("1", "0")))
    for name, width in zip(NETWORKS, (8, 6), strict=True):
        ARCHITECTURES[name] = Architecture(name, name.title(), small(width), dict, 1e-3, stages)
    load = data_cards.load
    card = load("phantom-pneumothorax").model_copy(update={"networks": NETWORKS})
    sizes = {"size": 64, "train": 12, "val": 12, "test": 24}
    with pytest.MonkeyPatch.context() as patch, tiny_profile(NETWORKS, **sizes):
        patch.setattr("saltrust.core.data_cards.load", lambda name: card if name == card.name else load(name))
        yield Study("phantom-pneumothorax", "tiny", store=Store(tmp_path_factory.mktemp("store")))
    for name in NETWORKS:
        del ARCHITECTURES[name]


@pytest.fixture(scope="module")
def table(study):
    return audit(study).set_index("name")
