"""Training: the pieces against their definitions, and a small network on a set that is easy to separate."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.profiles import PROFILES
from saltrust.models import training
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.models.augmentation import balanced_batches, mirrored, moved, random_affine, relit, shuffled_batches
from saltrust.models.classifiers import to_input
from saltrust.models.recipes import classifier_plan, localizer_plan
from saltrust.models.training import fit, train_classifier
from saltrust.models.training_loop import Objective, TrainingLoop
from saltrust.models.training_plan import OPTIMIZERS, SCHEDULES, TrainingPlan, best_precision


def squares(n: int, seed: int, prevalence: float = 0.3, size: int = 32) -> Split:
    """Noise; a positive image has a bright square."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < prevalence * n).astype(np.int64)
    pixels = rng.integers(60, 160, (n, size, size))
    truth = np.zeros((n, size, size), bool)
    for i in np.flatnonzero(labels):
        x, y = rng.integers(4, size - 12, 2)
        truth[i, y : y + 8, x : x + 8] = True
    pixels = np.clip(pixels + 90 * truth, 0, 255).astype(np.uint8)
    return Split(pixels, labels, truth, np.zeros((0, 5), np.float32), np.array([str(i) for i in range(n)]))


def tiny(n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(8, n_outputs),
    )  # fmt: skip


@pytest.fixture
def architecture(monkeypatch):
    spec = Architecture("tiny", "Tiny", tiny, dict, 1e-3, (Stage("logits", ("6",)), Stage("stem", ("1", "0"))))
    monkeypatch.setitem(ARCHITECTURES, "tiny", spec)
    return "tiny"


PLAN = TrainingPlan(
    epochs=6, patience=6, batch_size=16, steps_per_epoch=15, learning_rate=0.02, optimizer="adamw", schedule="one_cycle"
)


def test_training_learns_a_separable_set_and_says_so(architecture):
    state, record = train_classifier(architecture, squares(120, 0), squares(60, 1), PLAN)
    assert record["val_auc"] > 0.95
    assert record["val_auc"] == max(record["curves"]["val_auc"])
    assert record["curves"]["val_auc"][record["best_epoch"] - 1] == record["val_auc"]
    assert record["epochs"] == len(record["curves"]["loss"]) <= 6
    assert record["curves"]["loss"][-1] < 0.5 * record["curves"]["loss"][0]
    assert (record["weights"], record["precision"], record["seed"]) == ("scratch", "float32", 0)
    assert record["seconds"] > 0
    tiny(1).load_state_dict(state)


def test_several_classes_are_learned_from_balanced_batches(architecture):
    """Three classes: no square, a bright one, a dark one; the rare ones are as many in a batch as the common one."""

    def three(n, seed):
        split = squares(n, seed, prevalence=0.4)
        labels = split.labels * (1 + np.arange(n) % 2)
        dark = (labels == 2)[:, None, None] & split.truth
        pixels = np.where(dark, split.pixels // 4, split.pixels)
        return dataclasses.replace(split, pixels=pixels, labels=labels, classes=("none", "bright", "dark"))

    plan = dataclasses.replace(PLAN, epochs=10, patience=10)
    state, record = train_classifier(architecture, three(150, 0), three(90, 1), plan, classes=3)
    tiny(3).load_state_dict(state)
    assert record["val_auc"] > 0.9
    with pytest.raises(SaltrustError, match="the training images of tiny lack a class: all 3 are needed"):
        train_classifier(architecture, squares(40, 0), three(30, 1), plan, classes=3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_same_plan_same_weights_and_the_caller_s_random_state_stays(architecture, optimizer, schedule):
    plan = dataclasses.replace(PLAN, epochs=2, steps_per_epoch=3, optimizer=optimizer, schedule=schedule)
    train, val = squares(40, 0), squares(20, 1)
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, _ = train_classifier(architecture, train, val, plan)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])
    torch.manual_seed(6)
    again, _ = train_classifier(architecture, train, val, plan)
    assert all(torch.equal(first[name], again[name]) for name in first)
    other, _ = train_classifier(architecture, train, val, dataclasses.replace(plan, seed=1))
    assert not torch.equal(first["0.weight"], other["0.weight"])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_plan_gives_the_same_weights_however_many_threads_there_are(architecture, threads, precision):
    plan = dataclasses.replace(PLAN, precision=precision, epochs=1, batch_size=64, steps_per_epoch=4)
    states = []
    for number in (1, 2, 3):
        threads(number)
        states.append(train_classifier(architecture, squares(80, 0, size=96), squares(20, 1, size=96), plan)[0])
        assert torch.get_num_threads() == number
    for state in states[1:]:
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("optimizer", "schedule", "losses"),
    [
        ("adamw", "one_cycle", [0.44082, 0.34375, 0.29560]),
        ("adam", "constant", [0.43461, 0.33317, 0.28772]),
        ("sgd", "plateau", [0.45088, 0.37104, 0.29169]),
    ],
)
def test_a_plan_trains_as_it_did_before_trainings_could_be_interrupted(architecture, optimizer, schedule, losses):
    """Losses recorded from the code of then, whose weights were the same to the last bit on the machine of then."""
    plan = dataclasses.replace(PLAN, epochs=3, steps_per_epoch=5, optimizer=optimizer, schedule=schedule, mirror=True)
    _, record = train_classifier(architecture, squares(40, 0), squares(20, 1), plan)
    assert record["curves"]["loss"] == pytest.approx(losses, rel=1e-3)


