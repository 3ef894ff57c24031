"""What a limb may have: a broken bone, a plate with screws, arthritis, a mass of soft tissue.

Where a lesion lies is decided before a pixel is drawn, so that it is the same at every size, and so are the boxes that
readers draw around it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.bones.anatomy import INSIDE, Layers, Limb
from saltrust.datasets.bones.forms import Bone, Cleft, Joint, Plane, Pose
from saltrust.datasets.phantom.drawing import ellipsoid, polyline

SEEN = 0.08  # share of the largest change above which a pixel belongs to a lesion
CUFF = 8  # pieces of the cuff on each side of a broken bone
TWICE = 0.3  # probability of a second lesion, where the finding has several places to be


class Lesion(Protocol):
    """One place of a finding."""

    def outline(self) -> np.ndarray:
        """Points (n, 2) in body coordinates: what a careful reader's box would go around."""

    def into(self, layers: Layers, on: Plane, cm: float, contrast: float) -> tuple[Layers, np.ndarray]:
        """The layers with the lesion, and its pixels (size, size) bool. cm: of bone or tissue for a film width.
        contrast: multiplies what it changes."""


def changed(change: np.ndarray) -> np.ndarray:
    """The pixels (size, size) bool that a change in thickness or density touches."""
    change = np.abs(change)
    return change > np.float32(SEEN) * change.max()


@dataclass(frozen=True)
class Fracture:
    """A cleft across a bone, the step behind it, and the cuff of young bone (callus) that grows around it."""

    name: str
    bone: Bone
    cleft: Cleft
    callus: float  # thickness of the cuff, as a share of the bone's half-width

    def outline(self) -> np.ndarray:
        along = self.cleft.at + np.array([-0.35 * self.cleft.reach, 0.75 * self.cleft.reach]) / self.bone.length
        reach = self.bone.half_width(np.array(self.cleft.at * self.bone.length)) + abs(self.cleft.step)
        return np.array(
            [self.bone.point(a + self.cleft.slope * d / self.bone.length, d) for a in along for d in (-reach, reach)]
        )

    def _cuff(self) -> np.ndarray:
        """Strokes along both sides of the bone, thickest beside the cleft."""
        bone, c = self.bone, self.cleft
        along = np.linspace(-1, 1, CUFF + 1)
        half = float(bone.half_width(np.array(c.at * bone.length)))
        thick = half * (0.10 + 0.30 * np.cos(np.pi / 2 * (along[:-1] + along[1:]) / 2))
        sides = []
        for side in (-1, 1):
            across = side * half * (0.95 + 0.25 * np.cos(np.pi / 2 * along))
            at = c.at + (1.3 * half * along + c.slope * across) / bone.length
            line = polyline(np.array([bone.point(a, d) for a, d in zip(at, across, strict=True)]), 1.0, 1.0)
            line[:, 4], line[:, 5] = thick, thick * self.callus
            sides.append(line)
        return np.concatenate(sides)

    def into(self, layers: Layers, on: Plane, cm: float, contrast: float) -> tuple[Layers, np.ndarray]:
        c = self.cleft
        cleft = replace(c, gap=contrast * c.gap, depth=min(1.0, contrast * c.depth))
        broken = replace(self.bone, clefts=(*self.bone.clefts, cleft))
        change = broken.thickness(on) - self.bone.thickness(on) + np.float32(contrast) * on.strokes(self._cuff())
        change *= np.float32(cm)
        return replace(layers, bone=np.maximum(layers.bone + change, 0)), changed(change)


