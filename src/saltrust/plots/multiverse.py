"""Figures of the specification curve: what verdicts specifications give, how far they reach, which choices decide."""

from collections.abc import Mapping
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from saltrust.analysis.multiverse.effects import INTERACTIONS
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.core.outcomes import FAIL, PASS, UNDECIDED
from saltrust.methods.registry import label_of
from saltrust.plots import style
from saltrust.plots.style import OUTCOME_COLOURS, WIDTH

PROTOCOL_MARKS = {"corrected": "s", "published": "^", "as_run": "o"}
SHARES = LinearSegmentedColormap.from_list("shares", (style.FAIL, "#f7f7f7", style.PASS))
STRETCHES = 96  # of a sorted curve, at most, for which a dashboard is shaded: more could not be told apart


def share_matrix(shares: Mapping[str, pd.DataFrame], curve: pd.DataFrame) -> Figure:
    """Share of the specifications that PASS, a row for each method and a column for each criterion; below it the share
    that is undecided, where there is any, and the verdicts of the named protocols.

    The ground is as blue as PASS outweighs FAIL, as orange as FAIL outweighs PASS.

    Args:
        shares: from `verdict_shares`.
        curve: from `analysis.multiverse.curve.specification_curve`.
    """
    passed, undecided, balance = shares[PASS], shares[UNDECIDED], shares[PASS] - shares[FAIL]
    figure, axis = plt.subplots(figsize=(WIDTH, 0.62 * len(passed) + 1.3))
    axis.imshow(balance, cmap=SHARES, vmin=-1, vmax=1, aspect="auto")
    for (i, method), (j, criterion) in product(enumerate(passed.index), enumerate(passed.columns)):
        colour = "white" if abs(balance.loc[method, criterion]) > 0.6 else "black"
        centred = {"ha": "center", "va": "center", "color": colour}
        axis.text(j, i - 0.24, f"{passed.loc[method, criterion]:.0%}", weight="bold", **centred)
        if undecided.loc[method, criterion]:
            axis.text(j, i + 0.03, f"{undecided.loc[method, criterion]:.0%} undecided", fontsize=8, **centred)
        own = curve[(curve["method"] == method) & (curve["criterion"] == criterion)]
        for k, (name, mark) in enumerate(PROTOCOL_MARKS.items()):
            filling = _filling(_row_of(own, name)["verdict"], colour)
            axis.plot(j + 0.14 * (k - 1), i + 0.3, mark, markersize=7, **filling)
    axis.set_xticks(range(passed.shape[1]), passed.columns)
    axis.set_yticks(range(len(passed)), [label_of(method) for method in passed.index])
    axis.set_xticks(np.arange(passed.shape[1] - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(passed) - 1) + 0.5, minor=True)
    axis.grid(False)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="both", length=0)
    axis.xaxis.tick_top()
    for side in axis.spines.values():
        side.set_visible(False)
    _protocol_legend(figure)
    return figure


def _row_of(own: pd.DataFrame, protocol: str) -> pd.Series:
    return own[own["protocol"].str.split(", ").map(lambda names: protocol in names)].iloc[0]


def _filling(verdict: str, colour: str, ground: str = "none") -> dict[str, str]:
    """How the mark of a named protocol says its verdict; ground: what shows where it is not filled."""
    return {
        "fillstyle": "left" if verdict == UNDECIDED else "full",
        "color": colour,
        "markerfacecolor": ground if verdict == FAIL else colour,
        "markerfacecoloralt": ground,
        "markeredgecolor": colour,
    }


def _protocol_legend(figure: Figure, *more: Line2D) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=mark, color="black", markersize=7, label=name.replace("_", " "))
        for name, mark in PROTOCOL_MARKS.items()
    ]
    handles += [
        Line2D([], [], linestyle="", marker="D", markersize=7, label=f"{word}: {verdict}", **_filling(verdict, "black"))
        for word, verdict in (("filled", PASS), ("half", UNDECIDED), ("open", FAIL))
    ]
    figure.legend(handles=[*more, *handles], loc="outside lower center", ncols=3, frameon=False, fontsize=10)


_VERDICTS = tuple(
    Line2D([], [], linestyle="", marker="o", color=colour, label=verdict) for verdict, colour in OUTCOME_COLOURS.items()
)


def sorted_curves(curve: pd.DataFrame) -> Figure:
    """The specifications of each method (row) and criterion (column), sorted by the difference between the method's
    mean and the baseline's: dots coloured by verdict, a band for the 95 % intervals, marks for named protocols."""
    methods, criteria = curve["method"].unique(), curve["criterion"].unique()
    figure, axes = plt.subplots(
        len(methods),
        len(criteria),
        figsize=(WIDTH, 0.95 * len(methods) + 0.9),
        sharex=True,
        sharey="col",
        squeeze=False,
    )
    for line, method in zip(axes, methods, strict=True):
        for axis, criterion in zip(line, criteria, strict=True):
            own = curve[(curve["method"] == method) & (curve["criterion"] == criterion)]
            _draw_curve(axis, own, size=4)
            axis.tick_params(labelsize=8)
        line[0].set_ylabel(label_of(method), fontsize=10)
    for axis, criterion in zip(axes[0], criteria, strict=True):
        axis.set_title(criterion, fontsize=10)
    for axis in axes[-1]:
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.set_xticks((0, 0.5, 1))
        axis.set_xlabel("specifications, sorted", fontsize=9)
    figure.supylabel("mean of the method minus mean of the baseline", fontsize=10)
    _protocol_legend(figure, *_VERDICTS)
    return figure


