"""Classifiers trained elsewhere: what becomes of their inputs and outputs, what they are tried for, their stages."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.methods import cam, gradient
from saltrust.methods.explained import Explained
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build, predict, to_input
from saltrust.models.external import model as external
from saltrust.models.external.libraries import library
from saltrust.models.external.model import load
from saltrust.models.external.probe import count_outputs, probe_images
from saltrust.models.randomization import layers_of, randomized
from saltrust.study.explainable import explainable

timm = library("timm")

NETS = """
import threading
from functools import partial
import numpy as np
import torch
from torch import nn

def net(outputs=1, channels=3, last=()):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs), *last,
    )

def one(): return net()
def two(): return net(2)
def three(): return {"network": net(3), "classes": ["Normal", "Pleural_Effusion", "mass"]}
def grey(): return net(channels=1)
def colours(): return net(channels=4)
def sigmoid(): return net(last=[nn.Sigmoid()])
def softmax(): return net(2, last=[nn.Softmax(1)])
def log_softmax(): return net(2, last=[nn.LogSoftmax(1)])
def squeezed(): return net(last=[nn.Flatten(0)])
def map_(): return net(2, last=[nn.Unflatten(1, (2, 1, 1))])
def training(): return net().train()
def heavy():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 96 * 96, 1))
def double(): return net().double()
def parametrized():
    torch.manual_seed(1)
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), net(channels=4))
def clipped(): return Through(lambda x: x.clamp(0, 1))
def calibrated(): return Through(lambda x: torch.cat([x.exp(), x.neg().exp()], 1).div(x.exp() + x.neg().exp()))
def random(): return Through(lambda x: x + torch.randn_like(x))
def numpy_random(): return Through(lambda x: x * float(np.random.default_rng().random()))
def nan(): return Through(lambda x: x / 0 * 0)
def constant(): return Through(lambda x: x * 0 + 5)
def detached(): return Through(lambda x: x.detach() + 1)
def dictionary(): return Through(lambda x: {"logits": x})
def couple(): return Through(lambda x: (x, x))
def mixing(): return Through(lambda x: x - x.mean(0))
def bad_slope(): return Through(lambda x: (x - x).sqrt() + x)
def stuck(): return Through(lambda x: x[:1])
def uncopyable(): return Through(partial(lambda lock, x: x, threading.Lock()))
def raises(): return Through(lambda x: x @ torch.ones(7))

