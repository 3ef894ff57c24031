"""Drawn radiographs of limbs, generated on demand, with three simulated readers: finger, wrist and shoulder.

A patient has one region in two views. The finding and its exact pixels, and what each reader draws, come from a key.
Parts: `parameters` (the population and its readers), `forms` (bones on a film), `anatomy` (healthy limbs), `findings`,
`look_alikes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as numbers
from itertools import islice

import numpy as np

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Readers, Split, packed
from saltrust.core.progress import track
from saltrust.datasets import loading
from saltrust.datasets.bones import look_alikes
from saltrust.datasets.bones.anatomy import REGIONS, Build, Limb, build, drawn, pose
from saltrust.datasets.bones.findings import FINDINGS, Lesion
from saltrust.datasets.bones.forms import Pose, plane
from saltrust.datasets.bones.parameters import SUBGROUPS, BonesParameters
from saltrust.datasets.loaders import LOADERS, Loader, refuse_findings
from saltrust.datasets.phantom import keys
from saltrust.datasets.phantom.confounders import LETTERS
from saltrust.datasets.phantom.drawing import film, polyline, smooth_field, strokes
from saltrust.datasets.phantom.imaging import BONE, SOFT, developed
from saltrust.datasets.readers import agreed
from saltrust.datasets.shapes import Box
from saltrust.datasets.simulated_readers import READERS, VOTES, read

VIEWS = ("front", "side")
ON_FILE = 512  # pixels a side of the film on which readers draw, whatever the size at which it is used
BODY = 0.12  # optical depth that a limb exceeds, but for its edges


@dataclass(frozen=True)
class Scene:
    """What is on a film before a pixel is drawn.

    Attributes:
        limb: with its look-alikes.
        build: of the patient.
        pose: of the limb on this film.
        lesions: of the finding, the largest first; none without one.
        exposure: shift of the display window.
        attributes: region, view, subgroup, severity, look_alikes (their names), cast, marker ("L", "R" or "").
    """

    limb: Limb
    build: Build
    pose: Pose
    lesions: tuple[Lesion, ...]
    exposure: float
    attributes: dict[str, object]

    def boxes(self) -> list[np.ndarray]:
        """Points on the film that each lesion's box goes around."""
        return [self.pose.to_film(lesion.outline()) for lesion in self.lesions]

    def places(self) -> np.ndarray:
        """Points (n, 2) on the film where something could be: the middles of joints, and of bones that may break."""
        joints = [joint.points().mean(axis=0) for joint in self.limb.joints.values()]
        bones = [bone.point(sum(bone.breaks) / 2, 0.0) for bone in self.limb.bones.values() if bone.breaks]
        return self.pose.to_film(np.array(joints + bones))


@dataclass(frozen=True)
class Radiograph:
    """One film and what is known about it.

    Attributes:
        pixels: (size, size) uint8.
        mask: (size, size) bool, exactly the finding.
        attributes: as in `Scene`.
    """

    pixels: np.ndarray
    mask: np.ndarray
    attributes: dict[str, object]


def scene(key: Sequence[int], view: int, parameters: BonesParameters, label: bool) -> Scene:
    """What is on a film.

    Args:
        key: of the patient, non-negative integers such as (seed, split, number).
        view: position in VIEWS.
        parameters: the population.
        label: whether the patient has a finding. What else he has does not depend on it.

    Returns:
        The limb with its look-alikes, where it lies, and its lesions, the same at every size.
    """
    rng = keys.random(key, keys.PATIENT)
    region = str(rng.choice(list(REGIONS)))
    b = build(rng, parameters.variation)
    own = (*key, view)
    views = keys.random(own, keys.PATIENT)
    placed = pose(views, b, parameters.variation, parameters.framing)
    exposure = float(parameters.variation * 0.16 * np.clip(views.standard_normal(), -2, 2))
    limb = REGIONS[region](b, float(view), keys.random(own, keys.ANATOMY))
    lots = keys.random(key, keys.CONFOUNDERS).random(4)
    chances = {"growth plates": parameters.young, "nutrient canal": parameters.mimic, "sesamoids": parameters.mimic}
    there = [name for (name, chance), lot in zip(chances.items(), lots, strict=False) if lot < chance]
    for name in there:
        limb = look_alikes.LOOK_ALIKES[name](limb, keys.random((*key, list(chances).index(name)), keys.MIMIC))
    marker, letter = views.random(2)
    attributes = {"region": region, "view": VIEWS[view], "subgroup": "", "severity": 0.0, "look_alikes": there}
    attributes |= {"cast": bool(lots[3] < parameters.cast)}
    attributes |= {"marker": "LR"[int(letter < 0.5)] if marker < parameters.marker else ""}
    lesions: list[Lesion] = []
    if label:
        rng = keys.random(key, keys.FINDING)
        subgroup, severity = str(rng.choice(SUBGROUPS, p=parameters.shares)), rng.uniform(*parameters.severity)
        lesions = FINDINGS[subgroup](limb, placed, rng, severity)
        attributes |= {"subgroup": subgroup, "severity": round(float(severity), 4)}
    return Scene(limb, b, placed, tuple(lesions), exposure, attributes)