@dataclass(frozen=True)
class Plate:
    """Metal on a bone, and screws through it: seen from above, or from the side where the view is turned."""

    bone: Bone
    at: float
    half: float
    screws: int
    turned: bool
    side: int

    def outline(self) -> np.ndarray:
        across = self._parts()[1]
        ends = self.at + np.array([-self.half, self.half]) / self.bone.length
        return np.array([self.bone.point(a, d) for a in ends for d in across])

    def _parts(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[float, float]]:
        """Strokes of the plate and of its screws, and how far they reach across the bone."""
        shaft = self.bone.widths[1]
        along = self.at + np.linspace(-1, 1, self.screws) * (self.half - 0.3 * shaft) / self.bone.length
        ends = self.at + np.array([-1, 1]) * (self.half - 0.3 * shaft) / self.bone.length
        if not self.turned:
            plate = polyline(np.array([self.bone.point(a, 0.12 * self.side * shaft) for a in ends]), 0.42 * shaft, 0.75)
            heads = [self.bone.point(a, 0.12 * self.side * shaft) for a in along]
            tips = [polyline(np.array([head, head + 1e-4]), 0.26 * shaft, 2.6) for head in heads]
            return (plate, np.concatenate(tips)), (-0.45 * shaft, 0.45 * shaft)
        half = self.bone.half_width(along * self.bone.length)
        lift = 1.15 * self.side * float(self.bone.half_width(ends * self.bone.length).max())
        plate = polyline(np.array([self.bone.point(a, lift) for a in ends]), 0.17 * shaft, 2.6)
        tips = [
            polyline(
                np.array([self.bone.point(a, 1.12 * lift), self.bone.point(a, -0.9 * self.side * h)]), 0.11 * shaft, 1.9
            )
            for a, h in zip(along, half, strict=True)
        ]
        return (plate, np.concatenate(tips)), (-0.9 * self.side * float(half.min()), 1.25 * lift)

    def into(self, layers: Layers, on: Plane, cm: float, contrast: float) -> tuple[Layers, np.ndarray]:
        metal = np.maximum.reduce([on.strokes(part) for part in self._parts()[0]])
        return replace(layers, overlay=layers.overlay + np.float32(contrast) * metal), changed(metal)


@dataclass(frozen=True)
class Arthritis:
    """A joint space that narrows, bone that grows dense on both sides of it, and spurs at its ends."""

    joint: Joint
    severity: float

    def _spurs(self) -> np.ndarray:
        points, size = self.joint.points(), (0.22 + 0.38 * self.severity) * self.joint.width
        segments = []
        for end, before in ((points[0], points[1]), (points[-1], points[-2])):
            out = (end - before) / np.linalg.norm(end - before)
            across = np.array([-out[1], out[0]])
            for side in (-1, 1):
                root = end - 0.12 * self.joint.width * out + side * 1.7 * self.joint.gap * across
                tip = root + size * (out + 0.25 * side * across)
                line = root + np.linspace(0, 1, 4)[:, None] * (tip - root)
                taper = polyline(line, 1.0, 0.85 * self.joint.width)
                taper[:, 4] = np.array([0.42, 0.30, 0.17]) * size
                segments.append(taper)
        return np.concatenate(segments)

    def outline(self) -> np.ndarray:
        spurs = self._spurs()
        reach = self.joint.gap + 0.30 * self.joint.width
        return np.concatenate([spurs[:, 2:4], self.joint.beside(reach), self.joint.beside(-reach)])

    def into(self, layers: Layers, on: Plane, cm: float, contrast: float) -> tuple[Layers, np.ndarray]:
        width, gap = self.joint.width, self.joint.gap
        share = 0.35 + 0.65 * self.severity
        dense = [
            polyline(self.joint.beside(side * (gap + 0.15 * width)), 0.17 * width, 0.55 * share * width)
            for side in (-1, 1)
        ]
        near = [
            polyline(self.joint.beside(side * gap * (1 - 0.45 * share)), 0.75 * gap * share, 0.8 * width)
            for side in (-1, 1)
        ]
        change = on.strokes(np.concatenate(dense)) + np.maximum(
            on.strokes(np.concatenate(near)), on.strokes(self._spurs())
        )
        change *= np.float32(cm * contrast)
        return replace(layers, bone=layers.bone + change), changed(change)


@dataclass(frozen=True)
class Mass:
    """A rounded lump of soft tissue beside a bone, which bulges under the skin."""

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float

    def outline(self) -> np.ndarray:
        t = np.linspace(0, 2 * np.pi, 16)[:, None]
        along, across = (np.cos(self.angle), np.sin(self.angle)), (-np.sin(self.angle), np.cos(self.angle))
        return np.array(self.centre) + self.axes[0] * np.cos(t) * along + self.axes[1] * np.sin(t) * across

    def into(self, layers: Layers, on: Plane, cm: float, contrast: float) -> tuple[Layers, np.ndarray]:
        inside = np.clip(ellipsoid(on.u, on.v, self.centre, self.axes, self.angle), 0, 1)
        change = np.float32(cm * contrast * 1.2 * min(self.axes)) * np.sqrt(inside)
        return replace(layers, flesh=layers.flesh + change), inside > 0


# name -> function(limb, pose, generator of the patient, severity) -> lesions, the largest first.
FINDINGS: Registry[Callable[[Limb, Pose, np.random.Generator, float], list[Lesion]]] = Registry("finding")


