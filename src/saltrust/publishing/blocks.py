"""An executed chapter as blocks. It is read once; `myst` shows the blocks in the book, `html` on the page of a run.

A block is the note of a figure, table or document, or one of the classes below.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat

from saltrust.chapters.chapter import MIME, Chapter, Parameter, load
from saltrust.chapters.notes import Note, Provenance, note_from_json
from saltrust.chapters.prose import as_written
from saltrust.chapters.results_folder import Results
from saltrust.core.errors import SaltrustError
from saltrust.core.markup import code, myst

SMOKE = "The profile smoke shows that everything works; its numbers mean nothing."
VERSIONS = ("python", "saltrust", "torch", "torchvision", "numpy", "scikit-image")  # of an environment, in this order

CHAPTER_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<chapter>\w+)\.md\)")  # to another chapter of the same data set


@dataclass(frozen=True)
class Prose:
    """What a markdown cell says, in MyST."""

    text: str


@dataclass(frozen=True)
class Code:
    """Cells of code that follow one another without an output in between; shown folded away."""

    source: str


@dataclass(frozen=True)
class Text:
    """What a cell printed, or an output that has no other form."""

    text: str


@dataclass(frozen=True)
class Tabs:
    """Outputs of one cell of which a reader sees one tab at a time: the title and the blocks of each tab."""

    items: tuple[tuple[str, tuple["Block", ...]], ...]


@dataclass(frozen=True)
class RunAgain:
    """The box with the command, the parameters and what can be taken away.

    Attributes:
        chapter: That was executed.
        command: To type.
        parameters: With their meanings, as a definition list in MyST; those that were chosen in bold.
    """

    chapter: Chapter
    command: str
    parameters: str


@dataclass(frozen=True)
class MadeBy:
    """How the page was made: code, machine and time, as a list in MyST."""

    text: str


Block = Prose | Code | Text | Tabs | RunAgain | MadeBy | Note


def read(results: Results) -> list[Block]:
    """The blocks of an executed chapter, in order, without the title: its cells, `RunAgain` and `MadeBy`.

    Raises SaltrustError for a notebook, or a note in it, that cannot be read.
    """
    cells = _cells(results.notebook)
    chapter, provenance = load(results.chapter), results.provenance()
    given = provenance.parameters
    again = RunAgain(chapter, chapter.command(given), "\n\n".join(_meaning(*one) for one in chapter.given(given)))
    try:
        return [*of_cells(cells), again, MadeBy(_made(provenance))]
    except SaltrustError as error:
        raise SaltrustError(f"{results.notebook}: {error}") from error


def _cells(notebook: Path) -> list[nbformat.NotebookNode]:
    """The cells of a notebook. Raises SaltrustError for a file that is none."""
    try:
        found = nbformat.read(notebook, as_version=4)
        nbformat.validate(found)
    except Exception as error:  # of many kinds, and none in common
        told = " ".join(str(error).split())[:200]
        raise SaltrustError(f"{notebook} cannot be read as a notebook: {told}") from error
    return found.cells


def _meaning(parameter: Parameter, value: Any) -> str:
    shown, meaning = code(f"{parameter.name} = {value}"), parameter.help or "…"
    if value != parameter.default:
        shown, meaning = f"**{shown}**", f"{meaning} (default: {code(str(parameter.default))})"
    return f"{shown}\n: {meaning}"


def _made(provenance: Provenance) -> str:
    here, artefacts = provenance.environment, provenance.artefacts
    versions = myst(", ".join(f"{name} {here[name]}" for name in VERSIONS if name in here))
    computed = f"{sum(artefacts.values()):.0f} s to compute the {len(artefacts)} artefacts behind it"
    machine, device = (myst(here.get(name, "unknown")) for name in ("machine", "device"))
    return f"""- Code: commit {code(here.get("commit", "unknown"))}; {versions}
- Machine: {machine}, device {device}
- Time: {provenance.seconds:.0f} s for this page; {computed},
  which later runs read from the store"""


def of_cells(cells: Sequence[nbformat.NotebookNode]) -> list[Block]:
    """The blocks of a notebook's cells. The title and the cell of parameters are left out."""
    blocks: list[Block] = []
    code: list[str] = []

    def fold() -> None:
        if code:
            blocks.append(Code("\n\n".join(code)))
            code.clear()

    for number, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            fold()
            source = as_written(cell)
            title, _, rest = source.partition("\n")
            if text := rest.lstrip("\n") if number == 0 and title.startswith("# ") else source:
                blocks.append(Prose(text))
        elif cell.source.strip() and not {"injected-parameters", "parameters"} & set(cell.metadata.get("tags", [])):
            code.append(cell.source)
            if outputs := [*_outputs(cell)]:
                fold()
                blocks += arranged([(getattr(block, "tabs", ()), block) for block in outputs])
    fold()
    return blocks


def _outputs(cell: nbformat.NotebookNode) -> Iterator[Note | Text]:
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "stream":
            if output.name == "stdout":
                yield Text(output.text.rstrip())
        elif MIME in data:
            yield note_from_json(data[MIME])
        elif "text/plain" in data:
            yield Text(data["text/plain"])


def arranged(outputs: Sequence[tuple[Sequence[str], Block]]) -> list[Block]:
    """Outputs of one cell, those that name tabs in tabs within tabs.

    Args:
        outputs: The titles of the tabs in which each one stands, from the outermost, and the block.
    """
    blocks: list[Block] = []
    for tabbed, group in groupby(outputs, lambda output: bool(output[0])):
        if not tabbed:
            blocks += [block for _, block in group]
            continue
        items = []
        for title, members in groupby(group, lambda output: output[0][0]):
            items.append((title, tuple(arranged([(path[1:], block) for path, block in members]))))
        blocks.append(Tabs(tuple(items)))
    return blocks
