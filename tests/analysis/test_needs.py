"""What each chapter is said to need is what it asks for: all default chapters of a data set run, on maps of noise."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from saltrust.artefacts import KINDS, STAGES
from saltrust.artefacts.maps import RawMaps, SaliencyMaps
from saltrust.cli import planning as plan
from saltrust.core import paths
from saltrust.models import recipes
from saltrust.study import planning

FEW = {"n_boot": 20}  # of what no artefact depends on


def drawn(maps: SaliencyMaps, get) -> RawMaps:
    """RawMaps of noise, in no time; asks for what real ones are made from, as tests/cli/test_plan.py finds."""
    for need in maps.needs():
        get(need)
    values = np.random.default_rng(int(maps.digest, 16)).standard_normal((len(maps.images), 1, *(maps.data.size,) * 2))
    return RawMaps(values.astype(np.float32), np.ones(len(values)))


def asked_by(chapter, values, folder: Path) -> set[str]:
    """What a chapter's page says it was made from, but for scores; its source runs as a script."""
    _, _, rest = chapter.source.read_text(encoding="utf-8").partition('# %% tags=["parameters"]\n')
    given = "\n".join(f"{name} = {FEW.get(name, value)!r}" for name, value in values.items())
    exec(compile(given + "\n# %%" + rest.partition("\n# %%")[2], chapter.name, "exec"), {"__name__": "chapter"})
    note = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    asked = {used["artefact"] for used in note["artefacts"]}
    return {name for name in asked if KINDS[name.partition("/")[0]].stage != STAGES[-1]}


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_what_chapters_need_is_what_they_ask_for(dataset, tmp_path, monkeypatch, tiny_profile):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    monkeypatch.setenv("SALTRUST_PROGRESS", str(tmp_path / "log"))
    monkeypatch.setattr(SaliencyMaps, "compute", drawn)
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **how: Path(file).touch())
    monkeypatch.setitem(recipes.BRANCHING, "tiny", recipes.BRANCHING["smoke"])
    with tiny_profile(train=8, val=6, test=12, explained=3, cascaded=2):
        work = plan.of_book(dataset, "tiny")
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
    assert len(before.artefacts) == len(exact.artefacts)  # known before there is anything
