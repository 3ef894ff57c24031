"""The prose of a chapter quotes numbers by name. In an executed notebook it reads with the numbers; what was written is
kept beside it, for the book, in which each number is a link."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from saltrust.core.formatting import written

NUM = re.compile(r"\{num\}`(?P<text>[^`]*)`")
WRITTEN = "saltrust_written"  # key of a cell's metadata: its text with the names of the numbers
CITED = re.compile(r"(?P<author>[a-z]+)(?P<year>\d{4})\w*")  # a key of the bibliography
RECORD = "*The record of a run: the numbers in its text are those of this run, also after a cell was run again.*"

_ROLE = re.compile(r"\{(?P<role>term|cite|cite:t)\}`(?P<text>[^`]*)`")
_NAMELESS = re.compile(r"\[\]\((?P<page>[^)]+)\)")  # a link to a page of the book, which has a title there


def quote_number(numbers: Mapping[str, Any], text: str) -> str:
    """A number as prose quotes it. text: of the role `num`, a name and perhaps a format."""
    name, _, form = " ".join(text.split()).partition(" ")
    return written(numbers[name], form) if name in numbers else "not computed"


def plain_role(role: str, text: str) -> str:
    """A term or a citation as words.

    >>> plain_role("cite:t", "arun2021assessing"), plain_role("term", "maps <saliency map>")
    ('Arun 2021', 'maps')
    """
    if role.startswith("cite"):
        return ", ".join(CITED.sub(lambda key: f"{key[1].title()} {key[2]}", key) for key in text.split(","))
    return text.partition("<")[0].strip()


def readable(text: str, numbers: Mapping[str, Any]) -> str:
    """MyST as Markdown that any notebook shows: numbers filled in, terms and citations as words.

    >>> readable("Of {num}`models/n` {term}`maps <map>`: [](../concepts/ssim.md).", {"models/n": 3})
    'Of 3 maps: *ssim* in the book.'
    """
    text = NUM.sub(lambda role: quote_number(numbers, role["text"]), text)
    text = _ROLE.sub(lambda role: plain_role(role["role"], role["text"]), text)
    return _NAMELESS.sub(lambda link: f"*{Path(link['page']).stem.lstrip('#')}* in the book", text)


def fill_in(notebook: Path, numbers: Mapping[str, Any]) -> None:
    """Let the prose of an executed notebook read with its numbers. numbers: by "<chapter>/<name>"."""
    content = nbformat.read(notebook, as_version=4)
    told = [cell for cell in content.cells if cell.cell_type == "markdown"]
    for number, cell in enumerate(told):
        text = readable(cell.source, numbers)
        if number == 0:
            text = f"{text}\n\n{RECORD}"
        cell.metadata[WRITTEN], cell.source = cell.source, text
    nbformat.write(content, notebook)


def as_written(cell: nbformat.NotebookNode) -> str:
    """The text of a markdown cell with the names of its numbers."""
    return cell.metadata.get(WRITTEN, cell.source)
