"""What executed chapters left in a folder: notes of their figures and tables, and the numbers that they quote.

The folder is that of a run, with one chapter in it, or that of a data set's published results, with all of them.
"""

import json
from pathlib import Path
from typing import Any, Literal


def read_json(file: Path) -> dict[str, Any]:
    """What a file of JSON holds; nothing where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def notes(folder: Path, kind: Literal["figures", "tables"], chapter: str) -> dict[Path, dict[str, Any]]:
    """What a chapter noted of its figures or tables, by the file of each note."""
    found = {file: read_json(file) for file in sorted((folder / kind).glob("*.json"))}
    return {file: note for file, note in found.items() if note["chapter"] == chapter}


def numbers(folder: Path, chapter: str) -> dict[str, Any]:
    """The numbers that a chapter quotes, by "<chapter>/<name>"."""
    found = read_json(folder / "numbers.json")
    return {name: value for name, value in found.items() if name.startswith(f"{chapter}/")}
