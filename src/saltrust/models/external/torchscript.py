"""Classifiers that come as programs: TorchScript and torch.export.

A program runs, but it is a network: one that would reach beyond its numbers, to files or to Python, is refused before
torch reads it.
"""

from __future__ import annotations

import ast
import copy
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import HigherOrderOperator, OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.nn import functional

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external.sources import FORMATS, LoadedNetwork, intact_file, one_line
from saltrust.models.external.weights import members, weights_only

OPERATIONS = ("aten", "prim", "prims", "quantized", "torchvision", "mkldnn", "mkldnn_prepacked", "higher_order")
"""The namespaces of torch that compute on tensors alone, but for OPEN_FILES."""
OPEN_FILES = ("save", "from_file")  # operations of aten that take the name of a file
CLASSES = ("quantized", "mkldnn", "xnnpack")  # of C++ objects that hold packed weights

FUNCTIONS = ("_operator", "math", "torch", "torch._C")  # modules of the other functions that an exported program calls

# What the text of TorchScript calls; its lexer allows blanks, comments and broken lines around the dots.
_DOT = r"(?:\s|\\|#.*)*\.(?:\s|\\|#.*)*"
_CALLED = re.compile(rf"(?:\b(?P<torch>torch)|(?<![\w.])ops){_DOT}(?P<name>\w+)(?:{_DOT}(?P<next>\w+))?")

