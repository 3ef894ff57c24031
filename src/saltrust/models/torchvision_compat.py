"""torchvision, importable also where its compiled operators cannot be loaded.

A CPU-only torch beside torchvision's default wheel leaves torchvision's compiled library unloadable, and a plain
`import torchvision` then fails with "operator torchvision::nms does not exist". Everything saltrust needs from
torchvision is Python, but for non-maximum suppression. So where the operators are missing they are declared here, with
a plain-PyTorch implementation, before the import. Always write

    from saltrust.models.torchvision_compat import torchvision
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

# A torch.library.Library withdraws its operators when it is garbage collected: this list keeps it alive.
_libraries: list[torch.library.Library] = []


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression, as torchvision's compiled operator does it.

    From the best score down, a box is kept unless a box already kept overlaps it with IoU > iou_threshold. Equal scores
    keep their order.

    Args:
        boxes: (n, 4), x0, y0, x1, y1 in pixels.
        scores: (n,).
        iou_threshold: largest overlap of boxes that are kept, 0 to 1.

    Returns:
        Indices of the boxes kept (k,), int64, best first.

    >>> nms(torch.tensor([[0, 0, 2, 2], [0, 0, 2, 1.5], [4, 4, 6, 6.0]]), torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    order = torch.argsort(scores, descending=True, stable=True)
    # In numpy: a step works on few numbers, and a torch call costs more than the arithmetic.
    corners = boxes.detach()[order].float().cpu().numpy()
    waiting, kept = np.arange(len(corners)), []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        # ~(iou > t) and not (iou <= t): two empty boxes have IoU 0/0, and the compiled operator keeps both.
        waiting = waiting[~(_iou(corners[best], corners[waiting]) > iou_threshold)]
    return order[torch.as_tensor(np.array(kept, dtype=np.int64), device=order.device)]


def _iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    intersection = width.clip(min=0) * height.clip(min=0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    with np.errstate(invalid="ignore"):
        return intersection / ((box[2] - box[0]) * (box[3] - box[1]) + areas - intersection)


def _operators_load() -> bool:
    """Whether torchvision's compiled operators are (or can be) loaded; looks without importing torchvision, because a
    failed import leaves half-made modules behind."""
    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("torchvision is not installed; pip install torchvision", name="torchvision")
    folder = Path(next(iter(spec.submodule_search_locations)))
    for library in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return hasattr(torch.ops.torchvision, "nms")
    return False


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(name, nms, "CompositeExplicitAutograd")
    _libraries.append(library)


COMPILER = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def _compiler_on_demand() -> Iterator[None]:
    """Inside the block a stand-in for torch's compiler: torchvision imports one function of it, which takes seconds in
    every process, and calls it only to pool regions on a GPU. When it does, it gets the answer of the compiler."""
    if not sys.modules.keys().isdisjoint(COMPILER):
        yield
        return
    parts = {name: ModuleType(name) for name in COMPILER}
    utils = parts[COMPILER[1]]
    utils.is_compile_supported = lambda device: importlib.import_module(utils.__name__).is_compile_supported(device)
    sys.modules.update(parts)
    try:
        yield
    finally:
        for name in COMPILER:
            del sys.modules[name]


def _load() -> ModuleType:
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    with _compiler_on_demand():
        return _import()


def _import() -> ModuleType:
    # Someone else's failed import (a library that tries torchvision and does without) leaves half-made submodules.
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]
    if _operators_load():
        return importlib.import_module("torchvision")
    _declare_operators()
    module = importlib.import_module("torchvision")
    # nms() asks whether the compiled library is there, not whether the operator is; the other operators still ask.
    importlib.import_module("torchvision.ops.boxes")._assert_has_ops = lambda: None
    return module


torchvision = _load()
