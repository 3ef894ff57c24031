"""Figures of the cells and their five-band scores: graded truth, signed maps, precision and recall by method."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from saltrust.plots.style import WIDTH
from saltrust.scores.five_band import SOFT, Thresholds, stratify

SIGNED = "RdBu_r"  # blue against, white nothing, red for the explained class; told apart with every colour vision
BANDS = ("#0571b0", "#92c5de", "#ffffff", "#f4a582", "#ca0020")
BAND_LABELS = ("−2", "−1", "0: background", "1: body", "2: feature")
MARKERS = "osD^vP*X<>ph"

Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What is seen of one prediction: image (h, w, 3) uint8, grades (h, w), map (h, w) in [-1, 1]."""


def show_grades(axis: Axes, grades: np.ndarray) -> None:
    """The graded truth (h, w) without axes: white background 0, light red body 1, dark red feature 2."""
    show_bands(axis, grades)


def show_bands(axis: Axes, bands: np.ndarray) -> None:
    """A stratified map (h, w) with values -2 to 2, without axes; the colours of 0, 1 and 2 are those of the truth."""
    axis.imshow(bands, cmap=ListedColormap(BANDS), vmin=-2.5, vmax=2.5)
    _framed(axis)


def show_signed_map(axis: Axes, signed: np.ndarray) -> None:
    """A signed map (h, w) in [-1, 1] without axes: blue below 0, white at 0, red above."""
    axis.imshow(signed, cmap=SIGNED, vmin=-1, vmax=1)
    _framed(axis)


def _show_photograph(axis: Axes, image: np.ndarray) -> None:
    axis.imshow(image)
    _framed(axis)


def _framed(axis: Axes) -> None:
    """White is a value here, so that a picture's border must be drawn."""
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set(visible=True, color="0.7", linewidth=0.6)


def branch_traces(frame: pd.DataFrame, target: float) -> Figure:
    """Accuracy of each branch at its evaluations above, its early-stopping counter as a share of the limit below.

    Args:
        frame: network (a column of panels each), branch, step, accuracy, counter, limit.
        target: accuracy that is drawn as a line.
    """
    networks = _distinct(frame["network"])
    figure, axes = plt.subplots(
        2, len(networks), figsize=(WIDTH, 4.4), sharex="col", sharey="row", height_ratios=[2, 1], squeeze=False
    )
    styles = dict(
        zip(_distinct(frame["branch"]), zip(sns.color_palette("colorblind"), MARKERS, strict=False), strict=False)
    )
    for (above, below), network in zip(axes.T, networks, strict=True):
        above.axhline(target, color="0.3", linestyle=":", linewidth=1.5)
        for branch, rows in frame[frame["network"] == network].groupby("branch"):
            colour, marker = styles[branch]
            drawn = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1, "label": f"{branch}"}
            above.plot(rows["step"], rows["accuracy"], **drawn)
            below.plot(rows["step"], rows["counter"] / rows["limit"], **drawn)
        above.set_title(network)
        below.set(xlabel="step", ylim=(0, 1.05))
    axes[0, 0].set_ylabel("accuracy on a shard", fontsize=10)
    axes[1, 0].set_ylabel("counter / limit", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=10, title="branch")
    return figure


