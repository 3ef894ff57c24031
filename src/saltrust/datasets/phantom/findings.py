"""Findings drawn into a healthy chest, each with the exact pixels that it occupies."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from saltrust.core.registry import Registry
from saltrust.datasets.phantom.anatomy import LUNG_AIR, Chest, Geometry, heart, heart_share, lung_rows
from saltrust.datasets.phantom.drawing import bezier, ellipsoid, polyline, ramp, smooth_field

FREE_AIR = 1 / LUNG_AIR  # aeration of air without lung in it
FAINTEST = np.float32(0.04)  # haze that is left out, so that it ends somewhere
BEHIND = 0.05  # by how much farther out an atelectasis of the left base lies, of which the heart would hide more


@dataclass(frozen=True)
class Found:
    """A chest with a finding: one mask (size, size) bool per lesion, none empty, and what it is like."""

    chest: Chest
    lesions: tuple[np.ndarray, ...]
    attributes: dict[str, object]


# name -> function(chest, geometry, generator, side, severity, conspicuity) -> Found.
# side: 0 patient's right, 1 left. severity: 0 hardly visible to 1 extensive. conspicuity: factor on contrast.
FINDINGS: Registry = Registry("finding")


@FINDINGS.register("pneumothorax")
def pneumothorax(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """Air between chest wall and lung: no markings beyond a thin pleural line.

    The lung's outline moves down from the apex and in from the side; the mask is what it leaves free.
    """
    lateral = bool(rng.random() < 0.3)
    drop = (0.010 + 0.05 * severity) if lateral else (0.032 + 0.15 * severity)
    rim = (0.020 + 0.085 * severity) if lateral else (0.004 + 0.075 * severity**1.2)
    reach = rng.uniform(0.30, 0.45) + 0.35 * severity
    ripple = np.sin(g.row * np.float32(rng.uniform(14, 30)) + np.float32(rng.uniform(0, 6.3)))
    p = g.patient
    start = ramp(g.row, p.apex, p.apex + 0.22) if lateral else np.float32(1)
    gap = rim * start * ramp(g.row, p.apex + reach, p.apex + 0.5 * reach) * (1 + 0.08 * ripple)
    outer, _ = lung_rows(p, g.row - drop * ramp(g.row, p.apex + reach, p.apex), side)
    _, inner = lung_rows(p, g.row - drop * ramp(g.row, p.apex + 0.05 + 1.4 * drop, p.apex), side)
    pleura = np.minimum(outer - gap - g.across, g.across - inner)
    on_side = g.left if side else ~g.left
    space = np.where(on_side, np.minimum(g.lung, -pleura), np.float32(-1))
    mask = _not_empty((space > 0) & (g.heart < 0), np.where(g.heart < 0, space, -np.inf))
    air = g.film.soft(space)
    collapse = np.where(on_side, np.float32(0.16 * severity**2 * conspicuity), 0) * (1 - air)
    lucency = min(1.0, conspicuity * (0.42 + 0.40 * severity))
    width = max(0.0030, 0.5 / g.film.size)
    line = np.exp(-((pleura * np.float32(1 / width)) ** 2)) * ramp(g.lung, 0.0, 0.012) * on_side
    weight = np.float32(0.24 * conspicuity * 0.0030 / width)
    changed = replace(
        c,
        aeration=(c.aeration - collapse) * (1 - air) + air * (1 + np.float32((FREE_AIR - 1) * lucency)),
        vessels=c.vessels * (1 - air),
        overlay=c.overlay + weight * line,
    )
    return Found(changed, (mask,), {"kind": "lateral" if lateral else "apical"})


@FINDINGS.register("consolidation")
def consolidation(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """One to three soft opacities: alveoli filled with fluid, airways still open (air bronchograms)."""
    count = int(rng.choice([1, 2, 3], p=[0.55, 0.30, 0.15]))
    shape, grain = smooth_field(g.film, rng, 13), smooth_field(g.film, rng, 30)
    filled, lesions = np.zeros_like(g.x), []
    for number in range(count):
        where = side if number == 0 or rng.random() < 0.4 else 1 - side
        centre = _place(g, rng, where, 0.62)
        radius = (0.058 + 0.120 * severity) * rng.uniform(0.8, 1.25)
        axes = (radius * rng.uniform(0.8, 1.1), radius * rng.uniform(1.0, 1.6))
        level = ellipsoid(g.x, g.y, centre, axes, rng.uniform(-0.8, 0.8)) + np.float32(0.48) * shape
        share = ramp(level, -0.60, 0.75)
        lesions.append(_not_empty((share > 0.35) & g.fields(), np.where(g.fields(), level, -np.inf)))
        filled = np.maximum(filled, share * rng.uniform(0.8, 1.0))
    bronchi = g.strokes(_bronchograms(g, rng, centre, radius)) * filled
    opacity = np.float32(conspicuity * (0.16 + 0.36 * severity))
    loss = np.clip(opacity * filled * (1 + np.float32(0.22) * grain) - np.float32(0.35) * opacity * bronchi, 0, 0.95)
    changed = replace(c, aeration=c.aeration * (1 - loss), vessels=c.vessels * (1 - np.float32(0.6) * filled))
    return Found(changed, tuple(lesions), {"count": count})


@FINDINGS.register("effusion")
def effusion(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """Fluid that blunts the costophrenic angle and climbs the chest wall as a meniscus."""
    angle = g.patient.domes[side] + 0.105
    level = angle - (0.045 + 0.24 * severity)
    wall = np.maximum(g.outer - g.across, 0)
    climb = (0.030 + 0.05 * severity) * np.exp(wall * np.float32(-30)) + 0.15 * severity * np.maximum(0.12 - wall, 0)
    depth = g.y - (np.float32(level) - climb)
    inside = np.where(g.left if side else ~g.left, np.minimum(depth, g.lung + np.float32(0.004)), np.float32(-1))
    visible = np.where(g.fields(), inside, -np.inf)
    share = g.film.soft(inside) * (0.35 + 0.65 * ramp(depth, 0, 0.05 + 0.06 * severity)) * min(1.0, 0.95 * conspicuity)
    below = ramp(depth, 0, 0.05) * (g.lung <= 0) * (g.left if side else ~g.left)
    changed = replace(c, aeration=c.aeration * (1 - np.maximum(share, below * min(1.0, conspicuity))))
    changed = replace(changed, vessels=c.vessels * (1 - share))
    return Found(changed, (_not_empty(visible > 0, visible),), {"level": round(float(angle - level), 3)})


@FINDINGS.register("cardiomegaly")
def cardiomegaly(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """Enlarged heart; the mask is its silhouette above the diaphragm."""
    size = 1 + conspicuity * (0.10 + 0.42 * severity) * rng.uniform(0.9, 1.1)
    silhouette = heart(g.patient, g.x, g.y, size)
    visible = np.where(g.y < g.dome, silhouette, -np.inf)
    changed = replace(c, heart=np.maximum(c.heart, heart_share(silhouette)))
    return Found(changed, (_not_empty(visible > 0, visible),), {"enlargement": round(float(size), 3)})


@FINDINGS.register("nodule")
def nodule(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """A round solitary lesion of soft tissue, about 1 to 3 cm across on a film 40 cm wide."""
    centre = _place(g, rng, side, 0.45)
    radius = 0.013 + 0.024 * severity
    ball = ellipsoid(g.x, g.y, centre, (radius, radius * rng.uniform(0.85, 1.15)), rng.uniform(0, 3))
    ball = ball + np.float32(0.10) * smooth_field(g.film, rng, 40)
    thickness = np.float32(conspicuity * 105 * radius) * np.sqrt(np.clip(ball, 0, 1))
    visible = np.where(g.fields(), ball, -np.inf)
    return Found(replace(c, vessels=c.vessels + thickness), (_not_empty(visible > 0, visible),), {"radius": radius})


@FINDINGS.register("edema")
def edema(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """Fluid in both lungs: haze that spreads from the hila like wings and spares the periphery, vessels indistinct in
    it and full above the hila, Kerley's B lines at the bases. One mask, where the haze exceeds a share of its peak.
    """
    p = g.patient
    patches, grain = smooth_field(g.film, rng, 8), smooth_field(g.film, rng, 34)
    reach, level = 0.72 + 0.50 * severity, 0.45 + 0.02 * p.inspiration
    haze = np.zeros_like(g.x)
    for sign in (-1, 1):
        centre = (sign * rng.uniform(0.125, 0.150), level + rng.uniform(0.0, 0.04))
        axes = (0.135 * reach * rng.uniform(0.9, 1.1), 0.185 * reach * rng.uniform(0.9, 1.1))
        away = 1 - ellipsoid(g.x, g.y, centre, axes, sign * rng.uniform(0.10, 0.35))
        haze = np.maximum(haze, np.float32(rng.uniform(0.85, 1.0)) * np.exp(np.float32(-0.8) * away))
    periphery = 0.30 + 0.70 * ramp(g.outer - g.across, 0.0, 0.11)
    haze = np.clip(haze * periphery * (1 + np.float32(0.16) * patches) - FAINTEST, 0, 1) * _above_diaphragm(g)
    loss = np.float32(conspicuity * (0.10 + 0.36 * severity)) * haze * (1 + np.float32(0.10) * grain)
    blurred = ndimage.gaussian_filter(c.vessels, (0.005 + 0.006 * severity) * p.scale * g.film.size, mode="nearest")
    share = np.minimum(haze * np.float32(min(1.6 * conspicuity, 1.6)), 1)
    full = 1 + np.float32(conspicuity * (0.3 + 0.9 * severity)) * haze * ramp(g.row, level + 0.06, level - 0.08)
    lines = g.strokes(_kerley_lines(g, rng, severity * conspicuity)) * ramp(g.lung, 0.0, 0.006)
    changed = replace(
        c,
        aeration=c.aeration * (1 - np.clip(loss, 0, 0.95)),
        vessels=(c.vessels + share * (blurred - c.vessels)) * full + lines,
    )
    peak = haze[g.lung > 0].max()
    visible = np.where(g.fields(), haze, -np.inf)
    return Found(changed, (_not_empty(visible > 0.38 * peak, visible),), {"reach": round(float(reach), 3)})


@FINDINGS.register("atelectasis")
def atelectasis(c: Chest, g: Geometry, rng, side: int, severity: float, conspicuity: float) -> Found:
    """Lung with less air at a base, and crowded vessels: a plate, nearly horizontal, or a wedge towards the hilum.

    It is larger and softer than the look-alike of that name.
    """
    plate = bool(rng.random() < 0.5)
    shape, grain = smooth_field(g.film, rng, 12), smooth_field(g.film, rng, 34)
    level, across = (_plate if plate else _wedge)(g, rng, side, severity)
    level = level + np.float32(0.20) * shape
    share = ramp(level, -0.35, 0.75) * (g.left if side else ~g.left) * _above_diaphragm(g)
    opacity = np.float32(conspicuity * (0.20 + 0.34 * severity))
    loss = np.clip(opacity * share * (1 + np.float32(0.12) * grain), 0, 0.95)
    crowded = 0.5 + 0.5 * np.cos(across * np.float32(rng.uniform(6.5, 9.5)) + np.float32(rng.uniform(0, 6.3)))
    vessels = c.vessels * (1 + np.float32(0.4) * share) + np.float32(0.7 * conspicuity) * crowded * crowded * share
    visible = np.where(g.fields() & (share > 0), level, -np.inf)
    changed = replace(c, aeration=c.aeration * (1 - loss), vessels=np.where(g.lung > 0, vessels, c.vessels))
    return Found(changed, (_not_empty(visible > 0, visible),), {"kind": "plate" if plate else "wedge"})


def _plate(g: Geometry, rng, side: int, severity: float) -> tuple[np.ndarray, np.ndarray]:
    """As `ellipsoid`: positive inside a plate above the diaphragm; and the place across it, -1 to 1."""
    start, length = rng.uniform(0.10, 0.15) + BEHIND * side, (0.15 + 0.13 * severity) * rng.uniform(0.9, 1.1)
    height = g.patient.domes[side] - rng.uniform(0.045, 0.10)
    lean, bow = rng.normal(-0.05, 0.16), rng.normal(0, 1.2)
    half = (0.011 + 0.017 * severity) * rng.uniform(0.9, 1.1)
    along = g.across - np.float32(start + length / 2)
    across = (g.y - np.float32(height) - np.float32(lean) * along - np.float32(bow) * along * along) / np.float32(half)
    return 1 - across * across - (along / np.float32(length / 2)) ** 2, across


def _wedge(g: Geometry, rng, side: int, severity: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of a wedge with its foot on the diaphragm."""
    hilum, foot = (0.095, 0.44), (rng.uniform(0.17, 0.24) + BEHIND * side, g.patient.domes[side] + 0.01)
    away, down = foot[0] - hilum[0], foot[1] - hilum[1]
    half, tip = (0.17 + 0.20 * severity) * rng.uniform(0.9, 1.1), 0.72 - 0.32 * severity * rng.uniform(0.8, 1.0)
    dx, dy = g.across - np.float32(hilum[0]), g.y - np.float32(hilum[1])
    depth = (dx * np.float32(away) + dy * np.float32(down)) / np.float32(away**2 + down**2)  # 0 hilum, 1 foot
    turn = (dx * np.float32(down) - dy * np.float32(away)) / np.float32(away**2 + down**2)
    across = turn / np.maximum(depth, np.float32(0.1)) / np.float32(half)
    return np.minimum(1 - across * across, (depth - np.float32(tip)) * np.float32(4.5)), across


