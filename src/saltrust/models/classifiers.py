"""The classifiers whose maps are judged: torchvision networks with one logit per finding.

A classifier maps images (n, 3, h, w), float32 in [-1, 1], to logits (n, n_outputs). Its stages name the blocks of its
weights from the output to the input: the order in which a cascade randomizes them.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.errors import SaltrustError
from saltrust.models.vision import torchvision
from saltrust.registry import Registry

WEIGHTS = "SALTRUST_WEIGHTS"  # environment variable: folder of local ImageNet weights
DOWNLOAD_TIMEOUT = 5.0  # seconds without an answer after which the network counts as absent

State = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """A block of weights that a cascade randomizes in one step; modules: dotted paths, all with their submodules."""

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained and explained.

    builder: number of outputs -> untrained network. adapt: torchvision's ImageNet state -> the state for inputs in
    [-1, 1] under this network's names. learning_rate: the paper's, for fine-tuning (Arun et al., Methods). stages:
    from the output to the input, as are the modules of a stage.
    """

    name: str
    title: str
    builder: Callable[[int], nn.Module]
    adapt: Callable[[State], State]
    learning_rate: float
    stages: tuple[Stage, ...]

    @property
    def head(self) -> str:
        """Path of the last layer, the only one that ImageNet weights do not fill."""
        return self.stages[0].modules[0]


ARCHITECTURES: Registry[Architecture] = Registry("architecture")


def build(architecture: str, n_outputs: int = 1, pretrained: Path | None = None, seed: int = 0) -> nn.Module:
    """An untrained network, or one whose body carries the ImageNet weights of the file `pretrained`.

    n_outputs: 1 for a binary task (the logit of the finding), else one logit per class. seed: of the initial weights;
    torch's own random state is left alone. Raises SaltrustError on an unknown name and on a file that does not fit.
    """
    spec = ARCHITECTURES[architecture]
    with seeded(seed):
        model = spec.builder(n_outputs)
    if pretrained is not None:
        _fill(model, spec, Path(pretrained))
    return model


def to_input(pixels: np.ndarray) -> Tensor:
    """Pixels (n, h, w) or (n, h, w, 3), uint8, as network input (n, 3, h, w), float32: black is -1, white +1."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float().div_(127.5).sub_(1.0)
    return images.unsqueeze(1).repeat(1, 3, 1, 1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def predict(model: nn.Module, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Logits (n, n_outputs), float64, of uint8 pixels (n, h, w[, 3]); the model's mode is left as it was."""
    device = next(model.parameters()).device
    with evaluating(model), torch.inference_mode():
        chunks = [
            model(to_input(pixels[i : i + batch_size]).to(device, memory_format=torch.channels_last)).cpu()
            for i in range(0, len(pixels), batch_size)
        ]
    return torch.cat(chunks).double().numpy()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; every submodule's own mode comes back, also after an exception."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's random state set to `seed` inside the block and put back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def imagenet_weights(architecture: str) -> Path | None:
    """The file with the ImageNet weights of an architecture, or None where there is neither a file nor a network.

    Looked for under torchvision's file name (or `<architecture>.pth`) in the folder $SALTRUST_WEIGHTS, then in torch's
    download cache, then at torchvision's address. The answer is remembered, so that one run never mixes weights.
    """
    return _find_weights(ARCHITECTURES[architecture].name, os.environ.get(WEIGHTS))


@cache
def _find_weights(architecture: str, local: str | None) -> Path | None:
    url = torchvision.models.get_model_weights(architecture).DEFAULT.url
    filename = url.rsplit("/", 1)[1]
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    candidates = [downloads / filename]
    if local:
        folder = Path(local)
        if not folder.is_dir():
            raise SaltrustError(f"${WEIGHTS} = {folder} is not a folder; name the folder that holds {filename}")
        candidates = [folder / filename, folder / f"{architecture}.pth", *candidates]
    return next((path for path in candidates if path.is_file()), None) or _download(url, downloads / filename)


def _download(url: str, target: Path) -> Path | None:
    """Fetch a file whose name ends in the first digits of its SHA-256; None where the network does not provide it."""
    digest = hashlib.sha256()
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as answer, partial.open("wb") as file:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        if not digest.hexdigest().startswith(target.stem.rsplit("-", 1)[1]):
            return None
        return partial.replace(target)
    except OSError:  # no network, a proxy's refusal, a read-only home
        return None
    finally:
        partial.unlink(missing_ok=True)


