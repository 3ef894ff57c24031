"""What is still to be computed, about how long that takes, and in which jobs; nothing is computed or written here.

What is needed is named by the study's own objects; which images get maps depends on the images, and which of them a
gallery shows, on what networks make of them. Where these are not made yet, `Foresight` tells what can be expected.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from saltrust.artefacts import KINDS, STAGES, Artefact
from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.networks import Branch, ImageNetWeights, Trained
from saltrust.artefacts.sidecar import SIDECAR, environment
from saltrust.artefacts.store import MEMORY, Store
from saltrust.core.formatting import rough_duration, rough_range
from saltrust.core.labelled_images import Split

ALL = "all"  # stage and name of the one job of a small data set
REST = "rest"  # name of the job of what is small in a stage
DECISIVE = (ImageSet, ImageNetWeights, Branch)  # what the choice of other artefacts depends on
PROCESS = 1e9  # bytes of Python with torch and the libraries
WORTH = 4e7  # units of an artefact's `work`, of its kind: a process that does less has hardly begun when it ends


class Foresight(Store):
    """A store that computes nothing: what is missing is told as far as the choice of other artefacts depends on it.

    Attributes:
        damaged: digests of what is stored and cannot be read.
        undecided: missing artefacts that decide which others there are, and that none of those is made from.
    """

    def __init__(self, root: Path | None = None):
        super().__init__(root)
        self.damaged: set[str] = set()
        self.undecided: list[Artefact] = []
        self._told: dict[str, Any] = {}

    def get(self, artefact: Artefact, remember: bool = True) -> Any:
        """Images without their pixels, networks without their weights."""
        if artefact.digest not in self._told:
            self._told[artefact.digest] = self._tell(artefact)
        return self._told[artefact.digest]

    def has(self, artefact: Artefact) -> bool:
        """Whether it is stored, and could be read so far."""
        return artefact.digest not in self.damaged and self.folder(artefact).exists()

    def _tell(self, artefact: Artefact) -> Any:
        if artefact.transient:
            return artefact.compute(self.get)
        if self.folder(artefact).exists():
            try:
                return _read(artefact, self.folder(artefact))
            except Exception:  # whatever a damaged file can provoke: it will be computed again
                self.damaged.add(artefact.digest)
        match artefact:
            case ImageSet():
                return _expected_images(artefact)
            case Branch():  # as if it took no image for another class
                return Trained({"test_predictions": self.get(artefact.test).labels.tolist()}, None)
            case ImageNetWeights():
                self.undecided.append(artefact)
                return None
        raise TypeError(f"a plan must not depend on {artefact.title()}")


def _read(artefact: Artefact, folder: Path) -> Any:
    if not isinstance(artefact, ImageSet):
        return artefact.read(folder)
    with np.load(folder / "split.npz") as stored:
        absent = int(stored["absent"]) if "absent" in stored.files else None
        return _without_pixels(stored["ids"], stored["labels"], tuple(stored["classes"].tolist()), absent)


def _expected_images(images: ImageSet) -> Split:
    """As many images with the finding as the files or the card say; which ones is known when they are made."""
    from saltrust.datasets.loaders import loader_of

    card, loader = images.card, loader_of(images.card)
    classes = card.classes or ("without", "with")
    absent = 0 if not card.classes else classes.index(card.absent) if card.absent else None
    if loader.records:
        records = loader.records(card)
        records = [r for r in records if r.split == images.split] or records
        records = records[images.first : images.first + images.count]
        labels, ids = np.array([r.label for r in records], np.int64), np.array([r.id for r in records])
        return _without_pixels(ids, labels, classes, absent)
    numbers = np.arange(images.first, images.first + images.count)
    if card.classes:
        labels = numbers % len(classes)
    else:
        counted = card.counts[images.split]
        labels = np.diff(numbers * counted.positive / counted.images // 1, append=-1) != 0
    return _without_pixels(np.array([f"{images.split}-{n}" for n in numbers]), labels.astype(np.int64), classes, absent)


def _without_pixels(ids: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], absent: int | None) -> Split:
    empty = np.zeros((len(ids), 0, 0), np.uint8)
    return Split(empty, labels, empty > 0, np.zeros((0, 5), np.float32), ids, classes, absent)


# --- how long it takes ------------------------------------------------------------------------------------------------


FEW = 3  # earlier durations; from fewer no range is told
OUTSIDE = 0.1  # share of later durations that may lie outside a range


@dataclass(frozen=True)
class Estimate:
    """How long an artefact will take.

    The time that earlier ones took for a unit of work varies: other processes share the cores, the first of a process
    waits for imports and compilation. Where n + 1 such times are drawn alike, the last one has each rank among them
    with probability 1 / (n + 1), whatever their distribution. So it lies between the k-th least and the k-th most of
    the n earlier ones with probability (n + 1 - 2k) / (n + 1). That is the range, with the largest k that leaves
    outside at most OUTSIDE, 1 in 10; of fewer than 19 all are needed (k = 1): FEW, of which one half lies outside, are
    the fewest of which a range is told. Others that are less alike, or on another machine, say too little.

    seconds: that it will take, by the median. low, high: of the range. earlier: how many durations this rests on.
    alike: whether all of those are of the same work; here: whether they were made on a machine like this one.
    """

    seconds: float
    low: float
    high: float
    earlier: int
    alike: bool
    here: bool

    @property
    def sure(self) -> bool:
        """Whether the range may be trusted as far as its derivation says."""
        return self.earlier >= FEW and self.alike and self.here


def ends(earlier: Sequence[float]) -> tuple[float, float]:
    """The range of the next one, see `Estimate`.

    >>> ends([3, 1, 2]), ends(range(1, 100))
    ((1, 3), (5, 95))
    """
    ordered = sorted(earlier)
    k = max(1, int(OUTSIDE / 2 * (len(ordered) + 1)))
    return ordered[k - 1], ordered[-k]


class Durations:
    """The times of earlier artefacts, by what they share (see `Artefact.work`)."""

    def __init__(self, root: Path):
        self._rates: dict[tuple, list[float]] = defaultdict(list)
        here = environment()
        for file in root.glob(f"[!.]*/[!.]*/{SIDECAR}"):
            with suppress(OSError, ValueError, KeyError, TypeError):  # damaged, or of an earlier version
                note = json.loads(file.read_bytes())
                same = all(note["environment"][what] == here[what] for what in ("machine", "device"))
                for rung, (shared, amount) in enumerate(note["work"]):
                    self._rates[same, note["spec"]["kind"], rung, shared].append(note["seconds"] / amount)

    def estimate(self, artefact: Artefact) -> Estimate | None:
        """From those most like it; None where nothing of its kind was ever timed. Of two machines that have made what
        is equally like it, this one tells."""
        for rung, (shared, amount) in enumerate(artefact.work()):
            for here in (True, False):
                if rates := self._rates.get((here, artefact.kind, rung, shared)):
                    told = (median(rates), *ends(rates))
                    return Estimate(*(rate * amount for rate in told), len(rates), rung == 0, here)
        return None


# --- what is missing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Artefacts of one kind, or (part) those of one method or network among them.

    seconds, low, high: that the missing ones take, those of which nothing similar was ever timed (unknown) left out.
    The ends of their ranges are added, as what slows one down slows the others down: the sum of independent ones would
    vary less. earlier, alike, here, sure: as of an Estimate, of all of them.
    """

    kind: str
    part: str
    stored: int
    missing: int
    seconds: float
    low: float
    high: float
    unknown: int
    earlier: int
    alike: bool
    here: bool
    sure: bool

    @property
    def time(self) -> str:
        """In words."""
        if not self.missing:
            return ""
        told = rough_range(self.low, self.high) if self.sure else f"{rough_duration(self.seconds)}, unsure"
        known = told if self.unknown < self.missing else ""
        return known + (f"{' + ' if known else ''}{self.unknown} unknown" if self.unknown else "")

    @property
    def cells(self) -> tuple[int, int, str, str]:
        """stored, missing, time and basis."""
        return self.stored, self.missing, self.time, self.basis

    @property
    def basis(self) -> str:
        """What the time rests on, in words."""
        if not self.missing:
            return ""
        if not self.earlier:
            return "nothing similar was timed"
        return f"{self.earlier} earlier" + ("" if self.alike else ", less alike") + ("" if self.here else ", elsewhere")


