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
# Each method against each baseline of the criteria. PASS means that the method did better than the baseline,
# under the rule that the protocol names; it does not mean that the map can be trusted. How to read it:
# [](../../concepts/verdict.md).

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
from saltrust.chapters.page import Page
from saltrust.methods.registry import CONTROLS, label_of, select
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("verdict", study)
names = select(methods)

# %%
everything = study.verdicts(",".join(dict.fromkeys([*names, *CONTROLS])), n_boot)
verdicts = everything[everything["method"].isin(names)]
controls = everything[~everything["method"].isin(names)]
passed = verdicts["verdict"] == "PASS"
tests = verdicts.assign(passed=passed).groupby("method")["passed"]
low = verdicts[verdicts["baseline"] != "localizer"]
page.quote(
    n_methods=len(names),
    n_tests=int(tests.size().iloc[0]),
    n_maps_all_pass=int(tests.all().sum()),
    n_maps_any_fail=int((~tests.all()).sum()),
    n_criteria=verdicts["criterion"].nunique(),
    n_pass_low=int((low["verdict"] == "PASS").groupby(low["method"]).all().sum()),
    n_pass_localizer=int(passed[verdicts["baseline"] == "localizer"].sum()),
    n_pass=int(passed.sum()),
    n_cells=len(verdicts),
    most_passes=int(tests.sum().max()),
    best_map=", ".join(label_of(name) for name, n in tests.sum().items() if n == tests.sum().max()),
    **{f"{criterion}_n_pass": int(part["verdict"].eq("PASS").sum()) for criterion, part in low.groupby("criterion")},
)

# %% [markdown]
# Of {num}`verdict/n_methods` methods, {num}`verdict/n_maps_all_pass` pass all {num}`verdict/n_tests` comparisons and
# {num}`verdict/n_pass_low` pass all {num}`verdict/n_criteria` criteria against the low baselines. Against the
# localizers there are {num}`verdict/n_pass_localizer` passes. The most passes, {num}`verdict/most_passes` of
# {num}`verdict/n_tests`, go to {num}`verdict/best_map`.

# %%
page.figure(
    plots.verdict_matrix(verdicts, controls),
    "verdicts",
    caption="PASS or FAIL of each method against each baseline; below the word, the method's mean and the baseline's. "
    "Utility is AUPRC, the others SSIM; randomization passes when the number is *below* the threshold. Below the gap: "
    "controls, which no network made.",
    alt=f"A matrix of {len(names)} methods by {verdicts.groupby(['criterion', 'baseline']).ngroups} comparisons; "
    f"{int(passed.sum())} of {len(verdicts)} cells say PASS.",
    counterpart="Table 2",
)

# %%
page.table(
    everything.assign(control=~everything["method"].isin(names)),
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
