"""Write requirements.lock: every package that pip would install for this project and its tests, with its version."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = "# Every package of the environment, pinned; made from pyproject.toml by `make lock`.\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, ".[test]"], check=True)
        chosen = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    # A local version ("2.13.0+cpu") names one build of a release; the lock names the release.
    pins = {package["name"].lower().replace("_", "-"): package["version"].split("+")[0] for package in chosen}
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items()) if name != "saltrust"]
    Path("requirements.lock").write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
