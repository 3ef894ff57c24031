import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._utils.lrp_rules import EpsilonRule
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.lrp import less_biases, lrp, lrp_composite
from saltrust.methods.registry import METHODS
from saltrust.models.torchvision_compat import torchvision  # before zennit, which imports it

from zennit.attribution import Gradient  # isort: skip
from zennit.composites import EpsilonPlusFlat, LayerMapComposite, layer_map_base  # isort: skip
from zennit.layer import Sum  # isort: skip
from zennit.rules import Epsilon  # isort: skip
from zennit.torchvision import ResNetCanonizer  # isort: skip
from zennit.types import Linear  # isort: skip

KEYS = [(0,), (1,), (2,)]
EPSILON = 1e-6


def images(n=3, size=12, seed=1):
    return torch.rand(n, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def assert_maps_close(ours, theirs, tolerance=1e-10):
    scale = float(theirs.detach().abs().max())
    assert scale > 0
    assert float((ours - theirs.detach()).abs().max()) <= tolerance * scale


def zennits(model, x, composite, target=0):
    """Relevance of the output `target`, where its own value is what is shared out."""
    outputs = model(x).detach()
    start = torch.zeros_like(outputs)
    start[:, target] = outputs[:, target]
    with Gradient(model, composite=composite) as attributor:
        return attributor(x.clone(), start)[1]


def epsilon_everywhere(epsilon, **options):
    return LayerMapComposite([*layer_map_base(epsilon), (Linear, Epsilon(epsilon=epsilon))], **options)


def seeded(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double().eval()


def sequence():
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, stride=2, groups=2), nn.Tanh()),
        *(nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
    )


