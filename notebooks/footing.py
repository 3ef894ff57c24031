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
from saltrust.chapters.page import Page
from saltrust.plots import five_band
from saltrust.scores.localization import DISTINCT, LOCALIZATION
from saltrust.stats.bootstrap import crossed, rank_correlation
from saltrust.study.five_band import ALL_TEN, THE_EIGHT, TITLES, FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study)
page = Page("footing", study)
KEYS = ["image", "network", "branch"]

# %% [markdown]
# ## Signed and unsigned
#
# In band 1 or 2 a pixel must be positive. A map with signs has some of its strong pixels in the negative bands,
# where the truth has nothing; one without signs has none there. Does Saliency still have the highest recall when all
# maps lose their signs, or when its own is kept?

# %%
SIGNED = tuple("gradient" if name == "saliency" else name for name in THE_EIGHT)
footings = {
    "as in the paper": heat.five_band(THE_EIGHT),
    "all without signs": heat.five_band(THE_EIGHT, unsigned=True),
    "all with signs": heat.five_band(SIGNED).replace({"method": {"gradient": "saliency"}}),
}
table = pd.concat(
    crossed(frame, ["recall_avg", "precision_avg"], ["network", "method"], n_boot, seed).assign(footing=footing)
    for footing, frame in footings.items()
)
page.table(
    table.replace({"method": TITLES}),
    "signs",
    caption="Average recall and precision by network and method on three footings, with 95 % bootstrap intervals over branches and images. With signs, "
    "Saliency is the gradient itself.",
)
recall = table.pivot(index=["network", "footing"], columns="method", values="recall_avg")
leads = []
for network in heat.networks:
    for footing, frame in footings.items():
        means = recall.loc[(network, footing)].drop("saliency")
        rival = means.idxmax()
        one, other = (frame.query("network == @network and method == @m").set_index(KEYS) for m in ("saliency", rival))
        gap = (one["recall_avg"] - other["recall_avg"]).rename("lead").reset_index()
        leads.append(
            {"footing": footing, "rival": TITLES[rival]}
            | crossed(gap, ["lead"], ["network"], n_boot, seed).iloc[0].to_dict()
        )
leads = pd.DataFrame(leads)
page.table(
    leads[["network", "footing", "rival", "lead", "lead_low", "lead_high"]],
    "lead",
    caption="Saliency's average recall minus that of its best rival among the paper's eight methods, with the 95 % bootstrap interval over branches and images.",
)
survives = leads.assign(leads=leads["lead_low"] > 0).groupby("footing")["leads"].sum()
page.quote(
    n_networks=len(heat.networks),
    lead_paper=int(survives["as in the paper"]),
    lead_unsigned=int(survives["all without signs"]),
    lead_signed=int(survives["all with signs"]),
    mean_gain=float(
        (recall.xs("all without signs", level="footing") - recall.xs("as in the paper", level="footing"))
        .drop(columns="saliency")
        .mean(axis=None)
    ),
)
points = pd.concat(
    frame.groupby(["method", "network", "branch"], sort=False)[["recall_avg", "precision_avg"]]
    .mean()
    .reset_index()
    .assign(panel=footing)
    for footing, frame in footings.items()
)
page.figure(
    five_band.recall_precision(
        points.rename(columns={"recall_avg": "recall", "precision_avg": "precision"}).replace(
            {"method": TITLES, "network": heat.titles}
        )
    ),
    "signs",
    caption="Average precision against average recall, a point for each branch: as in the paper, where Saliency alone has no signs; with no signs in any "
    "map; with signs in all.",
    alt="Three rows of scatter plots. Saliency's recall minus that of its best rival: "
    + "; ".join(f"{heat.titles[r.network]}, {r.footing}: {r.lead:+.2f} ({r.rival})" for r in leads.itertuples())
    + ".",
)

# %% [markdown]
# Saliency's recall is above that of every rival, with its whole interval, on {num}`footing/lead_paper` of
# {num}`footing/n_networks` networks as in the paper, on {num}`footing/lead_unsigned` when no map has signs, and on
# {num}`footing/lead_signed` when all have. Dropping the signs moves the recall of the other methods by
# {num}`footing/mean_gain +.3f` on average.
#
# ## First and last layer of Guided Grad-CAM
#
# Guided Grad-CAM was meant for the last convolution, whose channels stand for parts of objects. The authors' code gives
# it the first, whose channels stand for edges and colours.

