import operator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.operations import KINDS, Operations, apply, parse, rescaled

EXACT = {"rtol": 0, "atol": 1e-12}


class Body(nn.Module):
    """A convolution, any operation on its output, and a linear head."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv = nn.Conv2d(3, 4, 3).double()
        self.inner = nn.Identity()

    def forward(self, x):
        x = self.operation(self.inner(self.conv(x)))
        return (x.flatten(1) * torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype)).sum(1, keepdim=True)


def images(n=2):
    return torch.rand(n, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def gradients(operation, rules=None):
    model, rules = Explained(Body(operation)), Operations("DeepLIFT", rules or {})
    with model.under(rules):
        return model.gradients(images())


def test_every_name_is_that_of_an_operation():
    only_marked = {"getitem", "setitem", "get", "copy", "log_sigmoid"}  # __getitem__, copy_, the name of logsigmoid
    assert {n for n in KINDS if not any(hasattr(home, n) for home in (torch, functional, Tensor))} == only_marked


def in_place_on_a_part(x):
    x = x.clone()
    x[:, :2].relu_()
    return x


def discarded(x):
    x.mul_(2)
    functional.relu(x, inplace=True)
    return x


def padded_shortcut(x):
    return torch.cat([x, torch.zeros_like(x)], 1) + functional.pad(x, (0, 0, 0, 0, 0, 4))


def checks_its_range(x):
    if x.max() > 1e6 or bool((x < -1e6).any()):
        raise ValueError
    return x


SUPPORTED = {
    "relu": functional.relu,
    "in place, on a part": in_place_on_a_part,
    "in place, what is returned is discarded": discarded,
    "a shortcut that is padded": padded_shortcut,
    "a check of the range": checks_its_range,
    "a constant of the signal's type and shape": lambda x: x * torch.arange(6.0).to(x).expand_as(x),
    "batch normalization": nn.BatchNorm2d(4).double().eval(),
    "dropout": nn.Dropout(0.5).eval(),
    "a constant minus the signal": lambda x: 1 - x / 2,
    "sum": lambda x: x + x.roll(1, 2) - 0.5 * x,
    "augmented sum": lambda x: operator.iadd(x.clone(), x),
    "average pooling": lambda x: functional.avg_pool2d(functional.interpolate(x, scale_factor=2, mode="bilinear"), 3),
    "constant matrix": lambda x: x @ torch.ones(6, 3, dtype=x.dtype),
    "einsum": lambda x: torch.einsum("nchw,c->nhw", x, torch.arange(4, dtype=x.dtype)),
    "transposed": lambda x: x.mT.permute(0, 2, 1, 3),
    "maximum": lambda x: functional.max_pool2d(x, 3, 1).amax((2, 3)),
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_without_rules_an_operation_is_itself(name):
    plain = Explained(Body(SUPPORTED[name])).gradients(images())
    torch.testing.assert_close(gradients(SUPPORTED[name]), plain, **EXACT)
    assert plain.any()


@pytest.mark.parametrize("name", SUPPORTED)
def test_rules_that_run_the_call_change_nothing(name):
    """The out-of-place form, and what is written back in place of the model's own in-place call."""
    run = {kind: (lambda call: call.run()) for kind in set(KINDS.values()) - {"move"} | {"sum"}}
    plain = Explained(Body(SUPPORTED[name])).gradients(images())
    torch.testing.assert_close(gradients(SUPPORTED[name], run), plain, **EXACT)


