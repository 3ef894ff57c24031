"""A wheel brings all that the commands need; they work from an empty folder, where the results then are."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from saltrust import chapters
from saltrust.core import data_cards, paths


def pip(*words: str | Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", words[0], *options, *words[1:]], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, paths.PROJECT)
    (file,) = folder.glob("saltrust-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run Python with the installed package, from a folder that was empty; returns what it prints, and the folder."""
    site, here = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("here")
    pip("install", "--target", site, wheel)

    def python(*words: str) -> tuple[str, Path]:
        environment = os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *words], cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, here

    return python


def test_it_holds_what_a_clone_has_and_nothing_that_was_made_there(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    project = "saltrust/project"
    brought = {name.removeprefix(f"{project}/") for name in names if name.startswith(project)}
    assert {f"notebooks/{name}.py" for name in chapters.NAMES} <= brought
    assert {f"data_cards/{name}.yaml" for name in data_cards.names()} <= brought
    toc = yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(one["file"] for part in toc["parts"] for one in part["chapters"])]
    assert {f"book/{page}.md" for page in pages} <= brought
    assert {"book/_config.yml", "book/_ext/computed.py", "book/_static/saltrust.css", "book/claims.yaml"} <= brought
    assert {"benchmarks/measured/benchmarks_full.json", "workflow/Snakefile", "CITATION.cff"} <= brought
    assert not [name for name in brought if "evidence/" in name or "_build/" in name or name.endswith(".ipynb")]
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"saltrust"}


def test_the_lists_need_nothing_but_the_package(installed):
    listed, here = installed("-m", "saltrust", "datasets")
    assert f"expected in {here / 'data' / 'mura'}" in listed
    listed, _ = installed("-m", "saltrust", "chapters")
    assert all(f"\n{name} " in listed for name in chapters.NAMES)


PACK = """
from pathlib import Path
from saltrust.publishing import assemble, ro_crate
print(assemble.assemble("smoke"))
print(ro_crate.write("smoke", Path("crate")))
"""


def test_a_chapter_runs_and_becomes_a_page_and_a_crate(installed):
    executed, here = installed("-m", "saltrust", "publish", "dataset", "--profile", "smoke")
    results = here / "results" / "smoke" / "phantom-pneumothorax"
    assert executed.strip() == str(results / "notebooks" / "dataset.ipynb")
    note = json.loads((results / "provenance" / "dataset.json").read_text())
    assert note["environment"]["commit"] == "not a git checkout"

    packed, _ = installed("-c", PACK)
    build = here / "results" / "book"
    assert packed.split() == [str(build / "evidence" / "_toc.yml"), "crate"]
    assert (build / "_config.yml").is_file()
    assert (build / "evidence" / "phantom-pneumothorax" / "dataset.md").is_file()
    crate = here / "crate"
    assert {"README.md", "LICENSE", "CITATION.cff", "pyproject.toml", "workflow", "notebooks"} <= {
        file.name for file in crate.iterdir()
    }
    assert (crate / "src" / "saltrust" / "cli" / "run.py").is_file()
    assert not (crate / "src" / "saltrust" / "project").exists()
    assert {file.name for file in here.iterdir()} == {"results", "crate"}
