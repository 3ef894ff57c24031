"""InceptionV3 from Keras's files: against a forward pass written anew after Keras's own source, layer by layer.

Beside these tests, one network was made and saved by Keras 3.15 (on torch) and read here: at 139 pixels its logits were
those of Keras to 2e-7; with the border counted in the averages, as torchvision has it, they differed by 3e-2.
"""

import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external.keras import from_keras
from saltrust.models.external.model import load
from saltrust.models.randomization import check

SIDE = 75  # pixels, the least that the network takes


class Keras:
    """The layers of Keras's InceptionV3, named in the order in which they are made and run at once, in float64.

    Args:
        first: number of the first layer of a kind; 0 has no number.
        scale: whether batch normalization has one.
    """

    def __init__(self, first: int = 0, scale: bool = False):
        self.rng, self.scale, self.made = np.random.default_rng(0), scale, Counter()
        self.first, self.arrays = first, {}

    def named(self, kind: str, **arrays: np.ndarray) -> None:
        number = self.first + self.made[kind]
        self.made[kind] += 1
        name = f"{kind}_{number}" if number else kind
        self.arrays |= {f"{name}/{array}:0": values.astype(np.float32) for array, values in arrays.items()}

    def conv2d_bn(self, x, filters, rows, cols, padding="same", stride=1):
        fan_in = rows * cols * x.shape[1]
        kernel = np.float32(self.rng.normal(size=(rows, cols, x.shape[1], filters)) * (2 / fan_in) ** 0.5)
        beta, mean = np.float32(self.rng.normal(0, 0.2, (2, filters)))
        variance, gamma = np.float32(self.rng.uniform(0.5, 1.5, (2, filters)))
        self.named("conv2d", kernel=kernel)
        norm = {"beta": beta, "moving_mean": mean, "moving_variance": variance}
        self.named("batch_normalization", **norm | ({"gamma": gamma} if self.scale else {}))
        edge = (cols // 2, cols // 2, rows // 2, rows // 2) if padding == "same" else (0, 0, 0, 0)
        y = F.conv2d(F.pad(x, edge), torch.tensor(kernel).double().permute(3, 2, 0, 1), stride=stride)
        each = [torch.tensor(values).double().view(1, -1, 1, 1) for values in (mean, variance, beta, gamma)]
        y = (y - each[0]) / (each[1] + 1e-3).sqrt() * (each[3] if self.scale else 1) + each[2]
        return y.relu()

    @staticmethod
    def average(x):
        """3 x 3 with a stride of 1: the sum of what is there over its number."""
        ones = torch.ones_like(x[:1, :1])
        window = torch.ones(1, 1, 3, 3, dtype=x.dtype)
        total = F.conv2d(x.flatten(0, 1)[:, None], window, padding=1).view_as(x)
        return total / F.conv2d(ones, window, padding=1)

    def top(self, x, n_outputs):
        kernel, bias = self.rng.normal(0, 0.03, (x.shape[1], n_outputs)), self.rng.normal(0, 0.1, n_outputs)
        kernel, bias = np.float32(kernel), np.float32(bias)
        self.named("dense", kernel=kernel, bias=bias)
        return x.mean((2, 3)) @ torch.tensor(kernel).double() + torch.tensor(bias).double()

    def inception_v3(self, x, n_outputs):
        def chain(x, *layers, **last):
            for i, layer in enumerate(layers, start=1):
                x = self.conv2d_bn(x, *layer, **(last if i == len(layers) else {}))
            return x

        def shrunk(x):
            return F.max_pool2d(x, 3, 2)

        x = self.conv2d_bn(x, 32, 3, 3, "valid", 2)
        x = self.conv2d_bn(x, 32, 3, 3, "valid")
        x = shrunk(self.conv2d_bn(x, 64, 3, 3))
        x = self.conv2d_bn(x, 80, 1, 1, "valid")
        x = shrunk(self.conv2d_bn(x, 192, 3, 3, "valid"))
        for pooled in (32, 64, 64):  # mixed 0 to 2
            branches = [
                chain(x, (64, 1, 1)),
                chain(x, (48, 1, 1), (64, 5, 5)),
                chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
                chain(self.average(x), (pooled, 1, 1)),
            ]
            x = torch.cat(branches, 1)
        stride = {"padding": "valid", "stride": 2}
        branches = [chain(x, (384, 3, 3), **stride), chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3), **stride), shrunk(x)]
        x = torch.cat(branches, 1)
        for n in (128, 160, 160, 192):  # mixed 4 to 7
            branches = [
                chain(x, (192, 1, 1)),
                chain(x, (n, 1, 1), (n, 1, 7), (192, 7, 1)),
                chain(x, (n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
                chain(self.average(x), (192, 1, 1)),
            ]
            x = torch.cat(branches, 1)
        branches = [
            chain(x, (192, 1, 1), (320, 3, 3), **stride),
            chain(x, (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3), **stride),
            shrunk(x),
        ]
        x = torch.cat(branches, 1)
        for _ in range(2):  # mixed 9 and 10
            branches = [chain(x, (320, 1, 1))]
            for first in ([(384, 1, 1)], [(448, 1, 1), (384, 3, 3)]):
                y = chain(x, *first)
                branches += [chain(y, (384, 1, 3)), chain(y, (384, 3, 1))]
            x = torch.cat([*branches, chain(self.average(x), (192, 1, 1))], 1)
        return self.top(x, n_outputs)


def written(file: Path, arrays: dict[str, np.ndarray], group: str = "", config: str | None = None) -> Path:
    """A file as Keras 2 writes it: a group for each layer, and in it the arrays under the layer's name once more."""
    with h5py.File(file, "w") as opened:
        place = opened.create_group(group) if group else opened
        for name, values in arrays.items():
            place[f"{name.split('/')[0]}/{name}"] = values
        if config is not None:
            opened.attrs["model_config"] = config
    return file


IMAGES = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def network():
    """Weights by name, and the logits of the images."""
    made = Keras()
    return made.arrays, made.inception_v3(IMAGES.double(), 2).numpy()


def test_the_network_computes_what_keras_does(network, tmp_path):
    arrays, expected = network
    file = written(tmp_path / "weights.h5", arrays)
    found = from_keras(str(file), Model(source=str(file)), tmp_path)
    with torch.no_grad():
        np.testing.assert_allclose(found.body(IMAGES), expected, rtol=0, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 1e-3  # the images are told apart
    assert found.says == {"input_range": (-1.0, 1.0), "channels": 3, "size": 320, "exclusive": True}


def test_layers_may_be_numbered_from_anywhere_and_normalization_may_have_a_scale(tmp_path):
    """A session that has made networks before goes on counting: 94 comes before 100, though not as text."""
    made = Keras(first=94, scale=True)
    expected = made.inception_v3(IMAGES.double(), 1).numpy()
    config = '{"config": {"layers": [{"config": {"batch_input_shape": [null, 75, 75, 3]}}]}}'
    file = written(tmp_path / "model.hdf5", made.arrays, "model_weights", config)
    found = from_keras(str(file), Model(source=str(file), architecture="inception_v3"), tmp_path)
    with torch.no_grad():
        np.testing.assert_allclose(found.body(IMAGES), expected, rtol=0, atol=1e-4)
    assert (found.says["size"], found.says["exclusive"]) == (75, False)


def test_it_is_judged_like_any_other_model(network, tmp_path):
    """With the log odds of the finding where the card is about one, and with both logits where it has two classes."""
    arrays, expected = network
    file = written(tmp_path / "weights.h5", arrays)
    model = Model(source=str(file), size=SIDE, classes=("normal", "pneumothorax"))
    pixels = (IMAGES + 1) / 2
    one = load(model, tmp_path, (), "pneumothorax")
    two = load(model, tmp_path, ("normal", "pneumothorax"), "pneumothorax")
    with torch.no_grad():
        odds, logits = one.network(pixels).numpy(), two.network(pixels).numpy()
    np.testing.assert_allclose(odds[:, 0], expected[:, 1] - expected[:, 0], rtol=0, atol=2e-4)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-4)
    assert [stage.name for stage in two.stages[:3]] == ["fc", "Mixed_7c", "Mixed_7b"]
    check(two.network, two.stages)


def test_files_of_other_networks_are_refused(network, tmp_path):
    arrays, _ = network

    def refused(given: dict[str, np.ndarray], **said: str) -> str:
        file = written(tmp_path / "given.h5", given)
        with pytest.raises(SaltrustError) as error:
            from_keras(str(file), Model(source=str(file), **said), tmp_path)
        return str(error.value)

    lacking = {name: values for name, values in arrays.items() if not name.startswith("conv2d_93/")}
    assert "has 93 convolutions without bias, 94 batch normalizations and 1 dense" in refused(lacking)
    kernel = arrays["conv2d_5/kernel:0"]
    turned = refused(arrays | {"conv2d_5/kernel:0": kernel[..., :-1]})
    assert "is no InceptionV3: Mixed_5b.branch1x1.conv.weight is (63, 192, 1, 1) there" in turned
    assert "or not finite" in refused(arrays | {"dense/bias:0": np.array([np.nan, 0], np.float32)})
    assert "of which inception_v3 alone is known, not 'densenet121'" in refused(arrays, architecture="densenet121")
    assert "is in the format of Keras 3" in refused({"vars/0": np.zeros(2)})
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(SaltrustError, match="cannot be read as HDF5"):
        from_keras("text.h5", Model(source="text.h5"), tmp_path)


def test_without_h5py_it_says_what_is_missing(network, tmp_path, monkeypatch):
    file = written(tmp_path / "weights.h5", {"dense/bias:0": np.zeros(2)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SaltrustError, match="needs h5py, which is not installed: pip install h5py"):
        from_keras(str(file), Model(source=str(file)), tmp_path)
