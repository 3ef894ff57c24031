"""Two networks side by side: one that learned a shortcut, and its control."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saltrust.methods.registry import label_of
from saltrust.plots.style import FAIL, PASS, WIDTH

TRAININGS = {"shortcut": ("with the shortcut", FAIL, "o"), "control": ("control", PASS, "s")}
"""Label, colour and marker of each network."""


def logit_changes(changed: pd.DataFrame, means: pd.DataFrame, titles: Mapping[tuple[str, str], str]) -> Figure:
    """The change of the logit by patient (points), its mean and the interval of the mean beside them.

    Args:
        changed: training, drawn, on, change.
        means: training, drawn, on, effect, ci_low, ci_high.
        titles: under the points of what is drawn on which state, in the order of the columns.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    by = ["training", "drawn", "on"]
    patients, means = changed.set_index(by).sort_index()["change"], means.set_index(by)
    for side, (training, (label, colour, marker)) in zip((-0.2, 0.2), TRAININGS.items(), strict=True):
        for place, (drawn, on) in enumerate(titles):
            own = patients.loc[(training, drawn, on)]
            across = place + side + np.linspace(-0.09, 0.09, len(own))
            axis.plot(across, own, ".", color=colour, alpha=0.35, markersize=4)
            mean = means.loc[(training, drawn, on)]
            span = [[max(mean["effect"] - mean["ci_low"], 0)], [max(mean["ci_high"] - mean["effect"], 0)]]
            axis.errorbar(
                place + side * 1.75, mean["effect"], yerr=span, fmt=marker, color=colour, capsize=3,
                label=None if place else label,
            )  # fmt: skip
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set_xticks(range(len(titles)), list(titles.values()))
    axis.set_ylabel("change of the logit")
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def two_trainings(
    panels: Mapping[str, pd.DataFrame], lines: Mapping[str, float], notes: Mapping[str, str] | None = None
) -> Figure:
    """Means by method with their intervals, a marker for each network and a panel for each score.

    Args:
        panels: label of the axis -> a frame of method, training, mean, ci_low, ci_high; the methods are the same.
        lines: a vertical reference in some panels, by their labels.
        notes: a word at the right of each method.
    """
    methods = list(dict.fromkeys(next(iter(panels.values()))["method"]))
    row = {method: i for i, method in enumerate(methods)}
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 1.5 + 0.32 * len(methods)), sharey=True, squeeze=False)
    for axis, (label, frame) in zip(axes[0], panels.items(), strict=True):
        for side, (training, (name, colour, marker)) in zip((-0.14, 0.14), TRAININGS.items(), strict=True):
            own = frame[frame["training"] == training]
            spans = np.clip([own["mean"] - own["ci_low"], own["ci_high"] - own["mean"]], 0, None)
            rows = own["method"].map(row) + side
            axis.errorbar(own["mean"], rows, xerr=spans, fmt=marker, color=colour, capsize=2.5, ms=5, label=name)
        if label in lines:
            axis.axvline(lines[label], color="0.4", linestyle=":", linewidth=1.5)
        axis.set_xlabel(label, fontsize=10)
        axis.set_xlim(left=0)
        axis.tick_params(axis="x", labelsize=9)
    axes[0, 0].set_yticks(range(len(methods)), [label_of(method) for method in methods])
    axes[0, 0].set_ylim(len(methods) - 0.5, -0.5)
    for method, note in (notes or {}).items():
        place = {"xy": (1.03, row[method]), "xycoords": axes[0, -1].get_yaxis_transform()}
        axes[0, -1].annotate(note, **place, va="center", fontsize=9, annotation_clip=False)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure
