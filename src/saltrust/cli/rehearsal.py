"""What a chapter asks the store for, found out without computing: its notebook is rehearsed.

Its statements run with the parameters that are given, through the same facades, but the store hands out small
stand-ins of the right shape for whatever is missing or large, and notes what was asked for. Figures are not drawn, and
nothing is written. So there is no second list of what a chapter needs, which could drift from the first.
"""

import ast
import importlib
import io
import os
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import singledispatch
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.figure import Figure

import saltrust
from saltrust.analysis.audit.finding import Finding
from saltrust.analysis.audit.table import FINDINGS
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.batch import ScoreBatch
from saltrust.artefacts.data import AverageMask, ImageSet
from saltrust.artefacts.maps import LocalizerMaps, RawMaps, Regions, SaliencyMaps
from saltrust.artefacts.networks import BaseModel, Branch, Classifier, ExternalClassifier, Trained, TrainedLocalizer
from saltrust.artefacts.scores import FiveBandCounts, LocalizationScores, SimilarityScores
from saltrust.artefacts.store import Store
from saltrust.chapters.chapter import Chapter
from saltrust.chapters.page import Page
from saltrust.core import progress
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.methods import preparation
from saltrust.study.study import Study

SIDE = 24  # pixels of a stand-in, enough for SSIM's largest window
RESAMPLES = 2  # of a bootstrap
FEW_IMAGES = 16  # of a split that is not judged

Get = Callable[[Artefact], Any]


@dataclass
class Rehearsal:
    """What was asked for. asked: every spec by its digest, after those that it is made from. missing: the digests of
    those that are not stored. failed: statements that could not be rehearsed, with the reason. begun: whether the
    chapter rehearsed last has asked for anything."""

    store: Store = field(default_factory=Store)
    asked: dict[str, Artefact] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    begun: bool = False
    _values: dict[str, Any] = field(default_factory=dict)

    def get(self, spec: Artefact) -> Any:
        """The value of a spec, or a stand-in; notes that it was asked for."""
        self.begun = True
        self._note(spec)
        if spec.digest not in self._values:
            self._values[spec.digest] = self._value(spec)
        return self._values[spec.digest]

    def _note(self, spec: Artefact) -> None:
        if spec.digest in self.asked:
            return
        if spec.transient or not self.store.folder(spec).exists():
            self._note_missing(spec)
        else:
            self.asked[spec.digest] = spec

    def _note_missing(self, spec: Artefact) -> None:
        for part in needs(spec):
            self._note(part)
        if not spec.transient:
            self.asked.pop(spec.digest, None)  # it comes after its parts
            self.asked[spec.digest] = spec
            self.missing.add(spec.digest)

    def _value(self, spec: Artefact) -> Any:
        if spec.transient:
            return spec.compute(self.get)
        if spec.digest not in self.missing:
            try:
                return read(spec, self.store.folder(spec))
            except Exception:  # whatever a damaged file can provoke: it will be computed again
                self._note_missing(spec)
        return stand_in(spec, self.get)


def rehearse(chapter: Chapter, values: Mapping[str, Any], rehearsal: Rehearsal) -> SaltrustError | None:
    """Run the statements of a chapter with these parameters, and note in `rehearsal` what they ask for.

    values: every parameter, as from `chapters.complete`. A statement that fails on stand-ins is noted and passed over.
    Returns the error by which the chapter would end before it asks for anything, None if it would not.
    """
    tree = ast.parse(chapter.source.read_text(encoding="utf-8"), str(chapter.source))
    given = dict(values) | {name: RESAMPLES for name in values if name == "n_boot"}
    names: dict[str, Any] = {"__name__": chapter.name}
    rehearsal.begun = False
    with _on_stage(rehearsal):
        for statement in tree.body:
            code = compile(ast.Module([statement], []), str(chapter.source), "exec")
            try:
                exec(code, names)
            except Exception as error:  # whatever a stand-in can provoke
                where = f"{chapter.source.name}, line {statement.lineno}"
                rehearsal.failed.append(f"{where}: {type(error).__name__}: {error}")
                if isinstance(error, SaltrustError) and not rehearsal.begun:
                    return error
            names |= {name: given[name] for name in _assigned(statement) & given.keys()}
    return None


