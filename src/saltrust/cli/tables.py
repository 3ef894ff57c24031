"""Tables in a terminal, or in a file or pipe: there without colours, and as wide as their cells."""

import sys
from collections.abc import Iterable, Sequence

UNBOUNDED = 100_000  # characters of a line that nothing cuts
INDENT = "  "  # before what belongs to the row above


def show(headings: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Print a table.

    Args:
        headings: of the columns; "" for one that needs none.
        rows: a cell for each column, shown as `str` has it.
        right: headings of the columns that hold numbers, and are set to the right.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    print(*(line.rstrip() for line in lines), sep="\n")
