"""Phantom chest radiographs, generated on demand: the patient, the finding and its exact pixels all come from a key.

Parts: `parameters` (the population), `keys`, `drawing`, `anatomy` and `skeleton` (the healthy chest), `findings`,
`confounders` (devices, letters, look-alikes), `imaging` (attenuation to grey values); `several` draws films with
several findings at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Findings, Split, packed
from saltrust.core.progress import track
from saltrust.datasets.loaders import LOADERS, Loader, refuse_findings
from saltrust.datasets.phantom import keys
from saltrust.datasets.phantom.anatomy import geometry, patient
from saltrust.datasets.phantom.confounders import MIMICS_OF, SIDES, confounded
from saltrust.datasets.phantom.drawing import film
from saltrust.datasets.phantom.findings import FINDINGS
from saltrust.datasets.phantom.imaging import expose
from saltrust.datasets.phantom.parameters import PhantomParameters

TUBE = "tube"  # among the findings of a crossed split

CROSSED = {"clear": (False, False), "tube": (False, True), "finding": (True, False), "both": (True, True)}
"""How a crossed split shows each patient, one image after the other: with the finding?, with the tube?"""


@dataclass(frozen=True)
class Radiograph:
    """One phantom and what is known about it.

    Attributes:
        pixels: (size, size) uint8.
        mask: (size, size) bool, exactly the finding.
        tube: (size, size) bool, exactly the chest tube.
        boxes: (k, 4) float32, one for each lesion: x0, y0, x1, y1 in pixels, half-open and tight.
        attributes: label, finding, side, severity (0 where clear), tube, leads, marker ("L", "R" or ""), mimic (its
            name or ""), and what the finding adds (kind, count, level, …).
    """

    pixels: np.ndarray
    mask: np.ndarray
    tube: np.ndarray
    boxes: np.ndarray
    attributes: dict[str, object]


def radiograph(
    key: Sequence[int],
    size: int,
    parameters: PhantomParameters,
    label: bool | None = None,
    tube: bool | None = None,
) -> Radiograph:
    """Draw one radiograph.

    The same key is the same patient, pose, devices and grain whatever the label, and the same patient at every size;
    with equal tube probabilities, films with and without the finding differ only where the finding lies. Films with and
    without the tube differ only where the tube lies. Either difference reaches as far as the blur.

    Args:
        key: non-negative integers, such as (seed, split, index).
        size: side in pixels, 32 to 2048.
        parameters: the population.
        label: whether it has the finding; None where the prevalence decides.
        tube: whether it has a chest tube; None where the probabilities of the population decide.

    Returns:
        The radiograph, its truth and what else is known of it.

    Raises:
        SaltrustError: For a bad key, size or finding.

    >>> radiograph((0, 0, 7), 64, PhantomParameters(), label=False).mask.any()
    np.False_
    """
    keys.check(key, size)
    if parameters.finding not in FINDINGS:
        raise unknown_name("finding", parameters.finding, FINDINGS)
    if label is None:
        label = bool(keys.random(key, keys.LABEL).random() < parameters.prevalence)
    g = geometry(patient(keys.random(key, keys.PATIENT), parameters.variation, parameters.framing), film(size))
    tubes = parameters.tube_given_finding if label else parameters.tube_given_clear
    healthy, tube_mask, attributes = confounded(g, key, parameters, MIMICS_OF[parameters.finding], tubes, tube)
    seen, lesions = healthy, ()
    if label:
        rng = keys.random(key, keys.FINDING)
        severity = rng.uniform(*parameters.severity)
        side = SIDES.index(attributes["side"])
        found = FINDINGS[parameters.finding](healthy, g, rng, side, severity, parameters.conspicuity)
        seen, lesions = found.chest, found.lesions
        attributes |= {"severity": round(severity, 4), **found.attributes}
    return Radiograph(
        pixels=expose(seen, healthy, g, parameters, keys.random(key, keys.GRAIN)),
        mask=np.any(lesions, axis=0) if lesions else np.zeros((size, size), bool),
        tube=tube_mask,
        boxes=np.array([tight_box(lesion) for lesion in lesions], np.float32).reshape(-1, 4),
        attributes={"label": bool(label), "finding": parameters.finding, **attributes},
    )


def lung_fields(key: Sequence[int], size: int, parameters: PhantomParameters) -> np.ndarray:
    """(size, size) bool: the visible lung fields (heart excluded) of that key's patient, if healthy."""
    keys.check(key, size)
    return geometry(
        patient(keys.random(key, keys.PATIENT), parameters.variation, parameters.framing), film(size)
    ).fields()


