"""Healthy limbs: the bones, joints and flesh of a finger, a wrist and a shoulder, in two views of each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.bones.forms import Bone, Flesh, Joint, Lump, Plane, Pose
from saltrust.datasets.phantom.drawing import ramp, round_edge

CLOSE = 1.25  # scale of a usual limb: the region fills its film
INSIDE = 0.06  # film widths from the border, within which nothing is found


@dataclass(frozen=True)
class Limb:
    """A region in one view, in body coordinates.

    Attributes:
        region: its name.
        width: of the film at scale 1, in cm.
        bones: long bones; a name says which is the same in another view.
        lumps: short bones, and the ball of the shoulder.
        joints: that may have arthritis, by name.
        flesh: soft tissue; the thickest part counts.
        thin: flat bone: rows x0, y0, x1, y1, radius, thickness, as `drawing.strokes` takes them.
        trunk: whether the chest wall is on the film.
        canals: of vessels into bone, strokes as in `thin`, whose thickness is taken away.
        ossicles: where sesamoids lie.
        cast: the line that a cast goes around, and its radius.
        turned: 0 from the front, 1 from the side.
    """

    region: str
    width: float
    bones: dict[str, Bone]
    lumps: dict[str, Lump]
    joints: dict[str, Joint]
    flesh: tuple[Flesh, ...]
    ossicles: tuple[tuple[float, float], ...]
    cast: Flesh
    thin: np.ndarray | None = None
    trunk: bool = False
    canals: np.ndarray | None = None
    turned: float = 0.0


@dataclass(frozen=True)
class Build:
    """What is a patient's own, whatever the view."""

    size: float  # relative to the usual
    slim: float  # width of bones relative to their length
    bone: float  # mineral content relative to the usual
    flesh: float  # soft tissue relative to the usual
    mirrored: bool  # left and right


def build(rng: np.random.Generator, variation: float) -> Build:
    """Draw a patient. variation: scales every deviation from the usual one."""
    size, slim, bone, flesh = 1 + variation * np.clip(rng.standard_normal(4), -2, 2) * (0.05, 0.06, 0.13, 0.08)
    return Build(float(size), float(slim), float(bone), float(flesh), bool(rng.random() < 0.5))


def pose(rng: np.random.Generator, b: Build, variation: float, framing: float) -> Pose:
    """How a limb lies on one film: turned, and anywhere in the part of the film that stays free."""
    free = framing * rng.random()
    angle = variation * 0.16 * np.clip(rng.standard_normal(), -2, 2) + framing * 0.9 * rng.uniform(-1, 1)
    move = rng.uniform(-0.5, 0.5, 2) * (free + 0.35 * framing) + variation * 0.015 * rng.standard_normal(2)
    return Pose(b.size * CLOSE * (1 - free), float(angle), (float(move[0]), float(move[1])), b.mirrored)


# name -> function(build, turned, generator of the view) -> Limb
REGIONS: Registry[Callable[[Build, float, np.random.Generator], Limb]] = Registry("region")


@REGIONS.register("finger")
def finger(b: Build, turned: float, rng: np.random.Generator) -> Limb:
    """Three phalanges on the head of their metacarpal, and the fingers beside it where they are not held away."""
    bend = rng.normal(0, 0.03, 3) + turned * rng.uniform(0.08, 0.30, 3)
    bones, joints, flesh = _ray(b, (0.0, 0.30), rng.normal(0, 0.03), bend, turned, 1.0)
    if rng.random() < 0.65 * (1 - 0.6 * turned):
        for name, u, v, factor in (("left ", -0.285, 0.37, 0.93), ("right ", 0.285, 0.33, 0.97)):
            lean = rng.normal(0.06 * np.sign(u), 0.03)
            more, _, soft = _ray(b, (u, v), lean, bend + rng.normal(0, 0.03, 3), turned, factor)
            bones |= {name + bone: replace(one, breaks=None) for bone, one in more.items()}
            flesh += soft
    palm = Flesh((-0.20, 0.62), (0.20, 0.62), (0.24 * b.flesh, 0.24 * b.flesh), 0.55)
    return Limb(
        region="finger",
        width=9.0,
        bones=bones,
        lumps={},
        joints=joints,
        flesh=(*flesh, palm),
        ossicles=((-0.035, 0.335), (0.04, 0.33), (0.01, -0.245)),
        cast=Flesh((0.0, 0.75), (0.0, -0.52), (0.16, 0.13)),
        turned=turned,
    )


class Phalanx(NamedTuple):
    """A bone of a finger; its joint is the one nearer to the hand."""

    length: float
    widths: tuple[float, float, float]
    ends: tuple[float, float]
    flare: tuple[float, float]
    flesh: tuple[float, float]


