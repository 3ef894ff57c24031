"""InceptionV3 as Keras has it, from its HDF5 files: the format in which Arun et al. released their networks.

torchvision's network has the same layers, and differs in two things. Keras averages over the pixels that a window
finds, where torchvision counts those beyond the border as zeros; so the blocks that average are built anew here. And
Keras's batch normalization has no scale: 1 is put in its place. Padding agrees: no layer with a stride is padded, and
all windows of the others have odd sides.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external.libraries import library
from saltrust.models.external.sources import FORMATS, UNPACKED, LoadedNetwork, intact_file, one_line, refusal
from saltrust.models.torchvision_compat import torchvision

INPUT_RANGE = (-1.0, 1.0)  # of keras.applications' InceptionV3 (`preprocess_input`)
SIZE = 320  # pixels, of the networks of Arun et al.
ARCHITECTURES = ("", "inception_v3", "keras:inception_v3")  # what a card may say

inception = torchvision.models.inception

Steps = tuple[str | tuple[str, ...], ...]
"""Modules that run one after the other; of several beside one another the outputs are joined."""


class _AveragesWhatIsThere(nn.Module):
    """A block of InceptionV3 whose average pooling leaves out what lies beyond the border.

    Attributes:
        branches: what runs beside the pooling.
    """

    branches: tuple[Steps, ...]

    def _forward(self, x: Tensor) -> list[Tensor]:
        pooled = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
        return [*(self._run(steps, x) for steps in self.branches), self.branch_pool(pooled)]

    def _run(self, steps: Steps, x: Tensor) -> Tensor:
        for step in steps:
            beside = [getattr(self, name)(x) for name in (step if isinstance(step, tuple) else (step,))]
            x = torch.cat(beside, 1) if len(beside) > 1 else beside[0]
        return x


class InceptionA(_AveragesWhatIsThere, inception.InceptionA):
    branches = (
        ("branch1x1",),
        ("branch5x5_1", "branch5x5_2"),
        ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    )


class InceptionC(_AveragesWhatIsThere, inception.InceptionC):
    branches = (
        ("branch1x1",),
        ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
        ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
    )


class InceptionE(_AveragesWhatIsThere, inception.InceptionE):
    branches = (
        ("branch1x1",),
        ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
        ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
    )


def build(n_outputs: int) -> nn.Module:
    """An untrained InceptionV3 that computes what Keras's does.

    Args:
        n_outputs: of the last layer, before its softmax or sigmoid.
    """
    blocks = [inception.BasicConv2d, InceptionA, inception.InceptionB, InceptionC, inception.InceptionD, InceptionE]
    with torch.device("meta"):  # every weight is read from the file
        return inception.Inception3(
            n_outputs, aux_logits=False, init_weights=False, dropout=0.0, inception_blocks=[*blocks, None]
        )


@FORMATS.register(".h5")
@FORMATS.register(".hdf5")
def from_keras(source: str, model: Model, folder: Path) -> LoadedNetwork:
    """An InceptionV3 of keras.applications with average pooling and one dense layer in the place of its top.

    The file is one of Keras 1 and 2, of weights alone or of a whole model. No code in it is run.

    Args:
        source: path of the file.
        model: what the card says.
        folder: of the card.

    Returns:
        The network up to its logits, and what its files say: that it takes -1 to 1, and its size, 320 pixels where the
        file does not say it.

    Raises:
        SaltrustError: h5py is not installed, or the file is missing, not sound, or of another network.
    """
    if model.architecture not in ARCHITECTURES:
        raise refusal(model, f"is of Keras, of which {ARCHITECTURES[1]} alone is known, not '{model.architecture}'")
    layers, size = _read(intact_file(source, folder), model)
    try:
        state = state_of(layers)
    except SaltrustError as error:
        raise refusal(model, str(error)) from None
    except (ValueError, TypeError) as error:  # arrays of other shapes, or of no numbers
        raise refusal(model, f"is no InceptionV3: {one_line(error)}") from error
    body = build(len(state["fc.bias"]))
    body.load_state_dict(state, assign=True)
    n = len(state["fc.bias"])
    says = {"input_range": INPUT_RANGE, "channels": 3, "size": size or SIZE, "exclusive": n > 1}
    return LoadedNetwork(body.eval(), says)


def _read(file: Path, model: Model) -> tuple[dict[str, dict[str, np.ndarray]], int | None]:
    """The arrays of a file by layer and name, and the size of the images, None where the file does not say it.

    HDF5 lets a file keep its numbers in another one; such a file is refused.
    """
    h5py = library("h5py")
    layers: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    left = UNPACKED * file.stat().st_size  # bytes

    def collect(path: str, item: Any) -> None:
        nonlocal left
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise refusal(model, f"keeps the numbers of {path} in another file")
            left -= item.nbytes
            if left < 0:
                raise refusal(
                    model, f"has {file.stat().st_size:,} bytes and unpacks to more than {UNPACKED} times these"
                )
            *_, layer, name = ["", *path.split("/")]
            layers[layer][name.partition(":")[0]] = item[()]

    size = None
    try:
        with h5py.File(file, "r") as opened:
            for name in opened:
                if not isinstance(opened.get(name, getlink=True), h5py.HardLink):
                    raise refusal(model, f"links to another place by {name}")
            whole = opened.get("model_weights", opened)
            if not isinstance(whole, h5py.Group):
                raise refusal(model, "has no groups of layers")
            whole.visititems(collect)
            with suppress(ValueError, TypeError, RecursionError):  # no description that can be read
                size = _size(json.loads(opened.attrs.get("model_config", "{}")))
    except (OSError, RuntimeError, KeyError) as error:
        raise refusal(model, f"cannot be read as HDF5, or was cut short: {one_line(error)}") from error
    if "vars" in layers:
        raise refusal(model, "is in the format of Keras 3: save it there by `model.save('name.h5')`, as Keras 2 did")
    return dict(layers), size


def state_of(layers: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
    """The state of `build`'s network from Keras's arrays.

    Keras numbers layers of a class as they are made, over all models of a session; torchvision defines its modules in
    the same order, so that the k-th convolution is the k-th.

    Args:
        layers: name of the layer -> "kernel", "beta", ... -> array. Kernels are (height, width, from, to).

    Returns:
        Name -> tensor, float32.

    Raises:
        SaltrustError: the layers are not those of an InceptionV3 with one dense layer.
    """
    convolutions, norms, dense = (
        _in_order(layers, having, lacking)
        for having, lacking in (({"kernel"}, {"bias"}), ({"beta", "moving_mean", "moving_variance"}, set()),
                                ({"kernel", "bias"}, set()))
    )  # fmt: skip
    names = [name for name, part in build(1).named_modules() if isinstance(part, inception.BasicConv2d)]
    if (len(convolutions), len(norms), len(dense)) != (len(names), len(names), 1):
        raise SaltrustError(
            f"has {len(convolutions)} convolutions without bias, {len(norms)} batch normalizations and {len(dense)} "
            f"dense layers; an InceptionV3 has {len(names)}, {len(names)} and one"
        )
    state: dict[str, Tensor] = {}
    for name, convolution, norm in zip(names, convolutions, norms, strict=True):
        state[f"{name}.conv.weight"] = _tensor(layers[convolution]["kernel"].transpose(3, 2, 0, 1))
        scale = layers[norm].get("gamma", np.ones_like(layers[norm]["beta"]))
        for ours, values in (
            ("weight", scale),
            ("bias", layers[norm]["beta"]),
            ("running_mean", layers[norm]["moving_mean"]),
            ("running_var", layers[norm]["moving_variance"]),
        ):
            state[f"{name}.bn.{ours}"] = _tensor(values)
        state[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    state["fc.weight"], state["fc.bias"] = _tensor(layers[dense[0]]["kernel"].T), _tensor(layers[dense[0]]["bias"])
    for name, wanted in build(len(state["fc.bias"])).state_dict().items():
        if state[name].shape != wanted.shape or not state[name].isfinite().all():
            found = tuple(state[name].shape)
            raise SaltrustError(
                f"is no InceptionV3: {name} is {found} there, or not finite, and {tuple(wanted.shape)} here"
            )
    return state


def _in_order(layers: Mapping[str, Mapping[str, Any]], having: set[str], lacking: set[str]) -> list[str]:
    """The layers that have some arrays and lack others, by the number in which their name ends, none being the first.

    >>> kernels = dict.fromkeys(("conv2d_10", "conv2d", "conv2d_9"), {"kernel": 0})
    >>> _in_order(kernels, {"kernel"}, {"bias"})
    ['conv2d', 'conv2d_9', 'conv2d_10']
    """
    found = [name for name, arrays in layers.items() if having <= set(arrays) and not lacking & set(arrays)]
    return sorted(found, key=lambda name: int((re.search(r"_(\d+)$", name) or [0, 0])[1]))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _size(config: Mapping[str, Any]) -> int | None:
    """The side of the square images that the first layer with a shape takes, None where it takes any."""
    for shape in _shapes(config):
        if len(shape) == 4 and shape[1] == shape[2] and isinstance(shape[1], int):
            return shape[1]
    return None


def _shapes(part: Any) -> Iterable[list[Any]]:
    """All input shapes in the description of a model, from the outside in."""
    if isinstance(part, Mapping):
        yield from (part[key] for key in ("batch_input_shape", "batch_shape") if isinstance(part.get(key), list))
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _shapes(one)
