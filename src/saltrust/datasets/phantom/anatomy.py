"""The healthy chest: a patient drawn by lot, and the thickness of air, soft tissue and bone that the X-rays cross.

Body coordinates are film widths: x grows from the patient's right to left (the film's left to right), y downwards.
Thicknesses are in centimetres of unit-density tissue; `imaging` turns their sum into grey values.
"""

from dataclasses import dataclass, replace

import numpy as np

from saltrust.datasets.phantom.drawing import Film, ellipsoid, ramp, round_edge, smooth_field, strokes
from saltrust.datasets.phantom.skeleton import skeleton

LUNG_AIR = 0.78  # fraction of a healthy lung's volume that is air
HANGING = 0.2  # of the free share of a film, by how much a patient may hang over its edge
LEANING = 0.17  # radians that a patient may lean, times that share


@dataclass(frozen=True)
class Patient:
    """Build and pose. Lengths in film widths unless a unit is given; `side` pairs are (patient's right, left)."""

    scale: float  # body size on the film, 1 = usual
    tilt: float  # rotation in the film's plane, radians
    turn: float  # rotation about the long axis, -1 to 1; shifts what lies in front
    shift: tuple[float, float]  # of the body on the film
    depth: float  # chest depth, cm
    inspiration: float  # -1 poor to 1 deep: level of the diaphragm, height of the lungs, width of the heart
    exposure: float  # shift of the display window, in optical density
    breast: float  # 0 none to 1 large
    apex: float  # top of the lungs
    widths: tuple[float, float]  # half-widths of the thorax
    domes: tuple[float, float]  # heights of the diaphragm
    heart: float  # half-width of the heart
    heart_axis: float  # radians
    knob: float  # radius of the aortic knob
    rib_spacing: float
    rib_drop: float  # from spine to side
    clavicle: float  # height of the inner ends
    bone: float  # mineral content relative to the usual
    bubble: float  # size of the gastric air bubble, 0 none
    arms: float  # how far the shoulders reach beyond the film


def patient(rng: np.random.Generator, variation: float, framing: float = 0.0) -> Patient:
    """Draw a patient and a place for him on the film.

    Args:
        rng: of this patient alone.
        variation: scales every deviation from the average patient.
        framing: up to this share of the film's width stays free, and the patient stands anywhere in it.
    """

    def vary(mean: float, sd: float, low: float = -2.0, high: float = 2.0) -> float:
        return mean + sd * variation * float(np.clip(rng.standard_normal(), low, high))

    inspiration = vary(0.0, 0.5)
    width = vary(0.385, 0.014)
    dome = 0.745 + 0.045 * inspiration
    average = Patient(
        scale=vary(1.0, 0.035),
        tilt=vary(0.0, 0.022),
        turn=vary(0.0, 0.45),
        shift=(vary(0.0, 0.012), vary(0.0, 0.014)),
        depth=vary(21.0, 2.2),
        inspiration=inspiration,
        exposure=vary(0.0, 0.16),
        breast=max(0.0, vary(0.15, 0.5)),
        apex=vary(0.115, 0.012) - 0.008 * inspiration,
        widths=(width + vary(0.0, 0.006), width + vary(0.0, 0.006)),
        domes=(dome + vary(0.0, 0.012), dome + 0.022 + vary(0.0, 0.014)),
        heart=vary(0.160, 0.012) - 0.010 * inspiration,
        heart_axis=vary(0.55, 0.12) + 0.10 * inspiration,
        knob=vary(0.036, 0.006),
        rib_spacing=vary(0.0735, 0.003) + 0.003 * inspiration,
        rib_drop=vary(0.125, 0.016),
        clavicle=vary(0.205, 0.014),
        bone=vary(1.0, 0.17),
        bubble=max(0.0, vary(0.045, 0.025)),
        arms=vary(0.0, 0.012),
    )
    return _framed(average, rng, framing) if framing else average


def _framed(p: Patient, rng: np.random.Generator, framing: float) -> Patient:
    """The patient from farther away, and beside the middle of the film as far as the free part allows."""
    free, right, down = framing * rng.random(), rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)
    margin = free + HANGING * framing
    shift = p.shift[0] + margin * right, p.shift[1] + margin * down
    return replace(p, scale=p.scale * (1 - free), tilt=p.tilt + LEANING * framing * rng.uniform(-1, 1), shift=shift)


