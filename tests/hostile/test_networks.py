"""Networks that would fool us or break us: each is refused in one line, or explained as what it is."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.models.external import model as external
from saltrust.models.external.model import load
from saltrust.models.external.probe import SURROUNDINGS, probe_images
from saltrust.models.external.sources import LoadedNetwork

SIDE = 32
NAMES = ("lesion", "b", "c", "d", "e")


def net(outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, outputs),
    ).eval()  # fmt: skip


class Network(nn.Module):
    """A small classifier with functions of the tester between its parts, each given the network and what flows."""

    def __init__(
        self,
        before: Callable = lambda own, x: x,
        between: Callable = lambda own, x: x,
        after: Callable = lambda own, x: x,
        outputs: int = 1,
        **attributes: Any,
    ) -> None:
        super().__init__()
        self.net, self.functions = net(outputs), (before, between, after)
        self.other = nn.Linear(8, outputs)
        self.register_buffer("directions", F.normalize(torch.randn(outputs, 8), dim=1))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Any:
        before, between, after = self.functions
        return after(self, self.net[3:](between(self, self.net[:3](before(self, x)))))


def ends(function: Callable[[Tensor], Any], outputs: int = 1) -> Callable[[], nn.Module]:
    return lambda: Network(after=lambda own, z: function(z), outputs=outputs)


def begins(function: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Network(before=lambda own, x: function(x))


def bends(function: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Network(between=lambda own, x: function(x))


def heads(function: Callable[[Network, Tensor], Tensor], outputs: int = 1) -> Callable[[], nn.Module]:
    """Networks whose head is a function of the features (n, 8) or of the last map (n, 8, h, w)."""

    class Headed(Network):
        def forward(self, x: Tensor) -> Tensor:
            return function(self, self.net[:5](x))

    return lambda: Headed(outputs=outputs)


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def class_map(own: Network, x: Tensor) -> Tensor:
    return F.conv2d(x, own.net[-1].weight[:, :, None, None])


# --- probabilities that look like logits, logits that look like probabilities -----------------------------------------

INTERVAL = "never lets its"
PROBABILITIES = {
    "a sigmoid times one": ends(lambda z: z.sigmoid() * 1.0),
    "a sigmoid written out": ends(lambda z: 1 / (1 + torch.exp(-z))),
    "the logarithm of a sigmoid": ends(lambda z: torch.log(torch.sigmoid(z))),
    "minus the logarithm of the other probability": ends(lambda z: -torch.log(1 - torch.sigmoid(z))),
    "a percentage": ends(lambda z: 100 * z.sigmoid()),
    "a probability around zero": ends(lambda z: z.sigmoid() - 0.5),
    "one minus twice a probability": ends(lambda z: 1 - 2 * z.sigmoid()),
    "the root of a probability": ends(lambda z: z.sigmoid().sqrt()),
    "the square of a probability": ends(lambda z: z.sigmoid() ** 2),
    "a sigmoid at a high temperature": ends(lambda z: (z / 1000).sigmoid() * 1.0),
    "a sigmoid in double precision": ends(lambda z: z.double().sigmoid().float() * 1.0),
    "a hard sigmoid times two": ends(lambda z: 2 * F.hardsigmoid(z)),
    "a clamp around the logits": ends(lambda z: z.clamp(-5, 5)),
    "a hyperbolic tangent": ends(torch.tanh),
    "a hyperbolic tangent moved to 0 to 1": ends(lambda z: (1 + torch.tanh(z)) / 2 * 3),
    "soft-capped logits": ends(lambda z: 30 * torch.tanh(z / 30)),
    "an error function": ends(torch.erf),
    "an arc tangent": ends(torch.atan),
    "a softsign": ends(F.softsign),
    "a cosine": ends(torch.cos),
    "a softmax times one": ends(lambda z: z.softmax(1) * 1.5, 3),
    "a softmax written out": ends(lambda z: 2 * z.exp() / z.exp().sum(1, keepdim=True), 3),
    "a softmax without overflow": ends(
        lambda z: (e := (z - z.amax(1, keepdim=True)).exp()) / e.sum(1, keepdim=True) * 2, 3
    ),
    "a logarithm of softmax written out": ends(lambda z: z - z.logsumexp(1, keepdim=True), 3),
    "percentages of classes": ends(lambda z: 100 * z.softmax(1), 5),
    "the probability of one class": ends(lambda z: 3 * z.softmax(1)[:, 1:], 2),
    "a Gumbel probability": ends(lambda z: 2 * torch.exp(-torch.exp(-z))),
    "odds": ends(torch.exp),
    "a softplus": ends(F.softplus),
    "a square": ends(lambda z: z**2),
    "an exponential unit": ends(F.elu),
    "logits that are normalized": ends(lambda z: F.layer_norm(z, (3,)), 3),
    "probabilities of several heads": heads(
        lambda own, x: (own.net[-1](mean(x)).sigmoid() + own.other(mean(x)).sigmoid()) * 2
    ),
    "an expected grade": heads(lambda own, x: own.net[-1](mean(x)).softmax(1) @ torch.arange(5.0)[:, None], outputs=5),
    "probabilities times the unit matrix": heads(
        lambda own, x: own.net[-1](mean(x)).softmax(1) @ torch.eye(3) * 2, outputs=3
    ),
    "a noisy or": heads(lambda own, x: 5 * (1 - (1 - (class_map(own, x) - 4).sigmoid()).flatten(2).prod(2))),
    "one logit and one probability": heads(
        lambda own, x: torch.cat([own.net[-1](mean(x)), own.other(mean(x)).sigmoid()], 1)
    ),
}

LOGITS = {
    "plain logits": ends(lambda z: z),
    "logits of five classes": ends(lambda z: z, 5),
    "logits at a temperature": ends(lambda z: z / 3 + 1, 5),
    "small logits": ends(lambda z: z * 1e-4),
    "a class that the others are told from": ends(lambda z: torch.cat([torch.zeros_like(z), z], 1)),
    "a logit and its negative": ends(lambda z: torch.cat([-z, z], 1)),
    "a logit that a ReLU has cut off": ends(F.relu),
    "a leaky logit": ends(F.leaky_relu),
    "logits behind batch normalization": lambda: nn.Sequential(net(3), nn.BatchNorm1d(3)).eval(),
    "a logarithm with a sign": ends(lambda z: z.sign() * z.abs().log1p()),
    "log odds by way of a probability": ends(lambda z: torch.logit(z.sigmoid())),
    "log odds by way of a softmax": ends(lambda z: (p := z.log_softmax(1))[:, 1:] - p[:, :1], 2),
    "a cosine head": heads(lambda own, x: 16 * F.linear(F.normalize(mean(x)), F.normalize(own.net[-1].weight))),
    "a cosine with fixed directions": heads(lambda own, x: 30 * F.normalize(mean(x)) @ own.directions.T, outputs=3),
    "the maximum of class maps": heads(lambda own, x: class_map(own, x).amax((2, 3)), outputs=2),
    "the mean of class maps": heads(lambda own, x: mean(class_map(own, x)), outputs=2),
    "a soft maximum of class maps": heads(lambda own, x: class_map(own, x).flatten(2).logsumexp(2), outputs=2),
    "the top of class maps": heads(lambda own, x: class_map(own, x).flatten(2).topk(3, 2)[0].mean(2), outputs=2),
    "class maps under attention": heads(
        lambda own, x: (
            class_map(own, x).flatten(2) * F.conv2d(x, own.other.weight[:, :, None, None]).flatten(2).softmax(2)
        ).sum(2)
    ),
    "a gated logit": heads(lambda own, x: own.net[-1](mean(x)) * own.other(mean(x)).sigmoid()),
    "a head written out": heads(lambda own, x: (mean(x)[:, None] * own.net[-1].weight).sum(2), outputs=2),
    "a head by einsum": heads(lambda own, x: torch.einsum("nf,kf->nk", mean(x), own.net[-1].weight), outputs=2),
    "a head behind layer normalization": heads(lambda own, x: own.net[-1](F.layer_norm(mean(x), (8,)))),
    "a head on probabilities": heads(lambda own, x: own.net[-1](own.other(mean(x)).sigmoid().repeat(1, 8))),
    "no weights at the end": heads(lambda own, x: mean(x)[:, :2], outputs=2),
    "hard activations": bends(lambda x: F.hardswish(F.relu6(4 * x)) * F.hardsigmoid(x)),
    "maxima and magnitudes": bends(lambda x: F.max_pool2d(x.abs(), 2)),
    "a jump": bends(lambda x: torch.where(x > 0.5, x + 1, x)),
    "gelu and softmax": bends(lambda x: F.gelu(x) * x.softmax(1)),
    "a cast to single precision": bends(lambda x: x.float() * 1.5),
    "a cast to half precision and back": bends(lambda x: x.to(torch.bfloat16).to(torch.float32)),
    "single precision and nothing else": bends(
        lambda x: x * 2 if x.dtype == torch.float32 else (_ for _ in ()).throw(TypeError("float32 only"))
    ),
}

# --- gradients that are not the function's ----------------------------------------------------------------------------


def straight_through(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: x + (function(x) - x).detach()


def hooked(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        x = x * 1
        if x.requires_grad:
            x.register_hook(function)
        return x

    return run


class Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clamp(min=0) * (ctx.saved_tensors[0] > 0)


class Sharp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


SLOPE = "gradient that is not its function's"
GRADIENTS = {
    "straight-through rounding of the image": begins(straight_through(lambda x: (x * 255).round() / 255)),
    "straight-through rounding of features": bends(straight_through(lambda x: (x * 8).round() / 8)),
    "straight-through rounding of logits": ends(straight_through(lambda z: (z * 1e4).round() / 1e4)),
    "straight-through signs": bends(straight_through(torch.sign)),
    "a straight-through step": bends(straight_through(lambda x: (x > 0.5).float())),
    "a straight-through clamp of features": bends(straight_through(lambda x: x.clamp(0, 0.1))),
    "a straight-through clamp of bright pixels": begins(straight_through(lambda x: x.clamp(0, 0.7))),
    "a half that is detached": bends(lambda x: 0.5 * x + 0.5 * x.detach()),
    "a tenth that is detached": bends(lambda x: 0.9 * x + 0.1 * x.detach()),
    "a colour that is detached": begins(lambda x: torch.cat([x[:, :2], x[:, 2:].detach()], 1)),
    "a corner that is detached": begins(lambda x: torch.cat([x[:, :, :16].detach(), x[:, :, 16:]], 2)),
    "a mean that is detached": bends(lambda x: x - x.detach().mean((2, 3), keepdim=True)),
    "a deviation that is detached": bends(lambda x: x / x.detach().std((1, 2, 3), keepdim=True)),
    "an attention that is detached": bends(lambda x: x * (5 * x.detach().mean((2, 3), keepdim=True)).softmax(1)),
    "a gate that is detached": bends(lambda x: x * x.detach().sigmoid()),
    "a branch without gradients": bends(lambda x: x + F.avg_pool2d(x.detach(), 3, 1, 1)),
    "a hook that halves": bends(hooked(lambda g: g / 2)),
    "a hook that doubles at the image": begins(hooked(lambda g: 2 * g)),
    "a hook that rectifies": bends(hooked(lambda g: g.clamp(min=0))),
    "a hook that turns the sign": bends(hooked(lambda g: -g)),
    "a hook that adds": begins(hooked(lambda g: g + 1)),
    "a hook that keeps signs": bends(hooked(torch.sign)),
    "a hook that clips": bends(hooked(lambda g: g.clamp(-1e-4, 1e-4))),
    "a guided function of its own": bends(lambda x: Guided.apply(x - 0.5)),
    "a tangent with a slope of one": bends(lambda x: Sharp.apply(x * 2)),
}

# --- what a run leaves behind -----------------------------------------------------------------------------------------


def counted(own: Network, z: Tensor) -> Tensor:
    own.runs = own.runs + 1
    return z + own.runs


def averaged(own: Network, x: Tensor) -> Tensor:
    own.average.mul_(0.999).add_(0.001 * x.detach().mean((0, 2, 3), keepdim=True)[:1])
    return x - own.average


def first_kept(own: Network, x: Tensor) -> Tensor:
    if own.kept is None:
        own.kept = x.detach()[:1]
    return x - own.kept


def kept_by_shape(own: Network, z: Tensor) -> Tensor:
    return own.kept.setdefault(tuple(z.shape), z)


def one_memory(own: Network, z: Tensor) -> Tensor:
    return own.memory[: len(z)].copy_(z) if not z.requires_grad else z


def after_a_while(own: Network, z: Tensor) -> Tensor:
    own.runs += 1
    if own.runs > 2:
        raise ValueError("enough")
    return z


def done(action: Callable[[], Any]) -> Callable[[], nn.Module]:
    """A network that does something beside its work."""

    def after(own: Network, z: Tensor) -> Tensor:
        action()
        return z

    return lambda: Network(after=after)


def own_done(action: Callable[[Network], Any], **attributes: Any) -> Callable[[], nn.Module]:
    def after(own: Network, z: Tensor) -> Tensor:
        action(own)
        return z

    return lambda: Network(after=after, **attributes)


class StaysTraining(Network):
    def train(self, mode: bool = True) -> nn.Module:
        return super().train(True)


class ForgetsItself(Network):
    def eval(self) -> None:
        raise SystemExit(4)


class CopiesItselfAway(Network):
    def __deepcopy__(self, memo: dict) -> nn.Module:
        sys.exit("no copy")


def closed_over() -> nn.Module:
    network = Network()
    network.functions = (*network.functions[:2], lambda own, z, other=network.other: z + other(own.net[3:-1](own.last)))
    network.functions = (network.functions[0], lambda own, x: setattr(own, "last", x) or x, network.functions[2])
    return network


def with_itself() -> nn.Module:
    network = Network()
    network.child = nn.ModuleList([network])
    return network


def deep() -> nn.Module:
    network = net()
    for _ in range(sys.getrecursionlimit()):
        network = nn.Sequential(network)
    return network


def of_kind(kind: str) -> Callable[[], nn.Module]:
    return {
        "meta": lambda: Network().to("meta"),
        "lazy": lambda: nn.Sequential(*net()[:-1], nn.LazyLinear(1)),
        "complex": lambda: nn.Sequential(*net()[:-1], nn.Linear(8, 1, dtype=torch.complex64)),
    }[kind]


EXITS = {
    "at once": ends(lambda z: sys.exit("bye")),
    "for a batch": ends(lambda z: z if len(z) == 1 else sys.exit(1)),
    "without gradients": ends(lambda z: z if torch.is_grad_enabled() or len(z) == 1 else sys.exit(1)),
}

STATE = {
    "a count that is added": (lambda: Network(after=counted, runs=0), "other logits when it"),
    "a running mean": (
        lambda: Network(before=averaged, average=torch.zeros(1, 3, 1, 1)),
        "other logits when it",
    ),
    "the first image is kept": (
        lambda: Network(before=first_kept, kept=None),
        "when it ran on another before",
    ),
    "outputs are kept by shape": (
        lambda: Network(after=kept_by_shape, kept={}),
        "when it ran on another before",
    ),
    "outputs share one memory": (
        lambda: Network(after=one_memory, memory=torch.zeros(8, 1)),
        "over those of the run before",
    ),
    "it fails when it runs again": (lambda: Network(after=after_a_while, runs=0), "enough"),
    "single images are another matter": (ends(lambda z: z + (len(z) == 1)), "alone than in a batch"),
    "the number of images counts": (ends(lambda z: z * len(z)), "alone than in a batch"),
    "three images are another matter": (ends(lambda z: z + (len(z) == 3)), "in another order and number"),
    "the place in the batch counts": (
        ends(lambda z: z + torch.arange(len(z))[:, None] * (len(z) > 1)),
        "in another order|alone than",
    ),
    "images see each other": (ends(lambda z: z - z.mean(0) * (len(z) > 1)), "alone than in a batch"),
    "it draws from torch": (ends(lambda z: z + torch.randn_like(z)), "the random state of torch"),
    "it draws from torch in vain": (ends(lambda z: z + 0 * torch.rand(1)), "the random state of torch"),
    "it draws from NumPy": (ends(lambda z: z + float(np.random.rand())), "the random state of NumPy"),
    "it draws from Python": (ends(lambda z: z + random.random()), "the random state of Python"),
    "it draws from a generator of its own": (
        ends(lambda z: z + float(np.random.default_rng().random())),
        "other logits when it runs again",
    ),
    "it seeds torch": (done(lambda: torch.manual_seed(7)), "the random state of torch"),
    "it seeds NumPy": (done(lambda: np.random.seed(7)), "the random state of NumPy"),
    "it seeds Python": (done(lambda: random.seed(7)), "the random state of Python"),
    "it reads the seed": (ends(lambda z: z + torch.initial_seed()), "other logits when it runs again"),
    "it sets the default dtype": (done(lambda: torch.set_default_dtype(torch.float64)), "torch's default dtype"),
    "it sets the default device": (done(lambda: torch.set_default_device("meta")), "torch's default device"),
    "it turns gradients off for good": (done(lambda: torch.set_grad_enabled(False)), "whether torch follows gradients"),
    "it turns gradients on for good": (done(lambda: torch.set_grad_enabled(True)), "whether torch follows gradients"),
    "it sets the number of threads": (
        done(lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
        "torch's number of threads",
    ),
    "it makes torch deterministic": (
        done(lambda: torch.use_deterministic_algorithms(True)),
        "whether torch is deterministic",
    ),
    "it goes back to training": (own_done(lambda own: own.train()), r"its mode \(train or eval\)"),
    "one layer goes back to training": (own_done(lambda own: own.net[1].train()), r"its mode \(train or eval\)"),
    "its weights ask for gradients": (
        own_done(lambda own: own.net[0].weight.requires_grad_(True)),
        "weights ask for gradients",
    ),
    "it never leaves training": (lambda: StaysTraining(), "alone than in a batch|other logits"),
    "a copy runs on the first one's weights": (closed_over, "runs on its own weights when it is copied"),
    "eval() ends the program": (lambda: ForgetsItself(), "cannot be put into evaluation mode: SystemExit: 4"),
    "copying ends the program": (lambda: CopiesItselfAway(), "cannot be copied.*SystemExit: no copy"),
    "it holds itself": (with_itself, "RecursionError"),
    "it is deeper than Python can go": (deep, "RecursionError"),
    "it calls itself for ever": (own_done(lambda own: own(torch.rand(1, 3, SIDE, SIDE))), "RecursionError"),
    "weights without values": (of_kind("meta"), "weights without values.*net.0.weight"),
    "a lazy layer": (of_kind("lazy"), "weights without values.*7.weight"),
    "complex weights": (of_kind("complex"), "does not run|complex"),
    "complex outputs": (ends(lambda z: z * 1j), "torch.complex64; logits are"),
    "whole numbers": (ends(lambda z: (100 * z).long()), "torch.int64; logits are"),
    "truth values": (ends(lambda z: z > 0), "torch.bool; logits are"),
    "sparse outputs": (ends(lambda z: z.to_sparse()), "torch.sparse_coo.*logits are"),
    "no outputs": (ends(lambda z: z[:, :0]), r"returns shape \(1, 0\)"),
    "a number": (ends(lambda z: float(z.sum())), "returns a float"),
    "nothing": (ends(lambda z: None), "returns a NoneType"),
    "words": (ends(lambda z: "malignant"), "returns a str"),
    "an array": (ends(lambda z: z.detach().numpy()), "returns a ndarray|numpy"),
    "a list for each image": (ends(lambda z: list(z)), "returns a list"),
    "a residual that overwrites what a layer needs": (
        bends(lambda x: (y := x.sigmoid()).add_(x) * y),
        "cannot be differentiated|modified by an inplace",
    ),
    "an output argument": (begins(lambda x: torch.mul(x, 2, out=x)), "out=|does not run|batch"),
    "a branch through NumPy": (bends(lambda x: torch.from_numpy(x.detach().numpy() * 2)), "no gradient to the image"),
    "a gradient of NaN": (ends(lambda z: z + (z - z).sqrt()), "gradient with NaN"),
    "logits of NaN": (ends(lambda z: z / 0 * 0), "NaN or infinite"),
    "infinite logits": (ends(lambda z: z / 0), "NaN or infinite"),
    "the same for every image": (ends(lambda z: z * 0 + 5), "do not depend on the image"),
    **{f"it ends the program {when}": (make, "SystemExit") for when, make in EXITS.items()},
}

IN_PLACE = {
    "it normalizes in place": begins(lambda x: x.sub_(0.4).div_(0.2)),
    "it normalizes a view": begins(lambda x: (x[:, 0].sub_(0.4).div_(0.2), x[:, 1:].sub_(0.4).div_(0.2)) and x),
    "it assigns to its images": begins(lambda x: x.__setitem__(..., (x - 0.4) / 0.2) or x),
    "it copies into its images": begins(lambda x: x.copy_((x - 0.4) / 0.2)),
    "it spoils its images when it has them": begins(lambda x: (y := (x - 0.4) / 0.2, x.detach().zero_()) and y),
    "it keeps its features": lambda: Network(
        before=lambda own, x: (x - 0.4) / 0.2, between=lambda own, x: setattr(own, "last", x) or x
    ),
    "it counts its runs": lambda: Network(
        before=lambda own, x: (x - 0.4) / 0.2, after=lambda own, z: (own.runs.add_(1), z)[1], runs=torch.zeros(1)
    ),
    "it goes to evaluation again": lambda: Network(
        before=lambda own, x: (x - 0.4) / 0.2, after=lambda own, z: (own.eval(), z)[1]
    ),
    "its weights are double": lambda: Network(before=lambda own, x: (x - 0.4) / 0.2).double(),
    "it is handed over in training": lambda: Network(before=lambda own, x: (x - 0.4) / 0.2).train(),
    "its weights ask for gradients when it is handed over": lambda: Network(
        before=lambda own, x: (x - 0.4) / 0.2
    ).requires_grad_(True),
}


def refused(make: Callable, message: str) -> SimpleNamespace:
    return SimpleNamespace(make=make, message=message, reference=None)


def accepted(make: Callable, reference: Callable | None = None) -> SimpleNamespace:
    return SimpleNamespace(make=make, message="", reference=reference or make)


CASES = {
    **{f"not a logit: {name}": refused(make, INTERVAL) for name, make in PROBABILITIES.items()},
    **{f"a network of the field: {name}": accepted(make) for name, make in LOGITS.items()},
    **{f"not its gradient: {name}": refused(make, SLOPE) for name, make in GRADIENTS.items()},
    **{f"not a function: {name}": refused(*case) for name, case in STATE.items()},
    **{f"a trace: {name}": accepted(make, begins(lambda x: (x - 0.4) / 0.2)) for name, make in IN_PLACE.items()},
}


@pytest.fixture
def loaded(monkeypatch, tmp_path):
    def load_one(make: Callable[[], nn.Module], **fields: Any) -> external.ExternalModel:
        monkeypatch.setattr(external, "find", lambda model, folder: LoadedNetwork(make(), {}))
        monkeypatch.setattr(external, "_SOUND", {})  # of networks that come without code the weights alone count
        with torch.random.fork_rng():
            outputs = 1
            for outputs in (1, 2, 3, 5):
                names = NAMES[:outputs]
                try:
                    given = {"source": "nets.py:load", "size": SIDE, "classes": names} | fields
                    return load(Model(**given), tmp_path, names if outputs > 1 else (), "lesion")
                except SaltrustError as error:
                    if "class names" not in str(error):
                        raise
            raise AssertionError(outputs)

    return load_one


NETWORKS = dict(CASES)


@pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS)
def test_a_network_is_refused_in_one_line_or_explained_as_what_it_is(case, loaded):
    """Explained: the gradient is that of the same network in its plainest form, within 1e-4 of the largest."""
    before = {name: read() for name, (read, _) in SURROUNDINGS.items()}
    if case.message:
        with pytest.raises(SaltrustError, match=case.message) as caught:
            loaded(case.make)
        assert str(caught.value).startswith("model 'nets.py:load' ")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 700
    else:
        found = loaded(case.make)
        images, given = probe_images(2, SIDE), probe_images(2, SIDE)
        explained = Explained(found.network, "argmax_logit", batch_size=1, input_range=(0.0, 1.0))
        slopes = explained.gradients(images)
        assert torch.equal(images, given)
    after = {name: read() for name, (read, _) in SURROUNDINGS.items()}
    assert [name for name in before if before[name] != after[name]] == []
    if not case.message:
        with torch.random.fork_rng():
            plain = case.reference().eval().float()
        at = given.clone().requires_grad_()
        outputs = plain(at.clone())
        chosen = outputs.abs().sum() if outputs.shape[1] == 1 else outputs.amax(1).sum()
        (wanted,) = torch.autograd.grad(chosen, at)
        torch.testing.assert_close(slopes, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


def test_who_says_that_logits_are_bounded_is_believed(loaded):
    assert loaded(PROBABILITIES["soft-capped logits"], bounded_logits=True).size == SIDE
    with pytest.raises(SaltrustError, match="ends in a sigmoid"):
        loaded(ends(torch.sigmoid), bounded_logits=True)


UNSEEDED = {
    "torch": "nn.Conv2d(3, 1, 3)",
    "NumPy": "torch.nn.Parameter(torch.from_numpy(np.random.rand(1, 3, 3, 3).astype('float32')))",
    "the clock": "torch.nn.Parameter(torch.full((1, 3, 3, 3), time.time_ns() % 1000003 / 7.0))",
    "Python": "torch.nn.Parameter(torch.full((1, 3, 3, 3), random.random()))",
}


@pytest.mark.parametrize("drawn", UNSEEDED.values(), ids=UNSEEDED)
def test_weights_that_are_drawn_anew_each_time_are_refused(drawn, tmp_path: Path):
    code = f"""
