"""What a run would compute: what is stored already, what is not, and about how long that takes. Nothing is written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from saltrust import chapters
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.maintenance import KINDS
from saltrust.artefacts.networks import ImageNetWeights
from saltrust.chapters.chapter import Chapter
from saltrust.cli.rehearsal import Rehearsal, needs, rehearse
from saltrust.core import data_cards
from saltrust.core.errors import unknown_name
from saltrust.core.formatting import rough_duration
from saltrust.core.progress import track
from saltrust.study.durations import Durations, Estimate, timed

Work = tuple[Chapter, dict[str, Any]]
"""A chapter and every parameter of it, as from `chapters.complete`."""


@dataclass(frozen=True)
class Row:
    """Artefacts of one kind, or (part) those of one method or network among them. seconds: that the missing ones take,
    those of which nothing similar was ever timed (unknown) left out. earlier: how many durations that rests on. alike:
    whether all of those are of the same work on the same number of images; here: on a machine like this one."""

    kind: str
    part: str
    stored: int
    missing: int
    seconds: float
    unknown: int
    earlier: int
    alike: bool
    here: bool

    @property
    def title(self) -> str:
        return KINDS[self.kind]

    @property
    def time(self) -> str:
        """In words."""
        if not self.missing:
            return ""
        known = rough_duration(self.seconds) if self.unknown < self.missing else ""
        return known + (f"{' + ' if known else ''}{self.unknown} unknown" if self.unknown else "")

    @property
    def basis(self) -> str:
        """What the time rests on, in words."""
        if not self.missing:
            return ""
        if not self.earlier:
            return "nothing similar was timed"
        return f"{self.earlier} earlier" + ("" if self.alike else ", less alike") + ("" if self.here else ", elsewhere")


@dataclass(frozen=True)
class Plan:
    """rows: by kind in the order of computation, parts after their kind. artefacts: name, title and whether it is
    stored, of each. notes: what is not known yet. failed: statements of which it cannot be known."""

    rows: tuple[Row, ...]
    artefacts: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    failed: int

    @property
    def missing(self) -> int:
        return sum(row.missing for row in self.rows if not row.part)

    @property
    def seconds(self) -> float:
        """Time of everything that is missing and can be estimated."""
        return sum(row.seconds for row in self.rows if not row.part)

    @property
    def summary(self) -> str:
        """In one line."""
        if not self.missing and self.failed:
            return f"{len(self.artefacts)} artefacts are stored; what else is needed could not be found out"
        if not self.missing:
            return f"All {len(self.artefacts)} artefacts are stored: nothing to compute"
        unknown = sum(row.unknown for row in self.rows if not row.part)
        time = f", {rough_duration(self.seconds)}" if unknown < self.missing else ""
        more = f", and {unknown} of which nothing similar was ever timed" if unknown else ""
        rest = "; statistics and figures not counted"
        return f"{self.missing} of {len(self.artefacts)} artefacts to compute{time}{more}{rest}"


def plan(work: Sequence[Work]) -> Plan:
    """What these chapters need together, each artefact counted once.

    Raises SaltrustError as the chapters would before any work.
    """
    rehearsal = Rehearsal()
    for chapter, values in track(work, "planning") if len(work) > 1 else work:
        if refused := rehearse(chapter, values, rehearsal):
            raise refused
    missing = [spec for digest, spec in rehearsal.asked.items() if digest in rehearsal.missing]
    known = _described(rehearsal.asked.values()) if missing else {}
    durations = Durations(timed(rehearsal.store.root) if missing else (), known)
    estimates = {spec.digest: durations.estimate(known[spec.path]) for spec in missing}
    rows = [row for kind in KINDS for row in _rows(kind, list(rehearsal.asked.values()), rehearsal.missing, estimates)]
    artefacts = tuple(
        {"artefact": spec.path, "title": spec.title(), "stored": digest not in rehearsal.missing}
        for digest, spec in rehearsal.asked.items()
    )
    return Plan(tuple(rows), artefacts, tuple(_notes(missing, rehearsal.failed)), len(rehearsal.failed))


def _described(specs: Iterable[Artefact]) -> dict[str, Any]:
    """What artefacts are and all that they are made from, also what is put together and not stored, by name."""
    found, pending = {}, list(specs)
    while pending:
        spec = pending.pop()
        if spec.path not in found:
            found[spec.path] = spec.description()
            pending += needs(spec) + spec.upstream()
    return found


def combined(chapter: Chapter, given: Mapping[str, Sequence[str]]) -> list[Work]:
    """The work of a command line: a chapter once for each combination of the values."""
    return [(chapter, chapters.complete(chapter, values)) for values in chapters.combinations(given)]


def of_book(given: Mapping[str, Sequence[str]]) -> list[Work]:
    """The work of the whole book. Raises SaltrustError for a parameter that it does not have."""
    defaults = {"dataset": ["phantom-pneumothorax", "phantom-pneumonia"], "profile": ["quick"]}
    if unknown := [name for name in given if name not in defaults]:
        raise unknown_name("parameter of the book", unknown[0], defaults)
    return [one for values in chapters.combinations(defaults | dict(given)) for one in _of_data_set(**values)]


def _of_data_set(dataset: str, profile: str) -> Iterator[Work]:
    for name in chapters.of(data_cards.load(dataset)):
        chapter = chapters.load(name)
        yield chapter, chapters.complete(chapter, {"dataset": dataset, "profile": profile})


def as_json(found: Plan) -> str:
    """The same for machines: summary, stored, missing, seconds, rows, artefacts, notes."""
    counts = {"summary": found.summary, "stored": len(found.artefacts) - found.missing, "missing": found.missing}
    return json.dumps(counts | {"seconds": round(found.seconds, 1)} | asdict(found), indent=1)


def _rows(
    kind: str, specs: Iterable[Artefact], missing: set[str], estimates: Mapping[str, Estimate | None]
) -> Iterator[Row]:
    """The row of a kind, and of those of its methods or networks that are missing: also what others are composed of."""
    of_kind = [spec for spec in specs if spec.kind == kind]
    if not of_kind:
        return
    whole = _row(kind, "", of_kind, missing, estimates)
    yield whole
    parts: dict[str, list[Artefact]] = {}
    for spec in of_kind:
        parts.setdefault(_part(spec), []).append(spec)
    if len(parts) > 1 and whole.missing:
        rows = [_row(kind, part, those, missing, estimates) for part, those in parts.items()]
        yield from sorted((row for row in rows if row.missing), key=lambda row: -row.seconds)


def _row(
    kind: str, part: str, specs: Sequence[Artefact], missing: set[str], estimates: Mapping[str, Estimate | None]
) -> Row:
    absent = [spec.digest for spec in specs if spec.digest in missing]
    found = [estimate for digest in absent if (estimate := estimates[digest])]
    return Row(
        kind,
        part,
        stored=len(specs) - len(absent),
        missing=len(absent),
        seconds=sum(estimate.seconds for estimate in found),
        unknown=len(absent) - len(found),
        earlier=len({name for estimate in found for name in estimate.earlier}),
        alike=all(estimate.rung == 0 for estimate in found),
        here=all(estimate.here for estimate in found),
    )


def _part(spec: Artefact) -> str:
    """The method or network whose artefact it is."""
    return next((getattr(spec, name) for name in ("method", "architecture", "localizer") if hasattr(spec, name)), "")


def _notes(missing: Sequence[Artefact], failed: Sequence[str]) -> Iterator[str]:
    if unmade := {spec.card.name: None for spec in missing if isinstance(spec, ImageSet) and spec.split == "test"}:
        yield (
            f"The test images of {', '.join(unmade)} are not made yet: how many get maps is taken from the card, and "
            "all that is made from them counts as missing."
        )
    if any(isinstance(spec, ImageNetWeights) for spec in missing):
        yield "Whether there are ImageNet weights is not known yet; networks are planned from scratch."
    if failed:
        yield f"What {len(failed)} statements need could not be found out, the first: {failed[0]}"
