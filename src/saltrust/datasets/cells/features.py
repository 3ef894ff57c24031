"""What one may name when asked what tells a type of cell: a list of features, and which of them are true of a type.

The truth follows from what the type is drawn with (`shapes.CELLS`), so that answers are scored without a reader.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from saltrust.datasets.cells.shapes import CELLS, Type, ball, bar, plus, rectangle


@dataclass(frozen=True)
class Feature:
    """A feature that may be named.

    Attributes:
        title: in words that a lay person understands.
        local: whether it is a part of the image, which a map can mark, and no property of the whole.
        tells: whether it tells that type from some other.
    """

    title: str
    local: bool
    tells: Callable[[Type], bool]


def _tails(kind: Type) -> bool:
    return kind.mark not in (None, bar, plus)


FEATURES: Mapping[str, Feature] = {
    "round": Feature("a round outline", True, lambda kind: kind.body is ball),
    "corners": Feature("straight sides and corners", True, lambda kind: kind.body is rectangle),
    "bar": Feature("a bar across the cell", True, lambda kind: kind.mark in (bar, plus)),
    "pole": Feature("a second bar that crosses the first", True, lambda kind: kind.mark is plus),
    "tails": Feature("one or more tails", True, _tails),
    "border": Feature("the border of the cell", True, lambda kind: kind.mark is None),
    "background": Feature("the background", True, lambda kind: False),
    "colour": Feature("which colour it has", False, lambda kind: kind.dominant is not None),
    "brightness": Feature("how bright the image is", False, lambda kind: False),
    "place": Feature("where in the image it lies", False, lambda kind: False),
}
"""By name. Place, background and brightness are drawn apart from the type: they tell nothing."""


def telling(name: str) -> tuple[str, ...]:
    """The features that tell a type: its outline; its mark, or the border where it has none; its colour.

    Args:
        name: in CELLS.

    >>> telling("CCellP"), telling("RCellB")
    (('round', 'bar', 'pole'), ('corners', 'border', 'colour'))
    """
    return tuple(feature for feature, one in FEATURES.items() if one.tells(CELLS[name]))
