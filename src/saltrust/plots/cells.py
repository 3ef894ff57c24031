"""Figures of the cells as they are drawn: images and their graded truth side by side."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from saltrust.plots.five_band import BANDS, show_grades
from saltrust.plots.images import show_image
from saltrust.plots.style import WIDTH

GRADE_LABELS = ("background, 0", "body, 0.4", "feature, 0.9")


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
