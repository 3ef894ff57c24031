"""pyproject.toml, requirements.lock and environment.yml name the same environment."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from saltrust.core.paths import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(text) for text in PYPROJECT["dependencies"] + PYPROJECT["optional-dependencies"]["test"]]
LOCKED = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_the_lock_pins_what_pyproject_wants(wanted):
    name = canonicalize_name(wanted.name)
    assert name in LOCKED, f"{wanted} is not in requirements.lock: run `make lock`"
    assert wanted.specifier.contains(LOCKED[name]), f"{name}=={LOCKED[name]} is not {wanted}: run `make lock`"


def test_the_lock_holds_only_pins():
    lines = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(LOCKED)


def test_conda_users_get_the_lock_and_the_same_python():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    (by_pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert f"python{PYPROJECT['requires-python']}" in conda
    assert "--requirement requirements.lock" in by_pip
    assert "--editable ." in by_pip
