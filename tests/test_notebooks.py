"""Notebooks of a dozen calls: what a number needs beyond that is a function in `saltrust.analysis`."""

import ast
import symtable

import jupytext
import pytest

from saltrust import chapters
from saltrust.core import data_cards, paths

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


def named(name: str) -> set[tuple[str, str]]:
    """The kinds and names of the results that a chapter leaves."""
    calls = [node for node in ast.walk(ast.parse(chapters.load(name).source.read_text())) if isinstance(node, ast.Call)]
    of_page = [call for call in calls if getattr(getattr(call.func, "value", None), "id", "") == "page"]
    kinds = ("figure", "table", "document")
    given = {(call.func.attr, call.args[1]) for call in of_page if call.func.attr in kinds}
    return {(kind, name.value) for kind, name in given if isinstance(name, ast.Constant)}


@pytest.mark.parametrize("dataset", data_cards.names())
def test_no_two_chapters_of_a_data_set_leave_results_of_one_name(dataset):
    """All of them lie in the same folders."""
    left = [(result, chapter) for chapter in chapters.of(data_cards.load(dataset)) for result in named(chapter)]
    assert len(left) > 5
    by_name = {result: [chapter for other, chapter in left if other == result] for result, _ in left}
    assert {result: these for result, these in by_name.items() if len(these) > 1} == {}