def _fill(model: nn.Module, spec: Architecture, path: Path) -> None:
    """Load ImageNet weights into all of the model but its head; every tensor must be there, with its shape."""
    try:
        state = spec.adapt(dict(torch.load(path, map_location="cpu", weights_only=True)))
    except SaltrustError:
        raise
    except Exception as error:
        raise SaltrustError(f"{path} is not a file of {spec.title} weights: {error}") from error
    wanted = {k: v for k, v in model.state_dict().items() if not k.startswith(f"{spec.head}.")}
    # Checkpoints older than torch 0.4.1 do not count batches, and nothing here reads the count.
    needed = {k: v for k, v in wanted.items() if not k.endswith("num_batches_tracked")}
    wrong = [k for k, v in needed.items() if k not in state or state[k].shape != v.shape]
    extra = [k for k in state if k not in wanted and not k.startswith(f"{spec.head}.")]
    if wrong or extra:
        first = (wrong or extra)[0]
        raise SaltrustError(
            f"{path} does not hold weights of {spec.name}: {len(wrong)} of {len(needed)} tensors are missing or of"
            f" another shape, {len(extra)} belong elsewhere (first: {first})"
        )
    model.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)


def _inception_v3(n_outputs: int) -> nn.Module:
    model = torchvision.models.inception_v3(
        weights=None, num_classes=n_outputs, aux_logits=False, transform_input=False, init_weights=False, dropout=0.0
    )
    # He's scale, where torchvision draws every layer with sd 0.1 (the default) through a slow sampler.
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def _adapt_inception_v3(state: State) -> State:
    """The weights were trained on [-1, 1] (torchvision converts its own inputs to that); the auxiliary head goes."""
    return {name: value for name, value in state.items() if not name.startswith("AuxLogits.")}


def _densenet121(n_outputs: int) -> nn.Module:
    return torchvision.models.densenet121(weights=None, num_classes=n_outputs)


def _adapt_densenet121(state: State) -> State:
    """Rename the old checkpoint's layers, and fold the ImageNet normalization (x - mean)/sd into the first block.

    With x = (u + 1)/2 the normalized input is a·u + b, a = 0.5/sd, b = (0.5 - mean)/sd per channel: a scales the first
    convolution, and what it makes of the constant b moves its batch normalization's mean. Exact but for the border,
    where the convolution's zero padding stands for another grey.
    """
    layer = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    state = {layer.sub(r"\1\2", name): value for name, value in state.items()}
    weight, mean = state.get("features.conv0.weight"), state.get("features.norm0.running_mean")
    if weight is None or mean is None:
        return state
    centre, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    constant = (weight.sum(dim=(2, 3)) * ((0.5 - centre) / sd)).sum(dim=1)
    state["features.conv0.weight"] = weight * (0.5 / sd).view(1, 3, 1, 1)
    state["features.norm0.running_mean"] = mean - constant
    return state


_INCEPTION_BLOCKS = tuple(
    f"Mixed_{block}" for block in ("7c", "7b", "7a", "6e", "6d", "6c", "6b", "6a", "5d", "5c", "5b")
)
_INCEPTION_STEM = ("Conv2d_4a_3x3", "Conv2d_3b_1x1", "Conv2d_2b_3x3", "Conv2d_2a_3x3", "Conv2d_1a_3x3")

ARCHITECTURES.register("inception_v3")(
    Architecture(
        name="inception_v3",
        title="InceptionV3",
        builder=_inception_v3,
        adapt=_adapt_inception_v3,
        learning_rate=1e-4,
        stages=(
            Stage("logits", ("fc",)),
            *(Stage(block, (block,)) for block in _INCEPTION_BLOCKS),
            Stage("stem", _INCEPTION_STEM),
        ),
    )
)

ARCHITECTURES.register("densenet121")(
    Architecture(
        name="densenet121",
        title="DenseNet121",
        builder=_densenet121,
        adapt=_adapt_densenet121,
        learning_rate=7e-5,
        stages=(
            Stage("logits", ("classifier",)),
            Stage("denseblock4", ("features.norm5", "features.denseblock4")),
            Stage("transition3", ("features.transition3",)),
            Stage("denseblock3", ("features.denseblock3",)),
            Stage("transition2", ("features.transition2",)),
            Stage("denseblock2", ("features.denseblock2",)),
            Stage("transition1", ("features.transition1",)),
            Stage("denseblock1", ("features.denseblock1",)),
            Stage("stem", ("features.norm0", "features.conv0")),
        ),
    )
)
