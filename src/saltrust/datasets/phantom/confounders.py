"""What carries no label: devices that lie on or in the patient, side letters, and look-alikes of the findings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.phantom import keys
from saltrust.datasets.phantom.anatomy import Chest, Geometry, branches, chest
from saltrust.datasets.phantom.drawing import bezier, ellipsoid, polyline, ramp, strokes
from saltrust.datasets.phantom.parameters import Population

SIDES = ("right", "left")  # the patient's; his right is on the film's left


def confounded(
    g: Geometry,
    key: Sequence[int],
    population: Population,
    look_alikes: Sequence[str],
    tube_probability: float,
    given_tube: bool | None = None,
) -> tuple[Chest, np.ndarray, dict]:
    """The healthy chest with what carries no label. The draws are the same with a tube or without.

    Args:
        g: the patient on the film.
        key: of the image.
        population: what it comes from.
        look_alikes: names in MIMICS, of which one may be drawn.
        tube_probability: of a chest tube.
        given_tube: whether there is a tube; None where the probability decides.

    Returns:
        The chest, the tube's pixels (size, size) bool, and what else is known: side, severity 0, tube, leads, marker,
        mimic.
    """
    rng, mimic_rng = keys.random(key, keys.CONFOUNDERS), keys.random(key, keys.MIMIC)
    side, tube, leads, marker, letter, mimic = rng.random(6)
    side = int(side < 0.5)
    has_tube = tube < tube_probability if given_tube is None else given_tube
    letter = "LR"[int(letter < 0.6)] if marker < population.marker else ""
    look_alike = str(mimic_rng.choice(look_alikes)) if mimic < population.mimic else ""
    drawn = chest(g, keys.random(key, keys.ANATOMY))
    if look_alike:
        drawn = MIMICS[look_alike](drawn, g, mimic_rng, int(mimic_rng.integers(2)))
    tube_rng, lead_rng, letter_rng = rng.spawn(3)
    overlay, drain = drawn.overlay, np.zeros_like(g.x)
    if has_tube:
        drain = np.float32(population.tube_density) * chest_tube(g, tube_rng, side)
        overlay = overlay + drain
    if leads < population.leads:
        overlay = overlay + ecg_leads(g, lead_rng)
    if letter:
        drawn = replace(drawn, cassette=side_marker(g, letter_rng, letter))
    attributes = {"side": SIDES[side], "severity": 0.0, "tube": bool(has_tube), "leads": bool(leads < population.leads)}
    return replace(drawn, overlay=overlay), drain > 0, {**attributes, "marker": letter, "mimic": look_alike}


def chest_tube(g: Geometry, rng: np.random.Generator, side: int) -> np.ndarray:
    """Optical density of a drain: it enters between the ribs and runs up to the apex, with its radiopaque stripe."""
    sign = 1 if side else -1
    entry, tip = rng.uniform(0.52, 0.72), (rng.uniform(0.12, 0.22), rng.uniform(0.20, 0.36))
    path = bezier([(0.53, entry + 0.06), (0.38, entry), (rng.uniform(0.22, 0.31), entry - 0.20), tip])
    path[:, 0] *= sign
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    lumen = polyline(path, 0.0095, 0.20)
    walls = [polyline(path + offset * normal, 0.0030, weight) for offset, weight in ((-0.0075, 1.0), (0.0075, 0.6))]
    return g.strokes(lumen) + g.strokes(np.concatenate(walls))


def ecg_leads(g: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Optical density of three electrodes and their wires, which leave over the shoulder or the belly."""
    places = np.array([(-0.30, 0.24), (0.30, 0.25), (0.32, 0.74)]) + rng.normal(0, 0.035, (3, 2))
    exit_ = np.array([rng.uniform(-0.25, 0.25), 1.03 if rng.random() < 0.7 else -0.03])
    discs, wires = np.zeros_like(g.x), []
    for place in places:
        middle = (place + exit_) / 2 + rng.normal(0, 0.09, 2)
        wires.append(polyline(bezier([place, place + rng.normal(0, 0.08, 2), middle, exit_]), 0.0022, 0.55))
        discs += np.float32(0.07) * (ellipsoid(g.x, g.y, place, (0.026, 0.026)) > 0)
        wires.append(polyline(place + np.array([[-0.002, 0], [0.002, 0]]), 0.0095, 1.3))
    return discs + g.strokes(np.concatenate(wires))


