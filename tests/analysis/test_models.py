"""What is said of the networks: judged by the interval of a difference, and by where training ended."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.models import auc_differences, compared, still_improving, training_words


def study(scores, **test):
    """A study whose classifiers have such scores of its test images; the first is the main one."""
    key = "test_scores" if "present" in test else "test_probabilities"
    absent = 0 if "present" in test else None
    return SimpleNamespace(
        seed=0,
        networks=SimpleNamespace(
            main=next(iter(scores)),
            classifiers=tuple(scores),
            trained=lambda name: SimpleNamespace(record={key: scores[name].tolist()}),
        ),
        images=SimpleNamespace(split=lambda name: SimpleNamespace(absent=absent, **test)),
    )


def test_networks_are_compared_on_the_same_images():
    rng = np.random.default_rng(0)
    present = np.repeat([False, True], 100)
    main = present + rng.normal(size=200)
    scores = {"main": main, "same": main, "better": main + 2 * present, "worse": rng.normal(size=200)}
    found = auc_differences(study(scores, present=present), n_boot=200).set_index("model")
    assert list(found.index) == ["same", "better", "worse"]
    assert found.loc["same"].tolist() == [0, 0, 0]
    assert 0 < found.loc["better", "ci_low"] < found.loc["better", "difference"]
    assert found.loc["worse", "difference"] < found.loc["worse", "ci_high"] < 0
    assert auc_differences(study({"main": main}, present=present)).empty


def test_networks_of_several_classes_are_compared_by_what_they_say_of_each():
    labels = np.repeat([0, 1, 2], 10)
    noise = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    found = auc_differences(study({"main": noise, "sure": np.eye(3)[labels]}, labels=labels), n_boot=100)
    assert found["ci_low"].item() > 0.2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((0.052, 0.021, 0.083), "Net classifies better than Main, by 0.052 (0.021 to 0.083)."),
        ((-0.052, -0.083, -0.021), "Net classifies worse than Main, by 0.052 (0.021 to 0.083)."),
        (
            (0.01, -0.02, 0.04),
            "Net and Main cannot be told apart by these images (difference \N{MINUS SIGN}0.020 to +0.040).",
        ),
    ],
)
def test_the_interval_decides_what_is_said(row, said):
    table = pd.DataFrame([("net", *row)], columns=["model", "difference", "ci_low", "ci_high"])
    assert compared(table, str.title, "Main") == said
    assert compared(pd.concat([table, table]), str.title, "Main") == f"{said} {said}"
    assert compared(table.iloc[:0], str.title, "Main") == "There is no other network to compare it with."


@pytest.mark.parametrize(
    ("record", "improving"),
    [
        ({"epochs": 5, "best_epoch": 5}, True),
        ({"epochs": 5, "best_epoch": 4}, False),
        ({"stopped": "epochs", "steps": 200, "best_step": 200}, True),
        ({"stopped": "epochs", "steps": 200, "best_step": 150}, False),
        ({"stopped": "target", "steps": 200, "best_step": 200}, False),
        ({}, False),
    ],
)
def test_a_training_whose_end_was_its_best_still_improved(record, improving):
    assert still_improving({"net": record}) == ["net"] * improving


def test_a_training_that_still_improved_is_told():
    done, not_done = {"epochs": 5, "best_epoch": 2}, {"epochs": 5, "best_epoch": 5}
    assert training_words({"A": done, "B": done}) == "No training ended while it still improved."
    assert training_words({"A": {}}) == "Nothing is known of the trainings."
    assert training_words({"A": done, "B": not_done}).startswith("Not converged: B was best when its training ended.")
    assert training_words({"A": not_done, "B": not_done}).startswith("Not converged: A and B were best when their")
