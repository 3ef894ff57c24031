"""Weights by name: read without running any code, and put into the architecture that they belong to."""

from __future__ import annotations

import os
import pickle
import re
import tarfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build
from saltrust.models.external.sources import FORMATS, LoadedNetwork, from_function, intact_file, one_line

FEW = 4  # names that an error lists

# What pickled tensors, parameters and modules call by name.
_TENSORS = {("collections", "OrderedDict"), ("builtins", "set"), ("__builtin__", "set"), ("torch", "Size")}
_TENSORS |= {("torch._utils", name) for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")}
_TENSORS |= {("torch", f"{kind}Storage") for kind in ("Float", "Double", "Half", "Long", "Int", "Bool", "Byte")}

BUILDERS: Registry[Callable[[str, Model, Path], LoadedNetwork]] = Registry("library of architectures")
"""Library -> a function of (the architecture's name there, what the card says, its folder): the untrained network."""


@contextmanager
def weights_only() -> Iterator[None]:
    """Inside the block torch.load reads numbers alone, whatever its caller asks of it.

    torch.export would fall back to any pickle. torch refuses to read where the environment forces both.
    """
    forced, freed = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name) for name in (forced, freed) if name in os.environ}
    os.environ[forced] = "1"
    try:
        yield
    finally:
        del os.environ[forced]
        os.environ.update(before)


def members(file: Path, *suffixes: str) -> dict[str, str]:
    """What torch finds in an archive. Another reader may find something else in an odd one.

    Args:
        file: any file.
        suffixes: of the members whose contents are read.

    Returns:
        Name -> text, "" where it is not read; nothing where the file is no archive to torch.

    Raises:
        SaltrustError: its members have names that are no text.
    """
    try:
        archive = torch._C.PyTorchFileReader(str(file))
        names = archive.get_all_records()
        return {
            name: archive.get_record(name).decode("utf-8", "replace") if name.endswith(suffixes) else ""
            for name in names
        }
    except UnicodeError as error:  # nothing is known of its members: it may well hold a program
        raise SaltrustError(f"model '{file.name}' is a damaged archive, with names that are no text") from error
    except RuntimeError:
        return {}


def _refuse_program(file: Path, what: str) -> None:
    """Check that a file of weights is no TorchScript, of which torch runs parts as it reads them.

    Args:
        file: any file.
        what: errors call it.

    Raises:
        SaltrustError: it is a program.
    """
    if "constants.pkl" in members(file):  # by which torch itself knows it
        raise SaltrustError(
            f"{what} is a TorchScript program in the place of weights, and would run: name it {file.stem}.ts if it is "
            "to run, or save its weights alone, by torch.save(program.state_dict(), file)"
        )


@FORMATS.register(".safetensors")
@FORMATS.register(".bin")
@FORMATS.register(".ckpt")
@FORMATS.register(".pt")
@FORMATS.register(".pth")
def from_weights(source: str, model: Model, folder: Path) -> LoadedNetwork:
    """Weights in the architecture that the card names. A program is refused, whatever the file is called.

    Args:
        source: path of the file.
        model: what the card says.
        folder: of the card.

    Raises:
        SaltrustError: the file is missing, not sound, or does not fit the architecture, or the card names none.
    """
    file = intact_file(source, folder)
    state = read_state(file, f"model '{source}'")
    if not model.architecture:
        raise SaltrustError(
            f"model '{source}' holds weights alone: say whose by `architecture`: a file.py:function, timm:<name>, "
            f"torchvision:<name>, or one of {', '.join(ARCHITECTURES)}"
        )
    built = _architecture(model, folder)
    fill(built.body, state, f"model '{source}'", model.architecture)
    return built


def read_state(file: Path, what: str, classes: Iterable[type] = ()) -> dict[str, Tensor]:
    """The tensors of a file by name, read without running any code.

    Those of a training checkpoint are taken out of it.

    Args:
        file: safetensors or torch's format.
        what: errors call it.
        classes: of the modules of a whole pickled network that the file may hold.

    Returns:
        Name -> tensor.

    Raises:
        SaltrustError: the file holds anything else.
    """
    _refuse_program(file, what)
    reading = {"pickle_module": _pickle_of(classes), "weights_only": False} if classes else {"weights_only": True}
    try:
        if tarfile.is_tarfile(file):  # torch's format before 0.1.10, which it unpacks onto the disk
            raise pickle.UnpicklingError("unsupported: a tar archive")
        if file.suffix == ".safetensors":
            held = load_file(file)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                held = torch.load(file, map_location="cpu", **reading)
        if isinstance(held, nn.Module):
            held = held.state_dict()
    except Exception as error:
        if re.search("weights_only|unsupported", str(error), re.IGNORECASE):
            raise SaltrustError(
                f"{what} holds more than weights, and reading it could run its code: save them alone, by "
                "torch.save(network.state_dict(), file) or as safetensors"
            ) from error
        raise SaltrustError(f"{what} cannot be read, or was cut short: {one_line(error)}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        found = (
            f"a dict with {', '.join(map(str, list(held)[:FEW])) or 'nothing in it'}"
            if isinstance(held, Mapping)
            else type(held).__name__
        )
        raise SaltrustError(f"{what} is not a file of weights by name: it holds {found}")
    for name, value in held.items():
        kind = _unusable(value) if isinstance(name, str) else f"the key {name!r}, which is no name"
        if kind:
            raise SaltrustError(f"{what} holds {kind} ({str(name)[:80]}); it must hold dense real numbers by name")
    return dict(held)


