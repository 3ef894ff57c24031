"""Which methods can explain a network, the project's own and a user's; and what a second route finds."""

from pathlib import Path

import pytest
import torch
from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.registry import PAPER_EIGHT
from saltrust.models import external
from saltrust.models.classifiers import build
from saltrust.models.external.model import load
from saltrust.study.explainable import HIDDEN, explainable

ROOT = Path(__file__).parents[2]
WITH_RULES = ("deeplift", "lrp", "lrp_composite", "deconvolution")
CODE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


class ByBatch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * len(gradient)


class Fooling(Net):
    def forward(self, x):
        return super().forward(ByBatch.apply(x))


def sound():
    return {"network": Net(), "size": 32}


def fooling():
    return {"network": Fooling(), "size": 32}
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "nets.py").write_text(CODE)
    return lambda name: load(Model(source=f"nets.py:{name}"), tmp_path, (), "lesion")


def test_the_model_to_copy_is_explained_by_all():
    model = load(Model(source="my_model.py:load"), ROOT / "examples", (), "pneumothorax")
    assert explainable(model, [*PAPER_EIGHT, *WITH_RULES]) == {}


@pytest.mark.parametrize(
    ("architecture", "size", "methods"),
    [("inception_v3", 75, ["grad", "gradcam", "lrp"]), ("densenet121", 32, ["grad", "guided_backprop", "deeplift"])],
)
def test_the_networks_of_the_paper_are_explained(architecture, size, methods, tmp_path):
    """With random weights, where rounding is amplified most; normalized by what the images bring."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(architecture)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            network.train()(torch.rand(6, 3, size, size))
    torch.save(network.eval().state_dict(), tmp_path / "weights.pt")
    given = Model(source="weights.pt", architecture=architecture, size=size)
    model = load(given, tmp_path, (), "lesion")
    assert explainable(model, methods) == {}


def test_a_network_that_fools_a_method_is_refused_with_a_number(loaded, monkeypatch):
    monkeypatch.setattr(external.model, "check_gradient", lambda *given: None)  # which refuses it on load already
    methods = ["grad", "xrai", "smoothgrad", "occlusion", "gradcam", "sobel"]
    assert explainable(loaded("sound"), methods) == {}
    reasons = explainable(loaded("fooling"), methods)
    assert set(reasons) == {"grad", "xrai", "smoothgrad"}
    assert reasons["grad"].startswith("its map is 1 of its size away from that of each image by itself")
    assert all("\n" not in reason and "1e-06 is allowed" in reason for reason in reasons.values())


def test_of_a_program_that_fools_a_method_the_number_is_told_and_not_that_it_is_hidden(loaded, monkeypatch, tmp_path):
    torch.jit.trace(loaded("sound").body, torch.rand(2, 3, 32, 32)).save(tmp_path / "sound.ts")
    program = load(Model(source="sound.ts", size=32), tmp_path, (), "lesion")
    assert explainable(program, ["grad", "guided_backprop", "lrp"]) == {"guided_backprop": HIDDEN, "lrp": HIDDEN}
    own = Explained.scalars_and_gradients
    monkeypatch.setattr(Explained, "scalars_and_gradients", lambda *given: [2 * one for one in own(*given)])
    assert explainable(program, ["grad", "occlusion"])["grad"].startswith("its map is 1 of its size away")


def test_a_method_that_does_not_exist(loaded):
    with pytest.raises(SaltrustError, match="did you mean 'grad'"):
        explainable(loaded("sound"), ["gradd"])
