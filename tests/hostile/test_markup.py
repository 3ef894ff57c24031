"""Markup in texts that are no markup: fields of a card, names, values. Wherever they are written, they read as typed.

Every text is written twice, as it is and with a harmless word in its place. The two outcomes must have the same
elements, attributes and nodes, and the same words but for that one: whatever began a tag, a directive, a role, a link,
a table's cell or a formula would differ.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives
from matplotlib.figure import Figure
from matplotlib.text import Text
from myst_parser.parsers.docutils_ import Parser
from pydantic import BaseModel

from saltrust import chapters, plots
from saltrust.chapters.chapter import MIME, Chapter
from saltrust.chapters.notes import FigureNote, TableNote
from saltrust.chapters.results_folder import Results
from saltrust.cli import tables
from saltrust.core import data_cards, markup, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.tables import Column, read_csv
from saltrust.publishing import blocks, compare, html, myst, report_card_page, ro_crate, sweep

BOOK = Path(__file__).parents[2] / "book"
WORD = "harmless"
LATEX = r"$\frac{$"  # matplotlib fails on it

SNIPPETS = {
    "a script": "<script>alert(1)</script>",
    "an image with a handler": '<img src=x onerror="alert(1)">',
    "the end of an attribute": '" onmouseover="alert(1)',
    "the end of an attribute in single quotes": "' onmouseover='alert(1)",
    "the end of a title": "</title><script>alert(1)</script>",
    "the end of a table": "</td></tr></table><iframe src=/etc/passwd>",
    "a comment of HTML": "<!-- x",
    "an entity": "&lt;script&gt; &amp; &#60;",
    "a directive that includes a file": "x\n\n```{include} /etc/passwd\n```\n",
    "a directive between colons": "x\n\n:::{include} /etc/passwd\n:::\n",
    "a directive between many signs": "x\n\n``````````{include} /etc/passwd\n``````````\n",
    "colons that end any box": "x\n::::::::::\n\n```{include} /etc/passwd\n```\n",
    "raw HTML by a directive": "x\n\n```{raw} html\n<script>alert(1)</script>\n```\n",
    "literal text of a file": "x\n\n```{literalinclude} /etc/passwd\n```\n",
    "the end of a fence": "x\n```\n\n# heading\n",
    "a role": "{download}`passwd </etc/passwd>`",
    "a role of a number": "{num}`a/b`",
    "an image of a file": "![x](/etc/passwd)",
    "a link with code": "[x](javascript:alert(1))",
    "a link of the book": "[x](verdict.md)",
    "an address as a link": "<https://example.org>",
    "a formula that cannot be drawn": LATEX,
    "a formula": "$x^2$ and $$y$$",
    "a formula in an environment": "\\begin{align} x \\end{align}",
    "code": "`a` ``b`` ```c",
    "emphasis": "*a* **b** _c_ __d__ ~~e~~",
    "cells of a table": "a | b || c",
    "a heading": "# a",
    "a label": "(x)=",
    "a list": "- a",
    "a numbered list": "1. a",
    "a quotation": "> a",
    "a definition": "x\n: a",
    "a rule": "---",
    "a comment of MyST": "% a",
    "a substitution": "{{ x }}",
    "attributes": "x{#a .b}",
    "a footnote": "x[^1]\n\n[^1]: y",
    "backslashes": "\\ \\\\ \\*",
    "markup of the terminal": "[bold]x[/bold] [/] :smile:",
    "signs of other scripts": "„x“ ‹y› ＜script＞ 〈z〉",
}


# --- what is compared -------------------------------------------------------------------------------------------------


def words(text: str) -> str:
    """A text without its blanks, which no medium keeps."""
    return "".join(text.split())


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes; and what reads as text, attributes included."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shape: list[object] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        attributes = [one for one in attributes if one != ("class", "prose")]  # of texts that are long
        self.shape.append((tag, [name for name, _ in attributes]))
        for name, value in attributes:
            if name == "srcdoc":
                inner = Elements(value)
                self.shape.append(inner.shape)
                self.text += inner.text
            else:
                self.text.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.shape.append(tag)

    def handle_comment(self, data: str) -> None:
        self.shape.append("comment")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def of_html(page: str) -> tuple[object, str]:
    found = Elements(page)
    return found.shape, words(" ".join(found.text))


class Nested(Directive):
    """Stands in for the directives of the book's extensions, which need Sphinx."""

    optional_arguments, final_argument_whitespace, has_content = 1, True, True
    option_spec = {"class-container": directives.unchanged, "class": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        shown = nodes.container()
        title, _ = self.state.inline_text(" ".join(self.arguments), self.lineno)
        shown += nodes.paragraph("", "", *title)
        self.state.nested_parse(self.content, self.content_offset, shown)
        return [shown]


MYST = {
    "myst_enable_extensions": ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"],
    "report_level": 5,
    "halt_level": 5,
    "_disable_config": True,
}


@pytest.fixture(scope="module", autouse=True)
def _directives():
    before = dict(directives._directives)
    for name in ("tab-set", "tab-item", "dropdown", "result-figure", "result-table", "result-document"):
        directives.register_directive(name, Nested)
    yield
    directives._directives.clear()
    directives._directives.update(before)


def coloured(node: nodes.Element) -> bool:
    """Whether a node is a word of code that has a colour."""
    return isinstance(node.parent, nodes.literal_block)


def of_myst(page: str) -> tuple[object, str]:
    """The nodes of a page, read as MyST with every directive and role allowed."""
    tree = publish_doctree(page, parser=Parser(), settings_overrides=MYST)
    for message in list(tree.findall(nodes.system_message)):  # of roles that Sphinx alone knows, with numbers of lines
        message.parent.remove(message)
    shape = [node.tagname for node in tree.findall() if isinstance(node, nodes.Element) and not coloured(node)]
    return shape, words(tree.astext())


def of_figure(figure: Figure) -> tuple[object, str]:
    """The texts of a figure, of which none is a formula, and which can be drawn."""
    figure.set_layout_engine("none")  # what takes longest
    figure.set_dpi(30)
    figure.canvas.draw()
    found = figure.findobj(Text)
    assert not any(text.get_parse_math() and "$" in text.get_text() for text in found)
    plt.close(figure)
    said = [
        text.get_text() for text in found if not re.fullmatch(r"[\d.,−\s]*", text.get_text())
    ]  # ticks follow layout
    return len(said), words(" ".join(said))


def of_text(text: str) -> tuple[object, str]:
    return None, words(text)


Written = tuple[Callable[[Any], tuple[object, str]], Callable[[str, Path], Any]]
"""How an outcome is read, and what writes it with a text in it, in a folder of its own."""


# --- the writers ------------------------------------------------------------------------------------------------------


def card(text: str, **fields: object) -> Card:
    """A card all whose free texts are the text; in those of one line blanks stand for its line breaks."""
    line = " ".join(text.splitlines())
    get = {"root": "/nowhere", "source": line, "tree": text}
    given = {field: text for field in ("summary", "role", "reported", "licence")}
    given |= dict.fromkeys(("title", "finding", "modality"), line)
    table = {"file": "a.csv", "image": "image", "mask": "mask", "split": "split"}
    return Card(**{"name": "a", "truth": "mask", "get": get, "table": table} | given | fields)


def overview(text: str, folder: Path) -> str:
    return myst.overview(card(text), "smoke")


def evidence(text: str, folder: Path) -> str:
    return myst.page(card(text), "dataset", "smoke")


CHAPTER = "dataset"


def leave(text: str, folder: Path, name: str = "run") -> Results:
    """A run of a chapter, as `saltrust run` leaves it, with the text wherever one can stand."""
    results = Results(folder / name, CHAPTER)
    v4, shown = nbformat.v4, {"text/plain": "x"}
    figure = FigureNote(name="truth", caption=f"Of {markup.myst(text)}.", alt=f"Of {text}", chapter=CHAPTER)
    tabbed = FigureNote(name="tab", caption="Tab", alt=text, chapter=CHAPTER, tabs=(text, text))
    table = TableNote(name="splits", caption=f"Of {markup.myst(text)}.", chapter=CHAPTER, key=("split",))
    for note in (figure, tabbed, table):
        results.file(note).parent.mkdir(parents=True, exist_ok=True)
        results.file(note).write_bytes(b"")
        results.file(note).with_suffix(".json").write_text(json.dumps(note.as_json()))
    pd.DataFrame({"split": ["a", "b"], "said": [text, "PASS"]}).to_csv(results.file(table), index=False)
    outputs = [v4.new_output("display_data", shown | {MIME: note.as_json()}) for note in (figure, tabbed, table)]
    cells = [
        v4.new_markdown_cell("# The data set\n\nOf {num}`dataset/said`, *{num}`dataset/said`*."),
        v4.new_code_cell("page.figure(...)", outputs=outputs),
        v4.new_code_cell("print(text)", outputs=[v4.new_output("stream", name="stdout", text=text)]),
    ]
    nbformat.write(v4.new_notebook(cells=cells), results.notebook)
    given = {p.name: p.default for p in chapters.load(CHAPTER).parameters}
    given |= {"dataset": text, "profile": "smoke", "protocol": text}
    note = {"chapter": CHAPTER, "parameters": given, "seconds": 1.0, "artefacts": [], "numbers": {}}
    note["environment"] = {"machine": text, "python": text, "commit": text, "device": text}
    results.provenance_file.write_text(json.dumps(note))
    results.numbers_file.write_text(json.dumps({"dataset/said": text}))
    return results


def run_page(text: str, folder: Path) -> str:
    results = leave(text, folder)
    html.write(results)
    return results.page.read_text()


def evidence_blocks(text: str, folder: Path) -> str:
    found = blocks.read(leave(text, folder))
    return "# Title\n\n" + "\n\n".join(myst.write(block, card(WORD)) for block in found)


def compared(text: str, folder: Path) -> str:
    runs = [compare._read(name, leave(one, folder, name), folder / name) for name, one in (("a", text), ("b", "other"))]
    both = [run.results for run in runs]
    for results, value in zip(both, (text, "other"), strict=True):
        results.numbers_file.write_text(json.dumps({"dataset/finding": value, "dataset/n_test": 3}))
    runs = [compare._read(run.title, run.results, run.page) for run in runs]
    return compare.page(compare.compare(*runs), folder)


def swept(text: str, folder: Path) -> str:
    runs = [leave(one, folder, name) for name, one in (("a", text), ("b", "other"))]
    return sweep._page(chapters.load(CHAPTER), sweep.numbers_of(runs), "sweep.csv")


def report_card(text: str, folder: Path) -> str:
    rows = [
        {"method": "xrai", "role": "map", "criterion": "utility", "score": "AUPRC", "baseline": baseline, "value": 0.5,
         "ci_low": 0.4, "ci_high": 0.6, "n": 9, "reference": 0.3, "verdict": "PASS"}
        for baseline in ("average", "localizer")
    ]  # fmt: skip
    networks = SimpleNamespace(
        title=lambda: text,
        main="a",
        table=lambda: pd.DataFrame({"model": ["a"], "auc": 0.9, "ci_low": 0.8, "ci_high": 1}),
    )
    study = SimpleNamespace(
        card=card(text), networks=networks, images=SimpleNamespace(explained=[1], size=9), seed=0,
        protocol=SimpleNamespace(name="corrected", rule="rule"), profile=SimpleNamespace(name="smoke"),
    )  # fmt: skip
    return report_card_page.html(study, pd.DataFrame(rows), [text], Figure(), text)


def page_figure(text: str, folder: Path) -> str:
    """What a chapter shows in a notebook."""
    table = pd.DataFrame({words(text): [words(text)]}).to_html(index=False)  # pandas writes a broken line as \\n
    return f"{table}{html.frame(html.document(text, text, ''), text)}"


@cache
def extension(name: str) -> Any:
    sys.path.insert(0, str(BOOK / "_ext"))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(BOOK / "_ext"))


