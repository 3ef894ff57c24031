"""What carries no label: nutrient canals, open growth plates, sesamoids, a cast, a side letter."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from saltrust.core.registry import Registry
from saltrust.datasets.bones.anatomy import Layers, Limb
from saltrust.datasets.bones.forms import Cleft, Lump, Plane
from saltrust.datasets.phantom.drawing import polyline

# name -> function(limb, generator of the patient) -> Limb, for both classes alike.
LOOK_ALIKES: Registry[Callable[[Limb, np.random.Generator], Limb]] = Registry("look-alike")


@LOOK_ALIKES.register("nutrient canal")
def nutrient_canal(limb: Limb, rng: np.random.Generator) -> Limb:
    """A thin dark line that runs steeply into the shafts of one or two bones, and ends there."""
    lots = rng.random((len(limb.bones), 3))
    canals = [
        polyline(
            np.array([bone.point(0.35 + 0.2 * lot[1], side * 0.95 * bone.widths[1]),
                      bone.point(0.35 + 0.2 * lot[1] + 0.10 + 0.08 * lot[2], side * 0.25 * bone.widths[1])]),
            0.0042, 0.30 * bone.widths[1],
        )
        for bone, lot in zip(limb.bones.values(), lots, strict=True)
        for side in [1 if lot[0] < 0.25 else -1]
        if bone.breaks and lot[0] < 0.5
    ]  # fmt: skip
    return replace(limb, canals=np.concatenate(canals)) if canals else limb


@LOOK_ALIKES.register("growth plates")
def growth_plates(limb: Limb, rng: np.random.Generator) -> Limb:
    """A dark, wavy line across the growing end of each long bone."""
    gap, phase = rng.uniform(0.006, 0.010), rng.uniform(0, 2 * np.pi)
    bones = {}
    for name, bone in limb.bones.items():
        at = GROWING.get(name.split()[-1])
        if at is not None:
            away = at * bone.widths[0 if at > 0 else 2] / bone.length
            place = away if at > 0 else 1 + away
            cleft = Cleft(place, 0.0, gap, 0.75, wave=0.05 * bone.widths[1], phase=float(phase))
            bone = replace(bone, clefts=(*bone.clefts, cleft))
        bones[name] = bone
    return replace(limb, bones=bones)


GROWING = {
    "metacarpal": -0.75, "proximal": 0.55, "middle": 0.55, "distal": 0.5, "radius": -0.55, "ulna": -0.8,
    "thumb": 0.7, "second": -0.8, "third": -0.8, "fourth": -0.8, "fifth": -0.8, "humerus": 0.95,
}  # fmt: skip
"""By bone, how far its growth plate lies from the start (above 0) or the end (below), in half-widths there."""


@LOOK_ALIKES.register("sesamoids")
def sesamoids(limb: Limb, rng: np.random.Generator) -> Limb:
    """One to three small round bones beside joints."""
    lots = rng.random((len(limb.ossicles), 3))
    small = 0.0125 + 0.007 * lots[:, 1]
    lumps = {
        f"sesamoid {k}": Lump(place, (small[k], small[k] * (0.7 + 0.3 * lots[k, 2])), 0.4, 2.0, 1.3)
        for k, place in enumerate(limb.ossicles)
        if k == 0 or lots[k, 0] < 0.5
    }
    return replace(limb, lumps=limb.lumps | lumps)


def cast(limb: Limb, on: Plane, rng: np.random.Generator, weave: np.ndarray) -> np.ndarray:
    """Optical density (size, size) of plaster around the limb: dense where rays graze it, and woven."""
    outer = limb.cast.thickness(on)
    inner = replace(limb.cast, radii=tuple(radius - 0.020 for radius in limb.cast.radii)).thickness(on)
    return np.float32(rng.uniform(1.6, 3.0)) * (outer - inner) * (1 + np.float32(0.16) * weave)


def with_canals(layers: Layers, limb: Limb, on: Plane, cm: float) -> Layers:
    """The layers, less the bone that canals leave out."""
    if limb.canals is None:
        return layers
    return replace(layers, bone=np.maximum(layers.bone - np.float32(cm) * on.strokes(limb.canals), 0))
