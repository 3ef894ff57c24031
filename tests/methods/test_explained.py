import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import saltrust.methods  # fills the registry
from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import SCALARS
from saltrust.methods.registry import METHODS, by_family

KEYS = [(0, 0), (0, 1), (0, 2)]
ON_MODEL = sorted(m.name for m in by_family() if not m.is_composition)
CHEAP = {"samples": 2, "steps": 2, "references": 2, "segments": 4}
FEW = {name: {key: CHEAP[key] for key in METHODS[name].defaults if key in CHEAP} for name in ON_MODEL}


class Net(nn.Module):
    """Convolution, batch normalization, dropout; ReLU as an in-place function; what models in the field are made of."""

    def __init__(self, n_outputs=1):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.features = nn.Conv2d(6, 5, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(5, n_outputs)

    def forward(self, x):
        x = functional.relu(self.bn(self.conv(x)), inplace=True)
        x = functional.relu(self.features(x), inplace=True)
        return self.head(self.dropout(x).mean((2, 3)))


def net(n_outputs=1, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Net(n_outputs).double()
        nn.init.normal_(model.bn.running_mean)
        nn.init.uniform_(model.bn.running_var, 0.5, 2)
        nn.init.normal_(model.bn.weight)
    return model


def images(n=3, size=12, seed=1):
    return torch.rand(n, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def state(model):
    return {
        "mode": [m.training for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "hooks": [len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()],
        "modules": [id(m) for m in model.modules()],
        "strides": [p.stride() for p in model.parameters()],
    }


@pytest.mark.parametrize("name", ON_MODEL)
def test_model_and_random_state_are_as_before(name):
    model = net().train()
    model.features.weight.requires_grad_(False)
    model.head.register_forward_hook(lambda *_: None)
    weights, before, random = copy.deepcopy(model.state_dict()), state(model), torch.get_rng_state()
    METHODS[name].function(Explained(model, cam_layer="features"), images(), KEYS, **FEW[name])
    assert state(model) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


class Fails(Net):
    """Draws random numbers, and breaks down on its second run."""

    runs = 0

    def forward(self, x):
        torch.rand(3)
        Fails.runs += 1
        if Fails.runs == 2:
            raise KeyError("half-way")
        return super().forward(x)


@pytest.mark.parametrize("name", ON_MODEL)
def test_model_and_random_state_are_as_before_after_an_exception(name):
    model = Fails().double().train()
    explained = Explained(model, cam_layer="features", batch_size=1)
    before, own, random = state(model), state(explained._model), torch.get_rng_state()
    Fails.runs = 0
    with pytest.raises(KeyError, match="half-way"):
        METHODS[name].function(explained, images(), KEYS, **FEW[name])
    assert state(model) == before
    assert state(explained._model) == own
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.relu(torch.tensor([-1.0], requires_grad=True)).grad_fn is not None  # no rule of ours is left active
    assert METHODS[name].function(explained, images(), KEYS, **FEW[name]).isfinite().all()


@pytest.mark.parametrize("name", ON_MODEL)
@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_the_callers_contexts_do_not_change_a_map(name, context):
    explained = Explained(net(), cam_layer="features")
    plain = METHODS[name].function(explained, images(), KEYS, **FEW[name])
    with context():
        inside = METHODS[name].function(explained, images(), KEYS, **FEW[name])
        made_inside = Explained(net(), cam_layer="features")
        assert torch.equal(plain, METHODS[name].function(made_inside, images(), KEYS, **FEW[name]))
    assert torch.equal(plain, inside)


@pytest.mark.parametrize("name", ON_MODEL)
def test_batch_size_and_order_do_not_matter(name):
    # double precision: what remains is the order of summation inside convolutions
    x, parameters = images(5), FEW[name]
    keys = [(7, i) for i in range(5)]
    whole = METHODS[name].function(Explained(net(), cam_layer="features", batch_size=32), x, keys, **parameters)
    assert whole.abs().max() > 1e-6
    order = [3, 0, 4, 2, 1]
    for batch_size in (1, 2, 3, 7):
        explained = Explained(net(), cam_layer="features", batch_size=batch_size)
        maps = METHODS[name].function(explained, x[order], [keys[i] for i in order], **parameters)
        torch.testing.assert_close(maps, whole[order], rtol=0, atol=1e-12)


def test_gradients_are_those_of_plain_autograd():
    model, x = net().eval(), images().requires_grad_()
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    torch.testing.assert_close(Explained(model).gradients(x.detach()), expected, rtol=0, atol=1e-12)


def test_scalars():
    model = net(4).eval()
    logits = model(images()).detach()
    close = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(Explained(model, "logit", 2).scalars(images()), logits[:, 2], **close)
    torch.testing.assert_close(Explained(model, "negated_logit", 2).scalars(images()), -logits[:, 2], **close)
    torch.testing.assert_close(Explained(model, "argmax_logit").scalars(images()), logits.amax(1), **close)
    second = logits.sort(1, descending=True).values[:, 1]
    torch.testing.assert_close(Explained(model, "runner_up_logit").scalars(images()), second, **close)
    torch.testing.assert_close(Explained(model, "probability", 1).scalars(images()), logits.softmax(1)[:, 1], **close)
    single = net(1).eval()
    logit = single(images())[:, 0].detach()
    torch.testing.assert_close(Explained(single, "probability").scalars(images()), logit.sigmoid(), **close)
    torch.testing.assert_close(Explained(single, "argmax_logit").scalars(images()), logit.abs(), **close)
    torch.testing.assert_close(Explained(single, "runner_up_logit").scalars(images()), -logit.abs(), **close)


def test_argmax_of_a_single_output_explains_the_opposite_logit_where_it_is_negative():
    model = net(1)
    with torch.no_grad():
        model.head.bias -= model.eval()(images()).median()
    logits, plain = Explained(model).outputs(images())[:, 0], Explained(model).gradients(images())
    assert (logits < 0).any()
    assert (logits >= 0).any()
    expected = torch.where(logits >= 0, 1.0, -1.0)[:, None, None, None] * plain
    torch.testing.assert_close(Explained(model, "argmax_logit").gradients(images()), expected, rtol=0, atol=0)


def test_the_predicted_class_is_that_of_the_image_also_along_a_path():
    """The prediction changes on the way: completeness holds for the class at the path's end."""

    class TwoClasses(nn.Module):
        def forward(self, x):
            brightness = x.mean((1, 2, 3))
            return torch.stack([2 - brightness, 5 * brightness], 1)

    x = torch.full((1, 3, 4, 4), 0.8, dtype=torch.float64)
    maps = METHODS["ig"].function(Explained(TwoClasses(), "argmax_logit"), x.float(), [(0,)], baseline="black")
    assert maps.sum().item() == pytest.approx(5 * 0.8 - 5 * -1, abs=1e-5)


def test_later_changes_of_the_model_are_not_seen():
    model = net()
    explained = Explained(model)
    before = explained.gradients(images())
    nn.init.zeros_(model.head.weight)
    assert torch.equal(explained.gradients(images()), before)


def test_a_model_that_works_in_place_on_its_input():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(3).sum((1, 2, 3))[:, None]

    x = images()
    kept = x.clone()
    assert torch.equal(Explained(InPlace()).gradients(x), torch.full_like(x, 3))
    assert torch.equal(x, kept)


def test_activations_are_those_before_a_later_in_place_relu():
    model = net().eval()
    x = images()
    activations, gradients = Explained(model, cam_layer="features").activations(x)
    by_hand = model.features(functional.relu(model.bn(model.conv(x)))).detach().requires_grad_()
    (expected,) = torch.autograd.grad(model.head(functional.relu(by_hand).mean((2, 3))).sum(), by_hand)
    assert (by_hand < 0).any()
    torch.testing.assert_close(activations, by_hand.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-12)


def test_the_output_of_a_convolution_is_its_own_even_where_batch_normalization_is_folded():
    model, x = net().eval(), images()
    own = Explained(model, cam_layer="conv").activations(x)[0]
    torch.testing.assert_close(own, model.conv(x).detach(), rtol=0, atol=1e-12)
    with pytest.raises(SaltrustError, match=r"after 'conv' was folded.*cam_layer='conv'"):
        Explained(model).activations(x, "conv")


class Detached(Net):
    def forward(self, x):
        return super().forward(x).detach()


class Tuple(Net):
    def forward(self, x):
        return super().forward(x), x


class Reused(Net):
    def forward(self, x):
        x = self.features(functional.relu(self.conv(x)))
        return self.head(self.dropout(self.dropout(x)).mean((2, 3)))


def backward_hook():
    model = net()
    model.features.register_full_backward_hook(lambda module, into, out: None)
    return Explained(model)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: Explained(net(), scalar="logits"), "unknown explained scalar 'logits'; did you mean 'logit'"),
        (
            lambda: Explained(net(), cam_layer="featurs"),
            "unknown module of the model 'featurs'; did you mean 'features'",
        ),
        (lambda: Explained(net(), batch_size=0), "batch_size is 0"),
        (lambda: Explained(net(2), target=2).gradients(images()), "target 2 is not among the model's outputs 0 to 1"),
        (lambda: Explained(Detached().double()).gradients(images()), "does not depend on the image"),
        (lambda: Explained(Tuple().double()).gradients(images()), "it returned tuple"),
        (lambda: Explained(Reused().double()).activations(images(), "dropout"), "'dropout' runs 2 times"),
        (lambda: Explained(Reused().double()).activations(images(), "bn"), "'bn' runs 0 times"),
        (lambda: Explained(net()).activations(images(), "head"), r"'head' returns shape \(3, 1\)"),
        (lambda: Explained(net()).activations(images()), "no layer for the class activation map"),
        (lambda: Explained(net()).accept(images() * 200), "this model's input is -1 to 1"),
        (lambda: Explained(net()).accept(images() * torch.nan), "images range from nan to nan"),
        (lambda: Explained(net()).accept(images()[0]), "images must be floats of shape"),
        (lambda: Explained(net()).accept(images()[:0]), "no images"),
        (backward_hook, "module 'features' carries a backward hook"),
    ],
)
def test_what_cannot_be_explained_truthfully_is_refused(act, message):
    with pytest.raises(SaltrustError, match=message):
        act()


def test_the_scalars_are_closed_under_their_names():
    assert set(SCALARS) == {"logit", "negated_logit", "argmax_logit", "runner_up_logit", "probability"}
    assert saltrust.methods.__all__


def test_gradients_of_several_outputs_are_those_of_each():
    model = Explained(net(3), batch_size=2)
    accepted = model.accept(images())
    scalars, gradients = model.scalars_and_gradients_of(accepted, [2, 0])
    for place, target in enumerate([2, 0]):
        own = model.of_output(target).scalars_and_gradients(accepted)
        assert torch.equal(scalars[place], own[0])
        assert torch.equal(gradients[place], own[1])


def test_several_outputs_take_one_forward_pass():
    model, runs = net(3), []
    explained = Explained(model)
    explained._model.head.register_forward_hook(lambda *_: runs.append(1))
    explained.scalars_and_gradients_of(explained.accept(images()), range(3))
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("scalar", "targets", "told"),
    [("argmax_logit", [0], "predicted class of an image is one"), ("logit", [0, 3], "target 3 is not among")],
)
def test_outputs_that_cannot_be_asked_for_are_refused(scalar, targets, told):
    model = Explained(net(3), scalar)
    with pytest.raises(SaltrustError, match=told):
        model.scalars_and_gradients_of(model.accept(images()), targets)


@pytest.mark.parametrize("name", [name for name in ON_MODEL if METHODS[name].several])
def test_maps_of_several_outputs_are_those_of_each(name):
    model, method = Explained(net(3)), METHODS[name]
    given = method.complete(FEW[name])
    found = method.several(model, images(), KEYS, targets=[1, 2], **given)
    for place, target in enumerate([1, 2]):
        assert torch.equal(found[place], method.function(model.of_output(target), images(), KEYS, **given))