def lineage(text: str, folder: Path) -> str:
    chapter = {
        "chapter": "dataset", "title": text, "before": [], "state": "run", "seconds": 1.0, "parameters": {"a": text},
        "artefacts": 1, "behind": 1, "computed": 1.0, "environment": text,
        "results": [{"kind": "number", "name": text, "cell": 1, "artefacts": 1}],
    }  # fmt: skip
    found = extension("provenance")
    return found.graph([chapter], text, {"dataset": "a.html"}) + found._chapter(chapter, "a", "a.html")


PICTURE = np.zeros((8, 8), np.uint8)

FIGURES: dict[str, Callable[[str, Path], Figure]] = {
    "titles of images": lambda text, folder: plots.image_grid(PICTURE[None], [text]),
    "names and notes of maps": lambda text, folder: plots.map_grid(
        [(text, PICTURE, None, {text: PICTURE / 255})], [{text: text}]
    ),
    "names of classes": lambda text, folder: plots.class_confusion({text: np.eye(2)}, [text, "b"]),
    "names of networks": lambda text, folder: plots.roc_curves(np.array([0, 1]), {f"a {text}": np.array([0.1, 0.9])}),
    "names of scores": lambda text, folder: plots.training_curves(
        {f"a {text}": pd.DataFrame({f"t {text}": [1, 2], f"s {text}": [1, 2]})}
    ),
    "steps of work": lambda text, folder: plots.workflow([(text, [text])]),
    "rows of graded truth": lambda text, folder: plots.truth_grid([(text, [PICTURE])], [text]),
    "titles of claims": lambda text, folder: plots.claim_answers(
        pd.DataFrame({"title": [text], "kind": ["value"], "p": ["yes"]}), ["p"], {"value": text}
    ),
    "names of branches": lambda text, folder: plots.branch_traces(
        pd.DataFrame({"network": [text], "branch": [1], "step": [1], "accuracy": [0.5], "counter": [1], "limit": [2]}),
        0.5,
    ),
}