PHALANGES = {
    "proximal": Phalanx(0.300, (0.062, 0.039, 0.049), (-0.008, 0.010), (0.30, 0.25), (0.108, 0.094)),
    "middle": Phalanx(0.185, (0.052, 0.034, 0.042), (-0.008, 0.009), (0.30, 0.25), (0.094, 0.080)),
    "distal": Phalanx(0.125, (0.042, 0.018, 0.026), (-0.006, 0.012), (0.45, 0.16), (0.082, 0.058)),
}


def _ray(
    b: Build, root: tuple[float, float], lean: float, bend: np.ndarray, turned: float, factor: float
) -> tuple[dict[str, Bone], dict[str, Joint], tuple[Flesh, ...]]:
    """A finger from its knuckle, relative to the middle one in size: bones, joints and flesh."""
    narrow = b.slim * factor * (1 - 0.14 * turned)
    gap, at = 0.015 * factor, np.array(root)
    wrist_end = at + 0.42 * np.array([-np.sin(lean), np.cos(lean)])
    knuckle = at + 0.012 * np.array([-np.sin(lean), np.cos(lean)])
    widths = (0.060 * narrow, 0.040 * narrow, 0.062 * narrow)
    bones = {"metacarpal": Bone(tuple(wrist_end), tuple(knuckle), widths, (0.0, 0.026), cortex=0.5, breaks=(0.45, 0.8))}
    joints, flesh = {}, [Flesh(tuple(wrist_end), tuple(at), (0.15 * b.flesh, 0.118 * b.flesh))]
    for (name, one), angle in zip(PHALANGES.items(), lean + np.cumsum(bend), strict=True):
        forward = np.array([np.sin(angle), -np.cos(angle)])
        side = np.array([-forward[1], forward[0]])
        start, end = at + 0.5 * gap * forward, at + (0.5 * gap + one.length * factor) * forward
        widths = tuple(width * narrow for width in one.widths)
        bones[name] = Bone(tuple(start), tuple(end), widths, one.ends, one.flare)
        across = np.linspace(-0.95, 0.95, 7)[:, None]
        line = at + across * widths[0] * side + (0.012 * (1 - across**2) - 0.006) * forward
        joints[name] = Joint(tuple(map(tuple, line)), 0.5 * gap, widths[0])
        tip = end + 0.02 * forward if name == "distal" else end
        flesh.append(Flesh(tuple(at), tuple(tip), tuple(radius * b.flesh * factor for radius in one.flesh)))
        at = end + 0.5 * gap * forward
    return bones, joints, tuple(flesh)


