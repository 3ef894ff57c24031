# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Atlas of the cells
#
# Whether a map is right can be said exactly only where it is known what the network had to look at.
# {cite:t}`tjoa2020quantifying` draw their images themselves: {num}`atlas/n_cells` types of cells, or no cell at all, on
# {num}`atlas/n_backgrounds` backgrounds. Every picture comes with its truth, in two grades: what tells the type from
# the others is the *feature*, worth 0.9; the rest of the cell is its *body*, worth 0.4, since it only says where the
# cell is.

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
size_shown = 224  # cell side: side in pixels of the pictures drawn for this page, at least 32
kinds = "all"  # cell types: comma-separated types in the atlas
backgrounds = "all"  # backgrounds: comma-separated backgrounds in the atlas
kind_drawn = "CCellT3"  # cell type: the type of which several draws are shown
n_shown = 10  # count: how many

# %%
from dataclasses import replace

import numpy as np
import pandas as pd

from saltrust import plots
from saltrust.chapters.page import Page
from saltrust.core.errors import SaltrustError
from saltrust.datasets.cells import BACKGROUNDS, CELLS, GRADES, SPLITS, TYPES, CellParameters, cell, load
from saltrust.study.study import Study

if n_shown < 1:
    raise SaltrustError(f"n_shown must be at least 1, not {n_shown}")
study = Study(dataset, profile, protocol, seed)
page = Page("atlas", study)
parameters = CellParameters.of(**study.card.parameters)


def draw(*number, kind=None, background=None, **changes):
    """A cell that is in none of the splits."""
    return cell((seed, len(SPLITS), *number), size_shown, replace(parameters, **changes), kind, background)


# %% [markdown]
# ## Every type on every background
#
# | type | what it is | its feature |
# |---|---|---|
# | CCell | round cell | the border |
# | CCellM | round cell with a minus sign | the bar |
# | CCellP | round cell with a plus sign | the bar and the pole across it |
# | RCell, RCellB, RCellC | rectangular cell | the border, whose colour is mostly red, green or blue |
# | CCellT, CCellT3, CCellT8 | round cell with one, three or eight tails | the tails, also where they lie on the cell |
# | empty | no cell | none |
#
# Cells are turned by up to {num}`atlas/rotation .0f`° and shifted by up to {num}`atlas/shift .0%` of the image, so that
# some are cut off. Noise on a coarse grid displaces their edges. Tails start at one distance from the centre in every
# direction, as in the code, while the cell itself may be stretched: a tail may lie on the cell, or apart from it.

# %%
types = TYPES if kinds == "all" else tuple(name.strip() for name in kinds.split(","))
scenes = tuple(BACKGROUNDS) if backgrounds == "all" else tuple(name.strip() for name in backgrounds.split(","))
drawn = {
    scene: [draw(0, i, j, kind=kind, background=scene) for j, kind in enumerate(types)]
    for i, scene in enumerate(scenes)
}
rows = [(scene, [image.pixels for image in images]) for scene, images in drawn.items()]
rows += [(f"truth,\n{scene}", [image.grades for image in images]) for scene, images in drawn.items()]
page.figure(
    plots.truth_grid(rows, [f"{TYPES.index(name)}\n{name}" for name in types]),
    "atlas",
    caption=f"Types of cells (columns, with their labels) on the backgrounds {', '.join(scenes)}, and below them the "
    "truth of each picture: light red is the body of the cell, dark red the feature that tells its type.",
    alt=f"{len(scenes)} rows of {len(types)} drawn pictures, each of {', '.join(types)}, and {len(scenes)} rows with "
    "the truth of each: filled shapes in light red whose border, bars or tails are dark red. An image without a cell "
    "has an empty truth.",
    counterpart="Fig. 2",
    source="tjoa2020quantifying",
)

# %% [markdown]
# ## How much of an image is feature
#
# Averaged over all test images with a cell, the feature covers {num}`atlas/feature_share .1%` of the image and the body
# {num}`atlas/body_share .1%`. The smallest feature is that of {num}`atlas/smallest_type`, with
# {num}`atlas/smallest_share .1%` of the image on average: there, a map that marks the whole cell marks
# {num}`atlas/smallest_ratio .0f` times as many pixels of body as of feature.

# %%
test = study.images.split("test")
shares = pd.DataFrame(
    {"type": test.classes[label], **{f"grade_{value}": (grades == grade).mean() for grade, value in GRADES.items()}}
    for label, grades in zip(test.labels, test.grades, strict=True)
)
by_type = shares.groupby("type", sort=False).mean().reindex([name for name in TYPES if name in set(shares["type"])])
by_type.insert(0, "images", shares["type"].value_counts())
page.table(
    by_type.reset_index(),
    "grades",
    caption="Test images of each type, and the mean share of their pixels with each grade: 0 background, 0.4 body, "
    f"0.9 feature. Images of {test.pixels.shape[1]} pixels a side.",
)

