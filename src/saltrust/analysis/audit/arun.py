"""Arun et al.: their text beside their code."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import find_objects

from saltrust.analysis.audit.finding import ARUN, finding, mean_utility
from saltrust.artefacts import Artefact
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.core.protocols import PROTOCOLS, Preparation, Similarity
from saltrust.methods.explained import Explained
from saltrust.methods.registry import PAPER_EIGHT
from saltrust.models.classifiers import build, predict
from saltrust.models.localizers import average_mask
from saltrust.models.randomization import randomized
from saltrust.scores.auprc import AUPRC
from saltrust.scores.ssim import ssim
from saltrust.study.criteria import CRITERIA, different_pairs, similarity
from saltrust.study.images import spread
from saltrust.study.maps import residual
from saltrust.study.study import Study

# --- what is explained ------------------------------------------------------------------------------------------------


@finding(
    ARUN,
    "The class that is explained",
    text="the prediction S(x)",
    code="logit of the class with the largest output",
    measure="share of the images with the finding whose map explains another class",
)
def predicted_class(study: Study) -> tuple[float, float]:
    truth = study.images.split("test").labels[list(study.images.explained)]
    return 0.0, (_predicted(study) != truth).mean()


@finding(
    ARUN,
    "A class that moves during the cascade",
    text="the map of one prediction, as weights are randomized",
    code="largest output found anew for every randomized network",
    measure="share of the images whose explained class the random weights change",
)
def moving_class(study: Study) -> tuple[float, float]:
    return 0.0, (_predicted(study) != _predicted(study, random=True)).mean()


def _predicted(study: Study, random: bool = False) -> np.ndarray:
    """The class (n,) that the main network gives each explained image, with its own or with random weights."""
    classifier = study.networks.artefact(study.networks.main)
    network = classifier.network(study.store.get)
    if random:
        p = study.protocol
        network = randomized(network, classifier.stages, p.initialization, study.seed, p.batchnorm)
    pixels = study.networks.test().pixels[list(study.images.explained)]
    logits = predict(network, pixels, input_range=classifier.input_range)
    return logits.argmax(axis=1) if logits.shape[1] > 1 else (logits[:, 0] >= 0).astype(int)


# --- how the maps are made --------------------------------------------------------------------------------------------


def _squares(study: Study) -> list[SaliencyMaps]:
    return [study.maps.artefact("smoothgrad", parameters={"power": power}) for power in (1, 2)]


@finding(
    ARUN,
    "SmoothGrad, squared",
    text="gradients smoothed",
    code="mean of their squares",
    measure="mean AUPRC of SmoothGrad",
    maps=_squares,
)
def squares(study: Study) -> tuple[float, float]:
    return tuple(mean_utility(study, maps) for maps in _squares(study))


FEW_IMAGES = 8  # images, where each step of a path costs a pass


def _few_steps(study: Study) -> list[SaliencyMaps]:
    few = spread(study.images.explained, FEW_IMAGES)
    given = ({"steps": steps, "quadrature": "riemann"} for steps in (25, 10))
    return [study.maps.artefact("ig", images=few, parameters=parameters) for parameters in given]


@finding(
    ARUN,
    "Steps of Integrated Gradients",
    text="25 interpolations",
    code="10 interpolations",
    measure=f"residual of {FEW_IMAGES} images: share of the output that the map fails to add up to",
    maps=_few_steps,
)
def steps(study: Study) -> tuple[float, float]:
    return tuple(residual(study.store.get(maps)) for maps in _few_steps(study))


@finding(
    ARUN,
    "Ranges that follow the image",
    text="not said",
    code="noise and XRAI's baselines scaled by each image's darkest and brightest pixel",
    measure="that range, as a share of the input's, mean over the images",
)
def own_range(study: Study) -> tuple[float, float]:
    pixels = study.networks.test().pixels[list(study.images.explained)]
    return 1.0, np.ptp(pixels.reshape(len(pixels), -1), axis=1).mean() / 255


def _products(study: Study) -> list[SaliencyMaps]:
    return [study.maps.artefact("guided_gradcam", parameters={"maps": kind}) for kind in ("raw", "displayed")]


@finding(
    ARUN,
    "Guided Grad-CAM of displayed maps",
    text="masks of GradCAM and Guided-backprop combined",
    code="product of both as displayed: absolute, clipped, rescaled",
    measure="mean AUPRC of Guided Grad-CAM",
    maps=_products,
)
def displayed_product(study: Study) -> tuple[float, float]:
    return tuple(mean_utility(study, maps) for maps in _products(study))


@finding(
    ARUN,
    "Grid of Grad-CAM",
    text="10 × 10 for both networks",
    code="InceptionV3's last block at 320 pixels",
    measure="share of a side that one position covers",
)
def grid(study: Study) -> tuple[float, float]:
    last = "Mixed_7c"
    shapes = Explained(build("inception_v3")).output_shapes([last], torch.zeros(1, 3, 320, 320))
    return 1 / 10, 1 / shapes[last][-1]


# --- how the maps are scored ------------------------------------------------------------------------------------------

_WANG = Similarity("gaussian", 11, 1.5, data_range=1.0)
_UNIFORM = Similarity("uniform", 7, 1.5, data_range=1.0, sample_covariance=True)
_RAW, _AS_RUN = Preparation("sum", clip=None), Preparation("sum_abs", clip=99.0)

SSIM_STEPS = {
    "raw": (_RAW, _WANG),
    "absolute": (_AS_RUN, _WANG),
    "uniform": (_AS_RUN, _UNIFORM),
    "range_2": (_AS_RUN, replace(_UNIFORM, data_range=2.0)),
}
"""Preparation and SSIM from the text and the paper it cites down to the code, one change at each step: raw maps under
the window of Wang et al.; absolute values, clipped; equal weights of 7 x 7 pixels; the range that was inferred."""


def ssim_at(study: Study, step: str, methods: Sequence[str] = PAPER_EIGHT) -> pd.Series:
    """Mean SSIM by method of the maps of two replicates, at one of the SSIM_STEPS."""
    preparation, settings = SSIM_STEPS[step]
    protocol = replace(study.protocol, similarity=preparation, ssim=settings)
    maps, replicate = study.maps.artefact, study.networks.replicate
    among = study.images.compared
    both = {name: (maps(name), maps(name, replicate)) for name in methods}
    sets = [({"method": name}, similarity(*pair, protocol, among=among)) for name, pair in both.items()]
    return study.criteria.frame(sets, "ssim").groupby("method", sort=False)["ssim"].mean()


def _climbed(study: Study, above: str, below: str) -> tuple[float, float]:
    return tuple(ssim_at(study, name).mean() for name in (above, below))


@finding(
    ARUN,
    "Maps that SSIM compares",
    text="raw maps, no absolute values (footnote 2)",
    code="absolute values, clipped at the 99th percentile",
    measure="SSIM of two replicates' maps, mean of eight methods",
)
def preparation(study: Study) -> tuple[float, float]:
    return _climbed(study, "raw", "absolute")


@finding(
    ARUN,
    "Window of SSIM",
    text="not said; of Wang et al., whom it cites: 11 × 11, Gaussian",
    code="7 × 7, equal weights",
    measure="the same, on the code's maps",
)
def window(study: Study) -> tuple[float, float]:
    return _climbed(study, "absolute", "uniform")


@finding(
    ARUN,
    "Range of SSIM",
    text="not said; the maps lie in [0, 1]",
    code="2, inferred from the type of number",
    measure="the same, in the code's window",
)
def data_range(study: Study) -> tuple[float, float]:
    return _climbed(study, "uniform", "range_2")


@finding(
    ARUN,
    "Two ranges, one comparison",
    text="maps and U-Nets by the same SSIM",
    code="range 2 for maps in [0, 1], the RetinaNets' among them; 255 for the U-Nets' bytes, which is their own",
    measure="SSIM of the two localizers (text: by the maps' range; a RetinaNet's is that)",
)
def high_baseline(study: Study) -> tuple[float, float]:
    as_run = PROTOCOLS["as_run"]
    first, second = (study.maps.localizer_artefact(k) for k in (1, 2))
    as_maps = replace(as_run, eight_bit=())
    return tuple(study.store.get(similarity(first, second, p)).mean() for p in (as_maps, as_run))


@finding(
    ARUN,
    "Maps without a value",
    text="not said",
    code="a constant map is divided by its range, 0: its SSIM is no number, and is left out of the mean",
    measure="SSIM of two replicates' maps of Grad-CAM, were every second one of the replicate's empty",
)
def constant_maps(study: Study) -> tuple[float, float]:
    first, second = (study.maps.display("gradcam", name) for name in (study.networks.main, study.networks.replicate))
    emptied = second.copy()
    emptied[1::2] = 0
    scores = ssim(first, emptied, **study.protocol.likeness("ssim")[1])
    return scores.mean(), scores[::2].mean()


@finding(
    ARUN,
    "Clipping before AUPRC",
    text="each pixel of the map is an output",
    code="the highest hundredth of the pixels made equal",
    measure="mean AUPRC of the gradient",
)
def clipping(study: Study) -> tuple[float, float]:
    return tuple(
        mean_utility(study, study.maps.artefact("grad"), Preparation("sum_abs", clip)) for clip in (None, 99.0)
    )


@finding(
    ARUN,
    "Area under the curve",
    text="AUPRC, by which rule not said; here average precision",
    code="straight lines between the points",
    measure="AUPRC of a map that is the same everywhere, or empty",
)
def area(study: Study) -> tuple[float, float]:
    truth = study.images.split("test").truth[list(study.images.explained)]
    names = ("average_precision", "trapezoid")
    return tuple(np.mean([AUPRC[name](np.zeros(one.shape), one) for one in truth]) for name in names)


# --- what they are compared with --------------------------------------------------------------------------------------


@finding(
    ARUN,
    "The average mask saw the test set",
    text="mean of the training and validation images' truth",
    code="mean of the test images' boxes, in the script for RSNA",
    measure="mean AUPRC of the average mask",
)
def leak(study: Study) -> tuple[float, float]:
    test = study.images.split("test")
    averages = average_mask([study.images.split("train"), study.images.split("val")]), average_mask([test])
    truth = test.truth[list(study.images.explained)]
    score = AUPRC["average_precision"]
    return tuple(np.mean([score(average, one) for one in truth]) for average in averages)


BOX_FILE, BOX_INPUT = 1024, 320  # pixels a side of a radiograph on file, and of what the network sees


@finding(
    ARUN,
    "Scaling of the boxes",
    text="bounding boxes of the finding",
    code="int(320 · c / 1023) of each coordinate, on files of 1024 pixels",
    measure="overlap (IoU) with the box as it should be, mean over the images",
)
def boxes(study: Study) -> tuple[float, float]:
    test = study.images.split("test")
    found = [find_objects(test.truth[index].astype(int))[0] for index in study.images.explained]
    scale = BOX_FILE / test.truth.shape[1]
    ends = np.array([[(side.start, side.stop) for side in box] for box in found])  # (n, 2, 2)
    within = np.random.default_rng(study.seed).random(ends.shape)  # where in a pixel of ours, to the pixel of the file
    on_file = np.floor((ends + within) * scale).clip(max=BOX_FILE)
    return 1.0, overlaps(on_file * BOX_INPUT / BOX_FILE, np.floor(on_file * BOX_INPUT / (BOX_FILE - 1))).mean()


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) of boxes (n, axes, 2) given by where they start and stop along each axis."""
    shared = np.minimum(first[..., 1], second[..., 1]) - np.maximum(first[..., 0], second[..., 0])
    both = np.maximum(shared, 0).prod(axis=1)
    return both / (np.ptp(first, axis=2).prod(axis=1) + np.ptp(second, axis=2).prod(axis=1) - both)


