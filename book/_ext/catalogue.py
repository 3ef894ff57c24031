"""Sphinx extension: pages show what the code's own registries say of methods and protocols, and what the benchmarks
measured.

Reads `evidence/methods.json` (`saltrust methods --json`), `evidence/protocols.json`, `evidence/trainings.json`,
`evidence/benchmarks.json` (`make benchmark`) and `evidence/benchmarks_full.json` (`make benchmark-full`). Gives

    {method-card} <name>      formula, source, cost, needs and parameters of one method, by default and in this book
    {method-table}            all methods by family, each linked to the section with its label `method-<name>`
    {protocol-table}          each choice of the analysis: its value under every protocol, and where it comes from
    {training-table}          each choice of a training: its value in every profile, and where it comes from
    {benchmark-table}         each piece of work: our time, theirs, the ratio and what it had to reach; and the notes
    {full-profile-table}      what a run of the profile `full` would take on the machine that was measured
    {full-profile-workers}    the same where several such machines share the work
"""

import json
from pathlib import Path
from typing import Any

from computed import NOT_RUN, Column, nearest, table
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

CONTROLS = "control"


def passes(method: dict[str, Any]) -> str:
    """The cost of a method in words."""
    if not method["passes"]:
        return "none" if method["family"] == CONTROLS else "depends on the network"
    return f"{method['passes']}{'' if method['backward'] else ', forward only'}"


def parameter(value: Any) -> str:
    """The value of a parameter in words."""
    shown = " ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return shown or "automatic"


class Catalogue(SphinxDirective):
    """What the directives share: their file."""

    file: str

    def read(self) -> list[dict[str, Any]]:
        """The rows of the file; none where it is not there. The page is read again when it changes."""
        path = Path(self.env.srcdir) / "evidence" / self.file
        self.env.note_dependency(str(path))
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def named(self, shown: nodes.Element, label: str) -> nodes.Element:
        """The table under a label that {numref} finds."""
        self.options["name"] = label
        self.set_source_info(shown)
        self.add_name(shown)
        return shown

    def inline(self, text: str) -> list[nodes.Node]:
        return self.parse_inline(text)[0]


class MethodCard(Catalogue):
    """{method-card} <name>"""

    required_arguments = 1
    file = "methods.json"

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        methods = {method["name"]: method for method in self.read()}
        if name not in methods:
            message = f"no method '{name}'{nearest(name, methods)}"
            logger.warning("method-card: %s", message, location=self.get_location(), type="catalogue")
            return []
        method = methods[name]
        formula = nodes.math_block(method["formula"], method["formula"], number=None, label=None)
        card = nodes.container("", formula, self.facts(method), classes=["method-card"])
        self.set_source_info(formula)
        if method["parameters"]:
            card += self.parameters(method["parameters"], method["here"]["parameters"])
        return [card]

    def facts(self, method: dict[str, Any]) -> nodes.Node:
        here = method["here"]
        text = f"`{method['name']}` · passes: {passes(method)}"
        if here["passes"] != method["passes"]:
            text += f", in this book {here['passes']}"
        if here["parameters"]:
            text += f" (protocol `{here['protocol']}`, profile `{here['profile']}`)"
        text += f" · needs {method['needs']}" if method["needs"] else ""
        text += f" · {{cite}}`{method['citation']}`" if method["citation"] else ""
        return nodes.paragraph("", "", *self.inline(text), classes=["method-facts"])

    def parameters(self, parameters: dict[str, dict[str, Any]], here: dict[str, Any]) -> nodes.Node:
        items = []
        for name, about in parameters.items():
            value = f" = {parameter(about['default'])}"
            if name in here:
                value += f", in this book {parameter(here[name])}"
            term = nodes.term("", "", nodes.literal(text=name), nodes.Text(value))
            meaning = nodes.definition("", nodes.paragraph("", "", *self.inline(about["meaning"])))
            items.append(nodes.definition_list_item("", term, meaning))
        return nodes.definition_list("", *items)


