"""Where things lie: beside the package in a clone, inside it in an installed one, and elsewhere on demand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saltrust.core import paths

ASK = "from saltrust.core import paths as p; print(p.PROJECT, p.RESULTS, p.BUILD, p.INSTALLED, sep='\\n')"


@pytest.fixture
def asked(tmp_path):
    """What a copy of the package answers from an empty folder; `brought`: with what a wheel brings along."""

    def ask(brought: bool, **environment: str) -> list[str]:
        core = tmp_path / "site" / "saltrust" / "core"
        core.mkdir(parents=True)
        for file in ("__init__.py", "core/__init__.py", "core/paths.py"):
            shutil.copy(paths.PACKAGE / file, core.parent / file)
        if brought:
            (core.parent / "project").mkdir()
        (tmp_path / "here").mkdir()
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")} | environment
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=tmp_path / "here", env=environment,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    return ask


def test_an_installed_package_holds_the_project_and_its_results_go_to_the_working_folder(asked, tmp_path):
    project, results = tmp_path / "site" / "saltrust" / "project", tmp_path / "here" / "results"
    assert asked(brought=True) == [str(project), str(results), str(results / "book"), "True"]


def test_a_clone_keeps_all_in_its_own_folder(asked, tmp_path):
    assert asked(brought=False) == [str(tmp_path), str(tmp_path / "results"), str(tmp_path / "book"), "False"]


def test_a_place_that_is_moved_counts_from_the_working_folder(asked, tmp_path):
    moved = asked(brought=True, SALTRUST_PROJECT="clone", SALTRUST_RESULTS="../out")
    assert [Path(place) for place in moved[:3]] == [
        tmp_path / "here" / "clone",
        tmp_path / "here" / ".." / "out",
        tmp_path / "here" / "clone" / "book",
    ]
