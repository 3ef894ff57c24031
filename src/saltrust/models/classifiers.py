"""Classifiers at work: building a network, its ImageNet weights, and what it predicts."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from saltrust.core.errors import SaltrustError
from saltrust.core.progress import say
from saltrust.models.architectures import ARCHITECTURES, Architecture
from saltrust.models.torchvision_compat import torchvision

WEIGHTS = "SALTRUST_WEIGHTS"  # environment variable: folder of local ImageNet weights
DOWNLOAD_TIMEOUT = 5.0  # seconds without an answer after which the network counts as absent


def build(architecture: str, n_outputs: int = 1, pretrained: Path | None = None, seed: int = 0) -> nn.Module:
    """An untrained network, or one whose body carries ImageNet weights. torch's own random state is left alone.

    Args:
        architecture: a name in ARCHITECTURES.
        n_outputs: 1 for a binary task (the logit of the finding), else one logit for each class.
        pretrained: file of ImageNet weights; None for none.
        seed: of the initial weights.

    Raises:
        SaltrustError: the name is unknown, or the file does not fit.
    """
    spec = ARCHITECTURES[architecture]
    with seeded(seed):
        model = spec.builder(n_outputs)
    if pretrained is not None:
        _fill(model, spec, Path(pretrained))
    return model


def restored(architecture: str, state: dict[str, Tensor], n_outputs: int = 1) -> nn.Module:
    """A network with the weights of a state, which it takes over; none are drawn for it first.

    Args:
        architecture: a name in ARCHITECTURES.
        state: all tensors of the network by name.
        n_outputs: number of outputs.

    Raises:
        SaltrustError: the state is not one of this network.
    """
    with seeded(0), torch.device("meta"):
        model = ARCHITECTURES[architecture].builder(n_outputs)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise SaltrustError(f"these are not the weights of {architecture} with {n_outputs} outputs: {error}") from error
    return model


def to_input(
    pixels: np.ndarray, input_range: tuple[float, float] = (-1.0, 1.0), where: torch.device | str = "cpu"
) -> Tensor:
    """Pixels as network input.

    Args:
        pixels: (n, h, w) or (n, h, w, 3), uint8.
        input_range: of a black and of a white pixel.
        where: the device, to which the pixels go as bytes.

    Returns:
        A tensor (n, 3, h, w), float32.

    >>> to_input(np.array([[[0, 255]]], np.uint8))[0, :, 0].tolist()
    [[-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]]
    """
    black, white = input_range
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(where).float().div_(255 / (white - black)).add_(black)
    return images.unsqueeze(1).repeat(1, 3, 1, 1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def predict(
    model: nn.Module,
    pixels: np.ndarray,
    batch_size: int = 64,
    input_range: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Logits of pixels; the model's mode is left as it was.

    Args:
        model: maps (n, 3, h, w) to (n, n_outputs).
        pixels: (n, h, w) or (n, h, w, 3), uint8.
        batch_size: images in one pass.
        input_range: of a black and of a white pixel.

    Returns:
        An array (n, n_outputs), float64.

    >>> model = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> predict(model, np.zeros((2, 4, 4), np.uint8)).shape
    (2, 1)
    """
    where = next(model.parameters()).device
    with evaluating(model), torch.inference_mode():
        chunks = [
            model(to_input(pixels[i : i + batch_size], input_range, where).to(memory_format=torch.channels_last)).cpu()
            for i in range(0, len(pixels), batch_size)
        ]
    return torch.cat(chunks).double().numpy()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; every submodule's own mode comes back, also after an exception.

    >>> model = nn.Dropout()
    >>> with evaluating(model):
    ...     print(model.training)
    False
    >>> model.training
    True
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's random state set to `seed` inside the block and put back after it.

    >>> with seeded(0):
    ...     first = torch.rand(1)
    >>> with seeded(0):
    ...     print(torch.equal(torch.rand(1), first))
    True
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def imagenet_weights(architecture: str) -> Path | None:
    """The file with the ImageNet weights of an architecture, or None where there is neither a file nor a network.

    It is looked for under torchvision's file name (or `<architecture>.pth`) in the folder $SALTRUST_WEIGHTS, then in
    torch's download cache, then at torchvision's address. The answer is remembered, so that one run never mixes
    weights.

    Args:
        architecture: a name in ARCHITECTURES, or torchvision's of another classifier, a localizer's body.

    Raises:
        SaltrustError: the content is another than the SHA-256 says in whose first digits torchvision's names end, or
            the download breaks off.
    """
    if architecture not in ARCHITECTURES and architecture in torchvision.models.list_models(torchvision.models):
        return _find_weights(architecture, os.environ.get(WEIGHTS))
    spec = ARCHITECTURES[architecture]
    return _find_weights(spec.body or spec.name, os.environ.get(WEIGHTS))


