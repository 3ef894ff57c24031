"""From a command line to a plan: which chapters are asked for, and what they need together."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from saltrust import chapters
from saltrust.analysis.needs import NEEDS
from saltrust.artefacts import Artefact
from saltrust.chapters.chapter import Chapter
from saltrust.core import data_cards
from saltrust.study.planning import Foresight, Plan
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


def as_by_default(work: Sequence[Work]) -> bool:
    """Whether every chapter has its defaults, but for the data set and the profile: those a plan knows exactly."""
    return all(
        value == parameter.default
        for chapter, values in work
        for parameter, value in chapter.given(values)
        if parameter.name not in chapters.ALWAYS
    )
