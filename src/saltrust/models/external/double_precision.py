"""A network's operations in double precision, also those that it casts to another on its way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


class InDoublePrecision(TorchDispatchMode):
    """Inside the block, floating-point operations are computed in double precision, whatever their operands are.

    Writing into a tensor of another precision raises TypeError: it would be lost.

    >>> with InDoublePrecision():
    ...     (torch.ones(1).float() / 3).dtype
    torch.float64
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        wide_args, wide_kwargs = tree_map(widened, (args, kwargs or {}))
        if func._schema.is_mutable and args and wide_args[0] is not args[0]:
            raise TypeError("cannot write into a tensor of single precision")
        return func(*wide_args, **wide_kwargs)


def widened(value: Any) -> Any:
    """A floating-point tensor, or the name of its type, in double precision; anything else as it is.

    >>> widened(torch.float16), widened(torch.int64)
    (torch.float64, torch.int64)
    """
    if isinstance(value, torch.dtype):
        return torch.float64 if value.is_floating_point else value
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.double()
    return value
