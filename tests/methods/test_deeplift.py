import captum.attr
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.deeplift import _ratio, deeplift, deeplift_shap, multipliers
from saltrust.methods.explained import Explained
from saltrust.methods.operations import KINDS
from saltrust.methods.registry import METHODS
from saltrust.models.torchvision_compat import torchvision

KEYS = [(0,), (1,), (2,)]
EXACT = {"rtol": 0, "atol": 1e-12}


def images(n=3, size=12, seed=1):
    return torch.rand(n, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Net(nn.Module):
    """Two blocks of convolution, nonlinearity and pooling, a shortcut, and a head for `size` x `size` pixels."""

    def __init__(self, nonlinear, pool, size=12, seed=0, n_outputs=2, shortcut=True):
        super().__init__()
        self.nonlinear, self.pool, self.shortcut = nonlinear, pool, shortcut
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
            self.double()
            with torch.no_grad():
                self.n_features = self.body(torch.zeros(1, 3, size, size, dtype=torch.float64)).shape[1]
            self.head = nn.Linear(self.n_features, n_outputs).double()

    def body(self, x):
        x = self.pool(self.nonlinear(self.first(x)))
        y = self.nonlinear(self.second(x))
        if self.shortcut:
            y += x
        return self.pool(self.nonlinear(y)).flatten(1)

    def forward(self, x):
        return self.head(self.body(x))


def residual(maps, explained, x, baseline):
    change = explained.scalars(x, explained.select(x)) - explained.scalars(baseline.expand_as(x), explained.select(x))
    return ((maps.sum((1, 2, 3)) - change).abs() / change.abs().clamp(min=1e-3)).max().item()


def in_place(x):
    functional.relu(x, inplace=True)
    return x


NONLINEAR = {
    "one module, reused": nn.ReLU(),
    "one module, reused, in place": nn.ReLU(inplace=True),
    "function": functional.relu,
    "in place, what is returned is discarded": in_place,
    "method": lambda x: x.relu(),
    "leaky": nn.LeakyReLU(0.1, inplace=True),
    "parametric": nn.PReLU(5).double(),
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
    "clamp": lambda x: x.clamp(-0.2, 0.3),
}
POOLS = {
    "windows that overlap": nn.MaxPool2d(3, 1, padding=1),
    "windows that overlap and leave some out": lambda x: functional.max_pool2d(x, 3, stride=2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, 1, dilation=2),
    "average": nn.AvgPool2d(2),
    "adaptive": lambda x: functional.adaptive_max_pool2d(x, 3),
    "rows": lambda x: x.amax(2, keepdim=True),
}


@settings(max_examples=40)
@given(
    nonlinear=st.sampled_from(sorted(NONLINEAR)),
    pool=st.sampled_from(sorted(POOLS)),
    baseline=st.sampled_from(["black", "white", "grey", "image_max", "blur", "black+white"]),
    scalar=st.sampled_from(["logit", "probability", "argmax_logit"]),
    seed=st.integers(0, 99),
)
def test_the_map_adds_up_to_the_change_of_the_scalar(nonlinear, pool, baseline, scalar, seed):
    model = Net(NONLINEAR[nonlinear], POOLS[pool], size=8, seed=seed)
    explained, x = Explained(model, scalar, batch_size=2), images(3, 8, seed)
    maps = deeplift(explained, x, KEYS, baseline=baseline)
    total = METHODS["deeplift"].total(explained, x, baseline=baseline)
    torch.testing.assert_close(maps.sum((1, 2, 3)), total, rtol=1e-9, atol=1e-11)
    assert maps.any()


@pytest.mark.parametrize("name", sorted(name for name, kind in KINDS.items() if kind == "elementwise"))
def test_every_curve_has_exact_multipliers(name):
    options = {
        "threshold": {"threshold": 0.1, "value": 0.0},
        "prelu": {"weight": torch.tensor([0.3], dtype=torch.float64)},
        "clamp_min": {"min": -0.1},
        "clamp_max": {"max": 0.1},
        **dict.fromkeys(("clamp", "clip"), {"min": -0.1, "max": 0.2}),
    }.get(name, {})
    attribute = {"log_sigmoid": "logsigmoid"}.get(name, name)
    curve = next(getattr(home, attribute) for home in (functional, torch) if hasattr(home, attribute))
    baseline = images(seed=9)
    model = Net(lambda x: curve(x, **options), nn.Identity(), shortcut=False)
    assert residual(deeplift(e := Explained(model), images(), KEYS, baseline=baseline), e, images(), baseline) < 1e-9


def test_linear_models_are_explained_exactly():
    model, x = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(50, 1)).double(), images()
    explained = Explained(model)
    maps = deeplift(explained, x, KEYS, baseline="grey")
    torch.testing.assert_close(maps, explained.gradients(x) * x, **EXACT)


