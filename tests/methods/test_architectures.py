"""The two networks of the paper, in double precision, against plain autograd and captum on the untouched model; and
every method on the networks of the field."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from saltrust.methods.cam_layers import choose_cam_layer
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, by_family
from saltrust.methods.xrai import segment
from saltrust.models.torchvision_compat import torchvision

SIZE = 80
KEYS = [(0, 0), (0, 1)]
CLOSE = 1e-9  # of the largest value of a map: rounding in double precision, through a hundred layers
BUILDERS = {
    "inception_v3": lambda: torchvision.models.inception_v3(
        weights=None, aux_logits=False, init_weights=False, num_classes=1
    ),
    "densenet121": lambda: torchvision.models.densenet121(weights=None, num_classes=1),
}
CAM = {"inception_v3": "Mixed_6e", "densenet121": "features.norm5"}


def images(dtype=torch.float64):
    return (torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(dtype)


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def network(request):
    """(name, model in evaluation mode): batch normalization has the statistics of a batch, as in a trained model, so
    that signals neither vanish nor explode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BUILDERS[request.param]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    return request.param, model.double().eval()


def assert_maps_close(ours, theirs, tolerance=CLOSE):
    scale = float(theirs.detach().abs().max())
    assert scale > 0
    assert float((ours.double() - theirs.detach().double()).abs().max()) <= tolerance * scale


def test_gradient(network):
    _, model = network
    expected = captum.attr.Saliency(model).attribute(images().requires_grad_(), target=0, abs=False)
    assert_maps_close(METHODS["grad"].function(Explained(model), images(), KEYS), expected)


def test_float32_gradient(network):
    """The maps that are used: float32, batch normalization folded, channels last, another batch size.

    In float32 a few of the millions of ReLU and max-pooling gates fall the other way, whoever computes the gradient,
    and one late gate moves the whole map by some percent. So maps agree in direction; the tests in double are sharp.
    """
    _, model = network
    expected = captum.attr.Saliency(model).attribute(images().requires_grad_(), target=0, abs=False).detach()
    single = Explained(model.float(), batch_size=1)
    model.double()
    maps = METHODS["grad"].function(single, images(torch.float32), KEYS)
    assert functional.cosine_similarity(maps.double().flatten(1), expected.flatten(1)).min() > 0.99


def test_integrated_gradients(network):
    _, model = network
    theirs = captum.attr.IntegratedGradients(model)
    expected = theirs.attribute(images(), -torch.ones_like(images()), target=0, n_steps=4, method="gausslegendre")
    explained = Explained(model, batch_size=3)
    maps = METHODS["ig"].function(explained, images(), KEYS, steps=4)
    assert_maps_close(maps, expected, tolerance=1e-6)  # captum keeps its points and weights in float32
    change = explained.scalars(images()) - explained.scalars(-torch.ones_like(images()))
    total = METHODS["ig"].total(explained, images(), **METHODS["ig"].defaults)
    torch.testing.assert_close(total, change, rtol=0, atol=1e-12)


def test_smoothing_runs_on_both_networks(network):
    _, model = network
    explained = Explained(model.float())
    model.double()
    x = images(torch.float32)
    plain = METHODS["grad"].function(explained, x, KEYS)
    smooth = METHODS["smoothgrad"].function(explained, x, KEYS, samples=2)
    integral = METHODS["smooth_ig"].function(explained, x, KEYS, samples=2, steps=2)
    assert smooth.isfinite().all()
    assert integral.isfinite().all()
    assert (smooth - plain).abs().max() > 0.01 * plain.abs().max()


class Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return torch.where((ctx.saved_tensors[0] > 0) & (g > 0), g, 0)


def test_guided_backprop_acts_on_functional_relu(network, monkeypatch):
    """Oracle: the untouched model, run with functional.relu replaced by a function whose backward pass is the rule."""
    _, model = network
    maps = METHODS["guided_backprop"].function(Explained(model), images(), KEYS)
    plain = METHODS["grad"].function(Explained(model), images(), KEYS)
    monkeypatch.setattr(functional, "relu", lambda x, inplace=False: Guided.apply(x))
    x = images().requires_grad_()
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    assert_maps_close(maps, expected)
    assert (maps - plain).abs().max() > 0.1 * maps.abs().max()


def test_gradcam(network, monkeypatch):
    """captum reads DenseNet's last map after the in-place ReLU that follows it: for captum, ReLU copies."""
    name, model = network
    maps = METHODS["gradcam"].function(Explained(model, cam_layer=CAM[name]), images(), KEYS)
    relu = functional.relu
    monkeypatch.setattr(functional, "relu", lambda x, inplace=False: relu(x))
    theirs = captum.attr.LayerGradCam(model, model.get_submodule(CAM[name]))
    expected = theirs.attribute(images(), target=0, relu_attributions=True)
    assert_maps_close(maps, captum.attr.LayerAttribution.interpolate(expected, (SIZE, SIZE), "bilinear"))


