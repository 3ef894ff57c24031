"""Answers of a study with people: files that are read, checked and, for whatever is wrong with them, named.

Nothing is lost silently. A file counts, or one line says why it does not.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from saltrust.core import user_files
from saltrust.core.errors import SaltrustError
from saltrust.core.visible import visible

ANSWERS, KEY = "saltrust quiz answers 1", "saltrust quiz key 1"  # formats of the files
ARMS = ("neither", "scores", "maps", "both")
COLUMNS = (
    *("participant", "arm", "assigned", "trial", "task", "class", "kind", "recognised", "said", "right"),
    *("confidence", "features", "named", "local", "telling", "missed", "seconds", "file"),
)
MOST = 999_999  # the largest number of a participant


@dataclass(frozen=True)
class Key:
    """What is right. tasks: by id, their class, kind, recognised, and features; features: by id, name and local."""

    version: str
    origin: str
    classroom: bool
    tasks: Mapping[str, Mapping[str, Any]]
    features: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answers:
    """What was read.

    Attributes:
        table: a row for each answer, with COLUMNS. recognised: whether the network says the class; said: whether the
            participant thought so. named: how many features were named, of which local are parts of the image and
            telling are true of the class; missed: true ones that were not named.
        notes: a line for each file that does not count, or counts otherwise than it stands.
        participants: those with at least one answer.
        stopped: those of them who stopped before the end.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    participants: int
    stopped: int


def checksum(content: Any) -> int:
    """FNV-1a of 32 bits over the content as compact JSON, as the page computes it. It finds what was changed by
    accident or with an editor; it is no signature.

    >>> checksum({})
    1415952421
    """
    value = 0x811C9DC5
    for letter in json.dumps(content, separators=(",", ":"), ensure_ascii=False):
        value = ((value ^ ord(letter)) * 0x01000193) & 0xFFFFFFFF
    return value


def read_key(file: Path) -> Key:
    """A key that `saltrust quiz make` wrote. Raises SaltrustError for anything else."""
    content = user_files.read_json(user_files.opened(file, "key"))
    if not isinstance(content, dict) or content.get("format") != KEY:
        raise SaltrustError(f"{file}: no key of a quiz; `saltrust quiz make` writes it beside the page")
    if content.pop("check", None) != checksum(content):
        raise SaltrustError(f"{file}: the key was edited or damaged after it was written")
    return Key(*(content[name] for name in ("version", "origin", "classroom", "tasks", "features")))