def shown(text: str, folder: Path) -> str:
    """What a table in the terminal says."""
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()) as said:
        tables.show(["name", words(text)], [[words(text), "x"]])
    return said.getvalue()


def downloaded(text: str, folder: Path) -> str:
    file = folder / "a.csv"
    pd.DataFrame({text: [text]}).to_csv(file, index=False)
    head, rows = read_csv(file)
    return (
        json.dumps([words(one) for one in [*head, *rows[0]]], ensure_ascii=False)
        .replace('\\"', '"')
        .replace("\\\\", "\\")
    )


WRITERS: dict[str, Written] = {
    "the first page of a data set": (of_myst, overview),
    "the page of a chapter that was not run": (of_myst, evidence),
    "an evidence page": (of_myst, evidence_blocks),
    "a caption in the book": (of_myst, lambda text, folder: f"Images with {markup.myst(text)}, in all."),
    "the title of a page": (of_myst, lambda text, folder: f"# {markup.myst(text)}\n\nx"),
    "the page of a run": (of_html, run_page),
    "the page of a comparison": (of_html, compared),
    "the page of a sweep": (of_html, swept),
    "a report card": (of_html, report_card),
    "the cells of a table": (of_html, lambda text, folder: html.table([text], [Column((text,), numeric=False)])),
    "an output of a notebook": (of_html, page_figure),
    "the page of provenance": (of_html, lineage),
    **{f"a figure with {name}": (of_figure, draw) for name, draw in FIGURES.items()},
    "a table in the terminal": (of_text, shown),
    "a table to download": (of_text, downloaded),
    "a crate": (of_text, lambda text, folder: ro_crate._plain(f"Of {markup.myst(text)}.")),
}

