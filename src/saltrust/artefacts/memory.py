"""Values that a process keeps at hand, as far as they take no more than a limit."""

import threading
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


class Memory:
    """Values by digest: those that were used last, whose arrays take `limit` bytes. For several threads."""

    def __init__(self, limit: float):
        self.limit = limit
        self._kept: dict[str, tuple[Any, int]] = {}  # the one used last comes last
        self._size = 0
        self._lock = threading.Lock()

    def get(self, digest: str, otherwise: Any) -> Any:
        with self._lock:
            if digest not in self._kept:
                return otherwise
            value, _ = self._kept[digest] = self._kept.pop(digest)
            return value

    def keep(self, digest: str, value: Any) -> None:
        """The value stays until others need its place; one that is larger than the limit does not."""
        size = held(value)
        if size > self.limit:
            return
        with self._lock:
            _, before = self._kept.pop(digest, (None, 0))  # another thread was faster
            self._kept[digest] = value, size
            self._size += size - before
            while self._size > self.limit:
                _, gone = self._kept.pop(next(iter(self._kept)))
                self._size -= gone


def held(value: Any) -> int:
    """Bytes of the arrays in a value."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    return sum(map(held, value)) if isinstance(value, list | tuple) else 0
