"""Folders of results with changed notes, tables, numbers and provenance: compared, tabulated, traced and assembled, or
refused."""

import contextlib
import io
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust import chapters
from saltrust.chapters import results_folder
from saltrust.cli import compare as terminal
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.publishing import compare, myst, provenance, sweep
from tests.fuzz import guard
from tests.fuzz.mutations import applied, edits
from tests.publishing import test_assemble, test_compare

executed = test_assemble.executed
folders = test_assemble.folders
results = test_compare.results


@pytest.fixture
def runs(results, tmp_path):
    """Two runs with every kind of table, and what the book shows; the folder of all."""
    for name, shift in (("a", 0.0), ("b", 0.1)):
        folder = results(name, shift)
        for table in ("verdicts", "claims", "models"):
            chapter, text = test_compare.TABLES[table]
            test_compare.leave_table(folder, table, text, test_compare.keys(chapter)[table])
    results("published", published=True)
    return tmp_path


@contextlib.contextmanager
def _changed(root, monkeypatch, data, places=("",)):
    """A copy of the results in which one file is changed, in the place of the results."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        copy = Path(shutil.copytree(root, Path(folder, "results")))
        files = sorted(
            str(path.relative_to(copy)) for place in places for path in (copy / place).rglob("*") if path.is_file()
        )
        name = data.draw(st.sampled_from(files))
        (copy / name).write_bytes(applied((copy / name).read_bytes(), data.draw(edits(name))))
        with monkeypatch.context() as patch:
            patch.setattr(paths, "RESULTS", copy)
            patch.setattr(paths, "RUNS", copy / "runs")
            yield copy


def _compared(first, second):
    found = compare.compare(compare.find(first, other=second), compare.find(second, other=first))
    with contextlib.redirect_stdout(io.StringIO()):
        terminal.show(found)
    return compare.page(found, paths.RUNS)


@pytest.mark.parametrize("second", ["b", "published", "a"])
@guard.fuzzed(40)
@given(data=st.data())
def test_changed_runs_are_compared_or_refused(runs, monkeypatch, second, data):
    with _changed(runs, monkeypatch, data) as root:
        page = guard.attempt(lambda: _compared("a", second))
        assert isinstance(page, SaltrustError) or "Parameters that differ" in page
        guard.attempt(lambda: list(results_folder.artefacts_named(root)))


@guard.fuzzed(30)
@given(data=st.data())
def test_changed_runs_are_tabulated_or_refused(runs, monkeypatch, data):
    with _changed(runs, monkeypatch, data) as root:
        chapter = chapters.load("localization")
        two = [root / "runs" / "localization" / name for name in "ab"]
        page = guard.attempt(lambda: sweep.tabulate(chapter, two), root)
        if isinstance(page, SaltrustError):
            assert not list(root.rglob("sweep*"))


def _assembled(card):
    pages = [myst.page(card, "dataset", "smoke"), myst.overview(card, "smoke")]
    found = provenance.read(card, "smoke")
    json.dumps(provenance.document(found))
    for name in ("dataset/truth", "dataset/n"):
        with contextlib.suppress(SaltrustError):
            for one, made in provenance.trace(found, name):
                pages.append(provenance.to_text(found, one, made))
    return pages


@guard.fuzzed(60)
@given(data=st.data())
def test_changed_publications_become_pages_or_are_refused(executed, folders, monkeypatch, data):
    (executed / "figures" / "truth.json").write_text(
        json.dumps({"name": "truth", "chapter": "dataset", "caption": "c", "alt": "a"})
    )
    (executed / "figures" / "truth.png").write_bytes(test_compare.PNG)
    (executed / "tables" / "counts.json").write_text(json.dumps({"name": "counts", "chapter": "dataset", "rows": 1}))
    (executed / "tables" / "counts.csv").write_text("a,b\n1,2\n")
    (executed / "numbers.json").write_text('{"dataset/n": 5}')
    with _changed(folders / "results", monkeypatch, data):
        card = data_cards.load("phantom-pneumothorax")
        guard.attempt(lambda: _assembled(card))