def test_batches_are_balanced_and_deal_every_image_before_one_again():
    labels = np.array([1] * 5 + [0] * 12)
    batches = balanced_batches(labels, 6, np.random.default_rng(0))
    dealt = [next(batches) for _ in range(20)]
    assert all(labels[batch].sum() == 3 for batch in dealt)
    order = np.concatenate(dealt)
    positives, negatives = order[labels[order] == 1], order[labels[order] == 0]
    for deck, size in ((positives, 5), (negatives, 12)):
        for start in range(0, len(deck) - size + 1, size):
            assert len(set(deck[start : start + size])) == size


def test_an_odd_batch_gives_its_extra_image_to_alternate_classes():
    labels = np.array([0, 0, 0, 1, 1])
    batches = balanced_batches(labels, 3, np.random.default_rng(0))
    assert [int(labels[next(batches)].sum()) for _ in range(4)] == [1, 2, 1, 2]


def test_shuffled_batches_deal_every_image_before_one_again():
    batches = shuffled_batches(7, 3, np.random.default_rng(0))
    dealt = np.concatenate([next(batches) for _ in range(7)])
    assert [sorted(dealt[i : i + 7]) for i in (0, 7, 14)] == [list(range(7))] * 3
    assert not np.array_equal(dealt[:7], dealt[7:14])


def one_weight() -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def climb(values: list[float], plan: TrainingPlan, sign: int = 1):
    """Train one weight, which grows by 1 at each epoch, against a given sequence of validation scores."""
    model = one_weight()
    curve = iter(values)

    objective = Objective(lambda indices, rng: None, lambda batch: -model.weight.sum())
    return fit(model, np.array([0, 1]), objective, lambda: next(curve), plan, "climb", "score", sign)


def test_early_stopping_keeps_the_best_epoch_s_weights():
    plan = TrainingPlan(epochs=10, patience=3, steps_per_epoch=1, batch_size=2, learning_rate=1.0, optimizer="sgd")
    state, record = climb([0.5, 0.7, 0.9, 0.6, 0.9, 0.8, 1.0, 1.0, 1.0, 1.0], plan)
    assert record["best_epoch"] == 3  # a tie later does not count as better
    assert record["epochs"] == 6
    assert record["score"] == 0.9
    stopped, _ = climb([0.5, 0.7, 0.9], dataclasses.replace(plan, epochs=3))
    assert torch.equal(state["weight"], stopped["weight"])


def test_weight_decay_acts_in_adam():
    plan = TrainingPlan(epochs=1, steps_per_epoch=1, batch_size=2, learning_rate=0.1, weight_decay=0.5)
    model = one_weight()
    nn.init.ones_(model.weight)
    optimizer = OPTIMIZERS["adam"](model.parameters(), plan)
    model.weight.grad = torch.zeros(1, 1)
    optimizer.step()
    assert model.weight.item() == pytest.approx(0.9)  # Adam's first step has the size of the learning rate


def test_early_stopping_on_a_loss_keeps_the_lowest():
    plan = TrainingPlan(epochs=5, patience=5, steps_per_epoch=1, batch_size=2, optimizer="sgd")
    _, record = climb([3.0, 1.0, 2.0, 1.5, 4.0], plan, sign=-1)
    assert (record["best_epoch"], record["score"]) == (2, 1.0)


def learning_rates(plan: TrainingPlan, scores: list[float], steps: int) -> list[float]:
    optimizer = OPTIMIZERS["sgd"](one_weight().parameters(), plan)
    schedule = SCHEDULES[plan.schedule](optimizer, plan, len(scores) * steps)
    rates = []
    for value in scores:
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(value)
    return rates


