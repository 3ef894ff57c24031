"""Protocols: every choice of the analysis, in one place and by name.

`published` does what the texts of Arun et al. and of Tjoa & Guan say, `as_run` what their codes did, `corrected` (the
default) what we argue for. Where each choice comes from stands in CHOICES: the passage of the text (Arun et al., unless
said otherwise), the fact of the code (QTIM-Lab/Assessing-Saliency-Maps), or the argument.
"""

from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from saltrust.core.registry import Registry


@dataclass(frozen=True)
class Preparation:
    """From a raw map (channels, height, width) to the grey map that is scored.

    channels: how the channels are joined ("sum", "sum_abs", "max", ...); applied to signed methods only.
    clip: percentile at which the map is cut from above, None for no cut. Maps are then rescaled to [0, 1].
    """

    channels: str
    clip: float | None


@dataclass(frozen=True)
class Similarity:
    """How SSIM is computed. window: "gaussian" or "uniform"; size and sigma in pixels; data_range in map units, and
    heat_range for the localizers' maps."""

    window: str
    size: int
    sigma: float
    data_range: float
    heat_range: float = 1.0

    def settings(self, heat: bool) -> dict[str, float | int | str]:
        """The keyword arguments of `ssim`."""
        own = asdict(self)
        heat_range = own.pop("heat_range")
        return own | {"data_range": heat_range} if heat else own


@dataclass(frozen=True)
class FiveBand:
    """How the five-band score counts (Tjoa & Guan, sec. III-C).

    n_soft: whether the sum over the thresholds t_0 to t_n is divided by n for their average, as in the text, or by
    their number. clamping: "published" after the first normalization, or "as_run" before it. empty: whether images
    without a cell count in the means, with their precision and recall of 0.
    """

    n_soft: bool
    clamping: str
    empty: bool


@dataclass(frozen=True)
class Protocol:
    name: str

    # What is explained: "logit" of the finding, "argmax_logit" of the predicted class, or "probability".
    scalar: str

    # SmoothGrad: noisy copies, noise sd as a share of the input range, mean (1) or mean of squares (2).
    samples: int
    noise: float
    spread: str  # the range that `noise` is a share of: of the model's "input", or of the "image" itself
    power: int

    # Integrated Gradients.
    steps: int
    baseline: str  # "black" or "white"
    quadrature: str  # a name in QUADRATURES: "riemann_middle", "riemann", "gauss_legendre", ...

    # XRAI: IG steps per baseline, and the baselines whose attributions are averaged.
    xrai_steps: int
    xrai_baselines: tuple[str, ...]
    xrai_channels: str

    # Grad-CAM uses the deepest block whose grid has at least this many positions a side.
    cam_min_grid: int
    guided_gradcam: str  # product of the "raw" or of the "displayed" (prepared) maps

    localization: Preparation
    average_of: dict[str, tuple[str, ...]]  # splits whose mean truth is the average mask, by the kind of truth
    similarity: Preparation
    auprc: str  # "average_precision" or "trapezoid"
    ssim: Similarity

    # Cascading randomization.
    initialization: str  # "truncated_normal" or "torch_default"
    batchnorm: str  # "reset" or "keep_statistics"
    threshold_pairs: int  # pairs of different images whose mean SSIM is the degradation threshold
    pairs_by_method: bool  # whether each method draws pairs of its own

    five_band: FiveBand

    # SSIM that repeatability and reproducibility must exceed; None: that of each map with surrogates of its partner,
    # which share its texture but not its layout.
    low_baseline: float | None
    rule: str  # PASS by the sign of the "mean" difference, or only when its whole 95 % "interval" agrees

    def likeness(self, score: str, heat: bool = False) -> tuple[Preparation, dict[str, float | int | str]]:
        """How maps are prepared for a similarity score, and the score's settings; heat: for localizers' maps.

        Rank correlations take the raw map, with or without its signs (Adebayo et al. 2018, sec. 2.3); clipping would
        tie the ranks that matter most.
        """
        ranked = {"spearman": Preparation("sum", clip=None), "spearman_abs": Preparation("abs_sum", clip=None)}
        return ranked.get(score, self.similarity), self.ssim.settings(heat) if score == "ssim" else {}


