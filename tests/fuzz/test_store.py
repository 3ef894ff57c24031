"""A store with changed bytes: the right value comes out, and looking after it never fails."""

import json
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust.artefacts import maintenance
from saltrust.artefacts.artefact import ArrayArtefact
from saltrust.artefacts.sidecar import SIDECAR
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.publishing import provenance
from tests.fuzz import guard
from tests.fuzz.mutations import applied, changed, edits, tree_changes


@dataclass(frozen=True)
class FuzzedSquares(ArrayArtefact):
    """The squares of the first whole numbers."""

    kind: ClassVar[str] = "fuzzed_squares"  # not in the registry of kinds
    n: int

    def compute(self, get):
        return np.arange(self.n) ** 2


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of one artefact."""
    root = tmp_path_factory.mktemp("store")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Store(root).get(FuzzedSquares(5))
    return root


ARTEFACT = FuzzedSquares(5)


def _looked_after(root: Path) -> None:
    """Everything that `saltrust store` and the page of provenance do with a store."""
    found = list(maintenance.stored(root))
    list(maintenance.damaged(found))
    maintenance.listing(found)
    maintenance.unneeded(found, root, lambda: [])
    maintenance.leftovers(root, timedelta(0))
    traced, _ = provenance._stored([ARTEFACT.path], root)
    provenance.by_kind(traced.values())
    provenance.versions(one.environment for one in traced.values())


def _check(root: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guard.attempt(lambda: _looked_after(root), root)
        value = guard.attempt(lambda: Store(root).get(ARTEFACT), root)
    if isinstance(value, SaltrustError):  # a folder in the place of a file: nobody can say whether it is whole
        assert "nothing is deleted" in str(value)
        return
    np.testing.assert_array_equal(value, np.arange(5) ** 2)
    assert not any(path.name.endswith("-gone") for path in root.rglob("*"))


@guard.fuzzed(30)
@given(data=st.data())
def test_a_changed_file_is_noticed(filled, data):
    name = data.draw(st.sampled_from((SIDECAR, "array.npy")))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = shutil.copytree(filled, Path(folder, "store"))
        file = root / ARTEFACT.path / name
        file.write_bytes(applied(file.read_bytes(), data.draw(edits(name))))
        _check(root)


@guard.fuzzed(40)
@given(changes=tree_changes)
def test_a_sidecar_that_says_otherwise_is_noticed(filled, changes):
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = shutil.copytree(filled, Path(folder, "store"))
        file = root / ARTEFACT.path / SIDECAR
        try:
            file.write_text(json.dumps(changed(json.loads(file.read_text()), changes)), encoding="utf-8")
        except ValueError:  # a number too long for JSON's writer
            return
        _check(root)


@guard.fuzzed(20)
@given(
    what=st.sampled_from(("gone", "empty", "a folder", "a link", "another file", "hidden")),
    name=st.sampled_from((SIDECAR, "array.npy")),
)
def test_files_that_are_no_files(filled, what, name):
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = shutil.copytree(filled, Path(folder, "store"))
        file = root / ARTEFACT.path / name
        if what == "another file":
            file.with_name("more.npy").write_bytes(b"x")
        elif what == "hidden":
            file.with_name(".nfs0001").write_bytes(b"x")
        else:
            file.unlink()
            if what == "empty":
                file.touch()
            elif what == "a folder":
                file.mkdir()
            elif what == "a link":
                file.symlink_to("/nowhere")
        _check(root)
