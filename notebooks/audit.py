# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the code did
#
# A paper says in a few pages what a program does in a thousand lines. Where the authors have published their code, the
# two can be compared. This chapter lists where text and code of {cite:t}`arun2021assessing`,
# {cite:t}`tjoa2020quantifying` and {cite:t}`venkatesh2024gradient` part, and runs both sides: once as a reader of the
# text would have it, once as the code had it, on the images and maps of this data set. All else is held as the protocol
# of this page has it, so that each number shows one difference alone. Most of this is defaults of libraries, and it
# could be found only because the code is public.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "paper"  # methods: in the table of SSIM: the paper's eight; or "all", a family, or names, comma-separated

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.audit.arun import SSIM_STEPS, ssim_at
from saltrust.analysis.audit.preparations import PREPARATIONS, in_every_way, scores_by_preparation
from saltrust.analysis.audit.table import audit
from saltrust.analysis.words import in_words
from saltrust.chapters.page import Page
from saltrust.methods.registry import label_of, select
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("audit", study)
names = select(methods)

# %%
findings = audit(study)
page.table(
    findings[["finding", "measure", "as_text", "as_code", "text", "code", "paper"]],
    "audit",
    caption="Where text and code part: one number for each, as in the text and as in the code; and what they say.",
)
for row in findings.itertuples():
    page.quote(**{f"{row.name}_text": row.as_text, f"{row.name}_code": row.as_code})
page.quote(n_findings=len(findings), n_images=len(study.images.explained), main_title=study.networks.title())

# %% [markdown]
# ## What is explained
#
# **The predicted class.** The code differentiates the larger of two outputs. Where the network misses the finding, the
# map explains why it sees none, and is then scored against the finding. This holds for
# {num}`audit/predicted_class_code .0%` of the {num}`audit/n_images` images with the finding that have maps here. The
# protocols `corrected` and `published` explain the output for the finding; with several classes there is no such
# output, and the predicted class is explained.
#
# **A class that moves.** The larger output is looked up anew for each randomized network. For
# {num}`audit/moving_class_code .0%` of the images, the network with all its weights random predicts another class than
# the trained one: the two maps then answer two questions, and may differ for that alone.
#
# ## How the maps are made
#
# **SmoothGrad, squared.** By definition it is the mean of noisy gradients {cite}`smilkov2017smoothgrad`; the library's
# default is the mean of their squares, which drops the sign and stresses outliers. The mean AUPRC is
# {num}`audit/squares_text .3f` as a mean and {num}`audit/squares_code .3f` as a mean of squares. A third definition,
# the root of the summed squares over their number (MONAI), orders the values as the squares do. Protocol: `power`.
#
# **Steps of Integrated Gradients.** The maps should add up to the change of the output. With the 25 steps of the text
# they miss {num}`audit/steps_text .0%` of it, with the 10 of the code {num}`audit/steps_code .0%`, both by the
# library's rule, which counts both end points in full; the rule of `corrected` leaves less ([](every_method.md)).
#
# **Ranges that follow the image.** Noise, and the two baselines of XRAI, are set by the darkest and the brightest pixel
# of each image. Here that range is {num}`audit/own_range_code .0%` of what the network accepts, on average; a dull
# image gets less noise than a brilliant one. The protocols `corrected` and `published` take the input's range.
#
# **Guided Grad-CAM of displayed maps.** The product is taken after both maps were made absolute, clipped and rescaled
# for display. Mean AUPRC: {num}`audit/displayed_product_text .3f` for the product of the raw maps,
# {num}`audit/displayed_product_code .3f` for that of the displayed ones.
#
# **Where Guided Grad-CAM looks.** Tjoa and Guan ask it for the first convolution, where a channel is a filter for edges
# and the map a fine one. Mean AUPRC: {num}`audit/first_layer_text .3f` at the layer where Grad-CAM is taken here,
# {num}`audit/first_layer_code .3f` at the first.
#
# **Validated on other images.** Tjoa and Guan train AlexNet and VGG on 224 pixels a side; the code validates them on
# the images as they are drawn, 512 pixels a side. {num}`audit/main_title` here has a validation accuracy of
# {num}`audit/validated_large_text .2f` on images of its own side, and of {num}`audit/validated_large_code .2f` on
# images as much larger as theirs were. So the text's "0.96 is not exceeded throughout", beside a test accuracy of 0.980
# and 0.986, need say nothing of the networks: what was measured was another task.
#
# **Eight depths, one network.** The number of added convolutions goes to a setting that the network does not read. Of
# the {num}`audit/same_layers_text .0f` that the last network should have, it has {num}`audit/same_layers_code .0f`, as
# all of them: the appendix found "no significant observable trend" among eight trainings of one network.
#
# **A grid that is told wrongly.** At 320 pixels one position in the last block of InceptionV3 covers
# {num}`audit/grid_code .1%` of a side, not the {num}`audit/grid_text .0%` of the text: it stands for a wider field than
# the reader believes.
#
# **One map without signs.** Of Tjoa and Guan's eight methods, one drops the signs, by a default of captum. Of a
# gradient's magnitude {num}`audit/signs_text .0%` is positive here and can lie in a positive band; without signs it is
# {num}`audit/signs_code .0%`. That Saliency has the highest recall, as they find, is thus not a comparison of like with
# like; [](#cells-fair_comparison) makes it one.
#
# **Rectifiers that hooks do not see.** captum guides the gradient at modules of class `ReLU`. Of the rectifiers of
# InceptionV3, as torchvision builds it, {num}`audit/functional_relu_code .0%` are: it calls a function. Guided
# Backpropagation is then the gradient under another name, and nothing says so. Here every call is seen, and a map that
# equals the gradient is refused.

