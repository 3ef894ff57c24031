"""Randomization of weights: what changes, what must not, and that the randomized network still works."""

import hashlib
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.models.architectures import ARCHITECTURES, Part, Stage
from saltrust.models.classifiers import build
from saltrust.models.initialization import BATCHNORM, INITS
from saltrust.models.randomization import ORDERS, cascade, layers_of, randomize, randomized

STAGES = {name: architecture.stages for name, architecture in ARCHITECTURES.items()}
SOME = ["inception_v3", "densenet121", "resnet34"]  # the plain networks have 60 million weights and more to draw


SMALL = tuple(Stage(name, (name,)) for name in ("logits", "last", "middle", "stem"))
COARSE = (SMALL[0], Stage("inner", ("last", "middle")), SMALL[3])
FINE = (SMALL[0], *(Part(name, (name,), of="inner") for name in ("last", "middle")), SMALL[3])


@pytest.fixture
def small() -> nn.Sequential:
    """A network of a few thousand weights in four stages; every number differs from any initial value."""
    made = nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)),
            middle=nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)),
            last=nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)),
            logits=nn.Linear(16, 1),
        )
    )
    generator = torch.Generator().manual_seed(0)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(2 + torch.rand(tensor.shape, generator=generator))
    return made


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """Stand-ins for trained networks: every tensor, also BatchNorm's, differs from any initial value."""
    made = {name: build(name, seed=3) for name in SOME}
    generator = torch.Generator().manual_seed(0)
    for model in made.values():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape, generator=generator))
    return made


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def weights_in(model: nn.Module, stages: slice) -> set[str]:
    """Names of the weights in those of the stages of `small`, counted from the output."""
    paths = [path for stage in SMALL[stages] for path in stage.modules]
    return {name for name, _ in model.named_parameters() if any(name.startswith(f"{path}.") for path in paths)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_weight_belongs_to_exactly_one_stage(architecture, monkeypatch):
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda weight, **kwargs: weight)  # the values do not matter
    model, spec = build(architecture), ARCHITECTURES[architecture]
    for stages in filter(None, (spec.stages, spec.fine_stages)):
        owners = [
            id(weight)
            for stage in stages
            for layer in layers_of(model, stage)
            for weight in layer.parameters(recurse=False)
        ]
        assert len(owners) == len(set(owners))
        assert set(owners) == {id(weight) for weight in model.parameters()}


def test_inception_has_the_paper_s_stages():
    names = [stage.name for stage in ARCHITECTURES["inception_v3"].stages]
    assert names[0] == "logits"
    assert names[-1] == "stem"
    assert len(names) == 13


def test_the_finer_cascade_of_inception_has_the_study_s_seventeen_stages():
    """Venkatesh et al., code: fc, Mixed_7c to 5b, Conv2d_4a, 3b, 2b, 2a, 1a. The network itself says in which order its
    layers run."""
    stages = ARCHITECTURES["inception_v3"].fine_stages
    running = [name for name, _ in build("inception_v3").named_children() if name.startswith(("Conv2d", "Mixed", "fc"))]
    assert [stage.modules for stage in stages] == [(name,) for name in reversed(running)]
    assert [stage.name for stage in stages] == ["logits", *running[-2::-1]]
    assert len(stages) == 17
    assert (running[5], running[0]) == ("Mixed_5b", "Conv2d_1a_3x3")


def test_the_finer_cascade_of_inception_ends_where_the_coarse_one_does(networks):
    model, spec = networks["inception_v3"], ARCHITECTURES["inception_v3"]
    before, coarse = state(model), state(randomized(model, spec.stages, "torch_default", seed=2))
    fine = state(randomized(model, spec.fine_stages, "torch_default", seed=2))
    learned = {name for name in before if not name.endswith("num_batches_tracked")}
    assert changed(before, fine) == changed(before, coarse) == learned  # nothing of it is left
    assert not changed(coarse, fine)