# What is tried where a writer is slow, or reads no MyST.
DRAWN = ("a formula that cannot be drawn", "a formula", "backslashes")
OF_HTML = list(SNIPPETS)[: list(SNIPPETS).index("a directive that includes a file")]
READ_MYST = ("the page of a run", "a crate")  # beside the pages of the book


def tried(snippet: str, writer: str) -> bool:
    read, _ = WRITERS[writer]
    if read is of_figure:
        return snippet in DRAWN
    return read is of_myst or writer in READ_MYST or snippet in (*OF_HTML, "markup of the terminal")


OF_WRITERS: dict[str, tuple[Written, str]] = {
    f"{snippet}, in {writer}": (written, text)
    for writer, written in WRITERS.items()
    for snippet, text in SNIPPETS.items()
    if tried(snippet, writer)
}


@cache
def harmless(written: Written, folder: Path) -> tuple[object, str]:
    read, write = written
    (folder / WORD).mkdir()
    return read(write(WORD, folder / WORD))


@pytest.fixture(scope="module")
def common(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("markup")


@pytest.mark.parametrize("case", OF_WRITERS.values(), ids=OF_WRITERS)
def test_text_reads_as_it_was_typed(case, common, tmp_path, monkeypatch):
    (read, write), text = case
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        Chapter, "command", lambda chapter, given: f"saltrust {given['protocol']}"
    )  # without its quotes
    at = common / str(list(WRITERS.values()).index(case[0]))
    at.mkdir(exist_ok=True)
    shape, said = harmless(case[0], at)
    (tmp_path / "x").mkdir()
    found, reads = read(write(text, tmp_path / "x"))
    assert reads.replace(str(tmp_path / "x"), "") == said.replace(str(at / WORD), "").replace(WORD, words(text))
    assert found == shape


# --- every field of a card --------------------------------------------------------------------------------------------

