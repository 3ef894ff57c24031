# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The five-band score
#
# A heat map is asked for more than a place. Its values are cut into five bands, and a pixel counts as right only where
# its band is that of the truth: feature (2), body (1) or background (0). What the bands are, and what counts as false,
# is in [](../../concepts/five-band.md).

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
inner = 0.3  # thresholds: first threshold between background and body, where maps are not clamped
outer = 0.5  # thresholds: first threshold between body and feature
step = 0.005  # thresholds: by which both fall
n_thresholds = 56  # number of thresholds: pairs of thresholds
n_boot = 1000  # resamples: bootstrap resamples of branches and images

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.five_band import beside_published, branch_points, curve_places, published_points
from saltrust.chapters.page import Page
from saltrust.scores.five_band import Thresholds
from saltrust.stats.bootstrap import crossed
from saltrust.study.five_band import TITLES, TJOA_EIGHT, TJOA_TEN, FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study, Thresholds(inner, outer, step, n_thresholds))
page = Page("five_band", study)
SCORES = ["precision_avg", "recall_avg", "precision_best", "recall_best"]

# %%
scores = {clamped: heat.five_band(TJOA_TEN, clamped=clamped, empty=True) for clamped in (False, True)}
counted = {clamped: heat.counted(frame) for clamped, frame in scores.items()}
by_branch = pd.concat(
    frame.groupby(["method", "network", "branch"], sort=False, as_index=False)[SCORES].mean().assign(clamped=clamped)
    for clamped, frame in counted.items()
)
page.table(
    by_branch,
    "five_band",
    caption="Precision and recall by method, network and branch: means over the judged test images of the average and "
    "of the best over the soft thresholds, without and with clamping.",
)

# %% [markdown]
# ## Precision and recall
#
# One point is one branch. *Average* and *best* are taken over the soft thresholds for each image, precision and recall
# each at its own best. Clamping cuts the map at a tenth of its range, so that few extreme pixels do not flatten the
# rest.

# %%
panels = {
    "A: average": branch_points(counted[False], "avg", spread=True),
    "B: best": branch_points(counted[False], "best", spread=True),
    "C: best, clamped": branch_points(counted[True], "best", spread=True),
}
points = pd.concat(frame.assign(panel=panel) for panel, frame in panels.items())
means = crossed(counted[False], ["recall_avg", "precision_avg"], ["network", "method"], n_boot, seed)
eight = means[means["method"].isin(TJOA_EIGHT)]  # the paper has neither Integrated Gradients nor XRAI
leader = eight.loc[eight["recall_avg"].idxmax()]
page.figure(
    plots.five_band_scores(points.replace({"method": TITLES, "network": heat.titles}), insets=True),
    "recall_precision",
    caption="Precision against recall of ten methods, a point for each branch: average over the soft thresholds (A), "
    "best (B), best after clamping (C). Bars: standard deviation over images. Insets: the three quarters of the points "
    "with the least recall. Up and to the right is better.",
    alt="Three rows of scatter plots, a column for each network. Highest average recall of the paper's eight methods: "
    f"{TITLES[leader.method]} on {heat.titles[leader.network]}, {leader.recall_avg:.2f} at precision "
    f"{leader.precision_avg:.2f}.",
    counterpart="Fig. 3",
    source="tjoa2020quantifying",
)

# %%
page.table(
    means.replace({"method": TITLES}),
    "means",
    caption="Average recall and precision by network and method: means over branches and images, with 95 % bootstrap "
    "intervals that resample both.",
)
xrai = means.query("method == 'xrai'")
page.quote(
    n_judged=len(heat.judged),
    n_branches=len(study.networks.branches(study.card.networks[0])),
    leader=TITLES[leader.method],
    leader_network=heat.titles[leader.network],
    leader_recall=leader.recall_avg,
    leader_precision=leader.precision_avg,
    median_recall=eight["recall_avg"].median(),
    xrai_recall=xrai["recall_avg"].mean(),
    xrai_precision=xrai["precision_avg"].mean(),
)

# %% [markdown]
# Of the paper's eight methods, {num}`five_band/leader` on {num}`five_band/leader_network` has the highest average
# recall, {num}`five_band/leader_recall .2f`, at a precision of {num}`five_band/leader_precision .2f`. Recall is low:
# half of these methods and networks stay below {num}`five_band/median_recall .2f`. XRAI, which the paper does not have,
# fills whole regions and reaches {num}`five_band/xrai_recall .2f` at a precision of {num}`five_band/xrai_precision .2f`
# (means over networks). What the paper says of this figure is put to the test in the chapter on its
# [claims](claims.md).
#
# ## Beside the paper's own values
#
# The paper prints its figures without numbers. The authors' notebooks hold the pictures, and from these the values can
# be read to about 0.01. They plot them three times: for all images, for right predictions alone, and without the images
# that have no cell.

# %%
compared = beside_published(scores[False], study.images.split("test").absent)
page.table(
    compared.replace({"method": TITLES, "network": heat.titles}),
    "published",
    caption="Average recall and precision here and in Fig. 3A, where the paper has the method, for all judged images, "
    "for those predicted right, and for those with a cell. The published values are read from the pictures in the "
    "outputs of the authors' notebooks (`book/tjoa2020_figures.csv` says which, and how).",
)
alike = compared[compared["images"] == "all"].dropna()
theirs = {images: rows.set_index(["network", "method"]) for images, rows in compared.dropna().groupby("images")}
ratio = theirs["all"]["precision_published"] / theirs["with a cell"]["precision_published"]
page.quote(
    n_published=len(alike),
    published_above=int((alike["precision_published"] > alike["recall_published"]).sum()),
    ours_above=int((alike["precision"] > alike["recall"]).sum()),
    rho_recall=alike["recall"].corr(alike["recall_published"], method="spearman"),
    rho_precision=alike["precision"].corr(alike["precision_published"], method="spearman"),
    published_ratio=ratio.mean(),
    published_recall=alike["recall_published"].median(),
    ours_recall=alike["recall"].median(),
)

