"""Phantom chest radiographs, generated on demand: the patient, the finding and its exact pixels all come from a key.

Parts: `parameters` (the population), `drawing`, `anatomy` and `skeleton` (the healthy chest), `findings`, `confounders`
(devices, letters, look-alikes), `imaging` (attenuation to grey values).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Findings, Split, packed
from saltrust.core.progress import track
from saltrust.datasets.loaders import LOADERS, Loader, refuse_findings
from saltrust.datasets.phantom.anatomy import Chest, Geometry, chest, geometry, patient
from saltrust.datasets.phantom.confounders import MIMICS, MIMICS_OF, chest_tube, ecg_leads, side_marker
from saltrust.datasets.phantom.drawing import film
from saltrust.datasets.phantom.findings import FINDINGS
from saltrust.datasets.phantom.imaging import expose
from saltrust.datasets.phantom.parameters import PhantomParameters

SMALLEST, LARGEST = 32, 2048  # pixels per side
SIDES = ("right", "left")  # the patient's; his right is on the film's left
TUBE = "tube"  # among the findings of a crossed split

CROSSED = {"clear": (False, False), "tube": (False, True), "finding": (True, False), "both": (True, True)}
"""How a crossed split shows each patient, one image after the other: with the finding?, with the tube?"""

# Every part of an image has random numbers of its own: switching one part on or off leaves the others as they are.
PATIENT, ANATOMY, FINDING, CONFOUNDERS, MIMIC, GRAIN, LABEL, ORDER = range(8)


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
    _check(key, size, parameters)
    if label is None:
        label = bool(_random(key, LABEL).random() < parameters.prevalence)
    g = geometry(patient(_random(key, PATIENT), parameters.variation, parameters.framing), film(size))
    healthy, tube_mask, attributes = _confounded(g, key, parameters, label, tube)
    seen, lesions = healthy, ()
    if label:
        rng = _random(key, FINDING)
        severity = rng.uniform(*parameters.severity)
        side = SIDES.index(attributes["side"])
        found = FINDINGS[parameters.finding](healthy, g, rng, side, severity, parameters.conspicuity)
        seen, lesions = found.chest, found.lesions
        attributes |= {"severity": round(severity, 4), **found.attributes}
    return Radiograph(
        pixels=expose(seen, healthy, g, parameters, _random(key, GRAIN)),
        mask=np.any(lesions, axis=0) if lesions else np.zeros((size, size), bool),
        tube=tube_mask,
        boxes=np.array([tight_box(lesion) for lesion in lesions], np.float32).reshape(-1, 4),
        attributes={"label": bool(label), "finding": parameters.finding, **attributes},
    )


def lung_fields(key: Sequence[int], size: int, parameters: PhantomParameters) -> np.ndarray:
    """(size, size) bool: the visible lung fields (heart excluded) of that key's patient, if healthy."""
    _check(key, size, parameters)
    return geometry(patient(_random(key, PATIENT), parameters.variation, parameters.framing), film(size)).fields()


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
    for kind, name, known in (("split", split, SPLITS), ("truth", truth, ("mask", "box"))):
        if name not in known:
            raise unknown_name(kind, name, known)
    if count < 1 or seed < 0:
        raise SaltrustError(f"phantom: count must be at least 1 and seed not negative, not {count} and {seed}")
    crossed = split in parameters.crossed
    if crossed and count % len(CROSSED):
        raise SaltrustError(f"phantom: a crossed split has {len(CROSSED)} images of each patient, not {count} in all")
    key = (seed, SPLITS.index(split))
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
    labels = _random(key, ORDER).permutation(labels)
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


def _confounded(
    g: Geometry, key: Sequence[int], parameters: PhantomParameters, label: bool, given_tube: bool | None
) -> tuple[Chest, np.ndarray, dict]:
    """The healthy chest with what carries no label, the tube's pixels, and what else that is. The draws are the same
    for either label, with a tube or without."""
    rng, mimic_rng = _random(key, CONFOUNDERS), _random(key, MIMIC)
    side, tube, leads, marker, letter, mimic = rng.random(6)
    side = int(side < 0.5)
    has_tube = tube < (parameters.tube_given_finding if label else parameters.tube_given_clear)
    has_tube = has_tube if given_tube is None else given_tube
    letter = "LR"[int(letter < 0.6)] if marker < parameters.marker else ""
    look_alike = str(mimic_rng.choice(MIMICS_OF[parameters.finding])) if mimic < parameters.mimic else ""
    drawn = chest(g, _random(key, ANATOMY))
    if look_alike:
        drawn = MIMICS[look_alike](drawn, g, mimic_rng, int(mimic_rng.integers(2)))
    tube_rng, lead_rng, letter_rng = rng.spawn(3)
    overlay, drain = drawn.overlay, np.zeros_like(g.x)
    if has_tube:
        drain = np.float32(parameters.tube_density) * chest_tube(g, tube_rng, side)
        overlay = overlay + drain
    if leads < parameters.leads:
        overlay = overlay + ecg_leads(g, lead_rng)
    if letter:
        drawn = replace(drawn, cassette=side_marker(g, letter_rng, letter))
    attributes = {"side": SIDES[side], "severity": 0.0, "tube": bool(has_tube), "leads": bool(leads < parameters.leads)}
    return replace(drawn, overlay=overlay), drain > 0, {**attributes, "marker": letter, "mimic": look_alike}


def _random(key: Sequence[int], part: int) -> np.random.Generator:
    return np.random.default_rng([*key, part])


def _check(key: Sequence[int], size: int, parameters: PhantomParameters) -> None:
    if not key or any(number < 0 for number in key):
        raise SaltrustError(f"phantom: a key is one or more integers >= 0, not {tuple(key)}")
    if not SMALLEST <= size <= LARGEST:
        raise SaltrustError(f"phantom: size must lie between {SMALLEST} and {LARGEST} pixels, not {size}")
    if parameters.finding not in FINDINGS:
        raise unknown_name("finding", parameters.finding, FINDINGS)


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
