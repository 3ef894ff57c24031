# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One name, several libraries
#
# A paper says "Integrated Gradients" and a reader installs a library. Is it the same map? Here captum
# {cite}`kokhlikyan2020captum`, PAIR saliency {cite}`pair2022saliency`, pytorch-grad-cam {cite}`gildenblat2021pytorch`
# and zennit {cite}`anders2021software` explain the images and the network of the other chapters, told the same as our
# own methods. Each of their methods has a name, `captum:ig`, that any chapter takes.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "libraries"  # methods: of other libraries: all, a library ("captum"), or names ("captum:ig"), comma-separated
n_images = 4  # count: images that are explained
most_passes = 200  # count: passes of the network for each image; methods that take more are left out
n_boot = 1000  # resamples: of the images

# %%
from saltrust import plots
from saltrust.analysis.audit.libraries import functional_relu
from saltrust.analysis.libraries.comparison import AGREES, compare, compared_methods, refusals, side_by_side, warm_up
from saltrust.analysis.libraries.examples import example_table
from saltrust.chapters.page import Page
from saltrust.core.progress import track
from saltrust.methods.registry import METHODS
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("libraries", study)
names = compared_methods(study, methods, most_passes)
shown = study.images.explained[:n_images]
for maps in track(warm_up(study, names), "libraries", len(names)):
    study.store.get(maps)  # imports each library, so that no method's time below holds that
refused = refusals(study, names, n_images)
made = [name for name in names if name not in refused]

# %% [markdown]
# ## Do the maps agree?
#
# All libraries explain the same {num}`libraries/n_images` images with the finding, on the same network, with the
# protocol's parameters. *raw_difference* is the largest difference of a raw map to ours, as a share of our largest
# value. Maps are shown and scored in [0, 1]; *shown_difference* is what is left there. Below
# {num}`libraries/agrees` nobody will see it. Where it is more, *why* says what the library does otherwise; and where
# that is a setting which the library has fixed, *told_the_same* is what is left once ours has it as well.

# %%
table, key = compare(study, made, n_images, n_boot), ["method", "library"]
page.table(
    table[[*key, "version", "raw_difference", "shown_difference", "told_the_same", "rank_correlation", "why"]],
    "agreement",
    caption="Other libraries' maps beside ours: the largest difference, raw, as shown, and where ours is told what the "
    "library does not let one choose; the mean rank correlation of pixels, and why they differ.",
    key=key,
)
agree = table[table["shown_difference"] <= AGREES]
least = table.loc[table["rank_correlation"].idxmin()] if table["rank_correlation"].notna().any() else table.iloc[0]
page.quote(
    n_images=len(shown),
    n_compared=len(names),
    n_refused=len(refused),
    n_agree=len(agree),
    agrees=AGREES,
    least=f"{least['library']}:{least['method']}",
    least_correlation=least["rank_correlation"],
    refused="; ".join(f"{name}: {why}" for name, why in refused.items()) or "none",
)

# %% [markdown]
# Of {num}`libraries/n_compared` methods, {num}`libraries/n_agree` give the map that ours gives. The least like ours is
# {num}`libraries/least`, with a rank correlation of {num}`libraries/least_correlation .2f`. Refused on this network:
# {num}`libraries/n_refused` ({num}`libraries/refused`).

# %%
image, pixels = shown[0], study.images.split("test")
rows = side_by_side(study, made, n_images)
grid = [(METHODS[ours].abbreviation, pixels.pixels[image], pixels.truth[image], row) for ours, row in rows.items()]
correlations = table.set_index(["method", "library"])["rank_correlation"]
notes = [
    {library: f"{correlations[ours, library]:.2f}" for library in row if (ours, library) in correlations.index}
    for ours, row in rows.items()
]
page.figure(
    plots.map_grid(grid, notes),
    "side_by_side",
    caption="One image, a method in each row and a library in each column; above each map, the rank correlation of its "
    f"pixels with those of ours. {study.networks.title()}; the truth outlined in cyan; empty where a library lacks "
    "the method.",
    alt="A grid of methods by libraries. Rank correlation with ours: "
    + "; ".join(f"{one.library} {one.method} {one.rank_correlation:.2f}" for one in table.itertuples())
    + ".",
)

