"""The tables of hostile input: how many cases there are, and that each has a name of its own."""

import ast
import importlib
from pathlib import Path

LEAST = 600
FILES = sorted(file for file in Path(__file__).parent.glob("test_*.py") if file.name != Path(__file__).name)


def tables() -> dict[str, list[str]]:
    """The names of the cases in each file."""
    found = {}
    for file in FILES:
        module = importlib.import_module(f"tests.hostile.{file.stem}")
        found[file.name] = [*getattr(module, "CASES", {})]
    return found


def test_every_file_has_a_table_of_names():
    for file, names in tables().items():
        assert names, f"{file} has no CASES"
        assert all(isinstance(name, str) and name.strip() == name != "" for name in names), file


def test_no_name_is_written_twice():
    """A dict would keep the last of two entries without a word; so would a union of two tables."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                texts = (getattr(key, "value", None) for key in node.keys)
                keys = [text for text in texts if isinstance(text, str)]
                assert len(keys) == len({*keys}), f"{file.name}: a name comes twice in the dict of line {node.lineno}"


def test_there_are_enough():
    assert sum(map(len, tables().values())) >= LEAST