def load(parameters: PhantomParameters, split: str, count: int, size: int, seed: int, truth: str = "mask") -> Split:
    """Radiographs of one split, in random order. Splits and seeds share no patient.

    A crossed split shows each patient four times, in the order of CROSSED. Its findings are the finding and the tube,
    each with its own masks; labels and truth are those of the finding alone.

    Args:
        parameters: the population.
        split: "train", "val" or "test".
        count: how many, of which exactly round(prevalence x count) have the finding; in a crossed split half of them.
        size: side in pixels.
        seed: 0 or more.
        truth: "mask" (exact pixels, no boxes) or "box" (one box for each lesion; the truth is the boxes, filled).

    Raises:
        SaltrustError: For an unknown split or truth, or a bad count, size or seed.
    """
    key = keys.of_split(split, count, seed)
    if truth not in ("mask", "box"):
        raise unknown_name("truth", truth, ("mask", "box"))
    crossed = split in parameters.crossed
    if crossed and count % len(CROSSED):
        raise SaltrustError(f"phantom: a crossed split has {len(CROSSED)} images of each patient, not {count} in all")
    drawn = _crossed(split, count) if crossed else _in_random_order(split, count, parameters.prevalence, key)
    images = [
        radiograph((*key, patient), size, parameters, label, tube)
        for _, patient, label, tube in track(drawn, f"drawing {parameters.finding} {split}", count)
    ]
    boxes = [(index, *box) for index, image in enumerate(images) for box in image.boxes] if truth == "box" else []
    return Split(
        pixels=np.stack([image.pixels for image in images]),
        labels=np.array([label for _, _, label, _ in drawn], np.int64),
        truth=np.stack([image.mask if truth == "mask" else filled(image.boxes, size) for image in images]),
        boxes=np.array(boxes, np.float32).reshape(-1, 5),
        ids=np.array([name for name, *_ in drawn]),
        findings=_findings(images, parameters.finding, size) if crossed else None,
    )


Drawn = tuple[str, int, bool, bool | None]
"""An image to be drawn: its name, the number of the patient, and as in `radiograph` the label and the tube."""


def _in_random_order(split: str, count: int, prevalence: float, key: tuple[int, ...]) -> list[Drawn]:
    labels = np.zeros(count, np.int64)
    labels[: round(prevalence * count)] = 1
    labels = keys.random(key, keys.ORDER).permutation(labels)
    return [(f"{split}-{index:05d}", index, bool(label), None) for index, label in enumerate(labels)]


def _crossed(split: str, count: int) -> list[Drawn]:
    patients = range(count // len(CROSSED))
    return [(f"{split}-{k:05d}-{name}", k, label, tube) for k in patients for name, (label, tube) in CROSSED.items()]


def _findings(images: Sequence[Radiograph], finding: str, size: int) -> Findings:
    masks = np.stack([[image.mask for image in images], [image.tube for image in images]])
    present = np.array([(image.attributes["label"], image.attributes["tube"]) for image in images])
    return Findings((finding, TUBE), present, packed(masks), size)


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest half-open box x0, y0, x1, y1 around the True pixels of a mask that is not empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def filled(boxes: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool, True inside any of the boxes (k, 4) with whole-number corners."""
    inside = np.zeros((size, size), bool)
    for x0, y0, x1, y1 in boxes.astype(int):
        inside[y0:y1, x0:x1] = True
    return inside


def _from_card(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """One split as the card describes it; its prevalence is that of the card's counts. count: None for all of them."""
    refuse_findings(card)
    if card.classes:
        raise SaltrustError(f"card '{card.name}': the loader 'phantom' knows one finding, and no 'classes'")
    if "prevalence" in card.parameters:
        raise SaltrustError(f"card '{card.name}': parameters: the prevalence is that of the card's 'counts'")
    expected = card.counts[split]
    parameters = PhantomParameters.of(**{**card.parameters, "prevalence": expected.positive / expected.images})
    if split in parameters.crossed and expected.positive * 2 != expected.images:
        raise SaltrustError(
            f"card '{card.name}': split '{split}' is crossed, so that half of its images have the finding; "
            f"it counts {expected.positive} of {expected.images}"
        )
    return load(parameters, split, count or expected.images, size, seed, card.truth)


def _patients(card: Card, names: Sequence[str]) -> dict[str, str]:
    """The patient of each image of crossed splits, by the image's name."""
    crossed = PhantomParameters.of(**card.parameters).crossed
    return {name: name.rpartition("-")[0] for name in names if name.partition("-")[0] in crossed}


# Generated images have no files: the code that draws them is their version.
LOADERS.register("phantom")(Loader(_from_card, lambda card: "generated", groups=_patients))
