"""Bones of the chest, in centimetres of bone along the ray: ribs, spine, clavicles, shoulder girdle, sternum."""

import numpy as np

from saltrust.datasets.phantom.drawing import ellipsoid, ramp, round_edge

POSTERIOR_RIBS, ANTERIOR_RIBS = 10, 8


def skeleton(g, rng: np.random.Generator) -> np.ndarray:
    """All bones of a patient placed on the film (`anatomy.Geometry`)."""
    return np.float32(g.patient.bone) * (_ribs(g, rng) + _spine(g) + _clavicles(g, rng) + _shoulders(g))


def _ribs(g, rng: np.random.Generator) -> np.ndarray:
    """Two families of arcs: posterior ribs fall from the spine to the side, anterior ones on from there to the front.

    All ribs of a family are level sets of one phase; its nearest integer is the number of the rib: one pass draws all.
    """
    p = g.patient
    reach = np.maximum(g.outer, 0.06) + np.float32(0.016)
    r = np.minimum(g.across / reach, 1.06)
    arc = np.sqrt(np.clip(1 - r * r, 0.012, 1))
    per_width = 1 / (arc * reach)
    y0 = p.apex + 0.012
    posterior = _family(
        g, rng, count=POSTERIOR_RIBS,
        offset=y0 - 0.02 + np.float32(p.rib_drop) * (1 - arc) - 0.050 * r,
        slope=np.float32(p.rib_drop) * r * per_width - 0.050 / reach,
        half_width=0.0150, weight=0.86,
    )  # fmt: skip
    anterior = _family(
        g, rng, count=ANTERIOR_RIBS,
        offset=y0 - 0.07 + np.float32(p.rib_drop) + np.float32(0.19 - 0.02 * p.inspiration) * arc,
        slope=np.float32(-0.19) * r * per_width,
        half_width=0.0165, weight=0.60,
    )  # fmt: skip
    cartilage = ramp(r, 0.40, 0.58)
    side = ramp(r, 1.06, 1.0) * ramp(g.row, p.apex - 0.030, p.apex + 0.010)
    spine = ramp(g.across, 0.02, 0.045)
    return side * (posterior * spine * (1 + 0.5 * ramp(r, 0.80, 1.0)) + anterior * cartilage)


def _family(g, rng, count: int, offset, slope, half_width: float, weight: float) -> np.ndarray:
    p = g.patient
    phase = (g.y - offset) * np.float32(1 / p.rib_spacing)
    number = np.rint(phase)
    index = (np.clip(number, -1, count) + 1).astype(np.intp) + np.where(g.left, count + 2, 0)
    table = rng.normal(0, 1, (3, 2 * (count + 2))).astype(np.float32)
    shift, width = 0.05 * table[0], half_width * (1 + 0.08 * table[1])
    strength = weight * (1 + 0.07 * table[2])
    strength[[0, count + 1, count + 2, -1]] = 0
    distance = (phase - number + shift[index]) * np.float32(p.rib_spacing) / np.sqrt(1 + slope * slope)
    relative = distance / width[index]
    cortex = 0.62 + 0.38 * np.minimum(relative * relative, 1) - 0.10 * relative
    return strength[index] * cortex * g.film.soft(width[index] - np.abs(distance))


def _spine(g) -> np.ndarray:
    """Vertebral bodies with their discs, pedicles and spinous processes."""
    p = g.patient
    pitch = np.float32(p.rib_spacing * 0.93)
    phase = (g.y - np.float32(p.apex)) / pitch
    level = phase - np.floor(phase)
    x = g.x - np.float32(0.006 * p.turn)
    width = 0.036 + 0.004 * ramp(g.row, 0.2, 0.9) + 0.003 * np.cos(level * np.float32(2 * np.pi))
    body = round_edge(width - np.abs(x), 0.03)
    disc = ramp(np.abs(level - 0.5), 0.36, 0.45)
    dx, dy = np.abs(x) - np.float32(0.021), (level - np.float32(0.40)) * pitch
    pedicle = np.clip(1 - (dx * dx) * np.float32(1 / 0.0075**2) - (dy * dy) * np.float32(1 / 0.011**2), 0, 1)
    process_x, process_y = x + np.float32(0.008 * p.turn), (level - np.float32(0.72)) * pitch
    process = np.clip(
        1 - process_x * process_x * np.float32(1 / 0.0065**2) - process_y * process_y * np.float32(1 / 0.014**2), 0, 1
    )
    return body * (1.35 - 0.45 * disc) + 0.45 * pedicle + 0.35 * process


def _clavicles(g, rng: np.random.Generator) -> np.ndarray:
    """S-shaped, from the sternum up and out to the shoulder."""
    p = g.patient
    lift, wave = rng.normal(0.075, 0.018, 2), rng.normal(0.012, 0.004, 2)
    turn = np.where(g.left, np.float32(0.016 * p.turn), np.float32(-0.016 * p.turn))
    s = (g.across - np.float32(0.030) - turn) * np.float32(1 / 0.37)
    sine = np.sin(np.clip(s, 0, 1.1) * np.float32(2 * np.pi))
    rise = np.where(g.left, np.float32(lift[1]), np.float32(lift[0]))
    height = np.float32(p.clavicle) - rise * s + np.where(g.left, np.float32(wave[1]), np.float32(wave[0])) * sine
    distance = (g.y - height) * np.float32(0.96)
    width = 0.0125 + 0.006 * ramp(s, 0.16, 0.0) + 0.003 * ramp(s, 0.8, 1.0)
    relative = np.minimum(np.abs(distance) / width, 1)
    ends = ramp(s, -0.015, 0.02) * ramp(s, 1.12, 1.05)
    return ends * g.film.soft(width - np.abs(distance)) * (1.05 + 0.45 * relative * relative)


def _shoulders(g) -> np.ndarray:
    """Blades of the scapulae, which mostly clear the lungs, heads of the humeri and the manubrium."""
    p = g.patient
    medial = 0.335 + p.arms + 0.11 * ramp(g.y, 0.17, 0.52)
    blade = np.minimum(g.across - medial, np.minimum(g.y - 0.165, 0.50 - g.y))
    scapula = g.film.soft(blade) * (0.16 + 0.22 * ramp(blade, 0.016, 0.0))
    ridge_y = g.y - np.float32(0.245) + (g.across - 0.36) * np.float32(0.75)
    ridge = g.film.soft(np.minimum(0.011 - np.abs(ridge_y), g.across - medial)) * np.float32(0.30)
    head = ellipsoid(g.across, g.y, (0.485 + p.arms, 0.175), (0.055, 0.058))
    humerus = np.sqrt(np.clip(head * 1.5, 0, 1)) * np.float32(0.95)
    sternum = ellipsoid(g.x, g.y, (0.018 * p.turn, 0.26), (0.042, 0.055))
    return scapula + ridge + humerus + np.float32(0.45) * np.sqrt(np.clip(sternum, 0, 1))
