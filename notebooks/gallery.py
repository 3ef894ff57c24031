# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A gallery of maps
#
# Look before you count. Beside each image stand its maps by all methods, all of the same network.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_shown = 2  # count: images in the first figure

# %%
from saltrust import plots
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("gallery", study)
names = select(methods)
test = study.images.split("test")
shown = list(study.images.explained[:n_shown])


# %%
def rows(model):
    """One row for each shown image: its truth and all its maps by one model."""
    maps = {label_of(name): study.maps.display(name, model) for name in names}
    return [
        (f"image {i + 1}", test.pixels[index], test.truth[index], {name: m[i] for name, m in maps.items()})
        for i, index in enumerate(shown)
    ]


page.figure(
    plots.map_grid(rows(study.networks.main), across=4),
    "gallery_maps",
    caption=f"Maps of {study.networks.title()} for test images with the finding, each scaled to its own range after "
    "clipping at "
    "the 99th percentile: dark is low, bright is high. The truth is outlined in cyan.",
    alt=f"{len(shown)} images, each with its {len(names)} maps: {', '.join(map(label_of, names))}. The truth is "
    "outlined on all of them.",
    counterpart="Fig. 2c-d and Fig. S1",
)

# %% [markdown]
# ## The same image, other models
#
# Beside the network that is judged stand a replicate of it and another architecture, as far as there are such, and last
# a network whose weights were drawn at random. What stays the same from the first map of a row to the last owes nothing
# to training.

# %%
first = {
    label: rows(model)[0]
    for label, model in (
        ("trained", study.networks.main),
        ("replicate", study.networks.replicate),
        (study.networks.other and study.networks.title(study.networks.other), study.networks.other),
        ("random", study.networks.random),
    )
    if model
}
_, image, truth, maps = first["trained"]
page.figure(
    plots.map_grid([(name, image, truth, {label: row[-1][name] for label, row in first.items()}) for name in maps]),
    "models_compared",
    caption=f"Maps of one test image by {len(first)} networks: "
    + "; ".join(map(study.networks.title, study.networks.judged))
    + ".",
    alt=f"A grid of {len(names)} methods by {len(first)} networks for one image, to be compared along each row.",
)

# %% [markdown]
# ## Maps that cannot be read
#
# A map that holds a value that is not a number, that is the same everywhere, or that is zero everywhere says nothing.
# Such maps are counted here and never dropped from a score: {num}`gallery/n_faults` of {num}`gallery/n_maps`.

# %%
faults = study.maps.faults(methods)
page.table(
    faults,
    "faults",
    caption="For each method and model: maps made, maps with a value that is not finite, maps of one value, maps of "
    "zeros.",
)
page.quote(n_maps=faults["maps"].sum(), n_faults=faults[["not_finite", "constant", "empty"]].to_numpy().sum())
page.close()
