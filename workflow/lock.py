"""Write requirements.lock: every package that pip would install for this project and its tests, with its version."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

HEADER = "# Every package of the environment, pinned; made from pyproject.toml by `make lock`.\n"


def main() -> None:
    # A local version ("2.13.0+cpu") names one build of a release; the lock names the release.
    pins = {one["name"].lower().replace("_", "-"): one["version"].split("+")[0] for one in for_python(oldest_python())}
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items()) if name != "saltrust"]
    Path("requirements.lock").write_text(HEADER + "".join(lines))


def oldest_python() -> str:
    """The first release of the oldest Python that the project allows: a pin must do for it, too."""
    allowed = tomllib.loads(Path("pyproject.toml").read_text())["project"]["requires-python"]
    return re.search(r">=\s*(\d+\.\d+)", allowed)[1] + ".0"


def for_python(version: str) -> list[dict]:
    """The metadata of the newest packages that this version of Python can have, too."""
    limits: list[str] = []
    while True:
        packages = chosen(limits)
        newer = [one for one in packages if version not in SpecifierSet(one.get("requires_python") or "")]
        if not newer:
            return packages
        limits += [f"{one['name']}<{one['version']}" for one in newer]


def chosen(limits: list[str]) -> list[dict]:
    """The metadata of what pip would install on this Python within further limits."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, ".[test]", *limits], check=True)
        return [item["metadata"] for item in json.loads(report.read_text())["install"]]


if __name__ == "__main__":
    main()
