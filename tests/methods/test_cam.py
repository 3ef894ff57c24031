import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.cam import first_component, gradcam
from saltrust.methods.cam_layers import choose_cam_layer, scale_ends
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS
from saltrust.models.torchvision_compat import torchvision  # first: pytorch_grad_cam imports it, too

grad_cam = pytest.importorskip("pytorch_grad_cam")
ClassifierOutputTarget = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
projection = pytest.importorskip("pytorch_grad_cam.utils.svd_on_activations").get_2d_projection

EXACT = {"rtol": 0, "atol": 1e-12}
SINGLE = {"rtol": 0, "atol": 2e-6}  # of a map in [0, 1] that was resized in float32
KEYS = [(i,) for i in range(3)]
METHODS_OF_ONE_LAYER = ("gradcam", "gradcam_pp", "layercam", "eigencam", "eigengradcam")


def network(inplace=False, scale=1.0):
    """scale: of the gradients."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace), nn.Conv2d(8, 6, 3), nn.ReLU(inplace)]
        model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 2)).double()
    with torch.no_grad():
        model[-1].weight *= scale
    return model


class Functional(nn.Module):
    """The network above, its ReLU calls written as functions."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = network()[0], network()[2], network()[-1]

    def forward(self, x):
        x = functional.relu(self.second(functional.relu(self.first(x), inplace=True)))
        return self.head(functional.adaptive_avg_pool2d(x, 2).flatten(1))


def images(n=3):
    return torch.rand(n, 3, 17, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def maps_of(name, model, x=None, **parameters):
    x = images() if x is None else x
    return METHODS[name].function(model, x, KEYS[: len(x)], **parameters)


def rescaled(maps):
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    return (maps - low) / (high - low)


@pytest.mark.parametrize("layer", ["0", "1", "2", "3"])
@pytest.mark.parametrize("inplace", [False, True])
def test_gradcam_equals_captum(layer, inplace):
    """captum on the network whose ReLU does not work in place: it would read the map after the ReLU."""
    reference = network()
    theirs = captum.attr.LayerGradCam(reference, reference[int(layer)])
    expected = theirs.attribute(images(), target=1, relu_attributions=True)
    expected = captum.attr.LayerAttribution.interpolate(expected, (17, 20), "bilinear")
    maps = gradcam(Explained(network(inplace), target=1), images(), KEYS, layer=layer)
    assert expected.max() > 1e-4
    torch.testing.assert_close(maps, expected, **EXACT)


@pytest.mark.parametrize("layer", ["1", "3"])
@pytest.mark.parametrize(
    ("name", "reference"), [("gradcam", "GradCAM"), ("gradcam_pp", "GradCAMPlusPlus"), ("layercam", "LayerCAM")]
)
def test_maps_equal_pytorch_grad_cam(name, reference, layer):
    """Theirs are rescaled to [0, 1]; the epsilon of their Grad-CAM++ vanishes beside gradients of 1e4."""
    model = network(scale=1e6)
    theirs = getattr(grad_cam, reference)(model, [model[int(layer)]])
    expected = torch.as_tensor(theirs(images(), [ClassifierOutputTarget(1)] * 3)).double()[:, None]
    maps = maps_of(name, Explained(network(scale=1e6), target=1), layer=layer)
    torch.testing.assert_close(rescaled(maps), expected, **SINGLE)


def test_gradcam_pp_does_not_depend_on_the_size_of_small_gradients():
    """With an epsilon of 1e-6 under gradients of 1e-4, the weights would be g^3 / epsilon."""
    tiny, large = (maps_of("gradcam_pp", Explained(network(scale=s)), layer="3") / s for s in (1e-5, 1e-3))
    torch.testing.assert_close(tiny / tiny.max(), large / large.max(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("layer", ["1", "2", "3"])
def test_the_principal_component_is_that_of_pytorch_grad_cam_up_to_its_sign(layer):
    explained = Explained(network(), target=1)
    activations, gradients = explained.activations(images(), layer)
    for features in (activations, activations * gradients):
        theirs = torch.as_tensor(projection(features.numpy())).double()[:, None]
        ours = first_component(features)
        signs = (theirs * ours).sum((1, 2, 3), keepdim=True).sign()
        torch.testing.assert_close(ours, signs * theirs, rtol=0, atol=1e-6 * float(ours.abs().max()))
        assert ((ours * features.sum(1, keepdim=True)).sum((1, 2, 3)) > 0).all()
    for name, features in (("eigencam", activations), ("eigengradcam", activations * gradients)):
        expected = functional.interpolate(first_component(features).relu(), (17, 20), mode="bilinear")
        torch.testing.assert_close(maps_of(name, explained, layer=layer), expected, **EXACT)


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 5), st.integers(1, 30))
def test_the_principal_component(seed, rows, columns, channels):
    """Its variance is the largest eigenvalue of the covariance; scale, offsets and order of channels do not matter."""
    features = torch.as_tensor(np.random.default_rng(seed).random((1, channels, rows, columns)))
    component = first_component(features)
    covariance = np.atleast_2d(np.cov(features[0].flatten(1).numpy()))
    np.testing.assert_allclose(component.var(), np.linalg.eigvalsh(covariance)[-1], rtol=1e-9)
    np.testing.assert_allclose(component.mean(), 0, atol=1e-12)
    offsets = torch.arange(channels, dtype=torch.float64)[None, :, None, None]
    changed = first_component(3 * (features + offsets).flip(1))
    torch.testing.assert_close(changed.square(), (3 * component).square(), rtol=0, atol=1e-9)


def test_features_that_do_not_vary_have_no_component():
    assert not first_component(torch.full((2, 5, 3, 3), 0.3, dtype=torch.float64)).abs().max() > 1e-12


def test_by_hand():
    """Two equal channels A = [[45, 54], [81, 90]], with gradients of 1 and of 0, -1, -1, -1. Grad-CAM weighs them 1 and
    -3/4: the example of captum's tests."""
    conv, head = nn.Conv2d(1, 2, 3, bias=False), nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1)
        head.weight.copy_(torch.tensor([[1.0, 1, 1, 1, 0, -1, -1, -1]]))
    model = Explained(nn.Sequential(conv, nn.ReLU(), nn.Flatten(), head).double(), cam_layer="1", input_range=(0, 15))
    x = torch.arange(16, dtype=torch.float64).view(1, 1, 4, 4)

    def grid(name):
        return maps_of(name, model, x)[0, 0][::3, ::3]  # the corners of the enlarged map are the positions themselves

    seen = torch.tensor([[45.0, 54], [81, 90]], dtype=torch.float64)
    torch.testing.assert_close(grid("gradcam"), torch.tensor([[11.25, 13.5], [20.25, 22.5]]).double(), **EXACT)
    torch.testing.assert_close(grid("gradcam_pp"), 4 / (2 + 270) * seen, **EXACT)
    torch.testing.assert_close(grid("layercam"), seen, **EXACT)
    torch.testing.assert_close(grid("eigencam"), 2**0.5 * (seen - 67.5).relu(), **EXACT)


