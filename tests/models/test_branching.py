"""Branching: Table I, the rule that stops a branch against traces by hand, and both phases on an easy set."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.profiles import PROFILES
from saltrust.models.architectures import ARCHITECTURES, DEEPER, Architecture, Stage
from saltrust.models.branching import BranchPlan, EarlyStop, published_plan, train_base, train_branch
from saltrust.models.classifiers import build, predict
from saltrust.models.recipes import base_plan, branch_plan
from saltrust.models.training_plan import SCHEDULES, TrainingPlan, best_precision


def colours(n: int, seed: int, size: int = 16) -> Split:
    """Noise under a cast of red, green or blue: three classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    pixels = rng.integers(0, 160, (n, size, size, 3))
    pixels[np.arange(n), :, :, labels] += 40
    truth = np.ones((n, size, size), bool)
    ids = np.array([str(i) for i in range(n)])
    return Split(
        pixels.astype(np.uint8), labels, truth, np.zeros((0, 5), np.float32), ids, classes=("red", "green", "blue")
    )


def tiny(n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(8, n_outputs),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def architecture(monkeypatch):
    stages = (Stage("logits", ("6",)), Stage("stem", ("1", "0")))
    spec = Architecture("tiny", "Tiny", tiny, dict, 1e-3, stages, input_range=(0.0, 1.0))
    monkeypatch.setitem(ARCHITECTURES, "tiny", spec)


PHASE = TrainingPlan(epochs=2, batch_size=8, learning_rate=0.03, optimizer="adam", mirror=True)
PLAN = BranchPlan(PHASE, dataclasses.replace(PHASE, epochs=4, learning_rate=3e-3), target=0.9, limit=6, shard=15)
TRAIN, VAL = colours(60, 0), colours(45, 1)


@pytest.fixture
def base():
    return train_base("tiny", TRAIN, PLAN)[0]


def trace(accuracies: list[float], stop: EarlyStop) -> tuple[list[float], list[str | None]]:
    counters, reasons = [], []
    for accuracy in accuracies:
        stop = stop.after(accuracy)
        counters.append(stop.counter)
        reasons.append(stop.reason)
    return counters, reasons


def test_the_counter_rises_and_is_refreshed_as_the_text_says():
    stop = EarlyStop(target=0.96, limit=4, refresh=0.5)
    accuracies = [0.5, 0.4, 0.5, 0.5, 0.6, 0.55, 0.7, 0.1, 0.7, 0.2]
    counters, reasons = trace(accuracies, stop)
    assert counters == [0, 1, 2, 3, 1.5, 2.5, 1.25, 2.25, 3.25, 4.25]  # worked out by hand
    assert reasons == [None] * 9 + ["early"]


def test_a_whole_counter_stops_where_it_equals_the_limit():
    counters, reasons = trace([0.5, 0.4, 0.4, 0.4], EarlyStop(target=0.96, limit=3, refresh=0.3))
    assert counters == [0, 1, 2, 3]
    assert reasons == [None, None, None, "early"]


def test_the_target_must_be_exceeded():
    _, reasons = trace([0.95, 0.96, 0.965], EarlyStop(target=0.96, limit=24, refresh=0.4))
    assert reasons == [None, None, "target"]


@given(st.lists(st.integers(0, 20), max_size=60), st.floats(0, 0.99), st.integers(1, 30))
def test_what_a_branch_remembers(twentieths, refresh, limit):
    stop = EarlyStop(target=1.0, limit=limit, refresh=refresh)
    for n in twentieths:
        before, stop = stop, stop.after(n / 20)
        assert stop.counter <= before.counter * refresh or stop.counter == before.counter + 1
    assert stop.best == max([0, *twentieths]) / 20
    assert 0 <= stop.counter <= len(twentieths)


def test_table_i():
    rows = {name: published_plan(name) for name in ("resnet34", "alexnet", "vgg16", "alexnet+8")}
    found = {
        name: (p.base.batch_size, p.base.epochs, p.branch.epochs, p.limit, p.refresh, p.base.learning_rate)
        for name, p in rows.items()
    }
    assert found == {
        "resnet34": (4, 2, 4, 24, 0.4, 1e-3),
        "alexnet": (16, 16, 16, 48, 0.3, 1e-4),
        "vgg16": (16, 4, 4, 48, 0.3, 1e-4),
        "alexnet+8": (16, 16, 16, 48, 0.3, 1e-4),
    }
    for plan in rows.values():
        assert (plan.every, plan.target, plan.shard) == (4, 0.96, 200)
        for phase in (plan.base, plan.branch):
            assert (phase.optimizer, phase.schedule, phase.weight_decay, phase.augment, phase.mirror) == (
                "adam",
                "constant",
                1e-5,
                False,
                False,
            )
        assert plan.base == dataclasses.replace(plan.branch, epochs=plan.base.epochs)
    assert all(rows[name].base.learning_rate == ARCHITECTURES[name].learning_rate for name in rows)
    with pytest.raises(SaltrustError, match="unknown network of Table I 'resnet'; did you mean 'resnet34'"):
        published_plan("resnet")


def test_the_base_learns_over_all_its_epochs(base):
    again, record = train_base("tiny", TRAIN, PLAN)
    assert all(torch.equal(base[name], again[name]) for name in base)
    assert len(record["curves"]["loss"]) == record["epochs"] == 2
    assert record["curves"]["loss"][1] < 0.8 * record["curves"]["loss"][0]
    assert (record["steps"], record["images"], record["weights"]) == (16, 60, "scratch")


def test_a_deeper_network_begins_as_the_alexnet_it_is_given():
    start = build("alexnet", 3, seed=4).state_dict()
    still = dataclasses.replace(PHASE, epochs=1, steps_per_epoch=1, learning_rate=1e-12, batch_size=2)
    state, record = train_base("alexnet+1", colours(4, 0, size=64), BranchPlan(base=still), start=start)
    assert record["weights"] == "alexnet"
    assert torch.allclose(state["extra.0.0.weight"], nn.init.dirac_(torch.empty(3, 3, 3, 3)), atol=1e-6)
    assert torch.allclose(state["classifier.6.weight"], start["classifier.6.weight"], atol=1e-6)


def test_profiles_size_the_plans_of_every_network():
    for architecture in ("resnet34", "alexnet", "vgg16", *DEEPER):
        table = published_plan(architecture)
        for profile in PROFILES.values():
            base, branch = base_plan(architecture, profile, 5, False, True), branch_plan(architecture, profile, True)
            assert base.base.seed == 5
            assert base.base.precision == branch.branch.precision == best_precision()
            if profile.name == "full":
                assert dataclasses.replace(base.base, precision="float32", seed=0) == table.base
                assert dataclasses.replace(branch.branch, precision="float32") == table.branch
                assert (branch.limit, branch.refresh, branch.scaffolded) == (table.limit, table.refresh, False)
            for allowed in (True, False):  # the paper mirrors nothing
                own = base_plan(architecture, profile, 5, False, allowed).base
                mirrored = (own.mirror, branch_plan(architecture, profile, allowed).branch.mirror)
                assert mirrored == (allowed and profile.name != "full",) * 2


def farthest(plan, steps):
    """How far Adam can take a weight: the sum of the learning rates of the first steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=plan.learning_rate)
    schedule, total = SCHEDULES[plan.schedule](optimizer, plan, plan.steps_per_epoch * plan.epochs), 0.0
    for _ in range(steps):
        total += optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.after_step()
    return total


def test_branches_of_quick_part_and_its_deeper_networks_train():
    """Weights are some hundredths; 5e-5, as it once was, is no replicate."""
    quick = PROFILES["quick"]
    for architecture in ("resnet34", "alexnet", "vgg16", *DEEPER):
        plan = branch_plan(architecture, quick, mirror=True)
        assert farthest(plan.branch, plan.every) >= 3e-4  # also where the first validation reaches the target
        assert farthest(plan.branch, plan.branch.steps_per_epoch) >= 8e-4
        if architecture in DEEPER:
            base = base_plan(architecture, quick, 0, False, True).base
            assert farthest(base, base.steps_per_epoch) >= 5e-3  # of layers that begin with weights of 0 and 1


def test_quick_has_the_largest_images_where_the_paper_has_them():
    sizes, full = (PROFILES[name].branching.sizes for name in ("quick", "full"))
    assert max(sizes, key=sizes.get) == max(full, key=full.get) == "resnet34"


def test_imagenet_weights_are_tuned_with_the_paper_s_optimizer():
    quick = PROFILES["quick"]
    tuned, scratch = (base_plan("vgg16", quick, 0, pretrained, True) for pretrained in (True, False))
    assert (tuned.base.optimizer, tuned.base.learning_rate, tuned.base.schedule) == ("adam", 1e-4, "constant")
    assert (tuned.base.epochs, tuned.base.batch_size) == (scratch.base.epochs, scratch.base.batch_size)
    assert (tuned.scaffolded, scratch.scaffolded) == (False, True)


def accuracy(state: dict[str, torch.Tensor], split: Split) -> float:
    model = tiny(3)
    model.load_state_dict(state)
    return float((predict(model, split.pixels, input_range=(0.0, 1.0)).argmax(1) == split.labels).mean())


def test_a_branch_stops_at_the_target_and_says_how_it_got_there(base):
    state, record = train_branch("tiny", base, TRAIN, VAL, PLAN, seed=1)
    curves = record["curves"]
    assert record["stopped"] == "target"
    assert record["steps"] == record["best_step"] == curves["step"][-1]
    assert curves["step"] == [4 * (i + 1) for i in range(len(curves["step"]))]
    assert len(curves["loss"]) == record["steps"]
    assert curves["accuracy"][-1] > 0.9
    assert max([0, *curves["accuracy"][:-1]]) <= 0.9
    assert record["val_accuracy"] == accuracy(state, VAL)


def test_the_recorded_counter_is_that_of_the_recorded_accuracies(base):
    plan = dataclasses.replace(PLAN, target=1.0, limit=3, refresh=0.5)
    _, record = train_branch("tiny", base, TRAIN, VAL, plan, seed=1)
    best, n, expected = 0.0, 0.0, []
    for value in record["curves"]["accuracy"]:
        if value > best:
            best, n = value, n * 0.5
        else:
            n += 1
        expected.append(n)
    assert record["curves"]["counter"] == expected
    assert record["stopped"] == "early"
    assert expected[-1] >= 3 > max(expected[:-1])


def test_the_state_of_the_best_validation_is_returned(base):
    plan = dataclasses.replace(PLAN, target=1.0, limit=100)
    state, record = train_branch("tiny", base, TRAIN, VAL, plan, seed=1)
    assert (record["stopped"], record["steps"]) == ("epochs", 32)
    assert record["best_step"] == record["curves"]["step"][int(np.argmax(record["curves"]["accuracy"]))] < 32
    short = dataclasses.replace(plan.branch, epochs=1, steps_per_epoch=record["best_step"])
    there, _ = train_branch("tiny", base, TRAIN, VAL, dataclasses.replace(plan, branch=short), seed=1)
    assert all(torch.equal(state[name], there[name]) for name in state)


def test_each_validation_is_on_one_shard_and_all_shards_have_their_turn(base):
    wrong = dataclasses.replace(VAL, labels=np.where(np.arange(45) < 15, VAL.labels, (VAL.labels + 1) % 3))
    plan = dataclasses.replace(PLAN, target=1.0, limit=100)
    state, record = train_branch("tiny", base, TRAIN, wrong, plan, seed=1)
    right = sum(value > 0.5 for value in record["curves"]["accuracy"])
    assert all(value > 0.7 or value < 0.3 for value in record["curves"]["accuracy"])
    assert 0 < right < 8 - right  # of 8 validations; one shard in three is labelled right
    assert record["val_accuracy"] == accuracy(state, wrong) < 0.5


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_acts_in_training_if_the_plan_says_so(dropout, monkeypatch):
    modes = []
    spec = ARCHITECTURES["tiny"]

    def watched(n_outputs: int) -> nn.Module:
        model = spec.builder(n_outputs)
        model[5].register_forward_pre_hook(lambda module, inputs: modes.append((model.training, module.training)))
        return model

    monkeypatch.setitem(ARCHITECTURES, "tiny", dataclasses.replace(spec, builder=watched))
    plan = dataclasses.replace(PLAN, dropout=dropout)
    state, _ = train_base("tiny", TRAIN, plan)
    train_branch("tiny", state, TRAIN, VAL, plan, seed=0)
    assert set(modes) == {(True, dropout), (False, False)}  # after a validation too


def test_networks_train_on_their_input_range(monkeypatch):
    seen = []
    spec = ARCHITECTURES["tiny"]

    def watched(n_outputs: int) -> nn.Module:
        model = spec.builder(n_outputs)
        model.register_forward_pre_hook(lambda module, inputs: seen.append(torch.stack(torch.aminmax(inputs[0]))))
        return model

    monkeypatch.setitem(ARCHITECTURES, "tiny", dataclasses.replace(spec, builder=watched))
    state, _ = train_base("tiny", TRAIN, PLAN)
    train_branch("tiny", state, TRAIN, VAL, PLAN, seed=0)
    low, high = torch.stack(seen).T
    assert (low < 0.05).all()
    assert low.min() >= 0
    assert 0.6 < high.min() <= high.max() <= 1


def test_branches_differ_by_seed_alone_and_leave_base_and_random_state(base):
    kept = {name: value.clone() for name, value in base.items()}
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (train_branch("tiny", base, TRAIN, VAL, PLAN, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(base[name], kept[name]) for name in base)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_a_branch_from_a_scaffold_is_the_plain_network(monkeypatch):
    def plain(n_outputs: int) -> nn.Module:
        return nn.Sequential(*(layer for layer in tiny(n_outputs) if not isinstance(layer, nn.BatchNorm2d)))

    monkeypatch.setitem(ARCHITECTURES, "tiny", dataclasses.replace(ARCHITECTURES["tiny"], builder=plain))
    plan = dataclasses.replace(PLAN, scaffolded=True, target=1.0, limit=100)
    base, _ = train_base("tiny", TRAIN, plan)
    state, record = train_branch("tiny", base, TRAIN, VAL, plan, seed=1)
    model = plain(3)
    model.load_state_dict(state)
    found = predict(model, VAL.pixels, input_range=(0.0, 1.0)).argmax(1) == VAL.labels
    assert found.mean() == record["val_accuracy"] > 0.8


@pytest.mark.parametrize("phase", ["base", "branch"])
def test_divergence_is_an_error_and_not_a_network(phase, base):
    wild = dataclasses.replace(PHASE, learning_rate=1e30, optimizer="sgd")
    plan = dataclasses.replace(PLAN, target=1.0, **{phase: wild})
    with pytest.raises(SaltrustError, match="training diverged"):
        train_base("tiny", TRAIN, plan) if phase == "base" else train_branch("tiny", base, TRAIN, VAL, plan, 1)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("every", 0, "every must be at least 1, not 0"),
        ("target", 1.5, r"target must be in \(0, 1\], not 1.5"),
        ("limit", 0, "limit must be above 0"),
        ("refresh", 1.0, r"refresh must be in \[0, 1\)"),
        ("shard", 0, "shard must be at least 1"),
        ("branch", dataclasses.replace(PHASE, schedule="plateau"), "schedule 'plateau' needs a score"),
    ],
)
def test_bad_plans_are_refused(field, value, message):
    with pytest.raises(SaltrustError, match=message):
        BranchPlan(**{field: value})
