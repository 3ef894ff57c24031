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
# Maps explain models, so the models come first. Two replicates of {num}`models/main_title` differ in nothing but their
# seed; {num}`models/other_title` has another architecture; two localizers are trained on the truth itself, and show what
# can be found in these images.

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
from saltrust.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("models", study)

# %%
table = study.models(n_boot)
page.table(
    table,
    "models",
    caption="Area under the ROC curve, with its 95 % bootstrap interval by image, of telling test images with the finding from those without; where there "
    "are several classes, the share of right ones (accuracy); and the training: epochs or steps, the one kept, seconds, seed, arithmetic, and where the "
    f"weights started from. Replicates are {study.replication}. Localizers are scored by their image score. {study.card.reported}",
)
score = table.set_index("model")
page.quote(
    main_title=study.title(),
    other_title=study.title(study.other),
    main_auc=score["auc"][study.main],
    replicate_auc=score["auc"][study.replicate],
    other_auc=score["auc"][study.other],
    weights=table["weights"][0],
    best_auc=table["auc"].max(),
    worst_classifier_auc=table.query("role == 'classifier'")["auc"].min(),
    size=study.size,
)

# %% [markdown]
# {num}`models/main_title` reaches an AUC of {num}`models/main_auc .3f`, its replicate {num}`models/replicate_auc .3f`,
# {num}`models/other_title` {num}`models/other_auc .3f`. Initial weights here: {num}`models/weights`.
#
# ## Training

# %%
curves = {study.title(name): study.curves(name) for name in study.classifiers}
_, _, measure = curves[study.title()].columns
page.figure(
    plots.training_curves(curves),
    "training",
    caption=f"Training loss (left) and {measure} (right). The state with the best score is the one kept.",
    alt=f"Two line charts. The loss of the three classifiers falls while the {measure} rises to "
    + ", ".join(f"{frame[measure].max():.2f} ({name})" for name, frame in curves.items())
    + ".",
)

# %% [markdown]
# ## On the test images

# %%
present = study.data("test").present.astype(int)
scores = {name: np.array(study.classifier(name).record["test_scores"]) for name in study.classifiers}
scores |= {f"{study.card.localizer}-{k}": np.array(study.localizer(k).record["test_scores"]) for k in (1, 2)}
auc = table.set_index("model")["auc"]
page.figure(
    plots.roc_curves(present, {f"{name} ({auc[name]:.3f})": values for name, values in scores.items()}),
    "roc",
    caption="ROC curves on the test images, with the area under each in brackets.",
    alt="ROC curves of five networks; areas: " + ", ".join(f"{name} {auc[name]:.2f}" for name in scores) + ".",
)
page.close()