@pytest.mark.parametrize("order", ORDERS)
def test_a_finer_cascade_has_the_states_of_the_coarser_one_and_more_between_them(order, small):
    before = state(small)
    entire = state(randomized(small, COARSE, "truncated_normal", seed=4))
    for stage in COARSE:
        if stage.name != "inner":
            coarse, fine = (
                state(randomize(small, stages, stage.name, "truncated_normal", 4, order=order))
                for stages in (COARSE, FINE)
            )
            assert not changed(coarse, fine)
    between = {name: state(copy) for name, copy in cascade(small, FINE, "truncated_normal", seed=4, order=order)}
    random = {name: {tensor.split(".")[0] for tensor in changed(before, found)} for name, found in between.items()}
    top = {"last": {"logits", "last"}, "middle": {"logits", "last", "middle"}}
    up = {"last": {"last", "middle", "stem"}, "middle": {"middle", "stem"}}
    expected = {"top_down": top, "bottom_up": up, "independent": {"last": {"last"}, "middle": {"middle"}}}[order]
    for part, blocks in expected.items():
        assert random[part] == blocks
        alone = state(randomize(small, FINE, part, "truncated_normal", 4, order=order))
        assert not changed(between[part], alone)
        assert not changed(entire, alone) & changed(before, alone)


@pytest.mark.parametrize("batchnorm", BATCHNORM)
@pytest.mark.parametrize("init", INITS)
def test_stage_k_randomizes_exactly_the_first_k_stages(init, batchnorm, small):
    before = state(small)
    for k, (name, copy) in enumerate(cascade(small, SMALL, init, seed=0, batchnorm=batchnorm), 1):
        assert name == SMALL[k - 1].name
        moved = changed(before, state(copy))
        weights = {n for n in moved if not n.endswith(("running_mean", "running_var", "num_batches_tracked"))}
        assert weights == weights_in(small, slice(k))
        assert bool(moved - weights) == (batchnorm == "reset" and k > 1)  # the logits have no statistics
    assert k == len(SMALL)
    assert not changed(before, state(small))


def test_a_stage_alone_is_the_same_as_in_the_cascade(small):
    whole = {name: state(copy) for name, copy in cascade(small, SMALL, "truncated_normal", seed=5)}
    for stage in ("logits", "middle", "stem"):
        alone = state(randomize(small, SMALL, stage, "truncated_normal", seed=5))
        assert not changed(whole[stage], alone)
    assert not changed(whole["stem"], state(randomized(small, SMALL, "truncated_normal", seed=5)))


@pytest.mark.parametrize(
    ("order", "random"),
    [
        ("top_down", lambda k: slice(k + 1)),
        ("bottom_up", lambda k: slice(k, None)),
        ("independent", lambda k: slice(k, k + 1)),
    ],
)
def test_an_order_randomizes_exactly_its_stages(order, random, small):
    before = state(small)
    entire = state(randomized(small, SMALL, "truncated_normal", seed=0))
    for k, stage in enumerate(SMALL):
        after = state(randomize(small, SMALL, stage.name, "truncated_normal", seed=0, order=order))
        expected = weights_in(small, random(k))
        assert changed(before, after) & weights_in(small, slice(None)) == expected
        # What is random has its weights and statistics from the entirely random network; the rest is as it was.
        assert not changed(entire, after) & changed(before, after)
    assert not changed(before, state(small))


def test_a_cascade_runs_from_the_fewest_random_stages_to_the_most(small):
    names = [stage.name for stage in SMALL]
    runs = {order: list(cascade(small, SMALL, "truncated_normal", seed=0, order=order)) for order in ORDERS}
    visited = {order: [name for name, _ in run] for order, run in runs.items()}
    assert visited == {"top_down": names, "bottom_up": names[::-1], "independent": names}
    assert not changed(state(runs["top_down"][-1][1]), state(runs["bottom_up"][-1][1]))


def test_stages_and_seeds_draw_differently(networks):
    model = networks["inception_v3"]
    zero, one = (state(randomized(model, STAGES["inception_v3"], "truncated_normal", seed=s)) for s in (0, 1))
    twins = ("Mixed_6c.branch_pool.conv.weight", "Mixed_6d.branch_pool.conv.weight")  # of the same shape
    assert not torch.equal(zero[twins[0]], zero[twins[1]])
    assert not torch.equal(zero[twins[0]], one[twins[0]])


