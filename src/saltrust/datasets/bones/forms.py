"""The forms that limbs are made of, in body coordinates, and where they come to lie on a film.

Body coordinates are film widths from the middle of the region: u to the right, v downwards, as the limb hangs before it
is turned, moved and scaled by its pose.
"""

from dataclasses import dataclass

import numpy as np

from saltrust.datasets.phantom.drawing import Film, ramp, strokes

TRABECULAR = 0.30  # share of bone inside a shaft's cortex; half as much again at its ends
END = 3.0  # how much steeper a bone's ends are than its sides


@dataclass(frozen=True)
class Pose:
    """Where a limb lies on its film."""

    scale: float
    angle: float  # radians
    shift: tuple[float, float]
    mirrored: bool

    def to_film(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) in body coordinates to film coordinates: x in (-0.5, 0.5), y in (0, 1)."""
        c, s = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        u, v = np.asarray(points, float).reshape(-1, 2).T
        u = -u if self.mirrored else u
        return np.stack([c * u - s * v + self.shift[0], s * u + c * v + self.shift[1] + 0.5], axis=1)


@dataclass(frozen=True)
class Plane:
    """Body coordinates (size, size) of every pixel of a film, and the texture of spongy bone there."""

    film: Film
    pose: Pose
    u: np.ndarray
    v: np.ndarray
    texture: np.ndarray

    @property
    def edge(self) -> float:
        """Width of a soft edge, in body coordinates."""
        return self.film.edge / self.pose.scale

    def strokes(self, segments: np.ndarray) -> np.ndarray:
        """`drawing.strokes` of segments given in body coordinates."""
        placed = np.asarray(segments, float).copy()
        placed[:, 0:2], placed[:, 2:4] = self.pose.to_film(placed[:, 0:2]), self.pose.to_film(placed[:, 2:4])
        placed[:, 4] *= self.pose.scale
        return strokes(self.film, placed)

    def window(self, points: np.ndarray, margin: float) -> tuple[slice, slice]:
        """The rows and columns that lie within a margin (body coordinates) around points: outside nothing is drawn."""
        x, y = self.pose.to_film(points).T
        margin, size = margin * self.pose.scale, self.film.size
        spans = ((y.min() - margin, y.max() + margin), (x.min() - margin + 0.5, x.max() + margin + 0.5))
        ends = [(int(np.clip(a * size, 0, size)), int(np.clip(np.ceil(b * size) + 1, 0, size))) for a, b in spans]
        return slice(*ends[0]), slice(*ends[1])


def plane(film: Film, pose: Pose, texture: np.ndarray) -> Plane:
    """The body coordinates of the pixels of a film."""
    c, s = np.float32(np.cos(pose.angle) / pose.scale), np.float32(np.sin(pose.angle) / pose.scale)
    x, y = film.x - np.float32(pose.shift[0]), film.y - np.float32(pose.shift[1] + 0.5)
    u = c * x + s * y
    return Plane(film, pose, -u if pose.mirrored else u, c * y - s * x, texture)


@dataclass(frozen=True)
class Cleft:
    """A gap across a bone: a fracture, whose far fragment may stand off, or an open growth plate."""

    at: float  # along the bone, as a share of its length
    slope: float  # along the bone for each step across it
    gap: float  # width
    depth: float  # share of the bone that is missing in the gap
    step: float = 0.0  # by which the far fragment stands off
    reach: float = 0.05  # along which it comes back
    wave: float = 0.0  # by which the line is jagged
    phase: float = 0.0


@dataclass(frozen=True)
class Bone:
    """A long bone: a tube of cortex whose ends are wider, spongy, and hollow or round."""

    start: tuple[float, float]
    end: tuple[float, float]
    widths: tuple[float, float, float]  # half-widths of its start, shaft and end
    ends: tuple[float, float] = (0.01, 0.01)  # by how much the middle of start and end stand out; hollow below 0
    flare: tuple[float, float] = (0.30, 0.25)  # shares of the length along which the ends widen
    cortex: float = 0.45  # of the shaft's half-width
    density: float = 1.0
    breaks: tuple[float, float] | None = (0.2, 0.8)  # shares of the length between which it may break, None: nowhere
    clefts: tuple[Cleft, ...] = ()

    @property
    def length(self) -> float:
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @property
    def axis(self) -> np.ndarray:
        return (np.array(self.end) - self.start) / self.length

    @property
    def normal(self) -> np.ndarray:
        return np.array([-self.axis[1], self.axis[0]])

    def point(self, along: float, across: float) -> np.ndarray:
        """The point (2,) at a share of the length and at a distance from the axis."""
        return np.array(self.start) + along * self.length * self.axis + across * self.normal

    def half_width(self, along: np.ndarray) -> np.ndarray:
        """Half the width at a distance from the start."""
        base, shaft, head = self.widths
        length = self.length
        first = ramp(np.asarray(along, np.float32), self.flare[0] * length, 0.0)
        last = ramp(np.asarray(along, np.float32), (1 - self.flare[1]) * length, length)
        return np.float32(shaft) + np.float32(base - shaft) * first + np.float32(head - shaft) * last

    def thickness(self, on: Plane) -> np.ndarray:
        """Bone along the rays (size, size), in film widths."""
        layer = np.zeros_like(on.u)
        window = on.window(np.array([self.start, self.end]), 1.5 * max(self.widths) + 2 * on.edge)
        layer[window] = self._part(on, window)
        return layer

    def _beyond(self, s: np.ndarray, d: np.ndarray, cleft: Cleft) -> np.ndarray:
        """How far points lie beyond a cleft, along the bone."""
        turn = d * np.float32(1 / self.widths[1])
        jag = np.sin(np.float32(2.7) * turn + np.float32(cleft.phase)) + 0.6 * np.sin(
            7 * turn - np.float32(cleft.phase)
        )
        return s - np.float32(cleft.at * self.length) - np.float32(cleft.slope) * d - np.float32(cleft.wave) * jag

    def _part(self, on: Plane, window: tuple[slice, slice]) -> np.ndarray:
        u, v = on.u[window] - np.float32(self.start[0]), on.v[window] - np.float32(self.start[1])
        axis, length = self.axis.astype(np.float32), np.float32(self.length)
        s, d = u * axis[0] + v * axis[1], v * axis[0] - u * axis[1]
        left = np.float32(1)
        for cleft in self.clefts:
            beyond = self._beyond(s, d, cleft)
            half = max(cleft.gap, on.edge)
            peak = np.float32(cleft.depth * min(1.0, cleft.gap / half))
            left = left * (1 - peak * np.clip(1 - np.abs(beyond) * np.float32(1 / half), 0, 1))
            fallen = np.clip(beyond * np.float32(1 / on.edge) + np.float32(0.5), 0, 1)
            d = d - np.float32(cleft.step) * fallen * np.clip(1 - beyond * np.float32(1 / cleft.reach), 0, 1)
        width = self.half_width(s)
        near = s - np.float32(self.ends[0]) * ((d * np.float32(1 / self.widths[0])) ** 2 - 1)
        far = length - s - np.float32(self.ends[1]) * ((d * np.float32(1 / self.widths[2])) ** 2 - 1)
        distance = np.minimum(width - np.abs(d), np.float32(END) * np.minimum(near, far))
        middle = ramp(s, 0.0, 0.35 * length) * ramp(s, length, 0.65 * length)
        wall = np.float32(self.cortex * self.widths[1]) * (np.float32(0.30) + np.float32(0.70) * middle)
        spongy = np.float32(TRABECULAR) * (np.float32(1.5) - np.float32(0.5) * middle) * on.texture[window]
        return np.float32(self.density) * left * shell(distance, width, wall, spongy)


@dataclass(frozen=True)
class Lump:
    """A short bone: a rounded block, or a ball."""

    centre: tuple[float, float]
    axes: tuple[float, float]
    angle: float = 0.0
    power: float = 2.5  # 2: an ellipse; more: blockier
    density: float = 1.0

    def thickness(self, on: Plane) -> np.ndarray:
        """Bone along the rays (size, size), in film widths."""
        layer = np.zeros_like(on.u)
        window = on.window(np.array([self.centre]), 1.2 * max(self.axes) + 2 * on.edge)
        u, v = on.u[window] - np.float32(self.centre[0]), on.v[window] - np.float32(self.centre[1])
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        a, b = (
            np.abs(u * c + v * s) * np.float32(1 / self.axes[0]),
            np.abs(v * c - u * s) * np.float32(1 / self.axes[1]),
        )
        radius = np.float32(min(self.axes))
        power = np.float32(self.power)
        distance = (1 - (a**power + b**power) ** (1 / power)) * radius
        spongy = np.float32(1.2 * TRABECULAR) * on.texture[window]
        layer[window] = np.float32(self.density) * shell(distance, radius, np.float32(0.16) * radius, spongy)
        return layer


def shell(distance: np.ndarray, radius, wall, spongy) -> np.ndarray:
    """Thickness of a round tube with a dense wall: what a ray crosses at a distance inside its contour."""
    inner = np.maximum(radius - wall, np.float32(1e-4))
    return chord(distance, radius) - (1 - spongy) * chord(distance - wall, inner)


def chord(distance: np.ndarray, radius) -> np.ndarray:
    """Length of a ray in a cylinder, at a distance inside its contour."""
    q = np.clip(distance / radius, 0, 1)
    return 2 * radius * np.sqrt(q * (2 - q))


@dataclass(frozen=True)
class Flesh:
    """Soft tissue around a line: a tapered capsule."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    weight: float = 1.0

    def thickness(self, on: Plane) -> np.ndarray:
        """Soft tissue along the rays (size, size), in film widths."""
        du, dv = np.float32(self.end[0] - self.start[0]), np.float32(self.end[1] - self.start[1])
        u, v = on.u - np.float32(self.start[0]), on.v - np.float32(self.start[1])
        t = np.clip((u * du + v * dv) * (1 / (du * du + dv * dv)), 0, 1)
        radius = np.float32(self.radii[0]) + np.float32(self.radii[1] - self.radii[0]) * t
        square = radius * radius - (u - t * du) ** 2 - (v - t * dv) ** 2
        return np.float32(2 * self.weight) * np.sqrt(np.maximum(square, 0))


@dataclass(frozen=True)
class Joint:
    """A joint space: its line, from one side of the limb to the other, and half its width."""

    line: tuple[tuple[float, float], ...]
    gap: float
    width: float  # half-width of the bones that meet there

    def points(self) -> np.ndarray:
        return np.array(self.line)

    def beside(self, distance: float) -> np.ndarray:
        """The line, moved to one side."""
        points = self.points()
        along = np.gradient(points, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        return points + distance * normal
