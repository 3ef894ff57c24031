# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The claims, one by one
#
# What the papers say in numbers and directions, tested on this data set. This page has the claims that it can test; the
# [ledger](../../claims.md) has them all, with those that nothing here can test, and why.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "published"  # protocol: the one that decides: corrected, published or as_run
beside = "as_run,corrected"  # protocols: protocols whose answers stand beside it, comma-separated
seed = 0  # seed: of everything that is drawn at random
n_boot = 1000  # resamples: bootstrap resamples of the images

# %%
from saltrust import plots
from saltrust.analysis.claims import ledger, tables
from saltrust.chapters.page import Page
from saltrust.core import data_cards

card = data_cards.load(dataset)
protocols = list(dict.fromkeys([protocol, *filter(None, beside.split(","))]))
found = tables.collect(card, profile, protocols, seed, n_boot)
page = Page("claims", found[protocol].study)

# %%
table = ledger.evaluate(card, found, ledger.load())
outside = table[table["data"] == ledger.OUTSIDE]
own = table.drop(outside.index)
words = own["agrees"].value_counts()
held = own[own["agrees"] == "yes"]["kind"].value_counts()
kinds = own["kind"].value_counts()
page.quote(
    role=card.role,
    data=ledger.DATA[card.plays.data if card.plays else ledger.OUTSIDE],
    protocol=protocol,
    n_claims=len(own),
    **{f"n_{name}": int(words.get(word, 0)) for name, word in ledger.COUNTS.items()},
    **{f"n_{kind}": int(kinds.get(kind, 0)) for kind in ledger.KINDS},
    **{f"n_{kind}_agree": int(held.get(kind, 0)) for kind in ledger.KINDS},
    n_changed=int((own[protocols].nunique(axis=1) > 1).sum()),
    n_opposite=sum({"yes", "no"} <= set(row) for row in own[protocols].itertuples(index=False)),
    n_protocols=len(protocols),
    n_outside=len(outside),
    n_outside_agree=int((outside["agrees"] == "yes").sum()),
)

# %% [markdown]
# The data set stands for: *{num}`claims/role`*. These are {num}`claims/data`. {num}`claims/n_claims` claims are about
# that data and can be tested on this. Under the protocol {num}`claims/protocol`, {num}`claims/n_agree` hold here,
# {num}`claims/n_disagree` do not, and {num}`claims/n_unclear` stay open, for their intervals allow both.
# {num}`claims/n_too_small` cannot be answered at all: the run is too small.
#
# | Claims | here | that hold |
# |---|---:|---:|
# | directions: a rank, a sign, an order | {num}`claims/n_direction` | {num}`claims/n_direction_agree` |
# | numbers | {num}`claims/n_value` | {num}`claims/n_value_agree` |
# | columns of PASS and FAIL (Table 2) | {num}`claims/n_verdict` | {num}`claims/n_verdict_agree` |
#
# On the paper's own images a number should return. None is expected to on a stand-in, with other images and other
# networks; a direction is, if it belongs to the methods rather than to the data. There, *holds* is no proof that the
# paper is right, *does not hold* none that it is wrong: both say how far the claim carries.
#
# ## How a claim is decided
#
# Images are the unit, or patients where the data set names them, and intervals are 95 % bootstrap intervals, unless it
# says otherwise.
#
# - **A direction** holds if the interval of the difference lies on the claimed side of zero, fails if it lies on the
#   other, and is unclear between. A sentence about several methods holds if it does for each.
# - **"Significantly"**, or a p-value, is judged by the paper's own test: a mixed model with a random intercept for each
#   image, and Tukey's HSD. The interval is then simultaneous for all comparisons of the family.
# - **No difference** is more than an interval that holds zero, which any small sample has: the interval must also lie
#   within half a standard deviation of the differences.
# - **A number with its standard deviation** holds if our interval lies within half that deviation of the paper's mean,
#   and fails if it lies outside. A number without one holds if our interval covers it.
# - **An order of the methods** is compared by rank correlation; its interval is by method, for these are few.
# - **F1 of an alarm** is no mean over images: in each resample, validation and test images are drawn again and every
#   threshold is chosen anew. The interval is that of the difference.
# - **Beside readers**, a method is compared with the average reader, image by image. He is held against a consensus of
#   which he is one, as in the paper, and in claims of their own against another reader.
# - **A column of Table 2** holds if all its cells are the same, and fails if one differs beyond doubt.
# - **Too small to tell** is what rests on a map, a network or a sample that is not what the claim is about. The limits
#   are listed below. A sentence about several methods still fails if it fails for one that the run can judge.
#
# Answers under the other protocols stand beside. Of the claims, {num}`claims/n_changed` have not the same answer under
# all {num}`claims/n_protocols` protocols, and {num}`claims/n_opposite` hold under one and fail under another.

# %%
page.table(
    ledger.limits_met(found[protocol]),
    "limits",
    caption=f"What this run is too small for, under the protocol {protocol}: why, what "
    "therefore cannot be judged, and in which scores.",
)

# %%
groups = {"direction": "Directions", "verdict": "Table 2", "value": "Numbers", "outside": "Found on other data"}
shown = table.assign(kind=table["kind"].mask(table["data"] == ledger.OUTSIDE, "outside"))
hold = ", ".join(f"{name} {(own[name] == 'yes').sum()}" for name in protocols)
if len(shown):
    page.figure(
        plots.claim_answers(shown, protocols, groups),
        "claims",
        caption="Each claim that this data set can test, and its answer under each protocol; the first column "
        f"decides. Of {len(own)} claims about the data that this one stands for, these hold: {hold}.",
        alt=f"A list of {len(shown)} claims with a mark for each of {len(protocols)} protocols. Under {protocol}: "
        + ", ".join(f"{(table['agrees'] == word).sum()} {word}" for word in ledger.COUNTS.values())
        + ".",
    )

# %% [markdown]
# {num}`claims/n_outside` directions that were found on other data are tried as an outside check, and not counted above;
# {num}`claims/n_outside_agree` of them hold.

# %%
page.table(
    table,
    "claims",
    caption="Every claim that this data set can test. ours: what was found; agrees: the answer; limit: what the run is "
    "too small for; estimate: the number that decides (see why), with its 95 % interval; data: whether these are the "
    "paper's own images (original), drawn anew by its recipe (redrawn), others in their place (stand-in), or data that "
    "stand for none (outside); role: which data the claim is about; the answer under each protocol.",
    key=["id"],
)
page.close()