def test_the_published_numbers_of_captums_own_test():
    """Relevance 18, 36, 54 of the inputs 1, 2, 3 to two dense layers (captum, tests/attr/test_lrp.py)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False)).double()
    with torch.no_grad():
        model[1].weight.fill_(2)
        model[3].weight.fill_(3)
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).view(1, 1, 1, 3)
    maps = lrp(Explained(model, input_range=(0, 3)), x, KEYS, epsilon=1e-12)
    torch.testing.assert_close(maps.flatten(), torch.tensor([18, 36, 54], dtype=torch.float64), rtol=0, atol=1e-9)


def test_two_dense_layers_by_hand():
    """Both rules as sums over pairs of units, in numpy; epsilon large enough to matter."""
    model, x, epsilon = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))), 0, 0.1
    x = torch.tensor([[[[0.5, -1.0], [0.2, 0.9]]]], dtype=torch.float64)
    (w1, b1), (w2, b2) = ([p.detach().numpy() for p in model[i].parameters()] for i in (1, 3))

    def step(values, weight, bias, relevance):
        z = weight @ values + bias
        shared = [
            sum(
                values[i] * weight[j, i] / (z[j] + epsilon * (1 if z[j] >= 0 else -1)) * relevance[j]
                for j in range(len(z))
            )
            for i in range(len(values))
        ]
        return np.array(shared)

    values = x.numpy().ravel()
    hidden = np.maximum(w1 @ values + b1, 0)
    output = w2 @ hidden + b2
    expected = step(values, w1, b1, step(hidden, w2, b2, np.array([0, output[1]])))
    maps = lrp(Explained(model, target=1), x, KEYS, epsilon=epsilon)
    np.testing.assert_allclose(maps.numpy().ravel(), expected, rtol=1e-12)


def test_epsilon_equals_captums():
    """captum applies the rule to max pooling and reshaping as well, where nothing but epsilon would be lost."""
    model, x = seeded(sequence), images()
    for module in model:
        if not isinstance(module, nn.ReLU | nn.Tanh):
            module.rule = EpsilonRule(1e-14 if isinstance(module, nn.MaxPool2d | nn.Flatten) else EPSILON)
    expected = captum.attr.LRP(model).attribute(x, target=1)
    assert_maps_close(lrp(Explained(seeded(sequence), target=1), x, KEYS, epsilon=EPSILON), expected)


def test_epsilon_equals_zennits():
    model = seeded(sequence)
    expected = zennits(model, images(), epsilon_everywhere(EPSILON), target=1)
    assert_maps_close(lrp(Explained(model, target=1), images(), KEYS, epsilon=EPSILON), expected)


class Residual(nn.Module):
    """Pre-activation blocks, as in DenseNet: batch normalization that no convolution precedes."""

    def __init__(self, add):
        super().__init__()
        self.stem, self.bn, self.conv = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.relu_bn, self.head = nn.ReLU(), nn.ReLU(inplace=True), nn.Linear(4, 2)
        self.pool, self.add = nn.AdaptiveAvgPool2d(1), add
        nn.init.normal_(self.bn.running_mean)
        nn.init.uniform_(self.bn.running_var, 0.5, 2)
        nn.init.normal_(self.bn.bias)

    def forward(self, x):
        x = self.relu(self.stem(x))
        y = self.conv(self.relu_bn(self.bn(x)))
        return self.head(self.pool(self.add(y, x)).flatten(1))


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.sum = Sum()

    def forward(self, a, b):
        return self.sum(torch.stack([a, b], dim=-1))


ADDITIONS = {
    "operator": lambda a, b: a + b,
    "in place": lambda a, b: a.add_(b),
    "in place, what is returned is discarded": lambda a, b: (a.add_(b), a)[1],
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_the_composite_equals_zennits(addition):
    """Shares of a sum, and batch normalization that relevance passes."""
    expected = zennits(seeded(lambda: Residual(Added())), images(), EpsilonPlusFlat())
    explained = Explained(seeded(lambda: Residual(ADDITIONS[addition])))
    assert_maps_close(lrp_composite(explained, images(), KEYS), expected)


def test_z_plus_of_negative_inputs_equals_zennits():
    expected = zennits(seeded(sequence), images(), EpsilonPlusFlat(), target=1)
    assert_maps_close(lrp_composite(Explained(seeded(sequence), target=1), images(), KEYS), expected)

    def signed():
        return nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.ConvTranspose2d(4, 4, 3, stride=2), nn.Tanh(), nn.Conv2d(4, 2, 3)),
            *(nn.Flatten(), nn.Linear(722, 2)),
        )

    expected = zennits(seeded(signed), images(), EpsilonPlusFlat())
    assert_maps_close(lrp_composite(Explained(seeded(signed)), images(), KEYS), expected)


@pytest.mark.parametrize("method", [lrp, lrp_composite])
def test_resnet34_equals_zennits(method):
    """In-place sums and ReLUs, max pooling that overlaps; batch normalization with the statistics of a batch."""

    def build():
        model = torchvision.models.resnet34(weights=None, num_classes=2)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                module.eps = (
                    1e-20  # zennit leaves it in each normalization that it has merged, which is 1 + eps too much
                )
        with torch.no_grad():
            model.train()(torch.rand(8, 3, 64, 64) * 2 - 1)
        return model

    model, x = seeded(build), images(2, 64)
    composites = {
        lrp: epsilon_everywhere(EPSILON, canonizers=[ResNetCanonizer()]),
        lrp_composite: EpsilonPlusFlat(canonizers=[ResNetCanonizer()]),
    }
    expected = zennits(model, x, composites[method], target=1)
    assert_maps_close(method(Explained(model, target=1), x, KEYS), expected)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), epsilon=st.sampled_from([1e-12, 1e-9]))
def test_epsilon_tends_to_input_times_gradient_where_all_curves_are_relu(seed, epsilon):
    """Ancona et al. 2018, proposition 1; with sums, pooling, batch normalization and biases."""
    explained = Explained(seeded(lambda: Residual(ADDITIONS["operator"]), seed))
    x = images(2, 6, seed)
    assert_maps_close(lrp(explained, x, KEYS, epsilon=epsilon), x * explained.gradients(x), tolerance=1e-4)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), scalar=st.sampled_from(["logit", "argmax_logit", "probability"]))
def test_without_biases_relevance_is_conserved(seed, scalar):
    model = seeded(sequence, seed)
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    explained, x = Explained(model, scalar), images(3, 12, seed)
    assume(bool((model(x).abs() > 1e-3).all()))  # of an output that is 0, epsilon absorbs everything
    total = explained.scalars(x)
    torch.testing.assert_close(lrp(explained, x, KEYS, epsilon=1e-12).sum((1, 2, 3)), total, rtol=1e-5, atol=1e-9)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999),
    scalar=st.sampled_from(["logit", "negated_logit", "argmax_logit", "probability"]),
    epsilon=st.sampled_from([1e-9, 1e-3, 0.1]),
)
def test_what_is_missing_is_what_biases_and_epsilon_take(seed, scalar, epsilon):
    model = seeded(lambda: Residual(ADDITIONS["operator"]), seed) if seed % 2 else seeded(sequence, seed)
    explained, x = Explained(model, scalar), images(3, 6 if seed % 2 else 12, seed)
    sums, total = lrp(explained, x, KEYS, epsilon=epsilon).sum((1, 2, 3)), less_biases(explained, x, epsilon)
    torch.testing.assert_close(sums, total, rtol=1e-6, atol=1e-6 * float(sums.abs().max()))
    assert (total - explained.scalars(x)).abs().max() > 0.01 * float(total.abs().max())


def test_what_biases_take_by_hand():
    """Of z = 3 + 1, the bias takes a quarter in the second layer, and 2 of 3 of what is left in the first."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    for layer, bias in ((model[1], 2.0), (model[3], 1.0)):
        nn.init.ones_(layer.weight)
        nn.init.constant_(layer.bias, bias)
    explained, x = Explained(model), torch.ones(1, 1, 1, 1, dtype=torch.float64)
    assert explained.scalars(x).item() == 4
    assert less_biases(explained, x, 1e-12).item() == pytest.approx(1)
    assert METHODS["lrp"].total is less_biases