def test_compositions(network):
    name, model = network
    explained = Explained(model, cam_layer=CAM[name])
    pixels = ((images().mean(1).numpy() + 1) * 127.5).astype(np.uint8)
    segments = np.empty(2, object)
    segments[:] = [segment(image) for image in pixels]
    for composition in ("xrai", "guided_gradcam"):
        method = METHODS[composition]
        parameters = {"steps": 2} if composition == "xrai" else {}
        parts = {
            part: METHODS[of].function(explained, images(), KEYS, **given).numpy()
            for part, (of, given) in method.parts(parameters).items()
        }
        maps = method.function(pixels, KEYS, parts | {"segments": segments}, **parameters)
        assert maps.shape in ((2, 1, SIZE, SIZE), (2, 3, SIZE, SIZE))
        assert np.isfinite(maps).all()
        assert all(np.ptp(one) > 0 for one in maps)


def test_the_cam_layer_follows_from_the_grid():
    """At 128 px InceptionV3 ends in 2 x 2 positions, and DenseNet121 in 4 x 4."""
    inception, densenet = BUILDERS["inception_v3"](), BUILDERS["densenet121"]()
    blocks = ["fc", "Mixed_7c", "Mixed_7b", "Mixed_7a", "Mixed_6e", "Mixed_5d"]
    assert choose_cam_layer(inception, blocks, 128, 1) == "Mixed_7c"
    assert choose_cam_layer(inception, blocks, 128, 4) == "Mixed_6e"
    assert (
        choose_cam_layer(densenet, ["classifier", "features.norm5", "features.denseblock3"], 128, 4) == "features.norm5"
    )


CHEAP = {"samples": 12, "steps": 2, "references": 2, "segments": 25, "window": 0.5, "stride": 0.25}
ON_MODEL = sorted(m.name for m in by_family() if not m.is_composition)


def small_grey_network():
    """A network of one's own: one channel, ReLU as a function and as a module that runs twice, a skip, two outputs."""

    class ExternalModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 6, 5, stride=2, padding=2)
            self.second = nn.Conv2d(6, 6, 3, padding=1)
            self.act = nn.ReLU(inplace=True)
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            x = self.act(self.first(x))
            x = x + functional.max_pool2d(self.act(self.second(x)), 3, 1, 1)
            return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))

    return ExternalModel()


FIELD = {
    "inception_v3": lambda: torchvision.models.inception_v3(
        weights=None, aux_logits=False, init_weights=False, num_classes=3
    ),
    "densenet121": lambda: torchvision.models.densenet121(num_classes=3),
    "resnet34": lambda: torchvision.models.resnet34(num_classes=3),
    "vgg16": lambda: torchvision.models.vgg16(num_classes=3, init_weights=False),
    "alexnet": lambda: torchvision.models.alexnet(num_classes=3),
    "own": small_grey_network,
}


@pytest.fixture(scope="module", params=sorted(FIELD))
def explained(request):
    """The probability of the third class, by each network of the field."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FIELD[request.param]()
        coarse = torch.rand(6, next(model.parameters()).shape[1], 6, 6) * 2 - 1  # soft shapes, as super-pixels want
        x = functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(-1, 1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(x)
            model.eval()
            outputs = model(x)
            (head,) = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == 3]
            # The outputs differ from image to image, but even under noise the probability is not saturated.
            head.bias -= outputs.mean(0)
            for parameter in (head.weight.T, head.bias):
                parameter /= 5 * outputs.std(0)
    return Explained(model, scalar="probability", target=2), x[:1]


@pytest.mark.parametrize("name", ON_MODEL)
def test_every_method_works_on_the_networks_of_the_field(explained, name):
    model, x = explained
    method = METHODS[name]
    parameters = {key: CHEAP[key] for key in method.defaults if key in CHEAP}
    if name == "polycam":
        parameters["channels"] = 2
    maps = method.function(model, x, [(0,)], **parameters)
    assert maps.shape in ((1, 1, SIZE, SIZE), (1, x.shape[1], SIZE, SIZE))
    assert maps.isfinite().all()
    if name != "polycam":  # empty where none of the few channels raises the probability
        assert maps.amax() > maps.amin()
    if name in ("deeplift", "deeplift_shap", "kernel_shap"):
        total = method.total(model, model.accept(x), **method.complete(parameters))
        torch.testing.assert_close(maps.double().sum((1, 2, 3)), total.double(), rtol=1e-2, atol=1e-3)  # float32