def test_gradcam_of_a_linear_head_is_the_class_activation_map():
    """With average pooling and one linear layer, Grad-CAM is CAM over the number of positions (Selvaraju, eq. 3)."""
    conv, head = nn.Conv2d(3, 4, 3).double(), nn.Linear(4, 1).double()
    model = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    cam = torch.einsum("k,nkij->nij", head.weight[0], conv(images())).relu() / (15 * 18)
    expected = functional.interpolate(cam[:, None], (17, 20), mode="bilinear").detach()
    torch.testing.assert_close(gradcam(Explained(model, cam_layer="0"), images(), [()] * 3), expected, **EXACT)


def test_layercam_is_gradcam_where_gradients_are_positive_and_even():
    conv, head = nn.Conv2d(3, 4, 3).double(), nn.Linear(4, 1).double()
    with torch.no_grad():
        head.weight.abs_()
    explained = Explained(nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head), cam_layer="1")
    torch.testing.assert_close(maps_of("layercam", explained), maps_of("gradcam", explained), **EXACT)


def test_eigencam_is_blind_to_the_class():
    first, second = (maps_of("eigencam", Explained(network(), target=target), layer="3") for target in (0, 1))
    assert torch.equal(first, second)
    for name in set(METHODS_OF_ONE_LAYER) - {"eigencam"}:
        first, second = (maps_of(name, Explained(network(), target=target), layer="3") for target in (0, 1))
        assert (first - second).abs().max() > 1e-3 * first.max()


@pytest.mark.parametrize("name", METHODS_OF_ONE_LAYER)
def test_a_map_depends_on_its_image_alone(name):
    whole = maps_of(name, Explained(network(), batch_size=32), layer="3")
    assert whole.shape == (3, 1, 17, 20)
    assert whole.amin() >= 0
    assert (whole.amax((1, 2, 3)) > 0).all()
    cut = maps_of(name, Explained(network(), batch_size=2), images().flip(0), layer="3").flip(0)
    torch.testing.assert_close(cut, whole, **EXACT)


@pytest.mark.parametrize("name", METHODS_OF_ONE_LAYER)
@pytest.mark.parametrize("scalar", ["logit", "probability", "argmax_logit"])
def test_how_relu_is_written_does_not_matter(name, scalar):
    plain = maps_of(name, Explained(network(), scalar), layer="2")
    torch.testing.assert_close(maps_of(name, Explained(network(inplace=True), scalar), layer="2"), plain, **EXACT)
    torch.testing.assert_close(maps_of(name, Explained(Functional(), scalar), layer="second"), plain, **EXACT)


@pytest.mark.parametrize("name", METHODS_OF_ONE_LAYER)
def test_without_a_layer_the_coarsest_scale_is_taken(name):
    torch.testing.assert_close(
        maps_of(name, Explained(network())), maps_of(name, Explained(network(), cam_layer="3")), **EXACT
    )


