"""Figures of the five-band score say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from saltrust.plots import five_band as plots
from saltrust.scores.five_band import SOFT, Thresholds, stratify


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def picture(axis):
    return axis.images[0].get_array()


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


GRADES = np.array([[0, 0, 1], [0, 1, 2]], np.uint8)
IMAGE = np.full((2, 3, 3), 200, np.uint8)
SIGNED_MAP = np.array([[0.02, -0.1, 0.26], [-1, 0.4, 0.9]])


def test_the_truth_is_white_and_two_reds():
    _, axis = plt.subplots()
    plots.show_grades(axis, GRADES)
    white, light, dark = (to_hex(axis.images[0].to_rgba(np.array([[grade]]))[0, 0]) for grade in range(3))
    assert white == "#ffffff"
    for colour in (light, dark):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert red > green
        assert red > blue
    assert int(light[3:5], 16) > int(dark[3:5], 16)


def test_recall_and_precision_are_points_by_branch_in_panels_by_network():
    frame = pd.DataFrame(
        [
            (panel, network, method, branch, 0.1 * branch * (1 + (panel == "best")), 0.2, 0.05, 0.02)
            for panel in ("average", "best")
            for network in ("ResNet34", "VGG16")
            for method in ("grad", "deeplift")
            for branch in range(3)
        ],
        columns=["panel", "network", "method", "branch", "recall", "precision", "recall_sd", "precision_sd"],
    )
    figure = plots.five_band_scores(frame)
    assert [axis.get_title() for axis in figure.axes] == ["ResNet34", "VGG16", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["average\nprecision", "", "best\nprecision", ""]
    points, _, bars = figure.axes[0].containers[1]
    np.testing.assert_allclose(points.get_xydata(), [[0, 0.2], [0.1, 0.2], [0.2, 0.2]])
    np.testing.assert_allclose(bars[0].get_segments()[1], [[0.05, 0.2], [0.15, 0.2]])
    assert legend(figure) == ["grad", "deeplift"]
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes}) == 1
    assert figure.axes[0].get_xlim()[0] == figure.axes[0].get_ylim()[0] == 0
    # Without spread and panels: one row of points alone.
    plain = plots.five_band_scores(frame[frame["panel"] == "best"].drop(columns=["panel", "recall_sd", "precision_sd"]))
    assert [axis.get_ylabel() for axis in plain.axes] == ["precision", ""]
    assert not plain.axes[0].containers[0][2]


def test_an_inset_enlarges_where_points_crowd():
    recalls = [0.01, 0.02, 0.03, 0.6]
    frame = pd.DataFrame({"network": "VGG16", "method": list("abcd"), "branch": 1, "recall": recalls, "precision": 0.2})
    figure = plots.five_band_scores(frame, insets=True)
    (inset,) = figure.axes[0].child_axes
    shown = sorted(line.get_xdata()[0] for line in inset.lines)
    assert shown == recalls[:3]  # three quarters of the points, and not the one that stands apart
    assert inset.get_xlim()[1] < 0.1 < figure.axes[0].get_xlim()[1]
    assert not plots.five_band_scores(frame).axes[0].child_axes


def curves(swapped):
    frame = pd.DataFrame(
        [
            ("grad", "VGG16", branch, threshold, 0.1 * threshold + 0.02 * branch, 0.3 * threshold)
            for branch in range(2)
            for threshold in range(3)
        ],
        columns=["method", "network", "branch", "threshold", "fpr", "recall"],
    )
    axis = plots.five_band_roc(frame, swapped=swapped).axes[0]
    diagonal, *branches, mean = axis.lines
    for branch, line in enumerate(branches):
        drawn = frame[frame["branch"] == branch][["recall", "fpr"] if swapped else ["fpr", "recall"]]
        np.testing.assert_allclose(line.get_xydata(), drawn)
    assert len(branches) == 2
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("FPR", "recall")
    return mean.get_xdata(), mean.get_ydata()


def test_roc_lines_are_branches_and_their_mean_and_swapped_on_request():
    fpr, recall = curves(swapped=False)
    np.testing.assert_allclose(fpr, [0.01, 0.11, 0.21])
    np.testing.assert_allclose(recall, [0, 0.3, 0.6])
    np.testing.assert_array_equal(curves(swapped=True), (recall, fpr))


def test_every_method_has_a_colour_and_marker_of_its_own():
    styles = plots._styles([f"method {i}" for i in range(12)])
    assert len({(to_hex(colour), marker) for colour, marker in styles.values()}) == 12


def test_colour_channels_share_one_scale():
    raw = np.stack([SIGNED_MAP, 2 * SIGNED_MAP, np.zeros_like(SIGNED_MAP)])
    figure = plots.colour_channels([("grad", IMAGE, GRADES, raw)] * 2)
    assert [axis.get_title() for axis in figure.axes[:5]] == ["image", "truth", "R", "G", "B"]
    for axis, channel in zip(figure.axes[2:5], raw, strict=True):
        np.testing.assert_allclose(picture(axis), channel / 2)
        assert axis.images[0].get_clim() == (-1, 1)
    empty = plots.colour_channels([("grad", IMAGE, GRADES, 0 * raw)])
    assert not picture(empty.axes[2]).any()


@pytest.mark.parametrize("thresholds", [SOFT, Thresholds(0.2, 0.6, 0.1, 2)])
def test_stratified_maps_are_those_of_the_first_and_the_last_pair(thresholds):
    figure = plots.band_grid([("grad", IMAGE, GRADES, SIGNED_MAP)], thresholds)
    pairs = thresholds.pairs()
    for axis, pair in zip(figure.axes[3:], (pairs[0], pairs[-1]), strict=True):
        np.testing.assert_array_equal(picture(axis), stratify(SIGNED_MAP, *pair))
        assert axis.get_title() == "bands\n{:.3g}, {:.3g}".format(*pair)
    assert legend(figure) == list(plots.BAND_LABELS)


def test_a_gallery_says_where_there_is_no_prediction_of_a_kind():
    shown = (IMAGE, GRADES, SIGNED_MAP)
    rows = [("CCell", [shown, shown], ("RCell", shown)), ("RCell", [shown], None), ("empty", [], None)]
    figure = plots.signed_map_gallery(rows)
    axes = np.array(figure.axes).reshape(3, 11)
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["CCell", "RCell", "empty"]
    assert axes[0, 8].get_ylabel() == "as RCell"
    shown_in = [[len(axis.images) for axis in row] for row in axes]
    assert shown_in == [[1, 1, 1, 0] * 2 + [1] * 3, [1, 1, 1] + [0] * 8, [0] * 11]
    nones = [[text.get_text() for axis in row for text in axis.texts] for row in axes]
    assert nones == [[], ["none"] * 2, ["none"] * 3]


def test_a_gallery_of_wrong_predictions_alone():
    figure = plots.signed_map_gallery([("CCell", [], ("RCell", (IMAGE, GRADES, SIGNED_MAP)))])
    assert [len(axis.images) for axis in figure.axes] == [0, 0, 0, 0, 1, 1, 1]


def test_depth_scores_show_classes_as_dots_and_their_mean_as_a_cross():
    frame = pd.DataFrame(
        {"layers": [1, 1, 1, 2], "predicted": ["a", "a", "b", "a"], "recall": [0.1, 0.3, 0.4, 0.5], "precision": 0.2}
    )
    figure = plots.depth_scores(frame)
    axis = figure.axes[0]
    dots, _, cross, _ = axis.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.2, 0.2], [0.4, 0.2]])
    np.testing.assert_allclose(cross.get_offsets(), [[0.3, 0.2]])  # of classes, not of rows
    assert legend(figure) == ["1", "2"]


def test_rank_agreement_shows_each_interval():
    frame = pd.DataFrame(
        [
            ("recall", "AUPRC", "VGG16", 0.5, 0.1, 0.7),
            ("recall", "IoU", "VGG16", -0.2, -0.6, 0.3),
            ("recall", "IoU", "AlexNet", 0.0, -0.4, 0.4),
            ("precision", "IoU", "VGG16", 0.9, 0.8, 1.0),
        ],
        columns=["band", "score", "network", "correlation", "ci_low", "ci_high"],
    )
    figure = plots.rank_agreement(frame)
    axis = figure.axes[0]
    points, _, (bars,) = axis.containers[0]
    np.testing.assert_allclose(points.get_xydata()[:, 0], [0.5, -0.2])
    np.testing.assert_allclose([bar[:, 0] for bar in bars.get_segments()], [[0.1, 0.7], [-0.6, 0.3]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["AUPRC", "IoU"]
    assert [axis.get_title() for axis in figure.axes] == ["recall", "precision"]
    assert legend(figure) == ["VGG16", "AlexNet"]


def test_branches_are_traced_to_where_they_stopped():
    frame = pd.DataFrame(
        [
            {"network": network, "branch": b, "step": 4 * k, "accuracy": 0.9 + 0.01 * k, "counter": k, "limit": 8}
            for network in ("AlexNet", "VGG16")
            for b in (1, 2)
            for k in range(1, 4 + b)
        ]
    )
    figure = plots.branch_traces(frame, 0.96)
    above, below = np.array(figure.axes).reshape(2, 2)[:, 0]
    assert [line.get_xdata()[-1] for line in above.lines[1:]] == [16, 20]  # the first line is the target
    np.testing.assert_allclose(below.lines[1].get_ydata(), np.arange(1, 6) / 8)
    assert legend(figure) == ["1", "2"]
