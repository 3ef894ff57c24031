"""Table 2 as a figure."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saltrust.core import outcomes
from saltrust.methods.registry import label_of
from saltrust.plots.style import FAIL, PASS, WIDTH

ACROSS = 100  # letters of the heads of columns side by side
CELLS = {outcomes.PASS: (PASS, "white"), outcomes.UNDECIDED: ("#e6e6e6", "0.15"), outcomes.FAIL: (FAIL, "white")}
"""Ground and letters of a cell: the light one stands out without colour, too."""


def verdict_matrix(verdicts: pd.DataFrame, controls: pd.DataFrame | None = None) -> Figure:
    """Table 2 of Arun et al. as a picture: a row for each method, a column for each criterion and baseline.

    Args:
        verdicts: from `Study.verdicts`; the verdict stands in words.
        controls: in the same columns, above a gap; None for none.
    """
    columns = list(dict.fromkeys(zip(verdicts["criterion"], verdicts["baseline"], strict=True)))
    groups = [verdicts] if controls is None or controls.empty else [controls, verdicts]
    height = sum(group["method"].nunique() for group in groups) + 0.4 * (len(groups) - 1)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.48 * height + 1.5))
    top, ticks = 0.0, {}
    for group in groups:
        cells = group.set_index(["method", "criterion", "baseline"])
        for method in dict.fromkeys(group["method"]):
            for j, column in enumerate(columns):
                _verdict_cell(axis, j, top, cells.loc[(method, *column)])
            ticks[top + 0.5] = label_of(method)
            top += 1
        top += 0.4
    axis.set(xlim=(0, len(columns)), ylim=(height, 0))
    heads = [f"{criterion}\n{fill(f'vs {baseline}', ACROSS // len(columns))}" for criterion, baseline in columns]
    axis.set_xticks(np.arange(len(columns)) + 0.5, heads, fontsize=9)
    axis.set_yticks(list(ticks), list(ticks.values()))
    axis.xaxis.tick_top()
    axis.grid(False)
    axis.tick_params(length=0)
    sns.despine(ax=axis, left=True, bottom=True)
    return figure


def _verdict_cell(axis: Axes, left: float, top: float, cell: pd.Series) -> None:
    word, (ground, letters) = cell["verdict"], CELLS[cell["verdict"]]
    axis.add_patch(plt.Rectangle((left, top), 1, 1, facecolor=ground, edgecolor="white", linewidth=2))
    numbers = f"{cell['value']:.2f} / {cell['reference']:.2f}"
    for text, place, style in (
        (word, 0.36, {"weight": "bold", "fontsize": 8 if word == outcomes.UNDECIDED else 10}),
        (numbers, 0.74, {"fontsize": 8}),
    ):
        axis.text(left + 0.5, top + place, text, ha="center", va="center", color=letters, **style)
