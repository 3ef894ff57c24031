"""What a chapter notes of where its results come from."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.store import Store
from saltrust.chapters import page as page_module
from saltrust.chapters.page import Page
from saltrust.chapters.results_folder import OUT


@dataclass(frozen=True)
class Leaf(Artefact):
    kind: ClassVar[str] = "leaf"
    value: int

    def compute(self, get) -> int:
        return self.value

    def write(self, value, folder) -> None:
        (folder / "value.txt").write_text(str(value))

    def read(self, folder) -> int:
        return int((folder / "value.txt").read_text())


@dataclass(frozen=True)
class Sum(Leaf):
    """Of other specs. kept: whether it is stored, or put together anew each time."""

    kind: ClassVar[str] = "sum"
    value: tuple[Artefact, ...]
    kept: bool = True

    @property
    def transient(self) -> bool:
        return not self.kept

    def compute(self, get) -> int:
        return sum(get(part) for part in self.value)


def name(spec: Artefact) -> str:
    return f"{spec.kind}/{spec.digest}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A function that opens a page of a chapter, writing to a folder of its own."""
    context = pytest.MonkeyPatch()

    def make() -> Page:
        folder = tmp_path_factory.mktemp("out")
        context.setenv(OUT, str(folder))
        named = SimpleNamespace(name="any")
        return Page("localization", SimpleNamespace(store=Store(folder / "store"), profile=named, card=named))

    yield make
    context.undo()


def leave(page: Page, kind: str, name: str) -> None:
    if kind == "figure":
        page.figure(plt.figure(figsize=(1, 1)), name, "what", "what")
    elif kind == "table":
        page.table(pd.DataFrame({"a": [1]}), name, "what")
    else:
        page.quote(**{name: 1.0})


def origin(page: Page, kind: str, name: str) -> dict:
    if kind == "number":
        return json.loads((page.results.folder / "provenance.json").read_text())["numbers"][name]
    return json.loads((page.results.folder / f"{kind}s/{name}.json").read_text())


LEAVES = [Leaf(value) for value in range(3)]
SPECS = [*LEAVES, Sum((LEAVES[0], LEAVES[1])), Sum((LEAVES[2],), kept=False), Sum((Sum((LEAVES[1],), kept=False),))]
STEPS = st.lists(st.sampled_from([*SPECS, "table", "number"]), max_size=12)


@settings(max_examples=25)
@given(STEPS)
def test_what_a_result_is_made_from_is_among_the_first_artefacts(page, steps):
    page = page()
    page.quote(none=0)
    asked, expected = [], {"none": []}
    for i, step in enumerate(steps):
        if isinstance(step, Artefact):
            page.study.store.get(step)
            asked += [step, *step.upstream(), *(leaf for up in step.upstream() for leaf in up.upstream())]
        else:
            leave(page, step, f"{step}_{i}")
            expected[f"{step}_{i}"] = {name(spec) for spec in asked if not spec.transient}
    page.close()
    listed = [
        used["artefact"] for used in json.loads((page.results.folder / "provenance.json").read_text())["artefacts"]
    ]
    assert len(listed) == len(set(listed))
    for result, made_from in expected.items():
        kind = "table" if result.startswith("table") else "number"
        assert set(listed[: origin(page, kind, result)["artefacts"]]) == set(made_from)


def test_a_figure_says_in_which_cell_it_was_made(page, monkeypatch):
    page = page()
    page.study.store.get(LEAVES[0])
    monkeypatch.setattr(page_module, "get_ipython", lambda: SimpleNamespace(execution_count=7))
    monkeypatch.setattr(page_module, "display", lambda *bundle, **options: None)
    leave(page, "figure", "boxes")
    monkeypatch.setattr(page_module, "get_ipython", lambda: None)
    leave(page, "figure", "later")
    assert {key: origin(page, "figure", "boxes")[key] for key in ("cell", "artefacts")} == {"cell": 7, "artefacts": 1}
    assert origin(page, "figure", "later")["cell"] is None
