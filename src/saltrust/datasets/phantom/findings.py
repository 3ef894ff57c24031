"""Findings drawn into a healthy chest, each with the exact pixels that it occupies."""

from dataclasses import dataclass, replace

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.phantom.anatomy import LUNG_AIR, Chest, Geometry, heart, heart_share, lung_rows
from saltrust.datasets.phantom.drawing import bezier, ellipsoid, polyline, ramp, smooth_field

FREE_AIR = 1 / LUNG_AIR  # aeration of air without lung in it


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