@REGIONS.register("wrist")
def wrist(b: Build, turned: float, rng: np.random.Generator) -> Limb:
    """Radius and ulna, eight carpals and the bases of five metacarpals; turned, they lie over one another."""
    squeeze, w = 1 - 0.42 * turned, b.slim * (1 - 0.12 * turned)
    tilt = rng.normal(0, 0.06)

    def at(u: float, v: float) -> tuple[float, float]:
        return squeeze * u, v

    def hand(u: float, v: float) -> tuple[float, float]:
        u, v = squeeze * u, v - 0.09
        return float(np.cos(tilt) * u - np.sin(tilt) * v), float(np.sin(tilt) * u + np.cos(tilt) * v + 0.09)

    bones = {
        "radius": Bone(
            at(-0.050, 0.80),
            at(-0.062, 0.125),
            (0.040 * w, 0.041 * w, 0.100 * w),
            (0.0, -0.016),
            flare=(0.2, 0.30),
            cortex=0.42,
            breaks=(0.68, 0.92),
        ),
        "ulna": Bone(
            at(0.070, 0.80),
            at(0.086, 0.140),
            (0.036 * w, 0.030 * w, 0.044 * w),
            (0.0, 0.010),
            flare=(0.2, 0.20),
            cortex=0.46,
            breaks=(0.68, 0.94),
        ),
    }
    rays = (
        ("thumb", (-0.172, -0.060), (-0.315, -0.250), (0.042, 0.030, 0.042)),
        ("second", (-0.105, -0.112), (-0.165, -0.460), (0.042, 0.025, 0.040)),
        ("third", (-0.030, -0.122), (-0.045, -0.480), (0.038, 0.024, 0.039)),
        ("fourth", (0.035, -0.110), (0.062, -0.440), (0.031, 0.020, 0.034)),
        ("fifth", (0.088, -0.095), (0.150, -0.390), (0.033, 0.022, 0.034)),
    )
    for name, start, end, widths in rays:
        scaled = tuple(0.97 * width * w for width in widths)
        bones[name] = Bone(
            hand(*start),
            hand(*end),
            scaled,
            (-0.004, 0.016),
            (0.22, 0.22),
            breaks=(0.2, 0.6) if name in ("thumb", "fifth") else None,
        )
    blocks = {
        "scaphoid": ((-0.095, 0.052), (0.060, 0.034), -0.65),
        "lunate": ((-0.012, 0.065), (0.042, 0.034), 0.15),
        "triquetrum": ((0.068, 0.045), (0.038, 0.031), 0.35),
        "pisiform": ((0.083, 0.055), (0.021, 0.024), 0.0),
        "trapezium": ((-0.147, -0.018), (0.037, 0.034), 0.5),
        "trapezoid": ((-0.094, -0.052), (0.028, 0.031), 0.2),
        "capitate": ((-0.028, -0.040), (0.034, 0.064), -0.08),
        "hamate": ((0.048, -0.045), (0.037, 0.047), -0.35),
    }
    lumps = {
        name: Lump(hand(*centre), (axes[0] * w * (0.75 + 0.25 * squeeze), axes[1] * w), angle, 2.7)
        for name, (centre, axes, angle) in blocks.items()
    }
    lumps["styloid"] = Lump(at(0.125, 0.125), (0.012, 0.026), 0.1, 2.0)
    flat = np.linspace(-1, 1, 7)
    joints = {
        "radiocarpal": Joint(
            tuple(at(-0.062 + 0.088 * t, 0.101 + 0.008 * (1 - t * t)) for t in flat), 0.009, 0.095 * w
        ),
        "thumb base": Joint(tuple(hand(-0.166 + 0.026 * t, -0.046 - 0.024 * t) for t in flat), 0.007, 0.045 * w),
        "scaphotrapezial": Joint(tuple(hand(-0.122 + 0.035 * t, 0.012 + 0.006 * t) for t in flat), 0.007, 0.040 * w),
        "distal radioulnar": Joint(tuple(at(0.038 + 0.003 * t, 0.150 + 0.028 * t) for t in flat), 0.007, 0.035 * w),
    }
    f = b.flesh
    flesh = (
        Flesh(at(0.0, 0.85), at(0.0, 0.12), (0.215 * f, 0.175 * f), 0.8),
        Flesh(hand(-0.055, 0.05), hand(-0.110, -0.52), (0.165 * f, 0.150 * f), 0.62),
        Flesh(hand(0.045, 0.05), hand(0.075, -0.52), (0.150 * f, 0.150 * f), 0.62),
        Flesh(hand(-0.12, 0.02), hand(-0.330, -0.30), (0.110 * f, 0.090 * f), 0.9),
    )
    return Limb(
        region="wrist",
        width=13.0,
        bones=bones,
        lumps=lumps,
        joints=joints,
        flesh=flesh,
        ossicles=(hand(-0.245, -0.215), hand(-0.285, -0.195), at(0.135, 0.085)),
        cast=Flesh(at(0.0, 0.85), hand(-0.02, -0.30), (0.265, 0.235)),
        turned=turned,
    )


