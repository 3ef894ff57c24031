"""ReLUs in other words, rectifiers that are none, and operations that nobody can see, for the methods with rules."""

import operator
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from saltrust.core.errors import SaltrustError
from saltrust.methods.deeplift import deeplift, deeplift_shap
from saltrust.methods.explained import Explained
from saltrust.methods.guided import deconvolution, guided_backprop
from saltrust.methods.lrp import lrp, lrp_composite

KEYS = [(0,), (1,)]
GUIDED = {"guided backpropagation": guided_backprop, "deconvolution": deconvolution}
RULES = {"DeepLIFT": deeplift, "DeepLIFT SHAP": deeplift_shap, "LRP": lrp, "LRP by depth": lrp_composite}


class Net(nn.Module):
    """Two convolutions that are rectified in any way, one by nn.ReLU, and a head."""

    def __init__(self, rectify):
        super().__init__()
        self.rectify, self.plain = rectify, nn.ReLU()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.a, self.b, self.c = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3), nn.Conv2d(5, 5, 1)
            self.head = nn.Linear(80, 2)
        self.double()

    def forward(self, x):
        x = self.rectify(self.b(self.rectify(self.a(x))))
        return self.head(self.plain(self.c(x)).flatten(1))


def images():
    return torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * 2 - 1


def on_copy(change):
    """A rectifier that works in place, on a copy of its input."""

    def rectified(x):
        y = x.clone()
        change(y)
        return y

    return rectified


def through_flat_mask(x):
    flat = x.flatten(1)
    return (flat * (flat > 0)).reshape(x.shape)


def mask_by_comparison_with_another_view(x):
    return x * (x.flatten(1) > 0).reshape(x.shape)


def scatter_positive(x):
    y = torch.zeros_like(x)
    y[x > 0] = x[x > 0]
    return y


def halves(x):
    """A ReLU for each half of the channels, in other words each."""
    return torch.cat([x[:, :3] * (x[:, :3] > 0), torch.fmax(x[:, 3:], torch.zeros(()))], 1)


def on_views(x):
    y = x.clone()
    first, rest = y[:, :2], y[:, 2:]
    first.mul_(first > 0)
    rest.clamp_(min=0)
    return y


def on_a_view_by_another(x):
    y = x.clone()
    y[:, :2].mul_(y[:, :2] > 0)
    y[:, 2:].clamp_(min=0)
    return y


def data_replaced(x):
    y = x.clone()
    y.data = y.data.clamp(min=0)
    return y


def absolute_in_place(x):
    y = x.abs()
    y += x
    y /= 2
    return y


def logical(x):
    return x.masked_fill(torch.logical_not(torch.gt(x, 0)), 0.0)


def ignored(x):
    functional.relu(x, True)
    return x


def kept_aside(x):
    mask = torch.zeros_like(x)
    mask[x > 0] = 1
    return x * mask


def mask_in_a_view(x):
    mask = torch.zeros_like(x)
    mask.permute(0, 2, 3, 1)[x.permute(0, 2, 3, 1) > 0] = 1
    return x * mask


def exported(module):
    sizes = dict.fromkeys(range(4), torch.export.Dim.AUTO)
    images = torch.randn(3, 6, 5, 7, dtype=torch.float64)
    return torch.export.export(module, (images,), dynamic_shapes=(sizes,)).module()