def _above_diaphragm(g: Geometry) -> np.ndarray:
    """1 in the lung that is seen, 0 in that behind the diaphragm."""
    return ramp(g.dome - g.y, -0.015, 0.0)


def _kerley_lines(g: Geometry, rng, weight: float) -> np.ndarray:
    """Short lines that run inwards from the pleura above both costophrenic angles."""
    lines = []
    for side, sign in enumerate((-1, 1)):
        for y in g.patient.domes[side] + np.linspace(-0.09, 0.05, 6) + rng.normal(0, 0.006, 6):
            outer = float(lung_rows(g.patient, np.array([[y]]), side)[0][0, 0]) - 0.004
            ends = np.array([[outer, y], [outer - rng.uniform(0.022, 0.040), y + rng.normal(0, 0.004)]])
            lines.append(polyline(ends * (sign, 1), 0.0022, 1.1 * weight * rng.uniform(0.4, 1.0)))
    return np.concatenate(lines)


def _place(g: Geometry, rng, side: int, lower: float) -> tuple[float, float]:
    """A point well inside the visible lung of that side, in body coordinates; `lower`: chance of the lower half."""
    p = g.patient
    sign = 1 if side else -1
    top, middle, bottom = p.apex + 0.10, p.apex + 0.33, p.domes[side] - 0.05
    for _ in range(50):
        y = rng.uniform(middle, bottom) if rng.random() < lower else rng.uniform(top, middle)
        outer, inner = (float(border[0, 0]) for border in lung_rows(p, np.array([[y]]), side))
        x = sign * (inner + (outer - inner) * rng.uniform(0.20, 0.85))
        if heart(p, np.float32(x), np.float32(y), 1.0) < -0.15:
            break
    return x, y


def _bronchograms(g: Geometry, rng, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Dark airway branches that run from the hilum through an opacity."""
    hilum = np.array([0.09 if centre[0] > 0 else -0.09, 0.42])
    middle = np.array(centre)
    outward = (middle - hilum) / (np.linalg.norm(middle - hilum) + 1e-6)
    lines = []
    for angle in rng.normal(0, 0.45, 4):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ outward
        ends = middle - 1.1 * radius * outward, middle + 1.2 * radius * turn
        lines.append(polyline(bezier([ends[0], middle - 0.3 * radius * outward, middle, ends[1]], 8), 0.0036, 1.0))
    return np.concatenate(lines)


def _not_empty(mask: np.ndarray, level: np.ndarray) -> np.ndarray:
    """`mask`, or the pixel of the highest level where a lesion is smaller than a pixel."""
    if mask.any():
        return mask
    return level == level.max()