class MethodTable(Catalogue):
    """{method-table}"""

    file = "methods.json"

    def run(self) -> list[nodes.Node]:
        methods = self.read()
        titles = [self.link(method) for method in methods]
        body = [
            Column(tuple(m["abbreviation"] for m in methods), numeric=False),
            Column(tuple(m["name"] for m in methods), numeric=False),
            Column(tuple(m["family"].replace("_", " ") for m in methods), numeric=False),
            Column(tuple(passes(m) for m in methods), numeric=False),
        ]
        caption = nodes.title(text="Every method of this book, its names, and the passes of its default parameters.")
        shown = table(
            caption,
            ["Method", "in figures", "in tables and commands", "family", "passes"],
            [Column(("",) * len(methods), False), *body],
        )
        for entry, link in zip(shown.findall(nodes.row), [None, *titles], strict=True):
            if link is not None:
                entry[0][0] = nodes.paragraph("", "", link)
        shown["classes"].append("whole")
        return [self.named(shown, "tab-methods")]

    def link(self, method: dict[str, Any]) -> nodes.Node:
        return addnodes.pending_xref(
            "",
            nodes.inline(text=method["title"]),
            refdomain="std",
            reftype="ref",
            reftarget=f"method-{method['name']}".replace("_", "-"),
            refexplicit=True,
            refwarn=True,
        )


class ProtocolTable(Catalogue):
    """{protocol-table}"""

    file = "protocols.json"
    protocols = ("corrected", "published", "as_run")

    def run(self) -> list[nodes.Node]:
        rows = self.read()
        blank = Column(("",) * len(rows), numeric=False)
        caption = nodes.title(text="Every choice of the analysis under the three protocols, and where it comes from.")
        shown = table(caption, ["Choice", *self.protocols], [blank] * (1 + len(self.protocols)))
        for line, row in zip(list(shown.findall(nodes.row))[1:], rows, strict=True):
            name = nodes.paragraph("", f"{row['title']} (", nodes.literal(text=row["field"]), nodes.Text(")"))
            line[0][0] = name
            for entry, protocol in zip(line[1:], self.protocols, strict=True):
                about = row[protocol]
                value = nodes.paragraph("", "", nodes.strong(text=about["value"]))
                source = sourced(about["status"], self.inline(about["source"]))
                entry.children = []
                entry += [value, source]
        shown["classes"].append("whole")
        return [self.named(shown, "tab-protocols")]


def sourced(status: str, source: list[nodes.Node]) -> nodes.Node:
    """Whether a choice is stated, inferred or ours; and where it comes from."""
    return nodes.paragraph("", "", nodes.emphasis(text=status), nodes.Text(": "), *source, classes=["source"])


class TrainingTable(Catalogue):
    """{training-table}"""

    file = "trainings.json"
    profiles = ("full", "quick", "smoke")

    def run(self) -> list[nodes.Node]:
        rows = self.read()
        blank = Column(("",) * len(rows), numeric=False)
        values = [Column(tuple(row["values"][profile] for row in rows), numeric=False) for profile in self.profiles]
        caption = nodes.title(
            text="Every choice of the sizes and trainings: its value in each profile, in full as networks train from "
            "ImageNet weights, in the smaller ones as from scratch; and where the value in full comes from."
        )
        shown = table(caption, ["Choice", *self.profiles, "where from"], [blank, *values, blank])
        for line, row in zip(list(shown.findall(nodes.row))[1:], rows, strict=True):
            line[0][0] = nodes.paragraph("", f"{row['of']}: ", nodes.literal(text=row["field"]))
            line[-1][0] = sourced(row["status"], self.inline(row["source"]))
        shown["classes"].append("whole")
        return [self.named(shown, "tab-trainings")]


BENCHMARK_COLUMNS = (
    "Times in seconds, each the best of its repeats. Ratio: where the goal is a least value (≥), their time over "
    "ours; where it is a greatest one (≤), ours over theirs. To reach: the goal for the ratio, set before the "
    "run; a row that missed it says so. Same output: whether the two outputs passed the comparison that the note "
    "on the row, below the table, states with its tolerance; where they cannot be equal, under other noise or "
    "other weights, the note says what was compared instead."
)


