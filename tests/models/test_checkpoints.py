"""Interrupted trainings go on to the very weights and record that they would have had."""

import dataclasses
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from saltrust.core.labelled_images import Split
from saltrust.models import checkpoints, training_loop
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.models.branching import BranchPlan, train_base, train_branch
from saltrust.models.checkpoints import FILE, Checkpoint, identity
from saltrust.models.localizers import train_localizer
from saltrust.models.training import fit, train_classifier
from saltrust.models.training_loop import Objective, TrainingLoop
from saltrust.models.training_plan import TrainingPlan
from saltrust.models.unet import UNetPlan

EPOCHS, STEPS = 3, 4


def squares(n: int, seed: int, size: int = 32) -> Split:
    """Noise; every second image has a bright square."""
    rng = np.random.default_rng(seed)
    labels, truth = np.arange(n) % 2, np.zeros((n, size, size), bool)
    truth[labels == 1, 8:16, 4:12] = True
    pixels = (rng.integers(40, 120, truth.shape) + 90 * truth).astype(np.uint8)
    boxes = np.array([(i, 4, 8, 12, 16) for i in np.flatnonzero(labels)], np.float32)
    return Split(pixels, labels, truth, boxes, np.arange(n).astype(str), classes=("none", "square"))


def tiny(n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(4, n_outputs),
    )  # fmt: skip


TINY = Architecture("tiny", "Tiny", tiny, dict, 1e-3, (Stage("logits", ("6",)), Stage("stem", ("1", "0"))))
TRAIN, VAL = squares(22, 0), squares(12, 1)
PLAN = TrainingPlan(
    epochs=EPOCHS, patience=EPOCHS, batch_size=5, steps_per_epoch=STEPS, learning_rate=0.02, schedule="one_cycle"
)
UNET = UNetPlan(
    epochs=EPOCHS, batch_size=4, steps_per_epoch=STEPS, features=(4, 4, 4, 4, 4, 4), learning_rate=0.01,
    schedule="plateau", optimizer="sgd",
)  # fmt: skip
BRANCHING = BranchPlan(
    dataclasses.replace(PLAN, augment=True), dataclasses.replace(PLAN, learning_rate=1e-3), every=3, target=1.0,
    limit=100, shard=4,
)  # fmt: skip


def branch(unfinished: Path | None = None):
    ARCHITECTURES.setdefault("tiny", TINY)
    return train_branch("tiny", tiny_state(), TRAIN, VAL, BRANCHING, 1, unfinished=unfinished)


def tiny_state() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tiny(2).state_dict()


TRAININGS = {
    "classifier": partial(train_classifier, "tiny", TRAIN, VAL, PLAN),
    "float16": partial(train_classifier, "tiny", TRAIN, VAL, dataclasses.replace(PLAN, precision="float16")),
    "localizer": partial(train_localizer, "unet", TRAIN, VAL, UNET),
    "base": partial(train_base, "tiny", TRAIN, BRANCHING),
    "branch": branch,
}


@pytest.fixture(autouse=True, scope="module")
def _tiny():
    ARCHITECTURES["tiny"] = TINY
    yield
    del ARCHITECTURES["tiny"]


@pytest.fixture(scope="module")
def uninterrupted():
    """name -> what the training gives when nothing happens to it."""
    return {name: train() for name, train in TRAININGS.items()}


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)


class KilledError(BaseException):
    """What a test does to a training."""


@pytest.fixture
def kill(monkeypatch):
    """kill(training, step, folder): run it until a step begins, which never ends; the steps that it took."""
    take = TrainingLoop.take

    def until(train, step: int, folder: Path) -> int:
        taken = []

        def limited(self):
            if len(self.losses) + 1 == step:
                raise KilledError
            taken.append(step)
            return take(self)

        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(TrainingLoop, "take", limited)
            train(unfinished=folder)
        return len(taken)

    return until