def five_band_scores(frame: pd.DataFrame, insets: bool = False) -> Figure:
    """Precision against recall: a column of panels for each network, a point for each branch, a colour and marker for
    each method (Tjoa & Guan, fig. 3).

    All panels have the same axes: rows are there to be compared. insets: enlarge where a panel's points crowd.

    Args:
        frame: method, network, branch, recall, precision; where there are recall_sd and precision_sd, they are the bars
            of each point; where there is `panel`, each of its values is a row of panels, labelled so.
    """
    frame = frame if "panel" in frame else frame.assign(panel="")
    rows, networks = _distinct(frame["panel"]), _distinct(frame["network"])
    styles = _styles(frame["method"])
    size = (WIDTH, 0.9 + len(rows) * 2.7)
    figure, axes = plt.subplots(len(rows), len(networks), figsize=size, sharex=True, sharey=True, squeeze=False)
    for i, j in np.ndindex(axes.shape):
        own = frame[(frame["panel"] == rows[i]) & (frame["network"] == networks[j])]
        for method, points in own.groupby("method", sort=False):
            bars = {f"{side}err": points.get(f"{score}_sd") for side, score in (("x", "recall"), ("y", "precision"))}
            colour, marker = styles[method]
            axes[i, j].errorbar(
                points["recall"],
                points["precision"],
                **bars,
                fmt=marker,
                color=colour,
                markersize=6,
                ecolor=(*colour, 0.45),
                elinewidth=0.8,
                markeredgecolor="white",
                markeredgewidth=0.5,
                label=method,
            )
        if insets:
            _enlarge(axes[i, j], own, styles)
    for axis, network in zip(axes[0], networks, strict=True):
        axis.set_title(network)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(f"{row}\nprecision" if row else "precision")
    axes[0, 0].set(xlim=(0, None), ylim=(0, None))
    for axis in axes[-1]:
        axis.set_xlabel("recall")
    _legend(figure, styles)
    return figure


def _enlarge(axis: Axes, points: pd.DataFrame, styles: Mapping[str, tuple]) -> None:
    """An inset with the three quarters of the points that have the least recall, without their bars."""
    crowd = points[points["recall"] <= points["recall"].quantile(0.75)]
    inset = axis.inset_axes([0.56, 0.62, 0.42, 0.36])
    for method, own in crowd.groupby("method", sort=False):
        colour, marker = styles[method]
        inset.plot(own["recall"], own["precision"], marker, color=colour, markersize=4, markeredgewidth=0)
    inset.tick_params(labelsize=7, length=2, pad=1)
    inset.margins(0.15)
    inset.locator_params(nbins=3)
    axis.indicate_inset_zoom(inset, edgecolor="0.6", linewidth=0.6)


def five_band_roc(frame: pd.DataFrame, *, swapped: bool = False) -> Figure:
    """Recall against the false positive rate: a panel for each network, a line for each method from its strictest
    threshold to its laxest, marked at the first and every eleventh after it (Tjoa & Guan, fig. 4).

    Args:
        frame: method, network, threshold, fpr, recall; where there is branch, each has a thin line, and the mean over
            them the markers.
        swapped: as the published figure was drawn, recall across and the false positive rate up, with the labels of the
            right way round.
    """
    across, up = ("recall", "fpr") if swapped else ("fpr", "recall")
    networks, styles = _distinct(frame["network"]), _styles(frame["method"])
    means = frame.groupby(["network", "method", "threshold"], sort=False)[["fpr", "recall"]].mean().reset_index()
    top = 1.05 * means[["fpr", "recall"]].to_numpy().max()
    figure, axes = plt.subplots(
        1, len(networks), figsize=(WIDTH, 1.2 + WIDTH / max(len(networks), 2)), sharex=True, sharey=True, squeeze=False
    )
    for axis, network in zip(axes[0], networks, strict=True):
        axis.plot([0, top], [0, top], color="0.6", linewidth=1)
        for method, points in means[means["network"] == network].groupby("method", sort=False):
            colour, marker = styles[method]
            for _, one in _branches(frame, network, method):
                axis.plot(one[across], one[up], color=colour, linewidth=0.7, alpha=0.7)
            axis.plot(
                points[across],
                points[up],
                color=colour,
                linewidth=0 if "branch" in frame else 1.6,
                marker=marker,
                markersize=5.5,
                markevery=11,
                markeredgecolor="white",
                label=method,
            )
        axis.set(title=network, xlabel="FPR", aspect="equal", xlim=(0, top), ylim=(0, top))
    axes[0, 0].set_ylabel("recall")
    _legend(figure, styles)
    return figure


def _branches(frame: pd.DataFrame, network: str, method: str) -> Iterable[tuple[int, pd.DataFrame]]:
    """The rows of each branch of one method on one network; nothing where branches are not told apart."""
    own = frame[(frame["network"] == network) & (frame["method"] == method)]
    return own.groupby("branch") if "branch" in frame else ()


