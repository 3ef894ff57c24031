"""Named things that users choose from: a dict whose misses explain themselves."""

from collections.abc import Callable
from typing import TypeVar

from saltrust.core.errors import unknown_name

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dict from name to object, filled by decorator; an absent name raises a SaltrustError that suggests the nearest.

    Attributes:
        kind: what it holds, as a noun ("method").

    >>> SHAPES = Registry("shape")
    >>> @SHAPES.register("disc")
    ... def disc(): ...
    >>> SHAPES["disk"]
    Traceback (most recent call last):
    saltrust.core.errors.SaltrustError: unknown shape 'disk'; did you mean 'disc'? known: disc
    """

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that adds what it stands before. Raises ValueError where the name is taken."""

        def add(thing: T) -> T:
            if name in self:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self[name] = thing
            return thing

        return add

    def __missing__(self, name: str) -> T:
        raise unknown_name(self.kind, name, self)
