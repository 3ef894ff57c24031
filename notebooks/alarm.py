# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Can a map raise an alarm?
#
# A network gives each finding an output, and each output has a map of its own. Where the maps of two outputs look
# alike, say Shu and colleagues, the network does not tell the two findings apart, and its answer deserves doubt. This
# chapter repeats their alarm beside the rivals that need no map, and beside no alarm at all. How to read it:
# [](../../concepts/alarm.md).
#
# {num}`alarm/answer`

# %% tags=["parameters"]
dataset = "phantom-chest5"  # data set: a data card with several findings
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
n_boot = 1000  # resamples: bootstrap resamples of the films
more = ""  # further methods: whose maps raise an alarm besides ("gradcam"), comma-separated
shown = 0  # seed: which of the test films the graph shows, counted from those with two findings or more

# %%
import numpy as np

from saltrust import plots
from saltrust.analysis import alarm, alarm_choices, alarm_under_shift, informer
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.datasets.shifts import SHIFTS
from saltrust.methods.registry import METHODS, select
from saltrust.stats.bootstrap import p_over_resamples
from saltrust.stats.selective import risk_coverage
from saltrust.study.multilabel import multilabel_study
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("alarm", study)
several = multilabel_study(study)
further = select(more) if more else []
doubts = alarm.doubts_of(several, further)
titles = {name: alarm.title_of(name) for name in doubts}

# %% [markdown]
# ## Five maps of one film
#
# The distance of two maps is 1 minus the cosine of the angle between them, pixel values taken as one long vector: 0 for
# the same map, 1 for maps that have nothing to do with each other, 2 for opposite ones. The sum of an output's four
# distances is its *distinctness*. A low one is read as doubt.

# %%
number = several.richest(shown)
compared = [several.alarm_methods[name] for name in alarm.from_maps(doubts)]
method = compared[0]
maps = several.maps(number, method)
between = several.distances("test", method)
apart = between[number]
said, true = several.predicted("test")[number], several.present("test")[number]
marks = [f"{'said' if s else 'not said'}, {'true' if t else 'not true'}" for s, t in zip(said, true, strict=True)]
page.figure(
    plots.distance_graph(several.split("test").pixels[number], maps, apart, several.findings, marks),
    "distances",
    caption=f"One test film, the {METHODS[method].title} maps of its outputs (blue below zero, red above), and how far "
    "apart they are: the nearer, the thicker the line. Beside each finding: its answer, the truth, and the sum of its "
    "distances.",
    alt=f"A film, {len(maps)} maps and a graph. Distinctness: "
    + in_words(dict(zip(several.findings, apart.sum(axis=1), strict=True)), ".2f", name=str)
    + ".",
    counterpart="Fig. 2",
    source="shu2024informer",
)

# %%
pairs = np.triu_indices(len(several.findings), 1)
others = several.distances("test", compared[-1])[:, *pairs]
page.quote(
    mean_distance=np.nanmean(between[:, *pairs]),
    spread=np.nanstd(between[:, *pairs], axis=0).mean(),
    mean_gap=np.nanmean(np.abs(others - between[:, *pairs])),
    kinship=alarm.KINSHIP[compared[-1]],
)

# %% [markdown]
# Over all test films two maps are {num}`alarm/mean_distance .2f` apart on average. From film to film the distance of
# one pair varies by {num}`alarm/spread .2f` (standard deviation): this is all that an alarm can go by.
#
# The distances between maps by LRP differ from these by {num}`alarm/mean_gap .4f` on average. {num}`alarm/kinship`
#
# ## The paper's table, with the row that it leaves out
#
# For each finding the alarm flags the films whose doubt is above a threshold, and swaps their answers. The threshold is
# the one of the best F1 on the validation films; the protocol `published` tries the paper's grid of 0.001, the others
# try all. The first row of the table is the network without any alarm, which the paper's Table 1 does not show. The
# second moves the network's own threshold to where F1 is best.