def read_answers(key: Key, files: Sequence[Path]) -> Answers:
    """Read the files that participants saved.

    A file that cannot be read, is of another version of the page, or was edited is left out. Two files of one number
    count once where one goes on from the other, and not at all where they contradict each other: then nobody can say
    which of them is the first participant's.

    Args:
        key: of the page.
        files: in any order.

    Returns:
        The answers; no row where no file has one that counts.
    """
    notes: list[str] = []
    found: dict[int, list[tuple[Path, dict]]] = {}
    for file in dict.fromkeys(files):
        try:
            content = _checked(key, user_files.read_json(user_files.opened(file, "answers")))
        except SaltrustError as error:
            notes.append(f"{file.name} is left out: {str(error).removeprefix(visible(f'{file}: '))}")
        else:
            found.setdefault(content["number"], []).append((file, content))
    counted = [one for own in found.values() if (one := _one_of(own, notes))]
    stopped = 0
    for file, content in counted:
        if len(content["answers"]) < len(content["order"]):
            given, all_of = len(content["answers"]), len(content["order"])
            counts = "; these count" if given else ", and is not counted as a participant"
            notes.append(f"{file.name}: participant {content['number']} stopped after {given} of {all_of}{counts}")
            stopped += given > 0
    rows = [row for file, content in counted for row in _rows(key, file.name, content)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Answers(table, tuple(map(visible, notes)), table["participant"].nunique(), stopped)


# --- one file ---------------------------------------------------------------------------------------------------------


def _checked(key: Key, content: Any) -> dict[str, Any]:
    """The content of a file. Raises SaltrustError for what the page does not write."""
    if not isinstance(content, dict) or content.get("format") != ANSWERS:
        raise SaltrustError("it holds no answers of such a page")
    if content.get("version") != key.version:
        version = content.get("version")
        shown = version[:8] if isinstance(version, str) and re.fullmatch("[0-9a-f]{64}", version) else "none"
        raise SaltrustError(f"its answers are of another page: version {shown}, and the key's is {key.version[:8]}")
    body = {name: value for name, value in content.items() if name != "check"}
    if content.get("check") != checksum(body):
        raise SaltrustError("it was edited or damaged after it was saved")
    for name, (holds, allowed) in _FIELDS.items():
        if name not in body or not holds(body[name]):
            raise SaltrustError(f"its field '{name}' must be {allowed}")
    order, answers = body["order"], body["answers"]
    if sorted(map(str, order)) != sorted(key.tasks) or [*map(str, order)] != order:
        raise SaltrustError("its field 'order' must be all tasks of the page, each once")
    for place, answer in enumerate(answers):
        if place >= len(order) or not _is_answer(key, answer, order[place]):
            raise SaltrustError(f"its answer {place + 1} is none that the page can give")
    if body["complete"] is not (len(answers) == len(order)):
        raise SaltrustError(f"it has {len(answers)} of {len(order)} answers, and 'complete' says otherwise")
    return body


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "number": (lambda value: _whole(value, 1, MOST), f"a number from 1 to {MOST}"),
    "arm": (lambda value: isinstance(value, str) and value in ARMS, f"one of {', '.join(ARMS)}"),
    "assigned": (lambda value: value in ("address", "number"), "address or number"),
    "order": (lambda value: isinstance(value, list), "a list"),
    "answers": (lambda value: isinstance(value, list), "a list"),
    "complete": (lambda value: isinstance(value, bool), "true or false"),
}


def _is_answer(key: Key, answer: Any, task: str) -> bool:
    if not isinstance(answer, dict) or answer.get("task") != task:
        return False
    named = answer.get("features")
    return (
        isinstance(answer.get("recognised"), bool)
        and _whole(answer.get("confidence"), 1, 4)
        and _whole(answer.get("seconds"), 0, 10**7)
        and isinstance(named, list)
        and all(isinstance(name, str) and name in key.features for name in named)
        and len(set(named)) == len(named)
    )


def _one_of(own: list[tuple[Path, dict]], notes: list[str]) -> tuple[Path, dict] | None:
    """The file that counts of those of one participant: the longest, where the others are its beginning."""
    longest = max(own, key=lambda one: len(one[1]["answers"]))
    names = ", ".join(file.name for file, _ in own)
    number = longest[1]["number"]
    for _, content in own:
        same = all(content[name] == longest[1][name] for name in ("arm", "order"))
        if not same or content["answers"] != longest[1]["answers"][: len(content["answers"])]:
            notes.append(f"{names} are left out: they are of one number, {number}, and contradict each other")
            return None
    if len(own) > 1:
        notes.append(f"{names} are of one participant, {number}, and count once: as {longest[0].name}")
    return longest


def _rows(key: Key, file: str, content: Mapping[str, Any]) -> list[tuple]:
    rows = []
    for trial, answer in enumerate(content["answers"], 1):
        task, named = key.tasks[answer["task"]], answer["features"]
        true = [name for name in named if name in task["features"]]
        rows.append(
            (
                *(content["number"], content["arm"], content["assigned"], trial, answer["task"]),
                *(task["class"], task["kind"], task["recognised"], answer["recognised"]),
                answer["recognised"] == task["recognised"],
                answer["confidence"],
                " ".join(key.features[name]["name"] for name in named),
                len(named),
                sum(key.features[name]["local"] for name in named),
                len(true),
                len(task["features"]) - len(true),
                answer["seconds"],
                file,
            )
        )
    return rows