def test_one_cycle_rises_over_the_warm_up_and_falls_to_almost_zero():
    rates = learning_rates(TrainingPlan(schedule="one_cycle", learning_rate=1.0, warmup=0.25), [0.0] * 4, steps=10)
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.01


def test_plateau_divides_the_rate_by_ten_after_more_than_three_epochs_without_progress():
    plan = TrainingPlan(schedule="plateau", learning_rate=1.0)
    rates = learning_rates(plan, [0.5, 0.6, 0.6, 0.5, 0.5, 0.5, 0.7, 0.7], steps=1)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.1, 0.1])


def test_augmentation_moves_masks_with_their_images():
    n, size = 32, 64
    rng = torch.Generator().manual_seed(0)
    masks = torch.zeros(n, 1, size, size)
    masks[:, :, 20:40, 12:44] = 1
    maps = random_affine(n, rng, mirror=True)
    images, truth = moved(masks * 2 - 1, maps), moved(masks, maps, mode="nearest", outside="zeros")
    assert set(truth.unique().tolist()) == {0.0, 1.0}
    agree = ((images > 0) == (truth > 0)).float().mean(dim=(1, 2, 3))
    assert (agree > 0.97).all()  # apart from the outline
    assert (truth.sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3)) - 1).abs().max() < 0.3  # scale 0.9-1.1


def test_identity_map_moves_nothing_and_mirroring_mirrors():
    images = torch.rand(1, 1, 9, 9)
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    assert torch.allclose(moved(images, identity), images, atol=1e-6)
    mirror = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    assert torch.allclose(moved(images, mirror), images.flip(3), atol=1e-6)


def test_relighting_keeps_the_range_and_the_order_of_greys():
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    lit = relit(images, torch.Generator().manual_seed(1))
    assert lit.abs().max() <= 1
    assert not torch.allclose(lit, images, atol=0.01)
    for before, after in zip(images, lit, strict=True):
        order = before.flatten().argsort()
        assert (after.flatten()[order].diff() >= -1e-6).all()


def test_relighting_spans_another_input_range_as_it_does_its_own():
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    lit = relit(images, torch.Generator().manual_seed(1), (0.0, 1.0))
    assert torch.allclose(lit, (relit(images * 2 - 1, torch.Generator().manual_seed(1)) + 1) / 2, atol=1e-6)


def test_half_of_the_images_are_mirrored_whole():
    image = torch.arange(12.0).reshape(3, 2, 2)
    mirror = torch.stack([channel.fliplr() for channel in image])
    images = mirrored(image.expand(400, 3, 2, 2), torch.Generator().manual_seed(0))
    count = sum(torch.equal(one, mirror) for one in images)
    assert count + sum(torch.equal(one, image) for one in images) == 400
    assert 150 < count < 250  # sd 10


def test_images_are_varied_wherever_they_are():
    """On the device "meta", which computes nothing, an operand left on the processor would be an error."""
    rng = torch.Generator().manual_seed(0)
    images = to_input(np.zeros((4, 8, 8), np.uint8), where="meta")
    varied = mirrored(relit(moved(images, random_affine(4, rng)), rng), rng)
    assert (varied.device.type, varied.shape) == ("meta", (4, 3, 8, 8))


def test_images_are_mirrored_only_where_the_plan_says_so():
    """A map that mirrors has a negative determinant; half of the draws do, and the others stay as they were."""
    maps = {mirror: random_affine(400, torch.Generator().manual_seed(0), mirror=mirror) for mirror in (False, True)}
    determinants = {mirror: torch.linalg.det(map[:, :, :2]) for mirror, map in maps.items()}
    assert (determinants[False] > 0).all()
    assert 150 < (determinants[True] < 0).sum() < 250  # sd 10
    same = determinants[True] > 0
    assert torch.equal(maps[True][same], maps[False][same])


