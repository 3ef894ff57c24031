"""Does a network read a shortcut, and which maps show it? On logits and scores whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from saltrust.analysis import shortcut
from saltrust.analysis.shortcut import ALWAYS, BELOW, NOT_ASKED, SHOWS, UNDECIDED

STATES = ("clear", "tube", "finding", "both")


def logits(tube, finding, n=40, noise=0.3, seed=0):
    """Of both networks: a patient's own level, plus what tube and finding add. tube, finding: by training."""
    frames = []
    level = np.random.default_rng(seed).normal(size=n)
    for k, training in enumerate(("shortcut", "control")):
        rng = np.random.default_rng((seed, k))
        added = {"clear": 0, "tube": tube[training], "finding": finding[training]}
        added["both"] = added["tube"] + added["finding"]
        columns = {state: level + add + noise * rng.normal(size=n) for state, add in added.items()}
        frames.append(pd.DataFrame({"training": training, "patient": [f"p{i}" for i in range(n)], **columns}))
    return pd.concat(frames, ignore_index=True)


READS = {"shortcut": 3.0, "control": 0.0}
FINDS = {"shortcut": 1.0, "control": 2.0}


def test_areas_are_those_of_the_pairs_of_states():
    """Oracle: scikit-learn on the images of the two states."""
    frame = logits(READS, FINDS)
    found = shortcut.separations(frame, 0.9, 0.05, n_boot=200).set_index(["training", "images"])
    assert len(found) == 10
    for training, own in frame.groupby("training"):
        for name, (ill, well) in shortcut.PAIRS.items():
            scores = np.concatenate([own[ill], own[well]])
            expected = roc_auc_score(np.repeat([1, 0], len(own)), scores)
            row = found.loc[(training, name)]
            assert row["auc"] == pytest.approx(expected)
            assert row["ci_low"] <= row["auc"] <= row["ci_high"]


def test_the_area_as_in_training_is_that_of_images_with_tubes_as_frequent():
    """Oracle: weights of images in scikit-learn."""
    frame = logits(READS, FINDS)
    found = shortcut.separations(frame, 0.9, 0.05, n_boot=20).set_index(["training", "images"])["auc"]
    own = frame[frame["training"] == "shortcut"]
    weights = {"clear": 0.95, "tube": 0.05, "finding": 0.1, "both": 0.9}
    expected = roc_auc_score(
        np.repeat([0, 0, 1, 1], len(own)),
        np.concatenate([own[state] for state in STATES]),
        sample_weight=np.repeat([weights[state] for state in STATES], len(own)),
    )
    assert found["shortcut", shortcut.AS_IN_TRAINING] == pytest.approx(expected)
    # Where the tube alone is read, it helps while it goes with the finding and misleads where it parts.
    assert found["shortcut", "the tube goes with the finding"] > found["shortcut", "no tube"]
    assert found["shortcut", "the tube parts from it"] < 0.5 < found["control", "the tube parts from it"]


def test_a_network_that_reads_the_tube_alone_looks_good_until_the_two_part():
    """Oracle: the solution of the exercise on the tube alone, (1 + 0.9 - 0.05) / 2."""
    states = {"clear": 0.0, "tube": 1.0, "finding": 0.0, "both": 1.0}
    frame = pd.DataFrame({"training": "shortcut", "patient": [*"abc"], **states})
    found = shortcut.separations(frame, 0.9, 0.05, n_boot=20).set_index("images")
    expected = {"as in training": 0.925, "no tube": 0.5, "a tube in both": 0.5, "the tube goes with the finding": 1.0}
    assert found["auc"].to_dict() == pytest.approx(expected | {"the tube parts from it": 0.0})
    assert found["ci_low"].to_dict() == pytest.approx(found["auc"].to_dict())  # patients are alike


def test_intervals_of_areas_resample_patients_with_all_their_images():
    """Of patients whose levels differ by far more than the finding adds, the interval is that of the patients."""
    frame = logits({"shortcut": 0, "control": 0}, {"shortcut": 0.1, "control": 0.1}, n=30, noise=0.0)
    row = shortcut.separations(frame, 0.5, 0.5, n_boot=500).query("images == 'no tube'").iloc[0]
    own = frame[frame["training"] == "shortcut"]
    rng = np.random.default_rng(1)
    areas = []
    for _ in range(500):
        drawn = own.iloc[rng.integers(len(own), size=len(own))]
        areas.append(roc_auc_score(np.repeat([1, 0], len(own)), np.concatenate([drawn["finding"], drawn["clear"]])))
    low, high = np.quantile(areas, (0.025, 0.975))
    assert row["ci_low"] == pytest.approx(low, abs=0.02)
    assert row["ci_high"] == pytest.approx(high, abs=0.02)


def test_a_change_is_within_the_patient():
    changed = shortcut.changes(logits(READS, FINDS, noise=0.0))
    means = changed.groupby(["training", "drawn", "on"])["change"].agg(["mean", "std"])
    assert means.loc[("shortcut", "tube", "clear"), "mean"] == pytest.approx(3)
    assert means.loc[("shortcut", "tube", "finding"), "mean"] == pytest.approx(3)
    assert means.loc[("control", "finding", "tube"), "mean"] == pytest.approx(2)
    assert means["std"].max() == pytest.approx(0, abs=1e-9)  # no level is left


