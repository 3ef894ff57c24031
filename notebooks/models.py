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
# # The models
#
# Maps explain models, so the models come first. Two replicates of InceptionV3 differ in nothing but their seed;
# DenseNet121 has another architecture; two localizers are trained on the truth itself, and show what can be found in
# these images.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # a data card
profile = "quick"  # smoke, quick or full
protocol = "corrected"  # corrected, published or as_run
seed = 0  # of everything that is drawn at random
n_boot = 1000  # bootstrap resamples of the images

# %%
import numpy as np

from saltrust import plots
from saltrust.report import Page
from saltrust.study import CLASSIFIERS, Study

study = Study(dataset, profile, protocol, seed)
page = Page("models", study)

# %%
table = study.models(n_boot)
page.table(
    table,
    "models",
    caption="Area under the ROC curve on the test images, with its 95 % bootstrap interval by image; epochs trained and "
    "epoch kept; seconds of training; arithmetic; and where the weights started from. Localizers are scored by their image score.",
)
page.quote(**{f"{row.model}_auc": row.auc for row in table.itertuples()})
page.quote(
    weights=table["weights"][0],
    best_auc=table["auc"].max(),
    worst_classifier_auc=table.query("role == 'classifier'")["auc"].min(),
    size=study.profile.size,
)

# %% [markdown]
# The first InceptionV3 reaches an AUC of {num}`models/inception_v3-1_auc .3f`, its replicate
# {num}`models/inception_v3-2_auc .3f`, DenseNet121 {num}`models/densenet121-1_auc .3f`. The paper reports 0.889,
# 0.907 and 0.909 on SIIM-ACR, and 0.936, 0.940 and 0.927 on RSNA {cite:p}`arun2021assessing`. Initial weights here:
# {num}`models/weights`.
#
# ## Training

# %%
curves = {name: study.classifier(name).record["curves"] for name in CLASSIFIERS}
page.figure(
    plots.training_curves(curves, "val_auc", "AUC on validation images"),
    "training",
    caption="Training loss (left) and validation AUC (right) by epoch. The epoch with the best validation AUC is the one kept.",
    alt="Two line charts. The loss of the three classifiers falls over the epochs while their validation AUC rises to "
    + ", ".join(f"{max(c['val_auc']):.2f} ({name})" for name, c in curves.items())
    + ".",
)

# %% [markdown]
# ## On the test images

# %%
labels = study.data("test").labels
scores = {name: np.array(study.classifier(name).record["test_scores"]) for name in CLASSIFIERS}
scores |= {f"{study.card.localizer}-{k}": np.array(study.localizer(k).record["test_scores"]) for k in (1, 2)}
auc = table.set_index("model")["auc"]
page.figure(
    plots.roc_curves(labels, {f"{name} ({auc[name]:.3f})": values for name, values in scores.items()}),
    "roc",
    caption="ROC curves on the test images, with the area under each in brackets.",
    alt="ROC curves of five networks; areas: " + ", ".join(f"{name} {auc[name]:.2f}" for name in scores) + ".",
)
page.close()