def _assigned(statement: ast.stmt) -> set[str]:
    """The names that a line of the parameters cell sets, which the values given replace."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


@contextmanager
def _on_stage(rehearsal: Rehearsal) -> Iterator[None]:
    """Inside the block every store is the rehearsal's, figures are not drawn, and no page is written."""
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(patch.object(Store, "get", lambda store, spec, remember=True: rehearsal.get(spec)))
        enter(patch.object(Store, "sidecar", lambda store, spec: {"seconds": 0.0}))
        enter(patch.object(preparation, "resized", lambda maps, size: maps))  # stand-ins are all of one size
        enter(patch.dict(FINDINGS, {name: _forgiving(found) for name, found in FINDINGS.items()}))
        enter(patch.multiple(Page, **dict.fromkeys(("figure", "table", "document", "quote", "close"), _nothing)))
        for module in pkgutil.iter_modules(saltrust.__path__):
            if module.name.startswith("plots"):
                loaded = importlib.import_module(f"saltrust.{module.name}")
                for name, function in getmembers(loaded, isfunction):
                    if function.__annotations__.get("return") is Figure:
                        enter(patch.object(loaded, name, lambda *given, **named: Figure()))
        enter(patch.dict(os.environ, {progress.LOG: os.devnull}))
        enter(redirect_stdout(io.StringIO()))
        enter(warnings.catch_warnings(action="ignore"))
        enter(np.errstate(all="ignore"))
        yield


def _forgiving(found: Finding) -> Finding:
    """A finding whose demonstration may fail, as one that looks into a network does where there is none yet."""

    def demonstrate(study: Study) -> tuple[float, float]:
        try:
            return found.demonstrate(study)
        except Exception:
            return 0.0, 0.0

    return replace(found, demonstrate=demonstrate)


def _nothing(*given: Any, **named: Any) -> None:
    pass


# --- what an artefact is made from ------------------------------------------------------------------------------------


@singledispatch
def needs(spec: Artefact) -> list[Artefact]:
    """What is asked for when a spec is computed."""
    return spec.upstream()


@needs.register
def _(spec: ImageSet) -> list[Artefact]:
    return list(spec.shards)


@needs.register
def _(spec: SaliencyMaps) -> list[Artefact]:
    from saltrust.methods.registry import METHODS

    method = METHODS[spec.method]
    if not method.is_composition:
        return [spec.data, spec.model]
    parts = [replace(spec, method=part, parameters=given) for part, given in method.parts(spec.parameters).values()]
    return [spec.data, *parts, *([Regions(spec.data, spec.images)] if method.segments else [])]


@needs.register(LocalizationScores)
@needs.register(FiveBandCounts)
def _(spec: LocalizationScores | FiveBandCounts) -> list[Artefact]:
    return [spec.maps.data, spec.maps]


@needs.register
def _(spec: ScoreBatch) -> list[Artefact]:
    return [need for part in spec.parts for need in needs(part)]


# --- values that are read, where they are small -----------------------------------------------------------------------


@singledispatch
def read(spec: Artefact, folder: Path) -> Any:
    """The stored value, its images and maps replaced by small ones."""
    return spec.read(folder)


@read.register
def _(spec: ImageSet, folder: Path) -> Split:
    with np.load(folder / "split.npz") as stored:
        absent = int(stored["absent"]) if "absent" in stored.files else None
        return _split(spec, stored["ids"], stored["labels"], tuple(stored["classes"].tolist()), absent)


@read.register(SaliencyMaps)
@read.register(LocalizerMaps)
@read.register(AverageMask)
@read.register(Regions)
def _(spec: Artefact, folder: Path) -> Any:
    return stand_in(spec, lambda other: None)


# --- stand-ins --------------------------------------------------------------------------------------------------------


@singledispatch
def stand_in(spec: Artefact, get: Get) -> Any:
    """Something in the form of a spec's value, made in no time; None where that is such a value, or nobody looks."""
    return None


@stand_in.register
def _(spec: ImageSet, get: Get) -> Split:
    """As many images with the finding as the card or the files say; which ones is known when the images are made."""
    from saltrust.datasets.loaders import LOADERS

    card = spec.card
    absent = 0 if not card.classes else card.classes.index(card.absent) if card.absent else None
    classes = card.classes or ("without", "with")
    loader = LOADERS[card.loader]
    if loader.records:
        records = loader.records(card)
        records = ([r for r in records if r.split == spec.split] or records)[spec.first : spec.first + spec.count]
        ids, labels = np.array([r.id for r in records]), np.array([r.label for r in records], np.int64)
    else:
        numbers = np.arange(spec.first, spec.first + spec.count)
        ids = np.array([f"{spec.split}-{number}" for number in numbers])
        counted = card.counts[spec.split]
        share = counted.positive / counted.images
        labels = numbers % len(classes) if card.classes else np.diff(numbers * share // 1, append=-1) != 0
    return _split(spec, ids, labels.astype(np.int64), tuple(classes), absent)


def _split(spec: ImageSet, ids: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], absent: int | None) -> Split:
    if spec.split != "test":  # no choice of artefacts depends on the others
        few = np.linspace(0, len(ids) - 1, min(len(ids), FEW_IMAGES)).astype(int)
        ids, labels = ids[few], labels[few]
    random = np.random.default_rng(0)
    n = len(ids)
    pixels = random.integers(0, 256, (n, SIDE, SIDE, 3) if spec.card.classes else (n, SIDE, SIDE), np.uint8)
    grades = np.zeros((n, SIDE, SIDE), np.uint8)
    third = SIDE // 3
    grades[labels != absent, third:-third, third:-third] = 1
    grades[labels != absent, third:-third, third] = 2
    boxes = np.zeros((0, 5), np.float32)
    graded = spec.card.truth == "graded"
    return Split(pixels, labels, grades > 0, boxes, ids, classes, absent, grades if graded else None)


@stand_in.register(Classifier)
@stand_in.register(Branch)
@stand_in.register(TrainedLocalizer)
@stand_in.register(ExternalClassifier)
def _(spec: Classifier | Branch | TrainedLocalizer | ExternalClassifier, get: Get) -> Trained:
    """A network that takes one image in four for another class."""
    test = get(spec.test)
    n, kinds = len(test), len(test.classes)
    numbers = np.arange(n)
    predicted = np.where(numbers % 4 == 3, (test.labels + 1) % kinds, test.labels)
    curves = {name: [0.5, 0.5] for name in ("loss", "val_loss", "val_auc", "accuracy", "counter")}
    record = {
        "curves": curves | {"step": [1, 2]},
        "test_scores": None if test.absent is None else np.sin(numbers).tolist(),
        "test_predictions": predicted.tolist(),
        "test_accuracy": 0.75,
        "test_probabilities": np.full((n, kinds), 1 / kinds).tolist(),
        **dict.fromkeys(("epochs", "best_epoch", "steps", "best_step", "seed", "seconds", "val_accuracy"), 1),
        **{"precision": "float32", "weights": "scratch", "stopped": "epochs"},
    }
    return Trained(record, None)


@stand_in.register
def _(spec: BaseModel, get: Get) -> Trained:
    return Trained({"curves": {"loss": [0.5, 0.5]}, "weights": "scratch"} | dict.fromkeys(("epochs", "steps"), 1), None)


@stand_in.register
def _(spec: SaliencyMaps, get: Get) -> RawMaps:
    return RawMaps(_random(spec, len(spec.images), 3, SIDE, SIDE) - np.float32(0.5), np.ones(len(spec.images)))


@stand_in.register(LocalizerMaps)
@stand_in.register(AverageMask)
def _(spec: LocalizerMaps | AverageMask, get: Get) -> np.ndarray:
    return _random(spec, len(spec.images), 1, SIDE, SIDE)


@stand_in.register
def _(spec: LocalizationScores, get: Get) -> np.ndarray:
    return _random(spec, len(spec.maps.images))


@stand_in.register
def _(spec: SimilarityScores, get: Get) -> np.ndarray:
    return _random(spec, len(spec.pairs))


@stand_in.register
def _(spec: FiveBandCounts, get: Get) -> np.ndarray:
    return 1 + np.floor(100 * _random(spec, 5, len(spec.maps.images), spec.thresholds.count)).astype(np.int64)


@stand_in.register
def _(spec: ScoreBatch, get: Get) -> tuple[np.ndarray, ...]:
    return tuple(stand_in(part, get) for part in spec.parts)


def _random(spec: Artefact, *shape: int) -> np.ndarray:
    """Numbers in [0, 1), other ones for every spec."""
    return np.random.default_rng(int(spec.digest, 16)).random(shape, np.float32)