def _unusable(value: Tensor) -> str:
    """What keeps a tensor from being weights, "" for nothing."""
    kinds = {
        "a tensor without values (meta device)": value.is_meta,
        "a quantized tensor": value.is_quantized or str(value.dtype).startswith(("torch.float8", "torch.float4")),
        "a sparse tensor": value.layout != torch.strided,
        "complex numbers": value.is_complex(),
        "a nested tensor": value.is_nested,
    }
    return next((kind for kind, found in kinds.items() if found), "")


class _Unbuilt(nn.Module):
    """What a pickled module holds, without its class."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__()


def _pickle_of(classes: Iterable[type]) -> SimpleNamespace:
    """What torch.load needs of the module `pickle`, with an unpickler that calls nothing but what makes tensors.

    A module of these classes becomes an `_Unbuilt`, since their own constructors may read files and fetch weights.
    (torch's own unpickler, of `weights_only`, refuses networks in the format before torch 1.6.)
    """
    networks = {(one.__module__, one.__qualname__) for one in classes}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            if (module, name) in networks:
                return _Unbuilt
            if (module, name) in _TENSORS:
                return super().find_class(module, name)
            raise pickle.UnpicklingError(f"unsupported: {module}.{name}")

    def load(file: IO[bytes], **options: Any) -> object:
        return Unpickler(file, **options).load()

    return SimpleNamespace(__name__="pickle", Unpickler=Unpickler, load=load)


def fill(body: nn.Module, state: dict[str, Tensor], what: str, architecture: str) -> None:
    """Put weights into a network: each must be there, of its shape and finite, and none may be left over.

    What all names begin with ("module.", "model.") may be missing from the network's.

    Args:
        body: the network, changed in place.
        state: name -> tensor.
        what: errors call the weights.
        architecture: errors call the network.

    Raises:
        SaltrustError: the weights do not fit.
    """
    wanted = body.state_dict()
    shared = os.path.commonprefix(list(state))
    prefix = shared[: shared.rfind(".") + 1]
    if prefix and not any(name.startswith(prefix) for name in wanted):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    counts = {name for name in wanted if name.endswith("num_batches_tracked")}  # nothing here reads them
    complaints = {
        "lacks": [name for name in wanted if name not in state and name not in counts],
        "has beside it": [name for name in state if name not in wanted],
        "has in another shape": [
            f"{name} {tuple(state[name].shape)} for {tuple(value.shape)}"
            for name, value in wanted.items()
            if name in state and state[name].shape != value.shape
        ],
        "has whole numbers for": [  # weights of a quantized network, without their scale
            name
            for name, value in wanted.items()
            if name in state and value.is_floating_point() and not state[name].is_floating_point()
        ],
        "has infinite or NaN numbers in": [name for name, value in state.items() if not value.isfinite().all()],
    }
    found = [
        f"{verb} {', '.join(names[:FEW])}{f' and {len(names) - FEW} more' if len(names) > FEW else ''}"
        for verb, names in complaints.items()
        if names
    ]
    if found:
        raise SaltrustError(f"{what} does not fit {architecture} ({len(wanted)} tensors): it {'; '.join(found)}")
    try:
        body.load_state_dict(state, strict=False)
    except (RuntimeError, TypeError) as error:
        raise SaltrustError(f"{what} does not fit {architecture}: {one_line(error)}") from error


def _architecture(model: Model, folder: Path) -> LoadedNetwork:
    """An untrained network with as many outputs as the card names classes, one where it names none."""
    library, colon, name = model.architecture.partition(":")
    if ".py" in model.architecture:
        return from_function(model.architecture, model, folder)
    if colon:
        return BUILDERS[library](name, model, folder)
    return LoadedNetwork(
        build(model.architecture, len(model.classes) or 1),
        {"input_range": ARCHITECTURES[model.architecture].input_range},
    )
