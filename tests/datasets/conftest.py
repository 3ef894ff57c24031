"""What the tests of the published data sets share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """A copy of the module's files (its fixture `original`) that a test may change."""
    return shutil.copytree(original, tmp_path / "copy")