# %%
table = alarm.alarms(several, doubts, exact=protocol != "published")
page.table(
    table,
    "alarm",
    caption="F1 on the test films with each alarm and without (f1_no_alarm), the threshold of the doubt (tau; empty "
    "where nothing is flagged), how many answers are flagged, and how many of these the swap makes right and wrong. "
    "The rows `mean` hold the mean F1 over the findings and the sums of the counts.",
    key=["method", "finding"],
)
wide = table.pivot(index="method", columns="finding", values="f1").reindex(table["method"].unique())
wide = wide[[*several.findings, alarm.MEAN]]
page.table(
    wide.set_axis([alarm.title_of(name) for name in wide.index]).rename_axis("alarm").reset_index(),
    "f1",
    caption="F1 by alarm and finding. Counterpart of Table 1 of {cite:t}`shu2024informer`, with no alarm above.",
    key=["alarm"],
)

# %%
mean = table[table["finding"] == alarm.MEAN].set_index("method")
silent = table[(table["finding"] != alarm.MEAN) & table["method"].isin(doubts)].groupby("method")["tau"]
page.quote(
    f1_no_alarm=mean.loc[alarm.NO_ALARM, "f1"],
    f1_threshold=mean.loc[alarm.BEST_F1, "f1"],
    **alarm.of_each("f1", mean["f1"]),
    **alarm.of_each("flagged", mean["flagged"].astype(int)),
    **alarm.of_each("right", mean["flipped_right"].astype(int)),
    left_out=alarm.left_out(several, further),
    n_findings=len(several.findings),
    n_silent=int(silent.apply(lambda tau: tau.isna().sum()).sum()),
    n_alarms=len(doubts) * len(several.findings),
)

# %% [markdown]
# Without an alarm the mean F1 is {num}`alarm/f1_no_alarm .3f`. It is {num}`alarm/f1_ixg .3f` with the alarm from
# Input × Gradient, {num}`alarm/f1_lrp .3f` with that from LRP, {num}`alarm/f1_entropy .3f` with entropy and
# {num}`alarm/f1_copies .3f` with changed copies. Moving the threshold alone gives {num}`alarm/f1_threshold .3f`. In
# {num}`alarm/n_silent` of {num}`alarm/n_alarms` cases the best alarm flags nothing. The alarm from Input × Gradient
# flags {num}`alarm/flagged_ixg` answers in all, of which {num}`alarm/right_ixg` become right. {num}`alarm/left_out`
#
# ## Is it more than chance?
#
# The paper draws the test films again 30 times and compares the F1 of these samples by a t-test. With more samples that
# test makes any difference significant, and it takes the thresholds as given. For *{num}`alarm/t_tested`* beside
# entropy its p is {num}`alarm/p_few` with {num}`alarm/n_few` samples and {num}`alarm/p_many` with
# {num}`alarm/n_many`, of the same films. Below, the validation films are drawn again, too, and every threshold is
# chosen anew.

# %%
boxes = alarm.resampled_f1(several, doubts, alarm.PUBLISHED_RESAMPLES, nested=False)
page.figure(
    plots.f1_boxes(boxes, {name: alarm.title_of(name) for name in boxes.columns}),
    "f1_boxes",
    caption="Mean F1 over the findings in 30 resamples of the test films, thresholds fixed.",
    alt="Box plots. Medians: " + in_words(boxes.median(), ".3f", name=alarm.title_of) + ".",
    counterpart="Fig. 3",
    source="shu2024informer",
)
pair = [alarm.from_maps(doubts)[-1], "entropy"]
many = alarm.resampled_f1(several, {name: doubts[name] for name in pair}, n_boot, nested=False)
tested = {"few": boxes, "many": many}
page.quote(
    t_tested=alarm.title_of(pair[0]),
    **{f"p_{name}": p_over_resamples(one[pair[0]] - one[pair[1]]) for name, one in tested.items()},
    **{f"n_{name}": len(one) for name, one in tested.items()},
)

