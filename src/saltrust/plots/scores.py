"""Scores of networks and maps."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from saltrust.methods.registry import label_of
from saltrust.plots.images import show_image, show_map
from saltrust.plots.style import FAIL, PASS, WIDTH


def class_confusion(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """For each network, what share of each true class (row) is predicted as each class (column), in per cent."""
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(WIDTH, 1.4 + WIDTH / len(matrices)), sharey=True, squeeze=False
    )
    for axis, (network, shares) in zip(axes[0], matrices.items(), strict=True):
        percent = 100 * shares
        texts = np.where(percent >= 0.5, np.char.mod("%.0f", percent), "")
        sns.heatmap(
            percent, vmin=0, vmax=100, cmap="Blues", cbar=False, square=True, linewidths=0.5,
            annot=texts, fmt="", annot_kws={"size": 7}, ax=axis,
        )  # fmt: skip
        axis.set_title(network)
        axis.set_xticks(np.arange(len(classes)) + 0.5, classes, rotation=90, fontsize=8)
        axis.set_yticks(np.arange(len(classes)) + 0.5, classes, rotation=0, fontsize=8)
        axis.set_xlabel("predicted")
    axes[0, 0].set_ylabel("true")
    return figure


def training_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss, and validation score where there is one, over the training; one line for each network.

    Args:
        curves: name -> a frame of two or three columns whose names are the labels: time, loss, score.
    """
    panels = max(len(frame.columns) for frame in curves.values()) - 1
    figure, axes = plt.subplots(1, panels, figsize=(WIDTH * panels / 2, 3.6), squeeze=False)
    axes = axes[0]
    for (name, frame), marker in zip(curves.items(), "osD^v", strict=False):
        time, *values = frame.columns
        for axis, value in zip(axes, values, strict=True):
            axis.plot(frame[time], frame[value], marker=marker, label=name)
            axis.set(xlabel=time, ylabel=value)
    axes[-1].legend(fontsize=9)
    return figure


def roc_curves(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> Figure:
    """ROC curves of several networks on the same images."""
    from sklearn.metrics import roc_curve

    figure, axis = plt.subplots(figsize=(WIDTH * 0.55, 4.6))
    for (name, values), style in zip(scores.items(), ("-", "--", ":", "-.", (0, (5, 1))), strict=False):
        false, true, _ = roc_curve(labels, values)
        axis.plot(false, true, linestyle=style, linewidth=2, label=name)
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=(0, 1), ylim=(0, 1.01))
    axis.legend(fontsize=9, loc="lower right")
    return figure


def score_boxes(
    frame: pd.DataFrame, score: str, label: str, *, hue: str | None = None, lines: Mapping[str, float] | None = None
) -> Figure:
    """Box plots of a score by method: median solid, mean dashed.

    Args:
        frame: method, <score>, and <hue> where there is one.
        score: a column.
        label: of the axis.
        hue: the column that colours the boxes, None for one colour.
        lines: horizontal references by their labels.
    """
    shown = frame.assign(label=frame["method"].map(label_of))
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    sns.boxplot(
        shown,
        x="label",
        y=score,
        hue=hue,
        ax=axis,
        showmeans=True,
        meanline=True,
        meanprops={"color": "black", "linestyle": "--"},
        flierprops={"markersize": 3},
        color=None if hue else "#a6cbe3",
        linewidth=1,
    )
    for (name, value), style in zip((lines or {}).items(), ("--", ":", "-."), strict=False):
        axis.axhline(value, color="0.25", linestyle=style, linewidth=1.5, label=name)
    axis.set(xlabel="", ylabel=label)
    if shown["label"].nunique() > 10:
        axis.tick_params(axis="x", labelrotation=40)
    if hue or lines:
        axis.legend(fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.14), frameon=False)
    return figure


