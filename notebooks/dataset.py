# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The data set
#
# Before any map is judged: what are the images, what is the finding, how large is it, and where does it lie? The last
# two decide how well a map can score by knowing nothing about the image.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_shown = 12  # count: images in each figure

# %%
import numpy as np
import pandas as pd

from saltrust import plots
from saltrust.analysis.outlines import outlined
from saltrust.chapters.page import Page
from saltrust.core.data_cards import SPLITS
from saltrust.core.markup import myst
from saltrust.datasets.quality import ALIKE, BITS, pairs_alike
from saltrust.plots.data_set import truth_sizes
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("dataset", study)
finding = study.card.finding

# %%
splits = {name: study.images.split(name) for name in SPLITS}
counts = pd.DataFrame(
    {"split": name, "images": len(s.labels), "positive": int(s.present.sum()), "prevalence": s.present.mean()}
    for name, s in splits.items()
)
test = splits["test"]
positive = test.positives()
area = None if test.truth is None else test.truth[positive].mean(axis=(1, 2))
page.quote(
    n_train=counts["images"][0],
    n_test=len(test.labels),
    n_test_positive=len(positive),
    n_test_negative=len(test.labels) - len(positive),
    prevalence=test.present.mean(),
    size=test.pixels.shape[1],
    profile=profile,
    **outlined(area),
)

# %% [markdown]
# ## Splits
#
# The test split holds {num}`dataset/n_test` images, {num}`dataset/n_test_positive` of them with the finding. Maps are
# made for positive test images only, as in the paper.

# %%
page.table(counts, "splits", caption=f"Images of each split, and the share with {myst(finding)}.")

# %% [markdown]
# ## With the finding
#
# {num}`dataset/located`

# %%
shown = positive[:n_shown]
if area is None:
    page.figure(
        plots.image_grid(test.pixels[shown], [""] * len(shown)),
        "positive",
        caption=f"Test images with {myst(finding)}.",
        alt=f"{len(shown)} test images with {finding}.",
    )
else:
    page.figure(
        plots.image_grid(test.pixels[shown], [f"{a:.1%}" for a in area[:n_shown]], test.truth[shown]),
        "positive",
        caption=f"Test images with {myst(finding)}, the truth outlined in cyan; above each, the share of the image "
        "that it covers.",
        alt=f"{len(shown)} test images with an outline around the {finding}, which covers between "
        f"{area[:n_shown].min():.1%} and {area[:n_shown].max():.1%} of the image.",
    )

# %% [markdown]
# ## Without it
#
# {num}`dataset/n_test_negative` test images have no finding.

# %%
negative = np.flatnonzero(~test.present)[:n_shown]
if len(negative):
    page.figure(
        plots.image_grid(test.pixels[negative], [""] * len(negative)),
        "negative",
        caption=f"Test images without {myst(finding)}.",
        alt=f"{len(negative)} test images without {finding}.",
    )

# %% [markdown]
# ## How large the finding is, and where
#
# {num}`dataset/extent`

# %%
if area is not None:
    average = study.maps.average()
    page.figure(
        truth_sizes(area, average),
        "truth",
        caption="Left: how much of the image the truth covers. Right: the average mask of all training and validation "
        "images with the finding, which serves as the baseline AVG.",
        alt=f"Left, a histogram of truth sizes from {area.min():.1%} to {area.max():.1%} of the image. Right, the "
        f"average mask as an image; its highest value is {average.max():.2f}.",
    )

# %% [markdown]
# ## Leaks and contradictions
#
# A patient with images in two splits, a copy of a training image among the test images, or a label that contradicts the
# truth makes every number after this page wrong. Of {num}`dataset/n_checks` checks {num}`dataset/n_failed` found
# something.

# %%
alike = pairs_alike(splits)
quality = study.images.quality(alike)
page.quote(n_checks=len(quality), n_failed=int((quality["found"] > 0).sum()))
page.table(
    quality,
    "quality",
    caption="What was looked for in the images that this page uses, how often it was found, among how many, and the "
    "first cases. Groups are what the data set says belongs together, in all its files. Near copies differ in at most "
    f"{ALIKE} of {BITS**2} bits of a perceptual hash, as an image and its re-encoded or resized copy do. Prevalence is "
    "unlike where Fisher's exact test has p < 0.01. Sizes are those of the truth, in the resized image.",
)

# %%
shown = alike.sort_values("first_split", key=lambda split: split == alike["second_split"])[: n_shown // 2]
if len(shown):
    pairs = [
        (split, splits[split].pixels[i])
        for row in shown.itertuples()
        for split, i in ((row.first_split, row.first), (row.second_split, row.second))
    ]
    page.figure(
        plots.image_grid([pixels for _, pixels in pairs], [name for name, _ in pairs]),
        "alike",
        caption=f"Pairs of images that are nearly the same, {len(shown)} of {len(alike)}; those from different splits "
        "first.",
        alt=f"{len(shown)} pairs of images side by side; those of a pair differ in at most {ALIKE} of {BITS**2} bits "
        "of a perceptual hash.",
    )
page.close()
