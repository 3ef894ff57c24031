# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The models
#
# Maps explain models, so the models come first. The one whose maps are judged is {num}`models/main_title`. Beside it
# stand, as far as there are such, a replicate of the same architecture and a network of another one; and two
# localizers, trained on the truth itself, which show what can be found in these images.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_boot = 1000  # resamples: bootstrap resamples of the images

# %%
import numpy as np
from sklearn.metrics import confusion_matrix

from saltrust import plots
from saltrust.analysis.models import auc_differences, called, compared, training_words
from saltrust.chapters.page import Page
from saltrust.core.markup import myst
from saltrust.methods.registry import label_of
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("models", study)

# %%
table = study.networks.table(n_boot)
page.table(
    table,
    "models",
    caption="Area under the ROC curve, with its 95 % bootstrap interval by image, of telling test images with the "
    "finding from those without; or, where every image has one, of telling each class from the others, the mean over "
    "the classes. Where there are several classes, the share of right ones (accuracy). And the training: epochs or "
    "steps, the one kept, seconds, seed, arithmetic, and where the weights started from. Networks are "
    f"{study.networks.replication}. Localizers are scored by their image score. {myst(study.card.reported)}",
    key=["model"],
)
score = table.set_index("model")
titles = {name: called(study.networks.title(name)) for name in study.networks.classifiers}
reached = [f"{titles[name]} {score['auc'][name]:.3f}" for name in study.networks.classifiers]
page.quote(
    main_title=study.networks.title(),
    main_auc=score["auc"][study.networks.main],
    reached=", ".join(reached),
    weights=table["weights"][0],
    localizer_weights=study.networks.localizer_start,
    best_auc=table["auc"].max(),
    worst_classifier_auc=table.query("role == 'classifier'")["auc"].min(),
    size=study.images.size,
)

# %% [markdown]
# Area under the ROC curve of the classifiers: {num}`models/reached`. Where weights come from: {num}`models/weights`.
# The localizers start from {num}`models/localizer_weights`.
#
# Do they classify equally well? Two areas are compared on the same images: the interval is that of their difference.
# {num}`models/compared` Maps of networks that are not equally good may differ for that alone.
#
# {num}`models/converged`

# %%
records = {name: study.networks.trained(name).record for name in study.networks.classifiers}
trainings = {titles[name]: record for name, record in records.items()}
trainings |= {f"{label_of(study.card.localizer)} {k}": study.networks.localizer(k).record for k in (1, 2)}
differences = auc_differences(study, n_boot)
main = titles[study.networks.main]
page.quote(compared=compared(differences, titles.get, main), converged=training_words(trainings))
page.table(
    differences,
    "differences",
    caption=f"Area under the ROC curve minus that of {study.networks.title()}, with the 95 % bootstrap interval of the "
    "difference: both networks are scored on the same resampled images.",
    key=["model"],
)

# %%
if "curves" in records[study.networks.main]:
    curves = {study.networks.title(name): study.networks.curves(name) for name in study.networks.classifiers}
    _, _, measure = curves[study.networks.title()].columns
    page.figure(
        plots.training_curves(curves),
        "training",
        caption=f"Training loss (left) and {measure} (right). The state with the best score is the one kept.",
        alt="Two line charts. Training loss, from the first to the last: "
        + ", ".join(f"{frame.iloc[0, 1]:.2f} to {frame.iloc[-1, 1]:.2f} ({name})" for name, frame in curves.items())
        + f". Best {measure}: "
        + ", ".join(f"{frame[measure].max():.2f} ({name})" for name, frame in curves.items())
        + ".",
    )

# %% [markdown]
# ## On the test images

# %%
test = study.images.split("test")
if test.absent is not None:
    scores = {name: np.array(record["test_scores"]) for name, record in records.items()}
    titles = {name: study.networks.title(name) for name in scores}
    for k in (1, 2):
        scores[name := f"{study.card.localizer}-{k}"] = np.array(study.networks.localizer(k).record["test_scores"])
        titles[name] = f"{label_of(study.card.localizer)} {k}"
    curves = {f"{titles[name]} ({score['auc'][name]:.3f})": values for name, values in scores.items()}
    page.figure(
        plots.roc_curves(test.present.astype(int), curves),
        "roc",
        caption="ROC curves on the test images, with the area under each in brackets.",
        alt=f"ROC curves of {len(curves)} networks; areas: {', '.join(curves)}.",
    )

# %%
if len(test.classes) > 2:
    predicted = {study.networks.title(name): record["test_predictions"] for name, record in records.items()}
    shares = {
        title: confusion_matrix(test.labels, labels, labels=range(len(test.classes)), normalize="true")
        for title, labels in predicted.items()
    }
    page.figure(
        plots.class_confusion(shares, test.classes),
        "classes",
        caption="Of the test images of each class (row), the share in per cent that each network takes for each class "
        "(column).",
        alt="A matrix of true by predicted classes for each network. Share of right ones by class: "
        + "; ".join(
            f"{title} " + ", ".join(f"{c} {s:.0%}" for c, s in zip(test.classes, matrix.diagonal(), strict=True))
            for title, matrix in shares.items()
        )
        + ".",
    )
page.close()