CONTENT = {
    "name": "a",
    "finding": "x",
    "truth": "mask",
    "classes": ["x", "y"],
    "absent": "y",
    "plays": {"role": "siim", "data": "stand-in"},
    "get": {"root": "/nowhere", "source": "z", "tree": "z"},
    "shares": {"train": 0.5, "val": 0.1, "test": 0.4},
    "counts": {split: {"images": 2, "positive": 1} for split in data_cards.SPLITS},
    "models": [{"name": "m", "source": "m.py:load"}],
}
TABLE = {"file": "a.csv", "image": "image", "mask": "mask", "label": "label"}
PARTS = {  # what a card may have of each part that others exclude
    "table": {"table": TABLE},
    "annotations": {"annotations": {"format": "coco", "files": "a.json", "images": "a"}},
    "findings": {"table": TABLE, "classes": [], "absent": None},
}


def leaves(annotation: Any) -> Iterator[tuple[str | int, ...]]:
    """The places in a field of that type where a card may have a text."""
    if get_origin(annotation) is Literal or annotation is str or annotation is Any:
        yield ()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from ((name, *rest) for rest in leaves(field.annotation))
    elif get_origin(annotation) is tuple:
        yield from ((0, *rest) for rest in leaves(get_args(annotation)[0]))
    elif get_origin(annotation) is dict:
        key, value = get_args(annotation)
        names = get_args(key) or ("a",)
        yield from ((names[0], *rest) for rest in leaves(value))
    else:
        for one in get_args(annotation):
            yield from leaves(one)


FIELDS = list(dict.fromkeys(leaves(Card)))
NAMES = ("finding", "classes", "findings", "absent")  # which may not be long
HOSTILE = "\n".join(SNIPPETS.values())
SHORT = "<b>&lt; {include}`/etc/passwd` $\\frac{$ *a* _b_ | [c](d.md) ![e](f) ::: # % \"g\" 'h'"
OF_FIELDS = {f"markup in {'.'.join(map(str, place))} of a card": place for place in FIELDS}
CASES = OF_WRITERS | OF_FIELDS


def put(content: Any, place: tuple[str | int, ...], text: str) -> Any:
    """A card's content with a text at a place."""
    if not place:
        return text
    first, *rest = place
    if isinstance(first, int):
        known = content if isinstance(content, list) else []
        return [put(known[0] if known else {}, tuple(rest), text), *known[1:]]
    known = content if isinstance(content, dict) else {}
    return {**known, first: put(known.get(first), tuple(rest), text)}


def parsed(place: tuple[str | int, ...], text: str, folder: Path) -> tuple[object, str] | str:
    """The first page of a card with a text at a place, or in what line the card is refused."""
    given = next((part for name, part in PARTS.items() if name == place[0]), PARTS["table"])
    file = folder / "a.yaml"
    file.write_text(yaml.safe_dump(put({**CONTENT, **given}, place, text), allow_unicode=True))
    try:
        return of_myst(myst.overview(data_cards.parse(file), "smoke"))
    except SaltrustError as error:
        return str(error)


@pytest.mark.parametrize("place", OF_FIELDS.values(), ids=OF_FIELDS)
def test_a_field_of_a_card_is_text_or_refused(place, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    text = SHORT if place[0] in NAMES else HOSTILE
    plain, hostile = parsed(place, WORD, tmp_path), parsed(place, text, tmp_path)
    if isinstance(hostile, str):
        assert "\n" not in hostile
        assert str(place[0]) in hostile or hostile == plain
    else:
        assert hostile[0] == plain[0]
        assert hostile[1] == plain[1].replace(WORD, words(text))


def test_the_fields_are_all_that_a_card_has():
    """Of the top level, by pydantic's own schema: a new field with a text is tried, too."""
    schema = Card.model_json_schema()["properties"]
    texts = {name for name, field in schema.items() if '"string"' in json.dumps(field) or "$ref" in json.dumps(field)}
    assert texts - {place[0] for place in FIELDS} <= {"counts", "protocols", "parameters", "get"}
    assert {("title",), ("get", "tree"), ("models", 0, "classes", 0), ("table", "label")} <= set(FIELDS)


def test_chapters_write_texts_of_a_card_as_text():
    """In captions, which are MyST; alternative texts and figures are text as they are."""
    bare = []
    for file in sorted(paths.CHAPTERS.glob("*.py")):
        tree = ast.parse(file.read_text())
        of_card = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and re.match(r"study\.card\.\w+$", ast.unparse(node.value))
            for target in node.targets
        }
        captions = [word.value for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
                    if word.arg == "caption"]  # fmt: skip
        for part in (part for caption in captions for part in ast.walk(caption)):
            if isinstance(part, ast.FormattedValue):
                said = ast.unparse(part.value)
                if (said in of_card or "card." in said) and not said.startswith("myst("):
                    bare.append(f"{file.name}: {said}")
    assert bare == []