# %% [markdown]
# ## How they are compared: three choices inside SSIM
#
# From the text to the code in three steps: what is compared, the window, and the range of values.

# %%
ladder = pd.DataFrame({name: ssim_at(study, name, names) for name in SSIM_STEPS}).loc[names]
TITLES = {
    "raw": "raw maps,\nWang's window",
    "absolute": "absolute,\nclipped",
    "uniform": "7 × 7,\nequal weights",
    "range_2": "range 2\n(as run)",
}
page.figure(
    plots.score_matrix(ladder, TITLES),
    "ssim_settings",
    caption="SSIM of the same pairs of maps (two replicates, mean over the images), from the text on the left to the "
    "code on the right, one change at a time. The darker, the higher the rank within a column.",
    alt="A matrix of methods by settings of SSIM. Means from left to right: "
    + "; ".join(f"{label_of(name)} " + ", ".join(f"{v:.2f}" for v in row) for name, *row in ladder.itertuples())
    + ".",
)
moves = (ladder["range_2"] - ladder["raw"]).abs()
page.quote(
    ladder_most=label_of(moves.idxmax()),
    ladder_most_from=ladder.loc[moves.idxmax(), "raw"],
    ladder_most_to=ladder.loc[moves.idxmax(), "range_2"],
    ladder_above_text=int((ladder["raw"] > 0.5).sum()),
    ladder_above_code=int((ladder["range_2"] > 0.5).sum()),
    ladder_n=len(ladder),
)

# %% [markdown]
# **Maps.** Footnote 2 says that raw maps are compared; the code makes them absolute and clips them. Mean over the
# paper's eight methods: {num}`audit/preparation_text .3f` and {num}`audit/preparation_code .3f`. **Window.** The cited
# index has a Gaussian window, scikit-image's default weighs all pixels alike: {num}`audit/window_text .3f` and
# {num}`audit/window_code .3f`. **Range.** The library took 2 for any map of floating-point numbers, which quadruples
# both constants: {num}`audit/data_range_text .3f` and {num}`audit/data_range_code .3f`. Most moved is
# {num}`audit/ladder_most`, from {num}`audit/ladder_most_from .2f` to {num}`audit/ladder_most_to .2f`. Above the paper's
# baseline of 0.5 are {num}`audit/ladder_above_text` of {num}`audit/ladder_n` methods by the text's settings and
# {num}`audit/ladder_above_code` by the code's. See [](../../concepts/ssim.md).
#
# **Two ranges, one comparison.** The U-Nets' outputs were stored as bytes, whose inferred range is their own; the
# maps' is twice theirs, and so is that of the RetinaNets, which were stored as floating-point numbers. The localizers'
# SSIM here is {num}`audit/high_baseline_text .3f` by the maps' rule and {num}`audit/high_baseline_code .3f` by the rule
# of the code.
#
# **Maps without a value.** A map that is the same everywhere is divided by its range, which is 0, and its SSIM is no
# number; the code leaves such pairs out of the mean. A method is then judged by its good maps alone. Were every second
# map of Grad-CAM of the replicate empty, the SSIM of replicates would be {num}`audit/constant_maps_text .3f` with all
# maps and {num}`audit/constant_maps_code .3f` by the code. Here an empty map counts as what it is.