def on_film(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Which of the points (n, 2), in body coordinates, lie well inside the film."""
    x, y = pose.to_film(points).T
    return (np.abs(x) < 0.5 - INSIDE) & (np.abs(y - 0.5) < 0.5 - INSIDE)


def nearest_to_film(points: np.ndarray, pose: Pose) -> np.ndarray:
    """The order of points (n, 2): those inside the film as they are, then the others from the middle outwards."""
    outside = ~on_film(points, pose)
    far = np.abs(pose.to_film(points) - (0.0, 0.5)).max(axis=1)
    return np.lexsort((np.where(outside, far, 0), outside))


def _shafts(limb: Limb, pose: Pose, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Bones that may break, and where along them, by lot; first those whose place lies on the film."""
    names = [name for name, bone in limb.bones.items() if bone.breaks]
    drawn = {name: rng.uniform(*limb.bones[name].breaks) for name in names}
    names = [names[k] for k in rng.permutation(len(names))]
    points = np.array([limb.bones[name].point(drawn[name], 0.0) for name in names])
    return [(names[k], drawn[names[k]]) for k in nearest_to_film(points, pose)]


@FINDINGS.register("fracture")
def fracture(limb: Limb, pose: Pose, rng: np.random.Generator, severity: float) -> list[Lesion]:
    lots = rng.random((2, 6))
    second = rng.random() < TWICE
    found: list[Lesion] = []
    for (name, at), lot in zip(_shafts(limb, pose, rng), lots[: 1 + second], strict=False):
        bone = limb.bones[name]
        shaft, half = bone.widths[1], float(bone.half_width(np.array(at * bone.length)))
        cleft = Cleft(
            at=at,
            slope=float(1.5 * (lot[0] - 0.5)),
            gap=0.003 + 0.010 * severity * (0.5 + lot[1]),
            depth=0.55 + 0.45 * severity,
            step=float(np.sign(lot[2] - 0.5) * (0.10 + 0.55 * severity) * shaft),
            reach=1.6 * half,
            wave=0.10 * shaft,
            phase=float(2 * np.pi * lot[3]),
        )
        if on_film(bone.point(at, 0.0), pose).all() or not found:
            found.append(Fracture(name, bone, cleft, callus=(0.3 + 1.2 * severity) * (0.5 + lot[4])))
    return found


@FINDINGS.register("plate")
def plate(limb: Limb, pose: Pose, rng: np.random.Generator, severity: float) -> list[Lesion]:
    name, at = _shafts(limb, pose, rng)[0]
    bone, size = limb.bones[name], 1.6 + 1.6 * severity
    half = min(size * bone.widths[1] + 0.02, 0.42 * bone.length)
    screws = int(np.clip(round(half / (0.62 * bone.widths[1])), 3, 7))
    return [Plate(bone, at, half, screws, limb.turned > 0.5, int(rng.choice((-1, 1))))]


@FINDINGS.register("arthritis")
def arthritis(limb: Limb, pose: Pose, rng: np.random.Generator, severity: float) -> list[Lesion]:
    joints = [list(limb.joints.values())[k] for k in rng.permutation(len(limb.joints))]
    more = 1 + int(rng.random() < 2 * TWICE) + int(rng.random() < TWICE)
    weaker = rng.uniform(0.4, 1.0, len(joints))
    weaker[0] = 1.0
    middles = np.array([joint.points().mean(axis=0) for joint in joints])
    order = nearest_to_film(middles, pose)
    inside = max(1, int(on_film(middles, pose).sum()))
    return [Arthritis(joints[k], severity * w) for k, w in zip(order[: min(more, inside)], weaker, strict=False)]


@FINDINGS.register("mass")
def mass(limb: Limb, pose: Pose, rng: np.random.Generator, severity: float) -> list[Lesion]:
    side, angle, ratio = int(rng.choice((-1, 1))), rng.uniform(-0.5, 0.5), rng.uniform(0.65, 1.0)
    name, at = _shafts(limb, pose, rng)[0]
    bone, radius = limb.bones[name], 0.050 + 0.070 * severity
    centre = bone.point(at, side * (bone.widths[1] + 0.75 * radius))
    turn = float(np.arctan2(bone.axis[1], bone.axis[0]) + angle)
    return [Mass(tuple(centre), (radius, ratio * radius), turn)]
