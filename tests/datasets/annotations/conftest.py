"""Pictures for every format of annotations."""

import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    """Pictures of 40 x 20 pixels: a, b, c."""
    (tmp_path / "images").mkdir()
    for name in "abc":
        Image.new("L", (40, 20)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path
