# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A shortcut: do maps show what the network reads?
#
# A chest tube drains a pneumothorax, so most radiographs that show the tube show a pneumothorax. A network may learn
# the tube instead. Here two networks of the same architecture and seed meet the same patients. For the first the tube
# goes with the pneumothorax in training; for the second, the *control*, it says nothing. Only tubes differ between
# their images. Which maps tell the two networks apart?

# %% tags=["parameters"]
dataset = "phantom-shortcut"  # data set: a data card with a shortcut_control
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the patients

# %%
import numpy as np

from saltrust import plots
from saltrust.analysis import shortcut
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import CONTROLS, label_of, select
from saltrust.stats.bootstrap import summarize
from saltrust.study.shortcut import MAPPED, STATES, ShortcutStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("shortcut", study)
two = ShortcutStudy(study)
names = select(methods)
everyone = list(dict.fromkeys([*names, *CONTROLS]))
test, shares = two.test, study.card.parameters
masks = np.stack([test.findings.truth(name) for name in test.findings.names], axis=1)
label = {"clear": "neither", "tube": "tube alone", "finding": "finding alone", "both": "both"}

# %% [markdown]
# ## Every patient four times
#
# In the training images {num}`shortcut/tube_given_finding .0%` of those with a pneumothorax show a tube, and
# {num}`shortcut/tube_given_clear .0%` of the others; for the control {num}`shortcut/tube_of_control .0%` of either.
# The test shows each of {num}`shortcut/n_patients` patients four times: with and without the finding, with and without
# the tube. With and without the tube, two images of a patient differ in no pixel but those of the tube and the blur
# around it. (A large pneumothorax makes the rest of its lung denser, too.)

# %%
shown = [two.image(two.explained[0], seen) for seen in STATES]
areas = {name: masks[test.findings.present[:, k], k].mean() for k, name in enumerate(test.findings.names)}
page.figure(
    plots.image_grid(test.pixels[shown], list(label.values()), masks[shown], columns=4),
    "four_states",
    caption="One test patient in the four states. The pneumothorax is outlined in cyan, the tube dashed in white.",
    alt="Four radiographs of one patient, side by side: "
    + ", ".join(label.values())
    + f". Share of an image: {in_words(areas, '.1%', name=str)}.",
)
page.quote(
    tube_given_finding=shares["tube_given_finding"],
    tube_given_clear=shares["tube_given_clear"],
    tube_of_control=two.studies["control"].card.parameters["tube_given_clear"],
    n_patients=two.n_patients,
    n_explained=len(two.explained),
)

# %% [markdown]
# ## Does the network read the tube?
#
# An area under the ROC curve, of the images as they are in training, would not say so: there the tube helps. Images
# in which the two part say it.

# %%
logits = two.logits()
separated = shortcut.separations(logits, shares["tube_given_finding"], shares["tube_given_clear"], n_boot, seed)
page.table(
    separated,
    "separations",
    caption="AUC of telling images with the finding from those without, by who has a tube: as often as in the training "
    "with the shortcut, none, all, those with the finding alone, those without it alone. 95 % bootstrap intervals over "
    "patients.",
    key=["training", "images"],
)
auc = separated.set_index(["training", "images"])["auc"]
page.quote(
    auc_as_trained=auc["shortcut", shortcut.AS_IN_TRAINING],
    auc_parted=auc["shortcut", "the tube parts from it"],
    control_as_trained=auc["control", shortcut.AS_IN_TRAINING],
    control_parted=auc["control", "the tube parts from it"],
)

# %% [markdown]
# With tubes as frequent as in training, the network with the shortcut has an AUC of
# {num}`shortcut/auc_as_trained .3f`, and the control {num}`shortcut/control_as_trained .3f`. Where only images
# *without* the finding show a tube, the AUC is {num}`shortcut/auc_parted .3f` and {num}`shortcut/control_parted .3f`.
#
# Drawing the tube into the image of the same patient, and nothing else, shows what it does to the output.

