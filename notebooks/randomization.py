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
# model's map says by how much. Networks that are followed in this way: {num}`randomization/n_networks`, each against
# its own trained maps.

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
from saltrust.analysis import answers
from saltrust.analysis.localization import trained_against_random
from saltrust.analysis.randomization import first_falls, late_words, over_networks
from saltrust.analysis.words import furthest, in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.scores.similarity import OF_GREY
from saltrust.stats.bootstrap import summarize
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("randomization", study)
names = select(methods)
stages = study.networks.stages_in(order)
end = study.maps.cascade_stages(study.protocol)[-1] if order == "top_down" else stages[-1]
until, paper_end = stages[: stages.index(end) + 1], study.networks.paper_end

# %%
scores = study.criteria.sensitivity(methods, order)
summary = summarize(scores, "ssim", ["method", "stage"], n_boot, seed, study.images.clusters)
summary.insert(1, "model", study.networks.main)
last = summary.query("stage == @end").set_index("method")
threshold = summarize(
    study.criteria.thresholds(methods), "ssim", ["method"], n_boot, seed, study.images.clusters
).set_index("method")
null = study.criteria.null(methods).groupby("method", sort=False)["ssim"].mean()[names]
falls = first_falls(summary, threshold["mean"], until).set_index("method")
networks = over_networks(scores.query("stage == @end"), "ssim")

# %% [markdown]
# ## The cascade
#
# The dotted line is each method's degradation threshold: the mean SSIM of {num}`randomization/n_pairs` pairs of the
# trained model's maps of *different* images. A map whose SSIM stays above it at the last stage is more like its old
# self than like another image's map. The dashed grey line is what is left when nothing lies where it was: the mean SSIM
# of a map with surrogates of itself, of the same values and spectrum (see [](../../concepts/ssim.md)). The last stage
# by this protocol is {num}`randomization/end`, marked by a line; the paper
# {num}`randomization/paper_end`.

# %%
page.figure(
    plots.cascade_curves(summary, threshold["mean"].to_dict(), null.to_dict(), stages, end),
    "randomization_curves",
    caption=f"SSIM between the trained {study.networks.title()}'s map and the map after each stage of randomization "
    f"({order.replace('_', '-')}), mean over {len(study.images.cascaded)} test images with its 95 % bootstrap interval "
    "(band). Orange, dotted: degradation threshold; grey, dashed: surrogates; vertical, dash-dotted: the last stage "
    "by the protocol.",
    alt=f"{len(names)} line charts of SSIM against the stage of randomization. SSIM after the last stage: "
    f"{in_words(last['mean'])}.",
    counterpart="Fig. 3a",
)

# %%
gap = (last["mean"] - threshold["mean"]).sort_values()
page.quote(
    end=end,
    paper_end="has no cascade of such a network"
    if paper_end == study.networks.stages[-1] and (study.card.cascade == "coarse" or study.card.models)
    else f"ends its figures at {paper_end}",
    n_networks=len(study.networks.replicates),
    only_last=late_words(falls.reset_index()),
    first_falls="; ".join(f"{label_of(name)}: {stage or 'never'}" for name, stage in falls["first_below"].items()),
    main_title=study.networks.title(),
    n_pairs=int(threshold["n"].max()),
    n_images=len(study.images.cascaded),
    n_stages=len(stages),
    n_only_last=int(falls["only_last"].sum()),
    n_near_null=int((last["ci_low"] < null).sum()),
    n_methods=len(names),
    most_sensitive=label_of(gap.idxmin()),
    least_sensitive=label_of(gap.idxmax()),
    most_sensitive_ssim=last["mean"][gap.idxmin()],
    least_sensitive_ssim=last["mean"][gap.idxmax()],
    furthest=furthest(last["mean"], threshold["mean"]),
    answer=answers.of_randomization(last["mean"], threshold["mean"], list(falls.index[falls["only_last"]])),
)

# %%
degradation = last[["mean", "sd", "ci_low", "ci_high", "n"]].add_prefix("random_")
degradation = degradation.join(networks[["sd", "networks"]].rename(columns={"sd": "random_sd_of_networks"}))
page.table(
    degradation.join(threshold.add_prefix("threshold_")).join(null.rename("null")).join(falls).reset_index(),
    "degradation",
    caption="SSIM of the maps at the last stage with the trained model's (random), and the degradation threshold: "
    "means, standard deviations over images or pairs, 95 % bootstrap intervals and numbers of images or pairs; "
    "random_sd_of_networks: standard deviation of the networks' means, the ± of the paper's Table S1; null: of maps "
    "with surrogates of themselves; first_below: the stage at which the mean first falls below the threshold, n_below: "
    "at how many stages it is below, only_last: whether at the last one alone. Counterpart of Table S1.",
)
spread, before = networks["sd"].dropna(), summary.query("stage == @until[-2:][0]").set_index("method")["mean"]
late = [
    f"{label_of(name)} ({before[name]:.2f} one stage earlier, threshold {threshold['mean'][name]:.2f})"
    for name in falls.index[falls["only_last"]]
]
page.quote(
    late="; ".join(late) or "none",
    spread=f"from {spread.min():.3f} to {spread.max():.3f}" if len(spread) else "unknown, as one network is followed",
)