@pytest.mark.parametrize("allowed", [False, True])
def test_a_training_sees_a_mirrored_image_only_where_the_plan_says_so(architecture, monkeypatch, allowed):
    """All images are brighter on the left; what the network is shown is recorded. Turning and shifting keep the side:
    the bright half is far wider than a shift."""
    shown = []
    monkeypatch.setattr(training, "relit", lambda images, rng, input_range: shown.append(images) or images)
    split = squares(40, 0)
    split.pixels[:] = 0
    split.pixels[:, :, : split.pixels.shape[2] // 2] = 200
    train_classifier(architecture, split, split, dataclasses.replace(PLAN, mirror=allowed, augment=True))
    images = torch.cat(shown)
    half = images.shape[3] // 2
    mirrored_ones = images[..., :half].mean((1, 2, 3)) < images[..., half:].mean((1, 2, 3))
    assert bool(mirrored_ones.any()) == allowed
    assert not mirrored_ones.all()


def test_the_profile_full_trains_with_the_numbers_of_the_paper():
    """Arun et al., Methods; the batch of the classifiers is not given. DenseNet169: the code of Venkatesh et al."""
    full = PROFILES["full"]
    plans = {name: classifier_plan(name, sizes, 3, True, False) for name, sizes in full.architectures.items()}
    plans |= {kind: localizer_plan(kind, sizes, 3, full, False) for kind, sizes in full.localizers.items()}
    fields = ("epochs", "patience", "learning_rate", "optimizer", "schedule", "batch_size", "steps_per_epoch", "seed")
    assert {name: tuple(getattr(plan, field) for field in fields) for name, plan in plans.items()} == {
        "inception_v3": (20, 4, 1e-4, "adam", "constant", 32, None, 3),
        "densenet121": (30, 5, 7e-5, "adam", "constant", 32, None, 3),
        "densenet169": (75, 75, 1e-4, "adamw", "plateau", 64, None, 3),
        "unet": (75, 15, 1e-4, "adam", "plateau", 4, None, 3),
        "retinanet": (75, 15, 1e-4, "adam", "plateau", 4, None, 3),
    }
    decays = {name: plan.weight_decay for name, plan in plans.items() if plan.weight_decay}
    assert decays == {"densenet169": 1e-4}
    assert plans["unet"].features == (64, 128, 256, 512, 1024, 64)
    assert plans["retinanet"].backbone == "resnet101"
    assert (full.size, full.explained, full.replicates, full.train, full.val, full.test) == (320, None, 3, *[None] * 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_from_scratch_no_training_stops_before_its_learning_rate_has_fallen(profile):
    for name, sizes in PROFILES[profile].architectures.items():
        plan = classifier_plan(name, sizes, 0, False, False)
        assert (plan.schedule, plan.patience, plan.epochs) == ("one_cycle", sizes.epochs, sizes.epochs)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_a_split_of_one_class_is_refused(architecture, split):
    one_class = squares(10, 0, prevalence=0.0)
    splits = (one_class, squares(10, 0)) if split == "training" else (squares(10, 0), one_class)
    with pytest.raises(SaltrustError, match=f"the {split} images of tiny lack a class"):
        train_classifier(architecture, *splits, PLAN)


def test_divergence_is_an_error_and_not_a_network(architecture):
    plan = dataclasses.replace(PLAN, learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(SaltrustError, match="training diverged"):
        train_classifier(architecture, squares(40, 0), squares(20, 1), plan)


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [("optimizer", "adamm", "adam"), ("schedule", "onecycle", "one_cycle"), ("precision", "bfloat", "bfloat16")],
)
def test_bad_names_in_a_plan_are_refused_before_training(architecture, field, value, hint):
    with pytest.raises(SaltrustError, match=f"did you mean '{hint}'"):
        train_classifier(architecture, squares(10, 0), squares(10, 1), dataclasses.replace(PLAN, **{field: value}))


@pytest.mark.parametrize(("bfloat16", "precision"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_trains_in_half_precision(bfloat16, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    assert best_precision() == precision


def test_float16_scales_its_gradients_and_passes_over_the_step_that_overflows(architecture, monkeypatch):
    """The scale begins too high, at 2^16: as it falls, so many steps change nothing."""
    scales, steps = [], []
    take = TrainingLoop.take

    def watched(self):
        before = self.model[6].weight.detach().clone()
        times = take(self)
        scales.append(self.scaler.get_scale())
        steps.append(not torch.equal(before, self.model[6].weight))
        return times

    monkeypatch.setattr(TrainingLoop, "take", watched)
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=2.0**40))
    plan = dataclasses.replace(PLAN, epochs=2, precision="float16")
    _, record = train_classifier(architecture, squares(40, 0), squares(20, 1), plan)
    assert record["precision"] == "float16"
    assert record["curves"]["loss"][1] < record["curves"]["loss"][0]
    assert scales[-1] < 2.0**40
    fell = np.diff([2.0**40, *scales]) < 0
    assert steps == [not overflow for overflow in fell]


def test_a_real_architecture_trains_in_bfloat16():
    plan = TrainingPlan(epochs=1, batch_size=4, steps_per_epoch=2, precision="bfloat16", optimizer="adamw")
    state, record = train_classifier("densenet121", squares(8, 0, 0.5), squares(6, 1, 0.5), plan)
    assert record["epochs"] == 1
    assert all(value.dtype in (torch.float32, torch.int64) for value in state.values())
