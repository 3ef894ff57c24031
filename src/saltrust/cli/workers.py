"""Compute what the chapters of a data set will ask for, side by side with other processes that do the same.

Each takes what none of the others works on: networks train and maps are made at once, on several nodes of a cluster,
and the chapters then only read. Who does what is settled by the locks of the store alone, so that a process may come
late, or be killed.
"""

import random
import time

from saltrust import chapters
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.store import StorageError, Store
from saltrust.cli.rehearsal import Rehearsal, needs, rehearse
from saltrust.core import data_cards
from saltrust.core.progress import say

PAUSE = 10.0  # seconds until a process that has nothing to do looks again

# What the choice of everything else depends on: which images get maps, for example. Until it is there, what will be
# asked for is a guess.
FIRST = ("data", "weights")
LONG = ("classifier", "localizer", "base", "branch")  # begun before the rest, as much waits for them


def compute(dataset: str, profile: str) -> list[str]:
    """Compute until nothing is left that could be. Returns what could not, and why.

    That is no error here: the chapter that needs it tells its reader. Raises SaltrustError where nothing can be stored.
    """
    failed: dict[str, str] = {}
    at_work = Store()
    at_work.begin()  # for all rounds: until `at_work` is gone, nothing is collected that this process has made
    while missing := [spec for spec in asked(dataset, profile) if spec.digest not in failed]:
        if not share([spec for spec in missing if spec.kind in FIRST] or missing, failed):
            break
    return list(failed.values())


def asked(dataset: str, profile: str) -> list[Artefact]:
    """What all chapters of a data set, with their defaults, need and the store lacks."""
    rehearsal = Rehearsal()
    for name in chapters.of(data_cards.load(dataset)):
        chapter = chapters.load(name)
        rehearse(chapter, chapters.complete(chapter, {"dataset": dataset, "profile": profile}), rehearsal)
    for statement in rehearsal.failed:
        say(f"what it needs could not be found out: {statement}")
    return [spec for digest, spec in rehearsal.asked.items() if digest in rehearsal.missing]


def share(specs: list[Artefact], failed: dict[str, str]) -> bool:
    """Compute these, but leave to others what they compute; returns when nothing is left that could be, with whether
    anything was computed. failed: by digest, what could not be, and why; it grows, and what needs it is left out."""
    store, first = Store(), random.randrange(len(specs))
    specs = specs[first:] + specs[:first]  # each begins elsewhere, and goes on in order: neighbours share a network
    specs.sort(key=lambda spec: spec.kind not in LONG)
    for spec in specs:
        if store.folder(spec).exists():  # and yet asked for: it is damaged
            store.get(spec, remember=False)
    missing = {spec.digest: spec for spec in specs}
    waits_for = {digest: {need.digest for need in needs(spec)} for digest, spec in missing.items()}
    before = len(missing)
    while True:
        missing = {digest: spec for digest, spec in missing.items() if not store.folder(spec).exists()}
        ready = [
            spec for digest, spec in missing.items() if digest not in failed and not waits_for[digest] & missing.keys()
        ]
        if not ready:
            return len(missing) < before
        free = next((spec for spec in ready if not store.taken(spec)), None)
        if free is None:
            time.sleep(PAUSE)
            continue
        say(f"{len(missing):,} of {before:,} artefacts left")
        try:
            store.get(free, remember=False)
        except StorageError:  # no other artefact could be kept either
            raise
        except Exception as error:
            failed[free.digest] = f"{free.title()} cannot be computed: {type(error).__name__}: {error}"
            say(failed[free.digest])
