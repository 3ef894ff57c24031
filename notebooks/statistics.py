# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Statistics: which differences are more than chance?
#
# Images differ: a large finding gives every method a high score. Each question is therefore a linear mixed model, with
# a mean for each method and a random shift for each image, and all pairs of methods are compared at once by Tukey's
# test: two-sided, at an adjusted p of 0.05. What these words mean: [](../../concepts/statistics.md).

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.localization import trained_against_random
from saltrust.analysis.mixed_models import ALPHA, QUESTIONS, answer, questions
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.study.criteria import CRITERIA
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("statistics", study)

# %%
utility = study.criteria.localization(methods)
asked = questions(
    utility,
    {name: study.criteria.of(name, methods) for name in CRITERIA if name != "utility"},
    methods=select(methods),
    trained=study.networks.classifiers,
    untrained=study.networks.random,
    clusters=study.images.clusters,
)
answers = {question.name: answer(question, n_boot, seed) for question in asked}
fits = pd.DataFrame([one.summary() for one in answers.values()])
counts = fits.set_index("question").reindex(QUESTIONS)[["pairs", "different"]].fillna(0).astype(int)
page.quote(**{f"{name}_{key}": counts.loc[name, key] for name in QUESTIONS for key in counts})

# %% [markdown]
# ## All pairs
#
# By utility {num}`statistics/utility_different` of {num}`statistics/utility_pairs` pairs differ, by similarity after
# randomization {num}`statistics/randomization_different` of {num}`statistics/randomization_pairs`, by repeatability
# {num}`statistics/repeatability_different` of {num}`statistics/repeatability_pairs`, and by reproducibility
# {num}`statistics/reproducibility_different` of {num}`statistics/reproducibility_pairs`. Methods, controls and
# localizer are one family: leaving out comparisons that nobody hoped for would make the others look surer than they
# are.

# %%
titles = {
    "utility": (
        "Utility",
        f"AUPRC of the maps of {study.networks.title()}, the controls, the average mask and the first localizer",
    ),
    "utility_networks": (
        "Utility over networks",
        "AUPRC of the maps of all trained networks, the same controls and both localizers",
    ),
    "randomization": (
        "Randomization",
        "SSIM of the maps after the last stage of randomization with the trained model's (low is good)",
    ),
    "repeatability": (
        "Repeatability",
        f"SSIM of the maps of two replicates ({study.networks.replication}), and of two localizers",
    ),
    "reproducibility": ("Reproducibility", "SSIM of the maps of two architectures, and of two localizers"),
}
shown = {name: one for name, one in answers.items() if name in titles}

# %%
for name, one in shown.items():
    title, what = titles[name]
    means = one.means
    page.figure(
        plots.pairwise_matrix(means, one.letters, one.contrasts, ALPHA),
        f"pairs_{name}",
        caption=f"{what}: row minus column. Coloured: adjusted p below {ALPHA:g}; orange: the row is higher, purple: "
        "lower; grey numbers: no difference shown. On the right the model's mean; rows that share a letter are not "
        "told apart.",
        alt=f"A matrix of {len(means)} rows and columns in the order of their means; {len(one.different)} of "
        f"{len(one.contrasts)} pairs are coloured. Means and letters: "
        + ", ".join(f"{label_of(level)} {mean:.2f} {one.letters[level]}" for level, mean in means.items())
        + ".",
        tabs=(title,),
    )

# %% [markdown]
# ## One network, or networks like these?
#
# The family of utility is of one network's maps: its p-values speak of other images, not of other networks, as the
# paper's do. With the maps of all {num}`statistics/n_networks` trained classifiers, image and network crossed,
# {num}`statistics/utility_crossed_different` of {num}`statistics/utility_crossed_pairs` pairs differ. That model lets a
# network shift all methods alike. Where a method may also do better on one network than on another,
# {num}`statistics/utility_networks_different` pairs differ, and the log-likelihood is higher by
# {num}`statistics/likelihood_gain .1f`. Differences between networks make up {num}`statistics/network_share .0%` of the
# variance of a score, those that depend on the method {num}`statistics/interaction_share .0%`. A claim about a method
# on networks like these needs the last model, and more networks.
#
# ## Trained against random, replicate against architecture
#
# Is a method's map of the trained network more useful than its map of the network with random weights? It is for
# {num}`statistics/training_higher` of {num}`statistics/training_pairs` methods, less useful for
# {num}`statistics/training_lower`, and for {num}`statistics/training_undecided` the images cannot tell. Is
# repeatability higher than reproducibility? It is for {num}`statistics/stability_higher` of
# {num}`statistics/stability_pairs`, lower for {num}`statistics/stability_lower`, and for
# {num}`statistics/stability_undecided` the images cannot tell. Each is one family, of one pair for each method, judged
# at once. The [chapter on utility](localization.md) judges each method by its own bootstrap interval, as if nothing
# else had been asked: maps of the trained network are then more useful for {num}`statistics/training_higher_alone`
# methods.

# %%
variances = answers["utility_networks"].model.variances
total = sum(variances.values())
likelihood = fits.set_index("question")["log_likelihood"]
sides = {name: answers[name].different["estimate"] for name in ("training", "stability")}
alone = trained_against_random(
    utility, study.networks.main, study.networks.random, select(methods), n_boot, seed, study.images.clusters
)
page.quote(
    n_networks=len(study.networks.classifiers),
    likelihood_gain=likelihood["utility_networks"] - likelihood["utility_crossed"],
    network_share=(variances["model"] + variances["method:model"]) / total,
    interaction_share=variances["method:model"] / total,
    **{f"{name}_higher": int((gaps > 0).sum()) for name, gaps in sides.items()},
    **{f"{name}_lower": int((gaps < 0).sum()) for name, gaps in sides.items()},
    **{f"{name}_undecided": len(answers[name].contrasts) - len(gaps) for name, gaps in sides.items()},
    training_higher_alone=int((alone["ci_low"] > 0).sum()),
)