def test_the_opposite_of_a_single_output_has_the_same_shares():
    """Where the logit z is negative, -z is explained: the inputs that made z negative have positive relevance."""

    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(400, 1, bias=False))

    model, x = seeded(build), images(6)
    with torch.no_grad():
        logits = model(x)[:, 0]
    assert (logits < 0).any()
    plain = lrp(Explained(model), x, KEYS, epsilon=1e-12)
    found = lrp(Explained(model, "argmax_logit"), x, KEYS, epsilon=1e-12)
    torch.testing.assert_close(found, plain * logits.sign()[:, None, None, None], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.sum((1, 2, 3)), logits.abs(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", [lrp, lrp_composite])
def test_a_probability_has_the_shares_of_its_logit(method):
    model, x = seeded(sequence), images()
    with torch.no_grad():
        logits = model(x)
    ratio = (logits.softmax(1) / logits)[:, 1, None, None, None]
    found = method(Explained(model, "probability", 1), x, KEYS)
    torch.testing.assert_close(found, method(Explained(model, target=1), x, KEYS) * ratio, rtol=1e-9, atol=1e-12)


def test_a_dense_first_layer_is_not_flat():
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(432, 5), nn.ReLU(), nn.Linear(5, 1)))
    maps = lrp_composite(Explained(model), images(), KEYS)
    assert_maps_close(maps, lrp(Explained(model), images(), KEYS))
    assert (maps.amax((1, 2, 3)) > maps.amin((1, 2, 3))).all()


@pytest.mark.parametrize("method", [lrp, lrp_composite])
def test_what_a_layer_has_read_may_be_overwritten(method):
    class Overwrites(nn.Module):
        def __init__(self, relu):
            super().__init__()
            self.conv, self.other, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), relu

        def forward(self, x):
            x = self.conv(x)
            read = (x.mean((2, 3)), functional.avg_pool2d(x, 2).mean((2, 3)), self.other(x).mean((2, 3)), x + 1)
            x = self.relu(x)
            return read[0] + read[1] + read[2] + read[3].sum((2, 3)) + x.mean((2, 3))

    kept = method(Explained(seeded(lambda: Overwrites(torch.relu))), images(), KEYS)
    overwritten = method(Explained(seeded(lambda: Overwrites(torch.relu_))), images(), KEYS)
    torch.testing.assert_close(overwritten, kept, rtol=0, atol=0)


def test_layers_with_keyword_arguments():
    class Keywords(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, stride=2))

        def forward(self, x):
            a, _, b = self.plain
            x = functional.conv2d(x, weight=a.weight, bias=a.bias, padding=1).relu()
            return functional.conv2d(x, b.weight, bias=b.bias, stride=2).mean((2, 3))

    class Modules(Keywords):
        def forward(self, x):
            return self.plain(x).mean((2, 3))

    one, other = (lrp_composite(Explained(seeded(of)), images(), KEYS) for of in (Keywords, Modules))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-15)


@pytest.mark.parametrize("method", [lrp, lrp_composite])
@pytest.mark.parametrize("epsilon", [0, -1e-6, float("nan")])
def test_epsilon_must_be_positive(method, epsilon):
    with pytest.raises(SaltrustError, match="epsilon is"):
        method(Explained(seeded(sequence)), images(), KEYS, epsilon=epsilon)


def test_layers_without_a_rule_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(400, 1)).double()
    with pytest.raises(SaltrustError, match="LRP has no rule for 'group_norm', in module '1'"):
        lrp(Explained(model), images(), KEYS)


def test_colours_that_are_mixed_first_leave_the_first_layer_flat():
    """A 1 x 1 convolution before the network, as for grey images or another range, shares relevance among the channels
    of a pixel and none between pixels: summed over channels the composite's map is that of the network behind it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mix, x = nn.Conv2d(3, 3, 1), torch.rand(2, 3, 8, 8)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 1))
    behind = Explained(network, input_range=(-100, 100))
    alone = lrp_composite(behind, mix(x).detach(), KEYS[:2])
    mixed = lrp_composite(Explained(nn.Sequential(mix, *network)), x, KEYS[:2])
    torch.testing.assert_close(mixed.sum(1), alone.sum(1), rtol=1e-4, atol=1e-7)