PROTOCOLS: Registry[Protocol] = Registry("protocol")

_published = Protocol(
    name="published",
    scalar="logit",
    samples=25,
    noise=0.15,
    spread="input",
    power=1,
    steps=25,
    baseline="black",
    quadrature="riemann",
    xrai_steps=100,
    xrai_baselines=("black", "white"),
    xrai_channels="max",
    cam_min_grid=1,
    guided_gradcam="raw",
    localization=Preparation("sum_abs", clip=None),
    average_of=dict.fromkeys(("mask", "box", "graded"), ("train", "val")),
    similarity=Preparation("sum", clip=None),
    auprc="trapezoid",
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=1.0),
    initialization="truncated_normal",
    batchnorm="keep_statistics",
    threshold_pairs=50,
    pairs_by_method=False,
    five_band=FiveBand(n_soft=True, clamping="published", empty=True),
    low_baseline=0.5,
    rule="mean",
)

_as_run = replace(
    _published,
    name="as_run",
    scalar="argmax_logit",
    spread="image",
    power=2,
    steps=10,
    xrai_baselines=("image_min", "image_max"),
    guided_gradcam="displayed",
    localization=Preparation("sum_abs", clip=99.0),
    average_of=_published.average_of | {"box": ("test",)},
    similarity=Preparation("sum_abs", clip=99.0),
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=2.0),
    pairs_by_method=True,
    five_band=FiveBand(n_soft=False, clamping="as_run", empty=True),
)

_corrected = replace(
    _published,
    name="corrected",
    quadrature="riemann_middle",
    xrai_steps=25,
    xrai_channels="sum",
    cam_min_grid=4,
    localization=Preparation("sum_abs", clip=None),
    similarity=Preparation("sum_abs", clip=99.0),
    auprc="average_precision",
    ssim=Similarity("gaussian", size=11, sigma=1.5, data_range=1.0),
    batchnorm="reset",
    five_band=FiveBand(n_soft=False, clamping="published", empty=False),
    low_baseline=None,
    rule="interval",
)

for _protocol in (_corrected, _published, _as_run):
    PROTOCOLS.register(_protocol.name)(_protocol)


@dataclass(frozen=True)
class Choice:
    """Where one field of the protocols comes from, a phrase (MyST) each: the passage of a text, the fact of a code, or
    the argument for what is done here."""

    title: str
    published: str
    as_run: str
    corrected: str


