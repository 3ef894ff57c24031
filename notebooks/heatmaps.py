# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The heat maps themselves
#
# Numbers come after looking. Red speaks for the predicted class, blue against it; the truth is light red on the body of
# a cell and dark red on what tells its class. The [gallery](#cells-heatmaps-gallery) at the end holds every method,
# network and class, right and wrong predictions apart.

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
branch = 1  # branch: whose maps are shown
n_right = 2  # count: right predictions of each class in the gallery

# %%
import numpy as np

from saltrust import plots
from saltrust.chapters.page import Page
from saltrust.study.five_band import TITLES, TJOA_TEN, FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study)
page = Page("heatmaps", study)
classes = study.card.classes
shown = {network: heat.gallery(network, branch, n_right) for network in heat.networks}
images = {network: tuple(choice.index for choice in choices) for network, choices in shown.items()}


# %%
def best_shown(network, label):
    """Which of the shown images is a right prediction of a class; without one, of any class, or just the first."""
    right = [i for i, choice in enumerate(shown[network]) if choice.right]
    own = [i for i in right if shown[network][i].label == label]
    return (own or right or [0])[0]


def row(name, network, i, maps):
    """A labelled row of a figure: the i-th shown image of a network, its truth, its map; a mistake is named."""
    test, choice = study.networks.test(f"{network}-1"), shown[network][i]
    mistake = "" if choice.right else f"\nas {classes[choice.predicted]}"
    index, title = choice.index, f"{TITLES[name]}\n{heat.titles[network]}{mistake}"
    return title, test.pixels[index], test.grades[index], maps[i]


# %% [markdown]
# ## Colour channels
#
# Type 3 (RCell), 4 (RCellB) and 5 (RCellC) differ in the colour of their border alone. A map that explains the class
# should speak for that channel. Summing over channels, as the score does, lets channels cancel one another.

# %%
COLOURED = ("saliency", "guided_gradcam", "deconvolution")
rows, cancelled = [], {}
for name in COLOURED:
    for network in heat.networks:
        raw = heat.raw(name, network, branch, images[network])
        cancelled[name, network] = 1 - np.abs(raw.sum(1)).sum() / np.abs(raw).sum()
        rows.append(row(name, network, best_shown(network, classes.index("RCell")), raw))
page.figure(
    plots.colour_channels(rows),
    "colour_channels",
    caption="Maps of cells with a red border (RCell), rightly predicted, in each colour channel over the largest "
    "magnitude of the map. Where a network gets none of these right, another image stands there.",
    alt="A grid of maps in the channels red, green and blue. Share of the magnitude that cancels in the sum over "
    "channels: "
    + ", ".join(f"{TITLES[m]} on {heat.titles[n]} {share:.0%}" for (m, n), share in cancelled.items())
    + ".",
    counterpart="Fig. 5",
    source="tjoa2020quantifying",
)
means = {name: np.mean([cancelled[name, network] for network in heat.networks]) for name in COLOURED}
page.quote(**{f"cancelled_{name}": mean for name, mean in means.items()})

# %% [markdown]
# In the sum over channels, {num}`heatmaps/cancelled_guided_gradcam .0%` of the magnitude of Guided Grad-CAM cancels,
# {num}`heatmaps/cancelled_deconvolution .0%` of Deconvolution's, and {num}`heatmaps/cancelled_saliency .0%` of
# Saliency's, which has no signs.
#
# ## From a map to bands
#
# The same map at the first and the last pair of thresholds. What counts as feature depends on where the cut is. All
# predictions are right, unless the row says as which class an image was taken (where a network gets none right).

# %%
rows = []
for name in ("saliency", "deeplift", "deeplift_shap"):
    for network in heat.networks:
        adjusted = heat.adjusted(name, network, branch, images[network])
        rows.append(row(name, network, best_shown(network, classes.index("CCellP")), adjusted))
page.figure(
    plots.band_grid(rows),
    "stratified",
    caption="Maps after the sum over channels, and their five bands at the first and the last pair of soft thresholds.",
    alt=f"A grid of {len(rows)} maps with their bands; at the strict thresholds most of each cell is in band 0, at the "
    "lax ones edges and background pixels enter the other bands.",
    counterpart="Fig. 6A, B",
    source="tjoa2020quantifying",
)

# %% [markdown]
# Two right predictions of one class, by one method, on one network: the paper's pair (DeepLift on VGG, eight tails)
# differs in quality, and it warns that no picture stands for all.

# %%
PAIR = ("deeplift", "vgg16", "CCellT8")
name, network, kind = PAIR
adjusted = heat.adjusted(name, network, branch, images[network])
pair = [i for i, choice in enumerate(shown[network]) if choice.right and choice.label == classes.index(kind)][:2]
page.figure(
    plots.band_grid([row(name, network, i, adjusted) for i in pair or [best_shown(network, classes.index(kind))]]),
    "pair",
    caption=f"{TITLES[name]} on {heat.titles[network]} for right predictions of {kind}, the first two of the test "
    "images; where the network has fewer, what there is.",
    alt=f"Image, truth, map and bands of cells with eight tails, a row for each; rows: {max(len(pair), 1)}.",
    counterpart="Fig. 6C",
    source="tjoa2020quantifying",
)

# %% [markdown]
# (cells-heatmaps-gallery)=
# ## Gallery
#
# Choose a network, then a method. Each row is a class; right predictions stand first, then a wrong one, if the network
# made one on the test images.


# %%
def gallery_rows(network, maps):
    """A row for each class: its name, the right predictions, and the class and picture of a wrong one, if there is."""
    test, rows = study.networks.test(f"{network}-1"), []
    for label, kind in enumerate(classes):
        pictures = [
            (choice, (test.pixels[choice.index], test.grades[choice.index], maps[i]))
            for i, choice in enumerate(shown[network])
            if choice.label == label
        ]
        mistaken = next(((classes[c.predicted], picture) for c, picture in pictures if not c.right), None)
        rows.append((kind, [picture for c, picture in pictures if c.right], mistaken))
    return rows


# %%
for network in heat.networks:
    for name in TJOA_TEN:
        rows = gallery_rows(network, heat.adjusted(name, network, branch, images[network]))
        rightly, wrongly = sum(len(right) for _, right, _ in rows), sum(wrong is not None for *_, wrong in rows)
        page.figure(
            plots.signed_map_gallery(rows),
            f"gallery_{network}_{name}",
            caption=f"{TITLES[name]} on {heat.titles[network]}, branch {branch}: image, truth and map of right "
            "predictions of each class, and of a wrong one.",
            alt=f"A grid of {len(classes)} classes with heat maps of {rightly} right and {wrongly} wrong predictions.",
            counterpart="appendix A to G",
            source="tjoa2020quantifying",
            tabs=(heat.titles[network], TITLES[name]),
        )
page.quote(
    n_wrong=sum(not c.right for choices in shown.values() for c in choices),
    n_figures=len(heat.networks) * len(TJOA_TEN),
)
page.close()
