"""The study from end to end, in a size of seconds: tidy frames, shared artefacts, and every named protocol."""

from dataclasses import replace

import numpy as np
import pytest

from saltrust.errors import SaltrustError
from saltrust.profiles import PROFILES, Training
from saltrust.protocols import PROTOCOLS
from saltrust.scores.auprc import average_precision
from saltrust.store import Store
from saltrust.study import CLASSIFIERS, MAIN, RANDOM, THE_EIGHT, Study, chosen, spread

METHODS = "grad,gradcam,xrai,guided_gradcam"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A profile in which every network trains for one step."""
    one = Training(epochs=1, patience=1, steps=1, batch_size=4)
    smoke = PROFILES["smoke"]
    PROFILES["tiny"] = replace(
        smoke,
        name="tiny",
        train=16,
        val=12,
        test=24,
        explained=3,
        cascaded=2,
        architectures=dict.fromkeys(smoke.architectures, one),
        localizers=dict.fromkeys(smoke.localizers, one),
    )
    yield
    del PROFILES["tiny"]


@pytest.fixture
def study(store):
    return Study("phantom-pneumothorax", "tiny", store=store)


def kinds(store):
    return {kind.name: len(list(kind.glob("[!.]*"))) for kind in store.root.iterdir() if kind.name != ".locks"}


def test_localization_is_tidy_and_has_its_controls(study):
    frame = study.localization(METHODS)
    assert list(frame.columns) == ["image", "method", "model", "auprc"]
    assert not frame.duplicated(["image", "method", "model"]).any()
    assert set(frame["model"]) == {*CLASSIFIERS, RANDOM, "control", "unet-1", "unet-2"}
    assert set(frame["method"]) == {*METHODS.split(","), "average", "constant", "unet"}
    assert frame.groupby(["method", "model"]).size().eq(3).all()
    assert frame["auprc"].between(0, 1).all()
    test = study.data("test")
    truth = test.truth[study.explained[0]]
    first = frame.query("method == 'grad' and model == @MAIN").iloc[0]
    expected = average_precision(np.abs(study.maps("grad")[0]).sum(axis=0), truth)
    assert first["auprc"] == pytest.approx(expected, abs=1e-9)
    constant = frame.query("method == 'constant'").iloc[0]
    assert constant["auprc"] == pytest.approx(truth.mean())


def test_maps_are_made_for_images_with_the_finding(study):
    test = study.data("test")
    assert len(study.explained) == 3
    assert (test.labels[list(study.explained)] == 1).all()
    assert study.cascaded == (study.explained[0], study.explained[-1])
    assert spread(range(10), 4) == (0, 3, 6, 9)
    assert spread((5, 7), 4) == spread((5, 7), None) == (5, 7)


def test_the_cascade_follows_every_stage_and_starts_from_the_trained_maps(study, store):
    frame = study.sensitivity("grad,gradcam")
    assert set(frame["stage"]) == set(study.stages)
    assert len(study.stages) == 13
    assert frame["image"].nunique() == 2
    assert frame["ssim"].between(-1, 1).all()
    before = kinds(store)
    study.sensitivity("grad,gradcam")
    assert kinds(store) == before
    assert list(study.cascade_display("grad")) == ["original", *study.stages]


def test_stability_compares_the_same_images_of_two_models(study):
    for frame, other in (
        (study.repeatability("grad"), "inception_v3-2"),
        (study.reproducibility("grad"), "densenet121-1"),
    ):
        assert set(frame["model"]) == {f"{MAIN} ~ {other}", "unet-1 ~ unet-2"}
        assert frame.groupby("method")["image"].nunique().eq(3).all()
    pairs = study.thresholds("grad")
    assert len(pairs) == 3  # all pairs of three images


def test_verdicts_have_the_promised_columns_and_agree_with_their_numbers(study):
    verdicts = study.verdicts("grad,gradcam", n_boot=200)
    assert {"method", "criterion", "baseline", "value", "reference", "verdict"} <= set(verdicts.columns)
    cells = verdicts.groupby("method").apply(lambda rows: list(zip(rows["criterion"], rows["baseline"], strict=True)))
    expected = [
        ("utility", "average"),
        ("utility", "localizer"),
        ("randomization", "threshold"),
        ("repeatability", "low"),
        ("repeatability", "localizer"),
        ("reproducibility", "low"),
        ("reproducibility", "localizer"),
    ]
    assert all(cell == expected for cell in cells)
    better = np.where(verdicts["criterion"] == "randomization", verdicts["ci_high"] < 0, verdicts["ci_low"] > 0)
    assert ((verdicts["verdict"] == "PASS") == better).all()


def test_examples_answer_each_question_twice(study):
    examples = study.examples("grad,gradcam")
    assert len(examples) == 8
    assert {(e.question, e.answer) for e in examples} == {
        (question, answer)
        for question in ("utility", "randomization", "repeatability", "reproducibility")
        for answer in ("best", "worst")
    }
    assert all(e.first.shape == e.second.shape == e.truth.shape for e in examples)


def test_a_change_of_scoring_recomputes_no_map(study, store, monkeypatch):
    study.localization("grad")
    before = kinds(store)
    trapezoid = replace(PROTOCOLS["corrected"], name="trapezoid", auprc="trapezoid")
    monkeypatch.setitem(PROTOCOLS, "trapezoid", trapezoid)
    frame = Study("phantom-pneumothorax", "tiny", "trapezoid", store=store).localization("grad")
    after = kinds(store)
    assert after.pop("utility") > before.pop("utility")
    assert after == before
    assert frame.query("method == 'constant'")["auprc"].mean() > 0.5


@pytest.mark.parametrize("protocol", ["published", "as_run"])
def test_the_named_protocols_run(store, protocol):
    study = Study("phantom-pneumothorax", "tiny", protocol, store=store)
    verdicts = study.verdicts(METHODS, n_boot=50)
    assert len(verdicts) == 4 * 7
    assert np.isfinite(verdicts[["value", "reference"]]).all(axis=None)
    sign = np.where(verdicts["criterion"] == "randomization", -1, 1)
    assert ((verdicts["verdict"] == "PASS") == (sign * verdicts["difference"] > 0)).all()


def test_faults_count_every_map(study):
    faults = study.faults("grad,gradcam")
    assert faults["maps"].eq(3).all()
    assert len(faults) == 2 * 4


def test_names_are_checked():
    assert chosen("all")[:8] == list(THE_EIGHT)
    for call, message in (
        (lambda: chosen("grad,gardcam"), "did you mean 'gradcam'"),
        (lambda: Study("phantom"), "unknown data set 'phantom'"),
        (lambda: Study("phantom-pneumonia", "quik"), "did you mean 'quick'"),
        (lambda: Study("phantom-pneumonia", "tiny").data("tests"), "did you mean 'test'"),
        (lambda: Study("phantom-pneumonia", "tiny").classifier("resnet-1"), "unknown classifier"),
    ):
        with pytest.raises(SaltrustError, match=message):
            call()
