"""Shapley values of the parts of tiny images: maps, errors by cost, what removing pixels does."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from saltrust.plots.five_band import show_signed_map
from saltrust.plots.images import show_image
from saltrust.plots.style import FAIL, PASS, UNDECIDED, WIDTH

MARKS = {"blocks": "s", "blocks that overlap": "D", "pixels": "^"}  # of Occlusion's windows


def signed_rows(rows: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]], titles: Sequence[str]) -> Figure:
    """Images, each with maps beside it on one scale: blue below zero, red above.

    Args:
        rows: an image (h, w) and its maps (h, w) each; a boolean map is drawn in black and white, as an image is.
        titles: above the columns, that of the image first.
    """
    size = WIDTH / len(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(WIDTH, size * len(rows) + 0.3), squeeze=False)
    for line, (image, maps) in zip(axes, rows, strict=True):
        show_image(line[0], image)
        signed = [one for one in maps if one.dtype != np.uint8]
        scale = max((float(np.abs(one).max()) for one in signed), default=0.0) or 1.0
        for axis, one in zip(line[1:], maps, strict=True):
            if one.dtype == np.uint8:
                show_image(axis, one)
            else:
                show_signed_map(axis, one / scale)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def error_by_passes(found: pd.DataFrame, power: Mapping[str, float], least: int) -> Figure:
    """The error of KernelSHAP by the passes that it takes, beside Occlusion's, on logarithmic axes.

    Args:
        found: method ("kernel_shap", "occlusion"), windows, samples, passes, error, error_low, error_high; other rows
            are left out.
        power: with which the error falls, power.
        least: coalitions from which the line of that power is drawn.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4.2))
    own = found[found["method"] == "kernel_shap"].sort_values("passes")
    axis.fill_between(own["passes"], own["error_low"], own["error_high"], color=PASS, alpha=0.25, linewidth=0)
    axis.plot(own["passes"], own["error"], "o-", color=PASS, markersize=4, label="Kernel SHAP")
    tail = own[own["samples"] >= least]
    if len(tail) > 1 and np.isfinite(power["power"]):
        last = tail.iloc[-1]
        ideal = last["error"] * (tail["passes"] / last["passes"]) ** -0.5
        axis.plot(tail["passes"], ideal * 0.7, ":", color="0.3", label="1 / root of the number")
    for row in found[found["method"] == "occlusion"].itertuples():
        span = [[max(row.error - row.error_low, 0)], [max(row.error_high - row.error, 0)]]
        axis.errorbar(row.passes, row.error, yerr=span, fmt=MARKS[row.windows], color=FAIL, capsize=3,
                      label=f"Occlusion, {row.windows}")  # fmt: skip
    axis.set(xscale="log", yscale="log", xlabel="passes through the network", ylabel="error, share of the exact values")
    for one in (axis.xaxis, axis.yaxis):  # the usual labels of such axes are formulas
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.legend(fontsize=9, loc="lower left")
    return figure


def falls_by_method(found: pd.DataFrame, names: Mapping[str, str], plain: Sequence[str]) -> Figure:
    """How far the log-odds fall as the pixels of each method are removed, the largest fall above.

    Args:
        found: method, fall, ci_low, ci_high, above_low and above_high (of the difference from random ink).
        names: what each row is called.
        plain: rows that are no method, in grey and italics.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.85, 1.0 + 0.24 * len(found)))
    for place, row in enumerate(found.itertuples()):
        colour = PASS if row.above_low > 0 else FAIL if row.above_high < 0 else UNDECIDED
        colour = "0.35" if row.method in plain else colour
        span = [[max(row.fall - row.ci_low, 0)], [max(row.ci_high - row.fall, 0)]]
        marker = "D" if row.method in plain else "o"
        axis.errorbar(row.fall, place, xerr=span, fmt=marker, color=colour, capsize=2.5, markersize=5)
    axis.set_yticks(range(len(found)), [names[method] for method in found["method"]], fontsize=9)
    for label, method in zip(axis.get_yticklabels(), found["method"], strict=True):
        label.set_fontstyle("italic" if method in plain else "normal")
    axis.axvline(0, color="0.4", linewidth=1)
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.set_xlabel("fall of the log-odds")
    return figure


def likeness_of_kinds(found: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """How alike the maps of two networks are, by what the two have in common.

    Args:
        found: pair, cosine, ci_low, ci_high.
        titles: of the pairs.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 0.9 + 0.45 * len(found)))
    for place, row in enumerate(found.itertuples()):
        span = [[max(row.cosine - row.ci_low, 0)], [max(row.ci_high - row.cosine, 0)]]
        axis.errorbar(row.cosine, place, xerr=span, fmt="o", color=PASS, capsize=3)
    axis.set_yticks(range(len(found)), [titles[pair] for pair in found["pair"]])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.set_xlabel("cosine of the maps of one image")
    return figure
