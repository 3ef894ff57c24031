# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Several findings at once: what the network says
#
# A film may show any number of findings, and the network gives each of them an output of its own. Where it never errs,
# no alarm can help. So this chapter asks first how often it errs, and on how many films that rests.

# %% tags=["parameters"]
dataset = "phantom-chest5"  # data set: a data card with several findings
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_shown = 8  # count: films in the first figure

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis import alarm
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.study.multilabel import multilabel_study
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("multilabel", study)
several = multilabel_study(study)
test, record = several.split("test"), several.store.get(several.network).record
page.quote(
    origin=several.origin(),
    n_val=len(several.split("val")),
    n_test=len(test),
    pixels=several.images.size,
    network=several.title,
)

# %% [markdown]
# ## The films
#
# The network {num}`multilabel/origin` It sees films of {num}`multilabel/pixels` × {num}`multilabel/pixels` pixels. Its
# thresholds come from {num}`multilabel/n_val` validation films, and all that is said of it from
# {num}`multilabel/n_test` test films.

# %%
shown = range(min(n_shown, len(test)))
present = test.findings.present
titles = [", ".join(name for name, has in zip(several.findings, present[i], strict=True) if has) for i in shown]
page.figure(
    plots.image_grid(test.pixels[list(shown)], [title.replace(", ", "\n") or "none" for title in titles], columns=4),
    "films",
    caption="Test films, and what they show.",
    alt=f"{len(titles)} chest radiographs: {'; '.join(title or 'none' for title in titles)}.",
)

# %%
shares = pd.DataFrame(
    [[present[present[:, i], j].mean() for j in range(len(several.findings))] for i in range(len(several.findings))],
    several.findings,
    several.findings,
)
each = dict(zip(several.findings, present.mean(axis=0), strict=True))
page.figure(
    plots.together(shares),
    "together",
    caption="Of the test films with the finding of the row, the share that also shows the finding of the column.",
    alt=f"A matrix of five findings. Share of all test films: {in_words(each, '.0%', name=str)}.",
)

# %% [markdown]
# ## How well each finding is told
#
# The threshold of each finding is Youden's on the validation films: where sensitivity and specificity add up to most.

# %%
told = alarm.answers(several)
page.table(
    told,
    "findings",
    caption="Each finding on the test films: how many show it, the area under the ROC curve, the threshold as a "
    "probability, what comes of it, and the number of wrong answers. That number is what an alarm can work on.",
    key=["finding"],
)
by_finding = told.set_index("finding")
page.quote(
    mean_auc=told["auc"].mean(),
    best_auc=told["auc"].max(),
    best_finding=by_finding["auc"].idxmax(),
    worst_auc=told["auc"].min(),
    worst_finding=by_finding["auc"].idxmin(),
    n_wrong=int(told["wrong"].sum()),
    n_answers=int(told["images"].sum()),
    rarest=by_finding["with_it"].idxmin(),
    n_rarest=int(told["with_it"].min()),
)

# %% [markdown]
# The mean AUC is {num}`multilabel/mean_auc .3f`: from {num}`multilabel/worst_auc .3f` for
# {num}`multilabel/worst_finding` to {num}`multilabel/best_auc .3f` for {num}`multilabel/best_finding`. Of
# {num}`multilabel/n_answers` answers {num}`multilabel/n_wrong` are wrong. {num}`multilabel/rarest` is on
# {num}`multilabel/n_rarest` of the films: one film more or less that is found moves its sensitivity by a percent or
# more.

# %%
logits = several.logits("test")
page.figure(
    plots.roc_by_finding({name: (present[:, k], logits[:, k]) for k, name in enumerate(several.findings)}),
    "roc",
    caption="ROC curve of each finding on the test films.",
    alt="ROC curves. AUC: " + in_words(by_finding["auc"], ".3f", name=str) + ".",
)
if not several.no_training:
    curves, epochs = record["curves"], range(1, record["epochs"] + 1)
    page.figure(
        plots.training_curves(
            {
                several.title: pd.DataFrame(
                    {"epoch": epochs, "training loss": curves["loss"], "validation AUC": curves["val_auc"]}
                )
            }
        ),
        "training",
        caption="Training loss, and the mean AUC on the validation films, by epoch. As in the paper the last state "
        "counts.",
        alt=f"Two curves over {len(epochs)} epochs; the last validation AUC is {curves['val_auc'][-1]:.3f}.",
    )
page.close()
