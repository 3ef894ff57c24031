# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Repeatability and reproducibility: would another model say the same?
#
# Two networks that classify equally well should point to the same place; whether these do classify equally well is told
# [with the models](models.md). Repeatability compares the maps of two
# replicates of {num}`repeatability/main_title`, reproducibility those of two architectures.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images
n_shown = 2  # count: images in the example figure

# %%
import numpy as np
import pandas as pd

from saltrust import plots
from saltrust.analysis import answers
from saltrust.analysis.words import best_and_worst, in_words
from saltrust.chapters.page import Page
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import label_of, select
from saltrust.stats.bootstrap import summarize
from saltrust.study.study import Study

PAIRS = {"reproducibility": "other architecture", "repeatability": "replicate"}  # what is compared, by criterion
MIDPOINT = PROTOCOLS["published"].low_baseline
study = Study(dataset, profile, protocol, seed)
page = Page("repeatability", study)
names = select(methods)
localizer = study.card.localizer
low_baseline = study.protocol.low_baseline  # a number, or how it is measured
fixed = None if isinstance(low_baseline, tuple) else low_baseline

# %%
scores = study.criteria.stability(methods)  # by criterion, as far as there are networks to compare
first = next(iter(scores))
summaries = {
    name: summarize(frame, "ssim", ["method", "model"], n_boot, seed, study.images.clusters)
    for name, frame in scores.items()
}
means = {name: table.set_index("method")["mean"] for name, table in summaries.items()}
nulls = {name: study.criteria.null(methods, other) for name, other in study.criteria.partners.items()}
nulls = {name: frame.groupby("method", sort=False)["ssim"].mean() for name, frame in nulls.items()}
baselines = {name: study.criteria.low_baselines(name, methods) for name in scores}
counted = {name: table[table["counts"]].set_index("method") for name, table in baselines.items()}
low = {name: table["mean"] for name, table in counted.items()}

# %%
of_methods = {name: mean[names] for name, mean in means.items()}
for name, maps in of_methods.items():
    prefix = "" if name == first else f"{name}_"
    above = {"n_above_low": maps > low[name][names], "n_above_half": maps > MIDPOINT}
    page.quote(**best_and_worst(maps, "ssim", prefix), **{f"{prefix}{key}": int(n.sum()) for key, n in above.items()})
page.quote(
    first=first,
    answer=answers.of_agreement(of_methods),
    main_title=study.networks.title(),
    localizer_ssim=means[first][localizer],
    baseline=f"the stricter of {' and '.join(low_baseline)}" if fixed is None else f"an SSIM of {fixed:g}",
    n_by_different=int((counted[first]["baseline"] == "different images").sum()),
    midpoint=MIDPOINT,
    n_methods=len(names),
)

# %% [markdown]
# {num}`repeatability/answer` Two localizers agree by {num}`repeatability/localizer_ssim .3f`.

# %%
frame = pd.concat([table.assign(criterion=name) for name, table in scores.items()])
frame = frame[~((frame["method"] == localizer) & (frame["criterion"] != first))]
page.figure(
    plots.stability_boxes(frame, {name: own.to_dict() for name, own in low.items()} if fixed is None else fixed),
    "stability",
    caption="SSIM between maps of two replicates (repeatability) and of two architectures (reproducibility), "
    f"{study.networks.replication}, beside the two localizers. Solid line: median; dashed: mean; box: quartiles; "
    f"orange, dashed: the low baseline{' of that box' if fixed is None else ''}.",
    alt=f"Box plots of SSIM by method. Means of {first}: {in_words(means[first])}.",
    counterpart="Fig. 4a-b",
)

# %% [markdown]
# ## What SSIM is worth here
#
# How alike are maps that agree about nothing? Three controls answer. A *surrogate* has all the values of a map and
# nearly its spectrum, so that it is as sparse and as smooth, but lies elsewhere. Maps of *different images* share the
# network and whatever it always shows. Maps of one image for *another class* should differ if they explain the class:
# here, for {num}`repeatability/n_other_class` images, of a single output read for and against the finding, or of the
# most and the next most likely class.

# %%
different = summarize(study.criteria.thresholds(methods), "ssim", ["method"], n_boot, seed, study.images.clusters)
unrelated = different.set_index("method")["mean"]
other_class = study.criteria.other_class(methods).groupby("method", sort=False)["ssim"].mean()
null = nulls[first][names]
page.quote(
    unrelated_ssim=unrelated.mean(),
    unrelated_largest=unrelated.max(),
    unrelated_largest_map=label_of(unrelated.idxmax()),
    n_above_unrelated=int((of_methods[first] > unrelated).sum()),
    not_above_unrelated=", ".join(label_of(name) for name in names if of_methods[first][name] <= unrelated[name])
    or "none",
    n_above_null=int((of_methods[first] > null).sum()),
    null_ssim=null.mean(),
    null_smallest=null.min(),
    null_smallest_map=label_of(null.idxmin()),
    null_largest=null.max(),
    null_largest_map=label_of(null.idxmax()),
    null_localizer=nulls[first][localizer],
    other_class_ssim=other_class.mean(),
    other_class_smallest=other_class.min(),
    other_class_smallest_map=label_of(other_class.idxmin()),
    n_other_class=len(study.images.cascaded),
    localizer_floor_1=float(np.median(study.maps.localizer(1))),
    localizer_floor_2=float(np.median(study.maps.localizer(2))),
)