def residual_lines(frame: pd.DataFrame) -> Figure:
    """Residual against the number of points on the path, a line for each rule.

    Args:
        frame: rule, steps, residual (a share of the total).
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.6))
    sns.lineplot(frame, x="steps", y="residual", hue="rule", style="rule", markers=True, markersize=8, ax=axis)
    axis.set_xscale("log", base=2)
    axis.set_xticks(sorted(frame["steps"].unique()), sorted(frame["steps"].unique()))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set(xlabel="points on the path", ylabel="residual, share of the total", ylim=(0, None))
    axis.legend(title="", fontsize=10)
    return figure


def score_matrix(means: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Mean scores (methods x scores) as a matrix of numbers, shaded by rank within each column."""
    ranks = means.rank(ascending=False)
    figure, axis = plt.subplots(figsize=(WIDTH, 1.9 + 0.32 * len(means)))
    sns.heatmap(ranks, annot=means, fmt=".2f", cmap="Blues_r", cbar=False, linewidths=1, annot_kws={"size": 8}, ax=axis)
    axis.set_yticks(np.arange(len(means)) + 0.5, [label_of(method) for method in means.index], rotation=0)
    axis.set_xticks(np.arange(means.shape[1]) + 0.5, [titles[s] for s in means], rotation=35, ha="left", fontsize=9)
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axis.set(xlabel="", ylabel="")
    return figure


def cascade_curves(
    summary: pd.DataFrame,
    thresholds: Mapping[str, float],
    nulls: Mapping[str, float],
    stages: Sequence[str],
    end: str | None = None,
) -> Figure:
    """SSIM with the trained model's map after each stage, a panel for each method, its degradation threshold dotted and
    its null dashed.

    Args:
        summary: method, stage, mean, ci_low, ci_high.
        thresholds: degradation threshold by method.
        nulls: SSIM by texture alone, by method.
        stages: in the order in which they are randomized.
        end: the stage that the verdict takes, marked by a line; None for the last.
    """
    ending = stages.index(end or stages[-1]) + 1
    methods = list(dict.fromkeys(summary["method"]))
    rows = -(-len(methods) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(WIDTH, 2.5 * rows + 0.6), sharex=True, sharey=True, squeeze=False)
    position = np.arange(len(stages) + 1)
    for axis, method in zip(axes.flat, methods, strict=False):
        own = summary[summary["method"] == method].set_index("stage").loc[list(stages)]
        axis.plot(position, np.r_[1.0, own["mean"]], color=PASS, marker="o", markersize=3.5)
        axis.fill_between(position, np.r_[1.0, own["ci_low"]], np.r_[1.0, own["ci_high"]], color=PASS, alpha=0.2)
        axis.axhline(thresholds[method], color=FAIL, linestyle=":", linewidth=2)
        axis.axhline(nulls[method], color="0.35", linestyle="--", linewidth=1.2)
        axis.axvline(ending, color="0.25", linestyle="-.", linewidth=1.2)
        axis.set_title(label_of(method))
        axis.set_xticks(position, ["original", *stages], rotation=90, fontsize=7.5)
    for axis in axes.flat[len(methods) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("SSIM")
    axes[0, 0].set_ylim(top=1.03)
    return figure


def likeness(frame: pd.DataFrame, utility: pd.DataFrame) -> Figure:
    """Likeness after randomization (dots) beside each method's threshold (bars), a panel for each score; last, what the
    maps find with trained weights (diamonds) and with random ones (dots).

    Args:
        frame: method, score, random, threshold.
        utility: method, trained, random: mean AUPRC.
    """
    labels = {"ssim": "SSIM", "spearman": "rank corr.", "spearman_abs": "rank corr., abs.", "hog": "HOG"}
    scores = list(dict.fromkeys(frame["score"]))
    methods = list(dict.fromkeys(frame["method"]))
    figure, axes = plt.subplots(1, len(scores) + 1, figsize=(WIDTH, 0.9 + 0.34 * len(methods)), sharey=True)
    row = np.arange(len(methods))
    for axis, score in zip(axes[:-1], scores, strict=True):
        own = frame[frame["score"] == score].set_index("method").loc[methods]
        axis.scatter(own["threshold"], row, marker="|", s=220, linewidth=3, color=FAIL, label="different images")
        axis.scatter(own["random"], row, s=36, color=PASS, zorder=3, label="random weights")
        axis.axvline(0, color="0.6", linewidth=0.8)
        axis.set_title(labels.get(score, score), fontsize=11)
    found = utility.set_index("method").loc[methods]
    axes[-1].hlines(row, found["random"], found["trained"], color="0.6", linewidth=1)
    axes[-1].scatter(found["trained"], row, marker="D", s=36, color="0.25", zorder=3, label="trained weights")
    axes[-1].scatter(found["random"], row, s=36, color=PASS, zorder=3)
    axes[-1].set_title("AUPRC", fontsize=11)
    axes[0].set_yticks(row, [label_of(method) for method in methods])
    axes[0].invert_yaxis()
    found = [axis.get_legend_handles_labels() for axis in (axes[0], axes[-1])]
    handles, names = (sum(parts, []) for parts in zip(*found, strict=True))
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=10, markerscale=0.7)
    return figure


