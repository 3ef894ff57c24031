"""Which methods can explain a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, Method
from saltrust.models.external.model import ExternalModel
from saltrust.models.external.probe import probe_images

# Few, but enough to meet every operation.
STEPS = {"steps": 2, "samples": 8, "segments": 4, "references": 1, "channels": 4, "window": 0.5, "stride": 0.5}
HIDDEN = "it looks inside the network, and TorchScript is compiled: hand over its Python code"
LENIENT = {"rectifiers": "gradient"}  # as a study of such a network asks for


def explainable(model: ExternalModel, methods: Sequence[str]) -> dict[str, str]:
    """Each of the methods that cannot explain a network -> why not.

    Each is tried on two images of the network's size, with few steps. A composition is refused for the first of its
    parts that is. Raises SaltrustError for a method that does not exist.
    """
    explained = Explained(model.network, input_range=(0.0, 1.0))
    images = probe_images(2, model.size).to(explained.device)
    tried: dict[str, str | None] = {}

    def reason(name: str, parameters: dict[str, Any]) -> str | None:
        method = METHODS[name]
        if method.is_composition:
            parts = method.parts(_lenient(method, parameters)).values()
            return next(filter(None, (reason(*part) for part in parts)), None)
        if name not in tried:
            tried[name] = _refusal(method, explained, images, parameters)
        return tried[name]

    reasons = {name: reason(name, {}) for name in methods}
    return {name: why if model.visible else HIDDEN for name, why in reasons.items() if why}


def _lenient(method: Method, parameters: dict[str, Any]) -> dict[str, Any]:
    known = method.defaults
    return {name: value for name, value in (STEPS | LENIENT | parameters).items() if name in known}


def _refusal(method: Method, explained: Explained, images: torch.Tensor, parameters: dict[str, Any]) -> str | None:
    try:
        method.function(explained, images, [(0,), (1,)], **_lenient(method, parameters))
    except SaltrustError as error:
        return " ".join(str(error).split())
    except Exception as error:  # a network may raise whatever it likes
        return f"it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None
