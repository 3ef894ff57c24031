"""An unfinished training on disk: what it needs to go on, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saltrust.core.devices import device
from saltrust.core.interruption import REQUESTS, SETTLED

INTERVAL = 300.0  # seconds between two checkpoints
FILE = "training.pt"


class Checkpoint:
    """Where a training puts what it has so far, and finds it again.

    It is a context manager, in which a request to end (SIGINT, SIGTERM, SIGHUP) waits until the step is done and
    written; another one, from a second later on, acts at once.

    Args:
        folder: of the training alone; None to keep nothing.
        identity: of the training (see `identity`); what another one left is passed over.
    """

    def __init__(self, folder: Path | None, identity: str):
        self._file = None if folder is None else Path(folder) / FILE
        self._identity = identity
        self._began = self._saved = time.monotonic()
        self._earlier = 0.0
        self._signal: int | None = None
        self._handlers: dict[int, Any] = {}

    @property
    def seconds(self) -> float:
        """How long the training took until now, in all the processes that it ran in."""
        return self._earlier + time.monotonic() - self._began

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        waited = time.monotonic() - self._saved >= INTERVAL
        return self._file is not None and (waited or self._signal is not None)

    def load(self) -> dict[str, Any] | None:
        """What was saved last, on the processor; None, with a warning, where that is damaged or another training's."""
        if self._file is None or not self._file.exists():
            return None
        try:
            stored = torch.load(self._file, map_location="cpu", weights_only=True)
            theirs, seconds, state = stored["identity"], stored["seconds"], stored["state"]
        except Exception as error:  # a file cut short can fail in many ways
            warnings.warn(f"{self._file} is damaged ({type(error).__name__}); training starts over", stacklevel=2)
            return None
        if theirs != self._identity:
            warnings.warn(f"{self._file} is of another training, or another device; training starts over", stacklevel=2)
            return None
        self._earlier = seconds
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Write tensors and plain data in place of what was saved before, then obey a signal that came meanwhile.

        A disk that is full or cannot be written is a warning: it must not end the training.

        Args:
            state: nested dicts and lists of tensors and plain data.
        """
        temporary = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save({"identity": self._identity, "seconds": self.seconds, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._file)
        except (OSError, RuntimeError) as error:  # torch's writer raises the second
            warnings.warn(f"no checkpoint at {self._file}: {error}", stacklevel=2)
        self._saved = time.monotonic()
        self._obey()

    def __enter__(self) -> Checkpoint:
        if self._file is not None and threading.current_thread() is threading.main_thread():
            caught = [number for number in REQUESTS if signal.getsignal(number) not in (None, signal.SIG_IGN)]
            self._handlers = {number: signal.signal(number, self._note) for number in caught}
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._restore()
        if kind is None:
            self._obey()

    def _note(self, number: int, _: object) -> None:
        if self._signal is None:
            self._signal, self._came = number, time.monotonic()
        elif time.monotonic() - self._came >= SETTLED:
            self._obey()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _obey(self) -> None:
        number, self._signal = self._signal, None
        if number is not None:
            self._restore()
            signal.raise_signal(number)


def identity(state: dict[str, Tensor], *parts: object) -> str:
    """Digest of the initial weights and whatever else determines a training, with torch's version and the device.

    Args:
        state: the initial weights.
        parts: all else; each has a `repr` that tells it.

    Returns:
        64 hexadecimal digits.

    >>> identity({"w": torch.zeros(1)}, "plan") == identity({"w": torch.ones(1)}, "plan")
    False
    """
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""  # another kind computes other bits
    digest = hashlib.sha256(repr((torch.__version__, device().type, gpu, *parts)).encode())
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
