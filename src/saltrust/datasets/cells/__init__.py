"""The ten-class cells of Tjoa & Guan, drawn on demand: image, class and graded truth all come from a key.

Parts: `parameters` (every constant), `shapes` (the types of cells, and which part tells them apart), `backgrounds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Split
from saltrust.core.progress import track
from saltrust.datasets.cells.backgrounds import BACKGROUNDS
from saltrust.datasets.cells.parameters import UNITS, CellParameters
from saltrust.datasets.cells.shapes import CELLS, OUTSIDE, Form, Frame, form, grades_of, layers, palette, placed
from saltrust.datasets.loaders import LOADERS, Loader, refuse_findings

TYPES = (*CELLS, "empty")  # the classes, in the order of their labels
GRADES = {0: 0.0, 1: 0.4, 2: 0.9}  # what a grade is worth: outside, body, feature (section III-A)
SMALLEST, LARGEST = 32, 2048  # pixels per side
SHARD = 200  # images (section III-A)

# Every part of an image has random numbers of its own: another type or background leaves the others as they are.
TYPE, SCENE, PLACE, SHAPE, EDGES, COLOUR, BACKGROUND = range(7)


@dataclass(frozen=True)
class Cell:
    """One image and what is known about it.

    Attributes:
        pixels: (size, size, 3) uint8.
        grades: (size, size) uint8, keys of GRADES.
        attributes: type, background, and for a cell attempts (how often it was drawn) and the lengths of its `Form`.
    """

    pixels: np.ndarray
    grades: np.ndarray
    attributes: dict[str, object]


def cell(
    key: Sequence[int], size: int, parameters: CellParameters, kind: str | None = None, background: str | None = None
) -> Cell:
    """Draw one image.

    The same key is the same cell in the same place at every size, and for every type and background but a one-tailed
    cell, which is drawn again until its tail is large enough.

    Args:
        key: integers >= 0, such as (seed, split, index).
        size: side in pixels, 32 to 2048.
        parameters: of all cells.
        kind: a name in TYPES, drawn uniformly where None.
        background: a name in BACKGROUNDS, drawn uniformly where None.

    Raises:
        SaltrustError: For a bad key or size, an unknown name, or a one-tailed cell that no attempt could draw.

    >>> cell((0, 0, 1), 64, CellParameters(), kind="empty").grades.max()
    np.uint8(0)
    """
    _check(key, size)
    kind = kind or TYPES[_random(key, TYPE).integers(len(TYPES))]
    background = background or tuple(BACKGROUNDS)[_random(key, SCENE).integers(len(BACKGROUNDS))]
    for what, name, known in (("cell type", kind, TYPES), ("background", background, BACKGROUNDS)):
        if name not in known:
            raise unknown_name(what, name, known)
    scene = BACKGROUNDS[background](size, parameters, _random(key, BACKGROUND))
    attributes = {"type": kind, "background": background}
    if kind not in CELLS:
        return Cell(_to_bytes(scene), np.zeros((size, size), np.uint8), attributes)
    drawn, attempts = _form(key, kind, parameters)
    shown = layers(CELLS[kind], Frame(drawn, size), parameters)
    colours = palette(CELLS[kind], parameters, _random(key, COLOUR, attempts))
    lengths = {name: value for name, value in vars(drawn).items() if name != "edges"}
    return Cell(
        pixels=_to_bytes(_composed(shown, colours, scene, parameters)),
        grades=grades_of(CELLS[kind], colours, parameters)[shown],
        attributes={**attributes, "attempts": attempts, **lengths},
    )


def load(parameters: CellParameters, split: str, count: int, size: int, seed: int, first: int = 0) -> Split:
    """Images `first` to `first + count` of one split; each depends on seed, split and its own number alone.

    Args:
        parameters: of all cells; their types are drawn uniformly.
        split: "train", "val" or "test".
        count: how many images, 1 or more.
        size: side in pixels.
        seed: 0 or more.
        first: number of the first image in the split.

    Raises:
        SaltrustError: For an unknown split, or a bad count, first, size or seed.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if count < 1 or seed < 0 or first < 0:
        raise SaltrustError(
            f"cells: count must be at least 1, seed and first not negative, not {count}, {seed} and {first}"
        )
    numbers = range(first, first + count)
    cells = [
        cell((seed, SPLITS.index(split), number), size, parameters)
        for number in track(numbers, f"drawing cells {split}", count)
    ]
    grades = np.stack([image.grades for image in cells])
    return Split(
        pixels=np.stack([image.pixels for image in cells]),
        labels=np.array([TYPES.index(image.attributes["type"]) for image in cells], np.int64),
        truth=grades > 0,
        boxes=np.zeros((0, 5), np.float32),
        ids=np.array([f"{split}-{number:05d}" for number in numbers]),
        classes=TYPES,
        absent=TYPES.index("empty"),
        grades=grades,
    )


def _form(key: Sequence[int], kind: str, parameters: CellParameters) -> tuple[Form, int]:
    """The form of that key's cell, and the number of the attempt that gave it."""
    for attempt in range(1, parameters.attempts + 1):
        drawn = form(parameters, *(_random(key, part, attempt) for part in (PLACE, SHAPE, EDGES)))
        # judged at the paper's size, so that the same cell is taken at every size
        if not CELLS[kind].least or CELLS[kind].mark(Frame(drawn, UNITS), parameters).mean() >= parameters.tail_share:
            return placed(CELLS[kind], drawn, parameters), attempt
    raise SaltrustError(
        f"cells: {parameters.attempts} attempts gave no {kind} whose tail covers {parameters.tail_share:.2%} of the "
        "image; allow a smaller tail_share, thicker tails or more attempts"
    )


def _composed(shown: np.ndarray, colours: np.ndarray, scene: np.ndarray, parameters: CellParameters) -> np.ndarray:
    """The cell before its background, (size, size, 3)."""
    # the layers and channels where the background is added
    through = colours < parameters.leak if parameters.compositing == "channel" else np.zeros((4, 3), bool)
    through[OUTSIDE] = True
    return colours[shown] + through[shown] * scene


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _random(key: Sequence[int], part: int, attempt: int = 1) -> np.random.Generator:
    return np.random.default_rng([*key, part, attempt])


def _check(key: Sequence[int], size: int) -> None:
    if not key or any(number < 0 for number in key):
        raise SaltrustError(f"cells: a key is one or more integers >= 0, not {tuple(key)}")
    if not SMALLEST <= size <= LARGEST:
        raise SaltrustError(f"cells: size must lie between {SMALLEST} and {LARGEST} pixels, not {size}")


def _from_card(card: Card, split: str, count: int | None, size: int, seed: int, first: int = 0) -> Split:
    """Images of one split as the card describes them; count: None for all that follow `first`."""
    refuse_findings(card)
    parameters = CellParameters.of(**card.parameters)
    if (card.truth, card.classes, card.absent) != ("graded", TYPES, TYPES[-1]):
        raise SaltrustError(
            f"card '{card.name}': the cells have truth 'graded', the classes {', '.join(TYPES)}, of these absent empty"
        )
    count = count or card.counts[split].images - first
    return load(parameters, split, count, size, seed, first)


# Drawn images have no files: the code that draws them is their version.
LOADERS.register("cells")(Loader(_from_card, lambda card: "generated", shard=SHARD))
