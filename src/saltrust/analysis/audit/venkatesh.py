"""Venkatesh et al.: their code beside what one expects of it. Of the text only the abstract is at hand."""

from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from scipy.ndimage import label
from scipy.stats import norm, studentized_range
from skimage.transform import resize

from saltrust.analysis.audit.finding import VENKATESH, finding
from saltrust.artefacts.maps import SaliencyMaps, prepared
from saltrust.core import data_cards
from saltrust.core.protocols import Preparation
from saltrust.datasets.bones import ON_FILE, reading, scene
from saltrust.datasets.bones.parameters import BonesParameters
from saltrust.datasets.loading import drawn
from saltrust.datasets.outlines import RowsFilled
from saltrust.datasets.readers import agreed
from saltrust.datasets.shapes import Polygon
from saltrust.datasets.simulated_readers import VOTES
from saltrust.methods.modes import MODES
from saltrust.methods.registry import VENKATESH_SIX
from saltrust.models.classifiers import predict
from saltrust.scores.agreement import auprc_trapezoid, counted, iou
from saltrust.scores.auprc import trapezoid
from saltrust.scores.consensus import REFERENCES, voted
from saltrust.stats.bootstrap import interval, times_drawn
from saltrust.stats.weighted_areas import roc_area
from saltrust.study.images import spread
from saltrust.study.study import Study

NOT_SAID = "not said (abstract)"
FEW_IMAGES = 8  # whose masks are made in a demonstration

# --- how networks are chosen and judged -------------------------------------------------------------------------------

TEST_FILMS, VALIDATION_FILMS, SHARE = 1311, 1886, 638 / 1311  # of their split, and with the finding
CHECKPOINTS = 75  # epochs
AREA, ALIKE = 0.85, 0.9  # of every checkpoint in truth; correlation of the outputs of two
TRAININGS = 40


@finding(
    VENKATESH,
    "A checkpoint chosen on the test set",
    text="networks trained on one part of MURA, tested on another",
    code="the checkpoint is the one with the best AUC on the test set, and the learning rate falls by its loss there",
    measure=f"what choosing adds to the AUC of {TEST_FILMS:,} test films, of {CHECKPOINTS} checkpoints that are equally"
    f" good (drawn: AUC {AREA}, correlation {ALIKE}; text: chosen on validation films)",
)
def chosen_on_test(study: Study) -> tuple[float, float]:
    rng = np.random.default_rng(study.seed)
    gained = []
    for _ in range(TRAININGS):
        validated, tested = (areas(*outputs(rng, n, CHECKPOINTS)) for n in (VALIDATION_FILMS, TEST_FILMS))
        gained.append(tested[[validated.argmax(), tested.argmax()]] - tested.mean())
    return tuple(np.mean(gained, axis=0))


