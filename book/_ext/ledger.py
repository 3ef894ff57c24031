"""Sphinx extension: the ledger of claims, put together from the list of claims and what each data set found.

Reads `evidence/claims.json` (the claims, with the outcome of those that the paper's own numbers decide) and each
`evidence/<dataset>/tables/claims.csv`. Gives

    {ledger} <paper>            the claims of one paper, with what came of each; label tab-ledger-<paper>
    {ledger-summary}            the counts by paper and by kind; label tab-ledger
    {ledger-count}`<state>`     how many claims are in a state; or `all`, `tested` for the first four states, `answered`
                                for the first three, `on stand-ins` for those that were tested on no data of the
                                paper's; those of one kind: `<kind>/<state>`

A claim is in one state: "yes", "no", "unclear" or "too small to tell" by the paper's own data where it was run, else by
what stands in for it (the least favourable, where they are several), or by the paper's own numbers; else "not run here"
or "not testable". What data sets that stand for others found is shown beside it, and does not count.
"""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue import Catalogue
from computed import NOT_RUN, VERDICTS, Column, EvidenceFolder, NotRunError, nearest, page_link, render, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from saltrust.chapters.notes import read_json
from saltrust.chapters.results_folder import Results

logger = logging.getLogger(__name__)

NOT_TESTABLE = "not testable"
TOO_SMALL = "too small to tell"
WORST_FIRST = ("no", TOO_SMALL, "unclear", "yes")  # of the answers of several data sets
STATES = ("yes", "no", "unclear", TOO_SMALL, NOT_RUN, NOT_TESTABLE)
SUMS = {"all": STATES, "tested": STATES[:4], "answered": STATES[:3]} | {state: (state,) for state in STATES}
ON_STAND_INS = "on stand-ins"
CLOSEST_FIRST = ("original", "redrawn", "stand-in")  # how a data set stands to the paper's
KINDS = {
    "direction": "directions",
    "value": "numbers",
    "verdict": "columns of PASS and FAIL",
    "arithmetic": "sums of the papers' own numbers",
}
CLASSES = {"yes": VERDICTS["PASS"], "no": VERDICTS["FAIL"]}

Row = dict[str, str]
"""What one data set found of one claim: a line of its table, and its name as `dataset`."""


@dataclass(frozen=True)
class Ledger:
    """claims: as `evidence/claims.json` has them. found: rows by claim, those that count first."""

    claims: list[dict[str, Any]]
    found: dict[str, list[Row]]

    def state(self, claim: dict[str, Any]) -> str:
        if claim["outcome"]:
            return claim["outcome"]["agrees"]
        if not claim["role"] or not claim["tested"]:
            return NOT_TESTABLE
        answers = {row["agrees"] for row in self.deciding(claim)}
        return next((word for word in WORST_FIRST if word in answers), NOT_RUN)

    def deciding(self, claim: dict[str, Any]) -> list[Row]:
        """What was found on the data closest to the paper's, for each role that the claim is about."""
        found = [row for row in self.found[claim["id"]] if row["data"] in CLOSEST_FIRST]
        closest = {
            role: min((CLOSEST_FIRST.index(row["data"]) for row in found if row["role"] == role), default=None)
            for role in claim["role"]
        }
        return [row for row in found if CLOSEST_FIRST.index(row["data"]) == closest.get(row["role"])]

    def on_stand_ins(self, *, kind: str | None = None) -> int:
        """Tested claims that no data of the paper's decide."""
        deciding = [self.deciding(claim) for claim in self.claims if kind in (None, claim["kind"])]
        return sum(bool(rows) and all(row["data"] == "stand-in" for row in rows) for rows in deciding)

    def counts(self, *, paper: str | None = None, kind: str | None = None) -> Counter:
        """Claims by state; of one paper, or of one of KINDS."""
        return Counter(
            self.state(claim)
            for claim in self.claims
            if paper in (None, claim["paper"]) and kind in (None, "arithmetic" if claim["outcome"] else claim["kind"])
        )


def read(env: BuildEnvironment) -> Ledger:
    """The ledger of this copy of the book; the page is read again when a data set's results change."""
    folder = Path(env.srcdir) / "evidence"
    file = folder / "claims.json"
    env.note_dependency(str(file))
    claims = read_json(file).get("claims", [])
    rows: list[Row] = []
    for path in sorted(folder.glob("*/")):
        evidence = EvidenceFolder(path.name, path)
        env.note_dependency(str(Results(path, "claims").numbers_file))
        try:
            file, _ = evidence.table("claims", "claims")
        except NotRunError:
            continue
        env.note_dependency(str(file))
        with file.open(encoding="utf-8", newline="") as stream:
            rows += [row | {"dataset": path.name} for row in csv.DictReader(stream)]
    places = [*CLOSEST_FIRST, "outside"]
    rows.sort(key=lambda row: places.index(row["data"]))
    return Ledger(claims, {claim["id"]: [row for row in rows if row["id"] == claim["id"]] for claim in claims})


