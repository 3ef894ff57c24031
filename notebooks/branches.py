# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The networks and their branches
#
# Three networks learn the ten classes. Each is trained once, without a look at the validation images: the *base model*.
# From it start the *branches*, which are trained on and validated again and again until they are good enough. Scores of
# heat maps are then reported branch by branch: what differs between them is chance.

# %% tags=["parameters"]
dataset = "cells"  # data set: a data card with graded truth
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random

# %%
import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from saltrust import plots
from saltrust.chapters.page import Page
from saltrust.study.five_band import FiveBandStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
heat = FiveBandStudy(study)
page = Page("branches", study)
PAPER = {"resnet34": 0.951, "alexnet": 0.980, "vgg16": 0.986}  # Table I

# %%
page.figure(
    plots.workflow(
        [
            ("images", ["draw cells\nand truth", "shards of 200:\ntrain, val, test"]),
            ("1 networks", ["three networks", "base model:\nall epochs", "validate on\nrandom shards", "branches"]),
            ("2 maps", ["predicted\nclass", "methods:\nmaps", "sum over\nchannels", "five bands"]),
            ("3 scores", ["precision, recall\nby image", "means, ROC", "galleries"]),
        ]
    ),
    "workflow",
    caption="What is done in which order, from the drawing of images to scores and galleries of heat maps.",
    alt="Boxes in four rows, joined by arrows: images are drawn and split into shards; a base model of each network is "
    "trained and then branches of it, validated on random shards; methods make maps for the predicted class, which are "
    "summed over channels and cut into five bands; precision and recall give means, curves and galleries.",
    counterpart="Fig. 1",
    source="tjoa2020quantifying",
)

# %%
branches = heat.accuracies()
settings = pd.DataFrame({"network": network, **heat.settings(network)} for network in heat.networks)
accuracy = branches.groupby("network", sort=False)["accuracy"].agg(["mean", "min", "max"]).add_prefix("accuracy_")
table = settings.merge(accuracy.reset_index()).assign(paper=lambda rows: rows["network"].map(PAPER))
page.table(
    table,
    "accuracy",
    caption="Training settings and test accuracy of the branches, mean, lowest and highest, beside the mean that the "
    "paper reports: side of the images, batch size, epochs of the base model and at most of a branch, limit of the "
    "early-stopping counter, refresh fraction. Counterpart of Table I of {cite:t}`tjoa2020quantifying`.",
)
page.quote(
    n_branches=len(study.networks.branches(study.card.networks[0])),
    n_train=len(study.images.split("train")),
    n_test=len(study.images.split("test")),
    lowest=branches["accuracy"].min(),
    highest=branches["accuracy"].max(),
    profile=profile,
    weights=heat.base("alexnet").record["weights"],
    **{f"{network}_accuracy": mean for network, mean in accuracy["accuracy_mean"].items()},
    **{f"stopped_{reason}": int((branches["stopped"] == reason).sum()) for reason in ("target", "early", "epochs")},
)

# %% [markdown]
# In this copy of the book ({num}`branches/profile`) each network has {num}`branches/n_branches` branches, trained on
# {num}`branches/n_train` images and tested on {num}`branches/n_test`; the paper has 5 branches, 6400 and 1600 images.
# The mean test accuracy is {num}`branches/resnet34_accuracy .3f` for ResNet34 (paper: 0.951),
# {num}`branches/alexnet_accuracy .3f` for AlexNet (0.980) and {num}`branches/vgg16_accuracy .3f` for VGG16 (0.986).
# Weights started from: {num}`branches/weights`; the paper's from ImageNet.
#
# The profile `quick` departs from the paper where two cores and no ImageNet weights force it to: smaller images, two
# branches, and for the base models another training. Half of their images are mirrored, the learning rate rises and
# falls once, and AlexNet and VGG16 borrow batch normalization, which is folded into their layers at the end. Their
# first linear layer reads the small grid of the last convolution itself, where the pooling in between would only copy
# its pixels to fill the grid of ImageNet's images; at the end each weight is shared out among these copies. Both steps
# leave the outputs as they are, so that the network that is explained is the paper's. A branch then takes a few dozen
# steps, with a limit to match. As in the paper, ResNet34 sees the largest images; AlexNet and VGG16, which have equal
# ones there, do not have them here, so that what sets these two apart may be the size. `full` has the sizes and
# settings of the paper.
#
# ## The base models
#
# The base models train through all their epochs without a look at the validation images.

