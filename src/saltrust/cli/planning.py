"""From a command line to a plan: which chapters are asked for, and what they need together."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from itertools import chain
from typing import Any

from saltrust import chapters
from saltrust.analysis.needs import NEEDS
from saltrust.artefacts import KINDS, STAGES, Artefact
from saltrust.artefacts.sidecar import SIDECAR, environment
from saltrust.chapters.chapter import Chapter
from saltrust.chapters.results_folder import executions
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.formatting import rough_range
from saltrust.study import computing, planning
from saltrust.study.planning import Foresight, Job, Plan, Row
from saltrust.study.study import Study

COARSE = "These parameters are not the defaults: a chapter may need more than is listed."

Work = tuple[Chapter, dict[str, Any]]
"""A chapter and every parameter of it, as from `chapters.complete`."""


def plan(work: Sequence[Work]) -> Plan:
    """What these chapters need together, each artefact counted once.

    Raises SaltrustError as the chapters would before any work.
    """
    store = Foresight()
    return Plan(chain.from_iterable(needed for _, needed in _needed(work, store)), store)


def jobs(work: Sequence[Work]) -> tuple[list[Job], dict[str, set[str]]]:
    """The jobs that make what these chapters lack, and by chapter the paths of those that it waits for.

    Raises SaltrustError as `plan`.
    """
    store = Foresight()
    by_chapter = {chapter.name: [*needed] for chapter, needed in _needed(work, store)}
    found = Plan(chain.from_iterable(by_chapter.values()), store).jobs()
    maker = {artefact.digest: job.path for job in found for artefact in job.artefacts}
    made = {name: chain.from_iterable(map(planning.stored, needed)) for name, needed in by_chapter.items()}
    return found, {name: {maker[a.digest] for a in those if a.digest in maker} for name, those in made.items()}


def _needed(work: Sequence[Work], store: Foresight) -> Iterator[tuple[Chapter, Iterable[Artefact]]]:
    study_of = cache(lambda *given: Study(*given, store))
    for chapter, values in work:
        study = study_of(*(values.get(name, default) for name, default in _OF_A_STUDY.items()))
        yield chapter, NEEDS[chapter.name](study, values)


_OF_A_STUDY = {"dataset": "", "profile": "quick", "protocol": "corrected", "seed": 0}


def combined(chapter: Chapter, given: Mapping[str, Sequence[str]]) -> list[Work]:
    """The work of a command line: a chapter once for each combination of the values."""
    return [(chapter, chapters.complete(chapter, values)) for values in chapters.combinations(given)]


def of_book(dataset: str, profile: str) -> list[Work]:
    """Every chapter of a data set, with its defaults."""
    loaded = map(chapters.load, chapters.of(data_cards.load(dataset)))
    return [(one, chapters.complete(one, {"dataset": dataset, "profile": profile})) for one in loaded]


def compute(dataset: str, profile: str, stage: str = planning.ALL, part: str = planning.ALL) -> list[str]:
    """Compute what the chapters of a data set lack, or one job of it.

    Args:
        dataset: name of a data card.
        profile: name of a profile.
        stage: of the job, or "all".
        part: name of the job in its stage, or "all".

    Returns:
        What could not be computed, and why.

    Raises:
        SaltrustError: for an unknown stage or part, and where nothing can be stored.
    """
    stages = STAGES[:-1]
    if stage not in (planning.ALL, *stages):
        raise unknown_name("stage", stage, (planning.ALL, *stages))
    chosen_stages = stages if stage == planning.ALL else [stage]
    found = plan(of_book(dataset, profile))
    known = {planning.ALL}.union(*map(found.names, chosen_stages))
    if part not in known:
        near = "".join(f"; did you mean '{name}'?" for name in get_close_matches(part, known, n=1))
        raise SaltrustError(f"unknown part '{part}'{near}; `saltrust plan --json` names the jobs")
    failed, unmade = [], found.jobs()
    for one in chosen_stages:
        missing = _artefacts(unmade, one, part)
        decisive = [artefact for artefact in missing if isinstance(artefact, planning.DECISIVE)]
        failed += computing.compute(decisive or missing)
        if decisive:  # what else there is, in this stage as well, is planned anew
            unmade = plan(of_book(dataset, profile)).jobs()
            others = [artefact for artefact in _artefacts(unmade, one, part) if artefact not in decisive]
            failed += computing.compute(others) if others else []
    return failed


def _artefacts(unmade: Sequence[Job], stage: str, part: str) -> list[Artefact]:
    """Those of a stage in the jobs of that name, or in all."""
    chosen = [job for job in unmade if part in (planning.ALL, job.name)]
    return [artefact for job in chosen for artefact in job.artefacts if artefact.stage == stage]


def as_by_default(work: Sequence[Work]) -> bool:
    """Whether every chapter has its defaults, but for the data set and the profile: those a plan knows exactly."""
    return all(
        value == parameter.default
        for chapter, values in work
        for parameter, value in chapter.given(values)
        if parameter.name not in chapters.ALWAYS
    )


# --- the chapters themselves -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """What chapters take besides the artefacts that a plan counts: their kernels, imports, scores, statistics, figures.

    low, high: the range of the seconds, from those of earlier executions as in an `Estimate`. timed: how
    many of the chapters were executed before, with the same profile on a machine like this one; untimed: how many were
    not. earlier: executions of that of the timed ones which has the fewest.
    """

    low: float
    high: float
    timed: int
    untimed: int
    earlier: int

    @property
    def words(self) -> str:
        """As part of a sentence."""
        if not self.timed:
            return f"no time is known of the {_chapters(self.untimed)}, with scores, statistics and figures: unsure"
        few = ", unsure" if self.untimed or self.earlier < planning.FEW else ""
        more = f" and {self.untimed} of which no time is known" if self.untimed else ""
        told = rough_range(self.low, self.high)
        return f"{told} in the {_chapters(self.timed)}{more}, with scores, statistics and figures{few}"


def _chapters(count: int) -> str:
    return "chapter itself" if count == 1 else f"{count} chapters themselves"


def own(work: Sequence[Work], store: Foresight) -> Own:
    """What chapters take besides the artefacts that a plan counts, from earlier executions.

    An execution took some seconds until it ended. What it was made from and was made in that time, it made: the rest
    was its own. Scores that were stored already make that less, and those that were not yet, more; both are among the
    earlier ones, or will be.
    """
    here, asked = environment(), {(chapter.name, values["profile"]) for chapter, values in work}
    seconds: dict[tuple[str, str], list[float]] = {one: [] for one in asked}
    for execution, ended in executions():
        which = execution.chapter, execution.parameters.get("profile")
        same = all(execution.environment.get(what) == here[what] for what in ("machine", "device"))
        if which in seconds and same and execution.seconds:
            made = sum(_made_between(store, name, ended - execution.seconds, ended) for name in execution.artefacts)
            seconds[which].append(max(execution.seconds - made, 0.0))
    of_each = [seconds[chapter.name, values["profile"]] for chapter, values in work]
    timed = [one for one in of_each if one]
    ranges = list(map(planning.ends, timed))
    return Own(
        low=sum(low for low, _ in ranges),
        high=sum(high for _, high in ranges),
        timed=len(timed),
        untimed=len(of_each) - len(timed),
        earlier=min(map(len, timed), default=0),
    )


def _made_between(store: Foresight, name: str, began: float, ended: float) -> float:
    """Seconds that an artefact took which a plan counts, 0 for one that was made at another time."""
    kind = KINDS.get(name.partition("/")[0])
    if kind is None or kind.stage == STAGES[-1]:
        return 0.0
    with suppress(OSError, ValueError, KeyError, TypeError):  # collected since, or damaged
        note = json.loads((store.root / name / SIDECAR).read_bytes())
        made = datetime.fromisoformat(note["made"]).timestamp()
        return float(note["seconds"]) if began - 1 <= made <= ended + 1 else 0.0  # noted to the second
    return 0.0


# --- in words ---------------------------------------------------------------------------------------------------------


def summary(found: Plan, rows: Iterable[Row], itself: Own) -> str:
    """The plan in one line. itself: what the chapters take besides."""
    if not found.missing:
        return f"All {len(found.artefacts)} artefacts are stored: nothing to compute; {itself.words}"
    whole = [row for row in rows if row.missing and not row.part]
    unknown, timed = sum(row.unknown for row in whole), [row for row in whole if row.unknown < row.missing]
    seconds = rough_range(sum(row.low for row in timed), sum(row.high for row in timed))
    sure = all(row.sure for row in timed) and not unknown
    time = f", {seconds}{'' if sure else ', unsure'}" if timed else ""
    more = f", and {unknown} of which nothing similar was ever timed" if unknown else ""
    return f"{len(found.missing)} of {len(found.artefacts)} artefacts to compute{time}{more}; then {itself.words}"


def to_json(found: Plan, notes: Iterable[str], itself: Own) -> str:
    """The plan for programs: summary, stored, missing, seconds, low, high, chapters, rows, artefacts, jobs, notes."""
    rows = found.rows()
    told = {
        "summary": summary(found, rows, itself),
        "stored": len(found.artefacts) - len(found.missing),
        "missing": len(found.missing),
        **{
            name: round(sum(getattr(row, name) for row in rows if not row.part), 1)
            for name in ("seconds", "low", "high")
        },
        "chapters": asdict(itself),
        "rows": [asdict(row) for row in rows],
        "artefacts": [
            {"artefact": one.path, "title": one.title(), "stored": digest not in found.missing}
            for digest, one in found.artefacts.items()
        ],
        "jobs": [
            {
                "job": job.path,
                "artefacts": len(job.artefacts),
                "after": sorted(job.after),
                "megabytes": round(job.memory / 1e6),
            }
            for job in found.jobs()
        ],
        "notes": [*notes],
    }
    return json.dumps(told, indent=1)