RELUS = {
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "relu, in place by position, and its result ignored": ignored,
    "aten.relu": torch.ops.aten.relu,
    "aten.relu.default": torch.ops.aten.relu.default,
    "aten.relu_.default": lambda x: torch.ops.aten.relu_.default(x.clone()),
    "aten.clamp_min": lambda x: torch.ops.aten.clamp_min.default(x, 0),
    "torch.max with zeros": lambda x: torch.max(x, torch.zeros_like(x)),
    "torch.max with one zero": lambda x: torch.max(x, torch.zeros(1, dtype=x.dtype)),
    "torch.maximum": lambda x: torch.maximum(torch.zeros_like(x), x),
    "torch.fmax": lambda x: torch.fmax(x, torch.zeros_like(x)),
    "amax over a stack": lambda x: torch.stack([x, torch.zeros_like(x)]).amax(0),
    "max over a stack": lambda x: torch.stack([torch.zeros_like(x), x], -1).max(-1).values,
    "less the minimum of the negative": lambda x: -torch.minimum(-x, torch.zeros_like(x)),
    "less the fmin of the negative": lambda x: -torch.fmin(-x, torch.zeros(())),
    "less the negative clamped from above": lambda x: -(-x).clamp(max=0),
    "x less what is below 0": lambda x: x - x.clamp(max=0),
    "x less its minimum with 0": lambda x: x - torch.minimum(x, torch.zeros(())),
    "times a mask": lambda x: x * (x > 0),
    "times a mask of floats": lambda x: (x > 0).to(x.dtype) * x,
    "times a mask of at least 0": lambda x: x.mul(x.ge(0)),
    "times 1 less a mask": lambda x: x * (1 - (x <= 0).double()),
    "times the step function": lambda x: x * torch.heaviside(x, torch.zeros((), dtype=x.dtype)),
    "times the sign, clamped": lambda x: x * torch.sign(x).clamp(min=0),
    "times a mask from a detached copy": lambda x: x * (x.detach() > 0),
    "times a mask from data": lambda x: x * (x.data > 0),
    "times a mask that was written into zeros": kept_aside,
    "times a mask, flattened": through_flat_mask,
    "times a mask of another view": mask_by_comparison_with_another_view,
    "mask under no_grad": lambda x: x * torch.no_grad()(lambda y: y > 0)(x),
    "where": lambda x: torch.where(x > 0, x, 0),
    "where with zeros": lambda x: x.where(x > 0, torch.zeros_like(x)),
    "where, the other way round": lambda x: torch.where(x <= 0, torch.zeros((), dtype=x.dtype), x),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "masked_fill of what is not above 0": logical,
    "masked_fill in place": on_copy(lambda y: y.masked_fill_(y < 0, 0)),
    "assignment by mask": on_copy(lambda y: operator.setitem(y, y < 0, 0)),
    "assignment of what is above 0": scatter_positive,
    "index_put": on_copy(lambda y: y.index_put_((y < 0,), torch.zeros((), dtype=y.dtype))),
    "product in place": on_copy(lambda y: y.mul_(y > 0)),
    "augmented product": on_copy(lambda y: operator.imul(y, y > 0)),
    "half of x and its size": lambda x: (x + x.abs()) / 2,
    "half of x and its size, in place": absolute_in_place,
    "half of x and the root of its square": lambda x: 0.5 * (x + (x * x).sqrt()),
    "halves of the channels": halves,
    "views of a copy": on_views,
    "threshold": lambda x: functional.threshold(x, 0, 0),
    "nn.Threshold in place": nn.Threshold(0, 0, inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "clip": lambda x: torch.clip(x, 0),
    "clamp with a tensor": lambda x: x.clamp(min=torch.zeros((), dtype=x.dtype)),
    "clamp_min in place": on_copy(lambda y: y.clamp_min_(0)),
    "leaky ReLU without a slope": nn.LeakyReLU(0),
    "PReLU without a slope": nn.PReLU(init=0.0).double(),
    "RReLU without a slope": nn.RReLU(0.0, 0.0),
    "hardtanh without an upper end": nn.Hardtanh(0, float("inf")),
    "ReLU twice": lambda x: functional.relu(x).clamp(min=0),
    "torch.func.vmap": lambda x: torch._refs.nn.functional.relu(x),
    "an exported nn.ReLU": exported(nn.ReLU()),
    "an exported mask": exported(type("Mask", (nn.Module,), {"forward": lambda self, x: x * (x > 0)})()),
    "checkpointed, not reentrant": lambda x: checkpoint(torch.relu, x, use_reentrant=False),
}


@cache
def maps_with_relu(method):
    return method(Explained(Net(nn.ReLU())), images(), KEYS)


@cache
def maps_of_a_rectifier(method, other):
    return method(Explained(Net(other)), images(), KEYS, rectifiers="gradient")


# --- rectifiers that are not ReLU ---


def leaky(x):
    return functional.leaky_relu(x, 0.1)


def gelu(x):
    return functional.gelu(x, approximate="tanh")


OTHERS = {  # what is written -> the same function by its name
    "where with a slope": (lambda x: torch.where(x > 0, x, 0.1 * x), leaky),
    "maximum with a tenth": (lambda x: torch.max(x, 0.1 * x), leaky),
    "fmax with a tenth": (lambda x: torch.fmax(x, 0.1 * x), leaky),
    "a mask with a slope": (lambda x: x * (0.1 + 0.9 * (x > 0)), leaky),
    "x and its size in other parts": (lambda x: 0.55 * x + 0.45 * x.abs(), leaky),
    "prelu": (lambda x: torch.prelu(x, torch.full((1,), 0.1, dtype=x.dtype)), leaky),
    "x times its sigmoid": (lambda x: x * x.sigmoid(), functional.silu),
    "x times its sigmoid by hand": (lambda x: x / (1 + torch.exp(-x)), functional.silu),
    "GELU by hand": (lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3))), gelu),
    "swish by hardsigmoid": (lambda x: x * functional.hardsigmoid(x), functional.hardswish),
    "clamped from both sides": (lambda x: x.clamp(0, 6), functional.relu6),
    "aten.hardtanh": (lambda x: torch.ops.aten.hardtanh.default(x, 0, 6), functional.relu6),
    "a threshold above 0": (lambda x: x * (x > 0.2), lambda x: functional.threshold(x, 0.2, 0)),
    "assignment above 0": (
        on_copy(lambda y: operator.setitem(y, y <= 0.2, 0.0)),
        lambda x: functional.threshold(x, 0.2, 0),
    ),
    "a clamp above 0": (lambda x: torch.maximum(x, torch.full_like(x, 0.1)), lambda x: x.clamp(min=0.1)),
    "the size": (torch.abs, lambda x: torch.maximum(x, -x)),
    "the size by a mask": (lambda x: torch.where(x < 0, -x, x), lambda x: torch.maximum(x, -x)),
}