def _of_two_networks(study: Study) -> list[SaliencyMaps]:
    return [study.maps.artefact(name, study.networks.other) for name in PAPER_EIGHT]


@finding(
    ARUN,
    "A folder with two names",
    text="reproducibility: InceptionV3 against DenseNet121",
    code="SIIM: the second maps come from a folder that the script for the cascade reads as an InceptionV3's (a lead, "
    "not a proof: the path may be a leftover)",
    measure="SSIM of two networks' maps, mean of eight methods (code: if the folder holds what it is read as)",
    maps=_of_two_networks,
)
def folder(study: Study) -> tuple[float, float]:
    of_main = [study.maps.artefact(name) for name in PAPER_EIGHT]
    replicates = [study.maps.artefact(name, study.networks.replicate) for name in PAPER_EIGHT]
    return tuple(
        np.mean(
            [study.store.get(similarity(*pair, study.protocol)).mean() for pair in zip(of_main, others, strict=True)]
        )
        for others in (_of_two_networks(study), replicates)
    )


TABLE_S1 = {
    "grad": (0.046, 0.046),
    "smoothgrad": (0.204, 0.204),
    "ig": (0.043, 0.043),
    "smooth_ig": (0.134, 0.134),
    "gradcam": (0.106, 0.106),
    "xrai": (0.095, 0.095),
    "guided_backprop": (0.076, 0.076),
    "guided_gradcam": (0.062, 0.062),
}
"""Table S1, segmentation: the standard deviations beside the SSIM after all weights are random, and beside the
degradation threshold."""


