"""How a table of computed values reads: numbers rounded down their column, words marked; on every kind of page."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.outcomes import OUTCOMES
from saltrust.core.user_files import opened, text

PROSE = 32  # characters from which a cell's text may break into lines
VERDICTS = {outcome: f"verdict-{outcome.lower()}" for outcome in OUTCOMES}
"""Words with a mark of their own: class of the style sheet."""


@dataclass(frozen=True)
class Column:
    """A column of a table as it is shown.

    Attributes:
        cells: one text for each row.
        numeric: whether all of them are numbers, or empty.
    """

    cells: tuple[str, ...]
    numeric: bool

    def kind(self, text: str) -> str:
        """The style sheet's class of a cell of this column, or nothing."""
        return "text-right" if self.numeric else "prose" if len(text) > PROSE else ""


def read_csv(file: Path) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table.

    Raises:
        SaltrustError: the file is no table, or its rows are not of one length.
    """
    lines = csv.reader(io.StringIO(text(opened(file, "table")), newline=""))
    try:
        head, *rows = lines
    except (csv.Error, ValueError) as error:
        raise SaltrustError(f"{file}: not a table: {'it is empty' if not lines.line_num else error}") from error
    if {len(row) for row in rows} - {len(head)}:
        raise SaltrustError(f"{file}: the rows do not all have the same number of cells")
    return head, rows


def columns(rows: list[list[str]], width: int) -> list[Column]:
    """The columns of a table of texts, numbers rounded for reading.

    Args:
        rows: cells, each row of the same length.
        width: that length, which a table without rows has, too.

    >>> columns([["ig", "0.12345"], ["xrai", "0.5"]], 2)[1]
    Column(cells=('0.123', '0.500'), numeric=True)
    """
    found = []
    for at in range(width):
        cells = tuple(row[at] for row in rows)
        values = [as_number(cell) for cell in cells if cell]
        numeric = bool(values) and None not in values
        found.append(Column(rounded(cells) if numeric else cells, numeric))
    return found


def as_number(cell: str) -> float | None:
    """The number that a text is; None for one that is none.

    >>> as_number("1e3"), as_number("high")
    (1000.0, None)
    """
    try:
        return float(cell)
    except ValueError:
        return None


def rounded(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Numeric cells with three digits and the same decimals down the column; a value that these would show as zero has
    its first digit, and a column of small values three digits each.

    Whole numbers stay whole, also those that pandas wrote as 1.0 since their column has gaps.
    """
    values = [float(cell) for cell in cells if cell]
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    whole = r"[+-]?\d+" if len(values) == len(cells) else r"[+-]?\d+(\.0)?"
    if all(re.fullmatch(whole, cell) for cell in cells if cell):
        decimals = 0
    else:
        decimals = max(0, 4 - len(str(int(max(sizes, default=0)))))
    small = bool(sizes) and max(sizes) < 0.1 and min(sizes) < 5e-4

    def text(value: float) -> str:
        hidden = value and abs(value) <= 0.5 * 10**-decimals
        return written(value, ".3g" if small else ".1g" if hidden else f".{decimals}f")

    return tuple(text(float(cell)) if cell else "" for cell in cells)
