"""The figure of the ledger of claims."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saltrust.plots.style import FAIL, PASS, WIDTH

ANSWER_MARKS = {
    "yes": {"marker": "o", "color": PASS},
    "no": {"marker": "X", "color": FAIL},
    "unclear": {"marker": "_", "color": "0.5"},
    "too small to tell": {"marker": "$?$", "color": "0.7"},
}

Line = tuple[str, pd.Series | None]
"""The text of a line, and the claim whose answers it shows; None for a heading."""


def claim_answers(frame: pd.DataFrame, protocols: Sequence[str], groups: Mapping[str, str]) -> Figure:
    """A line for each claim, with a mark for its answer under each protocol; the lines fill two panels.

    Args:
        frame: title, kind, and a column of answers for each protocol.
        protocols: columns of the frame.
        groups: the heading of each kind, in order.
    """
    lines: list[Line] = []
    for kind, heading in groups.items():
        claims = [row for _, row in frame[frame["kind"] == kind].iterrows()]
        lines += [(heading, None)] * bool(claims) + [(row["title"], row) for row in claims]
    half = -(-len(lines) // 2)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 1.3 + 0.21 * half))
    for axis, part in zip(axes, (lines[:half], lines[half:]), strict=True):
        _panel(axis, part, protocols)
        axis.set_ylim(half - 0.4, -0.6)
    for answer, mark in ANSWER_MARKS.items():
        axes[0].scatter([], [], s=44, label=answer, **mark)
    figure.legend(loc="outside lower center", ncols=len(ANSWER_MARKS), frameon=False, fontsize=10)
    return figure


def _panel(axis: Axes, lines: Sequence[Line], protocols: Sequence[str]) -> None:
    for answer, mark in ANSWER_MARKS.items():
        places = [
            (x, y)
            for y, (_, claim) in enumerate(lines)
            for x, protocol in enumerate(protocols)
            if claim is not None and claim[protocol] == answer
        ]
        axis.scatter(*zip(*places, strict=True) if places else ([], []), s=44, zorder=3, **mark)
    axis.set_xlim(-0.6, len(protocols) - 0.4)
    axis.set_xticks(range(len(protocols)), [name.replace("_", " ") for name in protocols], rotation=90, fontsize=8)
    axis.set_yticks(range(len(lines)), [text for text, _ in lines], fontsize=8)
    for label, (_, claim) in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if claim is None else "normal")
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)
