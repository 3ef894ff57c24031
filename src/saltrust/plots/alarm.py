"""What an alarm on a network's predictions of several findings is worth."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from saltrust.plots.five_band import show_signed_map
from saltrust.plots.images import show_image
from saltrust.plots.style import FAIL, PASS, UNDECIDED, WIDTH

LINES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (7, 2)))


def roc_by_finding(answers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """ROC curves of several findings.

    Args:
        answers: finding -> whether each image has it, and the network's output (n,).
    """
    from sklearn.metrics import roc_curve

    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 4.6))
    for (name, (present, scores)), style in zip(answers.items(), LINES, strict=False):
        false, true, _ = roc_curve(present, scores)
        axis.plot(false, true, linestyle=style, linewidth=2, label=name)
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=(0, 1), ylim=(0, 1.01))
    axis.legend(fontsize=9, loc="lower right")
    return figure


def together(shares: pd.DataFrame) -> Figure:
    """How often one finding is there where another is.

    Args:
        shares: of the images with the finding of the row, the share that has that of the column; 1 on the diagonal.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 4.4))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        value = shares.iloc[row, column]
        colour = "white" if value > 0.6 else "black"
        axis.text(column, row, f"{value:.0%}", ha="center", va="center", color=colour, fontsize=10)
    axis.set_xticks(range(len(shares)), shares.columns, rotation=30, ha="right")
    axis.set_yticks(range(len(shares)), [f"where {name}" for name in shares.index])
    axis.grid(visible=False)
    return figure


def distance_graph(
    image: np.ndarray, maps: np.ndarray, distances: np.ndarray, names: Sequence[str], marks: Sequence[str]
) -> Figure:
    """An image, the maps of its outputs, and a graph whose edges say how far apart the maps are.

    Args:
        image: (h, w) uint8.
        maps: (k, h, w), signed, in any unit: each is shown in shares of what 0.5 % of its pixels exceed.
        distances: (k, k), cosine distances.
        names: of the outputs.
        marks: a word under the name of each, such as "said, true".
    """
    k = len(names)
    figure = plt.figure(figsize=(WIDTH, 5.6))
    grid = figure.add_gridspec(2, k + 1, height_ratios=(1, 2.4))
    show_image(figure.add_subplot(grid[0, 0]), image)
    for place, name in enumerate(names):
        axis = figure.add_subplot(grid[0, place + 1])
        largest = np.quantile(np.abs(maps[place]), 0.995) or 1.0
        show_signed_map(axis, maps[place] / largest)
        axis.set_title(name, fontsize=9)
    axis = figure.add_subplot(grid[1, :])
    angles = np.pi / 2 - 2 * np.pi * np.arange(k) / k
    x, y = np.cos(angles), np.sin(angles)
    for i, j in zip(*np.triu_indices(k, 1), strict=True):
        far = distances[i, j]
        axis.plot(x[[i, j]], y[[i, j]], color="0.45", linewidth=0.5 + 4 * max(0.0, 1 - far / 2), zorder=1)
        part = 0.5 if k % 2 else 0.42  # where no other edge crosses
        place = x[i] + part * (x[j] - x[i]), y[i] + part * (y[j] - y[i])
        axis.text(*place, f"{far:.2f}", fontsize=9, ha="center", va="center", zorder=2,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    axis.scatter(x, y, s=180, color=PASS, zorder=3)
    sums = distances.sum(axis=1)
    for place, name in enumerate(names):
        side = "left" if x[place] > 0.1 else "right" if x[place] < -0.1 else "center"
        height = "center" if side != "center" else "bottom" if y[place] > 0 else "top"
        label = f"{name} ({marks[place]})\nsum {sums[place]:.2f}"
        axis.annotate(label, (x[place] * 1.16, y[place] * 1.14), ha=side, va=height, fontsize=9)
    axis.set(xlim=(-2.6, 2.6), ylim=(-1.35, 1.45), aspect="equal")
    axis.axis("off")
    return figure


def f1_boxes(resampled: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """The mean F1 of each alarm over resamples of the images, a box each.

    Args:
        resampled: a column for each alarm.
        titles: what each is called, in the order of the boxes from the top.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.38 * len(titles)))
    shown = [resampled[name] for name in titles][::-1]
    style = {"boxprops": {"facecolor": "#a6cbe3"}, "medianprops": {"color": "black"}, "flierprops": {"markersize": 3}}
    labels = [*titles.values()][::-1]
    axis.boxplot(shown, orientation="horizontal", tick_labels=labels, patch_artist=True, **style)
    axis.set_xlabel("mean F1 over the findings")
    axis.grid(axis="y", visible=False)
    return figure


def gains_by_alarm(gained: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """What each alarm adds to the F1 of none, with its interval.

    Args:
        gained: method, gain, ci_low, ci_high.
        titles: what each method is called.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.36 * len(gained)))
    for place, row in enumerate(gained.itertuples()):
        colour = PASS if row.ci_low > 0 else FAIL if row.ci_high < 0 else UNDECIDED
        span = [[max(row.gain - row.ci_low, 0)], [max(row.ci_high - row.gain, 0)]]
        axis.errorbar(row.gain, place, xerr=span, fmt="o", color=colour, capsize=3)
    axis.axvline(0, color="0.4", linewidth=1)
    axis.set_yticks(range(len(gained)), [titles[name] for name in gained["method"]])
    axis.set_ylim(len(gained) - 0.5, -0.5)
    axis.set_xlabel("change of the mean F1, beside no alarm")
    axis.grid(axis="y", visible=False)
    return figure