def colour_channels(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """One row for each (label, image, grades, raw map (3, h, w)): the image, the truth, and the map in each colour
    channel over the map's largest magnitude (Tjoa & Guan, fig. 5)."""
    figure, axes = _grid(len(rows), ["image", "truth", "R", "G", "B"])
    for own, (label, image, grades, raw) in zip(axes, rows, strict=True):
        _show_photograph(own[0], image)
        show_grades(own[1], grades)
        for axis, channel in zip(own[2:], raw / (np.abs(raw).max() or 1), strict=True):
            show_signed_map(axis, channel)
        own[0].set_ylabel(label, fontsize=10)
    _scale(figure, axes)
    return figure


def band_grid(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], thresholds: Thresholds = SOFT) -> Figure:
    """One row for each (label, image, grades, adjusted map (h, w)): the image, the truth, the map, and its bands at the
    first and the last pair of thresholds (Tjoa & Guan, fig. 6)."""
    ends = thresholds.pairs()[[0, -1]]
    bands = [f"bands\n{inner:.3g}, {outer:.3g}" for inner, outer in ends]
    figure, axes = _grid(len(rows), ["image", "truth", "map", *bands])
    for own, (label, image, grades, signed) in zip(axes, rows, strict=True):
        _show_photograph(own[0], image)
        show_grades(own[1], grades)
        show_signed_map(own[2], signed)
        for axis, (inner, outer) in zip(own[3:], ends, strict=True):
            show_bands(axis, stratify(signed, inner, outer))
        own[0].set_ylabel(label, fontsize=10)
    patches = [Patch(facecolor=c, edgecolor="0.7", label=text) for c, text in zip(BANDS, BAND_LABELS, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def signed_map_gallery(rows: Sequence[tuple[str, Sequence[Shown], tuple[str, Shown] | None]]) -> Figure:
    """A page of a gallery: one row for each (class, right predictions, a wrong prediction with the class that was
    predicted, or None), with image, truth and map of each prediction (Tjoa & Guan, appendix A to G).

    As many right predictions are shown as the longest row has; where a row has fewer, or no wrong one, it says "none".
    """
    right = max(1, *(len(row[1]) for row in rows))
    widths = [*(1, 1, 1, 0.3) * right, 1, 1, 1]
    cell = WIDTH / (sum(widths) + 0.6)
    figure, axes = plt.subplots(
        len(rows), len(widths), figsize=(WIDTH, 0.5 + len(rows) * 1.05 * cell), width_ratios=widths, squeeze=False
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.015, wspace=0, hspace=0)
    for axis in axes[:, 3::4].flat:
        axis.set_axis_off()
    for own, (label, shown, wrong) in zip(axes, rows, strict=True):
        cells: list[Shown | None] = [*shown, *[None] * (right - len(shown)), wrong[1] if wrong else None]
        for triple, one in zip(own.reshape(-1)[_triples(right + 1)], cells, strict=True):
            _show_prediction(triple, one)
        if wrong:
            own[-3].set_ylabel(f"as {wrong[0]}", fontsize=8, labelpad=2)
        own[0].set_ylabel(label, fontsize=9)
    for number, triple in enumerate(axes[0][_triples(right + 1)]):
        answer = "wrong" if number == right else "right"
        for axis, title in zip(triple, ("image", f"{answer}\ntruth", "map"), strict=True):
            axis.set_title(title, fontsize=9, pad=3)
    return figure


def _triples(count: int) -> np.ndarray:
    """Columns of image, truth and map of each prediction (count, 3); every fourth column is a gap."""
    return 4 * np.arange(count)[:, None] + np.arange(3)


def _show_prediction(triple: Sequence[Axes], shown: Shown | None) -> None:
    if shown:
        for axis, show, picture in zip(triple, (_show_photograph, show_grades, show_signed_map), shown, strict=True):
            show(axis, picture)
        return
    for axis in triple:
        axis.set(xticks=[], yticks=[], aspect="equal")
        for side in axis.spines.values():
            side.set_visible(False)
    triple[1].text(0.5, 0.5, "none", transform=triple[1].transAxes, ha="center", va="center", fontsize=9, color="0.4")


def depth_scores(frame: pd.DataFrame) -> Figure:
    """Precision against recall by the number of layers added to a network, told by the colour: a dot for each predicted
    class, a cross for the mean over them (Tjoa & Guan, appendix fig. 1).

    Args:
        frame: layers, predicted, recall, precision, one row or several (images, branches) for each dot.
    """
    dots = frame.groupby(["layers", "predicted"])[["recall", "precision"]].mean()
    crosses = dots.groupby("layers").mean()
    colours = dict(zip(crosses.index, sns.color_palette("viridis", len(crosses)), strict=True))
    figure, axis = plt.subplots(figsize=(WIDTH * 0.75, 4.6))
    for layers, points in dots.groupby("layers"):
        axis.scatter(points["recall"], points["precision"], s=14, color=colours[layers], alpha=0.6, linewidth=0)
    for layers, cross in crosses.iterrows():
        axis.scatter(*cross, s=90, marker="x", linewidth=2.5, color=[colours[layers]], zorder=3, label=f"{layers}")
    axis.set(xlabel="recall", ylabel="precision")
    figure.legend(loc="outside lower center", ncols=8, frameon=False, fontsize=10, title="layers added")
    return figure


def rank_agreement(frame: pd.DataFrame) -> Figure:
    """Rank correlation of the methods' five-band scores with other scores, a row for each and its interval as a bar; a
    panel for each five-band score, a colour for each network.

    Args:
        frame: band (the five-band score), score, network, correlation, ci_low, ci_high.
    """
    bands, scores, networks = (_distinct(frame[column]) for column in ("band", "score", "network"))
    size = (WIDTH, 1.2 + 0.17 * len(scores) * (len(networks) + 1))
    figure, axes = plt.subplots(1, len(bands), figsize=size, sharey=True, squeeze=False)
    offsets = (np.arange(len(networks)) - (len(networks) - 1) / 2) / (len(networks) + 1)
    for axis, band in zip(axes[0], bands, strict=True):
        styles = zip(networks, offsets, MARKERS, sns.color_palette("colorblind"), strict=False)
        for network, offset, marker, colour in styles:
            own = frame[(frame["network"] == network) & (frame["band"] == band)]
            # the bootstrap's interval need not hold the estimate
            spans = np.clip([own["correlation"] - own["ci_low"], own["ci_high"] - own["correlation"]], 0, None)
            rows = own["score"].map(scores.index) + offset
            axis.errorbar(own["correlation"], rows, xerr=spans, fmt=marker, color=colour, capsize=2.5, label=network)
        axis.axvline(0, color="0.4", linewidth=1)
        axis.set(title=band, xlabel="rank correlation", xlim=(-1.03, 1.03), ylim=(len(scores) - 0.5, -0.5))
    axes[0, 0].set_yticks(range(len(scores)), scores)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(networks), frameon=False, fontsize=10)
    return figure


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _styles(methods: Iterable[str]) -> Mapping[str, tuple]:
    """Colour and marker of each method, in the order of the frame; markers tell apart where colours repeat."""
    names = _distinct(methods)
    colours = sns.color_palette("colorblind", len(names))
    return {
        name: (colour, MARKERS[i % len(MARKERS)]) for i, (name, colour) in enumerate(zip(names, colours, strict=True))
    }


def _legend(figure: Figure, styles: Mapping[str, tuple]) -> None:
    """One legend of the methods, below all panels."""
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=7, label=method)
        for method, (colour, marker) in styles.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=10)


def _grid(rows: int, titles: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Square cells, the titles above the first row."""
    cell = WIDTH / len(titles)
    figure, axes = plt.subplots(rows, len(titles), figsize=(WIDTH, 0.8 + rows * cell), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=11)
    return figure, axes


def _scale(figure: Figure, axes: np.ndarray) -> None:
    """The scale of signed maps, below them."""
    mappable = plt.cm.ScalarMappable(plt.Normalize(-1, 1), cmap=SIGNED)
    bar = figure.colorbar(mappable, ax=axes[-1].tolist(), location="bottom", aspect=40, fraction=0.06, ticks=[-1, 0, 1])
    bar.ax.set_xticklabels(["−1, against", "0", "1, for"])
