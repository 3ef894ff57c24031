# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Would the verdict change?
#
# Each verdict rests on choices: how maps are made, how they are prepared, how they are scored, when a method passes.
# Here every verdict is reached in every way that these choices allow, {num}`multiverse/n_specifications` ways in all,
# and the answers are counted. How to read it: [](../../concepts/multiverse.md).

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: around which choices are varied: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images
shown = ""  # method: method of the large curves; empty for the one whose verdicts are most divided

# %%
from saltrust import plots
from saltrust.analysis.multiverse.curve import grid, specification_curve
from saltrust.analysis.multiverse.effects import effects, flip_rates, verdict_shares
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.analysis.multiverse.summary import (
    choice_bars,
    choices_table,
    leading_choices,
    minorities,
    protocol_verdicts,
)
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.core.errors import unknown_name
from saltrust.core.outcomes import FAIL, PASS
from saltrust.methods.registry import label_of, select
from saltrust.study.criteria import CRITERIA
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("multiverse", study)
names = select(methods)
if shown and shown not in names:
    raise unknown_name("method of this chapter", shown, names)

# %% [markdown]
# ## What is varied
#
# For each method and criterion, the choices that bear on it are crossed: every value of each with every value of all
# the others. All share the same data and networks. The rest is as the protocol {num}`multiverse/protocol` has it, among
# it the noise of SmoothGrad and the number of its copies, the placing of the points on a path, the baselines of XRAI,
# and which images are explained. What makes the maps is varied less for the costlier methods: of Smooth IG, whose
# passes are those of SmoothGrad times those of IG, only the power, and a probability is explained by SmoothGrad alone.

# %%
grids = {(criterion, name): grid(study, name, criterion) for criterion in CRITERIA for name in names}
page.table(
    choices_table(grids),
    "choices",
    caption="The choices that are varied, their values and where these come from; the criteria and the methods that "
    "they bear on.",
)

# %%
curve = specification_curve(study, methods, n_boot)
shares = verdict_shares(curve)
minority = minorities(shares)
divided, cells = minority.idxmax(), {verdict: share.stack() for verdict, share in shares.items()}
page.quote(
    protocol=protocol,
    n_specifications=int(curve["in_grid"].sum()),
    n_cells=len(minority),
    n_unanimous=int((minority == 0).sum()),
    **{f"n_all_{verdict.lower()}": int((share == 1).sum()) for verdict, share in cells.items()},
    n_reversed=int(((cells[PASS] > 0) & (cells[FAIL] > 0)).sum()),
    n_divided=int((minority >= 0.1).sum()),
    n_protocols_differ=int((protocol_verdicts(curve).nunique(axis=1) > 1).sum()),
    n_outside=int((~curve["in_grid"]).sum()),
    most_divided_map=label_of(divided[0]),
    most_divided_criterion=divided[1],
    most_divided_shares=in_words({verdict: share[divided] for verdict, share in cells.items()}, ".0%", str),
    **{f"{criterion}_share": 100 * shares[PASS][criterion].mean() for criterion in CRITERIA},
)

# %% [markdown]
# ## How many ways lead to a PASS
#
# Of {num}`multiverse/n_cells` combinations of a method and a criterion, {num}`multiverse/n_unanimous` have one
# verdict whatever the specification ({num}`multiverse/n_all_pass` PASS, {num}`multiverse/n_all_undecided` UNDECIDED,
# {num}`multiverse/n_all_fail` FAIL). In {num}`multiverse/n_divided` at least a tenth of the specifications have another
# verdict than the most frequent one, and in {num}`multiverse/n_reversed` some say PASS and some FAIL. The most divided
# is {num}`multiverse/most_divided_criterion` of {num}`multiverse/most_divided_map`:
# {num}`multiverse/most_divided_shares`. The three named protocols disagree in {num}`multiverse/n_protocols_differ`
# combinations; `published` and `as_run` judge by the mean alone and know no UNDECIDED.

# %%
page.figure(
    plots.share_matrix(shares, curve),
    "specification_shares",
    caption="Share of the specifications under which a method passes, and of those that leave it undecided. Blue: more "
    "say PASS than FAIL; orange: fewer. Below, the verdicts of the named protocols (square `corrected`, triangle "
    "`published`, circle `as_run`): filled for PASS, half for UNDECIDED, open for FAIL.",
    alt="A matrix of methods by criteria. "
    + ". ".join(
        f"Shares of {verdict}: "
        + "; ".join(f"{label_of(method)} {in_words(row, '.0%', str)}" for method, row in share.iterrows())
        for verdict, share in shares.items()
    )
    + ".",
)

# %%
page.figure(
    plots.sorted_curves(curve),
    "specification_curves",
    caption="All specifications of each method and criterion, sorted by the difference between the method's mean and "
    "the baseline's. Utility is AUPRC against the average mask, the others SSIM: against the degradation threshold "
    "(randomization, where a PASS is *below* zero) and the low baseline. Dots: blue for PASS, dark grey for "
    "UNDECIDED, orange for FAIL; light grey: 95 % bootstrap interval by image; marks: the named protocols.",
    alt=f"Sorted curves of {len(names)} methods by {len(CRITERIA)} criteria. Differences range from "
    + "; ".join(
        f"{rows['difference'].min():.2f} to {rows['difference'].max():.2f} in {criterion}"
        for criterion, rows in curve.groupby("criterion", sort=False)
    )
    + ".",
)