# %%
changed = shortcut.changes(logits)
effects = shortcut.effects(changed, n_boot, seed)
titles = {
    ("tube", "clear"): "tube drawn,\nno finding",
    ("tube", "finding"): "tube drawn\nbeside the finding",
    ("finding", "clear"): "finding drawn,\nno tube",
    ("finding", "tube"): "finding drawn\nbeside the tube",
}
of_tube = {one: shortcut.effect_of(effects, one)["effect"] for one in ("shortcut", "control")}
of_finding = {one: shortcut.effect_of(effects, one, "finding")["effect"] for one in ("shortcut", "control")}
page.figure(
    plots.logit_changes(changed, effects, titles),
    "logit_changes",
    caption="What drawing the tube, or the pneumothorax, into the image of the same patient does to the logit of the "
    "finding. Points: patients. Markers: means with 95 % bootstrap intervals.",
    alt="Strips of points for two networks. Mean change of the logit by the tube: "
    f"{in_words(of_tube, '+.2f', name=str)}; by the finding: {in_words(of_finding, '+.2f', name=str)}.",
)

# %%
page.table(
    effects,
    "effects",
    caption="Mean change of the logit, by network and for the difference between the two, with 95 % bootstrap "
    "intervals over patients.",
    key=["training", "drawn", "on"],
)
reads = shortcut.reads_the_shortcut(effects)
of_control, more = (shortcut.effect_of(effects, one) for one in ("control", "difference"))
page.quote(
    effect=of_tube["shortcut"],
    effect_control=of_tube["control"],
    control_low=of_control["ci_low"],
    control_high=of_control["ci_high"],
    more_low=more["ci_low"],
    more_high=more["ci_high"],
    effect_of_finding=of_finding["shortcut"],
    reads="reads the tube" if reads else "does not demonstrably read the tube",
)

# %% [markdown]
# The tube moves the logit of the first network by {num}`shortcut/effect +.2f`, where the pneumothorax itself moves it
# by {num}`shortcut/effect_of_finding +.2f`; that of the control by {num}`shortcut/effect_control +.2f`
# ({num}`shortcut/control_low +.2f` to {num}`shortcut/control_high +.2f`). The difference between the networks lies
# between {num}`shortcut/more_low +.2f` and {num}`shortcut/more_high +.2f`. The first network {num}`shortcut/reads`.
#
# ## Which maps show it?
#
# Maps are made for {num}`shortcut/n_explained` patients, each with the tube alone, the finding alone, and both. They
# are scored against the mask of the finding, as everywhere in this book, and against that of the tube. The four
# controls beside them know no network: for either one they are the same map.

# %%
auprc = two.auprc(everyone)
scores = summarize(auprc, "auprc", ["method", "training", "seen", "mask"], n_boot, seed)
page.table(
    scores,
    "scores",
    caption="AUPRC of the maps of both networks against the masks of finding and tube, by what the image shows: mean, "
    "standard deviation, 95 % bootstrap interval, patients.",
    key=["method", "training", "seen", "mask"],
)
gaps = shortcut.gaps(auprc, n_boot, seed)
page.table(
    gaps,
    "gaps",
    caption="The same means side by side, and the difference that the shortcut makes, by image: the network with the "
    "shortcut minus the control, with 95 % bootstrap interval.",
    key=["method", "seen", "mask"],
)

# %% [markdown]
# Masks of different size have different chance levels, so that the two AUPRC of one map cannot be compared. Its
# *precedence* can: how often a pixel of the tube is above one of the finding, in images that show both. 0.5 means
# that the map prefers neither. A method *shows* the shortcut if its maps put the tube above the finding where the
# network reads the tube, and not where the network does not, and if the two differ, each by its whole interval. A
# method whose maps put it above in both would raise the alarm over any tube.