def test_truncated_normal_has_he_s_variance_and_no_tail(networks):
    weight = randomized(
        networks["inception_v3"], STAGES["inception_v3"], "truncated_normal", seed=0
    ).Mixed_7c.branch3x3_1.conv.weight
    he = 2 / weight[0].numel()
    assert weight.var().item() == pytest.approx(he, rel=0.01)  # 786,432 draws: the relative error's sd is 0.001
    # Truncation at 2 sd of the parent normal, which is 1/sqrt(0.774) of the final sd.
    assert weight.abs().max().item() <= 2 * np.sqrt(he / 0.7737) + 1e-6
    assert weight.abs().max().item() > 1.9 * np.sqrt(he / 0.7737)


def test_batchnorm_options(networks):
    model = networks["inception_v3"]
    for option, mean_kept in (("keep_statistics", True), ("reset", False)):
        norm = randomized(model, STAGES["inception_v3"], "truncated_normal", 0, option).Mixed_6a.branch3x3.bn
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert torch.equal(norm.bias, torch.zeros_like(norm.bias))
        assert torch.equal(norm.running_mean, model.Mixed_6a.branch3x3.bn.running_mean) == mean_kept
        assert torch.equal(norm.running_var, torch.ones_like(norm.running_var)) != mean_kept


def test_random_state_is_left_alone(networks):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    randomized(networks["densenet121"], STAGES["densenet121"], "torch_default", seed=0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("architecture", SOME)
def test_a_fully_random_network_is_alive(architecture, networks):
    """With the corrected choice neither the input's gradient nor its dependence on the image vanishes or explodes."""
    model = randomized(
        networks[architecture], STAGES[architecture], "truncated_normal", seed=0, batchnorm="reset"
    ).eval()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = model(images)
    (gradient,) = torch.autograd.grad(logits.sum(), images)
    size = gradient.flatten(1).norm(dim=1)
    assert (size > 1e-3).all()
    assert (size < 1e3).all()
    assert (gradient[0] - gradient[1]).norm() > 0.1 * size.min()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("Mixed_6x", "truncated_normal", 0, "reset"), "Mixed_6"),
        (("logits", "truncated_norml", 0, "reset"), "truncated_normal"),
        (("logits", "truncated_normal", 0, "resett"), "reset"),
        (("logits", "truncated_normal", 0, "reset", "topdown"), "top_down"),
    ],
)
def test_bad_names_are_refused(arguments, hint, networks):
    with pytest.raises(SaltrustError, match=f"did you mean '{hint}"):
        randomize(networks["inception_v3"], STAGES["inception_v3"], *arguments)


@pytest.mark.parametrize(
    ("architecture", "init", "batchnorm", "digest"),
    [
        ("inception_v3", "truncated_normal", "reset", "48ffe7f1b998e531"),
        ("inception_v3", "torch_default", "keep_statistics", "8276d8d52f06022e"),
        ("densenet121", "truncated_normal", "reset", "4e472df7740fb4cf"),
        ("densenet121", "torch_default", "keep_statistics", "17f9ae38651146fe"),
        ("resnet34", "truncated_normal", "reset", "566b97a0d12d26e8"),
        ("resnet34", "torch_default", "keep_statistics", "b7983e51d8bb6f9d"),
    ],
)
def test_random_weights_are_those_of_the_first_release(architecture, init, batchnorm, digest):
    """Bit by bit: maps of random networks that are stored stay true."""
    model = randomized(build(architecture, seed=3), STAGES[architecture], init, 0, batchnorm)
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.contiguous().numpy().tobytes())
    assert found.hexdigest()[:16] == digest