def risk_coverage_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """The share of wrong answers among those that are kept, as more and more are kept.

    Args:
        curves: title -> coverage and risk (n,), both in [0, 1].
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    for (name, (coverage, risk)), style in zip(curves.items(), cycle(LINES), strict=False):
        axis.plot(coverage, risk, linestyle=style, linewidth=1.8, label=name)
    axis.set(xlabel="coverage: share of the answers that are kept", ylabel="risk: share of these that are wrong")
    axis.set(xlim=(0, 1), ylim=(0, None))
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    return figure


def auroc_by_finding(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """How well each doubt tells wrong answers from right ones, a marker for each finding.

    Args:
        table: score, finding, auroc, ci_low, ci_high.
        titles: what each score is called, in the order of the rows.
    """
    findings = list(dict.fromkeys(table["finding"]))
    figure, axis = plt.subplots(figsize=(WIDTH, 1.2 + 0.55 * len(titles)))
    for (place, finding), marker in zip(enumerate(findings), "osD^vP*X", strict=False):
        own = table[table["finding"] == finding].set_index("score").loc[list(titles)]
        rows = np.arange(len(titles)) + 0.13 * (place - (len(findings) - 1) / 2)
        spans = np.clip([own["auroc"] - own["ci_low"], own["ci_high"] - own["auroc"]], 0, None)
        axis.errorbar(own["auroc"], rows, xerr=spans, fmt=marker, markersize=5, capsize=2, linewidth=1, label=finding)
    axis.axvline(0.5, color="0.4", linewidth=1)
    axis.set_yticks(range(len(titles)), list(titles.values()))
    axis.set_ylim(len(titles) - 0.5, -0.5)
    axis.set_xlabel("AUROC of the doubt for wrong answers (0.5: none)")
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    return figure


def choice_curve(curve: pd.DataFrame, choices: Mapping[str, str]) -> Figure:
    """A specification curve: what each choice gains, how well its doubt finds wrong answers, and what was chosen.

    Args:
        curve: gain, ci_low, ci_high, auroc, paper and the columns of the choices, in the order of the curve.
        choices: column -> what is chosen in it. Where a choice does not arise, the column holds NaN.
    """
    rows = [(column, value) for column in choices for value in dict.fromkeys(curve[column].dropna())]
    figure, (gain, area, chosen) = plt.subplots(
        3, 1, figsize=(WIDTH, 4.2 + 0.27 * len(rows)), sharex=True, height_ratios=(2.2, 1.2, 0.27 * len(rows) + 0.6)
    )
    place = np.arange(len(curve))
    colours = np.where(curve["paper"], FAIL, "0.35")
    spans = np.clip([curve["gain"] - curve["ci_low"], curve["ci_high"] - curve["gain"]], 0, None)
    gain.errorbar(place, curve["gain"], yerr=spans, fmt="none", ecolor="0.7", linewidth=1.2)
    for axis, column, level in ((gain, "gain", 0.0), (area, "auroc", 0.5)):
        axis.scatter(place, curve[column], c=colours, s=24, zorder=3)
        axis.axhline(level, color="0.4", linewidth=1)
    gain.set_ylabel("change of\nthe mean F1")
    area.set_ylabel("AUROC for\nwrong answers")
    for row, (column, value) in enumerate(rows):
        own = (curve[column] == value).to_numpy()
        chosen.scatter(place[own], np.full(own.sum(), row), c=colours[own], marker="s", s=14)
    chosen.set_yticks(
        range(len(rows)), [f"{choices[column]}: {format(value, '').replace('_', ' ')}" for column, value in rows]
    )
    chosen.set_ylim(len(rows) - 0.5, -0.5)
    chosen.set_xticks([])
    chosen.set_xlabel("choices, by their gain (orange: the paper's)")
    for axis in (gain, area, chosen):
        axis.grid(axis="x", visible=False)
    return figure


def shift_curves(table: pd.DataFrame, titles: Mapping[str, str], changes: Mapping[str, str]) -> Figure:
    """The shares of wrong and of flagged answers as films change, a panel for each change.

    Args:
        table: change, strength, score, wrong, flagged.
        titles: what each score is called.
        changes: change -> its title, with the unit of its strength.
    """
    figure, axes = plt.subplots(1, len(changes), figsize=(WIDTH, 4.4), sharey=True)
    for axis, (change, title) in zip(np.atleast_1d(axes), changes.items(), strict=True):
        own = table[table["change"] == change]
        strengths = sorted(own["strength"].unique())
        wrong = own.drop_duplicates("strength").set_index("strength")["wrong"][strengths]
        axis.plot(range(len(strengths)), wrong, color="black", linewidth=3, marker="o", label="wrong answers")
        for (score, name), style in zip(titles.items(), cycle(LINES[1:]), strict=False):
            flagged = own[own["score"] == score].set_index("strength")["flagged"][strengths]
            axis.plot(range(len(strengths)), flagged, linestyle=style, linewidth=1.8, label=f"flagged: {name}")
        axis.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
        axis.set_xlabel(title.replace(" (", "\n(", 1))
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    np.atleast_1d(axes)[0].set_ylabel("share of all answers")
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=9, frameon=False)
    return figure
