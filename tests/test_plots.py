"""Figures say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from saltrust import plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_verdict_matrix_says_each_verdict_in_words_and_colour():
    verdicts = pd.DataFrame(
        [("grad", "utility", "average", 0.3, 0.2, "PASS"), ("xrai", "utility", "average", 0.1, 0.2, "FAIL")],
        columns=["method", "criterion", "baseline", "value", "reference", "verdict"],
    )
    figure = plots.verdict_matrix(verdicts)
    assert texts(figure) == ["PASS", "0.30 / 0.20", "FAIL", "0.10 / 0.20"]
    assert [plt.matplotlib.colors.to_hex(p.get_facecolor()) for p in figure.axes[0].patches] == [plots.PASS, plots.FAIL]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["GRAD", "XRAI"]


def test_cascade_curves_start_at_one_and_show_the_threshold():
    stages = ["logits", "stem"]
    summary = pd.DataFrame(
        {"method": "grad", "stage": stages, "mean": [0.6, 0.2], "ci_low": [0.5, 0.1], "ci_high": [0.7, 0.3]}
    )
    axis = plots.cascade_curves(summary, {"grad": 0.4}, {"grad": 0.1}, stages).axes[0]
    curve, threshold, null = axis.lines
    assert set(null.get_ydata()) == {0.1}
    np.testing.assert_allclose(curve.get_ydata(), [1.0, 0.6, 0.2])
    assert set(threshold.get_ydata()) == {0.4}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["original", *stages]


def test_a_precision_recall_figure_ends_at_full_recall():
    rng = np.random.default_rng(0)
    truth = np.zeros((16, 16), bool)
    truth[4:8, 4:8] = True
    figure = plots.precision_recall(rng.integers(0, 255, (16, 16)), truth, {"A": rng.random((16, 16))}, {"A": 0.1})
    curve, constant = figure.axes[-1].lines
    assert curve.get_xdata()[-1] == 1
    assert curve.get_ydata()[-1] == pytest.approx(truth.mean())
    assert set(constant.get_ydata()) == {truth.mean()}


def test_map_grids_outline_the_truth_and_note_the_scores():
    image, truth = np.zeros((2, 8, 8))
    truth[2:4, 2:4] = 1
    figure = plots.map_grid([("one", image, truth.astype(bool), {"GRAD": image})], [{"GRAD": "0.50"}])
    assert figure.axes[1].get_title() == "GRAD\n0.50"
    assert all(axis.collections for axis in figure.axes)  # the outline


def test_labels_are_the_papers():
    assert [plots.abbreviation(m) for m in ("grad", "guided_gradcam", "average", "unet")] == [
        "GRAD",
        "GGCAM",
        "AVG",
        "U-Net",
    ]
