import captum.attr
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.gradient import gradient
from saltrust.methods.guided import OTHER_RECTIFIERS, deconvolution, guided_backprop, guided_gradcam
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import METHODS as REGISTRY

KEYS = [(0,), (1,), (2,)]
EXACT = {"rtol": 0, "atol": 1e-12}
FORMS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": functional.relu,
    "function in place": lambda x: functional.relu(x, inplace=True),
    "function_": functional.relu_,
    "torch": torch.relu,
    "torch_": torch.relu_,
    "method": lambda x: x.relu(),
    "method_": lambda x: x.relu_(),
    "in place, what is returned is discarded": lambda x: (functional.relu(x, inplace=True), x)[1],
}
# method, whether it stops what did not fire forward
METHODS = {"guided_backprop": (guided_backprop, True), "deconvolution": (deconvolution, False)}
CAPTUM = {"guided_backprop": captum.attr.GuidedBackprop, "deconvolution": captum.attr.Deconvolution}


class Net(nn.Module):
    def __init__(self, rectify):
        super().__init__()
        self.rectify = rectify
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.a, self.b, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3), nn.Linear(5 * 16, 2)
        self.double()

    def forward(self, x):
        x = self.rectify(self.a(x))
        x = self.rectify(self.b(x))  # the same module twice, where it is one
        return self.head(x.flatten(1))


def images(n=3):
    return torch.rand(n, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * 2 - 1


def by_matrices(model, x, target, stops_unfired):
    """One image, in numpy: every layer as a dense matrix, the rule written out by hand."""

    def matrix(layer, shape):
        basis = torch.eye(int(np.prod(shape)), dtype=torch.float64).view(-1, *shape)
        columns = functional.conv2d(basis, layer.weight.detach())
        return columns.flatten(1).numpy().T, columns.shape[1:]

    first, shape = matrix(model.a, x.shape)
    second, _ = matrix(model.b, shape)
    bias = [np.repeat(layer.bias.detach().numpy(), n) for layer, n in ((model.a, 36), (model.b, 16))]
    z1 = first @ x.flatten().numpy() + bias[0]
    z2 = second @ np.maximum(z1, 0) + bias[1]
    relevance = model.head.weight.detach().numpy()[target]
    relevance = np.where(((z2 > 0) | (not stops_unfired)) & (relevance > 0), relevance, 0) @ second
    relevance = np.where(((z1 > 0) | (not stops_unfired)) & (relevance > 0), relevance, 0) @ first
    return relevance.reshape(x.shape)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_of_relu_is_gated(form, name):
    model, (method, stops_unfired) = Net(FORMS[form]), METHODS[name]
    maps = method(Explained(model, target=1), images(), KEYS)
    expected = np.stack([by_matrices(model, x, 1, stops_unfired) for x in images()])
    np.testing.assert_allclose(maps, expected, **EXACT)
    assert (maps - gradient(Explained(model, target=1), images(), KEYS)).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "theirs"), CAPTUM.items())
def test_maps_equal_captums_where_relus_are_modules(name, theirs):
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(20, 2)).double()
    expected = theirs(model).attribute(images().requires_grad_(), target=0)
    torch.testing.assert_close(METHODS[name][0](Explained(model), images(), KEYS), expected, **EXACT)


class ResidualNet(Net):
    """A ReLU whose output goes two ways: the rule acts on the sum of both gradients."""

    def forward(self, x):
        x = functional.relu(self.a(x))
        x = functional.relu(functional.conv2d(x, self.b.weight[:, :, :1, :1]).sum(1, keepdim=True) + x)
        return self.head(functional.adaptive_avg_pool2d(x[:, :5], 4).flatten(1))


