"""Classifiers that come as programs: TorchScript and torch.export."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external.sources import FORMATS, LoadedNetwork, intact_file, one_line
from saltrust.models.external.weights import weights_only


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
        SaltrustError: the file is missing, not sound, or no such program.
    """
    file = intact_file(source, folder)
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
        SaltrustError: the file is missing, not sound, no such program, or was exported for other inputs than images.
    """
    file = intact_file(source, folder)
    if not zipfile.is_zipfile(file):
        raise SaltrustError(f"model '{source}' is not a program of torch.export: it is no archive, or one cut short")
    with zipfile.ZipFile(file) as archive:
        for member in archive.namelist():
            if any(word in member for word in ("custom_obj", "opaque_obj", "aotinductor")):
                raise SaltrustError(f"model '{source}' holds more than operations and numbers ({member})")
    try:
        with weights_only():
            module = copy.deepcopy(torch.export.load(file).module())  # a copy knows train() and eval()
    except Exception as error:
        raise SaltrustError(f"model '{source}' is not a program of torch.export: {one_line(error)}") from error
    says = _exported_for(module, source)
    for node in list(module.graph.nodes):
        if node.op == "call_function":
            _in_torch(node)
        elif node.op == "call_module" and node.target == "_guards_fn":  # what it checks is settled here
            module.graph.erase_node(node)
    module.delete_submodule("_guards_fn")
    module.recompile()
    return LoadedNetwork(module, says, (file,))


def _exported_for(module: fx.GraphModule, source: str) -> dict[str, int]:
    """Size and channels of the images that a program was exported for, where they are fixed."""
    takes = [node.meta.get("val") for node in module.graph.nodes if node.op == "placeholder"]
    if len(takes) != 1 or not isinstance(takes[0], Tensor) or takes[0].ndim != 4:
        raise SaltrustError(f"model '{source}' takes {len(takes)} inputs; it must take one, images (n, channels, h, w)")
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
