"""The figure of the report card: methods by criteria, on one page."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saltrust.analysis.report_card import GRADES, criteria_of, grades
from saltrust.methods.registry import label_of
from saltrust.plots.style import GRADE_MARKS, OPEN_GRADE, WIDTH
from saltrust.study.criteria import CRITERIA

LOW, HIGH, CONTROL = "0.15", "0.45", "0.6"  # greys of the low baselines, the localizer and the controls


def report_card_figure(card: pd.DataFrame) -> Figure:
    """Mean and interval of each method by each criterion, its grade as the mark, its low baseline as a bar and the
    localizer as a dotted line; controls in grey below.

    Args:
        card: from `analysis.report_card.report_card`.
    """
    graded = grades(card)
    rows = list(dict.fromkeys(card["method"]))
    rows.sort(key=lambda method: method not in graded.index)  # the controls last, else as they come
    criteria = criteria_of(card)
    size = (WIDTH, 1.2 + 0.27 * len(rows))
    figure, (axes,) = plt.subplots(1, len(criteria), figsize=size, sharey=True, squeeze=False)
    for axis, criterion in zip(axes, criteria, strict=True):
        _panel(axis, card[card["criterion"] == criterion], graded[criterion], rows)
        found = CRITERIA[criterion]
        better = "higher" if found.larger_is_better else "lower"
        axis.set_title(found.title, fontsize=11)
        axis.set_xlabel(f"{found.score_title}, {better} is better", fontsize=8.5)
        axis.tick_params(labelsize=9)
    axes[0].set_yticks(np.arange(len(rows)), [label_of(method) for method in rows])
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.legend(handles=_key(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _panel(axis: Axes, card: pd.DataFrame, graded: pd.Series, rows: list[str]) -> None:
    for row in card.drop_duplicates("method").itertuples():
        y, judged = rows.index(row.method), row.method in graded.index
        mark = _mark(graded[row.method]) if judged else {"marker": "D", "color": CONTROL, "markeredgecolor": "white"}
        axis.plot([row.ci_low, row.ci_high], [y, y], color=mark["color"], linewidth=2, solid_capstyle="butt")
        axis.plot(row.value, y, linestyle="", markersize=7 if judged else 5, zorder=3, **mark)
    for row in card.dropna(subset="baseline").itertuples():
        y = rows.index(row.method)
        style = {"color": HIGH, "linestyle": ":"} if row.baseline == "localizer" else {"color": LOW}
        axis.plot([row.reference] * 2, [y - 0.42, y + 0.42], linewidth=2, **style)
    axis.axhline(len(graded) - 0.5, color="0.8", linewidth=1)
    axis.set_xlim(min(0, card["ci_low"].min() - 0.03), 1.02)
    axis.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axis.grid(axis="y", visible=False)


def _mark(grade: str) -> dict[str, str | float]:
    """How a grade is drawn: filled, with a white edge; the open one with an edge of its colour."""
    marker, colour = GRADE_MARKS[grade]
    edge = {"markeredgecolor": "white"}
    if grade == OPEN_GRADE:
        edge = {"markeredgecolor": colour, "markerfacecolor": "white", "markeredgewidth": 2.0}
    return {"marker": marker, "color": colour, **edge}


def _key() -> list[Line2D]:
    marks = [
        Line2D([], [], linestyle="", markersize=8, label=GRADES[name].title, **_mark(name)) for name in GRADE_MARKS
    ]
    return [
        *marks,
        Line2D([], [], color=LOW, linewidth=2, label="low baseline"),
        Line2D([], [], color=HIGH, linewidth=2, linestyle=":", label="localizer"),
        Line2D([], [], linestyle="", marker="D", color=CONTROL, label="control, localizer: not judged"),
    ]
