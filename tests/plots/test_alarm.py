"""Figures of the alarm say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from saltrust import plots
from saltrust.plots.style import FAIL, PASS, UNDECIDED


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_together_writes_each_share_in_its_cell():
    shares = pd.DataFrame([[1.0, 0.25], [0.5, 1.0]], ["a", "b"], ["a", "b"])
    axis = plots.together(shares).axes[0]
    assert texts(axis) == ["100%", "25%", "50%", "100%"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["where a", "where b"]


def test_the_graph_has_an_edge_for_each_pair_the_thicker_the_nearer():
    apart = np.array([[0, 0.2, 1.0], [0.2, 0, 2.0], [1.0, 2.0, 0]])
    maps = np.zeros((3, 4, 4))
    maps[0, 0, 0] = -5.0
    figure = plots.distance_graph(np.zeros((4, 4), np.uint8), maps, apart, ["a", "b", "c"], ["x", "y", "z"])
    graph = figure.axes[-1]
    widths = [line.get_linewidth() for line in graph.lines]
    assert len(widths) == 3
    assert widths == sorted(widths, reverse=True)
    assert texts(graph)[:3] == ["0.20", "1.00", "2.00"]
    assert "a (x)\nsum 1.20" in texts(graph)
    assert [axis.get_title() for axis in figure.axes[1:4]] == ["a", "b", "c"]
    shown = figure.axes[1].images[0].get_array()
    assert shown.min() <= -1 < shown.max() == 0


def test_gains_are_coloured_by_their_whole_interval():
    gained = pd.DataFrame(
        {"method": list("abc"), "gain": [0.1, 0.0, -0.1], "ci_low": [0.05, -0.1, -0.2], "ci_high": [0.2, 0.1, -0.05]}
    )
    axis = plots.gains_by_alarm(gained, {"a": "A", "b": "B", "c": "C"}).axes[0]
    assert [bar.lines[0].get_color() for bar in axis.containers] == [PASS, UNDECIDED, FAIL]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["A", "B", "C"]


def test_boxes_curves_and_markers_stand_in_the_order_of_their_titles():
    resampled = pd.DataFrame({"a": [0.1, 0.2], "b": [0.8, 0.9]})
    axis = plots.f1_boxes(resampled, {"a": "first", "b": "second"}).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["second", "first"]  # from below
    kept = plots.risk_coverage_curves({"one": (np.array([0.5, 1]), np.array([0.0, 0.3]))}).axes[0]
    assert kept.lines[0].get_ydata().tolist() == [0.0, 0.3]
    table = pd.DataFrame(
        {"score": ["s", "s"], "finding": ["x", "y"], "auroc": [0.6, 0.7], "ci_low": 0.5, "ci_high": 0.8}
    )
    auroc = plots.auroc_by_finding(table, {"s": "S"}).axes[0]
    assert [bar.lines[0].get_xdata().tolist() for bar in auroc.containers] == [[0.6], [0.7]]
    roc = plots.roc_by_finding({"x": (np.array([0, 1]), np.array([0.1, 0.9]))}).axes[0]
    assert roc.lines[0].get_ydata().max() == 1


def test_a_choice_has_a_mark_in_the_row_of_each_of_its_values():
    curve = pd.DataFrame(
        {"map": ["ixg", "lrp"], "reading": ["alike", "alike"], "gain": [-0.1, 0.2], "ci_low": [-0.2, 0.1],
         "ci_high": [0.0, 0.3], "auroc": [0.4, 0.6], "paper": [True, False]}
    )  # fmt: skip
    gain, area, chosen = plots.choice_curve(curve, {"map": "map", "reading": "doubtful where"}).axes
    assert gain.collections[-1].get_offsets()[:, 1].tolist() == [-0.1, 0.2]
    assert area.collections[-1].get_offsets()[:, 1].tolist() == [0.4, 0.6]
    assert [label.get_text() for label in chosen.get_yticklabels()] == ["map: ixg", "map: lrp", "doubtful where: alike"]
    assert [rows.get_offsets().tolist() for rows in chosen.collections] == [[[0, 0]], [[1, 1]], [[0, 2], [1, 2]]]


def test_each_change_has_a_panel_with_wrong_and_flagged_answers():
    rows = [
        {"change": change, "strength": s, "score": score, "wrong": 0.1 + s, "flagged": s}
        for change in ("noise", "tubes") for s in (0.0, 0.5) for score in ("a", "b")
    ]  # fmt: skip
    figure = plots.shift_curves(pd.DataFrame(rows), {"a": "A", "b": "B"}, {"noise": "noise (sd)", "tubes": "tubes"})
    assert [axis.get_xlabel() for axis in figure.axes] == ["noise\n(sd)", "tubes"]
    for axis in figure.axes:
        assert [line.get_ydata().tolist() for line in axis.lines] == [[0.1, 0.6], [0.0, 0.5], [0.0, 0.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["wrong answers", "flagged: A", "flagged: B"]
