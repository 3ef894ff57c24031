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
from saltrust.chapters.page import Page
from saltrust.core.progress import track
from saltrust.methods.registry import FAMILIES, METHODS, select
from saltrust.scores.auprc import average_precision
from saltrust.study.quality_control import residual
from saltrust.study.study import Study

study = Study(dataset, profile, protocol, seed)
page = Page("every_method", study)
names = select(methods)
test = study.data("test")
shown = study.explained[:n_shown]
study.maps("grad", images=shown[:1])  # loads the network, so that no method's time below holds that
maps = {name: study.display(name, images=shown) for name in track(names, "maps")}


# %%
def grid(columns):
    """One row for each shown image, a column for each label: (n, h, w) maps."""
    return plots.map_grid(
        [
            (
                f"image {i + 1}",
                test.pixels[index],
                test.truth[index],
                {label: values[i] for label, values in columns.items()},
            )
            for i, index in enumerate(shown)
        ]
    )


def mean_auprc(values):
    """Over the shown images, of their maps (n, h, w)."""
    return sum(average_precision(values[i], test.truth[index]) for i, index in enumerate(shown)) / len(shown)


for family in (family for family in FAMILIES if any(METHODS[name].family == family for name in names)):
    members = [name for name in names if METHODS[name].family == family]
    listed = ", ".join(f"{METHODS[name].title} ({METHODS[name].abbreviation})" for name in members)
    page.figure(
        grid({METHODS[name].abbreviation: maps[name] for name in members}),
        f"family_{family}",
        caption=f"{FAMILIES[family]}: {listed}. {study.title()}, test images with the finding, the truth outlined in cyan; each "
        "map is scaled to its own range, dark is low, bright is high.",
        alt=f"A grid of {len(shown)} images by {len(members)} maps: {listed}.",
    )

# %% [markdown]
# ## One name, several maps
#
# A method is not a map before its parameters are told. Integrated Gradients compares the image with a baseline, and what
# equals the baseline gets nothing: on black, dark findings vanish; on white, bright ones. SmoothGrad is a mean of gradients
# in one library and a mean of their squares in another.

# %%
VARIANTS = {
    "IG black": ("ig", {"baseline": "black"}),
    "IG white": ("ig", {"baseline": "white"}),
    "IG both": ("ig", {"baseline": "black+white"}),
    "IG blur": ("ig", {"baseline": "blur"}),
    "SG mean": ("smoothgrad", {"power": 1}),
    "SG squares": ("smoothgrad", {"power": 2}),
}
variants = {label: study.display(name, images=shown, **parameters) for label, (name, parameters) in VARIANTS.items()}
page.figure(
    grid(variants),
    "variants",
    caption="Integrated Gradients from four baselines, and the two SmoothGrads. Same network, same images.",
    alt="A grid of the shown images by six maps: Integrated Gradients from a black, a white, both and a blurred baseline, "
    "SmoothGrad as a mean and as a mean of squares.",
)
page.quote(
    auprc_ig_black=mean_auprc(variants["IG black"]),
    auprc_ig_white=mean_auprc(variants["IG white"]),
    auprc_ig_both=mean_auprc(variants["IG both"]),
    auprc_ig_blur=mean_auprc(variants["IG blur"]),
)

# %% [markdown]
# On these images alone, the AUPRC of IG is {num}`every_method/auprc_ig_black` from black, {num}`every_method/auprc_ig_white`
# from white, {num}`every_method/auprc_ig_both` from both and {num}`every_method/auprc_ig_blur` from the blurred image.
#
# ## Does Integrated Gradients add up?
#
# The map should sum to $f(x) - f(x')$. The sum over a few points on the path only approaches it; how fast depends on where
# the points lie.

# %%
RULES = {
    "riemann_middle": "middle of equal steps",
    "riemann": "equal points, both ends",
    "gauss_legendre": "Gauss-Legendre",
}
steps = [study.profile.steps * factor for factor in (1, 2, 4)]
paths = study.explained[:n_paths]
residuals = pd.DataFrame(
    {
        "rule": label,
        "steps": n,
        "residual": residual(study.maps("ig", images=paths, steps=n, quadrature=rule)),
    }
    for rule, label in track(RULES.items(), "completeness", len(RULES))
    for n in steps
)
page.figure(
    plots.residual_lines(residuals),
    "residuals",
    caption=f"By what share the maps of Integrated Gradients miss the sum that they should have (baseline: {study.protocol.baseline}), against the number "
    f"of points on the path, for three rules of placing them; {len(paths)} images.",
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
first = residuals[residuals["steps"] == steps[0]].set_index("rule")["residual"]
page.quote(
    residual_steps=steps[0],
    residual_middle=first[RULES["riemann_middle"]],
    residual_ends=first[RULES["riemann"]],
    residual_gauss=first[RULES["gauss_legendre"]],
)

# %% [markdown]
# ## What each costs, and whether it adds up
#
# *Passes* are runs of the network per image at this profile's sizes, forward and (but where marked) backward; none is given where
# their number depends on the network. *Residual* is how
# far the maps miss the number that they should add up to, as a share of it: it is kept beside every map of a method that
# promises completeness. AUPRC on {num}`every_method/n_images` images says little; the [chapter on utility](localization.md)
# has more.

# %%
faults = study.faults(methods, (study.main,), shown).set_index("method")
rows = []
for name in names:
    method, parameters = METHODS[name], study.parameters(name)
    rows.append(
        {
            "method": name,
            "family": method.family,
            "passes": method.passes(parameters) or (0 if method.family == "control" else None),
            "backward": method.backward,
            "seconds": study.seconds(name, shown) / len(shown),
            "auprc": mean_auprc(maps[name]),
            "faults": int(faults.loc[name, ["not_finite", "constant", "empty"]].sum()),
            "residual": faults.loc[name, "residual"],
        }
    )
table = pd.DataFrame(rows).astype({"passes": "Int64"})
page.table(
    table,
    "every_method",
    caption="Each method on the images above: passes and seconds per image, mean AUPRC, maps that are broken, constant or empty, and "
    "the residual of complete methods. Seconds on the machine named below.",
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
