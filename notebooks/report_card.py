# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Report card
#
# What this data set says about the saliency maps of {num}`report_card/model`, on one page: the criteria, each method
# against its baselines, and what a reader should know before believing it. How the numbers are made is told in the
# chapters before; how to read a verdict, in [](../../concepts/verdict.md).

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: the paper's eight; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the images

# %%
from saltrust import plots
from saltrust.analysis import answers
from saltrust.analysis.report_card import GRADES, grades, report_card
from saltrust.analysis.report_card_warnings import CardEvidence, warnings
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of
from saltrust.publishing.report_card_page import html
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("report_card", study)

# %%
card = report_card(study, methods, n_boot)
graded = grades(card)
found = warnings(CardEvidence(study, methods, card, n_boot))
counts = {grade: graded.eq(grade).sum(axis=1) for grade in GRADES}
page.quote(
    answer=answers.of_report_card(graded),
    model=study.networks.title(),
    n_criteria=len(graded.columns),
    n_full=int(counts["pass"].eq(len(graded.columns)).sum()),
    least_failed=int(counts["fail"].min()),
    least_failed_map=", ".join(label_of(name) for name, n in counts["fail"].items() if n == counts["fail"].min()),
    n_warnings=len(found),
    failed=", ".join(f"{criterion} {grade.eq('fail').sum()}" for criterion, grade in graded.items()),
    undecided=", ".join(f"{criterion} {grade.eq('undecided').sum()}" for criterion, grade in graded.items()),
)

# %% [markdown]
# {num}`report_card/answer` To pass a criterion here is to pass its low baselines. All {num}`report_card/n_criteria`
# criteria with the localizers' baselines: {num}`report_card/n_full`. The fewest criteria failed are
# {num}`report_card/least_failed` ({num}`report_card/least_failed_map`). Methods that fail a low baseline, by criterion:
# {num}`report_card/failed`. Methods of which the images cannot tell: {num}`report_card/undecided`. There are
# {num}`report_card/n_warnings` warnings.

# %%
words = "; ".join(
    f"{criterion}: " + ", ".join(f"{n} {GRADES[g].title}" for g, n in graded[criterion].value_counts().items())
    for criterion in graded
)
alt = f"Dots with intervals, {len(graded)} methods by {len(graded.columns)} criteria, controls below. {words}."
figure = plots.report_card_figure(card)
page.document(html(study, card, found, figure, alt), "report_card", tabs=("The card",))
page.figure(
    figure,
    "report_card",
    caption="Mean of each method by each criterion with its 95 % bootstrap interval by image. Bars: low baselines "
    "(average mask; degradation threshold; the stricter of surrogates and different images, or the number that the "
    "protocol sets); dotted: the localizer. Controls and localizer in grey.",
    alt=alt,
    tabs=("The figure",),
)

# %% [markdown]
# ## The numbers
#
# A row for each method, criterion and baseline; controls and localizer have no verdict.

# %%
page.table(
    card,
    "report_card",
    caption="Mean, 95 % bootstrap interval, images, and for the methods that are judged each baseline with its mean "
    "and the verdict.",
    key=["method", "criterion", "baseline"],
)
page.close()