# %%
precedence = two.precedence(everyone)
found = shortcut.answers(precedence, reads, n_boot, seed)
answer = found.set_index("method")["answer"]
page.table(
    found,
    "answers",
    caption="Precedence of the tube over the finding in the maps of both networks, and the difference: means and 95 % "
    "bootstrap intervals over patients, and what follows.",
    key=["method"],
)
both = gaps[gaps["seen"] == "both"].set_index(["mask", "method"])
in_both = scores[scores["seen"] == "both"]
panels = {
    "AUPRC, tube": in_both[in_both["mask"] == "tube"],
    "AUPRC, finding": in_both[in_both["mask"] == "finding"],
    "tube above finding": summarize(precedence, "precedence", ["method", "training"], n_boot, seed),
}
means = {name: found.set_index("method").loc[names, name] for name in ("shortcut", "control")}

# %%
page.figure(
    plots.two_trainings(panels, {"tube above finding": 0.5}, dict(answer)),
    "two_trainings",
    caption="Maps of images that show both, by the network with the shortcut and by its control: AUPRC against "
    "the mask of the tube and against that of the finding, and how often a pixel of the tube is above one of the "
    "finding (dotted: neither is preferred). Means with 95 % bootstrap intervals over patients. On the right what "
    "follows. The last four rows are controls, which know no network.",
    alt="Three dot plots by method, two networks each. Tube above finding, with the shortcut: "
    f"{in_words(means['shortcut'])}; control: {in_words(means['control'])}.",
)
page.quote(
    conclusion=shortcut.conclusion(reads, {name: answer[name] for name in names}),
    n_methods=len(names),
    n_tube_higher=int((both.loc["tube"].loc[names, "ci_low"] > 0).sum()),
    n_finding_lower=int((both.loc["finding"].loc[names, "ci_high"] < 0).sum()),
    n_controls_above=int((found.set_index("method").loc[list(CONTROLS), "control_low"] > 0.5).sum()),
)

# %% [markdown]
# {num}`shortcut/conclusion` Of {num}`shortcut/n_methods` methods, {num}`shortcut/n_tube_higher` have a higher AUPRC
# against the tube for the network with the shortcut than for the control, and {num}`shortcut/n_finding_lower` a lower
# one against the finding, each with the whole interval. Where the AUPRC against the finding stays, it cannot tell the
# two networks apart, and a good one is no proof that a network does without a shortcut. Of the controls,
# {num}`shortcut/n_controls_above` put the tube above the finding.
#
# ## Where the two part
#
# The same patient with the tube alone, with the finding alone, and with both. Where only the tube is there, a map of a
# network that reads it should light it up, and a map of the control should not.

# %%
patient = two.explained[0]


def rows(training):
    """One row for each state of the patient, with the maps of all methods by one network."""
    maps = {label_of(name): two.display(training, name, patient) for name in names}
    positions = {seen: two.image(patient, seen) for seen in MAPPED}
    return [
        (label[seen], test.pixels[i], masks[i], {name: own[seen] for name, own in maps.items()})
        for seen, i in positions.items()
    ]


for training, words in (("shortcut", "the network with the shortcut"), ("control", "the control")):
    page.figure(
        plots.map_grid(rows(training), across=4),
        f"parted_{training}",
        caption=f"Maps by {words} of one patient with the tube alone, the finding alone, and both. Finding outlined in "
        "cyan, tube dashed in white.",
        alt=f"Three groups of {len(names)} maps by {words}, one for each image of the patient; finding and tube are "
        "outlined.",
    )

# %% [markdown]
# Means over all patients, for the images that show one of the two alone:

# %%
parted = gaps[gaps["seen"] != "both"]
page.table(
    parted,
    "parted",
    caption="AUPRC in images that show the tube or the finding alone, against its own mask: both networks, and the "
    "difference with its 95 % bootstrap interval.",
    key=["method", "seen", "mask"],
)
alone = parted.set_index(["seen", "method"])["ci_low"]
page.quote(n_tube_alone_higher=int((alone["tube"][names] > 0).sum()))
page.close()

# %% [markdown]
# In images that show the tube alone, {num}`shortcut/n_tube_alone_higher` of {num}`shortcut/n_methods` methods mark it
# better for the network with the shortcut than for the control, with the whole interval.
