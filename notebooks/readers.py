# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a map mark what readers mark?
#
# Several readers drew what they saw in the same films. So a map can be held to what people do: does it mark the same
# places, and do two networks agree as well as two readers? This chapter repeats the study of Venkatesh and colleagues,
# and asks what its readers were held against. How to read it: [](../../concepts/agreement.md).
#
# {num}`readers/answer`

# %% tags=["parameters"]
dataset = "phantom-bones"  # data set: a data card that counts its readers
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "venkatesh"  # methods: the study's six; or "all", a family, or names, comma-separated
n_boot = 1000  # resamples: bootstrap resamples of the patients
n_shown = 4  # count: films whose drawings are shown

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis import beside_readers, reader_verdicts
from saltrust.analysis.beside_readers import AVERAGE
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.stats.bootstrap import summarize
from saltrust.study.readers import EDGES, MODES, ReaderStudy
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("readers", study)
reading = ReaderStudy(study)
names, mode, area = select(methods), reading.choices.mode, study.protocol.auprc
localizer = study.card.localizer

# %% [markdown]
# ## What readers drew

# %%
films = study.images.split("test").pixels[list(reading.images)]
shown = [round(k * (len(films) - 1) / max(n_shown - 1, 1)) for k in range(min(n_shown, len(films)))]
files = [name.rpartition("/")[2] for name in reading.ids]
heads = reading.subgroups.get("finding", files)
page.figure(
    plots.drawings(
        films[shown], reading.drawn[:, shown], [heads[k] for k in shown],
        reading.readers, None if reading.exact is None else reading.exact[shown],
    ),
    "drawings",
    caption=f"Films that get maps, with what each of {len(reading.readers)} readers drew"
    + ("." if reading.exact is None else ", and where the abnormality exactly is."),
    alt=f"{len(shown)} films with the outlines of {len(reading.readers)} readers.",
)  # fmt: skip

# %%
of_readers = reading.readers_against()
against = pd.concat([reading.maps_against(names), of_readers], ignore_index=True)
between = reading.between(names)
means = beside_readers.table(
    pd.concat([beside_readers.with_average(against), between], ignore_index=True), reading, n_boot
)
page.table(
    means,
    "readers",
    caption="Every rater (method, edges, localizer, reader), mode, reference and score, with the 95 % bootstrap "
    "interval over patients and the images that have the score. References: the consensus; the consensus of the other "
    "readers; each reader (pairwise); the exact truth; and, of two networks, the criterion.",
    rows=12,
    key=beside_readers.KEY,
)
overlap = means[(means["rater"] == AVERAGE) & (means["score"] == "iou")].set_index("reference")["mean"]
page.quote(
    n_images=len(reading.ids),
    n_readers=len(reading.readers),
    iou_consensus=overlap["consensus"],
    iou_others=overlap["others"],
    iou_pairwise=overlap["pairwise"],
)

# %% [markdown]
# {num}`readers/n_readers` readers read {num}`readers/n_images` films that get maps. With the consensus of all, which
# holds them, they have a mean IoU of {num}`readers/iou_consensus .3f`; with the consensus of the others
# {num}`readers/iou_others .3f`; with each other {num}`readers/iou_pairwise .3f`. Two maps are no part of each other.
# The last number is the one that they can be compared with.
#
# ## One film in three modes
#
# A map is scored as it is (raw), above Otsu's threshold, and as the boxes around what that leaves, which are opened by
# a disk. Boxes are what readers drew.

# %%
first = shown[0]
raters = reading.raters(names)
strip = {name: {one: reading.kept(name, raters[name], one)[first] for one in MODES} for name in [*names, EDGES]}
held = reading.choices.reference
own = against[(against["image"] == reading.ids[first]) & (against["mode"] == mode)]
iou = own[(own["reference"] == held) & (own["score"] == "iou")].set_index("rater")["value"]
page.figure(
    plots.mode_strip(
        films[first], reading.references["consensus"][first], strip, {name: f"IoU {iou[name]:.2f}" for name in strip}
    ),
    "modes",
    caption="A film with the consensus outlined, and its maps raw, above Otsu's threshold, and as boxes. Below: the "
    f"IoU of the boxes with what readers marked ({held}).",
    alt=f"A film and {len(strip)} maps in {len(MODES)} modes. IoU of boxes: {in_words(iou[[*strip]])}.",
    counterpart="the supplement's Fig. S.1",
    source="venkatesh2024gradient",
)

# %% [markdown]
# ## Where is the abnormality?

