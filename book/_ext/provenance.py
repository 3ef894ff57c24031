"""Sphinx extension: the page that says where every figure, table and number comes from.

Reads `evidence/lineage.json`, and links `evidence/<dataset>/lineage.json` (`publishing.provenance.write`). Gives

    {lineage-data-sets}    each data set with the counts, sizes and times of what is behind its pages
    {lineage-chapters}     of each data set its chapters as a graph, and what each made, from what; the rest folded away
    {lineage-kinds}        artefacts by kind, in the order in which they are made from one another
    {lineage-versions}     the versions, machines and commits under which chapters ran and artefacts were made
"""

from collections import Counter
from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Any

from catalogue import Catalogue
from computed import EVIDENCE, NOT_RUN, Column, page_link, table
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from saltrust.artefacts import KINDS
from saltrust.core.formatting import rough_duration
from saltrust.publishing.provenance import FAILED, RUN, level

STYLE = """<style>
.lineage svg { display: block; width: 100%; max-width: 30rem; height: auto; margin: 1rem 0; }
.lineage text { font-size: 13px; text-anchor: middle; fill: var(--pst-color-text-base); }
.lineage text + text { font-size: 12px; }
.lineage path { fill: none; stroke: var(--pst-color-text-muted); }
.lineage rect { fill: var(--saltrust-pass-ground); stroke: var(--saltrust-pass); }
.lineage .failed rect { fill: var(--saltrust-fail-ground); stroke: var(--saltrust-fail); stroke-width: 3; }
.lineage .not-run rect { fill: var(--pst-color-background); stroke: var(--pst-color-text-muted); stroke-dasharray: 4; }
.lineage a:focus rect, .lineage a:hover rect { stroke-width: 3; }
.lineage details, .lineage > p { margin: .4rem 0; padding-left: .8rem; border-left: 3px solid var(--saltrust-line); }
.lineage summary { cursor: pointer; padding: .3rem 0; }
.lineage > summary { font-weight: 600; }
.lineage .wide { overflow-x: auto; }
.lineage table { font-size: .9em; }
.lineage td, .lineage th { padding: .2rem .6rem; text-align: left; vertical-align: top; }
.lineage td:last-child, .lineage th:last-child { text-align: right; }
</style>"""

WIDTH, BOX, ROW = 420, (124, 46), 76  # of the graph: its width, the most of a chapter and its height, from row to row


def places(before: dict[str, Iterable[str]]) -> dict[str, tuple[float, float]]:
    """The middle of each chapter's box: rows by what comes before, each chapter as near to that as the order allows."""
    found: dict[str, tuple[float, float]] = {}
    levels = {name: level(name, before) for name in before}
    for row, members in groupby(sorted(before, key=levels.get), key=levels.get):
        first = {name: [found[other][0] for other in before[name]] for name in members}
        ordered = sorted(first, key=lambda name: sum(first[name]) / len(first[name]) if first[name] else 0)
        for at, name in enumerate(ordered):
            found[name] = (WIDTH * (at + 0.5) / len(ordered), BOX[1] / 2 + 4 + ROW * row)
    return found


def graph(chapters: list[dict[str, Any]], title: str, links: dict[str, str]) -> str:
    """The chapters as SVG, each with its state in words and colour, and a link to its page."""
    at = places({chapter["chapter"]: chapter["before"] for chapter in chapters})
    rows = Counter(y for _, y in at.values())
    width, height = min(BOX[0], WIDTH / max(rows.values()) - 8), BOX[1]
    lines, boxes = [], []
    for chapter in chapters:
        name = chapter["chapter"]
        x, y = at[name]
        for other in chapter["before"]:
            aside, down, half = x - at[other][0], y - at[other][1] - height, (ROW - height) / 2
            start = f"M{at[other][0]:.0f} {at[other][1] + height / 2:.0f}"
            curve = f"c0 {half:.0f} {aside:.0f} {down - half:.0f} {aside:.0f} {down:.0f}"
            lines.append(f'<path d="{start} {curve}"/>')
        state = chapter["state"]
        words = f"run in {rough_duration(chapter['seconds'])}" if state == RUN else state
        after = f", after {', '.join(chapter['before'])}" if chapter["before"] else ""
        label = escape(f"{chapter['title']}: {words}{after}".replace("_", " "))
        box = f'x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}"'
        boxes.append(
            f'<a href="{links[name]}" class="{state.replace(" ", "-")}">'
            f"<title>{label}</title><rect {box} rx='6'/>"
            f'<text x="{x:.0f}" y="{y - 3:.0f}">{escape(name.replace("_", " "))}</text>'
            f'<text x="{x:.0f}" y="{y + 14:.0f}">{words.removeprefix("run in ")}</text></a>'
        )
    tall = max(rows) + height / 2 + 4
    frame = f'viewBox="0 0 {WIDTH} {tall:.0f}" role="group" aria-label="{escape(title)}"'
    return f"<svg {frame}>{''.join(lines + boxes)}</svg>"


