# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Shapley values, exactly
#
# Shapley values share what a network says among the parts of an image, and are the only shares that keep four promises.
# For an image of 30 parts, says the review, they take a network more than a billion passes. These digits have 16, and
# 65,536 coalitions can all be tried. So here one can ask what is elsewhere taken on trust: how near does KernelSHAP
# come, do Shapley values mark what tells an 8 from a 3, and can one tell from them how good a network is? How to read
# it: [](../../concepts/shapley.md).
#
# {num}`shapley/answer`

# %% tags=["parameters"]
dataset = "digits"  # data set: a data card with a contrast
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "gradient,modified_backward,cam,perturbation"  # methods: whose maps of the two classes are compared
n_boot = 1000  # resamples: bootstrap resamples of the images
n_shown = 4  # count: images of the first class in the figures

# %%
import numpy as np

from saltrust import plots
from saltrust.analysis import shapley, shapley_games
from saltrust.analysis.words import in_words, listed
from saltrust.chapters.page import Page
from saltrust.core.markup import myst
from saltrust.methods.registry import CONTROLS, METHODS, select
from saltrust.study.shapley import BESIDE, VARIANTS, WINDOWS, ShapleyStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("shapley", study)
digits = ShapleyStudy(study)
chosen = [name for name in select(methods) if name not in CONTROLS]
networks = digits.networks()
accuracy = networks.groupby("kind")["accuracy"].mean()
first, second = digits.names
ids = digits.test.ids[list(digits.explained)]

# %%
page.table(
    networks,
    "networks",
    caption="The networks: how many images each learned from, and its share of right answers on the test images. Those "
    "of a kind differ in their start and the order of their batches alone.",
    key=["network"],
)
page.quote(
    n_test=len(digits.test),
    strong=accuracy["strong"],
    weak=accuracy["weak"],
    n_strong=networks["images"].max(),
    n_weak=networks["images"].min(),
    n_members=digits.sizes.members,
)

# %% [markdown]
# ## Networks for 64 pixels
#
# The images have 8 × 8 pixels, as they come: enlarged ones would cost more and show no more. A block of 2 × 2 pixels is
# a player, which makes 16. A hidden block becomes background, and the networks pad their borders with the same. All
# have three convolutions and one linear layer. A *strong* network learned from {num}`shapley/n_strong` images and reads
# {num}`shapley/strong .1%` of {num}`shapley/n_test` others; a *weak* one learned from {num}`shapley/n_weak` and reads
# {num}`shapley/weak .1%`. There are {num}`shapley/n_members` of each kind. What follows is about the first strong one,
# until the last section.
#
# ## Exact values, and from samples

# %%
games = digits.games()
exact = games.shares(games.predicted)
sampled = digits.sampled()
errors = shapley.sampling_errors(sampled, exact, digits.sizes.samples, ids)
occluded = {name: digits.occluded(name) for name in WINDOWS}
costs = {name: METHODS["occlusion"].passes(digits.occlusion_artefact(name).parameters) for name in WINDOWS}
second_each = games.seconds.sum() / games.passes.sum()
found = shapley.by_passes(errors, occluded, costs, exact, second_each, n_boot, seed)
page.table(
    found,
    "shapley",
    caption="Kernel SHAP by the number of coalitions, and Occlusion by its windows, beside the exact Shapley values of "
    "16 blocks: passes and seconds for an image; the distance from the exact values as a share of their length (root "
    "mean square over draws, then the mean over images), and the cosine. 95 % bootstrap intervals over images.",
    key=["method", "windows", "samples"],
)

# %%
power = shapley.falls_as(errors, n_boot, seed)
table = found.set_index(["method", "windows"])
few = table.loc[("kernel_shap", "")].iloc[0]
beside = table.loc[("occlusion", "blocks")]
page.figure(
    plots.error_by_passes(found, power, shapley.SETTLED),
    "error_by_passes",
    caption="How far Kernel SHAP is from the exact Shapley values by the passes that it takes (band: 95 % bootstrap "
    "interval over images; dotted: the slope of independent samples), and Occlusion with three windows, which does not "
    "aim at them.",
    alt=f"A falling curve on logarithmic axes. Error with {few['passes']:.0f} passes {few['error']:.2f}, with "
    f"{table.loc[('kernel_shap', '')].iloc[-1]['passes']:.0f} {table.loc[('kernel_shap', '')].iloc[-1]['error']:.3f}. "
    f"Occlusion: {in_words(table.loc['occlusion', 'error'], '.2f', name=str)}.",
)