# %%
counted = against[against["image"].isin(reading.ids[reading.judged])]
shown_rows = beside_readers.with_average(counted)
boxes = shown_rows[(shown_rows["score"] == area) & (shown_rows["reference"] == held)]
boxes = boxes[((boxes["mode"] == mode) & ~boxes["rater"].isin(reading.readers)) | (boxes["rater"] == AVERAGE)]
boxes = boxes.groupby(["rater", "image"], sort=False)["value"].mean().rename("auprc").reset_index()
boxes = boxes.rename(columns={"rater": "method"})
centre = boxes.groupby("method", sort=False)["auprc"].mean()
page.figure(
    plots.score_boxes(boxes, "auprc", f"AUPRC, {mode}", lines={"average reader": centre[AVERAGE]}),
    "auprc",
    caption=f"AUPRC of boxes against what readers marked ({held}), by method, beside edges, the localizer "
    "and the average reader. Solid line: median; dashed: mean; box: quartiles.",
    alt=f"Box plots of AUPRC. Means: {in_words(centre)}.",
    counterpart="Fig. 2",
    source="venkatesh2024gradient",
)

# %%
maps = centre[names]
page.quote(
    n_judged=int(reading.judged.sum()),
    reader_auprc=centre[AVERAGE],
    edge_auprc=centre[EDGES],
    localizer_auprc=centre[localizer],
    best_map=label_of(maps.idxmax()),
    best_auprc=maps.max(),
    worst_map=label_of(maps.idxmin()),
    worst_auprc=maps.min(),
    n_above_edges=int((maps > centre[EDGES]).sum()),
    n_methods=len(names),
)

# %% [markdown]
# On {num}`readers/n_judged` films the average reader has {num}`readers/reader_auprc .3f`, the best method
# ({num}`readers/best_map`) {num}`readers/best_auprc .3f`, the worst ({num}`readers/worst_map`)
# {num}`readers/worst_auprc .3f`, and edges, which see no network, {num}`readers/edge_auprc .3f`.
# {num}`readers/n_above_edges` of {num}`readers/n_methods` methods have a higher mean than edges. A localizer that
# learned from masks reaches {num}`readers/localizer_auprc .3f`.
#
# ## Do two networks agree as two readers do?

# %%
titles = {"ssim": "SSIM", "iou": "IoU", "iou_above_chance": "IoU above chance", "pixel_error": "pixel error"}
pairs = means[means["reference"].isin([*study.criteria.partners]) & (means["mode"] == mode)]
readers = means[(means["rater"] == AVERAGE) & means["reference"].isin(["consensus", "pairwise"])]
page.figure(
    plots.likeness_of_networks(pairs, readers, titles),
    "readers_likeness",
    caption="How alike the boxes of two networks are: of two replicates, and of two architectures; with 95 % bootstrap "
    "intervals. Dashed, orange: readers with the consensus, as in the study. Dark: readers with each other.",
    alt="Dots by method. IoU of replicates: "
    + in_words(pairs[(pairs["score"] == "iou") & (pairs["reference"] == "repeatability")].set_index("rater")["mean"])
    + f"; readers with the consensus {overlap['consensus']:.2f}, with each other {overlap['pairwise']:.2f}.",
    counterpart="Fig. 3",
    source="venkatesh2024gradient",
)

# %%
cascade = {score: reading.cascade(names, score) for score in ("iou", "ssim")}
verdicts = reader_verdicts.verdicts(
    reader_verdicts.comparisons(reading, names, against, between, cascade), reading, n_boot
)
flipped = reader_verdicts.flips(verdicts)
page.table(
    flipped,
    "flips",
    caption="Strong verdicts (is the map no worse than readers?) by what readers are held against: published, the "
    "consensus that holds each reader; like, the consensus of the others, or each other reader.",
    key=["method", "criterion", "score"],
)
turned = flipped[flipped["score"].eq("iou") & flipped["flipped"]]
page.quote(
    n_flipped=len(turned),
    n_flippable=int(flipped["score"].eq("iou").sum()),
    flipped=", ".join(f"{label_of(row.method)} ({row.criterion})" for row in turned.itertuples()) or "none",
)

# %% [markdown]
# Verdicts on IoU that turn when readers are held against each other: {num}`readers/n_flipped` of
# {num}`readers/n_flippable`; {num}`readers/flipped`.
#
# ## Is the map one of the trained network?

# %%
stages = study.networks.stages
curve = summarize(cascade["iou"], "iou", ["method", "stage"], n_boot, seed, study.images.clusters)
thresholds = reading.thresholds(names)
page.figure(
    plots.random_stages(curve, thresholds, "IoU"),
    "readers_cascade",
    caption="IoU of the boxes of the trained network with those of the same network with random weights, stage after "
    f"stage from the output down ({len(stages)} stages). Dashed: different images, which a map must fall below.",
    alt="Curves by method. IoU at the last stage: "
    + in_words(curve[curve["stage"] == stages[-1]].set_index("method")["mean"])
    + f"; of different images: {in_words(thresholds)}.",
    counterpart="the cascades of the supplement",
    source="venkatesh2024gradient",
)
page.table(curve, "readers_cascade", caption="The numbers of the figure above.", rows=6, key=["method", "stage"])

