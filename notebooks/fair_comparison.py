# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # On the same footing
#
# One of the paper's eight methods drops the signs of its map: Saliency. One is asked at the first layer of the network:
# Guided Grad-CAM. And all are scored by bands of values, which ask how strong a map is and not where it is strongest.
# This chapter changes one of these at a time.

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_boot = 1000  # resamples: bootstrap resamples of branches and images

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.fair_comparison import leads, mean_scores, method_gaps, rank_correlations
from saltrust.analysis.five_band import branch_points
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.scores.localization import DISTINCT, LOCALIZATION
from saltrust.stats.bootstrap import crossed
from saltrust.study.five_band import TITLES, TJOA_EIGHT, TJOA_TEN, FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study)
page = Page("fair_comparison", study)
intervals = "95 % bootstrap intervals over branches and images"

# %% [markdown]
# ## Signed and unsigned
#
# In band 1 or 2 a pixel must be positive. A map with signs has some of its strong pixels in the negative bands,
# where the truth has nothing; one without signs has none there. Does Saliency still have the highest recall when all
# maps lose their signs, or when its own is kept?

# %%
SIGNED = tuple("gradient" if name == "saliency" else name for name in TJOA_EIGHT)
footings = {
    "as in the paper": heat.five_band(TJOA_EIGHT),
    "all without signs": heat.five_band(TJOA_EIGHT, unsigned=True),
    "all with signs": heat.five_band(SIGNED).replace({"method": {"gradient": "saliency"}}),
}
table = pd.concat(
    crossed(frame, ["recall_avg", "precision_avg"], ["network", "method"], n_boot, seed).assign(footing=footing)
    for footing, frame in footings.items()
)
page.table(
    table.replace({"method": TITLES}),
    "signs",
    caption=f"Average recall and precision by network and method on three footings, with {intervals}. With signs, "
    "Saliency is the gradient itself.",
)

# %%
lead = leads(footings, table, "saliency", n_boot, seed).replace({"rival": TITLES})
page.table(
    lead,
    "lead",
    caption="Saliency's average recall minus that of its best rival among the paper's eight methods, with the 95 % "
    "bootstrap interval over branches and images.",
)
survives = (lead["lead_low"] > 0).groupby(lead["footing"]).sum()
recall = table.pivot(index=["network", "footing"], columns="method", values="recall_avg").drop(columns="saliency")
gain = recall.xs("all without signs", level="footing") - recall.xs("as in the paper", level="footing")
page.quote(
    n_networks=len(heat.networks),
    lead_paper=int(survives["as in the paper"]),
    lead_unsigned=int(survives["all without signs"]),
    lead_signed=int(survives["all with signs"]),
    mean_gain=float(gain.mean(axis=None)),
)

# %%
points = pd.concat(branch_points(frame).assign(panel=footing) for footing, frame in footings.items())
page.figure(
    plots.five_band_scores(points.replace({"method": TITLES, "network": heat.titles})),
    "signs",
    caption="Average precision against average recall, a point for each branch: as in the paper, where Saliency alone "
    "has no signs; with no signs in any map; with signs in all.",
    alt="Three rows of scatter plots. Saliency's recall minus that of its best rival: "
    + "; ".join(f"{heat.titles[r.network]}, {r.footing}: {r.lead:+.2f} ({r.rival})" for r in lead.itertuples())
    + ".",
)

# %% [markdown]
# Saliency's recall is above that of every rival, with its whole interval, on {num}`fair_comparison/lead_paper` of
# {num}`fair_comparison/n_networks` networks as in the paper, on {num}`fair_comparison/lead_unsigned` when no map has
# signs, and on {num}`fair_comparison/lead_signed` when all have. Dropping the signs moves the recall of the other
# methods by {num}`fair_comparison/mean_gain +.3f` on average.
#
# ## First and last layer of Guided Grad-CAM
#
# Guided Grad-CAM was meant for the last convolution, whose channels stand for parts of objects. The authors' code gives
# it the first, whose channels stand for edges and colours.