@dataclass(frozen=True)
class Geometry:
    """Body coordinates of every pixel, and the contours that findings need. Distances are positive inside."""

    film: Film
    patient: Patient
    x: np.ndarray  # (size, size) from the midline, positive on the patient's left
    y: np.ndarray  # (size, size)
    row: np.ndarray  # (size, 1) the same, without the tilt: for contours that depend on height alone
    across: np.ndarray  # (size, size) |x|
    left: np.ndarray  # (size, size) bool, patient's left
    outer: np.ndarray  # (size, size) lateral border of the lung of that side, as |x|
    inner: np.ndarray  # (size, size) medial border
    dome: np.ndarray  # (size, size) height of the diaphragm there
    lung: np.ndarray  # (size, size) distance into the lung field (before the heart is cut out)
    heart: np.ndarray  # (size, size) as `ellipsoid`: positive inside the cardiac silhouette

    def to_film(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) in body coordinates to film coordinates."""
        p = self.patient
        y = (points[:, 1] - 0.5) * p.scale + 0.5 + p.shift[1]
        x = points[:, 0] * p.scale + p.shift[0] + p.tilt * (y - 0.5)
        return np.stack([x, y], axis=1)

    def strokes(self, segments: np.ndarray) -> np.ndarray:
        """`drawing.strokes` of segments given in body coordinates."""
        placed = np.asarray(segments, float).copy()
        placed[:, 0:2], placed[:, 2:4] = self.to_film(placed[:, 0:2]), self.to_film(placed[:, 2:4])
        placed[:, 4] *= self.patient.scale
        return strokes(self.film, placed)

    def fields(self) -> np.ndarray:
        """(size, size) bool: the visible lung fields, heart excluded."""
        return (self.lung > 0) & (self.heart < 0)


def geometry(p: Patient, film: Film) -> Geometry:
    """Place the patient on the film and find the contours of lungs and heart."""
    row = (film.y - np.float32(0.5 + p.shift[1])) * np.float32(1 / p.scale) + np.float32(0.5)
    x = (film.x - np.float32(p.shift[0]) - np.float32(p.tilt) * (film.y - np.float32(0.5))) * np.float32(1 / p.scale)
    y = row + np.float32(p.tilt) * x
    across, left = np.abs(x), x > 0
    right_rows, left_rows = (lung_rows(p, row, side) for side in (0, 1))
    outer = np.where(left, left_rows[0], right_rows[0])
    inner = np.where(left, left_rows[1], right_rows[1])
    dome = diaphragm(p, across, left)
    lung = np.minimum(np.minimum(outer - across, across - inner), dome - y)
    return Geometry(film, p, x, y, row, across, left, outer, inner, dome, lung, heart(p, x, y, 1.0))


def lung_rows(p: Patient, row: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Lateral and medial border of one lung, as |x| for every height; they meet at the apex."""
    t = np.clip((row - np.float32(p.apex)) * np.float32(1 / (0.86 - p.apex)), 0, 1)
    width = p.widths[side]
    outer = 0.150 + (width - 0.150) * (1 - (1 - t) ** 3.2) ** 0.62 + 0.012 * ramp(t, 0.5, 1)
    apex = np.exp(t * np.float32(-24.0))
    turn = 0.012 * p.turn * (1 if side else -1)
    inner = (0.057 + turn) * (1 - apex) + 0.150 * apex + 0.006 * np.sin(t * np.float32(9.0) + side)
    above = (row < p.apex) * np.float32(0.3)
    return outer - above, inner + above


