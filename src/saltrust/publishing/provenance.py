"""Where results come from: the notebook, the parameters and the artefacts behind every figure, table and number, and
what those were made from in turn, down to the data.

Read from what executed chapters left in `results/<profile>/<dataset>/` and from the store's sidecars. Results from
before this was noted, and a store from which artefacts are gone, say less, but can still be read.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from saltrust import chapters
from saltrust.artefacts.sidecar import SIDECAR
from saltrust.chapters.notes import Origin
from saltrust.chapters.results_folder import Results, published
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name

RUN, FAILED, NOT_RUN = "run", "failed", "not run"
LONGEST = 1e12  # seconds that nothing takes


@dataclass(frozen=True)
class TracedResult:
    """A figure, table or number, and where it was made (see `chapters.notes.Origin`).

    Attributes:
        kind: "figure", "table" or "number".
        name: Of its file, or by which prose quotes it.
        cell: Number of the cell in the executed notebook; None where it was not noted.
        artefacts: How many the chapter had asked for by then; None where it was not noted.
    """

    kind: str
    name: str
    cell: int | None = None
    artefacts: int | None = None


@dataclass(frozen=True)
class ExecutedChapter:
    """A chapter on one data set.

    Attributes:
        chapter: Its name.
        title: In words.
        before: The chapters that run before it.
        state: "run", "failed" or "not run".
        parameters: Every parameter, by name.
        seconds: That its notebook took.
        environment: Versions, machine and commit under which it ran.
        artefacts: Names ("<kind>/<digest>") in the order in which they were asked for.
        results: What it made.
    """

    chapter: str
    title: str
    before: tuple[str, ...]
    state: str = NOT_RUN
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    artefacts: tuple[str, ...] = ()
    results: tuple[TracedResult, ...] = ()

    def asked(self, result: TracedResult) -> tuple[str, ...]:
        """Names of the artefacts that had been asked for when a result was made; of all, where that was not noted."""
        return self.artefacts[: result.artefacts]


@dataclass(frozen=True)
class TracedArtefact:
    """A stored artefact, as its sidecar describes it.

    Attributes:
        name: "<kind>/<digest>".
        spec: What it is, field by field.
        upstream: Names of what it was made from.
        made: When, in ISO 8601.
        seconds: That it took to compute.
        size: Bytes.
        checksums: Of its files, by their names.
        environment: Versions, machine and commit under which it was made.
        alone: Whether `seconds` leaves out the making of what it was made from; the first sidecars did not.
    """

    name: str
    spec: Mapping[str, Any]
    upstream: tuple[str, ...]
    made: str
    seconds: float
    size: int
    checksums: Mapping[str, str]
    environment: Mapping[str, str]
    alone: bool

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class DatasetProvenance:
    """What is known of one data set's results.

    Attributes:
        dataset: Name of the data card.
        title: Of the data set.
        profile: Name of the profile.
        chapters: In the order of the book.
        artefacts: By name, those that chapters asked for and all that these were made from.
        gone: Names of those that the store no longer has.
    """

    dataset: str
    title: str
    profile: str
    chapters: tuple[ExecutedChapter, ...]
    artefacts: Mapping[str, TracedArtefact]
    gone: tuple[str, ...]

    def behind(self, names: Iterable[str]) -> list[TracedArtefact]:
        """The artefacts of these names and all that they were made from, as far as they are known, by name."""
        found, pending = {}, list(names)
        while pending:
            name = pending.pop()
            if name in self.artefacts and name not in found:
                found[name] = self.artefacts[name]
                pending += found[name].upstream
        return [found[name] for name in sorted(found)]


def read(card: Card, profile: str, store: Path | None = None) -> DatasetProvenance:
    """What is known of what the chapters of a data set published.

    Args:
        card: Of the data set.
        profile: Name of a profile.
        store: Folder of the artefacts, `paths.STORE` if None.

    Raises:
        SaltrustError: for a file of theirs that cannot be read.
    """
    executed = tuple(
        _executed(published(profile, card.name, chapter), tuple(before))
        for chapter, before in chapters.of(card).items()
    )
    artefacts, gone = _stored([name for one in executed for name in one.artefacts], store or paths.STORE)
    return DatasetProvenance(card.name, card.title, profile, executed, artefacts, gone)


def _executed(results: Results, before: tuple[str, ...]) -> ExecutedChapter:
    known = ExecutedChapter(results.chapter, chapters.load(results.chapter).title, before)
    provenance = results.provenance()
    if not (results.notebook.exists() and provenance):
        return replace(known, state=FAILED) if results.failed.exists() else known
    notes = [*results.figures(), *results.tables()]
    made = [TracedResult(note.kind, note.name, note.cell, note.artefacts) for note in notes]
    for name in (key.partition("/")[2] for key in results.numbers()):
        origin = provenance.numbers.get(name, Origin())
        made.append(TracedResult("number", name, origin.cell, origin.artefacts))
    return replace(
        known,
        state=RUN,
        parameters=provenance.parameters,
        seconds=provenance.seconds,
        environment=provenance.environment,
        artefacts=tuple(provenance.artefacts),
        results=tuple(made),
    )


def _stored(named: Iterable[str], store: Path) -> tuple[dict[str, TracedArtefact], tuple[str, ...]]:
    """The artefacts of these names and what they were made from; and those of the names that are not there."""
    named = set(named)
    found, pending = {}, sorted(named)
    while pending:
        name = pending.pop()
        note = {} if name in found else _sidecar(store / name)
        if not note:
            continue
        upstream = tuple(note["upstream"])
        files = [store / name / file for file in note["checksums"]]
        found[name] = TracedArtefact(
            name,
            {key: value for key, value in note["spec"].items() if key != "kind"},
            upstream,
            note["made"],
            note["seconds"],
            sum(os.path.getsize(file) for file in files if os.path.isfile(file)),
            note["checksums"],
            note["environment"],
            alone="checksum" in note,
        )
        pending += upstream
    return found, tuple(sorted(named - set(found)))


_SIDECAR = {"spec": dict, "upstream": list, "made": str, "seconds": int | float, "checksums": dict, "environment": dict}


def _sidecar(folder: Path) -> dict[str, Any]:
    """What the store noted of an artefact; nothing where it noted nothing, or what is there is not what it wrote."""
    try:
        note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(note, dict) and all(isinstance(note.get(name), kind) for name, kind in _SIDECAR.items())
    words = [*note["upstream"], *note["environment"].values()] if whole else [None]
    return note if all(isinstance(word, str) for word in words) and 0 <= note["seconds"] < LONGEST else {}


# --- what is told of it ---------------------------------------------------------------------------------------------


def by_kind(artefacts: Iterable[TracedArtefact]) -> pd.DataFrame:
    """A row for each kind of artefact, what is made first before what is made from it: kind, of (the kinds that it is
    made from), artefacts, megabytes, hours."""
    known = {one.name: one for one in artefacts}
    of: dict[str, set[str]] = {one.kind: set() for one in known.values()}
    for one in known.values():
        of[one.kind] |= {known[name].kind for name in one.upstream if name in known} - {one.kind}
    rows = [
        {
            "kind": kind,
            "of": ", ".join(sorted(of[kind])),
            "artefacts": len(members := [one for one in known.values() if one.kind == kind]),
            "megabytes": sum(one.size for one in members) / 1e6,
            "hours": sum(one.seconds for one in members) / 3600,
        }
        for kind in sorted(of, key=lambda kind: (level(kind, of), kind))
    ]
    return pd.DataFrame(rows, columns=["kind", "of", "artefacts", "megabytes", "hours"])


def level(name: str, before: Mapping[str, Iterable[str]]) -> int:
    """Steps of the longest way to a name. before: what comes directly before each; without circles."""
    return max((level(other, before) + 1 for other in before[name]), default=0)


def versions(environments: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """A row for each value of each entry of some environments: what, value, times; the most frequent value first."""
    counted = Counter((what, value) for environment in environments for what, value in environment.items())
    order = list(dict.fromkeys(what for what, _ in counted))
    rows = sorted(counted.items(), key=lambda row: (order.index(row[0][0]), -row[1]))
    return pd.DataFrame([(*pair, times) for pair, times in rows], columns=["what", "value", "times"])


def document(found: DatasetProvenance) -> dict[str, Any]:
    """All of it as plain JSON. Environments, which many share, are given by their number in `environments`."""
    environments: list[Mapping[str, str]] = []

    def plain(one: ExecutedChapter | TracedArtefact) -> dict[str, Any]:
        if one.environment not in environments:
            environments.append(one.environment)
        return asdict(one) | {"environment": environments.index(one.environment)}

    return {
        "dataset": found.dataset,
        "title": found.title,
        "profile": found.profile,
        "chapters": [plain(one) for one in found.chapters],
        "artefacts": [plain(found.artefacts[name]) for name in sorted(found.artefacts)],
        "gone": found.gone,
        "environments": environments,
    }


def write(folder: Path, profile: str, datasets: Sequence[str]) -> None:
    """Write what the book's page of provenance shows: lineage.json, and in the folder of each data set of which a
    chapter was run, all that is known as lineage.json."""
    found = [read(data_cards.load(name), profile) for name in datasets]
    for one in found:
        if any(executed.state == RUN for executed in one.chapters):
            text = json.dumps(document(one), separators=(",", ":"))
            (folder / one.dataset / "lineage.json").write_text(text, encoding="utf-8")
    artefacts = {name: artefact for one in found for name, artefact in one.artefacts.items()}
    ran = [executed.environment for one in found for executed in one.chapters if executed.state == RUN]
    summary = {
        "profile": profile,
        "datasets": [_summary(one) for one in found],
        "kinds": by_kind(artefacts.values()).to_dict("records"),
        "not_alone": sum(not one.alone for one in artefacts.values()),
        "versions": {
            "chapters": versions(ran).to_dict("records"),
            "artefacts": versions(one.environment for one in artefacts.values()).to_dict("records"),
        },
    }
    (folder / "lineage.json").write_text(json.dumps(summary, separators=(",", ":")), encoding="utf-8")


def _summary(found: DatasetProvenance) -> dict[str, Any]:
    """A data set and its chapters, with numbers of artefacts in the place of their names."""
    known = found.artefacts
    return {
        "dataset": found.dataset,
        "title": found.title,
        "artefacts": len(known),
        "gone": len(found.gone),
        "megabytes": sum(one.size for one in known.values()) / 1e6,
        "seconds": sum(one.seconds for one in known.values()),
        "chapters": [
            asdict(one)
            | {
                "artefacts": len(one.artefacts),
                "behind": len(behind := found.behind(one.artefacts)),
                "computed": sum(artefact.seconds for artefact in behind),
                "environment": one.environment.get("commit", ""),
            }
            for one in found.chapters
        ],
    }


def trace(found: DatasetProvenance, target: str) -> list[tuple[ExecutedChapter, TracedResult]]:
    """The results that are called "<chapter>/<name>": a figure and a table may share a name.

    Raises SaltrustError for a chapter that was not run, or a name that it does not have.
    """
    chapter, _, name = target.partition("/")
    known = {one.chapter: one for one in found.chapters}
    if chapter not in known:
        raise unknown_name("chapter", chapter, known)
    executed = known[chapter]
    if executed.state != RUN:
        raise SaltrustError(
            f"chapter '{chapter}' of '{found.dataset}' is not published under the profile '{found.profile}'; "
            f"saltrust publish {chapter} --dataset {found.dataset} --profile {found.profile} does it"
        )
    if named := [(executed, result) for result in executed.results if result.name == name]:
        return named
    raise unknown_name(f"result of chapter '{chapter}'", name, {result.name for result in executed.results})


def to_text(found: DatasetProvenance, executed: ExecutedChapter, result: TracedResult) -> str:
    """What is behind one result, for the terminal."""
    notebook = published(found.profile, found.dataset, executed.chapter).notebook
    asked = executed.asked(result)
    behind = found.behind(asked)
    lines = {
        "chapter": f"{executed.chapter}: {executed.title}",
        "data set": f"{found.dataset}: {found.title}",
        "notebook": f"{notebook}, cell {result.cell or 'not noted'}",
        "source": str(paths.CHAPTERS / f"{executed.chapter}.py"),
        "parameters": ", ".join(f"{name} = {value}" for name, value in executed.parameters.items()),
        "code and machine": ", ".join(f"{name} {value}" for name, value in executed.environment.items()),
        "artefacts": f"{len(asked)} asked for{'' if result.artefacts is None else ' by then'}, {len(behind)} with what "
        "they were made from; the result comes from some or all of these",
    }
    head = "\n".join(f"  {name:<18}{text}" for name, text in lines.items())
    table = by_kind(behind).to_string(index=False, float_format="{:,.2f}".format) if behind else "none in the store"
    commits = versions({"commit": one.environment["commit"]} for one in behind)
    made = "".join(f"\n  {row.times:>6} made at commit {row.value}" for row in commits.itertuples())
    return f"{result.kind} {executed.chapter}/{result.name}\n{head}\n\n{table}\n{made}\n"
