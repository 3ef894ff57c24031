"""pyproject.toml, requirements.lock and environment.yml name the same environment."""

import re
import tomllib
from importlib.metadata import metadata, packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
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


def test_the_lock_installs_on_the_first_release_of_the_oldest_python():
    oldest = re.search(r">=(\d+\.\d+)", PYPROJECT["requires-python"])[1] + ".0"
    asked = {name: metadata(name).get("Requires-Python") or "" for name in LOCKED}
    assert not {name: python for name, python in asked.items() if oldest not in SpecifierSet(python)}


def test_conda_users_get_the_lock_and_the_same_python():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    (by_pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert f"python{PYPROJECT['requires-python']}" in conda
    assert "--requirement requirements.lock" in by_pip
    assert "--editable ." in by_pip


COMMANDS = {"ipykernel", "jupyter-book", "snakemake", "snakemake-executor-plugin-slurm"}  # run, not imported


@pytest.mark.parametrize("wanted", PYPROJECT["dependencies"])
def test_every_dependency_is_used(wanted):
    name = canonicalize_name(Requirement(wanted).name)
    if name in COMMANDS:
        return
    modules = [module for module, owners in packages_distributions().items() if name in map(canonicalize_name, owners)]
    words = "|".join(map(re.escape, modules)) or name  # one that is not installed is asked for by its own name
    used = re.compile(rf"(?:\b(?:import|from) |\")(?:{words})\b")  # in quotes: what is imported when it is asked for
    folders = (PROJECT / "src", PROJECT / "notebooks", PROJECT / "book/_ext", PROJECT / "workflow")
    sources = [PROJECT / "Makefile", *(file for folder in folders for file in folder.rglob("*.py"))]
    assert any(used.search(file.read_text(encoding="utf-8")) for file in sources), f"nothing imports {modules or name}"


def test_every_place_names_the_same_version():
    version = PYPROJECT["version"]
    said = {
        "CITATION.cff": f"\nversion: {version}\n",
        "book/_config.yml": f"Version {version}.",
        "book/citing.md": f"version = {{{version}}}",
    }
    for file, words in said.items():
        assert words in (PROJECT / file).read_text(), file
    assert f"ET  - {version}\n" in (PROJECT / "book/citing.md").read_text()