# %%
kinds = {
    "surrogates": nulls[first][[*names, localizer]],
    "different images": unrelated,
    "another class": other_class,
    **{pair: of_methods[name] for name, pair in PAIRS.items() if name in of_methods},
}
kinds[PAIRS[first]] = means[first][[*names, localizer]]
scale = pd.concat([kind.rename("mean").reset_index().assign(pair=pair) for pair, kind in kinds.items()])
page.figure(
    plots.similarity_scale(scale, MIDPOINT),
    "similarity_scale",
    caption=f"Mean SSIM of {len(kinds)} kinds of pairs, by method. Dotted line: 0.5, the paper's midpoint between "
    "alike and unlike. What lies to the right of a method's own grey bar is more than its texture; what lies to the "
    "right of its cross, more than all maps of the method share.",
    alt=f"Dot plot of SSIM by method and kind of pair. Surrogates: {in_words(kinds['surrogates'])}; different images: "
    f"{in_words(unrelated)}.",
)

# %% [markdown]
# By texture alone SSIM is {num}`repeatability/null_ssim .2f` on average over the methods: from
# {num}`repeatability/null_smallest .2f` for {num}`repeatability/null_smallest_map` to
# {num}`repeatability/null_largest .2f` for {num}`repeatability/null_largest_map`, and for the localizers
# {num}`repeatability/null_localizer .2f`. Maps of different images have {num}`repeatability/unrelated_ssim .2f`, and
# those of {num}`repeatability/unrelated_largest_map` {num}`repeatability/unrelated_largest .2f`. One number for all,
# {num}`repeatability/midpoint .1f`, is therefore no midpoint between alike and unlike: each method has its own.
# {num}`repeatability/n_above_half` of {num}`repeatability/n_methods` methods exceed {num}`repeatability/midpoint .1f`
# in {num}`repeatability/first`.
#
# Surrogates are the lenient floor, for they do not keep where maps of this kind always lie: methods with a higher mean
# in {num}`repeatability/first`: {num}`repeatability/n_above_null`. Maps of different images do keep it. Two networks
# agree on an image better than one network agrees with itself on different images for
# {num}`repeatability/n_above_unrelated` of {num}`repeatability/n_methods` methods; not for
# {num}`repeatability/not_above_unrelated`. Agreement about an image must exceed both. The low baseline of this page is
# {num}`repeatability/baseline`; that of different images counts for {num}`repeatability/n_by_different` methods.
# Methods with a higher mean than their low baseline: {num}`repeatability/n_above_low`. See
# [](../../concepts/ssim.md).
#
# Between two classes SSIM is {num}`repeatability/other_class_ssim .2f` on average, least for
# {num}`repeatability/other_class_smallest_map` ({num}`repeatability/other_class_smallest .2f`). Without its signs, the
# gradient of a single output is the same for and against the finding.
#
# The localizers are compared by their probabilities as they are. Away from the finding these are not zero but, at the
# median, {num}`repeatability/localizer_floor_1 .3f` and {num}`repeatability/localizer_floor_2 .3f`; where two such
# floors differ, SSIM falls although both networks point to the same place.

# %%
for name, table in summaries.items():
    page.table(
        table.assign(
            null=table["method"].map(nulls[name]),
            unrelated=table["method"].map(unrelated),
            other_class=table["method"].map(other_class),
            low=table["method"].map(low[name]),
            against=table["method"].map(counted[name]["baseline"]),
        ),
        name,
        caption=f"{name.capitalize()}: SSIM by method, mean, standard deviation over images, 95 % bootstrap interval, "
        "images; the mean SSIM with surrogates (null), of maps of different images (unrelated) and of two classes "
        "(other_class); and the low baseline, with which of these it is (against).",
        key=["method", "model"],
    )

# %% [markdown]
# ## Examples
#
# The number above a map is its SSIM with the map in the first row of its image.

# %%
test = study.images.split("test")
by_image = {name: table.pivot(index="image", columns="method", values="ssim") for name, table in scores.items()}
rows, notes = [], []
for i, index in enumerate(study.images.explained[:n_shown]):
    for label, model, criterion in (
        (study.networks.title(), study.networks.main, None),
        *((study.networks.title(other), other, criterion) for criterion, other in study.criteria.partners.items()),
    ):
        maps = {label_of(name): study.maps.display(name, model)[i] for name in names}
        rows.append((label, test.pixels[index], test.truth[index], maps))
        values = by_image[criterion].loc[test.ids[index]] if criterion else {}
        notes.append({label_of(name): f"{values[name]:z.2f}" for name in names} if criterion else {})
page.figure(
    plots.map_grid(rows, notes, across=4),
    "stability_examples",
    caption=f"Maps of the same test images by {', '.join(map(study.networks.title, study.networks.classifiers))}, "
    "with their SSIM to the "
    "first network's map.",
    alt=f"{n_shown} images, each with its maps for each of {len(study.networks.classifiers)} networks.",
    counterpart="Fig. 4c-d and Fig. S3",
)
page.close()