# %% [markdown]
# ## Verdicts

# %%
found = reader_verdicts.by_criterion(verdicts, reading)
page.figure(
    plots.verdict_matrix(found),
    "readers_verdicts",
    caption="Each method beside edges, fixed numbers and different images (weak), and beside readers (strong). Below "
    "each verdict: the method's mean and its reference, of the score that decides.",
    alt="A matrix of verdicts. "
    + "; ".join(f"{label_of(name)}: {', '.join(own['verdict'])}" for name, own in found.groupby("method", sort=False))
    + ".",
)
page.table(
    verdicts,
    "readers_verdicts",
    caption="Every comparison: the method's mean, its reference, their difference with its 95 % bootstrap interval "
    "over patients, p of the study's t-test, which takes images as independent, and the verdict of the protocol.",
    rows=12,
    key=["method", "criterion", "strength", "score", "against"],
)
page.quote(answer=beside_readers.answer(found, flipped))

# %% [markdown]
# ## May a map take the place of a reader?
#
# Each reader is left out in turn. A rater may replace this one where it fits the consensus of the others as well, in
# nearly as many films. This is the alternative annotator test of {cite:t}`calderon2025alternative`.

# %%
placed = beside_readers.replacements(reading, names, "iou", n_boot)
page.table(
    placed,
    "replacements",
    caption="By IoU of boxes: the share of readers whom the rater could replace (winning_rate), the share of films in "
    "which it fits the others as well as the reader does (advantage), with its 95 % bootstrap interval over patients.",
    key=["rater"],
)
page.quote(
    n_replacing=int(placed.set_index("rater")["passed"].loc[names].sum()),
    best_advantage=placed.set_index("rater")["advantage"].loc[names].max(),
    localizer_advantage=placed.set_index("rater")["advantage"].loc[localizer],
)

# %% [markdown]
# Methods that may replace a reader: {num}`readers/n_replacing`. The best fits the others as well as the reader does in
# {num}`readers/best_advantage .0%` of the films, the localizer in {num}`readers/localizer_advantage .0%`.
#
# ## Does a network that learned more have better maps?

# %%
learned = beside_readers.by_training(reading, names, n_boot)
panels = {"utility": f"AUPRC ({held})"} | {name: f"{name}, IoU" for name in study.criteria.partners}
page.figure(
    plots.by_training_share(learned, panels),
    "readers_training",
    caption="Boxes of networks that learned from fewer images: what they find, and how alike two networks' boxes are.",
    alt="Lines by method. "
    + "; ".join(
        f"{images:,} images: mean AUPRC {own[own['criterion'] == 'utility']['mean'].mean():.2f}"
        for images, own in learned.groupby("images", sort=False)
    )
    + ".",
)
page.table(
    learned, "readers_training", caption="The numbers of the figure above, with the AUC of the main network.", rows=6,
    key=["share", "method", "criterion", "score"],
)  # fmt: skip
page.quote(**beside_readers.ends_of_training(learned))

# %% [markdown]
# With {num}`readers/images_all ,d` images the main network has an AUC of {num}`readers/auc_all .2f`, and its methods a
# mean AUPRC of {num}`readers/auprc_all .3f`; with {num}`readers/images_fewest ,d` images it has
# {num}`readers/auc_fewest .2f`, and they {num}`readers/auprc_fewest .3f`.
#
# ## What was left out

# %%
empty = beside_readers.empty_maps(reading, names)
page.table(
    empty,
    "empty",
    caption="Maps without a single pixel by each mode, and readers who drew nothing. The study's code leaves pairs of "
    "empty boxes out of its means.",
    key=["rater"],
)

# %%
if reading.exact is not None:
    joined = beside_readers.consensus_beside_exact(reading, n_boot)
    page.figure(
        plots.consensus_bars(joined[joined["score"] == "iou"]),
        "consensus",
        caption="How well each way to join the readers finds the exact truth, and each reader alone: IoU with 95 % "
        "bootstrap intervals over patients.",
        alt="Dots. IoU: " + in_words(joined[joined["score"] == "iou"].set_index("truth")["mean"], name=str) + ".",
    )
    page.table(joined, "consensus", caption="The numbers of the figure above.", key=["truth", "score"])

# %% [markdown]
# ## Beside the study
#
# The study's own numbers are those of its abstract. The same kind of number of this page's maps and readers stands
# beside them: the consensus that holds each reader, the area by trapezoids, the IoU of boxes.

# %%
beside = beside_readers.beside_published(means, reading, names)
page.table(beside, "published", caption="The abstract's numbers, and those of this data set.", key=["what"])

# %%
page.close()
