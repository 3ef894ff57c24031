"""Sidecars and files of a store that are not as it wrote them: the value is computed again, and the store still listed,
verified, collected and traced."""

import json
import shutil
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from saltrust.artefacts import maintenance
from saltrust.artefacts.artefact import ArrayArtefact
from saltrust.artefacts.sidecar import FIELDS, SIDECAR, StorageError
from saltrust.artefacts.store import Store
from saltrust.publishing import provenance


@dataclass(frozen=True)
class Doubles(ArrayArtefact):
    """The even numbers."""

    kind: ClassVar[str] = "doubles"  # not in the registry of kinds
    n: int

    def compute(self, get):
        return np.arange(self.n) * 2


ARTEFACT = Doubles(4)

VALUES = {
    "null": "null",
    "a number": "7",
    "a text": '"x"',
    "a list": "[1]",
    "a list of objects": "[{}]",
    "an object of lists": '{"a": []}',
    "NaN": "NaN",
    "a number of 400 digits": "9" * 400,
}
TEXTS = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "a number": b"5",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "nested 100,000 times": b"[" * 100_000,
    "a number of 5,000 digits": b'{"seconds": ' + b"9" * 5000 + b"}",
    "the same key twice": b'{"made": 1, "made": 2}',
    "a time without a zone": b'{"made": "2026-01-01T00:00:00", "seconds": 1, "upstream": []}',
}


def _field(name, text):
    def change(folder):
        note = json.loads((folder / SIDECAR).read_text())
        note[name] = "HERE"
        (folder / SIDECAR).write_text(json.dumps(note).replace('"HERE"', text))

    return change


def _without(name):
    def change(folder):
        note = json.loads((folder / SIDECAR).read_text())
        del note[name]
        (folder / SIDECAR).write_text(json.dumps(note))

    return change


def _text(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def _without_its_seal(folder):
    """As if an older version had written it, with a time of no zone."""
    note = json.loads((folder / SIDECAR).read_text())
    del note["checksum"]
    (folder / SIDECAR).write_text(json.dumps(note | {"made": "2026-01-01T00:00:00"}))


def _in_place(name, make):
    def change(folder):
        (folder / name).unlink()
        make(folder / name)

    return change


ALL = sorted({*FIELDS, "checksum"})
CASES = {f"{name} of a sidecar is {what}": _field(name, text) for name in ALL for what, text in VALUES.items()}
CASES |= {f"a sidecar lacks {name}": _without(name) for name in ALL}
CASES |= {f"a sidecar is {what}": _text(SIDECAR, content) for what, content in TEXTS.items()}
CASES |= {f"an array's file is {what}": _text("array.npy", TEXTS[what]) for what in ("empty", "null", "not UTF-8")}
CASES |= {
    "a sidecar without a seal": _without_its_seal,
    "no sidecar": lambda folder: (folder / SIDECAR).unlink(),
    "no array": lambda folder: (folder / "array.npy").unlink(),
    "an array that would run code": lambda folder: np.save(folder / "array.npy", np.array([print]), allow_pickle=True),
    "an array of another length": lambda folder: np.save(folder / "array.npy", np.arange(3)),
    "a file too many": lambda folder: (folder / "more.npy").write_bytes(b"x"),
    "a folder too many": lambda folder: (folder / "sub").mkdir() or (folder / "sub" / "x").write_bytes(b"x"),
    "a dangling link for a sidecar": _in_place(SIDECAR, lambda file: file.symlink_to("/nowhere")),
    "a dangling link for an array": _in_place("array.npy", lambda file: file.symlink_to("/nowhere")),
    "a link to itself for an array": _in_place("array.npy", lambda file: file.symlink_to(file)),
    "a folder for a sidecar": _in_place(SIDECAR, Path.mkdir),
    "a folder for an array": _in_place("array.npy", Path.mkdir),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of one artefact."""
    root = tmp_path_factory.mktemp("store")
    Store(root).get(ARTEFACT)
    return root


def _looked_after(root):
    found = list(maintenance.stored(root))
    list(maintenance.damaged(found))
    maintenance.listing(found)
    maintenance.unneeded(found, root, lambda: [])
    maintenance.leftovers(root, timedelta(0))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_value_is_right_and_the_store_can_be_looked_after(filled, tmp_path, case):
    root = shutil.copytree(filled, tmp_path / "store")
    case(root / ARTEFACT.path)
    traced, gone = provenance._stored([ARTEFACT.path], root)
    provenance.by_kind(traced.values())
    provenance.versions(one.environment for one in traced.values())
    assert len(traced) + len(gone) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which tell what is damaged
        try:
            _looked_after(root)
            value, told = Store(root).get(ARTEFACT), ""
        except StorageError as error:
            value, told = None, str(error)
    if told:  # what cannot be read may be whole: a folder or a circle of links says neither
        assert "nothing is deleted" in told
        assert not (root / ARTEFACT.path / SIDECAR).is_file() or not (root / ARTEFACT.path / "array.npy").is_file()
        return
    np.testing.assert_array_equal(value, np.arange(4) * 2)
