"""Notebooks of a dozen calls: what a number needs beyond that is a function in `saltrust.analysis`."""

import jupytext
import pytest

from saltrust import chapters
from saltrust.core import paths

LONGEST = 25  # lines of a cell


def test_each_notebook_is_a_chapter():
    assert {file.stem for file in paths.CHAPTERS.glob("*.py")} == set(chapters.NAMES)


@pytest.mark.parametrize("name", chapters.NAMES)
def test_no_cell_is_long(name):
    cells = jupytext.read(paths.CHAPTERS / f"{name}.py").cells
    lengths = {
        cell.source.partition("\n")[0]: len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code"
    }
    assert not {first: length for first, length in lengths.items() if length > LONGEST}
