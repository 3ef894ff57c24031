"""Figures of Shapley values say what the numbers say."""

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


def test_maps_of_a_row_are_on_one_scale():
    image = np.full((2, 2), 200, np.uint8)
    maps = [np.array([[2.0, -4.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]), image // 2]
    figure = plots.signed_rows([(image, maps), (image, [one * 0 for one in maps])], ["image", "a", "b", "removed"])
    shown = [axis.images[0].get_array() for axis in figure.axes]
    np.testing.assert_allclose(shown[1], maps[0] / 4)
    np.testing.assert_allclose(shown[2], maps[1] / 4)
    assert (np.asarray(shown[5]) == 0).all(), "a row of nothing is drawn as nothing"
    assert [axis.get_title() for axis in figure.axes[:4]] == ["image", "a", "b", "removed"]


@pytest.fixture
def passes():
    rows = [("kernel_shap", "", n, n + 2, 8 / np.sqrt(n)) for n in (64, 1024, 4096)]
    rows += [("occlusion", "blocks", np.nan, 17, 0.4), ("exact Shapley", "", np.nan, 65536, 0.0)]
    frame = pd.DataFrame(rows, columns=["method", "windows", "samples", "passes", "error"])
    return frame.assign(error_low=frame["error"] * 0.9, error_high=frame["error"] * 1.1)


def test_the_curve_the_slope_and_the_marks_are_those_of_the_table(passes):
    axis = plots.error_by_passes(passes, {"power": -0.5}, 1000).axes[0]
    curve, slope = axis.lines[:2]
    np.testing.assert_allclose(curve.get_xydata(), passes[["passes", "error"]].to_numpy()[:3])
    x, y = slope.get_data()
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-0.5)
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["Kernel SHAP", "1 / root of the number", "Occlusion, blocks"]
    axis.figure.canvas.draw()
    assert not any("$" in label.get_text() for label in (*axis.get_xticklabels(), *axis.get_yticklabels()))


def test_without_two_numbers_no_slope_is_drawn(passes):
    axis = plots.error_by_passes(passes.head(2), {"power": np.nan}, 1000).axes[0]
    assert len(axis.lines) == 1


def test_colours_say_on_which_side_of_random_ink_a_method_lies():
    columns = ["method", "fall", "ci_low", "ci_high", "above_low", "above_high"]
    rows = [("a", 9, 8, 10, 2, 4), ("ink", 6, 5, 7, 0, 0), ("b", 5.5, 4, 7, -2, 1), ("c", 1, 0, 2, -6, -4)]
    found = pd.DataFrame(rows, columns=columns)
    axis = plots.falls_by_method(found, dict.fromkeys("abc", "x") | {"a": "A", "ink": "random ink"}, ["ink"]).axes[0]
    colours = [bar.lines[0].get_color() for bar in axis.containers]
    assert [colours[0], colours[2], colours[3]] == [PASS, UNDECIDED, FAIL]
    assert [label.get_fontstyle() for label in axis.get_yticklabels()] == ["normal", "italic", "normal", "normal"]
    assert axis.get_yticklabels()[1].get_text() == "random ink"


def test_likeness_has_a_row_for_each_pair():
    found = pd.DataFrame(
        {"pair": ["strong", "weak"], "cosine": [0.7, 0.5], "ci_low": [0.6, 0.4], "ci_high": [0.8, 0.6]}
    )
    axis = plots.likeness_of_kinds(found, {"strong": "two strong", "weak": "two weak"}).axes[0]
    assert [float(bar.lines[0].get_xdata()[0]) for bar in axis.containers] == [0.7, 0.5]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["two strong", "two weak"]