# %%
test = study.networks.test()
index = study.images.explained[0]
image, truth = test.pixels[index], test.truth[index]
one, other = (
    in_every_way(study.maps.raw("grad", model).values[0]) for model in (study.networks.main, study.networks.replicate)
)
scores = scores_by_preparation(one, other, truth)
notes = [
    {row.Index: f"AUPRC {row.auprc_first:.2f}" for row in scores.itertuples()},
    {row.Index: f"AUPRC {row.auprc_second:.2f}\nSSIM {row.ssim:.2f}" for row in scores.itertuples()},
]
page.figure(
    plots.map_grid([("network 1", image, truth, one), ("replicate", image, truth, other)], notes),
    "preparations",
    caption=f"One gradient, prepared in {len(PREPARATIONS)} ways before it is scored, from two replicates of one "
    "network; the truth outlined. SSIM is that of the two maps in a column.",
    alt=f"Two rows of {len(PREPARATIONS)} maps of one image. SSIM of the two networks' maps: "
    f"{in_words(scores['ssim'], name=str)}.",
)
page.quote(alike_least=scores["ssim"].min(), alike_most=scores["ssim"].max())

# %% [markdown]
# One pair of gradients, and an SSIM from {num}`audit/alike_least .2f` to {num}`audit/alike_most .2f`.
#
# ## How they are scored for utility
#
# **Clipping.** At the 99th percentile the highest hundredth of the pixels is made equal, and utility is a matter of
# just these. Mean AUPRC of the gradient: {num}`audit/clipping_text .3f` without, {num}`audit/clipping_code .3f` with
# it.
#
# **The area under the curve.** A map that is the same everywhere, or empty, scores {num}`audit/area_text .3f` by
# average precision and {num}`audit/area_code .3f` by straight lines ([](../../concepts/auprc.md)). A method whose maps
# are often empty gains from it.
#
# ## What they are compared with
#
# **The average mask saw the test set.** In the script for RSNA the mean of the truth is taken over test images, so that
# it holds each answer it is scored against. Its mean AUPRC here: {num}`audit/leak_text .3f` from training and
# validation images, {num}`audit/leak_code .3f` from test images. The fewer test images, the larger the leak.
#
# **Pairs behind the threshold.** Fifty random pairs of maps are drawn anew for each method, without a seed. The
# threshold of the method that suffers most then varies by {num}`audit/draws_code .3f` (95 % of the draws; none where
# there are no more than 50 pairs). The protocol `corrected` draws once, with a seed, for all methods.
#
# **A folder with two names.** For SIIM, the script for reproducibility takes its second maps from a folder that the
# script for the cascade reads as that of an InceptionV3. The path may be a leftover; or else the reproducibility of
# SIIM is a second repeatability. It would matter: the mean SSIM of eight methods is {num}`audit/folder_text .3f` with
# the other architecture and {num}`audit/folder_code .3f` with the replicate. This is a lead and no proof.
#
# **Two columns with the same deviations.** In the part of Table S1 on segmentation, the standard deviation beside each
# threshold is that beside the SSIM after all weights are random, in all eight rows: the largest difference is
# {num}`audit/deviations_text .3f`. The two are of different samples; here they differ by up to
# {num}`audit/deviations_code .3f`. One of the columns seems to have been copied; the means differ.
#
# **Boxes scaled by 1023.** Boxes on files of 1024 pixels are divided by 1023 and cut to whole pixels. Their overlap
# with the right boxes is {num}`audit/boxes_code .3f` on average: less than a pixel a side, which matters for the
# smallest boxes only.
#
# **Statistics that are not randomized.** The code of {cite:t}`adebayo2018sanity` draws trainable variables anew. The
# running mean and variance of batch normalization are not among them, and go on describing the data. SSIM of guided
# backpropagation with the trained network's map, after all weights are random: {num}`audit/batchnorm_text .3f` where
# they are reset, {num}`audit/batchnorm_code .3f` where they are kept (the same on a network without batch
# normalization). Whether Arun and colleagues kept them is not known.
#
# ## Tjoa and Guan's cells and score
#
# These need no trained network, and are the same on every page but for the last.
#
# **Missed pixels counted twice.** Read to the letter, the text makes a pixel of the cell that the map leaves blank a
# false positive besides a false negative. A map that is 1 on the feature and 0 elsewhere would have a precision of
# {num}`audit/missed_text .2f` instead of {num}`audit/missed_code .2f`. The code counts as one expects, and so do all
# protocols here.
#
# **A plus without a pole.** Algorithm 2 as printed asks for a pixel both above and below one and the same line. Drawn
# so, {num}`audit/pole_text .0%` of the plus cells equal the minus cell; with the sign of the code,
# {num}`audit/pole_code .0%`.
#
# **A background that shows through.** The background is added wherever a colour channel of the cell is almost 0, so
# that it shows inside {num}`audit/compositing_code .0%` of the rectangular cells, whose colours have two dark channels:
# a clue to the background where the truth says *cell*.
#
# **Rectangles turned about the image.** Rectangular cells are shifted, and then the picture is turned about its own
# centre; round cells are turned first. {num}`audit/turned_code .0%` of the rectangles come to lie further out along an
# axis than any round cell, and what had been shifted out of the picture is missing where they lie.
#
# **A truth with a rim.** Images and truth are drawn on 512 pixels a side and then made smaller with interpolation.
# Around a feature, whose value is 0.9, the truth then passes through the values of the body:
# {num}`audit/rim_code .1%` of the pixels of band 1 of rectangular cells are such a rim.
#
# **An average above 1.** The text sums over 56 thresholds and divides by 55. A map that is right at all of them has an
# average recall of {num}`audit/divisor_text .3f`; by the code {num}`audit/divisor_code .3f`.
#
# **Axes of the ROC curve.** The plot has recall on the axis that is labelled as the false positive rate, and the other
# way round. At the strictest threshold the truth itself, taken as a map, lies {num}`audit/axes_text +.2f` from the
# diagonal as the text defines it and {num}`audit/axes_code +.2f` as it was plotted: what is called better is worse.
# "Deconvolution appears to be the best" is read from that plot. Put right, it is the one method below the diagonal.
#
# **What clamping clamps.** The text clamps maps whose largest value is 1, the code raw attributions, in units of the
# output. Of the values of the gradient of {num}`audit/main_title` on this data set, the limit of 0.1 cuts
# {num}`audit/clamping_text .1%` by the text and {num}`audit/clamping_code .1%` by the code.
#
# ## Beside radiologists
#
# {cite:t}`venkatesh2024gradient` hold maps against the marks of three radiologists ([](../../concepts/agreement.md)).
# Their code is public; of their text only the abstract is at hand, which speaks of none of this.
#
# ### Networks
#
# **A checkpoint chosen on the test set.** The checkpoint that is kept is the one with the best AUC on the test set, and
# the learning rate falls when the loss there stops to fall. Let 75 checkpoints be equally good, and their outputs
# correlate by 0.9. The best of them on 1,311 test films then seems better than they are by
# {num}`audit/chosen_on_test_code .3f`; one that is chosen on other films by {num}`audit/chosen_on_test_text .3f`. That
# is little, and concerns the networks rather than their maps. But nobody can tell from the outside that it is little.
#
# **A test of resamples.** Networks are compared by Tukey's test on 1,000 bootstrap values of each. These are no
# sample: whoever draws more of them gets a smaller p. Of pairs of networks that are equally good, the test calls
# {num}`audit/bootstrap_values_code .0%` different at p < 0.05. The bootstrap interval of the difference, of the same
# resamples, calls {num}`audit/bootstrap_values_text .0%` so.
#
# **Films that are squeezed.** Networks are trained and judged on the middle square of a film, and maps are made on the
# whole film, squeezed to a square. Readers' marks are squeezed likewise, so maps and marks fit each other. But the
# network is explained on bones of a shape that it was not trained on. Were the images here the middle of films of
# 512 × 400 pixels, {num}`audit/squeezed_code .0%` of them would get another class.
#
# **Random networks that see nothing.** In the test of sensitivity each stage is drawn by torch's defaults, and the
# statistics of batch normalization are reset. Nothing then keeps the scale, and the image fades from layer to layer.
# For {num}`audit/dead_networks_code .0%` of the images here, the output of the fully random network is the same as for
# a blank image, to a millionth of what the trained one makes of the difference; with weights that keep the scale it is
# so for {num}`audit/dead_networks_text .0%`. It takes a deep network to get there: InceptionV3 is deep enough. A map of
# such a network explains a number that no image changes. That it differs from the trained network's map proves little.
#
# ### From maps to masks
#
# **Boxes that an opening deletes.** Maps are scored raw, cut at Otsu's threshold, and as boxes around the parts that
# are left. An opening, meant to remove specks, deletes all that is no wider than an eighth of the image. Of the boxes
# of Integrated Gradients here, {num}`audit/opening_code .0%` are deleted. A map that loses all is empty.
#
# **Boxes that lose their corners.** The opening is by a disk, so that what it leaves is round. A box of 60 × 60 pixels
# in an image of 320 × 320 keeps {num}`audit/corners_code .0%` of its area. The readers' boxes keep their corners, so
# that no box of a map can equal one of theirs.
#
# **Edges whose boxes are kept.** The low baseline, Canny's edges, gets boxes too, and no opening. Their mean AUPRC here
# is {num}`audit/kept_edges_code .3f` as they are, and {num}`audit/kept_edges_text .3f` once opened as those of maps.
#
# ### How masks are compared
#
# **Pixels that are not 0.** The IoU of two maps is that of their pixels that are not 0. In a raw map nearly all pixels
# are not. So the gradients of *different* images here have an IoU of {num}`audit/raw_overlap_code .3f`, and of
# {num}`audit/raw_overlap_text .3f` where both are cut at Otsu's threshold. In the raw mode, a test that asks for an IoU
# above 0.5 asks for nothing.
#
# **Pairs that are left out.** Two empty masks have no IoU, and the code leaves them out of the mean. A method is then
# judged by the images on which it shows something. The mean IoU of the boxes of two replicates, over six methods, is
# {num}`audit/dropped_pairs_code .3f` by the code, and {num}`audit/dropped_pairs_text .3f` if two maps that show nothing
# count as no agreement about the finding.
#
# **Readers in their own consensus.** A radiologist is held against the consensus of three, which holds his own marks; a
# map is held against another map. Of readers who were simulated to agree as theirs did, one has a mean IoU of
# {num}`audit/own_consensus_code .3f` with the consensus and of {num}`audit/own_consensus_text .3f` with another reader.
#
# **Outlines with a dent.** One reader drew some outlines instead of boxes. They are filled row by row from the leftmost
# to the rightmost pixel, which fills a dent from above. An outline in the shape of a U gets
# {num}`audit/convex_fill_code .2f` times its area.
#
# **Worse than a map of nothing.** The lowest AUPRC of the abstract is that of SmoothGrad,
# {num}`audit/nothing_text .3f`. By the rule that the code follows, straight lines, an empty map has
# {num}`audit/nothing_code .3f` on the marks of the simulated readers ([](../../concepts/auprc.md)). A method that loses
# all its boxes in the opening would be ahead of it.
#
# **A column that holds the last verdict.** The column of a table that says PASS or FAIL is set anew for each row, as a
# whole. The file then has the last verdict in every row. Here, with six methods in three modes, each against edges by
# its mean, {num}`audit/overwritten_code .0%` of the rows would hold a verdict that is not theirs.
#
# ## A paper without public code
#
# {cite:t}`shu2024informer` have published none. What can be set beside their text is what their own numbers give, and
# what their test does on other data. The first three need no network, and are the same on every page.
#
# **One film behind 51,000 cases.** The text reckons that an alarm finds {num}`audit/one_film_text ,.0f` more cases of
# consolidation a year. The sensitivity, the specificity and the F1 that it prints fit one set of whole numbers, in
# which the alarm finds {num}`audit/one_film_code .0f` film more of 284 ([](../../concepts/alarm.md)).
#
# **Means that do not follow.** Of the {num}`audit/printed_means_text .0f` means of their Table 1,
# {num}`audit/printed_means_code .0f` follow from their rows. All do if the two cells of consolidation, in the rows of
# Input × Gradient and LRP, change places; most likely they stand in each other's.
#
# **Two areas for one network.** The mean AUC on the test set is over {num}`audit/two_areas_text .1f` in the discussion
# and {num}`audit/two_areas_code .3f` in the methods.
#
# **A t-test over resamples.** The test films are drawn again 30 times, and a paired t-test takes the 30 for a sample.
# Its p falls as one draws more often, whatever the films. Between the eight methods here, by their mean AUPRC on
# {num}`audit/n_images` images, it calls {num}`audit/t_test_text .0%` of the pairs different (p ≤ 0.01) with 30
# resamples, and {num}`audit/t_test_code .0%` with 1,000 of the same images. A bootstrap interval does not depend on how
# often one draws.
#
# ## What this book does about it
#
# Each choice that can change a verdict is a field of the {term}`protocol`, in three versions: as the text says, as the
# code ran, and as we argue for ([](../../concepts/verdict.md)).

# %%
page.close()
