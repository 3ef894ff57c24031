"""The writer of pages outside the book, in its style: they need neither it nor the network.

First what all of these pages are built from, then what an executed chapter says (its prose, its blocks), then the page
of a run.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from saltrust.chapters.chapter import ALWAYS, load
from saltrust.chapters.notes import DocumentNote, FigureNote, TableNote
from saltrust.chapters.prose import plain_role, quote_number
from saltrust.chapters.results_folder import Results
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.core.tables import VERDICTS, Column, columns, read_csv
from saltrust.publishing import blocks
from saltrust.publishing.blocks import SMOKE, Block, Code, MadeBy, Prose, RunAgain, Tabs, Text
from saltrust.publishing.mathml import to_mathml

# Where a browser keeps the clipboard from the page, the command is selected instead, to be copied by hand.
COPY = """
document.addEventListener("click", async ({target}) => {
  if (!target.matches(".command button")) return;
  const command = target.previousElementSibling;
  try { await navigator.clipboard.writeText(command.textContent); target.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(command); target.textContent = "Selected"; }
  setTimeout(() => { target.textContent = "Copy"; }, 2000);
});
"""
FIT = "this.style.height = this.contentDocument.documentElement.scrollHeight + 2 + 'px'"  # of a frame, once loaded
_IN_BOOK = re.compile(r"\.\./|#|\w+\.md$")  # how addresses of its pages begin


def document(title: str, head: str, body: str, kind: str = "page") -> str:
    """A whole page.

    Args:
        title: In words.
        head: What kind of page it is, in small above the title.
        body: HTML.
        kind: Classes of the page for the style sheet.
    """
    style = (files("saltrust.publishing") / "style.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en" class="{kind}">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(_policy(style))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{style}</style></head>
<body>
<header>saltrust · {escape(head)}</header>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
<script>{COPY}</script>
</body>
</html>
"""


def _policy(style: str) -> str:
    """What a page may use: its own style sheet and scripts, by their hashes, and images beside it or within it.

    The scheme `file:` is named since some browsers do not take a page on disk for one's own; a page from the web cannot
    use it.
    """
    own, copy, fit = (f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (style, COPY, FIT))
    return (
        f"default-src 'none'; img-src 'self' data: file:; style-src {own}; script-src {copy} 'unsafe-hashes' {fit}; "
        "base-uri 'none'; form-action 'none'"
    )


