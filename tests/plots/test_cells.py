"""Figures of the cells show images as images and grades in their colours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from saltrust.plots.cells import GRADE_LABELS, truth_grid, workflow
from saltrust.plots.five_band import BANDS


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_grid_shows_images_and_their_truth():
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    grades = np.array([[0, 1], [2, 0]], np.uint8)
    figure = truth_grid([("drawn", [image, grades]), ("short", [image])], ["a", "b"])
    first, truth, second, absent = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), image)
    drawn = truth.images[0]
    shown = drawn.cmap(drawn.norm(drawn.get_array()))
    np.testing.assert_allclose(shown, [[to_rgba(BANDS[2 + grade]) for grade in row] for row in grades])
    assert [axis.get_title() for axis in (first, truth)] == ["a", "b"]
    assert [axis.get_ylabel() for axis in (first, second)] == ["drawn", "short"]
    assert not absent.images
    assert not absent.axison
    (legend,) = figure.legends
    assert tuple(text.get_text() for text in legend.get_texts()) == GRADE_LABELS
    assert [patch.get_facecolor() for patch in legend.get_patches()] == [to_rgba(colour) for colour in BANDS[2:]]


def test_a_workflow_has_a_box_for_each_step_and_arrows_from_one_to_the_next():
    figure = workflow([("data", ["draw"]), ("networks", ["base model", "branches"])])
    (axis,) = figure.axes
    assert len(axis.patches) == 3
    texts = [text.get_text() for text in axis.texts]
    assert [text for text in texts if text] == ["draw", "base model", "branches", "data", "networks"]
    arrows = [text for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 2
    for box, step in zip(axis.patches, axis.texts[:3], strict=True):
        x, y = step.get_position()
        assert box.get_bbox().x0 < x < box.get_bbox().x1
        assert box.get_bbox().y0 < y < box.get_bbox().y1