# %%
LAYERS = ("guided_gradcam", "guided_gradcam_last")
by_bands = heat.five_band(LAYERS)
by_area = heat.localization(LAYERS, "auprc")
joined = by_bands.merge(by_area, on=[*KEYS, "method", "label", "predicted"])
scores = ["recall_avg", "precision_avg", "recall_best", "precision_best", "auprc"]
first, last = (joined.query("method == @name").set_index(KEYS)[scores] for name in LAYERS)
gaps = crossed((last - first).reset_index(), scores, ["network"], n_boot, seed)
page.table(
    pd.concat(
        [
            crossed(joined, scores, ["network", "method"], n_boot, seed).replace({"method": TITLES}),
            gaps.assign(method="last minus first"),
        ]
    ),
    "layers",
    caption="Guided Grad-CAM at the first and at the last layer, and the difference by image: five-band scores and AUPRC with 95 % bootstrap intervals over branches and images.",
)
page.quote(
    auprc_gain=gaps["auprc"].mean(),
    recall_gain=gaps["recall_avg"].mean(),
    n_auprc_better=int((gaps["auprc_low"] > 0).sum()),
    n_recall_better=int((gaps["recall_avg_low"] > 0).sum()),
)

# %% [markdown]
# From the first to the last layer the average recall moves by {num}`footing/recall_gain +.3f` and AUPRC by
# {num}`footing/auprc_gain +.3f`, means over the networks; the interval of the gain lies above zero on
# {num}`footing/n_recall_better` networks by recall and on {num}`footing/n_auprc_better` by AUPRC.
#
# ## Other scores of the same maps
#
# AUPRC and the other scores ask whether the highest pixels lie on the cell, whatever their values and their band. Do
# they put the methods in the same order?

# %%
names = (*ALL_TEN, "guided_gradcam_last")
others = ["auprc", *DISTINCT]
score_title = {"auprc": "AUPRC"} | {name: score.title for name, score in LOCALIZATION.items()}
bands = heat.five_band(names, empty=False)
values = {score: heat.localization(names, score) for score in others}
matrix = pd.DataFrame(
    {
        "recall_avg": bands.groupby("method", sort=False)["recall_avg"].mean(),
        "precision_avg": bands.groupby("method", sort=False)["precision_avg"].mean(),
    }
    | {score: frame.groupby("method", sort=False)[score].mean() for score, frame in values.items()}
)
column_titles = {"recall_avg": "recall, average", "precision_avg": "precision, average"} | score_title
page.figure(
    plots.score_matrix(matrix.rename(index=TITLES), column_titles),
    "both_ways",
    caption=f"Mean five-band recall and precision, and other scores of the same maps, over {len(heat.networks)} networks, their branches and {len(heat.judged)} test "
    "images; the darker, the higher the rank within a column.",
    alt="A matrix of methods by scores. Best by score: "
    + ", ".join(f"{column_titles[score]} {TITLES[matrix[score].idxmax()]}" for score in matrix)
    + ".",
)
page.table(
    matrix.rename(index=TITLES).rename_axis("method").reset_index(),
    "both_ways",
    caption="Means of the five-band scores and of other localization scores of the same maps, by method.",
)

# %%
rows = []
for network in heat.networks:
    for band in ("recall_avg", "precision_avg"):
        at = bands.query("network == @network")
        for score in others:
            other = values[score].query("network == @network")
            agreement = rank_correlation((at, band), (other, score), n_boot, seed)
            rows.append({"network": network, "band": band, "score": score, **agreement})
correlation = pd.DataFrame(rows)
page.table(
    correlation,
    "rank_correlation",
    caption="Spearman's rank correlation over the methods between a five-band score and another score of the same maps, by network, with 95 % bootstrap intervals over branches and images.",
    key=["network", "band", "score"],
)
words = correlation.assign(
    network=correlation["network"].map(heat.titles),
    score=correlation["score"].map(score_title),
    band=correlation["band"].map({"recall_avg": "with recall", "precision_avg": "with precision"}),
)
page.figure(
    five_band.rank_agreement(words),
    "rank_correlation",
    caption="Rank correlation over the methods of five-band recall or precision with other scores of the same maps; bars: 95 % bootstrap "
    "intervals. No mark: the other score is the same for all methods, as the pointing game is where its 15 pixels reach far.",
    alt="A dot plot with intervals. Correlation with AUPRC: "
    + "; ".join(
        f"{heat.titles[r.network]}, {r.band.removesuffix('_avg')} {r.correlation:+.2f}"
        for r in correlation.query("score == 'auprc'").itertuples()
    )
    + ".",
)
auprc = correlation.query("score == 'auprc'").groupby("band")["correlation"].mean()
page.quote(
    rho_recall_auprc=auprc["recall_avg"],
    rho_precision_auprc=auprc["precision_avg"],
    best_by_recall=TITLES[matrix["recall_avg"].idxmax()],
    best_by_precision=TITLES[matrix["precision_avg"].idxmax()],
    best_by_auprc=TITLES[matrix["auprc"].idxmax()],
    n_methods=len(names),
)
page.close()

# %% [markdown]
# Over {num}`footing/n_methods` heat maps, AUPRC's order has a rank correlation of
# {num}`footing/rho_recall_auprc +.2f` with that of the average recall and of {num}`footing/rho_precision_auprc +.2f` with
# that of the average precision (means over networks). First by recall is {num}`footing/best_by_recall`, by precision
# {num}`footing/best_by_precision`, by AUPRC {num}`footing/best_by_auprc`.