def _at_the_end(study: Study, method: str) -> tuple[Artefact, Artefact]:
    """The first set of scores after all weights are random, and those behind the threshold."""
    compared = CRITERIA["randomization"].compare(study.maps, study.protocol, method)
    return compared.values[0], compared.low[0].scores


@finding(
    ARUN,
    "Two columns with the same deviations",
    text="Table S1, segmentation: equal in all eight rows",
    code="two samples, of maps under random weights and of pairs of trained ones",
    measure="largest difference of the two standard deviations among eight methods (text: in the table; code: here)",
    maps=lambda study: [scores.second for name in PAPER_EIGHT for scores in _at_the_end(study, name)],
)
def deviations(study: Study) -> tuple[float, float]:
    here = [[study.store.get(scores).std() for scores in _at_the_end(study, name)] for name in PAPER_EIGHT]
    return tuple(np.abs(np.diff(pairs, axis=1)).max() for pairs in (list(TABLE_S1.values()), here))


DRAWS, PAIRS, MOST = 1000, 50, 30  # of the threshold; pairs in each; images whose maps are paired


@finding(
    ARUN,
    "Pairs behind the degradation threshold",
    text="50 random pairs of maps",
    code="50 pairs for each method anew, without a seed",
    measure="width of the 95 % range of the threshold over draws, widest of eight methods",
)
def draws(study: Study) -> tuple[float, float]:
    return 0.0, max(np.ptp(np.quantile(thresholds(study, method), [0.025, 0.975])) for method in PAPER_EIGHT)


def thresholds(study: Study, method: str) -> np.ndarray:
    """Degradation thresholds (DRAWS,) of a method, each the mean SSIM of PAIRS pairs of maps of different images, drawn
    without replacement from all pairs of at most MOST images."""
    maps = study.maps.display(method)[:MOST]
    first, second = np.transpose(different_pairs(len(maps), len(maps) ** 2, study.seed))
    likeness = ssim(maps[first], maps[second], **study.protocol.likeness("ssim")[1])
    drawn = np.random.default_rng(study.seed).permuted(np.tile(likeness, (DRAWS, 1)), axis=1)
    return drawn[:, :PAIRS].mean(axis=1)