def diaphragm(p: Patient, across: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Height of the diaphragm: two domes that fall off steeply to the costophrenic angles."""
    height = np.where(left, np.float32(p.domes[1]), np.float32(p.domes[0]))
    u = (across - np.float32(0.185)) * np.float32(1 / 0.2)
    return height + 0.060 * u * u + 0.050 * np.maximum(u, 0) ** 6


def heart(p: Patient, x: np.ndarray, y: np.ndarray, size: float) -> np.ndarray:
    """Cardiac silhouette as `ellipsoid`: left ventricle and right atrium; `size` widens it, mostly to the left."""
    base = max(p.domes) - 0.005
    half = p.heart * size
    shift = 0.012 * p.turn
    centre = (0.066 + shift + 0.35 * (half - p.heart), base - 0.075 * (0.6 + 0.4 * size))
    left_ventricle = ellipsoid(x, y, centre, (half, 0.115 * size**0.6), p.heart_axis)
    right_atrium = ellipsoid(x, y, (-0.012 + shift, base - 0.078), (0.088 * size**0.7, 0.122 * size**0.5), 0.1)
    outflow = ellipsoid(x, y, (0.026 + shift, base - 0.170), (0.078, 0.150), -0.25)
    return np.maximum(np.maximum(left_ventricle, right_atrium), outflow)


@dataclass(frozen=True)
class Chest:
    """What the rays cross, pixel by pixel (size, size): findings replace some of these layers."""

    body: np.ndarray  # thickness of the body, air included, cm
    lung: np.ndarray  # thickness of lung, cm, if the heart were not there
    aeration: np.ndarray  # air in the lung relative to a healthy one, 0 to 1.28 (free air)
    heart: np.ndarray  # fraction of the lung's thickness that the heart takes, 0 to 1
    vessels: np.ndarray  # extra tissue of vessels and hila, cm
    airways: np.ndarray  # air in trachea and bowel, cm
    bone: np.ndarray  # cm of bone
    overlay: np.ndarray  # optical density of what lies on or in the patient besides
    cassette: np.ndarray  # optical density of what lies on the film, in front of scattered rays too


def chest(g: Geometry, rng: np.random.Generator) -> Chest:
    """Draw the healthy chest."""
    return Chest(
        body=_body(g, rng) + _mediastinum(g),
        lung=_lung(g),
        aeration=_parenchyma(g, rng),
        heart=heart_share(g.heart),
        vessels=_vessels(g, rng),
        airways=_airways(g, rng),
        bone=skeleton(g, rng),
        overlay=np.zeros_like(g.x),
        cassette=np.zeros_like(g.x),
    )


def heart_share(silhouette: np.ndarray) -> np.ndarray:
    """Fraction of the lung's thickness displaced by a heart of that silhouette (an `ellipsoid`)."""
    return np.float32(0.95) * np.sqrt(np.clip(silhouette * np.float32(1.8), 0, 1))


def _parenchyma(g: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Aeration of healthy lung: less at the bases, with the mottle of vessels too small to be drawn one by one."""
    broad, fine, finest = (smooth_field(g.film, rng, knots) for knots in (6, 36, 80))
    gravity = 0.03 - 0.10 * ramp(g.row, 0.35, 0.80)
    return 1 + gravity - 0.030 * broad - 0.020 * fine - 0.016 * finest


def _lung(g: Geometry) -> np.ndarray:
    """Depth of lung along the ray: thin at the ribs, abrupt at the mediastinum; a little hides behind the diaphragm."""
    p = g.patient
    side = round_edge(g.outer - g.across, 0.11) * round_edge(g.across - g.inner, 0.045)
    recess = ramp(g.dome - g.y, -0.055, 0.0) * np.float32(0.16)
    base = round_edge(g.dome - g.y, 0.03) * (1 - recess) + recess
    height = 0.55 + 0.45 * ramp(g.row, p.apex - 0.02, p.apex + 0.30)
    turned = np.where(g.left, np.float32(1 - 0.05 * p.turn), np.float32(1 + 0.05 * p.turn))
    return np.float32(0.70 * p.depth) * side * base * height * turned


def _body(g: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Soft tissue: trunk, neck, shoulders fading into the arms, breasts."""
    p = g.patient
    neck = 0.150 + 0.36 * ramp(g.row, -0.01, 0.14) + p.arms
    flank = neck - (0.040 - p.arms) * ramp(g.row, 0.26, 0.48) + 0.02 * ramp(g.row, 0.6, 1.0)
    shoulder = g.y - (0.10 * ramp(g.across, 0.12, 0.46) - 0.035)
    trunk = round_edge(flank * 1.06 - g.across, 0.22) * round_edge(shoulder, 0.11)
    height = 0.62 + 0.30 * ramp(g.row, 0.05, 0.40) + 0.16 * ramp(g.row, 0.68, 1.0)
    arm = 0.30 * ramp(g.across, 0.33, 0.46) * ramp(g.row, 0.40, 0.16) * round_edge(shoulder, 0.10)
    thickness = p.depth * (trunk * height + arm)
    if p.breast > 0.05:
        r = 0.105 + 0.05 * min(p.breast, 1.5)
        for sign in (-1, 1):
            fold = ellipsoid(g.x, g.y, (sign * 0.205, 0.60), (r * 1.1, r * 1.25), -0.25 * sign)
            upper = ramp(g.y, 0.50, 0.70)
            thickness += 3.4 * min(p.breast, 1.3) * np.sqrt(np.clip(fold * 1.2, 0, 1)) * upper
    return thickness * (1 + 0.012 * smooth_field(g.film, rng, 5))


def _mediastinum(g: Geometry) -> np.ndarray:
    """Great vessels that bulge into the lungs: aortic knob and descending aorta, pulmonary trunk, vena cava."""
    p = g.patient
    shift = 0.015 * p.turn
    parts = (
        ((0.048 + shift, 0.335), (p.knob, p.knob * 1.15), 0.0, 5.0),
        ((0.050 + shift, 0.435), (0.036, 0.045), 0.3, 4.0),
        ((-0.034 + shift, 0.33), (0.032, 0.17), 0.0, 3.0),
        ((0.040 + shift, 0.60), (0.026, 0.28), 0.0, 1.6),
    )
    total = np.zeros_like(g.x)
    for centre, axes, angle, thickness in parts:
        total += np.float32(thickness) * np.sqrt(np.clip(ellipsoid(g.x, g.y, centre, axes, angle), 0, 1))
    return total


def _vessels(g: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Pulmonary vessels that branch from the hila and thin out before they reach the pleura."""
    p = g.patient
    level, turn = 0.43 + 0.02 * p.inspiration, 0.012 * p.turn
    hila = ((0.088 - turn, level), (0.100 + turn, level - 0.02))
    drawn = g.strokes(np.concatenate([branches(rng, side, *hilum) for side, hilum in enumerate(hila)]))
    for side, (x, y) in enumerate(hila):
        sign, angle = (1, 0.35) if side else (-1, -0.35)
        hilum = ellipsoid(g.x, g.y, (sign * (x - 0.012), y + 0.008), (0.034, 0.070), angle)
        drawn += np.float32(2.6) * ramp(hilum, -0.35, 0.9)
    inside = ramp(g.outer - g.across, 0.004, 0.06) * ramp(g.dome - g.y, -0.03, 0.01)
    return drawn * inside


def branches(rng: np.random.Generator, side: int, x: float, y: float) -> np.ndarray:
    """The vessel tree of one lung as segments for `strokes`: weights are centimetres of tissue."""
    primaries = np.array([-1.30, -1.0, -0.65, -0.25, 0.15, 0.5, 0.8, 1.05, 1.25, 1.45])
    heading = primaries + rng.normal(0, 0.10, len(primaries))
    lower = np.clip(primaries, 0, None)
    start = np.stack([np.full_like(heading, x), y + 0.045 * heading], axis=1) + rng.normal(0, 0.008, (len(heading), 2))
    radius = 0.0068 + 0.0030 * lower + rng.normal(0, 0.0008, len(heading))
    bend = rng.normal(0, 0.16, len(heading)) - 0.10 * np.sign(primaries)
    length = 0.085 + 0.012 * lower
    found = []
    for _ in range(4):
        for _ in range(2):
            heading = heading + bend + rng.normal(0, 0.10, len(heading))
            step = (0.5 * length * rng.uniform(0.75, 1.25, len(heading)))[:, None]
            end = start + step * np.stack([np.cos(heading), np.sin(heading)], axis=1)
            found.append(np.concatenate([start, end, radius[:, None], 310 * radius[:, None]], axis=1))
            start = end
        spread = rng.uniform(0.22, 0.55, len(heading))
        heading = np.concatenate([heading - spread, heading + spread * rng.uniform(0.5, 1.0, len(spread))])
        start, length, bend = np.tile(start, (2, 1)), 0.86 * np.tile(length, 2), rng.normal(0, 0.16, 2 * len(bend))
        radius = np.concatenate([radius * 0.74, radius * 0.62])
    segments = np.concatenate(found)
    segments[:, [0, 2]] *= 1 if side else -1
    return segments


def _airways(g: Geometry, rng: np.random.Generator) -> np.ndarray:
    """Air in the trachea and main bronchi, and under the left dome in stomach and colon."""
    p = g.patient
    shift, carina = 0.014 * p.turn, 0.385
    lines = np.array(
        [
            [0.004 + shift, -0.05, 0.002 + shift, 0.2, 0.021, 2.6],
            [0.002 + shift, 0.2, -0.004 + shift, carina, 0.020, 2.6],
            [-0.004 + shift, carina, -0.055, carina + 0.050, 0.012, 1.1],
            [-0.004 + shift, carina, 0.075, carina + 0.055, 0.011, 1.0],
        ]
    )
    air = g.strokes(lines)
    if p.bubble > 0.015:
        top = p.domes[1] + 0.026
        colon = (rng.uniform(0.5, 0.9), rng.uniform(0.05, 0.13), rng.uniform(0.5, 3.0))
        for width, offset, weight in ((1.0, 0.0, 6.0), colon):
            centre = (0.175 + offset, top + p.bubble * width + offset * 0.35)
            lobe = ellipsoid(g.x, g.y, centre, (p.bubble * 1.7 * width, p.bubble * width), 0.15)
            air += np.float32(weight) * np.sqrt(np.clip(lobe, 0, 1))
    return air
