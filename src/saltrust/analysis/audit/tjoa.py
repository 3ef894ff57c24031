"""Tjoa & Guan: their generator and their score beside their code."""

from dataclasses import replace

import numpy as np
import torch
from skimage.transform import resize
from torch import nn

from saltrust.analysis.audit.finding import TJOA, finding, mean_utility
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.datasets.cells import GRADES, cell
from saltrust.datasets.cells.backgrounds import BACKGROUNDS
from saltrust.datasets.cells.parameters import COMPOSITING, TURNING, UNITS, CellParameters
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import predict
from saltrust.scores.five_band import SOFT, adjust, confusion, soft
from saltrust.study.five_band import CLAMP
from saltrust.study.study import Study

# --- how their maps are made ------------------------------------------------------------------------------------------


def _layers(study: Study) -> list[SaliencyMaps]:
    first = study.networks.artefact(study.networks.main).stages[-1].modules[-1]
    return [study.maps.artefact("guided_gradcam", parameters={"layer": layer}) for layer in (None, first)]


@finding(
    TJOA,
    "Guided Grad-CAM at the first layer",
    text="“GuidedGradCam”, layer not said",
    code="first convolution",
    measure="mean AUPRC of Guided Grad-CAM (text: at the layer Grad-CAM uses here)",
    maps=_layers,
)
def first_layer(study: Study) -> tuple[float, float]:
    return tuple(mean_utility(study, maps) for maps in _layers(study))


@finding(
    TJOA,
    "One map without signs",
    text="eight methods, treated alike",
    code="captum's Saliency is the gradient's magnitude, the other seven keep signs",
    measure="share of a gradient map that positive bands can reward",
)
def signs(study: Study) -> tuple[float, float]:
    gradient = study.maps.raw("grad").values.sum(axis=1, dtype=np.float64)
    return np.maximum(gradient, 0).sum() / np.abs(gradient).sum(), 1.0


# --- how their networks are trained -----------------------------------------------------------------------------------

TRAINED, VALIDATED = 224, 512  # sides of the images on which AlexNet and VGG16 are trained and validated [code]
ENLARGED = 40  # validation images of the demonstration


def _larger(study: Study) -> list[ImageSet]:
    """Some validation images, as much larger than the main network's as theirs were."""
    side = round(study.images.size * VALIDATED / TRAINED)
    images = study.images.artefact("val", side)
    return [replace(images, count=min(ENLARGED, images.count))]


@finding(
    TJOA,
    "Validated on larger images",
    text="AlexNet and VGG trained on 224 × 224 pixels",
    code="and validated on 512 × 512, as the images are drawn",
    measure="validation accuracy of the main network at its own side, and at 512 / 224 of it",
    maps=_larger,
)
def validated_large(study: Study) -> tuple[float, float]:
    trained = study.networks.artefact(study.networks.main)
    network = trained.network(study.store.get)
    (larger,) = (study.store.get(images) for images in _larger(study))
    own = study.images.split("val")
    places = [list(own.ids).index(name) for name in larger.ids]

    def accuracy(pixels: np.ndarray) -> float:
        logits = predict(network, pixels, batch_size=8, input_range=trained.input_range)
        if trained.n_outputs > 1:
            return (logits.argmax(axis=1) == larger.labels).mean()
        return ((logits[:, 0] > 0) == larger.present).mean()

    return accuracy(own.pixels[places]), accuracy(larger.pixels)


@finding(
    TJOA,
    "Eight depths, one network",
    text="1 to 8 convolutions are added to AlexNet",
    code="their number goes to a setting that the network does not read: it is built with the default, two",
    measure="convolutions that the last of the eight networks has more than AlexNet",
)
def same_layers(study: Study) -> tuple[float, float]:
    def convolutions(name: str) -> int:
        with torch.device("meta"):
            network = ARCHITECTURES[name].builder(1)
        return sum(isinstance(module, nn.Conv2d) for module in network.modules())

    return tuple(convolutions(f"alexnet+{added}") - convolutions("alexnet") for added in (8, 2))


# --- their cells and their score --------------------------------------------------------------------------------------

CELLS, SIDE = 24, 64  # drawn for a demonstration; pixels a side
TURNED = 200  # drawn to see where they lie


@finding(
    TJOA,
    "A plus without a pole",
    text="pole where y ≥ r v and y ≤ r v (Algorithm 2)",
    code="y ≥ −r v",
    measure="share of plus cells that equal the minus cell of the same place and form",
)
def pole(study: Study) -> tuple[float, float]:
    def equal(test: str) -> float:
        drawn = [_cells(kind, "black", pole_test=test) for kind in ("CCellP", "CCellM")]
        return np.mean([np.array_equal(plus, minus) for plus, minus in zip(*drawn, strict=True)])

    return equal("published"), equal("corrected")


