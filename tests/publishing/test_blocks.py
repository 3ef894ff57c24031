"""An executed chapter is read once into blocks, and two writers show each of them."""

from pathlib import Path

import nbformat
import pytest

from saltrust.chapters.chapter import MIME
from saltrust.chapters.notes import DocumentNote, FigureNote, TableNote
from saltrust.chapters.results_folder import Results
from saltrust.core import data_cards
from saltrust.publishing import blocks, html, myst
from saltrust.publishing.blocks import Code, Prose, Tabs, Text

V4 = nbformat.v4


def output(name, tabs=()):
    note = {"kind": "figure", "name": name, "chapter": "models", "tabs": list(tabs), "alt": name}
    return V4.new_output("display_data", {"text/plain": "x", MIME: note})


def figure(name, *tabs):
    return FigureNote(name=name, chapter="models", tabs=tabs, alt=name)


TABBED = [figure("a1", "A", "1"), figure("a2", "A", "2"), figure("b1", "B", "1")]
TABS = Tabs(
    (
        ("A", (Tabs((("1", (TABBED[0],)), ("2", (TABBED[1],)))),)),
        ("B", (Tabs((("1", (TABBED[2],)),)),)),
    )
)


def test_cells_become_blocks_without_title_and_parameters():
    stdout = V4.new_output("stream", name="stdout", text="1\n")
    stderr = V4.new_output("stream", name="stderr", text="a bar")
    cells = [
        V4.new_markdown_cell("# Title\n\nA question?"),
        V4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
        V4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}),
        V4.new_code_cell("import numpy"),
        V4.new_code_cell("draw()", outputs=[stderr, output("first")]),
        V4.new_code_cell("print(1)", outputs=[stdout, V4.new_output("display_data", {"text/plain": "plain"})]),
        V4.new_markdown_cell("# Not a title"),
        V4.new_code_cell("page.close()"),
    ]
    assert blocks.of_cells(cells) == [
        Prose("A question?"),
        Code("import numpy\n\ndraw()"),
        figure("first"),
        Code("print(1)"),
        Text("1"),
        Text("plain"),
        Prose("# Not a title"),
        Code("page.close()"),
    ]


def test_outputs_that_name_tabs_stand_in_tabs():
    outputs = [output("first"), *(output(note.name, note.tabs) for note in TABBED)]
    cell = V4.new_code_cell("draw()", outputs=outputs)
    assert blocks.of_cells([cell]) == [Code("draw()"), figure("first"), TABS]


def test_tabs_in_the_book_are_tab_sets_within_tab_sets():
    tabs = myst.write(TABS, data_cards.load("cells"))
    lines = [line for line in tabs.splitlines() if line]
    assert lines[0] == ":" * 8 + "{tab-set}"
    assert [line.strip(":") for line in lines if "tab-item" in line] == [
        "{tab-item} A", "{tab-item} 1", "{tab-item} 2", "{tab-item} B", "{tab-item} 1",
    ]  # fmt: skip
    assert tabs.count("{tab-set}") == 3
    assert tabs.index("a2") < tabs.index("{tab-item} B") < tabs.index("b1")


def test_tabs_of_a_run_are_buttons_of_groups_of_their_own():
    tabs = html._written(TABS, html._Run(Results(Path(), "models"), {}))
    assert [tabs.count(f'name="tabs-figure-{name}"') for name in ("a1-1", "a1-0", "b1-0")] == [2, 2, 1]
    assert tabs.count("checked") == 3  # the first of each group
    assert tabs.index("a2.png") < tabs.index(">B<") < tabs.index("b1.png")


@pytest.mark.parametrize("writers", [myst._WRITERS | {Tabs: myst._tabs}, html._WRITERS], ids=["myst", "html"])
def test_both_writers_know_every_block(writers):
    assert set(writers) == {
        Prose, Code, Text, Tabs, FigureNote, TableNote, DocumentNote, blocks.RunAgain, blocks.MadeBy,
    }  # fmt: skip


def test_code_and_plain_outputs_of_a_run_are_shown_as_in_the_book():
    run = html._Run(Results(Path(), "models"), {})
    assert "<summary>Code</summary><pre><code>a &lt; b</code></pre>" in html._written(Code("a < b"), run)
    assert html._written(Text("1 < 2"), run) == "<pre>1 &lt; 2</pre>"