Columns = dict[str, Iterable[str]]  # cells by heading


class LineageDirective(Catalogue):
    """What the directives share."""

    file = "lineage.json"

    def run(self) -> list[nodes.Node]:
        found = self.read()
        return self.shown(found) if found else [nodes.paragraph("", "", nodes.emphasis(text=NOT_RUN.capitalize()))]

    def shown(self, found: dict[str, Any]) -> list[nodes.Node]:
        raise NotImplementedError

    def table(self, title: str, name: str, words: Columns, numbers: Columns) -> nodes.table:
        """A table of texts, by heading, and of numbers as they are to be read; label tab-lineage-<name>."""
        body = [Column(tuple(cells), numeric=False) for cells in words.values()]
        body += [Column(tuple(cells), numeric=True) for cells in numbers.values()]
        shown = table(nodes.title(text=title), [*words, *numbers], body)
        shown["classes"].append("whole")
        return self.named(shown, f"tab-lineage-{name}")


class DataSets(LineageDirective):
    """{lineage-data-sets}"""

    def shown(self, found: dict[str, Any]) -> list[nodes.Node]:
        known = [one for one in found["datasets"] if ran(one)]
        shown = self.table(
            f"What is behind the pages of this book, under the profile {found['profile']}.",
            "data-sets",
            {"Data set": [one["title"] for one in known]},
            {
                "chapters run": [f"{ran(one)} of {len(one['chapters'])}" for one in known],
                "results": [f"{sum(len(c['results']) for c in one['chapters']):,}" for one in known],
                "artefacts": [f"{one['artefacts']:,}" for one in known],
                "megabytes": [f"{one['megabytes']:,.0f}" for one in known],
                "to compute": [rough_duration(one["seconds"]) for one in known],
            },
        )
        for row, one in zip(list(shown.findall(nodes.row))[1:], known, strict=True):
            row[0][0] = nodes.paragraph("", "", page_link(f"{EVIDENCE}/{one['dataset']}/index", one["title"]))
        absent = [one["title"] for one in found["datasets"] if not ran(one)]
        note = f"{NOT_RUN.capitalize()}: {', '.join(absent)}."
        return [shown, *([nodes.paragraph(text=note)] if absent else [])]


def ran(dataset: dict[str, Any]) -> int:
    return sum(chapter["state"] == RUN for chapter in dataset["chapters"])


class Chapters(LineageDirective):
    """{lineage-chapters}"""

    def shown(self, found: dict[str, Any]) -> list[nodes.Node]:
        known = [one for one in found["datasets"] if any(c["state"] in (RUN, FAILED) for c in one["chapters"])]
        return [raw(STYLE), *(node for at, one in enumerate(known) for node in self.dataset(one, first=at == 0))]

    def dataset(self, one: dict[str, Any], first: bool) -> list[nodes.Node]:
        uri = self.env.app.builder.get_relative_uri
        pages = [f"{EVIDENCE}/{one['dataset']}/{chapter['chapter']}" for chapter in one["chapters"]]
        links = {page.rpartition("/")[2]: uri(self.env.docname, page) for page in pages}
        counts = Counter(result["kind"] for chapter in one["chapters"] for result in chapter["results"])
        made = ", ".join(f"{count} {kind}s" for kind, count in counts.items())
        opening = (
            f'<details class="lineage"{" open" if first else ""}><summary>{escape(one["title"])}: '
            f"{ran(one)} of {len(one['chapters'])} chapters run{escape(f'; {made}' if made else '')}</summary>"
        )
        opening += graph(one["chapters"], f"The chapters of {one['title']}, each below those that run before it", links)
        gone = f" {one['gone']:,} that chapters asked for are no longer in the store." if one["gone"] else ""
        download = addnodes.download_reference(
            "",
            "",
            nodes.inline(text="All of it, artefact by artefact (JSON)"),
            reftarget=f"/{EVIDENCE}/{one['dataset']}/lineage.json",
            refdoc=self.env.docname,
        )
        whole = [nodes.paragraph("", "", download, nodes.Text(f".{gone}"))] if ran(one) else []
        body = "".join(_chapter(chapter, one["dataset"], links[chapter["chapter"]]) for chapter in one["chapters"])
        return [raw(opening), *whole, raw(f"{body}</details>")]