def table(headings: Sequence[str], body: Sequence[Column], caption: str = "", first: Sequence[str] = ()) -> str:
    """A table in a frame of its own that scrolls.

    Args:
        headings: Of the columns; text.
        body: The columns.
        caption: HTML.
        first: HTML in the place of the first column's cells.
    """
    kinds = ["text-right" if column.numeric else "" for column in body]
    head = "".join(_cell("th", kind, escape(text)) for kind, text in zip(kinds, headings, strict=True))
    shown = [[_cell("td", column.kind(text), _marked(text)) for text in column.cells] for column in body]
    if first:
        shown[0] = [_cell("td", "", content) for content in first]
    lines = [f"<tr>{''.join(cells)}</tr>" for cells in zip(*shown, strict=True)]
    caption = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="pst-scrollable-table-container"><table class="result-table">{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(tag: str, kind: str, content: str) -> str:
    return f'<{tag} class="{kind}">{content}</{tag}>' if kind else f"<{tag}>{content}</{tag}>"


def _marked(text: str) -> str:
    return f'<span class="{VERDICTS[text]}">{text}</span>' if text in VERDICTS else escape(text)


def figure(file: str, alt: str, caption: str) -> str:
    """A figure that opens in full size.

    Args:
        file: Its address from the page.
        alt: What it shows; text.
        caption: HTML.
    """
    return (
        f'<figure class="result-figure"><a class="image-reference" href="{escape(file)}">'
        f'<img src="{escape(file)}" alt="{escape(alt)}"></a><figcaption>{caption}</figcaption></figure>'
    )


def frame(page: str, name: str) -> str:
    """A whole page inside another one: their styles stay apart, and once loaded it is as high as what it shows.

    Args:
        page: HTML.
        name: Of the frame where the page has no title.
    """
    title = re.search("<title>(.*?)</title>", page, re.DOTALL)
    return f'<iframe title="{title[1] if title else escape(name)}" srcdoc="{escape(page)}" onload="{FIT}"></iframe>'


def command(text: str) -> str:
    """A command with a button that copies it."""
    return f'<div class="command"><pre>{escape(text)}</pre><button type="button">Copy</button></div>'


def link(file: str, text: str) -> str:
    """A link, of text, to a file by its address from the page."""
    return f'<a href="{escape(file)}">{escape(text)}</a>'


# --- what an executed chapter says ------------------------------------------------------------------------------------


def prose(text: str, numbers: Mapping[str, Any]) -> str:
    """MyST as HTML: numbers filled in, terms and citations as words, links into the book as their text.

    HTML in it is text.

    >>> prose("Of {num}`models/n` models, {num}`models/auc .2f`", {"models/n": 3, "models/auc": 0.5})
    '<p>Of 3 models, 0.50</p>\\n'
    """
    return _MARKDOWN.render(text, {"numbers": numbers})


def _role(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Mapping, env: Mapping[str, Any]) -> str:
    role, text = tokens[at].meta["name"], tokens[at].content
    if role == "num":
        text = quote_number(env["numbers"], text)
    elif role == "term" or role.startswith("cite"):
        text = plain_role(role, text)  # these pages have neither glossary nor bibliography
    return escape(text, quote=False)


def _nothing(renderer: RendererHTML, *given: object) -> str:
    return ""


def _leave_book(state: StateCore) -> None:
    """Let links into the book be their text."""
    for block in state.tokens:
        kept: list[Token] = []
        dropped, start = False, 0
        for token in block.children or ():
            if token.type == "link_open" and _IN_BOOK.match(str(token.attrs["href"])):
                dropped, start = True, len(kept)
            elif token.type == "link_close" and dropped:
                dropped = False
                if len(kept) == start:
                    kept.append(Token("text", "", 0, content="the book"))
            else:
                kept.append(token)
        if block.children is not None:
            block.children = kept


def _formula(latex: str, options: Mapping[str, Any]) -> str:
    """A formula as MathML; one that cannot be read as it was typed, as in the book."""
    try:
        return to_mathml(latex, options["display_mode"])
    except ValueError:
        return f"<code>{escape(latex)}</code>"


def _align(state: StateCore) -> None:
    """Let classes align the cells of tables: the policy of the page allows no styles of elements."""
    for token in state.tokens:
        if (style := str(token.attrs.pop("style", ""))).startswith("text-align:"):
            token.attrJoin("class", f"text-{style.removeprefix('text-align:')}")


_MARKDOWN = MarkdownIt(options_update={"typographer": True, "html": False}).enable(["table", "smartquotes"])
_MARKDOWN.use(dollarmath_plugin, renderer=_formula).use(deflist_plugin)
_MARKDOWN.use(myst_role_plugin).use(myst_block_plugin)
for _name, _rule in {"myst_role": _role, "myst_target": _nothing, "myst_line_comment": _nothing}.items():
    _MARKDOWN.add_render_rule(_name, _rule)
_MARKDOWN.core.ruler.push("leave_book", _leave_book)
_MARKDOWN.core.ruler.push("align", _align)


@dataclass(frozen=True)
class _Run:
    """The run whose page is written, and the numbers that it quotes."""

    results: Results
    numbers: Mapping[str, Any]


def write(results: Results) -> None:
    """Write the page of a run, or of a published chapter, into its folder."""
    run, chapter = _Run(results, results.numbers()), load(results.chapter)
    parameters = results.provenance().parameters
    head = ", ".join(f"{name} {parameters[name]}" for name in ALWAYS)
    with suppress(SaltrustError):  # the card may lie elsewhere by now
        head = f"{data_cards.load(parameters['dataset']).title} · {head}"
    notes = [f'{escape(head)} · <a href="#again">Parameters, downloads, run it again</a>']
    notes += [SMOKE] if parameters["profile"] == "smoke" else []
    body = [f'<p class="note">{note}</p>' for note in notes]
    body += [_written(block, run) for block in blocks.read(results)]
    head = f"{chapter.name} of {results.name}" if results.published else f"run {results.name} of {chapter.name}"
    page = document(chapter.title, head, "\n".join(body))
    results.page.write_text(page, encoding="utf-8")


def _written(block: Block, run: _Run) -> str:
    return _WRITERS[type(block)](block, run)


def _prose(block: Prose, run: _Run) -> str:
    return prose(block.text, run.numbers)


def _code(block: Code, run: _Run) -> str:
    source = f"<pre><code>{escape(block.source)}</code></pre>"
    return f'<details class="chapter-code"><summary>Code</summary>{source}</details>'


def _text(block: Text, run: _Run) -> str:
    return f"<pre>{escape(block.text)}</pre>"


def _figure(note: FigureNote, run: _Run) -> str:
    return figure(note.address, note.alt, f"{prose(note.caption, run.numbers)} {link(note.address, 'PNG')}")


def _table(note: TableNote, run: _Run) -> str:
    head, rows = read_csv(run.results.file(note))
    caption = f"{prose(note.caption, run.numbers)} {link(note.address, 'CSV')}"
    return table([heading.replace("_", " ") for heading in head], columns(rows[: note.rows], len(head)), caption)


def _document(note: DocumentNote, run: _Run) -> str:
    shown = frame(run.results.file(note).read_text(encoding="utf-8"), note.name)
    return f'<div class="document">{shown}<p>{link(note.address, "Open it by itself")}</p></div>'


def _tabs(block: Tabs, run: _Run) -> str:
    """Tabs that need no script: a hidden button for each, of which one is checked, before its label and content."""
    group, parts = f"tabs-{_first(block)}", []
    for number, (title, members) in enumerate(block.items):
        shown = "\n".join(_written(member, run) for member in members)
        button = f'<input type="radio" id="{group}-{number}" name="{group}"{"" if number else " checked"}>'
        label = f'<label class="sd-tab-label" for="{group}-{number}">{escape(title)}</label>'
        parts.append(f'{button}{label}<div class="sd-tab-content">{shown}</div>')
    return f'<div class="sd-tab-set">{"".join(parts)}</div>'


def _first(block: Tabs) -> str:
    """A name for tabs that no others on the page have: that of the first result in them, and how deep it lies."""
    (member, *_), depth = block.items[0][1], 0
    while isinstance(member, Tabs):
        (member, *_), depth = member.items[0][1], depth + 1
    return f"{member.kind}-{member.name}-{depth}"


def _again(block: RunAgain, run: _Run) -> str:
    chapter, results = block.chapter, run.results
    names = {
        str(results.notebook.relative_to(results.folder)): "executed notebook",
        "figures/": "figures",
        "tables/": "tables",
        "numbers.json": "numbers",
        str(results.provenance_file.relative_to(results.folder)): "provenance",
    }
    again = "With <code>publish</code> in the place of <code>run</code> the outcome goes into the book."
    if not results.published:
        names[chapter.source.name] = f"source, {chapter.source.name}"
        again += " In what this run differs\nfrom what the book shows:"
    links = " · ".join(link(file, text) for file, text in names.items())
    compare = "" if results.published else command(f"saltrust compare {results.name} published")
    return f"""<h2 id="again">Run it again</h2>
<div class="again">{command(block.command)}
{prose(block.parameters, {})}
<p>{again}</p>
{compare}
<p>Files of this {"chapter" if results.published else "run"}: {links}</p></div>"""


def _made(block: MadeBy, run: _Run) -> str:
    return f'<div class="again provenance"><h3>How this page was made</h3>{prose(block.text, {})}</div>'


_WRITERS: dict[type[Block], Callable[[Any, _Run], str]] = {
    Prose: _prose,
    Code: _code,
    Text: _text,
    FigureNote: _figure,
    TableNote: _table,
    DocumentNote: _document,
    Tabs: _tabs,
    RunAgain: _again,
    MadeBy: _made,
}
