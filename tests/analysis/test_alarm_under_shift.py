"""As films change: all alarms begin at the same rate, and shares are counted over all answers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis import alarm_under_shift
from saltrust.analysis.alarm_under_shift import ALARMS, RATE, answer, ends, shifts, under_shift
from saltrust.datasets.shifts import SHIFTS
from saltrust.study.doubts import DOUBTS, Doubt
from saltrust.study.multilabel import Shift

N, SOME, K = 400, 50, 2


@pytest.fixture
def study():
    """Of the test images a quarter is wrong; after a shift of strength s, the first of s in a hundred besides."""
    present = np.zeros((N, K), bool)

    def predicted(split):
        if isinstance(split, Shift):
            return np.arange(SOME)[:, None].repeat(K, 1) < SOME * split.strength / 100
        return (np.arange(N) % 4 == 0)[:, None].repeat(K, 1)

    return SimpleNamespace(
        split=lambda split: np.zeros(SOME if isinstance(split, Shift) else N),
        present=lambda split: present[: SOME if isinstance(split, Shift) else N],
        predicted=predicted,
    )


@pytest.fixture(autouse=True)
def doubts(monkeypatch):
    """A doubt that is 0 to 1 on unchanged images, and after a shift its strength."""

    def of(study, split):
        if isinstance(split, Shift):
            return np.full((SOME, K), split.strength)
        return np.linspace(0, 1, N)[:, None].repeat(K, 1)

    for name in ALARMS:
        monkeypatch.setitem(DOUBTS, name, Doubt("a doubt", of))


def test_there_is_a_row_for_each_change_strength_and_alarm(study):
    table = under_shift(study)
    assert len(table) == sum(1 + len(change.strengths) for change in SHIFTS.values()) * len(ALARMS)
    assert set(table["images"]) == {SOME}


def test_shares_are_those_of_the_images_shown(study):
    table = under_shift(study).set_index(["change", "strength", "score"])
    start = table.loc[("tubes", 0.0, "margin")]
    assert start["wrong"] == pytest.approx(13 / 50)  # every fourth of the first fifty
    assert start["flagged"] == 0  # the first fifty are the least doubtful
    end = table.loc[("tubes", 4.0, "margin")]
    assert end["wrong"] == pytest.approx(0.04)
    assert end["flagged"] == 1
    assert table.loc[("noise", 0.03, "ixg"), "flagged"] == 0  # below what a tenth of the validation answers exceed


def test_alarms_flag_a_tenth_where_nothing_has_changed(study, monkeypatch):
    monkeypatch.setattr(study, "split", lambda split: np.zeros(N))
    table = under_shift(study)
    start = table[table["strength"] == 0]
    np.testing.assert_allclose(start["flagged"], RATE, atol=1 / N)


def test_each_strength_is_a_shift(study):
    assert [(s.change, s.strength) for s in shifts()] == [
        (name, strength) for name, change in SHIFTS.items() for strength in change.strengths
    ]
    assert set(ALARMS) <= set(alarm_under_shift.DOUBTS)


def moved(flags):
    """By alarm, what it flags without a change and at the end of two; wrong answers go from 20 % to 30 and 15 %."""
    rows = []
    for change, wrong, place in (("noise", 0.3, 1), ("tubes", 0.15, 2)):
        for score, shares in flags.items():
            rows += [
                {"change": change, "strength": s, "score": score, "wrong": w, "flagged": f}
                for s, w, f in ((0.0, 0.2, shares[0]), (1.0, wrong, shares[place]))
            ]
    return pd.DataFrame(rows)


def test_the_text_has_the_shares_at_both_ends():
    told = ends(moved({"ixg": (0.1, 0.25, 0.0)}))
    assert {name: share for name, share in told.items() if not np.isnan(share)} == {
        "wrong_at_first": 0.2, "flags_ixg_at_first": 0.1, "wrong_noise": 0.3, "flags_ixg_noise": 0.25,
        "wrong_tubes": 0.15, "flags_ixg_tubes": 0.0,
    }  # fmt: skip
    assert np.isnan(told["flags_ensemble_tubes"])  # not to be had


def test_an_alarm_warns_that_rises_with_the_wrong_answers_wherever_they_rise():
    titles = {"a": "A", "b": "B"}
    assert answer(moved({"a": (0.1, 0.25, 0.0), "b": (0.1, 0.15, 0.9)}), titles).endswith("every change rises: A.")
    assert answer(moved({"b": (0.1, 0.15, 0.9)}), titles).startswith("No alarm of the 1")
    calm = moved({"a": (0.1, 0.25, 0.0)}).assign(wrong=0.2)
    assert answer(calm, titles).startswith("No change costs answers")