# --- what nobody can see, or nobody can follow ---


class Custom(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


class CustomByRelu(Custom):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.relu(x)


class CustomByNumpy(Custom):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy().clip(0))


class Scripted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


class ScriptedInPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(x)


class At(nn.Module):
    """A network with something hidden at its beginning or its end, where no call in sight follows or goes before."""

    def __init__(self, hidden, first):
        super().__init__()
        self.hidden, self.first, self.net = hidden, first, Net(nn.ReLU())

    def forward(self, x):
        return self.net(self.hidden(x)) if self.first else self.hidden(self.net(x))


def by_numpy(x):
    return x * torch.from_numpy((x.detach().numpy() > 0).astype(float))


def by_a_list(x):
    return x * torch.tensor([value > 0 for value in x.flatten().tolist()]).reshape(x.shape)


def recurrent(x):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.RNN(x.shape[-1], x.shape[-1], nonlinearity="relu", batch_first=True).double().requires_grad_(False)
    return layer(x.flatten(1, 2))[0].reshape(x.shape)


HIDDEN = {
    "a custom autograd function": Net(Custom.apply),
    "a custom autograd function around relu": Net(CustomByRelu.apply),
    "a custom autograd function in numpy": Net(CustomByNumpy.apply),
    "a custom function before all else": At(Custom.apply, True),
    "a custom function after all else": At(Custom.apply, False),
    "a TorchScript module": Net(torch.jit.script(Scripted())),
    "a TorchScript module in place": Net(torch.jit.script(ScriptedInPlace())),
    "a TorchScript module before all else": At(torch.jit.script(Scripted()), True),
    "a TorchScript module after all else": At(torch.jit.script(Scripted()), False),
    "a checkpoint that runs again": Net(lambda x: checkpoint(torch.relu, x, use_reentrant=True)),
    "a mask by way of numpy": Net(by_numpy),
    "a mask by way of a list": Net(by_a_list),
    "a recurrent layer with a ReLU inside": Net(recurrent),
    "a mask that was written into a view of zeros": Net(mask_in_a_view),
    "a view times the mask of another view": Net(on_a_view_by_another),
    "data replaced": Net(data_replaced),
    "a mask of other places": Net(lambda x: x * (x > 0).flip(2)),
    "a mask of the channel's mean": Net(lambda x: x * (x.mean(1, keepdim=True) > 0)),
    "a mask of ranks": Net(lambda x: x * (x > x.flatten(1).median(1).values[:, None, None, None])),
    "a straight-through ReLU": Net(lambda x: x + (x.relu() - x).detach()),
    "a detached branch": Net(lambda x: x + x.detach().flip(2)),
    "what is found by argmax": Net(lambda x: x.gather(1, x.argmax(1, keepdim=True)).expand_as(x)),
    "the detached alias, rectified in place": Net(on_copy(lambda y: y.detach().clamp_(min=0))),
}

CASES = {
    **{f"{name}: {form}": ("relu", method, form) for name, method in GUIDED.items() for form in RELUS},
    **{f"{name}: {form}": ("other", method, form) for name, method in GUIDED.items() for form in OTHERS},
    **{f"{name}: {form}": ("hidden", method, form) for name, method in (GUIDED | RULES).items() for form in HIDDEN},
    **{f"{name}: {form}": ("rule", method, form) for name, method in RULES.items() for form in RELUS},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_map_is_that_of_the_network_with_relu_or_refused(case):
    kind, method, form = case
    {"relu": is_guided, "other": is_refused_or_passes, "hidden": is_refused, "rule": follows_a_rule}[kind](method, form)


def is_guided(method, form):
    maps = method(Explained(Net(RELUS[form])), images(), KEYS)
    torch.testing.assert_close(maps, maps_with_relu(method), rtol=0, atol=1e-12)


def is_refused_or_passes(method, form):
    written, named = OTHERS[form]
    with pytest.raises(SaltrustError, match=r"is defined for ReLU; .*write it as relu.*rectifiers='gradient'"):
        method(Explained(Net(written)), images(), KEYS)
    maps = method(Explained(Net(written)), images(), KEYS, rectifiers="gradient")
    torch.testing.assert_close(maps, maps_of_a_rectifier(method, named), rtol=1e-6, atol=1e-10)


def is_refused(method, form):
    given = {"rectifiers": "gradient"} if method in GUIDED.values() else {}
    with pytest.raises(SaltrustError, match=r"cannot (see|follow|reach)|for a constant|has no rule for") as refused:
        method(Explained(HIDDEN[form]), images(), KEYS, **given)
    assert "\n" not in str(refused.value)
    assert " in module '" in str(refused.value) or "the model's own forward" in str(refused.value)


def follows_a_rule(method, form):
    """No method with rules gives another map for a ReLU in other words; it may refuse it."""
    try:
        maps = method(Explained(Net(RELUS[form])), images(), KEYS)
    except SaltrustError:
        return
    expected = maps_with_relu(method)
    # Each further call that LRP shares out by value takes an epsilon of its own.
    assert float((maps - expected).abs().sum()) < 0.01 * float(expected.abs().sum())
