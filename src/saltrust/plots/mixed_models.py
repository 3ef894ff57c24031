"""Figures of the mixed models: all pairs as a matrix, differences within methods, and what is left over."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from saltrust.methods.registry import label_of
from saltrust.plots.style import FAIL, PASS, WIDTH

SIGNED = "PuOr_r"  # purple below, orange above zero: apart for every kind of colour vision
FITS_NUMBERS = 20  # levels; with more, the cells of a matrix are too small for text


def pairwise_matrix(means: pd.Series, letters: Mapping[str, str], contrasts: pd.DataFrame, alpha: float) -> Figure:
    """Row minus column for each pair of levels, in the order of their means; only pairs with an adjusted p below
    `alpha` are coloured. Beside each row its mean and its letters.

    Args:
        means: by level, in the order of the rows.
        letters: by level; rows that share one are not told apart.
        contrasts: first, second, estimate, p_adjusted, each pair once.
        alpha: the level of significance.
    """
    levels = list(means.index)
    place = {level: i for i, level in enumerate(levels)}
    gaps = np.full((len(levels), len(levels)), np.nan)
    shown = np.zeros(gaps.shape, bool)
    for first, second, estimate, p in contrasts[["first", "second", "estimate", "p_adjusted"]].itertuples(index=False):
        i, j = place[first], place[second]
        gaps[i, j], gaps[j, i] = estimate, -estimate
        shown[i, j] = shown[j, i] = p < alpha
    side = min(0.5, (WIDTH - 2) / len(levels))
    figure, axis = plt.subplots(figsize=(WIDTH, side * len(levels) + 0.9))
    limit = np.nanmax(np.abs(gaps))
    axis.pcolormesh(
        np.where(shown, gaps, np.nan), cmap=SIGNED, vmin=-limit, vmax=limit, edgecolor="0.85", linewidth=0.5
    )
    if len(levels) <= FITS_NUMBERS:
        for i, j in zip(*np.nonzero(~np.isnan(gaps)), strict=True):
            dark = shown[i, j] and abs(gaps[i, j]) > 0.6 * limit
            colour = "white" if dark else "black" if shown[i, j] else "0.5"
            text = f"{gaps[i, j]:+.2f}".replace("0.", ".").replace("-", "\N{MINUS SIGN}")
            axis.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=8, color=colour)
    for i, level in enumerate(levels):
        axis.text(len(levels) + 0.15, i + 0.5, f"{means[level]:.2f}  {letters[level]}", va="center", fontsize=9.5)
        axis.add_patch(plt.Rectangle((i, i), 1, 1, color="0.93"))
    ticks = np.arange(len(levels)) + 0.5
    names = [label_of(level) for level in levels]
    axis.set_yticks(ticks, names, fontsize=9.5)
    axis.set_xticks(ticks, names, rotation=45, ha="left", fontsize=9.5, rotation_mode="anchor")
    axis.set(xlim=(0, len(levels)), ylim=(len(levels), 0), aspect="equal")
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, pad=3)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure


def paired_differences(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """The difference between two sides of each method, with two simultaneous intervals: of the model (bar) and of the
    bootstrap (thin line).

    Args:
        panels: label of the axis -> a frame of first, estimate, ci_low, ci_high, boot_low, boot_high.
    """
    height = max(len(frame) for frame in panels.values())
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 1.3 + 0.36 * height), squeeze=False)
    for axis, (label, frame) in zip(axes.flat, panels.items(), strict=True):
        frame = frame.replace([np.inf, -np.inf], np.nan)  # a bootstrap of two images has no bounds
        rows = np.arange(len(frame))
        axis.hlines(rows, frame["ci_low"], frame["ci_high"], color=PASS, linewidth=7, alpha=0.45, label="mixed model")
        axis.hlines(rows, frame["boot_low"], frame["boot_high"], color="black", linewidth=1.3, label="bootstrap")
        axis.plot(frame["estimate"], rows, "o", color=PASS, markersize=6)
        axis.axvline(0, color=FAIL, linestyle=":", linewidth=1.5)
        axis.set_yticks(rows, [label_of(level.partition(":")[0]) for level in frame["first"]])
        axis.invert_yaxis()
        axis.set_xlabel(label, fontsize=10.5)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def residual_checks(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Above, residuals against fitted scores; below, their quantiles against those of a normal distribution, both in
    standard deviations.

    Args:
        panels: title -> fitted scores (n,) and residuals (n,).
    """
    figure, axes = plt.subplots(2, len(panels), figsize=(WIDTH, 4.6), squeeze=False)
    for (above, below), (title, (fitted, residuals)) in zip(axes.T, panels.items(), strict=True):
        above.scatter(fitted, residuals, s=7, color=PASS, alpha=0.5, linewidth=0)
        above.axhline(0, color=FAIL, linestyle=":", linewidth=1.5)
        above.set_title(title, fontsize=10.5)
        above.set_xlabel("fitted", fontsize=10)
        expected, found = stats.probplot(residuals / (residuals.std() or 1), fit=False)
        below.plot(expected, found, ".", color=PASS, markersize=4)
        ends = expected[[0, -1]]
        below.plot(ends, ends, color=FAIL, linestyle=":", linewidth=1.5)
        below.set_xlabel("normal quantile", fontsize=10)
        for axis in (above, below):
            axis.tick_params(labelsize=9)
    axes[0, 0].set_ylabel("residual", fontsize=10)
    axes[1, 0].set_ylabel("residual, in SD", fontsize=10)
    return figure
