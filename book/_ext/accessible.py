"""Sphinx extension: faults of the theme and of docutils that shut out readers who hear or tab through a page.

Each is mended in the pages once they are written, until its source is: why it shuts someone out, what is found, what
stands there instead. `make test-book` asks axe about every page.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

MENDED: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    # The arrow that unfolds a part of the table of contents has no name.
    (
        r'(?P<link><a class="[^"]*" href="[^"]*">(?P<title>[^<]*)</a><details[^>]*>)'
        r'<summary>(?=<span class="toctree-toggle")',
        lambda found: f'{found["link"]}<summary aria-label="Pages of: {found["title"]}">',
    ),
    # Their label is not what they show, so that who speaks to the computer cannot name them.
    (r'(<button class="[^"]*(?:search-button-field|theme-switch-button)[^"]*"[^>]*?) aria-label="[^"]*"', r"\1"),
    # A list that holds other things than list items, and a role that is no more.
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    (r'(<div class="citation"[^>]*?) role="doc-biblioentry"', r"\1"),
)


def mend(page: str) -> str:
    """HTML of a page without these faults."""
    for pattern, instead in MENDED:
        page = re.sub(pattern, instead, page)
    return page


def mend_all(app: Sphinx, failed: Exception | None) -> None:
    if failed or app.builder.format != "html":
        return
    for file in Path(app.outdir).rglob("*.html"):
        page = file.read_text(encoding="utf-8")
        if (mended := mend(page)) != page:
            file.write_text(mended, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", mend_all)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
