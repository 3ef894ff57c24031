"""Protocols: every choice of the analysis, in one place and by name.

`published` does what the texts of Arun et al. and of Tjoa & Guan say, `as_run` what their codes did, `corrected` (the
default) what we argue for. Where a choice comes from is noted beside it: [paper] the text, [code]
QTIM-Lab/Assessing-Saliency-Maps.
"""

from dataclasses import asdict, dataclass, replace

from saltrust.registry import Registry


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
    """How SSIM is computed. window: "gaussian" or "uniform"; size and sigma in pixels; data_range in map units."""

    window: str
    size: int
    sigma: float
    data_range: float


@dataclass(frozen=True)
class FiveBand:
    """How the five-band score counts (Tjoa & Guan, sec. III-C).

    overlap: whether a pixel of the truth that the map leaves blank is a false positive besides a false negative, as the
    text's sets have it. n_soft: whether the sum over the thresholds t_0 to t_n is divided by n for their average, as in
    the text, or by their number. clamping: "published" after the first normalization, or "as_run" before it. empty:
    whether images without a cell count in the means, with their precision and recall of 0.
    """

    overlap: bool
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
    similarity: Preparation
    auprc: str  # "average_precision" or "trapezoid"
    ssim: Similarity

    # Cascading randomization.
    initialization: str  # "truncated_normal" or "torch_default"
    batchnorm: str  # "reset" or "keep_statistics"
    threshold_pairs: int  # pairs of different images whose mean SSIM is the degradation threshold

    five_band: FiveBand

    low_baseline: float  # SSIM that repeatability and reproducibility must exceed
    rule: str  # PASS by the sign of the "mean" difference, or only when its whole 95 % "interval" agrees

    def likeness(self, score: str) -> tuple[Preparation, dict[str, float | int | str]]:
        """How maps are prepared for a similarity score, and the score's settings.

        Rank correlations take the raw map, with or without its signs (Adebayo et al. 2018, sec. 2.3); clipping would
        tie the ranks that matter most.
        """
        ranked = {"spearman": Preparation("sum", clip=None), "spearman_abs": Preparation("abs_sum", clip=None)}
        return ranked.get(score, self.similarity), asdict(self.ssim) if score == "ssim" else {}


PROTOCOLS: Registry[Protocol] = Registry("protocol")

_published = Protocol(
    name="published",
    scalar="logit",
    samples=25,
    noise=0.15,
    spread="input",
    power=1,  # Table 1 says that the maps are smoothed, not squared [paper]
    steps=25,  # Table 1 [paper]
    baseline="black",
    quadrature="riemann",
    xrai_steps=100,
    xrai_baselines=("black", "white"),
    xrai_channels="max",
    cam_min_grid=1,  # the last convolutional layer, whatever its grid [paper]
    guided_gradcam="raw",
    localization=Preparation("sum_abs", clip=None),
    similarity=Preparation("sum", clip=None),  # footnote 2: raw maps, no absolute values [paper]
    auprc="trapezoid",
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=1.0),
    initialization="truncated_normal",  # Methods, Model Training [paper]
    batchnorm="keep_statistics",
    threshold_pairs=50,
    five_band=FiveBand(overlap=True, n_soft=True, clamping="published", empty=True),
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
    similarity=Preparation("sum_abs", clip=99.0),
    ssim=Similarity("uniform", size=7, sigma=1.5, data_range=2.0),
    five_band=FiveBand(overlap=True, n_soft=False, clamping="as_run", empty=True),
)

_corrected = replace(
    _published,
    name="corrected",
    quadrature="riemann_middle",  # gradients jump along the path: more exact than end points or a high order
    xrai_steps=25,  # so that the black path is the one of IG, and is computed once
    xrai_channels="sum",  # the sum over channels is what completeness speaks of; grey images have equal channels
    cam_min_grid=4,  # a coarser grid cannot localize; matters for small images only
    localization=Preparation("sum_abs", clip=None),  # clipping ties the pixels that matter most
    similarity=Preparation("sum_abs", clip=99.0),  # one extreme pixel would flatten a map that is rescaled to [0, 1]
    auprc="average_precision",  # the trapezoid gives a constant map about one half
    ssim=Similarity("gaussian", size=11, sigma=1.5, data_range=1.0),  # Wang et al. 2004; the maps' true range
    batchnorm="reset",
    five_band=FiveBand(overlap=False, n_soft=False, clamping="published", empty=False),
    rule="interval",
)

for _protocol in (_corrected, _published, _as_run):
    PROTOCOLS.register(_protocol.name)(_protocol)