# %%
present = shares[test.present]
smallest = by_type.drop("empty", errors="ignore")["grade_0.9"].idxmin()
page.quote(
    n_cells=len(CELLS),
    rotation=parameters.rotation,
    shift=parameters.shift,
    n_backgrounds=len(BACKGROUNDS),
    n_test=len(test),
    feature_share=present["grade_0.9"].mean(),
    body_share=present["grade_0.4"].mean(),
    smallest_type=smallest,
    smallest_share=by_type["grade_0.9"][smallest],
    smallest_ratio=by_type["grade_0.4"][smallest] / by_type["grade_0.9"][smallest],
)

# %% [markdown]
# ## Three faults, and their corrections
#
# **The pole.** As printed, Algorithm 2 asks for pixels with $y - y_0 \le r v$ and $y - y_0 \ge r v$ at once. No pole is
# left, and a plus is a minus of another class. The code that we read has the right sign, $-r v$.
#
# **The background.** The code adds the background to every *colour channel* in which the picture of the cell is darker
# than {num}`atlas/leak`. That holds outside the cell, and also inside it where one of its colours lacks a channel: the
# border of a rectangle then takes the colours of what lies behind it, although its truth is "feature". This befell
# {num}`atlas/leak_share .1%` of {num}`atlas/n_leak` pictures drawn both ways.
#
# **The turn.** The code shifts a rectangular cell and then turns the whole picture about its centre; round cells are
# turned first and then shifted. What was shifted out of the picture stays missing, so that a cell may end in a straight
# cut where there is no edge of the image.
#
# All are corrected here by default; the protocol `published` brings back the first and `as_run` the others.

# %%
n_leak = 400
right, wrong = (load(replace(parameters, compositing=rule), "test", n_leak, 48, seed) for rule in ("object", "channel"))
leaking = (right.pixels != wrong.pixels).any(axis=(1, 2, 3))
page.quote(leak=parameters.leak, leak_share=leaking.mean(), n_leak=n_leak)

RED = {"kind": "RCell", "background": "patches", "other_colour": (0, 0)}  # a border of pure red always leaks
PLUS = {"kind": "CCellP", "background": "waves"}
pairs = {
    "pole": [draw(1, 0, **PLUS, pole_test=rule) for rule in ("corrected", "published")],
    "background": [draw(1, 1, **RED, compositing=rule) for rule in ("object", "channel")],
    "turn": [draw(1, 13, kind="RCellC", background="patches", turning=about) for about in ("cell", "image")],
}
page.figure(
    plots.truth_grid(
        [(name, [part for image in pair for part in (image.pixels, image.grades)]) for name, pair in pairs.items()],
        ["corrected", "its truth", "at fault", "its truth"],
    ),
    "faults",
    caption="Each fault beside its correction. Top: a plus sign, and the same cell with the pole test as printed. "
    "Middle: a cell with a pure red border, and the same cell composed channel by channel: its border shows the green "
    "and blue of the background. Bottom: a rectangle turned about its own centre, and about the image's.",
    alt="Three rows of four pictures. Top: a round cell with a plus sign becomes one with a minus sign, in image and "
    "truth. Middle: the red border of a rectangle turns into the mixed colours of its background, while the truth "
    "stays. Bottom: the same rectangle lies in another place.",
)

# %% [markdown]
# ## Draw your own
#
# The pictures below are {num}`atlas/n_drawn` draws of the type {num}`atlas/kind_drawn`. Choose another type, size or
# seed; the same key gives the same cell at every size:
#
# ```console
# $ saltrust run atlas --dataset cells --kind-drawn CCellP --size-shown 512 --seed 3
# ```

# %%
COLUMNS = min(n_shown, 5)
draws = [draw(2, number, kind=kind_drawn) for number in range(n_shown)]
rows = []
for start in range(0, len(draws), COLUMNS):
    line = draws[start : start + COLUMNS]
    rows += [("image", [image.pixels for image in line]), ("truth", [image.grades for image in line])]
feature = np.array([(image.grades == 2).mean() for image in draws])
page.quote(kind_drawn=kind_drawn, n_drawn=len(draws))
page.figure(
    plots.truth_grid(rows, [""] * COLUMNS),
    "draws",
    caption=f"{len(draws)} draws of the type {kind_drawn}, {size_shown} pixels a side, with their truth; the feature "
    f"covers between {feature.min():.1%} and {feature.max():.1%} of the image.",
    alt=f"{len(draws)} pictures of cells of the type {kind_drawn} in different places, sizes, colours and "
    "orientations, and the truth of each below it.",
)
page.close()