# %%
nested = alarm.resampled_f1(several, doubts, several.sizes.resamples, nested=True)
gained = alarm.gains(nested, table)
page.figure(
    plots.gains_by_alarm(gained, {name: alarm.title_of(name) for name in gained["method"]}),
    "gains",
    caption="What each alarm adds to the mean F1 of no alarm on the test films, with 95 % bootstrap intervals that "
    "draw validation and test films again and choose all thresholds anew. Blue: above zero; orange: below; grey: "
    "undecided.",
    alt="Intervals. Gain: " + in_words(gained.set_index("method")["gain"], "+.3f", name=alarm.title_of) + ".",
)
page.table(gained, "gains", caption="The numbers of the figure above.", key=["method"])

# %%
swaps = alarm.flipped(table)
page.table(
    swaps,
    "swaps",
    caption="Over all findings: how many answers each alarm swaps, how many of these become right and how many wrong, "
    "and McNemar's exact test of whether it is one as often as the other.",
    key=["method"],
)

# %% [markdown]
# ## Does the doubt find the wrong answers?
#
# Swapping is one use of a doubt. Another is to ask a person. Then the question is whether wrong answers are more
# doubtful than right ones: the AUROC of the doubt for "this answer is wrong".

# %%
found, beside = alarm.selective(several, doubts, n_boot)
page.table(
    found,
    "selective",
    caption="Each doubt and finding: AUROC for wrong answers with its 95 % bootstrap interval; the area under the "
    "risk-coverage curve (aurc, the lower the better) and how far it lies above the best possible order (excess); the "
    "risk where 80, 90 and 95 % of the answers are kept; films without a doubt (undefined).",
    rows=len(doubts),
    key=["score", "finding"],
)
auroc = found.groupby("score", sort=False)["auroc"].mean()
page.figure(
    plots.auroc_by_finding(found, titles),
    "auroc",
    caption="How well each doubt tells wrong answers from right ones, with 95 % bootstrap intervals.",
    alt="Markers for each doubt and finding. Mean AUROC: " + in_words(auroc, ".2f", name=alarm.title_of) + ".",
)
page.quote(**alarm.of_each("auroc", auroc))