# %%
full_pass = table.loc[shapley.EXACT].iloc[0]
page.quote(
    n_images=len(exact),
    n_players=float(np.mean([len(one) for one in games.players])),
    distinct=float(games.passes.mean()),
    n_coalitions=2**games.parts,
    seconds_exact=full_pass["seconds"],
    error_few=few["error"],
    error_occlusion=beside["error"],
    passes_occlusion=int(beside["passes"]),
    overtakes=shapley.overtakes(found, "blocks"),
    passes_pixels=costs["pixels"],
    error_pixels=table.loc[("occlusion", "pixels"), "error"],
    power=power["power"],
    power_low=power["ci_low"],
    power_high=power["ci_high"],
    settled=shapley.SETTLED,
    constant_few=shapley.constant(errors, 64, games.parts),
    constant_many=shapley.constant(errors, max(digits.sizes.samples), games.parts),
    most=max(digits.sizes.samples),
)

# %% [markdown]
# Of the 16 blocks, {num}`shapley/n_players .1f` show ink on average. The others look the same shown or hidden: they are
# dummies, so that {num}`shapley/distinct .0f` distinct images stand for all {num}`shapley/n_coalitions` coalitions. Had
# each been run, an image would take {num}`shapley/seconds_exact .1f` seconds.
#
# From {num}`shapley/settled` coalitions on the error of Kernel SHAP falls with their number to the power of
# {num}`shapley/power .2f` ({num}`shapley/power_low .2f` to {num}`shapley/power_high .2f`), −1/2 being that of
# independent samples: ten times the exactness costs a hundred times the passes. With fewer it is worse than that.
# Coalitions are drawn with their complements, and such a pair tells the regression no more than one equation; of the
# pairs, 15 are used up by as many unknown values. With 32 coalitions there are hardly more equations than unknowns, and
# the solution follows every accident. Nothing else is lost: the error times the root of the pairs beyond 15 is
# {num}`shapley/constant_few .2f` with 64 coalitions and {num}`shapley/constant_many .2f` with {num}`shapley/most`.
#
# With {num}`shapley/passes_occlusion` passes Occlusion hides each block once. It does not aim at Shapley values, yet is
# {num}`shapley/error_occlusion .2f` away from them, and Kernel SHAP with as many passes {num}`shapley/error_few .2f`.
# From {num}`shapley/overtakes .0f` coalitions on Kernel SHAP is nearer. It comes as near as one has passes for, and
# Occlusion does not: pixel by pixel, with {num}`shapley/passes_pixels` passes, it is {num}`shapley/error_pixels .2f`
# away.
#
# ## What samples break

# %%
place = list(digits.sizes.samples).index(64)
blank = np.array([~np.isin(np.arange(games.parts), one) for one in games.players])
gains = np.array([one[[-1, 0], k] for one, k in zip(games.outputs, games.predicted, strict=True)]) @ [1, -1]
broken = shapley.axioms(exact, sampled[:, place, 0], occluded["blocks"], gains, blank)
page.table(
    broken,
    "axioms",
    caption="efficiency: how far the sum of the values is from what the image adds to the output, as a share of it. "
    "dummy: the share of all values, signs aside, that lies on blank blocks. Kernel SHAP with 64 coalitions.",
    key=["method"],
)
at = broken.set_index("method")
page.quote(
    dummy_sampled=at.loc["kernel_shap", "dummy"],
    efficiency_sampled=at.loc["kernel_shap", "efficiency"],
    efficiency_occlusion=at.loc["occlusion", "efficiency"],
)

# %% [markdown]
# The sum is built into Kernel SHAP, which misses it by {num}`shapley/efficiency_sampled .0%`. But a share of
# {num}`shapley/dummy_sampled .1%` of what it finds lies on blocks that change nothing. Occlusion leaves these alone,
# and its values miss the sum by {num}`shapley/efficiency_occlusion .0%`.
#
# ## What makes an 8 an 8, and not a 3?
#
# The review's Fig. 9 shows an 8, and what speaks for it and for a 3. The values of two outputs can be subtracted: their
# difference holds what speaks for the one *rather than* the other. Shrikumar and colleagues remove the pixels where it
# is largest, at most a fifth of all and only those above zero, and watch the log-odds.

# %%
pixels = digits.test.pixels[list(digits.contrasted)]
both = digits.games(contrasted=True)
of_each = [both.shares(output)[:, digits.labels] for output in digits.contrast]
against = digits.share_difference()
rng = np.random.default_rng(seed)
gone = shapley.removed(pixels, shapley.top_pixels(against, round(shapley.SHARE * against[0].size), rng))
rows = [(pixels[i], [of_each[0][i], of_each[1][i], (of_each[0] - of_each[1])[i], gone[i]]) for i in range(len(pixels))]
page.figure(
    plots.signed_rows(rows[:n_shown], ["image", f"for {first}", f"for {second}", "difference", "removed"]),
    "contrast",
    caption=f"Test images of the digit {myst(first)}: the exact Shapley values of 16 blocks for {myst(first)} and for "
    f"{myst(second)} (red: for it, blue: against it; one scale a row), their difference, and the image without the "
    "fifth of its pixels where that is largest.",
    alt=f"{min(n_shown, len(rows))} rows of five pictures: an image, three maps, and the image with pixels removed.",
    counterpart="Fig. 9",
    source="tornieporth2024evaluating",
)