CHOICES: dict[str, Choice] = {
    "scalar": Choice(
        "explained output",
        "Table 1: the prediction $S(x)$, of what is not said",
        "the logit of the class with the larger one, asked again of each randomized model",
        "the question is where the finding is, also in images where the model misses it",
    ),
    "samples": Choice(
        "SmoothGrad: noisy copies", "number not given; the code's", "PAIR saliency's default", "as in the code"
    ),
    "noise": Choice(
        "SmoothGrad: standard deviation of the noise, share of a range",
        "not given; the code's",
        "PAIR saliency's default",
        "as in the code",
    ),
    "spread": Choice(
        "… of which range",
        "not given; as SmoothGrad's authors define it",
        "of each image: a pale image gets less noise",
        "equal noise for all images",
    ),
    "power": Choice(
        "SmoothGrad: mean (1) or mean of squares (2)",
        "Table 1: maps are smoothed",
        "the option `magnitude` was on: squares",
        "as the method is defined",
    ),
    "steps": Choice("Integrated Gradients: steps", "Table 1", "set to 10 in the script", "as in the text"),
    "baseline": Choice(
        "… from which image",
        "Table 1: a baseline image, not named; the code's",
        "zeros in the model's input",
        "as in the code",
    ),
    "quadrature": Choice(
        "… at which points",
        "Table 1: the average over interpolations",
        "PAIR saliency: points from one end of the path to the other",
        "the middles of the steps miss less of the total: see *Every method on the same images* of each data set",
    ),
    "xrai_steps": Choice(
        "XRAI: steps of each path", "not given; the code's", "PAIR saliency's default", "the black path is then IG's"
    ),
    "xrai_baselines": Choice(
        "… from which images",
        "not given; as XRAI's authors define it",
        "PAIR saliency: the least and the largest value of the image",
        "the same for all images",
    ),
    "xrai_channels": Choice(
        "… how channels are joined",
        "not given; the code's",
        "PAIR saliency: the largest",
        "the sum is what adds up to the output",
    ),
    "cam_min_grid": Choice(
        "Grad-CAM: least side of the grid",
        "Table 1: the final convolutional layer",
        "the final block",
        "on small images the final grid is too coarse to point at anything",
    ),
    "guided_gradcam": Choice(
        "Guided Grad-CAM: product of which maps",
        "Table 1: the masks of both",
        "of the maps as displayed, rectified and clipped",
        "as its authors define it",
    ),
    "localization": Choice(
        "preparation for AUPRC: channels, clipping",
        "not given; absolute values as in the code",
        "absolute values, cut at the 99th percentile",
        "clipping ties the pixels that matter most",
    ),
    "average_of": Choice(
        "average mask: splits",
        "Results: training and validation sets",
        "RSNA: built from the rows of the test set",
        "a control must not have seen the test images",
    ),
    "similarity": Choice(
        "preparation for SSIM: channels, clipping",
        "footnote 2: raw maps, no absolute values",
        "the same maps as for AUPRC",
        "rescaled to [0, 1], a raw map is flattened by its one extreme pixel",
    ),
    "auprc": Choice(
        "area under the curve",
        "Methods: area under the curve; the code's rule",
        "scikit-learn's `auc`: straight lines between points",
        "the trapezoid gives a constant map about one half: see [](auprc.md)",
    ),
    "ssim": Choice(
        "SSIM: window, size, sigma, range",
        "not given; scikit-image's default window, the true range of the maps",
        "window and range left to scikit-image: 2 for floating-point maps, 255 for the localizer's bytes (1 here)",
        "Wang et al. 2004: Gaussian window, true range",
    ),
    "initialization": Choice(
        "cascade: distribution of the new weights",
        "Methods: truncated normal",
        "not published; as in the text",
        "as in the text",
    ),
    "batchnorm": Choice(
        "cascade: batch normalization",
        "not given; as in Adebayo et al.",
        "initializers of trainable weights run again: running means stay",
        "a random network must not keep what was learned",
    ),
    "threshold_pairs": Choice("degradation threshold: pairs", "Results: 50", "50", "as in the text"),
    "pairs_by_method": Choice(
        "… drawn for each method",
        "Results: 50 randomly chosen pairs",
        "for each kind of map anew, without a seed (with one here)",
        "so that methods are compared on the same pairs",
    ),
    "five_band": Choice("five-band score", "see [](five-band.md)", "see [](five-band.md)", "see [](five-band.md)"),
    "low_baseline": Choice(
        "low baseline of SSIM",
        "Results: 0.5 as midpoint",
        "as in the text",
        "what surrogates of the same map reach; 0.5 is no midpoint: see [](ssim.md)",
    ),
    "rule": Choice(
        "PASS by",
        "not stated; Table 2 compares",
        "means",
        "the whole 95 % interval must agree: a mean alone may be chance",
    ),
}
"""Each choice by the name of its field, with its sources."""


def catalogue() -> list[dict[str, Any]]:
    """Each choice with its value and its source under every protocol, as plain data for JSON."""
    return [
        {"field": field, "title": choice.title}
        | {
            name: {"value": _plainly(getattr(p, field)), "source": getattr(choice, name)}
            for name, p in PROTOCOLS.items()
        }
        for field, choice in CHOICES.items()
    ]


def _plainly(value: object) -> str:
    """A value as a reader wants it: the fields of a nested choice one after the other."""
    if is_dataclass(value):
        return ", ".join(_plainly(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, dict):
        groups: dict[object, list[str]] = {}
        for key, item in value.items():
            groups.setdefault(item, []).append(key)
        if len(groups) == 1:
            return _plainly(next(iter(groups)))
        return "; ".join(f"{', '.join(keys)}: {_plainly(item)}" for item, keys in groups.items())
    if isinstance(value, tuple):
        return " + ".join(map(str, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, int | float) else str(value)