# %% [markdown]
# ## What do they cost, and what do they change?
#
# *ratio* is a library's time over ours, for the same map. Libraries are timed as they are called here, one map after
# the other; importing them is not counted. AUPRC and the verdict on utility are on these images alone; an interval over
# so few images is wide, and a verdict under it says little but whether two libraries agree on it.

# %%
page.table(
    table[[*key, "seconds", "ratio", "auprc", "our_auprc", "verdict", "our_verdict"]],
    "cost",
    caption="Seconds for one map, and their ratio to ours; mean AUPRC, and the verdict on utility against the average "
    "truth, of the library's maps and of ours.",
    key=key,
)
apart = table[table["verdict"] != table["our_verdict"]]
slowest = table.sort_values("ratio").iloc[-1]
moves = (table["auprc"] - table["our_auprc"]).abs()
page.quote(
    median_ratio=table["ratio"].median(),
    slowest=f"{slowest['library']}:{slowest['method']}",
    slowest_ratio=slowest["ratio"],
    n_apart=len(apart),
    apart=", ".join(apart["library"] + ":" + apart["method"]) or "none",
    auprc_most=f"{table.loc[moves.idxmax(), 'library']}:{table.loc[moves.idxmax(), 'method']}",
    auprc_from=table.loc[moves.idxmax(), "our_auprc"],
    auprc_to=table.loc[moves.idxmax(), "auprc"],
)

# %% [markdown]
# The median ratio is {num}`libraries/median_ratio .1f`, the largest that of {num}`libraries/slowest`
# ({num}`libraries/slowest_ratio .1f`). AUPRC moves most for {num}`libraries/auprc_most`, from
# {num}`libraries/auprc_from .3f` to {num}`libraries/auprc_to .3f`. Verdicts that differ from ours:
# {num}`libraries/n_apart` ({num}`libraries/apart`).
#
# ## Where they part: the smallest examples
#
# Networks of a few numbers, where the right answer can be worked out by hand. None of these libraries warns of what it
# does here.

# %%
examples = example_table()
page.table(
    examples[["library", "title", "network", "measure", "should_be", "ours", "theirs", "refusal"]],
    "examples",
    caption="What libraries do otherwise, on the smallest network that shows it: what the number should be, what it is "
    "here, and what the library makes of it; or its words where it refuses.",
    key=["library", "title"],
)
found = examples.set_index("name")["theirs"]
page.quote(n_examples=len(examples), guided_share=functional_relu.demonstrate(study)[1])
page.quote(**{name: found[name] for name in ("smoothgrad_absolute", "smoothgrad_squares") if name in found})
page.close()

# %% [markdown]
# **Three SmoothGrads.** For a gradient of −2 everywhere, the mean of the gradients is −2. captum's default, SmoothGrad
# of its Saliency, is the mean of absolute values, {num}`libraries/smoothgrad_absolute`; PAIR saliency's default is the
# mean of squares, {num}`libraries/smoothgrad_squares`. In the tables above all are told to take the mean.
#
# **Functions that hooks do not see.** captum hooks modules. Of the rectifiers of InceptionV3, as torchvision builds it,
# {num}`libraries/guided_share .0%` are modules; the others are calls of a function, and pass through Guided
# Backpropagation, Deconvolution and DeepLIFT as if they were not there.
#
# **Paths.** Integrated Gradients is a sum over points on a path. Where the points lie, and what they weigh, is the
# library's choice: [](every_method.md) shows how much that leaves.
#
# **Settings of XRAI.** Its paths start at black and white in the paper. PAIR saliency's default starts them at the
# least and the largest value of the image itself, which need be neither; here it is told black and white.