# %%
differences = {shapley.EXACT: against}
differences |= {name: digits.difference(name) for name in dict.fromkeys([*chosen, BESIDE, *VARIANTS])}
greedy = digits.greedy(round(shapley.SHARE * pixels[0].size))
names = digits.test.ids[list(digits.contrasted)]
erased = shapley.erasures(pixels, differences, digits.log_odds, names, digits.sizes.chances, seed, greedy)
fell = shapley.falls(erased, n_boot, seed)
page.table(
    fell,
    "erased",
    caption=f"Fall of the log-odds of {myst(first)} against {myst(second)} when the pixels of the largest difference "
    "of maps are removed, with 95 % bootstrap intervals over images; how far it lies above that of random pixels with "
    "ink, and beside that of the exact Shapley values; the share of the ink, and the pixels, that go.",
    key=["method"],
)

# %%
titles = {method: shapley.named(method) for method in fell["method"]}
page.figure(
    plots.falls_by_method(fell, titles, shapley.REFERENCES),
    "falls",
    caption=f"Fall of the log-odds of {myst(first)} against {myst(second)} with 95 % bootstrap intervals. Blue: above "
    "random ink, orange: below it, each by the whole interval of the difference. In italics what asks no map: pixels "
    "that the network gives up one after the other, about the most that can be had; the brightest; random ones.",
    alt="Intervals by method. Fall: " + in_words(fell.set_index("method")["fall"], ".1f", name=shapley.named) + ".",
)
fall = fell.set_index("method")
groups = shapley.in_groups(fell, chosen)
unmoved = [shapley.named(name) for name in chosen if fall.loc[name, "pixels"] == 0]

# %%
page.quote(
    n_contrasted=len(pixels),
    log_odds=float(digits.log_odds(pixels).mean()),
    **{f"fall_{key}": fall.loc[name, "fall"] for key, name in shapley.QUOTED.items() if name in fall.index},
    n_methods=len(chosen),
    n_above=len(groups["above"]),
    below=listed([shapley.named(name) for name in groups["below"]]) if groups["below"] else "none",
    unmoved=f"{listed(unmoved)} {'has' if len(unmoved) == 1 else 'have'} one map for both digits." if unmoved else "",
    best=shapley.better_than_exact(fell, chosen),
    last_in=shapley.sentence_beside(fall.loc["occlusion, blocks"]),
)

# %% [markdown]
# Over {num}`shapley/n_contrasted` images the log-odds are {num}`shapley/log_odds .1f`. They fall by
# {num}`shapley/fall_exact .1f` when the pixels of the exact Shapley values go, by {num}`shapley/fall_ink .1f` with as
# many random pixels that have ink, and by {num}`shapley/fall_greedy .1f` at most. Of {num}`shapley/n_methods` methods,
# {num}`shapley/n_above` do better than random ink. Worse than it: {num}`shapley/below`. {num}`shapley/unmoved`
#
# {num}`shapley/best` (Of a network of ReLUs, LRP with a small epsilon is Input × Gradient.) Three things explain the
# order better than whether values are Shapley's:
#
# - **The parts.** Single pixels can be picked more finely than blocks of four. {num}`shapley/last_in` (Super-pixels of
#   even tone, of which Kernel SHAP and LIME ask for 50, are single pixels in images this small.) With 16 super-pixels
#   of even tone in the place of 16 squares, Kernel SHAP has a fall of {num}`shapley/fall_superpixels .1f`: such parts
#   follow the stroke, and join the left of a loop, which a 3 lacks, with its top, which it shares.
# - **The baseline.** Integrated Gradients have a fall of {num}`shapley/fall_ig .1f` from the background, of
#   {num}`shapley/fall_ig_grey .1f` from grey and of {num}`shapley/fall_ig_white .1f` from white. From white, the ink is
#   what is missing, and not what is there. Gradient SHAP and DeepLIFT SHAP start from greys.
# - **The grid.** Class activation maps have 4 × 4 positions, and their difference lies beside the stroke as well.
#
# ## Can one tell a good network by its maps?
#
# The review reports of Garbin that two networks, with accuracies of 97 % and 87 %, both gave intuitive maps. Here are
# the values of the digit that is shown, by networks as good as those. A strong and a weak one of the same number began
# with the same weights.