@pytest.mark.parametrize(
    ("name", "size", "ends"),
    [
        ("resnet34", 224, ["relu", "layer1.2", "layer2.3", "layer3.5", "layer4.2"]),  # as LLNL/fastcam for ResNet
        ("vgg16", 224, [f"features.{i}" for i in (3, 8, 15, 22, 29)]),  # as aenglebert/polycam
        ("alexnet", 80, [f"features.{i}" for i in (1, 4, 11)]),
        ("densenet121", 80, ["features.relu0", *(f"features.denseblock{i}" for i in (1, 2, 3)), "features.norm5"]),
        ("densenet169", 80, ["features.relu0", *(f"features.denseblock{i}" for i in (1, 2, 3)), "features.norm5"]),
        ("inception_v3", 299, ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"]),
        ("inception_v3", 80, ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e"]),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_scales_of_a_network_end_before_pooling(name, size, ends):
    """InceptionV3 with its auxiliary head, which does not run when the model is used."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
        if name == "vgg16":
            model.classifier = nn.Linear(512 * 7 * 7, 1)  # its own takes half a gigabyte
    model = model.to_empty(device="cpu")
    for parameter in (*model.parameters(), *model.buffers()):
        parameter.data.zero_()
    assert scale_ends(Explained(model), torch.zeros(1, 3, size, size)) == ends


class Reused(nn.Module):
    """A ReLU that runs twice, a block that never runs, batch normalization folded into a block of its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.coarse, self.unused, self.head = nn.Conv2d(4, 5, 3, stride=2), nn.Conv2d(1, 1, 1), nn.Linear(5, 2)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        return self.head(self.relu(self.coarse(x)).mean((2, 3)))


def test_blocks_that_cannot_be_read_are_no_ends():
    assert scale_ends(Explained(Reused()), torch.zeros(1, 3, 20, 20)) == ["norm", "coarse"]


class Hidden(nn.Module):
    """Batch normalization that is folded into the block before it: that block's output is no longer its own."""

    def __init__(self):
        super().__init__()
        self.first, self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(4, 4, 3)
        self.rest = nn.ModuleDict({"norm": nn.BatchNorm2d(4), "head": nn.Linear(4, 2)})

    def forward(self, x):
        return self.rest["head"](self.rest["norm"](self.conv(self.first(x))).mean((2, 3)))


def test_a_block_whose_output_folding_changed_is_no_end():
    model = Explained(Hidden())
    assert scale_ends(model, torch.zeros(1, 3, 20, 20)) == ["first.1"]
    assert gradcam(model, torch.zeros(1, 3, 20, 20), KEYS[:1]).shape == (1, 1, 20, 20)


def test_a_grid_that_grows_again_is_no_end():
    layers = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, stride=2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(1)]
    model = Explained(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 1)))
    assert scale_ends(model, torch.zeros(1, 3, 20, 20)) == ["0", "1"]


def test_a_network_without_maps_has_no_layer():
    model = Explained(nn.Sequential(nn.Flatten(), nn.Linear(3 * 17 * 20, 1)).double())
    with pytest.raises(SaltrustError, match=r"no block of the model \(0, 1\) returns a map .* \(17, 20\) pixels"):
        maps_of("gradcam", model)
    with pytest.raises(SaltrustError, match=r"module '0' returns shape \(3, 1020\).*at least 2 x 2"):
        maps_of("eigencam", model, layer="0")


@pytest.mark.parametrize(("min_grid", "layer"), [(1, "3"), (2, "3"), (6, "3"), (7, "1"), (8, "1")])
def test_the_deepest_layer_with_a_grid_fine_enough_is_chosen(min_grid, layer):
    model = network().train()
    assert choose_cam_layer(model, ["6", "3", "1"], 17, min_grid) == layer
    assert model.training


def test_no_layer_fine_enough():
    with pytest.raises(SaltrustError, match="no layer has a grid of 9 x 9 for images of 17 pixels; grids: 3 6, 1 8"):
        choose_cam_layer(network(), ["6", "3", "1"], 17, 9)


class ChannelsLast(nn.Module):
    """Its second block returns (n, rows, columns, c), its third no tensor."""

    def __init__(self):
        super().__init__()
        self.early, self.late, self.pair, self.head = nn.Conv2d(3, 4, 3), Last(), Pair(), nn.Linear(5, 1)

    def forward(self, x):
        return self.head(self.pair(self.late(self.early(x)))[0].mean((1, 2)))


class Last(nn.Conv2d):
    def __init__(self):
        super().__init__(4, 5, 3, stride=2)

    def forward(self, x):
        return super().forward(x).permute(0, 2, 3, 1)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_maps_with_their_channels_last_are_taken_for_none():
    model, x = Explained(ChannelsLast()), torch.rand(1, 3, 20, 20)
    assert scale_ends(model, x) == ["early"]
    assert choose_cam_layer(ChannelsLast(), ["head", "pair", "late", "early", "late."], 20, 2) == "early"
    for method in ("gradcam", "eigencam"):
        with pytest.raises(SaltrustError, match=r"module 'late' returns shape \(1, 8, 8, 5\)"):
            METHODS[method].function(model, x, KEYS[:1], layer="late")
