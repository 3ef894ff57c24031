"""Figures say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.metrics import average_precision_score

from saltrust import plots
from saltrust.core.outcomes import OUTCOMES
from saltrust.methods.registry import label_of
from saltrust.study.five_band import TITLES


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_verdict_matrix_says_each_verdict_in_words_and_colour():
    verdicts = pd.DataFrame(
        [
            ("grad", "utility", "average", 0.3, 0.2, "PASS"),
            ("ig", "utility", "average", 0.25, 0.2, "UNDECIDED"),
            ("xrai", "utility", "average", 0.1, 0.2, "FAIL"),
        ],
        columns=["method", "criterion", "baseline", "value", "reference", "verdict"],
    )
    figure = plots.verdict_matrix(verdicts)
    assert texts(figure) == ["PASS", "0.30 / 0.20", "UNDECIDED", "0.25 / 0.20", "FAIL", "0.10 / 0.20"]
    grounds = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    assert [grounds[0], grounds[2]] == [to_rgb(plots.PASS), to_rgb(plots.FAIL)]
    grey = [np.dot(ground, (0.299, 0.587, 0.114)) for ground in grounds]  # as printed without colour
    assert grey[1] > max(grey[0], grey[2]) + 0.3
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["GRAD", "IG", "XRAI"]


def test_each_verdict_fits_its_cell():
    rows = [
        ("grad", f"criterion {k}", "low", 0.3, 0.2, verdict) for k, verdict in enumerate((*OUTCOMES, *OUTCOMES, "PASS"))
    ]
    verdicts = pd.DataFrame(rows, columns=["method", "criterion", "baseline", "value", "reference", "verdict"])
    figure = plots.verdict_matrix(verdicts)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    width = axis.transData.transform((1, 0))[0] - axis.transData.transform((0, 0))[0]
    assert all(text.get_window_extent().width < width for text in axis.texts)


def test_cascade_curves_start_at_one_and_show_the_threshold():
    stages = ["logits", "stem"]
    summary = pd.DataFrame(
        {"method": "grad", "stage": stages, "mean": [0.6, 0.2], "ci_low": [0.5, 0.1], "ci_high": [0.7, 0.3]}
    )
    axis = plots.cascade_curves(summary, {"grad": 0.4}, {"grad": 0.1}, stages).axes[0]
    curve, threshold, null, end = axis.lines
    assert set(end.get_xdata()) == {2}  # the original is at 0
    ended = plots.cascade_curves(summary, {"grad": 0.4}, {"grad": 0.1}, stages, "logits").axes[0]
    assert set(ended.lines[-1].get_xdata()) == {1}
    assert set(null.get_ydata()) == {0.1}
    np.testing.assert_allclose(curve.get_ydata(), [1.0, 0.6, 0.2])
    assert set(threshold.get_ydata()) == {0.4}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["original", *stages]


def test_likeness_has_a_panel_for_each_score_and_one_for_what_the_maps_find():
    rows = [(m, s, 0.1 * i, 0.3) for i, m in enumerate(("grad", "xrai")) for s in ("ssim", "hog")]
    utility = pd.DataFrame({"method": ["xrai", "grad"], "trained": [0.9, 0.8], "random": [0.4, 0.7]})
    figure = plots.likeness(pd.DataFrame(rows, columns=["method", "score", "random", "threshold"]), utility)
    assert [axis.get_title() for axis in figure.axes] == ["SSIM", "HOG", "AUPRC"]
    thresholds, random = figure.axes[1].collections
    np.testing.assert_allclose(thresholds.get_offsets(), [(0.3, 0), (0.3, 1)])
    np.testing.assert_allclose(random.get_offsets(), [(0.0, 0), (0.1, 1)])
    _, trained, untrained = figure.axes[2].collections
    np.testing.assert_allclose(trained.get_offsets(), [(0.8, 0), (0.9, 1)])
    np.testing.assert_allclose(untrained.get_offsets(), [(0.7, 0), (0.4, 1)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "different images",
        "random weights",
        "trained weights",
    ]


def test_the_area_under_the_drawn_steps_is_the_average_precision():
    rng = np.random.default_rng(0)
    truth = np.zeros((16, 16), bool)
    truth[4:8, 4:8] = True
    values = rng.integers(0, 9, (16, 16)) / 8  # ties: the first value reached holds several pixels of the truth
    figure = plots.precision_recall(rng.integers(0, 255, (16, 16)), truth, {"A": values}, {"A": 0.1})
    curve, constant = figure.axes[-1].lines
    assert curve.get_drawstyle() == "steps-pre"
    recall, precision = curve.get_data()
    assert recall[0] == 0
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(truth.mean())
    area = np.sum(np.diff(recall) * precision[1:])  # "pre": a value holds from the point before
    assert area == pytest.approx(average_precision_score(truth.ravel(), values.ravel()))
    assert set(constant.get_ydata()) == {truth.mean()}


def test_a_map_of_nothing_is_left_empty():
    image, truth = np.zeros((8, 8)), np.zeros((8, 8), bool)
    truth[2:5, 2:5] = True
    figure = plots.map_grid([("one", image, truth, {"GRAD": image, "IG": np.full_like(image, np.nan)})])
    assert [len(axis.collections) for axis in figure.axes] == [1, 1, 0]  # outlines


def test_map_grids_outline_the_truth_and_note_the_scores():
    image, truth = np.zeros((2, 8, 8))
    truth[2:4, 2:4] = 1
    figure = plots.map_grid([("one", image, truth.astype(bool), {"GRAD": image})], [{"GRAD": "0.50"}])
    assert figure.axes[1].get_title() == "GRAD\n0.50"
    assert all(axis.collections for axis in figure.axes)  # the outline


def test_the_outline_shows_on_every_colour_of_a_map_and_on_every_grey():
    def luminance(colours):
        linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    line, edge = (luminance(np.array(to_rgb(colour))) for colour in (plots.TRUTH, plots.EDGE))
    for name in (plots.MAP, "gray"):
        ground = luminance(plt.get_cmap(name)(np.linspace(0, 1, 256))[:, :3])
        against = [(np.maximum(one, ground) + 0.05) / (np.minimum(one, ground) + 0.05) for one in (line, edge)]
        assert np.maximum(*against).min() >= 3  # as WCAG asks of what must be seen in a picture
    _, axis = plt.subplots()
    plots.outline(axis, np.eye(8, dtype=bool))
    assert axis.collections[0].get_path_effects()


def test_a_row_of_many_maps_takes_several_lines():
    image = np.zeros((8, 8))
    rows = [(label, image, None, dict.fromkeys("ABCDE", image)) for label in ("one", "two")]
    figure = plots.map_grid(rows, across=2)
    assert [axis.get_title() for axis in figure.axes] == ["", *"ABCDE"] * 2
    assert [axis.get_ylabel() for axis in figure.axes[::6]] == ["one", "two"]
    boxes = [axis.get_position() for axis in figure.axes]
    width, height = figure.get_size_inches()
    for box in boxes:
        assert box.width * width == pytest.approx(box.height * height)  # square: no empty bands
    columns = np.unique(np.round([box.x0 for box in boxes], 6), return_inverse=True)[1]
    lines = np.unique(np.round([-box.y0 for box in boxes], 6), return_inverse=True)[1]
    assert columns.tolist() == [0, 1, 2, 1, 2, 1] * 2
    assert lines.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4, 5]


def test_lines_of_maps_without_titles_stand_close():
    image = np.zeros((8, 8))
    figure = plots.map_grid([(str(i), image, None, {"A": image, "B": image}) for i in range(3)])
    tops = [axis.get_position().y1 for axis in figure.axes[::3]]
    bottoms = [axis.get_position().y0 for axis in figure.axes[::3]]
    gaps = (np.array(bottoms[:-1]) - tops[1:]) * figure.get_figheight()
    assert (gaps > 0).all()
    assert (gaps < 0.15).all()


def test_labels_of_rows_that_stand_close_do_not_meet():
    image = np.zeros((8, 8))
    figure = plots.map_grid([("DenseNet121, replicate", image, None, dict.fromkeys("ABCDEFGH", image))] * 2)
    figure.canvas.draw()
    above, below = (axis.yaxis.label.get_window_extent() for axis in figure.axes[::9])
    assert above.y0 > below.y1


def test_labels_are_the_papers():
    labels = {"grad": "GRAD", "guided_gradcam": "GGCAM", "average": "AVG", "unet": "U-Net", "sobel": "SOBEL"}
    labels |= {title: title for title in TITLES.values()}
    assert {method: label_of(method) for method in labels} == labels


def test_a_scale_of_similarity_shows_each_pair_by_method():
    rows = [("surrogates", "grad", 0.1), ("surrogates", "unet", 0.4), ("replicate", "grad", 0.6)]
    figure = plots.similarity_scale(pd.DataFrame(rows, columns=["pair", "method", "mean"]), 0.5)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["GRAD", "U-Net"]
    surrogates, replicate = axis.collections
    np.testing.assert_allclose(surrogates.get_offsets(), [(0.1, 0), (0.4, 1)])
    np.testing.assert_allclose(replicate.get_offsets(), [(0.6, 0)])
    assert set(axis.lines[0].get_xdata()) == {0.5}


@pytest.mark.parametrize("criteria", [("repeatability", "reproducibility"), ("reproducibility",)])
def test_the_low_baseline_of_stability_is_one_line_or_lies_on_its_own_box(criteria):
    means = {("grad", c): 0.3 + 0.2 * k for k, c in enumerate(criteria)} | {("xrai", c): 0.8 for c in criteria}
    means[("unet", criteria[0])] = 0.9  # the localizers stand beside one criterion, and are not judged
    rows = [(m, c, mean + step) for (m, c), mean in means.items() for step in (-0.02, -0.01, 0.01, 0.02)]
    frame = pd.DataFrame(rows, columns=["method", "criterion", "ssim"])
    low = {c: {"grad": 0.1 * (k + 1), "xrai": 0.05 * (k + 1)} for k, c in enumerate(criteria)}
    axis = plots.stability_boxes(frame, low).axes[0]
    (marks,) = axis.collections
    drawn = {round(segment[:, 0].mean(), 2): segment[:, 1] for segment in marks.get_segments()}
    assert len(drawn) == 2 * len(criteria)
    boxes = [patch.get_path().vertices for patch in axis.patches if patch.get_path().vertices[:, 1].min() > 0.1]
    centres = {round(box[:, 1].min() + 0.01, 1): box[:, 0].min() / 2 + box[:, 0].max() / 2 for box in boxes}
    for k, criterion in enumerate(criteria):
        np.testing.assert_allclose(drawn[round(centres[0.3 + 0.2 * k], 2)], low[criterion]["grad"])
    assert "low baseline of the box" in [text.get_text() for text in axis.get_legend().get_texts()]
    one = plots.stability_boxes(frame, 0.5).axes[0]
    assert any(set(line.get_ydata()) == {0.5} for line in one.lines)


def test_controls_stand_above_the_methods_in_the_matrix_of_verdicts():
    cell = {"criterion": "utility", "baseline": "average", "value": 0.2, "reference": 0.4}
    verdicts = pd.DataFrame([{"method": "grad", "verdict": "FAIL", **cell}])
    controls = pd.DataFrame([{"method": "sobel", "verdict": "PASS", **cell}])
    axis = plots.verdict_matrix(verdicts, controls).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["SOBEL", "GRAD"]
    assert [text.get_text() for text in axis.texts] == ["PASS", "0.20 / 0.40", "FAIL", "0.20 / 0.40"]
    assert axis.get_yticks()[1] - axis.get_yticks()[0] > 1
    assert len(plots.verdict_matrix(verdicts, controls.iloc[:0]).axes[0].texts) == 2


def test_confusions_are_in_per_cent_and_leave_small_ones_blank():
    shares = np.array([[0.98, 0.016, 0.004], [0, 1, 0], [0, 0.5, 0.5]])
    figure = plots.class_confusion({"AlexNet": shares}, ("a", "b", "c"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["98", "2", "", "", "100", "", "", "50", "50"]
