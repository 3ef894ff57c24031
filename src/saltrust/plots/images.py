"""Images, maps and truth."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from saltrust.methods.registry import label_of
from saltrust.plots.style import BESIDE, EDGE, FAIL, MAP, PASS, TRUTH, WIDTH, _bare
from saltrust.study.criteria import CRITERIA
from saltrust.study.examples import Example


def image_grid(images: np.ndarray, titles: Sequence[str], truth: np.ndarray | None = None, columns: int = 6) -> Figure:
    """Images (n, h, w[, 3]) with their titles, the truth (n[, 2], h, w) outlined."""
    rows = -(-len(images) // columns)
    size = (WIDTH, rows * (WIDTH / columns + 0.3))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="compressed")
    for axis in axes.flat:
        axis.axis("off")
    for i, axis in enumerate(axes.flat[: len(images)]):
        show_image(axis, images[i], None if truth is None else truth[i])
        axis.set_title(titles[i], fontsize=11)
    return figure


def show_image(axis: Axes, image: np.ndarray, truth: np.ndarray | None = None) -> None:
    """A grey or colour image without axes, the truth outlined."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    outline(axis, truth)
    _bare(axis)


def show_map(axis: Axes, values: np.ndarray, truth: np.ndarray | None = None) -> None:
    """A map in [0, 1] without axes, dark for 0 and bright for 1, the truth outlined; nothing for a map of NaN."""
    axis.imshow(values, cmap=MAP, vmin=0, vmax=1)
    outline(axis, None if np.isnan(values).all() else truth)
    _bare(axis)


def outline(axis: Axes, truth: np.ndarray | None) -> None:
    """The border of a mask (h, w), a thin line with a dark edge; of two masks (2, h, w) the second is dashed white."""
    masks = () if truth is None else truth if truth.ndim == 3 else (truth,)
    for mask, (colour, dashes) in zip(masks, ((TRUTH, "solid"), (BESIDE, "dashed")), strict=False):
        if mask.any():
            line = axis.contour(mask, levels=[0.5], colors=colour, linewidths=1.0, linestyles=dashes)
            line.set_path_effects([withStroke(linewidth=2.0, foreground=EDGE)])


def map_grid(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray | None, Mapping[str, np.ndarray]]],
    notes: Sequence[Mapping[str, str]] | None = None,
    across: int | None = None,
) -> Figure:
    """Images and their maps, the image first.

    Args:
        rows: (label, image, truth, {column: map}) each.
        notes: a text above each map, by column, for each row.
        across: how many maps stand side by side, None for all; where there are more, each row takes several lines.
    """
    names = list(rows[0][3])
    across = min(across or len(names), len(names))
    lines = [names[k : k + across] for k in range(0, len(names), across)]

    def title(i: int, name: str) -> list[str]:
        shown = [name] if i == 0 or len(lines) > 1 else []
        return [*shown, notes[i][name]] if notes and notes[i].get(name) else shown

    # Placed by hand, in inches: an engine leaves as much room above every line as the titles of the first one need.
    label, gap = 0.3, 0.09
    side = (WIDTH - label) / (across + 1) - gap
    above = [[0.2 * max(len(title(i, name)) for name in line) for line in lines] for i in range(len(rows))]
    height = sum(map(sum, above)) + len(rows) * len(lines) * (side + gap)
    figure = plt.figure(figsize=(WIDTH, height), layout="none")

    def place(column: int, top: float) -> Axes:
        left = label + column * (side + gap)
        return figure.add_axes((left / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height))

    top = 0.0
    for i, (name, image, truth, maps) in enumerate(rows):
        first = place(0, top + above[i][0])
        show_image(first, image, truth)
        first.set_ylabel(name, fontsize=min(10, 115 * side / max(len(name), 1)))  # no longer than its image is high
        for line, room in zip(lines, above[i], strict=True):
            top += room
            for column, method in enumerate(line, 1):
                axis = place(column, top)
                show_map(axis, maps[method], truth)
                axis.set_title("\n".join(title(i, method)), fontsize=9, pad=3)
            top += side + gap
    return figure


def four_questions(examples: Sequence[Example]) -> Figure:
    """A pair of pictures for each criterion: the best example in the upper row, the worst in the lower one."""
    criteria = [CRITERIA[name] for name in dict.fromkeys(example.criterion for example in examples)]
    widths = [1, 1, 0.25] * len(criteria)
    figure, axes = plt.subplots(
        2,
        len(widths),
        figsize=(WIDTH * len(criteria) / len(CRITERIA), 3.3),
        layout="none",
        width_ratios=widths,
        gridspec_kw={"wspace": 0.06, "hspace": 0.28},
    )
    for axis in axes[:, 2::3].flat:
        axis.set_visible(False)
    for column, criterion in enumerate(criteria):
        pairs = axes[:, 3 * column : 3 * column + 2]
        heading = {"ha": "center", "fontsize": 9, "weight": "bold"}
        pairs[0, 0].text(1.03, 1.3, criterion.question, transform=pairs[0, 0].transAxes, **heading)
        for row, answer in zip(pairs, ("best", "worst"), strict=True):
            example = next(e for e in examples if (e.criterion, e.answer) == (criterion.name, answer))
            first = show_image if criterion.pictures[0] == "image" else show_map
            first(row[0], example.first, example.truth)
            show_map(row[1], example.second, example.truth)
            for axis, name in zip(row, criterion.pictures, strict=True):
                axis.set_title(name, fontsize=8, pad=3)
            text = f"{answer}: {label_of(example.method)}\n{example.label}"
            colour = PASS if answer == "best" else FAIL
            row[0].text(0, -0.06, text, transform=row[0].transAxes, va="top", fontsize=8, color=colour, weight="bold")
    return figure