def reading(key: Sequence[int], view: int, shown: Scene, parameters: BonesParameters) -> dict[str, tuple[Box, ...]]:
    """What each reader draws on a film: boxes in pixels of a film of ON_FILE pixels a side, by reader."""
    if not shown.lesions:
        return dict.fromkeys(READERS, ())
    position, severity = SUBGROUPS.index(shown.attributes["subgroup"]), shown.attributes["severity"]
    return read(
        np.array([_around(points) for points in shown.boxes()]),
        _on_file(shown.places()),
        (ON_FILE, ON_FILE),
        parameters,
        keys.random((*key, view), keys.REPORTED),
        hard=2 * (1 - severity) * parameters.doubt[position],
        vague=parameters.vagueness[position],
    )


def _on_file(points: np.ndarray) -> np.ndarray:
    """Points (n, 2) on the film in pixels of the film on file."""
    return (points + (0.5, 0.0)) * ON_FILE


def _around(points: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 in pixels of the film on file, of what lies on it of the smallest box around points."""
    inside = np.clip(_on_file(points), 0, ON_FILE)
    return np.concatenate([inside.min(axis=0), inside.max(axis=0)])


def radiograph(key: Sequence[int], view: int, size: int, parameters: BonesParameters, label: bool) -> Radiograph:
    """Draw one film.

    The same key is the same patient, and the same view the same film but for the finding, whatever the label; it is the
    same at every size. Films with and without the finding differ only where it lies, as far as the blur reaches.

    Args:
        key: of the patient, non-negative integers such as (seed, split, number).
        view: position in VIEWS.
        size: side in pixels, 32 to 2048.
        parameters: the population.
        label: whether the patient has a finding.

    Returns:
        The film, its truth and what else is known of it.

    Raises:
        SaltrustError: For a bad key or size.

    >>> radiograph((0, 0, 7), 0, 64, BonesParameters(), label=False).mask.any()
    np.False_
    """
    keys.check(key, size)
    return exposed(key, view, size, parameters, scene(key, view, parameters, label))


def exposed(key: Sequence[int], view: int, size: int, parameters: BonesParameters, shown: Scene) -> Radiograph:
    """The film of a scene; arguments as in `radiograph`."""
    own = (*key, view)
    on_film, tissue = film(size), keys.random(own, keys.MIMIC)
    texture = (
        1 + np.float32(0.18) * smooth_field(on_film, tissue, 72) + np.float32(0.09) * smooth_field(on_film, tissue, 28)
    )
    on = plane(on_film, shown.pose, texture)
    layers = drawn(shown.limb, on, shown.build, smooth_field(on_film, tissue, 5))
    width = shown.limb.width
    layers = look_alikes.with_canals(layers, shown.limb, on, width * shown.build.bone)
    if shown.attributes["cast"]:
        plaster = look_alikes.cast(
            shown.limb, on, keys.random(key, keys.CONFOUNDERS), smooth_field(on_film, tissue, 90)
        )
        layers = replace(layers, overlay=layers.overlay + plaster)
    if shown.attributes["marker"]:
        layers = replace(layers, cassette=_letter(on_film, tissue, shown.attributes["marker"]))
    still = SOFT * layers.flesh + BONE * layers.bone
    mask, seen = np.zeros((size, size), bool), layers
    if shown.lesions:
        contrast = parameters.conspicuity[SUBGROUPS.index(shown.attributes["subgroup"])]
        for lesion in shown.lesions:
            seen, changed = lesion.into(seen, on, width, contrast)
            mask |= changed
    depth = SOFT * seen.flesh + BONE * seen.bone + seen.overlay
    grain = keys.random(own, keys.GRAIN)
    pixels = developed(depth, still, seen.cassette, BODY, shown.exposure, parameters, grain)
    return Radiograph(pixels, mask, shown.attributes)


def _letter(on_film, rng: np.random.Generator, letter: str) -> np.ndarray:
    """Optical density of a lead letter in one corner."""
    height = rng.uniform(0.045, 0.060)
    corner = np.array([rng.choice((-0.46, 0.40)), rng.choice((0.04, 0.88))]) + rng.normal(0, 0.008, 2)
    return strokes(
        on_film, np.concatenate([polyline(corner + height * np.array(line), 0.0055, 2.5) for line in LETTERS[letter]])
    )


Drawn = tuple[str, tuple[int, ...], int, Scene, dict[str, tuple[Box, ...]]]
"""A film to be drawn: its name, the key of the patient, the view, what is on it, and what readers draw."""


def films(of_split: tuple[int, int], split: str, parameters: BonesParameters, label: bool) -> Iterator[Drawn]:
    """The films of a split with the finding, or of those without, without end: both views of one patient after the
    other. A film with the finding in which no two readers mark the same pixel is left out."""
    for number in numbers():
        key = (*of_split, 2 * number + label)
        for view, told in enumerate(VIEWS):
            shown = scene(key, view, parameters, label)
            boxes = reading(key, view, shown, parameters)
            if not label or agreed(list(boxes.values()), VOTES):
                region = shown.attributes["region"]
                yield f"{split}-p{key[-1]:06d}-{region}-{told}", key, view, shown, boxes


def load(parameters: BonesParameters, split: str, count: int, positive: int, size: int, seed: int) -> Split:
    """Films of one split, in random order. Splits and seeds share no patient.

    Args:
        parameters: the population.
        split: "train", "val" or "test".
        count: how many.
        positive: how many of them have a finding.
        size: side in pixels.
        seed: 0 or more.

    Returns:
        The split. Its truth is what two of three readers marked. The exact pixels are the truths of its findings, one
        for each of SUBGROUPS, of which a film has one or none. A name says the patient, the region and the view.

    Raises:
        SaltrustError: For an unknown split, or a bad count, size or seed.
    """
    of_split = keys.of_split(split, count, seed)
    keys.check(of_split, size)
    chosen = [*islice(films(of_split, split, parameters, True), positive)]
    chosen += islice(films(of_split, split, parameters, False), count - positive)
    chosen = [chosen[k] for k in keys.random(of_split, keys.ORDER).permutation(count)]
    pixels = np.empty((count, size, size), np.uint8)
    truth = np.empty((count, size, size), bool)
    present = np.zeros((count, len(SUBGROUPS)), bool)
    exact = np.zeros((len(SUBGROUPS), count, size, -(-size // 8)), np.uint8)
    marks = np.empty((len(READERS), count, size, -(-size // 8)), np.uint8)
    for index, (_, key, view, shown, boxes) in enumerate(track(chosen, f"drawing limbs {split}", count)):
        image = exposed(key, view, size, parameters, shown)
        pixels[index] = image.pixels
        truth[index] = loading.drawn(agreed(list(boxes.values()), VOTES), ON_FILE, ON_FILE, size)
        for position, name in enumerate(READERS):
            marks[position, index] = packed(loading.drawn(boxes[name], ON_FILE, ON_FILE, size))
        if shown.lesions:
            position = SUBGROUPS.index(shown.attributes["subgroup"])
            present[index, position], exact[position, index] = True, packed(image.mask)
    return Split(
        pixels=pixels,
        labels=present.any(axis=1).astype(np.int64),
        truth=truth,
        boxes=np.zeros((0, 5), np.float32),
        ids=np.array([name for name, *_ in chosen]),
        findings=Findings(SUBGROUPS, present, exact, size),
        readers=Readers(READERS, np.ones((len(READERS), count), bool), marks.reshape(-1, *marks.shape[2:]), size),
    )


def patient_of(name: str) -> str:
    """The patient of a film, by its name.

    >>> patient_of("test-p000012-wrist-side")
    'test-p000012'
    """
    return name.rsplit("-", 2)[0]


def region_of(name: str) -> str:
    """The region that a film shows, by its name.

    >>> region_of("test-p000012-wrist-side")
    'wrist'
    """
    return name.rsplit("-", 2)[1]


def _from_card(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """One split as the card describes it; the share of findings is that of its counts. count: None for all of them."""
    refuse_findings(card)
    if card.classes:
        raise SaltrustError(
            f"card '{card.name}': the loader 'bones' knows with and without a finding, and no 'classes'"
        )
    if card.truth != "mask":
        raise SaltrustError(f"card '{card.name}': the loader 'bones' has truth 'mask', not '{card.truth}'")
    expected = card.counts[split]
    count = count or expected.images
    positive = round(count * expected.positive / expected.images)
    return load(BonesParameters.of(**card.parameters), split, count, positive, size, seed)


def _patients(card: Card, names: Sequence[str]) -> dict[str, str]:
    """The patient of each film, by its name."""
    return {name: patient_of(name) for name in names}


# Generated images have no files: the code that draws them is their version.
LOADERS.register("bones")(Loader(_from_card, lambda card: "generated", groups=_patients))