# What torch.export writes of sizes, and torch has Python evaluate: functions of sympy of symbols and numbers.
_ARITHMETIC = (ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.UnaryOp, ast.USub)
_ARITHMETIC += (ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_SIZE_NAME = re.compile(r"[A-Z]\w*|[su]\d+|oo|int_oo")  # Symbol, Integer, Add, Mul, Max, FloorDiv, ...; older: s0


class Compiled(nn.Module):
    """A TorchScript program in the place of a module.

    Its weights lie under their own names in modules without a forward, so that they can be counted, moved and
    randomized. What it does with them cannot be seen.

    Args:
        program: whose weights then need no gradients.
    """

    def __init__(self, program: torch.jit.ScriptModule) -> None:
        super().__init__()
        object.__setattr__(self, "program", program)  # no submodule: a ScriptModule takes no hooks
        for weight in program.parameters():
            weight.requires_grad_(False)
        self._share()

    def _share(self) -> None:
        shelves: dict[str, nn.Module] = {"": self}
        for path, module in self.program.named_modules():
            if path:
                above, _, name = path.rpartition(".")
                shelves[path] = getattr(shelves[above], name, None) or nn.Module()
                shelves[above].add_module(name, shelves[path])
            for name, weight in module.named_parameters(recurse=False):
                shelves[path].register_parameter(name, nn.Parameter(weight.detach(), requires_grad=False))
            for name, values in module.named_buffers(recurse=False):
                shelves[path].register_buffer(name, values)

    def forward(self, images: Tensor) -> Any:
        """Run the program."""
        return self.program(images)

    def train(self, mode: bool = True) -> Compiled:
        """Set the mode of the program, too."""
        self.program.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Compiled:
        self.program._apply(fn)
        self._share()
        return self

    def __deepcopy__(self, memo: dict) -> Compiled:
        return Compiled(copy.deepcopy(self.program, memo)).train(self.training)


@FORMATS.register(".torchscript")
@FORMATS.register(".ts")
def from_torchscript(source: str, model: Model, folder: Path) -> LoadedNetwork:
    """A program of torch.jit.save.

    Args:
        source: its path.
        model: not used; formats are called alike.
        folder: of the card.

    Raises:
        SaltrustError: the file is missing, not sound, no such program, or one that reaches for files.
    """
    file = intact_file(source, folder)
    for text in members(file, ".py").values():
        for called in _CALLED.finditer(text):
            _refuse_reach(source, *(("aten",) if called["torch"] else ()), *called.group("name", "next"))
    try:
        program = torch.jit.load(file, map_location="cpu")
    except Exception as error:
        raise SaltrustError(f"model '{source}' is not a TorchScript program: {one_line(error)}") from error
    return LoadedNetwork(Compiled(program), {}, (file,))


@FORMATS.register(".pt2")
def from_export(source: str, model: Model, folder: Path) -> LoadedNetwork:
    """A program of torch.export.save, its operations written as the functions of torch that rules are stated for.

    Args:
        source: its path.
        model: not used; formats are called alike.
        folder: of the card.

    Raises:
        SaltrustError: the file is missing, not sound, no such program, one that reaches for files or for Python, or was
            exported for other inputs than images.
    """
    file = intact_file(source, folder)
    if not zipfile.is_zipfile(file):
        raise SaltrustError(f"model '{source}' is not a program of torch.export: it is no archive, or one cut short")
    for texts in (
        members(file, ".json"),
        _members_of_zip(file),
    ):  # torch reads the present format, and Python older ones
        for name, text in texts.items():
            if any(word in name for word in ("custom_obj", "opaque_obj", "aotinductor")):
                raise SaltrustError(f"model '{source}' holds more than operations and numbers ({name})")
            if text:
                _check_expressions(text, source)
    try:
        with weights_only(), _without_log():
            program = torch.export.load(file)
            says = _exported_for(program, source)
            module = copy.deepcopy(program.module())  # a copy knows train() and eval()
    except SaltrustError:
        raise
    except Exception as error:
        raise SaltrustError(f"model '{source}' is not a program of torch.export: {one_line(error)}") from error
    for node in (node for part in module.modules() if isinstance(part, fx.GraphModule) for node in part.graph.nodes):
        if isinstance(node.target, OpOverload):
            _refuse_reach(source, *node.target._schema.name.split("::"))
        elif node.op == "call_function" and not isinstance(node.target, HigherOrderOperator):
            home = getattr(node.target, "__module__", "")
            if home not in FUNCTIONS:
                _refuse_reach(source, home, getattr(node.target, "__name__", ""))
    for node in list(module.graph.nodes):
        if node.op == "call_function":
            _in_torch(node)
        elif node.op == "call_module" and node.target == "_guards_fn":  # what it checks is settled here
            module.graph.erase_node(node)
    module.delete_submodule("_guards_fn")
    module.recompile()
    return LoadedNetwork(module, says, (file,))


@contextmanager
def _without_log() -> Iterator[None]:
    """Inside the block torch.export does not log the tracebacks of what it cannot read."""
    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _members_of_zip(file: Path) -> dict[str, str]:
    """The members of an archive as Python finds them, with the text of those of JSON."""
    with zipfile.ZipFile(file) as archive:
        return {
            name: archive.read(name).decode("utf-8", "replace") if name.endswith(".json") else ""
            for name in archive.namelist()
        }


def _refuse_reach(source: str, space: str, name: str | None, following: str | None = None) -> None:
    """Refuse an operation or class that reaches beyond tensors.

    Args:
        source: of the program.
        space: the namespace of an operation; "aten" also of all that is found in `torch`.
        name: of the operation, or "classes".
        following: of a class.

    Raises:
        SaltrustError: it is one.
    """
    if space not in OPERATIONS or (space == "aten" and name in OPEN_FILES):
        raise SaltrustError(
            f"model '{source}' calls {space}::{name}: a network computes with tensors, and opens no files"
        )
    if (space, name) == ("aten", "classes") and following not in CLASSES:
        raise SaltrustError(f"model '{source}' holds an object of torch.classes.{following}, not numbers alone")


def _check_expressions(text: str, source: str) -> None:
    """Check that what a program says of sizes is arithmetic. Raises SaltrustError."""

    def check(part: dict[str, Any]) -> dict[str, Any]:
        said = part.get("expr_str")
        if isinstance(said, str) and not _is_size(said):
            raise SaltrustError(f"model '{source}' holds Python code in the place of a size: {said[:60]!r}")
        return part

    try:
        json.loads(text, object_hook=check)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise SaltrustError(f"model '{source}' is not a program of torch.export: {one_line(error)}") from error


def _is_size(text: str) -> bool:
    """Whether a text is made of functions of sympy, and of words and numbers that these take."""
    nodes = list(ast.walk(ast.parse(text, mode="eval")))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    words = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return (
        all(isinstance(node, _ARITHMETIC) for node in nodes)
        and all(isinstance(function, ast.Name) for function in called)
        and all(_SIZE_NAME.fullmatch(name) for name in names)
        and all(re.fullmatch(r"[\w.+-]*", word) for word in words)
    )


def _exported_for(program: ExportedProgram, source: str) -> dict[str, int]:
    """Size and channels of the images that a program was exported for, where they are fixed."""
    given = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    takes = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in given]
    if len(takes) != 1 or not isinstance(takes[0], Tensor) or takes[0].ndim != 4:
        raise SaltrustError(f"model '{source}' takes {len(given)} inputs; it must take one, images (n, channels, h, w)")
    n, channels, height, width = takes[0].shape
    if isinstance(n, int):
        raise SaltrustError(
            f"model '{source}' is fixed to batches of {n}: export it with dynamic_shapes=({{0: Dim('n')}},)"
        )
    if isinstance(height, int) and isinstance(width, int) and height != width:
        raise SaltrustError(f"model '{source}' takes images of {height} x {width} pixels; they must be square")
    return {key: value for key, value in (("channels", channels), ("size", height)) if isinstance(value, int)}


def _in_torch(node: fx.Node) -> None:
    """Write an operator of the dispatcher as the function or method of torch that takes the same arguments."""
    name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
    function = next((getattr(home, name) for home in (torch, functional) if hasattr(home, name)), None)
    if function is not None:
        node.target = function
    elif hasattr(Tensor, name):
        node.op, node.target = "call_method", name