def _draw_curve(axis: Axes, own: pd.DataFrame, size: float) -> None:
    """One sorted curve, x from 0 to 1; a protocol outside the grid is placed by its difference."""
    crossed = own[own["in_grid"]].sort_values("difference", kind="stable")
    x = (np.arange(len(crossed)) + 0.5) / len(crossed)
    axis.fill_between(x, crossed["ci_low"], crossed["ci_high"], color="0.8", linewidth=0)
    colours = crossed["verdict"].map(OUTCOME_COLOURS)
    axis.scatter(x, crossed["difference"], s=size, c=colours, linewidths=0, zorder=2)
    axis.axhline(0, color="0.2", linewidth=0.8)
    for name, mark in PROTOCOL_MARKS.items():
        row = _row_of(own, name)
        at = (
            x[crossed.index.get_loc(row.name)]
            if row["in_grid"]
            else np.interp(row["difference"], crossed["difference"], x)
        )
        filling = _filling(row["verdict"], "black", ground="white")
        axis.plot(at, row["difference"], mark, markersize=5 + size / 8, zorder=3, clip_on=False, **filling)
    axis.set_xlim(0, 1)
    axis.grid(False, axis="x")


def specification_curve(own: pd.DataFrame, rates: Mapping[str, float]) -> Figure:
    """The curve of one method and criterion above its dashboard: for each value of each choice, how large a share of
    the specifications in each stretch of the curve takes it, from white (none) to black (all).

    Args:
        own: the rows of that method and criterion.
        rates: flip rate of each choice, which orders the dashboard.
    """
    crossed = own[own["in_grid"]].sort_values("difference", kind="stable")
    names = sorted((name for name in FACTORS if crossed[name].nunique() > 1), key=lambda name: -rates[name])
    values = {name: list(dict.fromkeys(own.loc[own["in_grid"], name])) for name in names}
    rows = sum(map(len, values.values()))
    figure, (curve, *strips) = plt.subplots(
        1 + len(names),
        1,
        figsize=(WIDTH, 3.2 + 0.24 * rows),
        height_ratios=[3.0 / 0.24, *map(len, values.values())],
        sharex=True,
    )
    figure.get_layout_engine().set(hspace=0.02, h_pad=0.02)
    _draw_curve(curve, own, size=14)
    curve.set_ylabel("mean of the method\nminus mean of the baseline", fontsize=10)
    curve.tick_params(labelbottom=False)
    stretches = max(k for k in range(1, STRETCHES + 1) if len(crossed) % k == 0)  # all of one length
    stretch = np.arange(len(crossed)) * stretches // len(crossed)
    for axis, name in zip(strips, names, strict=True):
        taken = np.stack([crossed[name].eq(value) for value in values[name]], axis=1)
        shares = pd.DataFrame(taken).groupby(stretch).mean().to_numpy().T
        axis.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto", extent=(0, 1, len(shares) - 0.5, -0.5))
        axis.set_yticks(range(len(shares)), values[name], fontsize=9)
        axis.yaxis.tick_right()
        axis.set_ylabel(FACTORS[name].title, rotation=0, ha="right", va="center")
        axis.yaxis.set_label_position("left")
        axis.yaxis.label.set_size(9)
        axis.grid(False)
        axis.tick_params(length=0)
    strips[-1].xaxis.set_major_formatter(PercentFormatter(1))
    strips[-1].set_xlabel("specifications, sorted", fontsize=10)
    _protocol_legend(figure, *_VERDICTS)
    return figure


def choice_bars(frame: pd.DataFrame) -> Figure:
    """What each choice does, a panel for each criterion: a bar for its flip rate, a diamond for the share of the
    variance of the difference that it explains.

    Args:
        frame: criterion, choice (in the order of the rows), flip_rate, variance; both NaN, a dash, where it is not
            varied.
    """
    criteria = list(dict.fromkeys(frame["criterion"]))
    choices = list(dict.fromkeys(frame["choice"]))
    figure, axes = plt.subplots(
        1, len(criteria), figsize=(WIDTH, 0.3 * len(choices) + 1.3), sharey=True, sharex=True, squeeze=False
    )
    row = np.arange(len(choices))
    for axis, criterion in zip(axes.flat, criteria, strict=True):
        own = frame[frame["criterion"] == criterion].set_index("choice").reindex(choices)
        axis.barh(row, own["flip_rate"], color="0.65", height=0.62, label="verdicts that flip")
        axis.plot(
            own["variance"],
            row,
            "D",
            color="black",
            markeredgecolor="white",
            markersize=8,
            clip_on=False,
            label="variance of the difference that it explains",
        )
        for y in row[own["variance"].isna() & own["flip_rate"].isna()]:
            axis.text(0.03, y, "–", va="center", color="0.45")
        axis.set_title(criterion, fontsize=11)
        axis.tick_params(axis="x", labelsize=9)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.grid(False, axis="y")
    axes[0, 0].set_yticks(row, [_title(choice) for choice in choices])
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_xlim(0, 1)
    axes[0, 0].set_xticks((0, 0.5, 1))
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def _title(choice: str) -> str:
    return "all interactions" if choice == INTERACTIONS else FACTORS[choice].title
