"""Specs: the digest changes with everything that can change a result, and with nothing else."""

import ast
import importlib
import shutil
import sys
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from saltrust.artefacts import KINDS, STAGES, fingerprint
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.fingerprint import code_digest, normalized
from saltrust.core.errors import SaltrustError


@dataclass(frozen=True)
class Number(Artefact):
    kind: ClassVar[str] = "number"
    value: float = 1.0
    parts: tuple[int, ...] = ()

    def compute(self, get):
        return self.value


@dataclass(frozen=True)
class Sum(Artefact):
    kind: ClassVar[str] = "sum"
    left: Number = Number()
    right: Number = Number()


def test_equal_specs_share_a_digest_and_every_field_counts():
    assert Number(2.0, (1, 2)).digest == Number(2.0, (1, 2)).digest
    assert len({Number().digest, Number(2.0).digest, Number(parts=(1,)).digest, Sum().digest}) == 4


def test_an_upstream_spec_counts_by_its_digest():
    base = Sum()
    assert replace(base, left=Number(3.0)).digest != base.digest
    assert [spec.value for spec in Sum(Number(1.0), Number(2.0)).upstream()] == [1.0, 2.0]


def test_fields_must_be_plain_data():
    with pytest.raises(TypeError, match="plain data, not object"):
        _ = Number(value=object()).digest


MODULE = '''
"""Docstring."""
from dataclasses import dataclass
from typing import ClassVar
from saltrust.artefacts.artefact import Artefact


def helper(x):
    """What it does."""
    return x + 1  # a comment


def unused(x):
    return x


def shown():
    return "made"


@dataclass(frozen=True)
class Made(Artefact):
    description: ClassVar[str] = "what is made"

    def title(self):
        return shown()

    def compute(self, get):
        return helper(1)
'''


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """Digest of the spec `Made` in a module with the given source."""
    monkeypatch.syspath_prepend(tmp_path)
    made = 0

    def digest(source: str) -> str:
        nonlocal made
        made += 1
        name = f"scratch_module_{made}"
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        try:
            return module.Made().digest
        finally:
            del sys.modules[name], KINDS["made"]

    return digest


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("# a comment", "# another one", True),
        ("What it does.", "What it really does.", True),
        ("return x + 1", "return (x  +  1)", True),
        ("return x\n", "return x * 2\n", True),  # in a function that the spec does not call
        ('"what is made"', '"what was made"', True),
        ('return "made"', 'return "made anew"', True),  # what it is called
        ("return x + 1", "return x + 2", False),
        ("return helper(1)", "return helper(2)", False),
    ],
)
def test_code_counts_but_its_comments_and_the_code_beside_it_do_not(digest_of, old, new, same):
    assert (digest_of(MODULE) == digest_of(MODULE.replace(old, new))) is same


def test_modules_imported_inside_a_method_count_transitively():
    from saltrust.artefacts.networks import Classifier
    from saltrust.artefacts.scores import LocalizationScores

    def reached(cls):
        trees = [fingerprint._tree_of(thing) for thing in fingerprint._own_definitions(cls)]
        names = set().union(*(fingerprint._imports(tree, cls.__module__) for tree in trees))
        return fingerprint._closure(frozenset(names))

    assert {"saltrust.models.training", "saltrust.models.classifiers", "saltrust.models.torchvision_compat"} <= reached(
        Classifier
    )
    assert "saltrust.scores.auprc" in reached(LocalizationScores)
    assert "saltrust.core.progress" not in reached(Classifier)


def test_every_kind_says_what_it_is_and_where_it_lies():
    assert all(kind == thing.kind and thing.description and thing.stage in STAGES for kind, thing in KINDS.items())
    assert KINDS["saliency_maps"].__name__ == "SaliencyMaps"
    stages = [STAGES.index(thing.stage) for thing in KINDS.values()]
    assert stages[0] == 0
    assert stages[-1] == len(STAGES) - 1


def test_relative_imports_are_refused():
    with pytest.raises(ValueError, match="relative import"):
        fingerprint._imports(ast.parse("from . import x"), "somewhere")


def test_normalized_code_drops_docstrings_only():
    assert normalized(ast.parse('def f():\n    """Doc."""\n    return "text"')) == "def f():\n    return 'text'"


def test_code_that_changed_since_the_process_began_gives_no_name(tmp_path, monkeypatch):
    """Its digest would be that of the file, and what it computes that of what was loaded before."""
    from saltrust.artefacts.scores import LocalizationScores
    from saltrust.scores import auprc

    changed = tmp_path / "auprc.py"
    shutil.copy2(auprc.__file__, changed)  # as old as the original
    code_digest.cache_clear()
    source_of = fingerprint._source_of
    monkeypatch.setattr(fingerprint, "_source_of", lambda name: changed if name == auprc.__name__ else source_of(name))
    with pytest.raises(SaltrustError, match=r"auprc\.py has changed since this process began"):
        code_digest(LocalizationScores)
    monkeypatch.setattr(fingerprint, "STARTED", time.time() + 1)
    assert len(code_digest(LocalizationScores)) == 64