def precision_recall(
    image: np.ndarray, truth: np.ndarray, maps: Mapping[str, np.ndarray], areas: Mapping[str, float]
) -> Figure:
    """An image, some of its maps, and their precision-recall curves.

    A curve is drawn as the steps that average precision sums: over each gain in recall, from 0, the precision reached.

    Args:
        image: (height, width).
        truth: mask of the same shape.
        maps: by name, each of that shape in [0, 1].
        areas: average precision of each map, for the legend.
    """
    from saltrust.scores.auprc import precision_recall as curve

    figure, axes = plt.subplots(1, len(maps) + 2, figsize=(WIDTH, 3.0), width_ratios=[1] * (len(maps) + 1) + [1.5])
    show_image(axes[0], image, truth)
    axes[0].set_title("image and truth")
    for axis, (name, values), style in zip(axes[1:-1], maps.items(), ("-", "--", ":"), strict=False):
        show_map(axis, values, truth)
        axis.set_title(name)
        precision, recall = curve(values, truth)
        steps = np.r_[0, recall], np.r_[precision[0], precision]
        axes[-1].plot(*steps, style, drawstyle="steps-pre", linewidth=2, label=f"{name}: {areas[name]:.2f}")
    axes[-1].axhline(truth.mean(), color="0.5", linewidth=1, label=f"constant map: {truth.mean():.2f}")
    axes[-1].set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes[-1].legend(fontsize=8, title="average precision", title_fontsize=8)
    return figure


def similarity_scale(frame: pd.DataFrame, midpoint: float) -> Figure:
    """What SSIM each kind of pair has, a row for each method: dots for means, a line at the paper's midpoint.

    Args:
        frame: method, pair (in the order of the legend), mean; a method may lack some pairs.
        midpoint: SSIM of the line.
    """
    styles = zip(("0.35", "0.35", "#cc79a7", FAIL, PASS, "#009e73"), "|xvsoD", strict=True)
    methods = list(dict.fromkeys(frame["method"]))
    figure, axis = plt.subplots(figsize=(WIDTH, 1.6 + 0.42 * len(methods)))
    row = {method: i for i, method in enumerate(methods)}
    for (pair, own), (colour, marker) in zip(frame.groupby("pair", sort=False), styles, strict=False):
        size = 220 if marker == "|" else 52
        axis.scatter(own["mean"], own["method"].map(row), s=size, color=colour, marker=marker, linewidth=2, label=pair)
    axis.axvline(midpoint, color="0.5", linestyle=":", linewidth=1.5)
    axis.set_yticks(range(len(methods)), [label_of(method) for method in methods])
    axis.invert_yaxis()
    axis.set(xlabel="SSIM, mean", xlim=(min(0, frame["mean"].min() - 0.02), 1.03))
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10, markerscale=0.8)
    return figure


def stability_boxes(frame: pd.DataFrame, low: Mapping[str, Mapping[str, float]] | float) -> Figure:
    """SSIM by method for each criterion, with the low baseline.

    Args:
        frame: method, criterion, ssim.
        low: the low baseline, drawn as a line; by criterion and method, as a mark on each box that has one.
    """
    if not isinstance(low, Mapping):
        return score_boxes(frame, "ssim", "SSIM", hue="criterion", lines={f"low baseline {low:g}": low})
    figure = score_boxes(frame, "ssim", "SSIM", hue="criterion")
    axis, methods = figure.axes[0], list(dict.fromkeys(frame["method"]))
    boxes = list(dict.fromkeys(frame["criterion"]))  # of a method, side by side over 0.8 of its place
    ends = [
        (i - 0.4 + 0.8 * k / len(boxes), low[criterion][method])
        for k, criterion in enumerate(boxes)
        for i, method in enumerate(methods)
        if method in low[criterion] and ((frame["method"] == method) & (frame["criterion"] == criterion)).any()
    ]
    left, height = np.transpose(ends)
    right = left + 0.8 / len(boxes)
    axis.hlines(height, left, right, color=FAIL, linestyle="--", linewidth=2, label="low baseline of the box")
    axis.legend(fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.14), frameon=False)
    return figure
