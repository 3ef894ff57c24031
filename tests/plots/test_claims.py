"""The figure of the ledger: every claim has its line, every answer its mark."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from saltrust.plots.claims import ANSWER_MARKS, claim_answers

GROUPS = {"direction": "Directions", "value": "Numbers", "outside": "Elsewhere"}


@pytest.mark.parametrize("kinds", [["direction", "value", "direction"], ["value"], ["direction"] * 5])
def test_each_claim_has_a_line_and_a_mark_for_each_protocol(kinds):
    words = [["yes", "no"], ["unclear", "yes"], ["no", "no"], ["yes", "yes"], ["unclear", "no"]][: len(kinds)]
    frame = pd.DataFrame(words, columns=["published", "as_run"]).assign(
        kind=kinds, title=[f"claim {i}" for i in range(len(kinds))]
    )
    figure = claim_answers(frame, ["published", "as_run"], GROUPS)
    texts = [label.get_text() for axis in figure.axes for label in axis.get_yticklabels()]
    expected = [t for k, h in GROUPS.items() if k in kinds for t in (h, *frame["title"][frame["kind"] == k])]
    assert texts == expected
    for answer, mark in ANSWER_MARKS.items():
        drawn = [
            len(marks.get_offsets())
            for axis in figure.axes
            for marks in axis.collections
            if plt.matplotlib.colors.same_color(marks.get_facecolor()[0], mark["color"])
        ]
        assert sum(drawn) == (frame[["published", "as_run"]] == answer).to_numpy().sum()
    plt.close(figure)
