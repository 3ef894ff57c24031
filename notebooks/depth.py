# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does depth make heat maps worse?
#
# The paper finds the sparsest maps on the deepest of its three networks ([](five_band.md) has what came of that here).
# Is it because that network is deep? The paper's appendix puts one to eight convolutions before AlexNet and finds no
# trend.

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_boot = 1000  # resamples: bootstrap resamples of branches and images

# %%
from saltrust import plots
from saltrust.analysis.five_band import scores_by_depth
from saltrust.chapters.page import Page
from saltrust.stats.bootstrap import crossed
from saltrust.study.five_band import TITLES, TJOA_EIGHT, FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study)
page = Page("depth", study)
added = {network: int(network.partition("+")[2]) for network in heat.deepened}
intervals = "95 % bootstrap intervals over branches and images"

# %%
accuracy = heat.accuracies(heat.deepened)
scores = heat.five_band(TJOA_EIGHT, heat.deepened)
accuracy["layers"], scores["layers"] = (frame["network"].map(added) for frame in (accuracy, scores))
summary = scores_by_depth(scores, accuracy, n_boot, seed)
page.table(
    summary,
    "depth",
    caption="Test accuracy, and recall and precision averaged over the paper's eight methods, by the number of "
    f"convolutions added to AlexNet; {intervals}.",
)

# %%
trend = summary[["layers", "recall_avg", "precision_avg"]].corr(method="spearman")["layers"]
page.quote(
    n_networks=len(summary),
    lowest_accuracy=accuracy["accuracy"].min(),
    lowest_recall=summary["recall_avg"].min(),
    highest_recall=summary["recall_avg"].max(),
    lowest_precision=summary["precision_avg"].min(),
    highest_precision=summary["precision_avg"].max(),
    trend_recall=trend["recall_avg"],
    trend_precision=trend["precision_avg"],
)

# %%
points = scores.assign(predicted=[study.card.classes[label] for label in scores["predicted"]])
page.figure(
    plots.depth_scores(points.rename(columns={"recall_avg": "recall", "precision_avg": "precision"})),
    "depth",
    caption="Average precision against average recall by the number of convolutions added to AlexNet: a dot for each "
    "predicted class, a cross for the mean over classes.",
    alt="A scatter plot in which the crosses of the deeper networks "
    + "; ".join(f"{r.layers}: recall {r.recall_avg:.2f}, precision {r.precision_avg:.2f}" for r in summary.itertuples())
    + " are to be compared.",
    counterpart="appendix Fig. 1",
    source="tjoa2020quantifying",
)

# %% [markdown]
# {num}`depth/n_networks` networks, of test accuracy {num}`depth/lowest_accuracy .3f` or more, have an average recall
# from {num}`depth/lowest_recall .3f` to {num}`depth/highest_recall .3f` and an average precision from
# {num}`depth/lowest_precision .3f` to {num}`depth/highest_precision .3f`. The rank correlation with the number of added
# layers is {num}`depth/trend_recall +.2f` for recall and {num}`depth/trend_precision +.2f` for precision.
#
# The layers that the code adds have three channels and stand before AlexNet's own. They deepen the network where it
# sees colours and edges, not where it tells classes apart. Read as it stands, the code even gives all eight networks
# the same two layers, since it hands their number to a setting that the network does not read; here each has as many as
# it says. The code asks five methods, and draws a figure for each; here it is the paper's eight, averaged, and each
# below.
#
# Where there are no ImageNet weights, as in this run if the [networks](branches.md) started from scratch, this is no
# test of the paper's claim: each network then starts from the trained AlexNet, with added layers that pass the image
# on, and is trained for some dozen steps. What they share may hide what depth does.

# %%
by_method = crossed(scores, ["recall_avg", "precision_avg"], ["layers", "method"], n_boot, seed)
page.table(
    by_method.assign(method=by_method["method"].map(TITLES)),
    "depth_methods",
    caption=f"Average recall and precision by the number of added convolutions and method, with {intervals}.",
)
page.close()
