"""The writer of the book's evidence pages: blocks of an executed chapter, and what a data card says, as MyST."""

from collections.abc import Callable, Sequence
from typing import Any

from saltrust import chapters
from saltrust.chapters.notes import DocumentNote, FigureNote, Note, TableNote
from saltrust.chapters.results_folder import published
from saltrust.core.data_cards import Card
from saltrust.core.markup import code, fenced, myst
from saltrust.publishing import blocks
from saltrust.publishing.blocks import CHAPTER_LINK, SMOKE, Block, Code, MadeBy, Prose, RunAgain, Tabs, Text
from saltrust.publishing.launch import links


def page(card: Card, chapter: str, profile: str, making: bool = False) -> str:
    """The evidence page of one chapter on one data set. making: whether it will run soon if it has not yet."""
    results = published(profile, card.name, chapter)
    label, title = f"{card.name}-{chapter}", f"# {chapters.load(chapter).title}\n\n*{myst(card.title)}*"
    if not results.notebook.exists():
        return f"({label})=\n{title}\n\n{_not_run(card, chapter, profile, making)}"
    body = "\n\n".join(write(block, card) for block in blocks.read(results))
    return f"""({label})=
{title} · [Parameters, downloads, run it again](#{label}-again){f" · {SMOKE}" if profile == "smoke" else ""}

{body}"""


def overview(card: Card, profile: str, making: bool = False) -> str:
    """The first page of a data set's evidence: what the card says. making: whether the chapters that did not run will
    run soon."""
    counts = "\n".join(f"| {split} | {c.images} | {c.positive} |" for split, c in card.counts.items())
    counted = f"""
The data card counts these images; the profile `{profile}` may take fewer, at the same share of positives.

| Split | Images | With the finding |
|---|---:|---:|
{counts}
"""
    tree = (
        f"\nThe files that are expected:\n\n{fenced(card.get.tree.rstrip(), 'text')}\n"
        if card.get and card.get.tree
        else ""
    )
    cite = f"\nCite {{cite}}`{','.join(card.cite)}`.\n" if card.cite else ""
    known = chapters.of(card)
    ran = sum(published(profile, card.name, chapter).notebook.exists() for chapter in known)
    plays = f" ({card.plays.data})" if card.plays else ""
    then = "are ready, the others are being made" if making else "were run here"
    state = f"\n*{ran} of {len(known)} chapters {then}.*\n" if ran < len(known) else ""
    if not ran:
        state = f"\n{_not_run(card, next(iter(known)), profile, making)}\n"
    return f"""({card.name})=
# {myst(card.title)}

{myst(card.summary)}
{state}
| | |
|---|---|
| Finding | {myst(card.finding)} |
| Modality | {myst(card.modality)} |
| Truth | {card.truth} |
| Stands for | {myst(card.role)}{plays} |
| Licence | {myst(card.licence)} |
| Localizer | {card.localizer} |
{cite}{counted if counts else ""}{tree}"""


def elsewhere(cards: Sequence[Card], profile: str) -> str:
    """The page on the data sets that were not run: what each shows, and the command that runs it."""
    rows = [_elsewhere(card) for card in cards]
    head = "* - Data set\n  - What it is\n  - To run it"
    table = "\n".join([":::{list-table}", ":header-rows: 1", "", head, *rows, ":::"])
    more = f"Several names, in quotes, run side by side. This book has the profile `{profile}`."
    said = f"{table}\n\n{more}" if rows else "All were run here."
    return f"# Data sets not run here\n\n{said}\n"


def _elsewhere(card: Card) -> str:
    run = code(f"make book DATASETS={card.name}") if card.available else "Its files are not on this machine."
    return f"* - [{myst(card.title)}](#{card.name})\n  - {myst(card.summary)}\n  - {run}"


def _not_run(card: Card, chapter: str, profile: str, making: bool) -> str:
    results = published(profile, card.name, chapter)
    if making and not results.failed.exists():
        return """:::{admonition} Being made
:class: note not-run
This chapter is still being computed. `make book` adds its page when it ends: load the page again then.
:::
"""
    if results.failed.exists():
        why = f"This chapter failed; its notebook is {code(str(results.failed))}."
    elif not card.available:
        where = f"It comes from {myst(card.get.source)} and is expected in {code(card.get.root)}."
        why = f"The data set is not on this machine. {where}"
    else:
        why = "This book was built without it."
    return f""":::{{admonition}} Not run here
:class: note not-run
{why} To run it:

```bash
make book DATASETS={card.name} PROFILE={profile}
```
:::
"""


def write(block: Block, card: Card, depth: int = 0) -> str:
    """A block as MyST. card: of the page's data set. depth: of tabs around it."""
    if isinstance(block, Tabs):
        return _tabs(block, card, depth)
    return _WRITERS[type(block)](block, card)


def _tabs(block: Tabs, card: Card, depth: int) -> str:
    outer, inner = 8 - 2 * depth, 7 - 2 * depth
    items = []
    for title, members in block.items:
        content = "\n\n".join(write(member, card, depth + 1) for member in members)
        items.append(fenced(content, f"{{tab-item}} {myst(title)}", ":", inner))
    return fenced("\n".join(items), "{tab-set}", ":", outer)


def _prose(block: Prose, card: Card) -> str:
    """Its links to chapters that the data set does not have are left as their words."""
    known = chapters.of(card)
    return CHAPTER_LINK.sub(lambda link: link[0] if link["chapter"] in known else link["text"], block.text)


def _code(block: Code, card: Card) -> str:
    source = fenced(block.source, "python")
    return fenced(f":class-container: chapter-code\n{source}", "{dropdown} Code", ":", 4)


def _text(block: Text, card: Card) -> str:
    return fenced(block.text, "text")


def _result(block: Note, card: Card) -> str:
    return f"```{{result-{block.kind}}} {block.name}\n```"


def _again(block: RunAgain, card: Card) -> str:
    chapter = block.chapter
    found = links(chapter.name, card.name)
    source = f"{{download}}`its source <../sources/{chapter.source.name}>`"
    source += f" ([on the web]({found.source}))" if found.source else ""
    launched = " · ".join(f"[{words}]({address})" for words, address in found.launch.items())
    launched = f"\nOpen the chapter, with its defaults: {launched}\n" if launched else ""
    box = f"""{fenced(block.command, "bash")}

{block.parameters}

Type it in the project's folder (`saltrust` is in its `.venv/bin`) and change what you like:
`saltrust run {chapter.name} --help` says what there is. The run gets a page of its own, and this one stays as it is. To
see in what they differ:

```bash
saltrust compare <the run> published
```

`make lab` opens the chapters in JupyterLab, to be changed and run by hand.
{launched}
Downloads: {{download}}`all figures, tables and numbers (zip) <bundles/{card.name}-{chapter.name}.zip>` ·
{{download}}`the executed notebook <notebooks/{chapter.name}.ipynb>` · {source}"""
    return f"""({card.name}-{chapter.name}-again)=
## Run it again

{fenced(box, "{container} again", ":", 4)}"""


def _made(block: MadeBy, card: Card) -> str:
    return f":::{{admonition}} How this page was made\n:class: provenance\n{block.text}\n:::\n"


_WRITERS: dict[type[Block], Callable[[Any, Card], str]] = {
    Prose: _prose,
    Code: _code,
    Text: _text,
    FigureNote: _result,
    TableNote: _result,
    DocumentNote: _result,
    RunAgain: _again,
    MadeBy: _made,
}
