# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does one mean hide?
#
# A mean over all abnormalities hides which of them a map finds. This chapter takes the films apart by what they show,
# and by how large it is. See [](../../concepts/hidden-stratification.md).
#
# {num}`subgroups/answer`

# %% tags=["parameters"]
dataset = "phantom-bones"  # data set: a data card that counts its readers
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "venkatesh"  # methods: the study's six; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the patients

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis import beside_readers
from saltrust.analysis.beside_readers import AVERAGE
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.study.readers import DRAWN, EDGES, SIZES, ReaderStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("subgroups", study)
reading = ReaderStudy(study)
names, area = select(methods), study.protocol.auprc
held, mode = reading.choices.reference, reading.choices.mode

# %%
scores = pd.concat([reading.maps_against(names), reading.readers_against()], ignore_index=True)
parts = beside_readers.by_subgroup(beside_readers.with_average(scores), reading)
means = beside_readers.table(parts, reading, n_boot, ["grouping", "subgroup", *beside_readers.KEY])
page.table(
    means,
    "subgroups",
    caption="Every rater, mode, reference and score by subgroup, with the 95 % bootstrap interval over patients and "
    "the images that have the score.",
    rows=12,
    key=["grouping", "subgroup", *beside_readers.KEY],
)
counts = pd.DataFrame(
    [
        {"grouping": grouping, "subgroup": name, "images": int((groups == name).sum())}
        for grouping, groups in reading.subgroups.items()
        for name in dict.fromkeys(groups)
    ]
)
page.table(counts, "counts", caption="Films that get maps, by subgroup.", key=["grouping", "subgroup"])

# %%
shown = [*names, EDGES, study.card.localizer, AVERAGE]
chosen = parts[
    (parts["score"] == area) & (parts["reference"] == held) & parts["mode"].isin([mode, DRAWN])
    & parts["rater"].isin(shown)
]  # fmt: skip
judged = chosen["image"].isin(reading.ids[reading.judged])
by_image = chosen[judged].groupby(["grouping", "subgroup", "rater", "image"], sort=False)["value"].mean().reset_index()
of = {"finding": "what they show", "size": "how large the consensus is"}
for grouping, own in by_image.groupby("grouping", sort=False):
    own = own.rename(columns={"rater": "method", "value": "auprc"})
    order = [name for name in (*SIZES, *sorted(own["subgroup"].unique())) if name in set(own["subgroup"])]
    own = own.assign(place=own["method"].map(shown.index), group=own["subgroup"].map(order.index))
    own = own.sort_values(["place", "group"])
    page.figure(
        plots.score_boxes(own, "auprc", f"AUPRC, {mode}", hue="subgroup"),
        f"auprc_{grouping}",
        caption=f"AUPRC of boxes against what readers marked ({held}), films grouped by {of[grouping]}. "
        "Solid line: median; dashed: mean; box: quartiles.",
        alt="Box plots by method and subgroup. Means over the methods: "
        + in_words(own[own["method"].isin(names)].groupby("subgroup", sort=False)["auprc"].mean(), name=str)
        + ".",
        counterpart="Fig. 2 by subgroup" if grouping == "finding" else "",
        source="venkatesh2024gradient",
    )

# %%
gaps = beside_readers.between_subgroups(by_image, n_boot, reading)
page.table(
    gaps,
    "gaps",
    caption="Each rater's best and worst subgroup: how far their means lie apart, with the 95 % bootstrap interval.",
    key=["rater", "grouping"],
)
widest = gaps[gaps["rater"].isin(names)].loc[lambda frame: frame["difference"].idxmax()]
of_average = gaps[gaps["rater"] == AVERAGE].set_index("grouping")["difference"]
page.quote(
    widest_map=label_of(widest["rater"]),
    widest=widest["difference"],
    widest_best=widest["best"],
    widest_worst=widest["worst"],
    n_apart=int((gaps["rater"].isin(names) & (gaps["ci_low"] > 0)).sum()),
    n_gaps=int(gaps["rater"].isin(names).sum()),
    readers_apart=of_average.max(),
    answer=f"{label_of(widest['rater'])} finds '{widest['best']}' with an AUPRC {widest['difference']:.2f} higher than "
    f"'{widest['worst']}'. The average reader's subgroups lie up to {of_average.max():.2f} apart.",
)

# %% [markdown]
# The best and the worst subgroup of a method lie apart beyond doubt in {num}`subgroups/n_apart` of
# {num}`subgroups/n_gaps` comparisons, chosen after the fact as the widest. The average reader's lie up to
# {num}`subgroups/readers_apart .2f` apart: what readers find hard, maps may find hard for another reason, or not.

# %%
page.close()