def provenance(pretrained: Path | None) -> dict[str, str]:
    """Where a training's weights started, for its record.

    Args:
        pretrained: file of ImageNet weights, or None.

    Returns:
        weights, "imagenet" or "scratch"; of ImageNet's also weights_file, its name, and weights_sha256, the first 16
        hexadecimal digits.
    """
    if pretrained is None:
        return {"weights": "scratch"}
    return {"weights": "imagenet", "weights_file": pretrained.name, "weights_sha256": _sha256(pretrained)[:16]}


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
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        return _download(url, downloads / filename)
    if found.name == filename:
        _check(found, _sha256(found), "delete it, or put the whole file in its place")
    return found


def _download(url: str, target: Path) -> Path | None:
    """Fetch a file whose name ends in the first digits of its SHA-256; None where the network does not answer with it.

    Raises SaltrustError where the answer breaks off, is another file, or cannot be written.
    """
    try:
        answer = urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT)
    except OSError as error:  # no network, or a proxy's refusal
        say(f"no ImageNet weights from {url}: {error}")
        return None
    digest = hashlib.sha256()
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    hint = f"try again, or put the file into the folder ${WEIGHTS}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with answer, partial.open("wb") as file:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        _check(target, digest.hexdigest(), f"the download from {url} is broken or another file; {hint}")
        return partial.replace(target)
    except (OSError, HTTPException) as error:
        raise SaltrustError(f"the download of {url} to {target} broke off: {error}; {hint}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _check(path: Path, sha256: str, hint: str) -> None:
    """Raises SaltrustError where a SHA-256 does not begin with the digits in which the file's name ends."""
    digits = path.stem.rpartition("-")[2]
    if not sha256.startswith(digits):
        raise SaltrustError(f"{path} should have a SHA-256 that begins with {digits}, not {sha256[:8]}: {hint}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(model: nn.Module, spec: Architecture, path: Path) -> None:
    """Load ImageNet weights into all of the model but its fresh layers; every tensor must be there, with its shape."""
    try:
        state = spec.adapt(dict(torch.load(path, map_location="cpu", weights_only=True)))
    except SaltrustError:
        raise
    except Exception as error:
        raise SaltrustError(f"{path} is not a file of {spec.title} weights: {error}") from error
    wanted = {k: v for k, v in model.state_dict().items() if not spec.is_fresh(k)}
    # Checkpoints older than torch 0.4.1 do not count batches, and nothing here reads the count.
    needed = {k: v for k, v in wanted.items() if not k.endswith("num_batches_tracked")}
    wrong = [k for k, v in needed.items() if k not in state or state[k].shape != v.shape]
    extra = [k for k in state if k not in wanted and not spec.is_fresh(k)]
    if wrong or extra:
        first = (wrong or extra)[0]
        raise SaltrustError(
            f"{path} does not hold weights of {spec.name}: {len(wrong)} of {len(needed)} tensors are missing or of"
            f" another shape, {len(extra)} belong elsewhere (first: {first})"
        )
    model.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)