# %%
losses = {study.networks.title(f"{network}-1"): heat.base_losses(network) for network in heat.networks}
page.figure(
    plots.training_curves(losses),
    "base_losses",
    caption="Mean training loss of each base model by epoch. The paper plots the losses, too, but does not show them.",
    alt="Line charts of the training loss by epoch. From first to last epoch: "
    + "; ".join(f"{n} {t['training loss'].iloc[0]:.2f} to {t['training loss'].iloc[-1]:.2f}" for n, t in losses.items())
    + ".",
)

# %% [markdown]
# ## Regular evaluation
#
# Every four steps a branch is validated on one shard of the validation images, drawn at random. It stops when an
# accuracy exceeds 0.96 (target). Otherwise a counter grows by one, unless the accuracy is the best so far: then the
# counter is multiplied by the refresh fraction. At its limit the branch stops early. Of the branches here,
# {num}`branches/stopped_target` reached the target, {num}`branches/stopped_early` stopped early and
# {num}`branches/stopped_epochs` used up their epochs.

# %%
traces = pd.concat(
    pd.DataFrame({key: record["curves"][key] for key in ("step", "accuracy", "counter")}).assign(
        network=study.networks.title(f"{network}-1"), branch=branch, limit=heat.plan(network).limit
    )
    for network in heat.networks
    for branch in study.networks.branches(network)
    for record in [heat.record(network, branch)]
)
page.figure(
    plots.branch_traces(traces, heat.plan("alexnet").target),
    "regular_evaluation",
    caption="Accuracy on one random shard of the validation images at each evaluation (above; dotted: the target) and "
    "the early-stopping counter as a share of its limit (below), for each branch.",
    alt="Line charts of validation accuracy and of the early-stopping counter by training step. "
    + "; ".join(
        f"{row.network} branch {row.branch} stopped after {row.steps} steps ({row.stopped})"
        for row in branches.itertuples()
    )
    + ".",
)

# %%
page.table(
    branches,
    "branches",
    caption="Each branch: side of its images, test accuracy, accuracy on all validation images, why and after how "
    "many steps it stopped, seconds.",
)

# %%
apart = pd.concat([heat.apart(network) for network in heat.networks])
page.table(
    apart,
    "apart",
    caption="How far each branch has parted from the first of its network: distance of the weights over the length of "
    "the first's, and share of the test images that it takes for another class.",
)
page.quote(least_distance=apart["distance"].min(), least_disagreement=apart["disagreement"].min())

# %% [markdown]
# Branches are replicates only as far as they differ. Here the closest two are {num}`branches/least_distance .1e` of
# their weights apart, and the most alike two disagree on {num}`branches/least_disagreement .1%` of the test images.
# Where that is next to nothing, what varies between branches in the next chapters says little of chance.
#
# ## What is mistaken for what
#
# The rows are the true classes. A network that confuses two classes has no reason to look where they differ.

# %%
labels = study.images.split("test").labels
classes = study.card.classes
matrices = {}
for network in heat.networks:
    predicted = [heat.predicted(network, branch) for branch in study.networks.branches(network)]
    true, found = np.tile(labels, len(predicted)), np.concatenate(predicted)
    matrices[study.networks.title(f"{network}-1")] = confusion_matrix(
        true, found, labels=range(len(classes)), normalize="true"
    )
pairs = {
    name: max((m[i, j], classes[i], classes[j]) for i in range(len(classes)) for j in range(len(classes)) if i != j)
    for name, m in matrices.items()
}
page.figure(
    plots.class_confusion(matrices, classes),
    "confusion",
    caption="Share of the test images of each class (row) that the branches of each network predict as each class "
    "(column), in per cent.",
    alt="A matrix of true by predicted classes for each network. Most frequent error: "
    + "; ".join(f"{name}, {true} taken for {wrong} ({share:.0%})" for name, (share, true, wrong) in pairs.items())
    + ".",
)
page.close()