class BenchmarkTable(Catalogue):
    """{benchmark-table}"""

    file = "benchmarks.json"

    def run(self) -> list[nodes.Node]:
        rows = self.read()
        if not rows:
            return [not_measured("make benchmark")]
        body = [
            Column(tuple(row["work"] for row in rows), numeric=False),
            Column(tuple(row["beside"] for row in rows), numeric=False),
            Column(tuple(f"{row['ours_seconds']:.3g}" for row in rows), numeric=True),
            Column(tuple(f"{row['theirs_seconds']:.3g}" for row in rows), numeric=True),
            Column(tuple(f"{row['ratio']:.3g}" for row in rows), numeric=True),
            Column(tuple(goal(row) for row in rows), numeric=True),
            Column(tuple("yes" if row["agree"] else "no" for row in rows), numeric=False),
        ]
        caption = nodes.title(text=f"Measured side by side in one run{self.machine()}. {BENCHMARK_COLUMNS}")
        headings = ["work", "beside", "ours", "theirs", "ratio", "to reach", "same output"]
        shown = table(caption, headings, body)
        shown["classes"].append("whole")
        notes = nodes.bullet_list()
        for row in rows:
            about = nodes.strong(text=f"{row['work']}. ")
            notes += nodes.list_item("", nodes.paragraph("", "", about, nodes.Text(row["note"])))
        return [self.named(shown, "tab-benchmarks"), notes]

    def machine(self) -> str:
        """On what, and when."""
        path = Path(self.env.srcdir) / "evidence" / "benchmarks_machine.json"
        self.env.note_dependency(str(path))
        if not path.is_file():
            return ""
        return measured_on(json.loads(path.read_text(encoding="utf-8")))


class FullProfileTable(Catalogue):
    """{full-profile-table}"""

    file = "benchmarks_full.json"

    def run(self) -> list[nodes.Node]:
        measured: dict[str, Any] = self.read() or {}
        if not measured:
            return [not_measured("make benchmark-full")]
        totals = measured["totals"].values()
        body = [
            Column(tuple(total["stands_for"] for total in totals), numeric=False),
            *(
                Column(
                    tuple(f"{total[key]:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") for total in totals),
                    numeric=True,
                )
                for key in ("steps", "training_hours", "passes", "map_hours", "gigabytes")
            ),
        ]
        machine = measured_on(measured["machine"])
        text = f"What the profile full takes at the counts of two data sets, from steps and maps timed{machine}."
        headings = ["data set", "training steps", "their hours", "passes for maps", "their hours", "gigabytes"]
        return [self.named(table(nodes.title(text=text), headings, body), "tab-full")]


class FullProfileWorkers(Catalogue):
    """{full-profile-workers}"""

    file = FullProfileTable.file

    def run(self) -> list[nodes.Node]:
        measured: dict[str, Any] = self.read() or {}
        totals = measured.get("totals", {}).values()
        if not totals or not all("lasts" in total for total in totals):
            return [not_measured("make benchmark-full")]
        workers = tuple(next(iter(totals))["lasts"])
        hours = [Column(tuple(f"{h:,.0f}" for h in total["lasts"].values()), numeric=True) for total in totals]
        machine = measured_on(measured["machine"])
        text = f"Hours until workers have trained all networks and made all maps, each like the one timed{machine}."
        headings = ["workers", *(f"hours for {total['stands_for']}" for total in totals)]
        body = [Column(workers, numeric=True), *hours]
        return [self.named(table(nodes.title(text=text), headings, body), "tab-full-workers")]


def not_measured(command: str) -> nodes.Node:
    """The note in the place of a table of measurements that this copy of the book lacks."""
    note = nodes.paragraph("", "This copy of the book lacks the measurement. ")
    note += [nodes.literal(text=command), nodes.Text(" makes it.")]
    return nodes.admonition("", nodes.title(text=NOT_RUN.capitalize()), note, classes=["not-run"])


def measured_on(machine: dict[str, Any]) -> str:
    """When and on what, for a caption."""
    threads = f"{machine['torch_threads']} thread{'s' if machine['torch_threads'] > 1 else ''}"
    instructions = f" ({machine['instructions']})" if "instructions" in machine else ""  # older measurements lack them
    return f" on {machine['started'][:10]}: {machine['cpu']}{instructions}, {machine['cores']} cores, {threads}"


def goal(row: dict[str, Any]) -> str:
    """What the ratio had to reach, at least for a speed-up and at most for a share of the floor, and whether it missed
    that: the ratio as shown may be rounded to its goal."""
    lower = row.get("better") == "lower"
    missed = row["ratio"] > row["target"] if lower else row["ratio"] < row["target"]
    return f"{'≤' if lower else '≥'}\N{NO-BREAK SPACE}{row['target']:g}{', missed' if missed else ''}"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("method-card", MethodCard)
    app.add_directive("method-table", MethodTable)
    app.add_directive("protocol-table", ProtocolTable)
    app.add_directive("training-table", TrainingTable)
    app.add_directive("benchmark-table", BenchmarkTable)
    app.add_directive("full-profile-table", FullProfileTable)
    app.add_directive("full-profile-workers", FullProfileWorkers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
