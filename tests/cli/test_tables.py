"""Tables in a terminal, and in a pipe: there nothing is cut."""

import sys

from saltrust.cli import tables

LONG = "a cell that goes on for long " * 10


def test_a_table_in_a_pipe_is_as_wide_as_its_cells_and_plain(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    tables.show(["name", "n"], [("[bold]a[/bold] :smile:", 1), (LONG, 20)], right=["n"])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "n"]
    assert first.split() == ["[bold]a[/bold]", ":smile:", "1"]
    assert second == f"{LONG.ljust(len(second) - 2)}20"
    assert len(head) == len(first) == len(second)


def test_in_a_terminal_a_long_cell_goes_on_in_the_next_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    tables.show(["name", "n"], [(LONG, 20)], right=["n"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert " ".join(" ".join(lines).split()).count("goes on") == 10


def test_trailing_spaces_are_left_out(capsys):
    tables.show(["name", "note"], [("a", ""), ("b", "words")])
    assert capsys.readouterr().out == "name  note\na\nb     words\n"
