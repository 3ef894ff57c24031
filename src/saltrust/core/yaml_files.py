"""YAML as it is read and written here: mappings, lists, texts, numbers, true, false and null; all of it bounded.

Numbers and words are those of YAML 1.2: `no` and `12:30` are texts, `1e-3` is a number. A tag of another type is
refused, and so are a key that is there twice, a value that refers to itself, and aliases that grow to more than NODES
values.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from saltrust.core.errors import SaltrustError
from saltrust.core.user_files import opened, text

BYTES = 250_000  # of a file
NODES = 50_000  # values, each as often as aliases repeat it
DEPTH = 40  # lists and mappings inside one another
DIGITS = 400  # of a number

CORE = "tag:yaml.org,2002:"
WRITTEN = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)",
}
"""How a value of each type is written where no tag and no quotes say what it is; all else is text."""


class _Loader(yaml.SafeLoader):
    """Composes the nodes of a document, and counts them."""

    yaml_implicit_resolvers: dict = {}

    def __init__(self, content: str):
        super().__init__(content)
        self.depth, self.weights = 0, {}

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            anchored = self.anchors.get(event.anchor)
            if anchored is not None and id(anchored) not in self.weights:
                raise SaltrustError(f"line {event.start_mark.line + 1}: '*{event.anchor}' refers to itself")
            return super().compose_node(parent, index)
        self.depth += 1
        if self.depth > DEPTH:
            raise SaltrustError(f"lists and mappings are nested more than {DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        self.weights[id(node)] = weight = 1 + sum(self.weights[id(part)] for part in _parts(node))
        if weight > NODES:
            raise SaltrustError(f"holds more than {NODES:,} values")
        return node


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what this module's reader, or one of YAML 1.1, would not take for a text."""


for _name, _form in WRITTEN.items():
    _letters = list("-+0123456789.") if _name in ("int", "float") else ["", *"~nNtTfF"]
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(CORE + _name, re.compile(rf"(?:{_form})\Z"), _letters)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def read(file: Path, what: str = "file") -> Any:
    """The content of a YAML file: dicts, lists, texts, finite numbers, True, False and None.

    Args:
        file: the file.
        what: the errors call it.

    Raises:
        SaltrustError: Naming the file, and what is wrong with it.
    """
    with opened(file, what) as stream:
        if (size := stream.seek(0, os.SEEK_END)) > BYTES:
            raise SaltrustError(f"{file}: has {size:,} bytes; a {what} has at most {BYTES:,}")
        stream.seek(0)
        content = text(stream)
    try:
        return parsed(content)
    except SaltrustError as error:
        raise SaltrustError(f"{file}: not valid YAML: {error}") from error


def parsed(content: str) -> Any:
    """What a text in YAML says. Raises SaltrustError as `read` does.

    >>> parsed("{finding: no, share: 1e-1, size: [1, 010]}")
    {'finding': 'no', 'share': 0.1, 'size': [1, '010']}
    """
    try:
        loader = _Loader(content)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SaltrustError(" ".join(str(error).split())) from error
    return None if node is None else _value(node)


def written(content: Any) -> str:
    """A content as YAML, which `read` takes back."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


def _value(node: yaml.Node) -> Any:
    kind = node.tag.removeprefix(CORE)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_value(part) for part in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in SCALARS:
        return _scalar(node, kind)
    raise SaltrustError(f"line {_line(node)}: the tag '{node.tag.replace(CORE, '!!')[:80]}' is not allowed")


def _scalar(node: yaml.ScalarNode, kind: str) -> Any:
    forms = {"str": ".*", "float": f"{WRITTEN['int']}|{WRITTEN['float']}"}  # a tag may say that a whole number is none
    if not re.fullmatch(forms.get(kind) or WRITTEN[kind], node.value, re.DOTALL):
        raise SaltrustError(f"line {_line(node)}: '{node.value[:40]}' is not of the type {kind}")
    if kind in ("int", "float") and len(node.value) > DIGITS:
        raise SaltrustError(f"line {_line(node)}: a number of {len(node.value):,} characters")
    value = SCALARS[kind](node.value)
    if value in (float("inf"), float("-inf")):
        raise SaltrustError(f"line {_line(node)}: the number {node.value} is too large")
    return value


SCALARS = {
    "null": lambda written: None,
    "bool": lambda written: written.lower() == "true",
    "int": int,
    "float": float,
    "str": str,
}


def _mapping(node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise SaltrustError(f"line {_line(key_node)}: a list or mapping cannot be the name of a field")
        if (key := _value(key_node)) in found:
            raise SaltrustError(f"line {_line(key_node)}: '{str(key)[:80]}' is there twice")
        found[key] = _value(value_node)
    return found


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