# %% [markdown]
# Over {num}`five_band/n_published` methods and networks, the rank correlation of recall here with the published one is
# {num}`five_band/rho_recall +.2f`, that of precision {num}`five_band/rho_precision +.2f`; the median recall is
# {num}`five_band/ours_recall .3f` here and {num}`five_band/published_recall .3f` there. Two things show that the score
# is read here as they computed it. Precision exceeds recall in {num}`five_band/published_above` of their points
# ({num}`five_band/ours_above` here), which it never could if a missed pixel were a false positive
# ([](../../concepts/five-band.md)). And their precision with the empty images is
# {num}`five_band/published_ratio .2f` of that without: one image in ten counts with 0.
#
# ## ROC curves
#
# Each point is a pair of thresholds, from the strictest to the laxest; false positive rate and recall are means over
# images, and a line is a branch. The curve need not reach (1, 1), for a lower threshold may turn a hit into a wrong
# band.

# %%
by_branch_curves = heat.roc(TJOA_TEN, by_branch=True)
curves = heat.roc(TJOA_TEN)
page.table(
    curves, "five_band_roc", caption="False positive rate and recall at each inner threshold, by method and network."
)
shown = by_branch_curves.replace({"method": TITLES, "network": heat.titles})
places = curve_places(curves)
ends = published_points("4")  # of the published curves, with the axes put right
published_gap = (ends["recall"] - ends["fpr"]).groupby("method").mean()
above = int((places["gap"] > 0).sum())
deconvolution = places.xs("deconvolution", level="method").mean()
page.quote(
    n_curves=len(places),
    n_above=above,
    deconvolution_gap=deconvolution["gap"],
    others_gap=places["gap"].drop("deconvolution", level="method").mean(),
    deconvolution_place=deconvolution["place"],
    deconvolution_place_swapped=deconvolution["place_swapped"],
    n_methods=len(TJOA_TEN),
    published_deconvolution_gap=published_gap["deconvolution"],
    published_saliency_gap=published_gap["saliency"],
    **{f"published_deconvolution_{rate}": mean for rate, mean in ends.xs("deconvolution", level=1).mean().items()},
)

# %%
page.figure(
    plots.five_band_roc(shown),
    "five_band_roc",
    caption="ROC curves with the axes as they should be: false positive rate across, recall up; a line for each "
    "branch, markers for their mean. Grey: equal rates.",
    alt=f"ROC curves of {len(TJOA_TEN)} methods for {len(heat.networks)} networks. {above} of {len(places)} curves lie "
    f"above the diagonal on average; Deconvolution lies {'above' if deconvolution['gap'] > 0 else 'below'} it.",
    counterpart="Fig. 4",
    source="tjoa2020quantifying",
)
page.figure(
    plots.five_band_roc(shown, swapped=True),
    "five_band_roc_swapped",
    caption="The same curves as the published figure draws them: recall across and false positive rate up, under the "
    "labels of the right way round.",
    alt="The ROC curves mirrored at the diagonal: what lies above it in the figure before lies below it here.",
    counterpart="Fig. 4, as published",
    source="tjoa2020quantifying",
)

# %% [markdown]
# The code that drew the published figure puts recall on the x axis and the false positive rate on the y axis, and
# labels them the other way round. Section IV-B reads it: most methods lie in "traditionally poor" regions, and
# "Deconvolution appears to be the best, as it has the greatest rate of increasing recall compared to FPR". The swap
# turns that sentence round.
#
# Here {num}`five_band/n_above` of {num}`five_band/n_curves` curves lie above the diagonal on average. Deconvolution's
# mean distance from it (recall minus false positive rate) is {num}`five_band/deconvolution_gap +.2f`, that of the
# others {num}`five_band/others_gap +.2f`. By the rate at which recall grows with the false positive rate, Deconvolution
# takes place {num}`five_band/deconvolution_place .1f` of {num}`five_band/n_methods` (mean over networks); with the axes
# swapped, place {num}`five_band/deconvolution_place_swapped .1f`. In the authors' picture, put right, Deconvolution
# alone ends below the diagonal ({num}`five_band/published_deconvolution_gap +.2f` at the last thresholds, mean over the
# networks; Saliency {num}`five_band/published_saliency_gap +.2f`).
#
# ## Images without a cell
#
# Where there is no cell there is nothing to hit: precision and recall are 0 whatever the map. The paper counts these
# images in its means; here they are left out unless the protocol says otherwise, and reported apart.

# %%
empty = heat.blank(TJOA_TEN, empty=True).replace({"method": TITLES, "network": heat.titles})
page.table(
    empty.groupby(["network", "method"], sort=False, as_index=False)[["blank", "false_alarms"]].mean(),
    "empty",
    caption="Images without a cell: share of the pixels that the map rightly leaves in band 0 (blank) and of false "
    "alarms, means over thresholds, images and branches.",
)
without = heat.counted(scores[False], empty=False)
page.quote(
    n_empty=int(scores[False].drop_duplicates("image")["label"].eq(study.images.split("test").absent).sum()),
    recall_with_empty=scores[False]["recall_avg"].mean(),
    recall_without_empty=without["recall_avg"].mean(),
)
page.close()

# %% [markdown]
# {num}`five_band/n_empty` of the {num}`five_band/n_judged` judged images are empty. Counting them lowers the mean
# average recall over all methods from {num}`five_band/recall_without_empty .3f` to
# {num}`five_band/recall_with_empty .3f`.
