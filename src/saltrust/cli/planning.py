"""From a command line to a plan: which chapters are asked for, and what they need together."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from saltrust import chapters
from saltrust.analysis.needs import NEEDS
from saltrust.artefacts import STAGES, Artefact
from saltrust.chapters.chapter import Chapter
from saltrust.core import data_cards
from saltrust.core.errors import unknown_name
from saltrust.core.formatting import rough_duration
from saltrust.study import computing, planning
from saltrust.study.planning import Foresight, Plan, Row
from saltrust.study.study import Study

COARSE = "These parameters are not the defaults: a chapter may need more than is listed."

Work = tuple[Chapter, dict[str, Any]]
"""A chapter and every parameter of it, as from `chapters.complete`."""


def plan(work: Sequence[Work]) -> Plan:
    """What these chapters need together, each artefact counted once.

    Raises SaltrustError as the chapters would before any work.
    """
    store = Foresight()
    study_of = cache(lambda *given: Study(*given, store))

    def needed() -> Iterator[Artefact]:
        for chapter, values in work:
            study = study_of(*(values.get(name, default) for name, default in _OF_A_STUDY.items()))
            yield from NEEDS[chapter.name](study, values)

    return Plan(needed(), store)


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
        SaltrustError: for an unknown stage, and where nothing can be stored.
    """
    stages = STAGES[:-1]
    if stage not in (planning.ALL, *stages):
        raise unknown_name("stage", stage, (planning.ALL, *stages))
    failed, jobs = [], None
    for one in stages if stage == planning.ALL else [stage]:
        if jobs is None:
            jobs = plan(of_book(dataset, profile)).jobs()
        chosen = [job for job in jobs if part in (planning.ALL, job.name)]
        missing = [artefact for job in chosen for artefact in job.artefacts if artefact.stage == one]
        failed += computing.compute(missing)
        if any(isinstance(artefact, planning.DECISIVE) for artefact in missing):
            jobs = None  # they are planned anew
    return failed


def as_by_default(work: Sequence[Work]) -> bool:
    """Whether every chapter has its defaults, but for the data set and the profile: those a plan knows exactly."""
    return all(
        value == parameter.default
        for chapter, values in work
        for parameter, value in chapter.given(values)
        if parameter.name not in chapters.ALWAYS
    )


# --- in words ---------------------------------------------------------------------------------------------------------


def summary(found: Plan, rows: Iterable[Row]) -> str:
    """The plan in one line."""
    if not found.missing:
        return f"All {len(found.artefacts)} artefacts are stored: nothing to compute"
    whole = [row for row in rows if not row.part]
    unknown, seconds = sum(row.unknown for row in whole), sum(row.seconds for row in whole)
    time = f", {rough_duration(seconds)}" if unknown < len(found.missing) else ""
    more = f", and {unknown} of which nothing similar was ever timed" if unknown else ""
    rest = "; scores, statistics and figures not counted"
    return f"{len(found.missing)} of {len(found.artefacts)} artefacts to compute{time}{more}{rest}"


def to_json(found: Plan, notes: Iterable[str]) -> str:
    """The plan for programs: summary, stored, missing, seconds, rows, artefacts, jobs, notes."""
    rows = found.rows()
    told = {
        "summary": summary(found, rows),
        "stored": len(found.artefacts) - len(found.missing),
        "missing": len(found.missing),
        "seconds": round(sum(row.seconds for row in rows if not row.part), 1),
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
