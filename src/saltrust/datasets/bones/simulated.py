"""Three simulated readers, who draw boxes around the lesions of a limb as radiologists would."""

from collections.abc import Sequence

import numpy as np

from saltrust.datasets.bones.parameters import READERS, SUBGROUPS, BonesParameters
from saltrust.datasets.shapes import Box

ON_FILE = 512  # pixels a side of the film on which readers draw, whatever the size at which it is used
LEAST = 6.0  # pixels a side of the smallest box


def read(
    lesions: Sequence[np.ndarray],
    elsewhere: np.ndarray,
    subgroup: str,
    severity: float,
    parameters: BonesParameters,
    rng: np.random.Generator,
) -> dict[str, tuple[Box, ...]]:
    """What each reader draws on a film.

    Args:
        lesions: of each, points (n, 2) on the film: x in (-0.5, 0.5), y in (0, 1); the largest first, none without a
            finding.
        elsewhere: points (n, 2) on the film, bones and joints that a reader who is mistaken may mark.
        subgroup: one of SUBGROUPS, "" without a finding.
        severity: of the finding: a slight one is hard more often.
        parameters: of the readers.
        rng: of this film's readers alone.

    Returns:
        By the name of the reader, boxes in pixels of a film of ON_FILE pixels a side, cut at its border.
    """
    readers = rng.spawn(len(READERS))
    if not lesions:
        return dict.fromkeys(READERS, ())
    position = SUBGROUPS.index(subgroup)
    hard = rng.random() < 2 * (1 - severity) * parameters.doubt[position]
    vague = parameters.vagueness[position]
    bounds = np.array([around(points) for points in lesions])
    others = (elsewhere + (0.5, 0.0)) * ON_FILE
    return {
        name: _drawn(bounds, others, k, vague, hard, parameters, own)
        for k, (name, own) in enumerate(zip(READERS, readers, strict=True))
    }


def around(points: np.ndarray) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 in pixels of the film on file, of the smallest box around points on the film."""
    x, y = ((points + (0.5, 0.0)) * ON_FILE).T
    x, y = np.clip(x, 0, ON_FILE), np.clip(y, 0, ON_FILE)
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _drawn(
    bounds: np.ndarray,
    others: np.ndarray,
    reader: int,
    vague: float,
    hard: bool,
    p: BonesParameters,
    rng: np.random.Generator,
) -> tuple[Box, ...]:
    """One reader's boxes around lesions with these bounds (n, 4), or around one of other places (m, 2)."""
    missed, merged, astray = rng.random(3)
    marked = rng.random(len(bounds)) < p.thorough[reader]
    marked[rng.integers(len(bounds))] |= not marked.any()
    place = others[rng.integers(len(others))]
    if missed < p.miss[reader]:
        return ()
    chosen = bounds[marked]
    if hard or astray < vague * p.astray[reader]:
        half = (bounds[0, 2:] - bounds[0, :2]) / 2
        chosen = np.concatenate([place - half, place + half])[None]
    if len(chosen) > 1 and merged < p.merge[reader]:
        chosen = np.concatenate([chosen[:, :2].min(axis=0), chosen[:, 2:].max(axis=0)])[None]
    boxes = []
    for one in chosen:
        for part in _halves(one) if rng.random() < p.split[reader] else (one,):
            boxes.append(_box(part, reader, vague, p, rng))
    return tuple(box for box in boxes if box is not None)


def _halves(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds cut across their longer side."""
    first, second = bounds.copy(), bounds.copy()
    axis = int(bounds[3] - bounds[1] > bounds[2] - bounds[0])
    first[axis + 2] = second[axis] = (bounds[axis] + bounds[axis + 2]) / 2
    return first, second


def _box(bounds: np.ndarray, reader: int, vague: float, p: BonesParameters, rng: np.random.Generator) -> Box | None:
    """A box around bounds by a reader's hand; None where his hand has left the film."""
    centre, side = (bounds[:2] + bounds[2:]) / 2, bounds[2:] - bounds[:2] + 2 * p.margin * ON_FILE
    side = side * p.grown[reader] * np.exp(vague * p.spread[reader] * rng.standard_normal(2))
    centre = centre + vague * p.shift[reader] * side * rng.standard_normal(2)
    half = np.maximum(side, LEAST) / 2
    box = Box(*(centre - half).tolist(), *(centre + half).tolist()).cut(ON_FILE, ON_FILE)
    return box if box.x1 - box.x0 >= LEAST / 2 and box.y1 - box.y0 >= LEAST / 2 else None