def test_effects_are_means_over_patients_and_their_difference():
    found = shortcut.effects(shortcut.changes(logits(READS, FINDS)), n_boot=200)
    assert len(found) == 3 * 6
    for training, expected in (("shortcut", 3), ("control", 0), ("difference", 3)):
        row = shortcut.effect_of(found, training)
        assert row["effect"] == pytest.approx(expected, abs=0.2)
        assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert shortcut.effect_of(found, "control", "finding", "tube")["effect"] == pytest.approx(2, abs=0.2)
    either = [shortcut.effect_of(found, "shortcut", "tube", on)["effect"] for on in ("clear", "finding", "either")]
    assert either[2] == pytest.approx(np.mean(either[:2]))


@pytest.mark.parametrize(
    ("tube", "reads"),
    [
        ({"shortcut": 2.0, "control": 0.0}, True),
        ({"shortcut": 2.0, "control": 0.5}, True),  # the control is moved, but less
        ({"shortcut": 1.0, "control": 1.0}, False),  # whatever that is, training did not make it
        ({"shortcut": 0.0, "control": 0.0}, False),
        ({"shortcut": -1.0, "control": -2.0}, False),  # the tube speaks against the finding
    ],
)
def test_a_network_reads_the_tube_where_it_raises_the_logit_and_more_than_in_the_control(tube, reads):
    found = shortcut.effects(shortcut.changes(logits(tube, FINDS)), n_boot=200)
    assert shortcut.reads_the_shortcut(found) is reads


def precedences(n=30, **means):
    rng = np.random.default_rng(0)
    rows = [
        (training, method, f"p{i}", mean + 0.05 * rng.normal())
        for method, pair in means.items()
        for training, mean in zip(("shortcut", "control"), pair, strict=True)
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["training", "method", "image", "precedence"])


METHODS = {
    "grad": ((0.8, 0.2), SHOWS),
    "ig": ((0.7, 0.5), SHOWS),  # the control's maps prefer neither: they do not put it above
    "guided_backprop": ((0.9, 0.8), ALWAYS),
    "gradcam": ((0.3, 0.2), BELOW),
    "xrai": ((0.5, 0.2), UNDECIDED),
}


def test_answers_follow_from_whole_intervals():
    frame = precedences(**{method: pair for method, (pair, _) in METHODS.items()})
    found = shortcut.answers(frame, reads=True, n_boot=200).set_index("method")
    assert found["answer"].to_dict() == {method: answer for method, (_, answer) in METHODS.items()}
    row = found.loc["grad"]
    assert row["difference"] == pytest.approx(row["shortcut"] - row["control"])
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    assert set(shortcut.answers(frame, reads=False, n_boot=20)["answer"]) == {NOT_ASKED}


def test_few_patients_cannot_tell_two_maps_apart_that_differ_by_chance():
    rng = np.random.default_rng(3)
    frame = precedences(n=6, grad=(0.55, 0.5))
    frame["precedence"] += 0.3 * rng.normal(size=len(frame))
    assert shortcut.answers(frame, reads=True, n_boot=200)["answer"].item() == UNDECIDED


def test_an_image_without_a_score_is_left_out():
    frame = precedences(grad=(0.8, 0.2))
    frame.loc[0, "precedence"] = np.nan
    assert shortcut.answers(frame, reads=True, n_boot=50)["answer"].item() == SHOWS


def test_gaps_are_paired_by_image_within_state_and_mask():
    rows = []
    rng = np.random.default_rng(0)
    for image in "abcdef":
        level = rng.normal()
        for training, mask, shift in (
            ("shortcut", "tube", 0.3),
            ("control", "tube", 0.0),
            ("shortcut", "finding", -0.1),
        ):
            rows.append((training, "ig", image, "both", mask, level + shift))
        rows.append(("control", "ig", image, "both", "finding", level))
    frame = pd.DataFrame(rows, columns=["training", "method", "image", "seen", "mask", "auprc"])
    found = shortcut.gaps(frame.sample(frac=1, random_state=1), n_boot=50).set_index("mask")
    assert found.loc["tube", ["difference", "ci_low", "ci_high"]].tolist() == pytest.approx([0.3] * 3)
    assert found.loc["finding", ["difference", "ci_low", "ci_high"]].tolist() == pytest.approx([-0.1] * 3)


def test_the_conclusion_names_every_method_once():
    answers = {method: answer for method, (_, answer) in METHODS.items()}
    said = shortcut.conclusion(True, answers)
    assert said.startswith("2 of 5 methods show the shortcut (GRAD, IG): their maps put the tube above the finding")
    for name in ("GRAD", "IG", "GBP", "GCAM", "XRAI"):
        assert said.count(name) == 1
    assert "no map can be asked" in shortcut.conclusion(False, answers)
    assert shortcut.conclusion(True, {"ig": BELOW}).startswith("0 of 1 methods show the shortcut. ")
    assert shortcut.conclusion(True, {"ig": SHOWS}).startswith("1 of 1 methods shows the shortcut (IG): its maps")
