"""Files of models with changed bytes: the weights that were written, or a refusal; never code."""

import io
import json
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saltrust.core.card_parts import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external import libraries, torchscript, weights  # registers what they read
from saltrust.models.external.keras import from_keras
from saltrust.models.external.sources import find
from tests.fuzz import guard
from tests.fuzz.mutations import applied, edits

LOADED = (libraries, torchscript, weights)
CODE = (
    "import torch\n\ndef load():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))\n"
)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).eval()


def _saved(save, content) -> bytes:
    stream = io.BytesIO()
    save(content, stream)
    return stream.getvalue()


def _hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {"batch_input_shape": [None, 75, 75, 3]}})
        for name, shape in (("conv2d/kernel:0", (3, 3, 3, 32)), ("dense/kernel:0", (4, 1)), ("dense/bias:0", (1,))):
            file[f"model_weights/{name}"] = np.ones(shape, np.float32)
    return stream.getvalue()


STATE = _network().state_dict()
FILES = {
    "weights.pt": _saved(torch.save, STATE),
    "checkpoint.ckpt": _saved(
        torch.save, {"state_dict": {f"module.{name}": v for name, v in STATE.items()}, "epoch": 3}
    ),
    "weights.safetensors": safetensors.torch.save(STATE),
    "program.ts": _saved(torch.jit.save, torch.jit.script(_network())),
}


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """By the format's description: the header's length, the header, the numbers."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    kinds = {"F32": np.float32, "I64": np.int64}
    found = {}
    for name, about in header.items():
        if name != "__metadata__":
            first, last = (8 + length + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(data[first:last], kinds[about["dtype"]]).reshape(about["shape"])
    return found


@pytest.mark.parametrize("name", FILES)
@guard.fuzzed(15)
@given(data=st.data())
def test_a_changed_file_holds_the_weights_or_is_refused(name, data):
    changed = applied(FILES[name], data.draw(edits(name)))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        (root := Path(folder)).joinpath("net.py").write_text(CODE)
        (root / name).write_bytes(changed)
        architecture = "" if name.endswith(".ts") else "net.py:load"
        found = guard.attempt(lambda: find(Model(source=name, architecture=architecture), root))
    if isinstance(found, SaltrustError):
        assert name in str(found)
        return
    state = {key: value.numpy() for key, value in found.body.state_dict().items()}
    assert {*state} == {*STATE}
    known = _read_safetensors(changed) if name.endswith(".safetensors") else {k: v.numpy() for k, v in STATE.items()}
    for key, value in known.items():  # archives have checksums: what is read is what was written
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(state[key], value)


@guard.fuzzed(20)
@given(data=st.data())
def test_a_changed_file_of_keras_is_refused(data):
    content = applied(_hdf5(), data.draw(edits("x.h5")))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        Path(folder, "x.h5").write_bytes(content)
        found = guard.attempt(lambda: from_keras("x.h5", Model(source="x.h5"), Path(folder)))
    assert isinstance(found, SaltrustError)  # it has one convolution, an InceptionV3 has 94
