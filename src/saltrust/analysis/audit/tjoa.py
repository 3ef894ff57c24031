"""Tjoa & Guan: their generator and their score beside their code."""

import numpy as np

from saltrust.analysis.audit.finding import TJOA, finding, mean_utility
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.datasets.cells import GRADES, cell
from saltrust.datasets.cells.backgrounds import BACKGROUNDS
from saltrust.datasets.cells.parameters import COMPOSITING, CellParameters
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


# --- their cells and their score --------------------------------------------------------------------------------------

CELLS, SIDE = 24, 64  # drawn for a demonstration; pixels a side


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
    height = (counted.recall() - counted.fpr(overlap=True))[0, 0]
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