@dataclass(frozen=True)
class Job:
    """Artefacts that one process makes.

    after: the jobs whose artefacts it needs, by "<stage>/<name>". chain: the work of the longest chain of jobs, each
    after the one before, that begins with it, its own included. However many run at once, this must be done one after
    the other: of jobs that could begin, the one with the longest chain should.
    """

    stage: str
    name: str
    artefacts: tuple[Artefact, ...]
    after: frozenset[str]
    chain: float = 0

    @property
    def path(self) -> str:
        """Its stage and name."""
        return f"{self.stage}/{self.name}"

    @property
    def work(self) -> float:
        """Pixels of all images that are drawn or pass through a network: about alike for all kinds, and known where
        nothing was ever timed, so that a first run has the order of a later one."""
        return sum(artefact.work()[-1][1] for artefact in self.artefacts)

    @property
    def memory(self) -> float:
        """Bytes that the process needs, about: for itself, for what it keeps at hand, and for its largest artefact. On
        a graphics card, what a network takes lies there instead."""
        return PROCESS + MEMORY + max(artefact.memory() for artefact in self.artefacts)


class Plan:
    """What some artefacts need together, each counted once.

    artefacts: by digest, after those that they are made from. missing: the digests of those that are not stored.
    """

    def __init__(self, wanted: Iterable[Artefact], store: Foresight):
        self.store = store
        self.artefacts: dict[str, Artefact] = {}
        self.missing: set[str] = set()
        self._wanted = [*wanted, *store.undecided]  # the latter are known once the former have been named
        for artefact in self._wanted:
            self._add(artefact)

    def _add(self, artefact: Artefact) -> None:
        if artefact.digest in self.artefacts:
            return
        if not artefact.transient and self.store.has(artefact):
            self.artefacts[artefact.digest] = artefact
            return
        for need in artefact.needs():
            self._add(need)
        if not artefact.transient:
            self.artefacts[artefact.digest] = artefact
            self.missing.add(artefact.digest)

    def rows(self) -> tuple[Row, ...]:
        """A row for each kind in the order of computation, each followed by those of its parts that are missing."""
        durations = Durations(self.store.root) if self.missing else None
        estimates = {digest: durations.estimate(self.artefacts[digest]) for digest in self.missing}
        of_kind = {kind: [one for one in self.artefacts.values() if one.kind == kind] for kind in KINDS}
        return tuple(row for kind, those in of_kind.items() for row in self._rows(kind, those, estimates))

    def _rows(self, kind: str, those: list[Artefact], estimates: dict[str, Estimate | None]) -> Iterator[Row]:
        if not those:
            return
        whole = self._row(kind, "", those, estimates)
        yield whole
        parts = defaultdict(list)
        for artefact in those:
            parts[artefact.part()].append(artefact)
        if len(parts) > 1 and whole.missing:
            rows = [self._row(kind, part, some, estimates) for part, some in parts.items()]
            yield from sorted((row for row in rows if row.missing), key=lambda row: -row.seconds)

    def _row(self, kind: str, part: str, those: list[Artefact], estimates: dict[str, Estimate | None]) -> Row:
        absent = [artefact.digest for artefact in those if artefact.digest in self.missing]
        found = [estimate for digest in absent if (estimate := estimates[digest])]
        return Row(
            kind,
            part,
            stored=len(those) - len(absent),
            missing=len(absent),
            seconds=sum(estimate.seconds for estimate in found),
            low=sum(estimate.low for estimate in found),
            high=sum(estimate.high for estimate in found),
            unknown=len(absent) - len(found),
            earlier=max((estimate.earlier for estimate in found), default=0),
            alike=all(estimate.alike for estimate in found),
            here=all(estimate.here for estimate in found),
            sure=all(estimate.sure for estimate in found),
        )

    def notes(self) -> Iterator[str]:
        """What is not known yet, a sentence each."""
        missing = [self.artefacts[digest] for digest in self.artefacts if digest in self.missing]
        unmade = {one.card.name: None for one in missing if isinstance(one, ImageSet) and one.split == "test"}
        if unmade:
            yield (
                f"The test images of {', '.join(unmade)} are not made yet: how many get maps is taken from the card, "
                "and all that is made from them counts as missing."
            )
        if any(isinstance(one, ImageNetWeights) for one in missing):
            yield "Whether there are ImageNet weights is not known yet; networks are planned from scratch."
        if any(isinstance(one, Branch) for one in missing):
            yield "Which images a gallery shows depends on what the networks will make of them."

    def jobs(self) -> list[Job]:
        """What is missing, in jobs that are worth a process, each after those that it needs.

        A network, or all maps of one state of a network, is a job. What is too small for that shares one with the other
        states of its network, or with the rest of its stage; all of a data set that is small together is one job.
        """
        work: dict[tuple[str, ...], float] = defaultdict(float)
        for artefact in self._behind():
            for job in _jobs_of(artefact):
                work[job] += artefact.work()[-1][1]
        members, paths = defaultdict(list), {}
        for artefact in self.artefacts.values():
            if artefact.digest in self.missing and artefact.stage != STAGES[-1]:
                job = next((one for one in _jobs_of(artefact)[:-1] if work[one] >= WORTH), (artefact.stage, REST))
                job = job if work[()] >= WORTH else (ALL, ALL)
                path = paths[artefact.digest] = job[0], _named(job)
                members[path].append(artefact)
        jobs, first = {}, {paths[one.digest] for one in self.store.undecided}  # no network begins before these
        for path, those in members.items():
            needs = (one for artefact in those for need in artefact.needs() for one in stored(need))
            needed = {paths[one.digest] for one in needs if one.digest in paths}
            needed |= first if path[0] != STAGES[0] else set()
            job = Job(*path, tuple(those), frozenset("/".join(other) for other in needed - {path}))
            jobs[job.path] = job
        chains = _chains(jobs)
        found = (replace(job, chain=chains[path]) for path, job in jobs.items())
        return sorted(found, key=lambda job: [*STAGES, ALL].index(job.stage))

    def names(self, stage: str) -> set[str]:
        """What jobs of a stage may be called, those that are done included."""
        found = {job for artefact in self._behind() if artefact.stage == stage for job in _jobs_of(artefact)[:-1]}
        return {REST, *(_named(job) for job in found)}

    def _behind(self) -> Iterator[Artefact]:
        """All that is wanted and that it is made from, stored or not: jobs have the same names when some are done."""
        seen, pending = set(), list(self._wanted)
        while pending:
            artefact = pending.pop()
            if artefact.digest not in seen:
                seen.add(artefact.digest)
                pending += artefact.needs()
                if not artefact.transient and artefact.stage != STAGES[-1]:
                    yield artefact


def _jobs_of(artefact: Artefact) -> tuple[tuple[str, ...], ...]:
    """The jobs that it may be part of, the smallest first; () stands for all."""
    network, *state = artefact.job()
    return (artefact.stage, network, *state), (artefact.stage, network), ()


def _chains(jobs: Mapping[str, Job]) -> dict[str, float]:
    """Of each job, by its path, the work of the longest chain that begins with it."""
    chains: dict[str, float] = defaultdict(float)
    ordered = TopologicalSorter({path: job.after for path, job in jobs.items()}).static_order()
    for path in reversed([*ordered]):  # until its turn, a job has the longest chain of those that wait for it
        chains[path] += jobs[path].work
        for earlier in jobs[path].after:
            chains[earlier] = max(chains[earlier], chains[path])
    return chains


def _named(job: tuple[str, ...]) -> str:
    """The name of a job in its stage."""
    return re.sub(r"[^\w.+-]+", "_", "-".join(job[1:]))


def stored(artefact: Artefact) -> Iterator[Artefact]:
    """What of an artefact is stored: itself, or the parts of one that is only ever put together."""
    if not artefact.transient:
        yield artefact
        return
    for need in artefact.needs():
        yield from stored(need)