def test_the_rule_acts_on_the_whole_gradient_of_a_branching_output():
    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return torch.where((ctx.saved_tensors[0] > 0) & (g > 0), g, 0)

    model, x = ResidualNet(None), images().requires_grad_()
    maps = guided_backprop(Explained(model), x.detach(), KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "relu", Rule.apply)
        (expected,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    torch.testing.assert_close(maps, expected, **EXACT)


@pytest.mark.parametrize("name", METHODS)
def test_a_model_without_relu_is_refused(name):
    with pytest.raises(SaltrustError, match="found no ReLU"):
        METHODS[name][0](Explained(Net(torch.tanh)), images(), KEYS)


def all_positive():
    model = Net(torch.relu)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return Explained(model)


@pytest.mark.parametrize("name", METHODS)
def test_a_map_that_is_the_plain_gradient_is_refused(name):
    with pytest.raises(SaltrustError, match="equals the plain gradient"):
        METHODS[name][0](all_positive(), images().abs(), KEYS)


def test_deconvolution_differs_from_the_gradient_where_units_are_off():
    explained = all_positive()
    with pytest.raises(SaltrustError, match="equals the plain gradient"):
        guided_backprop(explained, images(), KEYS)
    assert (deconvolution(explained, images(), KEYS) - explained.gradients(images())).abs().max() > 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_a_dead_model_gives_an_empty_map_and_no_error(name):
    model = Net(torch.relu)
    nn.init.zeros_(model.head.weight)
    assert not METHODS[name][0](Explained(model), images(), KEYS).any()


RECTIFIERS = {
    "leaky_relu": nn.LeakyReLU(),
    "hardtanh": nn.ReLU6(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "elu": nn.ELU(inplace=True),
    "hardswish": nn.Hardswish(),
    "prelu": nn.PReLU().double(),
    "clamp": lambda x: x.clamp(min=0.1),
    "clamp_min": lambda x: x.clamp_min_(0.1),
    "maximum": lambda x: torch.maximum(x, 0.1 * x),
}


@pytest.mark.parametrize("called", RECTIFIERS)
def test_other_rectifiers_are_refused(called):
    class Mixed(Net):
        def forward(self, x):
            return self.head(self.rectify(functional.relu(self.b(self.a(x)))).flatten(1))

    where = f"module 'rectify' also calls '{called}'" if isinstance(RECTIFIERS[called], nn.Module) else "own forward"
    assert called in OTHER_RECTIFIERS
    with pytest.raises(SaltrustError, match=f"{where}.*write it as relu"):
        guided_backprop(Explained(Mixed(RECTIFIERS[called])), images(), KEYS)


def layers_with_leaky_head():
    """Features with ReLU, a head with LeakyReLU: the AlexNet and the VGG of Tjoa & Guan, small."""
    features = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(20, 9), nn.LeakyReLU(0.1), nn.Linear(9, 2)).double()


@pytest.mark.parametrize(("name", "theirs"), CAPTUM.items())
def test_other_rectifiers_may_pass_their_own_gradient_as_in_captum(name, theirs):
    model = layers_with_leaky_head()
    expected = theirs(model).attribute(images().requires_grad_(), target=0)
    method = METHODS[name][0]
    torch.testing.assert_close(method(Explained(model), images(), KEYS, rectifiers="gradient"), expected, **EXACT)
    with pytest.raises(SaltrustError, match="'7' also calls 'leaky_relu'.*rectifiers='gradient'"):
        method(Explained(model), images(), KEYS)


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_treatment_of_rectifiers_is_refused(name):
    with pytest.raises(
        SaltrustError, match="unknown treatment of other rectifiers 'gradients'; did you mean 'gradient'"
    ):
        METHODS[name][0](Explained(Net(torch.relu)), images(), KEYS, rectifiers="gradients")


def test_sigmoid_is_no_rectifier():
    gated = guided_backprop(Explained(Net(lambda x: functional.relu(x).sigmoid())), images(), KEYS)
    assert gated.isfinite().all()


def test_the_rule_ends_with_its_context():
    explained = Explained(Net(torch.relu))
    before = explained.gradients(images())
    guided_backprop(explained, images(), KEYS)
    assert torch.equal(explained.gradients(images()), before)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert torch.equal(torch.autograd.grad(torch.relu(x), x, torch.tensor([-1.0, 1.0]))[0], torch.tensor([-1.0, 1.0]))


def test_guided_gradcam_hands_the_treatment_of_rectifiers_to_its_part():
    parts = REGISTRY["guided_gradcam"].parts({"layer": "7", "rectifiers": "gradient"})
    assert parts["guided_backprop"] == ("guided_backprop", {"rectifiers": "gradient"})


def test_guided_gradcam_is_a_product():
    rng = np.random.default_rng(0)
    parts = {"gradcam": rng.random((2, 1, 9, 9)), "guided_backprop": rng.normal(size=(2, 3, 9, 9))}
    pixels = np.zeros((2, 9, 9), np.uint8)
    raw = guided_gradcam(pixels, [], parts)
    assert raw.shape == (2, 3, 9, 9)
    np.testing.assert_array_equal(raw[:, 2], parts["gradcam"][:, 0] * parts["guided_backprop"][:, 2])
    displayed = guided_gradcam(pixels, [], parts, maps="displayed")
    assert displayed.shape == (2, 1, 9, 9)
    shown = [prepare(parts[name], "sum_abs", clip=99.0) for name in parts]
    np.testing.assert_array_equal(displayed[:, 0], shown[0] * shown[1])
    with pytest.raises(SaltrustError, match="unknown kind of maps"):
        guided_gradcam(pixels, [], parts, maps="shown")
