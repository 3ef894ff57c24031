"""Maps beside what readers drew."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from saltrust.methods.registry import label_of
from saltrust.plots.images import show_image, show_map
from saltrust.plots.style import EDGE, FAIL, PASS, WIDTH

READERS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442")  # which stay apart for every kind of colour vision
DASHES = ("solid", "dashed", "dotted", "dashdot", "solid")


def drawings(images: np.ndarray, drawn: np.ndarray, titles: Sequence[str], readers: Sequence[str],
             exact: np.ndarray | None = None) -> Figure:  # fmt: skip
    """Films with what each reader drew, and the exact truth where it is known.

    Args:
        images: (n, h, w).
        drawn: masks (readers, n, h, w).
        titles: of the films.
        readers: their names.
        exact: masks (n, h, w), filled; None where nobody knows.
    """
    figure, axes = plt.subplots(1, len(images), figsize=(WIDTH, WIDTH / len(images) + 0.7), squeeze=False)
    for axis, image, *masks, title in zip(axes[0], images, *drawn, titles, strict=True):
        show_image(axis, image)
        for mask, colour, dashes in zip(masks, READERS, DASHES, strict=False):
            _line(axis, mask, colour, dashes)
        axis.set_title(title, fontsize=10)
    if exact is not None:
        for axis, mask in zip(axes[0], exact, strict=True):
            shade = np.zeros((*mask.shape, 4))
            shade[mask] = (0, 0.9, 1, 0.55)
            axis.imshow(shade)
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=2, label=name)
        for name, colour, dashes in zip(readers, READERS, DASHES, strict=False)
    ]
    if exact is not None:
        handles.append(Line2D([], [], color="#00e5ff", linewidth=6, alpha=0.6, label="exact truth"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=10)
    return figure


def _line(axis: Axes, mask: np.ndarray, colour: str, dashes: str) -> None:
    if mask.any():
        framed = np.pad(mask, 1).astype(float)  # a box at the border of the film has a border there, too
        line = axis.contour(np.arange(-1, mask.shape[1] + 1), np.arange(-1, mask.shape[0] + 1), framed, levels=[0.5],
                            colors=colour, linewidths=1.6, linestyles=dashes)  # fmt: skip
        line.set_path_effects([withStroke(linewidth=2.8, foreground=EDGE)])


def mode_strip(
    image: np.ndarray, truth: np.ndarray, maps: Mapping[str, Mapping[str, np.ndarray]], notes: Mapping[str, str]
) -> Figure:
    """One film, and below it each method's map in each mode, the truth outlined.

    Args:
        image: (h, w).
        truth: mask (h, w).
        maps: by method, by mode.
        notes: by method, a text below its last map.
    """
    modes = list(next(iter(maps.values())))
    side = WIDTH / (len(maps) + 1)
    figure, axes = plt.subplots(
        len(modes), len(maps) + 1, figsize=(WIDTH, side * len(modes) + 0.6), squeeze=False, layout="compressed"
    )
    show_image(axes[0, 0], image, truth)
    for axis in axes[1:, 0]:
        axis.axis("off")
    for column, (method, by_mode) in zip(axes[:, 1:].T, maps.items(), strict=True):
        column[0].set_title(label_of(method), fontsize=10)
        for axis, values in zip(column, by_mode.values(), strict=True):
            show_map(axis, values, truth)
        column[-1].set_xlabel(notes.get(method, ""), fontsize=9)
    for axis, mode in zip(axes[:, 1], modes, strict=True):
        axis.set_ylabel(mode, fontsize=10)
    return figure


def likeness_of_networks(frame: pd.DataFrame, readers: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """How alike the maps of two networks are, a panel for each score, beside what two readers agree.

    Args:
        frame: rater, reference (the criterion), score, mean, ci_low, ci_high.
        readers: reference, score, mean, ci_low, ci_high.
        titles: of the scores, by name, in the order of the panels.
    """
    raters, criteria = list(dict.fromkeys(frame["rater"])), list(dict.fromkeys(frame["reference"]))
    figure, axes = plt.subplots(1, len(titles), figsize=(WIDTH, 1.5 + 0.4 * len(raters)), sharey=True)
    for axis, (score, title) in zip(axes, titles.items(), strict=True):
        for held, colour, dashes in (("consensus", FAIL, "dashed"), ("pairwise", "0.25", "solid")):
            own = readers[(readers["score"] == score) & (readers["reference"] == held)]
            for row in own.itertuples():
                axis.axvspan(row.ci_low, row.ci_high, color=colour, alpha=0.12, linewidth=0)
                axis.axvline(row.mean, color=colour, linestyle=dashes, linewidth=1.8)
        for k, (criterion, marker) in enumerate(zip(criteria, "os", strict=False)):
            own = frame[(frame["score"] == score) & (frame["reference"] == criterion)]
            place = np.array([raters.index(rater) for rater in own["rater"]]) + 0.22 * (k - 0.5 * (len(criteria) - 1))
            axis.hlines(place, own["ci_low"], own["ci_high"], color=PASS, linewidth=1.4)
            face = PASS if k == 0 else "white"
            axis.scatter(own["mean"], place, marker=marker, s=36, color=PASS, facecolor=face, zorder=3)
        axis.set_title(title, fontsize=11)
    axes[0].set_yticks(range(len(raters)), [label_of(rater) for rater in raters])
    axes[0].invert_yaxis()
    handles = [
        Line2D([], [], color=PASS, marker=marker, linestyle="none", markerfacecolor=PASS if k == 0 else "white",
               label=criterion)
        for k, (criterion, marker) in enumerate(zip(criteria, "os", strict=False))
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=FAIL, linestyle="dashed", label="readers, with the consensus"),
        Line2D([], [], color="0.25", label="readers, with each other"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def random_stages(frame: pd.DataFrame, thresholds: Mapping[str, float], title: str) -> Figure:
    """The likeness of maps to the trained network's, stage after stage of it random, a panel for each method.

    Args:
        frame: method, stage, mean, ci_low, ci_high; the stages in order.
        thresholds: that of different images, by method.
        title: of the axis.
    """
    methods, stages = (list(dict.fromkeys(frame[name])) for name in ("method", "stage"))
    across = 3
    rows = -(-len(methods) // across)
    figure, axes = plt.subplots(
        rows, across, figsize=(WIDTH, 2.1 * rows + 1.0), sharex=True, sharey=True, squeeze=False
    )
    place = np.arange(len(stages))
    for axis, method in zip(axes.flat, methods, strict=False):
        own = frame[frame["method"] == method].set_index("stage").reindex(stages)
        axis.plot(place, own["mean"], color=PASS, marker="o", markersize=3.5)
        axis.fill_between(place, own["ci_low"], own["ci_high"], color=PASS, alpha=0.2)
        axis.axhline(thresholds[method], color=FAIL, linestyle="--", linewidth=1.6)
        axis.set_title(label_of(method))
        axis.set_xticks(place, [stage.split("_3x3")[0].split("_1x1")[0] for stage in stages], rotation=90, fontsize=7.5)
    for axis in axes.flat[len(methods) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(title)
    axes[0, 0].set_ylim(-0.02, 1.02)
    return figure


def by_training_share(frame: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """What maps are worth as networks learn from fewer images, a panel for each criterion, a line for each method.

    Args:
        frame: images, method, criterion, mean, ci_low, ci_high.
        titles: of the panels, by criterion.
    """
    shown = frame.assign(label=frame["method"].map(label_of))
    figure, axes = plt.subplots(1, len(titles), figsize=(WIDTH, 3.6), sharex=True)
    counts = sorted(frame["images"].unique())
    for axis, (criterion, title) in zip(np.atleast_1d(axes), titles.items(), strict=True):
        own = shown[shown["criterion"] == criterion]
        sns.lineplot(own, x="images", y="mean", hue="label", style="label", markers=True, dashes=False, ax=axis)
        axis.set_xscale("log")
        axis.set_xticks(counts, [f"{n:,}" for n in counts])
        axis.minorticks_off()
        axis.set(xlabel="training images", ylabel="", title=title)
        axis.get_legend().remove()
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), frameon=False, fontsize=10)
    return figure


def consensus_bars(frame: pd.DataFrame) -> Figure:
    """How well each way to join readers finds the exact truth.

    Args:
        frame: truth, mean, ci_low, ci_high, of one score.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 0.8 + 0.36 * len(frame)))
    place = np.arange(len(frame))
    axis.hlines(place, frame["ci_low"], frame["ci_high"], color=PASS, linewidth=2)
    axis.scatter(frame["mean"], place, s=46, color=PASS, zorder=3)
    axis.set_yticks(place, frame["truth"])
    axis.invert_yaxis()
    axis.set(xlabel="IoU with the exact truth", xlim=(0, None))
    return figure
