# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Utility: does the map find the abnormality?
#
# Each pixel of a map is read as a prediction of "inside the finding", and scored against the truth by the area under
# the precision-recall curve (AUPRC).

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images
n_shown = 3  # count: images in the example figure

# %%
import numpy as np
import pandas as pd

from saltrust import plots
from saltrust.analysis import answers
from saltrust.analysis.localization import trained_against_random
from saltrust.analysis.words import best_and_worst, in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.scores.auprc import AUPRC
from saltrust.scores.localization import DISTINCT, LOCALIZATION
from saltrust.stats.bootstrap import summarize
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("localization", study)
names = select(methods)
localizer = study.card.localizer

# %%
scores = study.criteria.localization(methods)
summary = summarize(scores, "auprc", ["method", "model"], n_boot, seed, study.images.clusters)
main = summary.query("method in @names and model == @study.networks.main").set_index("method")["mean"]
others = summary[~summary["method"].isin(names)].groupby("method", sort=False)["mean"].first()
controls = summary.query("model == 'control'").set_index("method")["mean"]
page.quote(
    answer=answers.of_utility(main, controls["average"]),
    **best_and_worst(main, "auprc"),
    average_auprc=controls["average"],
    best_control=label_of(controls.idxmax()),
    best_control_auprc=controls.max(),
    edges_auprc=controls["sobel"],
    n_above_edges=int((main > controls["sobel"]).sum()),
    n_above_controls=int((main > controls.max()).sum()),
    localizer_auprc=others[localizer],
    n_images=len(study.images.explained),
    n_above_average=int((main > controls["average"]).sum()),
)

# %% [markdown]
# {num}`localization/answer`
#
# These are means over {num}`localization/n_images` images. {num}`localization/worst_map` finds least, with
# {num}`localization/worst_auprc .3f`. The localizer, trained on the truth, scores {num}`localization/localizer_auprc
# .3f`.
#
# Five controls stand beside the maps, none of which has seen a network: the image's edges (SOBEL), a spot in the middle
# (CENTRE), a smooth random field (RANDOM), the same everywhere (CONST) and the average mask (AVG). Edges alone score
# {num}`localization/edges_auprc .3f`; methods with a higher mean: {num}`localization/n_above_edges`. The best control
# is {num}`localization/best_control` with {num}`localization/best_control_auprc .3f`; methods with a higher mean than
# every control: {num}`localization/n_above_controls`.

# %%
frame = scores.query("model in [@study.networks.main, 'control', @localizer + '-1']")
page.figure(
    plots.score_boxes(
        frame,
        "auprc",
        "AUPRC",
        lines={"average mask, mean": controls["average"], "localizer, mean": others[localizer]},
    ),
    "localization",
    caption=f"AUPRC of the maps of {study.networks.title()} on test images with the finding, beside the controls and "
    "the "
    "localizer. Solid line: median; dashed: mean; box: quartiles.",
    alt=f"Box plots of AUPRC by method. Means: {in_words({**main, **controls, **others})}.",
    counterpart="Fig. 2a-b",
)

# %%
page.table(
    summary,
    "localization",
    caption="AUPRC by method and model, controls and localizers included: mean, standard deviation over images, 95 % "
    "bootstrap interval of the mean, images.",
    key=["method", "model"],
)

# %% [markdown]
# ## Examples
#
# The number above each map is its AUPRC for that image.

# %%
test = study.images.split("test")
values = scores.query("model == @study.networks.main").pivot(index="image", columns="method", values="auprc")
maps = {label_of(name): study.maps.display(name) for name in names}
maps |= {
    "AVG": np.repeat(study.maps.average()[None], len(study.images.explained), 0),
    label_of(localizer): study.maps.localizer(),
}
baseline = scores.query("model in ['control', @localizer + '-1']").pivot(
    index="image", columns="method", values="auprc"
)
table = pd.concat([values, baseline.drop(columns=names, errors="ignore")], axis=1)
rows, notes = [], []
for i, index in enumerate(study.images.explained[:n_shown]):
    image = test.ids[index]
    rows.append((f"image {i + 1}", test.pixels[index], test.truth[index], {name: m[i] for name, m in maps.items()}))
    notes.append({label_of(name): f"{table.loc[image, name]:.2f}" for name in [*names, "average", localizer]})
page.figure(
    plots.map_grid(rows, notes, across=5),
    "examples",
    caption="Maps of test images with their AUPRC, beside the average mask and the localizer; the truth outlined in "
    "cyan.",
    alt=f"A grid of {len(rows)} images with their maps. AUPRC of the first: {in_words(notes[0], '', name=str)}.",
    counterpart="Fig. 2c-d and Fig. S1",
)

# %% [markdown]
# ## One map, one curve
#
# A map is cut at each of its values in turn. Precision is the share of the pixels kept that lie inside the truth,
# recall the share of the truth that is kept.