def modules(pool):
    """For captum, whose rule of an activation does not see the rule of a pooling that follows at once: an average over
    one pixel stands between them."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AvgPool2d(1), pool, nn.Conv2d(6, 5, 3), nn.Sigmoid(), nn.Flatten()]
        with torch.no_grad():
            size = nn.Sequential(*layers)(torch.zeros(1, 3, 12, 12)).shape[1]
        return nn.Sequential(*layers, nn.Linear(size, 6), nn.ELU(), nn.Linear(6, 2)).double()


def test_maps_equal_captums_where_windows_do_not_overlap():
    model, x, baseline = modules(nn.MaxPool2d(2)), images(), images(seed=7)
    expected = captum.attr.DeepLift(model).attribute(x, baseline, target=1)
    torch.testing.assert_close(deeplift(Explained(model, target=1), x, KEYS, baseline=baseline), expected, **EXACT)


def test_captum_loses_attribution_where_windows_overlap():
    model, x, baseline = modules(nn.MaxPool2d(3, 1)), images(), images(seed=7)
    explained = Explained(model)
    theirs = captum.attr.DeepLift(model).attribute(x, baseline, target=0)
    assert residual(theirs, explained, x, baseline) > 0.1
    assert residual(deeplift(explained, x, KEYS, baseline=baseline), explained, x, baseline) < 1e-10


def test_the_mean_over_baselines_equals_captums():
    model, x = modules(nn.MaxPool2d(2)), images()
    greys = torch.linspace(-1, 1, 3, dtype=torch.float64)[:, None, None, None].expand(-1, 3, 12, 12)
    expected = captum.attr.DeepLiftShap(model).attribute(x, greys.contiguous(), target=0)
    explained = Explained(model)
    maps = deeplift_shap(explained, x, KEYS, distribution="greys", references=3)
    torch.testing.assert_close(maps, expected, **EXACT)
    parameters = METHODS["deeplift_shap"].complete({"references": 3})
    total = METHODS["deeplift_shap"].total(explained, x, **parameters)
    torch.testing.assert_close(maps.sum((1, 2, 3)), total, rtol=1e-9, atol=1e-12)


def test_max_pooling_shares_gain_and_loss():
    """One window, by hand: the image's winner gains 3 - 2 on the reference's winner, which itself loses nothing, and
    the other way round."""

    class Window(nn.Module):
        def forward(self, x):
            return functional.max_pool2d(x, 2).flatten(1)

    bright = torch.tensor([[[[3.0, 1.0], [0.0, 0.0]]]], dtype=torch.float64)
    dark = torch.tensor([[[[0.0, 2.0], [0.0, 0.0]]]], dtype=torch.float64)
    explained = Explained(Window(), input_range=(0, 3))
    assert deeplift(explained, bright, KEYS, baseline=dark).flatten().tolist() == [1, 0, 0, 0]
    assert deeplift(explained, dark, KEYS, baseline=bright).flatten().tolist() == [-1, 0, 0, 0]
    assert _ratio(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0])).tolist() == [0, 0.5]


def test_multipliers_of_maxima_lie_between_0_and_1():
    class Pool(nn.Module):
        def forward(self, x):
            return functional.max_pool2d(x, 12).flatten(1)[:, :1]

    for seed in range(20):
        x, baseline = images(seed=seed).round(decimals=1), images(seed=seed + 100).round(decimals=1)
        explained = Explained(Pool())
        change = multipliers(explained, x, explained.select(x), baseline)
        assert change.min() >= 0
        assert change.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [0, 1e-30, 1e-12, 1e-7, 1e-4])
def test_multipliers_stay_near_the_derivative_where_image_and_reference_are_close(distance, dtype):
    """Sigmoid of values near 0: rounding of f would be thousands of times its change."""

    class Sigmoid(nn.Module):
        def forward(self, x):
            return x.sigmoid().flatten(1).sum(1, keepdim=True)

    x = torch.tensor([[[[0.5 * distance, -0.5 * distance]]]], dtype=dtype)
    explained = Explained(Sigmoid().to(dtype))
    explained.dtype = dtype
    found = multipliers(explained, x, explained.select(x), -x)
    torch.testing.assert_close(found, torch.full_like(x, 0.25), rtol=0.01, atol=0)


def test_a_kink_between_image_and_reference_is_seen_however_close_they_are():
    class ReLU(nn.Module):
        def forward(self, x):
            return x.relu().flatten(1).sum(1, keepdim=True)

    x = torch.full((1, 1, 1, 1), 3e-20)
    explained = Explained(ReLU())
    assert multipliers(explained, x, explained.select(x), -x / 3).item() == pytest.approx(0.75)


class Counting(Net):
    runs: list[int]

    def forward(self, x):
        Counting.runs.append(len(x))
        return super().forward(x)


@pytest.mark.parametrize(("baseline", "expected"), [("black", [1, 2, 2, 1]), ("image_max", [2, 2, 2, 2, 1, 1])])
def test_one_reference_is_run_once_for_all_images(baseline, expected):
    explained = Explained(Counting(torch.relu, nn.MaxPool2d(2)), batch_size=2)
    Counting.runs = []
    deeplift(explained, images(5), [(i,) for i in range(5)], baseline=baseline)
    assert Counting.runs == expected


class Diverging(Net):
    """Ends in one of two ways, as the brightness of the image decides."""

    def __init__(self, on_dark, on_bright):
        super().__init__(torch.relu, nn.MaxPool2d(2))
        self.on_dark, self.on_bright = on_dark, on_bright

    def forward(self, x):
        end = self.on_dark if bool(x.mean() < -0.9) else self.on_bright
        return self.head(end(self.body(x)))


@pytest.mark.parametrize(
    ("on_dark", "on_bright", "message"),
    [
        (torch.tanh, torch.sigmoid, "the image meets 'sigmoid' where the reference met 'tanh'"),
        (nn.Identity(), torch.tanh, "the image meets 'tanh' where the reference met 'no further operation'"),
        (torch.tanh, nn.Identity(), "the image meets 'no further operation' where the reference met 'tanh'"),
    ],
)
def test_networks_that_take_another_way_on_the_reference_are_refused(on_dark, on_bright, message):
    with pytest.raises(SaltrustError, match=message):
        deeplift(Explained(Diverging(on_dark, on_bright)), images(), KEYS, baseline="black")


def test_a_network_that_mixes_the_images_of_a_batch_is_refused():
    class Folded(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 6, 6).relu().reshape(len(x), -1)[:, :1]

    with pytest.raises(SaltrustError, match="mixes the images of a batch"):
        deeplift(Explained(Folded()), images(), KEYS)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (
            lambda: torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False, num_classes=2),
            75,
        ),
        (lambda: torchvision.models.densenet121(weights=None, num_classes=2), 48),
    ],
    ids=["inception_v3", "densenet121"],
)
def test_deep_networks_are_complete(build, size):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(torch.rand(6, 3, size, size) * 2 - 1)
    explained, x = Explained(model.double(), "probability"), images(1, size)
    maps = deeplift(explained, x, KEYS, baseline="black")
    assert residual(maps, explained, x, -torch.ones_like(x)) < 1e-8
