"""Notebooks of a dozen calls: what a number needs beyond that is a function in `saltrust.analysis`."""

import symtable

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


@pytest.mark.parametrize("name", chapters.NAMES)
def test_no_parameter_is_assigned_anew(name):
    """What a page says it was made with is what it was made with."""
    cells = [cell for cell in jupytext.read(paths.CHAPTERS / f"{name}.py").cells if cell.cell_type == "code"]
    body = [cell.source for cell in cells if "parameters" not in cell.metadata.get("tags", ())]
    assert len(body) == len(cells) - 1
    table = symtable.symtable("\n".join(body), name, "exec")
    known = set(table.get_identifiers())
    changed = [p.name for p in chapters.load(name).parameters if p.name in known and table.lookup(p.name).is_assigned()]
    assert changed == []