class LedgerTable(Catalogue):
    """{ledger} <paper>"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        paper, ledger = self.arguments[0], read(self.env)
        claims = [claim for claim in ledger.claims if claim["paper"] == paper]
        if ledger.claims and not claims:
            message = f"no claim of '{paper}'{nearest(paper, {claim['paper'] for claim in ledger.claims})}"
            logger.warning("ledger: %s", message, location=self.get_location(), type="ledger")
        caption = nodes.title("", "", *self.inline(f"What {{cite:t}}`{paper}` say, and what comes of it here."))
        shown = table(caption, ["Claim", "Holds", "There", "Here"], [Column(("",) * len(claims), False)] * 4)
        for line, claim in zip(list(shown.findall(nodes.row))[1:], claims, strict=True):
            for entry, content in zip(line, self.cells(claim, ledger), strict=True):
                entry.children = []
                entry += content
        shown["classes"].append("whole")
        return [self.named(shown, f"tab-ledger-{paper}")]

    def cells(self, claim: dict[str, Any], ledger: Ledger) -> list[list[nodes.Node]]:
        """The contents of one line of the table."""
        source = nodes.paragraph(text=f"“{claim['quote']}” ({claim['where']})", classes=["source"])
        here = [self.finding(row) for row in ledger.found[claim["id"]]]
        if claim["outcome"]:
            here = [nodes.paragraph(text=f"from the paper's own numbers: {claim['outcome']['ours']}")]
        elif not here:
            why = claim["not_testable"] or f"{NOT_RUN.capitalize()}. {claim['not_on_stand_in']}".strip()
            here = [nodes.paragraph(text=why, classes=["source"])]
        state = ledger.state(claim)
        word = nodes.inline(text=state, classes=[CLASSES[state]] if state in CLASSES else [])
        return [
            [nodes.paragraph(text=claim["title"]), source],
            [nodes.paragraph("", "", word)],
            [nodes.paragraph(text=claim["number"])],
            here,
        ]

    def finding(self, row: Row) -> nodes.Node:
        """What one data set found, with a link to the page that computed it."""
        text = f": {row['ours']}"
        if row["ci_low"]:
            estimate, low, high = (render(float(row[key]), ".3f") for key in ("estimate", "ci_low", "ci_high"))
            text += f" ({low} to {high})" if row["kind"] == "value" else f"; {estimate} ({low} to {high})"
        if row["agrees"] == TOO_SMALL:
            text += f". {TOO_SMALL.capitalize()}: {row['limit']}"
        if row["data"] == "outside":
            text += f". An outside check: {row['agrees']}"
        link = page_link(EvidenceFolder(row["dataset"], Path()).page("claims"), row["dataset"])
        text = f" ({row['data']}){text}" if row["data"] in CLOSEST_FIRST else text
        return nodes.paragraph("", "", link, nodes.Text(text))


class LedgerSummary(Catalogue):
    """{ledger-summary}"""

    def run(self) -> list[nodes.Node]:
        ledger = read(self.env)
        papers = list(dict.fromkeys(claim["paper"] for claim in ledger.claims))
        counts = [*(ledger.counts(paper=paper) for paper in papers), ledger.counts()]
        counts += [ledger.counts(kind=kind) for kind in KINDS]
        kinds = (f"… {words}" for words in KINDS.values())
        body = [Column((*("" for _ in papers), "All", *kinds), numeric=False)]
        body += [
            Column(tuple(str(sum(count[state] for state in states)) for count in counts), numeric=True)
            for states in (SUMS["all"], *((state,) for state in STATES))
        ]
        caption = nodes.title(text="The claims by paper and by kind, and how many of them hold here.")
        shown = table(caption, ["Paper", "claims", *STATES], body)
        for line, paper in zip(list(shown.findall(nodes.row))[1:], papers, strict=False):
            line[0].children = []
            line[0] += nodes.paragraph("", "", *self.inline(f"{{cite:t}}`{paper}`"))
        shown["classes"].append("whole")
        return [self.named(shown, "tab-ledger")]


class LedgerCount(SphinxRole):
    """{ledger-count}`<state>` or {ledger-count}`<kind>/<state>`"""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        known = {state: (None, state) for state in SUMS}
        known |= {f"{kind}/{state}": (kind, state) for kind in KINDS for state in SUMS}
        known |= {ON_STAND_INS: (None, ON_STAND_INS)} | {f"{k}/{ON_STAND_INS}": (k, ON_STAND_INS) for k in KINDS}
        if self.text not in known:
            message = f"no state '{self.text}'{nearest(self.text, known)}; known: {', '.join(SUMS)}, <kind>/<state>"
            logger.warning("ledger-count: %s", message, location=self.get_location(), type="ledger")
            return [nodes.literal(text=f"?{self.text}?")], []
        kind, state = known[self.text]
        ledger = read(self.env)
        counts = ledger.counts(kind=kind)
        number = ledger.on_stand_ins(kind=kind) if state == ON_STAND_INS else sum(counts[one] for one in SUMS[state])
        text = str(number) if ledger.claims else NOT_RUN
        return [page_link("claims", text, "num")], []


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("ledger", LedgerTable)
    app.add_directive("ledger-summary", LedgerSummary)
    app.add_role("ledger-count", LedgerCount())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