LETTERS = {  # strokes on a unit square, y downwards
    "L": [[(0.1, 0.0), (0.1, 1.0), (0.65, 1.0)]],
    "R": [
        [(0.1, 1.0), (0.1, 0.0), (0.45, 0.0), (0.62, 0.12), (0.62, 0.38), (0.45, 0.5), (0.1, 0.5)],
        [(0.35, 0.5), (0.65, 1.0)],
    ],
}


def side_marker(g: Geometry, rng: np.random.Generator, letter: str) -> np.ndarray:
    """Optical density of a lead letter in the upper corner of its side; the patient's right is on the film's left."""
    height = rng.uniform(0.040, 0.055)
    corner = np.array([-0.455 if letter == "R" else 0.41, rng.uniform(0.03, 0.12)]) + rng.normal(0, 0.01, 2)
    lines = [polyline(corner + height * np.array(line), 0.0048, 3.0) for line in LETTERS[letter]]
    return strokes(g.film, np.concatenate(lines))


# name -> function(chest, geometry, generator, side) -> Chest, for both classes alike.
MIMICS: Registry = Registry("mimic")

MIMICS_OF = {
    "pneumothorax": ("skin_fold", "bulla", "scapular_line"),
    "consolidation": ("crowding", "wall_shadow", "atelectasis"),
    "effusion": ("wall_shadow", "atelectasis"),
    "cardiomegaly": ("fat_pad",),
    "nodule": ("nipple", "end_on_vessel"),
    "edema": ("crowding", "wall_shadow"),
    "atelectasis": ("crowding", "fat_pad"),  # not the small plate of that name, which a label would contradict
}


