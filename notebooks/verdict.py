# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The verdict
#
# {num}`verdict/answer` A control is the same whatever the network. So it agrees with itself when the network is
# another one, and stays as it is when the weights are random: repeatability and reproducibility alone say nothing of
# what a map owes to its network, and a count of passes says little.
#
# Below stands each method against each baseline of the criteria, under the controls. PASS means that the method did
# better than the baseline under the rule that the protocol names, FAIL that it did not. UNDECIDED means that the images
# cannot tell: the 95 % interval of the difference holds zero. None of them means that a map can be trusted. How to read
# a verdict: [](../../concepts/verdict.md).

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images

# %%
from saltrust import plots
from saltrust.analysis.randomization import falls, late_words
from saltrust.analysis.verdicts import controls_first, verdict_counts
from saltrust.chapters.page import Page
from saltrust.methods.registry import CONTROLS, select
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("verdict", study)
names = select(methods)

# %%
everything = study.verdicts(",".join(dict.fromkeys([*names, *CONTROLS])), n_boot)
named, control = everything["method"].isin(names), everything["method"].isin(CONTROLS)
verdicts, controls = everything[named], everything[control]
counts = verdict_counts(verdicts, controls)
sizes = {"n_images": len(study.images.explained), "n_cascaded": len(study.images.cascaded)}
page.quote(answer=controls_first(verdicts, controls), **sizes, **counts)

# %% [markdown]
# Of {num}`verdict/n_cells` comparisons of the {num}`verdict/n_methods` methods, {num}`verdict/n_pass` are a PASS,
# {num}`verdict/n_fail` a FAIL, and {num}`verdict/n_undecided` UNDECIDED: {num}`verdict/n_images` images, and in
# randomization {num}`verdict/n_cascaded`, cannot tell. Methods that pass all {num}`verdict/n_tests` comparisons:
# {num}`verdict/n_maps_all_pass`; that pass the low baselines of all {num}`verdict/n_criteria` criteria:
# {num}`verdict/n_pass_low`. Passes against the localizers: {num}`verdict/n_pass_localizer`. The most passes of a method
# are {num}`verdict/most_passes` ({num}`verdict/best_map`), the most of a control {num}`verdict/control_passes`.

# %%
page.figure(
    plots.verdict_matrix(verdicts, controls[~controls["method"].isin(names)]),
    "verdicts",
    caption="PASS (blue), UNDECIDED (light grey) or FAIL (orange) of each method against each baseline; below the "
    "word, the method's mean and the baseline's. Utility is AUPRC, the others SSIM; randomization passes when the "
    "number is *below* the threshold. Above the gap: controls, which no network made.",
    alt=f"A matrix of {len(names)} methods, with the controls above, by {counts['n_tests']} comparisons. Of "
    f"{counts['n_cells']} cells of the methods {counts['n_pass']} say PASS, {counts['n_undecided']} UNDECIDED and "
    f"{counts['n_fail']} FAIL; a control passes at most {counts['control_passes']} comparisons, a method "
    f"{counts['most_passes']}.",
    counterpart="Table 2",
)

# %%
page.table(
    everything.assign(control=control),
    "verdicts",
    caption="The verdicts with the numbers behind them: mean of the method (value) and of the baseline (reference), "
    f"their difference and its 95 % bootstrap interval by {study.images.unit}. control: whether the row is that of a "
    "control.",
    key=["method", "criterion", "baseline"],
)

# %%
page.quote(only_last=late_words(falls(study, methods)))

# %% [markdown]
# Randomization asks whether a map ends below its threshold, not when it falls. Methods that stay above it until the
# last stage of the cascade, and fall there: {num}`verdict/only_last`.
#
# ## The questions in pictures
#
# For each criterion, the example that does best and the one that does worst on this data set.

# %%
page.figure(
    plots.four_questions(study.examples(methods)),
    "four_questions",
    caption="Each question with the best and the worst example among the maps computed here. Utility: AUPRC against "
    "the truth, outlined. Randomization: the map before and after the cascade (a high SSIM is bad). "
    "Repeatability and reproducibility: maps of one image by two networks (a high SSIM is good).",
    alt="Two rows of image and map pairs for the four questions: the upper row shows the best example of each, the "
    "lower row the worst.",
    counterpart="Fig. 1",
)
page.close()