# %%
best = main.idxmax()
i = int(np.nanargmax(values[best].loc[test.ids[list(study.images.explained)]].to_numpy()))
index = study.images.explained[i]
curves = {
    label_of(name): study.maps.display(name)[i]
    for name in dict.fromkeys([best, "gradcam" if "gradcam" in names else names[0]])
}
areas = {name: AUPRC["average_precision"](m, test.truth[index]) for name, m in curves.items()}
page.figure(
    plots.precision_recall(test.pixels[index], test.truth[index], curves, areas),
    "pr_curve",
    caption=f"One test image with the truth outlined, {', '.join(f'its map by {name}' for name in curves)}, and the "
    f"precision-recall curve of each map. {label_of(best)} has the highest mean AUPRC of the methods; the image is the "
    "one on which it scores best. The area under the steps is the average precision. The grey line is the precision "
    "of a constant map: the share of the image inside the truth.",
    alt="An image, its maps, and their precision-recall curves, drawn as steps. Average precision: "
    f"{in_words(areas, name=str)}.",
    counterpart="Fig. S4",
)

# %% [markdown]
# ## Two definitions of the area
#
# The paper's code joins the points of the curve by straight lines. On these images a constant map then scores
# {num}`localization/constant_trapezoid .3f`, against {num}`localization/constant_ap .3f` by average precision, which
# is used here unless the protocol says otherwise.

# %%
truth = test.truth[list(study.images.explained)]
constant = {name: np.mean([score(np.zeros(t.shape), t) for t in truth]) for name, score in AUPRC.items()}
page.quote(constant_ap=constant["average_precision"], constant_trapezoid=constant["trapezoid"])

# %% [markdown]
# ## Other scores
#
# AUPRC asks for the order of all pixels. Other papers ask for the one highest pixel (hit rate, pointing game), for the
# highest pixels (relevance rank, m_GT), for the share of the map's mass that lies on the truth, or for the overlap of a
# mask that is cut from the map. Do they choose the same methods? (With as many pixels as the truth has, m_GT, relevance
# rank accuracy and Dice are one number; it is shown once.)

# %%
columns = {"auprc": frame.groupby("method", sort=False)["auprc"].mean()}
for score in DISTINCT:
    by_score = study.criteria.localization(methods, score, models=(study.networks.main,)).query(
        "model != @localizer + '-2'"
    )
    columns[score] = by_score.groupby("method", sort=False)[score].mean()
matrix = pd.DataFrame(columns)
titles = {"auprc": "AUPRC"} | {name: score.title for name, score in LOCALIZATION.items()}
best_by = {titles[score]: label_of(matrix.loc[names, score].idxmax()) for score in matrix}
page.figure(
    plots.score_matrix(matrix, titles),
    "other_scores",
    caption=f"Mean scores over {len(study.images.explained)} test images; the darker, the higher the rank within a "
    "column "
    "(best: 1). Controls and localizer stand below the maps. The pointing game allows 15 pixels.",
    alt=f"A matrix of methods by scores. Best map by score: {in_words(best_by, '', name=str)}.",
)

# %%
page.table(
    matrix.rename_axis("method").reset_index(),
    "other_scores",
    caption=f"Mean of each score by method, for {study.networks.title()}, the controls and the localizer.",
)
agreement = matrix.loc[names].corr(method="spearman")["auprc"].drop("auprc").fillna(1)  # one method has one order
page.quote(
    n_scores=len(DISTINCT),
    n_same_best=int(sum(matrix.loc[names, score].idxmax() == main.idxmax() for score in DISTINCT)),
    least_alike=titles[agreement.idxmin()],
    least_alike_rho=agreement.min(),
)

# %% [markdown]
# Of {num}`localization/n_scores` other scores, {num}`localization/n_same_best` put the same method first as AUPRC does.
# The order of the methods differs most from AUPRC's by *{num}`localization/least_alike`*: rank correlation
# {num}`localization/least_alike_rho .2f`.
#
# ## Trained against random weights
#
# If a map of a network with random weights finds the abnormality as well, training has nothing to do with it. The
# difference is by image, with its 95 % bootstrap interval.

# %%
gaps = trained_against_random(
    scores, study.networks.main, study.networks.random, names, n_boot, seed, study.images.clusters
)
page.table(
    gaps,
    "trained_against_random",
    caption=f"Mean AUPRC of maps of the trained and of a random {study.networks.title()}, and their difference.",
    key=["method"],
)
page.quote(
    n_better_than_random=int((gaps["ci_low"] > 0).sum()),
    n_worse_than_random=int((gaps["ci_high"] < 0).sum()),
    n_random_undecided=int(((gaps["ci_low"] <= 0) & (gaps["ci_high"] >= 0)).sum()),
    n_methods=len(names),
)

# %% [markdown]
# The interval lies above zero for {num}`localization/n_better_than_random` of {num}`localization/n_methods` methods,
# below it for {num}`localization/n_worse_than_random`, and holds zero for {num}`localization/n_random_undecided`. Each
# method is judged by itself here. Who asks of all of them at once allows for it by wider intervals, as the
# [chapter on statistics](statistics.md) does: there it may be fewer.

# %%
page.close()
