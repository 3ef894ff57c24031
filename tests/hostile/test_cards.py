"""Hostile data cards: each is refused in one line that names the file and the field, or read for what it says.

Most cases are made from the schema: every field of a card, with every kind of value that it cannot have.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_origin

import pytest

from saltrust.cli import main
from saltrust.core import data_cards, paths, yaml_files
from saltrust.core.card_names import check_names
from saltrust.core.card_parts import Annotations, Count, Get, Model, Plays, Table
from saltrust.core.errors import SaltrustError
from saltrust.datasets import cells, phantom  # noqa: F401, they register their loaders
from saltrust.datasets.cells.parameters import CellParameters
from saltrust.datasets.chexpert import ChexpertParameters
from saltrust.datasets.loaders import loader_of
from saltrust.datasets.mura import MuraParameters
from saltrust.datasets.nih import NihParameters
from saltrust.datasets.phantom.parameters import PhantomParameters
from saltrust.datasets.published import parameters
from saltrust.datasets.rsna import RsnaParameters
from saltrust.datasets.siim import SiimParameters
from saltrust.datasets.vindr import VindrParameters
from tests.hostile.told import one_line

COUNTS = {split: {"images": 4, "positive": 2} for split in ("train", "val", "test")}
GOOD: dict[str, Any] = {
    "name": "made-up",
    "finding": "square",
    "truth": "mask",
    "get": {"root": "there"},
    "table": {"file": "t.csv", "image": "image", "label": "label", "split": "split", "mask": "mask"},
    "counts": COUNTS,
}
ANNOTATED = {key: value for key, value in GOOD.items() if key != "table"} | {
    "truth": "box",
    "annotations": {"format": "yolo", "files": dict.fromkeys(COUNTS, "labels"), "images": dict.fromkeys(COUNTS, "i")},
}
BOXED = GOOD | {"truth": "box", "table": GOOD["table"] | {"x": "x", "y": "y", "width": "w", "height": "h"}}
JUDGED = GOOD | {"models": [{"source": "a.py:load", "name": "a", "size": 64, "channels": 1}]}
PLAYED = GOOD | {"plays": {"role": "siim", "data": "original"}}


@dataclass(frozen=True)
class Refused:
    """A card that is refused. says: what the one line must hold, beside the name of the file."""

    content: bytes
    says: str


@dataclass(frozen=True)
class Read:
    """A card that is right. gives: what of it must be what."""

    content: bytes
    gives: Callable[[data_cards.Card], bool]


def card(base: dict[str, Any] = GOOD, **raw: str) -> bytes:
    """A card in YAML; raw: fields by their path (table__mask), each with YAML as it stands in the file."""
    content = json.loads(json.dumps(base))
    marks = {}
    for number, (path, text) in enumerate(raw.items()):
        *outer, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        inner = content
        for part in outer:
            inner = inner[part] if isinstance(inner, list) else inner.setdefault(part, {})
        inner[last] = f"@{number}@"
        marks[json.dumps(f"@{number}@")] = text
    lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in content.items())
    for mark, text in marks.items():
        lines = lines.replace(mark, text)
    return lines.encode()


def bomb(whole: str, part: str) -> bytes:
    """A mapping of eight lines, each of which repeats the one before it nine times."""
    lines = [" a: &a [x]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f" {name}: &{name} " + whole.format(", ".join(part.format(before, n) for n in range(9))))
    return "\n".join(lines).encode()


# Kinds of values, as YAML.
VALUES = {
    "a number": "5",
    "a fraction": "0.5",
    "a truth value": "true",
    "nothing": "null",
    "a list of lists": "[[1]]",
    "a mapping of mappings": "{a: {b: 1}}",
    "an empty text": '""',
    "a terminal's escape": r'"a\x1b[31mb"',
    "a null character": r'"a\0b"',
    "an override of the reading direction": r'"a\u202eb"',
    "a space without width": r'"a\u200bb"',
    "a very long text": '"' + "x" * 30_000 + '"',
}
HIDDEN = [name for name, text in VALUES.items() if "\\" in text]
NO_TEXT = ["a number", "a fraction", "a truth value", "a list of lists", "a mapping of mappings"]
EVERY = [*VALUES]

# What a field cannot be, by the kind of the field.
WORD = [*NO_TEXT, "nothing", "an empty text", *HIDDEN, "a very long text"]
MAYBE_WORD = [name for name in WORD if name != "nothing"]
TEXT = [name for name in WORD if name != "an empty text"]
LIST = [name for name in EVERY if name != "an empty text"]
NUMBER = [name for name in EVERY if name != "a number"]
MAPPING = [name for name in EVERY if name != "nothing"]

KINDS: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "": (
        GOOD,
        {
            **dict.fromkeys(("name", "finding", "loader", "truth", "cascade"), WORD),
            **dict.fromkeys(("absent", "shortcut_control", "localizer"), MAYBE_WORD),
            **dict.fromkeys(("title", "summary", "role", "reported", "modality", "licence"), TEXT),
            **dict.fromkeys(("classes", "findings", "contrast", "networks", "chapters", "models", "cite"), EVERY),
            **dict.fromkeys(("get", "table", "annotations", "plays"), MAPPING),
            **dict.fromkeys(("parameters", "protocols"), [name for name in EVERY if name[:9] != "a mapping"]),
            **dict.fromkeys(("shares", "counts"), EVERY),
            "readers": NUMBER,
        },
    ),
    "plays": (PLAYED, dict.fromkeys(Plays.model_fields, WORD)),
    "get": (GOOD, {"root": WORD, "source": TEXT, "tree": TEXT, "archives": EVERY}),
    "table": (
        BOXED,
        {
            **dict.fromkeys(("file", "image"), WORD),
            **dict.fromkeys(("folder", "suffix"), TEXT),
            **dict.fromkeys(("label", "separator", "split", "group", "reader", "mask"), MAYBE_WORD),
            **dict.fromkeys(("x", "y", "width", "height", "right", "bottom"), MAYBE_WORD),
            "positive": EVERY,
            "votes": NUMBER,
        },
    ),
    "annotations": (
        ANNOTATED,
        {
            "format": WORD,
            **dict.fromkeys(("files", "images"), WORD),
            **dict.fromkeys(("names", "positive"), EVERY),
            "reader": MAYBE_WORD,
            "votes": NUMBER,
        },
    ),
    "models__0": (
        JUDGED,
        {
            "source": WORD,
            "name": WORD,
            "architecture": TEXT,
            "size": [name for name in EVERY if name != "nothing"],
            "channels": [name for name in EVERY if name != "nothing"],
            "input_range": [name for name in EVERY if name != "nothing"],
            **dict.fromkeys(("mean", "std"), [n for n in EVERY if n not in ("a number", "a fraction")]),
            "classes": EVERY,
            "exclusive": [name for name in EVERY if name not in ("a truth value", "nothing")],
            "finding": TEXT,
        },
    ),
    "counts__test": (GOOD, {"images": NUMBER, "positive": NUMBER}),
}
SCHEMA = {
    "": data_cards.Card,
    "plays": Plays,
    "get": Get,
    "table": Table,
    "annotations": Annotations,
    "models__0": Model,
    "counts__test": Count,
}

for _part, (_, _kinds) in KINDS.items():  # what is true or false may be nothing else
    for _name, _field in SCHEMA[_part].model_fields.items():
        if _field.annotation is bool:
            _kinds[_name] = [kind for kind in EVERY if kind != "a truth value"]

FIELDS: dict[str, Refused] = {}
for _part, (_base, _kinds) in KINDS.items():
    for _field, _wrong in _kinds.items():
        _path = f"{_part}__{_field}" if _part else _field
        for _kind in _wrong:
            FIELDS[f"{_path.replace('__', '.')}: {_kind}"] = Refused(card(_base, **{_path: VALUES[_kind]}), _field)

UNKNOWN = {
    f"{part.replace('__', '.') or 'the card'}: a field that does not exist": Refused(
        card(base, **{f"{part}__colour" if part else "colour": "red"}), "unknown field"
    )
    for part, (base, _) in KINDS.items()
}

DOCUMENTS = {
    "an empty file": Refused(b"", "a mapping of fields"),
    "a comment alone": Refused(b"# nothing\n", "a mapping of fields"),
    "a text": Refused(b"made-up\n", "a mapping of fields"),
    "a list of fields": Refused(b"- name: made-up\n", "a mapping of fields"),
    "a number alone": Refused(b"5\n", "a mapping of fields"),
    "two documents": Refused(b"---\n" + card() + b"---\n" + card(), "single document"),
    "a list that is not closed": Refused(card() + b"cite: [a\n", "not valid YAML"),
    "a text that is not closed": Refused(card() + b'title: "a\n', "not valid YAML"),
    "a tab as indentation": Refused(card() + b"plays:\n\trole: siim\n", "not valid YAML"),
    "a null character in the file": Refused(card() + b"title: a\0b\n", "special characters are not allowed"),
    "a terminal's escape in the file": Refused(card() + b"title: a\x1b[31mb\n", "special characters are not allowed"),
    "Latin-1": Refused(card() + "title: Röntgen\n".encode("latin-1"), "not a text file in UTF-8"),
    "UTF-16": Refused(card().decode().encode("utf-16"), "not a text file in UTF-8"),
    "half a character": Refused(card() + "title: ö\n".encode()[:-2], "not a text file in UTF-8"),
    "an image": Refused(b"\x89PNG\r\n\x1a\n" + bytes(64), "not a text file in UTF-8"),
    "a pickle": Refused(b"\x80\x04\x95pickle", "not a text file in UTF-8"),
    "a field twice": Refused(card() + b"finding: circle\n", "'finding' is there twice"),
    "a field of a part twice": Refused(card(table="{file: a, image: b, file: c}"), "'file' is there twice"),
    "a field twice, once in quotes": Refused(card() + b'"finding": circle\n', "'finding' is there twice"),
    "a field that is a number": Refused(card() + b"5: a\n", "fields are named by words, not by 5"),
    "a field that is null": Refused(card() + b"null: a\n", "fields are named by words"),
    "a field that is a list": Refused(card() + b"? [a, b]\n: c\n", "cannot be the name of a field"),
    "a field that is a mapping": Refused(card() + b"? {a: b}\n: c\n", "cannot be the name of a field"),
    "a merged mapping": Refused(card() + b"<<: {finding: circle}\n", "unknown field '<<'"),
    "a Python object": Refused(card(title="!!python/object/apply:os.system [ls]"), "tag '!!python/object/apply"),
    "a Python name": Refused(card(title="!!python/name:os.system"), "the tag '!!python/name"),
    "a Python tuple": Refused(card(classes="!!python/tuple [a, b]"), "the tag '!!python/tuple'"),
    "a tag of our own": Refused(card(title="!ours a"), "the tag '!ours' is not allowed"),
    "a set": Refused(card(classes="!!set {a, b}"), "the tag '!!set'"),
    "an ordered mapping": Refused(card(counts="!!omap [a: 1]"), "the tag '!!omap'"),
    "a list of pairs": Refused(card(counts="!!pairs [a: 1]"), "the tag '!!pairs'"),
    "bytes": Refused(card(finding="!!binary c3F1YXJl"), "the tag '!!binary'"),
    "a date by its tag": Refused(card(finding="!!timestamp 2020-01-01"), "the tag '!!timestamp'"),
    "a whole number by its tag that is a word": Refused(card(title="!!int abc"), "'abc' is not of the type int"),
    "a number by its tag that is a word": Refused(card(title="!!float abc"), "'abc' is not of the type float"),
    "a truth value by its tag that is a word": Refused(card(title="!!bool abc"), "'abc' is not of the type bool"),
    "a list by its tag that is a mapping": Refused(card(classes="!!seq {a: b}"), "the tag '!!seq'"),
    "a number of 5,000 digits": Refused(card(counts__test__images="9" * 5000), "a number of 5,000 characters"),
    "a number of 300 digits": Refused(card(counts__test__images="9" * 300), "images"),
    "a fraction of 5,000 digits": Refused(card(counts__test__images="0." + "9" * 5000), "a number of 5,002 characters"),
    "a number above all floats": Refused(
        card(shares="{train: 1e999, val: 0, test: 0}"), "the number 1e999 is too large"
    ),
    "infinity": Refused(card(parameters="{}", counts__test__images=".inf"), "images"),
    "not a number": Refused(card(counts__test__images=".nan"), "images"),
    "digits of another script": Refused(card(counts__test__images="４"), "images"),
    "Arabic digits": Refused(card(counts__test__images="٤"), "images"),
    "a number with underscores": Refused(card(counts__test__images="1_000"), "images"),
    "a number in quotes": Refused(card(counts__test__images="'4'"), "images"),
    "a hexadecimal number": Refused(card(counts__test__images="0x4"), "images"),
    "an octal number": Refused(card(counts__test__images="010"), "images"),
    "minutes and seconds": Refused(card(counts__test__images="1:30"), "images"),
    "an alias of nothing": Refused(card(title="*a"), "undefined alias"),
    "an anchor twice": Refused(card(title="&a x", summary="&a y"), "duplicate anchor"),
    "a list within itself": Refused(card(classes="&a [x, *a]"), "'*a' refers to itself"),
    "a mapping within itself": Refused(card(parameters="&a {x: *a}"), "'*a' refers to itself"),
    "the card within itself": Refused(b"&a\n" + card() + b"parameters: *a\n", "'*a' refers to itself"),
    "a bomb of aliases in lists": Refused(card() + b"parameters:\n" + bomb("[{}]", "*{}"), "more than 50,000 values"),
    "a bomb of aliases in mappings": Refused(
        card() + b"parameters:\n" + bomb("{{{}}}", "k{1}: *{0}"), "more than 50,000 values"
    ),
    "lists nested too deeply": Refused(card(parameters="{a: " + "[" * 3000 + "]" * 3000 + "}"), "more than 40 deep"),
    "mappings nested too deeply": Refused(card(parameters="{a: " * 3000 + "b" + "}" * 3000), "more than 40 deep"),
    "blocks nested too deeply": Refused(
        card() + b"parameters:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, 90)), "more than 40 deep"
    ),
    "brackets that nothing closes": Refused(b"[" * 20_000, "more than 40 deep"),
    "a file too large": Refused(card() + b"#" * 300_000, "at most 250,000"),
    "another version of YAML": Refused(b"%YAML 3.0\n---\n" + card(), "version 1.* is required"),
    "an unknown directive": Read(b"%FOO bar\n---\n" + card(), lambda c: c.finding == "square"),
    "a byte order mark": Read(b"\xef\xbb\xbf" + card(), lambda c: c.name == "made-up"),
    "Windows' line ends": Read(card().replace(b"\n", b"\r\n"), lambda c: c.finding == "square"),
    "old Macs' line ends": Read(card().replace(b"\n", b"\r"), lambda c: c.finding == "square"),
    "no end of the last line": Read(card().rstrip(), lambda c: c.counts["test"].images == 4),
    "a finding called no": Read(card(finding="no"), lambda c: c.finding == "no"),
    "classes called yes and no": Read(
        card(classes="[yes, no]", table="{file: t.csv, image: i, label: l, mask: m, split: s}"),
        lambda c: c.classes == ("yes", "no"),
    ),
    "classes called 01 and 02": Read(card(classes="[01, 02]"), lambda c: c.classes == ("01", "02")),
    "a licence that is a date": Read(card(licence="2020-01-01"), lambda c: c.licence == "2020-01-01"),
    "a licence that is no date": Read(card(licence="2020-13-45"), lambda c: c.licence == "2020-13-45"),
    "a time as a text": Read(card(finding="12:30:45"), lambda c: c.finding == "12:30:45"),
    "a text by its tag": Read(card(finding="!!str 5"), lambda c: c.finding == "5"),
    "counts by an alias": Read(
        card(counts="{train: &n {images: 4, positive: 2}, val: *n, test: *n}"), lambda c: c.counts["val"].images == 4
    ),
    "a share in powers of ten": Read(
        card(table="{file: t.csv, image: i, mask: m}", shares="{train: 8e-1, val: 1e-1, test: 1e-1}"),
        lambda c: c.shares["train"] == 0.8,
    ),
    "a finding in another script": Read(card(finding="пневмоторакс"), lambda c: c.finding == "пневмоторакс"),
    "a finding with a joiner": Read(card(finding=r'"می\u200cکند"'), lambda c: "\u200c" in c.finding),
    "spaces around a finding": Read(card(finding='"  square "'), lambda c: c.finding == "square"),
    "a summary of several lines": Read(card(summary=r'"a\nb\tc"'), lambda c: c.summary == "a\nb\tc"),
    "mirror: yes": Read(card(mirror="yes"), lambda c: c.mirror),
}

CLASSED = GOOD | {"classes": ["a", "b"]}
SHARED = GOOD | {"table": {"file": "t.csv", "image": "image", "mask": "mask"}}
DRAWN = {"name": "made-up", "finding": "pneumothorax", "truth": "mask", "loader": "phantom", "counts": COUNTS}
TOGETHER = {
    "a parameter within another that is named by a number": Refused(
        card(DRAWN, parameters="{a: {686: 1}}"), "the name 686 is no text"
    ),
    "a finding of spaces": Refused(card(finding='"   "'), "finding"),
    "a finding of a line break": Refused(card(finding=r'"\n"'), "finding"),
    "a finding with a line break": Refused(card(finding=r'"a\nb"'), "finding"),
    "a finding with a soft hyphen": Refused(card(finding=r'"pneumo\u00adthorax"'), "finding"),
    "a finding with a mark of the reading direction": Refused(card(finding=r'"a\u200fb"'), "finding"),
    "a finding with half a character": Refused(card(finding=r'"a\uD800b"'), "finding"),
    "a finding with a byte order mark": Refused(card(finding=r'"\ufeffsquare"'), "finding"),
    "a finding with a separator of lines": Refused(card(finding=r'"a\u2028b"'), "finding"),
    "a title of two lines": Refused(card(title=r'"a\nb"'), "title"),
    "a name with a dot": Refused(card(name="made.up"), "small letters"),
    "a name with a slash": Refused(card(name="a/b"), "small letters"),
    "a name that leads out": Refused(card(name="../made-up"), "small letters"),
    "a name with a line break": Refused(card(name=r'"made-up\n"'), "small letters"),
    "a name in Cyrillic": Refused(card(name="mаde-up"), "small letters"),
    "a name in digits of another script": Refused(card(name="made-１"), "small letters"),
    "a name in capitals": Refused(card(name="MADE-UP"), "small letters"),
    "a name that begins with a hyphen": Refused(card(name='"-made-up"'), "small letters"),
    "another name than the file's": Refused(card(name="made"), "the file is called 'made-up'"),
    "one class": Refused(card(classes="[a]"), "needs two or more names"),
    "a class twice": Refused(card(classes="[a, a]"), "each once"),
    "a class twice but for spaces": Refused(card(classes='[a, " a "]'), "each once"),
    "an empty class": Refused(card(classes='[a, ""]'), "classes"),
    "a class that is a number": Refused(card(classes="[a, 5]"), "classes.1"),
    "a class that is null": Refused(card(classes="[a, null]"), "classes.1"),
    "a class with a space without width": Refused(card(classes=r'[a, "a\u200b"]'), "U+200B"),
    "too many classes": Refused(card(classes=json.dumps([f"c{n}" for n in range(3000)])), "classes"),
    "an absent class that does not exist": Refused(card(CLASSED, absent="c"), "one of the classes"),
    "an absent class without classes": Refused(card(absent="a"), "'absent' is one of 'classes'"),
    "a finding twice": Refused(card(findings="[a, a]"), "each name once"),
    "classes and findings": Refused(card(CLASSED, findings="[a, b]"), "a card has either"),
    "positive words beside classes": Refused(card(CLASSED, table__positive="[a]"), "'positive' is for one finding"),
    "positive words without a label": Refused(card(SHARED, table__positive="[a]", table__split="s"), "in 'label'"),
    "a separator without a label": Refused(card(SHARED, table__separator="'|'", table__split="s"), "in 'label'"),
    "a contrast without classes": Refused(card(contrast="[a, b]"), "two of the 'classes'"),
    "a contrast of one class": Refused(card(CLASSED, contrast="[a]"), "two of the 'classes'"),
    "a contrast of another class": Refused(card(CLASSED, contrast="[a, z]"), "two of the 'classes'"),
    "a contrast that is a word": Refused(card(CLASSED, contrast="ab"), "contrast"),
    "one network": Refused(card(networks="[alexnet]"), "two architectures"),
    "no network": Refused(card(networks="[]"), "two architectures"),
    "a network twice": Refused(card(networks="[densenet121, densenet121]"), "each once"),
    "an unknown network": Refused(card(networks="[inception_v3, densenet12]"), "did you mean 'densenet121'"),
    "a network of other truth": Refused(card(networks="[inception_v3, alexnet]"), "unknown network 'alexnet'"),
    "an unknown cascade": Refused(card(cascade="finer"), "'coarse' or 'fine'"),
    "a cascade that its network does not have": Refused(
        card(networks="[densenet121, inception_v3]", cascade="fine"), "only of inception_v3"
    ),
    "an unknown protocol": Refused(card(protocols="{as_rnu: {a: 1}}"), "did you mean 'as_run'"),
    "a protocol of a number": Refused(card(protocols="{as_run: 5}"), "protocols"),
    "a protocol by a number": Refused(card(protocols="{5: {a: 1}}"), "protocols"),
    "a hidden character deep in the parameters": Refused(card(parameters=r'{a: [{b: "x\u202ey"}]}'), "parameters"),
    "a hidden character in a parameter's name": Refused(card(parameters=r'{"x\u202ey": 1}'), "parameters"),
    "its own control": Refused(card(shortcut_control="made-up"), "must be another card"),
    "a control that is a path": Refused(card(shortcut_control="../other.yaml"), "shortcut_control"),
    "a loader that is a path": Refused(card(loader="../phantom"), "loader"),
    "a loader that is a module": Refused(card(loader="phantom.drawing"), "loader"),
    "an unknown loader": Refused(card(loader="foldr"), "did you mean 'folder'"),
    "a module that is no loader": Refused(card(loader="records"), "unknown loader 'records'"),
    "generated data in files": Refused(card(DRAWN, get="{root: there}"), "leave out 'get'"),
    "generated data in shares": Refused(card(DRAWN, shares="{train: 0.8, val: 0.1, test: 0.1}"), "leave out 'shares'"),
    "generated data without counts": Refused(card(DRAWN, counts="{}"), "generated data needs 'counts'"),
    "files without a place": Refused(card(DRAWN, loader="siim"), "the loader 'siim' needs 'get'"),
    "a citation with markup": Refused(card(cite="['a}{b']"), "cite"),
    "a citation with a line break": Refused(card(cite=r'["a\nb"]'), "cite"),
    "a citation in the place of a list": Refused(card(cite="cheng2015"), "cite"),
    "more positive than images": Refused(card(counts__test="{images: 4, positive: 5}"), "5 of 4 images"),
    "no images": Refused(card(counts__test="{images: 0, positive: 0}"), "images"),
    "fewer than no images": Refused(card(counts__test="{images: -4, positive: 0}"), "images"),
    "fewer than none positive": Refused(card(counts__test="{images: 4, positive: -1}"), "positive"),
    "more images than there are": Refused(card(counts__test="{images: 1000000001, positive: 0}"), "images"),
    "counts of an unknown split": Refused(card(counts="{tset: {images: 4, positive: 1}}"), "counts"),
    "counts of one split": Refused(card(counts="{test: {images: 4, positive: 1}}"), "lacks train, val"),
    "shares beside named splits": Refused(card(shares="{train: 0.8, val: 0.1, test: 0.1}"), "already name splits"),
    "shares that are not one": Refused(card(SHARED, shares="{train: 0.8, val: 0.1, test: 0.2}"), "add up to 1"),
    "a share of nothing": Refused(card(SHARED, shares="{train: 1.0, val: 0.0, test: 0.0}"), "above 0"),
    "a share below nothing": Refused(card(SHARED, shares="{train: 1.2, val: -0.1, test: -0.1}"), "above 0"),
    "a share that is a truth value": Refused(card(SHARED, shares="{train: true, val: 0.1, test: 0.1}"), "shares"),
    "a share that is not a number": Refused(card(SHARED, shares="{train: .nan, val: .nan, test: .nan}"), "shares"),
    "a share in digits of another script": Refused(
        card(SHARED, shares='{train: "０.８", val: 0.1, test: 0.1}'), "shares"
    ),
    "neither shares nor splits": Refused(card(SHARED), "says nothing of splits"),
    "truth of pixels without a mask": Refused(card(table="{file: t, image: i, split: s}"), "'mask' column"),
    "a box without its edges": Refused(card(GOOD, truth="box"), "truth 'box' needs"),
    "a box of one column": Refused(card(BOXED, table__y="x"), "need a column each"),
    "a box with two widths": Refused(card(BOXED, table__right="r"), "'width' or 'right'"),
    "a box with two heights": Refused(card(BOXED, table__bottom="b"), "'height' or 'bottom'"),
    "votes without readers": Refused(card(table__votes="2"), "'votes' needs 'reader'"),
    "no votes": Refused(card(table__reader="r", table__votes="0"), "votes"),
    "a million votes": Refused(card(table__reader="r", table__votes="1000000"), "votes"),
    "readers without truth": Refused(card(GOOD, truth="none", table__reader="r"), "'reader' needs truth"),
    "a localizer without truth": Refused(card(GOOD, truth="none", localizer="unet"), "must be left out"),
    "an unknown localizer": Refused(card(localizer="yolo"), "localizer"),
    "table and annotations": Refused(card(GOOD, annotations="{format: voc, files: a, images: b}"), "either 'table' or"),
    "names of an annotation that is a word": Refused(
        card(ANNOTATED, annotations__names="nodule"), "names: must be a list"
    ),
    "a category twice": Refused(card(ANNOTATED, annotations__names="[a, a]"), "each category once"),
    "names where files have them": Refused(
        card(ANNOTATED, annotations__format="coco", annotations__names="[a]"), "files of 'coco' name their categories"
    ),
    "readers of files that name none": Refused(card(ANNOTATED, annotations__reader="r"), "only those of format 'coco'"),
    "files of an unknown split": Refused(card(ANNOTATED, annotations__files="{tset: a}"), "annotations.files"),
    "a model's deviation of nothing": Refused(card(JUDGED, models__0__std="0"), "std: must be above 0"),
    "a model's deviation below nothing": Refused(card(JUDGED, models__0__std="[1, -1, 1]"), "std: must be above 0"),
    "a model's mean that is not a number": Refused(card(JUDGED, models__0__mean=".nan"), "mean"),
    "a model whose black is white": Refused(card(JUDGED, models__0__input_range="[1, 1]"), "black and white"),
    "a model's range of three": Refused(card(JUDGED, models__0__input_range="[0, 1, 2]"), "input_range"),
    "a model's class twice": Refused(card(JUDGED, models__0__classes="[a, a]"), "each name once"),
    "a model of two channels": Refused(card(JUDGED, models__0__channels="2"), "channels"),
    "a model of true channels": Refused(card(JUDGED, models__0__channels="true"), "channels"),
    "two models of one name": Refused(
        card(JUDGED, models="[{source: a, name: a}, {source: b, name: a}]"), "a name of its own"
    ),
    "an unknown role": Refused(card(PLAYED, plays__role="sim"), "did you mean 'siim'"),
    "an unknown kind of data": Refused(card(PLAYED, plays__data="own"), "plays.data"),
}

ROOTS = {
    "a user that does not exist": Refused(card(get__root="~nosuchuser/data"), "no such user's folder"),
    "a variable that is not set": Refused(card(get__root="$NOT_SET_HERE/data"), "environment variable NOT_SET_HERE"),
    "a variable in braces that is not set": Refused(card(get__root="'${NOT_SET_HERE}/data'"), "variable NOT_SET_HERE"),
    "a sign without a variable": Refused(card(get__root="data/$"), "before the name of a variable"),
    "a sign before a digit": Refused(card(get__root="data/$1"), "before the name of a variable"),
    "a brace that is not closed": Refused(card(get__root="'${HOME'"), "before the name of a variable"),
    "a variable in another script": Refused(card(get__root="$ДАННЫЕ"), "before the name of a variable"),
    "a variable in braces": Read(card(get__root="'${SET_HERE}/x'"), lambda c: c.root == Path("/somewhere/x")),
    "a variable and more": Read(card(get__root="$SET_HERE/x"), lambda c: c.root == Path("/somewhere/x")),
    "a root too long": Read(card(get__root="x/" * 1500), lambda c: not c.available),
    "a part of the root too long": Read(card(get__root="x" * 300), lambda c: not c.available),
    "a root that is a file": Read(card(get__root="made-up.yaml"), lambda c: not c.available),
    "a root below a file": Read(card(get__root="made-up.yaml/x"), lambda c: not c.available),
    "a root that is not there": Read(card(get__root="nowhere"), lambda c: not c.available),
    "a root that is the card's folder": Read(card(get__root="."), lambda c: c.available),
    "a root in another script": Read(card(get__root="данные"), lambda c: c.root.name == "данные"),
}


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "made-up.yaml")
    return "made-up.yaml"


def _socket(folder: Path) -> str:
    os.chdir(folder)  # whose path may be too long for a socket's
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("made-up.yaml")
    return "made-up.yaml"


def _linked(target: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "made-up.yaml").symlink_to(target)
        return "made-up.yaml"

    return write


def _folder(folder: Path) -> str:
    (folder / "made-up.yaml").mkdir()
    return "made-up.yaml"


def _below_a_file(folder: Path) -> str:
    (folder / "a").touch()
    return "a/made-up.yaml"


PLACES: dict[str, tuple[Callable[[Path], str], str]] = {
    "a pipe in the place of a card": (_pipe, "is a pipe; only regular files are read"),
    "a socket in the place of a card": (_socket, "is a socket; only regular files are read"),
    "a device in the place of a card": (_linked("/dev/zero"), "is a device; only regular files are read"),
    "a folder in the place of a card": (_folder, "is a folder; only regular files are read"),
    "a link that leads back to itself": (_linked("made-up.yaml"), "leads back to itself"),
    "a link to nothing": (_linked("nowhere"), "no data card"),
    "a card that is not there": (lambda folder: "made-up.yaml", "no data card"),
    "a card below a file": (_below_a_file, "no data card"),
    "a name of a card too long": (lambda folder: "x" * 300 + ".yaml", "File name too long"),
    "a path of a card too long": (lambda folder: "x/" * 3000 + ".yaml", "File name too long"),
    "a null character in a card's name": (lambda folder: "a\0.yaml", "null byte"),
    "no name of a card": (lambda folder: "", "unknown data set ''"),
    "a very long name of a data set": (lambda folder: "x" * 100_000, "unknown data set 'xxx"),
    "a terminal's escape in the name of a data set": (lambda folder: "a\x1b[31m", r"unknown data set 'a\x1b[31m'"),
    "half a character in the name of a data set": (lambda folder: "a\udcff", r"unknown data set 'a\udcff'"),
    "half a character in a card's name": (lambda folder: "a\udcff.yaml", r"no data card a\udcff.yaml"),
}


LOADED = {"phantom": PhantomParameters, "cells": CellParameters}
RELEASED = {
    "chexpert": ChexpertParameters,
    "mura": MuraParameters,
    "nih": NihParameters,
    "rsna": RsnaParameters,
    "siim": SiimParameters,
    "vindr": VindrParameters,
}
# Of the values above, those that no parameter of that type can have.
NEVER = {
    float: ["a truth value", "nothing", "a list of lists", "a mapping of mappings", "an empty text"],
    int: ["a truth value", "a fraction", "nothing", "a list of lists", "a mapping of mappings", "an empty text"],
    str: ["a number", "a truth value", "nothing", "a list of lists", "a mapping of mappings", "an empty text"],
    tuple: ["a number", "a truth value", "nothing", "a mapping of mappings", "an empty text"],
}


def given(loader: str, name: str, kind: str) -> Refused:
    """A card whose loader is given a parameter of that kind."""
    base = DRAWN if loader in LOADED else {name: value for name, value in GOOD.items() if name != "table"}
    needed = {"finding": "Mass"} if loader in ("nih", "vindr") else {}
    says = "split 'a'" if (name, kind) == ("crossed", "a mapping of mappings") else name
    return Refused(card(base | {"loader": loader, "parameters": needed}, **{f"parameters__{name}": VALUES[kind]}), says)


GENERATED = {
    f"{loader}, {field.name}: {kind}": given(loader, field.name, kind)
    for loader, of in LOADED.items()
    for field in fields(of)
    for kind in NEVER[get_origin(field.type) or field.type]
}
# None of the published sets' parameters can be one of these, but for a share.
PUBLISHED = {
    f"{loader}, {name}: {kind}": given(loader, name, kind)
    for loader, of in RELEASED.items()
    for name in of.model_fields
    for kind in ("nothing", "a list of lists", "a fraction")
    if (name, kind) != ("validation", "a fraction")
}
STRANGE = {
    f"{loader}: a parameter that does not exist": given(loader, "colour", "a number") for loader in (*RELEASED, *LOADED)
}


COMMANDS: dict[str, tuple[bytes | None, list[str], str]] = {
    f"saltrust {' '.join(words[:2])}, {name}": (content, words, says)
    for words in (["datasets", "check"], ["run", "models", "--dataset"], ["plan", "models", "--dataset"])
    for name, content, says in (
        ("a pipe", None, "is a pipe; only regular files are read"),
        ("a bomb of aliases", card() + b"parameters:\n" + bomb("[{}]", "*{}"), "more than 50,000 values"),
        ("bytes that are no text", b"\xff\xfe", "not a text file in UTF-8"),
        ("an unknown network", card(networks="[inception_v3, densenet12]"), "did you mean 'densenet121'"),
        ("an unknown protocol", card(protocols="{as_rnu: {a: 1}}"), "did you mean 'as_run'"),
        ("generated data in files", card(DRAWN, get="{root: there}"), "leave out 'get'"),
        ("a user that does not exist", card(get__root="~nosuchuser/data"), "no such user's folder"),
        ("a name that is not the file's", card(name="made"), "the file is called 'made-up'"),
    )
}

CARDS = FIELDS | UNKNOWN | DOCUMENTS | TOGETHER | ROOTS
PARAMETERS = GENERATED | PUBLISHED | STRANGE
CASES = CARDS | PLACES | PARAMETERS | COMMANDS


def read(folder: Path, content: bytes) -> data_cards.Card:
    file = folder / "made-up.yaml"
    file.write_bytes(content)
    found = data_cards.parse(file)
    loader_of(found)
    check_names(found)
    assert found.root is None or isinstance(found.available, bool)
    return found


@pytest.mark.parametrize("case", CARDS.values(), ids=CARDS)
def test_a_card_is_refused_in_one_line_or_read_for_what_it_says(case, tmp_path, monkeypatch):
    monkeypatch.setenv("SET_HERE", "/somewhere")
    if isinstance(case, Read):
        assert case.gives(read(tmp_path, case.content))
        return
    with pytest.raises(SaltrustError) as error:
        read(tmp_path, case.content)
    one_line(error.value, "made-up", case.says)


@pytest.mark.parametrize("case", PLACES.values(), ids=PLACES)
def test_what_is_no_file_is_not_read_as_a_card(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, says = case
    with pytest.raises(SaltrustError) as error:
        data_cards.load(write(tmp_path))
    one_line(error.value, says)


@pytest.mark.parametrize("case", PARAMETERS.values(), ids=PARAMETERS)
def test_a_loaders_parameter_of_another_kind_is_refused(case, tmp_path):
    found = read(tmp_path, case.content)
    with pytest.raises(SaltrustError) as error:
        if found.loader in RELEASED:
            parameters(found, RELEASED[found.loader])
        else:
            loader_of(found).load(found, "test", 4, 64, 0)
    one_line(error.value, case.says)


@pytest.mark.parametrize("case", COMMANDS.values(), ids=COMMANDS)
def test_a_command_ends_with_one_line_and_leaves_nothing(case, tmp_path, monkeypatch, capsys):
    content, words, says = case
    file, results = tmp_path / "made-up.yaml", tmp_path / "results"
    os.mkfifo(file) if content is None else file.write_bytes(content)
    for name, place in (("RESULTS", results), ("STORE", results / "store"), ("RUNS", results / "runs")):
        monkeypatch.setattr(paths, name, place)
    monkeypatch.setattr(sys, "argv", ["saltrust", *words, str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert line.startswith("saltrust: ")
    assert says in line
    assert list(tmp_path.iterdir()) == [file]


def test_every_field_of_a_card_is_tried():
    for part, (_, kinds) in KINDS.items():
        assert set(kinds) == set(SCHEMA[part].model_fields)


def test_what_is_written_is_read_as_it_was():
    texts = [
        "no",
        "1e-3",
        "010",
        "12:30",
        "2020-13-45",
        "null",
        "~",
        "<<",
        ".inf",
        "４",
        "",
        " a ",
        "a: b",
        "#",
        "&a",
        "*a",
    ]
    content = {text: [text, 5, 1e-5, 0.5, True, None, [text], {}] for text in texts}
    assert yaml_files.parsed(yaml_files.written(content)) == content