@finding(
    TJOA,
    "A background that shows through",
    text="cells drawn on a background",
    code="background added wherever a colour channel of the cell is almost 0",
    measure="share of rectangular cells on a background with a pixel changed by it",
)
def compositing(study: Study) -> tuple[float, float]:
    scenes = [(kind, scene) for kind in ("RCell", "RCellB", "RCellC") for scene in BACKGROUNDS if scene != "black"]
    pairs = [zip(*(_cells(*scene, compositing=way) for way in COMPOSITING), strict=True) for scene in scenes]
    return 0.0, np.mean([not np.array_equal(right, leaking) for pair in pairs for right, leaking in pair])


@finding(
    TJOA,
    "Rectangles turned about the image",
    text="cells are rotated, then shifted (Algorithms 1 and 2)",
    code="rectangular cells are shifted, then the image is rotated about its centre",
    measure="share of rectangular cells whose centre lies further out than the largest shift along an axis",
)
def turned(study: Study) -> tuple[float, float]:
    limit = CellParameters().shift * UNITS

    def outside(about: str) -> float:
        drawn = [cell((0, n), 32, CellParameters(turning=about), "RCell", "black") for n in range(TURNED)]
        return np.mean([max(abs(one.attributes["x"]), abs(one.attributes["y"])) > limit for one in drawn])

    return tuple(outside(about) for about in TURNING)


@finding(
    TJOA,
    "Truth resized by interpolation",
    text="grades 0, 0.4 and 0.9",
    code="drawn on 512 × 512 pixels, then resized to 224 × 224 with interpolation: edges of a feature pass through "
    "the values of the body",
    measure="share of the truth's pixels in band 1 that no cell drawn on 224 × 224 pixels has there",
)
def rim(study: Study) -> tuple[float, float]:
    large, small = (
        np.stack([cell((0, n), side, CellParameters(), "RCell", "black").grades for n in range(CELLS // 4)])
        for side in (VALIDATED, TRAINED)
    )
    worth = np.array(list(GRADES.values()))[large]
    resized = resize(worth, small.shape)
    body = (resized > TRUTH_BANDS[0]) & (resized <= TRUTH_BANDS[1])
    return 0.0, (body & (small != 1)).sum() / body.sum()


TRUTH_BANDS = (0.3, 0.7)  # between which a value of the truth is in band 1 [code]


def _cells(kind: str, background: str, **faults: str) -> list[np.ndarray]:
    """Images of one type of cell on one background, the same cells for every choice of `faults`."""
    parameters = CellParameters(**faults)
    return [cell((0, number), SIDE, parameters, kind, background).pixels for number in range(CELLS)]


@finding(
    TJOA,
    "An average above 1",
    text="sum over t₀ to t₅₅, divided by 55",
    code="56 thresholds, divided by their number",
    measure="average recall of a map that is right at every threshold",
)
def divisor(study: Study) -> tuple[float, float]:
    grades = np.zeros((1, SIDE, SIDE), np.uint8)
    grades[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 2
    recall = confusion(grades / 2, grades, SOFT).recall()
    return tuple(soft(recall, n)[0].item() for n in (SOFT.count - 1, SOFT.count))


@finding(
    TJOA,
    "Missed pixels counted twice",
    text="false positive: truth ≠ 0 and another band, to the letter also where the map is 0",
    code="false positive only where the map is not 0",
    measure="precision of a map that is 1 on the feature of a plus cell and 0 elsewhere, at t₀",
)
def missed(study: Study) -> tuple[float, float]:
    grades = cell((0, 0), SIDE, CellParameters(), "CCellP", "black").grades[None]
    counted = confusion((grades == 2).astype(float), grades, SOFT)
    return counted.precision_to_the_letter()[0, 0], counted.precision()[0, 0]


@finding(
    TJOA,
    "Axes of the ROC curve",
    text="recall over the false positive rate",
    code="plotted the other way round, and labelled as in the text",
    measure="height above the diagonal of a map that equals the truth, at t₀",
)
def axes(study: Study) -> tuple[float, float]:
    drawn = cell((0, 0), SIDE, CellParameters(), "CCellP", "black")
    grades = drawn.grades[None]
    worth = np.array(list(GRADES.values()))[grades]
    counted = confusion(adjust(worth[:, None]), grades, SOFT)
    height = (counted.recall() - counted.fpr())[0, 0]
    return height, -height


@finding(
    TJOA,
    "What clamping clamps",
    text="maps after the first normalization, at 0.1",
    code="raw attributions, at 0.1 in units of the output",
    measure="share of the gradient's values that are clamped",
)
def clamping(study: Study) -> tuple[float, float]:
    size = np.abs(study.maps.raw("grad").values)
    largest = size.max(axis=(1, 2, 3), keepdims=True)
    return (size > CLAMP * largest).mean(), (size > CLAMP).mean()