class Custom(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


REFUSED = {
    "product of two": (lambda x: x * x, "no rule for 'mul' of several tensors that depend on the image, in"),
    "gate": (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), "no rule for 'mul' of several"),
    "attention": (lambda x: x @ x.mT, "no rule for 'matmul' of several"),
    "power": (lambda x: x**2, "no rule for 'pow'"),
    "exponential in place": (lambda x: x.clone().exp_(), "no rule for 'exp'"),
    "reciprocal": (lambda x: 1 / (x + 9), "no rule for 'rdiv'"),
    "quotient": (lambda x: torch.div(torch.ones_like(x), x + 9), "no rule for 'div'"),
    "layer normalization": (lambda x: functional.layer_norm(x, x.shape[1:]), "no rule for 'layer_norm'"),
    "weights from the image": (lambda x: functional.conv2d(x, x[:1]), "no rule for 'conv2d' of several"),
    "maximum of two": (lambda x: torch.maximum(x, -x), "no rule for 'maximum'"),
    "maximum over a dimension": (lambda x: x.max(1)[0], "no rule for 'max'"),
    "mask": (lambda x: x * (x > 0), "the result of 'gt' for a constant in 'mul'"),
    "mask, worked on": (lambda x: x * (1 - (x > 0).double().flip(2)), "the result of 'gt' for a constant in 'mul'"),
    "assignment by mask": (lambda x: operator.setitem(y := x.clone(), y < 0, 0) or y, "'lt' for a constant"),
    "selection by mask": (lambda x: torch.where(x > 0, x, 0), "the result of 'gt' for a constant in 'where'"),
    "detached copy": (lambda x: x + x.detach(), "the result of 'detach' for a constant in 'add'"),
    "data": (lambda x: x - x.data.mean(), "the result of 'get' for a constant in 'sub'"),
    "custom function": (lambda x: Custom.apply(x).relu(), "cannot see how the input of 'relu' was computed"),
    "dropout that is always on": (functional.dropout, "no rule for 'dropout' in training mode"),
    "normalization of the batch": (lambda x: functional.batch_norm(x, None, None, training=True), "'batch_norm' in tr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused(name):
    operation, message = REFUSED[name]
    with pytest.raises(SaltrustError, match=message):
        gradients(operation)


def test_the_error_names_the_module():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.GroupNorm(2, 4)), nn.Flatten()).double()
    explained = Explained(model)
    with (
        pytest.raises(SaltrustError, match="DeepLIFT has no rule for 'group_norm', in module '1.1'. Rewrite"),
        explained.under(Operations("DeepLIFT", {})),
    ):
        explained.gradients(images())


@pytest.mark.parametrize(
    ("written", "args", "kwargs", "name", "in_place"),
    [
        (functional.relu, (), {"inplace": True}, "relu", True),
        (functional.relu, (), {"inplace": False}, "relu", False),
        (Tensor.relu_, (), {}, "relu", True),
        (torch.relu_, (), {}, "relu", True),
        (functional.leaky_relu_, (0.2,), {}, "leaky_relu", True),
        (functional.hardtanh_, (-0.5, 0.5), {}, "hardtanh", True),
        (Tensor.clamp_, (), {"min": 0}, "clamp", True),
        (Tensor.add_, (3,), {"alpha": 2}, "add", True),
        (Tensor.squeeze_, (), {}, "squeeze", False),  # of no kind that is rewritten: left to itself
    ],
)
def test_calls_are_read_whatever_their_form(written, args, kwargs, name, in_place):
    x = torch.tensor([-2.0, -0.1, 3.0])
    call = parse(written, (x.clone(), *args), kwargs)
    assert (call.name, call.target is not None) == (name, in_place)
    assert torch.equal(apply(call, lambda call: call.run()), written(x.clone(), *args, **kwargs))
    if in_place:
        assert torch.equal(call.target, written(x.clone(), *args, **kwargs))


def test_rescaled_has_the_value_and_the_factor():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    value, factor = torch.tensor([5.0, 6.0]), torch.tensor([3.0, 0.5])
    out = rescaled(x, value, factor)
    assert torch.equal(out, value)
    out.mul_(1)  # open to in-place operations
    assert torch.equal(torch.autograd.grad(out.sum(), x)[0], factor)
    assert torch.equal(torch.autograd.grad(rescaled(x, value).sum(), x)[0], torch.ones(2))
