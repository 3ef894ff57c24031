# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---


# %% [markdown]
# # Repeatability and reproducibility: would another model say the same?
#
# Two networks that classify equally well should point to the same place. Repeatability compares the maps of two
# replicates of {num}`repeatability/main_title`, reproducibility those of it and {num}`repeatability/other_title`.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # a data card
profile = "quick"  # smoke, quick or full
protocol = "corrected"  # corrected, published or as_run
seed = 0  # of everything that is drawn at random
methods = "paper"  # the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # bootstrap resamples of the images
n_shown = 2  # images in the example figure

# %%
import numpy as np
import pandas as pd

from saltrust import plots
from saltrust.report import Page
from saltrust.statistics import summarize
from saltrust.study import Study, chosen

study = Study(dataset, profile, protocol, seed)
page = Page("repeatability", study)
names = chosen(methods)
localizer = study.card.localizer
low = study.protocol.low_baseline

# %%
scores = {"repeatability": study.repeatability(methods), "reproducibility": study.reproducibility(methods)}
summaries = {name: summarize(frame, "ssim", ["method", "model"], n_boot, seed) for name, frame in scores.items()}
means = {name: table.set_index("method")["mean"] for name, table in summaries.items()}
unrelated = summarize(study.thresholds(methods), "ssim", ["method"], n_boot, seed).set_index("method")["mean"]
for name, prefix in (("repeatability", ""), ("reproducibility", "reproducibility_")):
    maps = means[name][names]
    page.quote(
        **{
            f"{prefix}best_map": plots.abbreviation(maps.idxmax()),
            f"{prefix}best_ssim": maps.max(),
            f"{prefix}worst_map": plots.abbreviation(maps.idxmin()),
            f"{prefix}worst_ssim": maps.min(),
            f"{prefix}n_above_low": int((maps > low).sum()),
        }
    )
page.quote(
    main_title=study.title(),
    other_title=study.title(study.other),
    localizer_ssim=means["repeatability"][localizer],
    localizer_floor_1=float(np.median(study.heat(1))),
    localizer_floor_2=float(np.median(study.heat(2))),
    unrelated_ssim=unrelated.mean(),
    unrelated_largest=unrelated.max(),
    unrelated_largest_map=plots.abbreviation(unrelated.idxmax()),
    low_baseline=low,
    n_methods=len(names),
)

# %% [markdown]
# The most repeatable map is {num}`repeatability/best_map` with a mean SSIM of {num}`repeatability/best_ssim .3f`, the
# least {num}`repeatability/worst_map` with {num}`repeatability/worst_ssim .3f`; two localizers agree by
# {num}`repeatability/localizer_ssim .3f`. Between architectures the best is
# {num}`repeatability/reproducibility_best_map` with {num}`repeatability/reproducibility_best_ssim .3f`.

# %%
frame = pd.concat([table.assign(criterion=name) for name, table in scores.items()])
frame = frame[~((frame["method"] == localizer) & (frame["criterion"] == "reproducibility"))]
page.figure(
    plots.stability_boxes(frame, low),
    "stability",
    caption=f"SSIM between maps of two replicates ({study.replication}) and of two architectures (reproducibility), beside the two localizers. "
    "Solid line: median; dashed: mean; box: quartiles; horizontal line: the paper's low baseline.",
    alt="Box plots of SSIM by method. Repeatability means: "
    + ", ".join(f"{plots.abbreviation(m)} {v:.2f}" for m, v in means["repeatability"].items())
    + ".",
    counterpart="Fig. 4a-b",
)

# %% [markdown]
# ## What SSIM is worth here
#
# Maps of *different* images by one model have a mean SSIM of {num}`repeatability/unrelated_ssim .3f` over the
# methods, and for {num}`repeatability/unrelated_largest_map` {num}`repeatability/unrelated_largest .3f`. The low
# baseline of {num}`repeatability/low_baseline .1f` is therefore no midpoint between alike and unlike: each method has
# its own. See [](../../concepts/ssim.md).
#
# The localizers are compared by their probabilities as they are. Away from the finding these are not zero but, at the
# median, {num}`repeatability/localizer_floor_1 .3f` and {num}`repeatability/localizer_floor_2 .3f`; where two such
# floors differ, SSIM falls although both networks point to the same place.

# %%
for name, table in summaries.items():
    page.table(
        table.assign(unrelated=table["method"].map(unrelated)),
        name,
        caption=f"{name.capitalize()}: SSIM by method, mean, standard deviation over images, 95 % bootstrap interval, images; and the mean SSIM "
        "of the same method's maps of different images (unrelated).",
    )

# %% [markdown]
# ## Examples
#
# The number above a map is its SSIM with the map in the first row of its image.

# %%
test = study.data("test")
by_image = {name: table.pivot(index="image", columns="method", values="ssim") for name, table in scores.items()}
rows, notes = [], []
for i, index in enumerate(study.explained[:n_shown]):
    for label, model, criterion in (
        (study.title(), study.main, None),
        ("replicate", study.replicate, "repeatability"),
        (study.title(study.other), study.other, "reproducibility"),
    ):
        maps = {plots.abbreviation(name): study.display(name, model)[i] for name in names}
        rows.append((label, test.pixels[index], test.truth[index], maps))
        values = by_image[criterion].loc[test.ids[index]] if criterion else {}
        notes.append({plots.abbreviation(name): f"{values[name]:.2f}" for name in names} if criterion else {})
page.figure(
    plots.map_grid(rows, notes),
    "stability_examples",
    caption=f"Maps of the same test images by two replicates of {study.title()} and by {study.title(study.other)}, with their SSIM to the first replicate's map.",
    alt=f"A grid of {n_shown} images, each with three rows of maps by three networks.",
    counterpart="Fig. 4c-d and Fig. S3",
)
page.close()