# %% [markdown]
# {num}`randomization/answer` {num}`randomization/furthest` For {num}`randomization/n_near_null` methods the interval
# reaches down to the surrogates: nothing of the layout is left. Whether the difference is more than chance is decided
# in the verdict. The standard deviation of the networks' means, by method, is {num}`randomization/spread`: the
# intervals are over images and hold nothing of it.
#
# A method may fall at the first random stage or at the last. It first falls below its threshold at:
# {num}`randomization/first_falls`. Only at the last stage: {num}`randomization/late`. Until that stage
# the map was more like its old self than like another image's, though most weights were random.

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
for score in OF_GREY:
    at_last = study.criteria.sensitivity(methods, order, score, stage=end).groupby("method")[score].mean()
    pairs = study.criteria.thresholds(methods, score).groupby("method")[score].mean()
    rows += [{"method": name, "score": score, "random": at_last[name], "threshold": pairs[name]} for name in names]
likeness = pd.DataFrame(rows)
below = (likeness["random"] < likeness["threshold"]).groupby(likeness["score"], sort=False).sum()
page.quote(**{f"n_below_{score}": int(count) for score, count in below.items()})
models = study.networks.main, study.networks.random
auprc = study.criteria.localization(methods, models=models)
gains = trained_against_random(auprc, *models, names, n_boot, seed, study.images.clusters)

# %%
page.figure(
    plots.likeness(likeness, gains),
    "likeness",
    caption="Likeness of the maps at the last stage of randomization to the trained model's (dot), and of the trained "
    "model's maps of different images (bar): a dot to the left of its bar passes by that measure. Right: what the maps "
    "find, AUPRC with trained weights (diamond) and with all weights random (dot).",
    alt="Five dot plots, one for each measure of likeness and one of AUPRC, with a row for each method. "
    + "; ".join(f"{score}: {count} of {len(names)} dots left of their bar" for score, count in below.items())
    + f"; AUPRC, trained minus random: {in_words(gains.set_index('method')['difference'], '+.2f')}.",
)
wide = likeness.pivot(index="method", columns="score", values=["random", "threshold"]).loc[names]
wide.columns = [f"{score}_{side}" for side, score in wide.columns]
page.table(
    gains.add_prefix("auprc_").rename(columns={"auprc_method": "method"}).merge(wide.reset_index(), on="method"),
    "likeness",
    caption="Signs that a map depends on the weights, by method: mean AUPRC with trained and with random weights, the "
    "difference and its 95 % bootstrap interval; mean likeness at the last stage of randomization (random) and of maps "
    "of different images (threshold), by four measures.",
    key=["method"],
)

# %%
gain = gains.set_index("method")
most, least = gain["difference"].idxmax(), gain["difference"].idxmin()
ends = likeness.set_index(["score", "method"])["random"]
below_ssim, clear = gap[names] < 0, gain["ci_low"] > 0
page.quote(
    most_gain_map=label_of(most),
    most_gain=gain["difference"][most],
    most_gain_ranks=ends["spearman_abs", most],
    most_gain_ssim=ends["ssim", most],
    least_gain_map=label_of(least),
    least_gain=gain["difference"][least],
    gain_above=", ".join(label_of(name) for name in names if clear[name] and not below_ssim[name]) or "none",
    no_gain_below=", ".join(label_of(name) for name in names if below_ssim[name] and not clear[name]) or "none",
)

# %% [markdown]
# Below the threshold lie {num}`randomization/n_below_ssim` of {num}`randomization/n_methods` methods by SSIM,
# {num}`randomization/n_below_spearman` by rank correlation, {num}`randomization/n_below_spearman_abs` by that of
# absolute values, and {num}`randomization/n_below_hog` by HOG.
#
# What a map *finds* may depend on the weights although its likeness stays above the threshold, and the other way round.
# AUPRC with trained weights exceeds that with random ones most for {num}`randomization/most_gain_map`, by
# {num}`randomization/most_gain +.3f`; there the rank correlation of absolute values ends at
# {num}`randomization/most_gain_ranks .2f` and SSIM at {num}`randomization/most_gain_ssim .2f`. It does so least for
# {num}`randomization/least_gain_map`, by {num}`randomization/least_gain +.3f`. Above their threshold by SSIM, but with
# a gain whose interval lies above zero: {num}`randomization/gain_above`. Below it, but without such a gain:
# {num}`randomization/no_gain_below`. So SSIM alone does not say that a map is indifferent to the weights; nor does a
# fall say that it depends on what was learned.
#
# ## One image on its way down

# %%
test = study.images.split("test")
index = study.images.cascaded[shown]
cascades = {name: study.maps.cascade_display(name, order) for name in names}
steps = ["original", *stages[::3]] + ([stages[-1]] if (len(stages) - 1) % 3 else [])
ssim = scores.query("replicate == 1 and image == @test.ids[@index]").set_index(["method", "stage"])["ssim"]
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
    "to the named stage; above each, its SSIM with the trained model's map (original).",
    alt=f"A grid of {len(names)} methods by {len(steps)} stages of randomization for one image.",
    counterpart="Fig. 3b and Fig. S2",
)
page.close()
