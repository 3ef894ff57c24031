"""Three simulated readers, who draw boxes around findings as radiologists would: on limbs that are drawn, and on real
images whose outlines are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.datasets.shapes import Box

READERS = ("reader1", "reader2", "reader3")
VOTES = 2  # of the three, who must have marked a pixel of the truth
LEAST = 6 / 512  # side of the smallest box, in longer sides of the film; and
LEAST_PIXELS = 2  # on a film of few pixels

Three = tuple[float, float, float]  # a number for each of READERS


@dataclass(frozen=True)
class ReaderParameters:
    """How readers read. Raises SaltrustError for a value outside its range.

    What a reader does is drawn by lot for each film. All but what makes a film hard is independent of the other
    readers. One overlooks the finding with probability `miss`; with probability `astray`, and on a film that is hard
    for all, he marks another place instead. If neither, he marks each lesion with probability `thorough`, and one at
    least; he draws a lesion in two boxes with probability `split`, and several in one with probability `merge`. A box
    is larger than the lesion by `margin` on each side, and by the factor `grown` then; its sides vary by `spread` and
    its centre by `shift`.
    """

    miss: Three = (0.01, 0.19, 0.0)
    astray: Three = (0.06, 0.06, 0.06)
    thorough: Three = (0.95, 0.6, 0.6)
    split: Three = (0.5, 0.1, 0.1)
    merge: Three = (0.1, 0.4, 0.4)
    grown: Three = (1.0, 1.2, 1.1)
    spread: Three = (0.2, 0.25, 0.2)  # standard deviation of the logarithm of a side
    shift: Three = (0.1, 0.15, 0.1)  # standard deviation of the centre, in sides
    margin: float = 0.01  # longer sides of the film

    def __post_init__(self) -> None:
        for name, high in HIGHEST.items():
            check_each(f"readers: {name}", getattr(self, name), READERS, high)
        if not 0 <= self.margin <= 0.2:
            raise SaltrustError(f"readers: margin must lie between 0 and 0.2, not {self.margin}")


HIGHEST = {"miss": 0.9, "astray": 0.25, "thorough": 1, "split": 1, "merge": 1, "grown": 4, "spread": 1, "shift": 1}
"""The largest that is allowed of each list of numbers."""


def check_each(what: str, values: Sequence[float], names: Sequence[str], high: float) -> None:
    """Raise SaltrustError unless there is a number from 0 to `high` for each of the names."""
    if len(values) != len(names):
        raise SaltrustError(f"{what} needs {len(names)} numbers, for {', '.join(names)}, not {len(values)}")
    for name, value in zip(names, values, strict=True):
        if not 0 <= value <= high:
            raise SaltrustError(f"{what} of {name} must lie between 0 and {high}, not {value}")


def read(
    lesions: np.ndarray,
    elsewhere: np.ndarray,
    size: tuple[int, int],
    parameters: ReaderParameters,
    rng: np.random.Generator,
    *,
    hard: float,
    vague: float = 1.0,
) -> dict[str, tuple[Box, ...]]:
    """What each reader draws on a film.

    Args:
        lesions: x0, y0, x1, y1 of each in pixels of the film (n, 4), the largest first; none without a finding.
        elsewhere: points (m, 2) in pixels of the film, at least one, that a reader who is mistaken may mark.
        size: width and height of the film in pixels.
        parameters: of the readers.
        rng: of this film's readers alone.
        hard: probability that the film is hard for all of them.
        vague: multiplies `astray`, `spread` and `shift`: how vague what is marked is.

    Returns:
        By the name of the reader, boxes in pixels of the film, cut at its border.
    """
    readers = rng.spawn(len(READERS))
    if not len(lesions):
        return dict.fromkeys(READERS, ())
    is_hard = rng.random() < hard
    return {
        name: _drawn(lesions, elsewhere, size, k, vague, is_hard, parameters, own)
        for k, (name, own) in enumerate(zip(READERS, readers, strict=True))
    }


def _drawn(
    lesions: np.ndarray,
    elsewhere: np.ndarray,
    size: tuple[int, int],
    reader: int,
    vague: float,
    hard: bool,
    p: ReaderParameters,
    rng: np.random.Generator,
) -> tuple[Box, ...]:
    """One reader's boxes around lesions with these bounds (n, 4), or around one of other places (m, 2)."""
    missed, merged, astray = rng.random(3)
    marked = rng.random(len(lesions)) < p.thorough[reader]
    marked[rng.integers(len(lesions))] |= not marked.any()
    place = elsewhere[rng.integers(len(elsewhere))]
    if missed < p.miss[reader]:
        return ()
    chosen = lesions[marked]
    if hard or astray < vague * p.astray[reader]:
        half = (lesions[0, 2:] - lesions[0, :2]) / 2
        chosen = np.concatenate([place - half, place + half])[None]
    if len(chosen) > 1 and merged < p.merge[reader]:
        chosen = np.concatenate([chosen[:, :2].min(axis=0), chosen[:, 2:].max(axis=0)])[None]
    boxes = []
    for one in chosen:
        for part in _halves(one) if rng.random() < p.split[reader] else (one,):
            boxes.append(_box(part, size, reader, vague, p, rng))
    return tuple(box for box in boxes if box is not None)


def _halves(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds cut across their longer side."""
    first, second = bounds.copy(), bounds.copy()
    axis = int(bounds[3] - bounds[1] > bounds[2] - bounds[0])
    first[axis + 2] = second[axis] = (bounds[axis] + bounds[axis + 2]) / 2
    return first, second


def _box(
    bounds: np.ndarray,
    size: tuple[int, int],
    reader: int,
    vague: float,
    p: ReaderParameters,
    rng: np.random.Generator,
) -> Box | None:
    """A box around bounds by a reader's hand; None where his hand has left the film."""
    film = max(size)
    least = max(LEAST * film, LEAST_PIXELS)
    centre, side = (bounds[:2] + bounds[2:]) / 2, bounds[2:] - bounds[:2] + 2 * p.margin * film
    side = side * p.grown[reader] * np.exp(vague * p.spread[reader] * rng.standard_normal(2))
    centre = centre + vague * p.shift[reader] * side * rng.standard_normal(2)
    half = np.maximum(side, least) / 2
    box = Box(*(centre - half).tolist(), *(centre + half).tolist()).cut(*size)
    return box if box.x1 - box.x0 >= least / 2 and box.y1 - box.y0 >= least / 2 else None