# %%
FIRST, LAST = "guided_gradcam", "guided_gradcam_last"
scores = ["recall_avg", "precision_avg", "recall_best", "precision_best", "auprc"]
by_bands = heat.five_band((FIRST, LAST))
by_area = heat.localization((FIRST, LAST), "auprc")
joined = by_bands.merge(by_area, on=["image", "network", "branch", "method", "label", "predicted"])
by_layer = crossed(joined, scores, ["network", "method"], n_boot, seed).replace({"method": TITLES})
gaps = method_gaps(joined, LAST, FIRST, scores, n_boot, seed)
page.table(
    pd.concat([by_layer, gaps.assign(method="last minus first")]),
    "layers",
    caption="Guided Grad-CAM at the first and at the last layer, and the difference by image: five-band scores and "
    f"AUPRC with {intervals}.",
)
page.quote(
    auprc_gain=gaps["auprc"].mean(),
    recall_gain=gaps["recall_avg"].mean(),
    n_auprc_better=int((gaps["auprc_low"] > 0).sum()),
    n_recall_better=int((gaps["recall_avg_low"] > 0).sum()),
)

# %% [markdown]
# From the first to the last layer the average recall moves by {num}`fair_comparison/recall_gain +.3f` and AUPRC by
# {num}`fair_comparison/auprc_gain +.3f`, means over the networks; the interval of the gain lies above zero on
# {num}`fair_comparison/n_recall_better` networks by recall and on {num}`fair_comparison/n_auprc_better` by AUPRC.
#
# ## Other scores of the same maps
#
# AUPRC and the other scores ask whether the highest pixels lie on the cell, whatever their values and their band. Do
# they put the methods in the same order?

# %%
names = (*TJOA_TEN, "guided_gradcam_last")
bands = heat.five_band(names, empty=False)
others = {score: heat.localization(names, score) for score in ("auprc", *DISTINCT)}
matrix = mean_scores(bands, others)
score_title = {"auprc": "AUPRC"} | {name: score.title for name, score in LOCALIZATION.items()}
column_titles = {"recall_avg": "recall, average", "precision_avg": "precision, average"} | score_title
best = {score: TITLES[matrix[score].idxmax()] for score in matrix}
page.figure(
    plots.score_matrix(matrix.rename(index=TITLES), column_titles),
    "both_ways",
    caption=f"Mean five-band recall and precision, and other scores of the same maps, over {len(heat.networks)} "
    f"networks, their branches and {len(heat.judged)} test images; the darker, the higher the rank within a column.",
    alt="A matrix of methods by scores. Best by score: "
    f"{in_words({column_titles[score]: title for score, title in best.items()}, '', name=str)}.",
)
page.table(
    matrix.rename(index=TITLES).rename_axis("method").reset_index(),
    "both_ways",
    caption="Means of the five-band scores and of other localization scores of the same maps, by method.",
)

# %%
correlation = rank_correlations(bands, others, n_boot, seed)
page.table(
    correlation,
    "rank_correlation",
    caption="Spearman's rank correlation over the methods between a five-band score and another score of the same "
    f"maps, by network, with {intervals}.",
    key=["network", "band", "score"],
)
auprc = correlation[correlation["score"] == "auprc"]
rho = auprc.groupby("band")["correlation"].mean()
page.quote(
    rho_recall_auprc=rho["recall_avg"],
    rho_precision_auprc=rho["precision_avg"],
    best_by_recall=best["recall_avg"],
    best_by_precision=best["precision_avg"],
    best_by_auprc=best["auprc"],
    n_methods=len(names),
)

# %%
words = correlation.assign(
    network=correlation["network"].map(heat.titles),
    score=correlation["score"].map(score_title),
    band=correlation["band"].map({"recall_avg": "with recall", "precision_avg": "with precision"}),
)
page.figure(
    plots.rank_agreement(words),
    "rank_correlation",
    caption="Rank correlation over the methods of five-band recall or precision with other scores of the same maps; "
    "bars: 95 % bootstrap intervals. No mark: the other score is the same for all methods, as the pointing game is "
    "where its 15 pixels reach far.",
    alt="A dot plot with intervals. Correlation with AUPRC: "
    + "; ".join(
        f"{heat.titles[r.network]}, {r.band.removesuffix('_avg')} {r.correlation:+.2f}" for r in auprc.itertuples()
    )
    + ".",
)
page.close()

# %% [markdown]
# Over {num}`fair_comparison/n_methods` heat maps, AUPRC's order has a rank correlation of
# {num}`fair_comparison/rho_recall_auprc +.2f` with that of the average recall and of
# {num}`fair_comparison/rho_precision_auprc +.2f` with that of the average precision (means over networks). First by
# recall is {num}`fair_comparison/best_by_recall`, by precision {num}`fair_comparison/best_by_precision`, by AUPRC
# {num}`fair_comparison/best_by_auprc`.
