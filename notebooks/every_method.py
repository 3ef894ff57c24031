# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every method on the same images
#
# The other chapters judge eight methods. Here are all {num}`every_method/n_methods` that this book knows, on the
# same images and the same network, family by family. They were not chosen to look good: the images are the first that
# the other chapters explain.

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a data card
profile = "quick"  # profile: smoke, quick or full
protocol = "corrected"  # protocol: corrected, published or as_run
seed = 0  # seed: of everything that is drawn at random
methods = "all"  # methods: a family, or names, comma-separated
n_shown = 2  # count: images in the figures
n_paths = 6  # count: images whose integrated gradients are checked for completeness

# %%
import pandas as pd

from saltrust import plots
from saltrust.analysis.every_method import RULES, VARIANTS, cost_table, mean_auprc, order_words, path_steps
from saltrust.chapters.page import Page
from saltrust.core.progress import track
from saltrust.methods.registry import FAMILIES, METHODS, select
from saltrust.study.maps import residual
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("every_method", study)
names = select(methods)
test = study.images.split("test")
shown = study.images.explained[:n_shown]
truth = test.truth[list(shown)]
study.maps.raw("grad", images=shown[:1])  # loads the network, so that no method's time below holds that
maps = {name: study.maps.display(name, images=shown) for name in track(names, "maps")}


# %%
def grid(columns):
    """One row for each shown image, a column for each label: (n, h, w) maps."""
    rows = [
        (f"image {i + 1}", test.pixels[index], truth[i], {label: values[i] for label, values in columns.items()})
        for i, index in enumerate(shown)
    ]
    return plots.map_grid(rows)


for family in (family for family in FAMILIES if any(METHODS[name].family == family for name in names)):
    members = [name for name in names if METHODS[name].family == family]
    listed = ", ".join(f"{METHODS[name].title} ({METHODS[name].abbreviation})" for name in members)
    page.figure(
        grid({METHODS[name].abbreviation: maps[name] for name in members}),
        f"family_{family}",
        caption=f"{FAMILIES[family]}: {listed}. {study.networks.title()}, test images with the finding, the truth "
        "outlined in "
        "cyan; each map is scaled to its own range, dark is low, bright is high.",
        alt=f"A grid of {len(shown)} images by {len(members)} maps: {listed}.",
    )

# %% [markdown]
# ## One name, several maps
#
# A method is not a map before its parameters are told. Integrated Gradients compares the image with a baseline, and
# what equals the baseline gets nothing: on black, dark findings vanish; on white, bright ones. SmoothGrad is a mean of
# gradients in one library and a mean of their squares in another.

# %%
variants = {
    label: study.maps.display(name, images=shown, **parameters) for label, (name, parameters) in VARIANTS.items()
}
page.figure(
    grid(variants),
    "variants",
    caption="Integrated Gradients from four baselines, and the two SmoothGrads. Same network, same images.",
    alt="A grid of the shown images by six maps: Integrated Gradients from a black, a white, both and a blurred "
    "baseline, SmoothGrad as a mean and as a mean of squares.",
)
page.quote(
    **{f"auprc_ig_{start}": mean_auprc(variants[f"IG {start}"], truth) for start in ("black", "white", "both", "blur")}
)

# %% [markdown]
# On these images alone, the AUPRC of IG is {num}`every_method/auprc_ig_black` from black,
# {num}`every_method/auprc_ig_white` from white, {num}`every_method/auprc_ig_both` from both and
# {num}`every_method/auprc_ig_blur` from the blurred image.
#
# ## Does Integrated Gradients add up?
#
# The map should sum to $f(x) - f(x')$. The sum over a few points on the path only approaches it; how fast depends on
# where the points lie.

# %%
steps = path_steps(study)
paths = study.images.explained[:n_paths]
residuals = pd.DataFrame(
    {"rule": label, "steps": n, "residual": residual(study.maps.raw("ig", images=paths, steps=n, quadrature=rule))}
    for rule, label in track(RULES.items(), "completeness", len(RULES))
    for n in steps
)
first = residuals[residuals["steps"] == steps[0]].set_index("rule")["residual"]
page.quote(
    residual_steps=steps[0],
    residual_middle=first[RULES["riemann_middle"]],
    residual_ends=first[RULES["riemann"]],
    residual_gauss=first[RULES["gauss_legendre"]],
    order=order_words(residuals),
)

# %% [markdown]
# {num}`every_method/order` A rule of high order is made for smooth functions, and the gradient of a network of ReLUs
# jumps along the way: from few points it need not gain.

# %%
page.figure(
    plots.residual_lines(residuals),
    "residuals",
    caption="By what share the maps of Integrated Gradients miss the sum that they should have (baseline: "
    f"{study.protocol.baseline}), against the number of points on the path, for three rules of placing them; "
    f"{len(paths)} images.",
    alt="Line chart of the residual against the number of points: "
    + "; ".join(
        f"{rule}: " + ", ".join(f"{r.residual:.0%} at {r.steps}" for r in rows.itertuples())
        for rule, rows in residuals.groupby("rule", sort=False)
    )
    + ".",
)
page.table(
    residuals,
    "residuals",
    caption="Residual of Integrated Gradients, sum |map's sum - total| / sum |total|, by rule and number of points.",
)

# %% [markdown]
# ## What each costs, and whether it adds up
#
# *Passes* are runs of the network per image at this profile's sizes, forward and (but where marked) backward; none is
# given where their number depends on the network. *Residual* is how far the maps miss the number that they should add
# up to, as a share of it: it is kept beside every map of a method that promises completeness. AUPRC on
# {num}`every_method/n_images` images says little; the [chapter on utility](localization.md) has more.

# %%
table = cost_table(
    parameters={name: study.maps.parameters(name) for name in names},
    seconds={name: study.maps.seconds(name, shown) / len(shown) for name in names},
    auprc={name: mean_auprc(maps[name], truth) for name in names},
    faults=study.maps.faults(methods, (study.networks.main,), shown),
)
page.table(
    table,
    "every_method",
    caption="Each method on the images above: passes and seconds per image, mean AUPRC, maps that are broken, "
    "constant or empty, and the residual of complete methods. Seconds on the machine named below.",
)
complete = table.dropna(subset="residual")
page.quote(
    n_methods=len(names),
    n_images=len(shown),
    n_faults=int(table["faults"].sum()),
    n_complete=len(complete),
    worst_residual=complete["residual"].max() if len(complete) else 0.0,
    worst_residual_method=complete.loc[complete["residual"].idxmax(), "method"] if len(complete) else "none",
)
page.close()

# %% [markdown]
# {num}`every_method/n_faults` maps are broken, constant or empty (the constant control is meant to be). Of the
# {num}`every_method/n_complete` complete methods, the largest residual is that of
# {num}`every_method/worst_residual_method`: {num}`every_method/worst_residual .1%`.