@MIMICS.register("skin_fold")
def skin_fold(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """A density that grows slowly and ends at a sharp edge, like a pleural line with markings beyond it."""
    sign = np.float32(1 if side else -1)
    lean, bow = np.float32(rng.uniform(-0.35, 0.35)), np.float32(rng.uniform(-0.5, 0.5))
    height, span = np.float32(rng.uniform(0.30, 0.55)), rng.uniform(0.14, 0.24)
    v = g.y - height
    u = sign * g.x - np.float32(rng.uniform(0.22, 0.33)) - lean * v - bow * v * v
    shade = ramp(u, -0.09, 0.0) * g.film.soft(-u) * ramp(np.abs(v), span, 0.6 * span)
    return replace(c, overlay=c.overlay + np.float32(rng.uniform(0.07, 0.16)) * shade)


@MIMICS.register("bulla")
def bulla(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """A thin-walled air space at the apex, without markings but round and inside the lung."""
    sign = 1 if side else -1
    centre = (sign * rng.uniform(0.13, 0.22), g.patient.apex + rng.uniform(0.05, 0.12))
    axes = (rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.055))
    level = ellipsoid(g.x, g.y, centre, axes, rng.uniform(-0.5, 0.5))
    inside = ramp(level, -0.15, 0.25)
    wall = np.exp(-((level * np.float32(5)) ** 2)) * ramp(g.lung, 0.0, 0.012)
    return replace(
        c,
        aeration=c.aeration + np.float32(rng.uniform(0.05, 0.14)) * inside,
        vessels=c.vessels * (1 - inside),
        overlay=c.overlay + np.float32(rng.uniform(0.01, 0.06)) * wall,
    )


@MIMICS.register("scapular_line")
def scapular_line(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """The inner border of a shoulder blade that overlies the lung: a thin line, but with markings beyond it."""
    sign = 1 if side else -1
    x, y = rng.uniform(0.26, 0.34), rng.uniform(0.16, 0.24)
    bottom = (x + rng.uniform(-0.01, 0.06), y + rng.uniform(0.16, 0.30))
    bends = (x + rng.normal(0, 0.015), y + 0.07), (x + rng.normal(0.01, 0.015), bottom[1] - 0.07)
    path = bezier([(x, y), *bends, bottom])
    path[:, 0] *= sign
    return replace(c, overlay=c.overlay + g.strokes(polyline(path, 0.0040, rng.uniform(0.08, 0.18))))


@MIMICS.register("crowding")
def crowding(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """Vessels crowded at a poorly aerated base."""
    tree = branches(rng, side, 0.11, 0.47 + rng.uniform(0, 0.05))
    low = ramp(g.y, 0.45, 0.62) * (g.left if side else ~g.left) * ramp(g.lung, 0, 0.03)
    haze = np.float32(rng.uniform(0.03, 0.12)) * low
    return replace(c, vessels=c.vessels + np.float32(0.8) * g.strokes(tree) * low, aeration=c.aeration * (1 - haze))


@MIMICS.register("wall_shadow")
def wall_shadow(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """Soft tissue of the chest wall, seen through the lung and not confined to it."""
    sign = 1 if side else -1
    centre = (sign * rng.uniform(0.20, 0.36), rng.uniform(0.35, 0.70))
    level = ellipsoid(g.x, g.y, centre, rng.uniform(0.06, 0.13, 2), rng.uniform(-0.8, 0.8))
    return replace(c, body=c.body + np.float32(rng.uniform(0.7, 2.0)) * ramp(level, -0.3, 0.8))


@MIMICS.register("atelectasis")
def atelectasis(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """A plate of collapsed lung: a band, nearly horizontal, above the diaphragm."""
    sign = 1 if side else -1
    x, y = sign * rng.uniform(0.13, 0.20), g.patient.domes[side] - rng.uniform(0.04, 0.14)
    end = (x + sign * rng.uniform(0.07, 0.15), y + rng.uniform(-0.05, 0.03))
    path = bezier([(x, y), (x + sign * 0.03, y - 0.01), (end[0] - sign * 0.03, end[1]), end], 10)
    band = g.strokes(polyline(path, 0.007, 1.0))
    return replace(c, vessels=c.vessels + np.float32(rng.uniform(1.0, 2.6)) * band * ramp(g.lung, 0, 0.02))


@MIMICS.register("fat_pad")
def fat_pad(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """Fat in the angle between heart and diaphragm, which widens the silhouette at its foot."""
    sign = 1 if side else -1
    centre = (sign * (0.12 + 0.04 * side), g.patient.domes[side] - 0.01)
    level = ellipsoid(g.x, g.y, centre, (rng.uniform(0.05, 0.08), rng.uniform(0.03, 0.06)), -0.4 * sign)
    return replace(c, aeration=c.aeration * (1 - np.float32(0.6) * ramp(level, -0.2, 0.6)))


@MIMICS.register("nipple")
def nipple(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """A round shadow low over the lung, faint and sharp on its lateral side."""
    sign = 1 if side else -1
    level = ellipsoid(g.x, g.y, (sign * rng.uniform(0.20, 0.27), rng.uniform(0.60, 0.68)), (0.013, 0.013))
    return replace(c, body=c.body + np.float32(rng.uniform(0.6, 1.3)) * np.sqrt(np.clip(level, 0, 1)))


@MIMICS.register("end_on_vessel")
def end_on_vessel(c: Chest, g: Geometry, rng, side: int) -> Chest:
    """Vessels seen end-on near the hilum: small, dense and round."""
    sign = 1 if side else -1
    spots = np.stack([sign * rng.uniform(0.10, 0.20, 2), rng.uniform(0.36, 0.52, 2)], axis=1)
    short = np.array([[0, 0], [0.001, 0]])
    dots = [polyline(spot + short, rng.uniform(0.006, 0.011), rng.uniform(1.5, 3.0)) for spot in spots]
    return replace(c, vessels=c.vessels + g.strokes(np.concatenate(dots)))