# %% [markdown]
# ## Which choices decide
#
# Take two specifications that differ in one choice alone: how often do their verdicts differ? This is the choice's
# *flip rate*. Beside it stands how much of the variance of the difference over the specifications the choice explains
# by itself, by an analysis of variance; what is left to interactions is what choices do only together. The rule cannot
# change a difference, only what it is called: by the mean alone nothing is UNDECIDED, so that each verdict in doubt
# flips with the rule. The table counts reversals, from PASS to FAIL or back, apart.

# %%
found = effects(curve)
rates = flip_rates(found)
for criterion in CRITERIA:
    page.quote(**{f"{criterion}_{name}": value for name, value in leading_choices(found, criterion).items()})


def title_of(choice):
    """What a choice is called."""
    return FACTORS[choice].title


# %% [markdown]
# - **Utility**: most verdicts flip with {num}`multiverse/utility_first`
#   ({num}`multiverse/utility_first_flips .0f` % of the pairs), then with {num}`multiverse/utility_second`
#   ({num}`multiverse/utility_second_flips .0f` %).
# - **Randomization**: {num}`multiverse/randomization_first` ({num}`multiverse/randomization_first_flips .0f` %),
#   then {num}`multiverse/randomization_second` ({num}`multiverse/randomization_second_flips .0f` %).
# - **Repeatability**: {num}`multiverse/repeatability_first` ({num}`multiverse/repeatability_first_flips .0f` %),
#   then {num}`multiverse/repeatability_second` ({num}`multiverse/repeatability_second_flips .0f` %).
# - **Reproducibility**: {num}`multiverse/reproducibility_first`
#   ({num}`multiverse/reproducibility_first_flips .0f` %), then {num}`multiverse/reproducibility_second`
#   ({num}`multiverse/reproducibility_second_flips .0f` %).
#
# The difference itself moves most with {num}`multiverse/utility_variance` in utility
# ({num}`multiverse/utility_variance_share .0f` % of its variance, on average over the methods),
# {num}`multiverse/randomization_variance` in randomization
# ({num}`multiverse/randomization_variance_share .0f` %), {num}`multiverse/repeatability_variance` in
# repeatability ({num}`multiverse/repeatability_variance_share .0f` %) and
# {num}`multiverse/reproducibility_variance` in reproducibility
# ({num}`multiverse/reproducibility_variance_share .0f` %).

# %%
page.figure(
    plots.choice_bars(choice_bars(found, list(CRITERIA))),
    "specification_choices",
    caption="Bars: flip rate, the share of pairs of specifications differing in that choice alone whose verdicts "
    "differ, over the methods that it bears on. Diamonds: share of the variance of the difference that the choice "
    "explains by itself, mean over these methods. Dash: not varied.",
    alt="Bar charts of flip rates, one for each criterion. "
    + "; ".join(f"{criterion}: {in_words(rates[criterion], '.0%', title_of)}" for criterion in CRITERIA)
    + ".",
)
page.table(
    found.assign(choice=[title_of(name) if name in FACTORS else name for name in found["choice"]]),
    "choice_effects",
    caption="What each choice does to the verdicts of each method: its number of values (levels), the pairs of "
    "specifications that differ in it alone, those of them whose verdicts differ (flips), those of which one says PASS "
    "and the other FAIL (reversals), and the share of the variance of the difference and of the verdict (1, 0 or -1) "
    "that it explains by itself.",
)

# %% [markdown]
# ## Where on the curve
#
# For each criterion one method in full, by default the most divided. Below the curve each choice has a strip: dark
# where the specifications of that stretch take the value, white where none does. A choice without influence is evenly
# grey or evenly striped.

# %%
for criterion in CRITERIA:
    method = shown or minority.xs(criterion, level=1).idxmax()
    own = curve[(curve["method"] == method) & (curve["criterion"] == criterion)]
    decisive = flip_rates(found[found["method"] == method])[criterion]
    crossed = own[own["in_grid"]]
    page.figure(
        plots.specification_curve(own, decisive),
        f"specification_{criterion}",
        caption=f"{criterion.capitalize()} of {label_of(method)} under {len(crossed)} specifications, sorted by the "
        "difference between its mean and the "
        f"baseline's{' (PASS is below zero)' if criterion == 'randomization' else ''}; grey band: 95 % interval; "
        "marks: the named protocols. Strips: share of the specifications in each stretch that take the value; the "
        "choice that flips most verdicts is on top.",
        alt=f"A curve rising from {crossed['difference'].min():.2f} to {crossed['difference'].max():.2f}, "
        f"{in_words(crossed['verdict'].value_counts(normalize=True), '.0%', str)}, above strips of choices, those that "
        f"flip most verdicts first: {in_words(decisive.sort_values(ascending=False), '.0%', title_of)}.",
        tabs=(criterion.capitalize(),),
    )

# %% [markdown]
# ## Every specification
#
# A named protocol that also departs in what is not varied here has a row of its own, outside the grid; there are
# {num}`multiverse/n_outside` of these. Shares, flip rates and variances leave them out.

# %%
page.table(
    curve.sort_values("protocol", key=lambda names: names == "", kind="stable"),
    "specification_curve",
    caption="One row for each specification, method and criterion, the named protocols first (the first rows; all are "
    "in the file): the value of each choice that is varied, the means of the method (value) and of the baseline "
    "(reference), their difference with its 95 % bootstrap interval by image, and the verdict.",
    rows=3 * len(minority),
)
page.close()