class Through(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.net, self.function = net(), function

    def forward(self, images):
        return self.function(self.net(images))

class Backwards(nn.Module):
    '''Defined from the output to the input, with weights that lie in no block, and a part that never runs.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.head, self.late, self.early = nn.Linear(6, 1), nn.Conv2d(6, 6, 3), nn.Conv2d(3, 6, 3, 2)
        self.offset, self.gamma = nn.Parameter(torch.ones(1, 6, 1, 1)), nn.Parameter(torch.ones(6, 1, 1))

    def forward(self, images):
        return self.head((self.late(self.early(images).relu() + self.offset) * self.gamma).mean((2, 3)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "nets.py").write_text(NETS)
    return folder


@pytest.fixture
def loaded(folder):
    def load_one(function: str, card=(), **fields) -> external.ExternalModel:
        return load(Model(**{"source": f"nets.py:{function}", "size": 48} | fields), folder, card, "lesion")

    return load_one


def logits(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(images)


# --- inputs and outputs -----------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    channels=st.sampled_from([1, 3]),
    black=st.floats(-1024, 1),
    width=st.floats(0.5, 2048),
    mean=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    std=st.lists(st.floats(0.1, 3), min_size=3, max_size=3),
)
def test_preprocessing_is_the_affine_map_of_every_library(channels, black, width, mean, std):
    """Against numpy in float64; within 1e-5 of the largest number that can occur."""
    model = Model(
        source="x.ts", channels=channels, input_range=(black, black + width), mean=mean[:channels], std=std[:channels]
    )
    images = np.random.default_rng(0).random((2, 3, 4, 4))
    seen = images if channels == 3 else images.mean(1, keepdims=True)
    centre, spread = (np.array(numbers[:channels])[:, None, None] for numbers in (mean, std))
    wanted = (black + width * seen - centre) / spread
    found = external._preprocessing(model)(torch.tensor(images, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5 * (abs(black) + width + 2) / min(std))


def test_what_changes_nothing_is_left_out(loaded):
    assert [name for name, _ in loaded("one").network.named_children()] == ["body"]
    assert [name for name, _ in loaded("grey").network.named_children()] == ["preprocessing", "body"]
    turned = loaded("two", ("b", "a"), classes=("a", "b"))
    assert [name for name, _ in turned.network.named_children()] == ["body", "selection"]


@pytest.mark.parametrize(
    ("function", "fields", "card", "wanted"),
    [
        ("one", {}, (), [[1]]),
        ("one", {"classes": ("Lesion",)}, (), [[1]]),
        ("two", {"classes": ("normal", "lesion")}, (), [[-1, 1]]),
        ("two", {"classes": ("lesion", "normal"), "exclusive": True}, (), [[1, -1]]),
        ("two", {"classes": ("lesion", "normal"), "exclusive": False}, (), [[1, 0]]),
        ("three", {"finding": "mass"}, (), [[0, 0, 1]]),
        ("three", {"finding": "pleural effusion"}, (), [[0, 1, 0]]),
        ("three", {}, ("MASS", "normal", "pleural-effusion"), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        ("three", {}, ("mass", "normal"), [[0, 0, 1], [1, 0, 0]]),
    ],
)
def test_what_is_explained(function, fields, card, wanted, loaded):
    found = loaded(function, card, **fields)
    images = probe_images(3, 48)
    expected = logits(found.network.body, images) @ torch.tensor(wanted, dtype=torch.float32).T
    torch.testing.assert_close(logits(found.network, images), expected, rtol=1e-5, atol=1e-6)


def test_the_size_is_found_and_the_card_has_the_last_word(folder, loaded):
    assert load(Model(source="nets.py:heavy"), folder, (), "lesion").size == 96
    assert load(Model(source="nets.py:one"), folder, (), "lesion").size == 224
    said = loaded("three", finding="mass")
    assert said.classes == ("Normal", "Pleural_Effusion", "mass")
    renamed = load(Model(source="nets.py:three", size=48, classes=("a", "b", "lesion")), folder, (), "lesion")
    assert renamed.classes == ("a", "b", "lesion")


def test_what_is_a_guess_is_called_one(folder):
    """A network that runs on images of one size alone shows it; one that runs on any does not."""
    shown = load(Model(source="nets.py:heavy", input_range=(0.0, 1.0)), folder, (), "lesion")
    assert (shown.size, shown.guessed) == (96, ())
    guessed = load(Model(source="nets.py:one"), folder, (), "lesion")
    assert guessed.guessed == ("size", "input_range")
    assert guessed.assumed.startswith("224 pixels (a guess: say `size`), 3 channels, black 0 and white 1 (a guess: say")
    said = load(Model(source="nets.py:two", size=48, mean=(0.5,), classes=("a", "lesion")), folder, (), "lesion")
    assert said.guessed == ("exclusive",)


def test_a_model_is_handed_over_in_evaluation_in_single_precision_and_frozen(loaded):
    for function in ("training", "double"):
        network = loaded(function).network
        assert not any(module.training for module in network.modules())
        assert all(weight.dtype == torch.float32 and not weight.requires_grad for weight in network.parameters())


def test_trying_a_model_leaves_the_random_state_alone(loaded):
    found = loaded("heavy", size=96)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    count_outputs(found.network, found.model, found.size)
    assert torch.equal(before, torch.get_rng_state())


# --- beside a registered architecture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["densenet121", "resnet34"])
def test_a_registered_architecture_from_its_weights_is_the_same_network(name, tmp_path):
    """Logits to 1e-5; gradients, per unit of a pixel in [0, 1], integrated gradients and Grad-CAM to 3e-4 of the
    largest value: the preprocessing is another order of the same arithmetic."""
    known = ARCHITECTURES[name]
    reference = build(name, seed=2).eval()
    save_file(reference.state_dict(), tmp_path / "weights.safetensors")
    model = Model(source="weights.safetensors", architecture=name, size=64)
    found = load(model, tmp_path, (), "lesion")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    theirs = predict(reference, pixels, input_range=known.input_range)
    np.testing.assert_allclose(predict(found.network, pixels, input_range=(0, 1)), theirs, rtol=1e-5, atol=1e-5)

    black, white = known.input_range
    layer = known.stages[1].modules[0]
    routes = (
        (Explained(reference, cam_layer=layer, input_range=known.input_range), to_input(pixels, known.input_range)),
        (Explained(found.network, cam_layer=f"body.{layer}", input_range=(0, 1)), to_input(pixels, (0, 1))),
    )
    for method, factor in ((gradient.gradient, white - black), (gradient.integrated_gradients, 1), (cam.gradcam, 1)):
        ours, known_maps = (method(explained, images, [(0,), (1,)]) for explained, images in reversed(routes))
        wanted = factor * known_maps
        torch.testing.assert_close(ours, wanted, rtol=0, atol=3e-4 * float(wanted.abs().max()))


def test_found_stages_are_those_that_were_named_by_hand(tmp_path):
    save_file(build("densenet121").state_dict(), tmp_path / "weights.safetensors")
    found = load(
        Model(source="weights.safetensors", architecture="densenet121", size=64), tmp_path, (), "lesion"
    ).stages
    by_hand = [tuple(f"body.{path}" for path in stage.modules) for stage in ARCHITECTURES["densenet121"].stages]
    assert [stage.modules for stage in found] == by_hand


# --- stages and identity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "first", "last"),
    [
        (lambda: timm.create_model("resnet18", num_classes=1), "fc", "conv1"),
        (lambda: timm.create_model("test_vit", num_classes=1), "head", "patch_embed"),
        (lambda: timm.create_model("test_convnext", num_classes=1), "head", "stem.0"),
        (lambda: timm.create_model("test_efficientnet", num_classes=1), "classifier", "conv_stem"),
        (lambda: library("torchxrayvision").models.DenseNet(num_classes=1), "classifier", "features.conv0"),
    ],
)
def test_every_weight_is_in_one_stage_and_is_drawn_anew(make, first, last, tmp_path, monkeypatch):
    torch.manual_seed(0)
    made = make()
    with torch.no_grad():
        for weight in made.parameters():  # else zeros and ones may be drawn for zeros and ones
            weight.add_(0.01 * torch.randn(weight.shape))
    monkeypatch.setattr(external, "find", lambda model, folder: external.LoadedNetwork(made, {}))
    side = getattr(made, "default_cfg", {}).get("input_size", (3, 64, 64))[1]
    found = load(Model(source="made.py:make", size=min(side, 160)), tmp_path, (), "lesion")
    stages = found.stages
    assert (stages[0].name, stages[-1].name) == (first, last)
    assert 2 < len(stages) <= 16
    owners = [
        id(weight)
        for stage in stages
        for layer in layers_of(found.network, stage)
        for weight in layer.parameters(recurse=False)
    ]
    assert len(owners) == len(set(owners))
    assert set(owners) == {id(weight) for weight in found.network.body.parameters()}
    random = randomized(found.network, stages, "truncated_normal", seed=0)
    weights = zip(found.network.body.named_parameters(), random.body.parameters(), strict=True)
    assert not [name for (name, before), after in weights if torch.equal(before, after)]
    images = probe_images(2, found.size)
    images.requires_grad_()
    outputs = random(images)
    (slope,) = torch.autograd.grad(outputs.sum(), images)
    assert outputs.isfinite().all()
    assert slope.flatten(1).norm(dim=1).min() > 1e-6  # squeeze and excitation halves the signal in every block


def test_stages_follow_the_run_and_not_the_definition(loaded):
    stages = loaded("Backwards").stages
    assert [stage.name for stage in stages] == ["head", "late", "early"]
    assert stages[-1].modules == ("body.early", "body.")


def test_many_blocks_are_joined_but_for_the_first_and_the_last(folder, monkeypatch):
    deep = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(40)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    monkeypatch.setattr(external, "find", lambda model, folder: external.LoadedNetwork(deep, {}))
    stages = load(Model(source="a.py:b", size=32, classes=("a", "b", "lesion")), folder, (), "lesion").stages
    assert len(stages) == 16
    assert [len(stages[0].modules), len(stages[-1].modules)] == [1, 1]
    assert sum(len(stage.modules) for stage in stages) == 40


def test_replicates_share_their_architecture_and_nothing_else(folder, loaded, tmp_path):
    one, again, two = loaded("one"), loaded("one"), loaded("two", classes=("normal", "lesion"))
    assert one.architecture == again.architecture != two.architecture
    assert one.checksum == again.checksum
    state = one.network.body.state_dict()
    state["7.bias"] = state["7.bias"] + 1e-6
    save_file(state, folder / "replicate.safetensors")
    model = Model(source="replicate.safetensors", architecture="nets.py:one", size=48)
    replicate = load(model, folder, (), "lesion")
    assert replicate.architecture == one.architecture
    assert replicate.checksum != one.checksum
    (tmp_path / "nets.py").write_text(NETS.replace("nn.ReLU()", "nn.GELU()"))
    assert load(Model(source="nets.py:one", size=48), tmp_path, (), "lesion").checksum != one.checksum


def test_the_checksum_tells_operations_and_preprocessing_apart(folder, loaded):
    """Of programs with the same weights, of functions in one file, of what was said of the images."""
    for name, activation in (("relu", nn.ReLU()), ("gelu", nn.GELU())):
        body = copy.deepcopy(loaded("one").network.body)
        body[2] = activation
        torch.jit.script(body).save(folder / f"{name}.ts")
    (folder / "twins.py").write_text(
        NETS + "\ndef a(): return net()\ndef b(): return net()\ndef c(): return {'network': net(), 'mean': [0.5]}"
    )
    sources = ["relu.ts", "gelu.ts", "twins.py:a", "twins.py:b", "twins.py:c"]
    sums = [load(Model(source=source, size=48), folder, (), "lesion").checksum for source in sources]
    assert len(set(sums)) == len(sources)
    assert loaded("one", mean=(0.5,)).checksum != loaded("one").checksum


# --- what is refused --------------------------------------------------------------------------------------------------

BAD = [
    ("sigmoid", {}, "ends in a sigmoid"),
    ("softmax", {"classes": ("normal", "lesion")}, "ends in a softmax"),
    ("log_softmax", {}, "ends in a logsoftmax"),
    ("clipped", {}, "probabilities|do not depend on the image"),
    ("calibrated", {}, "something like a softmax"),
    ("squeezed", {}, r"returns shape \(1,\) for one image"),
    ("map_", {}, r"returns shape \(1, 2, 1, 1\)"),
    ("dictionary", {}, "returns a dict"),
    ("couple", {}, "returns a tuple"),
    ("stuck", {}, r"returns shape \(1, 1\) for 4 images"),
    ("raises", {}, "does not run on images"),
    ("random", {}, "must not draw at random"),
    ("numpy_random", {}, "must not draw at random"),
    ("mixing", {}, "alone than in a batch|do not depend"),
    ("nan", {}, "NaN or infinite logits"),
    ("bad_slope", {}, "gradient with NaN"),
    ("constant", {}, "do not depend on the image"),
    ("detached", {}, "no gradient to the image"),
    ("colours", {}, "to have 4 channels"),
    ("grey", {"channels": 3}, "does not run on images"),
    ("one", {"channels": 1}, "does not run on images"),
    ("heavy", {"size": 64}, "does not run .* at 64 pixels"),
    ("parametrized", {}, "remove_parametrizations"),
    ("uncopyable", {}, "cannot be copied"),
    ("two", {}, "2 outputs without names"),
    ("two", {"classes": ("a", "b", "c")}, "2 outputs and 3 class names: a, b, c"),
    ("one", {"classes": ("tumour",)}, "no output 'lesion'.*its 1 are called tumour"),
    ("three", {}, "no output 'lesion'"),
    ("three", {"finding": "effusion"}, "did you mean 'Pleural_Effusion'"),
    ("two", {"classes": ("lesion", "Lesion")}, "has several outputs called 'lesion'"),
    ("one", {"mean": (0.5, 0.5)}, "3 channels and 2 numbers in mean"),
    ("grey", {"std": (0.5, 0.5, 0.5)}, "to have 1 channels"),
    ("grey", {"std": (0.5, 0.5, 0.5), "channels": 1}, "1 channels and 3 numbers in std"),
]


@pytest.mark.parametrize(("function", "fields", "message"), BAD, ids=[f"{one[0]} {one[1]}" for one in BAD])
def test_a_model_that_will_not_do_is_refused_in_one_line(function, fields, message, folder):
    model = Model(**{"source": f"nets.py:{function}", "size": 48} | fields)
    with pytest.raises(SaltrustError, match=message) as caught:
        load(model, folder, (), "lesion")
    assert str(caught.value).startswith(f"model 'nets.py:{function}' ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_model_must_know_each_of_the_card_s_classes(loaded, folder):
    three = Model(source="nets.py:three", size=48)
    with pytest.raises(SaltrustError, match="no output 'nodule'"):
        load(three, folder, ("normal", "nodule"), "lesion")
    with pytest.raises(SaltrustError, match="one output for two of the card's names"):
        load(three, folder, ("mass", "Mass"), "lesion")


def test_of_several_findings_each_output_is_that_of_its_name(loaded, folder):
    """In the card's order, whatever the network's; one that is no finding is left out, and two are no softmax."""
    images = probe_images(2, 48)
    whole = loaded("three", ("Normal", "pleural effusion", "mass")).network(images)
    three = Model(source="nets.py:three", size=48)
    found = load(three, folder, (), "any", ("mass", "pleural effusion"))
    torch.testing.assert_close(found.network(images), whole[:, [2, 1]])
    assert (found.model.exclusive, found.guessed) == (False, ("input_range",))
    assert found.assumed.endswith("outputs Normal, Pleural_Effusion, mass, each for itself")
    same = load(three, folder, (), "any", ("Normal", "pleural effusion", "mass"))
    torch.testing.assert_close(same.network(images), whole)
    two = Model(source="nets.py:two", size=48, classes=("a", "b"))
    one = load(two, folder, (), "a", ("a",))  # a single finding is no different from the card's finding
    both = load(two, folder, (), "any", ("a", "b")).network(images)
    torch.testing.assert_close(one.network(images)[:, 0], both[:, 0] - both[:, 1])


def test_a_model_must_know_each_finding_and_tell_it_by_itself(loaded, folder):
    three = Model(source="nets.py:three", size=48)
    with pytest.raises(SaltrustError, match="has no output 'nodule'; .* give them the card's names by `classes`$"):
        load(three, folder, (), "any", ("mass", "nodule"))
    softmax = three.model_copy(update={"exclusive": True})
    with pytest.raises(SaltrustError, match="outputs that exclude each other"):
        load(softmax, folder, (), "any", ("mass", "Normal"))
    assert load(softmax, folder, (), "mass").model.exclusive


def test_a_function_that_describes_its_network_wrongly(folder):
    (folder / "wrong.py").write_text(NETS + "\ndef wrong(): return {'network': net(), 'channels': 2}")
    with pytest.raises(SaltrustError, match=r"wrong.py:wrong' describes itself wrongly: channels"):
        load(Model(source="wrong.py:wrong"), folder, (), "lesion")


# --- methods ----------------------------------------------------------------------------------------------------------


def test_methods_that_cannot_explain_a_network_say_why(loaded, folder):
    reasons = explainable(loaded("one"), ["grad", "lrp", "deeplift", "guided_backprop", "sobel", "xrai", "lime"])
    assert reasons == {}
    (folder / "other.py").write_text(
        NETS.replace("nn.ReLU()", "nn.SiLU()").replace("nn.BatchNorm2d(8)", "nn.GroupNorm(2, 8)")
    )
    other = load(Model(source="other.py:one", size=48), folder, (), "lesion")
    reasons = explainable(other, ["grad", "ig", "lrp", "guided_backprop", "guided_gradcam", "occlusion"])
    assert set(reasons) == {"lrp", "guided_backprop", "guided_gradcam"}
    assert "no rule for 'group_norm'" in reasons["lrp"]
    assert "no ReLU" in reasons["guided_backprop"]
    with pytest.raises(SaltrustError, match="did you mean 'grad'"):
        explainable(other, ["gradd"])


def test_of_torchscript_methods_see_outputs_and_gradients_alone(folder, loaded):
    torch.jit.script(loaded("one").network.body).save(folder / "one.ts")
    program = load(Model(source="one.ts", size=48), folder, (), "lesion")
    assert not program.visible
    reasons = explainable(program, ["grad", "ig", "occlusion", "lime", "lrp", "deeplift", "guided_backprop", "gradcam"])
    assert set(reasons) == {"lrp", "deeplift", "guided_backprop", "gradcam"}
    assert all("TorchScript is compiled" in reason for reason in reasons.values())
    images = probe_images(2, 48)
    maps = [
        gradient.gradient(Explained(one.network, input_range=(0, 1)), images, [(0,), (1,)])
        for one in (program, loaded("one"))
    ]
    torch.testing.assert_close(*maps, rtol=1e-4, atol=1e-6)
    random = [randomized(one.network, one.stages, "truncated_normal", 0) for one in (program, loaded("one"))]
    torch.testing.assert_close(*(logits(one, images) for one in random), rtol=1e-4, atol=1e-5)
