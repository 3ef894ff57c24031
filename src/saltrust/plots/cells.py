"""Figures of the cells as they are drawn: images and their graded truth side by side."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from saltrust.plots.five_band import BANDS, show_grades
from saltrust.plots.images import show_image
from saltrust.plots.style import WIDTH

GRADE_LABELS = ("background, 0", "body, 0.4", "feature, 0.9")
STEP_WIDTH, STEP_HEIGHT = 0.8, 0.62  # of a box, in the grid of a workflow


def workflow(parts: Sequence[tuple[str, Sequence[str]]]) -> Figure:
    """What is done in which order: a row of boxes for each (name, steps), arrows from each box to the next, and from
    the end of a row to the start of the one below (Tjoa & Guan, fig. 1).

    Args:
        parts: the rows from above, each with a name, which stands on its left, and at least one step.
    """
    widest = max(len(steps) for _, steps in parts)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.4 + 1.05 * len(parts)))
    places = [(column, -row) for row, (_, steps) in enumerate(parts) for column in range(len(steps))]
    texts = [text for _, steps in parts for text in steps]
    for (x, y), text in zip(places, texts, strict=True):
        corner = (x - STEP_WIDTH / 2, y - STEP_HEIGHT / 2)
        axis.add_patch(FancyBboxPatch(corner, STEP_WIDTH, STEP_HEIGHT, "round,pad=0,rounding_size=0.06", fc="0.95"))
        axis.text(x, y, text, ha="center", va="center", fontsize=8.5)
    for (x, y), (to_x, to_y) in pairwise(places):
        same = y == to_y
        start = (x + STEP_WIDTH / 2, y) if same else (x, y - STEP_HEIGHT / 2)
        end = (to_x - STEP_WIDTH / 2, to_y) if same else (to_x, to_y + STEP_HEIGHT / 2)
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "shrinkA": 0, "shrinkB": 0})
    for row, (name, _) in enumerate(parts):
        axis.text(-0.55, -row, name, ha="right", va="center", fontsize=10, weight="bold")
    axis.set(xlim=(-1.3, widest - 0.5), ylim=(-len(parts) + 0.5, 0.5))
    axis.axis("off")
    return figure


def truth_grid(rows: Sequence[tuple[str, Sequence[np.ndarray]]], titles: Sequence[str]) -> Figure:
    """A grid of pictures, a row for each (label, pictures), a column for each title; a legend of the grades below.

    A picture is an image (h, w, 3) uint8, or a truth (h, w) of grades 0, 1 and 2. A row may be shorter than the grid.
    """
    wide = WIDTH / len(titles)
    above = 0.2 * (1 + max(title.count("\n") for title in titles))  # inches
    figure, axes = plt.subplots(
        len(rows), len(titles), figsize=(WIDTH, len(rows) * wide + above + 0.4), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    small = 8 if len(titles) > 8 else 10
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=small)
    for line, (label, pictures) in zip(axes, rows, strict=True):
        line[0].set_ylabel(label, fontsize=small)
        for axis, picture in zip(line, pictures, strict=False):
            (show_image if picture.ndim == 3 else show_grades)(axis, picture)
        for axis in line[len(pictures) :]:
            axis.axis("off")
    colours = zip(BANDS[2:], GRADE_LABELS, strict=True)
    handles = [Patch(facecolor=colour, edgecolor="0.4", linewidth=0.6, label=label) for colour, label in colours]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure
