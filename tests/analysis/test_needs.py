"""What each chapter is said to need is what it asks for: all default chapters of a data set run, on noise; of one
that has a chapter of its own, that chapter."""

import json
from collections import Counter
from dataclasses import replace
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from saltrust import plots
from saltrust.analysis.needs import NEEDS
from saltrust.artefacts import KINDS, STAGES, Artefact
from saltrust.artefacts.findings import MapProducts
from saltrust.artefacts.maps import Powers, RawMaps, SaliencyMaps
from saltrust.artefacts.scores import FindingScores, FiveBandCounts, LocalizationScores, ScoreBatch, SimilarityScores
from saltrust.artefacts.store import Store
from saltrust.cli import planning as plan
from saltrust.core import paths
from saltrust.core.data_cards import SPLITS
from saltrust.core.profiles import PROFILES
from saltrust.models import recipes
from saltrust.scores.distinctness import PREPARATIONS
from saltrust.study import planning
from saltrust.study.study import Study
from tests.datasets import written

FEW = {"n_boot": 20}  # of what no artefact depends on


def noise(artefact: Artefact, *shape: int) -> np.ndarray:
    return np.random.default_rng(int(artefact.digest, 16)).random(shape, np.float32)


def drawn(artefact: Artefact) -> Any:
    """In the form of the value of maps or scores."""
    match artefact:
        case SaliencyMaps():
            n, size = len(artefact.images), artefact.data.size
            return RawMaps(noise(artefact, n, 1, size, size) - np.float32(0.5), np.ones(n))
        case Powers():
            n, size = len(artefact.images), artefact.data.size
            return noise(artefact, 2, n, 1, size, size) - np.float32(0.5)
        case LocalizationScores() | FindingScores():
            return noise(artefact, len(artefact.maps.images))
        case FiveBandCounts():
            return 1 + np.floor(9 * noise(artefact, 5, len(artefact.maps.images), artefact.thresholds.count))
        case MapProducts():
            k = artefact.model.n_outputs
            maps = noise(artefact, len(PREPARATIONS), artefact.data.count, k, 9)
            return maps @ maps.swapaxes(2, 3)
        case SimilarityScores():
            return noise(artefact, len(artefact.pairs))
        case ScoreBatch():
            return tuple(map(drawn, artefact.parts))


def compute(artefact: Artefact, get) -> Any:
    """In no time; asks for what a real computation asks for, as tests/cli/test_plan.py finds."""
    for need in artefact.needs():
        get(need)
    return drawn(artefact)


def undrawn(monkeypatch) -> None:
    """Figures stay empty."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **how: isinstance(file, Path) and file.touch())
    for module in (plots, *(import_module(f"{plots.__name__}.{one.name}") for one in iter_modules(plots.__path__))):
        for name, function in getmembers(module, isfunction):
            if function.__annotations__.get("return") is Figure:
                monkeypatch.setattr(module, name, lambda *given, **named: Figure())


def asked_by(chapter, values, folder: Path) -> set[str]:
    """What a chapter's page says it was made from, but for scores; its source runs as a script."""
    _, _, rest = chapter.source.read_text(encoding="utf-8").partition('# %% tags=["parameters"]\n')
    given = "\n".join(f"{name} = {FEW.get(name, value)!r}" for name, value in values.items())
    exec(compile(given + "\n# %%" + rest.partition("\n# %%")[2], chapter.name, "exec"), {"__name__": "chapter"})
    note = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    asked = {used["artefact"] for used in note["artefacts"]}
    return {name for name in asked if KINDS[name.partition("/")[0]].stage != STAGES[-1]}


@pytest.mark.parametrize(
    ("dataset", "only"),
    [
        ("phantom-pneumothorax", ()),
        ("cells", ()),
        ("phantom-shortcut", ("shortcut",)),
        ("phantom-chest5", ("claims",)),
        ("digits", ()),
    ],
)
def test_what_chapters_need_is_what_they_ask_for(dataset, only, tmp_path, monkeypatch, tiny_profile):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    monkeypatch.setenv("SALTRUST_PROGRESS", str(tmp_path / "log"))
    scores = LocalizationScores, FindingScores, FiveBandCounts, SimilarityScores, ScoreBatch
    for kind in (Powers, SaliencyMaps, MapProducts, *scores):
        monkeypatch.setattr(kind, "compute", compute)
    undrawn(monkeypatch)
    monkeypatch.setitem(recipes.BRANCHING, "tiny", recipes.BRANCHING["smoke"])
    replicates = 2 if dataset == "cells" else 3  # as many as there are branches; more than other questions ask of
    sizes = replace(PROFILES["smoke"].multilabel, size=64, train=48, val=24, test=24)
    with tiny_profile(train=8, val=6, test=12, explained=3, cascaded=2, replicates=replicates, multilabel=sizes):
        work = [one for one in plan.of_book(dataset, "tiny") if not only or one[0].name in only]
        before, asked = plan.plan(work), set()
        for chapter, values in work:
            folder = tmp_path / "out" / chapter.name
            monkeypatch.setenv("SALTRUST_OUT", str(folder))
            asked |= asked_by(chapter, values, folder)
        assert plan.plan(work).missing == set()
        monkeypatch.setattr(planning.Foresight, "has", lambda store, artefact: False)
        exact = plan.plan(work)
    titles = {one.path: one.title() for one in exact.artefacts.values()}
    assert {titles[name] for name in titles.keys() - asked} == set()
    assert asked - titles.keys() == set()
    expected, found = (Counter(one.kind for one in one_plan.artefacts.values()) for one_plan in (before, exact))
    if dataset == "cells":  # which images a gallery shows depends on what the networks make of them
        for kind in ("saliency_maps", "regions"):
            assert abs(expected.pop(kind) - found.pop(kind)) < 10
    assert expected == found  # known before there is anything


def test_with_labels_alone_the_data_set_has_no_average_truth(tmp_path):
    written.text(
        tmp_path / "labels.csv", "file,part,mass,scar", *(f"{n}.png,{part},1,0" for n, part in enumerate(SPLITS))
    )
    for n in range(len(SPLITS)):
        written.picture(tmp_path / f"{n}.png", np.full((32, 32), n, np.uint8))
    card = {"name": "labelled", "finding": "any", "findings": ["mass", "scar"], "truth": "none", "get": {"root": "."},
            "table": {"file": "labels.csv", "image": "file", "split": "part"}}  # fmt: skip
    (tmp_path / "labelled.yaml").write_text(yaml.safe_dump(card))
    needed = NEEDS["dataset"](Study(str(tmp_path / "labelled.yaml"), "smoke", store=Store(tmp_path / "store")), {})
    assert [one.split for one in needed] == list(SPLITS)