# %%
shown = digits.test.labels[list(digits.explained)]
shares = {network: digits.games(*network).shares(shown) for network in digits.members()}
pictured = [(kind, member) for member in range(2) for kind in ("strong", "weak")]
rows = [
    (digits.test.pixels[digits.explained[i]], [shares[network][i][digits.labels] for network in pictured])
    for i in np.linspace(0, len(shown) - 1, min(n_shown, len(shown))).astype(int)
]
page.figure(
    plots.signed_rows(rows, ["image", *(f"{kind}-{member + 1}" for kind, member in pictured)]),
    "networks",
    caption="Exact Shapley values of the digit that each image shows, by network. One scale a row. The first two began "
    "with the same weights, and so did the last two.",
    alt=f"{len(rows)} rows: an image and its maps by four networks.",
)

# %%
pairs = shapley.likeness(shares, ids)
by_pair = shapley.likeness_by_pair(pairs, n_boot, seed)
apart = shapley.nearer(pairs, shapley.OF_A_KIND, ["between"], n_boot, seed)
start = shapley.nearer(pairs, [shapley.SAME_START], shapley.OF_A_KIND, n_boot, seed)
traits = shapley.traits_by_kind(shapley.traits(shares, ids), n_boot, seed)
words = {"strong": "two strong networks", "weak": "two weak networks", "between": "one of each"}
words |= {shapley.SAME_START: "one of each, same start"}
page.figure(
    plots.likeness_of_kinds(by_pair, words),
    "likeness",
    caption="How alike the exact Shapley values of two networks are for the same image, with 95 % bootstrap intervals.",
    alt="Cosine: " + in_words(by_pair.set_index("pair")["cosine"], ".2f", name=words.get) + ".",
)
page.table(
    by_pair,
    "likeness",
    caption="The numbers of the figure above, and how much more alike two strong networks are, by image.",
    key=["pair"],
)

# %%
page.table(
    traits,
    "traits",
    caption="What a map shows by itself, for networks of both kinds: the sum of its values (what the image adds to the "
    "output), the share of values against the digit, and over how many blocks it is spread; the difference with its "
    "95 % bootstrap interval over images, and in how many images the strong networks' mean is the larger one.",
    key=["trait"],
)
alike = by_pair.set_index("pair")["cosine"]
page.quote(
    **{f"alike_{pair.replace(' ', '_')}": value for pair, value in alike.items()},
    **{f"apart{end}": apart[name] for end, name in (("", "share"), ("_low", "ci_low"), ("_high", "ci_high"))},
    **{f"start{end}": start[name] for end, name in (("", "share"), ("_low", "ci_low"), ("_high", "ci_high"))},
    tell=shapley.tell(traits),
    answer=shapley.answer(found, fell, apart, digits.names),
)

# %% [markdown]
# For the same image the maps of two strong networks have a cosine of {num}`shapley/alike_strong .2f`, those of two weak
# ones {num}`shapley/alike_weak .2f`, those of one of each {num}`shapley/alike_between .2f` from different starts and
# {num}`shapley/alike_same_start .2f` from the same one. Let a network be unknown, and say that it is of the kind whose
# map its own is more like: this is right in {num}`shapley/apart .0%` ({num}`shapley/apart_low .0%` to
# {num}`shapley/apart_high .0%` over images, for these networks), where a coin is in half. But one from the same start
# is nearer than one of the same kind in {num}`shapley/start .0%` ({num}`shapley/start_low .0%` to
# {num}`shapley/start_high .0%`): which weights a training began with shows more than how much it learned.
#
# {num}`shapley/tell` The sum is the output itself, which is known without any map.
#
# ## Two games that people were asked about
#
# Lundberg and Lee had people share out two games, and the review reports that they share as Shapley values do. What
# people answered is not in the review's text. What the rules say can be worked out: all from the same tables of what
# each coalition is worth.

# %%
for name, game in shapley_games.GAMES.items():
    page.table(
        shapley_games.wide(name),
        name,
        caption=f"The shares of {game.title}. LIME with its kernel, over all coalitions; DeepLIFT from 0, for two ReLU "
        "networks that compute this game.",
        key=["rule"],
    )
page.close()

# %% [markdown]
# Fever and cough cannot be told apart by what they do, so that fair shares are equal. Shapley's are 1 and 1. LIME and
# Occlusion look at what happens when one of the two goes: the score *rises*, so that both get negative shares, and the
# sum is not the score. DeepLIFT gives equal shares for one network, and for another that computes the same, −3 and 5:
# it explains the network, not the function. Of the budget, the second man gets 2 by Shapley, since half of the orders
# have him come before the first; DeepLIFT gives all to the first.