# %%
estimates = {name: answers[name].contrasts.set_index("first")["estimate"] for name in sides}
page.figure(
    plots.paired_differences(
        {
            "AUPRC, trained minus random": answers["training"].contrasts,
            "SSIM, repeatability minus reproducibility": answers["stability"].contrasts,
        }
    ),
    "paired_differences",
    caption=f"Difference by method with its simultaneous 95 % intervals, for {study.networks.title()}. Left: AUPRC of "
    "the "
    "trained network's maps minus that of random weights. Right: repeatability minus reproducibility. Broad: mixed "
    "model; thin: bootstrap.",
    alt="Two dot plots with intervals by method. "
    + "; ".join(
        f"{name}: {in_words(gaps, '+.2f', lambda level: label_of(level.partition(':')[0]))}"
        for name, gaps in estimates.items()
    )
    + ".",
)

# %% [markdown]
# ## The fits
#
# {num}`statistics/n_plain` of {num}`statistics/n_fits` fits converged at once with all variances above zero. A fit that
# does not is tried again from other starts, and the column *status* says what came of it. A *singular* fit finds no
# more likeness among the scores of one image (or network) than chance makes; its tests stand, as those of a model
# without that factor. Where the image alone is random, as in the paper, statsmodels' MixedLM
# {cite}`seabold2010statsmodels` fits the same model by other code: {num}`statistics/mixedlm`. Holm's steps, which know
# nothing of how pairs hang together, tell {num}`statistics/holm_different` pairs of the family of utility apart, where
# Tukey's test tells {num}`statistics/utility_different`.

# %%
apart = fits["mixedlm_gap"].dropna() if "mixedlm_gap" in fits else []
page.quote(
    n_fits=len(fits),
    n_plain=int((fits["status"] == "converged").sum()),
    mixedlm=f"its means differ by {max(apart):.1g} standard errors at most" if len(apart) else "it was not asked here",
    holm_different=int(fits.set_index("question")["different_by_holm"].get("utility", 0)),
)
page.table(
    fits,
    "fits",
    caption="The mixed models: random factors, how the fit went, scores used and missing, levels left out because "
    "their scores do not vary, variance of each random factor and of the residual, the image's share of all variance "
    "(icc), restricted log-likelihood; the largest standard deviation of a level's residuals over the smallest "
    "(spread_ratio) and the residuals' skewness; pairs, and how many differ: by Tukey's test, by Holm's steps "
    "(different_by_holm), by Tukey's and not by the bootstrap (model_only), the reverse (bootstrap_only), and on what "
    "share these two say the same; how far the means by statsmodels are, in standard errors (mixedlm_gap).",
)

# %% [markdown]
# ## Do the assumptions hold?
#
# The model takes the residuals of all methods to be normal and equally wide. Here the widest are
# {num}`statistics/spread_ratio .1f` times as wide as the narrowest, at worst (*{num}`statistics/spread_question`*).
# What that does to the conclusions is seen beside a bootstrap that resamples whole {num}`statistics/unit` and assumes
# neither: over the questions in which only these vary, the two say the same of {num}`statistics/bootstrap_agrees .0%`
# of {num}`statistics/n_both` pairs. {num}`statistics/model_only` differ by the model alone and
# {num}`statistics/bootstrap_only` by the bootstrap alone. One width for all is too wide for methods whose scores hardly
# move, and too narrow for those that scatter; where the two disagree, the bootstrap assumes less. It needs images,
# however: from few its intervals are wide (randomization is followed on {num}`statistics/n_cascaded`).

# %%
both = fits.dropna(subset=["bootstrap_agrees"])
page.quote(
    spread_ratio=fits["spread_ratio"].max(),
    spread_question=fits.loc[fits["spread_ratio"].idxmax(), "question"],
    unit=f"{study.images.unit}s",
    n_cascaded=len(study.images.cascaded),
    n_both=int(both["pairs"].sum()),
    bootstrap_agrees=(both["bootstrap_agrees"] * both["pairs"]).sum() / both["pairs"].sum(),
    model_only=int(both["model_only"].sum()),
    bootstrap_only=int(both["bootstrap_only"].sum()),
)

# %%
page.figure(
    plots.residual_checks(
        {
            titles[name][0]: (one.model.fitted, one.model.residuals)
            for name, one in shown.items()
            if name != "utility_networks"
        }
    ),
    "fit_residuals",
    caption="Above: residuals against fitted scores; a funnel says that their spread is not the same everywhere. "
    "Below: quantiles of the residuals against those of a normal distribution, which would lie on the dotted line.",
    alt="Scatter plots of residuals and quantile plots for each question. Skewness of the residuals: "
    f"{in_words(fits.set_index('question')['residual_skew'], '.1f', str)}.",
)

# %% [markdown]
# ## Every contrast
#
# The effect size divides a difference by the standard deviation of a single score.

# %%
page.table(
    pd.concat([one.contrasts for one in answers.values()]),
    "statistics",
    caption="All contrasts by question: difference, simultaneous 95 % interval and adjusted p; the levels; p of this "
    "contrast alone, standard error, degrees of freedom (Satterthwaite); effect size with its interval; simultaneous "
    "95 % interval by bootstrap.",
    key=["question", "contrast"],
)
page.close()
