"""Pages of HTML in the style of the book that need neither it nor the network: frame, tables, figures, commands."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from saltrust.core.tables import VERDICTS, Column

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


def document(title: str, head: str, body: str) -> str:
    """A whole page. title: in words. head: what kind of page it is, in small above the title. body: HTML."""
    style = (files("saltrust.publishing") / "style.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en" class="page">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
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


def table(headings: Sequence[str], body: Sequence[Column], caption: str = "", first: Sequence[str] = ()) -> str:
    """A table in a frame of its own that scrolls. caption: HTML. first: HTML in place of the first column's cells."""
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


def figure(file: str, alt: str, caption: str) -> str:
    """A figure that opens in full size. file: its address from the page. caption: HTML."""
    return (
        f'<figure class="result-figure"><a class="image-reference" href="{escape(file)}">'
        f'<img src="{escape(file)}" alt="{escape(alt)}"></a><figcaption>{caption}</figcaption></figure>'
    )


def frame(page: str, title: str) -> str:
    """A whole page inside another one: their styles stay apart, and once loaded it is as high as what it shows.
    title: HTML."""
    fit = "this.style.height = this.contentDocument.documentElement.scrollHeight + 2 + 'px'"
    return f'<iframe title="{title}" srcdoc="{escape(page)}" onload="{fit}"></iframe>'


def command(text: str) -> str:
    """A command with a button that copies it."""
    return f'<div class="command"><pre>{escape(text)}</pre><button type="button">Copy</button></div>'


def link(file: str, text: str) -> str:
    return f'<a href="{escape(file)}">{escape(text)}</a>'


def _cell(tag: str, kind: str, content: str) -> str:
    return f'<{tag} class="{kind}">{content}</{tag}>' if kind else f"<{tag}>{content}</{tag}>"


def _marked(text: str) -> str:
    return f'<span class="{VERDICTS[text]}">{text}</span>' if text in VERDICTS else escape(text)
