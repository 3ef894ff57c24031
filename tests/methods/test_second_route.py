import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import saltrust.methods  # noqa: F401  fills the registry
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, by_family
from saltrust.methods.second_route import Plain, deviation, graph, precise
from saltrust.study.explainable import few

KEYS = [(0,), (1,)]
OWN = [method.name for method in by_family() if not method.is_composition]


def images():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))


class Net(nn.Module):
    """Two blocks with batch normalization, a residual sum in place, and a head."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
            self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
            self.head = nn.Linear(6, 2)
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.running_mean, std=0.3)
                    nn.init.normal_(module.bias, std=0.3)

    def forward(self, x):
        x = self.stem(x)
        x = self.body(x) + functional.avg_pool2d(x, 2)
        return self.head(x.mean((2, 3)))


def found(network, name, change=lambda maps: maps):
    """How far a method's maps are off, were they changed in some way."""
    method, network = METHODS[name], precise(network, images())
    given = few(method, {})
    explained = Explained(network, input_range=(0, 1))
    maps = change(method.function(explained, images(), KEYS, **given))
    return deviation(method, explained, Plain(network, explained), images(), KEYS, given, maps)


@pytest.mark.parametrize("name", OWN)
def test_every_method_agrees_with_its_second_route_on_a_sound_network(name):
    assert found(Net(), name).share < 1e-10


@pytest.mark.parametrize("name", OWN)
def test_a_map_that_is_a_little_off_is_found(name):
    """One pixel in a hundred is off by a tenth of the map's size."""

    def spoil(maps):
        maps = maps.clone()
        maps.view(-1)[::100] += 0.1 * maps.abs().mean()
        return maps

    assert not found(Net(), name, spoil).is_close
    assert not found(Net(), name, lambda maps: maps * float("nan")).is_close


def test_a_map_that_is_as_empty_as_it_should_be_is_none_that_is_off():
    dead = Net()
    nn.init.zeros_(dead.head.weight)
    assert found(dead, "grad").share == 0
    assert found(dead, "grad", lambda maps: maps + 1).share == float("inf")


CAPTUM = {
    "grad": lambda net, x: captum.attr.Saliency(net).attribute(x, target=0, abs=False),
    "input_x_gradient": lambda net, x: captum.attr.InputXGradient(net).attribute(x, target=0),
    "ig": lambda net, x: captum.attr.IntegratedGradients(net).attribute(
        x, torch.zeros_like(x), target=0, n_steps=2, method="gausslegendre"
    ),
    "gradcam": lambda net, x: functional.interpolate(
        captum.attr.LayerGradCam(net, net.body).attribute(x, target=0, relu_attributions=True),
        scale_factor=2,
        mode="bilinear",
    ),
}


@pytest.mark.parametrize("name", CAPTUM)
def test_the_slow_route_is_that_of_captum(name):
    network = Net().double().eval()
    plain = Plain(network, Explained(network, input_range=(0, 1), cam_layer="body"))
    given = {"steps": 2} if name == "ig" else {}
    maps = METHODS[name].function(plain, images(), KEYS, **given)
    expected = CAPTUM[name](network, images().double().requires_grad_())
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-12)


# --- networks that fool a method --------------------------------------------------------------------------------------


class Remembers(Net):
    """Adds what is left of the last batch."""

    def forward(self, x):
        outputs = super().forward(x)
        last, self.last = getattr(self, "last", 0.0), outputs.detach().mean()
        return outputs * (1 + last)


class MixesImages(Net):
    def forward(self, x):
        return super().forward(x - x.mean(0, keepdim=True) + 0.5)


class GradientOfBatch(torch.autograd.Function):
    """Passes on a gradient that depends on how many images there are."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * len(gradient)


class ScalesGradients(Net):
    def forward(self, x):
        return super().forward(GradientOfBatch.apply(x))


class HiddenBackward(Net):
    """A hook on a tensor changes what flows back, and no module shows it."""

    def forward(self, x):
        x = self.stem(x)
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient.clamp(max=gradient.mean()))
        return self.head((self.body(x) + functional.avg_pool2d(x, 2)).mean((2, 3)))


class CountsCalls(Net):
    """Other weights at each run."""

    calls = 0

    def forward(self, x):
        CountsCalls.calls += 1
        return super().forward(x) * CountsCalls.calls


FOOLED = {
    "what is left of the last batch": (Remembers, ["grad", "smoothgrad", "occlusion", "gradcam"]),
    "images that see each other": (MixesImages, ["grad", "ig", "gradcam", "lrp_composite", "occlusion", "polycam"]),
    "a gradient of the batch's size": (
        ScalesGradients,
        ["grad", "input_x_gradient", "smoothgrad", "ig", "gradient_shap"],
    ),
    "a hook that hides in forward": (HiddenBackward, ["deeplift", "lrp"]),
    "other weights at each run": (CountsCalls, ["grad", "ig", "deeplift", "lrp", "guided_backprop", "lime"]),
}


@pytest.mark.parametrize(
    ("network", "name"),
    [(network, name) for network, names in FOOLED.values() for name in names],
    ids=[f"{name}: {case}" for case, (_, names) in FOOLED.items() for name in names],
)
def test_a_network_that_fools_a_method_is_found(network, name):
    deviated = found(network(), name)
    assert not deviated.is_close
    assert "\n" not in str(deviated)
    assert f"({deviated.allowed:g} is allowed)" in str(deviated)


def test_a_fault_of_the_method_is_found(monkeypatch):
    """A ReLU that is missed, an epsilon that is forgotten, a fold that is wrong."""
    from saltrust.methods import explained, guided, lrp, operations

    with monkeypatch.context() as patch:
        own = guided.GatedReLU._relu
        patch.setattr(guided.GatedReLU, "_relu", lambda s, call: call.run() if "stem" in s.path else own(s, call))
        assert not found(Net(), "deconvolution").is_close
    with monkeypatch.context() as patch:
        patch.setattr(
            lrp, "_shared_by", lambda total, value, small: operations.rescaled(total, value, 0.99 / total.detach())
        )
        assert not found(Net(), "lrp").is_close
    with monkeypatch.context() as patch:

        def folded_badly(model, keep=None):
            model.stem[0].weight.mul_(1.01)
            return frozenset()

        patch.setattr(explained, "fold_batchnorm", folded_badly)
        assert not found(Net(), "grad").is_close


def test_relus_in_other_words_have_no_second_route():
    class Mixed(Net):
        def forward(self, x):
            return super().forward(x * (x > 0))

    assert found(Mixed(), "guided_backprop") is None


class NamesItsPrecision(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


def test_a_network_that_names_its_precision_is_compared_in_its_own():
    assert next(precise(Net(), images()).parameters()).dtype == torch.float64
    assert next(precise(NamesItsPrecision(), images()).parameters()).dtype == torch.float32
    deviated = found(NamesItsPrecision(), "grad")
    assert deviated.is_close
    assert deviated.allowed > found(Net(), "grad").allowed
    assert not found(NamesItsPrecision(), "grad", lambda maps: maps * 1.5).is_close


def test_a_graph_has_each_node_once():
    x = torch.ones(3, requires_grad=True)
    names = [node.name() for node in graph((x.relu() + x.relu().exp()).sum())]
    assert names.count("ReluBackward0") == 2
    assert len(names) == 6


def test_methods_of_libraries_have_none():
    network = Net()
    explained = Explained(network, input_range=(0, 1))
    method = METHODS["captum:grad"]
    assert deviation(method, explained, Plain(network, explained), images(), KEYS, {}, np.nan) is None