def outputs(rng: np.random.Generator, films: int, networks: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether films have the finding (films,), and what networks say of them (networks, films), all equally well."""
    present = np.arange(films) < round(SHARE * films)
    apart = np.sqrt(2) * norm.ppf(AREA) * present  # of two normal distributions with that area
    shared, own = rng.standard_normal(films), rng.standard_normal((networks, films))
    return present, apart + np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * own


def areas(present: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each network (networks,), by ranks; no two scores are equal."""
    ranks, positive = scores.argsort(axis=1).argsort(axis=1), present.sum()
    return (ranks[:, present].sum(axis=1) / positive - (positive - 1) / 2) / (len(present) - positive)


RESAMPLES, FILMS, NETWORKS, TRIALS = 1000, 200, 4, 10


@finding(
    VENKATESH,
    "A test of resamples",
    text=NOT_SAID,
    code=f"networks are compared by Tukey's test on {RESAMPLES:,} bootstrap values of each: their number is a choice",
    measure="share of pairs of networks that are equally good and are called different at p < 0.05 (drawn; text: by "
    "the bootstrap interval of the difference)",
)
def bootstrap_values(study: Study) -> tuple[float, float]:
    rng = np.random.default_rng(study.seed)
    called = []
    for trial in range(TRIALS):
        present, scores = outputs(rng, FILMS, NETWORKS)
        weights = times_drawn(FILMS, RESAMPLES, study.seed + trial)
        resampled = np.array([roc_area(present, one, weights) for one in scores])
        least = least_difference(resampled)
        for first, second in combinations(resampled, 2):
            low, high = interval(first - second)
            called.append((low > 0 or high < 0, abs(first.mean() - second.mean()) > least))
    return tuple(np.mean(called, axis=0))


def least_difference(groups: np.ndarray) -> float:
    """The difference of two means that Tukey's test calls significant at 0.05, of groups (k, n) of many values."""
    k, n = groups.shape
    error = groups.var(axis=1, ddof=1).mean()
    return float(studentized_range.ppf(0.95, k, np.inf) * np.sqrt(error / n))  # k (n - 1) degrees of freedom: many


# --- what networks see ------------------------------------------------------------------------------------------------

FILM = (512, 400)  # height and width, as many of MURA's


@finding(
    VENKATESH,
    "Films that are squeezed",
    text=NOT_SAID,
    code="networks are trained and judged on the middle square of a film, maps made on the whole film squeezed to a "
    "square",
    measure=f"share of the images whose predicted class changes, squeezed as a film of {FILM[0]} × {FILM[1]} pixels is",
)
def squeezed(study: Study) -> tuple[float, float]:
    classifier = study.networks.artefact(study.networks.main)
    pixels = study.networks.test().pixels[list(spread(study.images.explained, 4 * FEW_IMAGES))]
    network = classifier.network(study.store.get)
    logits = predict(network, np.concatenate([pixels, flattened(pixels)]), input_range=classifier.input_range)
    classes = logits.argmax(axis=1) if logits.shape[1] > 1 else logits[:, 0] >= 0
    before, after = np.split(classes, 2)
    return 0.0, (before != after).mean()


def flattened(pixels: np.ndarray) -> np.ndarray:
    """Images (n, h, w[, 3]) uint8 as the middle of films that are higher than wide, squeezed to their own size. Above
    and below is what lies at their border."""
    height = pixels.shape[1]
    inner = round(height * FILM[1] / FILM[0])
    above = (height - inner) // 2
    margins = ((above, height - inner - above), *((0, 0),) * (pixels.ndim - 2))
    smaller = (resize(image, (inner, *image.shape[1:]), preserve_range=True, anti_aliasing=True) for image in pixels)
    return np.stack([np.pad(np.rint(image).astype(np.uint8), margins, mode="edge") for image in smaller])


SAME = 1e-6  # of what the trained network's output changes


def _random_states(study: Study) -> list[SaliencyMaps]:
    """Integrated Gradients with all weights random: drawn as in the protocol's cascade, and with torch's defaults."""
    ours = study.maps.cascade("ig", study.networks.main)[study.networks.stages[-1]]
    state = replace(ours.randomization, initialization="torch_default", batchnorm="reset")
    return [ours, study.maps.artefact("ig", images=ours.images, randomization=state)]


@finding(
    VENKATESH,
    "Random networks that see nothing",
    text="sensitivity to the network's weights",
    code="layers drawn by torch's defaults, statistics of batch normalization reset: signals fade from layer to layer",
    measure="share of the images whose output in the random network differs from that of a blank image by less than "
    f"{SAME:g} of what it does in the trained one (text: weights that keep the scale)",
    maps=_random_states,
)
def dead_networks(study: Study) -> tuple[float, float]:
    trained = np.abs(study.maps.raw("ig").totals).mean()
    return tuple((np.abs(study.store.get(maps).totals) < SAME * trained).mean() for maps in _random_states(study))


# --- how maps become masks --------------------------------------------------------------------------------------------

SIDE = 320  # of their images, in pixels
EDGES = "canny"


def _kept(study: Study, method: str, mode: str, model: str | None = None) -> np.ndarray:
    """What a mode keeps of maps (n, height, width) of a few explained images, prepared as theirs are."""
    preparation = Preparation("sum_abs", clip=None if method in ("xrai", EDGES) else 99.0, mode=mode)
    maps = prepared(study.maps.artefact(method, model), preparation, study.store.get)
    return maps[list(spread(range(len(maps)), FEW_IMAGES))]


def _truth(study: Study) -> np.ndarray:
    """Where the finding is in those images (n, height, width)."""
    return study.images.split("test").truth[list(spread(study.images.explained, FEW_IMAGES))]


def _edges(study: Study) -> list[SaliencyMaps]:
    return [study.maps.artefact(EDGES)]


@finding(
    VENKATESH,
    "Boxes that an opening deletes",
    text=NOT_SAID,
    code="boxes around the map's parts, then an opening that leaves none with a side up to 40 of 320 pixels",
    measure="share of the boxes of Integrated Gradients that are deleted",
)
def opening(study: Study) -> tuple[float, float]:
    parts = [label(mask)[0] for mask in _kept(study, "ig", "unopened_boxes")]  # boxes that touch count as one
    left = _kept(study, "ig", "boxes") > 0
    kept = sum(len(np.unique(part[mask])) for part, mask in zip(parts, left, strict=True))
    return 0.0, 1 - kept / max(sum(part.max() for part in parts), 1)


LARGE = 60  # pixels a side of a box that the opening leaves, of 320


@finding(
    VENKATESH,
    "Boxes that lose their corners",
    text=NOT_SAID,
    code="the opening is by a round disk, the readers' boxes have corners",
    measure=f"share of a box of {LARGE} × {LARGE} pixels that is left, of 320 × 320",
)
def corners(study: Study) -> tuple[float, float]:
    box = np.zeros((1, SIDE, SIDE))
    box[:, LARGE : 2 * LARGE, LARGE : 2 * LARGE] = 1
    return 1.0, MODES["boxes"](box).sum() / box.sum()


@finding(
    VENKATESH,
    "Edges whose boxes are kept",
    text="methods are compared with edges",
    code="boxes around edges are not opened, boxes around the parts of maps are",
    measure="mean AUPRC of the boxes around Canny's edges, by their rule (text: opened as those of maps)",
    maps=_edges,
)
def kept_edges(study: Study) -> tuple[float, float]:
    return tuple(
        auprc_trapezoid(counted(_kept(study, EDGES, mode) > 0, _truth(study))).mean()
        for mode in ("boxes", "unopened_boxes")
    )


# --- how masks are compared -------------------------------------------------------------------------------------------


@finding(
    VENKATESH,
    "Pixels that are not 0",
    text="IoU of two maps",
    code="IoU of the pixels that are not 0: of raw maps, nearly all",
    measure="mean IoU of gradients of different images (text: of the pixels above Otsu's threshold)",
)
def raw_overlap(study: Study) -> tuple[float, float]:
    return tuple(
        np.mean([iou(counted(*pair)) for pair in pairwise(_kept(study, "grad", mode) > 0)]) for mode in ("otsu", "raw")
    )


@finding(
    VENKATESH,
    "Pairs that are left out",
    text="IoU of two networks' maps",
    code="two empty maps have no IoU, and are left out of the mean",
    measure="mean IoU of two replicates' boxes, of all maps of six methods (text: 0 where both are empty)",
)
def dropped_pairs(study: Study) -> tuple[float, float]:
    def boxes(network: str) -> np.ndarray:
        return np.concatenate([_kept(study, method, "boxes", network) > 0 for method in VENKATESH_SIX])

    overlaps = iou(counted(boxes(study.networks.main), boxes(study.networks.replicate)), empty=np.nan)
    known = overlaps[~np.isnan(overlaps)]
    return known.sum() / len(overlaps), known.mean() if len(known) else 0.0


READ = 60  # drawn films whose simulated readers are compared


@cache
def _readings(seed: int) -> tuple[np.ndarray, ...]:
    """What the simulated readers of phantom-bones mark on films of patients with a finding, films on which no two agree
    left out: masks (readers, height, width) of each."""
    parameters = BonesParameters.of(**data_cards.load("phantom-bones").parameters)
    found = []
    for number in range(READ):
        key = (seed, number)
        shapes = reading(key, 0, scene(key, 0, parameters, True), parameters)
        if agreed(list(shapes.values()), VOTES):
            found.append(np.stack([drawn(boxes, ON_FILE, ON_FILE, SIDE) for boxes in shapes.values()]))
    return tuple(found)


@finding(
    VENKATESH,
    "Readers in their own consensus",
    text="methods compared with radiologists",
    code="a reader's marks are held against the consensus that holds them, a map against another map",
    measure="mean IoU of a reader with what his marks are held against (readers simulated as theirs agreed; text: with "
    "another reader)",
)
def own_consensus(study: Study) -> tuple[float, float]:
    return tuple(
        np.mean([iou(counted(masks[:, None], reference(masks, VOTES))).mean() for masks in _readings(study.seed)])
        for reference in (REFERENCES["pairwise"], REFERENCES["consensus"])
    )


NOTCHED = Polygon((((40, 40), (120, 40), (120, 220), (200, 220), (200, 40), (280, 40), (280, 280), (40, 280)),))


@finding(
    VENKATESH,
    "Outlines with a dent",
    text=NOT_SAID,
    code="outlines that a reader drew are filled from the leftmost to the rightmost pixel of each row (fillConvexPoly)",
    measure="area of an outline in the shape of a U, of the area that it has",
)
def convex_fill(study: Study) -> tuple[float, float]:
    exact = NOTCHED.drawn(SIDE, SIDE)
    return 1.0, RowsFilled(NOTCHED).drawn(SIDE, SIDE).sum() / exact.sum()


WORST = 0.438  # AUPRC of SmoothGrad, the lowest of their abstract


@finding(
    VENKATESH,
    "Worse than a map of nothing",
    text="SG, the worst method, has an AUPRC of 0.438",
    code="the area is taken by straight lines, which give much to a map that is the same everywhere, or emptied",
    measure="mean AUPRC (text: of SG, as printed; code: of an empty map of the films of simulated readers)",
)
def nothing(study: Study) -> tuple[float, float]:
    truth = np.stack([voted(masks, VOTES) for masks in _readings(study.seed)])
    return WORST, auprc_trapezoid(counted(np.zeros_like(truth), truth)).mean()


@finding(
    VENKATESH,
    "A column that holds the last verdict",
    text="each method passes or fails",
    code="the column of the verdicts is set as a whole for each row: the file holds the last one in every row",
    measure="share of the rows whose verdict is another's: six methods in three modes, each against edges",
    maps=_edges,
)
def overwritten(study: Study) -> tuple[float, float]:
    def mean(method: str, mode: str) -> float:
        maps = zip(_kept(study, method, mode), _truth(study), strict=True)
        return np.mean([trapezoid(one, truth) for one, truth in maps])

    rows = [(method, mode) for mode in ("raw", "otsu", "boxes") for method in VENKATESH_SIX]
    edges = {"raw": mean(EDGES, "raw"), "otsu": mean(EDGES, "otsu"), "boxes": mean(EDGES, "unopened_boxes")}
    own = ["PASS" if mean(method, mode) > edges[mode] else "FAIL" for method, mode in rows]
    as_run = pd.DataFrame(rows, columns=["method", "mode"])
    for verdict in own:
        as_run["Weak Localization"] = verdict
    return 0.0, (as_run["Weak Localization"] != own).mean()