def _chapter(chapter: dict[str, Any], dataset: str, link: str) -> str:
    """What a chapter made, from what, folded away."""
    title = escape(chapter["chapter"].replace("_", " "))
    page = f'<a href="{link}">{title}</a>'
    if chapter["state"] != RUN:
        return f"<p>{page}: {chapter['state']}</p>"
    parameters = ", ".join(f"<code>{escape(f'{k} = {v}')}</code>" for k, v in chapter["parameters"].items())
    return (
        f"<details><summary>{title}: {rough_duration(chapter['seconds'])}; {chapter['artefacts']:,} artefacts, "
        f"{chapter['behind']:,} with what they were made from, {rough_duration(chapter['computed'])}; "
        f"commit {escape(chapter['environment'] or 'not known')}</summary>"
        f"<p>{page}: {parameters}</p>{_made(chapter, dataset, link)}</details>"
    )


def _made(chapter: dict[str, Any], dataset: str, link: str) -> str:
    """The table of a chapter's results: those of one cell share a line."""

    def place(result: dict[str, Any]) -> tuple[int, int]:
        return result["cell"] or 0, result["artefacts"] or 0

    rows = []
    for (cell, artefacts), members in groupby(sorted(chapter["results"], key=place), key=place):
        made = []
        for kind, results in groupby(members, key=lambda result: result["kind"]):
            names = [_name(kind, result["name"], dataset, link) for result in results]
            made.append(f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}")
        first = f"{artefacts:,}" if cell or artefacts else f"{chapter['artefacts']:,}"
        rows.append(f"<tr><td>{cell or 'not noted'}</td><td>{'; '.join(made)}</td><td>{first}</td></tr>")
    head = "<tr><th>Cell</th><th>made</th><th>from the first</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _name(kind: str, name: str, dataset: str, link: str) -> str:
    if kind == "number":
        return f"<code>{escape(name)}</code>"
    return f'<a href="{link}#{nodes.make_id(f"{kind[:3]}-{dataset}-{name}")}">{escape(name)}</a>'


def raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


class Kinds(LineageDirective):
    """{lineage-kinds}"""

    def shown(self, found: dict[str, Any]) -> list[nodes.Node]:
        rows = found["kinds"]
        title = "The artefacts behind this book, each counted once, what is made before what is made from it."
        if found["not_alone"]:
            every = sum(row["artefacts"] for row in rows)
            title += (
                f" The hours of {found['not_alone']:,} of all {every:,} may include those of what they were made from."
            )
        words = {
            "Kind": [row["kind"] for row in rows],
            "What it holds": [KINDS[row["kind"]].description if row["kind"] in KINDS else "" for row in rows],
            "Made from": [row["of"] for row in rows],
        }
        numbers = {
            "artefacts": [f"{row['artefacts']:,}" for row in rows],
            "megabytes": [f"{row['megabytes']:,.1f}" for row in rows],
            "hours": [f"{row['hours']:.2f}" for row in rows],
        }
        return [self.table(title, "kinds", words, numbers)]


class Versions(LineageDirective):
    """{lineage-versions}"""

    def shown(self, found: dict[str, Any]) -> list[nodes.Node]:
        times = {
            what: {(row["what"], row["value"]): row["times"] for row in found["versions"][what]}
            for what in ("chapters", "artefacts")
        }
        known = list(times["chapters"] | times["artefacts"])
        order = [what for what, _ in known]
        pairs = sorted(known, key=lambda pair: order.index(pair[0]))
        words = {"": [what for what, _ in pairs], " ": [value for _, value in pairs]}
        numbers = {what: [f"{counted.get(pair, 0):,}" for pair in pairs] for what, counted in times.items()}
        title = "How many chapters ran, and how many artefacts were made, under each version, machine and commit."
        return [self.table(title, "versions", words, numbers)]


def setup(app: Sphinx) -> dict[str, Any]:
    for name, directive in {
        "data-sets": DataSets,
        "chapters": Chapters,
        "kinds": Kinds,
        "versions": Versions,
    }.items():
        app.add_directive(f"lineage-{name}", directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
