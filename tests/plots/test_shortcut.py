"""Figures of the shortcut say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from saltrust import plots
from saltrust.plots.shortcut import TRAININGS


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def markers(axis):
    """The middle of every error bar."""
    return [tuple(map(float, np.ravel(bar.lines[0].get_xydata()))) for bar in axis.containers]


def test_changes_are_points_with_their_mean_beside_them():
    rows = [(t, d, "clear", c) for t, d, c in (("shortcut", "tube", 2.0), ("control", "tube", 0.5)) for _ in range(3)]
    changed = pd.DataFrame(rows, columns=["training", "drawn", "on", "change"])
    means = pd.DataFrame(
        [
            ("shortcut", "tube", "clear", 2.0, 1.5, 2.5),
            ("control", "tube", "clear", 0.5, 0.6, 0.7),
        ],  # low above the mean
        columns=["training", "drawn", "on", "effect", "ci_low", "ci_high"],
    )
    figure = plots.logit_changes(changed, means, {("tube", "clear"): "tube drawn"})
    axis = figure.axes[0]
    assert [y for _, y in markers(axis)] == [2.0, 0.5]
    points = [line for line in axis.lines if line.get_marker() == "."]
    assert [line.get_ydata().tolist() for line in points] == [[2.0] * 3, [0.5] * 3]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["tube drawn"]


def test_each_panel_has_both_networks_of_each_method_and_notes_stand_beside_the_last():
    rows = [(m, t, 0.1 * k, 0.0, 1.0) for k, (m, t) in enumerate((m, t) for m in ("grad", "xrai") for t in TRAININGS)]
    frame = pd.DataFrame(rows, columns=["method", "training", "mean", "ci_low", "ci_high"])
    figure = plots.two_trainings({"AUPRC": frame, "above": frame}, {"above": 0.5}, {"grad": "shows it"})
    for axis in figure.axes:
        shortcut, control = axis.containers
        assert shortcut.lines[0].get_xdata().tolist() == pytest.approx([0.0, 0.2])
        assert control.lines[0].get_xdata().tolist() == pytest.approx([0.1, 0.3])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["GRAD", "XRAI"]
    dotted = [[line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"] for axis in figure.axes]
    assert dotted == [[], [0.5]]
    assert [text.get_text() for text in figure.axes[1].texts] == ["shows it"]


def test_a_second_mask_is_outlined_apart_from_the_truth():
    masks = np.zeros((2, 2, 16, 16), bool)
    masks[0, 0, 2:6, 2:6] = masks[0, 1, 8:12, 8:12] = masks[1, 1, 3:9, 3:9] = True
    figure = plots.image_grid(np.zeros((2, 16, 16), np.uint8), ["both", "second alone"], masks, columns=2)

    def colours(axis):
        return [tuple(one.get_edgecolor()[0][:3]) for one in axis.collections]

    cyan, white = plt.matplotlib.colors.to_rgb(plots.TRUTH), (1.0, 1.0, 1.0)
    assert [colours(axis) for axis in figure.axes] == [[cyan, white], [white]]