class Zoo(nn.Module):
    """One of each layer that networks of others hold, and parameters without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(64, 32, 4, 2)
        self.grouped_up = nn.ConvTranspose2d(64, 64, 3, groups=8)
        self.attention = nn.MultiheadAttention(96, 4)
        self.words = nn.Embedding(50, 32)
        self.layer_norm, self.map_norm = nn.LayerNorm(8), nn.LayerNorm((4, 6, 6))
        self.group_norm, self.instance_norm = nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)
        self.volume_norm, self.plain_norm = nn.BatchNorm3d(8), nn.BatchNorm1d(8, affine=False)
        self.slope = nn.PReLU()
        self.head = nn.Linear(400, 1)
        self.cls_token, self.pos_embed = nn.Parameter(torch.ones(1, 1, 96)), nn.Parameter(torch.ones(1, 50, 96))
        self.gamma, self.layer_scale = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8, 1, 1))
        self.q_bias, self.logit_scale = nn.Parameter(torch.ones(8)), nn.Parameter(torch.tensor(3.0))
        self.relative_position_bias_table = nn.Parameter(torch.ones(225, 4))


@pytest.fixture
def zoo() -> nn.Module:
    """Every number 0.7: no initial value is."""
    made = Zoo()
    for tensor in made.state_dict().values():
        tensor.fill_(0.7)
    return made


@pytest.mark.parametrize("init", INITS)
def test_every_kind_of_weight_is_drawn(init, zoo):
    random = randomized(zoo, [Stage("all", ("",))], init, seed=0)
    left = [name for name, value in random.state_dict().items() if value.is_floating_point() and (value == 0.7).any()]
    assert not left
    for norm in (random.layer_norm, random.map_norm, random.group_norm, random.instance_norm, random.volume_norm):
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert not norm.bias.any()
    assert torch.equal(random.plain_norm.running_var, torch.ones(8))
    assert random.slope.weight == 0.25
    kept = randomized(zoo, [Stage("all", ("",))], init, seed=0, batchnorm="keep_statistics")
    assert torch.equal(kept.plain_norm.running_var, zoo.plain_norm.running_var)


def test_truncated_normal_beyond_convolutions(zoo):
    """He's variance by the products that an output sums up (within 4 % for the fewest draws, 1,000s), scales of 1,
    shifts of 0, tokens and positions with sd 0.02."""
    random = randomized(zoo, [Stage("all", ("",))], "truncated_normal", seed=0)
    sums = {
        random.up.weight: 64 * 16 / 4,
        random.grouped_up.weight: 8 * 9,
        random.attention.in_proj_weight: 96,
        random.attention.out_proj.weight: 96,
        random.words.weight: 32,
    }
    for weight, fan_in in sums.items():
        assert weight.var().item() == pytest.approx(2 / fan_in, rel=0.1 if weight.numel() < 5000 else 0.04)
    assert random.head.weight.std() > 0  # one row is no scale
    assert random.pos_embed.std().item() == pytest.approx(0.02, rel=0.04)
    assert random.relative_position_bias_table.std().item() == pytest.approx(0.02, rel=0.1)
    assert 0 < random.cls_token.std() < 0.03
    for scale in (random.gamma, random.layer_scale, random.logit_scale):
        assert (scale == 1).all()
    for shift in (random.q_bias, random.attention.in_proj_bias, random.up.bias):
        assert not shift.any()


def test_a_transposed_convolution_keeps_the_size_of_a_signal():
    """Behind a ReLU, away from the border, where each output sums as many products: variance 1 in, 1 out."""
    up = randomized(nn.Sequential(nn.ConvTranspose2d(256, 64, 4, 2)), [Stage("up", ("0",))], "truncated_normal", seed=1)
    images = torch.randn(2, 256, 16, 16, generator=torch.Generator().manual_seed(0)).relu()
    assert up(images)[:, :, 8:-8, 8:-8].var().item() == pytest.approx(1, rel=0.1)


def test_a_path_with_a_dot_names_a_module_without_what_is_in_it(zoo):
    own, whole = layers_of(zoo, Stage("own", ("attention.",))), layers_of(zoo, Stage("whole", ("attention",)))
    assert own == [zoo.attention]
    assert whole == [zoo.attention, zoo.attention.out_proj]
    random = randomized(zoo, [Stage("own", ("attention.",))], "truncated_normal", seed=0)
    moved = changed(state(zoo), state(random))
    assert moved == {"attention.in_proj_weight", "attention.in_proj_bias"}


def test_computed_weights_are_refused_by_name():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.utils.parametrizations.weight_norm(nn.Linear(4, 1)))
    with pytest.raises(SaltrustError, match=r"'1.parametrizations.weight'.*remove_parametrizations"):
        randomized(model, [Stage("all", ("1", "0"))], "truncated_normal", seed=0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model[0].weight = nn.Parameter(torch.ones(4, 3, 3, 3, dtype=torch.int8), requires_grad=False)
    with pytest.raises(SaltrustError, match="'weight' of module '0' is torch.int8"):
        randomized(model, [Stage("all", ("0",))], "truncated_normal", seed=0)
