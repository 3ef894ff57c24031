# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Randomization: does the map depend on what the model has learned?
#
# The weights of the trained {num}`randomization/main_title` are drawn anew, stage by stage, from the logits down to the
# stem, and the map is made again after each stage. A map that explains the model must change; SSIM with the trained
# model's map says by how much.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
order = "top_down"  # order: top_down from the logits, bottom_up from the stem, or independent (one stage at a time)
n_boot = 1000  # resamples: bootstrap resamples of the images
shown = 0  # cascaded image: which of the cascaded images is drawn

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.words import furthest, in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.scores.similarity import SIMILARITY
from saltrust.stats.bootstrap import summarize
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("randomization", study)
names = select(methods)
stages = study.networks.stages_in(order)

# %%
scores = study.criteria.sensitivity(methods, order)
summary = summarize(scores, "ssim", ["method", "stage"], n_boot, seed, study.images.clusters)
summary.insert(1, "model", study.networks.main)
last = summary.query("stage == @stages[-1]").set_index("method")
threshold = summarize(
    study.criteria.thresholds(methods), "ssim", ["method"], n_boot, seed, study.images.clusters
).set_index("method")
null = study.criteria.null(methods).groupby("method", sort=False)["ssim"].mean()[names]

# %% [markdown]
# ## The cascade
#
# The dotted line is each method's degradation threshold: the mean SSIM of {num}`randomization/n_pairs` pairs of the
# trained model's maps of *different* images. A map whose SSIM stays above it after all weights are random is more
# like its old self than like another image's map. The dashed grey line is what is left when nothing lies where it was:
# the mean SSIM of a map with surrogates of itself, of the same values and spectrum (see [](../../concepts/ssim.md)).

# %%
page.figure(
    plots.cascade_curves(summary, threshold["mean"].to_dict(), null.to_dict(), stages),
    "randomization_curves",
    caption=f"SSIM between the trained {study.networks.title()}'s map and the map after each stage of randomization "
    f"({order.replace('_', '-')}), mean over {len(study.images.cascaded)} test images with its 95 % bootstrap interval "
    "(band). Orange, dotted: degradation threshold; grey, dashed: surrogates.",
    alt=f"{len(names)} line charts of SSIM against the stage of randomization. SSIM after the last stage: "
    f"{in_words(last['mean'])}.",
    counterpart="Fig. 3a",
)

# %%
gap = (last["mean"] - threshold["mean"]).sort_values()
before = summary.query("stage == @stages[-2:][0]").set_index("method")["mean"] - threshold["mean"]
page.quote(
    main_title=study.networks.title(),
    n_pairs=int(threshold["n"].max()),
    n_images=len(study.images.cascaded),
    n_stages=len(stages),
    n_below=int((gap < 0).sum()),
    n_only_last=int(((gap < 0) & (before >= 0)).sum()),
    n_near_null=int((last["ci_low"] < null).sum()),
    n_methods=len(names),
    most_sensitive=label_of(gap.idxmin()),
    least_sensitive=label_of(gap.idxmax()),
    most_sensitive_ssim=last["mean"][gap.idxmin()],
    least_sensitive_ssim=last["mean"][gap.idxmax()],
    furthest=furthest(last["mean"], threshold["mean"]),
)

# %%
degradation = last[["mean", "sd", "ci_low", "ci_high", "n"]].add_prefix("random_")
page.table(
    degradation.join(threshold.add_prefix("threshold_")).join(null.rename("null")).reset_index(),
    "degradation",
    caption="SSIM of the maps at the last stage with the trained model's (random), and the degradation threshold: "
    "means, standard deviations, 95 % bootstrap intervals and numbers of images or pairs; null: of maps with "
    "surrogates of themselves. Counterpart of Table S1.",
)

# %% [markdown]
# After the last stage the mean SSIM lies below the threshold for {num}`randomization/n_below` of
# {num}`randomization/n_methods` methods. {num}`randomization/furthest` One stage earlier the mean is still above it for
# {num}`randomization/n_only_last` of those that end below. For {num}`randomization/n_near_null` methods the interval
# reaches down to the surrogates: nothing of the layout is left. Whether the difference is more than chance is decided
# in the verdict.

# %%
page.table(
    summary,
    "sensitivity",
    caption="SSIM with the trained model's map after each stage of the cascade, by method: mean, standard deviation "
    "over images, 95 % bootstrap interval, images.",
    key=["method", "model", "stage"],
)

# %% [markdown]
# ## Other measures of likeness
#
# SSIM is one of four measures that {cite:t}`adebayo2018sanity` used. The rank correlation of the raw maps counts a
# flipped sign as a change; that of their absolute values does not. HOG compares edges and their directions. Each is set
# against its own threshold, the mean over pairs of different images.

# %%
rows = []
for score in SIMILARITY:
    at_last = study.criteria.sensitivity(methods, order, score, stage=stages[-1]).groupby("method")[score].mean()
    pairs = study.criteria.thresholds(methods, score).groupby("method")[score].mean()
    rows += [{"method": name, "score": score, "random": at_last[name], "threshold": pairs[name]} for name in names]
likeness = pd.DataFrame(rows)
below = (likeness["random"] < likeness["threshold"]).groupby(likeness["score"], sort=False).sum()
page.quote(**{f"n_below_{score}": int(count) for score, count in below.items()})
page.figure(
    plots.likeness(likeness),
    "likeness",
    caption="Likeness of the maps at the last stage of randomization to the trained model's (dot), and of the trained "
    "model's maps of different images (bar): a dot to the left of its bar passes by that measure.",
    alt="Four dot plots, one for each measure of likeness, with a row for each method. "
    + "; ".join(f"{score}: {count} of {len(names)} dots left of their bar" for score, count in below.items())
    + ".",
)
page.table(
    likeness,
    "likeness",
    caption="Mean likeness at the last stage of randomization (random) and of maps of different images (threshold), "
    "by four measures.",
)

# %% [markdown]
# Below the threshold lie {num}`randomization/n_below_ssim` of {num}`randomization/n_methods` methods by SSIM,
# {num}`randomization/n_below_spearman` by rank correlation, {num}`randomization/n_below_spearman_abs` by that of
# absolute values, and {num}`randomization/n_below_hog` by HOG.
#
# ## One image on its way down

# %%
test = study.images.split("test")
index = study.images.cascaded[shown]
cascades = {name: study.maps.cascade_display(name, order) for name in names}
steps = ["original", *stages[::3]] + ([stages[-1]] if (len(stages) - 1) % 3 else [])
ssim = scores.query("replicate == 0 and image == @test.ids[@index]").set_index(["method", "stage"])["ssim"]
rows = [
    (
        label_of(name),
        test.pixels[index],
        test.truth[index],
        {step: cascades[name][step][shown] for step in steps},
    )
    for name in names
]
notes = [{step: f"{ssim[name, step]:.2f}" for step in steps[1:]} for name in names]
page.figure(
    plots.map_grid(rows, notes),
    "cascade",
    caption=f"Maps of one test image as the weights of {study.networks.title()} are randomized from the logits down "
    "to the "
    "named stage; above each, its SSIM with the trained model's map (original).",
    alt=f"A grid of {len(names)} methods by {len(steps)} stages of randomization for one image.",
    counterpart="Fig. 3b and Fig. S2",
)
page.close()
