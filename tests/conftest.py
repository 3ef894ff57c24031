"""What all tests share."""

import os

import pytest
from hypothesis import settings

# Time says something about the machine, not about the property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _own_environment():
    """Tests do not see the settings of a chapter or a user that happen to be in the environment."""
    for name in [name for name in os.environ if name.startswith("SALTRUST_") and name != "SALTRUST_BOOK"]:
        del os.environ[name]
