"""Protocols: every choice of the analysis, in one place and by name.

`published` does what the texts of Arun et al., of Tjoa & Guan and of Shu et al. say, `as_run` what their codes did,
`corrected` (the default) what we argue for. Where each choice comes from stands in CHOICES: the passage of the text
(Arun et al., unless said otherwise), the fact of the code (QTIM-Lab/Assessing-Saliency-Maps), or the argument.
"""

from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from saltrust.core.registry import Registry


@dataclass(frozen=True)
class Preparation:
    """From a raw map (channels, height, width) to the grey map that is scored.

    channels: how the channels are joined ("sum", "sum_abs", "max", ...); applied to signed methods only.
    clip: percentile at which the map is cut from above, None for no cut. Maps are then rescaled to [0, 1].
    bits: of a localizer's maps, which are neither joined, cut nor rescaled: 8 rounds them to 256 grey levels from 0 to
        1, None leaves them as they are.
    mode: what is then kept of the map: "raw" for all of it, "otsu" for what lies above Otsu's threshold, "boxes" for
        the boxes around that (a name in MODES).
    """

    channels: str
    clip: float | None
    bits: int | None = None
    mode: str = "raw"


@dataclass(frozen=True)
class Similarity:
    """How SSIM is computed.

    window: "gaussian" or "uniform"; size and sigma in pixels; data_range in map units. sample_covariance: whether
    covariances are divided by n - 1, as in scikit-image by default, or by n.
    """

    window: str
    size: int
    sigma: float
    data_range: float
    sample_covariance: bool = False


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
class BesideReaders:
    """How maps are compared with what readers drew (Venkatesh et al.).

    Attributes:
        mode: in which form maps are judged, a name in MODES.
        correct: whether only images count, for what a map finds, that the network classifies correctly.
        reference: what maps and readers must find: the "consensus" of all readers, in which each agrees with himself,
            or that of the "others".
        between: what two networks' agreement is compared with: that of a reader with the "consensus", or with each
            other reader ("pairwise").
        likeness: the scores of that agreement, all of which count.
        above: what a weak test asks of them, errors must lie below; None for those of the network's maps of different
            images.
        empty: what the overlap of two maps scores in which nothing is left; None leaves them out.
        margin: by how much a map may score less than a reader and count as no worse; None where what is not
            significantly worse counts.
    """

    mode: str
    correct: bool
    reference: str
    between: str
    likeness: tuple[str, ...]
    above: float | None
    empty: float | None
    margin: float | None


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

    lrp_of_alarm: str  # the method, a name in METHODS, by which the alarm from LRP has its maps

    localization: Preparation
    average_of: dict[str, tuple[str, ...]]  # splits whose mean truth is the average mask, by the kind of truth
    similarity: Preparation
    eight_bit: tuple[str, ...]  # localizers whose maps are scored as pictures of 8 bits, range 255
    auprc: str  # "average_precision" or "trapezoid"
    ssim: Similarity

    # Cascading randomization.
    initialization: str  # "truncated_normal" or "torch_default"
    batchnorm: str  # "reset" or "keep_statistics"
    cascade_end: str  # "paper": the last stage of the paper's figures; "input": the last one, so that all is random
    threshold_pairs: int  # pairs of different images whose mean SSIM is the degradation threshold
    pairs_by_method: bool  # whether each method draws pairs of its own

    five_band: FiveBand
    readers: BesideReaders

    # SSIM that repeatability and reproducibility must exceed; or, by name, how it is measured for each method: with
    # "surrogates" of the other map, which share its texture but not its layout, or on maps of "different images". Of
    # several, the one with the higher mean counts.
    low_baseline: float | tuple[str, ...]
    rule: str  # PASS or FAIL by the sign of the "mean" difference; by its 95 % "interval", UNDECIDED where it holds 0

    def likeness(self, score: str, localizer: str = "") -> tuple[Preparation, dict[str, float | int | str]]:
        """How maps are prepared for a similarity score, and the score's settings; localizer: whose maps they are, ""
        for those of a classifier.

        Rank correlations take the raw map, with or without its signs (Adebayo et al. 2018, sec. 2.3); clipping would
        tie the ranks that matter most. The range of 8-bit pictures is their own: 255 of 255 grey levels, 1 here.
        """
        ranked = {"spearman": Preparation("sum", clip=None), "spearman_abs": Preparation("abs_sum", clip=None)}
        own_range = {"data_range": 1.0} if localizer in self.eight_bit else {}
        empty = {"empty": self.readers.empty}
        settings = {"ssim": asdict(self.ssim) | own_range, "iou": empty, "dice": empty, "iou_above_chance": empty}
        preparation = self.heat(localizer) if localizer else ranked.get(score, self.similarity)
        return preparation, settings.get(score, {})

    def heat(self, localizer: str) -> Preparation:
        """How a localizer's maps are prepared for any score."""
        bits = 8 if localizer in self.eight_bit else None
        return Preparation("sum", clip=None, bits=bits, mode=self.similarity.mode)

    def in_mode(self, mode: str) -> "Protocol":
        """The same choices of maps of which less is kept. mode: a name in MODES."""
        kept = {name: replace(getattr(self, name), mode=mode) for name in ("localization", "similarity")}
        return replace(self, **kept)


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
    lrp_of_alarm="captum:lrp",
    localization=Preparation("sum_abs", clip=None),
    average_of=dict.fromkeys(("mask", "box", "graded"), ("train", "val")),
    similarity=Preparation("sum", clip=None),
    eight_bit=("unet",),
    auprc="trapezoid",
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=1.0, sample_covariance=True),
    initialization="truncated_normal",
    batchnorm="keep_statistics",
    cascade_end="paper",
    threshold_pairs=50,
    pairs_by_method=False,
    five_band=FiveBand(n_soft=True, clamping="published", empty=True),
    readers=BesideReaders(
        "boxes",
        correct=True,
        reference="consensus",
        between="consensus",
        likeness=("ssim", "iou", "pixel_error"),
        above=0.5,
        empty=None,
        margin=None,
    ),
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
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=2.0, sample_covariance=True),
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
    lrp_of_alarm="lrp",
    localization=Preparation("sum_abs", clip=None),
    similarity=Preparation("sum_abs", clip=99.0),
    eight_bit=(),
    auprc="average_precision",
    ssim=Similarity("gaussian", size=11, sigma=1.5, data_range=1.0),
    batchnorm="reset",
    cascade_end="input",
    five_band=FiveBand(n_soft=False, clamping="published", empty=False),
    readers=BesideReaders(
        "boxes",
        correct=False,
        reference="others",
        between="pairwise",
        likeness=("iou_above_chance",),
        above=None,
        empty=0.0,
        margin=0.05,
    ),
    low_baseline=("surrogates", "different images"),
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
        "-1 in the model's input, which is black",
        "as in the code",
    ),
    "quadrature": Choice(
        "… at which points",
        "Table 1: the average over interpolations",
        "PAIR saliency: points from one end of the path to the other",
        "the middles of the steps miss less of the total than their ends: see *Every method on the same images* of "
        "each data set",
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
    "lrp_of_alarm": Choice(
        "LRP in the alarm of Shu et al.",
        "Shu et al., section 3: with captum; the rule is not said, captum's default",
        "not public; captum's, which sees modules, and no calls of functions",
        "a rule for every operation, or relevance is neither kept nor shared by value: see [](alarm.md)",
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
        "the same maps as for AUPRC; constant ones have no SSIM and are left out (here they count as empty)",
        "rescaled to [0, 1], a raw map is flattened by its one extreme pixel",
    ),
    "eight_bit": Choice(
        "localizers whose maps are pictures of 8 bits",
        "Methods: the U-Net's output, times 255 and rounded",
        "the U-Net's pictures; RetinaNet's maps are floats, resized by cubic splines and, for AUPRC, rescaled to "
        "[0, 1]",
        "rounding ties pixels, and gives all below 1/510 the same rank",
    ),
    "auprc": Choice(
        "area under the curve",
        "Methods: area under the curve; the code's rule",
        "scikit-learn's `auc`: straight lines between points",
        "the trapezoid gives a constant map about one half: see [](auprc.md)",
    ),
    "ssim": Choice(
        "SSIM: window, size, sigma, range; covariance of a sample",
        "not given; scikit-image's defaults, but the true range of the maps",
        "all left to scikit-image: range 2 for floating-point maps, RetinaNet's too, 255 for the U-Net's bytes "
        "(1 here, where they lie in [0, 1])",
        "Wang et al. 2004: Gaussian window, true range, covariance of a population",
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
        "not published; as in Adebayo et al., where running means stay",
        "a random network must not keep what was learned",
    ),
    "cascade_end": Choice(
        "cascade: last stage",
        "Fig. 3 ends at Mixed 1, the text's bottom-most layer; Mixed 0 and the stem are not among its stages",
        "the axis of the plots ends at Mixed 1",
        "all weights: what is left of a trained network may be what a map shows",
    ),
    "threshold_pairs": Choice(
        "degradation threshold: pairs", "Results: 50", "50 of each kind of map", "as in the text"
    ),
    "pairs_by_method": Choice(
        "… drawn for each method",
        "Results: 50 randomly chosen pairs",
        "for each kind of map anew, without a seed (with one here)",
        "so that methods are compared on the same pairs",
    ),
    "five_band": Choice("five-band score", "see [](five-band.md)", "see [](five-band.md)", "see [](five-band.md)"),
    "readers": Choice("maps beside readers", "see [](agreement.md)", "see [](agreement.md)", "see [](agreement.md)"),
    "low_baseline": Choice(
        "low baseline of SSIM",
        "Results: 0.5 as midpoint",
        "as in the text",
        "measured for each method, the stricter of two: agreement about an image is more than that of texture alone, "
        "and more than that of one network's maps of different images; 0.5 is no midpoint: see [](ssim.md)",
    ),
    "rule": Choice(
        "verdict by",
        "not stated; Table 2 compares",
        "means",
        "the 95 % interval of the difference, UNDECIDED where it holds zero: a mean alone may be chance",
    ),
}
"""Each choice by the name of its field, with its sources."""


