"""Which methods can explain a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, Method
from saltrust.methods.second_route import Plain, deviation, precise
from saltrust.models.external.model import ExternalModel
from saltrust.models.external.probe import probe_images

# Few, but enough to meet every operation; super-pixels need more samples, which are cheap.
FEW = {"steps": 2, "samples": 2, "segments": 4, "references": 1, "channels": 4, "window": 0.5, "stride": 0.5}
FEW_BY_METHOD = {"smooth_ig": {"steps": 1}, "lime": {"samples": 8}, "kernel_shap": {"samples": 8}}
HIDDEN = "it looks inside the network, and TorchScript is compiled: hand over its Python code"
LENIENT = {"rectifiers": "gradient"}  # as a study of such a network asks for
KEYS = [(0,), (1,)]


def explainable(model: ExternalModel, methods: Sequence[str]) -> dict[str, str]:
    """Each of the methods that cannot explain a network -> why not.

    Each is tried on two images of the network's size, with few steps, and its maps are compared with those of a second
    route. A composition is refused for the first of its parts that is. Raises SaltrustError for a method that does not
    exist.
    """
    images = probe_images(len(KEYS), model.size)
    network = precise(model.network, images)
    explained = Explained(network, input_range=(0.0, 1.0))
    plain = Plain(network, explained)
    tried: dict[str, str | None] = {}

    def reason(name: str, parameters: dict[str, Any]) -> str | None:
        method = METHODS[name]
        if method.is_composition:
            parts = method.parts(few(method, parameters)).values()
            return next(filter(None, (reason(*part) for part in parts)), None)
        if name not in tried:
            given = few(method, parameters)
            try:
                maps = method.function(explained, images, KEYS, **given)
                found = deviation(method, explained, plain, images, KEYS, given, maps)
                tried[name] = None if found is None or found.is_close else str(found)
            except Exception as error:  # a network may raise whatever it likes
                tried[name] = _told(error) if model.visible else HIDDEN
        return tried[name]

    return {name: why for name in methods if (why := reason(name, {}))}


def few(method: Method, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with which a method is quickly tried.

    Args:
        method: to try.
        parameters: that are given.

    Returns:
        Those that are given and others, of the method's own.

    >>> import saltrust.methods
    >>> few(METHODS["smoothgrad"], {"noise": 0.1})
    {'samples': 2, 'noise': 0.1}
    """
    chosen = FEW | LENIENT | FEW_BY_METHOD.get(method.name, {}) | parameters
    return {name: value for name, value in chosen.items() if name in method.defaults}


def _told(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, SaltrustError) else f"it failed: {type(error).__name__}: {said[:200]}"