# %%
wrong = several.predicted("test") != several.present("test")
kept = {name: risk_coverage(doubts[name]["test"].ravel(), wrong.ravel()) for name in alarm.IN_FIGURES if name in doubts}
page.figure(
    plots.risk_coverage_curves({titles[name]: curve for name, curve in kept.items()}),
    "risk_coverage",
    caption="All findings together: the share of wrong answers among those that are kept, from the least doubtful on. "
    "A doubt that knows nothing gives a level line.",
    alt="Curves. Share of wrong answers with half of all kept: "
    + in_words({titles[n]: risk[len(risk) // 2] for n, (_, risk) in kept.items()}, ".1%", name=str)
    + ".",
)

# %%
page.table(
    beside,
    "beside_margin",
    caption="AUROC of each doubt minus that of the nearness to the threshold, on the same films: 95 % bootstrap "
    "interval, p, and p adjusted over the findings (Holm).",
    key=["score", "finding"],
)
adds = alarm.added(several, doubts)
page.table(
    adds,
    "added",
    caption="Does the likeness of maps say more about wrong answers than the nearness to the threshold? Likelihood "
    "ratio of two logistic regressions.",
    key=["score", "finding"],
)

# %%
together = alarm.added_to_all(several, doubts)
page.table(
    together,
    "added_to_all",
    caption="The same over all findings: mixed logistic regressions of a row for each answer, with a mean and a slope "
    "of the nearness for each finding, and a random intercept for each patient (each film, where no patients are "
    "named), whose standard deviation is the spread. p_independent: without these.",
    key=["score"],
)
page.quote(
    answer=alarm.answer(gained, found, beside),
    n_added=int((adds["p"] < 0.05).sum()),
    n_tried=len(adds),
    together=alarm.all_together(together),
    n_patients=int(together["patients"].iloc[0]),
    n_answers=int(together["answers"].iloc[0]),
)

# %% [markdown]
# The nearness of the output to its threshold has a mean AUROC of {num}`alarm/auroc_margin .2f`, and the likeness of
# maps one of {num}`alarm/auroc_ixg .2f`; drawn by lot it is {num}`alarm/auroc_lot .2f`. In {num}`alarm/n_added` of
# {num}`alarm/n_tried` regressions the maps add something to the nearness (p < 0.05, not adjusted). A mixed model asks
# one question in place of these: of all {num}`alarm/n_answers` answers on the films of {num}`alarm/n_patients`
# patients, does the likeness add to the nearness? {num}`alarm/together`
#
# Two rivals of the paper deserve a word. *Entropy* is largest where the probability is one half, and not where the
# answer changes. A temperature cannot mend that, for it leaves the order of all entropies as it is; the calibrated one
# has a shift besides. The *spread over changed copies* is that of the logit, as in the paper, and grows with the logit
# itself: its AUROC of {num}`alarm/auroc_copies .2f` says that sure answers vary more. So do they under dropout.
#
# ## Would another choice have helped?
#
# The paper flags where maps are alike; that they lie far apart could be read as doubt just as well. It keeps the signs
# of the maps, takes all colour channels for one vector, adds up the distances from all other maps, and keeps the
# epsilon of LRP small, so that relevance is divided by sums that nearly cancel. Every combination of these choices:

# %%
curve = alarm_choices.curve(several, several.sizes.resamples)
chosen = {"method": "map", "epsilon": "epsilon of LRP", "preparation": "values"}
chosen |= {"reading": "doubtful where", "summary": "distance"}
page.figure(
    plots.choice_curve(curve, chosen),
    "choices",
    caption="Above: what the alarm of each choice adds to the mean F1, with 95 % bootstrap intervals that choose all "
    "thresholds anew. Middle: how well its doubt finds wrong answers. Below: the choices.",
    alt=f"A curve of {len(curve)} choices. Gains from {curve['gain'].min():+.3f} to {curve['gain'].max():+.3f}, AUROC "
    f"from {curve['auroc'].min():.2f} to {curve['auroc'].max():.2f}.",
)
page.table(curve, "choices", caption="The numbers of the figure above.", rows=8, key=[*chosen])
page.quote(
    n_choices=len(curve),
    n_gaining=int((curve["ci_low"] > 0).sum()),
    best_choice=curve["gain"].max(),
    best_auroc=curve["auroc"].max(),
)

# %% [markdown]
# Of {num}`alarm/n_choices` choices {num}`alarm/n_gaining` raise the mean F1 demonstrably. The largest gain is
# {num}`alarm/best_choice +.3f`, found after the fact. The largest AUROC is {num}`alarm/best_auroc .2f`.
#
# ## When films change
#
# An alarm is wanted most where films are not those of the training. Here noise, a shorter exposure, or tubes are laid
# over the test films. Each alarm flags a tenth of the validation answers. Does it flag more before more are wrong?

# %%
moved = alarm_under_shift.under_shift(several)
page.figure(
    plots.shift_curves(moved, {name: titles[name] for name in alarm_under_shift.alarms(several)},
                       {name: change.title for name, change in SHIFTS.items()}),
    "shift",
    caption="The share of wrong answers (black), and of answers that each alarm flags, as test films change more and "
    f"more; {moved['images'].iloc[0]} films, all findings together. An alarm that warns rises with the black line.",
    alt="Three panels. "
    + " ".join(
        f"{change}: wrong answers from {of['wrong'].iloc[0]:.0%} to {of['wrong'].iloc[-1]:.0%}."
        for change, of in moved.groupby("change", sort=False)
    ),
)  # fmt: skip
page.table(moved, "shift", caption="The numbers of the figure above.", rows=5, key=["change", "strength", "score"])
page.quote(**alarm_under_shift.ends(moved), rising=alarm_under_shift.answer(moved, titles))

# %% [markdown]
# From no change to the strongest, the share of wrong answers rises from {num}`alarm/wrong_at_first .0%` to
# {num}`alarm/wrong_noise .0%` with noise, {num}`alarm/wrong_exposure .0%` with darker films and
# {num}`alarm/wrong_tubes .0%` with tubes. The alarm from Input × Gradient begins with
# {num}`alarm/flags_ixg_at_first .0%` and ends with {num}`alarm/flags_ixg_noise .0%`,
# {num}`alarm/flags_ixg_exposure .0%` and {num}`alarm/flags_ixg_tubes .0%`. That from other networks begins with
# {num}`alarm/flags_ensemble_at_first .0%` and ends with {num}`alarm/flags_ensemble_noise .0%`,
# {num}`alarm/flags_ensemble_exposure .0%` and {num}`alarm/flags_ensemble_tubes .0%`. {num}`alarm/rising`

# %% [markdown]
# ## One image
#
# This section needs no network: it computes with what the paper prints. For consolidation it has the sensitivity and
# specificity before and after the alarm from LRP, to three digits. Which whole numbers of its 284 films fit?

# %%
solutions = informer.counts_behind(informer.IMAGES, informer.SENSITIVITIES, informer.SPECIFICITIES, informer.F1_ENTROPY)
page.table(
    solutions,
    "one_image",
    caption="Every solution in whole films: those with consolidation (positives); of these the ones that are found "
    "(tp), and of the others the ones that are cleared (tn), before and after the alarm; the F1 that follows.",
    key=["positives", "tp_before", "tp_after", "tn_before", "tn_after"],
)
counts = solutions.iloc[0]
page.quote(
    n_solutions=len(solutions),
    **{f"n_{name}" if name == "positives" else name: int(counts[name]) for name in solutions.columns[:5]},
    more_found=int(counts["tp_after"] - counts["tp_before"]),
    more_false=int(counts["tn_before"] - counts["tn_after"]),
    f1_before=counts["f1_before"],
    f1_after=counts["f1_after"],
    cases=round(informer.PATIENTS * (informer.SENSITIVITIES[1] - informer.SENSITIVITIES[0])),
)

# %% [markdown]
# There are {num}`alarm/n_positives` films with consolidation, and the number of solutions is {num}`alarm/n_solutions`.
# The alarm raises the films that are found from {num}`alarm/tp_before` to {num}`alarm/tp_after`, and lowers those that
# are rightly cleared from {num}`alarm/tn_before` to {num}`alarm/tn_after`. The paper's {num}`alarm/cases ,d` added
# cases a year so rest on {num}`alarm/more_found` film, bought with {num}`alarm/more_false` false alarm.
#
# F1 goes from {num}`alarm/f1_before .3f` to {num}`alarm/f1_after .3f`. The text names LRP. The paper's Table 1 has
# {num}`alarm/f1_after .3f` in the row of Input × Gradient.

# %%
means = informer.means_of_table().set_index("alarm", drop=False)
page.table(
    means,
    "table_1",
    caption="The means of Table 1 of {cite:t}`shu2024informer` as printed, as they follow from its rows, and between "
    "which numbers rounding lets them lie; agrees: whether the printed one can follow. The last two columns exchange "
    "the cells of consolidation between Input × Gradient and LRP.",
    key=["alarm"],
)
page.quote(
    **{f"printed_{name}": means.loc[row, "printed"] for name, row in (("ixg", informer.IXG), ("lrp", informer.LRP))},
    **{f"mean_{name}": means.loc[row, "mean"] for name, row in (("ixg", informer.IXG), ("lrp", informer.LRP))},
    n_disagree=int((~means["agrees"]).sum()),
    n_disagree_exchanged=int((~means["agrees_exchanged"]).sum()),
)

# %% [markdown]
# Of the printed means {num}`alarm/n_disagree` do not follow from their rows: Input × Gradient has
# {num}`alarm/printed_ixg .3f` where its row gives {num}`alarm/mean_ixg .4f`, and LRP {num}`alarm/printed_lrp .3f` where
# its row gives {num}`alarm/mean_lrp .4f`. With the two cells of consolidation exchanged,
# {num}`alarm/n_disagree_exchanged` do not follow, and table and text agree on LRP. So the two cells most likely stand
# in each other's place. To exchange those of atelectasis would bring the means within rounding as well, but not the
# text in line.

# %%
page.close()
