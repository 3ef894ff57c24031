"""What all figures share: width, colours, the marks of verdicts."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

from saltrust.core.outcomes import OUTCOMES

sns.set_theme(style="whitegrid", palette="colorblind", font_scale=1.05)
plt.rcParams |= {"image.interpolation": "nearest", "axes.titlesize": "medium", "figure.constrained_layout.use": True}
plt.rcParams["text.parse_math"] = False  # texts are text: a dollar in the name of a class begins no formula

WIDTH = 8.0  # inches; shown at the width of the column, about 18 cm, fonts keep their size
MAP = "inferno"
BESIDE = "white"  # dashed: the outline of what lies beside the finding
TRUTH, EDGE = "#00e5ff", "black"  # the truth's outline: cyan is no colour of the map, the edge shows on bright ones
PASS, UNDECIDED, FAIL = "#0072b2", "#767676", "#d55e00"  # which stay apart for every kind of colour vision
OUTCOME_COLOURS = dict(zip(OUTCOMES, (PASS, UNDECIDED, FAIL), strict=True))
GRADE_MARKS = {"pass": ("o", PASS), "low": ("^", "#4c9fd1"), "undecided": ("s", UNDECIDED), "fail": ("X", FAIL)}
"""Marker and colour of each grade of a report card."""
OPEN_GRADE = "undecided"  # whose mark is not filled


def _bare(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)