def same(one, other) -> bool:
    """Whether weights and records agree to the last bit, but for the seconds."""
    (state, record), (state_, record_) = one, other
    return (
        state.keys() == state_.keys()
        and all(torch.equal(state[name], state_[name]) for name in state)
        and record | {"seconds": 0} == record_ | {"seconds": 0}
    )


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("step", [1, 2, STEPS, STEPS + 1, EPOCHS * STEPS])
def test_a_killed_training_goes_on_to_the_same_weights(name, step, uninterrupted, often, kill, tmp_path):
    assert kill(TRAININGS[name], step, tmp_path) == step - 1
    assert (tmp_path / FILE).exists() == (step > 1)
    assert same(TRAININGS[name](unfinished=tmp_path), uninterrupted[name])


@pytest.mark.parametrize("step", range(1, 11))
def test_a_rate_that_has_fallen_stays_down(step, often, kill, tmp_path):
    """A weight that grows by the learning rate, without a better score after the first epoch, killed at any epoch."""
    plan = TrainingPlan(
        epochs=10, patience=10, batch_size=2, steps_per_epoch=1, learning_rate=1.0, optimizer="sgd", schedule="plateau"
    )

    def climb(unfinished: Path | None = None):
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        objective = Objective(lambda indices, rng: None, lambda batch: -model.weight.sum())
        return fit(
            model, np.array([0, 1]), objective, lambda: -model.weight.item(), plan, "climb", "score",
            unfinished=unfinished,
        )  # fmt: skip

    kill(climb, step, tmp_path)
    found = climb(unfinished=tmp_path)
    assert same(found, climb())
    growth = -np.diff(found[1]["curves"]["score"])
    assert growth[-1] < growth[:4].max() / 5  # momentum fades after the rate fell


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, EPOCHS * STEPS), min_size=2, max_size=4, unique=True).map(sorted))
def test_a_training_may_be_killed_again_and_again(uninterrupted, often, kill, tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("unfinished")
    for name in ("classifier", "branch"):
        taken = sum(kill(TRAININGS[name], step, folder / name) for step in steps)
        assert taken == steps[-1] - 1  # no step twice
        assert same(TRAININGS[name](unfinished=folder / name), uninterrupted[name])


def test_a_process_that_is_killed_leaves_what_another_goes_on_from(uninterrupted, tmp_path):
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_checkpoints as here
here.checkpoints.INTERVAL = 0.0
here.ARCHITECTURES["tiny"] = here.TINY
take = here.TrainingLoop.take
here.TrainingLoop.take = lambda self: take(self) if len(self.losses) < 6 else os.kill(os.getpid(), signal.SIGKILL)
here.train_classifier("tiny", here.TRAIN, here.VAL, here.PLAN, unfinished={str(tmp_path)!r})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(torch.load(tmp_path / FILE, weights_only=True)["state"]["descent"]["losses"]) == 6
    assert same(TRAININGS["classifier"](unfinished=tmp_path), uninterrupted["classifier"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_step_and_is_then_obeyed(number, uninterrupted, monkeypatch, tmp_path):
    def stop(*_):
        raise KilledError

    take = TrainingLoop.take

    def interrupted(self):
        if len(self.losses) == 5:
            signal.raise_signal(number)
        return take(self)

    before = signal.signal(number, stop)
    try:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(TrainingLoop, "take", interrupted)
            TRAININGS["classifier"](unfinished=tmp_path)
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert len(torch.load(tmp_path / FILE, weights_only=True)["state"]["descent"]["losses"]) == 6
    assert same(TRAININGS["classifier"](unfinished=tmp_path), uninterrupted["classifier"])


def test_a_second_signal_acts_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path, ""):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_signal_in_the_last_step_is_obeyed_after_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), Checkpoint(tmp_path, "") as checkpoint:
        signal.raise_signal(signal.SIGINT)
        assert checkpoint.due


def test_without_a_folder_signals_act_as_ever_and_nothing_is_due(often):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Checkpoint(None, "") as checkpoint:
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        assert not checkpoint.due


def test_a_training_shorter_than_the_interval_writes_nothing(tmp_path):
    TRAININGS["classifier"](unfinished=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(uninterrupted, often, monkeypatch, tmp_path):
    save, written = torch.save, []

    def cut(value, file):
        written.append(len(value["state"]["descent"]["losses"]))
        if written[-1] == 7:
            file.write(b"half a file")
            raise KilledError
        save(value, file)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(torch, "save", cut)
        TRAININGS["classifier"](unfinished=tmp_path)
    assert len(torch.load(tmp_path / FILE, weights_only=True)["state"]["descent"]["losses"]) == 6
    assert same(TRAININGS["classifier"](unfinished=tmp_path), uninterrupted["classifier"])


def test_a_full_disk_is_a_warning_and_the_training_goes_on(uninterrupted, often, monkeypatch, tmp_path):
    def full(value, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match="no checkpoint at .*No space left on device"):
        assert same(TRAININGS["classifier"](unfinished=tmp_path), uninterrupted["classifier"])
    assert not (tmp_path / FILE).exists()


class Trap:
    """Something that a checkpoint never holds, and that acts when it is read."""

    def __reduce__(self):
        return pytest.fail, ("the checkpoint was unpickled",)


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "object", "incomplete"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(damage, uninterrupted, often, kill, tmp_path):
    kill(TRAININGS["classifier"], 6, tmp_path)
    file = tmp_path / FILE
    whole = file.read_bytes()
    contents = {"empty": b"", "cut": whole[: len(whole) // 2], "noise": np.random.default_rng(0).bytes(1000)}
    if damage in contents:
        file.write_bytes(contents[damage])
    else:
        torch.save(Trap() if damage == "object" else {"state": {}}, file)
    with pytest.warns(UserWarning, match="training.pt is damaged .*; training starts over"):
        assert same(TRAININGS["classifier"](unfinished=tmp_path), uninterrupted["classifier"])


def test_the_checkpoint_of_another_training_is_passed_over_with_a_warning(uninterrupted, often, kill, tmp_path):
    other = partial(train_classifier, "tiny", TRAIN, VAL, dataclasses.replace(PLAN, seed=1))
    kill(other, 6, tmp_path / "other")
    shutil.copytree(tmp_path / "other", tmp_path / "mine")
    with pytest.warns(UserWarning, match="is of another training, or another device; training starts over"):
        assert same(TRAININGS["classifier"](unfinished=tmp_path / "mine"), uninterrupted["classifier"])


def test_the_identity_is_of_weights_parts_and_device(monkeypatch):
    state, bits = {"w": torch.zeros(2), "n": torch.tensor(0)}, {"w": torch.zeros(2, dtype=torch.bfloat16)}
    known = identity(state, "title", PLAN)
    assert known == identity({name: value.clone() for name, value in state.items()}, "title", PLAN)
    others = [
        identity(state | {"w": torch.tensor([0.0, 1e-9])}, "title", PLAN),
        identity(state, "title", dataclasses.replace(PLAN, epochs=9)),
        identity(bits, "title", PLAN),
    ]
    monkeypatch.setattr(checkpoints, "device", lambda: torch.device("cuda"))
    others.append(identity(state, "title", PLAN))
    assert len({known, *others}) == 5


def test_seconds_add_up_over_the_processes_that_a_training_ran_in(often, kill, tmp_path):
    kill(TRAININGS["classifier"], 6, tmp_path)
    kept = torch.load(tmp_path / FILE, weights_only=True)
    assert 0 < kept["seconds"] < 100
    torch.save(kept | {"seconds": 1000.0}, tmp_path / FILE)
    _, record = TRAININGS["classifier"](unfinished=tmp_path)
    assert 1000 < record["seconds"] < 1100


def test_the_estimate_is_said_once_after_a_few_steps(monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(training_loop, "say", said.append)
    seconds = iter([(5.0, 90.0)] + [(0.5, 2.0)] * 11)
    take = TrainingLoop.take
    monkeypatch.setattr(TrainingLoop, "take", lambda self: (take(self), next(seconds))[1])
    TRAININGS["classifier"]()
    (line,) = [line for line in said if "data loading" in line]
    assert line.startswith("training Tiny  about 0:12 for 6 of 3 x 4 steps on ")
    assert "0:03 of it data loading" in line