import random, time
import numpy as np
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.drawn = {drawn}

    def forward(self, x):
        weight = getattr(self.drawn, "weight", self.drawn)
        return nn.functional.conv2d(x, weight).mean((2, 3))

def load():
    return Network()
"""
    (tmp_path / "nets.py").write_text(code)
    with pytest.raises(SaltrustError, match="other weights each time that it is loaded"):
        load(Model(source="nets.py:load", size=SIDE), tmp_path, (), "lesion")


# --- archives of weights ----------------------------------------------------------------------------------------------


def saved(value: Any) -> Callable[[Path], None]:
    return lambda file: torch.save(value, file)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        torch.save(net().state_dict(), file)
        file.write_bytes(change(file.read_bytes()))

    return write


def state(**changes: Any) -> dict[str, Any]:
    return net().state_dict() | {name.replace("_", "."): value for name, value in changes.items()}


def nested(times: int) -> dict[str, Any]:
    held: dict[str, Any] = net().state_dict()
    for _ in range(times):
        held = {"state_dict": held}
    return held


def holding_itself() -> dict[str, Any]:
    held: dict[str, Any] = {}
    held["state_dict"] = held
    return held


def with_a_flipped_bit(data: bytes) -> bytes:
    """One bit of the exponent of one weight."""
    weights = net().state_dict()["7.weight"].numpy().tobytes()
    assert data.count(weights) == 1
    return data.replace(weights, weights[:3] + bytes([weights[3] ^ 1]) + weights[4:])


ARCHIVES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "random bytes": (lambda file: file.write_bytes(bytes(range(256)) * 8), "more than weights|cannot be read"),
    "words": (lambda file: file.write_text("hello"), "cannot be read"),
    "zeros": (lambda file: file.write_bytes(bytes(4096)), "cannot be read|more than weights"),
    "half an archive": (changed(lambda data: data[: len(data) // 2]), "cut short"),
    "an archive without its end": (changed(lambda data: data[:-30]), "cut short"),
    "an archive of names that are no text": (
        changed(lambda data: data.replace(b"/data/0", b"/d\xc5ta/0").replace(b"data/1", b"d\xc5ta/1")),
        "damaged archive|cannot be read",
    ),
    "an archive of many disks": (
        changed(lambda data: data[:-36] + bytes([data[-36] ^ 128]) + data[-35:-6] + bytes([data[-6] ^ 16]) + data[-5:]),
        "damaged archive|cannot be read",
    ),
    "an archive with a flipped bit": (changed(with_a_flipped_bit), "damaged archive: the checksum of .* does not fit"),
    "an empty dict": (saved({}), "a dict with nothing in it"),
    "a number": (saved(3), "it holds int"),
    "nothing": (saved(None), "it holds NoneType"),
    "a list": (saved([torch.ones(2)]), "it holds list"),
    "one tensor": (saved(torch.ones(2)), "it holds Tensor"),
    "words by name": (saved({"a": "b"}), "a dict with a"),
    "weights in too many dicts": (saved(nested(4)), "a dict with state_dict"),
    "a dict that holds itself": (saved(holding_itself()), "a dict with state_dict"),
    "whole numbers for names": (saved({0: torch.ones(2)}), "the key 0, which is no name"),
    "a pair for a name": (saved({("a", "b"): torch.ones(2)}), "which is no name"),
    "one name that is a number": (saved(state() | {1: torch.ones(1)}), "the key 1, which is no name"),
    "weights without values": (saved(state(**{"7_bias": torch.ones(1, device="meta")})), "without values"),
    "sparse weights": (saved(state(**{"7_weight": torch.ones(1, 8).to_sparse()})), "a sparse tensor"),
    "complex weights": (saved(state(**{"7_bias": torch.ones(1) * 1j})), "complex numbers"),
    "quantized weights": (
        saved(state(**{"7_bias": torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8)})), "a quantized tensor"
    ),
    "weights of eight bits": (saved(state(**{"7_bias": torch.ones(1).to(torch.float8_e4m3fn)})), "a quantized tensor"),
    "whole numbers for weights": (saved(state(**{"7_bias": torch.ones(1).char()})), "whole numbers for 7.bias"),
    "truth values for weights": (saved(state(**{"7_bias": torch.ones(1) > 0})), "whole numbers for 7.bias"),
    "weights of NaN": (saved(state(**{"7_bias": torch.ones(1) * float("nan")})), "NaN numbers in 7.bias"),
    "infinite weights": (saved(state(**{"7_bias": torch.ones(1) / 0})), "infinite"),
    "weights of another shape": (saved(state(**{"7_bias": torch.ones(2)})), "in another shape 7.bias"),
    "a weight too many": (saved(state(extra=torch.ones(2))), "has beside it extra"),
    "a weight too few": (saved({k: v for k, v in net().state_dict().items() if k != "7.bias"}), "lacks 7.bias"),
    "a name of ten thousand letters": (saved({"a" * 10_000: torch.ones(2)}), "does not fit|too long"),
}  # fmt: skip
CASES |= {f"an archive: {name}": case for name, case in ARCHIVES.items()}


@pytest.mark.parametrize("case", ARCHIVES.values(), ids=ARCHIVES)
@pytest.mark.filterwarnings("ignore")
def test_an_archive_of_weights_is_refused_in_one_line(case, tmp_path: Path):
    write, message = case
    write(tmp_path / "weights.pt")
    (tmp_path / "nets.py").write_text(
        "import torch\nfrom torch import nn\n\ndef load():\n    return nn.Sequential(\n"
        "        nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),\n"
        "        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))\n"
    )
    model = Model(source="weights.pt", architecture="nets.py:load", size=SIDE)
    with pytest.raises(SaltrustError, match=message) as caught:
        load(model, tmp_path, (), "lesion")
    assert "\n" not in str(caught.value)
