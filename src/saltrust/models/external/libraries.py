"""Classifiers by their names in timm, torchvision and torchxrayvision."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry
from saltrust.models.classifiers import WEIGHTS
from saltrust.models.external.sources import LIBRARIES, LoadedNetwork, one_line
from saltrust.models.external.weights import BUILDERS, FEW, fill, read_state, weights_only
from saltrust.models.torchvision_compat import torchvision

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def library(name: str) -> ModuleType:
    """A module by its name.

    Raises:
        SaltrustError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SaltrustError(f"this needs {name}, which is not installed: pip install {name} ({error})") from error


def _local(*filenames: str) -> Path | None:
    """The first of these files that lies in the folder of local weights."""
    folder = Path(os.environ.get(WEIGHTS, "/nowhere"))
    return next((folder / name for name in filenames if (folder / name).is_file()), None)


def _unknown(kind: str, name: str, known: Sequence[str]) -> SaltrustError:
    """The error for a name among too many to list: with the nearest few."""
    return unknown_name(kind, name, [*get_close_matches(name, known, n=FEW, cutoff=0), "…"])


def _timm(name: str, n_outputs: int | None, channels: int, **options: Any) -> LoadedNetwork:
    timm = library("timm")
    if not timm.is_model(name):
        raise _unknown("model of timm", name, timm.list_models())
    outputs = {} if n_outputs is None else {"num_classes": n_outputs}
    body = timm.create_model(name, in_chans=channels, **outputs, **options)
    takes = timm.data.resolve_model_data_config(body)
    return LoadedNetwork(
        body, {"mean": takes["mean"], "std": takes["std"], "size": takes["input_size"][1], "channels": channels}
    )


@BUILDERS.register("timm")
def timm_architecture(name: str, model: Model, folder: Path) -> LoadedNetwork:
    """An untrained network of timm.

    Args:
        name: in timm.
        model: what the card says.
        folder: not used; builders are called alike.

    Raises:
        SaltrustError: timm does not know the name.
    """
    return _timm(name, len(model.classes) or 1, model.channels or 3)


@BUILDERS.register("torchvision")
def torchvision_architecture(name: str, model: Model, folder: Path) -> LoadedNetwork:
    """An untrained network of torchvision, whose own weights take ImageNet's mean and standard deviation.

    Args:
        name: in torchvision.
        model: what the card says.
        folder: not used; builders are called alike.

    Raises:
        SaltrustError: torchvision does not know the name.
    """
    known = torchvision.models.list_models(torchvision.models)
    if name not in known:
        raise _unknown("classifier of torchvision", name, known)
    return LoadedNetwork(
        torchvision.models.get_model(name, weights=None, num_classes=len(model.classes) or 1), IMAGENET
    )


@LIBRARIES.register("timm")
def from_timm(name: str, model: Model, folder: Path) -> LoadedNetwork:
    """A network of timm with its published weights; the classes of ImageNet are known.

    The weights come from $SALTRUST_WEIGHTS/<name>.safetensors (or .pth), or timm takes them from its cache or the
    network.

    Args:
        name: in timm.
        model: what the card says.
        folder: not used; sources are called alike.

    Raises:
        SaltrustError: timm does not know the name, or its weights are nowhere.
    """
    file = _local(f"{name}.safetensors", f"{name}.pth")
    overlay = {"pretrained_cfg_overlay": {"file": str(file)}} if file else {}
    if file:
        read_state(file, f"timm:{name} ({file})")  # timm's own reader would run a program, and say less of a bad file
    try:
        with weights_only():
            found = _timm(name, None, model.channels or 3, pretrained=True, **overlay)
    except SaltrustError:
        raise
    except Exception as error:
        raise SaltrustError(
            f"timm:{name}: its weights are neither at timm's address nor in ${WEIGHTS} as {name}.safetensors: "
            f"{one_line(error)}"
        ) from error
    info = importlib.import_module("timm.data")
    subset = info.infer_imagenet_subset(found.body)
    names = tuple(info.ImageNetInfo(subset).label_descriptions()) if subset else ()
    return LoadedNetwork(found.body, {**found.says, "classes": names, "exclusive": True})


@LIBRARIES.register("xrv")
def from_xrv(name: str, model: Model, folder: Path) -> LoadedNetwork:
    """A network of torchxrayvision, built here so that it returns logits.

    Its own forward ends in calibrated probabilities, and rescales images unasked. The weights come from
    $SALTRUST_WEIGHTS, torchxrayvision's cache, or its address.

    Args:
        name: of the weights in torchxrayvision.
        model: not used; sources are called alike.
        folder: not used.

    Raises:
        SaltrustError: torchxrayvision does not know the name, or its weights are nowhere.
    """
    xrv = library("torchxrayvision")
    published = {key: value for key, value in xrv.models.model_urls.items() if "-" in key}
    if name not in published:
        raise unknown_name("weights of torchxrayvision", name, published)
    entry = published[name]
    url, labels = entry["weights_url"], tuple(entry["labels"])
    body = XRV_BODIES[name.partition("-")[0]](len(labels))
    filename = url.rpartition("/")[2]
    file = _local(filename) or Path(xrv.utils.get_cache_dir()).expanduser() / filename
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), progress=False)
        except OSError as error:
            raise SaltrustError(
                f"xrv:{name}: no {filename} in ${WEIGHTS} or {file.parent}, and it cannot be fetched: {one_line(error)}"
            ) from error
    classes = {type(module) for module in body.modules()}
    what = f"xrv:{name} ({file})"
    fill(body, read_state(file, what, classes), what, name)
    takes = {"channels": 1, "input_range": (-1024.0, 1024.0), "size": entry["input_resolution"]}
    return LoadedNetwork(body, {**takes, "classes": labels, "exclusive": False})


def _xrv_densenet(n_outputs: int) -> nn.Module:
    return library("torchxrayvision").models.DenseNet(num_classes=n_outputs)


def _xrv_resnet(n_outputs: int) -> nn.Module:
    network = torchvision.models.resnet50(weights=None, num_classes=n_outputs)
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return network


XRV_BODIES: Registry[Callable[[int], nn.Module]] = Registry("network of torchxrayvision")
XRV_BODIES.register("densenet121")(_xrv_densenet)
XRV_BODIES.register("resnet50")(_xrv_resnet)
