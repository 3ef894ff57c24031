"""Every choice is tried once, the paper's among them, and each doubt is what its choice says."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from saltrust.analysis import alarm_choices
from saltrust.analysis.alarm_choices import LARGE_EPSILON, Choice, choices, of_paper
from saltrust.scores.alarm import youden
from saltrust.scores.distinctness import PREPARATIONS
from saltrust.study.doubts import DOUBTS

N, K = {"val": 60, "test": 50}, 3


@pytest.fixture
def study():
    rng = np.random.default_rng(0)
    present = {split: rng.random((n, K)) < 0.4 for split, n in N.items()}
    logits = {split: p + rng.normal(size=p.shape) for split, p in present.items()}
    thresholds = np.array([youden(logits["val"][:, k], present["val"][:, k]) for k in range(K)])
    apart = {}
    methods = (("input_x_gradient", None), ("lrp", 1e-6), ("lrp", LARGE_EPSILON))
    for place, key in enumerate((*m, p, s) for m in methods for p in PREPARATIONS for s in N):
        found = np.random.default_rng(place).uniform(0, 2, (N[key[3]], K, K))
        apart[key] = (found + found.swapaxes(1, 2)) / 2

    def distances(split, method, random=False, preparation="signed", epsilon=None):
        epsilon = 1e-6 if method == "lrp" and epsilon is None else epsilon
        return apart[method, epsilon, preparation, split]

    return SimpleNamespace(
        findings=("a", "b", "c"),
        study=SimpleNamespace(seed=0),
        thresholds=thresholds,
        logits=lambda split: logits[split],
        present=lambda split: present[split],
        predicted=lambda split: logits[split] >= thresholds,
        split=lambda split: present[split],
        clusters=lambda split: None,
        unexplained=lambda method: "",
        alarm_methods={"ixg": "input_x_gradient", "lrp": "lrp"},
        distances=distances,
    )


def test_each_choice_is_tried_once_and_the_papers_are_among_them(study):
    table = alarm_choices.curve(study, n_boot=4)
    assert len(table) == len(set(choices(study))) == 3 * len(PREPARATIONS) * 2 * 2
    assert table["paper"].sum() == 2
    assert set(table.loc[table["method"] == "lrp", "epsilon"]) == {1e-6, LARGE_EPSILON}
    assert table["gain"].is_monotonic_increasing
    assert (table["ci_low"] <= table["ci_high"]).all()


def test_the_papers_choice_is_the_doubt_of_that_name(study):
    for name, choice in zip(("ixg", "lrp"), of_paper(study), strict=True):
        np.testing.assert_array_equal(choice.doubt(study, "test"), DOUBTS[name].of(study, "test"))


def test_to_read_the_other_way_turns_the_area_round(study):
    table = alarm_choices.curve(study, n_boot=2)
    areas = {
        Choice(*row[:5]): row[5] for row in table[[*vars(choices(study)[0]), "auroc"]].replace({np.nan: None}).values
    }
    for choice in choices(study):
        if choice.reading == "alike":
            assert areas[choice] == pytest.approx(1 - areas[replace(choice, reading="apart")])


def test_the_nearest_map_is_at_most_a_share_of_the_sum(study):
    total, least = (
        Choice("ixg", None, "signed", "apart", summary).doubt(study, "val") for summary in ("sum", "nearest")
    )
    assert (least <= total / (K - 1)).all()


def test_a_method_without_an_epsilon_has_no_such_choice(study):
    study.alarm_methods = {"ixg": "input_x_gradient", "lrp": "captum:lrp"}
    assert {choice.epsilon for choice in choices(study)} == {None}