@REGIONS.register("shoulder")
def shoulder(b: Build, turned: float, rng: np.random.Generator) -> Limb:
    """The ball of the humerus before its socket, under acromion and clavicle, and the chest wall beside them."""
    w, centre = b.slim, np.array((-0.075, -0.055))
    lift = rng.normal(0.16, 0.05) + 0.30 * turned * rng.random()  # of the arm, away from the body
    down = np.array([-np.sin(lift), np.cos(lift)])
    out = np.array([-down[1], down[0]])  # away from the body
    out = out if out[0] < 0 else -out
    top = centre - 0.055 * down + (0.030 - 0.022 * turned) * out
    wide = (0.108 - 0.022 * turned) * w
    bones = {
        "humerus": Bone(
            tuple(top),
            tuple(centre + 0.75 * down + 0.028 * out),
            (wide, 0.055 * w, 0.060 * w),
            (0.045, 0.0),
            flare=(0.30, 0.1),
            cortex=0.48,
            breaks=(0.16, 0.60),
        ),
        "clavicle": Bone(
            (0.56, -0.255),
            (0.020, -0.270),
            (0.032 * w, 0.029 * w, 0.036 * w),
            (0.0, 0.006),
            flare=(0.3, 0.3),
            cortex=0.35,
            breaks=(0.40, 0.88),
        ),
        "acromion": Bone(
            (0.170, -0.185),
            (-0.130, -0.222),
            (0.022 * w, 0.026 * w, 0.034 * w),
            (0.0, 0.020),
            flare=(0.3, 0.45),
            cortex=0.30,
            density=0.75,
            breaks=None,
        ),
    }
    lumps = {
        "head": Lump(tuple(centre), (0.100 * w, 0.102 * w), 0.0, 2.0, 0.9),
        "socket": Lump((0.052, -0.045), (0.028 + 0.016 * turned, 0.080), 0.10, 2.2, 0.8),
        "coracoid": Lump((0.070, -0.150), (0.052, 0.024), 0.35, 2.0, 0.8),
    }
    arc = np.linspace(-0.62, 0.72, 9)
    ball = centre + (0.100 * w + 0.008) * np.stack([np.cos(arc), np.sin(arc)], axis=1)
    joints = {
        "glenohumeral": Joint(tuple(map(tuple, ball)), 0.007, 0.075),
        "acromioclavicular": Joint(
            tuple((0.0 + 0.004 * t, -0.262 + 0.032 * t) for t in np.linspace(-1, 1, 7)), 0.006, 0.034
        ),
    }
    thin = np.array([  # the neck of the scapula, its lateral and medial border, its spine, its angle
        (0.060, -0.060, 0.150, -0.040, 0.062, 0.030), (0.080, 0.020, 0.215, 0.330, 0.020, 0.026),
        (0.330, -0.130, 0.225, 0.330, 0.012, 0.016), (0.100, -0.150, 0.330, -0.150, 0.018, 0.020),
        (0.140, 0.020, 0.230, 0.250, 0.075, 0.010), (0.180, -0.060, 0.290, 0.060, 0.100, 0.009),
    ])  # fmt: skip
    f = b.flesh
    arm = centre + 0.8 * down
    flesh = (
        Flesh(tuple(centre + (0.01, 0.0)), tuple(arm), (0.205 * f, 0.165 * f), 0.85),
        Flesh((0.05, -0.08), (0.65, -0.24), (0.225 * f, 0.20 * f), 0.75),
        Flesh((0.36, 0.05), (0.42, 0.90), (0.33 * f, 0.36 * f), 0.62),
    )
    return Limb(
        region="shoulder",
        width=24.0,
        bones=bones,
        lumps=lumps,
        joints=joints,
        flesh=flesh,
        ossicles=((-0.150, -0.225), (-0.185, -0.10), (0.075, 0.055)),
        cast=Flesh(tuple(centre), tuple(centre + 0.85 * down), (0.235, 0.21)),
        thin=thin,
        trunk=True,
        turned=turned,
    )


@dataclass(frozen=True)
class Layers:
    """What the rays cross, pixel by pixel (size, size): findings and look-alikes add to these layers."""

    flesh: np.ndarray  # cm of soft tissue
    bone: np.ndarray  # cm of bone
    overlay: np.ndarray  # optical density of metal and plaster
    cassette: np.ndarray  # optical density of what lies on the film


def drawn(limb: Limb, on: Plane, b: Build, uneven: np.ndarray) -> Layers:
    """The healthy limb on a film. uneven: broad unevenness (size, size) of its soft tissue."""
    flesh = np.maximum.reduce([part.thickness(on) for part in limb.flesh])
    bone = np.zeros_like(on.u)
    for one in limb.bones.values():
        bone += one.thickness(on)
    for name, lump in limb.lumps.items():
        bone = np.maximum(bone, lump.thickness(on)) if name == "head" else bone + lump.thickness(on)
    if limb.thin is not None:
        bone += on.strokes(limb.thin)
    if limb.trunk:
        flesh, bone = _trunk(flesh, bone, on)
    width = np.float32(limb.width)
    layer = np.zeros_like(on.u)
    return Layers(
        width * b.flesh * flesh * (1 + np.float32(0.02) * uneven), width * np.float32(b.bone) * bone, layer, layer
    )


def _trunk(flesh: np.ndarray, bone: np.ndarray, on: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Lung behind the chest wall, and ribs around it."""
    border = (
        on.u - np.float32(0.285) - np.float32(0.55) * np.maximum(np.float32(0.10) - on.v, 0) ** 2 / np.float32(0.25)
    )
    inside = np.minimum(border, on.v + np.float32(0.19))
    lung = round_edge(inside, 0.16)
    ribs = []
    for k in range(7):
        t = np.linspace(0, 1, 12)
        u = 0.272 + 0.36 * t
        v = -0.10 + 0.125 * k + 0.10 * (1 - t) ** 2 - 0.05 * t
        ribs.append(
            np.concatenate([np.stack([u[:-1], v[:-1], u[1:], v[1:]], axis=1), np.full((11, 2), (0.017, 0.016))], axis=1)
        )
    fade = ramp(on.v, -0.22, -0.10)
    return flesh * (1 - np.float32(0.55) * lung), bone + fade * on.strokes(np.concatenate(ribs))
