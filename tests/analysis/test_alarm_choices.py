"""Every choice is tried once, the paper's among them, and each doubt is what its choice says."""

from types import SimpleNamespace

import numpy as np
import pytest

from saltrust.analysis import alarm_choices
from saltrust.analysis.alarm_choices import CHOICES, PAPER, Choice
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
    for place, key in enumerate((m, p, s) for m in ("input_x_gradient", "lrp") for p in PREPARATIONS for s in N):
        found = np.random.default_rng(place).uniform(0, 2, (N[key[2]], K, K))
        apart[key] = (found + found.swapaxes(1, 2)) / 2
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
        distances=lambda split, method, random=False, preparation="signed": apart[method, preparation, split],
    )


def test_each_choice_is_tried_once_and_the_papers_are_among_them(study):
    table = alarm_choices.curve(study, n_boot=4)
    assert len(table) == len(CHOICES) == len(set(CHOICES)) == 2 * len(PREPARATIONS) * 2 * 2
    assert table["paper"].sum() == len(PAPER) == 2
    assert table["gain"].is_monotonic_increasing
    assert (table["ci_low"] <= table["ci_high"]).all()


def test_the_papers_choice_is_the_doubt_of_that_name(study):
    for name, choice in zip(("ixg", "lrp"), PAPER, strict=True):
        np.testing.assert_array_equal(choice.doubt(study, "test"), DOUBTS[name].of(study, "test"))


def test_to_read_the_other_way_turns_the_area_round(study):
    table = alarm_choices.curve(study, n_boot=2).set_index(["method", "preparation", "reading", "summary"])["auroc"]
    for choice in CHOICES:
        if choice.reading == "alike":
            other = table[(choice.method, choice.preparation, "apart", choice.summary)]
            assert table[tuple(vars(choice).values())] == pytest.approx(1 - other)


def test_the_nearest_map_is_at_most_a_share_of_the_sum(study):
    total, least = (Choice("ixg", "signed", "apart", summary).doubt(study, "val") for summary in ("sum", "nearest"))
    assert (least <= total / (K - 1)).all()
