"""Changes to real files, drawn by hypothesis so that a case that fails shrinks to the few bytes that matter."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

WORDS = (
    *(
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "-1",
        "0",
        "-0.0",
        "1e309",
        "-1e308",
        "5e-324",
        "1_000",
        "0x10",
        "1.",
        "1e3",
    ),
    *("9" * 30, "9" * 5000, "2147483648", "18446744073709551616", "١٢", "½", "true", "null", "None", "~", "[]", "{}"),
    *(
        "\0",
        "\r",
        "\n",
        "\t",
        "\x1b[31m",
        "\u2028",
        "\u202e",
        "\ufeff",
        "💥",
        "é" * 300,
        "a" * 300,
        "%s",
        "{0}",
        "$HOME",
    ),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "../" * 12 + "etc/passwd",
        "file:///etc/passwd",
        "~nosuchuser/x",
        ".",
        "..",
        "/",
    ),
    *(
        "<script>alert(1)</script>",
        "&lol;",
        "<!DOCTYPE a>",
        "```",
        "{include} /etc/passwd",
        "$x^2$",
        "'",
        '"',
        "\\",
        "#",
    ),
    *("&a [*a]", "*a", "!!python/object/apply:os.system [id]", "!!binary x", "2001-13-41", "? a", "- -", "=1+1", "@"),
)
"""What readers stumble over, as text."""

VALUES = (
    *(None, True, False, 0, -1, 1, 2**63, 10**400, 0.5, -0.0, 1e309, float("nan"), [], {}, [[]], [None], {"": None}),
    *WORDS,
)
"""The same as nodes of JSON or YAML; some cannot be written by every writer."""

BYTES = (
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\x80",
    b"\x7f\xff\xff\xff",
    b"PK\x05\x06",
    b"\xff\xd9",
)

TOKEN = re.compile(rb"[^\s,;:<>\"{}\[\]()=|/]+")

# A place in a file: from its start, from its end, or at a share of it.
_places = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 300)),
    st.tuples(st.just("end"), st.integers(0, 300)),
    st.tuples(st.just("share"), st.integers(0, 999)),
)
_words = st.sampled_from(WORDS).map(lambda word: word.encode("utf-8", "surrogatepass"))
_inserted = st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(BYTES), _words)


_lengths = st.integers(1, 400)
_numbers = st.integers(0, 2000)


@dataclass(frozen=True)
class Edit:
    """A change to a file, which prints as what it does.

    Attributes:
        what: a name in EDITS.
        given: what that function takes after the file's bytes.
    """

    what: str
    given: tuple[Any, ...]

    def __call__(self, data: bytes) -> bytes:
        return EDITS[self.what](data, *self.given) if data else data


EDITS: dict[str, Callable[..., bytes]] = {}


def _edit(function: Callable[..., bytes]) -> Callable[..., st.SearchStrategy[Edit]]:
    """A strategy from the strategies of what an edit takes."""
    name = function.__name__.strip("_")
    EDITS[name] = function
    return lambda *given: st.builds(Edit, st.just(name), st.tuples(*given))


def _at(place: tuple[str, int], size: int) -> int:
    kind, n = place
    return {"start": min(n, size), "end": max(size - n, 0), "share": n * size // 1000}[kind]


@_edit
def _flip(data, place, bit):
    at = min(_at(place, len(data)), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@_edit
def _put(data, place, new):
    at = _at(place, len(data))
    return data[:at] + new + data[at + len(new) :]


@_edit
def _insert(data, place, new):
    at = _at(place, len(data))
    return data[:at] + new + data[at:]


@_edit
def _cut(data, place, length):
    at = _at(place, len(data))
    return data[:at] + data[at + length :]


@_edit
def _truncate(data, place):
    return data[: _at(place, len(data))]


@_edit
def _repeat(data, place, length, times):
    at = _at(place, len(data))
    return data[:at] + data[at : at + length] * times + data[at:]


@_edit
def _splice(data, place, other, length):
    at, to = _at(place, len(data)), _at(other, len(data))
    return data[:to] + data[at : at + length] + data[to + length :]


@_edit
def _token(data, number, new):
    found = list(TOKEN.finditer(data))
    if not found:
        return data
    one = found[number % len(found)]
    return data[: one.start()] + new + data[one.end() :]


@_edit
def _swap(data, first, second):
    found = list(TOKEN.finditer(data))
    if not found:
        return data
    a, b = sorted((found[first % len(found)], found[second % len(found)]), key=lambda one: one.start())
    return data if a is b else data[: a.start()] + b[0] + data[a.end() : b.start()] + a[0] + data[b.end() :]


@_edit
def _line(data, number, times, to):
    """A line that is gone (times 0), or comes elsewhere once or more."""
    lines = data.splitlines(keepends=True)
    line = lines.pop(number % len(lines))
    lines[to % (len(lines) + 1) : to % (len(lines) + 1)] = [line] * times
    return b"".join(lines)


@_edit
def _node(data, *changes):
    try:
        return json.dumps(changed(json.loads(data), changes)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # an edit before this one broke it, or its numbers are too long
        return data


in_bytes = st.one_of(
    _flip(_places, st.integers(0, 7)),
    _put(_places, _inserted),
    _insert(_places, _inserted),
    _cut(_places, _lengths),
    _truncate(_places),
    _repeat(_places, _lengths, st.sampled_from((1, 2, 30))),
    _splice(_places, _places, _lengths),
)
"""Changes to any file: bits, bytes and runs of bytes."""

in_text = st.one_of(
    _token(_numbers, _words),
    _token(_numbers, _words),
    _swap(_numbers, _numbers),
    _line(_numbers, st.integers(0, 3), _numbers),
    in_bytes,
)
"""Changes to a text: its words, numbers and lines, besides its bytes."""


def nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree of dicts and lists: what holds it, and the key there."""
    for key in [*tree] if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from nodes(tree[key])


def changed(tree: Any, changes: Sequence[tuple[int, str, Any]]) -> Any:
    """A copy of a tree with nodes replaced, removed, renamed or wrapped."""
    tree = copy.deepcopy(tree)
    for number, what, value in changes:
        places = list(nodes(tree))
        if not places:
            return value
        held, key = places[number % len(places)]
        if what == "replace":
            held[key] = copy.deepcopy(value)
        elif what == "remove":
            del held[key]
        elif what == "wrap":
            held[key] = [held[key]]
        elif what == "swap":
            other, at = places[(number * 7 + 1) % len(places)]
            held[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(held[key])
        elif isinstance(held, dict):
            held[str(value)] = held.pop(key)
        else:
            held.append(held[key])
    return tree


_change = st.tuples(
    _numbers,
    st.sampled_from(("replace", "replace", "replace", "remove", "wrap", "swap", "rename")),
    st.sampled_from(VALUES),
)
tree_changes = st.lists(_change, min_size=1, max_size=3)
"""Changes to nodes of a tree, as `changed` takes them."""

in_json = st.one_of(_node(_change), _node(_change, _change), in_text)
"""Changes to a file of JSON: its nodes, besides its text."""

TEXTS = (".csv", ".txt", ".xml", ".yaml", ".yml")


def edits(name: str, most: int = 3) -> st.SearchStrategy[list[Edit]]:
    """One to a few changes to a file of that name."""
    suffix = "." + name.rpartition(".")[2]
    kind = in_json if suffix in (".json", ".ipynb") else in_text if suffix in TEXTS else in_bytes
    return st.lists(kind, min_size=1, max_size=most)


def applied(data: bytes, changes: Sequence[Edit]) -> bytes:
    """A file after all changes."""
    for change in changes:
        data = change(data)
    return data
