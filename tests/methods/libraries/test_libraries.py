"""Where they must agree, other libraries' maps are ours; where a library is absent or refuses, the error says so."""

import json
import warnings

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._utils.lrp_rules import EpsilonRule
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from saltrust.artefacts.fingerprint import modules_reached
from saltrust.cli.methods import command
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.explained import Explained
from saltrust.methods.libraries.captum import CAPTUM
from saltrust.methods.libraries.library import Library
from saltrust.methods.registry import METHODS, by_family, by_library, select
from saltrust.methods.xrai import segment
from saltrust.models.torchvision_compat import torchvision  # first: two of the libraries import it, too

KEYS = [(i,) for i in range(3)]
OTHERS = [method.name for members in by_library().values() for method in members]
SCALARS = ("logit", "negated_logit", "runner_up_logit")


class Net(nn.Module):
    """Modules, each run once, that every library knows: no pooling by maxima, no ReLU in place."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Linear(6, 3)
        self.relu, self.rectify, self.halve, self.mean = nn.ReLU(), nn.ReLU(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.rectify(self.second(self.halve(self.relu(self.first(x)))))
        return self.head(self.mean(x).flatten(1))


def explained(scalar="logit", **options):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Net().double()
    return Explained(network, scalar, target=1, cam_layer="rectify", batch_size=2, **options)


def images(size=24):
    return torch.rand(3, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def maps_of(name, model, **parameters):
    return METHODS[name].function(model, images(), KEYS, **parameters)


def assert_equal(maps, expected, share):
    """Up to a share of the largest value."""
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(maps, expected, rtol=0, atol=share * scale)


def from_0_to_1(maps):
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    assert bool((high > low).all())
    return (maps - low) / (high - low)


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize(
    ("name", "given", "own", "share"),
    [
        ("captum:grad", {}, {}, 1e-12),
        ("captum:input_x_gradient", {}, {}, 1e-12),
        ("captum:ig", {"steps": 4, "baseline": "black+white"}, {}, 1e-6),  # its points are float32
        ("captum:ig", {"steps": 4, "quadrature": "riemann_left"}, {}, 1e-6),
        ("captum:deeplift", {}, {}, 1e-10),
        ("captum:deeplift_shap", {"references": 3}, {}, 1e-10),
        ("captum:guided_backprop", {}, {}, 1e-12),
        ("captum:deconvolution", {}, {}, 1e-12),
        ("captum:gradcam", {}, {}, 1e-12),
        ("captum:gradcam", {"layer": "first"}, {}, 1e-12),
        ("captum:lrp", {}, {"epsilon": 1e-9}, 1e-6),
        ("captum:occlusion", {"window": 1 / 8, "stride": 1 / 8}, {}, 1e-6),  # it ends in float32
        ("pair:grad", {}, {}, 1e-12),
        ("pair:ig", {"steps": 4}, {"quadrature": "riemann"}, 1e-6),  # it adds up in float32
        ("zennit:lrp", {"epsilon": 1e-9}, {}, 1e-6),  # ours has an epsilon in the sign, too
        ("zennit:lrp_composite", {}, {}, 1e-9),
    ],
)
def test_maps_are_ours(name, given, own, share, scalar):
    model = explained(scalar)
    expected = maps_of(name.partition(":")[2], model, **given | own)
    maps = maps_of(name, model, **given)
    assert maps.dtype == torch.float64
    assert_equal(maps, expected.expand_as(maps), share)


@pytest.mark.parametrize("name", ["gradcam", "layercam"])
def test_class_activation_maps_of_pytorch_grad_cam_are_ours_from_0_to_1(name):
    model = explained()
    maps, ours = (maps_of(one, model, layer="first") for one in (f"pytorch-grad-cam:{name}", name))
    assert_equal(maps, from_0_to_1(ours), 2e-6)  # theirs are float32


def test_gradcam_of_pair_is_ours_over_its_maximum_but_for_the_border():
    """PAIR enlarges as if the map were mirrored at its border; ours goes on as it ends."""
    model = explained()
    maps, ours = (maps_of(name, model, layer="first")[..., 2:-2, 2:-2] for name in ("pair:gradcam", "gradcam"))
    highest = model.activations(images(), "first")
    highest = (highest[0] * highest[1].mean((2, 3), keepdim=True)).sum(1, keepdim=True).amax((2, 3), keepdim=True)
    assert_equal(maps, ours / highest, 2e-6)


@pytest.mark.parametrize("name", ["captum:smoothgrad", "pair:smoothgrad", "pair:smooth_ig"])
def test_smoothing_without_noise_is_the_plain_map_and_noise_depends_on_the_key_alone(name):
    model, few = explained(), {"samples": 3} | ({"steps": 2} if name.endswith("ig") else {})
    plain = maps_of("ig", model, steps=2, quadrature="riemann") if "steps" in few else maps_of("grad", model)
    for power in (1, 2):
        assert_equal(maps_of(name, model, noise=0.0, power=power, **few), plain**power, 1e-6)
    state, drawn = np.random.get_state()[1].copy(), torch.get_rng_state()
    once = METHODS[name].function(model, images(), KEYS, **few)
    again = METHODS[name].function(model, images()[1:], KEYS[1:], **few)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert_equal(again, once[1:], 1e-12)
    other = METHODS[name].function(model, images()[1:], KEYS[:2], **few)
    assert float((other - again).abs().max()) > 1e-3 * float(again.abs().max())


def test_the_noise_of_both_libraries_is_as_strong_as_ours():
    """The gradient of sum x^2 is 2 x: SmoothGrad of squares is 4 (x^2 + deviation^2), in the mean."""

    class Squares(nn.Module):
        def forward(self, x):
            return (x**2).sum((1, 2, 3))[:, None]

    model, x = Explained(Squares(), batch_size=8), images().float() / 2
    for spread, deviation in (("input", 0.4), ("image", 0.2)):
        given = {"samples": 40, "noise": 0.2, "power": 2, "spread": spread}
        for name in ("smoothgrad", "captum:smoothgrad", "pair:smoothgrad"):
            maps = METHODS[name].function(model, x, KEYS, **given)
            assert float((maps / 4 - x**2).mean()) == pytest.approx(deviation**2, rel=0.03), name


def test_guided_gradcam_is_our_product_of_raw_maps():
    model = explained()
    expected = maps_of("gradcam", model) * maps_of("guided_backprop", model)
    assert_equal(maps_of("captum:guided_gradcam", model), expected, 1e-12)


def test_xrai_is_ours_on_the_same_segments():
    model, x = explained(), images(32)[:1]
    parts = {
        f"ig_{start}": METHODS["ig"].function(model, x, KEYS[:1], steps=2, baseline=start, quadrature="riemann").numpy()
        for start in ("black", "white")
    }
    parts["segments"] = [segment(image.permute(1, 2, 0).numpy()) for image in x]
    expected = METHODS["xrai"].function(np.zeros((1, 32, 32), np.uint8), KEYS[:1], parts, steps=2)
    maps = METHODS["pair:xrai"].function(model, x, KEYS[:1], steps=2)
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_blur_ig_adds_up_to_the_change_from_the_blurred_image():
    """PAIR blurs as if there were zeros beyond the border, whatever black is."""
    model = explained()
    maps = METHODS["pair:blur_ig"].function(model, images(), KEYS, steps=300)
    blurred = torch.as_tensor(gaussian_filter(images().numpy(), (0, 0, 50, 50), mode="constant"))
    expected = model.scalars(images()) - model.scalars(blurred)
    torch.testing.assert_close(maps.sum((1, 2, 3)), expected, rtol=0.15, atol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_the_network_and_the_random_states_are_left_as_they_were(name):
    model = explained()
    before, drawn, state = maps_of("grad", model), torch.get_rng_state(), np.random.get_state()[1].copy()
    given = {key: value for key, value in {"steps": 2, "samples": 2}.items() if key in METHODS[name].defaults}
    with warnings.catch_warnings(action="error"):  # what a library warns of is not shown
        maps = maps_of(name, model, **given)
    assert maps.shape[2:] == (24, 24)
    assert torch.equal(maps_of("grad", model), before)
    assert torch.equal(torch.get_rng_state(), drawn)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


# --- what they are called ---------------------------------------------------------------------------------------------


def test_groups_hold_the_libraries_and_ours_do_not():
    assert select("libraries") == OTHERS
    assert select("captum")[0] == "captum:grad"
    assert select("captum:ig,pair:xrai,captum:deeplift") == ["captum:ig", "pair:xrai", "captum:deeplift"]
    assert set(by_library()) == {"captum", "pair", "pytorch-grad-cam", "zennit"}
    for group in ("all", "paper", "gradient", "cam"):
        assert not set(select(group)) & set(OTHERS)
    assert not {method.name for method in by_family()} & set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_a_method_says_whose_it_is_and_carries_the_version(name):
    method, library = METHODS[name], name.partition(":")[0]
    assert method.library == library
    assert method.family in {"gradient", "modified_backward", "cam", "perturbation"}
    assert method.defaults["version"]
    json.dumps(method.complete({}))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_decides_the_same_as_of_ours(name, protocol):
    method, own = METHODS[name], METHODS.get(name.partition(":")[2])
    decided = method.from_protocol(PROTOCOLS[protocol], PROFILES["quick"])
    assert set(decided) <= set(method.defaults)
    if own:
        ours = own.from_protocol(PROTOCOLS[protocol], PROFILES["quick"])
        assert decided.items() <= ours.items()
        left_out = (ours.keys() & method.defaults.keys()) - decided.keys()
        assert left_out == ({"quadrature"} if name == "captum:ig" and ours["quadrature"] == "riemann" else set())


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_another_version_is_refused():
    with pytest.raises(
        SaltrustError, match=rf"version 0\.1 of captum is asked for; {CAPTUM.version} is installed here"
    ):
        maps_of("captum:grad", explained(), version="0.1")


def test_a_library_that_is_not_there_is_named_with_what_to_install():
    absent = Library("absent", "Absent", "saltrust-absent", "saltrust_absent", "")
    assert absent.version == ""
    with pytest.raises(SaltrustError, match=r"need the package 'saltrust-absent', .* pip install saltrust-absent"):
        absent.load("")


def test_a_refusal_is_the_librarys_in_one_line():
    model = Explained(nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.AvgPool2d(22), nn.Flatten()).double())
    with pytest.raises(SaltrustError, match=r"^captum \S+ refuses: TypeError: Module of type .*GELU.* has no rule"):
        maps_of("captum:lrp", model)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("captum:ig", {"quadrature": "riemann"}, "unknown quadrature of captum 'riemann'"),
        ("captum:smoothgrad", {"power": 3}, "unknown power of SmoothGrad of captum '3'"),
        ("captum:gradcam", {"layer": "nowhere"}, "refuses|unknown module"),
        ("captum:occlusion", {"baseline": "black+white"}, "one baseline, not several"),
    ],
)
def test_what_a_library_cannot_be_told_is_refused(name, given, message):
    with pytest.raises(SaltrustError, match=message):
        maps_of(name, explained(), **given)


def test_an_edit_of_one_librarys_file_renames_its_maps_alone(tmp_path):
    script = tmp_path / "nothing.py"
    script.touch()

    def files(name):
        reached = modules_reached(script, [METHODS[name].function.__module__])
        return {file.name for file in reached if file.parent.name == "libraries"}

    assert files("captum:ig") == {"library.py", "captum.py"}
    assert files("pair:ig") == {"library.py", "pair.py"}
    assert files("zennit:lrp") == {"library.py", "zennit.py"}
    assert files("pytorch-grad-cam:gradcam") == {"library.py", "pytorch_grad_cam.py"}
    for name in ("ig", "lrp", "gradcam", "xrai"):
        assert files(name) == set()


def test_lrp_of_captum_passes_where_batch_normalization_was_folded():
    """As captum does on the network as it was, but for its epsilon."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(22), nn.Conv2d(4, 2, 1)),
        )
    network[1].running_mean.fill_(0.1)

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x).flatten(1)

    flat = Flat().double().eval()
    with warnings.catch_warnings(action="ignore"):
        expected = captum.attr.LRP(flat).attribute(images(), target=1).detach()
    assert_equal(METHODS["captum:lrp"].function(Explained(flat, target=1), images(), KEYS), expected, 1e-5)