STATED, INFERRED, OURS = "stated", "inferred", "ours"
"""Of a choice: a paper says it; a code or a custom says it; or nobody but us."""

_NOT_STATED = {
    *("scalar", "samples", "noise", "spread", "power", "baseline", "quadrature"),
    *("xrai_steps", "xrai_baselines", "xrai_channels", "guided_gradcam", "localization", "auprc", "ssim"),
    *("batchnorm", "pairs_by_method", "rule"),
}
"""Choices that the texts leave open, so that `published` takes them from elsewhere."""
_NOT_IN_THE_CODE = {"initialization", "batchnorm"}


def status(field: str, protocol: str) -> str:
    """Whether a value is stated, inferred or ours: one of ours that equals the text's or the code's is theirs.

    >>> status("steps", "published"), status("steps", "as_run"), status("auprc", "corrected")
    ('stated', 'inferred', 'ours')
    """
    by_text = INFERRED if field in _NOT_STATED else STATED
    known = {"published": by_text, "as_run": by_text if field in _NOT_IN_THE_CODE else INFERRED}
    if protocol in known:
        return known[protocol]
    value = getattr(PROTOCOLS[protocol], field)
    return next((found for name, found in known.items() if getattr(PROTOCOLS[name], field) == value), OURS)


def catalogue() -> list[dict[str, Any]]:
    """Each choice with its value, status and source under every protocol, as plain data for JSON."""
    return [
        {"field": field, "title": choice.title}
        | {
            name: {
                "value": plainly(getattr(p, field)),
                "status": status(field, name),
                "source": getattr(choice, name),
            }
            for name, p in PROTOCOLS.items()
        }
        for field, choice in CHOICES.items()
    ]


def plainly(value: object) -> str:
    """A value as a reader wants it: the fields of a nested choice one after the other."""
    if is_dataclass(value):
        told = [f for f in fields(value) if f.default is MISSING or getattr(value, f.name) != f.default]
        return ", ".join(plainly(getattr(value, f.name)) for f in told)
    if isinstance(value, dict):
        groups: dict[object, list[str]] = {}
        for key, item in value.items():
            groups.setdefault(item, []).append(key)
        if len(groups) == 1:
            return plainly(next(iter(groups)))
        return "; ".join(f"{', '.join(keys)}: {plainly(item)}" for item, keys in groups.items())
    if isinstance(value, tuple):
        return " + ".join(map(str, value))
    if value == ():
        return "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, int | float) else str(value)