@pytest.fixture
def dense():
    """torchvision's DenseNet, with few layers, whose batch normalization has learned something."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = torchvision.models.DenseNet(4, (2, 2), 8, num_classes=3).double()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def captums_lrp(network, target):
    """By captum alone, on the network as it is."""
    with warnings.catch_warnings(action="ignore"):
        return captum.attr.LRP(network).attribute(images(32), target=target).detach()


def test_lrp_of_several_outputs_of_densenet_is_what_captum_gives_of_each(dense):
    method = METHODS["captum:lrp"]
    found = method.several(Explained(dense, batch_size=2), images(32), KEYS, targets=[2, 0], **method.complete({}))
    for maps, target in zip(found, (2, 0), strict=True):
        assert_equal(maps, captums_lrp(dense, target), 1e-4)  # here batch normalization is folded, where it can be


def test_lrp_of_captum_is_ours_on_densenet_only_where_its_end_is_of_modules(dense):
    """torchvision's calls relu(), adaptive_avg_pool2d() and flatten() as functions, through which captum passes a
    gradient: behind the mean every position that is above zero gets the same share."""
    tail = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense.classifier
    as_modules = nn.Sequential(dense.features, *tail).eval()
    as_modules[3].rule = EpsilonRule()
    ours = METHODS["lrp"].function(Explained(dense), images(32), KEYS, epsilon=1e-9)
    assert_equal(captums_lrp(as_modules, 0), ours, 1e-4)
    theirs = captums_lrp(dense, 0)
    assert float(functional.cosine_similarity(theirs.flatten(1), ours.flatten(1)).max()) < 0.9


@pytest.mark.parametrize("scalar", ["logit", "negated_logit", "probability"])
def test_lrp_of_several_outputs_is_that_of_each(scalar):
    method, model = METHODS["captum:lrp"], explained(scalar)
    found = method.several(model, images(), KEYS, targets=[1, 2], **method.complete({}))
    for maps, target in zip(found, (1, 2), strict=True):
        assert torch.equal(maps, method.function(model.of_output(target), images(), KEYS))


def test_lrp_of_several_outputs_does_not_choose_one():
    method = METHODS["captum:lrp"]
    with pytest.raises(SaltrustError, match="the predicted class of an image is one output"):
        method.several(explained("argmax_logit"), images(), KEYS, targets=[1], **method.complete({}))


def test_the_command_lists_them_with_their_versions():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    for name in OTHERS:
        (line,) = [line for line in result.output.splitlines() if line.startswith(f"{name} ")]
        assert METHODS[name].defaults["version"] in line
